//! Destinations that are gone or have another name, while deliveries wait for them.

use hilum_component::{AfterReject, ChannelPlan, DestinationPlan, Plan};
use hilum_engine::{DestinationState, EngineError};
use hilum_journal::DeliveryState;

use crate::kit::{
    Act, Hub, Receiver, Sender, With, buried, channel, destination, drained, holds, plan, until,
};

struct Site {
    sender: Sender,
    old: Receiver,
    new: Receiver,
}

impl Site {
    fn new() -> Self {
        let (old, new) = (Receiver::new("old"), Receiver::new("new"));
        old.always(Act::Retry);
        Self {
            sender: Sender::new(),
            old,
            new,
        }
    }

    fn lab(&self, version: u8, to: DestinationPlan) -> Plan {
        plan([self.channel(version).to(to)])
    }

    fn channel(&self, version: u8) -> ChannelPlan {
        channel("lab", &self.sender).version(version)
    }

    fn before(&self) -> Plan {
        self.lab(1, destination("old", &self.old))
    }

    /// The plan in which `new` takes the place of `old`.
    fn renamed(&self) -> Plan {
        self.lab(2, was(destination("new", &self.new)))
    }
}

fn was(mut to: DestinationPlan) -> DestinationPlan {
    to.was = Some("old".into());
    to
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_destination_takes_over_the_queue_on_reload() {
    let site = Site::new();
    let hub = Hub::start(site.before()).await;
    site.sender.send_all(["1|ORU|p|x", "2|ORU|q|x"]).await;
    site.old.attempts(1).await;
    site.new.always(Act::Hang);
    hub.engine().reload(site.renamed()).await.expect("a reload");
    assert_eq!(hub.status("lab", "new").waiting, 2);
    site.sender.send_all(["3|ORU|p|x"]).await;
    assert_eq!(hub.status("lab", "new").waiting, 3);
    site.new.always(Act::Take);
    site.new.takes(&["1", "2", "3"]).await;
    until("an empty queue", || hub.status("lab", "new").waiting == 0).await;
    assert_eq!(hub.status("lab", "new").waiting_bytes, 0);
    assert!(site.old.taken().is_empty());
    // The name before is needed no longer.
    let after = site.lab(3, destination("new", &site.new));
    hub.engine()
        .reload(after)
        .await
        .expect("nothing waits under it");
    site.sender.send_all(["4|ORU|p|x"]).await;
    site.new.takes(&["1", "2", "3", "4"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_destination_takes_over_the_queue_at_a_start() {
    let site = Site::new();
    let mut hub = Hub::start(site.before()).await;
    site.sender.send_all(["1|ORU|p|x", "2|ORU|q|x"]).await;
    site.old.attempts(1).await;
    site.new.always(Act::Retry);
    hub.restart(site.renamed()).await;
    site.sender.send_all(["3|ORU|p|x"]).await;
    assert_eq!(hub.status("lab", "new").waiting, 3);
    hub.restart(site.renamed()).await;
    assert_eq!(hub.status("lab", "new").waiting, 3);
    site.new.always(Act::Take);
    site.new.takes(&["1", "2", "3"]).await;
    until("an empty queue", || hub.status("lab", "new").waiting == 0).await;
    assert!(site.old.taken().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_before_is_needed_while_something_waits_under_it() {
    let site = Site::new();
    let mut hub = Hub::start(site.before()).await;
    site.sender.send_all(["1|ORU|p|x"]).await;
    site.new.always(Act::Retry);
    hub.engine().reload(site.renamed()).await.expect("a reload");
    let without = || site.lab(3, destination("new", &site.new));
    let error = hub.engine().reload(without()).await.expect_err("one waits");
    assert!(
        matches!(&error, EngineError::RemovedWithQueue(orphans) if &*orphans[0].destination == "old")
    );
    hub.stop().await;
    let error = hub.refuses(without()).await;
    assert!(error.to_string().contains("was: old"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_without_a_destination_that_has_a_queue_is_refused_with_a_remedy() {
    let site = Site::new();
    let mut hub = Hub::start(site.before()).await;
    site.sender.send_all(["1|ORU|p|x", "2|ORU|p|x"]).await;
    hub.stop().await;
    for without in [site.lab(2, destination("other", &site.new)), plan([])] {
        let text = hub.refuses(without).await.to_string();
        for part in [
            "lab/old (2 wait)",
            "removed: drain",
            "removed: dead-letter",
            "was: old",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
    hub.restart(site.before()).await;
    site.old.always(Act::Take);
    site.old.takes(&["1", "2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_and_what_blocks_keys_go_with_the_queue() {
    let site = Site::new();
    let mut first = destination("old", &site.old);
    first.after_reject = Some(AfterReject::HoldKey);
    let before = plan([site.channel(1).step(holds("WAIT", None)).to(first)]);
    let hub = Hub::start(before).await;
    site.old.always(Act::Reject);
    site.sender.send_all(["1|ADT|p|x"]).await;
    until("the dead letter", || hub.status("lab", "old").holding == 1).await;
    site.sender.send_all(["2|WAIT|q|x"]).await;
    hub.engine()
        .pause("lab", "old", "maintenance")
        .await
        .expect("a pause");
    site.sender
        .send_all(["3|ADT|p|x", "4|ADT|q|x", "5|ADT|r|x"])
        .await;

    let mut second = was(destination("new", &site.new));
    second.after_reject = Some(AfterReject::HoldKey);
    let after = plan([site.channel(2).step(holds("WAIT", None)).to(second)]);
    hub.engine().reload(after).await.expect("a reload");
    assert_eq!(hub.status("lab", "new").state, DestinationState::Paused);
    hub.engine()
        .resume("lab", "new", "done")
        .await
        .expect("a resume");
    site.new.takes(&["5"]).await;
    until("those whose keys are blocked", || {
        hub.status("lab", "new").waiting == 2
    })
    .await;
    assert_eq!(site.new.taken(), ["5"], "their keys are blocked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_destination_gets_what_waits_and_nothing_new() {
    let site = Site::new();
    let mut hub = Hub::start(site.before()).await;
    site.sender.send_all(["1|ORU|p|x", "2|ORU|q|x"]).await;
    site.old.attempts(1).await;
    let after = || {
        let to = destination("new", &site.new);
        plan([site.channel(2).to(drained("old", &site.old)).to(to)])
    };
    hub.engine().reload(after()).await.expect("a reload");
    site.sender.send_all(["3|ORU|p|x"]).await;
    site.new.takes(&["3"]).await;
    hub.restart(after()).await;
    assert_eq!(hub.status("lab", "old").waiting, 2);
    site.old.always(Act::Take);
    site.old.takes(&["1", "2"]).await;
    until("an empty queue", || hub.status("lab", "old").waiting == 0).await;
    let gone = site.lab(3, destination("new", &site.new));
    hub.engine()
        .reload(gone)
        .await
        .expect("nothing waits for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_of_a_buried_destination_becomes_dead_letters_even_if_it_was_paused() {
    for start in [false, true] {
        let site = Site::new();
        let mut hub = Hub::start(site.before()).await;
        hub.engine()
            .pause("lab", "old", "broken")
            .await
            .expect("a pause");
        let reply = site.sender.send("1|ORU|p|x").await;
        let after = site.lab(2, buried("old"));
        if start {
            hub.restart(after).await;
        } else {
            hub.engine().reload(after).await.expect("a reload");
        }
        until("an empty queue", || hub.status("lab", "old").waiting == 0).await;
        assert_eq!(
            hub.deliveries(reply.message).await,
            [DeliveryState::DeadLetter]
        );
        assert!(site.old.seen().is_empty());
        let gone = site.lab(3, destination("new", &site.new));
        hub.engine()
            .reload(gone)
            .await
            .expect("nothing waits for it");
    }
}
