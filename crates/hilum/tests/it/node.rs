//! A running node, its peers, and the commands that ask it.

use hilum_testkit::ports::free_port;
use hilum_testkit::site::SiteFolder;
use hilum_testkit::wait::until;

use crate::kit::{Running, copy, json};
use crate::{ends, examples, text};

#[tokio::test]
async fn messages_pass_a_node_and_are_found_traced_and_repeated() {
    let [admin, from, to] = [(); 3].map(|()| free_port().unwrap());
    let folder = SiteFolder::new().unwrap();
    let ports = [("26600", admin), ("26610", from), ("26611", to)];
    copy(&examples().join("relay"), &folder, "site", &ports);
    let site = folder.path().join("site");
    let sample = site.join("samples/a01.hl7");
    let data = folder.path().join("data");
    let [at, from, to] = [
        format!("127.0.0.1:{admin}"),
        format!("mllp://127.0.0.1:{from}"),
        format!("mllp://127.0.0.1:{to}"),
    ];

    let receiver = Running::start(&["receive", &to, "--count", "6"]);
    let mut node = Running::start(&["run", text(&site), "--data", text(&data)]);
    assert!(node.line().contains("ready"));

    let (out, _) = ends(&["send", &from, text(&sample)], 0);
    assert!(out.contains("R00001  AA"), "{out}");
    let report = json(&[
        "send",
        &from,
        "--count",
        "5",
        "--connections",
        "2",
        "--json",
    ]);
    assert_eq!(report["acknowledged"], 5, "{report}");
    let letter = folder.file("letter.txt", "This is a letter.").unwrap();
    ends(&["send", &from, text(&letter)], 1);

    let received = receiver.end();
    assert!(received.contains("ADT^A01^ADT_A01  R00001"), "{received}");
    assert!(received.contains("6 received"), "{received}");
    assert!(!received.contains("Doe"), "content stays masked");

    until("all is delivered", || {
        let status = json(&["status", "--at", &at, "--json"]);
        status["channels"][0]["destinations"][0]["delivered"] == 6
    })
    .await;
    let found = json(&["messages", "--at", &at, "--control-id", "R00001", "--json"]);
    assert_eq!(found["disposition"], "accepted");
    let id = found["message"].as_str().unwrap();
    let (trace, _) = ends(&["trace", id, "--at", &at], 0);
    assert!(trace.contains("→ receiver  delivered"), "{trace}");
    assert!(!trace.contains("Doe"), "content stays masked");
    let (trace, _) = ends(&["trace", id, "--at", &at, "--reveal"], 0);
    assert!(trace.contains("Doe^Jane"), "{trace}");

    operated(&at, id);

    node.terminate();
    node.end();
    let (_, error) = ends(&["status", "--at", &at], 4);
    assert!(error.contains("no hilum answers at"), "{error}");

    ends(&["verify", text(&data)], 0);
    let copy = folder.path().join("copy");
    ends(&["backup", text(&data), "--to", text(&copy)], 0);
    ends(&["verify", text(&copy)], 0);
    ends(&["verify", text(&site)], 3);
}

/// Holds, resumes, repeats and reloads.
fn operated(at: &str, id: &str) {
    let reason = ["--reason", "maintenance"];
    ends(
        &[&["hold", "relay", "receiver", "--at", at], &reason[..]].concat(),
        0,
    );
    let (status, _) = ends(&["status", "--at", at], 0);
    assert!(status.contains("paused"), "{status}");
    let again = json(&["replay", id, "--to", "receiver", "--at", at, "--json"]);
    assert_eq!(again["disposition"], "accepted", "{again}");
    let status = json(&["status", "--at", at, "--json"]);
    assert_eq!(status["channels"][0]["destinations"][0]["waiting"], 1);
    ends(&["resume", "relay", "receiver", "--at", at], 0);
    let (_, error) = ends(
        &[&["hold", "relay", "nobody", "--at", at], &reason[..]].concat(),
        3,
    );
    assert!(error.contains("nobody"), "{error}");
    ends(&["reload", "--at", at], 0);
    ends(&["holds", "--at", at], 0);
    ends(&["dead-letters", "relay", "receiver", "--at", at], 0);
}
