//! kill -9 in the midst of long work of the FHIR server: after the next start it ends by itself, with
//! right counts, nothing twice, and a history without gaps.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use hilum_testkit::cluster::shared_postgres;
use hilum_testkit::database::{DATABASE, PASSWORD, USER};
use hilum_testkit::http::{HttpClient, HttpMessage};
use hilum_testkit::ports::free_port;
use hilum_testkit::site::SiteFolder;
use serde_json::{Value, json};

use crate::kit::{Running, json as answer_of};
use crate::text;

/// Enough that work on them is seen while it goes on.
const PATIENTS: usize = 3_000;
/// Looks at a condition before it is given up, ten milliseconds each.
const LOOKS_MAX: usize = 12_000;

const LINES: (&str, &str) = ("content-type", "application/fhir+ndjson");
const JSON: (&str, &str) = ("content-type", "application/fhir+json");

/// A site with nothing but a FHIR server, and the ports of its node.
struct Site {
    folder: SiteFolder,
    admin: u16,
    fhir: u16,
}

impl Site {
    fn new(section: &str) -> Self {
        let [admin, fhir] = [(); 2].map(|()| free_port().unwrap());
        let folder = SiteFolder::new().unwrap();
        let node = format!(
            "site: killed\nadmin: 127.0.0.1:{admin}\nfhir:\n  listen: 127.0.0.1:{fhir}\n{section}"
        );
        folder.file("site/hilum.yaml", node).unwrap();
        Self {
            folder,
            admin,
            fhir,
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn run(&self) -> Running {
        let (site, data) = (self.folder.path().join("site"), self.data());
        let mut node = Running::start(&["run", text(&site), "--data", text(&data)]);
        let line = node.line();
        assert!(line.contains("ready"), "{line}");
        node
    }

    async fn ask(&self, line: &str, headers: &[(&str, &str)], body: &str) -> HttpMessage {
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], self.fhir));
        let mut client = HttpClient::connect(address).await.unwrap();
        client
            .exchange(line, headers, body.as_bytes())
            .await
            .unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.ask(&format!("GET /fhir{path}"), &[], "").await;
        serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
    }

    async fn count(&self, search: &str) -> usize {
        let bundle = self.get(&format!("/{search}_summary=count")).await;
        bundle["total"]
            .as_u64()
            .unwrap_or_else(|| panic!("{bundle}")) as usize
    }

    /// Begins what is answered later; gives the path of its status.
    async fn begin(&self, line: &str, headers: &[(&str, &str)], body: &str) -> String {
        let answer = self.ask(line, headers, body).await;
        let told = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status(), Some(202), "{told}");
        let at = answer.header("content-location").unwrap();
        at.split_once("/fhir").unwrap().1.to_owned()
    }

    /// The answer of work that ends by itself.
    async fn ended(&self, status: &str) -> Value {
        for _ in 0..LOOKS_MAX {
            let answer = self.ask(&format!("GET /fhir{status}"), &[], "").await;
            if answer.status() != Some(202) {
                let told = String::from_utf8_lossy(&answer.body).into_owned();
                assert_eq!(answer.status(), Some(200), "{told}");
                return serde_json::from_str(&told).unwrap();
            }
            look_again().await;
        }
        panic!("it does not end");
    }

    /// What `hilum status` shows of the work of this kind.
    fn work(&self, kind: &str) -> Option<Value> {
        let at = format!("127.0.0.1:{}", self.admin);
        let status = answer_of(&["status", "--at", &at, "--json"]);
        let mut work = status["fhir-work"].as_array().unwrap().iter();
        work.find(|work| work["kind"] == kind).cloned()
    }

    /// The rows of the patients' history: each was written once, and so its numbers have no gap.
    async fn history(&self) -> usize {
        let mut path = "/Patient/_history?_count=1000".to_owned();
        let mut entries = 0;
        loop {
            let page = self.get(&path).await;
            entries += page["entry"].as_array().map_or(0, Vec::len);
            let mut links = page["link"].as_array().unwrap().iter();
            let next = links.find(|link| link["relation"] == "next");
            match next {
                Some(next) => {
                    let url = next["url"].as_str().unwrap();
                    path = url.split_once("/fhir").unwrap().1.to_owned();
                }
                None => return entries,
            }
        }
    }

    async fn import(&self, lines: &str) -> String {
        self.begin("POST /fhir/$import", &[LINES], lines).await
    }

    /// Stops the node in order, and looks whether the store holds together.
    fn sound(&self, node: Running) {
        node.terminate();
        node.end();
        let (site, data) = (self.folder.path().join("site"), self.data());
        let doctor = ["doctor", text(&site), "--data", text(&data), "--json"];
        let out = crate::hilum(&doctor).output().unwrap();
        let out = String::from_utf8(out.stdout).unwrap();
        let lines = out
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let stores: Vec<Value> = lines.filter(|line| line["check"] == "fhir store").collect();
        assert!(!stores.is_empty(), "{out}");
        assert!(
            stores.iter().all(|line| line["level"] == "ok"),
            "{stores:#?}"
        );
    }
}

