//! What registrations have said of a patient or a visit, field by field, and when.
//!
//! A registration that comes late must not take a receiver back to what was so before. Which of its
//! fields a newer one has said since, and what it said, is kept here; what no newer one has said is
//! still news.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use hilum_message::{MessageId, SourceTime};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::aside::Aside;
use crate::assess::{Facts, is_given_up};
use crate::event::Event;
use crate::links::{Ids, LinkError, patient_of, surviving_visit, survivor, visit_of};
use crate::record::{Memory, Patient, Row, Standing, Unreadable, Visit, write};
use crate::time::Time;
use crate::{Act, VisitStatus};

/// The longest value that is kept, in bytes; of a longer one only the time is.
pub const TOLD_VALUE_MAX: usize = 4_096;

/// Items of one list that are known one by one. Of more the oldest are forgotten, and what a message
/// from before says of that list counts as said since.
pub const TOLD_ITEMS_MAX: usize = 200;

/// Between the name of a list and what tells an item of it from the others; with nothing behind it, an
/// item that says nothing.
pub const ITEM: char = ':';

/// The value of a list that a message deletes as a whole, whose items are told for themselves.
pub const NULL: &str = "\"\"";

/// The newest value of each field, by when it was said.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Told<'a>(#[serde(borrow)] Vec<Telling<'a>>);

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Telling<'a>(Time, #[serde(borrow)] Vec<(Text<'a>, Option<Text<'a>>)>);

/// Read without a copy where nothing is escaped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A field, a list or an item of one (`AL1:…`) by its name, with its value; without one it is a list, or
/// cannot be kept. A list with the value [`NULL`] is deleted.
pub type Field<'a> = (SmolStr, Option<Cow<'a, str>>);

/// What newer messages have said.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Newer {
    /// What the message says too, each with what they said; `None` where that is too long to be kept or
    /// is a list.
    pub said: BTreeMap<String, Option<String>>,
    /// The items that they told of the lists of which the message tells some or deletes all, the newest
    /// last.
    pub items: Vec<(String, Option<String>)>,
    /// It changes links and names a number that was merged into another one. What it says of the person is
    /// said of the former number alone: `said` has what is known of the survivor, whenever that was said,
    /// and `None` for the rest.
    pub of_former: bool,
}

impl Newer {
    /// They have said nothing of it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.said.is_empty() && self.items.is_empty()
    }
}

/// Takes in what a message says of its patient and of its visit, and gives what newer messages have
/// said of that. To be asked after the message is remembered; `by` is the message, or its part about one
/// of several patients.
///
/// Of two messages of one time the later arrival counts as the newer one: they come from one source,
/// which sends them in order. What changes links says it of whoever stays, also of a patient or visit of
/// whom nothing else was said yet.
///
/// # Errors
/// Where a row cannot be read, or merges lead on and on.
pub fn tell(
    memory: &mut dyn Memory,
    facts: &Facts,
    (patient, visit): (&[Field<'_>], &[Field<'_>]),
    by: MessageId,
) -> Result<Newer, LinkError> {
    let mut newer = Newer::default();
    let mut ids = Ids::of(by.derive("hilum.identity.told", 0));
    let relinks = facts.event.is_some_and(Event::relinks);
    if let Some(identifier) = facts.first_patient() {
        let (key, row) = survivor(memory, &identifier.key())?;
        let row = match row {
            None if relinks && !patient.is_empty() => {
                Some(patient_of(memory, &key, &mut ids)?.into())
            }
            row => row,
        };
        if let Some(row) = row {
            // Beside the number of the survivor it is one more of theirs.
            let is_named = || facts.sides.patients.iter().any(|one| one.key() == key);
            newer.of_former = relinks && !patient.is_empty() && !is_named();
            if newer.of_former {
                in_place_of::<Patient>(&row.told, patient, &mut newer)?;
            } else if let Some(told) =
                take_in::<Patient>(&row.told, patient, facts.as_of, &mut newer)?
            {
                let row = Patient {
                    told,
                    ..Patient::clone(&row)
                };
                write(memory, &key, row);
            }
        }
    }
    if let Some(identifier) = &facts.sides.visit {
        let (key, row) = surviving_visit(memory, &identifier.key())?;
        let row = match row {
            None if relinks && !visit.is_empty() => Some(visit_of(memory, &key, &mut ids)?.into()),
            row => row,
        };
        if let Some(row) = row
            && let Some(told) = take_in::<Visit>(&row.told, visit, facts.as_of, &mut newer)?
        {
            let row = Visit {
                told,
                ..Visit::clone(&row)
            };
            write(memory, &key, row);
        }
    }
    Ok(newer)
}

