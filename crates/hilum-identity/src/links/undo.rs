//! Taking an event back.

use std::rc::Rc;

use hilum_message::MessageId;
use smol_str::{SmolStr, ToSmolStr};

use super::change::{Ids, make, record};
use super::{Cause, LinkError};
use crate::record::{LinkChange, LinkEvent, Memory, Patient, Visit, read, write};

/// Takes an event back: what it changed is as it was before.
pub fn undo(
    memory: &mut dyn Memory,
    event: &str,
    cause: &Cause<'_>,
) -> Result<LinkEvent, LinkError> {
    let event = SmolStr::new(event);
    let found: Rc<LinkEvent> = read(memory, &event)?.ok_or(LinkError::NoEvent)?;
    let mut row = LinkEvent::clone(&found);
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
    row.undone_by = Some(cause.id.to_smolstr());
    write(memory, &event, row);
    record(memory, "undo", cause, back)
}

/// The messages that said something of the visits of a merge that was taken back, and came after it: what
/// they said nobody has been told.
///
/// # Errors
/// Where a row cannot be read.
pub fn left_out(memory: &mut dyn Memory, event: &str) -> Result<Vec<MessageId>, LinkError> {
    let event = read::<LinkEvent>(memory, &event.into())?.ok_or(LinkError::NoEvent)?;
    let mut late = Vec::new();
    if event.undone_by.is_none() {
        return Ok(late);
    }
    for change in &event.changes {
        if let LinkChange::VisitInto { key, .. } = change
            && let Some(row) = read::<Visit>(memory, key)?
        {
            late.extend(
                row.late
                    .iter()
                    .filter_map(|id| id.parse::<MessageId>().ok()),
            );
        }
    }
    Ok(late)
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
            read::<Patient>(memory, key)?.and_then(|row| row.into.clone()) == *before
        }
        LinkChange::Linked { key, other, linked } => {
            read::<Patient>(memory, key)?.is_some_and(|row| row.links.contains(other)) != *linked
        }
        LinkChange::VisitInto { key, before, .. } => {
            read::<Visit>(memory, key)?.and_then(|row| row.into.clone()) == *before
        }
        LinkChange::VisitOf { key, before, .. } => {
            read::<Visit>(memory, key)?
                .map(|row| row.patients.clone())
                .as_ref()
                == Some(before)
        }
        LinkChange::AccountOf { key, before, .. } => {
            read::<Visit>(memory, key)?.and_then(|row| row.account.clone()) == *before
        }
    })
}