async fn look_again() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}

fn patients() -> String {
    let mut lines = String::new();
    for number in 0..PATIENTS {
        let line = json!({ "resourceType": "Patient", "id": format!("p{number}"),
            "active": true, "birthDate": "1970-01-01" });
        writeln!(lines, "{line}").unwrap();
    }
    lines
}

#[tokio::test]
async fn an_import_that_was_killed_stores_every_line_once() {
    let site = Site::new("");
    let node = site.run();
    let status = site.import(&patients()).await;
    for _ in 0..LOOKS_MAX {
        let stored = site.count("Patient?").await;
        assert!(stored < PATIENTS, "it ended before it was seen");
        if stored > 0 {
            let work = site.work("import").expect("the import is shown");
            assert_eq!(work["job"], status.trim_start_matches("/_jobs/"), "{work}");
            assert!(work["total"].as_u64() > work["done"].as_u64(), "{work}");
            break;
        }
        look_again().await;
    }
    node.kill();
    let node = site.run();
    let manifest = site.ended(&status).await;
    assert_eq!(manifest["output"][0]["count"], PATIENTS, "{manifest}");
    assert_eq!(manifest["error"], json!([]));
    assert_eq!(site.count("Patient?").await, PATIENTS);
    assert_eq!(site.history().await, PATIENTS);
    assert!(site.work("import").is_none());
    site.sound(node);
}

#[tokio::test]
async fn an_export_that_was_killed_ends_with_every_resource_once() {
    let site = Site::new("");
    let node = site.run();
    let imported = site.import(&patients()).await;
    site.ended(&imported).await;
    let headers = [("prefer", "respond-async")];
    let status = site.begin("GET /fhir/$export", &headers, "").await;
    let id = status.trim_start_matches("/_jobs/");
    let folder = site.data().join("fhir.jobs").join(id);
    for _ in 0..LOOKS_MAX {
        // A file is begun when its first resources are written, and named when it is complete.
        if std::fs::read_dir(&folder).is_ok_and(|mut files| files.next().is_some()) {
            break;
        }
        look_again().await;
    }
    node.kill();
    let node = site.run();
    let manifest = site.ended(&status).await;
    let files = manifest["output"].as_array().unwrap();
    let mut ids = Vec::new();
    for file in files {
        let url = file["url"].as_str().unwrap();
        let path = url.split_once("/fhir").unwrap().1;
        let answer = site.ask(&format!("GET /fhir{path}"), &[], "").await;
        let lines = std::str::from_utf8(&answer.body).unwrap().lines();
        let resources = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
        ids.extend(resources.map(|resource| resource["id"].as_str().unwrap().to_owned()));
    }
    assert_eq!(ids.len(), PATIENTS);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), PATIENTS);
    site.sound(node);
}

/// A parameter that only a reindex can find old patients by.
const PARAMETER: &str = r#"{"resourceType":"SearchParameter","id":"own","url":"http://example.org/own",
    "name":"Own","status":"active","description":"active, by another name","code":"own",
    "base":["Patient"],"type":"token","expression":"Patient.active"}"#;

