//! What is done with a data folder, with and without a node on it: `db`, `compare`, `backup`,
//! `verify`.

use hilum_testkit::wait::until;

use crate::kit::{Relay, Running, json, json_lines};
use crate::{ends, text};

/// A relay that has passed on one message, stopped again.
async fn after_a_message() -> Relay {
    let relay = Relay::new();
    let receiver = Running::start(&["receive", &relay.to, "--count", "1"]);
    let node = relay.run();
    ends(&["send", &relay.from, text(&relay.sample())], 0);
    receiver.end();
    until("it is delivered", || relay.destination()["delivered"] == 1).await;
    node.terminate();
    node.end();
    relay
}

#[tokio::test]
async fn files_are_listed_asked_and_indexed_anew_without_showing_content() {
    let relay = after_a_message().await;
    let data = text(&relay.data);

    let files = json_lines(&["db", "list", data, "--json"]);
    assert_eq!(files[0]["file"], "control");
    let partition = files.last().unwrap();
    assert_eq!(partition["rows"]["messages"], 1, "{partition}");
    let name = partition["file"].as_str().unwrap();
    let (list, _) = ends(&["db", "list", data], 0);
    assert!(list.contains(name), "{list}");

    let sql = "SELECT channel, type, control_id, disposition FROM messages";
    let row = json(&["db", "sql", data, sql, "--json"]);
    assert_eq!(row["channel"], "relay");
    assert_eq!(row["control_id"], "R00001");
    let (out, told) = ends(
        &[
            "db",
            "sql",
            data,
            "SELECT metadata, answer, body FROM message",
        ],
        0,
    );
    assert!(
        !out.contains("R00001") && told.contains("message.metadata"),
        "{out}{told}"
    );
    let metadata = "SELECT metadata FROM message";
    let shown = json(&["db", "sql", data, metadata, "--reveal", "--json"]);
    assert!(shown["metadata"].is_string(), "{shown}");
    for refused in [
        "DELETE FROM message",
        "PRAGMA journal_mode = DELETE",
        "ATTACH 'x' AS y",
    ] {
        let (_, told) = ends(&["db", "sql", data, refused], 3);
        assert!(told.contains("only reading"), "{refused}: {told}");
    }
    let (_, told) = ends(&["db", "sql", data, sql, "--file", "journal-19700101-0"], 3);
    assert!(told.contains(name), "{told}");

    let (done, _) = ends(&["db", "reindex", data, name], 0);
    assert!(done.contains("indexed anew"), "{done}");
    ends(&["db", "reindex", data, "journal-19700101-0"], 3);
    ends(&["db", "checkpoint", data], 0);

    let found = json(&["db", "export", data]);
    assert_eq!(found["control-id"], "R00001");
    assert!(found["content"].is_null(), "{found}");
    let found = json(&["db", "export", data, "--reveal", "--channel", "relay"]);
    assert!(
        found["content"].as_str().unwrap().contains("Doe^Jane"),
        "{found}"
    );
}

#[tokio::test]
async fn two_plans_are_compared_over_the_messages_of_a_day() {
    let relay = after_a_message().await;
    let (site, data) = (text(&relay.site), text(&relay.data));
    let other = relay.folder.path().join("other");
    crate::kit::copy(&relay.site, &relay.folder, "other", &[]);
    let on = ["--on", "relay,today", "--data", data];

    let same = [&["compare", "--plan", site, "--plan", site][..], &on[..]].concat();
    let (out, _) = ends(&same, 0);
    assert!(out.contains("0 of 1 messages differ"), "{out}");

    let channel = other.join("channels/relay.yaml");
    let text_of = std::fs::read_to_string(&channel).unwrap();
    let changed = text_of.replace("MSH-6: PV1-3.4", "MSH-6: \"'ELSEWHERE'\"");
    assert_ne!(text_of, changed);
    std::fs::write(&channel, changed).unwrap();
    let differ = [
        &["compare", "--plan", site, "--plan", text(&other)][..],
        &on[..],
    ]
    .concat();
    let (out, _) = ends(&differ, 1);
    assert!(out.contains("receiver MSH-6"), "{out}");
    assert!(out.contains("(5 characters) → (9 characters)"), "{out}");
    assert!(!out.contains("NORTH"), "content stays masked: {out}");
    let (out, _) = ends(&[&differ[..], &["--reveal", "--json"]].concat(), 1);
    let found: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(found["differing"], 1, "{found}");
    let group = &found["groups"][0];
    assert_eq!(group["kind"], "field-changed", "{found}");
    assert_eq!(group["example"]["a"], "NORTH");
    assert_eq!(group["example"]["b"], "ELSEWHERE");
    assert!(
        group["cause"]["a"].as_str().unwrap().contains("set"),
        "{found}"
    );

    std::fs::write(
        &channel,
        text_of.replace("PV1-3.1.exists()", "PV1-3.1 = 'NOWHERE'"),
    )
    .unwrap();
    let (out, _) = ends(&differ, 1);
    assert!(out.contains("accepted → filtered"), "{out}");
    assert!(out.contains("destination vanished  receiver"), "{out}");

    // The plan of then is kept beside the messages.
    let row = json(&["db", "sql", data, "SELECT plan FROM messages", "--json"]);
    let digest = row["plan"].as_str().unwrap();
    let kept = [&["compare", "--plan", digest, "--plan", site][..], &on[..]].concat();
    ends(&kept, 0);
    ends(
        &[
            &["compare", "--plan", "ffffffffff", "--plan", site][..],
            &on[..],
        ]
        .concat(),
        3,
    );
}

