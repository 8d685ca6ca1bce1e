//! Writes the number that is in use where one stands that was merged or replaced: a receiver that
//! was told of the merge would make the former patient or visit again.

use hilum_component::{Halted, Target, Working};
use hilum_hl7v2::Path;
use hilum_identity::{Assessment, Identifier, Level};

use super::facts::{Group, VisitAt};
use crate::settings::not_written;

/// Writes the survivors of all that a message names.
pub(super) fn follow(
    message: &mut Working,
    group: &Group,
    found: &Assessment,
) -> Result<(), Halted> {
    for (from, to) in &found.followed {
        patient(message, group, from, to)?;
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

/// Writes another number where that of a patient stands.
pub(super) fn patient(
    message: &mut Working,
    group: &Group,
    from: &Identifier,
    to: &Identifier,
) -> Result<(), Halted> {
    let mut patients = group.facts.sides.patients.iter();
    let at = patients.position(|one| one == from);
    let Some(repetition) = at.and_then(|at| group.repetitions.get(at)) else {
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
            .set(&target, std::slice::from_ref(new))
            .map_err(not_written)?;
    }
    Ok(())
}
