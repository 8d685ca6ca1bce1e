use hilum_component::{Disposition, Processed, Released, ReleasedBy};

use crate::channel::{Channel, outcome, problems};

const LAB: (&str, &str) = (
    "systems/lab.yaml",
    "system: lab\nzone: '+01:00'\nunknown-patient: hold\nidentifiers:\n  - { authority: H, oid: 1.2.3, type: MR }\n",
);

const JANE: &str = "Doe^Jane||19700101|F";
const JOHN: &str = "Smith^John||19500101|M";

fn channel() -> Channel {
    Channel::new("hl7v2", &[LAB], "match: { system: lab }")
}

fn adt(event: &str, at: &str, number: &str, who: &str) -> String {
    format!(
        "MSH|^~\\&|PAS|H|||{at}||ADT^{event}|1|P|2.5\nEVN||{at}\nPID|||{number}^^^H^MR||{who}\n"
    )
}

fn oru(number: &str, who: &str) -> String {
    format!(
        "MSH|^~\\&|LAB|H|||20260105||ORU^R01|1|P|2.5\nPID|||{number}||{who}\n\
         ORC|RE|P1^EHR|F1^LAB\nOBR|1|P1^EHR|F1^LAB|GLU^Glucose^L|||||||||||||||||||||F\n\
         OBX|1|NM|GLU^Glucose^L||5|mmol/L|||||F\n"
    )
}

fn waits(processed: &Processed) -> String {
    assert_eq!(processed.disposition, Disposition::Held);
    assert!(processed.deliveries.is_empty() && processed.writes.is_empty());
    outcome(processed).concat()
}

fn codes(processed: &Processed) -> Vec<&str> {
    assert_eq!(
        processed.disposition,
        Disposition::Accepted,
        "{processed:?}"
    );
    processed
        .findings
        .iter()
        .map(|one| one.code.as_str())
        .collect()
}

#[test]
fn an_order_of_which_nothing_new_is_said_is_remembered_for_three_years() {
    let mut channel = channel();
    channel.run(&adt("A01", "20260101", "7", JANE));
    let first = channel.run(&oru("7^^^H^MR", JANE));
    let until = first.arrived_ms + 3 * 366 * 86_400_000;
    let of_orders = |processed: &Processed| -> Vec<_> {
        let all = processed.writes.iter();
        let own = all.filter(|one| one.scope.ends_with(".order"));
        own.map(|one| one.expires_ms).collect()
    };
    // By the placer's number and the filler's.
    assert_eq!(of_orders(&first), [Some(until); 2]);
    let others = first
        .writes
        .iter()
        .filter(|one| !one.scope.ends_with(".order"));
    assert!(others.into_iter().all(|one| one.expires_ms.is_none()));
    // A correction is news.
    let corrected = oru("7^^^H^MR", JANE).replace("||5|mmol/L|||||F", "||6|mmol/L|||||C");
    let corrected = channel.run(&corrected.replace("20260105", "20260106"));
    let until = corrected.arrived_ms + 3 * 366 * 86_400_000;
    assert_eq!(of_orders(&corrected).last(), Some(&Some(until)));
}

#[test]
fn a_child_of_an_order_of_another_patient_waits() {
    let mut channel = channel();
    channel.run(&adt("A01", "20260101", "7", JANE));
    channel.run(&adt("A01", "20260101", "8", JOHN));
    codes(&channel.run(&oru("7^^^H^MR", JANE)));
    let child = oru("8^^^H^MR", JOHN)
        .replace("RE|P1^EHR|F1^LAB", "RE|P2^EHR|F2^LAB|||||PARENT")
        .replace("OBR|1|P1^EHR|F1^LAB", "OBR|1|P2^EHR|F2^LAB");
    for parent in ["P1&EHR", "^F1&LAB", "P1&EHR^F1&LAB"] {
        let held = channel.run(&child.replace("PARENT", parent));
        assert!(waits(&held).contains("of another patient"), "{parent}");
    }
    let own = channel.run(&child.replace("PARENT", "P2&EHR^F2&LAB"));
    assert!(codes(&own).is_empty());
}

