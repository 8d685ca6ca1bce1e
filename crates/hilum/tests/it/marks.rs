//! Test patients and critical results over sockets: what is in production gets no test, and whoever is on
//! duty learns of a critical result that nobody acknowledged, also after a restart.

use std::path::PathBuf;

use hilum_testkit::mllp::{Client, Receiver};
use hilum_testkit::ports::free_port;
use hilum_testkit::site::SiteFolder;
use hilum_testkit::wait::until;
use serde_json::Value;

use crate::kit::{Running, get, json, json_lines};
use crate::{ends, text};

struct Node {
    folder: SiteFolder,
    at: String,
    from: String,
    ehr: Receiver,
    board: Receiver,
}

impl Node {
    async fn new() -> Self {
        let (ehr, board) = (
            Receiver::start().await.unwrap(),
            Receiver::start().await.unwrap(),
        );
        let [admin, from] = [(); 2].map(|()| free_port().unwrap());
        let (at, from) = (format!("127.0.0.1:{admin}"), format!("127.0.0.1:{from}"));
        let folder = SiteFolder::new().unwrap();
        let out = folder.path().join("alerts");
        std::fs::create_dir(&out).unwrap();
        let ids = "identifiers: [{ authority: STE, type: MR }]\n";
        let system = |name: &str, more: &str| format!("system: {name}\nabout: x\n{ids}{more}");
        for (path, content) in [
            (
                "site/hilum.yaml",
                format!(
                    "site: lab\nproduction: true\nadmin: {at}\nretry: {{ first: 100ms, longest: 300ms }}\n\
                     test-patients: [ {{ authority: STE, from: 900, to: 999 }} ]\n"
                ),
            ),
            ("site/systems/lis.yaml", system("lis", "")),
            (
                "site/systems/ehr.yaml",
                system(
                    "ehr",
                    &format!(
                        "production: true\naddresses: {{ mllp: {} }}\n",
                        ehr.address()
                    ),
                ),
            ),
            (
                "site/systems/board.yaml",
                system(
                    "board",
                    &format!("addresses: {{ mllp: {} }}\n", board.address()),
                ),
            ),
            (
                "site/channels/lab.yaml",
                format!(
                    "channel: lab\nabout: x\nfrom: {{ mllp: {{ system: lis, listen: {from} }} }}\nformat: hl7v2\n\
                     to:\n  ehr: {{ mllp: {{ system: ehr }}, critical-within: 2s }}\n  board: {{ mllp: {{ system: board }} }}\n"
                ),
            ),
            (
                "site/channels/alerts.yaml",
                format!(
                    "channel: alerts\nabout: x\nfrom: {{ topic: hilum.alerts }}\nformat: json\norder: channel\n\
                     to: {{ folder: {{ file: {{ folder: {}, name: \"{{id}}.json\" }} }} }}\n",
                    text(&out)
                ),
            ),
        ] {
            folder.file(path, content).unwrap();
        }
        Self {
            folder,
            at,
            from,
            ehr,
            board,
        }
    }

    fn run(&self) -> Running {
        let (site, data) = (self.path("site"), self.path("data"));
        let mut running = Running::start(&["run", text(&site), "--data", text(&data)]);
        let line = running.line();
        assert!(line.contains("ready"), "{line}");
        running
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn send(&self, id: &str, processing: &str, pid: &str, flag: &str) {
        let message = format!(
            "MSH|^~\\&|LIS|LAB|EHR|STE|20261102080000||ORU^R01^ORU_R01|{id}|{processing}|2.5.1\r\
             PID|1||{pid}\rOBR|1|P1|F1|K^K^L\rOBX|1|NM|K^K^L||7.1|mmol/L|3.5-5.1|{flag}|||F\r"
        );
        let mut client = Client::connect(&self.from).await.unwrap();
        let answer = client.exchange(message.as_bytes()).await.unwrap();
        assert!(String::from_utf8_lossy(&answer).contains("MSA|AA|"));
    }

    /// The states of the alerts about critical results.
    fn alerts(&self) -> Vec<String> {
        let mut files: Vec<_> = std::fs::read_dir(self.path("alerts"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
            .collect();
        files.sort();
        let read = files.iter().filter_map(|path| {
            let alert: Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
            (alert["kind"] == "critical-result")
                .then(|| alert["state"].as_str().unwrap_or_default().to_owned())
        });
        read.collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_test_patient_reaches_production() {
    let node = Node::new().await;
    let _running = node.run();
    node.send("T1", "T", "1^^^STE^MR||DOE^JANE", "").await;
    node.send("T2", "P", "950^^^STE^MR||DOE^JANE", "").await;
    node.send("P1", "P", "1^^^STE^MR||DOE^JANE", "").await;
    until("the record has one", || node.ehr.count() == 1).await;
    until("the board has all", || node.board.count() == 3).await;
    assert_eq!(node.ehr.control_ids(), ["P1"]);
    let found = json_lines(&[
        "messages",
        "--finding",
        "test-patient",
        "--at",
        &node.at,
        "--json",
    ]);
    assert_eq!(found.len(), 2, "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_critical_result_that_nobody_acknowledged_is_told_over_a_restart() {
    let mut node = Node::new().await;
    let running = node.run();
    node.ehr.down().await;
    node.send("C1", "P", "1^^^STE^MR||DOE^JANE", "HH").await;
    until("the alert", || node.alerts() == ["raised"]).await;
    let (out, _) = ends(&["critical", "--open", "--at", &node.at], 1);
    assert!(
        out.contains("HH") && out.contains("lab ehr") && out.contains("escalated"),
        "{out}"
    );
    until("the metric", || {
        get(&node.at, "/metrics").contains("hilum_critical_results_late 1")
    })
    .await;
    running.kill();
    let _running = node.run();
    node.ehr.up().await.unwrap();
    until("the record has it", || node.ehr.count() == 1).await;
    until("both alerts", || node.alerts().len() == 2).await;
    let mut states = node.alerts();
    states.sort();
    assert_eq!(states, ["cleared", "raised"]);
    let report = json(&["critical", "--at", &node.at, "--json"]);
    let rows = report["critical"].as_array().unwrap();
    let ehr: Vec<_> = rows
        .iter()
        .filter(|row| row["destination"] == "ehr")
        .collect();
    assert_eq!(
        (ehr.len(), ehr[0]["state"].as_str()),
        (1, Some("acknowledged"))
    );
    assert!(
        rows.iter()
            .any(|row| row["destination"] == "board" && row["told-ms"].is_null())
    );
}
