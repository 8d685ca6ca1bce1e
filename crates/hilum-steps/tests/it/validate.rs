use std::path::PathBuf;

use crate::channel::{Channel, Files, outcome, problems, steps};

const TEXT: &str =
    "MSH|^~\\&|PAS|H|||20260105||ADT^A01^ADT_A01|1|P|2.5\nEVN||x\nPID|1||7||Doe^Jane\nPV1||I\n";

#[test]
fn the_standard_gives_findings_or_a_rejection() {
    let processed = Channel::new("hl7v2", &[], "validate: { level: warn }").run(TEXT);
    assert_eq!(outcome(&processed), [TEXT]);
    assert!(
        processed
            .findings
            .iter()
            .any(|f| f.code == "data-type" && f.path.as_deref() == Some("EVN-2.1")),
        "{:?}",
        processed.findings
    );
    let rejected = Channel::new("hl7v2", &[], "validate: { level: reject }").run(TEXT);
    let reason = rejected.reason.expect("a reason");
    assert_eq!(
        (reason.code.as_str(), reason.path.as_deref()),
        ("102", Some("EVN-2.1"))
    );
    let short = Channel::new("hl7v2", &[], "validate: { level: warn, findings-max: 1 }").run(TEXT);
    assert!(short.findings.len() <= 2, "{:?}", short.findings);
}

#[test]
fn a_profile_of_the_nist_tools_is_held_against() {
    let shared = std::env::var("HILUM_SHARED").map_or_else(
        |_| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let mut folders = vec![shared.join("samples/hl7v2-profiles/cdc-nist/profiles")];
    if !folders.iter().all(|folder| folder.is_dir()) {
        println!("not run: a_profile_of_the_nist_tools_is_held_against (no shared material)");
        return;
    }
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name == "PROFILE.xml") && read < 3 {
                let text = std::fs::read_to_string(&path).expect("a file");
                let mut channel = Channel::new("hl7v2", &[("p.xml", &text)], "validate: p.xml");
                assert!(!channel.run(TEXT).findings.is_empty(), "{}", path.display());
                read += 1;
            }
        }
    }
    assert!(read > 0, "no profile");
}

#[test]
fn parts_of_a_profile_that_cannot_be_checked_are_told() {
    let profile = "<ConformanceProfile><Messages><Message Type='ADT' Event='A01' StructID='ADT_A01'>\
        <Segment Ref='MSH' Usage='R' Min='1' Max='1'/></Message></Messages>\
        <Segments><Segment ID='MSH' Name='MSH'/></Segments></ConformanceProfile>";
    let constraints = "<ConformanceContext><Constraints><Segment><ByID ID='MSH'>\
        <Constraint ID='C1'><Assertion><Plugin QualifiedClassName='a.B'/></Assertion></Constraint>\
        </ByID></Segment></Constraints></ConformanceContext>";
    let site = Files::of(&[("p.xml", profile), ("c.xml", constraints)]);
    let text = "validate: { profile: p.xml, constraints: c.xml }";
    let steps = steps("hl7v2", &site, text).expect("a step");
    let warnings = steps[0].step.warnings();
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].key, ["profile"]);
    assert_eq!(
        warnings[0].message,
        "Segment MSH: C1: Plugin a.B cannot be checked"
    );
}

#[test]
fn mistakes_are_told() {
    let site = Files::of(&[("p.xml", "<x/>"), ("c.xml", "<y/>")]);
    assert!(problems("hl7v2", &site, "validate: p.xml")[0].starts_with("profile: not a profile"));
    assert_eq!(
        problems("hl7v2", &site, "validate: none.xml"),
        ["profile: no file `none.xml`"]
    );
    assert_eq!(
        problems("hl7v2", &site, "validate: { constraints: c.xml }"),
        [": these files belong to a `profile`"]
    );
    assert_eq!(
        problems("json", &site, "validate: {}"),
        [": only messages of HL7 v2 can be validated"]
    );
}
