//! The register of unmapped codes.

use hilum_component::{AnswerMode, Disposition, Identity};
use hilum_message::{MessageId, Metadata, Payload};

use super::*;

fn seen(count: u64, at_ms: u64, display: &str) -> Seen {
    Seen {
        display: display.to_owned(),
        fate: UnmappedFate::Flagged,
        count,
        first_ms: at_ms,
        last_ms: at_ms,
        message: at_ms.to_string(),
    }
}

fn check(known: Option<&Seen>, now: &Seen, expected: &Seen) {
    let bytes = |seen: &Seen| serde_json::to_vec(seen).unwrap();
    let sum = add_up(known.map(bytes).as_deref(), &bytes(now));
    assert_eq!(serde_json::from_slice::<Seen>(&sum).unwrap(), *expected);
}

#[test]
fn what_was_seen_adds_up_in_whatever_order_it_is_committed() {
    check(None, &seen(2, 5, "a"), &seen(2, 5, "a"));
    let both = Seen {
        first_ms: 5,
        ..seen(3, 7, "a")
    };
    check(Some(&seen(2, 5, "a")), &seen(1, 7, ""), &both);
    check(Some(&seen(1, 7, "")), &seen(2, 5, "a"), &both);
    assert_eq!(add_up(Some(b"{}"), b"x"), b"x");
}

fn processed(codes: impl IntoIterator<Item = String>, more: u32) -> Processed {
    let code = |code: String| UnmappedCode {
        table: "t.csv".to_owned(),
        field: "OBX-3".to_owned(),
        system: "L".to_owned(),
        code,
        display: String::new(),
        fate: UnmappedFate::Flagged,
        count: 2,
    };
    Processed {
        id: MessageId::new(7, 1),
        arrived_ms: 7,
        payload: Payload::default(),
        disposition: Disposition::Accepted,
        reason: None,
        identity: Identity::default(),
        tokens: Vec::new(),
        keys: Vec::new(),
        metadata: Metadata::new(),
        findings: Vec::new(),
        deliveries: Vec::new(),
        children: Vec::new(),
        reads: Vec::new(),
        writes: Vec::new(),
        timers: Vec::new(),
        unmapped: codes.into_iter().map(code).collect(),
        unmapped_more: more,
        hold: None,
        answer: None,
        clock: None,
        answer_mode: AnswerMode::Original,
    }
}

#[test]
fn codes_beyond_the_limit_are_only_counted() {
    let codes = Codes::default();
    let channel: Arc<str> = Arc::from("lab");
    let all = (0..UNMAPPED_CODES_MAX).map(|n| format!("C{n}"));
    let merges = codes.merges(&channel, &processed(all, 0));
    assert_eq!(merges.len(), UNMAPPED_CODES_MAX);
    assert_eq!(codes.of_channel("lab"), UNMAPPED_CODES_MAX);
    let over = ["C1".to_owned(), "NEW".to_owned(), "NEWER".to_owned()];
    let merges = codes.merges(&channel, &processed(over, 3));
    let told: Vec<_> = merges
        .iter()
        .map(|merge| {
            let seen: Seen = serde_json::from_slice(&merge.value).unwrap();
            (merge.key.rsplit(BETWEEN).next().unwrap(), seen.count)
        })
        .collect();
    assert_eq!(told, [("C1", 2), ("(more)", 7)]);
    assert_eq!(codes.of_channel("lab"), UNMAPPED_CODES_MAX);
}

#[test]
fn codes_that_are_over_make_room_without_a_restart() {
    let codes = Codes::default();
    let channel: Arc<str> = Arc::from("lab");
    let come = |channel: &Arc<str>, names: Vec<String>, at_ms: u64| {
        let message = Processed {
            arrived_ms: at_ms,
            ..processed(names, 0)
        };
        codes.merges(channel, &message).len()
    };
    let all = (0..UNMAPPED_CODES_MAX).map(|n| format!("C{n}")).collect();
    come(&channel, all, 1_000);
    // One of them is seen again a day later.
    let (day, over) = (86_400_000, 1_000 + FORGOTTEN_AFTER_MS);
    come(&channel, vec!["C7".to_owned()], day);
    // Another channel finds no room as long as they count, and room afterwards.
    let other: Arc<str> = Arc::from("other");
    come(&other, vec!["NEW".to_owned()], over - 1);
    assert_eq!(codes.of_channel("other"), 0);
    assert_eq!(codes.of_channel("lab"), UNMAPPED_CODES_MAX);
    let later = over + SWEPT_EVERY_MS;
    come(&other, vec!["NEW".to_owned()], later);
    assert_eq!((codes.of_channel("other"), codes.of_channel("lab")), (1, 1));
    // Where no message comes, the watch does it.
    codes.news("lab", day + FORGOTTEN_AFTER_MS + SWEPT_EVERY_MS);
    assert_eq!(codes.of_channel("lab"), 0);
}

#[test]
fn new_codes_are_told_together_and_not_too_often() {
    let codes = Codes::default();
    let channel: Arc<str> = Arc::from("lab");
    let come = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        codes.merges(&channel, &processed(names, 0));
    };
    assert_eq!(codes.news("lab", 0), None);
    come(&["A", "B"]);
    come(&["A"]);
    assert_eq!(
        (codes.news("lab", 5), codes.news("lab", 6)),
        (Some(2), None)
    );
    come(&["C"]);
    assert_eq!(codes.news("lab", 4 + TOLD_EVERY_MS), None);
    assert_eq!(codes.news("lab", 5 + TOLD_EVERY_MS), Some(1));
}

#[test]
fn names_are_shown_and_texts_are_not() {
    assert_eq!(name("LIS 2"), "LIS 2");
    assert_eq!(name("Döe"), "(3)");
    assert_eq!(name(&"x".repeat(61)), "(61)");
}
