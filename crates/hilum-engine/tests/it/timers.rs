//! Timers that messages set.

use std::time::Duration;

use hilum_component::{ChannelPlan, Flow, Plan, StepPlan};
use hilum_journal::Disposition as Stored;

use crate::kit::{Hub, Receiver, Sender, With, channel, line, out, plan, step, until};

/// A message of type SET sets the timer of its patient in an hour, STOP removes it; what a timer
/// says is written into the text.
fn alarms() -> StepPlan {
    step("alarm", |message, context| {
        let patient = line(message).get("patient").to_owned();
        let hour = context.arrived_ms + 3_600_000;
        match line(message).get("type") {
            "SET" => context.wake("alarm", &patient, Some(hour)),
            "STOP" => context.wake("alarm", &patient, None),
            _ => {
                let woken = message.metadata.get("hilum.timer").map(str::to_owned);
                line(message).put("text", &woken.unwrap_or_default());
                return Ok(Flow::Next);
            }
        }
        Ok(Flow::Filtered("sets or stops a timer".to_owned()))
    })
}

fn site(sender: &Sender, receiver: &Receiver) -> Plan {
    plan([ChannelPlan {
        control_id_optional: true,
        ..channel("lab", sender)
    }
    .step(alarms())
    .to(out(receiver))])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_enters_its_channel_once_when_it_is_due_also_after_a_restart() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let mut hub = Hub::start(site(&sender, &receiver)).await;
    sender
        .send_all(["1|SET|p|x", "2|SET|q|x", "3|SET|r|x", "4|STOP|q|x"])
        .await;
    hub.advance(Duration::from_secs(3_590));
    sender.send_all(["5|ORU|z|x"]).await;
    receiver.takes(&["5"]).await;
    hub.restart(site(&sender, &receiver)).await;
    assert_eq!(receiver.taken(), ["5"], "nothing is due yet");
    hub.advance(Duration::from_secs(20));
    until("both timers", || receiver.texts().len() == 3).await;
    let mut woken: Vec<_> = receiver.texts().split_off(1);
    woken.sort_unstable();
    assert_eq!(woken, ["|timer||alarm/p", "|timer||alarm/r"]);
    hub.restart(site(&sender, &receiver)).await;
    sender.send_all(["6|ORU|z|x"]).await;
    until("the last", || receiver.texts().len() >= 4).await;
    assert_eq!(receiver.texts()[3], "6|ORU|z|", "each came once");
    let all = hub.dispositions("lab").await;
    let accepted = all.iter().filter(|of| **of == Stored::Accepted).count();
    assert_eq!(accepted, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn timers_of_a_channel_that_is_gone_hold_up_no_others() {
    const GONE: usize = 300;
    let (sender, other) = (Sender::new(), Sender::new());
    let receiver = Receiver::new("ehr");
    let lab = || {
        let Plan { channels, .. } = site(&sender, &receiver);
        channels.into_values().map(|of| ChannelPlan::clone(&of))
    };
    let gone = ChannelPlan {
        name: "gone".into(),
        ..channel("gone", &other).step(alarms())
    };
    let mut hub = Hub::start(plan(lab().chain([gone]))).await;
    other
        .send_all((0..GONE).map(|n| format!("{n}|SET|g{n}|x")))
        .await;
    hub.advance(Duration::from_secs(1));
    sender.send_all(["1|SET|p|x"]).await;
    hub.restart(plan(lab())).await;
    hub.advance(Duration::from_secs(3_700));
    until("the timer", || receiver.texts().len() == 1).await;
}