async fn reindex_is_killed(site: &Site) {
    let node = site.run();
    let imported = site.import(&patients()).await;
    site.ended(&imported).await;
    let line = "PUT /fhir/SearchParameter/own";
    let answer = site.ask(line, &[JSON], PARAMETER).await;
    let told = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!(answer.status(), Some(201), "{told}");
    for _ in 0..LOOKS_MAX {
        if let Some(work) = site.work("reindex")
            && work["done"].as_u64() > Some(0)
        {
            assert!(work["total"].as_u64() > work["done"].as_u64(), "{work}");
            break;
        }
        look_again().await;
    }
    node.kill();
    let node = site.run();
    let mut own = Value::Null;
    for _ in 0..LOOKS_MAX {
        let told = site.get("/$reindex").await;
        let list = told["parameter"].as_array().unwrap();
        let of = |wanted: &'static str| list.iter().filter(move |one| one["name"] == wanted);
        if of("state").any(|state| state["valueCode"] == "finished") {
            let mut params = of("searchParameter").map(|one| one["part"].clone());
            own = params.find(|parts| parts[0]["valueCode"] == "own").unwrap();
            // The counts come right behind the last step, and then searches may use it.
            let told = own.to_string();
            if told.contains("\"found\"") && told.contains("\"ready\"") {
                break;
            }
        }
        look_again().await;
    }
    let number = |name: &str| {
        let mut parts = own.as_array().unwrap().iter();
        let part = parts.find(|part| part["name"] == name);
        part.map(|part| part["valueInteger"].clone())
    };
    assert_eq!(number("resources"), Some(json!(PATIENTS)), "{own}");
    assert_eq!(number("found"), Some(json!(PATIENTS)), "{own}");
    assert_eq!(site.count("Patient?own=true&").await, PATIENTS);
    assert_eq!(site.history().await, PATIENTS);
    site.sound(node);
}

#[tokio::test]
async fn a_reindex_that_was_killed_goes_on_and_finds_every_resource() {
    reindex_is_killed(&Site::new("")).await;
}

#[tokio::test]
async fn a_reindex_in_postgresql_goes_on_as_well() {
    let Some(port) = shared_postgres().unwrap() else {
        println!("not run: a killed reindex on PostgreSQL (no servers)");
        return;
    };
    let schema = format!("killed_{}", std::process::id());
    let section = format!(
        "  database:\n    url: postgres://{USER}@127.0.0.1:{port}/{DATABASE}\n    \
         password: file:password\n    schema: {schema}\n"
    );
    let site = Site::new(&section);
    site.folder.file("site/password", PASSWORD).unwrap();
    reindex_is_killed(&site).await;
}

#[tokio::test]
async fn an_erasure_that_was_killed_is_done_to_its_end() {
    let site = Site::new("");
    let node = site.run();
    let mut lines = patients();
    for number in 0..PATIENTS {
        // Those of the first patient go, those of the second stay.
        let patient = format!("Patient/p{}", number % 2);
        let line = json!({ "resourceType": "Observation", "id": format!("o{number}"),
            "status": "final", "code": { "text": "potassium" }, "subject": { "reference": patient } });
        writeln!(lines, "{line}").unwrap();
    }
    let imported = site.import(&lines).await;
    site.ended(&imported).await;
    let line = "POST /fhir/Patient/p0/$erase?mode=erase";
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], site.fhir));
    let mut client = HttpClient::connect(address).await.unwrap();
    client.send(line, &[], b"").await.unwrap();
    let half = PATIENTS / 2;
    for _ in 0..LOOKS_MAX {
        if site.count("Observation?subject=Patient/p0&").await < half {
            break;
        }
        look_again().await;
    }
    let left = site.count("Observation?subject=Patient/p0&").await;
    node.kill();
    assert!(left > 0, "it ended before it was seen");
    let node = site.run();
    let mut done = false;
    for _ in 0..LOOKS_MAX {
        done = site.work("erase").is_none();
        if done {
            break;
        }
        look_again().await;
    }
    assert!(done, "the erasure does not end");
    assert_eq!(site.count("Observation?subject=Patient/p0&").await, 0);
    assert_eq!(site.count("Observation?").await, half);
    assert_eq!(site.count("Patient?").await, PATIENTS - 1);
    let gone = site.ask("GET /fhir/Patient/p0", &[], "").await;
    assert_eq!(gone.status(), Some(410));
    site.sound(node);
}
