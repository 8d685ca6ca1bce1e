//! Bits that turn on the disk: they are found, never sent, and keep nothing else from working.

use std::path::PathBuf;
use std::sync::Arc;

use hilum_db::Files;
use hilum_faultfs::Disk;
use hilum_journal::{
    Background, Cancel, Journal, JournalError, JournalOptions, Outcome, Recovered, StateWrite,
};
use hilum_message::{IndexKey, IndexToken, Payload};

use crate::door::{run, settlement, test_clock, text};
use crate::faults::on;

const MESSAGES: u64 = 200;

/// Nothing that could be compressed, so that most of the file means something.
fn noise(n: u64, bytes: usize) -> Vec<u8> {
    let mut noise = n.wrapping_add(1);
    let bits = std::iter::repeat_with(|| {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        noise as u8
    });
    bits.take(bytes).collect()
}

fn request(n: u64) -> hilum_journal::AcceptRequest {
    let mut request = crate::door::request(n, 1);
    request.received = Payload::inline(noise(n, 700).into());
    // A bit that turns in what a message changes is found too.
    request.state_writes = vec![StateWrite {
        scope: "s".into(),
        key: n.to_string().into(),
        value: Some(noise(n, 2000).into()),
        expires_ms: None,
    }];
    request
}

/// A closed journal of one partition, and the path of its file; every fifth delivery is settled.
fn filled() -> (Disk, PathBuf) {
    let disk = Disk::new();
    let door = on(&disk, |_| {});
    for n in 0..MESSAGES {
        run(door.journal.accept(request(n))).unwrap();
    }
    let pending = run(door.journal.pending("adt".into(), "d0".into(), None, 1000)).unwrap();
    for delivery in pending.iter().step_by(5) {
        let settlement = settlement(delivery.delivery, Outcome::Delivered);
        run(door.journal.settle(settlement)).unwrap();
    }
    run(door.journal.flush()).unwrap();
    let name = door.journal.partitions().unwrap()[0].name.clone();
    door.close();
    let path = disk.folder().join(format!("{name}.db"));
    (disk, path)
}

fn open(disk: &Disk) -> Result<(Journal, Recovered), JournalError> {
    let (_, clock) = test_clock(crate::door::NOON_MS);
    let options = JournalOptions {
        clock,
        files: Arc::new(disk.clone()),
        vfs: Some(disk.vfs()),
        background: Background::Caller,
        ..JournalOptions::default()
    };
    Journal::open(disk.folder(), &options, Arc::new(()))
}

/// Whatever may be sent is what was to be sent. Returns how many deliveries may be, and how many
/// are refused as damaged.
fn sendable(journal: &Journal) -> (usize, usize) {
    let (mut good, mut damaged) = (0, 0);
    let Ok(found) = run(journal.pending("adt".into(), "d0".into(), None, 1000)) else {
        return (0, 1);
    };
    for delivery in found {
        match run(journal.body(delivery.delivery)) {
            Ok((row, body)) => {
                let n = row.message.arrived_ms() - crate::door::NOON_MS;
                assert_eq!(body, text(n), "a damaged delivery would be sent");
                good += 1;
            }
            Err(_) => damaged += 1,
        }
    }
    (good, damaged)
}

#[test]
fn a_bit_that_turned_is_found_and_is_never_sent() {
    let tries = 60;
    let mut found = 0;
    let mut sent = 0;
    for at in 0..tries {
        let (disk, path) = filled();
        let length = usize::try_from(disk.len(&path).unwrap().unwrap()).unwrap();
        let offset = at * length / tries + at;
        assert!(disk.flip_bit(&path, offset, at as u8));
        let (journal, recovered) = open(&disk).unwrap();
        let named = journal.verify(&Cancel::new());
        let noticed = !recovered.set_aside.is_empty() || named.map_or(true, |all| !all.is_empty());
        found += usize::from(noticed);
        sent += sendable(&journal).0;
        run(journal.accept(request(MESSAGES + 1))).unwrap();
    }
    // A bit in unused space of a page, about a third of a short file, changes nothing.
    assert!(found * 10 > tries * 6, "{found} of {tries}");
    assert!(sent > tries * 100, "{sent}");
}

