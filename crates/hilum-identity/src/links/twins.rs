//! Two of one birth are never one person.

use super::{LinkError, survivor};
use crate::assess::{Facts, Kind};
use crate::event::{Act, Level};
use crate::record::{Memory, Patient, Said, Standing};

/// Two of one birth: on one day, with birth orders of their own (PID-25), or, where both say so
/// (PID-24) or have the same mother (PID-21), with given names of their own.
pub(super) fn born_together(one: &Patient, other: &Patient) -> bool {
    let of_one_birth = (one.multiple_birth && other.multiple_birth)
        || one.mother.as_ref().is_some_and(|mother| {
            other.mother.as_ref().map(|other| &other.value) == Some(&mother.value)
        });
    let (one, other) = (one.person(), other.person());
    let differ = |one: &str, other: &str| {
        !one.is_empty() && !other.is_empty() && !one.eq_ignore_ascii_case(other)
    };
    let day = !differ(&one.birth, &other.birth);
    let counted = differ(&one.birth_order, &other.birth_order);
    day && (counted || (of_one_birth && differ(&one.given, &other.given)))
}

/// Whether an event makes one person of two children of one birth, by what its own message says of
/// the one who stays.
pub(crate) fn joins_twins(memory: &mut dyn Memory, facts: &Facts) -> Result<bool, LinkError> {
    let joins = facts.event.is_some_and(|event| {
        matches!(event.act, Act::Merge | Act::Change | Act::Link)
            && event.levels.contains(&Level::Patient)
    });
    if !joins {
        return Ok(false);
    }
    let mut said = Patient {
        multiple_birth: facts.multiple_birth,
        mother: facts.mother.as_ref().map(|mother| Said {
            value: mother.key(),
            as_of: facts.as_of,
            registered: true,
        }),
        ..Patient::default()
    };
    let registered = facts.kind == Kind::Registration;
    said.hear(&facts.person, Standing::Person, facts.as_of, registered);
    for former in &facts.sides.prior_patients {
        // The same event may come twice: who was merged before is told of as the one who stays.
        let key = former.key();
        let (now, row) = survivor(memory, &key)?;
        if let Some(row) = row.filter(|_| now == key)
            && born_together(&said, &row)
        {
            return Ok(true);
        }
    }
    Ok(false)
}
