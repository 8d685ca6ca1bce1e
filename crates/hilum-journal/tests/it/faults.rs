//! Disks that fail, fill up and flip bits.

use std::sync::Arc;

use bytes::Bytes;
use hilum_faultfs::{Disk, Faults};
use hilum_journal::{AcceptError, Cancel, JournalOptions, Outcome, StateRead, StateWrite};

use crate::door::{Door, open, request, run, settlement, text};

pub(crate) fn on(disk: &Disk, change: impl FnOnce(&mut JournalOptions)) -> Door {
    open(&disk.folder(), |options| {
        options.files = Arc::new(disk.clone());
        options.vfs = Some(disk.vfs());
        change(options);
    })
}

fn clean(door: &Door) {
    assert_eq!(door.journal.verify(&Cancel::new()).unwrap(), []);
}

#[test]
fn a_failed_sync_is_never_answered_positively_and_does_not_poison_what_follows() {
    for failing in 1..12 {
        let disk = Disk::new();
        let door = on(&disk, |options| options.limits.checkpoint_pages = 8);
        let before = run(door.journal.accept(request(1, 1))).unwrap();
        disk.set_faults(Faults {
            fail_sync_at: Some(failing),
            ..Faults::default()
        });
        let mut good = vec![(1, before)];
        for n in 2..20 {
            match run(door.journal.accept(request(n, 1))) {
                Ok(proof) => good.push((n, proof)),
                Err(AcceptError::Failed(_) | AcceptError::Refused(_)) => {}
                Err(other) => panic!("sync {failing}: {other:?}"),
            }
        }
        assert!(good.len() > 15, "sync {failing}: it goes on by itself");
        // Whatever was answered before or after the failure is on the disk.
        let after = disk.power_cut(failing);
        drop(door);
        let door = on(&after, |_| {});
        for (n, proof) in good {
            let (_, body) = run(door.journal.received_at(proof.sequence())).unwrap();
            assert_eq!(body, text(n), "sync {failing}");
        }
        clean(&door);
    }
}

#[test]
fn what_survived_of_a_failed_group_is_told_as_accepted() {
    let mut survivors = 0;
    for failing in 1..8 {
        let disk = Disk::new();
        let door = on(&disk, |_| {});
        disk.set_faults(Faults {
            fail_sync_at: Some(failing),
            ..Faults::default()
        });
        let lost: Vec<u64> = (1..6)
            .filter(|n| run(door.journal.accept(request(*n, 1))).is_err())
            .collect();
        let told = door.told.recovered.lock().unwrap();
        for message in told.iter() {
            survivors += 1;
            assert!(
                lost.contains(&(message.accepted.message().arrived_ms() - crate::door::NOON_MS))
            );
            assert_eq!(message.deliveries.len(), 1);
        }
    }
    // Whether a failed group survives is the file system's affair; that none is told that is not
    // there is what counts.
    assert!(survivors <= 7);
}

#[test]
fn a_full_disk_refuses_and_works_again_when_there_is_space() {
    let disk = Disk::new();
    let door = on(&disk, |options| options.limits.checkpoint_pages = 32);
    let first = run(door.journal.accept(request(1, 2))).unwrap();
    let delivery =
        run(door.journal.pending("adt".into(), "d0".into(), None, 1)).unwrap()[0].delivery;
    disk.set_faults(Faults {
        capacity: Some(disk.used() + 40_000),
        ..Faults::default()
    });
    let mut good = vec![(1, first)];
    let mut refused = 0;
    for n in 2..60 {
        match run(door.journal.accept(request(n, 2))) {
            Ok(proof) => good.push((n, proof)),
            Err(AcceptError::Full(_)) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(refused > 10 && good.len() > 3, "{refused} {}", good.len());
    run(door
        .journal
        .settle(settlement(delivery, Outcome::Delivered)))
    .unwrap();
    drop(run(door.journal.flush()));
    assert!(
        run(door.journal.received_at(first.sequence())).is_ok(),
        "reading goes on"
    );
    disk.set_faults(Faults::default());
    let after = run(door.journal.accept(request(100, 1))).unwrap();
    good.push((100, after));
    // The outcome that could not be written then is written now.
    door.journal.maintain().unwrap();
    run(door.journal.flush()).unwrap();
    let pending = run(door.journal.pending("adt".into(), "d0".into(), None, 100)).unwrap();
    assert!(pending.iter().all(|pending| pending.delivery != delivery));
    assert_eq!(pending.len(), good.len() - 1);
    let later = disk.power_cut(3);
    drop(door);
    let door = on(&later, |_| {});
    for (n, proof) in good {
        let (_, body) = run(door.journal.received_at(proof.sequence())).unwrap();
        assert_eq!(body, text(n));
    }
    clean(&door);
}

#[test]
fn a_million_state_keys_are_kept_folded_and_checked() {
    let dir = tempfile::tempdir().unwrap();
    let door = open(dir.path(), |options| {
        options.limits.unfolded_max = 2_000_000
    });
    let mut keys = 0_u64;
    let mut last = 0;
    while keys < 1_000_000 {
        let mut message = request(keys, 0);
        message.state_writes = (keys..keys + 5000)
            .map(|n| StateWrite {
                scope: "visit".into(),
                key: n.to_string().into(),
                value: Some(Bytes::copy_from_slice(&n.to_le_bytes())),
                expires_ms: None,
            })
            .collect();
        last = run(door.journal.accept(message)).unwrap().sequence();
        keys += 5000;
        if keys.is_multiple_of(250_000) {
            door.journal.maintain().unwrap();
        }
    }
    assert_eq!(door.journal.figures().unfolded, 0);
    door.close();
    let door = open(dir.path(), |_| {});
    for n in (0..1_000_000_u64).step_by(99_991) {
        let found = door.journal.state("visit", &n.to_string()).unwrap();
        assert_eq!(found.value.as_deref(), Some(&n.to_le_bytes()[..]));
    }
    let mut message = request(9_999_999, 0);
    let read = |version| StateRead {
        scope: "visit".into(),
        key: "999999".into(),
        version,
    };
    message.state_reads = vec![read(last - 1)];
    let stale = run(door.journal.accept(message.clone()));
    assert!(matches!(stale, Err(AcceptError::Stale(_))), "{stale:?}");
    message.state_reads = vec![read(last)];
    run(door.journal.accept(message)).unwrap();
}
