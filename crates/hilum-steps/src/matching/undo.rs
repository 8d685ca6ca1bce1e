//! Taking back what a message did to links, as a person asked.
//!
//! The message comes once more, for the stores of this node alone ([`UNDO`]). Its links are taken back
//! in the state, and what goes on is the event with the numbers that it is about and nothing else, as of
//! now: what it said of the person then is not said again.

use hilum_component::{Flow, Halted, StepContext, Working};
use hilum_hl7v2::{EditError, Message, Path};
use hilum_identity::{
    Act, Cause, Identifier, Level, LinkChange, LinkEvent, UNDO, Unreadable, read, undo,
};
use hilum_message::MessageId;
use smol_str::SmolStr;

use super::facts::{Group, each};
use super::sender::Sender;
use super::{finding, remove};

/// The named value of a message whose event is taken back; without it its event is said again.
pub(crate) const TAKEN_BACK: &str = "taken-back";

/// The fields that name whom and what an event is about, by segment.
const NAMING: [(&str, &[u32]); 3] = [
    ("PID", &[1, 3, 18]),
    ("MRG", &[1, 3, 4, 5, 6]),
    ("PV1", &[19]),
];

/// What a person asks for, if that is why the message is here.
pub(super) fn asked(message: &Working) -> Option<(String, String)> {
    let (event, reason) = message.metadata.get(UNDO)?.split_once(' ')?;
    Some((event.to_owned(), reason.to_owned()))
}

pub(super) fn take_back(
    message: &mut Working,
    groups: &[Group],
    (event, reason): &(String, String),
    sender: &Sender,
    context: &mut StepContext<'_>,
) -> Result<Flow, Halted> {
    let (group, again) = group_of(event, groups.len(), context).map_err(refused)?;
    let by = message.id.to_string();
    let cause = Cause {
        id: message.id.derive("match", group),
        at_ms: context.arrived_ms,
        by: &by,
        reason,
    };
    let undone = undo(context, event, &cause).map_err(refused)?;
    let found = usize::try_from(group).ok().and_then(|at| groups.get(at));
    let Some(group) = found else {
        return Err(Halted::reject(
            "the message has no patient with these links",
        ));
    };
    finding(
        context,
        "taken-back",
        "a person took its links back".to_owned(),
    );
    let back = is_back(&undone, group, again);
    let arrived_ms = context.arrived_ms;
    let v2 = message.document.as_any_mut().downcast_mut::<Message>();
    let is_of_person = other_person(group);
    if let Some(v2) = v2 {
        if is_of_person {
            swap_persons(v2, group.pid).map_err(unwritten)?;
        }
        strip(v2, group, groups.len())?;
        if changes_numbers(group) {
            leave_others(v2, &undone, sender).map_err(unwritten)?;
        }
        as_of_now(v2, sender, arrived_ms).map_err(unwritten)?;
        turn(v2, group, &undone, back).map_err(unwritten)?;
    }
    let of = |is: fn(&LinkChange) -> bool| undone.changes.iter().any(is);
    let moves = of(|change| matches!(change, LinkChange::VisitOf { .. }));
    // An account that has got another number (A44) is linked with that as well.
    let code = group.facts.event.map(|event| event.code);
    let links = code == Some("A44") && of(|change| matches!(change, LinkChange::VisitInto { .. }));
    if back && !is_of_person && (!moves || links) {
        // What is moved back is moved by the same event in the other direction.
        message.metadata.set(TAKEN_BACK, "true");
    }
    Ok(Flow::Next)
}

fn refused(error: impl std::fmt::Display) -> Halted {
    Halted::reject(error.to_string())
}

fn unwritten(error: EditError) -> Halted {
    Halted::reject(format!("what was taken back cannot be written: {error}"))
}

/// Which patient of its message an event is of, from 0: its id derives from that. Also whether the event
/// itself has taken another one back.
fn group_of(
    event: &str,
    count: usize,
    context: &mut StepContext<'_>,
) -> Result<(u64, bool), Unreadable> {
    let row = read::<LinkEvent>(context, &event.into())?;
    let again = row.as_ref().is_some_and(|row| row.code == "undo");
    let by = row.and_then(|row| row.by.parse::<MessageId>().ok());
    let is = |at: &u64| by.is_some_and(|by| by.derive("match", *at).to_string() == event);
    Ok(((0..count as u64).find(is).unwrap_or_default(), again))
}

