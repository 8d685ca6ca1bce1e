//! Orders of the model: what the store is asked, and how resources compare.

use std::cmp::Ordering;

use hilum_fhir_store::{Direction, IndexValue, SortBy, SortKey};
use proptest::prelude::*;

use super::Known;
use crate::door::Door;

/// What to sort by: nothing, a date, a name or score, the time of change; and which ways.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    by: u8,
    second: bool,
    ways: (Direction, Direction),
}

pub(super) fn order() -> impl Strategy<Value = Order> {
    let way = || proptest::sample::select(vec![Direction::Ascending, Direction::Descending]);
    (0..5_u8, any::<bool>(), way(), way()).prop_map(|(by, second, first, other)| Order {
        by,
        second,
        ways: (first, other),
    })
}

impl Order {
    fn params(self, of: &str) -> Vec<&'static str> {
        let (date, own, code) = match of {
            "Patient" => ("Patient.birthdate", "Patient.name", "Patient.identifier"),
            _ => ("Observation.date", "Observation.score", "Observation.code"),
        };
        let mut keys = match self.by {
            0 => return vec![],
            1 => vec![date],
            2 => vec![own],
            3 => vec![code],
            _ => vec!["changed"],
        };
        if self.second && self.by < 4 {
            keys.push(if self.by == 1 { own } else { date });
        }
        keys
    }

    pub(super) fn sort(self, of: &str, door: &Door) -> Vec<SortKey> {
        let ways = [self.ways.0, self.ways.1];
        let key = |(name, direction): (&str, Direction)| SortKey {
            by: match name {
                "changed" => SortBy::LastUpdated,
                name => SortBy::Param(vec![door.param(name)]),
            },
            direction,
        };
        self.params(of).into_iter().zip(ways).map(key).collect()
    }

    pub(super) fn compare(self, of: &str, a: &Known, b: &Known) -> Ordering {
        let ways = [self.ways.0, self.ways.1];
        for (name, way) in self.params(of).into_iter().zip(ways) {
            let order = match (sort_key(a, name, way), sort_key(b, name, way)) {
                (None, None) => Ordering::Equal,
                (None, Some(_)) => return Ordering::Greater,
                (Some(_), None) => return Ordering::Less,
                (Some(a), Some(b)) if way == Direction::Ascending => a.cmp(&b),
                (Some(a), Some(b)) => b.cmp(&a),
            };
            if order != Ordering::Equal {
                return order;
            }
        }
        if self.by != 0 && self.ways.0 == Direction::Descending {
            b.pk.cmp(&a.pk)
        } else {
            a.pk.cmp(&b.pk)
        }
    }
}

fn sort_key(known: &Known, name: &str, way: Direction) -> Option<(i64, String)> {
    let Some((_, code)) = name.split_once('.') else {
        return Some((known.seq, String::new()));
    };
    let key = |value: &IndexValue| match value {
        IndexValue::Date { start_ms, .. } => (*start_ms, String::new()),
        IndexValue::Number { low, .. } => ((low * 2.0) as i64, String::new()),
        IndexValue::String(text) => (0, text.to_lowercase().replace('é', "e").replace('ü', "u")),
        IndexValue::Token { code, .. } => (0, code.clone().unwrap()),
        _ => unreachable!(),
    };
    let keys = known
        .rows
        .iter()
        .filter(|(of, _)| *of == code)
        .map(|(_, value)| key(value));
    if way == Direction::Ascending {
        keys.min()
    } else {
        keys.max()
    }
}
