//! Two nodes on one schema of PostgreSQL: one of them delivers, and the other when that one dies.

use std::sync::atomic::{AtomicU32, Ordering};

use hilum_testkit::cluster::shared_postgres;
use hilum_testkit::database::{DATABASE, PASSWORD, USER};
use hilum_testkit::http::{HttpReaction, HttpReceiver};
use hilum_testkit::wait::until;
use serde_json::Value;

use crate::ends;
use crate::subscriptions::{Node, TOPIC, numbers, observation, plain, told, topical};

/// Two nodes that do not run yet; `None` without a server.
fn nodes() -> Option<[Node; 2]> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let port = shared_postgres().unwrap()?;
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let schema = format!("nodes_{}_{count}", std::process::id());
    let section = format!(
        "  database:\n    url: postgres://{USER}@127.0.0.1:{port}/{DATABASE}\n    \
         password: file:password\n    schema: {schema}\n"
    );
    Some([(); 2].map(|()| {
        let node = Node::with(&section, "    lease: 2s\n");
        node.folder.file("site/password", PASSWORD).unwrap();
        node
    }))
}

/// `1`, `2`, … up to a number.
fn all(to: u32) -> Vec<String> {
    (1..=to).map(|number| number.to_string()).collect()
}

async fn events(node: &Node, id: &str) -> Value {
    let status = node.get(&format!("Subscription/{id}/$status")).await;
    told(&status, "events-since-subscription-start")
}

#[tokio::test]
async fn a_subscription_made_through_one_node_is_told_of_what_others_change() {
    let Some([a, b]) = nodes() else {
        println!("not run: subscriptions of two nodes (no servers)");
        return;
    };
    let (first, second) = (a.run(), b.run());
    let hook = HttpReceiver::start().await.unwrap();
    // Whichever of them delivers, the other one gets the wish, and the next change at once.
    for (at, (one, other)) in [(&a, &b), (&b, &a)].into_iter().enumerate() {
        let id = format!("plain{at}");
        one.put(&plain(&id, "Observation", &hook, None)).await;
        other.put(&observation("o1", "2823-3")).await;
        one.put(&observation("o2", "2823-3")).await;
        assert_eq!(events(other, &id).await, "2");
        let calls = || hook.received().len();
        until("both calls came", || calls() == 2 * (at + 1)).await;
        let mut off = plain(&id, "Observation", &hook, None);
        off["status"] = "off".into();
        other.put(&off).await;
        one.put(&observation("o1", "2823-3")).await;
        assert_eq!(events(one, &id).await, "2", "off is off for both");
    }
    for (at, node) in [&a, &b].into_iter().enumerate() {
        let id = format!("topical{at}");
        let hook = HttpReceiver::start().await.unwrap();
        node.put(&topical(&id, TOPIC, &hook, "id-only")).await;
        a.reaches(&id, "active").await;
        for number in 0..10 {
            let by = [&a, &b][number % 2];
            by.put(&observation(&format!("o{number}"), "2823-3")).await;
        }
        until("all are there", || numbers(&hook).len() >= 10).await;
        assert_eq!(numbers(&hook), all(10));
        let kinds = hook.received().len();
        assert_eq!(kinds, 11, "one handshake, and each event once");
    }
    assert_eq!(hook.received().len(), 4);
    for node in [&first, &second] {
        node.terminate();
    }
    first.end();
    second.end();
}

