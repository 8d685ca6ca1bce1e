use crate::channel::{Channel, Files, outcome, problems};

const TABLE: &str = "source,code,display,target,code,display,unit\n\
    L,K,Kalium,LN,2823-3,Potassium,mmol/L\n";
const FILES: &[(&str, &str)] = &[("t.csv", TABLE)];

fn oru(obx: &str) -> String {
    format!("MSH|^~\\&|LIS|H|||||ORU^R01|1|P|2.5\nPID|1||7\n{obx}\n")
}

fn check(settings: &str, before: &str, after: &str) {
    let steps = format!("translate: {{ field: OBX-3, table: t.csv, {settings} }}");
    let mut channel = Channel::new("hl7v2", FILES, &steps);
    let processed = channel.run(&oru(before));
    assert_eq!(outcome(&processed), [oru(after)], "{settings}");
}

#[test]
fn coded_fields_take_code_text_and_system() {
    check(
        "",
        "OBX|1|NM|K^Kalium^L||4",
        "OBX|1|NM|2823-3^Potassium^LN||4",
    );
    check("", "OBX|1|NM|K||4", "OBX|1|NM|2823-3^Potassium^LN||4");
    check("", "OBX|1|NM|K^Kalium^X||4", "OBX|1|NM|K^Kalium^X||4");
    check(
        "keep-original: true",
        "OBX|1|NM|K^Kalium^L||4",
        "OBX|1|NM|2823-3^Potassium^LN^K^Kalium^L||4",
    );
    check(
        "unit: OBX-6",
        "OBX|1|NM|K^^L||4|x^y",
        "OBX|1|NM|2823-3^Potassium^LN||4|mmol/L^y",
    );
    check(
        "default: { code: U, system: Z }",
        "OBX|1|NM|Q^q^L||4",
        "OBX|1|NM|U^^Z||4",
    );
    check(
        "reverse: true",
        "OBX|1|NM|2823-3^^LN||4",
        "OBX|1|NM|K^Kalium^L||4",
    );
    check(
        "",
        "OBX|1|NM|K^^L\nOBX|2|NM|\"\"\nOBX|3|NM|K^^L",
        "OBX|1|NM|2823-3^Potassium^LN\nOBX|2|NM|\"\"\nOBX|3|NM|2823-3^Potassium^LN",
    );
}

#[test]
fn an_unknown_code_is_kept_flagged_or_rejected() {
    let run = |unmapped: &str| {
        let steps = format!("translate: {{ field: OBX-3, table: t.csv, unmapped: {unmapped} }}");
        Channel::new("hl7v2", FILES, &steps).run(&oru("OBX|1|NM|K^^L\nOBX|2|NM|ZZ9^^L"))
    };
    assert!(run("keep").findings.is_empty());
    let flagged = run("flag");
    assert_eq!(flagged.findings.len(), 1);
    let finding = &flagged.findings[0];
    assert_eq!(
        (finding.code.as_str(), finding.path.as_deref()),
        ("unmapped", Some("OBX[2]-3"))
    );
    assert_eq!(finding.text, "no row of t.csv has the code ZZ9");
    assert_eq!(
        outcome(&run("reject")),
        ["rejected: no row of t.csv has the code ZZ9 at OBX[2]-3"]
    );
}

#[test]
fn what_is_no_code_is_not_shown() {
    let steps = "translate: { field: PID-5.1, table: t.csv }";
    let mut channel = Channel::new("hl7v2", FILES, steps);
    let text = "MSH|^~\\&|LIS|H|||||ORU^R01|1|P|2.5\nPID|1||||van den Berg\n";
    let processed = channel.run(text);
    assert_eq!(
        processed.findings[0].text,
        "no row of t.csv has a code of 12 characters"
    );
}

#[test]
fn the_trace_names_table_and_line() {
    let mut channel = Channel::new("hl7v2", FILES, "translate: { field: OBX-3, table: t.csv }");
    channel.run(&oru("OBX|1|NM|K^^L\nOBX|2|NM|Q"));
    let notes: Vec<_> = channel
        .trace
        .iter()
        .map(|line| (line.path.as_deref(), line.note.as_str()))
        .collect();
    assert_eq!(
        notes,
        [
            (Some("OBX[1]-3"), "t.csv:2"),
            (Some("OBX[2]-3"), "t.csv: no row")
        ]
    );
}

#[test]
fn plain_codes_of_other_formats_are_replaced() {
    let mut channel = Channel::new(
        "json",
        FILES,
        "translate: { field: items.code, table: t.csv }",
    );
    let found = outcome(&channel.run(r#"{"items":[{"code":"K"},{"code":"Q"}]}"#));
    assert_eq!(found, [r#"{"items":[{"code":"2823-3"},{"code":"Q"}]}"#]);
}

#[test]
fn mistakes_are_all_told_with_their_place() {
    let files = Files::of(&[("bad.csv", "code,code\n")]);
    let steps = "translate: { field: 'OBX-', table: bad.csv, unit: OBX }";
    let found = problems("hl7v2", &files, steps);
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(found[1], "table: bad.csv, line 1: column 2 is there twice");
    let found = problems(
        "hl7v2",
        &files,
        "translate: { field: OBX-3, table: none.csv }",
    );
    assert_eq!(found, ["table: no file `none.csv`"]);
}
