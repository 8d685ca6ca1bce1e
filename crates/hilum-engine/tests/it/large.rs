//! Messages whose text lies in a blob.

use hilum_component::{Delivery, Plan};
use hilum_engine::{PlanChoice, Replay};

use crate::kit::{Act, Hub, Receiver, Sender, With, channel, out, plan};

fn site(sender: &Sender, receiver: &Receiver) -> Plan {
    plan([channel("lab", sender).to(out(receiver))])
}

/// What a delivery carries, its blob included.
async fn whole(delivery: &Delivery) -> Vec<u8> {
    let mut bytes = delivery.payload.text().to_vec();
    for cut in delivery.payload.cuts() {
        let length = usize::try_from(cut.range.length).expect("a length");
        while bytes.len() < delivery.payload.text().len() + length {
            let done = bytes.len() - delivery.payload.text().len();
            let read = delivery.blobs.read(&cut.range, done as u64, length - done);
            bytes.extend_from_slice(&read.await.expect("the blob can be read"));
        }
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_message_is_accepted_delivered_after_a_restart_and_replayed() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let mut hub = Hub::start(site(&sender, &receiver)).await;
    receiver.always(Act::Retry);
    let text: Vec<u8> = (0..700_000_u32).map(|n| (n % 251) as u8).collect();
    let reply = sender.send_large("1|ORU|p|", &text).await;
    assert!(reply.disposition.is_positive(), "{reply:?}");
    receiver.attempts(1).await;
    hub.restart(site(&sender, &receiver)).await;
    receiver.always(Act::Take);
    receiver.takes(&["1"]).await;
    let replay = Replay {
        plan: PlanChoice::Current,
        only: Vec::new(),
        ..Replay::default()
    };
    let message = reply.message.expect("an id");
    hub.engine()
        .replay(message, replay)
        .await
        .expect("a replay");
    receiver.takes(&["1", "1"]).await;
    let expected = [b"1|ORU|p|".as_slice(), &text].concat();
    for seen in receiver.seen().iter().filter(|seen| seen.act == Act::Take) {
        assert!(whole(&seen.delivery).await == expected, "byte for byte");
    }
}