#[test]
fn a_damaged_file_is_set_aside_and_what_can_be_read_of_it_goes_on() {
    // With the root page of its table a message can no longer be reached; see `salvage`.
    for (what, from, bytes, tenths) in [
        ("the header", 0_usize, 90_usize, 9),
        ("the first page", 0, 4096, 9),
        ("root pages", 0, 3 * 4096, 0),
        ("pages in the middle", 20 * 4096, 8 * 4096, 6),
    ] {
        let (disk, path) = filled();
        let before = usize::try_from(MESSAGES - MESSAGES / 5).unwrap();
        for offset in from..from + bytes {
            assert!(disk.flip_bit(&path, offset, (offset % 8) as u8));
        }
        let (journal, recovered) = open(&disk).unwrap();
        let (good, _) = sendable(&journal);
        assert!(good * 10 >= before * tenths, "{what}: {good} of {before}");
        let settled = run(journal.accept(request(MESSAGES + 1))).unwrap();
        assert!(settled.sequence() > MESSAGES, "{what}");
        if let [aside] = &recovered.set_aside[..] {
            let kept = disk.folder().join(&*aside.kept_as);
            assert!(disk.len(&kept).unwrap().is_some(), "{what}: it is kept");
            assert!(aside.messages >= good as u64, "{what}: {aside:?}");
            let findings = journal.verify(&Cancel::new()).unwrap();
            assert!(
                findings
                    .iter()
                    .all(|finding| finding.text.contains("set aside")),
                "{what}: what is in use is whole: {findings:?}"
            );
            assert_eq!(findings.len(), 1, "{what}");
            drop(journal);
            let (journal, recovered) = open(&disk).unwrap();
            assert_eq!(recovered.set_aside, [], "{what}: once");
            let findings = journal.verify(&Cancel::new()).unwrap();
            assert_eq!(findings.len(), 1, "{what}: it goes on saying so");
        } else {
            assert!(from > 0, "{what}: a file without a header cannot be opened");
        }
    }
}

/// What a patient is found by under a key.
fn token(key: &IndexKey) -> IndexToken {
    IndexToken::of(key, "patient", "4711")
}

#[test]
fn a_damaged_control_file_is_made_anew_and_state_is_folded_again() {
    let disk = Disk::new();
    let door = on(&disk, |_| {});
    let mut message = crate::door::request(1, 1);
    message.state_writes = vec![StateWrite {
        scope: "s".into(),
        key: "k".into(),
        value: Some(bytes::Bytes::from_static(b"v")),
        expires_ms: None,
    }];
    run(door.journal.accept(message)).unwrap();
    door.journal.maintain().unwrap();
    assert_eq!(door.journal.figures().unfolded, 0);
    let key = door.journal.index_key();
    door.close();
    let path = disk.folder().join("control.db");
    for offset in 0..4096 {
        assert!(disk.flip_bit(&path, offset, 3));
    }
    let (journal, recovered) = open(&disk).unwrap();
    assert_eq!(&*recovered.set_aside[0].file, "control.db");
    assert_eq!(token(&journal.index_key()), token(&key), "found as before");
    drop(journal);
    for path in disk.list(&disk.folder()).unwrap() {
        if path.path.to_string_lossy().contains("control.db") {
            disk.remove(&path.path).unwrap();
        }
    }
    for gone in [true, false] {
        let (journal, recovered) = open(&disk).unwrap();
        let same = token(&journal.index_key()) == token(&key);
        assert!(same, "gone: {gone}");
        assert_eq!(recovered.set_aside, []);
    }
    let (journal, _) = open(&disk).unwrap();
    let value = journal.state("s", "k").unwrap().value;
    assert_eq!(value.as_deref(), Some(&b"v"[..]));
    assert_eq!(sendable(&journal), (1, 0));
}
