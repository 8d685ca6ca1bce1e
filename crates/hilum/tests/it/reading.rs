//! Commands that only read: what they print for machines, what they never print, how they end, and
//! what changes on a terminal.

use std::collections::BTreeSet;
use std::process::Command;

use hilum_testkit::wait::until;
use serde_json::Value;

use crate::kit::{Relay, Running, json};
use crate::{ends, examples, hilum, text};

/// A node with one delivered message and one dead letter of the same patient's sample.
struct Ward {
    relay: Relay,
    _node: Running,
    message: String,
}

impl Ward {
    async fn new() -> Self {
        let relay = Relay::new();
        let node = relay.run();
        for (answer, figure) in [("aa", "delivered"), ("ar", "dead")] {
            let options = ["--answer", answer, "--count", "1"];
            let receiver =
                Running::start(&[&["receive", relay.to.as_str()], &options[..]].concat());
            ends(
                &["send", &relay.from, text(&relay.sample()), "--count", "1"],
                0,
            );
            receiver.end();
            until(figure, || relay.destination()[figure] == 1).await;
        }
        let found = [
            "messages",
            "--delivery",
            "delivered",
            "--json",
            "--at",
            &relay.at,
        ];
        let message = json(&found)["message"].as_str().unwrap().to_owned();
        Self {
            relay,
            _node: node,
            message,
        }
    }
}

/// The keys of an object, as they are named in these tests.
fn keys(value: &Value) -> BTreeSet<&str> {
    let object = value
        .as_object()
        .unwrap_or_else(|| panic!("no object: {value}"));
    object.keys().map(String::as_str).collect()
}

/// Runs a command as text and for machines. Checks how it ends, the keys of the first value, and
/// that neither form shows content or colours.
fn check(arguments: &[&str], code: i32, expected: &[&str]) -> Value {
    let (out, told) = ends(arguments, code);
    let (lines, noted) = ends(&[arguments, &["--json"]].concat(), code);
    for printed in [&out, &told, &lines, &noted] {
        for content in ["Doe", "Jane", "19800102", "\u{1b}"] {
            assert!(!printed.contains(content), "{arguments:?}: {printed}");
        }
    }
    let read = |line| {
        serde_json::from_str::<Value>(line)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {line}"))
    };
    let values: Vec<Value> = lines.lines().map(read).collect();
    let first = values.into_iter().next().unwrap_or(Value::Null);
    if !expected.is_empty() {
        assert_eq!(
            keys(&first),
            expected.iter().copied().collect(),
            "{arguments:?}"
        );
    }
    first
}

/// The keys of a message wherever one is shown.
const MESSAGE: [&str; 17] = [
    "message",
    "sequence",
    "channel",
    "arrived-ms",
    "committed-ms",
    "disposition",
    "reason",
    "type",
    "control-id",
    "plan",
    "peer",
    "bytes",
    "parent",
    "part",
    "from",
    "findings",
    "held-until-ms",
];

/// Conditions under which the two messages are found, and under which none is.
const FINDS: [[&str; 2]; 8] = [
    ["--channel", "relay"],
    ["--since", "1h"],
    ["--disposition", "accepted"],
    ["--delivery", "dead-letter"],
    ["--type", "ADT^A01"],
    ["--patient", "100042"],
    ["--field", "ward=W3"],
    ["--limit", "1"],
];
const FINDS_NOTHING: [[&str; 2]; 11] = [
    ["--channel", "nobody"],
    ["--until", "1h"],
    ["--since", "2099-01-01"],
    ["--disposition", "refused"],
    ["--delivery", "pending"],
    ["--control-id", "R0"],
    ["--type", "ORU^R01"],
    ["--patient", "9"],
    ["--finding", "unmapped"],
    ["--field", "ward=W4"],
    ["--before", "1"],
];

