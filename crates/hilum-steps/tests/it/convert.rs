use hilum_component::{Processed, Severity, Unlimited};
use hilum_message::{BlobRange, BlobRef, Cut, Payload};

use crate::channel::{Channel, Files, outcome, problems, run};

const ADMIT: &str = "MSH|^~\\&|NLAB|NORTH|||20260102030405||ADT^A01^ADT_A01|7|P|2.5\n\
    PID|1||42^^^N||Canary^Ann||19700102|F|||||||||||||||||||||20260101101500\nPV1|1|I\nZZ1|x\n";

#[test]
fn later_steps_see_and_change_the_bundle() {
    let steps = "- convert: { to: fhir, bundle: collection }\n\
        - set: { \"Bundle.entry[0].id\": \"'first'\" }\n\
        - filter: \"Bundle.entry.resource.ofType(Patient).exists()\"\n";
    let found = run("hl7v2", steps, ADMIT);
    let bundle = found.first().expect("a message");
    assert!(
        bundle.starts_with(r#"{"resourceType":"Bundle","identifier":{"#),
        "{bundle}"
    );
    assert!(bundle.contains(r#""entry":[{"id":"first","#), "{bundle}");
    assert!(bundle.contains(r#""birthDate":"1970-01-02""#), "{bundle}");
    // The same message gives the same Bundle again.
    assert_eq!(found, run("hl7v2", steps, ADMIT));
}

#[test]
fn the_sender_says_what_its_authorities_are_and_the_site_lays_rows_over_ours() {
    let rows = "map PID -> Patient\n~ PID-8  gender  -  'unknown'\n";
    let system = "system: lab\ngroup: labs\nsends-as: { application: NLAB }\n";
    let files = [("maps/ours.map", rows), ("systems/lab.yaml", system)];
    let steps = "- sender: labs\n- convert: fhir\n";
    let found = outcome(&Channel::new("hl7v2", &files, steps).run(ADMIT));
    let bundle = found.first().expect("a message");
    assert!(bundle.contains(r#""gender":"unknown""#), "{bundle}");
    assert!(
        bundle.contains(r#""request":{"method":"PUT","url":"Patient?identifier="#),
        "{bundle}"
    );
}

#[test]
fn an_authority_means_what_the_files_of_the_site_say_whoever_sends() {
    let file = |name: &str, uri: &str| {
        format!("system: {name}\nidentifiers: [{{ authority: N, {uri}type: MR }}]\n")
    };
    let check = |of_pas: &str, of_lab: &str, step: &str, expected: &str| {
        let (pas, lab) = (file("pas", of_pas), file("lab", of_lab));
        let files = [
            ("systems/pas.yaml", pas.as_str()),
            ("systems/lab.yaml", lab.as_str()),
        ];
        let found = outcome(&Channel::new("hl7v2", &files, step).run(ADMIT));
        let url = format!("Patient?identifier={expected}%7C42\"");
        assert!(
            found[0].contains(&url),
            "{step} {of_pas}{of_lab}: {found:?}"
        );
    };
    let (one, two) = ("oid: 1.2.3, ", "oid: 1.2.4, ");
    let (nobody, lab) = ("convert: fhir", "convert: { to: fhir, system: lab }");
    check(one, "", lab, "urn%3Aoid%3A1.2.3");
    check(one, "", nobody, "urn%3Aoid%3A1.2.3");
    check(one, one, nobody, "urn%3Aoid%3A1.2.3");
    // Two are called by one name: each file is believed for its own messages, and none for others.
    check(one, two, lab, "urn%3Aoid%3A1.2.4");
    check(one, two, nobody, "urn%3Aid%3AN");
    check("", "", nobody, "urn%3Aid%3AN");
}

#[test]
fn a_trace_names_the_row_of_each_element_and_findings_name_places_only() {
    let mut channel = Channel::new("hl7v2", &[], "convert: fhir");
    let processed = channel.run(ADMIT);
    let line = channel
        .trace
        .iter()
        .find(|line| line.path.as_deref() == Some("PID-5.1.1"));
    let line = line.expect("a line");
    assert!(
        line.note.contains("name[0].family by maps/types/"),
        "{}",
        line.note
    );
    let found: Vec<String> = processed
        .findings
        .iter()
        .map(|finding| format!("{} {:?} {}", finding.code, finding.path, finding.text))
        .collect();
    let all = found.join("\n");
    assert!(all.contains("time-without-zone Some(\"PID-29\")"), "{all}");
    assert!(
        all.contains("no row reads ") && all.contains("ZZ1"),
        "{all}"
    );
    assert!(!all.contains("Canary"), "{all}");
    assert!(
        processed
            .findings
            .iter()
            .any(|finding| finding.severity == Severity::Warning)
    );
    let mut silent = Channel::new(
        "hl7v2",
        &[],
        "convert: { to: fhir, report: none, zone: '+01:00' }",
    );
    assert!(silent.run(ADMIT).findings.is_empty());
}

#[test]
fn mistakes_are_told_when_the_site_is_checked() {
    let check = |format: &str, files: &[(&str, &str)], step: &str, expected: &[&str]| {
        assert_eq!(
            problems(format, &Files::of(files), step),
            expected,
            "{step}"
        );
    };
    check(
        "json",
        &[],
        "convert: fhir",
        &["to: messages of the format json are not converted"],
    );
    check(
        "hl7v2",
        &[("maps/a.map", "map PID -> Patient\n+ PID-8  gendre\n")],
        "convert: fhir",
        &["maps: Patient has no such element: `gendre`"],
    );
    check(
        "hl7v2",
        &[],
        "convert: { to: fhir, zone: Nowhere/Else }",
        &["zone: this machine knows no time zone `Nowhere/Else`"],
    );
}

const REPORT: &str = r#"{"resourceType":"Bundle","type":"collection","entry":[
  {"fullUrl":"urn:uuid:1","resource":{"resourceType":"Patient","identifier":[{"system":"http://example.org/mrn","value":"7"}],"name":[{"family":"Canary"}],"gender":"female"}},
  {"resource":{"resourceType":"DiagnosticReport","status":"final","code":{"text":"Lipids"},"subject":{"reference":"urn:uuid:1"},"effectiveDateTime":"2026-01-01T22:00:00Z","result":[{"reference":"urn:uuid:2"}]}},
  {"fullUrl":"urn:uuid:2","resource":{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://example.org/codes","code":"X"}]},
    "valueQuantity":{"value":5.10,"unit":"mmol/l"},"focus":[{"display":"Canary"}]}}]}"#;

const EHR: (&str, &str) = (
    "systems/ehr.yaml",
    "system: ehr\nzone: '+05:30'\nsends-as: { application: EHR, facility: NORTH }\n\
     identifiers: [{ authority: HOSP, uri: 'http://example.org/mrn' }]\n\
     code-systems: { OURS: 'http://example.org/codes' }\n",
);

#[test]
fn a_bundle_becomes_a_message_for_its_receiver() {
    let steps = "- convert: { to: hl7v2, system: ehr, sending-application: HILUM^1.2.3^ISO, processing-id: T }\n\
        - filter: \"OBX.exists()\"\n\
        - set: { PID-8: \"'U'\" }\n";
    let mut channel = Channel::new("fhir", &[EHR], steps);
    let found = outcome(&channel.run(REPORT));
    let message = found.first().expect("a message");
    let segments: Vec<&str> = message.split(['\r', '\n']).collect();
    let header: Vec<&str> = segments.first().expect("MSH").split('|').collect();
    assert_eq!(
        header.get(2..6),
        Some(["HILUM^1.2.3^ISO", "", "EHR", "NORTH"].as_slice())
    );
    assert!(
        header.get(6).is_some_and(|time| time.ends_with("+0530")),
        "{message}"
    );
    assert_eq!(
        header.get(8..12).map(|h| [h[0], h[2], h[3]]),
        Some(["ORU^R01^ORU_R01", "T", "2.5.1"])
    );
    assert_eq!(header.get(9).map(|id| id.len()), Some(15));
    let body = [
        "PID|1||7^^^HOSP||Canary|||U",
        "OBR|1|||^Lipids|||20260102033000+0530||||||||||||||||||F",
        "OBX|1|NM|X^^OURS||5.10|mmol/l^mmol/l|||||F",
    ];
    assert_eq!(segments.get(1..4), Some(body.as_slice()), "{message}");
    // The same resource gives the same message again.
    assert_eq!(found, outcome(&channel.run(REPORT)));
}

#[test]
fn a_trace_names_the_row_of_each_value_and_findings_of_the_way_back_name_paths_only() {
    let mut channel = Channel::new("fhir", &[EHR], "convert: { to: hl7v2, system: ehr }");
    let processed = channel.run(REPORT);
    let path = Some("Bundle.entry[0].resource.name[0].family");
    let line = channel
        .trace
        .iter()
        .find(|line| line.path.as_deref() == path);
    let line = line.expect("a line");
    assert!(
        line.note.starts_with("PID[1]-5.1.1 by maps/reverse/"),
        "{}",
        line.note
    );
    let found: Vec<String> = processed
        .findings
        .iter()
        .map(|finding| format!("{} {}", finding.code, finding.text))
        .collect();
    assert_eq!(
        found,
        ["unmapped no row reads Bundle.entry[2].resource.focus[0]"]
    );
    let mut silent = Channel::new("fhir", &[], "convert: { to: hl7v2, report: none }");
    assert!(silent.run(REPORT).findings.is_empty());
}

#[test]
fn a_bundle_of_several_appointments_becomes_as_many_messages() {
    let one =
        r#"{"resource":{"resourceType":"Appointment","status":"booked","minutesDuration":5}}"#;
    let bundle =
        format!(r#"{{"resourceType":"Bundle","type":"collection","entry":[{one},{one}]}}"#);
    let mut channel = Channel::new("fhir", &[], "convert: hl7v2");
    let processed = channel.run(&bundle);
    let found = outcome(&processed);
    assert_eq!(found.len(), 2);
    let second = found.last().expect("two");
    assert!(second.contains("-2|P|2.5.1"), "{second}");
}

#[test]
fn what_no_message_is_known_for_is_rejected_with_the_remedy() {
    let library = r#"{"resourceType":"Library","status":"active","type":{"text":"x"}}"#;
    let check = |step: &str, expected: &str| {
        let processed = Channel::new("fhir", &[], step).run(library);
        let told = format!("{:?}", processed.reason);
        assert!(told.contains(expected), "{told}");
    };
    let expected = "no message is known for a Library; name the event, or add a row to `events` (`message` of the step `convert`)";
    check("convert: hl7v2", expected);
    check(
        "convert: { to: hl7v2, message: ADT^A08 }",
        "there are no rows that make ADT^A08 of this Library",
    );
}

#[test]
fn keys_of_the_other_direction_are_mistakes() {
    let check = |format: &str, step: &str, expected: &[&str]| {
        assert_eq!(problems(format, &Files::of(&[]), step), expected, "{step}");
    };
    check(
        "hl7v2",
        "convert: { to: fhir, message: ADT^A08 }",
        &["message: it is not looked at with `to: fhir`"],
    );
    check(
        "fhir",
        "convert: { to: hl7v2, bundle: message }",
        &["bundle: it is not looked at with `to: hl7v2`"],
    );
    check(
        "fhir",
        "convert: { to: hl7v2, message: adt }",
        &["message: `adt` is not of the form ADT^A08 or ADT"],
    );
    check(
        "hl7v2",
        "convert: hl7v2",
        &["to: messages of the format hl7v2 are not converted; this step takes resources of FHIR"],
    );
}

/// What base64 (RFC 4648 section 4) says.
fn decoded(text: &str) -> Vec<u8> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => panic!("{c} is no digit"),
    };
    let digits: Vec<u8> = text.trim_end_matches('=').bytes().map(digit).collect();
    let mut out = Vec::new();
    for four in digits.chunks(4) {
        let bits = four
            .iter()
            .fold(0_u32, |bits, six| bits << 6 | u32::from(*six));
        let bits = bits << (6 * (4 - four.len()));
        out.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
    }
    out
}

/// What stands behind each `"data":` of a Bundle.
fn data(bundle: &str) -> Vec<&str> {
    let behind = bundle.split(r#""data":""#).skip(1);
    behind
        .map(|text| text.split('"').next().expect("a text"))
        .collect()
}

#[test]
fn the_message_as_it_came_is_in_the_bundle_whole_or_not_at_all() {
    let message = |document: &str| {
        let head = "MSH|^~\\&|NLAB|NORTH|||20260102030405+0000||ORU^R01^ORU_R01|7|P|2.5\r";
        let header = "PID|1||42^^^N||C\u{e4}nary\rOBR|1||F1|X\r";
        let result = "OBX|1|ED|P||^application^pdf^Base64^";
        format!("{head}{header}{result}{document}||||||F\r")
    };
    for form in ["binary", "document-reference"] {
        let step = format!("convert: {{ to: fhir, original: {form} }}");
        let came = message("QUJD");
        let inline = Channel::new("hl7v2", &[], &step)
            .run_payload(Payload::inline(came.clone().into()), &Unlimited);
        let bundle = outcome(&inline).concat();
        let kept = data(&bundle).into_iter().map(decoded).next_back();
        assert!(kept == Some(came.into_bytes()), "{bundle}");
        let left_out = |code: &str| code == "original-left-out";
        assert!(!inline.findings.iter().any(|found| left_out(&found.code)));

        // A document of 20 MB lies in a blob, of which a step sees nothing.
        let text = message("");
        let at = text.find("||||||F\r").expect("the end of the result");
        let range = BlobRange {
            blob: BlobRef {
                partition: "p".into(),
                name: "b".into(),
            },
            offset: 0,
            length: 20_000_000,
        };
        let cut = Cut {
            at,
            range: range.clone(),
        };
        let payload = Payload::with_cuts(text.into(), vec![cut]);
        let mut channel = Channel::new("hl7v2", &[], &step);
        let large = channel.run_payload(payload.clone(), &Unlimited);
        let bundle = outcome(&large).concat();
        assert_eq!(data(&bundle), [""], "the document alone: {bundle}");
        let delivered = &large.deliveries[0].payload;
        assert_eq!(delivered.cuts().len(), 1);
        assert_eq!(delivered.cuts()[0].range, range);
        let found = large.findings.iter().find(|found| left_out(&found.code));
        let found = found.expect("a finding");
        assert_eq!(found.severity, Severity::Warning);
        assert!(found.text.contains("the journal keeps"), "{}", found.text);
        // Where a step in front takes the document away, what is left is whole.
        let step = format!("- set: {{ OBX-5.5: \"''\" }}\n- {step}\n");
        let smaller = Channel::new("hl7v2", &[], &step).run_payload(payload, &Unlimited);
        let bundle = outcome(&smaller).concat();
        let kept = data(&bundle).into_iter().map(decoded).next_back();
        assert!(kept == Some(message("").into_bytes()), "{bundle}");
    }
}

#[test]
fn a_document_has_hash_and_finding_whether_it_lies_in_memory_or_not() {
    // 256 kB is where a source cuts it out (ATTACHMENT_MIN of the connectors).
    let document = |length: usize| {
        "JVBERi0xLjQK"
            .chars()
            .cycle()
            .take(length)
            .collect::<String>()
    };
    let message = |kind: &str, data: &str| {
        format!(
            "MSH|^~\\&|L|L|||20231114221320||ORU^R01^ORU_R01|1|P|2.5.1\rPID|1||1^^^A\r\
             OBR|1||1|A^B^L\rOBX|1|ED|A^B^L||L^AP^{kind}^Base64^{data}||||||F\r"
        )
    };
    let step = "convert: fhir";
    let seen = |processed: &Processed| {
        let bundle = outcome(processed).concat();
        let hash = bundle.split("\"hash\":\"").nth(1);
        let hash = hash.and_then(|rest| rest.split('"').next());
        let kind = bundle.contains("application/pdf") || bundle.contains("image/jpeg");
        let told = processed.findings.iter();
        let told = told.filter(|found| found.code == "attachment-type").count();
        (hash.map(str::to_owned), kind, told)
    };
    let mut hashes = Vec::new();
    for length in [255_996, 256_000, 300_000] {
        for (kind, told) in [("PDF", 0), ("JPEG", 1)] {
            let document = document(length);
            let inside = Payload::inline(message(kind, &document).into());
            let inside = Channel::new("hl7v2", &[], step).run_payload(inside, &Unlimited);
            let inside = seen(&inside);
            assert!(
                inside.0.is_some() && inside.1 && inside.2 == told,
                "{inside:?}"
            );

            let text = message(kind, "");
            let range = BlobRange {
                blob: BlobRef {
                    partition: "p".into(),
                    name: "b".into(),
                },
                offset: 4,
                length: length as u64,
            };
            let at = text.find("||||||F\r").expect("the end of the result");
            let cut = Payload::with_cuts(text.into(), vec![Cut { at, range }]);
            let mut channel = Channel::new("hl7v2", &[], step);
            channel.blob("b", format!("else{document}|"));
            let outside = channel.run_payload(cut.clone(), &Unlimited);
            assert_eq!(outside.deliveries[0].payload.cuts().len(), 1);
            assert_eq!(seen(&outside), inside, "{length} {kind}");
            hashes.extend(inside.0);

            // What is not there, or is no base64, has none, and goes on as it came.
            let mut unread = Channel::new("hl7v2", &[], step);
            let unread = unread.run_payload(cut.clone(), &Unlimited);
            assert_eq!((seen(&unread).0, seen(&unread).2), (None, 0));
            let mut broken = Channel::new("hl7v2", &[], step);
            broken.blob("b", format!("else*{}", document.replacen('J', "", 1)));
            let broken = broken.run_payload(cut, &Unlimited);
            assert_eq!((seen(&broken).0, seen(&broken).2), (None, 0));
        }
    }
    hashes.dedup();
    assert_eq!(hashes.len(), 3, "one of each length");
}
