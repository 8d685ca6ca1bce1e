//! Days that are rolled and dropped, damage that is named, content that is streamed.

use std::path::Path;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use hilum_db::rusqlite::Connection;
use hilum_journal::{Cancel, Outcome};
use hilum_message::{BlobRange, Cut, MessageId, Payload};

use crate::door::{Door, NOON_MS, open, request, run, settlement};

const DAY_MS: u64 = 86_400_000;

fn names(door: &Door) -> Vec<String> {
    let partitions = door.journal.partitions().unwrap();
    let names = partitions.iter().map(|partition| &*partition.name);
    names.map(str::to_owned).collect()
}

#[test]
fn each_day_has_its_file_and_retention_drops_whole_days_but_nothing_open() {
    let dir = tempfile::tempdir().unwrap();
    let door = open(dir.path(), |_| {});
    for day in 0..4 {
        door.clock.store(NOON_MS + day * DAY_MS, Ordering::Relaxed);
        door.journal.maintain().unwrap();
        for n in [day * 10, day * 10 + 1] {
            run(door.journal.accept(request(n, 1))).unwrap();
        }
    }
    let days = names(&door);
    assert_eq!(days.len(), 4, "{days:?}");
    assert!(days.is_sorted() && days.iter().all(|name| name.ends_with("-0")));
    let pending = run(door.journal.pending("adt".into(), "d0".into(), None, 100)).unwrap();
    run(door
        .journal
        .settle(settlement(pending[0].delivery, Outcome::Delivered)))
    .unwrap();
    run(door.journal.flush()).unwrap();
    let midnight = NOON_MS - NOON_MS % DAY_MS + 2 * DAY_MS;
    let dropped = door.journal.drop_before(midnight).unwrap();
    assert_eq!(
        dropped.iter().map(|name| &**name).collect::<Vec<_>>(),
        &days[..2]
    );
    assert_eq!(names(&door), &days[2..]);
    assert!(run(door.journal.received(crate::door::id(0))).is_err());
    for _ in 0..2 {
        let left = run(door.journal.pending("adt".into(), "d0".into(), None, 100)).unwrap();
        let left: Vec<_> = left.iter().map(|pending| pending.delivery).collect();
        let expected: Vec<_> = pending[1..].iter().map(|of| of.delivery).collect();
        assert_eq!(left, expected, "what waits is kept");
        for delivery in left {
            run(door.journal.body(delivery)).unwrap();
        }
    }
    assert_eq!(door.journal.verify(&Cancel::new()).unwrap(), []);
}

/// Bytes as a blob and a payload that is nothing else.
fn streamed(door: &Door, message: MessageId, chunk: &[u8], chunks: u64) -> Payload {
    let mut writer = door.journal.blob(message, 0).unwrap();
    for _ in 0..chunks {
        writer.append(chunk).unwrap();
    }
    let stored = writer.finish().unwrap();
    let length = stored.bytes;
    let range = BlobRange {
        blob: stored.blob,
        offset: 0,
        length,
    };
    Payload::with_cuts(Bytes::new(), vec![Cut { at: 0, range }])
}

