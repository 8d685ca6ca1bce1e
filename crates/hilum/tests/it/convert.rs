//! `hilum convert`.

use hilum_testkit::site::SiteFolder;
use serde_json::Value;

use crate::fhir_bulk::node;
use crate::kit::copy;
use crate::{ends, examples, text};

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
    assert!(said.contains("\n  Patient, Bundle.entry["), "{said}");
    let line = said.lines().find(|line| line.contains("name[0].family"));
    let cells: Vec<&str> = line.unwrap().split_whitespace().collect();
    assert_eq!(cells[..3], ["name[0].family", "Canary", "PID-5.1.1"]);
    assert!(cells[3].starts_with("maps/types/"), "{said}");
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
    // A site need not have rows of its own.
    let plain = folder.path().join("plain");
    std::fs::create_dir(&plain).unwrap();
    let (bundle, _) = ends(&["convert", text(&file), "--site", text(&plain)], 0);
    assert!(bundle.contains("\"gender\""), "{bundle}");
    ends(&["convert", text(&file), "--site", "nowhere"], 3);
}

const REPORT: &str = r#"{"resourceType":"Bundle","type":"collection","entry":[
  {"fullUrl":"urn:uuid:1","resource":{"resourceType":"Patient","id":"p","name":[{"family":"Canary"}],"gender":"female"}},
  {"resource":{"resourceType":"DiagnosticReport","status":"final","code":{"text":"Lipids"},"subject":{"reference":"urn:uuid:1"},"result":[{"reference":"urn:uuid:2"}]}},
  {"fullUrl":"urn:uuid:2","resource":{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"2093-3"}]},
    "valueQuantity":{"value":5.10,"unit":"mmol/l"},"focus":[{"display":"an organ"}]}}]}"#;

const BACK: [&str; 4] = ["--from", "fhir", "--to", "hl7v2"];

fn back<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["convert"], more, BACK.as_slice()].concat()
}

#[test]
fn a_bundle_becomes_a_message_and_what_was_not_carried_over_is_said_beside_it() {
    let folder = SiteFolder::new().unwrap();
    let file = folder.path().join("a.json");
    std::fs::write(&file, REPORT).unwrap();
    let (message, said) = ends(
        &back(&[text(&file), "--sending-application", "HILUM^1.2.3^ISO"]),
        0,
    );
    let segments: Vec<&str> = message.split('\r').collect();
    assert!(
        segments[0].starts_with("MSH|^~\\&|HILUM^1.2.3^ISO||||2"),
        "{message}"
    );
    assert!(segments[0].contains("|ORU^R01^ORU_R01|"), "{message}");
    assert_eq!(segments[1], "PID|1||||Canary|||F");
    assert_eq!(segments[3], "OBX|1|NM|2093-3^^LN||5.10|mmol/l^mmol/l|||||F");
    assert_eq!(segments[4], "", "the last segment is ended as well");
    assert!(
        said.contains("unmapped Bundle.entry[2].resource.focus[0]"),
        "{said}"
    );
    assert!(!said.contains("Canary"), "{said}");

    let (_, said) = ends(&back(&[text(&file), "--explain"]), 0);
    let line = said.lines().find(|line| line.contains("OBX[1]-5 "));
    let cells: Vec<&str> = line.unwrap().split_whitespace().collect();
    let from = "Bundle.entry[2].resource.value.value";
    assert_eq!(cells[..3], ["OBX[1]-5", "5.10", from]);
    assert!(cells[3].starts_with("maps/reverse/"), "{said}");
    let (_, said) = ends(&back(&[text(&file), "--coverage"]), 0);
    assert!(said.contains("maps/reverse/segments.map\n"), "{said}");
    assert!(said.contains("gender  "), "the rows as they stand: {said}");
    let (found, _) = ends(
        &back(&[text(&file), "--message", "ADT", "--json", "--explain"]),
        0,
    );
    let found: Value = serde_json::from_str(&found).unwrap();
    let message = found["messages"][0].as_str().unwrap();
    assert!(message.contains("|ADT^A31^ADT_A05|"), "{message}");
    assert!(
        found["reasons"][0]["row"]
            .as_str()
            .unwrap()
            .starts_with("maps/reverse/")
    );
    let (lines, _) = ends(&back(&[text(&file), "--ndjson"]), 0);
    let line: String = serde_json::from_str(&lines).unwrap();
    assert!(line.starts_with("MSH|") && line.ends_with('\r'), "{line}");
}

