//! The simulated peers: how `receive` misbehaves on request, and TLS on both sides.

use std::process::Stdio;

use hilum_testkit::certificates::Authority;
use hilum_testkit::site::SiteFolder;
use hilum_testkit::wait::{free_port, until};

use crate::kit::{Relay, Running, json};
use crate::{ends, hilum, text};

fn place(scheme: &str) -> String {
    format!("{scheme}://127.0.0.1:{}", free_port().unwrap())
}

/// Sends until the receiver is there; gives the last exit code and what was printed.
async fn sent(arguments: &[&str]) -> (i32, String) {
    let mut last = (3, String::new());
    until("the receiver listens", || {
        let out = hilum(arguments).stderr(Stdio::piped()).output().unwrap();
        let printed = [out.stdout, out.stderr].concat();
        let printed = String::from_utf8_lossy(&printed).into_owned();
        last = (out.status.code().unwrap_or(-1), printed);
        !last.1.contains("refused") || last.1.contains("certificate")
    })
    .await;
    last
}

#[tokio::test]
async fn a_receiver_errs_every_nth_time_and_takes_its_time() {
    let folder = SiteFolder::new().unwrap();
    let sample = "MSH|^~\\&|A|B|C|D|20260101||ADT^A01|X1|P|2.5\rPID|1||1\r";
    let file = folder.file("a.hl7", sample.repeat(2)).unwrap();
    let at = place("mllp");
    let options = ["--ae-every", "2", "--delay", "150ms", "--count", "2"];
    let receiver = Running::start(&[&["receive", at.as_str()], &options[..]].concat());
    let (code, out) = sent(&["send", &at, text(&file), "--json"]).await;
    assert_eq!(code, 1, "{out}");
    let answers: Vec<serde_json::Value> = out
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    assert_eq!(answers[0]["answer"], "AA", "{out}");
    assert!(answers[0]["ms"].as_f64().unwrap() >= 150.0, "{out}");
    assert!(
        answers[1]["answer"].as_str().unwrap().starts_with("AE"),
        "{out}"
    );
    let received = receiver.end();
    assert!(
        received.contains("2 received") && received.contains("1 taken"),
        "{received}"
    );
}

#[tokio::test]
async fn what_a_receiver_missed_while_it_was_down_reaches_it_afterwards() {
    let relay = Relay::new();
    let down = ["--down-for", "2s", "--down-after", "1", "--count", "3"];
    let receiver = Running::start(&[&["receive", relay.to.as_str()], &down[..]].concat());
    let node = relay.run();
    ends(&["send", &relay.from, "--count", "3"], 0);
    until("all has arrived", || relay.destination()["delivered"] == 3).await;
    let received = receiver.end();
    assert!(received.contains("3 received"), "{received}");
    node.terminate();
    node.end();
}

#[tokio::test]
async fn mutual_tls_passes_who_has_a_certificate_and_nobody_else() {
    let folder = SiteFolder::new().unwrap();
    let sample = "MSH|^~\\&|A|B|C|D|20260101||ADT^A01|X1|P|2.5\rPID|1||1\r";
    let file = folder.file("a.hl7", sample).unwrap();
    let authority = Authority::new(folder.path(), "hospital").unwrap();
    let server = authority
        .sign("receiver", &["127.0.0.1", "localhost"])
        .unwrap();
    let client = authority.sign("sender", &["sender"]).unwrap();
    let (at, ca) = (place("mllps"), text(&authority.ca).to_owned());
    let own = [
        "--cert",
        text(&server.certificate),
        "--key",
        text(&server.key),
        "--ca",
        &ca,
    ];
    let receiver = Running::start(&[&["receive", &at, "--count", "1"], &own[..]].concat());

    let bare = [
        "send",
        &at,
        text(&file),
        "--ca",
        &ca,
        "--answer-within",
        "5s",
    ];
    let (code, out) = sent(&bare).await;
    assert_ne!(code, 0, "without a certificate: {out}");
    let (code, _) = sent(&["send", &at, text(&file)]).await;
    assert_ne!(code, 0, "the authority is not one of the system's");
    let shown = [
        "--cert",
        text(&client.certificate),
        "--key",
        text(&client.key),
    ];
    let (code, out) = sent(&[&bare[..], &shown[..]].concat()).await;
    assert_eq!(code, 0, "{out}");
    let received = receiver.end();
    assert!(received.contains("1 received"), "{received}");
}

#[tokio::test]
async fn a_peer_that_says_no_leaves_a_dead_letter_that_is_found_by_its_word() {
    let relay = Relay::new();
    let receiver = Running::start(&["receive", &relay.to, "--answer", "ar", "--count", "1"]);
    let node = relay.run();
    ends(&["send", &relay.from, text(&relay.sample())], 0);
    receiver.end();
    until("it is a dead letter", || relay.destination()["dead"] == 1).await;
    let found = json(&[
        "messages",
        "--at",
        &relay.at,
        "--delivery",
        "dead-letter",
        "--json",
    ]);
    assert_eq!(found["control-id"], "R00001");
    let dead = json(&[
        "dead-letters",
        "relay",
        "receiver",
        "--at",
        &relay.at,
        "--json",
    ]);
    assert_eq!(dead["state"], "dead-letter", "{dead}");
    node.terminate();
    node.end();
}