/// What is not there, and words that are none.
fn refused(at: &[&str], id: &str) {
    for (wrong, code) in [
        (&["trace", "01KB2N8WZ6Q3V7T5R9XKDM4HPE"][..], 3),
        (&["trace", "7"], 3),
        (&["release", id, "--reason", "x"], 3),
        (&["reject", id, "--reason", "x"], 3),
        (&["requeue", "7", "--reason", "x"], 3),
        (&["replay", id, "--to", "nobody"], 3),
        (&["hold", "relay", "receiver"], 2),
        (&["messages", "--delivery", "lost"], 2),
        (&["messages", "--since", "yesterday"], 2),
        (&["replay"], 3),
    ] {
        let (out, told) = ends(&[wrong, at].concat(), code);
        assert!(
            out.is_empty() && told.starts_with("error: "),
            "{wrong:?}: {out}{told}"
        );
    }
}

#[tokio::test]
async fn commands_that_ask_a_node_keep_their_shape_and_mask_content() {
    let ward = Ward::new().await;
    let (at, id) = (["--at", ward.relay.at.as_str()], ward.message.as_str());
    let ask = |arguments: &[&str], code, expected: &[&str]| {
        check(&[arguments, &at[..]].concat(), code, expected)
    };
    let status = ask(
        &["status"],
        0,
        &[
            "site",
            "plan",
            "in-flight",
            "disk-full",
            "disk-free",
            "held-messages",
            "held-since-ms",
            "critical-open",
            "critical-late",
            "clocks-off",
            "channels",
        ],
    );
    let destination = &status["channels"][0]["destinations"][0];
    for key in [
        "name",
        "address",
        "state",
        "waiting",
        "delivered",
        "dead",
        "trouble",
    ] {
        assert!(destination.get(key).is_some(), "{key} in {destination}");
    }
    ask(&["messages"], 0, &MESSAGE);
    for filter in FINDS {
        ask(&[&["messages"], &filter[..]].concat(), 0, &MESSAGE);
    }
    for filter in FINDS_NOTHING {
        let none = ask(&[&["messages"], &filter[..]].concat(), 0, &[]);
        assert_eq!(none, Value::Null, "{filter:?}");
    }
    let trace = ask(
        &["trace", id],
        0,
        &[
            "rows",
            "deliveries",
            "related",
            "related-truncated",
            "steps",
        ],
    );
    assert_eq!(keys(&trace["rows"][0]).len(), MESSAGE.len());
    // An attempt before the receiver listened may have failed.
    let attempts = trace["deliveries"][0]["attempts"].as_array().unwrap();
    assert_eq!(attempts.last().unwrap()["outcome"], "delivered");
    let dead = ask(
        &["dead-letters", "relay", "receiver"],
        0,
        &[
            "delivery",
            "channel",
            "destination",
            "state",
            "reason",
            "bytes",
            "priority",
        ],
    );
    assert_eq!(dead["state"], "dead-letter");
    ask(&["holds"], 0, &[]);
    let verified = ask(&["verify"], 0, &[]);
    assert_eq!(verified, Value::Null, "nothing is wrong");
    ask(&["db", "export"], 0, &[]);
    check(&["db", "list", text(&ward.relay.data)], 0, &[]);

    refused(&at, id);
}

#[test]
fn commands_that_ask_say_when_nobody_answers() {
    let port = hilum_testkit::ports::free_port().unwrap();
    let at = format!("127.0.0.1:{port}");
    for asks in [
        &["status"][..],
        &["messages"],
        &["tail"],
        &["trace", "01KB2N8WZ6Q3V7T5R9XKDM4HPE"],
        &["replay", "01KB2N8WZ6Q3V7T5R9XKDM4HPE"],
        &["hold", "a", "b", "--reason", "x"],
        &["resume", "a", "b"],
        &["dead-letters", "a", "b"],
        &["requeue", "x", "--reason", "x"],
        &["withdraw", "x", "--reason", "x"],
        &["holds"],
        &["release", "x", "--reason", "x"],
        &["reject", "x", "--reason", "x"],
        &["reload"],
        &["verify"],
        &["backup", "--to", "/nowhere"],
        &["db", "export"],
    ] {
        let (_, told) = ends(&[asks, &["--at", &at]].concat(), 4);
        assert!(told.contains("no hilum answers at"), "{asks:?}: {told}");
    }
}

