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

#[test]
fn commands_use_what_is_loaded() {
    let folder = SiteFolder::new().unwrap();
    let (site, data) = (folder.path().join("site"), folder.path().join("data"));
    let (site, data) = (text(&site).to_owned(), text(&data).to_owned());
    let at = format!("127.0.0.1:{}", free_port().unwrap());
    for (name, content) in [
        (
            "lab.csv",
            "code,display\nGLU,Glucose in serum\nNA,Sodium in serum\n",
        ),
        ("types.csv", "code,display\ntext/plain,Plain text\n"),
        ("site/hilum.yaml", "site: a\n"),
        (
            "site/tables/lab.csv",
            "source,code,display,target,code,display\nL,NA,Natrium,LAB,NA,Sodium in serum\n",
        ),
        (
            "unmapped.json",
            "{\"table\":\"tables/lab.csv\",\"field\":\"OBX-3\",\"system\":\"L\",\
             \"code\":\"GLUC\",\"display\":\"Glucose serum\",\"channel\":\"a\"}\n",
        ),
        (
            "good.json",
            r#"{"resourceType":"Binary","contentType":"text/plain"}"#,
        ),
        (
            "wrong.json",
            r#"{"resourceType":"Binary","contentType":"text/nonsense"}"#,
        ),
    ] {
        folder.file(name, content).unwrap();
    }
    let path = |name: &str| text(&folder.path().join(name)).to_owned();
    for (file, url) in [("lab.csv", URL), ("types.csv", "urn:ietf:bcp:13")] {
        let file = path(file);
        let load = [
            "terminology",
            "import",
            "csv",
            &file,
            "--url",
            url,
            "--version",
            "1",
        ];
        let more = ["--activate", "--data", &data, "--at", &at];
        ends(&[&load[..], &more[..]].concat(), 0);
    }
    let (good, wrong) = (path("good.json"), path("wrong.json"));
    ends(&["fhir", "validate", &good, "--data", &data], 0);
    let (told, _) = ends(&["fhir", "validate", &wrong, "--data", &data], 1);
    assert!(told.contains("Binary.contentType"), "{told}");
    // Without what is loaded nobody knows the types of media.
    ends(&["fhir", "validate", &wrong], 0);

    let unmapped = path("unmapped.json");
    let suggest = |against: &str, code: i32| {
        let of = ["codes", "suggest", &site, "--table", "tables/lab.csv"];
        let more = [
            "--against",
            against,
            "--unmapped",
            &unmapped,
            "--data",
            &data,
        ];
        ends(&[&of[..], &more[..]].concat(), code)
    };
    for against in [URL, "st-elsewhere.example-lab-1"] {
        let (rows, _) = suggest(against, 0);
        let expected = format!("L,GLUC,Glucose serum,{URL},GLU,Glucose in serum,");
        assert!(rows.contains(&expected), "{against}: {rows}");
    }
    let (_, told) = suggest("loinc", 3);
    assert!(
        told.contains("no code system of that name is loaded"),
        "{told}"
    );
}
