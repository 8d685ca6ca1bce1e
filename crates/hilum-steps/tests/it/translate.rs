use hilum_component::{UNMAPPED_PER_MESSAGE_MAX, UnmappedFate};

use crate::channel::{Channel, Files, outcome, problems, steps};

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
        "OBX|1|NM|K^^L||4|mmol/l^y",
        "OBX|1|NM|2823-3^Potassium^LN||4|mmol/L^y",
    );
    check(
        "unit: OBX-6",
        "OBX|1|NM|K^^L||4.10|umol/mL^y|3.50-5.10",
        "OBX|1|NM|2823-3^Potassium^LN||4.10|mmol/L^y|3.50-5.10",
    );
    check(
        "unit: OBX-6",
        "OBX|1|NM|K^^L||4100|umol/L|3500-5100",
        "OBX|1|NM|2823-3^Potassium^LN||4.100|mmol/L|3.500-5.100",
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
fn unmapped_codes_are_registered_whatever_becomes_of_the_message() {
    let run = |settings: &str| {
        let steps = format!("translate: {{ field: OBX-3, table: t.csv, {settings} }}");
        let obx = "OBX|1|NM|ZZ9^Glucose^L\nOBX|2|NM|ZZ9^^L\nOBX|3|NM|van den Berg^Jane^L";
        let processed = Channel::new("hl7v2", FILES, &steps).run(&oru(obx));
        let codes = processed.unmapped.into_iter();
        codes
            .map(|code| (code.code, code.display, code.fate, code.count))
            .collect::<Vec<_>>()
    };
    let all = |fate| {
        [
            ("ZZ9".to_owned(), "Glucose".to_owned(), fate, 2),
            ("(12)".to_owned(), String::new(), fate, 1),
        ]
    };
    assert_eq!(run("unmapped: keep"), all(UnmappedFate::Kept));
    assert_eq!(run("unmapped: flag"), all(UnmappedFate::Flagged));
    assert_eq!(run("default: { code: U }"), all(UnmappedFate::Defaulted));
    // The first one ends the message.
    let rejected = run("unmapped: reject");
    assert_eq!(rejected.len(), 1);
    assert_eq!((rejected[0].2, rejected[0].3), (UnmappedFate::Rejected, 1));
}

#[test]
fn unmapped_codes_of_one_message_are_limited() {
    let obx = |count: usize| -> String {
        let lines = (0..count).map(|n| format!("OBX|{n}|NM|Z{n}^^L"));
        oru(&lines.collect::<Vec<_>>().join("\n"))
    };
    let run = |count| {
        let steps = "translate: { field: OBX-3, table: t.csv }";
        let processed = Channel::new("hl7v2", FILES, steps).run(&obx(count));
        (processed.unmapped.len(), processed.unmapped_more)
    };
    let max = UNMAPPED_PER_MESSAGE_MAX;
    assert_eq!((run(max), run(max + 1)), ((max, 0), (max, 1)));
}

#[test]
fn rows_count_on_their_days_only() {
    let table = "code,target,code,display,equivalence,from,until\n\
        K,LN,old,,,,2020-12-31\nK,LN,new,Potassium,wider,2021-01-01,\n";
    let files = &[("t.csv", table)];
    let mut channel = Channel::new("hl7v2", files, "translate: { field: OBX-3, table: t.csv }");
    let processed = channel.run(&oru("OBX|1|NM|K||4"));
    assert_eq!(outcome(&processed), [oru("OBX|1|NM|new^Potassium^LN||4")]);
    assert_eq!(channel.trace[0].note, "t.csv:3 (wider)");
}

#[test]
fn a_table_of_high_risk_needs_two_people() {
    let table = "code,target,code,status,by,approved-by\nA,T,1,approved,ann,ann\n";
    let files = Files::of(&[("units.csv", table), ("t.csv", table)]);
    let found = problems(
        "hl7v2",
        &files,
        "translate: { field: OBX-3, table: units.csv }",
    );
    let expected = "line 2: one person alone approved this row, and the table is about";
    assert_eq!(found, [format!("table: units.csv, {expected} units")]);
    let found = problems("hl7v2", &files, "translate: { field: OBX-6, table: t.csv }");
    assert_eq!(found, [format!("table: t.csv, {expected} units")]);
    let declared = "translate: { field: OBX-3, table: t.csv, risk: high }";
    let found = problems("hl7v2", &files, declared);
    let what = "what the site declares to be of high risk";
    assert_eq!(found, [format!("table: t.csv, {expected} {what}")]);
    assert!(problems("hl7v2", &files, "translate: { field: OBX-3, table: t.csv }").is_empty());
    let files = Files::of(&[("units.csv", "code,target,code\nA,T,1\n")]);
    let step = "translate: { field: OBX-3, table: units.csv }";
    let warnings = steps("hl7v2", &files, step).unwrap()[0].step.warnings();
    assert!(
        warnings[0]
            .message
            .ends_with("rows count that nobody approved: line 2")
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

const LABS: &[(&str, &str)] = &[
    (
        "systems/lab-north.yaml",
        "system: lab-north\ngroup: labs\nsends-as: { application: NLAB }\n",
    ),
    (
        "systems/lab-south.yaml",
        "system: lab-south\ngroup: labs\nsends-as: { application: SLAB }\n",
    ),
    ("tables/labs/lab-north.csv", TABLE),
    (
        "tables/labs/lab-south.csv",
        "source,code,display,target,code,display\nL,K,Kreatinin,LN,2160-0,Creatinine\n",
    ),
];

#[test]
fn one_code_means_what_its_sender_means() {
    let by_sender =
        "- sender: labs\n- translate: { field: OBX-3, tables: tables/labs, group: labs }";
    for (sender, expected) in [
        ("NLAB", "OBX|1|NM|2823-3^Potassium^LN||4"),
        ("SLAB", "OBX|1|NM|2160-0^Creatinine^LN||4"),
    ] {
        let mut channel = Channel::new("hl7v2", LABS, by_sender);
        let text = oru("OBX|1|NM|K^?^L||4").replace("|LIS|", &format!("|{sender}|"));
        let processed = channel.run(&text);
        let found = outcome(&processed).concat();
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
fn a_code_of_an_unknown_sender_stays_and_is_told() {
    let alone = "translate: { field: OBX-3, tables: tables/labs, group: labs }";
    let processed = Channel::new("hl7v2", LABS, alone).run(&oru("OBX|1|NM|K^?^L||4"));
    assert_eq!(processed.findings.len(), 1, "{:?}", processed.findings);
    assert_eq!(
        processed.findings[0].text,
        "no row of tables/labs has the code K"
    );
}

#[test]
fn every_system_of_the_group_needs_its_table() {
    let steps = "translate: { field: OBX-3, tables: tables/labs, group: labs }";
    let found = problems("hl7v2", &Files::of(&LABS[..3]), steps);
    assert_eq!(found, ["tables: no file `tables/labs/lab-south.csv`"]);
    let none = problems("hl7v2", &Files::of(&LABS[2..]), steps);
    assert_eq!(none, ["group: no system is of the group `labs`"]);
    let neither = problems("hl7v2", &Files::of(LABS), "translate: { field: OBX-3 }");
    assert_eq!(
        neither,
        [": a table is needed: `table`, `tables` with `group`, or `map`"]
    );
}
