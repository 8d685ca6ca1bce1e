use crate::channel::{Files, problems, run};

const TEXT: &str = "MSH|^~\\&|PAS|H|||||ADT^A01|1|P|2.5\nPV1|1|I|W3^301\n";

#[test]
fn conditions_decide_and_say_why() {
    for (steps, expected) in [
        ("filter: PV1-3.1 = 'W3'", TEXT),
        ("filter: PV1-3.1 = 'W4'", "filtered: not PV1-3.1 = 'W4'"),
        ("filter: PV1-9.1 = 'W4'", "filtered: not PV1-9.1 = 'W4'"),
        (
            "filter: { unless: PV1-3.1 = 'W3' }",
            "filtered: PV1-3.1 = 'W3'",
        ),
        (
            "filter: { unless: PV1-3.1 = 'W3', reason: not ours }",
            "filtered: not ours",
        ),
        (
            "filter: { if: PV1-3.1 = 'W3', unless: PV1-9.exists() }",
            TEXT,
        ),
    ] {
        assert_eq!(run("hl7v2", steps, TEXT), [expected], "{steps}");
    }
}

#[test]
fn mistakes_are_all_told_with_their_place() {
    let found = problems(
        "hl7v2",
        &Files::default(),
        "filter: { if: 'PID-3 =', unless: '((' }",
    );
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("if: not an expression"), "{found:?}");
    let none = problems("hl7v2", &Files::default(), "filter: { reason: x }");
    assert_eq!(none, [": a filter needs a condition"]);
}
