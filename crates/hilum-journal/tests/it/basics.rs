//! Accepting, settling, restarting.

use bytes::Bytes;
use hilum_journal::{
    AcceptError, Disposition, Hold, Outcome, Publication, Resend, StateMerge, StateRead,
    StateWrite, TimerWrite,
};
use hilum_message::{BlobRange, Cut, Payload};

use crate::door::{NOON_MS, attempt, id, open, request, run, settlement, text};

/// It is pending again, and its attempts say why.
fn requeued(door: &crate::door::Door, again: hilum_journal::DeliveryRef) {
    let why = hilum_journal::Attempt {
        started_ms: 1,
        duration_ms: 0,
        outcome: Outcome::Retry,
        reason: Some("mended".into()),
        reply: None,
    };
    assert!(run(door.journal.requeue(again, Some(why))).unwrap());
    let trace = run(door.journal.trace(again.id.message)).unwrap();
    let attempts = trace
        .deliveries
        .iter()
        .find(|(stored, _)| stored.delivery.delivery == again);
    let last = attempts.and_then(|(_, attempts)| attempts.last()).unwrap();
    assert_eq!(last.reason.as_deref(), Some("mended"));
    assert_eq!(last.outcome, Outcome::Retry);
}

#[test]
fn what_was_accepted_is_there_after_a_restart_and_in_commit_order() {
    let dir = tempfile::tempdir().unwrap();
    let door = open(dir.path(), |_| {});
    let proofs: Vec<_> = (0..20)
        .map(|n| run(door.journal.accept(request(n, 2))).unwrap())
        .collect();
    assert!(proofs.is_sorted_by_key(|proof| proof.sequence()));
    let told: Vec<_> = {
        let told = door.told.committed.lock().unwrap();
        told.iter().map(|message| message.accepted).collect()
    };
    assert_eq!(told, proofs);
    let all = run(door.journal.pending("adt".into(), "d0".into(), None, 100)).unwrap();
    assert_eq!(all.len(), 20);
    run(door
        .journal
        .settle(settlement(all[0].delivery, Outcome::Delivered)))
    .unwrap();
    run(door
        .journal
        .settle(settlement(all[1].delivery, Outcome::DeadLetter)))
    .unwrap();
    run(door
        .journal
        .attempt(all[2].delivery, attempt(Outcome::Retry)))
    .unwrap();
    run(door.journal.flush()).unwrap();
    door.close();

    let door = open(dir.path(), |_| {});
    assert!(!door.recovered.unclean);
    let backlog = door.recovered.pending[&("adt".into(), "d0".into())];
    assert_eq!((backlog.count, backlog.oldest), (18, proofs[2].sequence()));
    let rest = run(door
        .journal
        .pending("adt".into(), "d0".into(), Some(all[4].delivery), 3));
    let rest = rest.unwrap();
    let places: Vec<_> = rest.iter().map(|d| d.delivery.sequence).collect();
    let expected: Vec<_> = proofs[5..8].iter().map(|proof| proof.sequence()).collect();
    assert_eq!(places, expected);
    for (n, proof) in (0..).zip(&proofs) {
        let (message, body) = run(door.journal.received(proof.message())).unwrap();
        assert_eq!((message.sequence, body), (proof.sequence(), text(n)));
        let second = run(door.journal.find_delivery(hilum_message::DeliveryId {
            message: id(n),
            ordinal: 1,
        }));
        let (_, sent) = run(door.journal.body(second.unwrap().delivery.delivery)).unwrap();
        assert_eq!(sent, text(n + 1));
    }
    let trace = run(door.journal.trace(id(2))).unwrap();
    let (stored, attempts) = &trace.deliveries[0];
    assert_eq!((stored.delivery.attempts, attempts.len()), (1, 1));
    assert_eq!(attempts[0].outcome, Outcome::Retry);
    assert_eq!(attempts[0].reply.as_deref(), Some(&b"MSA|AA|1\r"[..]));
    let dead = run(door
        .journal
        .dead_letters("adt".into(), "d0".into(), None, 10))
    .unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].reason.as_deref(), Some("because"));
    requeued(&door, dead[0].delivery.delivery);
    assert!(!run(door.journal.requeue(dead[0].delivery.delivery, None)).unwrap());
    let all = run(door.journal.pending("adt".into(), "d0".into(), None, 100)).unwrap();
    assert_eq!(all.len(), 19);
    let next = run(door.journal.accept(request(100, 1))).unwrap();
    assert!(next.sequence() > proofs[19].sequence());
}

