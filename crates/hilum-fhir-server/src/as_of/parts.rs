//! A resource in compact JSON as the elements that have a time each.
//!
//! Most elements of a resource are one part with all that is in them: a name is not mixed of two
//! names. Deeper go only
//! - a Period and a single backbone element, whose members come with different events: the admission
//!   knows the begin of a stay, the discharge its end;
//! - identifiers, one for each number, and extensions, one for each URL: a message that does not know
//!   a number does not take it away;
//! - lists that segments make, one for each segment: a message without a next of kin or a diagnosis
//!   does not take it away;
//! - phone numbers and addresses of a patient at work, and the others: HL7 v2 has a field for each, and
//!   a message with the one says nothing of the other.
//!
//! Elements that a rule of the standard ties together are one part.

use std::collections::HashMap;

use hilum_fhir::definitions::{Definitions, TypeId};

use crate::write::{Member, items, members, push_members};

/// Elements of a type that only make sense together (FHIR R4 con-3 to con-5, ait-1, ait-2, app-2 to
/// app-4).
const TIED: [(&str, &str, &[&str]); 4] = [
    (
        "Condition",
        "clinicalStatus",
        &["clinicalStatus", "verificationStatus", "abatement"],
    ),
    (
        "AllergyIntolerance",
        "clinicalStatus",
        &["clinicalStatus", "verificationStatus"],
    ),
    ("Appointment", "status", &["status", "cancelationReason"]),
    ("Appointment", "start", &["start", "end"]),
];

/// Lists of which each item is one, and what tells the items apart.
const APART: [(&str, &str, &[&[u8]]); 6] = [
    ("Patient", "contact", &[b"name", b"relationship"]),
    ("Patient", "link", &[b"other"]),
    ("Encounter", "diagnosis", &[b"condition", b"use"]),
    ("EpisodeOfCare", "diagnosis", &[b"condition", b"role"]),
    ("Account", "coverage", &[b"coverage"]),
    ("Account", "guarantor", &[b"party"]),
];

/// The use of a contact point that has a field of its own (PID-14), and the parts of `telecom`.
const WORK: &[u8] = b"\"work\"";
const AT_WORK: &str = "telecom[work]";
const ELSEWHERE: &str = "telecom[home]";

/// The part that a contact point of a patient belongs to.
fn contact_point(item: &[u8]) -> &'static str {
    let all = members(item);
    match all
        .iter()
        .any(|(name, value)| *name == b"use" && *value == WORK)
    {
        true => AT_WORK,
        false => ELSEWHERE,
    }
}

/// The name of what a part is in: `period` of `period.end`, `telecom` of `telecom[work]`.
pub(super) fn above(name: &str) -> Option<&str> {
    name.split_once(['.', '[']).map(|(above, _)| above)
}

/// What tells the items of a list apart; `None` where the list is one.
fn apart(ty: &str, name: &str, of: &str) -> Option<&'static [&'static [u8]]> {
    match of {
        "Identifier" => Some(&[b"system", b"value"]),
        "Extension" => Some(&[b"url"]),
        _ => APART
            .iter()
            .find(|(of, known, _)| *of == ty && *known == name)
            .map(|(_, _, by)| *by),
    }
}

/// What a part is known by within its resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// `name`, `period.end`, `identifier`.
    pub(super) name: String,
    /// Of an item of a list that is told apart from the others: by what.
    pub(super) item: Option<Vec<u8>>,
}

/// What stands before what an identifier is known by, where elements have their names.
const NUMBER: &str = "identifier=";

impl Key {
    /// The name by which a single identifier is absent.
    pub(super) fn number(&self) -> Option<String> {
        let item = self.item.as_ref().filter(|_| self.name == "identifier")?;
        Some(format!("{NUMBER}{}", String::from_utf8_lossy(item)))
    }
}

/// The same name, of an identifier with this system and value.
pub(super) fn number(system: &str, value: &str) -> String {
    let text = |text: &str| match text {
        "" => String::new(),
        text => serde_json::Value::from(text).to_string(),
    };
    format!("{NUMBER}{}|{}", text(system), text(value))
}

/// A part of a resource.
#[derive(Clone, Debug)]
pub(super) struct Part<'b> {
    pub(super) key: Key,
    /// The place of its first item in the list.
    pub(super) place: Option<u16>,
    /// Its members, or its items with the name of the list.
    pub(super) content: Vec<Member<'b>>,
    /// Where its element stands in the standard.
    at: usize,
}

impl Part<'_> {
    /// All bytes of it, to compare.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut all: Vec<&[u8]> = Vec::with_capacity(self.content.len() * 2);
        for (name, value) in &self.content {
            all.extend([name, value]);
        }
        all.join(&b'\n')
    }
}

/// The name of the part that an element belongs to, given as a source names it.
pub(super) fn named(ty: TypeId, element: &str) -> String {
    let tables = Definitions::r4();
    let (first, rest) = match element.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (element, None),
    };
    let found = tables.child(tables.type_def(ty).root, first);
    let name = found.map_or(first, |child| tables.element(child.element).name);
    let tied = tied(tables.type_def(ty).name, name);
    match rest {
        Some(rest) if tied == name => format!("{name}.{rest}"),
        _ => tied.to_owned(),
    }
}

fn tied<'n>(ty: &str, name: &'n str) -> &'n str {
    let group = TIED
        .iter()
        .find(|(of, _, names)| *of == ty && names.contains(&name));
    group.map_or(name, |(_, first, _)| first)
}

