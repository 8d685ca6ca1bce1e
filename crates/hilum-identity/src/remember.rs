//! Remembering what a message says of its patient, visit and orders.

use std::rc::Rc;

use smol_str::SmolStr;

use crate::assess::{Facts, Kind, OrderFacts};
use crate::event::{Act, Event};
use crate::identifier::Identifier;
use crate::links::{
    Cause, Ids, LinkError, apply, joins_twins, patient_of, surviving_visit, survivor, visit_of,
};
use crate::record::{
    CHILDREN_MAX, LATE_KEPT, LinkChange, LinkEvent, Memory, Order, Patient, Rows, Said, Standing,
    Unreadable, VISITS_KEPT, Visit, read, write,
};
use crate::results::OrderChange;

/// Remembers what a message says: links first, then its patient, visit and orders. Gives the event
/// that changed links, if one did.
///
/// An older message changes nothing that a newer one has said.
///
/// # Errors
/// Where the links cannot be changed as the message says; then nothing is remembered.
pub fn remember(
    memory: &mut dyn Memory,
    facts: &Facts,
    cause: &Cause<'_>,
) -> Result<Option<LinkEvent>, LinkError> {
    let mut rows = Rows::default();
    let changed = all(&mut rows.over(memory), facts, cause)?;
    rows.flush(memory);
    Ok(changed)
}

fn all(
    memory: &mut dyn Memory,
    facts: &Facts,
    cause: &Cause<'_>,
) -> Result<Option<LinkEvent>, LinkError> {
    let mut ids = Ids::of(cause.id.derive("hilum.identity.remember", 0));
    if joins_twins(memory, facts)? {
        return Err(LinkError::Twins);
    }
    let changed = match facts.event {
        Some(event) if event.relinks() => apply(memory, event, &facts.sides, cause)?,
        _ => None,
    };
    if let Some(changed) = &changed {
        give_up(memory, changed, facts)?;
    }
    let relinks = facts.event.is_some_and(Event::relinks);
    for identifier in &facts.sides.patients {
        patient(memory, facts, identifier, &mut ids)?;
    }
    if let Some(mother) = facts
        .mother
        .as_ref()
        .filter(|_| facts.kind == Kind::Registration)
    {
        children(memory, &facts.sides.patients, mother, &mut ids)?;
    }
    if !relinks {
        let visit = facts.sides.visit.as_ref();
        for identifier in facts.sides.account.iter().chain(visit) {
            remember_visit(memory, facts, identifier, (&mut ids, cause.by))?;
        }
    }
    for order in &facts.orders {
        for number in &order.numbers {
            remember_order(memory, facts, order, number)?;
        }
    }
    Ok(changed)
}

/// Notes since when visits and accounts are a mistake: those that were merged, and not those that only
/// have another number.
fn give_up(memory: &mut dyn Memory, event: &LinkEvent, facts: &Facts) -> Result<(), Unreadable> {
    let merges = facts.event.is_some_and(|event| event.act == Act::Merge);
    for change in &event.changes {
        if let LinkChange::VisitInto { key, .. } = change
            && let Some(row) = read::<Visit>(memory, key)?
        {
            let given_up = merges.then(|| facts.as_of.into());
            let row = Visit {
                given_up,
                ..Visit::clone(&row)
            };
            write(memory, key, row);
        }
    }
    Ok(())
}

fn patient(
    memory: &mut dyn Memory,
    facts: &Facts,
    identifier: &Identifier,
    ids: &mut Ids,
) -> Result<(), LinkError> {
    let key = identifier.key();
    let (now, _) = survivor(memory, &key)?;
    if now != key {
        // What is said under a merged number is not said of the survivor.
        return Ok(());
    }
    let registered = facts.kind == Kind::Registration;
    let before: Option<Rc<Patient>> = read(memory, &key)?;
    let mut row = match &before {
        // What a result says of a patient who is registered is compared, and not remembered.
        Some(row) if !registered && row.is_registered() && !is_child(row, facts) => return Ok(()),
        Some(row) => Patient::clone(row),
        None => patient_of(memory, &key, ids)?,
    };
    let deletes = matches!(facts.event.map(|event| event.act), Some(Act::DeletePerson));
    let standing = match (deletes, facts.temporary) {
        (true, _) => Standing::Deleted,
        (false, true) => Standing::Temporary,
        (false, false) => Standing::Person,
    };
    if registered || !row.is_registered() {
        row.hear(&facts.person, standing, facts.as_of, registered);
    }
    row.multiple_birth |= facts.multiple_birth;
    if let Some(mother) = &facts.mother {
        let said = Said {
            value: mother.key(),
            as_of: facts.as_of,
            registered,
        };
        Said::hear(&mut row.mother, said);
    }
    if before.as_deref() != Some(&row) {
        write(memory, &key, row);
    }
    Ok(())
}