#[test]
fn values_that_add_up_are_made_in_commit_order_and_never_stale() {
    fn sum(known: Option<&[u8]>, added: &[u8]) -> Vec<u8> {
        let number = |bytes: &[u8]| std::str::from_utf8(bytes).unwrap().parse::<u64>().unwrap();
        (known.map_or(0, number) + number(added))
            .to_string()
            .into_bytes()
    }
    let dir = tempfile::tempdir().unwrap();
    let adding = |n: u64, keys: &[&str]| {
        let mut message = request(n, 0);
        message.state_merges = keys
            .iter()
            .map(|key| StateMerge {
                scope: "codes".into(),
                key: (*key).into(),
                value: Bytes::from_static(b"1"),
                expires_ms: (*key == "old").then_some(1),
                merge: sum,
            })
            .collect();
        message
    };
    let all = |door: &crate::door::Door| {
        let found = door.journal.state_of("codes", "", 10).unwrap();
        found
            .into_iter()
            .map(|(key, value)| format!("{key}={}", String::from_utf8_lossy(&value)))
            .collect::<Vec<_>>()
    };
    let door = open(dir.path(), |_| {});
    // One commit of several messages, each with the same key, and many in one group.
    let together = vec![adding(1, &["K", "K"]), adding(2, &["K", "NA", "old"])];
    run(door.journal.accept_all(together, None)).unwrap();
    let waiting: Vec<_> = (3..43)
        .map(|n| door.journal.accept(adding(n, &["K"])))
        .collect();
    run(async {
        for accepted in waiting {
            accepted.await.unwrap();
        }
    });
    assert_eq!(all(&door), ["K=43", "NA=1"]);
    door.journal.maintain().unwrap();
    run(door.journal.accept(adding(50, &["K", "N"]))).unwrap();
    assert_eq!(all(&door), ["K=44", "N=1", "NA=1"]);
    assert_eq!(door.journal.state_of("codes", "N", 1).unwrap()[0].0, "N");
    assert_eq!(door.journal.state_of("codes", "N", 9).unwrap().len(), 2);
    door.close();
    let door = open(dir.path(), |_| {});
    assert_eq!(all(&door), ["K=44", "N=1", "NA=1"]);
    let mut gone = request(60, 0);
    gone.state_writes = vec![StateWrite {
        scope: "codes".into(),
        key: "K".into(),
        value: None,
        expires_ms: None,
    }];
    run(door.journal.accept(gone)).unwrap();
    run(door.journal.accept(adding(61, &["K"]))).unwrap();
    assert_eq!(all(&door), ["K=1", "N=1", "NA=1"]);
}

