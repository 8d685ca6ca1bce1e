//! What the tests run engines with: lines as messages, scripted peers, plans, a hub in a folder.

mod format;
mod peers;
mod plan;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hilum_component::Plan;
use hilum_engine::{DestinationStatus, Engine, EngineError, EngineOptions, KeptPlans};
use hilum_faultfs::Disk;
use hilum_journal::{
    AcceptRequest, Clock, DeliveryState, Disposition, FreeSpace, Journal, JournalOptions,
    MessageTrace, Query, StoredMessage,
};
use hilum_message::MessageId;
use tempfile::TempDir;

pub(crate) use peers::{Act, Receiver, Sender};
pub(crate) use plan::{
    With, answers, asks, buried, channel, destination, digest, drained, filters, holds, line, out,
    plan, rejects, replies, reply_rule, rule, splits, step, subscriber, topic, writes,
};

/// How long a condition may take to come true.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until a condition holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let poll = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(
        tokio::time::timeout(PATIENCE, poll).await.is_ok(),
        "waited in vain for {what}"
    );
}

/// A large empty disk.
fn free() -> Arc<AtomicU64> {
    Arc::new(AtomicU64::new(1 << 40))
}

/// An engine over a journal in a folder of its own.
pub(crate) struct Hub {
    engine: Option<Engine>,
    folder: TempDir,
    disk: Option<Disk>,
    ahead_ms: Arc<AtomicU64>,
    kept: Arc<dyn KeptPlans>,
    /// Bytes that the disk says are free.
    pub(crate) free: Arc<AtomicU64>,
}

impl Hub {
    fn new() -> Self {
        Self {
            engine: None,
            folder: tempfile::tempdir().expect("a folder"),
            disk: None,
            ahead_ms: Arc::default(),
            kept: Arc::new(()),
            free: free(),
        }
    }

    async fn started(mut self, plan: Plan) -> Self {
        self.begin(plan).await.expect("the engine starts");
        self
    }

    /// Starts a plan over an empty journal.
    pub(crate) async fn start(plan: Plan) -> Self {
        Self::new().started(plan).await
    }

    /// Starts a plan over an empty journal on a simulated disk.
    pub(crate) async fn start_on(disk: &Disk, plan: Plan) -> Self {
        let disk = Some(disk.clone());
        Self {
            disk,
            ..Self::new()
        }
        .started(plan)
        .await
    }

    /// Starts a plan over an empty journal, with plans of earlier days.
    pub(crate) async fn start_with(kept: Arc<dyn KeptPlans>, plan: Plan) -> Self {
        Self {
            kept,
            ..Self::new()
        }
        .started(plan)
        .await
    }

    /// Starts a plan over an empty journal at a time that is to come, Unix milliseconds.
    pub(crate) async fn start_at(at_ms: u64, plan: Plan) -> Self {
        let ahead_ms = Arc::new(AtomicU64::new(at_ms - Clock::system().now_ms()));
        let hub = Self {
            ahead_ms,
            ..Self::new()
        };
        hub.started(plan).await
    }

    /// Starts a plan that the engine refuses.
    pub(crate) async fn refused(plan: Plan) -> EngineError {
        let begun = Self::new().begin(plan).await;
        begun.expect_err("the engine does not start")
    }

    /// Starts a plan over a journal that holds these messages, as a crash might have left them.
    pub(crate) async fn start_over(plan: Plan, left: Vec<AcceptRequest>) -> Self {
        let hub = Self::new();
        let options = JournalOptions::default();
        let (journal, _) = Journal::open(hub.folder.path(), &options, Arc::new(())).expect("opens");
        for request in left {
            journal.accept(request).await.expect("it is stored");
        }
        drop(journal);
        hub.started(plan).await
    }

