//! The example `right-patient` over sockets: nothing of another person reaches the record.

use hilum_testkit::mllp::{Behaviour, Client, Reaction, Receiver};
use hilum_testkit::ports::free_port;
use hilum_testkit::site::SiteFolder;
use hilum_testkit::wait::until;
use serde_json::Value;

use crate::kit::{Running, copy, json, json_lines};
use crate::{ends, examples, text};

const ANNA: &str = "MÜLLER^ANNA||19840417|F";
const PETRA: &str = "SCHMIDT^PETRA||19510203|F";

struct Node {
    _folder: SiteFolder,
    at: String,
    admissions: u16,
    results: u16,
    ehr: Receiver,
    sent: std::cell::Cell<u32>,
    _running: Running,
}

impl Node {
    async fn start() -> Self {
        let ehr = Receiver::start().await.unwrap();
        let [admin, admissions, results] = [(); 3].map(|()| free_port().unwrap());
        let folder = SiteFolder::new().unwrap();
        let moved = [
            ("26746", admissions),
            ("26747", results),
            ("26748", ehr.address().port()),
        ];
        copy(&examples().join("right-patient"), &folder, "site", &moved);
        let at = format!("127.0.0.1:{admin}");
        let (site, data) = (folder.path().join("site"), folder.path().join("data"));
        let hilum = site.join("hilum.yaml");
        let file = std::fs::read_to_string(&hilum).unwrap();
        std::fs::write(&hilum, format!("{file}admin: {at}\n")).unwrap();
        let mut running = Running::start(&["run", text(&site), "--data", text(&data)]);
        let line = running.line();
        assert!(line.contains("ready"), "{line}");
        Self {
            _folder: folder,
            at,
            admissions,
            results,
            ehr,
            sent: std::cell::Cell::new(0),
            _running: running,
        }
    }

    /// Sends a message, which is taken; gives its control id.
    async fn send(&self, port: u16, kind: &str, rest: &str) -> String {
        self.sent.set(self.sent.get() + 1);
        let n = self.sent.get();
        let (id, at) = (format!("M{n}"), format!("202611020{:02}000", 700 + n));
        let evn = if kind.starts_with("ADT") {
            format!("EVN||{at}\r")
        } else {
            String::new()
        };
        let message = format!(
            "MSH|^~\\&|X|STE|EHR|STE|{at}||{kind}|{id}|P|2.5.1|||AL|NE||UNICODE UTF-8\r{evn}{rest}"
        );
        let mut client = Client::connect(("127.0.0.1", port)).await.unwrap();
        let answer = client.exchange(message.as_bytes()).await.unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.contains("MSA|CA|"), "{answer}");
        id
    }

    async fn adt(&self, event: &str, number: &str, who: &str, more: &str) -> String {
        let rest = format!("PID|1||{number}^^^STE^MR||{who}\r{more}");
        self.send(self.admissions, &format!("ADT^{event}"), &rest)
            .await
    }

    async fn oru(&self, number: &str, who: &str, order: &str) -> String {
        let rest = format!(
            "PID|1||{number}^^^STE^MR||{who}\rOBR|1||{order}^LAB|K^Potassium^L\rOBX|1|NM|K^Potassium^L||4.1|mmol/L|||||F\r"
        );
        self.send(self.results, "ORU^R01", &rest).await
    }

    /// What the record has, as `MSH-10 PID-3.1`, once it has that many.
    async fn record(&self, count: usize) -> Vec<String> {
        until(&format!("the record has {count}"), || {
            self.ehr.received().len() >= count
        })
        .await;
        let field = |message: &[u8], line: &str, n: usize| {
            let text = String::from_utf8_lossy(message).into_owned();
            let line = text
                .split('\r')
                .find(|one| one.starts_with(line))
                .map(str::to_owned);
            let field = line.unwrap().split('|').nth(n).unwrap().to_owned();
            field.split('^').next().unwrap().to_owned()
        };
        let received = self.ehr.received();
        let each = received.iter().map(|message| {
            let bytes = message.bytes.as_ref().unwrap();
            format!("{} {}", field(bytes, "MSH", 9), field(bytes, "PID", 3))
        });
        each.collect()
    }

    /// The only held message: its id and why.
    async fn held(&self) -> (String, String) {
        let mut found = Vec::new();
        until("a message is held", || {
            found = crate::kit::json_lines(&["holds", "--at", &self.at, "--json"]);
            !found.is_empty()
        })
        .await;
        assert_eq!(found.len(), 1, "{found:?}");
        let text = |name: &str| found[0][name].as_str().unwrap_or_default().to_owned();
        (text("message"), text("reason"))
    }

    /// The record refuses the next message.
    fn refuses_next(&self) {
        let next = self.ehr.count() + 1;
        self.ehr
            .behave(Behaviour::once(next, Reaction::Answer("AR")));
    }

    /// The ids of the dead letters of a channel, once there are that many.
    async fn dead(&self, channel: &str, count: usize) -> Vec<String> {
        let mut found = Vec::new();
        until(&format!("{count} dead letters"), || {
            found = json_lines(&["dead-letters", channel, "ehr", "--at", &self.at, "--json"]);
            found.len() >= count
        })
        .await;
        let ids = found.iter().map(|row| row["delivery"].as_str().unwrap());
        ids.map(str::to_owned).collect()
    }

    /// A command with its reason.
    fn does(&self, arguments: &[&str], code: i32) -> (String, String) {
        let more = ["--reason", "looked at", "--at", &self.at];
        ends(&[arguments, &more[..]].concat(), code)
    }

    fn shown(&self, number: &str) -> Value {
        let arguments = [
            "identity",
            "show",
            number,
            "--authority",
            "STE",
            "--type",
            "MR",
        ];
        json(&[&arguments[..], &["--at", &self.at, "--json"]].concat())
    }
}

