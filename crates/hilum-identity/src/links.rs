//! Merging, moving, linking and taking it back: only links change, never a record.

use std::collections::BTreeSet;

use hilum_component::{LinkedKeys, StateView};
use hilum_message::MessageId;

use crate::event::{Act, Event, Level, VisitStatus};
use crate::identifier::Identifier;
use crate::record::{
    EVENTS_KEPT, LinkChange, LinkEvent, Memory, Patient, SourceTime, Unreadable, Visit, read, write,
};

/// Merges that are followed one after the other.
pub const CHAIN_MAX: usize = 64;

/// The scope of what deliveries of merged identifiers are kept in order by.
const LANE_SCOPE: &str = "hilum.identity.lane";

/// Why links were not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// A row cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The survivor has already been merged into the victim.
    #[error("the record that is to stay was merged into the one that is to go; undo that first")]
    Circle,
    /// Two of one birth.
    #[error("the two were born together and have names of their own: twins are not merged")]
    Twins,
    /// The message lacks one of the two sides.
    #[error("the message does not say {0}")]
    Missing(&'static str),
    /// Merges follow each other too often.
    #[error("more than {CHAIN_MAX} merges lead from one record to the next")]
    Chain,
    /// There is no such event.
    #[error("there is no such event")]
    NoEvent,
    /// It was undone before.
    #[error("the event {0} has already undone it")]
    Undone(String),
    /// Something was changed again since.
    #[error("a later event changed the same link; undo that first")]
    Later,
}

/// The two sides of an event that changes links, as its message names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sides {
    /// PID-3 and PID-2; of a link, those of the first PID.
    pub patients: Vec<Identifier>,
    /// MRG-1 and MRG-4; of a link, those of the second PID.
    pub prior_patients: Vec<Identifier>,
    /// PID-18.
    pub account: Option<Identifier>,
    /// MRG-3.
    pub prior_account: Option<Identifier>,
    /// PV1-19.
    pub visit: Option<Identifier>,
    /// MRG-5.
    pub prior_visit: Option<Identifier>,
    /// PV1-50.
    pub alternate_visit: Option<Identifier>,
    /// MRG-6.
    pub prior_alternate_visit: Option<Identifier>,
}

/// Who changes links, when and why.
#[derive(Clone, Debug)]
pub struct Cause<'a> {
    /// The id of the event, from which ids of new records derive as well.
    pub id: MessageId,
    /// When, Unix milliseconds.
    pub at_ms: u64,
    /// The message or the person.
    pub by: &'a str,
    /// Why.
    pub reason: &'a str,
}

/// The key under which a patient is known now, and its row; the way from the first to it.
pub fn survivor(
    memory: &mut dyn Memory,
    key: &str,
) -> Result<(String, Option<Patient>), LinkError> {
    let mut key = key.to_owned();
    for _ in 0..CHAIN_MAX {
        let row: Option<Patient> = read(memory, &key)?;
        match row {
            Some(Patient {
                into: Some(into), ..
            }) => key = into,
            row => return Ok((key, row)),
        }
    }
    Err(LinkError::Chain)
}

/// The key under which a visit or account is known now, and its row.
pub fn surviving_visit(
    memory: &mut dyn Memory,
    key: &str,
) -> Result<(String, Option<Visit>), LinkError> {
    let mut key = key.to_owned();
    for _ in 0..CHAIN_MAX {
        let row: Option<Visit> = read(memory, &key)?;
        match row {
            Some(Visit {
                into: Some(into), ..
            }) => key = into,
            row => return Ok((key, row)),
        }
    }
    Err(LinkError::Chain)
}

/// All keys of the person of a key: those merged into it are found from the other side, by
/// [`survivor`]; this follows the links of A24.
pub fn linked(memory: &mut dyn Memory, key: &str) -> Result<BTreeSet<String>, LinkError> {
    let mut found = BTreeSet::new();
    let mut open = vec![key.to_owned()];
    while let Some(next) = open.pop() {
        let (key, row) = survivor(memory, &next)?;
        if found.len() >= CHAIN_MAX {
            return Err(LinkError::Chain);
        }
        if found.insert(key) {
            open.extend(row.into_iter().flat_map(|row| row.links));
        }
    }
    Ok(found)
}

/// Keeps the deliveries of a merged identifier in order with those of whoever it was merged into.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lanes;

