//! Systems that say who assigns their identifiers, or do not.

use super::{EHR, LIS, problems};

#[test]
fn a_system_of_patients_says_whose_numbers_it_has() {
    let channel = "channel: a\nfrom: { mllp: { system: lis, listen: 127.0.0.1:0 } }\nformat: hl7v2\nto: { ehr: { mllp: { system: ehr } } }\n";
    let check = |lis: &str| -> Vec<_> {
        let found = problems(&[("channels/a.yaml", channel), ("systems/lis.yaml", lis)]);
        found.into_iter().map(|d| (d.code, d.message)).collect()
    };
    let text = "`lis` does not say who assigns its identifiers".to_owned();
    assert_eq!(check("system: lis\n"), [("E0127", text)]);
    assert_eq!(
        check("system: lis\nno-patients: a clock that sends the time\n"),
        []
    );
    let text = "`no-patients` does not say why".to_owned();
    assert_eq!(check("system: lis\nno-patients: ' '\n"), [("E0127", text)]);
    let text = "the system has identifiers of patients, and says that it has none".to_owned();
    assert_eq!(
        check(&format!("{LIS}no-patients: none\n")),
        [("E0127", text)]
    );
    assert_eq!(check("system: lis\nidentifiers: []\n")[0].0, "E0105");
    // Neither the receiver of a group's alerts nor a system of delimited files has patients.
    let files = "channel: a\nfrom: { file: { system: lis, folder: /nowhere/in, error: /nowhere/error, delete: true } }\nformat: { delimited: {} }\nto: { out: { topic: out } }\n";
    let found = problems(&[
        ("channels/a.yaml", files),
        ("systems/lis.yaml", "system: lis\n"),
    ]);
    assert!(found.iter().all(|d| d.code == "W0301"), "{found:?}");
}

#[test]
fn a_name_of_an_authority_has_one_meaning_in_all_files() {
    let check = |lis: &str, ehr: &str| -> Vec<(&str, String)> {
        let channel = "channel: a\nfrom: { mllp: { system: lis, listen: 127.0.0.1:2577 } }\nformat: hl7v2\nto: { ehr: { mllp: { system: ehr } } }\n";
        let (lis, ehr) = (
            format!("system: lis\nidentifiers: [{{ authority: STE, {lis}type: MR }}]\n"),
            EHR.replace("authority: STE, ", &format!("authority: STE, {ehr}")),
        );
        let found = problems(&[
            ("channels/a.yaml", channel),
            ("systems/lis.yaml", &lis),
            ("systems/ehr.yaml", &ehr),
        ]);
        found.into_iter().map(|d| (d.code, d.message)).collect()
    };
    let text = "`STE` is another authority here than for `ehr`".to_owned();
    let said = [("W0320", text)];
    assert_eq!(check("oid: 1.2.3, ", "oid: 1.2.4, "), said);
    assert_eq!(check("uri: 'http://a.example/p', ", "oid: 1.2.4, "), said);
    assert_eq!(check("oid: 1.2.3, ", "oid: 1.2.3, "), []);
    assert_eq!(check("uri: 'urn:oid:1.2.3', ", "oid: 1.2.3, "), []);
    // One of the two files says what it means.
    assert_eq!(check("", "oid: 1.2.4, "), []);
}