#[tokio::test]
async fn when_the_node_that_delivers_is_killed_the_other_goes_on() {
    let Some([a, b]) = nodes() else {
        println!("not run: subscriptions of two nodes (no servers)");
        return;
    };
    let first = a.run();
    let mut hook = HttpReceiver::start().await.unwrap();
    // It delivers, for it has made the handshake.
    a.put(&topical("results", TOPIC, &hook, "full-resource"))
        .await;
    a.reaches("results", "active").await;
    let second = b.run();
    b.put(&observation("o1", "2823-3")).await;
    until("the first is there", || numbers(&hook) == all(1)).await;

    // What waits in the journal of a node that is dead is told by the other one.
    hook.down().await;
    for number in 2..=10 {
        b.put(&observation(&format!("o{number}"), "2823-3")).await;
    }
    a.reaches("results", "error").await;
    assert_eq!(a.destination("results")["waiting"], 9);
    assert_eq!(b.destination("results")["waiting"], 0);
    first.kill();
    hook.up().await.unwrap();
    until("the other tells them", || numbers(&hook).len() >= 10).await;
    b.put(&observation("o11", "2823-3")).await;
    until("and what comes then", || numbers(&hook).len() >= 11).await;
    assert_eq!(numbers(&hook), all(11));

    // It comes back, and does not tell again what the other one has told.
    let first = a.run();
    let waiting = || a.destination("results")["waiting"].clone();
    until("nothing waits any more", || waiting() == 0).await;
    a.put(&observation("o12", "2823-3")).await;
    until("one more", || numbers(&hook).len() >= 12).await;
    assert_eq!(numbers(&hook), all(12));
    let dead = a.destination("results")["dead"].clone();
    assert_eq!(dead, 0);

    // A node that stops gives its part away at once.
    second.terminate();
    second.end();
    a.put(&observation("o13", "2823-3")).await;
    until("the first delivers again", || numbers(&hook).len() >= 13).await;
    assert_eq!(numbers(&hook), all(13));
    first.terminate();
    first.end();
}

#[tokio::test]
async fn no_event_is_lost_when_the_node_is_killed_amid_its_work() {
    let Some([a, b]) = nodes() else {
        println!("not run: subscriptions of two nodes (no servers)");
        return;
    };
    let first = a.run();
    let hook = HttpReceiver::start().await.unwrap();
    a.put(&topical("results", TOPIC, &hook, "id-only")).await;
    a.reaches("results", "active").await;
    let second = b.run();
    let mut first = Some(first);
    for number in 1..=60_u32 {
        b.put(&observation(&format!("o{number}"), "2823-3")).await;
        if number == 30 {
            first.take().unwrap().kill();
        }
    }
    let last = "60".to_owned();
    until("the last is there", || numbers(&hook).contains(&last)).await;
    let came = numbers(&hook);
    let mut firsts: Vec<String> = Vec::new();
    for number in &came {
        if !firsts.contains(number) {
            firsts.push(number.clone());
        }
    }
    assert_eq!(firsts, all(60), "each, and in order");
    // What was told and not noted when the node died.
    let twice = came.len() - firsts.len();
    assert!(twice <= 3, "{twice} came twice");
    second.terminate();
    second.end();
}

#[tokio::test]
async fn a_dead_letter_can_be_sent_again_after_a_restart() {
    let Some([a, _]) = nodes() else {
        println!("not run: subscriptions of two nodes (no servers)");
        return;
    };
    let node = a.run();
    let hook = HttpReceiver::start().await.unwrap();
    a.put(&topical("results", TOPIC, &hook, "id-only")).await;
    a.reaches("results", "active").await;
    hook.react(HttpReaction::status(422));
    a.put(&observation("o1", "2823-3")).await;
    until("it was refused", || numbers(&hook) == all(1)).await;
    until("and is dead", || a.destination("results")["dead"] == 1).await;
    hook.react(HttpReaction::status(200));
    a.put(&observation("o2", "2823-3")).await;
    until("the next one came", || numbers(&hook) == all(2)).await;
    node.terminate();
    node.end();

    // No other node had its part meanwhile, so it knows that it told the one and not the other.
    let node = a.run();
    let at = format!("127.0.0.1:{}", a.admin);
    let asked = [
        "dead-letters",
        "hilum.subscriptions",
        "results",
        "--at",
        &at,
        "--json",
    ];
    let (listed, _) = ends(&asked, 0);
    let letter: Value = serde_json::from_str(listed.lines().next().unwrap()).unwrap();
    let delivery = letter["delivery"]
        .as_str()
        .unwrap_or_else(|| panic!("{letter}"));
    ends(&["requeue", delivery, "--reason", "mended", "--at", &at], 0);
    until("it came", || numbers(&hook).len() == 3).await;
    assert_eq!(numbers(&hook), ["1", "2", "1"]);
    node.terminate();
    node.end();
}
