//! What `hilum convert` cannot read: it is told with its place, and everything else is converted.

use hilum_testkit::site::SiteFolder;
use serde_json::Value;

use crate::{ends, text};

const ADMIT: &str = "MSH|^~\\&|A|B|||20260102030405+0000||ADT^A01^ADT_A01|7|P|2.5\r\
    PID|1||42^^^N||Canary^Ann||19700102|F\rPV1|1|I\r";

#[test]
fn a_bad_line_or_file_is_told_with_its_place_and_the_others_are_converted() {
    let folder = SiteFolder::new().unwrap();
    let line = serde_json::to_string(ADMIT).unwrap();
    let lines = [
        &line,
        "{\"message\": \"MSH|Canary",
        "{\"text\": \"Canary\"}",
        "7",
        "\"Canary\"",
        "",
        &format!("{{\"message\":{line}}}"),
    ];
    folder.file("a.ndjson", lines.join("\n")).unwrap();
    folder.file("b.hl7", "PID|1||Canary").unwrap();
    folder.file("c.hl7", ADMIT).unwrap();
    // A link to nothing has the ending of a message, and cannot be read.
    std::os::unix::fs::symlink("nowhere", folder.path().join("d.hl7")).unwrap();
    folder.file("e.hl7", ADMIT).unwrap();
    let (found, said) = ends(&["convert", text(folder.path())], 1);
    assert_eq!(found.lines().count(), 4, "{found}");
    for told in [
        "a.ndjson:2: not JSON (column 23); a line is a message as a JSON string, or an object with a string `message`",
        "a.ndjson:3: not a message; a line is a message as a JSON string",
        "a.ndjson:4: not a message; ",
        "a.ndjson:5: not a message of HL7 v2: no MSH",
        "b.hl7: there is no message of HL7 v2 in it",
        "d.hl7: cannot be read: No such file or directory",
        "4 messages converted, 6 not read",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
    assert!(!said.contains("Canary"), "{said}");
    // Where nothing can be read, that is said as well.
    std::fs::remove_file(folder.path().join("a.ndjson")).unwrap();
    std::fs::remove_file(folder.path().join("c.hl7")).unwrap();
    std::fs::remove_file(folder.path().join("e.hl7")).unwrap();
    let (found, said) = ends(&["convert", text(folder.path())], 1);
    assert_eq!(found, "");
    assert!(said.contains("0 messages converted, 2 not read"), "{said}");
}

#[test]
fn a_bad_resource_is_told_with_its_place_and_the_others_are_converted() {
    let folder = SiteFolder::new().unwrap();
    let patient =
        |id: u8| format!("{{\"resourceType\":\"Patient\",\"id\":\"{id}\",\"gender\":\"male\"}}");
    let lines = [
        patient(1),
        "{\"resourceType\":\"Patient\",\"gender\":\"Canary\"".to_owned(),
        patient(2),
    ];
    folder.file("a.ndjson", lines.join("\n")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("b.json")).unwrap();
    folder.file("c.json", patient(3)).unwrap();
    let (found, said) = ends(
        &[
            "convert",
            text(folder.path()),
            "--from",
            "fhir",
            "--to",
            "hl7v2",
            "--ndjson",
        ],
        1,
    );
    let messages: Vec<String> = found
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap().to_string())
        .collect();
    assert_eq!(messages.len(), 3, "{found}");
    for told in [
        "a.ndjson:2: not a resource of FHIR R4",
        "b.json: cannot be read: No such file or directory",
        "3 resources converted, 2 not read",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
    assert!(!said.contains("Canary"), "{said}");
}

#[test]
fn what_is_odd_about_a_message_is_said_and_a_header_that_names_none_is_refused() {
    let folder = SiteFolder::new().unwrap();
    let odd = ADMIT
        .replace("MSH|^~\\&|", "MSH|^~|")
        .replace("PV1", "Canary was here\rAnn\rPV1");
    let file = folder.file("odd.hl7", &odd).unwrap();
    let (bundle, said) = ends(&["convert", text(&file)], 0);
    assert!(bundle.contains("\"Patient\""), "{bundle}");
    for told in [
        "odd.hl7: msh-2-short MSH: MSH-2 shorter than four\n",
        "odd.hl7: segment-id-invalid segment 3: a line does not start with a segment id\n",
        "odd.hl7: segment-id-lower-case segment 4: segment id in lower case\n",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
    assert!(!said.contains("Canary"), "{said}");
    let (found, _) = ends(&["convert", text(&file), "--json"], 0);
    let found: Value = serde_json::from_str(&found).unwrap();
    let first = serde_json::json!({
        "code": "msh-2-short", "place": "MSH", "text": "MSH-2 shorter than four"
    });
    assert_eq!(found["warnings"][0], first);
    // The lines of a file end as its editor writes them.
    let file = folder.file("lf.hl7", ADMIT.replace('\r', "\n")).unwrap();
    let (_, said) = ends(&["convert", text(&file)], 0);
    assert!(!said.contains("terminator"), "{said}");

    for (header, why) in [
        (
            "MSH|^~\\&|A",
            "it is empty, so that nothing says what the message is",
        ),
        (
            "MSH|^~\\&|A|B|||20260102||^A01|7|P|2.5",
            "it is empty, so that nothing says what the message is",
        ),
        (
            "MSH|^~\\&|A|B|||20260102||ZZZ^Z01|7|P|2.5",
            "it names no message of HL7 v2",
        ),
    ] {
        let file = folder
            .file("none.hl7", format!("{header}\rPID|1||Canary\r"))
            .unwrap();
        let (found, said) = ends(&["convert", text(&file)], 1);
        assert_eq!(found, "", "{header}");
        let told = format!("none.hl7: unknown-structure MSH-9: {why}\n");
        assert!(said.contains(&told), "{said}");
        assert!(
            said.contains("none.hl7: nothing can be made of it\n"),
            "{said}"
        );
        assert!(!said.contains("Canary"), "{said}");
    }
}
