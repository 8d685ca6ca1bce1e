//! The journal against a model in memory: any sequence of operations, restarts included.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use hilum_journal::{
    AnyOf, DeliveryRef, DeliveryState, Disposition, JournalOptions, Outcome, Query, Token,
};
use hilum_message::{IndexToken, Payload};
use proptest::prelude::*;

use crate::door::{Door, NOON_MS, open_at, request, run, settlement, text};

#[derive(Clone, Debug)]
enum Action {
    Accept {
        destinations: u32,
        patient: u8,
        filtered: bool,
    },
    Settle {
        which: usize,
        outcome: u8,
    },
    Requeue {
        which: usize,
    },
    Later {
        minutes: u64,
    },
    Maintain,
    Restart,
    DropOld,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => (0..3_u32, 0..4_u8, any::<bool>()).prop_map(|(destinations, patient, filtered)| {
            Action::Accept { destinations, patient, filtered }
        }),
        4 => (any::<usize>(), 0..3_u8).prop_map(|(which, outcome)| Action::Settle { which, outcome }),
        1 => any::<usize>().prop_map(|which| Action::Requeue { which }),
        2 => (1..2000_u64).prop_map(|minutes| Action::Later { minutes }),
        2 => Just(Action::Maintain),
        1 => Just(Action::Restart),
        1 => Just(Action::DropOld),
    ]
}

struct Row {
    n: u64,
    at_ms: u64,
    patient: u8,
    filtered: bool,
}

#[derive(Default)]
struct Model {
    rows: BTreeMap<u64, Row>,
    deliveries: BTreeMap<(u64, u32), (DeliveryRef, DeliveryState)>,
    now_ms: u64,
    next: u64,
}

const DAY_MS: u64 = 86_400_000;

fn door(dir: &std::path::Path, now_ms: u64) -> Door {
    open_at(dir, now_ms, |options: &mut JournalOptions| {
        options.limits.partition_bytes_max = 200_000;
        options.limits.pin_after_ms = 2 * DAY_MS;
        options.limits.dictionary_after = 20;
    })
}

fn patient(n: u8) -> Token {
    Token {
        kind: Token::PATIENT,
        value: IndexToken(i64::from(n)),
    }
}

impl Model {
    fn act(&mut self, door: &Door, action: &Action) {
        match action {
            Action::Accept {
                destinations,
                patient: of,
                filtered,
            } => {
                let n = self.next;
                self.next += 1;
                let mut message = request(n, if *filtered { 0 } else { *destinations });
                message.arrived_ms = self.now_ms;
                message.tokens = vec![patient(*of)];
                if *filtered {
                    message.disposition = Disposition::Filtered;
                }
                let proof = run(door.journal.accept(message)).unwrap();
                let sequence = proof.sequence();
                for ordinal in 0..if *filtered { 0 } else { *destinations } {
                    let id = hilum_message::DeliveryId {
                        message: proof.message(),
                        ordinal,
                    };
                    let delivery = DeliveryRef { id, sequence };
                    let entry = (delivery, DeliveryState::Pending);
                    self.deliveries.insert((sequence, ordinal), entry);
                }
                let row = Row {
                    n,
                    at_ms: self.now_ms,
                    patient: *of,
                    filtered: *filtered,
                };
                self.rows.insert(sequence, row);
            }
            Action::Settle { which, outcome } => {
                let (outcome, state) = match outcome {
                    0 => (Outcome::Delivered, DeliveryState::Delivered),
                    1 => (Outcome::DeadLetter, DeliveryState::DeadLetter),
                    _ => (Outcome::Withdrawn, DeliveryState::Withdrawn),
                };
                if let Some(delivery) = self.pick(*which, DeliveryState::Pending, state) {
                    run(door.journal.settle(settlement(delivery, outcome))).unwrap();
                }
            }
            Action::Requeue { which } => {
                run(door.journal.flush()).unwrap();
                let dead = self.pick(*which, DeliveryState::DeadLetter, DeliveryState::Pending);
                if let Some(delivery) = dead {
                    assert!(run(door.journal.requeue(delivery, None)).unwrap());
                }
            }
            Action::Later { minutes } => {
                self.now_ms += minutes * 60_000;
                door.clock.store(self.now_ms, Ordering::Relaxed);
            }
            Action::Maintain => door.journal.maintain().unwrap(),
            Action::DropOld => self.drop_old(door),
            Action::Restart => unreachable!("handled by the test"),
        }
    }

