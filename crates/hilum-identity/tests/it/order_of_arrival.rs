//! What is known does not depend on the order in which messages come.

use std::collections::BTreeMap;

use hilum_identity::{Facts, Patient, Visit, VisitStatus};
use proptest::prelude::*;

use crate::build::*;

fn stay() -> Vec<Facts> {
    let mut all = vec![
        adt("A05", "1", "Smith^J^^", 1).with_visit("V"),
        adt("A01", "1", "Smith^John^19500101^M", 2).with_visit("V"),
        adt("A02", "1", "Smith^John^19500101^", 3).with_visit("V"),
        adt("A08", "1", "Smyth^John^^M", 4).with_visit("V"),
        adt("A03", "1", "Smyth^John^19500101^M", 5).with_visit("V"),
    ];
    all[4].sides.account = Some(account("N"));
    all
}

/// What is known, without the ids that derive from whichever message was first.
fn known(state: &mut State) -> (Patient, Visit) {
    let mut row = patient(state, "1");
    row.id = "".into();
    let mut visit = visit_row(state, "V");
    visit.id = "".into();
    (row, visit)
}

fn permutations(items: Vec<Facts>) -> Vec<Vec<Facts>> {
    if items.len() < 2 {
        return vec![items];
    }
    (0..items.len())
        .flat_map(|at| {
            let mut rest = items.clone();
            let first = rest.remove(at);
            permutations(rest).into_iter().map(move |mut rest| {
                rest.insert(0, first.clone());
                rest
            })
        })
        .collect()
}

#[test]
fn a_stay_is_the_same_stay_in_every_order_of_arrival_and_with_repeats() {
    let mut states = Vec::new();
    for order in permutations(stay()) {
        let mut state = State::new();
        for (number, message) in order.iter().enumerate() {
            accepted(&mut state, number as u64, message);
            accepted(&mut state, 100 + number as u64, message);
        }
        states.push(known(&mut state));
    }
    assert_eq!(states.len(), 120);
    assert_eq!(states[0].0.person(), person("Smyth^John^19500101^M"));
    assert_eq!(states[0].1.status, VisitStatus::Finished);
    assert!(states.iter().all(|state| *state == states[0]));
}

proptest! {
    /// Longer stays, seeded: cancelled, reopened, with results between.
    #[test]
    fn longer_stays_too(seed in prop::collection::vec((0_usize..8, 1_i64..50), 6..20), swap in any::<u64>()) {
        let codes = ["A01", "A02", "A03", "A05", "A08", "A11", "A13", "A31"];
        let mut times = BTreeMap::new();
        let mut messages: Vec<Facts> = seed.iter().map(|(code, at)| {
            // One time, one message: what a source says at one moment is one state.
            let at = *times.entry(*at).and_modify(|next| *next += 50).or_insert(*at);
            let name = format!("Smith^John{}^19500101^M", at % 3);
            adt(codes[*code], "1", &name, at).with_visit("V")
        }).collect();
        messages.sort_by_key(|message| message.as_of);
        let mut state = State::new();
        for (number, message) in messages.iter().enumerate() {
            accepted(&mut state, number as u64, message);
        }
        let expected = known(&mut state);
        let mut random = swap;
        for at in (1..messages.len()).rev() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            messages.swap(at, (random >> 33) as usize % (at + 1));
        }
        let mut state = State::new();
        for (number, message) in messages.iter().enumerate() {
            accepted(&mut state, number as u64, message);
        }
        prop_assert_eq!(known(&mut state), expected);
    }
}