#[tokio::test]
async fn a_result_of_another_person_never_reaches_the_record_before_somebody_has_looked() {
    let node = Node::start().await;
    // Quicker than the admission: it waits for that, and then for nobody.
    let early = node.oru("4711", ANNA, "F1").await;
    let (_, reason) = node.held().await;
    assert!(
        reason.contains("nobody has registered the patient yet"),
        "{reason}"
    );
    let admitted = node.adt("A01", "4711", ANNA, "PV1|1|I|MED1").await;
    let record = node.record(2).await;
    assert!(
        record.contains(&format!("{early} 4711")) && record.contains(&format!("{admitted} 4711"))
    );

    let wrong = node.oru("4711", PETRA, "F2").await;
    let (message, reason) = node.held().await;
    assert!(
        reason.contains("another birth date and another name"),
        "{reason}"
    );
    assert!(
        !reason.contains("PETRA") && !reason.contains("4711"),
        "{reason}"
    );
    ends(
        &["reject", &message, "--reason", "not her", "--at", &node.at],
        0,
    );
    let right = node.oru("4711", ANNA, "F3").await;
    let record = node.record(3).await;
    assert_eq!(record[2], format!("{right} 4711"));
    assert!(!record.iter().any(|one| one.starts_with(&wrong)));

    // Somebody finds out whose it is; for a third one it would be held again.
    node.adt("A01", "4712", PETRA, "PV1|1|I|MED1").await;
    node.adt("A01", "4713", "KLEIN^OTTO||19200101|M", "PV1|1|I|MED1")
        .await;
    let theirs = node.oru("4711", PETRA, "F5").await;
    let (message, _) = node.held().await;
    let reassign = |to: &str, code: i32| {
        let what = [
            "reassign",
            &message,
            "--to",
            to,
            "--authority",
            "STE",
            "--type",
            "MR",
        ];
        ends(
            &[&what[..], &["--reason", "labels swapped", "--at", &node.at]].concat(),
            code,
        )
    };
    let (_, error) = reassign("4713", 3);
    assert!(error.contains("would be held again"), "{error}");
    reassign("4712", 0);
    let record = node.record(6).await;
    assert_eq!(record[5], format!("{theirs} 4712"));

    // What a person has looked at goes on.
    node.oru("4711", PETRA, "F4").await;
    let (message, _) = node.held().await;
    ends(
        &[
            "release",
            &message,
            "--reason",
            "married twice",
            "--at",
            &node.at,
        ],
        0,
    );
    assert_eq!(node.record(7).await.len(), 7);
}

#[tokio::test]
async fn a_merge_is_followed_and_can_be_taken_back() {
    let node = Node::start().await;
    node.adt("A01", "4711", ANNA, "PV1|1|I|MED1").await;
    node.adt("A01", "4712", "MUELLER^ANNA||19840417|F", "PV1|1|I|MED2")
        .await;
    node.adt("A40", "4711", ANNA, "MRG|4712^^^STE^MR").await;
    let late = node.oru("4712", "MUELLER^ANNA||19840417|F", "F1").await;
    assert_eq!(node.record(4).await[3], format!("{late} 4711"));

    let shown = node.shown("4712");
    assert_eq!(shown["survivor"]["number"], "4711");
    let event = shown["events"][0]["event"].as_str().unwrap();
    assert_eq!(shown["events"][0]["code"], "A40");
    ends(
        &[
            "identity",
            "undo",
            event,
            "--reason",
            "two people",
            "--at",
            &node.at,
        ],
        0,
    );
    ends(
        &[
            "identity", "undo", event, "--reason", "again", "--at", &node.at,
        ],
        3,
    );
    let after = node.oru("4712", "MUELLER^ANNA||19840417|F", "F2").await;
    assert_eq!(node.record(5).await[4], format!("{after} 4712"));
    let shown = node.shown("4712");
    assert!(shown["survivor"].is_null());
    assert_eq!(shown["events"][0]["code"], "undo");
    ends(
        &[
            "identity",
            "show",
            "4713",
            "--authority",
            "STE",
            "--type",
            "MR",
            "--at",
            &node.at,
        ],
        1,
    );
}