    fn drop_old(&mut self, door: &Door) {
        run(door.journal.flush()).unwrap();
        door.journal.maintain().unwrap();
        let before = self.now_ms.saturating_sub(3 * DAY_MS);
        let kept: BTreeSet<_> = {
            door.journal.drop_before(before).unwrap();
            self.rows.keys().copied().collect()
        };
        // Rows younger than the limit may not go; which older ones did is not the model's.
        let gone: Vec<u64> = kept
            .into_iter()
            .filter(|sequence| {
                let young = self.rows[sequence].at_ms >= before;
                let there = run(door.journal.received_at(*sequence)).is_ok();
                assert!(there || !young, "a young row was dropped");
                !there
            })
            .collect();
        for sequence in gone {
            self.rows.remove(&sequence);
            let settled = |(at, _): &(u64, u32)| *at == sequence;
            let lost: Vec<_> = self
                .deliveries
                .keys()
                .filter(|k| settled(k))
                .copied()
                .collect();
            for key in lost {
                let (_, state) = self.deliveries.remove(&key).unwrap();
                let open = [DeliveryState::Pending, DeliveryState::DeadLetter];
                assert!(!open.contains(&state), "an open delivery was dropped");
            }
        }
    }

    fn pick(
        &mut self,
        which: usize,
        from: DeliveryState,
        to: DeliveryState,
    ) -> Option<DeliveryRef> {
        let mut open: Vec<_> = self
            .deliveries
            .values_mut()
            .filter(|(_, s)| *s == from)
            .collect();
        if open.is_empty() {
            return None;
        }
        let at = which % open.len();
        open[at].1 = to;
        Some(open[at].0)
    }

    fn compare(&self, door: &Door) {
        run(door.journal.flush()).unwrap();
        for (name, state) in [
            ("pending", DeliveryState::Pending),
            ("dead", DeliveryState::DeadLetter),
        ] {
            for ordinal in 0..2_u32 {
                let destination: std::sync::Arc<str> = format!("d{ordinal}").into();
                let found: Vec<DeliveryRef> = if state == DeliveryState::Pending {
                    let all = run(door.journal.pending("adt".into(), destination, None, 1000));
                    all.unwrap().into_iter().map(|d| d.delivery).collect()
                } else {
                    let all = run(door
                        .journal
                        .dead_letters("adt".into(), destination, None, 1000));
                    all.unwrap()
                        .into_iter()
                        .map(|d| d.delivery.delivery)
                        .collect()
                };
                let expected: Vec<DeliveryRef> = self
                    .deliveries
                    .values()
                    .filter(|(d, s)| d.id.ordinal == ordinal && *s == state)
                    .map(|(d, _)| *d)
                    .collect();
                assert_eq!(found, expected, "{name} of d{ordinal}");
                for delivery in found {
                    let n = self.rows[&delivery.sequence].n;
                    let (_, body) = run(door.journal.body(delivery)).unwrap();
                    assert_eq!(body, text(n + u64::from(ordinal)));
                }
            }
        }
        for (sequence, row) in &self.rows {
            let (stored, body): (_, Payload) = run(door.journal.received_at(*sequence)).unwrap();
            assert_eq!((body, stored.arrived_ms), (text(row.n), row.at_ms));
        }
        self.compare_searches(door);
    }

    fn compare_searches(&self, door: &Door) {
        let middle =
            self.rows.values().map(|r| r.at_ms).sum::<u64>() / self.rows.len().max(1) as u64;
        for of in [None, Some(0), Some(2)] {
            for disposition in [None, Some(Disposition::Filtered)] {
                for (from_ms, to_ms) in [(0, u64::MAX), (middle, u64::MAX), (0, middle)] {
                    let expected: Vec<u64> = self
                        .rows
                        .iter()
                        .rev()
                        .filter(|(_, row)| of.is_none_or(|of| row.patient == of))
                        .filter(|(_, row)| disposition.is_none() || row.filtered)
                        .filter(|(_, row)| (from_ms..=to_ms).contains(&row.at_ms))
                        .map(|(sequence, _)| *sequence)
                        .collect();
                    let mut query = Query {
                        channel: Some("adt".into()),
                        disposition,
                        from_ms,
                        to_ms,
                        limit: 7,
                        ..Query::default()
                    };
                    let any = of.map(|of| AnyOf {
                        kind: Token::PATIENT,
                        values: vec![patient(of).value],
                    });
                    query.tokens.extend(any);
                    let mut found = Vec::new();
                    loop {
                        let page = run(door.journal.search(query.clone())).unwrap();
                        found.extend(page.messages.iter().map(|row| row.sequence));
                        query.before = page.next;
                        if page.next.is_none() {
                            break;
                        }
                    }
                    assert_eq!(found, expected, "{query:?}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn it_behaves_like_the_model(actions in proptest::collection::vec(action(), 1..60)) {
        let dir = tempfile::tempdir().unwrap();
        let mut model = Model { now_ms: NOON_MS, ..Model::default() };
        let mut at = door(dir.path(), model.now_ms);
        for action in &actions {
            if matches!(action, Action::Restart) {
                at.close();
                at = door(dir.path(), model.now_ms);
            } else {
                model.act(&at, action);
            }
        }
        model.compare(&at);
        at.close();
        let at = door(dir.path(), model.now_ms);
        model.compare(&at);
        at.journal.maintain().unwrap();
        model.compare(&at);
        prop_assert_eq!(at.journal.verify(&hilum_journal::Cancel::new()).unwrap(), vec![]);
    }
}
