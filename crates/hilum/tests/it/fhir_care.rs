//! Backup and verification of a node with a FHIR server, while clients write to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hilum_testkit::cluster::shared_postgres;
use hilum_testkit::database::{DATABASE, PASSWORD, USER};
use hilum_testkit::ports::free_port;
use hilum_testkit::site::SiteFolder;
use serde_json::Value;

use crate::fhir_server::ask;
use crate::kit::{Running, copy, json_lines};
use crate::{ends, examples, text};

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
    for number in 0..50 {
        assert_eq!(put(port, &format!("p{number}"), number).await, 201);
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
    let (_, found) = ask(port, "GET /fhir/Patient?identifier=49&_summary=count", "").await;
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
