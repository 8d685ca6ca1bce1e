use crate::channel::{Channel, Files, outcome, problems, run};

const HEAD: &str = "MSH|^~\\&|PAS|H|||||ADT^A01|1|P|2.5\n";

#[test]
fn every_value_that_a_path_selects_is_brought_into_form() {
    let text = format!("{HEAD}PID|1||a 1^^^X~b 2||DOE^JANE^q~ROE||1.5.1980\n");
    let steps =
        "normalise: { dates: [PID-7], names: [PID-5], name-case: title, identifiers: [PID-3] }";
    let expected = format!("{HEAD}PID|1||A1^^^X~B2||Doe^Jane^q~Roe||19800501\n");
    assert_eq!(run("hl7v2", steps, &text), [expected]);
    let json = "normalise: { dates: [a.born], names: [a.name] }";
    assert_eq!(
        run(
            "json",
            json,
            r#"{"a":[{"born":"19800501","name":" x  y "},{"born":"1980"}]}"#
        ),
        [r#"{"a":[{"born":"1980-05-01","name":"x y"},{"born":"1980"}]}"#]
    );
    let untouched = format!("{HEAD}PID|1||A1||Doe||\"\"\n");
    assert_eq!(run("hl7v2", steps, &untouched), [untouched]);
}

#[test]
fn a_date_that_cannot_be_read_stays_and_is_noted() {
    let text = format!("{HEAD}PID|1||7||Doe||31.02.1980\n");
    let processed = Channel::new("hl7v2", &[], "normalise: { dates: [PID-7] }").run(&text);
    assert_eq!(outcome(&processed), [text]);
    let finding = &processed.findings[0];
    assert_eq!(
        (finding.code.as_str(), finding.path.as_deref()),
        ("date-not-read", Some("PID-7"))
    );
}

#[test]
fn mistakes_are_told() {
    let site = Files::default();
    assert_eq!(
        problems("hl7v2", &site, "normalise: {}"),
        [": nothing is to be normalised"]
    );
    assert!(
        problems("hl7v2", &site, "normalise: { dates: [PID-7, 'PID-'] }")[0]
            .starts_with("dates.1: ")
    );
}
