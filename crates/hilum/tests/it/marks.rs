//! Test patients, critical and withdrawn results over sockets: what is in production gets no test, and
//! whoever is on duty learns of a critical result that nobody acknowledged, also after a restart, and of a
//! destination that does not learn that a result was withdrawn.

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
        Self::with("").await
    }

    /// With more of the destination `board`.
    async fn with(board_has: &str) -> Self {
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
                     to:\n  ehr: {{ mllp: {{ system: ehr }}, critical-within: 2s }}\n  board: {{ mllp: {{ system: board }}{board_has} }}\n"
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

    /// A report of one value at a time, with a status (OBX-11).
    async fn report(&self, id: &str, at: &str, status: &str) {
        let message = format!(
            "MSH|^~\\&|LIS|LAB|EHR|STE|{at}||ORU^R01^ORU_R01|{id}|P|2.5.1\r\
             PID|1||1^^^STE^MR||DOE^JANE\rOBR|1|P1|F1|K^K^L\rOBX|1|NM|K^K^L||4.1|mmol/L|||||{status}\r"
        );
        let mut client = Client::connect(&self.from).await.unwrap();
        let answer = client.exchange(message.as_bytes()).await.unwrap();
        assert!(String::from_utf8_lossy(&answer).contains("MSA|AA|"));
    }

    /// The states of the alerts about critical results.
    fn alerts(&self) -> Vec<String> {
        let read = |alert: Value| {
            (alert["kind"] == "critical-result")
                .then(|| alert["state"].as_str().unwrap_or_default().to_owned())
        };
        self.all_alerts().into_iter().filter_map(read).collect()
    }

    fn all_alerts(&self) -> Vec<Value> {
        let mut files: Vec<_> = std::fs::read_dir(self.path("alerts"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
            .collect();
        files.sort();
        let read = |path: &PathBuf| serde_json::from_slice(&std::fs::read(path).ok()?).ok();
        files.iter().filter_map(read).collect()
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

#[tokio::test(flavor = "multi_thread")]
async fn where_a_withdrawn_result_went_is_listed_and_who_is_not_told_is_an_alert() {
    let node = Node::with(", when: \"OBX-11 != 'W'\"").await;
    let _running = node.run();
    node.report("R1", "20261102080000", "F").await;
    until("both have it", || {
        node.ehr.count() == 1 && node.board.count() == 1
    })
    .await;
    node.report("R2", "20261102090000", "W").await;
    until("the record has both", || node.ehr.count() == 2).await;
    let untold = || {
        let all = node.all_alerts();
        let of_kind = all
            .into_iter()
            .find(|one| one["kind"] == "withdrawal-untold");
        of_kind.map(|one| one["destination"].as_str().unwrap_or_default().to_owned())
    };
    until("the alert", || untold().as_deref() == Some("board")).await;
    assert_eq!(node.board.control_ids(), ["R1"]);
    let (listed, _) = ends(&["withdrawals", "--at", &node.at, "--json"], 1);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let first = &listed["withdrawals"][0];
    assert_eq!(first["results"], 1, "{listed}");
    assert_eq!(first["untold"], serde_json::json!([["lab", "board"]]));
    let message = first["message"].as_str().unwrap();
    let (found, _) = ends(&["withdrawals", message, "--at", &node.at, "--json"], 1);
    let found: Value = serde_json::from_str(&found).unwrap();
    let row = |destination: &str| {
        let rows = found["deliveries"].as_array().unwrap();
        let row = rows.iter().find(|row| row["destination"] == destination);
        row.unwrap_or_else(|| panic!("{destination} in {found}"))
            .clone()
    };
    assert_eq!(row("ehr")["withdrawal"], "delivered");
    assert_eq!(row("ehr")["acknowledged"], "AA");
    assert_eq!(row("board")["withdrawal"], "none");
    let (out, _) = ends(&["withdrawals", message, "--at", &node.at], 1);
    assert!(
        out.contains("lab board") && out.contains("not told"),
        "{out}"
    );
    assert!(!out.contains("DOE"), "{out}");
    let (other, _) = ends(
        &["messages", "--control-id", "R1", "--at", &node.at, "--json"],
        0,
    );
    let other: Value = serde_json::from_str(other.lines().next().unwrap()).unwrap();
    let other = other["message"].as_str().unwrap();
    let (_, told) = ends(&["withdrawals", other, "--at", &node.at], 3);
    assert!(told.contains("withdraws no result"), "{told}");
}