#[test]
fn a_source_of_hl7_v2_names_its_system() {
    let channel = "channel: a\nfrom: { file: { folder: /nowhere/in, error: /nowhere/error, delete: true } }\nformat: hl7v2\nto: { ehr: { mllp: { system: ehr } } }\n";
    let found = problems(&[("channels/a.yaml", channel)]);
    assert_eq!(found[0].code, "W0303", "{found:?}");
    // What `match` lacks there is the same.
    let matched = channel.replace("to:", "steps: [ { match: {} } ]\nto:");
    let found = problems(&[("channels/a.yaml", &matched)]);
    let text =
        "this source names no system, so nobody knows who assigns the identifiers of its messages";
    let found: Vec<_> = found.iter().map(|d| (d.code, d.message.as_str())).collect();
    assert_eq!(found, [("W0303", text)]);
    let delimited = channel.replace("hl7v2", "{ delimited: {} }");
    let found = problems(&[("channels/a.yaml", &delimited)]);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn what_cannot_be_read_of_a_system_is_no_second_problem_of_those_who_need_it() {
    let channel = "channel: a\nfrom: { mllp: { system: lis, listen: 127.0.0.1:0 } }\nformat: hl7v2\nsteps: [ { match: {} } ]\nto: { ehr: { mllp: { system: ehr } } }\n";
    let check = |lis: &str, ehr: &str, expected: &[(&str, &str)]| {
        let files = [
            ("channels/a.yaml", channel),
            ("systems/lis.yaml", lis),
            ("systems/ehr.yaml", ehr),
        ];
        let found = problems(&files);
        let found: Vec<_> = found.iter().map(|d| (d.code, d.message.as_str())).collect();
        assert_eq!(found, expected, "{lis}{ehr}");
    };
    check(LIS, EHR, &[]);
    let unknown = |key: &str| format!("unknown key `{key}`");
    for (from, to) in [
        ("system: lis\n", "system: lis\nzoen: Europe/Berlin\n"),
        ("identifiers", "identifers"),
        ("authority", "autority"),
    ] {
        let key = to.trim_start_matches("system: lis\n").split(':').next();
        let text = unknown(key.unwrap());
        check(&LIS.replace(from, to), EHR, &[("E0101", &text)]);
    }
    check(
        &format!("{LIS}clock-skew: soon\n"),
        EHR,
        &[("E0110", "not a duration")],
    );
    check(
        LIS,
        &EHR.replace("addresses", "adresses"),
        &[("E0101", &unknown("adresses"))],
    );
    // What is missing although nothing is wrong there is a problem of its own.
    let none = "`lis` does not say who assigns its identifiers";
    check(
        "system: lis\nzoen: Europe/Berlin\n",
        EHR,
        &[("E0127", none), ("E0101", &unknown("zoen"))],
    );
}

#[test]
fn who_matches_the_messages_of_a_system_without_authority_is_told_once() {
    let check = |from: &str, steps: &str, files: &[(&str, &str)], expected: &[&str]| {
        let channel = format!(
            "channel: a\nfrom: {{ mllp: {{ {from}listen: 127.0.0.1:0 }} }}\nformat: hl7v2\nsteps: [ {steps} ]\nto: {{ ehr: {{ mllp: {{ system: ehr }} }} }}\n"
        );
        let all = [&[("channels/a.yaml", channel.as_str())], files].concat();
        let found = problems(&all);
        assert!(found.iter().all(|d| d.code == "E0127"), "{found:?}");
        let found: Vec<_> = found.iter().map(|d| d.message.as_str()).collect();
        assert_eq!(found, expected, "{from}{steps}");
    };
    let none = "`lis` does not say who assigns its identifiers";
    let bare = [("systems/lis.yaml", "system: lis\n")];
    check("system: lis, ", "{ match: {} }", &bare, &[none]);
    // The step alone names it.
    check("", "{ match: { system: lis } }", &bare, &[none]);
    // Nothing of it can be matched, and it says so itself.
    let says = [("systems/lis.yaml", "system: lis\nno-patients: a relay\n")];
    let matched = "`lis` says that it has no patients, and its messages are matched";
    check("system: lis, ", "{ match: {} }", &says, &[matched]);
    // What it relays is matched as what another system sends.
    check("system: lis, ", "{ match: { system: ehr } }", &says, &[]);
    let grouped = |name: &str, more: &str| format!("system: {name}\ngroup: labs\n{more}");
    let (one, two) = (
        grouped("one", "sends-as: { application: A }\n"),
        grouped(
            "two",
            "sends-as: { application: B }\nno-patients: a fridge\n",
        ),
    );
    let group = [
        ("systems/one.yaml", one.as_str()),
        ("systems/two.yaml", two.as_str()),
    ];
    check(
        "",
        "{ sender: { group: labs } }, { match: {} }",
        &group,
        &[
            "`one` does not say who assigns its identifiers",
            "`two` says that it has no patients, and its messages are matched",
        ],
    );
    // Of a group that sends to other channels nothing is asked here.
    check("system: lis, ", "{ match: {} }", &group[1..], &[]);
}
