//! Random commits and searches beside a store that remembers everything and looks at all of it.

mod order;
mod wish;

use std::collections::BTreeMap;

use hilum_fhir_store::{Change, IndexValue, Query, Total};
use proptest::prelude::*;

use crate::door::{Door, reference, token};
use order::{Order, order};
use wish::{Wish, wishes};

/// What the model knows of a resource.
#[derive(Clone, Debug)]
struct Known {
    pk: i64,
    seq: i64,
    rows: Vec<(&'static str, IndexValue)>,
}

type Model = BTreeMap<String, Known>;

const CODES: [&str; 4] = ["a", "b", "c", "d"];
const SYSTEMS: [&str; 3] = ["", "urn:x", "urn:y"];
const NAMES: [&str; 6] = ["Meier", "meyer", "Méier", "Müller", "Ann", "Hannah"];

fn value(of: &'static str) -> BoxedStrategy<(&'static str, IndexValue)> {
    let code = (0..SYSTEMS.len(), 0..CODES.len()).prop_map(|(s, c)| token(SYSTEMS[s], CODES[c]));
    let date = (-20_i64..20, prop_oneof![Just(0), 1_i64..30]).prop_map(|(from, days)| {
        let start_ms = from * 43_200_000;
        let end_ms = start_ms + 1 + days * 43_200_000;
        IndexValue::Date {
            start_ms,
            end_ms: if days == 29 { i64::MAX } else { end_ms },
        }
    });
    let patient = (0..6).prop_map(|n| reference(&format!("Patient/p{n}")));
    let name = (0..NAMES.len()).prop_map(|n| IndexValue::String(NAMES[n].to_owned()));
    let score = (-8_i32..8, 0_i32..3).prop_map(|(low, more)| IndexValue::Number {
        low: f64::from(low) / 2.0,
        high: f64::from(low + more) / 2.0,
    });
    if of == "Patient" {
        prop_oneof![
            code.prop_map(|v| ("identifier", v)),
            name.prop_map(|v| ("name", v)),
            date.prop_map(|v| ("birthdate", v)),
            patient.prop_map(|v| ("link", v)),
        ]
        .boxed()
    } else {
        prop_oneof![
            code.prop_map(|v| ("code", v)),
            patient.prop_map(|v| ("subject", v)),
            date.prop_map(|v| ("date", v)),
            score.prop_map(|v| ("score", v)),
        ]
        .boxed()
    }
}

type Rows = Vec<(&'static str, IndexValue)>;

/// A resource and its rows, or its deletion.
fn change() -> impl Strategy<Value = (String, Option<Rows>)> {
    let patient = (
        0..6,
        proptest::collection::vec(value("Patient"), 0..5),
        0..6,
    )
        .prop_map(|(n, rows, die)| (format!("Patient/p{n}"), (die > 0).then_some(rows)));
    let observation = (
        0..20,
        proptest::collection::vec(value("Observation"), 0..5),
        0..6,
    )
        .prop_map(|(n, rows, die)| (format!("Observation/o{n}"), (die > 0).then_some(rows)));
    prop_oneof![1 => patient, 3 => observation]
}

#[derive(Clone, Debug)]
struct Case {
    commits: Vec<Vec<(String, Option<Rows>)>>,
    searches: Vec<(&'static str, Vec<Wish>, Order, u32)>,
}

fn case() -> impl Strategy<Value = Case> {
    let commits = proptest::collection::vec(proptest::collection::vec(change(), 1..8), 1..12);
    let search = prop_oneof![Just("Patient"), Just("Observation")]
        .prop_flat_map(|of| (Just(of), wishes(of), order(), 1..7_u32));
    (commits, proptest::collection::vec(search, 1..40))
        .prop_map(|(commits, searches)| Case { commits, searches })
}

async fn play(case: Case, frequent_at: usize) {
    let limits = hilum_fhir_store::Limits {
        frequent_at,
        ..Default::default()
    };
    let door = Door::with(limits);
    let mut model = Model::new();
    for commit in &case.commits {
        let change = |(name, rows): &(String, Option<Rows>)| -> Change {
            match rows {
                Some(rows) => door.update(name, rows),
                None => door.delete(name),
            }
        };
        let done = door
            .commit(commit.iter().map(change).collect())
            .await
            .unwrap();
        for ((name, rows), written) in commit.iter().zip(done.written) {
            match rows {
                Some(rows) => {
                    let known = Known {
                        pk: written.pk.0,
                        seq: written.seq.0,
                        rows: rows.clone(),
                    };
                    model.insert(name.clone(), known);
                }
                None => drop(model.remove(name)),
            }
        }
    }
    for (of, wishes, order, count) in &case.searches {
        let query = Query {
            types: vec![door.of(of)],
            criteria: wishes.iter().map(|wish| wish.criterion(&door)).collect(),
            sort: order.sort(of, &door),
            count: *count,
            total: Total::Accurate,
            ..Query::default()
        };
        let mut expected: Vec<(&String, &Known)> = model
            .iter()
            .filter(|(name, _)| {
                name.starts_with(of) && wishes.iter().all(|wish| wish.holds(&model, name))
            })
            .collect();
        expected.sort_by(|a, b| order.compare(of, a.1, b.1));
        let expected: Vec<&str> = expected
            .iter()
            .map(|(name, _)| name.split_once('/').unwrap().1)
            .collect();
        assert_eq!(
            door.ids(&query).await,
            expected,
            "{of} {wishes:?} {order:?}"
        );
        let total = door.store.search(query).await.unwrap().total;
        assert_eq!(total, Some(expected.len() as u64), "{of} {wishes:?}");
    }
}

fn run(case: Case, frequent_at: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(play(case, frequent_at));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn searches_find_what_looking_at_everything_finds(case in case()) {
        run(case, 16_384);
    }

    // The ways for frequent matches (walks along an order, chains followed from candidates) are
    // taken when almost everything counts as frequent.
    #[test]
    fn walks_find_the_same_as_lists(case in case(), frequent_at in 1..4_usize) {
        run(case, frequent_at);
    }
}