#[test]
fn a_test_is_held_against_tests_alone_and_teaches_nothing() {
    let mut channel = channel();
    let test = |text: &str| text.replace("|1|P|2.5", "|1|T|2.5");
    channel.run(&adt("A01", "20260101", "7", JANE));
    channel.run(&adt("A01", "20260101", "8", JOHN));
    // Another name, another birth date and a merge of two real numbers.
    let merge = format!("{}MRG|8^^^H^MR\n", adt("A40", "20260103", "7", JOHN));
    let trained = [test(&adt("A08", "20260102", "7", JOHN)), test(&merge)];
    for text in &trained {
        // None of them waits for a person.
        codes(&channel.run(text));
    }
    assert!(codes(&channel.run(&oru("7^^^H^MR", JANE))).is_empty());
    let real = channel.run(
        &oru("8^^^H^MR", JOHN)
            .replace("P1", "P2")
            .replace("F1", "F2"),
    );
    assert!(codes(&real).is_empty(), "it goes to its own number");
    assert!(outcome(&real).concat().contains("PID|||8^^^H^MR"));
    // Among themselves tests are matched: 8 was merged there.
    let trained = channel.run(&test(&oru("8^^^H^MR", JOHN)));
    assert!(outcome(&trained).concat().contains("PID|||7^^^H^MR"));
    // One that nobody knows goes on: it would hold up what is real.
    let unknown = channel.run(&test(&oru("9^^^H^MR", JANE)));
    assert_eq!(codes(&unknown), ["unknown-patient"]);
}

#[test]
fn a_result_waits_for_its_patient_and_then_must_be_of_that_patient() {
    let mut channel = channel();
    let held = channel.run(&oru("7^^^H^MR", JANE));
    assert!(waits(&held).contains("nobody has registered the patient yet"));
    let hold = held.hold.unwrap();
    let wake = ("hilum.identity.patient".into(), "H|MR|7".into());
    assert_eq!((hold.until_ms, hold.wake), (None, Some(wake.clone())));
    let known = channel.run(&adt("A01", "20260101", "7", JANE));
    assert!(codes(&known).is_empty());
    // What woke it is what the registration changed.
    let keys = known
        .writes
        .iter()
        .map(|one| (one.scope.clone(), one.key.clone()));
    assert!(keys.collect::<Vec<_>>().contains(&wake));
    // By name or by object identifier of its authority, and where only one is declared without.
    for number in ["7^^^H^MR", "7^^^&1.2.3&ISO^MR", "7", "7^^^H"] {
        assert!(
            codes(&channel.run(&oru(number, JANE))).is_empty(),
            "{number}"
        );
        let other = channel.run(&oru(number, JOHN));
        let text = waits(&other);
        assert!(
            text.contains("another birth date and another name"),
            "{text}"
        );
        assert!(!text.contains("Smith") && !text.contains('7'), "{text}");
    }
}

#[test]
fn a_released_message_goes_on_and_is_what_is_known() {
    let mut channel = channel();
    channel.run(&adt("A01", "20260101", "7", JANE));
    waits(&channel.run(&adt("A08", "20260102", "7", JOHN)));
    let by = ReleasedBy::Decision;
    channel.released = Some(Released { step: 0, by });
    codes(&channel.run(&adt("A08", "20260102", "7", JOHN)));
    channel.released = None;
    codes(&channel.run(&oru("7", JOHN)));
    waits(&channel.run(&oru("7", JANE)));
}

#[test]
fn the_survivor_of_a_merge_takes_the_place_of_the_victim() {
    let merge = "MSH|^~\\&|PAS|H|||20260103||ADT^A40|1|P|2.5\nEVN||20260103\nPID|||7^^^H^MR||Doe^Jane\nMRG|8^^^H^MR\n";
    for (merged, expected) in [
        ("rewrite", "PID|||7^^^H^MR||"),
        ("keep", "PID|||8^^^H^MR||"),
    ] {
        let mut channel = Channel::new(
            "hl7v2",
            &[LAB],
            &format!("match: {{ system: lab, merged: {merged} }}"),
        );
        channel.run(&adt("A01", "20260101", "7", JANE));
        channel.run(&adt("A01", "20260101", "8", "Doe^J||19700101|F"));
        codes(&channel.run(merge));
        let result = channel.run(&oru("8^^^H^MR", "Doe^J||19700101|F"));
        assert_eq!(codes(&result), ["merged-identifier"]);
        assert!(
            outcome(&result)[0].contains(expected),
            "{:?}",
            outcome(&result)
        );
        let late = channel.run(&adt("A08", "20260104", "8", "Doe^J||19700101|F"));
        assert!(waits(&late).contains("merged into another one"));
    }
}

