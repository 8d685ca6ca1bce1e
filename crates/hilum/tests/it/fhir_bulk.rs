//! `hilum fhir export`, `import`, `erase` and `search-parameters` against a running node.

use std::process::Command;

use hilum_testkit::ports::free_port;
use hilum_testkit::site::SiteFolder;
use serde_json::{Value, json};

use crate::kit::{Running, json_lines};
use crate::{ends, text};

/// A node with two stores; where its management API is.
pub(crate) fn node(folder: &SiteFolder) -> (Running, String) {
    let [admin, fhir] = [(); 2].map(|()| free_port().unwrap());
    let site = format!(
        "site: bulk\nadmin: 127.0.0.1:{admin}\nfhir:\n  listen: 127.0.0.1:{fhir}\n  tenants: {{ copy: {{}} }}\n"
    );
    folder.file("site/hilum.yaml", site).unwrap();
    let (site, data) = (folder.path().join("site"), folder.path().join("data"));
    let mut node = Running::start(&["run", text(&site), "--data", text(&data)]);
    let line = node.line();
    assert!(line.contains("ready"), "{line}");
    (node, format!("127.0.0.1:{admin}"))
}

fn resources() -> String {
    let patient = |id| json!({ "resourceType": "Patient", "id": id, "active": true });
    let seen = |id| {
        json!({ "resourceType": "Observation", "id": id, "status": "final",
            "code": { "text": "potassium" }, "subject": { "reference": "Patient/p1" } })
    };
    let all = [patient("p1"), patient("p2"), seen("o1"), seen("o2")];
    all.iter().map(|one| format!("{one}\n")).collect()
}

#[test]
fn what_is_exported_into_a_folder_is_imported_from_it() {
    let folder = SiteFolder::new().unwrap();
    let (node, at) = node(&folder);
    folder.file("in/all.ndjson", resources()).unwrap();
    let wrong = "{\"resourceType\":\"Patient\",\"nam\":[{\"family\":\"Canary\"}]}\n";
    folder.file("in/wrong.ndjson", wrong).unwrap();
    let (said, _) = ends(
        &[
            "fhir",
            "import",
            text(&folder.path().join("in")),
            "--at",
            &at,
        ],
        1,
    );
    assert!(
        said.contains("all.ndjson: 4 resources stored, 0 lines refused"),
        "{said}"
    );
    assert!(
        said.contains("line 1: ") && said.contains("4 resources stored, 1 lines"),
        "{said}"
    );
    assert!(!said.contains("Canary"), "{said}");

    let out = folder.path().join("out");
    let export = ["fhir", "export", "--to", text(&out), "--at", &at];
    let (said, _) = ends(&export, 0);
    assert!(said.contains("4 resources in 2 files"), "{said}");
    let manifest = std::fs::read_to_string(out.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["output"].as_array().unwrap().len(), 2);
    let mut names: Vec<String> = std::fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names.len(), 3, "{names:?}");
    let (_, told) = ends(&export, 3);
    assert!(told.contains("holds an export already"), "{told}");
    // The server keeps nothing of it.
    let jobs = std::fs::read_dir(folder.path().join("data/fhir.jobs"));
    assert_eq!(jobs.map_or(0, Iterator::count), 0);
    node.terminate();
    node.end();
}

#[test]
fn packed_files_go_out_as_they_are_and_an_export_may_be_limited() {
    let folder = SiteFolder::new().unwrap();
    let (node, at) = node(&folder);
    let lines = folder.file("in/all.ndjson", resources()).unwrap();
    let packed = Command::new("gzip").arg("-k").arg(&lines).status();
    assert!(packed.unwrap().success());
    ends(&["fhir", "import", text(&lines), "--at", &at], 0);
    std::fs::remove_file(&lines).unwrap();
    let out = folder.path().join("in");
    let import = [
        "fhir",
        "import",
        text(&out),
        "--at",
        &at,
        "--tenant",
        "copy",
        "--json",
    ];
    let told = json_lines(&import);
    let last = told.last().unwrap();
    assert_eq!(
        (&last["stored"], &last["refused"]),
        (&json!(4), &json!(0)),
        "{told:?}"
    );
    let typed = folder.path().join("typed");
    let copy = [
        "fhir",
        "export",
        "--to",
        text(&typed),
        "--types",
        "Patient",
        "--tenant",
        "copy",
        "--at",
        &at,
        "--json",
    ];
    assert_eq!(json_lines(&copy).last().unwrap()["resources"], 2);
    let filtered = folder.path().join("filtered");
    let some = [
        "fhir",
        "export",
        "--to",
        text(&filtered),
        "--type-filter",
        "Patient?_id=p2",
        "--types",
        "Patient",
        "--at",
        &at,
        "--json",
    ];
    assert_eq!(json_lines(&some).last().unwrap()["resources"], 1);
    let nowhere = ["fhir", "import", text(&out), "--at", "127.0.0.1:1"];
    ends(&nowhere, 4);
    node.terminate();
    node.end();
}

