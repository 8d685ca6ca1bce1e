//! Order under every interleaving of commits and outcomes.

use super::*;
use hilum_component::AfterReject;
use hilum_message::{DeliveryId, MessageId, OrderKey};
use proptest::prelude::*;

const EHR: QueueId = QueueId(0);
const STORE: QueueId = QueueId(1);

fn entry(sequence: u64, keys: &[u64]) -> Entry {
    Entry {
        place: sequence.into(),
        sequence,
        id: DeliveryId {
            message: MessageId::new(sequence, 0),
            ordinal: 0,
        },
        keys: keys.iter().map(|&key| OrderKey(key)).collect(),
        priority: 0,
        bytes: 1,
        attempts: 0,
        arrived_ms: 0,
        holds_keys: false,
        compare: Compare::default(),
        body: None,
    }
}

fn lanes(entries: impl IntoIterator<Item = Entry>) -> Lanes {
    let mut lanes = Lanes::default();
    lanes.add_queue(EHR);
    lanes.add_queue(STORE);
    for entry in entries {
        assert!(lanes.push(EHR, entry));
    }
    lanes
}

fn all_ready(lanes: &mut Lanes, queue: QueueId) -> Vec<u64> {
    std::iter::from_fn(|| lanes.next(queue).map(|entry| entry.sequence)).collect()
}

#[test]
fn equal_keys_wait_and_different_keys_do_not() {
    let mut lanes = lanes([entry(1, &[7]), entry(2, &[7]), entry(3, &[8])]);
    assert_eq!(all_ready(&mut lanes, EHR), [1, 3]);
    lanes.delivered(1, 0);
    assert_eq!(all_ready(&mut lanes, EHR), [2]);
}

fn held(sequence: u64, keys: &[u64]) -> Entry {
    let place = Place {
        of: sequence,
        sequence: u64::MAX - sequence,
    };
    Entry {
        place,
        holds_keys: true,
        ..entry(sequence, keys)
    }
}

#[test]
fn what_came_while_a_message_of_its_keys_was_held_is_to_be_compared() {
    let mut lanes = lanes([entry(1, &[7])]);
    let hold = held(2, &[7]);
    let place = hold.place;
    lanes.hold_message(EHR, hold);
    for (sequence, key) in [(3, 7), (4, 8)] {
        assert!(lanes.push(EHR, entry(sequence, &[key])));
    }
    let forced = Entry {
        compare: Compare::Never,
        ..entry(5, &[7])
    };
    lanes.requeue(EHR, forced);
    let went_on = Entry {
        place: Place { of: 2, sequence: 6 },
        ..entry(6, &[7])
    };
    lanes.push(EHR, went_on);
    lanes.hold_is_over(place, 0, Some(6));
    lanes.push(EHR, entry(7, &[7]));
    let mut compared = Vec::new();
    while let Some(next) = lanes.next(EHR) {
        compared.push((next.sequence, next.compare));
        lanes.delivered(next.place, 0);
    }
    let (no, due) = (Compare::IfBehindHold, Compare::Due);
    let expected = [
        (1, no),
        (6, no),
        (3, due),
        (4, no),
        (5, Compare::Never),
        (7, no),
    ];
    assert_eq!(compared, expected);
}

#[test]
fn what_is_loaded_after_the_hold_is_compared_too_and_holds_are_forgotten_then() {
    let mut lanes = lanes([]);
    lanes.unloaded(EHR);
    lanes.was_held(Place { of: 2, sequence: 9 }, 6, &[OrderKey(7)]);
    lanes.was_held(Place { of: 4, sequence: 9 }, 5, &[OrderKey(8)]);
    let reading = lanes.wants_load(EHR).expect("a reading");
    let loaded = [(1, 7), (3, 7), (3, 8), (7, 7)];
    let loaded = loaded
        .into_iter()
        .zip(0..)
        .map(|((sequence, key), ordinal)| {
            let mut entry = entry(sequence, &[key]);
            entry.id.ordinal = ordinal;
            entry
        });
    lanes.load(EHR, reading, loaded.collect(), false);
    let mut compared = Vec::new();
    while let Some(next) = lanes.next(EHR) {
        if next.compare == Compare::Due {
            compared.push((next.sequence, next.keys.clone()));
        }
        lanes.delivered(next.place, next.id.ordinal);
    }
    assert_eq!(compared, [(3, vec![OrderKey(7)])]);
    assert!(lanes.waits.is_empty());
}

#[test]
fn a_merge_waits_for_both_patients_and_blocks_both() {
    let mut lanes = lanes([
        entry(1, &[1]),
        entry(2, &[2]),
        entry(3, &[1, 2]),
        entry(4, &[1]),
        entry(5, &[2]),
    ]);
    assert_eq!(all_ready(&mut lanes, EHR), [1, 2]);
    lanes.delivered(2, 0);
    assert!(all_ready(&mut lanes, EHR).is_empty());
    lanes.delivered(1, 0);
    assert_eq!(all_ready(&mut lanes, EHR), [3]);
    lanes.delivered(3, 0);
    assert_eq!(all_ready(&mut lanes, EHR), [4, 5]);
}

