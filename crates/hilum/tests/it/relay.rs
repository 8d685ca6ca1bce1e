//! What outside checks rely on: `hilum run config/examples/relay --data DIR`, on the ports that its
//! files name.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use hilum_testkit::mllp::{Behaviour, Client, Keep, Receiver};
use hilum_testkit::site::SiteFolder;
use hilum_testkit::wait::{until, within};

use crate::kit::{Running, get, json};
use crate::{hilum, text};

const FROM: &str = "127.0.0.1:26610";
const TO: &str = "127.0.0.1:26611";
const ADMIN: &str = "127.0.0.1:26600";
const PATIENTS: usize = 4;
const MESSAGES: usize = 40;

/// The ports for this test alone; none where a program of somebody else has one of them.
fn ports() -> Option<File> {
    let lock = std::env::temp_dir().join("hilum-relay-ports.lock");
    let lock = File::create(lock).ok()?;
    lock.lock().ok()?;
    let free = |at: &&str| TcpListener::bind(at).is_ok();
    [FROM, TO, ADMIN].iter().all(free).then_some(lock)
}

/// A message of a patient; `place` is PV1-3.
fn message(id: &str, patient: usize, place: &str) -> Vec<u8> {
    format!(
        "MSH|^~\\&|PAS|HOSP|ADT|WEST|20260301080000||ADT^A01^ADT_A01|{id}|P|2.5.1\r\
         EVN|A01|20260301080000\rPID|1||P{patient}^^^HOSP^MR||Doe^Jane||19800101|F|||~||||x\\F\\y\r\
         PV1|1|I|{place}\rZZZ|of our own\r"
    )
    .into_bytes()
}

async fn answer(client: &mut Client, message: &[u8]) -> String {
    let answer = within("the answer", client.exchange(message))
        .await
        .unwrap();
    String::from_utf8(answer.to_vec()).unwrap()
}

#[tokio::test]
async fn the_relay_of_the_examples_keeps_its_contract() {
    let Some(_ports) = ports() else {
        println!("not run: relay (a port of {FROM}, {TO}, {ADMIN} is taken)");
        return;
    };
    let behaviour = Behaviour::default();
    let receiver = Receiver::start_at(TO.parse().unwrap(), behaviour, Keep::Bytes)
        .await
        .unwrap();
    let folder = SiteFolder::new().unwrap();
    let data = folder.path().join("data");
    let mut command = hilum(&["run", "config/examples/relay", "--data", text(&data)]);
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    let mut node = Running::of(command.stderr(Stdio::null()));
    assert!(node.line().contains("ready"));

    // It listens as soon as it says so.
    let mut client = Client::connect(FROM).await.unwrap();
    let nowhere = answer(&mut client, &message("N1", 0, "")).await;
    assert!(nowhere.contains("MSA|AA|N1"), "{nowhere}");
    let mut sent = Vec::new();
    for number in 0..MESSAGES {
        let id = format!("R{number}");
        let message = message(&id, number % PATIENTS, "W3^12^A^NORTH");
        let told = answer(&mut client, &message).await;
        assert!(told.contains(&format!("MSA|AA|{id}")), "{told}");
        sent.push(message);
    }
    until("all has arrived", || receiver.count() >= MESSAGES as u64).await;

    let mut by_patient: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for received in receiver.received() {
        let number: usize = received.control_id.trim_start_matches('R').parse().unwrap();
        let came = String::from_utf8(received.bytes.unwrap().to_vec()).unwrap();
        let expected = String::from_utf8(sent[number].clone()).unwrap();
        assert_eq!(
            came,
            expected.replacen("|WEST|", "|NORTH|", 1),
            "only MSH-6 is another"
        );
        let patient = came
            .split("PID|1||")
            .nth(1)
            .unwrap()
            .split('^')
            .next()
            .unwrap();
        by_patient
            .entry(patient.to_owned())
            .or_default()
            .push(number);
    }
    assert_eq!(by_patient.len(), PATIENTS);
    for (patient, order) in by_patient {
        assert!(
            order.is_sorted() && order.len() == MESSAGES / PATIENTS,
            "{patient}: {order:?}"
        );
    }

    let filtered = json(&["messages", "--disposition", "filtered", "--json"]);
    assert_eq!(filtered["control-id"], "N1");
    let of_p1 = [
        "messages",
        "--field",
        "patient-id=P1",
        "--field",
        "ward=W3",
        "--json",
    ];
    assert_eq!(crate::kit::json_lines(&of_p1).len(), MESSAGES / PATIENTS);
    let metrics = get(ADMIN, "/metrics");
    assert!(metrics.contains("text/plain"), "{metrics}");
    let received = format!(
        "hilum_messages_received_total{{channel=\"relay\"}} {}",
        MESSAGES + 1
    );
    assert!(metrics.contains(&received), "{metrics}");
    node.terminate();
    node.end();
}
