//! Commands on folders and files.

use std::path::Path;

use hilum_testkit::site::SiteFolder;
use serde_json::Value;

use crate::{ends, examples, text};

#[test]
fn every_example_passes_its_check_and_its_tests() {
    for entry in std::fs::read_dir(examples()).unwrap() {
        let site = entry.unwrap().path();
        if !site.join("hilum.yaml").is_file() {
            continue;
        }
        ends(&["check", text(&site), "--no-secrets"], 0);
        let (out, _) = ends(&["test", text(&site), "--json"], 0);
        let run: Value = serde_json::from_str(&out).unwrap();
        assert!(run["diagnostics"].as_array().unwrap().is_empty(), "{out}");
    }
}

#[test]
fn a_new_site_passes_its_check_and_its_tests_and_is_not_written_over() {
    let folder = SiteFolder::new().unwrap();
    let site = folder.path().join("new");
    let (out, _) = ends(&["init", text(&site)], 0);
    assert!(out.contains("hilum run"), "{out}");
    ends(&["check", text(&site)], 0);
    let junit = folder.path().join("junit.xml");
    let (out, _) = ends(
        &["test", text(&site), "--coverage", "--junit", text(&junit)],
        0,
    );
    assert!(out.contains("3 tests in 1 file, 0 failed"), "{out}");
    assert!(out.contains("3 of 3 steps and destinations"), "{out}");
    assert!(
        std::fs::read_to_string(junit)
            .unwrap()
            .contains("tests=\"3\"")
    );
    let (_, error) = ends(&["init", text(&site)], 3);
    assert!(error.contains("is not empty"), "{error}");
}

/// Makes one change in a file of a new site; gives what `hilum check` says.
fn mistaken(file: &str, from: &str, to: &str, code: i32) -> String {
    let folder = SiteFolder::new().unwrap();
    let site = folder.path().join("site");
    ends(&["init", text(&site)], 0);
    let file = site.join(file);
    let good = std::fs::read_to_string(&file).unwrap();
    assert!(good.contains(from), "{good}");
    std::fs::write(&file, good.replace(from, to)).unwrap();
    let (out, told) = ends(&["check", text(&site)], code);
    assert!(
        out.starts_with("1 "),
        "one problem, and none that follows from it: {out}{told}"
    );
    if code == 1 {
        let data = folder.path().join("data");
        ends(&["run", text(&site), "--data", text(&data)], 1);
        // Tests read no secrets, so that build machines need none.
        ends(&["test", text(&site)], i32::from(!told.contains("E0117")));
        assert!(!data.exists(), "nothing was started");
    }
    told
}

const CHANNEL: &str = "channels/admissions.yaml";
const EHR: &str = "systems/ehr.yaml";

/// A file, what stands there, what is written instead, and what is said about it.
type Mistake = (&'static str, &'static str, &'static str, [&'static str; 3]);