#[test]
fn retry_suspends_the_queue_and_one_probe_opens_it() {
    let mut lanes = lanes([entry(1, &[1]), entry(2, &[2]), entry(3, &[3])]);
    assert_eq!(all_ready(&mut lanes, EHR), [1, 2, 3]);
    lanes.retry(2, 0);
    assert_eq!(lanes.gate(EHR), Some(Gate::Suspended { probing: false }));
    assert_eq!(lanes.probe(EHR), None, "attempts are still out");
    lanes.retry(1, 0);
    lanes.retry(3, 0);
    assert!(lanes.next(EHR).is_none());
    let probe = lanes.probe(EHR).expect("a probe");
    assert_eq!((probe.sequence, probe.attempts), (1, 2));
    assert!(lanes.probe(EHR).is_none(), "one probe at a time");
    lanes.delivered(1, 0);
    assert_eq!(all_ready(&mut lanes, EHR), [2, 3]);
}

#[test]
fn a_rejected_delivery_holds_its_key_until_it_is_released() {
    let mut lanes = lanes([entry(1, &[1]), entry(2, &[1]), entry(3, &[2])]);
    assert_eq!(all_ready(&mut lanes, EHR), [1, 3]);
    lanes.rejected(1, 0, AfterReject::HoldKey);
    assert_eq!(lanes.held(EHR), (1, 1));
    assert!(lanes.next(EHR).is_none());
    lanes.release(1, 0);
    assert_eq!(all_ready(&mut lanes, EHR), [2]);
}

#[test]
fn a_halt_pauses_until_a_person_resumes() {
    let mut lanes = lanes([entry(1, &[1])]);
    assert_eq!(all_ready(&mut lanes, EHR), [1]);
    lanes.halt(1, 0);
    assert!(lanes.next(EHR).is_none() && lanes.probe(EHR).is_none());
    lanes.resume(EHR);
    assert_eq!(all_ready(&mut lanes, EHR), [1]);
}

#[test]
fn priority_passes_other_keys_but_not_its_own() {
    let stat = |sequence, keys: &[u64]| Entry {
        priority: 9,
        ..entry(sequence, keys)
    };
    let mut lanes = lanes([entry(1, &[1]), entry(2, &[2]), stat(3, &[2]), stat(4, &[3])]);
    assert_eq!(all_ready(&mut lanes, EHR), [4, 1, 2]);
    lanes.delivered(2, 0);
    assert_eq!(all_ready(&mut lanes, EHR), [3]);
}

#[test]
fn beyond_the_window_deliveries_stay_in_the_journal_and_nothing_overtakes_them() {
    let mut lanes = lanes((0..WINDOW as u64).map(|n| entry(n, &[n])));
    let over = WINDOW as u64;
    assert!(!lanes.push(EHR, entry(over, &[1])), "one over the window");
    assert!(lanes.push(STORE, entry(over + 1, &[1_000_000])));
    assert!(
        lanes.next(STORE).is_none(),
        "an earlier delivery of the system is not loaded"
    );
    for sequence in all_ready(&mut lanes, EHR) {
        lanes.delivered(sequence, 0);
    }
    let reading = lanes.wants_load(EHR).expect("room");
    assert_eq!(reading.after, over - 1);
    assert!(lanes.load(EHR, reading, vec![entry(over, &[1])], false));
    assert_eq!(all_ready(&mut lanes, EHR), [over]);
    assert_eq!(all_ready(&mut lanes, STORE), [over + 1]);
    assert!(lanes.wants_load(EHR).is_none());
}

#[test]
fn priority_passes_a_backlog_in_the_journal_but_not_its_own() {
    let stat = |sequence, key| Entry {
        priority: 9,
        ..entry(sequence, &[key])
    };
    let over = WINDOW as u64;
    let mut lanes = lanes((0..over).map(|n| entry(n, &[n])));
    assert!(!lanes.push(EHR, entry(over, &[5_000_000])));
    assert!(lanes.push(EHR, stat(over + 1, 6_000_000)));
    assert!(!lanes.push(EHR, stat(over + 2, 5_000_000)), "its own key");
    assert!(!lanes.push(EHR, entry(over + 3, &[6_000_000])));
    assert!(lanes.push(STORE, stat(over + 4, 7_000_000)));
    assert!(lanes.push(STORE, entry(over + 5, &[8_000_000])));
    assert_eq!(all_ready(&mut lanes, STORE), [over + 4]);
    let ready = all_ready(&mut lanes, EHR);
    assert_eq!(ready.first(), Some(&(over + 1)));
    for sequence in ready {
        lanes.delivered(sequence, 0);
    }
    let reading = lanes.wants_load(EHR).expect("room");
    assert_eq!(reading.after, over - 1, "from where it was");
    // The journal may not have settled yet what has passed.
    let rest = [
        entry(over, &[5_000_000]),
        stat(over + 1, 6_000_000),
        stat(over + 2, 5_000_000),
        entry(over + 3, &[6_000_000]),
    ];
    lanes.load(EHR, reading, rest.into(), false);
    assert_eq!(all_ready(&mut lanes, EHR), [over, over + 3]);
    lanes.delivered(over, 0);
    assert_eq!(all_ready(&mut lanes, EHR), [over + 2]);
    assert_eq!(all_ready(&mut lanes, STORE), [over + 5]);
    assert!(lanes.wants_load(EHR).is_none());
}

