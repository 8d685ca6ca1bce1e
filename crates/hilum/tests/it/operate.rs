//! What an operator does by the command line: tail, hold, resume, requeue, withdraw.

use hilum_testkit::wait::until;

use crate::kit::{Relay, Running, json, json_lines};
use crate::{ends, text};

const REASON: [&str; 2] = ["--reason", "called the laboratory"];

/// Sends one message to a receiver that says no; gives the delivery that is now a dead letter.
async fn dead_letter(relay: &Relay) -> String {
    let receiver = Running::start(&["receive", &relay.to, "--answer", "ar", "--count", "1"]);
    ends(&["send", &relay.from, "--count", "1"], 0);
    receiver.end();
    let at = ["--at", relay.at.as_str(), "--json"];
    let asked = [&["dead-letters", "relay", "receiver"], &at[..]].concat();
    let mut found = String::new();
    until("there is a dead letter", || {
        let (out, _) = ends(&asked, 0);
        let row: Option<serde_json::Value> = out
            .lines()
            .last()
            .and_then(|line| serde_json::from_str(line).ok());
        found = row
            .and_then(|row| row["delivery"].as_str().map(str::to_owned))
            .unwrap_or_default();
        !found.is_empty()
    })
    .await;
    found
}

#[tokio::test]
async fn dead_letters_are_sent_again_or_given_up() {
    let relay = Relay::new();
    let node = relay.run();
    let at = ["--at", relay.at.as_str()];

    let first = dead_letter(&relay).await;
    let receiver = Running::start(&["receive", &relay.to, "--count", "1"]);
    ends(
        &[&["requeue", first.as_str()], &REASON[..], &at[..]].concat(),
        0,
    );
    assert!(receiver.end().contains("1 taken"));
    until("it is delivered", || relay.destination()["delivered"] == 1).await;
    let (_, told) = ends(
        &[&["requeue", first.as_str()], &REASON[..], &at[..]].concat(),
        3,
    );
    assert!(told.contains("error"), "{told}");

    let second = dead_letter(&relay).await;
    ends(
        &[&["withdraw", second.as_str()], &REASON[..], &at[..]].concat(),
        0,
    );
    let message = second.split('.').next().unwrap();
    let trace = json(&[&["trace", message, "--json"], &at[..]].concat());
    assert_eq!(trace["deliveries"][0]["state"], "withdrawn", "{trace}");
    node.terminate();
    node.end();
}

#[tokio::test]
async fn a_held_destination_gets_nothing_until_it_is_resumed_and_a_trace_shows_the_steps() {
    let relay = Relay::new();
    let node = relay.run();
    let at = ["--at", relay.at.as_str()];
    let destination = ["relay", "receiver"];
    ends(
        &[&["hold"], &destination[..], &REASON[..], &at[..]].concat(),
        0,
    );
    let mut tail = Running::start(&[&["tail", "--json"], &at[..]].concat());
    let receiver = Running::start(&["receive", &relay.to, "--count", "1"]);
    // The tail shows what comes after it has begun, which it does not say.
    let mut line = String::new();
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| line = tail.line());
        while !reading.is_finished() {
            ends(&["send", &relay.from, "--count", "1"], 0);
        }
    });
    let seen: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(seen["channel"], "relay", "{line}");
    tail.terminate();
    assert_eq!(relay.destination()["state"], "paused");
    assert_eq!(relay.destination()["delivered"], 0);

    ends(&[&["resume"], &destination[..], &at[..]].concat(), 0);
    // Several patients go side by side, so that more than the first may have come.
    let received = receiver.end();
    assert!(!received.contains(" 0 taken"), "{received}");

    ends(&["send", &relay.from, text(&relay.sample())], 0);
    let found = json(&[&["messages", "--control-id", "R00001", "--json"], &at[..]].concat());
    let id = found["message"].as_str().unwrap();
    let (trace, _) = ends(&[&["trace", id], &at[..]].concat(), 0);
    assert!(trace.contains("set") && trace.contains("MSH-6"), "{trace}");
    assert!(!trace.contains("NORTH"), "values stay masked: {trace}");
    let (trace, _) = ends(&[&["trace", id, "--reveal"], &at[..]].concat(), 0);
    assert!(trace.contains("NORTH"), "{trace}");
    node.terminate();
    node.end();
}

#[tokio::test]
async fn what_conditions_find_is_listed_first_and_repeated_on_demand() {
    let relay = Relay::new();
    let receiver = Running::start(&["receive", &relay.to, "--count", "6", "--json"]);
    let node = relay.run();
    let at = ["--at", relay.at.as_str()];
    ends(&["send", &relay.from, "--count", "3"], 0);
    until("all is delivered", || relay.destination()["delivered"] == 3).await;
    let which = [
        "replay",
        "--channel",
        "relay",
        "--since",
        "1h",
        "--to",
        "receiver",
    ];

    let (listed, told) = ends(&[&which[..], &at[..]].concat(), 0);
    assert_eq!(listed.lines().count(), 3, "{listed}");
    assert!(
        told.contains("3 would be processed again: add --yes"),
        "{told}"
    );
    assert_eq!(relay.destination()["delivered"], 3, "nothing was sent");

    let again = json_lines(&[&which[..], &at[..], &["--yes", "--json"]].concat());
    assert_eq!(again.len(), 3, "{again:?}");
    until("all is delivered again", || {
        relay.destination()["delivered"] == 6
    })
    .await;
    let received = receiver.end();
    let lines = received
        .lines()
        .map(serde_json::from_str::<serde_json::Value>);
    let ids: Vec<String> = lines
        .map(|line| line.unwrap()["control-id"].to_string())
        .take(6)
        .collect();
    let (first, second) = ids.split_at(3);
    let sorted = |ids: &[String]| {
        let mut ids = ids.to_vec();
        ids.sort();
        ids
    };
    assert_eq!(sorted(first), sorted(second));
    // Repetitions are not repeated once more.
    let (listed, _) = ends(&[&which[..], &at[..]].concat(), 0);
    assert_eq!(listed.lines().count(), 3, "{listed}");
    let (none, _) = ends(
        &[&["replay", "--channel", "nobody", "--yes"], &at[..]].concat(),
        0,
    );
    assert!(none.is_empty(), "{none}");
    node.terminate();
    node.end();
}
