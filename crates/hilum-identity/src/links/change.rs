//! One change of a link, and the record of all changes of an event.

use std::collections::BTreeSet;

use hilum_message::{MessageId, SourceTime};
use smol_str::{SmolStr, ToSmolStr, format_smolstr};

use super::{Cause, LinkError};
use crate::aside::Aside;
use crate::event::VisitStatus;
use crate::identifier::Identifier;
use crate::record::{
    EVENTS_KEPT, LinkChange, LinkEvent, Memory, Patient, Unreadable, Visit, read, write,
};

/// The scope of what deliveries of merged identifiers are kept in order by.
pub(super) const LANE_SCOPE: &str = "hilum.identity.lane";

/// Writes the event and notes it in the records that it is about.
pub(super) fn record(
    memory: &mut dyn Memory,
    code: &str,
    cause: &Cause<'_>,
    changes: Vec<LinkChange>,
) -> Result<LinkEvent, LinkError> {
    let id = cause.id.to_smolstr();
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
            let Some(row) = read::<Patient>(memory, key)? else {
                continue;
            };
            if row.events.last() != Some(&id) {
                let mut row = Patient::clone(&row);
                row.events.push(id.clone());
                let over = row.events.len().saturating_sub(EVENTS_KEPT);
                row.events.drain(..over);
                write(memory, key, row);
            }
        }
    }
    let event = LinkEvent {
        code: code.to_owned(),
        at_ms: cause.at_ms,
        by: cause.by.into(),
        reason: cause.reason.to_owned(),
        changes,
        undone_by: None,
    };
    write(memory, &id, event.clone());
    Ok(event)
}

pub(super) fn make(
    memory: &mut dyn Memory,
    change: &LinkChange,
    ids: &mut Ids,
) -> Result<(), LinkError> {
    match change {
        LinkChange::PatientInto { key, before, after } => {
            let mut row = patient_of(memory, key, ids)?;
            row.into.clone_from(after);
            write(memory, key, row);
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
                write(memory, one, row);
            }
        }
        LinkChange::VisitInto { key, before, after } => {
            let mut row = visit_of(memory, key, ids)?;
            row.into.clone_from(after);
            write(memory, key, row);
            lanes(memory, "visit", key, before.as_deref(), after.as_deref());
        }
        LinkChange::VisitOf { key, after, .. } => {
            let mut row = visit_of(memory, key, ids)?;
            row.patients.clone_from(after);
            write(memory, key, row);
        }
        LinkChange::AccountOf { key, after, .. } => {
            let mut row = visit_of(memory, key, ids)?;
            row.account.clone_from(after);
            write(memory, key, row);
        }
    }
    Ok(())
}

/// Keeps the lane of a merged identifier behind that of the one it was merged into.
fn lanes(
    memory: &mut dyn Memory,
    domain: &str,
    key: &SmolStr,
    before: Option<&str>,
    after: Option<&str>,
) {
    let lane = |key: &str| Identifier::of_key(key).map(|identifier| identifier.lane());
    let Some(own) = lane(key) else {
        return;
    };
    let name = format_smolstr!("{domain}/{own}");
    match after.and_then(lane) {
        Some(after) if after != own => {
            memory.write(LANE_SCOPE, &name, Some(after.to_string().into()));
        }
        Some(_) => {}
        None if before.is_some() => memory.write(LANE_SCOPE, &name, None),
        None => {}
    }
}

/// The row of a patient; a new one if there is none.
pub(crate) fn patient_of(
    memory: &mut dyn Memory,
    key: &SmolStr,
    ids: &mut Ids,
) -> Result<Patient, Unreadable> {
    if let Some(row) = read::<Patient>(memory, key)? {
        return Ok(Patient::clone(&row));
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

    pub(crate) fn next(&mut self) -> SmolStr {
        self.given += 1;
        let id = self.message.derive("hilum.identity", self.given);
        id.to_smolstr()
    }
}

pub(crate) fn visit_of(
    memory: &mut dyn Memory,
    key: &SmolStr,
    ids: &mut Ids,
) -> Result<Visit, Unreadable> {
    if let Some(row) = read::<Visit>(memory, key)? {
        return Ok(Visit::clone(&row));
    }
    Ok(Visit {
        id: ids.next(),
        patients: BTreeSet::new(),
        status: VisitStatus::Open,
        as_of: SourceTime::NEVER,
        into: None,
        given_up: None,
        late: BTreeSet::new(),
        account: None,
        visits: BTreeSet::new(),
        told: Aside::default(),
    })
}