#[test]
fn an_export_that_was_broken_off_goes_on_and_a_half_written_file_is_none() {
    let folder = SiteFolder::new().unwrap();
    let (node, at) = node(&folder);
    let lines = folder.file("all.ndjson", resources()).unwrap();
    ends(&["fhir", "import", text(&lines), "--at", &at], 0);
    let out = folder.path().join("out");
    // A folder in the way of the first file breaks the command off when the job is done.
    let way = out.join("Observation.1.ndjson.part");
    std::fs::create_dir_all(&way).unwrap();
    let export = ["fhir", "export", "--to", text(&out), "--at", &at];
    let (_, told) = ends(&export, 3);
    assert!(told.contains("cannot write"), "{told}");
    assert!(out.join(".export.json").exists() && !out.join("manifest.json").exists());
    let other = [
        "fhir",
        "export",
        "--to",
        text(&out),
        "--types",
        "Patient",
        "--at",
        &at,
    ];
    let (_, told) = ends(&other, 3);
    assert!(told.contains("another export"), "{told}");
    std::fs::remove_dir(&way).unwrap();
    let (said, _) = ends(&export, 0);
    assert!(said.contains("4 resources in 2 files"), "{said}");
    assert!(!out.join(".export.json").exists() && out.join("manifest.json").exists());
    node.terminate();
    node.end();
}

#[test]
fn erasing_counts_first_and_search_parameters_are_told() {
    let folder = SiteFolder::new().unwrap();
    let (node, at) = node(&folder);
    let parameter = json!({ "resourceType": "SearchParameter", "id": "own", "name": "Own",
        "url": "http://example.org/own", "status": "active", "description": "x", "code": "own",
        "base": ["Patient"], "type": "token", "expression": "Patient.active" });
    let lines = format!("{}{parameter}\n", resources());
    let lines = folder.file("all.ndjson", lines).unwrap();
    ends(&["fhir", "import", text(&lines), "--at", &at], 0);
    let erase = |more: &[&str]| {
        let all = [&["fhir", "erase", "Patient/p1", "--at", &at], more].concat();
        ends(&all, 0)
    };
    let (said, told) = erase(&[]);
    assert!(said.contains("Observation  2 would be erased"), "{said}");
    assert!(told.contains("nothing was erased"), "{told}");
    let (said, _) = erase(&["--yes"]);
    assert!(
        said.contains("Observation  2 erased") && said.contains("Patient  1 erased"),
        "{said}"
    );
    let (_, told) = ends(&["fhir", "erase", "Patient/none", "--at", &at], 3);
    assert!(told.contains("no such resource"), "{told}");
    let (said, _) = ends(&["fhir", "search-parameters", "--at", &at], 0);
    assert!(said.contains("Patient?own"), "{said}");
    ends(&["fhir", "search-parameters", "--rebuild", "--at", &at], 0);
    node.terminate();
    node.end();
}

#[tokio::test]
async fn an_import_of_a_folder_that_was_cut_off_goes_on_with_the_file_it_was_at() {
    let folder = SiteFolder::new().unwrap();
    let (node, at) = node(&folder);
    let patients = |prefix: &str, count: usize| -> String {
        let one = |n| json!({ "resourceType": "Patient", "id": format!("{prefix}{n}") });
        (0..count).map(|n| format!("{}\n", one(n))).collect()
    };
    folder.file("in/1.ndjson", patients("a", 3)).unwrap();
    folder.file("in/2.ndjson", patients("b", 30_000)).unwrap();
    folder.file("in/3.ndjson", patients("c", 3)).unwrap();
    let from = folder.path().join("in");
    let import = ["fhir", "import", text(&from), "--at", &at, "--json"];
    let record = from.join(".import.json");
    let cut = Running::start(&import);
    let at_second = || {
        let known = std::fs::read_to_string(&record);
        known.is_ok_and(|known| known.contains("2.ndjson"))
    };
    hilum_testkit::wait::until("it is at the second file", at_second).await;
    cut.kill();
    let told = json_lines(&import);
    let last = told.last().unwrap();
    assert_eq!(
        (&last["stored"], &last["refused"], &last["files"]),
        (&json!(30_006), &json!(0), &json!(3)),
        "{told:?}"
    );
    assert!(!record.exists());
    // Nothing was stored twice.
    let out = folder.path().join("out");
    ends(&["fhir", "export", "--to", text(&out), "--at", &at], 0);
    let lines = std::fs::read_to_string(out.join("Patient.1.ndjson")).unwrap();
    assert_eq!(lines.lines().count(), 30_006);
    assert!(
        lines
            .lines()
            .all(|line| line.contains("\"versionId\":\"1\""))
    );
    node.terminate();
    node.end();
}
