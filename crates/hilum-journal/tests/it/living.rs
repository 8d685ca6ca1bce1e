//! The journal with its own threads: rolls under load, backup, content search, counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hilum_journal::{Background, Cancel, ContentQuery, Disposition, Outcome, Query, Tally};

use crate::door::{NOON_MS, open, request, run, settlement, text};

#[test]
fn partitions_roll_under_load_and_a_backup_opens_alone() {
    let dir = tempfile::tempdir().unwrap();
    let door = open(dir.path(), |options| {
        options.background = Background::Threads;
        options.limits.partition_bytes_max = 300_000;
        options.limits.dictionary_after = 100;
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let numbers = Arc::new(AtomicU64::new(0));
    runtime.block_on(async {
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let (journal, numbers) = (door.journal.clone(), numbers.clone());
                tokio::task::spawn(async move {
                    // On until it was rolled, which housekeeping does when its time comes.
                    loop {
                        let n = numbers.fetch_add(1, Ordering::Relaxed);
                        if n >= 2000 && journal.figures().partitions > 1 {
                            break;
                        }
                        journal.accept(request(n, 1)).await.unwrap();
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    let told: Vec<u64> = {
        let told = door.told.committed.lock().unwrap();
        told.iter()
            .map(|message| message.accepted.sequence())
            .collect()
    };
    let count = told.len();
    assert!(told.is_sorted(), "commit order goes across partitions");
    assert!(door.journal.partitions().unwrap().len() > 1);
    let pending = door
        .journal
        .pending("adt".into(), "d0".into(), None, usize::MAX / 4);
    let pending = run(pending).unwrap();
    assert_eq!(pending.len(), count);
    run(door
        .journal
        .settle(settlement(pending[0].delivery, Outcome::Delivered)))
    .unwrap();
    run(door.journal.flush()).unwrap();

    let copy = dir.path().join("copy");
    let files = door.journal.backup(&copy, &Cancel::new()).unwrap();
    assert!(files.len() > 3);
    let restored = open(&copy, |_| {});
    let left = restored.recovered.pending[&("adt".into(), "d0".into())];
    assert_eq!(left.count, count as u64 - 1);
    assert_eq!(restored.journal.verify(&Cancel::new()).unwrap(), []);
    for n in [0, 777, 1999] {
        let (_, body) = run(restored.journal.received(crate::door::id(n))).unwrap();
        assert_eq!(body, text(n));
    }
}

#[test]
fn bodies_are_searched_in_steps_and_messages_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let door = open(dir.path(), |_| {});
    for n in 0..1200 {
        let mut message = request(n, 1);
        if n % 100 == 0 {
            message.disposition = Disposition::Filtered;
            message.deliveries.clear();
        }
        run(door.journal.accept(message)).unwrap();
    }
    let query = ContentQuery {
        needle: b"00000777^^^H".to_vec(),
        channel: Some("adt".into()),
        from_ms: 0,
        to_ms: u64::MAX,
    };
    let (mut from, mut steps, mut found) = (0, 0, Vec::new());
    loop {
        let step = run(door.journal.content_step(query.clone(), from)).unwrap();
        steps += 1;
        found.extend(step.found.into_iter().map(|row| row.message));
        match step.next {
            Some(next) => from = next,
            None => break,
        }
    }
    assert_eq!(found, [crate::door::id(777)]);
    assert!(steps > 2);
    let counts = run(door.journal.statistics(Some("adt".into()), NOON_MS)).unwrap();
    let of = |what: Tally| {
        let rows = counts.iter().filter(|row| row.what == what);
        rows.map(|row| row.count).sum::<u64>()
    };
    assert_eq!(of(Tally::Message(Disposition::Accepted)), 1188);
    assert_eq!(of(Tally::Message(Disposition::Filtered)), 12);
    let filtered = Query {
        disposition: Some(Disposition::Filtered),
        ..Query::default()
    };
    for indexed in [false, true] {
        let page = run(door.journal.search(filtered.clone())).unwrap();
        assert_eq!((page.messages.len(), page.next), (12, None), "{indexed}");
        assert!(
            !indexed || page.scanned < 100,
            "the index proposes the rows"
        );
        door.journal.maintain().unwrap();
    }
}

#[test]
fn a_queue_that_is_full_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let door = open(dir.path(), |options| options.limits.in_flight_max = 2);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let refused = runtime.block_on(async {
        let waiting: Vec<_> = (0..64)
            .map(|n| {
                let journal: Arc<_> = Arc::new(door.journal.clone());
                tokio::task::spawn(async move { journal.accept(request(n, 0)).await })
            })
            .collect();
        let mut refused = 0;
        for task in waiting {
            match task.await.unwrap() {
                Ok(_) => {}
                Err(hilum_journal::AcceptError::QueueFull) => refused += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
        refused
    });
    assert!(refused > 0);
    run(door.journal.accept(request(100, 0))).unwrap();
}

#[test]
fn a_dead_letter_on_its_way_while_its_partition_is_pinned_stays_one() {
    const DAY_MS: u64 = 86_400_000;
    let dir = tempfile::tempdir().unwrap();
    let door = open(dir.path(), |_| {});
    run(door.journal.accept(request(1, 2))).unwrap();
    let pending = run(door.journal.pending("adt".into(), "d0".into(), None, 5)).unwrap();
    let later = |days| {
        let now = NOON_MS + days * DAY_MS;
        door.clock.store(now, std::sync::atomic::Ordering::Relaxed);
    };
    later(1);
    door.journal.maintain().unwrap();
    let dead = settlement(pending[0].delivery, Outcome::DeadLetter);
    // Handed in, but not written yet.
    run(door.journal.settle(dead)).unwrap();
    later(9);
    door.journal.maintain().unwrap();
    run(door.journal.flush()).unwrap();
    let left = |destination: &str| {
        let pending = door
            .journal
            .pending("adt".into(), destination.into(), None, 5);
        let dead = door
            .journal
            .dead_letters("adt".into(), destination.into(), None, 5);
        (run(pending).unwrap().len(), run(dead).unwrap().len())
    };
    assert_eq!((left("d0"), left("d1")), ((0, 1), (1, 0)));
    assert!(run(door.journal.requeue(pending[0].delivery, None)).unwrap());
    assert_eq!(left("d0"), (1, 0));
}