/// Each stops the site.
const MISTAKES: [Mistake; 14] = [
    (
        CHANNEL,
        "{ system: ehr }",
        "{ system: ehrr }",
        ["yaml:16:21", "no such system `ehrr`", "did you mean `ehr`"],
    ),
    (
        CHANNEL,
        "  - set:",
        "  - sett:",
        ["yaml:11:5", "no such step `sett`", "did you mean `set`"],
    ),
    (
        CHANNEL,
        "format:",
        "formatt:",
        ["yaml:4:1", "unknown key `formatt`", "did you mean `format`"],
    ),
    (
        CHANNEL,
        "MSH-5:",
        "MSH-5x:",
        ["yaml:12:7", "`MSH-5x` is no place", "not a path"],
    ),
    (
        CHANNEL,
        "PV1-3.1.exists()",
        "PV1-3.1 = = 'x'",
        ["yaml:10:23", "unexpected `=`", "a single `=`"],
    ),
    (
        CHANNEL,
        "mllp: { system: ehr }",
        "mllpp: { system: ehr }",
        ["yaml:16:5", "`mllpp`", "did you mean `mllp`"],
    ),
    (
        CHANNEL,
        "- filter: PV1-3.1.exists()",
        "- translate: { field: PV1-2, table: samples/a01.csv }",
        [
            "yaml:10:39",
            "cannot read `samples/a01.csv`",
            "samples/a01.hl7",
        ],
    ),
    (
        CHANNEL,
        "mllp: { system: ehr }",
        "http: { system: ehr, url: \"http://127.0.0.1/\", bearer: env:HILUM_NOT_SET }",
        ["yaml:16", "HILUM_NOT_SET", "provide it"],
    ),
    (
        EHR,
        "127.0.0.1:2576",
        "127.0.0.1:99999",
        ["ehr.yaml:4:9", "is no address", "needed here"],
    ),
    (
        EHR,
        "127.0.0.1:2576",
        "127.0.0.1",
        ["ehr.yaml:4:9", "expected host:port", "admissions.yaml:16"],
    ),
    (
        EHR,
        "  mllp: 127.0.0.1:2576",
        "  http: http://127.0.0.1:2576",
        [
            "yaml:16:21",
            "has no address for mllp",
            "systems/ehr.yaml under",
        ],
    ),
    (
        EHR,
        "addresses:",
        "settings: { mllp: { tls: { caa: x } } }\naddresses:",
        ["ehr.yaml:3", "unknown field `caa`", "keys: certificate"],
    ),
    (
        EHR,
        "addresses:",
        "adresses:",
        [
            "ehr.yaml:3:1",
            "unknown key `adresses`",
            "did you mean `addresses`",
        ],
    ),
    (
        EHR,
        "addresses:",
        "zoen: Europe/Berlin\naddresses:",
        ["ehr.yaml:3:1", "unknown key `zoen`", "did you mean `zone`"],
    ),
];

/// Each is likely not what was meant.
const DOUBTS: [(&str, &str, [&str; 2]); 3] = [
    (
        "PV1-3.1.exists()",
        "pv1-3.1.exists()",
        ["read as a subtraction", "did you mean `PV1-3.1`?"],
    ),
    (
        "ward: PV1-3.1",
        "ward: PV9-3.1",
        ["warning[W0314]", "HL7 v2 has no segment `PV9`"],
    ),
    (
        "MSH-5: \"'EHR'\"",
        "MSH-500: \"'EHR'\"",
        ["warning[W0314]", "and no 500"],
    ),
];

#[test]
fn a_mistake_is_told_with_its_place_its_text_and_what_to_write_instead() {
    for (file, from, to, expected) in MISTAKES {
        let told = mistaken(file, from, to, 1);
        for part in expected {
            assert!(told.contains(part), "{part} in {told}");
        }
    }
    for (from, to, expected) in DOUBTS {
        let told = mistaken(CHANNEL, from, to, 0);
        for part in expected {
            assert!(told.contains(part), "{part} in {told}");
        }
    }
}

#[test]
fn a_failed_test_says_what_was_expected_and_what_came() {
    let folder = SiteFolder::new().unwrap();
    let site = folder.path().join("site");
    ends(&["init", text(&site)], 0);
    let file = site.join("channels/admissions.test.yaml");
    let wrong = std::fs::read_to_string(&file)
        .unwrap()
        .replace("MSH-5: EHR", "MSH-5: BOARD");
    std::fs::write(&file, wrong).unwrap();
    let junit = folder.path().join("junit.xml");
    let (out, _) = ends(&["test", text(&site), "--junit", text(&junit)], 1);
    let written = std::fs::read_to_string(junit).unwrap();
    for part in ["failures=\"1\"", "<failure", "expected BOARD"] {
        assert!(written.contains(part), "{part} in {written}");
    }
    let (out_of_one, _) = ends(&["test", text(&site), "--only", "a result is refused"], 0);
    assert!(
        out_of_one.contains("1 test in 1 file, 0 failed"),
        "{out_of_one}"
    );
    for part in ["FAILED", "expected BOARD", "got      EHR", "1 failed"] {
        assert!(out.contains(part), "{part} in {out}");
    }
}