#[test]
fn stale_reads_are_refused_and_state_and_timers_survive() {
    let dir = tempfile::tempdir().unwrap();
    let door = open(dir.path(), |_| {});
    let with = |n: u64, version: u64, value: Option<&'static [u8]>| {
        let mut message = request(n, 0);
        message.state_reads = vec![StateRead {
            scope: "visit".into(),
            key: "7".into(),
            version,
        }];
        message.state_writes = vec![StateWrite {
            scope: "visit".into(),
            key: "7".into(),
            value: value.map(Bytes::from_static),
            expires_ms: None,
        }];
        message.timers = vec![TimerWrite {
            scope: "visit".into(),
            key: "7".into(),
            due_ms: value.map(|_| NOON_MS + 5),
        }];
        message
    };
    let first = run(door.journal.accept(with(1, 0, Some(b"in")))).unwrap();
    assert!(door.journal.timers_due(10).unwrap().is_empty());
    match run(door.journal.accept(with(2, 0, Some(b"lost")))) {
        Err(AcceptError::Stale(stale)) => assert_eq!(stale[0].version, first.sequence()),
        other => panic!("{other:?}"),
    }
    for restart in [false, true] {
        if restart {
            door.journal.maintain().unwrap();
        }
        let value = door.journal.state("visit", "7").unwrap();
        assert_eq!(value.version, first.sequence());
        assert_eq!(value.value.as_deref(), Some(&b"in"[..]));
    }
    let second = run(door.journal.accept(with(3, first.sequence(), Some(b"out")))).unwrap();
    door.close();
    let door = open(dir.path(), |_| {});
    let value = door.journal.state("visit", "7").unwrap();
    assert_eq!(
        (value.version, value.value.as_deref()),
        (second.sequence(), Some(&b"out"[..]))
    );
    door.clock
        .store(NOON_MS + 5, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(door.journal.timers_due(10).unwrap().len(), 1);
    run(door.journal.accept(with(4, second.sequence(), None))).unwrap();
    assert!(door.journal.timers_due(10).unwrap().is_empty());
    door.journal.maintain().unwrap();
    assert!(door.journal.timers_due(10).unwrap().is_empty());
    assert_eq!(door.journal.state("visit", "7").unwrap().value, None);
}

#[test]
fn work_is_completed_once_and_publications_are_accepted_once() {
    let dir = tempfile::tempdir().unwrap();
    let door = open(dir.path(), |_| {});
    let mut raw = request(1, 0);
    raw.disposition = Disposition::Received;
    let raw = run(door.journal.accept(raw)).unwrap();
    let mut held = request(2, 0);
    held.disposition = Disposition::Held;
    held.hold = Some(Hold {
        step: "wait".into(),
        until_ms: Some(NOON_MS + 9),
        ..Hold::default()
    });
    let held = run(door.journal.accept(held)).unwrap();
    door.close();
    let door = open(dir.path(), |_| {});
    assert_eq!(door.recovered.received.len(), 1);
    assert_eq!(door.recovered.holds.len(), 1);
    let hold = door.recovered.holds[0].hold.as_ref().unwrap();
    assert_eq!(hold.until_ms, Some(NOON_MS + 9));
    let complete = |proof: hilum_message::Accepted, n| {
        let mut done = request(n, 1);
        done.completes = Some(proof.sequence());
        done
    };
    let done = run(door.journal.accept(complete(raw, 1))).unwrap();
    let again = run(door.journal.accept(complete(raw, 1)));
    assert!(matches!(again, Err(AcceptError::Duplicate)), "{again:?}");
    let (row, body) = run(door.journal.received_at(done.sequence())).unwrap();
    assert_eq!((row.completes, body), (Some(raw.sequence()), text(1)));
    run(door.journal.abandon(held.sequence())).unwrap();
    assert!(run(door.journal.holds()).unwrap().is_empty());
    assert_eq!(run(door.journal.trace(id(1))).unwrap().rows.len(), 2);

    let to_topic = run(door.journal.pending("adt".into(), "d0".into(), None, 9)).unwrap();
    let publication = Publication {
        delivery: to_topic[0].delivery,
    };
    let hop = || vec![request(10, 1), request(11, 1)];
    run(door.journal.accept_all(hop(), Some(publication))).unwrap();
    let again = run(door.journal.accept_all(hop(), Some(publication)));
    assert!(matches!(again, Err(AcceptError::Duplicate)), "{again:?}");
    door.close();
    let door = open(dir.path(), |_| {});
    assert!(door.recovered.received.is_empty() && door.recovered.holds.is_empty());
    assert_eq!(
        door.recovered.pending[&("adt".into(), "d0".into())].count,
        2
    );
}

