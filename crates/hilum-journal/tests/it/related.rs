//! What belongs to a message: its parts, and the messages that repeat it.

use crate::door::{id, open, request, run};

/// As many as a trace lists.
const LISTED: u64 = 10_000;

#[test]
fn a_trace_lists_ten_thousand_related_messages_and_says_when_there_are_more() {
    let dir = tempfile::tempdir().unwrap();
    let door = open(dir.path(), |_| {});
    run(door.journal.accept(request(0, 0))).unwrap();
    let repeat = |n: u64| {
        let mut repeat = request(n, 0);
        repeat.replay_of = Some(id(0));
        repeat
    };
    for from in (1..LISTED).step_by(1_000) {
        let repeats = (from..from + 1_000).map(repeat).collect();
        run(door.journal.accept_all(repeats, None)).unwrap();
        // Some are found by the index, the last ones are not in it yet.
        if from < LISTED / 2 {
            door.journal.maintain().unwrap();
        }
    }
    let listed = || {
        let trace = run(door.journal.trace(id(0))).unwrap();
        let sequences: Vec<u64> = trace.related.iter().map(|row| row.sequence).collect();
        (sequences, trace.related_truncated)
    };
    assert_eq!(listed(), ((2..LISTED + 2).collect(), false));
    run(door.journal.accept(repeat(LISTED + 1))).unwrap();
    for indexed in [false, true] {
        let newest: Vec<u64> = (3..LISTED + 3).collect();
        assert_eq!(listed(), (newest, true), "indexed: {indexed}");
        door.journal.maintain().unwrap();
    }
}
