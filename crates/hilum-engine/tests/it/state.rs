//! State that messages change.

use std::time::Duration;

use hilum_component::{Flow, StepPlan};

use crate::kit::{Hub, Receiver, Sender, With, channel, line, out, plan, step};

/// Counts all messages and writes the number into each.
fn counts() -> StepPlan {
    step("count", |message, context| {
        let before = context.get("count", "all");
        let before: u64 = before.map_or(0, |value| {
            String::from_utf8_lossy(&value).parse().unwrap_or(0)
        });
        let count = (before + 1).to_string();
        context.put("count", "all", Some(count.clone().into()), None);
        line(message).put("text", &count);
        Ok(Flow::Next)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_messages_lose_no_change_of_the_state() {
    const COUNT: usize = 32;
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let site = || plan([channel("lab", &sender).step(counts()).to(out(&receiver))]);
    let mut hub = Hub::start(site()).await;
    let texts: Vec<_> = (0..COUNT).map(|n| format!("{n}|ORU|p{n}|x")).collect();
    let replies = sender.send_together(&texts).await;
    assert!(replies.iter().all(|reply| reply.disposition.is_positive()));
    crate::kit::until("all deliveries", || receiver.texts().len() == COUNT).await;
    let number = |text: &String| text.rsplit('|').next().and_then(|text| text.parse().ok());
    let mut numbers: Vec<usize> = receiver.texts().iter().filter_map(number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=COUNT).collect::<Vec<_>>());
    hub.restart(site()).await;
    sender.send_all(["last|ORU|p|x"]).await;
    crate::kit::until("the last", || receiver.texts().len() == COUNT + 1).await;
    assert_eq!(receiver.texts()[COUNT], format!("last|ORU|p|{}", COUNT + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_writes_is_forgotten_when_its_writer_says() {
    const HOUR: Duration = Duration::from_secs(3_600);
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let hub = Hub::start(plan([channel("lab", &sender).to(out(&receiver))])).await;
    let until_ms = |now_ms: u64| now_ms + u64::try_from(HOUR.as_millis()).unwrap();
    let written = hub.engine().edit_state("for an hour", |state| {
        let until = until_ms(state.now_ms);
        state.put("order", "hour", Some("a".into()), Some(until));
        state.put("order", "ever", Some("b".into()), None);
        Ok::<_, ()>(())
    });
    assert!(written.await.unwrap().is_ok());
    let read = async || {
        let look = hub.engine().edit_state("looked at", |state| {
            Ok::<_, ()>(["hour", "ever"].map(|key| state.get("order", key).is_some()))
        });
        look.await.unwrap().unwrap()
    };
    assert_eq!(read().await, [true, true]);
    hub.advance(HOUR / 2);
    assert_eq!(read().await, [true, true]);
    hub.advance(HOUR);
    assert_eq!(read().await, [false, true]);
}