#[test]
fn documents_schemas_explanations_and_impact_come_from_the_same_site() {
    let site = examples().join("st-elsewhere");
    let folder = SiteFolder::new().unwrap();
    let out = folder.path().join("docs");
    ends(&["docs", text(&site), "--out", text(&out)], 0);
    for (file, channel, row) in [
        ("index.html", "Channel lab-results</h2>", "<td>"),
        ("mapping.md", "## Channel lab-results", "| MSH-5 | 'EHR' |"),
    ] {
        let written = std::fs::read_to_string(out.join(file)).unwrap();
        for part in [channel, row, "tables/local-to-loinc.csv", "OBX-3", "2823-3"] {
            assert!(written.contains(part), "{part} in {file}");
        }
    }
    let (json, _) = ends(&["impact", "lis", text(&site), "--json"], 0);
    let impact: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(impact["channels"][0]["name"], "lab-results");
    let (_, error) = ends(&["impact", "nobody", text(&site)], 3);
    assert!(error.contains("there is no system nobody"), "{error}");
    let (shown, _) = ends(&["impact", "lis", text(&site)], 0);
    for part in [
        "lis touches 2 channels",
        "to be told: lab-integration@",
        "OBX-3",
        "local-to-loinc.csv",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let schemas = folder.path().join("schemas");
    ends(&["schema", "--out", text(&schemas)], 0);
    assert!(std::fs::read_dir(&schemas).unwrap().count() >= 6);
    let (json, _) = ends(&["schema", "--file", "channel", "--json"], 0);
    let schema: Value = serde_json::from_str(&json).unwrap();
    assert!(schema["$defs"].is_object());
    let (all, _) = ends(&["explain"], 0);
    let code = all.split_whitespace().next().unwrap();
    let (one, _) = ends(&["explain", code], 0);
    assert!(one.starts_with(code), "{one}");
    ends(&["explain", "E9999"], 3);
}

#[test]
fn inspecting_says_what_the_parser_sees() {
    let sample = examples().join("relay/samples/a01.hl7");
    let (out, _) = ends(&["inspect", text(&sample), "--json"], 0);
    let seen: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(seen["status"], "ok");
    assert_eq!(seen["messages"][0]["control_id"], "R00001");
    assert_eq!(seen["messages"][0]["segments"], 4);
    let folder = SiteFolder::new().unwrap();
    let letter = folder.file("letter.txt", "Dear colleague").unwrap();
    let (out, _) = ends(&["inspect", text(&letter), "--json"], 0);
    let seen: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(seen["status"], "reject");
    assert_eq!(seen["messages"], Value::Array(Vec::new()));
    assert!(seen["reason"].is_string());
}

#[test]
fn inspecting_the_robustness_samples_sees_what_is_expected() {
    let shared = std::env::var("HILUM_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").to_owned());
    let folder = Path::new(&shared).join("samples/hl7v2/robustness");
    let Ok(expected) = std::fs::read_to_string(folder.join("expected.json")) else {
        println!("not run: robustness (no shared material)");
        return;
    };
    let expected: Value = serde_json::from_str(&expected).unwrap();
    let mut looked = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some(wanted) = status(&expected, &name) else {
            continue;
        };
        looked += 1;
        let (out, _) = ends(&["inspect", text(&path), "--json"], 0);
        let seen: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(seen["status"], wanted, "{name}: {out}");
    }
    assert!(looked > 0, "the samples are there");
}

/// What `inspect` says of a sample, as the material expects it.
fn status(expected: &Value, name: &str) -> Option<&'static str> {
    match expected[name]["parse"].as_str()? {
        "ok" => Some("ok"),
        "ok-with-warning" => Some("warning"),
        "reject" => Some("reject"),
        _ => None,
    }
}

#[test]
fn completions_name_every_command_and_are_understood_by_their_shells() {
    let folder = SiteFolder::new().unwrap();
    let (help, _) = ends(&["--help"], 0);
    let commands = help.lines().filter_map(|line| line.strip_prefix("  "));
    let commands: Vec<&str> = commands
        .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.len() > 30, "{commands:?}");
    for (shell, check) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        let (script, _) = ends(&["completions", shell], 0);
        for command in &commands {
            assert!(
                script.contains(command),
                "{command} in the script for {shell}"
            );
        }
        let file = folder.file(shell, script).unwrap();
        match std::process::Command::new(shell)
            .arg(check)
            .arg(&file)
            .output()
        {
            Ok(read) => assert!(read.status.success(), "{shell}: {read:?}"),
            Err(_) => println!("not run: completions (no {shell} here)"),
        }
    }
    ends(&["completions", "cmd"], 2);
}
