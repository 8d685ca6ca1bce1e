//! No channel starves another.

use std::time::Duration;

use hilum_component::Flow;

use crate::kit::{Hub, Receiver, Sender, With, channel, destination, plan, step, until};

const FLOOD: usize = 400;

fn accepted(hub: &Hub, name: &str) -> u64 {
    let status = hub.engine().status();
    let channel = status.channels.iter().find(|c| &*c.name == name);
    channel.map_or(0, |channel| channel.dispositions["accepted"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_flooded_with_slow_messages_does_not_hold_up_another() {
    let (busy, calm) = (Sender::new(), Sender::new());
    let (first, second) = (Receiver::new("first"), Receiver::new("second"));
    let slow = step("slow", |_, _| {
        // Work on a processing thread, which has no clock to pause.
        std::thread::sleep(Duration::from_millis(2));
        Ok(Flow::Next)
    });
    let hub = Hub::start(plan([
        channel("busy", &busy)
            .step(slow)
            .to(destination("out", &first)),
        channel("calm", &calm).to(destination("out", &second)),
    ]))
    .await;
    let flood: Vec<String> = (0..FLOOD).map(|n| format!("{n}|ORU|p{n}|x")).collect();
    let flooding = tokio::spawn({
        let busy = busy.clone();
        async move { busy.send_together(&flood).await }
    });
    until("the flood", || accepted(&hub, "busy") > 0).await;
    for n in 0..5 {
        calm.send_all([format!("{n}|ORU|p|x")]).await;
    }
    let done = accepted(&hub, "busy");
    assert!(done < FLOOD as u64 / 2, "{done} of {FLOOD} came first");
    second.takes(&["0", "1", "2", "3", "4"]).await;
    let replies = flooding.await.expect("replies");
    assert!(replies.iter().all(|reply| reply.disposition.is_positive()));
}
