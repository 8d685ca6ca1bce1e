//! The example `fhir-server`: a site without channels that serves FHIR, and keeps what it was sent.

use hilum_testkit::cluster::shared_postgres;
use hilum_testkit::database::{DATABASE, PASSWORD, USER};
use hilum_testkit::http::HttpClient;
use hilum_testkit::ports::free_port;
use hilum_testkit::site::SiteFolder;
use serde_json::Value;

use crate::kit::{Running, copy};
use crate::{ends, examples, text};

pub(crate) async fn ask(port: u16, line: &str, body: &str) -> (u16, Value) {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let mut client = HttpClient::connect(address).await.unwrap();
    let kind: &[(&str, &str)] = if body.is_empty() {
        &[]
    } else {
        &[("content-type", "application/fhir+json")]
    };
    let answer = client.exchange(line, kind, body.as_bytes()).await.unwrap();
    let body = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    (answer.status().unwrap(), body)
}

#[tokio::test]
async fn a_site_without_channels_serves_fhir_until_it_is_stopped_and_after() {
    let [admin, fhir] = [(); 2].map(|()| free_port().unwrap());
    let folder = SiteFolder::new().unwrap();
    let from = examples().join("fhir-server");
    copy(&from, &folder, "site", &[("26600", admin), ("26680", fhir)]);
    let (site, data) = (folder.path().join("site"), folder.path().join("data"));
    let run = || {
        let mut node = Running::start(&["run", text(&site), "--data", text(&data)]);
        let line = node.line();
        let ready = format!("FHIR at http://127.0.0.1:{fhir}/fhir");
        assert!(
            line.contains("0 channels") && line.contains(&ready),
            "{line}"
        );
        node
    };
    let node = run();
    let (status, statement) = ask(fhir, "GET /fhir/metadata", "").await;
    assert_eq!(
        (status, &statement["fhirVersion"]),
        (200, &Value::from("4.0.1"))
    );
    let wrong = r#"{"resourceType":"Patient","gender":"colour"}"#;
    let (status, outcome) = ask(fhir, "POST /fhir/$validate", wrong).await;
    let issues = outcome["issue"].as_array().unwrap();
    let refused = issues.iter().any(|issue| issue["severity"] == "error");
    assert!(status == 200 && refused, "{outcome}");
    let patient = r#"{"resourceType":"Patient","id":"p1","gender":"female"}"#;
    let (status, stored) = ask(fhir, "PUT /fhir/Patient/p1", patient).await;
    assert_eq!(status, 201, "{stored}");
    node.terminate();
    node.end();

    let node = run();
    let (status, read) = ask(fhir, "GET /fhir/Patient/p1", "").await;
    assert_eq!((status, read), (200, stored));
    node.terminate();
    node.end();
}

/// The lines of the problems that a check finds in a site with this section `fhir`.
fn problems(fhir: &str, package: Option<&std::path::Path>, code: i32) -> String {
    let folder = SiteFolder::new().unwrap();
    let site = folder.path().join("site");
    std::fs::create_dir_all(site.join("packages")).unwrap();
    std::fs::write(site.join("packages/broken.tgz"), "no package").unwrap();
    if let Some(package) = package {
        std::fs::copy(package, site.join("packages/core.tgz")).unwrap();
    }
    let text_of = format!("site: s\nadmin: 127.0.0.1:26600\nfhir:\n{fhir}");
    std::fs::write(site.join("hilum.yaml"), text_of).unwrap();
    let (out, told) = ends(&["check", text(&site)], code);
    format!("{out}{told}")
}

#[test]
fn a_check_says_what_is_wrong_with_packages() {
    let told = problems("  packages: [packages/absent.tgz]\n", None, 1);
    assert!(
        told.contains("E0114") && told.contains("hilum.yaml:4:14"),
        "{told}"
    );
    let told = problems("  packages: [../other.tgz]\n", None, 1);
    assert!(told.contains("E0115"), "{told}");
    let told = problems("  packages: [packages/broken.tgz]\n", None, 1);
    assert!(
        told.contains("E0125") && told.contains("cannot be used"),
        "{told}"
    );
    let told = problems("  profiles: { Patient: [http://example.org/p] }\n", None, 1);
    assert!(told.contains("in none of the packages"), "{told}");
    let told = problems(
        "  tenants:\n    own: { packages: [packages/broken.tgz] }\n",
        None,
        1,
    );
    assert!(told.contains("hilum.yaml:5:23"), "{told}");

    let package = crate::shared("suites/profiles/us_core_610.tgz");
    let Some(package) = package else {
        println!("not run: packages of a site (no shared material)");
        return;
    };
    let core = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient";
    let good = format!("  packages: [packages/core.tgz]\n  profiles: {{ Patient: [{core}] }}\n");
    let told = problems(&good, Some(&package), 0);
    assert!(
        told.contains("E0125") && told.contains("hl7.terminology.r4"),
        "{told}"
    );
    let other = good.replace("Patient:", "Group:");
    let told = problems(&other, Some(&package), 1);
    assert!(
        told.contains("not for resources of the type Group"),
        "{told}"
    );
}

