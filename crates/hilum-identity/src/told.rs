//! What registrations have said of a patient or a visit, field by field, and when.
//!
//! A registration that comes late must not take a receiver back to what was so before. Which of its
//! fields a newer one has said since, and what it said, is kept here; what no newer one has said is
//! still news.

use std::borrow::Cow;
use std::collections::BTreeMap;

use hilum_message::SourceTime;
use serde::{Deserialize, Serialize};

use crate::aside::Aside;
use crate::assess::{Facts, is_given_up};
use crate::links::{LinkError, surviving_visit, survivor};
use crate::record::{Memory, Patient, Row, Standing, Time, Unreadable, Visit, write};
use crate::{Act, Identifier, VisitStatus};

/// The longest value that is kept, in bytes; of a longer one only the time is.
pub const TOLD_VALUE_MAX: usize = 4_096;

/// Between the name of a list and what tells an item of it from the others.
pub const ITEM: char = ':';

/// The newest value of each field, by when it was said.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Told<'a>(#[serde(borrow)] Vec<Telling<'a>>);

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Telling<'a>(Time, #[serde(borrow)] Vec<(Text<'a>, Option<Text<'a>>)>);

/// Read without a copy where nothing is escaped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A field or list by its name, with its value; without one it is a list, or cannot be kept.
pub type Field<'a> = (Cow<'a, str>, Option<Cow<'a, str>>);

/// Takes in what a message says of its patient and of its visit. Gives the fields that a newer
/// message has said, each with what that said; `None` where it is too long to be kept or is a list.
/// To be asked after the message is remembered.
///
/// Of two messages of one time the later arrival counts as the newer one: they come from one source,
/// which sends them in order.
pub fn tell(
    memory: &mut dyn Memory,
    facts: &Facts,
    patient: &[Field<'_>],
    visit: &[Field<'_>],
) -> Result<BTreeMap<String, Option<String>>, LinkError> {
    let mut newer = BTreeMap::new();
    let identifier = facts.sides.patients.first().map(Identifier::key);
    let found = identifier.map(|key| survivor(memory, &key)).transpose()?;
    if let Some((key, Some(row))) = found
        && let Some(told) = take_in::<Patient>(&row.told, patient, facts.as_of, &mut newer)?
    {
        let row = Patient {
            told,
            ..Patient::clone(&row)
        };
        write(memory, &key, row);
    }
    let identifier = facts.sides.visit.as_ref().map(Identifier::key);
    let found = identifier.map(|key| surviving_visit(memory, &key));
    if let Some((key, Some(row))) = found.transpose()?
        && let Some(told) = take_in::<Visit>(&row.told, visit, facts.as_of, &mut newer)?
    {
        let row = Visit {
            told,
            ..Visit::clone(&row)
        };
        write(memory, &key, row);
    }
    Ok(newer)
}

/// Whether what is known by a name says something of what has another one: the same, an item
/// (`AL1:…`) and its list.
fn is_of(known: &str, name: &str) -> bool {
    let list = |text: &str, of: &str| text.split_once(ITEM).is_some_and(|(list, _)| list == of);
    known == name || list(known, name) || list(name, known)
}

/// What is told from now on, if it is not the same as before.
fn take_in<R: Row>(
    aside: &Aside,
    fields: &[Field<'_>],
    as_of: SourceTime,
    newer: &mut BTreeMap<String, Option<String>>,
) -> Result<Option<Aside>, Unreadable> {
    let mut told: Told<'_> = aside.read::<_, R>()?;
    let mut own: Vec<(Text<'_>, Option<Text<'_>>)> = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        let each = told.0.iter().flat_map(|Telling(at, said)| {
            let of_it = said.iter().filter(|(known, _)| is_of(&known.0, name));
            of_it.map(|(_, value)| (SourceTime::from(*at), value))
        });
        let known = each.max_by_key(|(at, _)| *at);
        match known {
            Some((at, value)) if at > as_of => {
                let value = value.as_ref().map(|value| value.0.clone().into_owned());
                newer.insert(name.clone().into_owned(), value);
            }
            _ => {
                let kept = value
                    .as_deref()
                    .filter(|value| value.len() <= TOLD_VALUE_MAX);
                let kept = kept.map(|value| Text(value.into()));
                own.push((Text(Cow::Borrowed(name)), kept));
            }
        }
    }
    if own.is_empty() {
        return Ok(None);
    }
    for Telling(_, said) in &mut told.0 {
        said.retain(|(name, _)| !own.iter().any(|(own, _)| own == name));
    }
    let at = Time::from(as_of);
    match told.0.iter_mut().find(|telling| telling.0 == at) {
        Some(Telling(_, said)) => said.append(&mut own),
        None => told.0.push(Telling(at, own)),
    }
    told.0.retain(|Telling(_, said)| !said.is_empty());
    let now = Aside::of(&told);
    Ok((now != *aside).then_some(now))
}

/// How far what is known has gone beyond a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overtaken {
    /// Nothing newer has changed its visit.
    No,
    /// A newer event has made the visit what it is: what this one did to it is over.
    Visit,
    /// The visit was merged into another one since; what it says of the visit is over.
    GivenUp,
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
            .and_then(|row| row.standing.clone());
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
    if is_given_up(memory, facts)? {
        return Ok(Overtaken::GivenUp);
    }
    Ok(match surviving_visit(memory, &visit.key())?.1 {
        Some(row) if row.as_of > facts.as_of && row.status == VisitStatus::Deleted => {
            Overtaken::Gone
        }
        Some(row) if row.as_of > facts.as_of => Overtaken::Visit,
        _ => Overtaken::No,
    })
}