#[test]
fn an_order_stays_with_its_patient_by_number_and_authority() {
    let mut channel = channel();
    channel.run(&adt("A01", "20260101", "7", JANE));
    channel.run(&adt("A01", "20260101", "8", JOHN));
    codes(&channel.run(&oru("7", JANE)));
    assert!(waits(&channel.run(&oru("8", JOHN))).contains("that of another patient"));
    // The same number of another authority is another order.
    let other = oru("8", JOHN)
        .replace("^EHR", "^GP")
        .replace("F1^LAB", "F1^LAB2");
    codes(&channel.run(&other));
    // A number without an authority is that of many orders.
    let bare = oru("8", JOHN)
        .replace("P1^EHR", "P1")
        .replace("F1^LAB", "F1");
    codes(&channel.run(&bare));
}

#[test]
fn each_patient_of_a_message_is_matched() {
    let mut channel = channel();
    channel.run(&adt("A01", "20260101", "7", JANE));
    channel.run(&adt("A01", "20260101", "8", JOHN));
    let two = |second: &str| {
        let second: String = oru("8", second)
            .lines()
            .skip(1)
            .map(|line| format!("{line}\n"))
            .collect();
        format!(
            "{}{}",
            oru("7", JANE),
            second.replace("P1^", "P2^").replace("F1^", "F2^")
        )
    };
    codes(&channel.run(&two(JOHN)));
    waits(&channel.run(&two(JANE)));
}

#[test]
fn what_cannot_be_matched_is_said_when_the_site_is_checked() {
    assert_eq!(
        problems("json", &crate::channel::Files::default(), "match: {}"),
        [": messages of the format json are not matched; put the step before what converts them"]
    );
    assert!(
        problems(
            "hl7v2",
            &crate::channel::Files::default(),
            "match: { system: x }"
        )[0]
        .contains("no such system")
    );
    let bare = ("systems/x.yaml", "system: x\n");
    let files = crate::channel::Files::of(&[bare]);
    assert_eq!(
        problems("hl7v2", &files, "match: { system: x }"),
        ["identifiers: `x` does not say who assigns its identifiers"]
    );
    let steps = crate::channel::steps("hl7v2", &crate::channel::Files::default(), "match: {}");
    let warnings = steps.unwrap()[0].step.warnings();
    assert!(
        warnings[0]
            .message
            .contains("does not say which system sends")
    );
}

/// A report of one order at a time of day, results as `CODE VALUE STATUS`.
fn report(at: &str, results: &[&str]) -> String {
    let mut text = format!(
        "MSH|^~\\&|LAB|H|||202601050{at}||ORU^R01|1|P|2.5\nPID|||7||{JANE}\n\
         OBR|1||F1^LAB|PANEL^^L|||||||||||||||||||202601050{at}|||F\n"
    );
    for (result, n) in results.iter().zip(1..) {
        let parts: Vec<&str> = result.split(' ').collect();
        let (code, value, status) = (parts[0], parts[1], parts[2]);
        text.push_str(&format!(
            "OBX|{n}|NM|{code}^^L||{value}|mmol/L|||||{status}\nNTE|1||about {code}\n"
        ));
    }
    text
}

/// What of a report goes on, as `CODE VALUE STATUS`, and what was noticed.
fn left(channel: &mut Channel, at: &str, results: &[&str]) -> (Vec<String>, Vec<String>) {
    let processed = channel.run(&report(at, results));
    let found = processed
        .findings
        .iter()
        .map(|one| one.code.clone())
        .collect();
    let Some(delivery) = processed.deliveries.first() else {
        return (vec![processed.disposition.word().to_owned()], found);
    };
    let text = String::from_utf8_lossy(delivery.payload.text()).into_owned();
    let notes = text
        .split('\r')
        .filter(|line| line.starts_with("NTE"))
        .count();
    let lines: Vec<String> = text
        .split('\r')
        .filter(|line| line.starts_with("OBX"))
        .map(|line| {
            let fields: Vec<&str> = line.split('|').collect();
            let code = fields[3].split('^').next().unwrap_or_default();
            format!("{code} {} {}", fields[5], fields[11])
        })
        .collect();
    assert_eq!(notes, lines.len(), "each with its own note");
    (lines, found)
}