#[test]
fn commands_on_a_folder_keep_their_shape() {
    let site = examples().join("st-elsewhere");
    let site = text(&site);
    check(
        &["check", site, "--no-secrets"],
        0,
        &["plan", "files", "diagnostics"],
    );
    let run = check(
        &["test", site],
        0,
        &["diagnostics", "files", "results", "coverage"],
    );
    assert_eq!(
        keys(&run["results"][0]),
        BTreeSet::from(["file", "line", "channel", "name", "outcome", "differences"])
    );
    let table = &run["coverage"]["tables"]["tables/local-to-loinc.csv"];
    assert_eq!(
        (&table["rows"], &table["used"]),
        (&serde_json::json!([2, 3, 4]), &serde_json::json!([2]))
    );
    check(
        &["impact", "lis", site],
        0,
        &["system", "owners", "channels"],
    );
    let sample = examples().join("relay/samples/a01.hl7");
    let seen = check(&["inspect", text(&sample)], 0, &["status", "messages"]);
    assert_eq!(
        keys(&seen["messages"][0]),
        BTreeSet::from(["control_id", "type", "version", "segments", "warnings"])
    );
    let about = check(
        &["explain", "E0107"],
        0,
        &["code", "title", "text", "wrong", "right"],
    );
    assert_eq!(about["code"], "E0107");
    let kinds = check(
        &["schema"],
        0,
        &["site", "system", "channel", "test", "alerts", "environment"],
    );
    assert!(kinds["channel"]["properties"]["steps"].is_object());
    let (shown, _) = ends(&["test", site, "--coverage"], 0);
    for part in [
        "lab-results: 4 of 4 steps and destinations reached by 5 messages",
        "tables/local-to-loinc.csv: 1 of 3 rows reached; not reached: 3, 4",
    ] {
        assert!(shown.contains(part), "{shown}");
    }
}

/// What a command prints on a terminal; none where there is no `script` to make one.
fn on_a_terminal(command: &Command, more: &[(&str, &str)]) -> Option<String> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<String> = words
        .map(|word| format!("'{}'", word.to_str().unwrap()))
        .collect();
    let mut script = Command::new("script");
    script
        .args(["-qec", &words.join(" "), "/dev/null"])
        .env_remove("NO_COLOR");
    let out = script.envs(more.iter().copied()).output().ok()?;
    Some(String::from_utf8(out.stdout).unwrap())
}

#[test]
fn colours_show_on_a_terminal_unless_no_color_is_set() {
    let site = examples().join("relay");
    let command = hilum(&["test", text(&site)]);
    let Some(coloured) = on_a_terminal(&command, &[]) else {
        println!("not run: colours (no `script` here)");
        return;
    };
    assert!(coloured.contains("\u{1b}[32mok"), "{coloured}");
    let plain = on_a_terminal(&command, &[("NO_COLOR", "1")]).unwrap();
    assert!(
        plain.contains("ok     relay") && !plain.contains('\u{1b}'),
        "{plain}"
    );
}

#[tokio::test]
async fn load_shows_progress_on_a_terminal_only() {
    let relay = Relay::new();
    let receiver = Running::start(&["receive", &relay.to, "--count", "41"]);
    let load = [
        "send",
        relay.to.as_str(),
        "--count",
        "20",
        "--rate",
        "40",
        "--connections",
        "2",
    ];
    until("the receiver listens", || {
        hilum(&["send", &relay.to, "--count", "1"])
            .output()
            .unwrap()
            .status
            .success()
    })
    .await;
    let (out, told) = ends(&load, 0);
    assert!(out.contains("20 sent in") && told.is_empty(), "{out}{told}");
    match on_a_terminal(&hilum(&load), &[("NO_COLOR", "1")]) {
        Some(shown) => {
            assert!(shown.contains("of 20 sent,"), "{shown}");
            receiver.end();
        }
        None => println!("not run: progress (no `script` here)"),
    }
}