/// Links that were made are gone now; else those that were gone are there again.
fn is_back(undone: &LinkEvent, group: &Group, again: bool) -> bool {
    undone.changes.iter().any(|change| match change {
        LinkChange::PatientInto { before, after, .. }
        | LinkChange::VisitInto { before, after, .. } => match (before, after) {
            // Before that event it had been merged into somebody else.
            (Some(_), Some(_)) => !again,
            (_, after) => after.is_none(),
        },
        LinkChange::Linked { linked, .. } => !linked,
        // The patient of the message is the one to whom it was moved.
        LinkChange::VisitOf { after, .. } => {
            let patients = group.facts.sides.patients.iter();
            !patients
                .map(Identifier::key)
                .any(|key| after.contains(&key))
        }
        LinkChange::AccountOf { .. } => false,
    })
}

/// Leaves the numbers that the event is about.
fn strip(v2: &mut Message, group: &Group, groups: usize) -> Result<(), Halted> {
    let mut pid = 0;
    let mut gone = Vec::new();
    for at in 1..v2.segment_count() {
        let Some(segment) = v2.segment(at) else { break };
        pid += usize::from(segment.has_id("PID"));
        let of_other = groups > 1 && pid > 0 && pid != group.pid;
        let naming = segment.has_id("EVN") || NAMING.iter().any(|(id, _)| segment.has_id(id));
        if of_other || !naming {
            gone.push(at);
        }
    }
    for at in gone.into_iter().rev() {
        remove(v2, at)?;
    }
    let mut fields = Vec::new();
    let is_of_person = other_person(group);
    for (id, kept) in NAMING {
        let all = v2.segments().filter(|segment| segment.has_id(id));
        for (segment, n) in all.zip(1..) {
            let others = segment.fields().map(|field| field.field_number());
            let is_kept = |field: &u32| kept.contains(field) || (is_of_person && *field == 2);
            let others = others.filter(|field| !is_kept(field));
            fields.extend(others.map(|field| format!("{id}[{n}]-{field}")));
        }
    }
    for field in fields {
        let path = path(&field)?;
        v2.delete(&path).map_err(unwritten)?;
    }
    Ok(())
}

/// The event gives numbers up.
fn changes_numbers(group: &Group) -> bool {
    let event = group.facts.event;
    event.is_some_and(|event| {
        matches!(event.act, Act::Merge | Act::Change) && event.levels.contains(&Level::Patient)
    })
}

/// Leaves out the numbers of MRG-1 whose links stay: one that had come to the same place before, by another
/// event, stays there.
fn leave_others(v2: &mut Message, undone: &LinkEvent, sender: &Sender) -> Result<(), EditError> {
    let changed = |key: &SmolStr| {
        let mut all = undone.changes.iter();
        all.any(|change| matches!(change, LinkChange::PatientInto { key: own, .. } if own == key))
    };
    let (mut gone, mut kept) = (Vec::new(), 0);
    let all = v2.segments().filter(|segment| segment.has_id("MRG"));
    for (segment, n) in all.zip(1..) {
        for (part, repetition) in each(&segment, 1).zip(1..) {
            let number = sender.extended(&part, None);
            if number.is_some_and(|number| changed(&number.key())) {
                kept += 1;
            } else {
                gone.push(format!("MRG[{n}]-1[{repetition}]"));
            }
        }
    }
    // From the last one, so that the places before stay what they are.
    for text in gone.iter().rev().filter(|_| kept > 0) {
        if let Ok(path) = Path::parse(text) {
            v2.delete(&path)?;
        }
    }
    Ok(())
}

fn path(text: &str) -> Result<Path, Halted> {
    Path::parse(text).map_err(|error| Halted::reject(format!("{text} cannot be read: {error}")))
}

