//! The codes that value sets and code systems list, for searches with `:in`, `:not-in`, `:above` and
//! `:below` (FHIR R4 search.html#token).
//!
//! They are worked out before the search runs, from what is stored, what is loaded and what ships, as
//! `$expand` does it. What cannot be listed whole is refused with the reason: a search that finds a
//! part would look like one that finds everything.

use std::collections::HashMap;
use std::sync::Arc;

use hilum_fhir::IssueType;
use hilum_fhir_store::TokenTest;
use hilum_terminology::{Content, Engine, Failure, Options, Terminology, ValueSet};

use crate::call::Call;
use crate::fault::Fault;
use crate::interaction::type_named;
use crate::search::{filter_sets, is_id, split, unescape};
use crate::terminology::{Told, Work, ask};
use crate::write;

/// Sets of codes that one search may name.
const ASKED_MAX: usize = 64;

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
    if asked.len() > ASKED_MAX {
        let text = format!("the search names more than {ASKED_MAX} value sets and codes");
        return Err(Fault::bad(IssueType::TooCostly, text));
    }
    let mut codes = Codes::new();
    for asked in asked {
        if codes.contains_key(&asked) {
            continue;
        }
        let found = match &asked {
            Asked::In(canonical) => of_set(call, canonical).await?,
            Asked::Above(coding) => of_code(call, coding, Toward::Above).await?,
            Asked::Below(coding) => of_code(call, coding, Toward::Below).await?,
        };
        codes.insert(asked, found);
    }
    Ok(codes)
}

type Found = Result<Vec<TokenTest>, String>;

/// The codes of a value set: one with a canonical URL (`url|version`), or one of this server by its
/// reference.
async fn of_set(call: &Call, canonical: &str) -> Result<Found, Fault> {
    let local = canonical.strip_prefix(&*call.base);
    let local = local.map_or(canonical, |rest| rest.trim_start_matches('/'));
    let mut own = None;
    if let Some(id) = local.strip_prefix("ValueSet/").filter(|id| is_id(id)) {
        let (_, ty) = type_named(call, "ValueSet")?;
        let stored = call.tenant.read(ty, id).await?;
        let Some(json) = stored.as_ref().and_then(write::spliced) else {
            return Ok(Err(
                "names a value set that this server does not have".to_owned()
            ));
        };
        own = Some(Arc::new(ValueSet::of(Arc::new(write::trusted(&json)?))));
    }
    let (canonical, most) = (canonical.to_owned(), call.fhir.limits.search_values_max);
    let told = ask(call, None, Work::Heavy, move |terminology| {
        let set = match &own {
            Some(own) => Some(Arc::clone(own)),
            None => terminology.value_set(&canonical)?,
        };
        let Some(set) = set else {
            return Ok(Err(
                "names a value set that this server does not have".to_owned()
            ));
        };
        let options = Options::default();
        let codes = Engine::new(terminology, &options).codes(&set, most)?;
        let codes = codes.into_iter();
        Ok(Ok(codes
            .map(|(system, code)| TokenTest::SystemCode(system.into(), code.into()))
            .collect()))
    })
    .await?;
    Ok(said(told))
}

/// Which way from a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Toward {
    /// What subsumes it.
    Above,
    /// What it subsumes.
    Below,
}

/// A code (`system|code`) and what subsumes it, or what it subsumes.
async fn of_code(call: &Call, coding: &str, toward: Toward) -> Result<Found, Fault> {
    let parts: Vec<String> = split(coding, '|').into_iter().map(unescape).collect();
    let Ok([url, code]) = <[String; 2]>::try_from(parts) else {
        return Ok(Err("needs a value of the form SYSTEM|CODE".to_owned()));
    };
    let most = call.fhir.limits.search_values_max;
    let told = ask(call, None, Work::Heavy, move |terminology| {
        subsuming(terminology, (&url, &code), toward, most)
    })
    .await?;
    Ok(said(told))
}

fn subsuming(
    terminology: &Terminology,
    (url, code): (&str, &str),
    toward: Toward,
    most: usize,
) -> Result<Found, Failure> {
    let options = Options::default();
    let engine = Engine::new(terminology, &options);
    let system = engine.needed_system(url, None)?;
    if system.content != Content::Complete {
        return Ok(Err(format!(
            "needs all codes of the code system {url}, which is there, but not as complete"
        )));
    }
    let Some(table) = system.table() else {
        return Ok(Err(format!(
            "needs the codes of the code system {url} to be listed, and it has a grammar"
        )));
    };
    let Some(at) = table.find(code) else {
        return Ok(Err(
            "names a code that its code system does not have".to_owned()
        ));
    };
    let mut places = match toward {
        Toward::Above => table.above(at),
        Toward::Below => table.below(at),
    };
    places.insert(at);
    if places.count() > most {
        return Ok(Err(format!("stands for more than {most} codes")));
    }
    let test = |at| TokenTest::SystemCode(url.to_owned(), table.code(at).to_owned());
    Ok(Ok(places.iter().map(test).collect()))
}

/// Why there are no codes, as it is said after the name of a parameter.
fn said(told: Told<Found>) -> Found {
    match told {
        Ok(found) => found,
        Err(issue) => Err(format!(
            "stands for codes that cannot be told: {}",
            issue.text
        )),
    }
}
