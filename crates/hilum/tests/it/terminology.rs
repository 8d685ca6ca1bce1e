//! Code systems are loaded beside a node that runs, and it answers with them without stopping.

use hilum_testkit::ports::free_port;
use hilum_testkit::site::SiteFolder;
use serde_json::Value;

use crate::fhir_server::ask;
use crate::kit::{Running, copy, json, json_lines};
use crate::{ends, examples, text};

const URL: &str = "http://st-elsewhere.example/lab";

fn display(answer: &Value) -> &str {
    let parameters = answer["parameter"].as_array();
    let mut parameters = parameters.into_iter().flatten();
    let found = parameters.find(|one| one["name"] == "display");
    found
        .and_then(|one| one["valueString"].as_str())
        .unwrap_or_default()
}

#[tokio::test]
async fn a_node_that_runs_answers_with_what_is_activated() {
    let [admin, fhir] = [(); 2].map(|()| free_port().unwrap());
    let folder = SiteFolder::new().unwrap();
    let from = examples().join("fhir-server");
    copy(&from, &folder, "site", &[("26600", admin), ("26680", fhir)]);
    for (name, shown) in [("1.csv", "Sodium"), ("2.csv", "Sodium, serum")] {
        let table = format!("code,display,parent\nCHEM,Chemistry,\nNA,\"{shown}\",CHEM\n");
        folder.file(name, table).unwrap();
    }
    let (site, data) = (folder.path().join("site"), folder.path().join("data"));
    let (data, at) = (text(&data).to_owned(), format!("127.0.0.1:{admin}"));
    let import = |version: &str, more: &[&str]| {
        let file = folder.path().join(format!("{version}.csv"));
        let mut arguments = vec!["terminology", "import", "csv", text(&file), "--url", URL];
        arguments.extend(["--version", version, "--data", &data, "--at", &at, "--json"]);
        arguments.extend(more);
        json(&arguments)
    };
    let loaded = import("1", &[]);
    assert_eq!(
        (&loaded["id"], &loaded["new"]),
        (&Value::from("st-elsewhere.example-lab-1"), &true.into())
    );
    assert_eq!(import("1", &[])["new"], false);

    let mut node = Running::start(&["run", text(&site), "--data", &data]);
    assert!(node.line().contains("ready"));
    let lookup = format!("GET /fhir/CodeSystem/$lookup?system={URL}&code=NA");
    assert_eq!(ask(fhir, &lookup, "").await.0, 404);
    import("1", &["--activate"]);
    assert_eq!(display(&ask(fhir, &lookup, "").await.1), "Sodium");
    import("2", &["--activate"]);
    assert_eq!(display(&ask(fhir, &lookup, "").await.1), "Sodium, serum");
    let older = format!("{lookup}&version=1");
    assert_eq!(display(&ask(fhir, &older, "").await.1), "Sodium");
    // What ships answers too, and hierarchies of what is loaded are asked for.
    let sex = "http://terminology.hl7.org/CodeSystem/v2-0001";
    let shipped = format!("GET /fhir/CodeSystem/$lookup?system={sex}&code=F");
    assert_eq!(display(&ask(fhir, &shipped, "").await.1), "Female");
    let subsumes = format!("GET /fhir/CodeSystem/$subsumes?system={URL}&codeA=CHEM&codeB=NA");
    let (_, answer) = ask(fhir, &subsumes, "").await;
    assert_eq!(answer["parameter"][0]["valueCode"], "subsumes", "{answer}");

    let second = "st-elsewhere.example-lab-2";
    let given = ["--data", data.as_str(), "--at", at.as_str()];
    let to = |what: &'static str| [&["terminology", what, second][..], &given].concat();
    ends(&["terminology", "remove", second, "--data", &data], 3);
    ends(&to("deactivate"), 0);
    assert_eq!(display(&ask(fhir, &lookup, "").await.1), "Sodium");
    ends(&["terminology", "remove", second, "--data", &data], 0);
    let listed = json_lines(&["terminology", "list", "--data", &data, "--json"]);
    assert_eq!(
        (listed.len(), &listed[0]["active"]),
        (1, &Value::from(true))
    );
    node.terminate();
    node.end();

    // What is active answers after a start.
    let mut node = Running::start(&["run", text(&site), "--data", &data]);
    assert!(node.line().contains("ready"));
    assert_eq!(display(&ask(fhir, &lookup, "").await.1), "Sodium");
    node.terminate();
    node.end();
}

#[test]
fn a_release_that_is_none_is_refused_with_its_place() {
    let folder = SiteFolder::new().unwrap();
    folder.file("codes.csv", "display\nx\n").unwrap();
    let (file, data) = (folder.path().join("codes.csv"), folder.path().join("data"));
    let arguments = [
        "terminology",
        "import",
        "csv",
        text(&file),
        "--url",
        URL,
        "--version",
        "1",
    ];
    let (_, told) = ends(&[&arguments[..], &["--data", text(&data)]].concat(), 3);
    assert!(
        told.contains("codes.csv, line 1: the first line names the columns"),
        "{told}"
    );
}
