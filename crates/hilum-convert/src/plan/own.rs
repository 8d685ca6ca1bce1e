//! Maps that make the same of the same value wherever it stands: they read nothing but the value and
//! write nothing but their target.

use super::{CodesUse, Cond, Joined, Map, Number, PlaceStep, Plan, Row, Src, Way};
use crate::text::Function;

/// What is known of a map so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Unknown,
    /// It is being looked at: a map within itself is none of these.
    Open,
    Own(bool),
}

/// Notes at each map the fields of rows that look beyond the value.
pub(super) fn note(plan: &mut Plan) {
    let mut states = vec![State::Unknown; plan.maps.len()];
    let beyond: Vec<Vec<u32>> = plan
        .maps
        .iter()
        .map(|map| {
            let rows = map.rows.iter().zip(&map.asked);
            let beyond = rows.filter(|(row, _)| !is_own_row(plan, map, row, &mut states));
            beyond.map(|(_, asked)| *asked).collect()
        })
        .collect();
    for (map, beyond) in plan.maps.iter_mut().zip(beyond) {
        map.beyond = match map.is_segment || beyond.contains(&0) {
            true => None,
            false => Some(beyond),
        };
    }
}

fn is_own(plan: &Plan, map: Number, states: &mut [State]) -> bool {
    let at = map as usize;
    match states.get(at) {
        Some(State::Own(known)) => return *known,
        Some(State::Unknown) => {}
        Some(State::Open) | None => return false,
    }
    if let Some(state) = states.get_mut(at) {
        *state = State::Open;
    }
    let own = plan.maps.get(at).is_some_and(|map| {
        !map.is_segment
            && map
                .rows
                .iter()
                .all(|row| is_own_row(plan, map, row, states))
    });
    if let Some(state) = states.get_mut(at) {
        *state = State::Own(own);
    }
    own
}

fn is_own_row(plan: &Plan, map: &Map, row: &Row, states: &mut [State]) -> bool {
    is_value(&row.source)
        && row.condition.as_ref().is_none_or(is_own_condition)
        && is_own_place(map, row.place)
        && is_own_way(plan, &row.way, states)
}

const fn is_value(src: &Src) -> bool {
    matches!(src, Src::Once | Src::Value { .. })
}

fn is_own_condition(condition: &Cond) -> bool {
    match condition {
        Cond::And(parts) | Cond::Or(parts) => parts.iter().all(is_own_condition),
        Cond::Not(inner) | Cond::Fact { of: inner, .. } => is_own_condition(inner),
        // What another row wrote before the map ran counts here.
        Cond::TargetExists => false,
        _ => condition.sources().all(is_value),
    }
}

fn is_own_place(map: &Map, mut place: Number) -> bool {
    while let Some(def) = map.places.get(place as usize) {
        match def.step {
            PlaceStep::Target => return true,
            PlaceStep::Single | PlaceStep::Append => place = def.parent,
            PlaceStep::Extension { .. } | PlaceStep::Refer { .. } | PlaceStep::Back { .. } => {
                return false;
            }
        }
    }
    false
}

fn is_own_way(plan: &Plan, way: &Way, states: &mut [State]) -> bool {
    match way {
        Way::Type | Way::Constant(_) | Way::Given(_) => true,
        Way::Role(..) => false,
        Way::Codes(codes) => is_own_table(plan, Some(codes)),
        Way::Capture(_, codes) => is_own_table(plan, codes.as_ref()),
        Way::Map { of, map, codes } => {
            of.as_ref().is_none_or(is_value)
                && is_own_table(plan, codes.as_ref())
                && is_own(plan, *map, states)
        }
        Way::Function(function, arguments, codes) => {
            let value = |part: &Joined| match part {
                Joined::Path(src) => is_value(src),
                Joined::Text(_) => true,
            };
            // A payload is not copied twice.
            !matches!(function, Function::Lines | Function::Data)
                && arguments.iter().all(value)
                && is_own_table(plan, codes.as_ref())
        }
    }
}

fn is_own_table(plan: &Plan, codes: Option<&CodesUse>) -> bool {
    codes.is_none_or(|codes| {
        plan.codes.get(codes.table as usize).is_some_and(|table| {
            let mut conditions = table.rows.iter().filter_map(|row| row.condition.as_ref());
            conditions.all(is_own_condition)
        })
    })
}
