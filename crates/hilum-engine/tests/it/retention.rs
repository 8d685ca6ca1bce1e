//! Old days go; what is still to be delivered stays.

use std::time::Duration;

use hilum_component::{Millis, Plan};
use hilum_journal::DeliveryState;
use hilum_message::MessageId;

use crate::kit::{Act, Hub, Receiver, Sender, With, channel, out, plan, until};

const DAY: Duration = Duration::from_secs(24 * 3_600);

fn keeps(days: u64, sender: &Sender, receiver: &Receiver) -> Plan {
    let mut plan = plan([channel("lab", sender).to(out(receiver))]);
    plan.keep = Some(Millis(days * 24 * 3_600_000));
    plan
}

async fn is_there(hub: &Hub, message: Option<MessageId>) -> bool {
    let message = message.expect("the message was recorded");
    hub.engine().journal().received(message).await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn old_days_go_and_pending_deliveries_survive_and_are_delivered() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let mut hub = Hub::start(keeps(2, &sender, &receiver)).await;
    let done = sender.send("1|ORU|p|x").await.message;
    receiver.takes(&["1"]).await;
    until("the settlement", || hub.status("lab", "out").waiting == 0).await;
    receiver.always(Act::Retry);
    let pending = sender.send("2|ORU|p|x").await.message;
    let first = hub.engine().journal().partitions().expect("a list")[0]
        .name
        .clone();

    hub.advance(DAY);
    hub.advance(DAY / 2);
    assert!(is_there(&hub, done).await, "younger than `keep`");
    hub.advance(2 * DAY);
    until("the first day to go", || {
        // Each look is a pass of the clock, as if the night went on.
        hub.advance(Duration::from_secs(600));
        let all = hub.engine().journal().partitions().expect("a list");
        all.iter().all(|partition| partition.name != first)
    })
    .await;
    assert!(!is_there(&hub, done).await);
    assert!(is_there(&hub, pending).await, "it is still to be delivered");
    assert_eq!(hub.deliveries(pending).await, [DeliveryState::Pending]);

    hub.restart(keeps(2, &sender, &receiver)).await;
    assert_eq!(hub.status("lab", "out").waiting, 1);
    receiver.always(Act::Take);
    receiver.takes(&["1", "2"]).await;
    assert_eq!(
        receiver.texts().last().map(String::as_str),
        Some("2|ORU|p|x")
    );
    until("an empty queue", || hub.status("lab", "out").waiting == 0).await;
    assert_eq!(hub.deliveries(pending).await, [DeliveryState::Delivered]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keep_nothing_goes() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let hub = Hub::start(plan([channel("lab", &sender).to(out(&receiver))])).await;
    let first = sender.send("1|ORU|p|x").await.message;
    receiver.takes(&["1"]).await;
    hub.advance(400 * DAY);
    sender.send_all(["2|ORU|p|x"]).await;
    until("another day", || {
        hub.engine().journal().partitions().expect("a list").len() > 1
    })
    .await;
    assert!(is_there(&hub, first).await);
}