#[test]
fn a_preliminary_result_never_follows_the_final_one() {
    let mut channel = channel();
    channel.run(&adt("A01", "20260101", "7", JANE));
    let none: Vec<String> = Vec::new();
    let of = |results: &[&str]| {
        results
            .iter()
            .map(|one| (*one).to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        left(&mut channel, "800", &["NA 139 P", "K 4.0 P"]),
        (of(&["NA 139 P", "K 4.0 P"]), none.clone())
    );
    assert_eq!(
        left(&mut channel, "900", &["K 4.1 F"]),
        (of(&["K 4.1 F"]), none.clone())
    );
    // Sodium goes on, potassium was final.
    let (lines, found) = left(&mut channel, "930", &["K 4.0 P", "NA 140 F"]);
    assert_eq!(
        (lines, found),
        (of(&["NA 140 F"]), of(&["result-withheld"]))
    );
    let (lines, found) = left(&mut channel, "940", &["K 5.4 C"]);
    assert_eq!((lines, found), (of(&["K 5.4 C"]), none.clone()));
    // What was under way when the correction came.
    let (lines, found) = left(&mut channel, "900", &["K 4.1 F"]);
    assert_eq!(
        (lines, found),
        (of(&["filtered"]), of(&["result-withheld"]))
    );
    // Another value under `final` is a correction that is not called one.
    let (lines, found) = left(&mut channel, "950", &["NA 141 F"]);
    assert_eq!((lines, found), (of(&["NA 141 F"]), of(&["result-state"])));
}

#[test]
fn a_result_that_was_withdrawn_from_a_patient_does_not_come_back_by_itself() {
    let mut channel = channel();
    channel.run(&adt("A01", "20260101", "7", JANE));
    assert_eq!(
        left(&mut channel, "800", &["K 4.0 F"]).1,
        Vec::<String>::new()
    );
    assert_eq!(
        left(&mut channel, "810", &["K 4.0 W"]).1,
        ["withdraws-result"]
    );
    assert_eq!(left(&mut channel, "820", &["K 4.0 F"]).0, ["held"]);
    let by = ReleasedBy::Decision;
    channel.released = Some(Released { step: 0, by });
    assert_eq!(left(&mut channel, "820", &["K 4.0 F"]).0, ["K 4.0 F"]);
}

#[test]
fn the_lines_of_a_report_are_one_result() {
    let mut channel = channel();
    channel.run(&adt("A01", "20260101", "7", JANE));
    let lines = ["TXT one F", "TXT two F", "TXT three F"];
    assert_eq!(left(&mut channel, "800", &lines).0.len(), 3);
    // Sent again as it was: no correction.
    assert_eq!(
        left(&mut channel, "810", &lines),
        (lines.map(str::to_owned).to_vec(), Vec::new())
    );
    let (left, found) = left(&mut channel, "820", &["TXT one F", "TXT other F"]);
    assert_eq!((left.len(), found), (2, vec!["result-state".to_owned()]));
}

#[test]
fn a_correction_is_not_taken_for_older_by_the_time_of_another_order_or_report() {
    let mut channel = channel();
    channel.run(&adt("A01", "20260101", "7", JANE));
    let message = |sent: &str, orders: &[(&str, &str, &str, &str)]| {
        let mut text =
            format!("MSH|^~\\&|LAB|H|||202601050{sent}||ORU^R01|1|P|2.5\nPID|||7||{JANE}\n");
        for (order, at, value, status) in orders {
            text.push_str(&format!(
                "OBR|1||{order}^LAB|PANEL^^L|||||||||||||||||||{at}|||F\n\
                 OBX|1|NM|K^^L||{value}|mmol/L|||||{status}\n"
            ));
        }
        text
    };
    let first = [
        ("F1", "202601050800", "4.0", "F"),
        ("F2", "202601050900", "5.0", "F"),
        ("F3", "", "6.0", "F"),
    ];
    assert!(codes(&channel.run(&message("905", &first))).is_empty());
    // Corrected with a time before that of the second order, with the time of the report that it
    // corrects, and with a time where the report had none.
    for (sent, one) in [
        ("910", ("F1", "202601050830", "4.1", "C")),
        ("920", ("F1", "202601050800", "4.2", "C")),
        ("930", ("F3", "202601050900", "6.1", "C")),
    ] {
        let corrected = channel.run(&message(sent, &[one]));
        assert!(
            codes(&corrected).is_empty(),
            "{sent}: {:?}",
            corrected.findings
        );
    }
    // What was sent and made before is older.
    let late = channel.run(&message("900", &[("F1", "202601050800", "4.0", "F")]));
    assert_eq!(late.disposition, Disposition::Filtered);
}