/// The parts of a resource.
pub(super) fn parts<'b>(ty: TypeId, json: &'b [u8]) -> Vec<Part<'b>> {
    let tables = Definitions::r4();
    let def = tables.type_def(ty);
    let mut found: Vec<Part<'b>> = Vec::new();
    let mut known: HashMap<Key, usize> = HashMap::new();
    let mut add =
        |key: Key, place: Option<u16>, member: Member<'b>, at: usize| match known.get(&key) {
            Some(at) => {
                if let Some(part) = found.get_mut(*at) {
                    part.content.push(member);
                }
            }
            None => {
                known.insert(key.clone(), found.len());
                found.push(Part {
                    key,
                    place,
                    content: vec![member],
                    at,
                });
            }
        };
    for (name, value) in members(json) {
        if matches!(name, b"resourceType" | b"id") || (name == b"meta" && value == b"{}") {
            continue;
        }
        let plain = std::str::from_utf8(name).unwrap_or_default();
        let plain = plain.strip_prefix('_').unwrap_or(plain);
        let Some(child) = tables.child(def.root, plain) else {
            continue;
        };
        let element = tables.element(child.element);
        let at = child.element.index();
        let own = Key {
            name: tied(def.name, element.name).to_owned(),
            item: None,
        };
        let of = tables.type_def(child.ty).name;
        let deeper = !element.is_list() && (of == "Period" || element.has_children());
        if deeper && value.first() == Some(&b'{') {
            for (below, value) in members(value) {
                let text = std::str::from_utf8(below).unwrap_or_default();
                let text = text.strip_prefix('_').unwrap_or(text);
                let key = Key {
                    name: format!("{}.{text}", element.name),
                    item: None,
                };
                add(key, None, (below, value), at);
            }
        } else if def.name == "Patient" && element.name == "telecom" {
            for (place, item) in (0_u16..).zip(items(value)) {
                let key = Key {
                    name: contact_point(item).to_owned(),
                    item: Some(Vec::new()),
                };
                add(key, Some(place), (name, item), at);
            }
        } else if let Some(by) = apart(def.name, element.name, of).filter(|_| element.is_list()) {
            for (place, item) in (0_u16..).zip(items(value)) {
                let key = Key {
                    item: Some(told_apart(item, by)),
                    ..own.clone()
                };
                add(key, Some(place), (name, item), at);
            }
        } else {
            add(own, None, (name, value), at);
        }
    }
    found
}

/// By what an item of a list is told apart: some of its members, or all of it.
fn told_apart(item: &[u8], by: &[&[u8]]) -> Vec<u8> {
    let all = members(item);
    let text = |wanted: &&[u8]| {
        let found = all.iter().find(|(name, _)| name == wanted);
        found.map_or(&b""[..], |(_, value)| value)
    };
    let texts: Vec<&[u8]> = by.iter().map(text).collect();
    if texts.iter().all(|text| text.is_empty()) {
        return item.to_vec();
    }
    texts.join(&b'|')
}

/// An object of members.
pub(super) fn object(all: &[Member<'_>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1_024);
    out.push(b'{');
    push_members(&mut all.iter(), &mut out);
    out.push(b'}');
    out
}

/// The resource of some parts; items of a list in the order given. Also the places of those items.
pub(super) fn joined(
    type_name: &str,
    mut parts: Vec<Part<'_>>,
) -> (Vec<u8>, Vec<Option<u16>>, Vec<Key>) {
    // In the order of the standard; what is in one list or object stays together, in its order.
    parts.sort_by_key(|part| part.at);
    let mut out = Vec::with_capacity(2_048);
    out.extend_from_slice(b"{\"resourceType\":\"");
    out.extend_from_slice(type_name.as_bytes());
    out.push(b'"');
    let (mut places, mut keys) = (
        Vec::with_capacity(parts.len()),
        Vec::with_capacity(parts.len()),
    );
    let mut at = 0;
    while let Some(part) = parts.get(at) {
        let same = parts
            .iter()
            .skip(at)
            .take_while(|other| other.at == part.at);
        let run: Vec<&Part<'_>> = same.collect();
        out.push(b',');
        if part.key.item.is_some() {
            let name = part.content.first().map_or(&b""[..], |(name, _)| name);
            let mut list: Vec<&[u8]> = Vec::new();
            for part in &run {
                places.push(u16::try_from(list.len()).ok());
                list.extend(part.content.iter().map(|(_, item)| *item));
            }
            push_named(
                name,
                &[b"[", &list.join(&b","[..])[..], b"]"].concat(),
                &mut out,
            );
        } else if let Some((above, _)) = part.key.name.split_once('.') {
            let all: Vec<Member<'_>> = run.iter().flat_map(|part| part.content.clone()).collect();
            places.extend(run.iter().map(|_| None));
            push_named(above.as_bytes(), &object(&all), &mut out);
        } else {
            let all: Vec<Member<'_>> = run.iter().flat_map(|part| part.content.clone()).collect();
            places.extend(run.iter().map(|_| None));
            push_members(&mut all.iter(), &mut out);
        }
        keys.extend(run.iter().map(|part| part.key.clone()));
        at += run.len();
    }
    out.push(b'}');
    (out, places, keys)
}

fn push_named(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    push_members(&mut [(name, value)].iter(), out);
}
