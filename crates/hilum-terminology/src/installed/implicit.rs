//! Value sets that nobody defines because their URL says what is in them: those of SNOMED CT
//! (FHIR R4 snomedct.html#implicit) and of LOINC (FHIR R4 loinc.html#valuesets).

use std::sync::Arc;

use hilum_fhir::{Limits, json};
use serde_json::{Value, json};

use super::ecl;
use crate::import::{MEMBER_OF, SNOMED};
use crate::set::ValueSet;
use crate::system::System;

const LOINC: &str = "http://loinc.org";

/// The value set that a URL means, if it is one of this system.
pub(super) fn value_set(url: &str, system: &Arc<System>) -> Option<ValueSet> {
    let compose = match &*system.url {
        SNOMED => snomed(url, system)?,
        LOINC => loinc(url, system)?,
        _ => return None,
    };
    let resource = json!({
        "resourceType": "ValueSet", "version": system.version, "status": "active",
        "compose": compose,
    });
    let text = resource.to_string();
    let resource = json::parse(text.as_bytes(), &Limits::default()).ok()?;
    let mut set = ValueSet::of(Arc::new(resource));
    // As it was asked for: people write expressions with spaces, which no URI of FHIR has.
    set.url = Some(url.into());
    Some(set)
}

pub(super) fn filter(property: &str, operator: &str, value: &str) -> Value {
    json!({ "property": property, "op": operator, "value": value })
}

fn include(system: &System, filters: &[Value]) -> Value {
    let mut include = json!({ "system": system.url, "version": system.version });
    if let (Some(object), false) = (include.as_object_mut(), filters.is_empty()) {
        object.insert("filter".to_owned(), Value::Array(filters.to_vec()));
    }
    include
}

fn snomed(url: &str, system: &System) -> Option<Value> {
    let (base, query) = url.split_once('?')?;
    let own = system.version.as_deref().unwrap_or_default();
    // The URL may name the edition, or the edition and its version.
    let fits = base == SNOMED || own == base || own.starts_with(&format!("{base}/"));
    let asked = query.strip_prefix("fhir_vs").filter(|_| fits)?;
    let Some(asked) = asked.strip_prefix('=').filter(|asked| !asked.is_empty()) else {
        return Some(json!({ "include": [include(system, &[])] }));
    };
    let asked = unescaped(asked);
    let table = system.table()?;
    if let Some(code) = asked.strip_prefix("isa/") {
        table.find(code)?;
        let filters = [filter("concept", "is-a", code)];
        return Some(json!({ "include": [include(system, &filters)] }));
    }
    if let Some(set) = asked.strip_prefix("refset/") {
        let filters = [filter(MEMBER_OF, "=", set)];
        return Some(json!({ "include": [include(system, &filters)] }));
    }
    if asked == "refset" {
        // The concepts that are reference sets: those below foundation metadata that have members.
        let filters = [filter("concept", "descendent-of", "900000000000455006")];
        return Some(json!({ "include": [include(system, &filters)] }));
    }
    let parts = ecl::read(asked.strip_prefix("ecl/")?).ok()?;
    let of = |all: &[Vec<Value>]| -> Vec<Value> {
        all.iter().map(|filters| include(system, filters)).collect()
    };
    let mut compose = json!({ "include": of(&parts.include) });
    if let (Some(object), false) = (compose.as_object_mut(), parts.exclude.is_empty()) {
        object.insert("exclude".to_owned(), Value::Array(of(&parts.exclude)));
    }
    Some(compose)
}

fn loinc(url: &str, system: &System) -> Option<Value> {
    let rest = url.strip_prefix(LOINC)?.strip_prefix("/vs")?;
    if rest.is_empty() {
        return Some(json!({ "include": [include(system, &[])] }));
    }
    // Answer lists are value sets of their own; parts stand for everything below them.
    let part = rest
        .strip_prefix('/')
        .filter(|part| part.starts_with("LP"))?;
    system.table()?.find(part)?;
    let filters = [filter("concept", "is-a", part)];
    Some(json!({ "include": [include(system, &filters)] }))
}

/// A part of a URL without its escapes.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        match (first, byte) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = tail;
            }
            (other, _) => {
                bytes.push(*other);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