/// What is known by one name.
struct Entry<'t> {
    name: &'t str,
    at: SourceTime,
    /// Its place in what one message said.
    place: usize,
    value: Option<&'t str>,
}

/// What is known, in the order of the names.
struct Known<'t>(Vec<Entry<'t>>);

impl<'t> Known<'t> {
    fn of(told: &'t Told<'_>) -> Self {
        Self::after(told, SourceTime::NEVER)
    }

    /// What was said after a time: of messages that come in order, nothing.
    fn after(told: &'t Told<'_>, as_of: SourceTime) -> Self {
        let mut all: Vec<Entry<'t>> = Vec::new();
        for Telling(at, said) in &told.0 {
            let at = SourceTime::from(*at);
            if at <= as_of {
                continue;
            }
            all.extend(said.iter().enumerate().map(|(place, (name, value))| Entry {
                name: &name.0,
                at,
                place,
                value: value.as_ref().map(|value| &*value.0),
            }));
        }
        all.sort_unstable_by_key(|entry| entry.name);
        Self(all)
    }

    fn get(&self, name: &str) -> Option<&Entry<'t>> {
        let at = self.0.binary_search_by_key(&name, |entry| entry.name);
        at.ok().and_then(|at| self.0.get(at))
    }

    /// The items of a list.
    fn items(&self, list: &str) -> impl Iterator<Item = &Entry<'t>> {
        let from = self.0.partition_point(|entry| entry.name <= list);
        let all = self.0.get(from..).unwrap_or_default().iter();
        all.take_while(move |entry| entry.name.starts_with(list))
            .filter(move |entry| list_of(entry.name) == Some(list))
    }

    /// The newest of what says something of what has a name: the same, an item and its list.
    fn newest(&self, name: &str) -> Option<&Entry<'t>> {
        let (list, is_of_all) = match name.split_once(ITEM) {
            Some((list, item)) => (list, item.is_empty()),
            None => (name, true),
        };
        let items = is_of_all.then(|| self.items(list)).into_iter().flatten();
        let own = [self.get(name), self.get(list)].into_iter().flatten();
        own.chain(items).max_by_key(|entry| entry.at)
    }
}

/// The list of which a name is an item.
fn list_of(name: &str) -> Option<&str> {
    name.split_once(ITEM).map(|(list, _)| list)
}