/// What is done to a file while nobody looks.
#[derive(Clone, Copy)]
enum Harm {
    Sql(&'static str),
    Blob(fn(&Path) -> std::io::Result<()>),
}

#[test]
fn verify_names_each_kind_of_damage() {
    let harms = [
        (
            "table message",
            Harm::Sql("UPDATE message SET reason = 'other' WHERE seq = 3"),
        ),
        (
            "table delivery",
            Harm::Sql("UPDATE delivery SET bytes = bytes + 1 WHERE seq = 3"),
        ),
        (
            "table attempt",
            Harm::Sql("UPDATE attempt SET duration_ms = 77"),
        ),
        (
            "a delivery without its message",
            Harm::Sql("DELETE FROM message WHERE seq = 3"),
        ),
        (
            "open work without its message",
            Harm::Sql("INSERT INTO work VALUES (999999)"),
        ),
        (
            "whose dictionary is not there",
            Harm::Sql("DELETE FROM dictionary"),
        ),
        (
            "table delivery",
            Harm::Sql("UPDATE name SET value = x'6100' WHERE kind = 2"),
        ),
        (
            "its blob is not what was written",
            Harm::Blob(|blob| std::fs::write(blob, [7; 999])),
        ),
        (
            "its blob cannot be read",
            Harm::Blob(|blob| std::fs::remove_file(blob)),
        ),
    ];
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    let door = open(&whole, |options| options.limits.dictionary_after = 100);
    for n in 0..300 {
        run(door.journal.accept(request(n, 1))).unwrap();
        if n == 200 {
            door.journal.maintain().unwrap();
            run(door.journal.flush()).unwrap();
        }
    }
    let pending = run(door.journal.pending("adt".into(), "d0".into(), None, 1)).unwrap();
    let settled = settlement(pending[0].delivery, Outcome::Delivered);
    run(door.journal.settle(settled)).unwrap();
    let mut large = request(300, 0);
    large.received = streamed(&door, large.message, &[7; 1000], 1);
    run(door.journal.accept(large)).unwrap();
    assert_eq!(door.journal.verify(&Cancel::new()).unwrap(), []);
    let copies: Vec<_> = (0..harms.len())
        .map(|at| dir.path().join(at.to_string()))
        .collect();
    for copy in &copies {
        door.journal.backup(copy, &Cancel::new()).unwrap();
    }
    let name = names(&door).remove(0);
    for (copy, (expected, harm)) in copies.iter().zip(&harms) {
        let blobs = std::fs::read_dir(copy.join(format!("{name}.blobs"))).unwrap();
        let blob = blobs.map(|entry| entry.unwrap().path()).next().unwrap();
        match harm {
            Harm::Blob(harm) => harm(&blob).unwrap(),
            Harm::Sql(sql) => {
                let conn = Connection::open(copy.join(format!("{name}.db"))).unwrap();
                assert!(conn.execute(sql, []).unwrap() > 0, "{sql}");
            }
        }
        let damaged = open(copy, |_| {});
        let found = damaged.journal.verify(&Cancel::new()).unwrap();
        let named = found.iter().any(|finding| finding.text.contains(expected));
        assert!(named, "{expected}: {found:?}");
    }
}

/// The most memory that this process ever had, in bytes.
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() * 1024
}

#[test]
fn content_of_any_length_passes_without_taking_memory() {
    let dir = tempfile::tempdir().unwrap();
    let door = open(dir.path(), |_| {});
    let chunk = vec![b'x'; 64 * 1024];
    let chunks = 100 * 1024 * 1024 / chunk.len() as u64;
    run(door.journal.accept(request(0, 1))).unwrap();
    let before = most_memory();
    let mut message = request(1, 1);
    message.received = streamed(&door, message.message, &chunk, chunks);
    message.deliveries[0].payload = message.received.clone();
    run(door.journal.accept(message)).unwrap();
    let pending = run(door.journal.pending("adt".into(), "d0".into(), None, 10)).unwrap();
    let (_, payload) = run(door.journal.body(pending[1].delivery)).unwrap();
    assert_eq!(payload.len(), 100 * 1024 * 1024);
    let range = &payload.cuts()[0].range;
    let mut buffer = vec![0; 64 * 1024];
    let mut offset = 0;
    while offset < range.length {
        let got = door.journal.read_blob(range, offset, &mut buffer).unwrap();
        assert!(buffer[..got] == chunk[..got], "at {offset}");
        offset += got as u64;
    }
    assert_eq!(door.journal.verify(&Cancel::new()).unwrap(), []);
    let taken = most_memory() - before;
    assert!(taken < 8 << 20, "{taken} bytes");
}
