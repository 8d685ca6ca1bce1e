//! Looking after a node with a FHIR server: backup and verification while clients write to it, jobs
//! that fail, and what `hilum doctor` says of its stores.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hilum_testkit::cluster::shared_postgres;
use hilum_testkit::database::{DATABASE, PASSWORD, USER};
use hilum_testkit::ports::free_port;
use hilum_testkit::site::SiteFolder;
use serde_json::Value;

use crate::fhir_server::ask;
use crate::kit::{Running, copy, get, json, json_lines};
use crate::{ends, examples, text};

/// The user that owns nothing.
const NOBODY: u32 = 65_534;

/// A node with a FHIR server of two stores.
struct Site {
    folder: SiteFolder,
    site: PathBuf,
    fhir: u16,
    at: String,
}

impl Site {
    /// With these lines in the section `fhir`.
    fn new(section: &str) -> Self {
        let [admin, fhir] = [(); 2].map(|()| free_port().unwrap());
        let folder = SiteFolder::new().unwrap();
        let from = examples().join("fhir-server");
        copy(&from, &folder, "site", &[("26600", admin), ("26680", fhir)]);
        let site = folder.path().join("site");
        let node = std::fs::read_to_string(site.join("hilum.yaml")).unwrap();
        let section = format!("fhir:\n{section}  tenants: {{ research: {{}} }}\n");
        let node = node.replace("fhir:\n", &section);
        folder.file("site/hilum.yaml", node).unwrap();
        Self {
            at: format!("127.0.0.1:{admin}"),
            folder,
            site,
            fhir,
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn run(&self, data: &Path) -> Running {
        let mut node = Running::start(&["run", text(&self.site), "--data", text(data)]);
        let line = node.line();
        assert!(line.contains("ready"), "{line}");
        node
    }
}

/// The figure of the imports that have failed.
fn failed_imports(site: &Site) -> String {
    let figures = get(&site.at, "/metrics");
    let mut lines = figures.lines();
    let line = lines.find(|line| {
        line.starts_with("hilum_fhir_jobs{")
            && line.contains("kind=\"import\"")
            && line.contains("state=\"failed\"")
    });
    line.unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_job_that_fails_is_an_alert_a_figure_and_a_line_of_the_status() {
    let site = Site::new("");
    let channel = "channel: told\nabout: x\nowner: us@example.org\nfrom: { topic: hilum.alerts }\n\
                   format: json\nto:\n  people: { file: { folder: told, name: \"{date}.json\" } }\n";
    site.folder
        .file("site/channels/told.yaml", channel)
        .unwrap();
    let told = site.site.join("told");
    std::fs::create_dir(&told).unwrap();
    let node = site.run(&site.data());
    assert!(
        failed_imports(&site).ends_with(" 0"),
        "{}",
        failed_imports(&site)
    );
    // More lines cannot be stored than an import bears.
    let wrong = "{\"resourceType\":\"Patient\",\"canary\":1}\n".repeat(10_001);
    let file = site.folder.file("wrong.ndjson", wrong).unwrap();
    let import = ["fhir", "import", text(&file), "--at", &site.at];
    let (_, said) = ends_elsewhere(&import, 3).await;
    assert!(said.contains("cannot be stored"), "{said}");
    let alert = || -> Option<String> {
        let mut files = std::fs::read_dir(&told).unwrap().flatten();
        let file = files.find(|file| file.path().extension().is_some_and(|of| of == "json"))?;
        std::fs::read_to_string(file.path()).ok()
    };
    hilum_testkit::wait::until("the alert arrives", || alert().is_some()).await;
    let alert: Value = serde_json::from_str(&alert().unwrap()).unwrap();
    assert_eq!(
        (&alert["kind"], &alert["state"]),
        (&"fhir-job-failed".into(), &"event".into())
    );
    let why = alert["text"].as_str().unwrap();
    assert!(
        why.contains("the import ") && why.contains("10000 lines"),
        "{why}"
    );
    assert!(
        failed_imports(&site).ends_with(" 1"),
        "{}",
        failed_imports(&site)
    );
    let (shown, _) = ends(&["status", "--at", &site.at], 0);
    assert!(
        shown.contains("failed") && shown.contains("cannot be stored"),
        "{shown}"
    );
    assert!(
        !format!("{alert}{shown}{said}").contains("canary"),
        "{shown}"
    );
    // Who has seen to it deletes the job.
    let status = json(&["status", "--at", &site.at, "--json"]);
    let job = status["fhir-work"][0]["job"].as_str().unwrap();
    let (gone, _) = ask(site.fhir, &format!("DELETE /fhir/_jobs/{job}"), "").await;
    assert_eq!(gone, 202);
    assert!(
        failed_imports(&site).ends_with(" 0"),
        "{}",
        failed_imports(&site)
    );
    node.terminate();
    node.end();
}

fn patient(id: &str, number: u64) -> String {
    format!(r#"{{"resourceType":"Patient","id":"{id}","identifier":[{{"value":"{number}"}}]}}"#)
}

async fn put(port: u16, id: &str, number: u64) -> u16 {
    let line = format!("PUT /fhir/Patient/{id}");
    ask(port, &line, &patient(id, number)).await.0
}

async fn ends_elsewhere(arguments: &[&str], code: i32) -> (String, String) {
    let arguments: Vec<String> = arguments.iter().map(|&text| text.to_owned()).collect();
    let run = move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        ends(&arguments, code)
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_taken_while_clients_write_is_whole_and_serves_what_it_has() {
    let site = Site::new("");
    let (data, copy) = (site.data(), site.folder.path().join("copy"));
    let node = site.run(&data);
    let port = site.fhir;
    // Far from the numbers of the one that is written on and on.
    for number in 0..50 {
        let status = put(port, &format!("p{number}"), 1_000_000 + number).await;
        assert_eq!(status, 201);
    }
    let research = ask(port, "PUT /fhir/t/research/Patient/r", &patient("r", 7)).await;
    assert_eq!(research.0, 201);
    // One client goes on with one resource, version after version.
    let written = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&written);
    let writer = tokio::spawn(async move {
        loop {
            let next = counted.load(Ordering::Relaxed) + 1;
            let status = put(port, "busy", next).await;
            assert!(matches!(status, 200 | 201), "{status}");
            counted.store(next, Ordering::Relaxed);
        }
    });
    let began = || written.load(Ordering::Relaxed) > 3;
    hilum_testkit::wait::until("the client writes", began).await;
    let before = written.load(Ordering::Relaxed);
    let (files, _) = ends_elsewhere(&["backup", "--to", text(&copy), "--at", &site.at], 0).await;
    for file in ["control.db", "fhir.db", "fhir-research.db"] {
        assert!(files.contains(file), "{files}");
    }
    let (_, told) = ends_elsewhere(&["verify", "--at", &site.at], 0).await;
    assert!(told.contains("as it was written"), "{told}");
    let after = written.load(Ordering::Relaxed);
    assert!(after > before, "the client was kept waiting");
    writer.abort();
    drop(writer.await);
    let (_, original) = ask(port, "GET /fhir/Patient/p7", "").await;
    node.terminate();
    node.end();

    let (_, told) = ends(&["verify", text(&copy)], 0);
    assert!(told.contains("as it was written"), "{told}");
    let node = site.run(&copy);
    let (_, restored) = ask(port, "GET /fhir/Patient/p7", "").await;
    assert_eq!(restored, original);
    let (_, found) = ask(
        port,
        "GET /fhir/Patient?identifier=1000049&_summary=count",
        "",
    )
    .await;
    assert_eq!(found["total"], 1, "{found}");
    let (status, _) = ask(port, "GET /fhir/t/research/Patient/r", "").await;
    assert_eq!(status, 200);
    // What was answered before the backup began is in it, and nothing is from its middle.
    let (_, busy) = ask(port, "GET /fhir/Patient/busy", "").await;
    let version = busy["meta"]["versionId"].as_str().unwrap();
    assert_eq!(busy["identifier"][0]["value"], version);
    let version: u64 = version.parse().unwrap();
    assert!((before..=after + 1).contains(&version), "{version}");
    assert_eq!(put(port, "busy", version + 1).await, 200);
    node.terminate();
    node.end();
}

#[tokio::test]
async fn a_damaged_copy_of_a_store_is_found_by_verify() {
    let site = Site::new("");
    let (data, copy) = (site.data(), site.folder.path().join("copy"));
    let node = site.run(&data);
    for number in 0..200 {
        put(site.fhir, &format!("p{number}"), number).await;
    }
    node.terminate();
    node.end();
    let (files, _) = ends(&["backup", text(&data), "--to", text(&copy)], 0);
    assert!(files.contains("fhir.db"), "{files}");
    ends(&["verify", text(&copy)], 0);

    // A page in the middle, the names of the tables, and a file of something else.
    let path = copy.join("fhir.db");
    let whole = std::fs::read(&path).unwrap();
    let damage = |range: std::ops::Range<usize>| {
        let mut bytes = whole.clone();
        bytes[range].iter_mut().for_each(|byte| *byte ^= 0x5a);
        std::fs::write(&path, bytes).unwrap();
    };
    let middle = whole.len() / 2 / 4096 * 4096;
    for range in [middle..middle + 4096, 100..4000, 0..16] {
        damage(range.clone());
        let (found, _) = ends(&["verify", text(&copy)], 1);
        assert!(found.contains("fhir.db: "), "{range:?}: {found}");
        assert!(!found.contains("fhir-research.db"), "{found}");
    }
    std::fs::copy(copy.join("control.db"), &path).unwrap();
    let (found, _) = ends(&["verify", text(&copy)], 1);
    assert!(found.contains("no store of FHIR resources"), "{found}");
    std::fs::write(&path, &whole).unwrap();
    ends(&["verify", text(&copy)], 0);
}

#[tokio::test]
async fn stores_in_postgresql_are_verified_and_named_as_not_in_the_backup() {
    let Some(database) = shared_postgres().unwrap() else {
        println!("not run: backup on PostgreSQL (no servers)");
        return;
    };
    let schema = format!("care_{}", std::process::id());
    let site = Site::new(&format!(
        "  database:\n    url: postgres://{USER}@127.0.0.1:{database}/{DATABASE}\n    \
         password: file:password\n    schema: {schema}\n"
    ));
    site.folder.file("site/password", PASSWORD).unwrap();
    let (data, copy) = (site.data(), site.folder.path().join("copy"));
    let node = site.run(&data);
    assert_eq!(put(site.fhir, "p", 1).await, 201);
    let backup = ["backup", "--to", text(&copy), "--at", &site.at];
    let (files, told) = ends(&backup, 0);
    assert!(!files.contains("fhir"), "{files}");
    for schema in [&*schema, &format!("{schema}_research")] {
        let named = format!("(schema {schema}); copy it with `pg_dump --format=custom");
        assert!(told.contains(&named), "{told}");
    }
    assert!(!told.contains(PASSWORD), "{told}");
    let again = site.folder.path().join("again");
    let values = json_lines(&["--json", "backup", "--to", text(&again), "--at", &site.at]);
    let left: Vec<&Value> = values
        .iter()
        .filter(|value| !value["not-copied"].is_null())
        .collect();
    assert_eq!(left.len(), 2, "{values:?}");
    ends(&["verify", "--at", &site.at], 0);
    node.terminate();
    node.end();
}

/// The lines of `hilum doctor` about the stores; with a code where one of them is bad.
fn doctor(site: &Site, data: &Path, code: Option<i32>) -> Vec<Value> {
    let arguments = ["doctor", text(&site.site), "--data", text(data), "--json"];
    stores_of(crate::hilum(&arguments), code)
}

fn stores_of(mut doctor: Command, code: Option<i32>) -> Vec<Value> {
    let ended = doctor.output().unwrap();
    let out = String::from_utf8(ended.stdout).unwrap();
    assert!(!out.contains(PASSWORD), "{out}");
    if code.is_some() {
        assert_eq!(ended.status.code(), code, "{out}");
    }
    let lines = out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["check"] == "fhir store").collect()
}

/// The store is named in a line of this level, with what is wrong and what to do.
fn told(lines: &[Value], level: &str, store: &str, text: &str, remedy: &str) {
    let has = |line: &Value, name: &str, word: &str| {
        line[name].as_str().unwrap_or_default().contains(word)
    };
    let found = lines.iter().any(|line| {
        line["level"] == level
            && has(line, "text", store)
            && has(line, "text", text)
            && has(line, "remedy", remedy)
    });
    assert!(
        found,
        "no {level} of {store} with {text} and {remedy}: {lines:#?}"
    );
}

#[tokio::test]
async fn doctor_says_what_is_wrong_with_the_file_of_a_store() {
    let site = Site::new("");
    let node = site.run(&site.data());
    assert_eq!(put(site.fhir, "p", 1).await, 201);
    let well = doctor(&site, &site.data(), None);
    for store in ["the first store", "the store of research"] {
        told(&well, "ok", store, "holds together", "");
    }
    node.terminate();
    node.end();
    let copy = site.folder.path().join("copy");
    ends(&["backup", text(&site.data()), "--to", text(&copy)], 0);
    let path = copy.join("fhir.db");
    let first = format!("the first store, {}", path.display());
    let whole = std::fs::read(&path).unwrap();
    let version = |version: u32| {
        let mut bytes = whole.clone();
        bytes[60..64].copy_from_slice(&version.to_be_bytes());
        std::fs::write(&path, bytes).unwrap();
    };
    let bad = |text: &str, remedy: &str| {
        told(&doctor(&site, &copy, Some(2)), "fail", &first, text, remedy);
    };
    version(9_000);
    bad("newer program (tables 9000)", "run that program");
    version(1);
    let old = doctor(&site, &copy, None);
    told(&old, "ok", &first, "which the next start brings to", "");
    // A file of something else, pages that were changed, no file but a folder, and nothing.
    std::fs::copy(copy.join("control.db"), &path).unwrap();
    bad("another kind", "bring back a backup");
    let mut bytes = whole.clone();
    bytes[100..4_000].iter_mut().for_each(|byte| *byte ^= 0x5a);
    std::fs::write(&path, bytes).unwrap();
    bad("", "damaged-file.md");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    bad("", "check the disk");
    std::fs::remove_dir(&path).unwrap();
    let none = doctor(&site, &copy, None);
    told(&none, "ok", &first, "made by the next start", "");

    // Somebody who may read everything and write nothing.
    std::fs::write(&path, &whole).unwrap();
    let rights = |mode: &str| {
        let all = ["-R", mode, text(site.folder.path())];
        let changed = Command::new("chmod").args(all).status();
        assert!(changed.unwrap().success());
    };
    rights("a+rX,a-w");
    let arguments = ["doctor", text(&site.site), "--data", text(&copy), "--json"];
    let as_stranger = |arguments: &[&str]| {
        let mut command = crate::hilum(arguments);
        if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
            command.uid(NOBODY);
        }
        command
    };
    if as_stranger(&["--version"]).output().is_err() {
        println!("not run: doctor as another user (the program is out of reach)");
        return;
    }
    let stranger = as_stranger(&arguments);
    told(
        &stores_of(stranger, Some(2)),
        "fail",
        &first,
        "ermission denied",
        "as the user of the service",
    );
    rights("u+w");
}

#[tokio::test]
async fn doctor_says_what_keeps_a_node_from_its_stores_in_postgresql() {
    let Some(database) = shared_postgres().unwrap() else {
        println!("not run: doctor on PostgreSQL (no servers)");
        return;
    };
    let schema = format!("doctor_{}", std::process::id());
    let section = |url: &str| {
        format!("  database:\n    url: {url}\n    password: file:password\n    schema: {schema}\n")
    };
    let with = |url: &str| {
        let site = Site::new(&section(url));
        site.folder.file("site/password", PASSWORD).unwrap();
        std::fs::create_dir(site.data()).unwrap();
        site
    };
    let place = format!("127.0.0.1:{database}");
    let there = with(&format!("postgres://{USER}@{place}/{DATABASE}"));
    told(
        &doctor(&there, &there.data(), None),
        "ok",
        "the first store",
        "made by the next start",
        "",
    );
    let nobody = free_port().unwrap();
    let away = with(&format!("postgres://{USER}@127.0.0.1:{nobody}/{DATABASE}"));
    let lines = doctor(&away, &away.data(), Some(2));
    let named = format!("postgres://127.0.0.1:{nobody}/{DATABASE} (schema {schema})");
    told(
        &lines,
        "fail",
        "the first store",
        &named,
        "whether it is up",
    );
    let named = format!("(schema {schema}_research)");
    told(
        &lines,
        "fail",
        "the store of research",
        &named,
        "whether it is up",
    );
    let none = with(&format!("postgres://{USER}@{place}/nowhere"));
    told(
        &doctor(&none, &none.data(), Some(2)),
        "fail",
        "the first store",
        "/nowhere",
        "createdb",
    );
    let stranger = with(&format!("postgres://nobody_known@{place}/{DATABASE}"));
    told(
        &doctor(&stranger, &stranger.data(), Some(2)),
        "fail",
        "the first store",
        "",
        "compare user and `password`",
    );
}