/// What is told from now on, if it is not the same as before.
fn take_in<R: Row>(
    aside: &Aside,
    fields: &[Field<'_>],
    as_of: SourceTime,
    newer: &mut Newer,
) -> Result<Option<Aside>, Unreadable> {
    let mut told: Told<'_> = aside.read::<_, R>()?;
    let known = Known::after(&told, as_of);
    let mut own: Vec<(Text<'_>, Option<Text<'_>>)> = Vec::with_capacity(fields.len());
    let mut lists: BTreeSet<&str> = BTreeSet::new();
    let tells_later = |name| known.get(name).is_some();
    for (name, value) in fields {
        lists.extend(list_of(name));
        // What a deletion says of items from before is news while no newer one has said it.
        let deletes = value.as_deref() == Some(NULL) && !name.contains('-');
        if deletes && !tells_later(name) {
            lists.insert(&**name);
        } else if let Some(known) = known.newest(name) {
            let value = known.value.map(str::to_owned);
            newer.said.insert(name.to_string(), value);
            // A list of which newer messages have told items was told as a whole until then.
            if list_of(name).is_some() || tells_later(name) {
                continue;
            }
        }
        if name.ends_with(ITEM) {
            continue;
        }
        let kept = value
            .as_deref()
            .filter(|value| value.len() <= TOLD_VALUE_MAX);
        let kept = kept.map(|value| Text(value.into()));
        own.push((Text(Cow::Borrowed(name)), kept));
    }
    for list in &lists {
        let mut items: Vec<_> = known.items(list).collect();
        items.sort_by_key(|item| (item.at, item.place));
        let owned = items
            .iter()
            .map(|item| (item.name.to_owned(), item.value.map(str::to_owned)));
        newer.items.extend(owned);
    }
    if own.is_empty() {
        return Ok(None);
    }
    told.record(own, as_of);
    for list in lists {
        told.shorten(list);
    }
    let now = Aside::of(&told);
    Ok((now != *aside).then_some(now))
}

/// What was told of a visit under two numbers of its: the newest of each.
pub(crate) fn join<R: Row>(own: &Aside, other: &Aside) -> Result<Aside, Unreadable> {
    let mut told: Told<'_> = own.read::<_, R>()?;
    let mut others: Told<'_> = other.read::<_, R>()?;
    others.0.sort_by_key(|telling| SourceTime::from(telling.0));
    for Telling(at, mut said) in others.0 {
        let as_of = SourceTime::from(at);
        let known = Known::of(&told);
        said.retain(|(name, _)| {
            let of_list = list_of(&name.0).and_then(|list| known.get(list));
            let mut newer = [known.get(&name.0), of_list].into_iter().flatten();
            newer.all(|known| known.at <= as_of)
        });
        told.record(said, as_of);
    }
    Ok(Aside::of(&told))
}

/// What is known of a survivor, in place of what is said of the number that was merged into it.
fn in_place_of<R: Row>(
    aside: &Aside,
    fields: &[Field<'_>],
    newer: &mut Newer,
) -> Result<(), Unreadable> {
    let told: Told<'_> = aside.read::<_, R>()?;
    let known = Known::of(&told);
    for (name, _) in fields {
        let value = known.get(name).and_then(|known| known.value);
        let value = value.map(str::to_owned);
        newer.said.insert(name.to_string(), value);
    }
    Ok(())
}

impl<'a> Told<'a> {
    fn record(&mut self, mut own: Vec<(Text<'a>, Option<Text<'a>>)>, as_of: SourceTime) {
        let names: BTreeSet<&str> = own.iter().map(|(name, _)| &*name.0).collect();
        for Telling(at, said) in &mut self.0 {
            let is_before = SourceTime::from(*at) < as_of;
            said.retain(|(name, _)| {
                let is_of = |list| is_before && names.contains(list);
                !names.contains(&*name.0) && !list_of(&name.0).is_some_and(is_of)
            });
        }
        let at = Time::from(as_of);
        match self.0.iter_mut().find(|telling| telling.0 == at) {
            Some(Telling(_, said)) => said.append(&mut own),
            None => self.0.push(Telling(at, own)),
        }
        self.0.retain(|Telling(_, said)| !said.is_empty());
    }

    /// Forgets the oldest items of a list that has too many: it counts as told as a whole until then.
    fn shorten(&mut self, list: &str) {
        let is_item = |name: &Text<'_>| list_of(&name.0) == Some(list);
        let mut times: Vec<SourceTime> = Vec::new();
        for Telling(at, said) in &self.0 {
            let count = said.iter().filter(|(name, _)| is_item(name)).count();
            times.extend(std::iter::repeat_n(SourceTime::from(*at), count));
        }
        let Some(over) = times.len().checked_sub(TOLD_ITEMS_MAX + 1) else {
            return;
        };
        times.sort_unstable();
        let Some(until) = times.get(over).copied() else {
            return;
        };
        for Telling(at, said) in &mut self.0 {
            if SourceTime::from(*at) <= until {
                said.retain(|(name, _)| !is_item(name));
            }
        }
        let known = Known::of(self);
        if known.get(list).is_none_or(|known| known.at < until) {
            let whole = (Text(list.to_owned().into()), None);
            self.record(vec![whole], until);
        }
    }
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
