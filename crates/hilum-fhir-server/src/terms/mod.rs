//! The codes that value sets and code systems list, for searches with `:in`, `:not-in`, `:above` and
//! `:below` (FHIR R4 search.html#token).
//!
//! What is stored comes before what is of the standard. What a search names is read
//! beforehand, with everything that it refers to; then the codes are worked out without waiting.
//! This is no terminology service: what cannot be listed from complete code systems, stored or of R4,
//! and from enumerated value sets, is refused with the reason.

mod expand;
mod system;

use std::collections::{HashMap, VecDeque};

use hilum_fhir::{IssueType, Resource};
use hilum_fhir_store::TokenTest;

use expand::Coding;
use system::System;

use crate::call::Call;
use crate::fault::Fault;
use crate::interaction::type_named;
use crate::search::{Known, filter_sets, is_id, split, unescape};
use crate::take::heavy;
use crate::write;

/// Value sets and code systems that one search may need.
const RESOURCES_MAX: usize = 64;

/// A set of codes that a search names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Asked {
    /// The codes of a value set.
    In(String),
    /// A code (`system|code`) and everything that subsumes it.
    Above(String),
    /// A code (`system|code`) and everything that it subsumes.
    Below(String),
}

/// The codes of what a search names, or why they cannot be told; said after a parameter's name.
pub(crate) type Codes = HashMap<Asked, Result<Vec<TokenTest>, String>>;

impl Asked {
    fn needs(&self) -> Option<Needed> {
        match self {
            Self::In(url) => Some(Needed::Set(url.clone())),
            Self::Above(coding) | Self::Below(coding) => {
                let system = split(coding, '|').first().map(|text| unescape(text));
                system.map(Needed::System)
            }
        }
    }
}

/// The sets of codes that parameters name. A URI's `:above` and `:below` need none.
pub(crate) fn asked(pairs: &[(String, String)]) -> Vec<Asked> {
    let mut asked = Vec::new();
    for (name, value) in pairs {
        let modifier = name.rsplit(':').next().unwrap_or_default();
        if name == "_filter" {
            asked.extend(filter_sets(value));
            continue;
        }
        for part in split(value, ',') {
            asked.extend(match modifier {
                "in" | "not-in" => Some(Asked::In(unescape(part))),
                "above" if part.contains('|') => Some(Asked::Above(part.to_owned())),
                "below" if part.contains('|') => Some(Asked::Below(part.to_owned())),
                _ => None,
            });
        }
    }
    asked
}

/// The sets of codes that the parameters of a search name.
pub(crate) async fn codes(call: &Call, pairs: &[(String, String)]) -> Result<Codes, Fault> {
    let asked = asked(pairs);
    if asked.is_empty() {
        return Ok(Codes::new());
    }
    let library = Library::read(call, &asked).await?;
    let most = call.fhir.limits.search_values_max;
    let size = library.bytes;
    heavy(size, move || {
        let mut codes = Codes::new();
        for asked in asked {
            let found = library.codes(&asked, most);
            let tests = found.map(|codes| codes.into_iter().map(test).collect());
            codes.insert(asked, tests);
        }
        Ok(codes)
    })
    .await
}

fn test((system, code): Coding) -> TokenTest {
    TokenTest::SystemCode(system, code)
}

/// What is stored of the value sets and code systems that a search needs.
#[derive(Default)]
struct Library {
    /// By canonical URL as it was asked for; `None` if it is not stored.
    sets: HashMap<String, Result<Option<Resource>, String>>,
    systems: HashMap<String, Result<Option<System>, String>>,
    bytes: usize,
}

/// What is to be read.
enum Needed {
    Set(String),
    System(String),
}

impl Library {
    async fn read(call: &Call, asked: &[Asked]) -> Result<Self, Fault> {
        let mut library = Self::default();
        let mut needed: VecDeque<Needed> = asked.iter().filter_map(Asked::needs).collect();
        while let Some(next) = needed.pop_front() {
            if library.sets.len() + library.systems.len() >= RESOURCES_MAX {
                let text = format!(
                    "the search needs more than {RESOURCES_MAX} value sets and code systems"
                );
                return Err(Fault::bad(IssueType::TooCostly, text));
            }
            match next {
                Needed::Set(url) if !library.sets.contains_key(&url) => {
                    let found = library.find(call, "ValueSet", &url).await?;
                    if let Ok(Some(set)) = &found {
                        let (sets, systems) = expand::refers(set);
                        needed.extend(sets.into_iter().map(Needed::Set));
                        needed.extend(systems.into_iter().map(Needed::System));
                    }
                    library.sets.insert(url, found);
                }
                Needed::System(url) if !library.systems.contains_key(&url) => {
                    let found = library.find(call, "CodeSystem", &url).await?;
                    let found = found.map(|found| match found {
                        Some(found) => Some(System::new(&found)),
                        None => System::of_standard(&url),
                    });
                    library.systems.insert(url, found);
                }
                Needed::Set(_) | Needed::System(_) => {}
            }
        }
        Ok(library)
    }

    /// The resource with a canonical URL (`url|version`), or one of this server by its reference.
    async fn find(
        &mut self,
        call: &Call,
        name: &str,
        canonical: &str,
    ) -> Result<Result<Option<Resource>, String>, Fault> {
        let (ty, stored_type) = type_named(call, name)?;
        let local = canonical.strip_prefix(&*call.base);
        let local = local.map_or(canonical, |rest| rest.trim_start_matches('/'));
        let stored = match local.strip_prefix(name).and_then(|id| id.strip_prefix('/')) {
            Some(id) if is_id(id) => call.tenant.read(stored_type, id).await?,
            _ => {
                let url = search_of("url", canonical.split('|').next().unwrap_or_default());
                let version = canonical.split_once('|').map(|(_, version)| version);
                let pairs: Vec<(String, String)> = std::iter::once(url)
                    .chain(version.map(|version| search_of("version", version)))
                    .collect();
                let none = Known::default();
                let mut query = crate::search::parse(call.reading(&none), Some(ty), &pairs)?.query;
                query.count = 2;
                let mut page = call.tenant.search(query).await?;
                if page.found.len() > 1 {
                    let text = "is stored in several versions; name one as URL|VERSION";
                    return Ok(Err(format!("needs a {name} that {text}")));
                }
                page.found.pop().map(|found| found.stored)
            }
        };
        let Some(json) = stored.as_ref().and_then(write::spliced) else {
            return Ok(Ok(None));
        };
        self.bytes += json.len();
        let resource = heavy(json.len(), move || write::trusted(&json)).await?;
        Ok(Ok(Some(resource)))
    }
}

/// A search for a text as it is.
fn search_of(name: &str, text: &str) -> (String, String) {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | ',' | '|' | '$') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    (name.to_owned(), escaped)
}
