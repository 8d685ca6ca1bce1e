//! The contract of a source.

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::{FakeIntake, within};
use crate::{BoxFuture, Disposition, Source, SourceError, Stop, StopHandle};

/// What a peer heard of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It was taken.
    Yes,
    /// It was not.
    No,
    /// Nothing.
    Nothing,
}

/// How a source is made, and its peer played.
pub trait SourceRig: Send + Sync {
    /// A new source over the same place (address, folder, table).
    fn source(&self) -> Box<dyn Source>;

    /// A message of this number, as the technology carries it.
    fn message(&self, number: u64) -> Bytes;

    /// Sends messages in order over one connection (or its like) and waits for what is said of
    /// each. `address` is what `open` gave.
    fn send<'a>(
        &'a self,
        address: Option<&'a str>,
        messages: Vec<Bytes>,
    ) -> BoxFuture<'a, Vec<Said>>;

    /// Sends one message and goes away without hearing what is said of it.
    fn send_and_vanish<'a>(&'a self, address: Option<&'a str>, message: Bytes)
    -> BoxFuture<'a, ()>;

    /// Whether the technology can say no (a folder cannot, it moves the file away).
    fn says_no(&self) -> bool {
        true
    }
}

/// A running source.
struct Running {
    address: Option<String>,
    intake: Arc<FakeIntake>,
    stop: StopHandle,
    task: JoinHandle<Result<(), SourceError>>,
}

impl Running {
    async fn start(rig: &dyn SourceRig, intake: Arc<FakeIntake>) -> Self {
        let mut source = rig.source();
        let opened = within("open", source.open()).await;
        let address = opened.unwrap_or_else(|error| panic!("open failed: {error}"));
        let (stop, requested) = Stop::new();
        let door = intake.door();
        let task = tokio::spawn(async move { source.run(door, requested).await });
        Self {
            address,
            intake,
            stop,
            task,
        }
    }

    async fn stop(self) {
        self.stop.request();
        let ended = within("run to return after the stop", self.task).await;
        ended
            .expect("run does not panic")
            .expect("a requested stop is no error");
    }
}

/// Runs a source through the suite.
pub async fn check_source(rig: &dyn SourceRig) {
    opens_and_closes_again(rig).await;
    keeps_the_order_of_a_peer(rig).await;
    tells_a_peer_no(rig).await;
    finishes_what_is_under_way(rig).await;
    outlives_a_peer_that_goes(rig).await;
}

/// What is claimed is given back, so that a channel can be started again.
async fn opens_and_closes_again(rig: &dyn SourceRig) {
    for _ in 0..2 {
        Running::start(rig, FakeIntake::new()).await.stop().await;
    }
}

async fn keeps_the_order_of_a_peer(rig: &dyn SourceRig) {
    let running = Running::start(rig, FakeIntake::new()).await;
    let messages: Vec<Bytes> = (1..=20).map(|number| rig.message(number)).collect();
    let said = within(
        "answers",
        rig.send(running.address.as_deref(), messages.clone()),
    )
    .await;
    assert_eq!(said, [Said::Yes; 20], "each message is said yes to");
    running.intake.wait_for(20).await;
    assert!(
        running.intake.contents() == messages,
        "messages arrive unchanged and in order"
    );
    let arrivals = running.intake.arrivals();
    assert!(
        arrivals
            .iter()
            .all(|arrival| !arrival.peer.label.is_empty()),
        "the peer has a label"
    );
    running.stop().await;
}

async fn tells_a_peer_no(rig: &dyn SourceRig) {
    let intake = FakeIntake::new();
    intake.respond(|number, _| match number {
        2 => FakeIntake::reply(number, Disposition::Rejected, b"no"),
        _ => FakeIntake::reply(number, Disposition::Accepted, b"yes"),
    });
    let running = Running::start(rig, intake).await;
    let messages = (31..=33).map(|number| rig.message(number)).collect();
    let said = within("answers", rig.send(running.address.as_deref(), messages)).await;
    let no = if rig.says_no() {
        Said::No
    } else {
        Said::Nothing
    };
    assert_eq!(
        said,
        [Said::Yes, no, Said::Yes],
        "only the second is refused"
    );
    running.stop().await;
}

async fn finishes_what_is_under_way(rig: &dyn SourceRig) {
    let intake = FakeIntake::new();
    intake.hold();
    let running = Running::start(rig, Arc::clone(&intake)).await;
    let address = running.address.clone();
    let sent = rig.send(address.as_deref(), vec![rig.message(41)]);
    let stopped = async {
        intake.wait_for(1).await;
        running.stop.request();
        intake.release();
        within("run to return after the stop", running.task).await
    };
    let (said, ended) = within("the answer", async { tokio::join!(sent, stopped) }).await;
    assert_eq!(
        said,
        [Said::Yes],
        "what intake has taken is answered before the source stops"
    );
    ended
        .expect("run does not panic")
        .expect("a requested stop is no error");
}

async fn outlives_a_peer_that_goes(rig: &dyn SourceRig) {
    let intake = FakeIntake::new();
    intake.hold();
    let running = Running::start(rig, Arc::clone(&intake)).await;
    let address = running.address.clone();
    within(
        "sending",
        rig.send_and_vanish(address.as_deref(), rig.message(51)),
    )
    .await;
    intake.wait_for(1).await;
    intake.release();
    let said = within(
        "the answer",
        rig.send(address.as_deref(), vec![rig.message(52)]),
    )
    .await;
    assert_eq!(said, [Said::Yes], "the next peer is served");
    running.stop().await;
}
