//! What marks messages: confidentiality, test patients, critical results.

use hilum_component::{Disposition, Processed, TestMessages, process, trace};
use hilum_config::Loaded;

use super::kit::{in_channel_a, loaded};

const IDENTIFIERS: &str = "identifiers: [{ authority: STE, type: MR }]\n";

/// A site in production with these parts.
fn site(hilum: &str, lis: &str, ehr: &str, channel: &str) -> Loaded {
    let files = [
        (
            "hilum.yaml",
            format!("site: a\nproduction: true\nfhir: {{}}\n{hilum}"),
        ),
        (
            "systems/lis.yaml",
            format!("system: lis\n{IDENTIFIERS}{lis}"),
        ),
        (
            "systems/ehr.yaml",
            format!(
                "system: ehr\nproduction: true\naddresses: {{ mllp: 10.0.0.1:2576 }}\n{IDENTIFIERS}{ehr}"
            ),
        ),
        (
            "systems/board.yaml",
            format!("system: board\naddresses: {{ mllp: 10.0.0.2:2576 }}\n{IDENTIFIERS}"),
        ),
        (
            "channels/a.yaml",
            format!(
                "channel: a\nfrom: {{ mllp: {{ system: lis, listen: 127.0.0.1:0 }} }}\nformat: hl7v2\n{channel}"
            ),
        ),
    ];
    loaded(files)
}

const TO: &str = "to:\n  ehr: { mllp: { system: ehr } }\n  board: { mllp: { system: board } }\n";
const STORED: &str =
    "silence: { W0319: a test }\nto:\n  store: { fhir: local, steps: [ { convert: fhir } ] }\n";

fn run(loaded: &Loaded, segments: &str) -> Processed {
    in_channel_a(loaded, segments, process)
}

fn result(id: &str, pid: &str, obx8: &str) -> String {
    format!(
        "MSH|^~\\&|LIS|LAB|||20260101080000||ORU^R01^ORU_R01|1|{id}|2.5.1\nPID|1||{pid}\nPV1|1|I\nOBR|1|P1|F1|K^K^L\nOBX|1|NM|K^K^L||7.1|mmol/L|3.5-5.1|{obx8}|||F\n"
    )
}

fn names(processed: &Processed) -> Vec<&str> {
    processed
        .deliveries
        .iter()
        .map(|d| &*d.destination)
        .collect()
}

#[test]
fn a_test_patient_never_reaches_what_is_in_production() {
    let rules =
        "test-patients:\n  - { family: ['ZZ*'] }\n  - { authority: STE, from: 900, to: 999 }\n";
    let loaded = site(rules, "", "", TO);
    for (message, expected) in [
        (result("T", "1^^^STE||Doe^Jane", ""), Some("MSH-11")),
        (result("D", "1^^^STE||Doe^Jane", ""), Some("MSH-11")),
        (result("P", "1^^^STE||zztest^Jane", ""), Some("PID-5")),
        (result("", "901^^^STE||Doe^Jane", ""), Some("PID-3")),
        (result("P", "901^^^LAB||Doe^Jane", ""), None),
        (result("", "1^^^STE||Doe^Jane", ""), None),
    ] {
        let processed = run(&loaded, &message);
        assert_eq!(processed.disposition, Disposition::Accepted);
        let found: Vec<_> = processed
            .findings
            .iter()
            .filter(|f| f.code == "test-patient")
            .collect();
        match expected {
            Some(path) => {
                assert_eq!(names(&processed), ["board"], "{message}");
                assert_eq!(
                    (found[0].step.as_str(), found[0].path.as_deref()),
                    ("ehr", Some(path))
                );
            }
            None => assert_eq!((names(&processed).len(), found.len()), (2, 0), "{message}"),
        }
    }
}

#[test]
fn a_message_for_production_alone_ends_with_the_reason_and_stores_take_none() {
    let test = result("T", "1^^^STE||Doe^Jane", "");
    for (hilum, ehr, channel, stopped) in [
        ("", "", "to: { ehr: { mllp: { system: ehr } } }\n", true),
        (
            "",
            "test-messages: allow\n",
            "to: { ehr: { mllp: { system: ehr } } }\n",
            false,
        ),
        ("", "", STORED, true),
        // A step cannot make a test of one that is none.
        (
            "",
            "",
            "steps: [ { set: { MSH-11: \"'P'\" } } ]\nto: { ehr: { mllp: { system: ehr } } }\n",
            true,
        ),
    ] {
        let loaded = site(hilum, "", ehr, channel);
        let processed = run(&loaded, &test);
        let expected = if stopped {
            Disposition::Filtered
        } else {
            Disposition::Accepted
        };
        assert_eq!(processed.disposition, expected, "{channel}");
        assert_eq!(processed.deliveries.is_empty(), stopped);
        assert_eq!(
            processed.reason.map(|reason| reason.code),
            stopped.then(|| "test-patient".to_owned())
        );
    }
    let open = site("", "", "", STORED).plan.unwrap();
    assert_eq!(
        open.channels["a"].destinations[0].care.test_messages,
        TestMessages::Stop
    );
}

