//! Conditions about a segment, or about one repetition in it, by number: many rows ask the same, and
//! each is answered once.

use std::collections::HashMap;

use super::{Cond, NO_FACT, Number, Plan, Src};

/// What the answer to a condition depends on beside the settings.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    Segment,
    Repetition,
    /// The value at hand, or what was written.
    More,
}

fn of_source(src: &Src) -> Scope {
    match src {
        Src::Field { own: true, .. } => Scope::Repetition,
        Src::Once | Src::Segment(_) | Src::Field { .. } => Scope::Segment,
        Src::Value { .. } => Scope::More,
    }
}

fn scope(condition: &Cond) -> Scope {
    match condition {
        Cond::And(parts) | Cond::Or(parts) => {
            parts.iter().map(scope).max().unwrap_or(Scope::Segment)
        }
        Cond::Not(inner) => scope(inner),
        Cond::Fact {
            per_repetition: true,
            ..
        } => Scope::Repetition,
        Cond::Fact { .. } => Scope::Segment,
        Cond::TargetEmpty | Cond::TargetExists => Scope::More,
        _ => {
            let scopes = condition.sources().map(of_source);
            scopes.max().unwrap_or(Scope::Segment)
        }
    }
}

/// Gives conditions that are asked for by number their number.
pub(super) fn number(plan: &mut Plan) {
    let mut known = HashMap::new();
    let of_maps = plan.maps.iter_mut().flat_map(|map| &mut map.rows);
    let of_maps = of_maps.filter_map(|row| row.condition.as_mut());
    let of_messages = plan.messages.iter_mut().flat_map(|rows| &mut rows.rows);
    let of_messages = of_messages.filter_map(|row| row.condition.as_mut());
    let of_identity = plan.identity.iter_mut();
    let of_identity = of_identity.filter_map(|row| row.condition.as_mut());
    for condition in of_maps.chain(of_messages).chain(of_identity) {
        wrap(condition, &mut known);
    }
    plan.facts = known.len();
    for map in &mut plan.maps {
        let guards = map.rows.iter().map(|row| guard(row.condition.as_ref()));
        map.guards = guards.collect();
    }
}

/// The first part of a condition that the segment alone answers and without which it does not hold:
/// what stands first is asked by many rows.
fn guard(condition: Option<&Cond>) -> Number {
    let first = |parts: &[Cond]| {
        let mut guards = parts.iter().map(|part| guard(Some(part)));
        guards.find(|guard| *guard != NO_FACT)
    };
    match condition {
        Some(Cond::And(parts)) => first(parts).unwrap_or(NO_FACT),
        Some(Cond::Fact {
            number,
            per_repetition,
            of,
        }) => {
            let own = if *per_repetition { NO_FACT } else { *number };
            match &**of {
                Cond::And(parts) => first(parts).unwrap_or(own),
                _ => own,
            }
        }
        _ => NO_FACT,
    }
}

fn wrap(condition: &mut Cond, known: &mut HashMap<String, Number>) {
    match condition {
        Cond::And(parts) | Cond::Or(parts) => {
            for part in parts {
                wrap(part, known);
            }
        }
        Cond::Not(inner) => wrap(inner, known),
        _ => {}
    }
    let scope = scope(condition);
    // What costs as little as the look at its answer has no number.
    let cheap = matches!(
        condition,
        Cond::Setting(..) | Cond::SettingIn(..) | Cond::SettingExists(_)
    );
    if scope == Scope::More || cheap {
        return;
    }
    let next = Number::try_from(known.len()).unwrap_or(Number::MAX);
    let number = *known.entry(format!("{condition:?}")).or_insert(next);
    *condition = Cond::Fact {
        number,
        per_repetition: scope == Scope::Repetition,
        of: Box::new(std::mem::replace(condition, Cond::TargetEmpty)),
    };
}