impl LinkedKeys for Lanes {
    fn survivor(&self, state: &dyn StateView, domain: &str, identifier: &str) -> Option<String> {
        let mut lane: Option<String> = None;
        for _ in 0..CHAIN_MAX {
            let own = lane.as_deref().unwrap_or(identifier);
            let next = state.get(LANE_SCOPE, &format!("{domain}/{own}")).value;
            match next.and_then(|bytes| String::from_utf8(bytes.to_vec()).ok()) {
                Some(next) if next != identifier => lane = Some(next),
                _ => break,
            }
        }
        lane
    }
}

/// Does what an event says. Gives the event's row, which is written as well; `None` if nothing was
/// to be changed (the same event came before).
pub fn apply(
    memory: &mut dyn Memory,
    event: Event,
    sides: &Sides,
    cause: &Cause<'_>,
) -> Result<Option<LinkEvent>, LinkError> {
    let mut changes = Changes {
        memory,
        made: Vec::new(),
        ids: Ids::of(cause.id),
    };
    for level in event.levels {
        match (event.act, level) {
            (Act::Merge | Act::Change, Level::Patient) => {
                changes.patients(event.act, sides)?;
            }
            (Act::Merge | Act::Change, Level::Account) => {
                changes.visits(
                    &sides.prior_account,
                    &sides.account,
                    "PID-18 and MRG-3",
                    sides,
                )?;
            }
            (Act::Merge | Act::Change, Level::Visit) => {
                changes.visits(&sides.prior_visit, &sides.visit, "PV1-19 and MRG-5", sides)?;
            }
            (Act::Merge | Act::Change, Level::AlternateVisit) => changes.visits(
                &sides.prior_alternate_visit,
                &sides.alternate_visit,
                "PV1-50 and MRG-6",
                sides,
            )?,
            (Act::Move, Level::Patient) => changes.move_identifiers(sides)?,
            (Act::Move, Level::Account) => changes.move_account(sides)?,
            (Act::Move, _) => changes.move_visit(sides)?,
            (Act::Link | Act::Unlink, _) => changes.link(event.act == Act::Link, sides)?,
            (Act::Visit(_) | Act::Within | Act::DeletePerson | Act::Person, _) => {}
        }
    }
    let made = changes.made;
    if made.is_empty() {
        return Ok(None);
    }
    Ok(Some(record(memory, event.code, cause, made)?))
}

/// Takes an event back: what it changed is as it was before.
pub fn undo(
    memory: &mut dyn Memory,
    event: &str,
    cause: &Cause<'_>,
) -> Result<LinkEvent, LinkError> {
    let mut row: LinkEvent = read(memory, event)?.ok_or(LinkError::NoEvent)?;
    if let Some(by) = row.undone_by {
        return Err(LinkError::Undone(by));
    }
    let back: Vec<_> = row.changes.iter().rev().map(turned).collect();
    for change in &back {
        if !holds(memory, change)? {
            return Err(LinkError::Later);
        }
    }
    let mut ids = Ids::of(cause.id);
    for change in &back {
        make(memory, change, &mut ids)?;
    }
    row.undone_by = Some(cause.id.to_string());
    write(memory, event, &row);
    record(memory, "undo", cause, back)
}

/// Writes the event and notes it in the records that it is about.
fn record(
    memory: &mut dyn Memory,
    code: &str,
    cause: &Cause<'_>,
    changes: Vec<LinkChange>,
) -> Result<LinkEvent, LinkError> {
    let id = cause.id.to_string();
    for change in &changes {
        let keys = match change {
            LinkChange::PatientInto { key, before, after } => {
                [Some(key), before.as_ref(), after.as_ref()]
            }
            LinkChange::Linked { key, other, .. } => [Some(key), Some(other), None],
            LinkChange::VisitInto { .. }
            | LinkChange::VisitOf { .. }
            | LinkChange::AccountOf { .. } => [None, None, None],
        };
        for key in keys.into_iter().flatten() {
            let Some(mut row) = read::<Patient>(memory, key)? else {
                continue;
            };
            if row.events.last() != Some(&id) {
                row.events.push(id.clone());
                let over = row.events.len().saturating_sub(EVENTS_KEPT);
                row.events.drain(..over);
                write(memory, key, &row);
            }
        }
    }
    let event = LinkEvent {
        code: code.to_owned(),
        at_ms: cause.at_ms,
        by: cause.by.to_owned(),
        reason: cause.reason.to_owned(),
        changes,
        undone_by: None,
    };
    write(memory, &id, &event);
    Ok(event)
}

