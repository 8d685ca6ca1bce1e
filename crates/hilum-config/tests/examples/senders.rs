//! The clocks of systems that send: which are meant, in which zone, and how far they may be off.

use hilum_component::{Finding, Millis, Processed, process};
use hilum_config::Loaded;

use super::kit::{in_channel_a, loaded};

fn site(node: &str, lis: &str, channel: &str) -> Loaded {
    let identifiers = "identifiers: [{ authority: STE, type: MR }]\n";
    let files = [
        ("hilum.yaml", format!("site: a\n{node}")),
        (
            "systems/lis.yaml",
            format!("system: lis\n{identifiers}{lis}"),
        ),
        (
            "systems/poct.yaml",
            format!(
                "system: poct\n{identifiers}zone: Asia/Tokyo\nclock-skew: 15m\ngroup: labs\nsends-as: {{ application: POCT }}\n"
            ),
        ),
        (
            "channels/a.yaml",
            format!("channel: a\nformat: hl7v2\n{channel}to:\n  out: {{ topic: results }}\n"),
        ),
        (
            "channels/b.yaml",
            "channel: b\nfrom: { topic: results }\nformat: hl7v2\nto:\n  gone: { topic: end }\n"
                .to_owned(),
        ),
        (
            "channels/c.yaml",
            "channel: c\nfrom: { topic: end }\nformat: hl7v2\nsteps: [ { filter: { if: 'false' } } ]\nto:\n  gone: { topic: never }\n"
                .to_owned(),
        ),
    ];
    loaded(files)
}

fn run(loaded: &Loaded, application: &str, sent: &str) -> Processed {
    let text = format!("MSH|^~\\&|{application}|LAB|||{sent}||ORU^R01|1|P|2.5\nPID|1||1^^^STE\n");
    in_channel_a(loaded, &text, process)
}

fn ahead(processed: &Processed) -> Option<&Finding> {
    let mut findings = processed.findings.iter();
    findings.find(|finding| finding.code == "sender-clock-ahead")
}

const NAMED: &str = "from: { mllp: { system: lis, listen: 127.0.0.1:0 } }\n";
const GROUP: &str = "from: { mllp: { listen: 127.0.0.1:0 } }\nsteps: [ { sender: labs } ]\n";

#[test]
fn a_message_is_compared_in_its_own_zone_then_in_that_of_its_system_then_in_that_of_the_node() {
    for (node, lis, sent, behind_s) in [
        ("", "", "20260101075900.000+0000", Some(60)),
        ("", "", "20260101085900.000", None),
        ("zone: Europe/Berlin\n", "", "20260101085900.000", Some(60)),
        (
            "zone: Europe/Berlin\n",
            "zone: Asia/Tokyo\n",
            "20260101165900.000",
            Some(60),
        ),
        (
            "zone: Europe/Berlin\n",
            "zone: Asia/Tokyo\n",
            "20260101075900.000+0000",
            Some(60),
        ),
        ("", "", "yesterday", None),
    ] {
        let processed = run(&site(node, lis, NAMED), "LIS", sent);
        let reading = processed.clock.as_ref();
        let found = reading.map(|reading| reading.behind_ms / 1_000);
        assert_eq!(found, behind_s, "{node}{lis}{sent}");
        assert!(reading.is_none_or(|reading| &*reading.system == "lis"));
        assert_eq!(ahead(&processed), None);
    }
}

#[test]
fn a_message_from_the_future_is_a_finding_just_beyond_what_the_file_allows() {
    for (lis, sent, expected) in [
        ("", "20260101080500.000+0000", false),
        ("", "20260101080500.001+0000", true),
        ("clock-skew: 1m\n", "20260101080100.000+0000", false),
        ("clock-skew: 1m\n", "20260101080100.001+0000", true),
        ("clock-skew: 1h\n", "20260101090000.000+0000", false),
        ("", "20250101080000+0000", false),
    ] {
        let processed = run(&site("", lis, NAMED), "LIS", sent);
        let found = ahead(&processed);
        assert_eq!(found.is_some(), expected, "{lis}{sent}");
        let path = found.map(|finding| finding.path.as_deref());
        assert_eq!(path, expected.then_some(Some("MSH-7")));
    }
}

#[test]
fn systems_of_a_group_have_each_its_own_clock() {
    let own = "group: labs\nsends-as: { application: LIS }\nzone: Europe/Berlin\n";
    let loaded = site("", own, GROUP);
    let read = |application, sent| run(&loaded, application, sent).clock;
    let lis = read("LIS", "20260101090000.000").expect("it is known");
    assert_eq!((&*lis.system, lis.behind_ms), ("lis", 0));
    let poct = read("POCT", "20260101165900.000").expect("it is known");
    assert_eq!((&*poct.system, poct.behind_ms), ("poct", 60_000));
    assert_eq!(poct.skew_max, Millis(900_000));
    assert_eq!(read("OTHER", "20260101090000.000"), None);
}
