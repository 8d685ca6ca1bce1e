//! Writes the number that is in use where one stands that was merged or replaced: a receiver that
//! was told of the merge would make the former patient or visit again.

use hilum_component::{Halted, Target, Working};
use hilum_hl7v2::{Message, Path};
use hilum_identity::{Assessment, Identifier, Level};

use super::facts::{Group, VisitAt};
use crate::settings::not_written;

/// Writes the survivors of all that a message names.
pub(super) fn follow(
    message: &mut Working,
    group: &Group,
    found: &Assessment,
) -> Result<(), Halted> {
    // From the last one, so that the places before stay what they are.
    let mut followed: Vec<_> = found.followed.iter().collect();
    followed.sort_by_key(|(from, _)| std::cmp::Reverse(place(group, from)));
    for (from, to) in followed {
        if place(group, to).is_some() {
            // It is there with its own number.
            leave_out(message, group, from)?;
        } else {
            patient(message, group, from, to)?;
        }
    }
    for (level, from, to) in &found.visits {
        let place = group.visits.iter().find(|place| place.level == *level);
        let Some(VisitAt {
            segment,
            nth,
            field,
            repetition,
            ..
        }) = place
        else {
            continue;
        };
        let at = format!("{segment}[{nth}]-{field}[{repetition}]");
        write(message, &at, from, to)?;
    }
    Ok(())
}

/// The field that a number stands in.
pub(super) const fn path(level: Level) -> &'static str {
    match level {
        Level::Patient => "PID-3",
        Level::Account => "PID-18",
        Level::Visit => "PV1-19",
        Level::AlternateVisit => "PV1-50",
    }
}

/// The repetition of PID-3 that a number stands in.
fn place(group: &Group, number: &Identifier) -> Option<u32> {
    let mut patients = group.facts.sides.patients.iter();
    let at = patients.position(|one| one == number)?;
    group.repetitions.get(at).copied()
}

/// Takes a number out of PID-3.
fn leave_out(message: &mut Working, group: &Group, number: &Identifier) -> Result<(), Halted> {
    let (Some(repetition), Some(v2)) = (
        place(group, number),
        message.document.as_any_mut().downcast_mut::<Message>(),
    ) else {
        return Ok(());
    };
    let unwritten = |why: String| Halted::reject(format!("the survivor cannot be written: {why}"));
    let path = Path::parse(&format!("PID[{}]-3[{repetition}]", group.pid))
        .map_err(|error| unwritten(error.to_string()))?;
    v2.delete(&path)
        .map_err(|error| unwritten(error.to_string()))?;
    Ok(())
}

/// Writes another number where that of a patient stands.
pub(super) fn patient(
    message: &mut Working,
    group: &Group,
    from: &Identifier,
    to: &Identifier,
) -> Result<(), Halted> {
    let Some(repetition) = place(group, from) else {
        return Ok(());
    };
    let at = format!("PID[{}]-3[{repetition}]", group.pid);
    write(message, &at, from, to)
}

/// Number, authority and type, as far as they differ.
fn write(
    message: &mut Working,
    at: &str,
    from: &Identifier,
    to: &Identifier,
) -> Result<(), Halted> {
    let parts = [
        (1, &from.value, &to.value),
        (4, &from.authority, &to.authority),
        (5, &from.kind, &to.kind),
    ];
    for (component, old, new) in parts {
        if old == new {
            continue;
        }
        let path = Path::parse(&format!("{at}.{component}"))
            .map_err(|error| Halted::reject(format!("the survivor cannot be written: {error}")))?;
        let target = Target {
            text: path.to_string(),
            compiled: Box::new(path),
        };
        message
            .document
            .set(&target, &[new.to_string()])
            .map_err(not_written)?;
    }
    Ok(())
}