/// The change that takes another one back.
fn turned(change: &LinkChange) -> LinkChange {
    match change.clone() {
        LinkChange::PatientInto { key, before, after } => LinkChange::PatientInto {
            key,
            before: after,
            after: before,
        },
        LinkChange::Linked { key, other, linked } => LinkChange::Linked {
            key,
            other,
            linked: !linked,
        },
        LinkChange::VisitInto { key, before, after } => LinkChange::VisitInto {
            key,
            before: after,
            after: before,
        },
        LinkChange::VisitOf { key, before, after } => LinkChange::VisitOf {
            key,
            before: after,
            after: before,
        },
        LinkChange::AccountOf { key, before, after } => LinkChange::AccountOf {
            key,
            before: after,
            after: before,
        },
    }
}

/// What a change expects to find is there.
fn holds(memory: &mut dyn Memory, change: &LinkChange) -> Result<bool, LinkError> {
    Ok(match change {
        LinkChange::PatientInto { key, before, .. } => {
            read::<Patient>(memory, key)?.and_then(|row| row.into) == *before
        }
        LinkChange::Linked { key, other, linked } => {
            read::<Patient>(memory, key)?.is_some_and(|row| row.links.contains(other)) != *linked
        }
        LinkChange::VisitInto { key, before, .. } => {
            read::<Visit>(memory, key)?.and_then(|row| row.into) == *before
        }
        LinkChange::VisitOf { key, before, .. } => {
            read::<Visit>(memory, key)?.map(|row| row.patients).as_ref() == Some(before)
        }
        LinkChange::AccountOf { key, before, .. } => {
            read::<Visit>(memory, key)?.and_then(|row| row.account) == *before
        }
    })
}

fn make(memory: &mut dyn Memory, change: &LinkChange, ids: &mut Ids) -> Result<(), LinkError> {
    match change {
        LinkChange::PatientInto { key, before, after } => {
            let mut row = patient_of(memory, key, ids)?;
            row.into.clone_from(after);
            write(memory, key, &row);
            lanes(memory, "patient", key, before.as_deref(), after.as_deref());
        }
        LinkChange::Linked { key, other, linked } => {
            for (one, two) in [(key, other), (other, key)] {
                let mut row = patient_of(memory, one, ids)?;
                if *linked {
                    row.links.insert(two.clone());
                } else {
                    row.links.remove(two);
                }
                write(memory, one, &row);
            }
        }
        LinkChange::VisitInto { key, before, after } => {
            let mut row = visit_of(memory, key, ids)?;
            row.into.clone_from(after);
            write(memory, key, &row);
            lanes(memory, "visit", key, before.as_deref(), after.as_deref());
        }
        LinkChange::VisitOf { key, after, .. } => {
            let mut row = visit_of(memory, key, ids)?;
            row.patients.clone_from(after);
            write(memory, key, &row);
        }
        LinkChange::AccountOf { key, after, .. } => {
            let mut row = visit_of(memory, key, ids)?;
            row.account.clone_from(after);
            write(memory, key, &row);
        }
    }
    Ok(())
}

/// Keeps the lane of a merged identifier behind that of the one it was merged into.
fn lanes(
    memory: &mut dyn Memory,
    domain: &str,
    key: &str,
    before: Option<&str>,
    after: Option<&str>,
) {
    let lane = |key: &str| Identifier::of_key(key).map(|identifier| identifier.lane());
    let Some(own) = lane(key) else {
        return;
    };
    let name = format!("{domain}/{own}");
    match after.and_then(lane) {
        Some(after) if after != own => memory.write(LANE_SCOPE, &name, Some(after.into())),
        Some(_) => {}
        None if before.is_some() => memory.write(LANE_SCOPE, &name, None),
        None => {}
    }
}

/// The row of a patient; a new one if there is none.
pub(crate) fn patient_of(
    memory: &mut dyn Memory,
    key: &str,
    ids: &mut Ids,
) -> Result<Patient, Unreadable> {
    if let Some(row) = read(memory, key)? {
        return Ok(row);
    }
    Ok(Patient {
        id: ids.next(),
        ..Patient::default()
    })
}

/// Ids for new records: they derive from the message that told of a record first, and from no
/// number, so that nobody who knows the number finds the id.
#[derive(Debug)]
pub(crate) struct Ids {
    message: MessageId,
    given: u64,
}

impl Ids {
    pub(crate) const fn of(message: MessageId) -> Self {
        Self { message, given: 0 }
    }

