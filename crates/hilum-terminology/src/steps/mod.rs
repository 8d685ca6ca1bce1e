//! Answers for steps of channels: code systems, value sets and concept maps that are taken when a
//! plan is made.

mod system;

use std::collections::HashSet;
use std::sync::Arc;

use hilum_component::{CodeMap, CodeSet, CodeSystem, Held, Mapped, NotListed, NotLoaded};

use crate::check::{Coding, Given};
use crate::engine::{Engine, IMPORTS_MAX};
use crate::expand::Request;
use crate::issue::Failure;
use crate::map::{Ask, ConceptMap, Equivalence, Unmapped};
use crate::options::Options;
use crate::set::ValueSet;
use crate::source::{Missing, Terminology};
use crate::version;

/// A snapshot, with what tells it from others.
#[derive(Debug)]
pub struct ForSteps {
    terminology: Terminology,
    state: String,
}

impl ForSteps {
    /// Answers from a snapshot; `state` is what is active in it ([`crate::installed::Folder::state`]).
    #[must_use]
    pub const fn new(terminology: Terminology, state: String) -> Self {
        Self { terminology, state }
    }

    /// The value set with everything that it is made of.
    fn set(&self, canonical: &str) -> Result<Arc<ValueSet>, NotLoaded> {
        let found = self.terminology.value_set(canonical).unwrap_or_default();
        let set = found.ok_or_else(|| missing(&format!("the value set {canonical}")))?;
        self.whole(&set, 0)?;
        Ok(set)
    }

    /// Everything that a value set is made of is there.
    fn whole(&self, set: &ValueSet, depth: usize) -> Result<(), NotLoaded> {
        if depth > IMPORTS_MAX {
            return Ok(());
        }
        for part in set.include.iter().chain(&set.exclude) {
            // Listed codes are told from a value set alone.
            let system = part.system.as_deref().filter(|_| part.concepts.is_empty());
            if let Some(url) = system {
                let known = self.terminology.system(url, part.version.as_deref());
                if !matches!(known, Ok(Some(_))) {
                    let name = version::joined(url, part.version.as_deref());
                    return Err(missing(&format!(
                        "the code system {name}, which {} needs,",
                        set.canonical()
                    )));
                }
            }
            for canonical in &part.value_sets {
                let inner = match canonical.strip_prefix('#') {
                    Some(id) => set.contained.get(id).cloned(),
                    None => self.terminology.value_set(canonical).unwrap_or_default(),
                };
                let text = || {
                    format!(
                        "the value set {canonical}, which {} needs,",
                        set.canonical()
                    )
                };
                let inner = inner.ok_or_else(|| missing(&text()))?;
                self.whole(&inner, depth + 1)?;
            }
        }
        Ok(())
    }
}

fn missing(what: &str) -> NotLoaded {
    NotLoaded {
        what: what.to_owned(),
    }
}

impl hilum_component::Terminology for ForSteps {
    fn state(&self) -> &str {
        &self.state
    }

    fn value_set(&self, canonical: &str) -> Result<Arc<dyn CodeSet>, NotLoaded> {
        let set = self.set(canonical)?;
        Ok(Arc::new(Set {
            name: set.canonical(),
            set,
            terminology: self.terminology.clone(),
            options: Options {
                infer_system: true,
                ..Options::default()
            },
        }))
    }

    fn concept_map(&self, canonical: &str) -> Result<Arc<dyn CodeMap>, NotLoaded> {
        let found = |url: &str| self.terminology.map(url).unwrap_or_default();
        let map = found(canonical);
        let map = map.ok_or_else(|| missing(&format!("the concept map {canonical}")))?;
        for group in &map.groups {
            if let Some(Unmapped::Other(url)) = &group.unmapped
                && found(url).is_none()
            {
                let text = format!("the concept map {url}, which {} needs,", map.canonical());
                return Err(missing(&text));
            }
        }
        Ok(Arc::new(Map {
            name: map.canonical(),
            map,
            terminology: self.terminology.clone(),
            options: Options::default(),
        }))
    }

    fn code_system(&self, canonical: &str) -> Result<Arc<dyn CodeSystem>, NotLoaded> {
        let (url, asked) = version::split(canonical);
        let found = self.terminology.system(url, asked).unwrap_or_default();
        let system = found.ok_or_else(|| missing(&format!("the code system {canonical}")))?;
        Ok(Arc::new(system::Known::new(system)))
    }