#[test]
fn what_was_committed_while_the_journal_was_read_is_read_next() {
    let mut lanes = lanes([]);
    lanes.unloaded(EHR);
    let reading = lanes.wants_load(EHR).expect("a backlog");
    assert!(!lanes.push(EHR, entry(2, &[2])));
    lanes.load(EHR, reading, vec![entry(1, &[1])], false);
    let reading = lanes.wants_load(EHR).expect("one more");
    assert_eq!(reading.after, 1);
    assert!(
        lanes.load(EHR, reading, Vec::new(), false),
        "withdrawn meanwhile"
    );
    assert!(
        lanes.wants_load(EHR).is_none(),
        "and nothing is read forever"
    );
    assert_eq!(all_ready(&mut lanes, EHR), [1]);
}

#[test]
fn what_was_requeued_while_the_journal_was_read_is_not_passed_over() {
    let mut lanes = lanes([]);
    lanes.unloaded(EHR);
    let reading = lanes.wants_load(EHR).expect("a backlog");
    lanes.requeue(EHR, entry(1, &[1]));
    assert!(!lanes.load(EHR, reading, vec![entry(2, &[1])], false));
    let reading = lanes.wants_load(EHR).expect("again");
    assert_eq!(reading.after, 0);
    lanes.load(EHR, reading, vec![entry(1, &[1]), entry(2, &[1])], false);
    assert_eq!(all_ready(&mut lanes, EHR), [1]);
}

#[test]
fn nothing_passes_a_backlog_whose_keys_nobody_knows_or_beyond_the_limit() {
    let stat = |sequence, key| Entry {
        priority: 9,
        ..entry(sequence, &[key])
    };
    let mut lanes = lanes([]);
    lanes.unloaded(EHR);
    assert!(!lanes.push(EHR, stat(7, 1)));
    let reading = lanes.wants_load(EHR).expect("room");
    lanes.load(EHR, reading, vec![entry(1, &[1]), stat(7, 1)], false);
    assert_eq!(all_ready(&mut lanes, EHR), [1]);
    let (first, passing) = (8 + WINDOW as u64, PASSING_MAX as u64);
    for sequence in 8..=first {
        lanes.push(EHR, entry(sequence, &[sequence]));
    }
    for sequence in 1..=passing {
        assert!(lanes.push(EHR, stat(first + sequence, 1_000_000 + sequence)));
    }
    assert!(!lanes.push(EHR, stat(first + passing + 1, 9_000_000)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any keys, any outcomes: every delivery is delivered, and those that share a key are
    /// delivered in commit order.
    #[test]
    fn order_holds_for_every_key(
        keys in prop::collection::vec(prop::collection::btree_set(0_u64..6, 1..3), 1..60),
        outcomes in prop::collection::vec(0_u8..4, 200),
    ) {
        let entries = keys.iter().enumerate().map(|(n, keys)| {
            entry(n as u64, &keys.iter().copied().collect::<Vec<_>>())
        });
        let mut lanes = lanes(entries);
        let mut out: Vec<u64> = Vec::new();
        let mut done: Vec<u64> = Vec::new();
        let mut outcomes = outcomes.into_iter().cycle();
        while done.len() < keys.len() {
            out.extend(all_ready(&mut lanes, EHR));
            if out.is_empty() {
                let probe = lanes.probe(EHR);
                prop_assert!(probe.is_some(), "something can go on");
                out.extend(probe.map(|entry| entry.sequence));
            }
            for (n, &one) in out.iter().enumerate() {
                for &other in out.iter().skip(n + 1) {
                    prop_assert!(keys[one as usize].is_disjoint(&keys[other as usize]));
                }
            }
            let which = usize::from(outcomes.next().unwrap_or(0)) % out.len();
            let sequence = out.remove(which);
            match outcomes.next() {
                Some(0) => lanes.retry(sequence, 0),
                _ => {
                    lanes.delivered(sequence, 0);
                    done.push(sequence);
                }
            }
        }
        for (place, &one) in done.iter().enumerate() {
            for &later in done.iter().skip(place + 1) {
                prop_assert!(one < later || keys[one as usize].is_disjoint(&keys[later as usize]));
            }
        }
    }
}