#[test]
fn what_no_message_is_known_for_is_told_with_the_remedy() {
    let folder = SiteFolder::new().unwrap();
    let file = folder.path().join("a.json");
    let library = r#"{"resourceType":"Library","status":"active","type":{"text":"x"}}"#;
    std::fs::write(&file, library).unwrap();
    let (out, said) = ends(&back(&[text(&file)]), 1);
    assert_eq!(out, "");
    let told = "no message is known for a Library; name the event, or add a row to `events` (--message ADT^A08, say)";
    assert!(said.contains(told), "{said}");
    let (_, said) = ends(&back(&[text(&file), "--message", "ADT^A08"]), 1);
    assert!(
        said.contains("there are no rows that make ADT^A08 of this Library"),
        "{said}"
    );
    let (_, said) = ends(&back(&[text(&file), "--message", "adt"]), 2);
    assert!(
        said.contains("it is not of the form ADT^A08 or ADT"),
        "{said}"
    );
    std::fs::write(&file, "{\"resourceType\":").unwrap();
    let (_, said) = ends(&back(&[text(&file)]), 1);
    assert!(said.contains("a.json: not a resource of FHIR R4"), "{said}");
    let (_, said) = ends(&["convert", text(&file), "--from", "fhir"], 3);
    assert!(
        said.contains("write --from hl7v2 --to fhir, or --from fhir --to hl7v2"),
        "{said}"
    );
}

#[test]
fn resources_of_a_bulk_export_are_taken_patient_by_patient() {
    let folder = SiteFolder::new().unwrap();
    let write =
        |name: &str, content: &str| std::fs::write(folder.path().join(name), content).unwrap();
    write(
        "Patient.ndjson",
        "{\"resourceType\":\"Patient\",\"id\":\"1\",\"gender\":\"male\"}\n\
         {\"resourceType\":\"Patient\",\"id\":\"2\",\"gender\":\"female\"}\n\
         {\"resourceType\":\"Patient\",\"id\":\"3\",\"gender\":\"other\"}\n",
    );
    write(
        "Observation.ndjson",
        "{\"resourceType\":\"Observation\",\"id\":\"o1\",\"status\":\"final\",\"code\":{\"text\":\"a\"},\"subject\":{\"reference\":\"Patient/2\"},\"performer\":[{\"reference\":\"Practitioner/d\"}],\"valueString\":\"x\"}\n\
         {\"resourceType\":\"Observation\",\"id\":\"o2\",\"status\":\"final\",\"code\":{\"text\":\"b\"},\"subject\":{\"reference\":\"Patient/1\"},\"valueString\":\"y\"}\n",
    );
    write(
        "Practitioner.ndjson",
        "{\"resourceType\":\"Practitioner\",\"id\":\"d\",\"name\":[{\"family\":\"Doe\"}]}\n",
    );
    write("bundles.ndjson", &REPORT.replace('\n', " "));
    let (found, said) = ends(
        &back(&[text(folder.path()), "--message", "ORU^R01", "--ndjson"]),
        0,
    );
    let messages: Vec<String> = found
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |gender: &str| {
        let start = format!("|{gender}\r");
        let mut fitting = messages.iter().filter(|message| message.contains(&start));
        fitting.next().unwrap()
    };
    assert_eq!(messages.len(), 3, "{found}");
    assert!(of("M").contains("|^b||y|"), "{found}");
    assert!(
        of("F").contains("Canary"),
        "the Bundle comes first: {found}"
    );
    let second = messages.iter().find(|message| message.contains("|^a||x|"));
    assert!(second.unwrap().contains("^Doe"), "{found}");
    // Nothing is made of the third patient, who has no result.
    assert!(
        said.contains("Patient/3: there are no rows that make ORU^R01"),
        "{said}"
    );
    assert!(said.contains("1 resources are about no patient"), "{said}");
    assert!(said.contains("3 resources converted, 0 not read"), "{said}");
}

#[test]
fn what_a_query_finds_in_a_node_becomes_messages() {
    let folder = SiteFolder::new().unwrap();
    let (_node, at) = node(&folder);
    let lines = "{\"resourceType\":\"Patient\",\"id\":\"p1\",\"gender\":\"male\"}\n\
        {\"resourceType\":\"Observation\",\"id\":\"o1\",\"status\":\"final\",\"code\":{\"text\":\"a\"},\"subject\":{\"reference\":\"Patient/p1\"},\"valueQuantity\":{\"value\":5.10}}\n\
        {\"resourceType\":\"Observation\",\"id\":\"o2\",\"status\":\"final\",\"code\":{\"text\":\"b\"},\"subject\":{\"reference\":\"Patient/p1\"},\"valueString\":\"y\"}\n\
        {\"resourceType\":\"DiagnosticReport\",\"id\":\"r1\",\"status\":\"final\",\"code\":{\"text\":\"c\"},\"subject\":{\"reference\":\"Patient/p1\"},\"result\":[{\"reference\":\"Observation/o1\"}]}\n";
    let file = folder.file("in.ndjson", lines).unwrap();
    ends(&["fhir", "import", text(&file), "--at", &at], 0);

    // Without an include the references are followed all the same.
    for query in [
        "DiagnosticReport?_id=r1&_include=DiagnosticReport:result",
        "DiagnosticReport?_id=r1",
        "DiagnosticReport/r1",
    ] {
        let (message, _) = ends(&back(&["--query", query, "--at", &at]), 0);
        let segments: Vec<&str> = message.split('\r').skip(1).collect();
        let expected = [
            "PID|1|||||||M",
            "OBR|1|||^c|||||||||||||||||||||F",
            "OBX|1|NM|^a||5.10||||||F",
            "",
        ];
        assert_eq!(segments, expected, "{query}");
    }
    // A page by itself, and the one behind it.
    let (message, _) = ends(&back(&["--query", "Observation?_count=1", "--at", &at]), 0);
    assert_eq!(message.matches("MSH|").count(), 2, "{message}");
    let (_, said) = ends(&back(&["--query", "Observation/none", "--at", &at]), 3);
    assert!(said.contains("has nothing at Observation/none"), "{said}");
    let (_, said) = ends(&back(&["--query", "Patient", "--at", "127.0.0.1:1"]), 4);
    assert!(said.contains("127.0.0.1:1"), "{said}");
}

