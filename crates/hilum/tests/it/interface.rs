//! `hilum verify-interface`: what was sent, what was received, what is held.

use hilum_testkit::http::HttpClient;
use hilum_testkit::ports::free_port;
use hilum_testkit::site::SiteFolder;
use hilum_testkit::wait::until;
use serde_json::Value;

use crate::codes::Lab;
use crate::kit::{Running, json};
use crate::{ends, text};

const STEPS: &str = "  - translate: { field: OBX-3, table: tables/lab.csv, unit: OBX-6 }\n  \
    - filter: OBX-3.1.exists()";
const OBX: &str = "OBX|1|NM|K^Kalium^L||4.10|mmol/L|3.5-5.0|N|||F\r\
    OBX|2|NM|NA^Natrium^L||139|mmol/l|135-145|N|||F\r";

/// The cells of a row, by field.
fn cells<'r>(report: &'r Value, code: &str, who: &str) -> impl Fn(&str) -> (&'r Value, &'r Value) {
    let tests = report["report"]["tests"].as_array().unwrap();
    let test = tests.iter().find(|test| test["code"] == code).unwrap();
    let rows = test["results"][0]["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row["who"] == who).unwrap();
    move |field: &str| {
        let fields = row["fields"].as_array().unwrap();
        let cell = fields.iter().find(|cell| cell["field"] == field).unwrap();
        (&cell["value"], &cell["verdict"])
    }
}

#[tokio::test]
async fn each_test_code_is_shown_as_sent_and_as_received() {
    let lab = Lab::new(STEPS).await;
    let _node = lab.run();
    for id in ["M1", "M2"] {
        lab.send(id, OBX).await;
    }
    let delivered = || {
        let found = [
            "messages",
            "--at",
            &lab.at,
            "--delivery",
            "delivered",
            "--json",
        ];
        ends(&found, 0).0.lines().count() == 2
    };
    until("both are delivered", delivered).await;
    let site = text(&lab.site);
    let ask = [
        "verify-interface",
        site,
        "--channel",
        "lab",
        "--at",
        &lab.at,
    ];

    // A unit was written by the table: somebody has to look at it.
    let (out, _) = ends(&[&ask[..], &["--json"]].concat(), 1);
    assert!(!out.contains("Canary") && !out.contains("4.10"), "{out}");
    let report: Value = serde_json::from_str(&out).unwrap();
    let potassium = cells(&report, "K", "ehr");
    assert_eq!(potassium("code"), (&"2823-3".into(), &"mapped".into()));
    assert_eq!(potassium("value"), (&Value::Null, &"same".into()));
    assert_eq!(potassium("unit"), (&"mmol/L".into(), &"same".into()));
    let sodium = cells(&report, "NA", "ehr");
    assert_eq!(sodium("unit"), (&"mmol/L".into(), &"differs".into()));
    assert_eq!(
        report["report"]["tests"][0]["results"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    // The same results have the same digest, whoever prints them and when.
    let again = [&ask[..], &["--json", "--reviewer", "Ann Example"]].concat();
    let again: Value = serde_json::from_str(&ends(&again, 1).0).unwrap();
    assert_eq!(again["digest"], report["digest"]);
    assert_eq!(again["reviewer"], "Ann Example");

    printed(&lab, &ask, &report);
}

/// With values, as a page to be signed.
fn printed(lab: &Lab, ask: &[&str], hidden: &Value) {
    let file = lab.folder.path().join("report.html");
    let out = [
        "--reveal",
        "--each",
        "1",
        "--form",
        "html",
        "--out",
        text(&file),
    ];
    ends(&[ask, &out[..], &["--reviewer", "Ann Example"]].concat(), 1);
    let page = std::fs::read_to_string(&file).unwrap();
    for part in [
        "4.10",
        "2823-3 (mapped)",
        "Ann Example",
        "Signature",
        "Digest",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let other: Value =
        serde_json::from_str(&ends(&[ask, &["--json", "--reveal", "--each", "1"]].concat(), 1).0)
            .unwrap();
    assert!(page.contains(other["digest"].as_str().unwrap()));
    assert_ne!(
        other["digest"], hidden["digest"],
        "values are part of what is signed"
    );
}

#[test]
fn samples_are_compared_without_a_node() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let lab = runtime.block_on(Lab::new(STEPS));
    let head = "MSH|^~\\&|LIS|N|EHR|H|2026||ORU^R01|1|P|2.5.1\rOBR|1\r";
    let sample = |name: &str, obx: &str| {
        let file = lab.folder.file(name, format!("{head}{obx}")).unwrap();
        text(&file).to_owned()
    };
    let site = text(&lab.site);
    let good = sample(
        "good.hl7",
        "OBX|1|NM|K^Kalium^L||4.10|mmol/L|3.5-5.0|N|||F\r",
    );
    let ask = ["verify-interface", site, "--channel", "lab", "--sample"];
    let (out, _) = ends(&[&ask[..], &[&good]].concat(), 0);
    for part in [
        "| K | L | 1 | ehr | equal |",
        "hidden; run again with",
        "2823-3 (mapped)",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    assert!(!out.contains("4.10"), "{out}");
    let changed = sample(
        "changed.hl7",
        "OBX|1|NM|K^Kalium^L||4.10|mmol/l|3.5-5.0|N|||F\r",
    );
    let (out, _) = ends(&[&ask[..], &[&changed, "--reveal"]].concat(), 1);
    assert!(
        out.contains("ehr: unit") && out.contains("mmol/L (DIFFERS)"),
        "{out}"
    );
    let none = sample("none.hl7", "NTE|1||nothing\r");
    let (out, told) = ends(&[&ask[..], &[&none]].concat(), 0);
    assert!(
        out.contains("1 without results") && told.contains("no results were found"),
        "{out}"
    );
    let filtered = sample("filtered.hl7", "OBX|1|NM|||4.10\r");
    let (out, _) = ends(&[&ask[..], &[&filtered]].concat(), 1);
    assert!(out.contains("nobody: filtered"), "{out}");
    let (_, error) = ends(
        &[
            "verify-interface",
            site,
            "--channel",
            "no",
            "--sample",
            &good,
        ],
        3,
    );
    assert!(
        error.contains("there is no channel no; the site has lab"),
        "{error}"
    );
}

#[tokio::test]
async fn what_the_store_holds_is_a_row_of_its_own() {
    let [admin, fhir, results] = [(); 3].map(|()| free_port().unwrap());
    let folder = SiteFolder::new().unwrap();
    let (site, data) = crate::fhir_channels::example(&folder, [admin, fhir, results]);
    let mut node = Running::start(&["run", text(&site), "--data", text(&data)]);
    assert!(node.line().contains("ready"));
    let at = format!("127.0.0.1:{admin}");
    let result = |value: &str| {
        format!(
            r#"{{"resourceType":"Observation","id":"o1","status":"final","code":{{"coding":[{{"system":"http://loinc.org","code":"2823-3"}}]}},"subject":{{"identifier":{{"system":"urn:mrn","value":"7"}}}},"valueQuantity":{{"value":{value},"unit":"mmol/L"}}}}"#
        )
    };
    let put = async |port: u16, line: &str, body: String| {
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
        let mut client = HttpClient::connect(address).await.unwrap();
        let headers = [("Content-Type", "application/fhir+json")];
        let answer = client
            .exchange(line, &headers, body.as_bytes())
            .await
            .unwrap();
        answer.status().unwrap()
    };
    let status = put(results, "POST /results", result("4.10")).await;
    assert!(status < 300, "{status}");
    let found = [
        "messages",
        "--at",
        &at,
        "--channel",
        "results",
        "--delivery",
        "delivered",
        "--json",
    ];
    until("it is stored", || ends(&found, 0).0.lines().count() == 1).await;
    let ask = [
        "verify-interface",
        text(&site),
        "--channel",
        "results",
        "--at",
        &at,
        "--json",
    ];
    let report = json(&ask);
    let who = report["report"]["tests"][0]["results"][0]["rows"][2]["who"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(who.starts_with("store of "), "{report}");
    assert_eq!(
        cells(&report, "2823-3", &who)("value"),
        (&Value::Null, &"same".into())
    );
    // Somebody corrects it in the store: a digit less is another number of digits.
    let status = put(fhir, "PUT /fhir/Observation/o1", result("4.1")).await;
    assert_eq!(status, 200);
    let (out, _) = ends(&[&ask[..], &["--reveal"]].concat(), 1);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        cells(&report, "2823-3", &who)("value"),
        (&"4.1".into(), &"differs".into())
    );
}