/// The message tells of the birth of its patient, and more than is known.
fn is_child(row: &Patient, facts: &Facts) -> bool {
    facts.mother.is_some() || (facts.multiple_birth && !row.multiple_birth)
}

/// Remembers whose mother somebody is: a birth order is one child's of hers.
fn children(
    memory: &mut dyn Memory,
    own: &[Identifier],
    mother: &Identifier,
    ids: &mut Ids,
) -> Result<(), LinkError> {
    let (key, _) = survivor(memory, &mother.key())?;
    let mut row = patient_of(memory, &key, ids)?;
    let before = row.children.len();
    for child in own
        .iter()
        .map(Identifier::key)
        .filter(|child| *child != key)
    {
        if row.children.len() < CHILDREN_MAX {
            row.children.insert(child);
        }
    }
    if row.children.len() > before {
        write(memory, &key, row);
    }
    Ok(())
}

fn remember_visit(
    memory: &mut dyn Memory,
    facts: &Facts,
    identifier: &Identifier,
    (ids, by): (&mut Ids, &str),
) -> Result<(), LinkError> {
    let own = identifier.key();
    let is_visit = facts.sides.visit.as_ref() == Some(identifier);
    if let Some(row) = read::<Visit>(memory, &own)?.filter(|row| row.was_given_up(facts.as_of)) {
        // What was said of it before is not said of the one that stays.
        let is_told = is_visit && facts.kind == Kind::Registration;
        if is_told && row.late.len() < LATE_KEPT && !row.late.contains(by) {
            let mut row = Visit::clone(&row);
            row.late.insert(by.into());
            write(memory, &own, row);
        }
        return Ok(());
    }
    let key = surviving_visit(memory, &own)?.0;
    let before: Option<Rc<Visit>> = read(memory, &key)?;
    let mut row = match &before {
        Some(row) => Visit::clone(row),
        None => visit_of(memory, &key, ids)?,
    };
    if row.patients.is_empty() {
        row.patients = facts.sides.patients.iter().map(Identifier::key).collect();
    }
    if let Some(Act::Visit(status)) = facts.event.map(|event| event.act)
        && is_visit
        && facts.as_of >= row.as_of
    {
        row.status = status;
        row.as_of = facts.as_of;
    }
    if is_visit && row.account.is_none() {
        row.account = facts.sides.account.as_ref().map(Identifier::key);
    }
    let account = row.account.clone().filter(|_| is_visit);
    if before.as_deref() != Some(&row) {
        write(memory, &key, row);
    }
    match account {
        Some(account) => remember_in(memory, &account, key),
        None => Ok(()),
    }
}

/// Notes the visits of an account, which go with it to another patient.
fn remember_in(
    memory: &mut dyn Memory,
    account: &SmolStr,
    visit: SmolStr,
) -> Result<(), LinkError> {
    let (key, row) = surviving_visit(memory, account)?;
    let Some(row) = row.filter(|row| row.visits.len() < VISITS_KEPT) else {
        return Ok(());
    };
    if !row.visits.contains(&visit) {
        let mut row = Visit::clone(&row);
        row.visits.insert(visit);
        write(memory, &key, row);
    }
    Ok(())
}

fn remember_order(
    memory: &mut dyn Memory,
    facts: &Facts,
    order: &OrderFacts,
    number: &Identifier,
) -> Result<(), Unreadable> {
    let key = number.key();
    let before: Option<Rc<Order>> = read(memory, &key)?;
    let mut row = before.as_deref().cloned().unwrap_or_default();
    if row.patients.is_empty() {
        row.patients = facts.sides.patients.iter().map(Identifier::key).collect();
    }
    if facts.kind == Kind::Result && !order.ended {
        row.reported = true;
    }
    if facts.as_of >= row.as_of {
        match order.change {
            OrderChange::Ended => (row.cancelled, row.as_of) = (true, facts.as_of),
            OrderChange::Placed | OrderChange::StillThere => {
                (row.cancelled, row.as_of) = (false, facts.as_of);
            }
            OrderChange::None => {}
        }
    }
    if before.as_deref() != Some(&row) {
        write(memory, &key, row);
    }
    Ok(())
}