#[tokio::test]
async fn a_result_whose_correction_was_delivered_is_not_sent_again_by_mistake() {
    let node = Node::start().await;
    node.adt("A01", "4711", ANNA, "PV1|1|I|MED1").await;
    node.record(1).await;
    node.refuses_next();
    let old = node.oru("4711", ANNA, "F1").await;
    node.dead("results", 1).await;
    node.refuses_next();
    let other = node.oru("4711", ANNA, "F2").await;
    let dead = node.dead("results", 2).await;
    // Results go on behind a dead letter.
    let correction = node.oru("4711", ANNA, "F1").await;
    let record = node.record(4).await;
    assert_eq!(record[3], format!("{correction} 4711"));

    let (_, refused) = node.does(&["requeue", &dead[0]], 3);
    assert!(
        refused.contains("would bring back an old state"),
        "{refused}"
    );
    assert!(refused.contains("1 of 1 objects"), "{refused}");
    assert!(refused.contains("--force"), "{refused}");
    assert!(
        !refused.contains("4711") && !refused.contains("F1") && !refused.contains("ANNA"),
        "{refused}"
    );
    let newer = refused.split("(message ").nth(1).unwrap();
    let newer = newer.split(')').next().unwrap();
    let (traced, _) = ends(&["trace", newer, "--at", &node.at], 0);
    assert!(traced.contains("results"), "{traced}");

    // Of several the others are sent.
    let (said, note) = node.does(&["requeue", &dead[0], &dead[1]], 1);
    assert!(said.contains(&format!("{}  not sent: ", dead[0])), "{said}");
    assert!(
        said.contains(&format!("{} is sent again", dead[1])),
        "{said}"
    );
    assert!(note.contains("1 of 2 would bring back"), "{note}");
    assert_eq!(node.record(5).await[4], format!("{other} 4711"));
    assert_eq!(node.dead("results", 1).await, dead[..1]);

    // So is a replay, and a range of them.
    let message = dead[0].split('.').next().unwrap();
    let (_, refused) = ends(&["replay", message, "--at", &node.at], 3);
    assert!(
        refused.contains("would bring back an old state"),
        "{refused}"
    );
    ends(&["replay", message, "--force", "--at", &node.at], 2);

    node.does(&["requeue", &dead[0], "--force"], 0);
    assert_eq!(node.record(6).await[5], format!("{old} 4711"));
    let (traced, _) = ends(&["trace", message, "--at", &node.at], 0);
    assert!(traced.contains("sent by force, though"), "{traced}");
    assert!(traced.contains("looked at"), "{traced}");
}

#[tokio::test]
async fn what_builds_on_a_refused_admission_waits_with_merges_and_follows_it() {
    let node = Node::start().await;
    node.adt("A01", "4711", ANNA, "PV1|1|I|MED1").await;
    let second = "MUELLER^ANNA||19840417|F";
    node.adt("A01", "4712", second, "PV1|1|I|MED2").await;
    node.record(2).await;
    node.refuses_next();
    let head = node.adt("A08", "4711", ANNA, "PV1|1|I|MED3").await;
    let dead = node.dead("admissions", 1).await;
    let merge = node.adt("A40", "4711", ANNA, "MRG|4712^^^STE^MR").await;
    let late = node.oru("4712", second, "F1").await;
    let last = node.adt("A08", "4711", ANNA, "PV1|1|I|MED4").await;
    let free = node.adt("A01", "4713", PETRA, "PV1|1|I|MED1").await;
    let record = node.record(4).await;
    assert_eq!(record[3], format!("{free} 4713"), "nobody else waits");

    // What waits behind it is newer and not there yet.
    node.does(&["requeue", &dead[0]], 0);
    let record = node.record(8).await;
    let expected = [head, merge, late, last].map(|id| format!("{id} 4711"));
    assert_eq!(record[4..], expected);
}

#[tokio::test]
async fn a_reassigned_result_waits_in_the_lane_of_its_new_patient() {
    let node = Node::start().await;
    node.adt("A01", "4711", ANNA, "PV1|1|I|MED1").await;
    node.adt("A01", "4712", PETRA, "PV1|1|I|MED1").await;
    node.record(2).await;
    node.refuses_next();
    let change = node.adt("A08", "4712", PETRA, "PV1|1|I|MED2").await;
    let dead = node.dead("admissions", 1).await;
    let theirs = node.oru("4711", PETRA, "F1").await;
    let (message, _) = node.held().await;
    let to = ["--to", "4712", "--authority", "STE", "--type", "MR"];
    node.does(&[&["reassign", &message], &to[..]].concat(), 0);
    let free = node
        .adt("A01", "4713", "KLEIN^OTTO||19200101|M", "PV1|1|I|MED1")
        .await;
    let record = node.record(4).await;
    assert_eq!(record[3], format!("{free} 4713"), "it waits for 4712");
    node.does(&["requeue", &dead[0]], 0);
    let record = node.record(6).await;
    assert_eq!(
        record[4..],
        [format!("{change} 4712"), format!("{theirs} 4712")]
    );
}