/// What a path of a test finds in a Bundle, list by list.
fn found<'v>(value: &'v Value, path: &[&str], out: &mut Vec<&'v str>) {
    let Some((step, behind)) = path.split_first() else {
        out.extend(value.as_str());
        return;
    };
    match &value[*step] {
        Value::Array(all) => all.iter().for_each(|one| found(one, behind, out)),
        one => found(one, behind, out),
    }
}

#[test]
fn a_site_says_of_its_systems_what_it_says_to_its_channels() {
    let folder = SiteFolder::new().unwrap();
    copy(&examples().join("lab-to-fhir"), &folder, "site", &[]);
    let site = folder.path().join("site");
    // The step alone: what stands in front of it changes the message.
    let channel = "channel: results\nabout: x\nowner: a@b.example\n\
        from: { mllp: { listen: 127.0.0.1:26730 } }\nformat: hl7v2\nsteps: [{ sender: labs }]\n\
        to: { store: { fhir: local, steps: [{ convert: fhir }] } }\n";
    folder.file("site/channels/results.yaml", channel).unwrap();
    let paths = [
        "timestamp",
        "entry.resource.identifier.system",
        "entry.resource.identifier.value",
        "entry.resource.code.coding.system",
        "entry.resource.effectiveDateTime",
        "entry.resource.birthDate",
        "entry.request.ifNoneExist",
    ];
    let mut tests = String::new();
    for lab in ["north", "south", "poct"] {
        let sample = site.join(format!("samples/{lab}.hl7"));
        let (bundle, said) = ends(&["convert", text(&sample), "--site", text(&site)], 0);
        assert!(!said.contains("--system"), "{said}");
        let bundle: Value = serde_json::from_str(&bundle).unwrap();
        tests += &format!("---\ntest: {lab}\nsend: samples/{lab}.hl7\nexpect:\n  store:\n");
        for path in paths {
            let mut all = Vec::new();
            found(&bundle, &path.split('.').collect::<Vec<_>>(), &mut all);
            let all = serde_json::to_string(&all).unwrap();
            tests += &format!("    \"Bundle.{}\": {all}\n", path.replace("DateTime", ""));
        }
    }
    assert!(tests.contains("urn:oid:2.999.1.1"), "{tests}");
    assert!(tests.contains("http://lab-south.example/tests"), "{tests}");
    assert!(tests.contains("2026-11-02T08:15:00+01:00"), "{tests}");
    let tests = tests.trim_start_matches("---\n");
    folder
        .file("site/channels/results.test.yaml", tests)
        .unwrap();
    ends(&["test", text(&site)], 0);

    // Who is not recognised is told, and may be chosen.
    let other = folder.path().join("other.hl7");
    let north = std::fs::read(site.join("samples/poct.hl7")).unwrap();
    let north = String::from_utf8(north).unwrap();
    std::fs::write(&other, north.replace("POCT-GW", "OTHER")).unwrap();
    let convert = |more: &[&str]| {
        let all = [&["convert", text(&other), "--site", text(&site)], more].concat();
        ends(&all, 0)
    };
    let (bundle, said) = convert(&[]);
    assert!(said.contains("--system NAME chooses one"), "{said}");
    assert!(!bundle.contains("urn:oid:2.999.1.1"), "{bundle}");
    let (bundle, said) = convert(&["--system", "lab-poct"]);
    assert!(!said.contains("--system"), "{said}");
    assert!(bundle.contains("urn:oid:2.999.1.1"), "{bundle}");
    let unknown = [
        "convert",
        text(&other),
        "--site",
        text(&site),
        "--system",
        "lab-west",
    ];
    let (_, said) = ends(&unknown, 3);
    assert!(
        said.contains("it has ehr, lab-north, lab-poct, lab-south"),
        "{said}"
    );

    // On the way back it is the receiver.
    let file = folder.path().join("p.json");
    std::fs::write(
        &file,
        r#"{"resourceType":"Patient","identifier":[{"system":"http://lab-south.example/patients","value":"7"}]}"#,
    )
    .unwrap();
    let more = [text(&file), "--site", text(&site), "--system", "lab-south"];
    let (message, _) = ends(&back(&more), 0);
    assert!(message.contains("MSH|^~\\&|||SLIMS|"), "{message}");
    assert!(message.contains("|7^^^SOUTH"), "{message}");
}
