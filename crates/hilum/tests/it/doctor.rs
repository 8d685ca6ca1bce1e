//! `hilum doctor`, for sites that are well and sites that are not.

use std::net::TcpListener;

use hilum_testkit::certificates::Authority;
use serde_json::Value;

use crate::kit::{Relay, Running};
use crate::{ends, text};

fn doctor(relay: &Relay, more: &[&str], code: i32) -> Vec<Value> {
    let (site, data) = (text(&relay.site), text(&relay.data));
    let all = [&["doctor", site, "--data", data, "--json"], more].concat();
    let (out, _) = ends(&all, code);
    let lines = out.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

fn of<'l>(lines: &'l [Value], check: &str, word: &str) -> &'l Value {
    let found = lines.iter().find(|line| {
        line["check"] == check
            && line["text"]
                .as_str()
                .is_some_and(|text| text.contains(word))
    });
    found.unwrap_or_else(|| panic!("no line about {check} with {word}: {lines:#?}"))
}

#[tokio::test]
async fn a_node_that_is_well_is_told_so_and_a_peer_that_is_away_is_named() {
    let relay = Relay::new();
    let node = relay.run();
    let lines = doctor(&relay, &["--connect"], 2);
    for (check, word) in [
        ("site", "no problem"),
        ("index", "behind"),
        ("node", "answers at"),
        ("listener", "relay: 127.0.0.1"),
        ("open files", "process"),
    ] {
        assert_eq!(of(&lines, check, word)["level"], "ok", "{check}");
    }
    // How fast the disk of this machine is under the load of now is not the test's to say.
    of(&lines, "sync", "p99");
    let away = of(&lines, "destination", "relay/receiver");
    assert_eq!(away["level"], "fail");
    assert!(away["remedy"].is_string(), "{away}");

    let receiver = Running::start(&["receive", &relay.to]);
    hilum_testkit::wait::until("the receiver is there", || {
        let lines = doctor_any(&relay);
        lines.contains("is reached")
    })
    .await;
    receiver.terminate();
    receiver.end();
    node.terminate();
    node.end();
}

fn doctor_any(relay: &Relay) -> String {
    let (site, data) = (text(&relay.site), text(&relay.data));
    let all = ["doctor", site, "--data", data, "--connect"];
    let out = crate::hilum(&all).output().unwrap();
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn a_port_that_another_program_holds_and_a_bad_file_are_told_with_a_remedy() {
    let relay = Relay::new();
    let port = relay.from.rsplit(':').next().unwrap();
    let held = TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    let lines = doctor(&relay, &[], 2);
    let listener = of(&lines, "listener", "held by");
    let own = std::process::id().to_string();
    assert!(
        listener["text"].as_str().unwrap().contains(&own),
        "{listener}"
    );
    assert_eq!(of(&lines, "data", "there is no folder")["level"], "fail");
    drop(held);

    relay
        .folder
        .file("site/channels/relay.yaml", "channel: relay\n")
        .unwrap();
    let lines = doctor(&relay, &[], 2);
    assert_eq!(of(&lines, "site", "error[")["level"], "fail");
}

#[test]
fn certificates_are_told_with_their_last_day() {
    let relay = Relay::new();
    let authority = Authority::new(relay.folder.path(), "hospital").unwrap();
    let system = format!(
        "system: receiver\nabout: x\nidentifiers: [{{ authority: STE, type: MR }}]\naddresses:\n  mllp: {}\nsettings:\n  mllp:\n    tls: {{ ca: {} }}\n",
        relay.to.trim_start_matches("mllp://"),
        authority.ca.display()
    );
    relay
        .folder
        .file("site/systems/receiver.yaml", system)
        .unwrap();
    let (site, _) = (text(&relay.site), ());
    let (out, _) = ends(&["doctor", site, "--json"], 1);
    assert!(out.contains("is good until"), "{out}");
}