#[test]
fn labels_stand_beside_the_message_and_on_each_resource() {
    let lists = "security-labels:\n  - { field: PV1-16, codes: [N], labels: [] }\n  - { field: OBX-3, codes: [hiv1], labels: [HIV] }\n";
    let loaded = site("", lists, "", STORED);
    let message = |vip: &str, code: &str| {
        format!(
            "MSH|^~\\&|LIS|LAB|||20260101080000||ORU^R01^ORU_R01|1|P|2.5.1\nPID|1||1^^^STE^MR||Doe^Jane\nPV1|1|I{}{vip}\nOBR|1|P1|F1|K^K^L|||||||||||||||||||||F\nOBX|1|NM|{code}^K^L||7.1|mmol/L|3.5-5.1||||F\n",
            "|".repeat(14)
        )
    };
    for (vip, code, expected) in [
        ("", "K", None),
        ("N", "K", None),
        ("VIP", "K", Some("R CEL")),
        ("N", "HIV1", Some("HIV")),
        ("VIP", "HIV1", Some("R CEL HIV")),
    ] {
        let processed = run(&loaded, &message(vip, code));
        assert_eq!(processed.metadata.get("security"), expected);
        let tokens = processed
            .tokens
            .iter()
            .filter(|(name, _)| &**name == "security");
        assert_eq!(
            tokens.count(),
            expected.map_or(0, |labels| labels.split(' ').count())
        );
        let delivery = &processed.deliveries[0];
        assert_eq!(delivery.metadata.get("security"), expected);
        let text = String::from_utf8_lossy(delivery.payload.text()).into_owned();
        let resources = text.matches("\"resourceType\"").count();
        for label in expected.into_iter().flat_map(str::split_whitespace) {
            let coding = format!("\"code\":\"{label}\"}}");
            assert_eq!(text.matches(&coding).count(), resources, "{label}: {text}");
        }
        assert!(resources > 3);
    }
}

#[test]
fn a_trace_says_how_a_message_was_marked_and_who_does_not_get_it() {
    let loaded = site("", "", "", TO);
    let text = result("T", "1^^^STE||Doe^Jane", "HH");
    let (_, steps) = in_channel_a(&loaded, &text, trace);
    let told: Vec<_> = steps
        .iter()
        .flat_map(|step| &step.lines)
        .map(|line| (line.step.as_str(), line.path.as_deref().unwrap_or_default()))
        .collect();
    assert_eq!(
        told,
        [
            ("marks", "meta.test"),
            ("marks", "meta.critical"),
            ("ehr", "MSH-11"),
        ]
    );
}

#[test]
fn a_critical_result_has_a_priority_and_a_time_unless_the_channel_says_otherwise() {
    let at = 1_767_254_400_000;
    let ehr = |keys: &str| format!("to: {{ ehr: {{ mllp: {{ system: ehr }}{keys} }} }}\n");
    for (channel, priority, within) in [
        (ehr(""), 100, Some(600_000)),
        (ehr(", priority: \"3\""), 3, Some(600_000)),
        (ehr(", critical-within: 2m"), 100, Some(120_000)),
        (ehr(", critical-off: it is read by nobody"), 100, None),
        (
            format!("critical-within: 5m\n{}", ehr("")),
            100,
            Some(300_000),
        ),
        (format!("critical-off: an archive\n{}", ehr("")), 100, None),
        (
            format!("critical-off: an archive\n{}", ehr(", critical-within: 1m")),
            100,
            Some(60_000),
        ),
    ] {
        let loaded = site("", "", "", &channel);
        let processed = run(&loaded, &result("P", "1^^^STE||Doe^Jane", "HH"));
        let delivery = &processed.deliveries[0];
        assert_eq!(delivery.priority, priority, "{channel}");
        assert_eq!(
            delivery.critical,
            within.map(|within| at + within),
            "{channel}"
        );
        let usual = run(&loaded, &result("P", "1^^^STE||Doe^Jane", "H"));
        assert_eq!(usual.deliveries[0].critical, None);
    }
}

#[test]
fn lists_that_fit_everybody_are_refused() {
    let codes = |hilum: &str| -> Vec<_> {
        let loaded = site(hilum, "", "", TO);
        loaded
            .diagnostics
            .iter()
            .map(|d| (d.code, d.message.clone()))
            .collect()
    };
    for (rule, text) in [
        (
            "{ from: '1', to: '2' }",
            "a number of a test patient needs its authority",
        ),
        (
            "{ authority: STE }",
            "every patient of an authority would be a test patient",
        ),
        (
            "{ authority: STE, from: '9', to: '1' }",
            "the range of numbers cannot be used",
        ),
        (
            "{ authority: STE, from: 'A', to: 'B' }",
            "the range of numbers cannot be used",
        ),
        (
            "{ authority: STE, from: '1' }",
            "the range of numbers cannot be used",
        ),
        ("{}", "a rule for test patients says nothing"),
        ("{ family: ['*'] }", "every patient would be a test patient"),
    ] {
        let found = codes(&format!("test-patients: [ {rule} ]\n"));
        assert_eq!(found, [("E0128", text.to_owned())], "{rule}");
    }
    let found = codes("security-labels: [ { field: PV1-16, codes: [X], labels: ['R V'] } ]\n");
    assert_eq!(
        found,
        [(
            "E0128",
            "a security label is a code, without a space".to_owned()
        )]
    );
    let found = codes("security-labels: [ { field: PV1-, codes: [X], labels: [R] } ]\n");
    assert_eq!(found[0].0, "E0112");
}