#[tokio::test]
async fn the_stores_of_a_site_may_be_schemas_of_postgresql() {
    let Some(database) = shared_postgres().unwrap() else {
        println!("not run: on PostgreSQL (no servers)");
        return;
    };
    let [admin, fhir] = [(); 2].map(|()| free_port().unwrap());
    let folder = SiteFolder::new().unwrap();
    let from = examples().join("fhir-server");
    copy(&from, &folder, "site", &[("26600", admin), ("26680", fhir)]);
    let (site, data) = (folder.path().join("site"), folder.path().join("data"));
    let node = std::fs::read_to_string(site.join("hilum.yaml")).unwrap();
    let schema = format!("site_{}", std::process::id());
    let section = format!(
        "fhir:\n  database:\n    url: postgres://{USER}@127.0.0.1:{database}/{DATABASE}\n    \
         password: file:password\n    schema: {schema}\n  tenants: {{ research: {{}} }}\n"
    );
    let node = node.replace("fhir:\n", &section);
    folder.file("site/hilum.yaml", node).unwrap();
    folder.file("site/password", PASSWORD).unwrap();
    let run = || {
        let mut node = Running::start(&["run", text(&site), "--data", text(&data)]);
        let line = node.line();
        assert!(line.contains("ready"), "{line}");
        node
    };
    let node = run();
    let patient = r#"{"resourceType":"Patient","id":"p1","active":true}"#;
    let (status, outcome) = ask(fhir, "PUT /fhir/Patient/p1", patient).await;
    assert_eq!(status, 201, "{outcome}");
    node.terminate();
    node.end();
    let node = run();
    let (status, patient) = ask(fhir, "GET /fhir/Patient/p1", "").await;
    assert_eq!((status, &patient["active"]), (200, &Value::from(true)));
    let (status, _) = ask(fhir, "GET /fhir/t/research/Patient/p1", "").await;
    assert_eq!(status, 404);
    assert!(!data.join("fhir.db").exists());
    node.terminate();
    node.end();
}

#[test]
fn a_password_in_a_url_is_told_as_a_secret_and_shown_nowhere() {
    let folder = SiteFolder::new().unwrap();
    let url = "postgres://hilum:hunter2@db.example/hospital";
    let node = format!("site: s\nfhir:\n  database:\n    url: {url}\n");
    folder.file("hilum.yaml", node).unwrap();
    let system = format!("system: ward\nabout: x\naddresses: {{ sql: \"{url}\", nothing: x }}\n");
    folder.file("systems/ward.yaml", system).unwrap();
    let channel = |name: &str, to: &str| {
        let text = format!(
            "channel: {name}\nabout: x\nowner: us@example.org\nfrom: {{ mllp: {{ listen: \"127.0.0.1:0\" }} }}\n\
             format: hl7v2\nto:\n  ward: {to}\n"
        );
        folder.file(&format!("channels/{name}.yaml"), text).unwrap();
    };
    let sql = |more: &str| format!("{{ sql: {{ {more}, statement: \"select 1\" }} }}");
    channel("a", &sql(&format!("url: \"{url}\"")));
    channel("b", &sql("system: ward"));
    channel(
        "c",
        "{ http: { url: \"https://hilum:hunter2@db.example/in\" } }",
    );
    // The URL itself is not looked at, since the line has another problem before it.
    channel("d", &sql(&format!("url: \"{url}\", unknown: 1")));
    channel(
        "e",
        "{ http: { url: \"https://hilum:hunter2 @db.example/in\" } }",
    );
    channel(
        "f",
        &sql("url: \"mysql://hilum@db.example/h?password=hunter2\""),
    );
    for form in [&["check"][..], &["--json", "check"]] {
        let arguments: Vec<&str> = form.iter().copied().chain([text(folder.path())]).collect();
        let (out, told) = ends(&arguments, 1);
        let shown = format!("{out}{told}");
        assert!(!shown.contains("hunter2"), "{shown}");
        for place in [
            "hilum.yaml",
            "systems/ward.yaml",
            "channels/a.yaml",
            "channels/f.yaml",
        ] {
            assert!(shown.contains(place), "{shown}");
        }
        assert!(shown.contains("change the password"), "{shown}");
    }
    let (_, told) = ends(&["check", text(folder.path())], 1);
    let secrets = told.matches("error[E0116]").count();
    assert_eq!(secrets, 5, "{told}");
}

#[tokio::test]
async fn one_connection_more_than_the_site_allows_is_closed() {
    let [admin, fhir] = [(); 2].map(|()| free_port().unwrap());
    let folder = SiteFolder::new().unwrap();
    let node = format!(
        "site: s\nadmin: 127.0.0.1:{admin}\nfhir: {{ listen: \"127.0.0.1:{fhir}\", connections-max: 2 }}\n"
    );
    folder.file("site/hilum.yaml", node).unwrap();
    let (site, data) = (folder.path().join("site"), folder.path().join("data"));
    let mut node = Running::start(&["run", text(&site), "--data", text(&data)]);
    let line = node.line();
    assert!(line.contains("ready"), "{line}");
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], fhir));
    let asked = async |client: &mut HttpClient| {
        let answer = client.exchange("GET /fhir/Patient", &[], b"").await;
        answer.ok().and_then(|answer| answer.status())
    };
    let mut first = HttpClient::connect(address).await.unwrap();
    let mut second = HttpClient::connect(address).await.unwrap();
    assert_eq!(asked(&mut first).await, Some(200));
    assert_eq!(asked(&mut second).await, Some(200));
    let mut third = HttpClient::connect(address).await.unwrap();
    assert_eq!(asked(&mut third).await, None);
    assert_eq!(asked(&mut first).await, Some(200), "the others go on");
    // There is room again when one of them leaves.
    drop(second);
    for _ in 0..1_000 {
        let mut next = HttpClient::connect(address).await.unwrap();
        if asked(&mut next).await == Some(200) {
            node.terminate();
            node.end();
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the place of a connection that left stays taken");
}
