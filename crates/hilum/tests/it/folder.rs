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

#[test]
fn a_wrong_site_is_told_where_and_what_to_write_instead() {
    let folder = SiteFolder::new().unwrap();
    let site = folder.path().join("wrong");
    ends(&["init", text(&site)], 0);
    let channel = site.join("channels/admissions.yaml");
    let wrong = std::fs::read_to_string(&channel)
        .unwrap()
        .replace("mllp: { system: ehr }", "mllp: { system: ehrr }");
    std::fs::write(&channel, wrong).unwrap();
    let (out, error) = ends(&["check", text(&site)], 1);
    assert!(out.starts_with("1 error"), "{out}");
    for part in ["channels/admissions.yaml:", "`ehrr`", "did you mean `ehr`"] {
        assert!(error.contains(part), "{part} in {error}");
    }
    let data = folder.path().join("data");
    ends(&["run", text(&site), "--data", text(&data)], 1);
    ends(&["test", text(&site)], 1);
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
    let (out, _) = ends(&["test", text(&site)], 1);
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
    for file in ["index.html", "mapping.md"] {
        let written = std::fs::read_to_string(out.join(file)).unwrap();
        assert!(written.contains("lab-results"), "{file}");
    }
    let (json, _) = ends(&["impact", "lis", text(&site), "--json"], 0);
    let impact: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(impact["channels"][0]["name"], "lab-results");
    let (_, error) = ends(&["impact", "nobody", text(&site)], 3);
    assert!(error.contains("there is no system nobody"), "{error}");
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
