//! What one message or one channel may use up, and that no other notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hilum_component::{ChannelPlan, Disposition, Flow, Millis, Plan, Size, StepPlan};
use hilum_journal::Disposition as Stored;

use crate::kit::{Act, Hub, Receiver, Sender, With, channel, destination, line, plan, step, until};

/// A step that never ends by itself for messages of a type.
fn endless(kind: &'static str) -> StepPlan {
    step("endless", move |message, context| {
        while line(message).get("type") == kind {
            context.spend()?;
        }
        Ok(Flow::Next)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_beyond_its_budget_ends_in_a_recorded_reject_and_no_other_channel_notices() {
    let (slow, calm) = (Sender::new(), Sender::new());
    let (first, second) = (Receiver::new("first"), Receiver::new("second"));
    let hub = Hub::start(plan([
        ChannelPlan {
            step_budget: Millis(50),
            ..channel("slow", &slow)
        }
        .step(endless("LOOP"))
        .to(destination("out", &first)),
        channel("calm", &calm).to(destination("out", &second)),
    ]))
    .await;
    let looping = tokio::spawn({
        let slow = slow.clone();
        async move {
            slow.send_together(&["1|LOOP|p|x".into(), "2|LOOP|q|x".into()])
                .await
        }
    });
    calm.send_all(["1|ORU|p|x", "2|ORU|p|x"]).await;
    for reply in looping.await.expect("replies") {
        assert_eq!(reply.disposition, Disposition::Rejected);
        let answer = reply.answer.expect("an answer");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(
            answer.starts_with("AE|") && answer.contains("step-budget"),
            "{answer}"
        );
    }
    assert_eq!(hub.dispositions("slow").await, [Stored::Rejected; 2]);
    slow.send_all(["3|ORU|p|x"]).await;
    first.takes(&["3"]).await;
    second.takes(&["1", "2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_flight_is_bounded_and_what_waits_outside_is_not_lost() {
    const ROOM: usize = 64 * 1024;
    const MESSAGE: usize = 20_000;
    const COUNT: usize = 24;
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let inside = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let counted = Arc::clone(&inside);
    let counts = step("count", move |_, _| {
        let now = counted.0.fetch_add(1, Ordering::SeqCst) + 1;
        counted.1.fetch_max(now, Ordering::SeqCst);
        // Work on a processing thread, which has no clock to pause.
        std::thread::sleep(std::time::Duration::from_millis(2));
        counted.0.fetch_sub(1, Ordering::SeqCst);
        Ok(Flow::Next)
    });
    let site = Plan {
        in_flight_max: Size(ROOM as u64),
        ..plan([channel("lab", &sender)
            .step(counts)
            .to(destination("out", &receiver))])
    };
    let hub = Hub::start(site).await;
    let text = "x".repeat(MESSAGE);
    let texts: Vec<_> = (0..COUNT).map(|n| format!("{n}|ORU|p{n}|{text}")).collect();
    let most = Arc::new(AtomicUsize::new(0));
    let sending = tokio::spawn({
        let sender = sender.clone();
        async move { sender.send_together(&texts).await }
    });
    until("all answers", || {
        most.fetch_max(hub.engine().status().in_flight, Ordering::SeqCst);
        sending.is_finished()
    })
    .await;
    let replies = sending.await.expect("replies");
    assert!(replies.iter().all(|reply| reply.disposition.is_positive()));
    until("all deliveries", || receiver.taken().len() == COUNT).await;
    assert!(inside.1.load(Ordering::SeqCst) <= ROOM / MESSAGE);
    assert_eq!(hub.engine().status().in_flight, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn junk_from_a_peer_is_recorded_and_what_follows_is_taken() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let hub = Hub::start(plan([
        channel("lab", &sender).to(destination("out", &receiver))
    ]))
    .await;
    sender.send_junk(b"\0\xffGET / HTTP/1.1", 70_000).await;
    let reply = sender.send("\u{1}\u{2} no message at all").await;
    assert_eq!(reply.disposition, Disposition::Rejected);
    sender.send_all(["1|ORU|p|x"]).await;
    receiver.takes(&["1"]).await;
    let rows = hub.recorded("lab").await;
    let kinds: Vec<_> = rows.iter().map(|row| row.disposition).collect();
    assert_eq!(
        kinds,
        [Stored::Rejected, Stored::Rejected, Stored::Accepted]
    );
    let why = rows[0].reason.clone().unwrap_or_default();
    assert!(why.contains("70000"), "{why}");
    let (_, kept) = hub
        .engine()
        .journal()
        .received(rows[0].message)
        .await
        .expect("kept");
    assert_eq!(&kept.text()[..], b"\0\xffGET / HTTP/1.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_hangs_in_one_channel_leaves_the_others_alone() {
    let (first, second) = (Sender::new(), Sender::new());
    let (hanging, ehr) = (Receiver::new("hanging"), Receiver::new("ehr"));
    let hub = Hub::start(plan([
        channel("first", &first).to(destination("out", &hanging)),
        channel("second", &second).to(destination("out", &ehr)),
    ]))
    .await;
    hanging.always(Act::Hang);
    first
        .send_all((0..50).map(|n| format!("{n}|ORU|p{n}|x")))
        .await;
    second.send_all(["1|ORU|p|x", "2|ORU|p|x"]).await;
    ehr.takes(&["1", "2"]).await;
    assert_eq!(hub.status("first", "out").waiting, 50);
    hanging.always(Act::Take);
    until("the others", || hanging.taken().len() == 50).await;
}
