//! `hilum convert`.

use hilum_testkit::site::SiteFolder;
use serde_json::Value;

use crate::{ends, text};

const ADMIT: &str = "MSH|^~\\&|PAS|NORTH|||20260102030405||ADT^A01^ADT_A01|7|P|2.5\rEVN|A01|20260102030405\r\
    PID|1||42^^^NORTH&1.2.3&ISO||Canary^Ann||19700102|F\rPV1|1|I|W1^R2^B3\rZZ1|x\r";

#[test]
fn a_message_becomes_a_bundle_and_what_was_not_carried_over_is_said_beside_it() {
    let folder = SiteFolder::new().unwrap();
    let file = folder.path().join("a.hl7");
    std::fs::write(&file, ADMIT).unwrap();
    let (bundle, said) = ends(
        &[
            "convert",
            text(&file),
            "--zone",
            "+01:00",
            "--from",
            "hl7v2",
            "--to",
            "fhir",
        ],
        0,
    );
    let bundle: Value = serde_json::from_str(&bundle).unwrap();
    assert_eq!(bundle["resourceType"], "Bundle");
    let entries = bundle["entry"].as_array().unwrap();
    let patient = entries
        .iter()
        .find(|entry| entry["resource"]["resourceType"] == "Patient")
        .unwrap();
    assert_eq!(patient["resource"]["gender"], "female");
    assert_eq!(patient["request"]["method"], "PUT");
    assert!(said.contains("unmapped ZZ1"), "{said}");
    assert!(!said.contains("Canary"), "{said}");

    let (_, said) = ends(&["convert", text(&file), "--explain"], 0);
    assert!(
        said.contains(".name[0].family = Canary from PID-5.1.1 by maps/types/"),
        "{said}"
    );
    let again = ends(
        &[
            "convert",
            text(&file),
            "--bundle",
            "message",
            "--original",
            "binary",
        ],
        0,
    )
    .0;
    let again: Value = serde_json::from_str(&again).unwrap();
    assert_eq!(again["type"], "message");
    let last = again["entry"].as_array().unwrap().last().unwrap();
    assert_eq!(last["resource"]["resourceType"], "Binary");
    assert_eq!(last.get("request"), None);
}

#[test]
fn folders_batches_and_lines_of_json_give_a_bundle_a_line() {
    let folder = SiteFolder::new().unwrap();
    let write =
        |name: &str, content: &str| std::fs::write(folder.path().join(name), content).unwrap();
    write("batch.hl7", &format!("BHS|^~\\&|A\r{ADMIT}{ADMIT}BTS|2\r"));
    let line = serde_json::to_string(ADMIT).unwrap();
    write(
        "lines.ndjson",
        &format!("{line}\n{{\"message\": {line}}}\n"),
    );
    write("notes.md", "not looked at");
    let (lines, said) = ends(&["convert", text(folder.path())], 0);
    assert_eq!(lines.lines().count(), 4, "{lines}");
    assert!(
        lines
            .lines()
            .all(|line| line.starts_with("{\"resourceType\":\"Bundle\""))
    );
    assert!(said.contains("4 messages converted, 0 not read"), "{said}");
    write("broken.hl7", "PID|1");
    let (_, said) = ends(&["convert", text(folder.path())], 1);
    assert!(said.contains("broken.hl7: there is no message"), "{said}");
}

#[test]
fn a_site_lays_rows_over_those_of_hilum_and_a_mistake_in_them_is_told_with_its_place() {
    let folder = SiteFolder::new().unwrap();
    let file = folder.path().join("a.hl7");
    std::fs::write(&file, ADMIT).unwrap();
    let rows = "map PID -> Patient\n- PID-8  gender\n";
    folder.file("site/maps/ours.map", rows).unwrap();
    let site = folder.path().join("site");
    let (bundle, _) = ends(&["convert", text(&file), "--site", text(&site)], 0);
    assert!(!bundle.contains("\"gender\""), "{bundle}");
    folder
        .file("site/maps/ours.map", rows.replace("gender", "gendre"))
        .unwrap();
    let (_, said) = ends(&["convert", text(&file), "--site", text(&site)], 1);
    assert!(said.contains("ours.map:2:"), "{said}");
    assert!(said.contains("did you mean `PID-8 gender`?"), "{said}");
}