    async fn begin(&mut self, plan: Plan) -> Result<(), EngineError> {
        let (system, ahead) = (Clock::system(), Arc::clone(&self.ahead_ms));
        let free = Arc::clone(&self.free);
        let clock = Clock::new(move || system.now_ms() + ahead.load(Ordering::SeqCst));
        let mut journal = JournalOptions {
            clock,
            free: FreeSpace::new(move |_| Ok(free.load(Ordering::SeqCst))),
            ..JournalOptions::default()
        };
        let mut data = self.folder.path().to_owned();
        if let Some(disk) = &self.disk {
            data = disk.folder();
            journal.files = Arc::new(disk.clone());
            journal.vfs = Some(disk.vfs());
            journal.limits.checkpoint_pages = 32;
        }
        let options = EngineOptions {
            data,
            journal,
            threads: 2,
            kept: self.kept.clone(),
            links: Arc::new(()),
        };
        self.engine = Some(Engine::start(plan, options).await?);
        Ok(())
    }

    /// Stops the engine.
    pub(crate) async fn stop(&mut self) {
        if let Some(engine) = self.engine.take() {
            let closed = engine.journal().closed();
            engine.stop().await;
            drop(engine);
            tokio::time::timeout(PATIENCE, closed)
                .await
                .expect("nobody holds the journal of an engine that has stopped");
        }
    }

    /// Stops the engine and starts a plan over what the journal holds.
    pub(crate) async fn restart(&mut self, plan: Plan) {
        self.stop().await;
        self.begin(plan).await.expect("the engine starts again");
    }

    /// Starts a plan over what the journal holds, which the engine refuses.
    pub(crate) async fn refuses(&mut self, plan: Plan) -> EngineError {
        self.begin(plan)
            .await
            .expect_err("the engine does not start")
    }

    /// Starts a plan over what a power cut leaves of the disk.
    pub(crate) async fn after_power_cut(mut self, seed: u64, plan: Plan) -> Self {
        let cut = self.disk.as_ref().map(|disk| disk.power_cut(seed));
        self.stop().await;
        self.disk = cut;
        self.started(plan).await
    }

    /// Moves the engine's clock.
    pub(crate) fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_millis()).expect("a short time");
        self.ahead_ms.fetch_add(by, Ordering::SeqCst);
    }

    /// What the engine's clock says, Unix milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        Clock::system().now_ms() + self.ahead_ms.load(Ordering::SeqCst)
    }

    /// The running engine.
    pub(crate) fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("it runs")
    }

    /// What an operator sees of a destination.
    pub(crate) fn status(&self, channel: &str, destination: &str) -> DestinationStatus {
        let status = self.engine().status();
        let channel = status
            .channels
            .into_iter()
            .find(|c| &*c.name == channel)
            .expect("the channel");
        let found = channel
            .destinations
            .into_iter()
            .find(|d| &*d.name == destination);
        found.expect("the destination")
    }

    /// All that the journal has of a channel, oldest first.
    pub(crate) async fn recorded(&self, channel: &str) -> Vec<StoredMessage> {
        let query = Query {
            channel: Some(channel.into()),
            limit: 1_000,
            ..Query::default()
        };
        let page = self
            .engine()
            .journal()
            .search(query)
            .await
            .expect("a search");
        page.messages.into_iter().rev().collect()
    }

    /// What was decided about the messages of a channel, oldest first.
    pub(crate) async fn dispositions(&self, channel: &str) -> Vec<Disposition> {
        self.recorded(channel)
            .await
            .iter()
            .map(|row| row.disposition)
            .collect()
    }

    /// All that the journal knows of a message.
    pub(crate) async fn trace(&self, message: Option<MessageId>) -> MessageTrace {
        let message = message.expect("the message was recorded");
        self.engine()
            .journal()
            .flush()
            .await
            .expect("settlements are written");
        self.engine()
            .journal()
            .trace(message)
            .await
            .expect("a trace")
    }

    /// The states of a message's deliveries.
    pub(crate) async fn deliveries(&self, message: Option<MessageId>) -> Vec<DeliveryState> {
        let trace = self.trace(message).await;
        trace
            .deliveries
            .iter()
            .map(|(stored, _)| stored.state)
            .collect()
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hub")
    }
}
