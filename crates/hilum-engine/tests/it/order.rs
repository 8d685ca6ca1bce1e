//! Which delivery waits for which.

use hilum_component::Order;

use crate::kit::{Act, Hub, Receiver, Sender, With, channel, out, plan, rule, splits, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_keeps_its_order_while_other_keys_overtake() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr").concurrency(4));
    let _hub = Hub::start(plan([channel("lab", &sender).to(out(&receiver))])).await;
    receiver.script(|text| {
        if text.starts_with("a1") {
            Act::Hang
        } else {
            Act::Take
        }
    });
    sender
        .send_all([
            "a1|ORU|a|x",
            "a2|ORU|a|x",
            "b1|ORU|b|x",
            "a3|ORU|a|x",
            "b2|ORU|b|x",
        ])
        .await;
    receiver.takes(&["b1", "b2"]).await;
    receiver.always(Act::Take);
    receiver.takes(&["b1", "b2", "a1", "a2", "a3"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_patient_of_one_system_keeps_the_order_across_channels() {
    let (adt, lab) = (Sender::new(), Sender::new());
    let (first, second) = (Receiver::new("adt"), Receiver::new("lab"));
    let shared = |name, sender: &Sender, receiver: &Receiver| {
        let mut to = out(receiver);
        to.system = Some("ehr".to_owned());
        let mut plan = channel(name, sender).to(to);
        plan.order = Order::Domain("patient".to_owned());
        plan
    };
    let channels = [shared("adt", &adt, &first), shared("lab", &lab, &second)];
    let _hub = Hub::start(plan(channels)).await;
    first.always(Act::Hang);
    adt.send_all(["1|ADT|p|x"]).await;
    first.attempts(1).await;
    lab.send_all(["2|ORU|p|x", "3|ORU|q|x"]).await;
    second.takes(&["3"]).await;
    first.always(Act::Take);
    second.takes(&["3", "2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn priority_passes_other_keys_and_never_its_own() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let mut to = out(&receiver);
    to.priority = Some(rule("priority"));
    let _hub = Hub::start(plan([channel("lab", &sender).to(to)])).await;
    receiver.always(Act::Hang);
    sender.send_all(["a|ORU|a|x|"]).await;
    receiver.attempts(1).await;
    sender
        .send_all([
            "b1|ORU|b|x|",
            "c|ORU|c|x|",
            "d|ORU|d|x|",
            "b2|ORU|b|x|9",
            "z|ORU|z|x|5",
        ])
        .await;
    receiver.always(Act::Take);
    receiver.takes(&["a", "z", "b1", "b2", "c", "d"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn priority_passes_a_backlog_beyond_the_window_and_never_its_own() {
    const BATCHES: usize = 10;
    const PARTS: usize = 500;
    const { assert!(BATCHES * PARTS > hilum_engine::lanes::WINDOW) };
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let mut to = out(&receiver);
    to.priority = Some(rule("priority"));
    let hub = Hub::start(plan([channel("lab", &sender).step(splits()).to(to)])).await;
    receiver.always(Act::Retry);
    sender
        .send_all((0..BATCHES).map(|batch| format!("{batch}|ORU|p{batch}|{PARTS}|")))
        .await;
    sender
        .send_all(["own|ORU|p9|1|9", "stat|ORU|z|1|5", "new|ORU|y|1|"])
        .await;
    receiver.always(Act::Take);
    let all = BATCHES * PARTS + 3;
    until("the whole backlog", || receiver.taken().len() >= all).await;
    let taken = receiver.taken();
    assert_eq!(taken.len(), all, "nothing is sent twice");
    assert_eq!(taken[0], "stat.0");
    assert_eq!(taken[all - 2..], ["own.0", "new.0"]);
    until("an empty queue", || hub.status("lab", "out").waiting == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_several_keys_waits_for_each_of_them() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr").concurrency(4));
    let mut lab = channel("lab", &sender).to(out(&receiver));
    lab.order = Order::Rule(rule("patient | text"));
    let hub = Hub::start(plan([lab])).await;
    receiver.script(|text| {
        if text.starts_with("q1") {
            Act::Hang
        } else {
            Act::Take
        }
    });
    sender
        .send_all([
            "q1|ADT|q|q",
            "p1|ADT|p|p",
            "merge|ADT|p|q",
            "p2|ADT|p|p",
            "r|ADT|r|r",
        ])
        .await;
    receiver.takes(&["p1", "r"]).await;
    until("the rest to wait", || hub.status("lab", "out").waiting == 3).await;
    receiver.always(Act::Take);
    receiver.takes(&["p1", "r", "q1", "merge", "p2"]).await;
}