    pub(crate) fn next(&mut self) -> String {
        self.given += 1;
        self.message
            .derive("hilum.identity", self.given)
            .to_string()
    }
}

pub(crate) fn visit_of(
    memory: &mut dyn Memory,
    key: &str,
    ids: &mut Ids,
) -> Result<Visit, Unreadable> {
    if let Some(row) = read(memory, key)? {
        return Ok(row);
    }
    Ok(Visit {
        id: ids.next(),
        patients: BTreeSet::new(),
        status: VisitStatus::Open,
        as_of: SourceTime::NEVER,
        into: None,
        account: None,
    })
}

struct Changes<'a> {
    memory: &'a mut dyn Memory,
    made: Vec<LinkChange>,
    ids: Ids,
}

impl Changes<'_> {
    fn make(&mut self, change: LinkChange) -> Result<(), LinkError> {
        make(self.memory, &change, &mut self.ids)?;
        self.made.push(change);
        Ok(())
    }

    /// Each identifier of before goes into that of the same authority and type, else into the first.
    fn patients(&mut self, act: Act, sides: &Sides) -> Result<(), LinkError> {
        if sides.prior_patients.is_empty() {
            return Err(LinkError::Missing("who was merged (MRG-1)"));
        }
        let Some(first) = sides.patients.first() else {
            return Err(LinkError::Missing("into whom it was merged (PID-3)"));
        };
        for victim in &sides.prior_patients {
            let same = |other: &&Identifier| {
                other.authority == victim.authority && other.kind == victim.kind
            };
            let into = sides.patients.iter().find(same).unwrap_or(first);
            self.patient(act, &victim.key(), &into.key())?;
        }
        Ok(())
    }

    fn patient(&mut self, act: Act, victim: &str, into: &str) -> Result<(), LinkError> {
        if victim == into {
            return Ok(());
        }
        let (into, survivor_row) = survivor(self.memory, into)?;
        if into == victim {
            return Err(LinkError::Circle);
        }
        let row: Option<Patient> = read(self.memory, victim)?;
        let before = row.as_ref().and_then(|row| row.into.clone());
        if let Some(before) = &before {
            // It has come to the same place already.
            if survivor(self.memory, before)?.0 == into {
                return Ok(());
            }
        }
        if let (Some(one), Some(other)) = (&row, &survivor_row)
            && born_together(one, other)
        {
            return Err(LinkError::Twins);
        }
        // The survivor gets a row too, under the id of the one whose number it takes over.
        let own = match survivor_row {
            Some(own) => own,
            None => {
                let mut own = patient_of(self.memory, &into, &mut self.ids)?;
                if act == Act::Change
                    && let Some(row) = &row
                {
                    own.id.clone_from(&row.id);
                }
                own
            }
        };
        write(self.memory, &into, &own);
        self.make(LinkChange::PatientInto {
            key: victim.to_owned(),
            before,
            after: Some(into),
        })
    }

    fn visits(
        &mut self,
        prior: &Option<Identifier>,
        now: &Option<Identifier>,
        fields: &'static str,
        sides: &Sides,
    ) -> Result<(), LinkError> {
        let (Some(prior), Some(now)) = (prior, now) else {
            return Err(LinkError::Missing(fields));
        };
        let (victim, into) = (prior.key(), now.key());
        if victim == into {
            return Ok(());
        }
        let (into, row) = surviving_visit(self.memory, &into)?;
        if into == victim {
            return Err(LinkError::Circle);
        }
        let old: Option<Visit> = read(self.memory, &victim)?;
        let before = old.as_ref().and_then(|row| row.into.clone());
        if before.as_ref() == Some(&into) {
            return Ok(());
        }
        if row.is_none() {
            let mut row = visit_of(self.memory, &into, &mut self.ids)?;
            if let Some(old) = &old {
                row.status = old.status;
                row.as_of = old.as_of;
                row.patients.clone_from(&old.patients);
            }
            if row.patients.is_empty() {
                row.patients = sides.patients.iter().map(Identifier::key).collect();
            }
            write(self.memory, &into, &row);
        }
        self.make(LinkChange::VisitInto {
            key: victim,
            before,
            after: Some(into),
        })
    }

    /// A43: identifiers were with the wrong person (MRG-4), and are with another one (PID-2) now.
    fn move_identifiers(&mut self, sides: &Sides) -> Result<(), LinkError> {
        let person = |side: &[Identifier], own: &[Identifier]| {
            side.iter()
                .find(|one| !own.contains(one))
                .map(Identifier::key)
        };
        let moved: Vec<_> = sides
            .patients
            .iter()
            .filter(|one| sides.prior_patients.contains(one))
            .cloned()
            .collect();
        if moved.is_empty() {
            // The number is another one with the other person.
            return self.patients(Act::Change, sides);
        }
        let from = person(&sides.prior_patients, &moved);
        let to = person(&sides.patients, &moved);
        for one in &moved {
            for (other, linked) in [(&from, false), (&to, true)] {
                if let Some(other) = other {
                    self.set_link(&one.key(), other, linked)?;
                }
            }
        }
        Ok(())
    }

    /// A44: an account (PID-18, before MRG-3) was with the wrong patient.
    fn move_account(&mut self, sides: &Sides) -> Result<(), LinkError> {
        let account = sides.prior_account.as_ref().or(sides.account.as_ref());
        let Some(account) = account else {
            return Err(LinkError::Missing("which account is moved (MRG-3)"));
        };
        self.give(&account.key(), sides)?;
        if let (Some(now), Some(before)) = (&sides.account, &sides.prior_account)
            && now != before
        {
            let (now, before) = (Some(now.clone()), Some(before.clone()));
            self.visits(&before, &now, "PID-18 and MRG-3", sides)?;
        }
        Ok(())
    }

    /// A45: a visit (PV1-19, before MRG-5) was with the wrong account or patient.
    fn move_visit(&mut self, sides: &Sides) -> Result<(), LinkError> {
        let visit = sides.prior_visit.as_ref().or(sides.visit.as_ref());
        let Some(visit) = visit else {
            return Err(LinkError::Missing("which visit is moved (MRG-5)"));
        };
        let key = visit.key();
        self.give(&key, sides)?;
        if let Some(account) = &sides.account {
            let row = visit_of(self.memory, &key, &mut self.ids)?;
            let after = Some(account.key());
            if row.account != after {
                self.make(LinkChange::AccountOf {
                    key: key.clone(),
                    before: row.account,
                    after,
                })?;
            }
        }
        if let (Some(now), Some(before)) = (&sides.visit, &sides.prior_visit)
            && now != before
        {
            let (now, before) = (Some(now.clone()), Some(before.clone()));
            self.visits(&before, &now, "PV1-19 and MRG-5", sides)?;
        }
        Ok(())
    }

    /// A visit or account belongs to the patient of PID-3.
    fn give(&mut self, key: &str, sides: &Sides) -> Result<(), LinkError> {
        let after: BTreeSet<String> = sides.patients.iter().map(Identifier::key).collect();
        if after.is_empty() {
            return Err(LinkError::Missing("to whom it is moved (PID-3)"));
        }
        let row = visit_of(self.memory, key, &mut self.ids)?;
        if row.patients == after {
            return Ok(());
        }
        write(self.memory, key, &row);
        self.make(LinkChange::VisitOf {
            key: key.to_owned(),
            before: row.patients,
            after,
        })
    }

    /// A24 and A37.
    fn link(&mut self, linked: bool, sides: &Sides) -> Result<(), LinkError> {
        let (Some(one), Some(other)) = (sides.patients.first(), sides.prior_patients.first())
        else {
            return Err(LinkError::Missing("both patients (PID-3 twice)"));
        };
        self.set_link(&one.key(), &other.key(), linked)
    }

    fn set_link(&mut self, key: &str, other: &str, linked: bool) -> Result<(), LinkError> {
        let row = patient_of(self.memory, key, &mut self.ids)?;
        if key == other || row.links.contains(other) == linked {
            return Ok(());
        }
        self.make(LinkChange::Linked {
            key: key.to_owned(),
            other: other.to_owned(),
            linked,
        })
    }
}

/// Two of one birth: both say so or have the same mother, on one day, with given names of their own.
fn born_together(one: &Patient, other: &Patient) -> bool {
    let of_one_birth = (one.multiple_birth && other.multiple_birth)
        || one.mother.as_ref().is_some_and(|mother| {
            other.mother.as_ref().map(|other| &other.value) == Some(&mother.value)
        });
    let (one, other) = (one.person(), other.person());
    let day = one.birth == other.birth || one.birth.is_empty() || other.birth.is_empty();
    let named = !one.given.is_empty() && !other.given.is_empty();
    of_one_birth && day && named && !one.given.eq_ignore_ascii_case(&other.given)
}
