//! Conditions that know a patient by a number alone.

use super::trial::plain;
use super::{Condition, Decides};
use crate::diagnostic::Draft;

/// Conditions of destinations that read the number of a patient (PID-3.1) and not who assigned it
/// (PID-3.4): HL7 v2.5.1 §2.A.14, where the number is unique only within its authority.
pub(super) fn bare_numbers(conditions: &[Condition]) -> Vec<Draft> {
    let keyed = |condition: &&Condition| {
        matches!(condition.decides, Decides::Destination(_)) && reads_bare(condition)
    };
    let found = conditions.iter().filter(keyed);
    found
        .map(|condition| {
            let text = "a patient's number decides without the authority that assigned it";
            let remedy = "two authorities use the same numbers: ask for PID-3.4 too, or write why \
                          not: `silence: { W0316: … }`";
            Draft::warning("W0316", condition.span, text).remedy(remedy)
        })
        .collect()
}

fn reads_bare(condition: &Condition) -> bool {
    let text = condition.rule.text();
    if text.contains(".4") {
        return false;
    }
    let mut bare = false;
    for found in condition.rule.expression().literals() {
        let path = plain(&found.literal.text);
        // Whether there is a number at all says nothing of whose it is.
        let rest = text.get(found.span.end..).unwrap_or_default();
        let only_there = [".exists()", ".empty()", ".count()"];
        let asks = !only_there.iter().any(|only| rest.starts_with(only));
        bare |= (path == "PID-3" || path == "PID-3.1") && asks;
    }
    bare
}