#[tokio::test]
async fn a_running_node_is_backed_up_and_verified_and_the_copy_opens_alone() {
    let relay = Relay::new();
    let node = relay.run();
    ends(&["send", &relay.from, text(&relay.sample())], 0);
    let (data, copy) = (text(&relay.data), relay.folder.path().join("copy"));

    let (files, _) = ends(&["backup", data, "--to", text(&copy), "--at", &relay.at], 0);
    assert!(
        files.contains("control.db") && files.contains("plans"),
        "{files}"
    );
    let (_, told) = ends(&["backup", "--to", text(&copy), "--at", &relay.at], 3);
    assert!(told.contains("not empty"), "{told}");
    let (_, told) = ends(&["verify", "--at", &relay.at], 0);
    assert!(told.contains("as it was written"), "{told}");
    ends(&["verify", data, "--at", &relay.at], 0);
    for offline in [&["db", "checkpoint", data][..], &["db", "reindex", data]] {
        let (_, told) = ends(offline, 3);
        assert!(told.contains("another hilum runs"), "{told}");
    }
    // Looking is allowed beside a node.
    ends(&["db", "list", data], 0);
    let found = json(&["db", "export", "--at", &relay.at]);
    assert_eq!(found["control-id"], "R00001");

    node.terminate();
    node.end();
    ends(&["verify", text(&copy)], 0);
    let found = json(&["db", "export", text(&copy), "--reveal"]);
    assert!(
        found["content"].as_str().unwrap().contains("Doe^Jane"),
        "{found}"
    );
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_and_everybody_who_asks_is_told() {
    let relay = after_a_message().await;
    let (site, data) = (text(&relay.site), text(&relay.data));
    let files = json_lines(&["db", "list", data, "--json"]);
    let name = files.last().unwrap()["file"].as_str().unwrap().to_owned();
    let path = relay.data.join(format!("{name}.db"));
    let backup = relay.folder.path().join("backup");
    ends(&["backup", data, "--to", text(&backup)], 0);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.iter_mut().take(2_000).for_each(|byte| *byte ^= 0x5a);
    std::fs::write(&path, bytes).unwrap();

    let (told, _) = ends(&["doctor", site, "--data", data], 2);
    assert!(told.contains(&name), "{told}");
    // It starts all the same, and takes messages.
    let receiver = Running::start(&["receive", &relay.to, "--count", "1"]);
    let node = relay.run();
    ends(&["send", &relay.from, "--count", "1"], 0);
    receiver.end();
    let (found, _) = ends(&["verify", "--at", &relay.at], 1);
    let aside = format!("{name}.db.damaged-1");
    assert!(found.contains(&aside), "{found}");
    let (told, _) = ends(&["doctor", site, "--data", data], 2);
    assert!(
        told.contains(&aside) && told.contains("damaged-file.md"),
        "{told}"
    );
    node.terminate();
    node.end();

    // The backup from before has the message, and gives it out.
    let found = json(&["db", "export", text(&backup), "--reveal"]);
    assert_eq!(found["control-id"], "R00001");
}
