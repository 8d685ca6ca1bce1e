//! The simulated peers: how `receive` misbehaves on request, and TLS on both sides.

use std::process::Stdio;

use hilum_testkit::certificates::Authority;
use hilum_testkit::ports::free_port;
use hilum_testkit::site::SiteFolder;
use hilum_testkit::wait::until;

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
        "20s",
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

#[tokio::test]
async fn each_way_of_answering_is_seen_by_the_sender() {
    let folder = SiteFolder::new().unwrap();
    let sample = "MSH|^~\\&|A|B|C|D|20260101||ADT^A01|X1|P|2.5\rPID|1||1||Doe^Jane\r";
    let file = folder.file("a.hl7", sample).unwrap();
    for (answer, code, seen) in [
        ("aa", 0, "AA"),
        ("ae", 1, "AE"),
        ("ar", 1, "AR"),
        ("wrong-id", 1, "for another control id"),
        ("nothing", 1, "no answer in time"),
        ("close", 1, "no answer: "),
        ("reset", 1, "no answer: "),
    ] {
        let at = place("mllp");
        let receiver = Running::start(&["receive", &at, "--answer", answer, "--json"]);
        let patience = if answer == "nothing" { "300ms" } else { "20s" };
        let send = [
            "send",
            &at,
            text(&file),
            "--json",
            "--answer-within",
            patience,
        ];
        let (ended, out) = sent(&send).await;
        assert!(
            out.contains(seen) && !out.contains("Doe"),
            "{answer}: {out}"
        );
        assert_eq!(ended, code, "{answer}: {out}");
        receiver.terminate();
        let received = receiver.end();
        let lines: Vec<serde_json::Value> = received
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines[0]["control-id"], "X1", "{received}");
        assert_eq!(lines[0]["accepted"], code == 0, "{answer}: {received}");
        assert!(lines[0]["content"].is_null(), "{received}");
        assert_eq!(lines.last().unwrap()["messages"], 1, "{received}");
    }
}

#[tokio::test]
async fn load_is_paced_counted_and_measured_and_every_third_is_rejected() {
    let at = place("mllp");
    let options = ["--ar-every", "3", "--count", "31", "--reveal"];
    let receiver = Running::start(&[&["receive", at.as_str()], &options[..]].concat());
    let (_, first) = sent(&["send", &at, "--count", "1", "--reveal"]).await;
    assert!(first.contains("1 AA"), "{first}");
    let load = [
        "--count",
        "30",
        "--connections",
        "3",
        "--rate",
        "60",
        "--json",
    ];
    let (out, told) = ends(&[&["send", at.as_str()], &load[..]].concat(), 1);
    assert!(told.is_empty(), "no progress away from a terminal: {told}");
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        report["answers"],
        serde_json::json!({ "AA": 20, "AR": 10 }),
        "{report}"
    );
    assert_eq!(
        (&report["acknowledged"], &report["failed"]),
        (&20.into(), &10.into())
    );
    assert!(report["seconds"].as_f64().unwrap() >= 0.4, "{report}");
    let ms = |name: &str| report["ms"][name].as_f64().unwrap();
    assert!(ms("p50") > 0.0, "{report}");
    for (less, more) in [
        ("p50", "p90"),
        ("p90", "p99"),
        ("p99", "p99.9"),
        ("p99.9", "max"),
    ] {
        assert!(ms(less) <= ms(more), "{report}");
    }
    let received = receiver.end();
    assert!(
        received.contains("MSH|"),
        "--reveal shows content: {received}"
    );
    assert!(
        received.contains("31 received over 4 connections, 21 taken"),
        "{received}"
    );

    let (_, told) = ends(&["send", &at, "--count", "1"], 3);
    assert!(
        told.contains("cannot connect to") && told.contains("hilum receive"),
        "{told}"
    );
    for wrong in [
        &["send", "127.0.0.1:1", "x"][..],
        &["send", &at],
        &["send", &at, "x", "--rate", "5"],
        &["send", &at, "--count", "1", "--rate", "0"],
        &["receive", "nowhere"],
        &["receive", &at, "--down-after", "2"],
    ] {
        ends(wrong, 2);
    }
}
