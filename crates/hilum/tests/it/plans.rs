//! Plans that are kept, and queues that a new plan has to name.

use hilum_testkit::wait::until;
use serde_json::Value;

use crate::kit::{Relay, Running, json};
use crate::{ends, text};

/// The value that the management API gives for a path.
fn get(at: &str, path: &str) -> Value {
    let answer = crate::kit::get(at, path);
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

impl Relay {
    fn change(&self, from: &str, to: &str) {
        let channel = self.site.join("channels/relay.yaml");
        let old = std::fs::read_to_string(&channel).unwrap();
        assert!(old.contains(from), "{old}");
        std::fs::write(&channel, old.replace(from, to)).unwrap();
    }

    /// Sends the sample; gives the message's id.
    fn sent(&self) -> String {
        ends(&["send", &self.from, text(&self.sample())], 0);
        let found = [
            "messages",
            "--at",
            &self.at,
            "--control-id",
            "R00001",
            "--json",
        ];
        json(&found)["message"].as_str().unwrap().to_owned()
    }
}

#[test]
fn the_plan_of_then_repeats_a_message_and_shows_its_steps() {
    let relay = Relay::new();
    let _node = relay.run();
    let at = &relay.at;
    let id = &relay.sent();
    relay.change("MSH-6: PV1-3.4", "MSH-6: PV1-3.1");
    ends(&["reload", "--at", at], 0);
    let plans = std::fs::read_dir(relay.data.join("plans")).unwrap();
    let kept = plans.filter(|entry| entry.as_ref().unwrap().path().extension().is_some());
    assert_eq!(kept.count(), 2, "the plan of then and the one of now");

    let path = format!("/api/v1/messages/{id}/steps");
    let change = |steps: &Value| steps["steps"][1]["changes"][0].clone();
    let masked = get(at, &path);
    assert_eq!(masked["same-plan"], true, "{masked}");
    assert_eq!(change(&masked)["after"], "(5)", "{masked}");
    let then = get(at, &format!("{path}/content?plan=old"));
    assert_eq!(change(&then)["after"], "NORTH", "{then}");
    let now = get(at, &format!("{path}/content?plan=current"));
    assert_eq!(change(&now)["after"], "W3", "{now}");
    assert_eq!(now["same-plan"], false, "{now}");

    for (plan, used) in [("old", &then), ("current", &now)] {
        let again = json(&["replay", id, "--plan", plan, "--at", at, "--json"]);
        assert_eq!(again["plan"], used["used-plan"], "{again}");
    }
    let (_, error) = ends(&["replay", id, "--plan", "0123456789ab", "--at", at], 3);
    assert!(error.contains("kept plan 0123456789ab"), "{error}");
}

#[tokio::test]
async fn a_watched_folder_is_loaded_again_when_it_changes_and_only_if_it_is_good() {
    let relay = Relay::new();
    let (site, data) = (text(&relay.site), text(&relay.data));
    let mut node = Running::start(&["run", site, "--data", data, "--watch"]);
    assert!(node.line().contains("ready"));
    let plan = || json(&["status", "--at", &relay.at, "--json"])["plan"].clone();
    let first = plan();
    relay.change("MSH-6: PV1-3.4", "MSH-6: PV1-3.1");
    until("the change runs", || plan() != first).await;
    let second = plan();
    relay.change("system: receiver", "system: nobody");
    let (_, error) = ends(&["reload", "--at", &relay.at], 3);
    for part in [
        "the running plan is unchanged",
        "channels/relay.yaml:",
        "`nobody`",
    ] {
        assert!(error.contains(part), "{part} in {error}");
    }
    assert_eq!(plan(), second);
    node.terminate();
    node.end();
}

#[test]
fn a_plan_that_forgets_a_queue_is_refused_and_was_takes_the_queue_over() {
    let relay = Relay::new();
    let node = relay.run();
    relay.sent();
    relay.change("  receiver:\n", "  other:\n");
    let (_, error) = ends(&["reload", "--at", &relay.at], 3);
    assert!(error.contains("was: receiver"), "{error}");
    node.terminate();
    node.end();
    let (_, error) = ends(&["run", text(&relay.site), "--data", text(&relay.data)], 3);
    assert!(error.contains("was: receiver"), "{error}");
    relay.change("  other:\n", "  other:\n    was: receiver\n");
    let _node = relay.run();
    assert_eq!(relay.destination()["waiting"], 1);
}