    fn codes(
        &self,
        canonical: &str,
        filter: Option<&str>,
        codes_max: usize,
    ) -> Result<Vec<String>, NotListed> {
        let set = self.set(canonical)?;
        let name = set.canonical();
        // One more than there may be tells that there are more.
        let most = codes_max.saturating_add(1);
        let request = Request {
            filter: filter.map(str::to_owned),
            count: Some(most),
            codes_max: most,
            exclude_nested: Some(true),
            ..Request::default()
        };
        let options = Options::default();
        let expanded = Engine::new(&self.terminology, &options).expand(&set, &request);
        let expansion = expanded.map_err(|failure| NotListed::Open {
            name: name.clone(),
            why: match failure {
                Failure::Refused(issue) | Failure::Unresolved(issue) => issue.text,
                Failure::Missing(wanted) => Missing(wanted).to_string(),
            },
        })?;
        if let Some(why) = expansion.unclosed {
            return Err(NotListed::Open { name, why });
        }
        if expansion.contains.len() > codes_max {
            return Err(NotListed::TooMany { name, codes_max });
        }
        let codes = expansion.contains.into_iter().map(|entry| entry.code);
        let mut known = HashSet::new();
        Ok(codes
            .filter(|code| known.insert(code.clone()))
            .map(String::from)
            .collect())
    }
}

struct Set {
    name: String,
    set: Arc<ValueSet>,
    terminology: Terminology,
    options: Options,
}

fn coding(system: Option<&str>, code: &str) -> Coding {
    Coding {
        system: system.map(str::to_owned),
        code: Some(code.to_owned()),
        ..Coding::default()
    }
}

impl CodeSet for Set {
    fn name(&self) -> &str {
        &self.name
    }

    fn holds(&self, system: Option<&str>, code: &str) -> Held {
        let engine = Engine::new(&self.terminology, &self.options);
        let checked = engine.check(&self.set, Given::Code, &[coding(system, code)]);
        // What cannot be worked out decides nothing.
        let Ok(checked) = checked else {
            return Held::Unknown;
        };
        match checked.result {
            true => Held::In,
            false if checked.is_open || !checked.unknown_systems.is_empty() => Held::Unknown,
            false => Held::Out,
        }
    }
}

struct Map {
    name: String,
    map: Arc<ConceptMap>,
    terminology: Terminology,
    options: Options,
}

impl CodeMap for Map {
    fn name(&self) -> &str {
        &self.name
    }

    fn warning(&self) -> Option<String> {
        let status = &*self.map.standing.status;
        let is_active = status == "active";
        (!is_active).then(|| format!("the concept map {} has the status `{status}`", self.name))
    }

    fn translate(&self, system: Option<&str>, code: &str) -> Vec<Mapped> {
        let engine = Engine::new(&self.terminology, &self.options);
        let codings = [coding(system, code)];
        let Ok(translated) = engine.translate_by(&self.map, &codings, &Ask::default()) else {
            return Vec::new();
        };
        let found = translated.matches.into_iter();
        let mut found: Vec<(Equivalence, Mapped)> = found
            .filter(|one| one.equivalence.is_match())
            .filter_map(|one| {
                let code = one.code?.into_string();
                let own = || {
                    let version = one.version.as_deref();
                    let system = engine.system(one.system.as_deref()?, version).ok()??;
                    system.find(&code)?.display().map(str::to_owned)
                };
                let display = one.display.as_deref().map(str::to_owned).or_else(own);
                let mapped = Mapped {
                    display,
                    system: one.system.map(Into::into),
                    code,
                    equivalence: one.equivalence.code(),
                };
                Some((one.equivalence, mapped))
            })
            .collect();
        found.sort_by_key(|(equivalence, _)| rank(*equivalence));
        found.into_iter().map(|(_, mapped)| mapped).collect()
    }
}

/// The order in which translations are preferred.
const fn rank(equivalence: Equivalence) -> u8 {
    match equivalence {
        Equivalence::Equal => 0,
        Equivalence::Equivalent => 1,
        Equivalence::RelatedTo => 2,
        Equivalence::Wider | Equivalence::Subsumes => 3,
        Equivalence::Narrower | Equivalence::Specializes => 4,
        Equivalence::Inexact => 5,
        Equivalence::Unmatched | Equivalence::Disjoint => 6,
    }
}