#[test]
fn blobs_are_kept_beside_the_row_and_orphans_are_cleared() {
    let dir = tempfile::tempdir().unwrap();
    let door = open(dir.path(), |_| {});
    let mut message = request(1, 1);
    let content: Vec<u8> = (0..700_000_u32).map(|n| (n % 251) as u8).collect();
    let mut writer = door.journal.blob(message.message, 0).unwrap();
    content
        .chunks(100_000)
        .for_each(|part| writer.append(part).unwrap());
    let stored = writer.finish().unwrap();
    let range = hilum_message::BlobRange {
        blob: stored.blob.clone(),
        offset: 0,
        length: stored.bytes,
    };
    let body = hilum_message::Payload::with_cuts(
        Bytes::from_static(b"OBX|1|ED|||\r"),
        vec![Cut { at: 10, range }],
    );
    message.received = body.clone();
    message.deliveries[0].payload = body.clone();
    message.blobs = vec![stored];
    run(door.journal.accept(message)).unwrap();
    door.journal
        .blob(id(2), 0)
        .unwrap()
        .append(b"never accepted")
        .unwrap();
    let lost = door.journal.blob(id(3), 0).unwrap().finish().unwrap();
    door.close();
    let door = open(dir.path(), |_| {});
    let (_, read) = run(door.journal.received(id(1))).unwrap();
    assert_eq!(read, body);
    let whole = door.journal.whole(&read, 1 << 20).unwrap();
    assert_eq!(whole.len(), content.len() + 12);
    assert_eq!(&whole[10..700_010], &content[..]);
    let folder = dir.path().join(format!("{}.blobs", lost.blob.partition));
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1);
}

#[test]
fn resends_of_the_last_minutes_are_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let door = open(dir.path(), |_| {});
    for n in 0..3 {
        let at = NOON_MS + n * 6 * 60_000;
        door.clock.store(at, std::sync::atomic::Ordering::Relaxed);
        let mut message = request(n, 0);
        message.resend = Some(Resend {
            key: [n as u8; 8],
            digest: [1; 16],
        });
        message.answer = Some(Bytes::from_static(b"MSA|AA"));
        run(door.journal.accept(message)).unwrap();
    }
    door.close();
    let door = crate::door::open_at(dir.path(), NOON_MS + 13 * 60_000, |_| {});
    let keys: Vec<u8> = door
        .recovered
        .resends
        .iter()
        .map(|e| e.resend.key[0])
        .collect();
    assert_eq!(keys, [1, 2]);
    for entry in &door.recovered.resends {
        let answer = run(door.journal.answer_at(entry.sequence)).unwrap();
        assert_eq!(answer.as_deref(), Some(&b"MSA|AA"[..]));
        let (_, body) = run(door.journal.received_at(entry.sequence)).unwrap();
        assert_eq!(body, request(entry.sequence - 1, 0).received);
    }
}

#[test]
fn a_blob_belongs_to_the_first_message_that_refers_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let door = open(dir.path(), |_| {});
    let mut writer = door.journal.blob(id(1), 0).unwrap();
    writer.append(&[7; 9_000]).unwrap();
    let stored = writer.finish().unwrap();
    let range = BlobRange {
        blob: stored.blob,
        offset: 0,
        length: stored.bytes,
    };
    let with = Payload::with_cuts(Bytes::from_static(b"OBX|"), vec![Cut { at: 4, range }]);
    // The second one comes later and shares it, as a replay does.
    for n in [1, 2] {
        let mut message = request(n, 1);
        message.received = with.clone();
        run(door.journal.accept(message)).unwrap();
    }
    let forgotten = door.journal.blob(id(3), 0).unwrap().finish().unwrap();
    door.close();

    let door = open(dir.path(), |_| {});
    for n in [1, 2] {
        let (_, received) = run(door.journal.received(id(n))).unwrap();
        assert_eq!(door.journal.whole(&received, 1 << 20).unwrap().len(), 9_004);
    }
    let nobodys = BlobRange {
        blob: forgotten.blob,
        offset: 0,
        length: 1,
    };
    assert!(door.journal.read_blob(&nobodys, 0, &mut [0]).is_err());
}
