use crate::channel::{Channel, Files, problems, run};

const TEXT: &str = "MSH|^~\\&|PAS|H|||||ADT^A01|1|P|2.5\nPID|1||7^^^X~8^^^Y\n";

#[test]
fn values_go_where_they_are_told() {
    for (steps, expected) in [
        ("set: { MSH-5: \"'EHR'\" }", TEXT.replace("|H||", "|H|EHR|")),
        ("set: { PID-3.4: \"'Z'\" }", TEXT.replace("^X", "^Z")),
        (
            "set: { 'PID-3[*].4': \"'Z'\" }",
            TEXT.replace("^X", "^Z").replace("^Y", "^Z"),
        ),
        (
            "set: { 'PID-3[*].1': \"'5' | '6'\" }",
            TEXT.replace("7^", "5^").replace("8^", "6^"),
        ),
        ("set: { PID-2: PID-3.1 }", TEXT.replace("||7^", "|7|7^")),
        ("set: { PID-1: \"{}\" }", TEXT.replace("PID|1|", "PID||")),
        (
            "set: { PID-1: \"'2'\", PID-2: PID-1 }",
            TEXT.replace("PID|1||", "PID|2|2|"),
        ),
        ("set: { ZXX-1: \"'a|b'\" }", format!("{TEXT}ZXX|a\\F\\b\n")),
    ] {
        assert_eq!(run("hl7v2", steps, TEXT), [expected], "{steps}");
    }
}

#[test]
fn named_values_travel_beside_the_message() {
    let mut channel = Channel::new(
        "hl7v2",
        &[],
        "set: { meta.patient: PID-3.1, meta.none: PID-9 }",
    );
    let processed = channel.run(TEXT);
    let metadata = &processed.deliveries[0].metadata;
    assert_eq!(
        (metadata.get("patient"), metadata.get("none")),
        (Some("7"), None)
    );
    let line = &channel.trace[0];
    assert_eq!(
        (line.path.as_deref(), line.note.as_str()),
        (Some("meta.patient"), "PID-3.1")
    );
    assert_eq!(
        line.after.as_ref().map(|after| after.reveal().as_str()),
        Some("7")
    );
}

#[test]
fn a_trace_shows_what_was_there_before() {
    let mut channel = Channel::new("hl7v2", &[], "set: { MSH-4: \"'EHR'\" }");
    channel.run(TEXT);
    let line = &channel.trace[0];
    assert_eq!(
        line.before.as_ref().map(|before| before.reveal().as_str()),
        Some("H")
    );
    assert_eq!(
        line.after.as_ref().map(|after| after.reveal().as_str()),
        Some("EHR")
    );
    assert!(!format!("{line:?}").contains("EHR\""), "{line:?}");
}

#[test]
fn mistakes_are_all_told_with_their_place() {
    let found = problems(
        "hl7v2",
        &Files::default(),
        "set: { PID-x: \"'a'\", 'meta.a b': MSH-1, MSH-3: 7 }",
    );
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].starts_with("PID-x: "), "{found:?}");
    assert_eq!(found[2], "MSH-3: an expression is text");
    let many: Vec<String> = (1..=1_001).map(|n| format!("ZZZ-{n}: MSH-3")).collect();
    let found = problems(
        "hl7v2",
        &Files::default(),
        &format!("set: {{ {} }}", many.join(", ")),
    );
    assert_eq!(found, [": a step sets at most 1000 places"]);
}

#[test]
fn what_cannot_be_written_rejects_the_message() {
    let found = run("hl7v2", "set: { 'PID[3]-1': \"'a'\" }", TEXT);
    assert!(
        found[0].starts_with("rejected: ") && found[0].contains("PID[3]-1"),
        "{found:?}"
    );
}