/// What is taken back is so from now on, also where the clock of its sender is ahead.
fn as_of_now(v2: &mut Message, sender: &Sender, arrived_ms: u64) -> Result<(), EditError> {
    let Some(now) = stamp(arrived_ms) else {
        return Ok(());
    };
    let now_ms = i64::try_from(arrived_ms).unwrap_or(i64::MAX);
    for (segment, field) in [("MSH", 7), ("EVN", 2)] {
        let said = v2.component(segment, field, 1);
        let said = said.and_then(|text| sender.time(&text, now_ms));
        let ahead = said.is_some_and(|said| said.ms >= now_ms);
        let there = v2.segments().any(|one| one.has_id(segment));
        if there
            && !ahead
            && let Ok(path) = Path::parse(&format!("{segment}-{field}"))
        {
            v2.set(&path, &now)?;
        }
    }
    Ok(())
}

fn stamp(ms: u64) -> Option<String> {
    let stamp = jiff::Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok()?;
    Some(stamp.strftime("%Y%m%d%H%M%S.%3f+0000").to_string())
}

/// Writes the event in the other direction, where there is one that says so: a visit is moved back to
/// whom it was with, and an unlink that is taken back is a link.
fn turn(v2: &mut Message, group: &Group, undone: &LinkEvent, back: bool) -> Result<(), EditError> {
    let event = group.facts.event;
    if event.is_some_and(|event| event.act == Act::Unlink) && !back {
        return write(v2, &[("MSH-9.2", "A24"), ("EVN-1", "A24")]);
    }
    let owner = undone.changes.iter().find_map(|change| match change {
        LinkChange::VisitOf { before, after, .. } => Some((after.first()?, before.first())),
        _ => None,
    });
    let Some((now, before)) = owner.filter(|_| back) else {
        return Ok(());
    };
    number(v2, "PID-3", now)?;
    match before {
        Some(before) => number(v2, "MRG-1", before),
        None => Ok(()),
    }
}

/// Numbers stayed what they are and got another person (A43 without another number in PID-3).
fn other_person(group: &Group) -> bool {
    let moves = group
        .facts
        .event
        .is_some_and(|event| event.act == Act::Move && event.levels.contains(&Level::Patient));
    moves && group.facts.sides.moved_to().is_empty()
}

/// Gives numbers back to the person with whom they were: PID-2 and MRG-4 change places.
fn swap_persons(v2: &mut Message, pid: usize) -> Result<(), EditError> {
    // Number, authority by name and by its identifier, and type (HL7 v2.5.1 §2.A.14).
    const PARTS: [(&str, &[u32]); 5] = [
        ("1", &[1]),
        ("4.1", &[4, 1]),
        ("4.2", &[4, 2]),
        ("4.3", &[4, 3]),
        ("5", &[5]),
    ];
    let said = |id: &str, field: u32| {
        let segment = v2
            .segments()
            .filter(|one| one.has_id(id))
            .nth(pid.saturating_sub(1));
        let person = segment.and_then(|segment| segment.field(field)?.children().next());
        let part = |(_, part): (_, &[u32])| Some(person.as_ref()?.said(part)?.into_owned());
        PARTS.map(part)
    };
    let both = [
        (format!("PID[{pid}]-2"), said("MRG", 4)),
        (format!("MRG[{pid}]-4"), said("PID", 2)),
    ];
    for (field, texts) in both {
        if let Ok(path) = Path::parse(&field) {
            v2.delete(&path)?;
        }
        for ((part, _), text) in PARTS.iter().zip(texts) {
            if let Some(text) = text {
                write(v2, &[(&format!("{field}.{part}"), &text)])?;
            }
        }
    }
    Ok(())
}

/// Writes a number with its authority and type.
fn number(v2: &mut Message, field: &str, key: &str) -> Result<(), EditError> {
    let Some(identifier) = Identifier::of_key(key) else {
        return Ok(());
    };
    if let Ok(path) = Path::parse(field) {
        v2.delete(&path)?;
    }
    for (component, value) in [
        (1, &identifier.value),
        (4, &identifier.authority),
        (5, &identifier.kind),
    ] {
        write(v2, &[(&format!("{field}.{component}"), value)])?;
    }
    Ok(())
}

fn write(v2: &mut Message, values: &[(&str, &str)]) -> Result<(), EditError> {
    for (text, value) in values {
        if let Ok(path) = Path::parse(text) {
            v2.set(&path, value)?;
        }
    }
    Ok(())
}
