use crate::channel::{Channel, Files, outcome, problems, steps};

fn chosen(route: &str, receiver: &str) -> Vec<String> {
    let mut channel = Channel::new("hl7v2", &[], route);
    let processed = channel.run(&format!("MSH|^~\\&|PAS|H||{receiver}|||ADT^A01|1|P|2.5\n"));
    if processed.reason.is_some() {
        return outcome(&processed);
    }
    let names = processed
        .deliveries
        .iter()
        .map(|delivery| delivery.destination.to_string());
    names
        .chain(
            processed
                .findings
                .iter()
                .map(|finding| finding.code.clone()),
        )
        .collect()
}

#[test]
fn destinations_are_chosen_by_condition_or_by_name() {
    for (route, receiver, expected) in [
        (
            "route: { to: { out: MSH-6 = 'A', other: MSH-9.1 = 'ADT' } }",
            "A",
            vec!["out", "other"],
        ),
        (
            "route: { to: { out: MSH-6 = 'A', other: MSH-6 = 'B' } }",
            "B",
            vec!["other"],
        ),
        (
            "route: { to: { out: MSH-6 = 'A' }, default: [other] }",
            "B",
            vec!["other"],
        ),
        (
            "route: { to: { out: MSH-6 = 'A' } }",
            "B",
            vec!["filtered: no destination was chosen"],
        ),
        ("route: { by: MSH-6 }", "other", vec!["other"]),
        (
            "route: { by: MSH-6, default: [out] }",
            "nobody",
            vec!["out", "no-such-destination"],
        ),
    ] {
        assert_eq!(chosen(route, receiver), expected, "{route} {receiver}");
    }
}

#[test]
fn mistakes_are_told_with_what_may_be_meant() {
    let site = Files::default();
    let found = steps(
        "hl7v2",
        &site,
        "route: { to: { outt: MSH-6 = 'A' }, default: [xyz] }",
    );
    let found = found.err().unwrap_or_default();
    assert_eq!(found[0].message, "no such destination `outt`");
    assert_eq!(found[0].hint.as_deref(), Some("did you mean `out`?"));
    assert_eq!(found[1].hint.as_deref(), Some("the channel has out, other"));
    assert_eq!(
        problems("hl7v2", &site, "route: { default: [out] }"),
        [": a route needs either `to` or `by`"]
    );
}
