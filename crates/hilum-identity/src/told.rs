//! What registrations have said of a patient or a visit, field by field, and when.
//!
//! A registration that comes late must not take a receiver back to what was so before. Which of its
//! fields a newer one has said since, and what it said, is kept here; what no newer one has said is
//! still news.

use std::collections::BTreeMap;

use hilum_message::SourceTime;
use serde::{Deserialize, Serialize};

use crate::assess::Facts;
use crate::links::{LinkError, surviving_visit, survivor};
use crate::record::{Memory, Row, Standing, Unreadable, read, write};
use crate::{Act, Identifier, VisitStatus};

/// The longest value that is kept, in bytes; of a longer one only the time is.
pub const TOLD_VALUE_MAX: usize = 4_096;

/// The newest value of each field, by when it was said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Told(Vec<Telling>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Telling {
    as_of: SourceTime,
    fields: BTreeMap<String, Option<String>>,
}

impl Row for Told {
    const SCOPE: &'static str = "hilum.identity.told";
    const NAME: &'static str = "registration";
}

/// Takes in what a message says under the key of a patient or visit: names of fields with their
/// values. Gives the fields that a newer message has said, each with what that said; `None` where it
/// is too long to be kept or is a list.
///
/// Of two messages of one time the later arrival counts as the newer one: they come from one source,
/// which sends them in order.
pub fn tell(
    memory: &mut dyn Memory,
    key: &str,
    fields: &[(String, Option<String>)],
    as_of: SourceTime,
) -> Result<BTreeMap<String, Option<String>>, Unreadable> {
    let before: Told = read(memory, key)?.unwrap_or_default();
    let (mut row, mut newer, mut own) = (before.clone(), BTreeMap::new(), BTreeMap::new());
    for (name, value) in fields {
        let known = before
            .0
            .iter()
            .find_map(|telling| Some((telling.as_of, telling.fields.get(name)?)));
        match known {
            Some((at, value)) if at > as_of => drop(newer.insert(name.clone(), value.clone())),
            _ => {
                let kept = value.clone().filter(|value| value.len() <= TOLD_VALUE_MAX);
                own.insert(name.clone(), kept);
            }
        }
    }
    if own.is_empty() {
        return Ok(newer);
    }
    for telling in &mut row.0 {
        telling.fields.retain(|name, _| !own.contains_key(name));
    }
    match row.0.iter_mut().find(|telling| telling.as_of == as_of) {
        Some(telling) => telling.fields.append(&mut own),
        None => row.0.push(Telling { as_of, fields: own }),
    }
    row.0.retain(|telling| !telling.fields.is_empty());
    if row != before {
        write(memory, key, &row);
    }
    Ok(newer)
}

/// How far what is known has gone beyond a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overtaken {
    /// Nothing newer has changed its visit.
    No,
    /// A newer event has made the visit what it is: what this one did to it is over.
    Visit,
    /// A newer event has deleted the patient or the visit.
    Gone,
    /// It deletes a patient whom a newer message has registered.
    Back,
}

/// Whether something newer than a registration has changed its patient or visit. To be asked before
/// the message is remembered.
pub fn overtaken(memory: &mut dyn Memory, facts: &Facts) -> Result<Overtaken, LinkError> {
    for identifier in &facts.sides.patients {
        let standing = survivor(memory, &identifier.key())?
            .1
            .and_then(|row| row.standing);
        let newer = standing.filter(|said| said.registered && said.as_of > facts.as_of);
        let deletes = matches!(facts.event.map(|event| event.act), Some(Act::DeletePerson));
        match newer.map(|said| said.value) {
            Some(Standing::Deleted) => return Ok(Overtaken::Gone),
            Some(_) if deletes => return Ok(Overtaken::Back),
            _ => {}
        }
    }
    let Some(visit) = &facts.sides.visit else {
        return Ok(Overtaken::No);
    };
    Ok(match surviving_visit(memory, &visit.key())?.1 {
        Some(row) if row.as_of > facts.as_of && row.status == VisitStatus::Deleted => {
            Overtaken::Gone
        }
        Some(row) if row.as_of > facts.as_of => Overtaken::Visit,
        _ => Overtaken::No,
    })
}

/// The keys under which a registration tells of its patient and of its visit, as they are now.
pub fn told_keys(
    memory: &mut dyn Memory,
    facts: &Facts,
) -> Result<(Option<String>, Option<String>), LinkError> {
    let patient = facts.sides.patients.first().map(Identifier::key);
    let patient = patient.map(|key| survivor(memory, &key)).transpose()?;
    let visit = facts.sides.visit.as_ref().map(Identifier::key);
    let visit = visit.map(|key| surviving_visit(memory, &key)).transpose()?;
    Ok((patient.map(|found| found.0), visit.map(|found| found.0)))
}
