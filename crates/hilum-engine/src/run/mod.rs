//! Starting, reloading and stopping an engine.

pub(crate) mod alerts;
mod queues;
mod reload;
mod retention;
mod sink;
mod sources;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hilum_component::{LinkedKeys, Plan, Stop, StopHandle};
use hilum_journal::{Journal, JournalError, JournalOptions};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::alert::Alert;
use crate::channel::{Channel, process_received};
use crate::kept::KeptPlans;
use crate::pool::Pool;
use crate::runtime::{Core, Space};
use crate::status::EngineStatus;
use crate::store::{self, Orphan};

pub use reload::ReloadReport;

/// How an engine is started.
#[derive(Debug)]
pub struct EngineOptions {
    /// The folder of the journal.
    pub data: PathBuf,
    /// How the journal is opened; its clock is the engine's.
    pub journal: JournalOptions,
    /// Threads that process messages.
    pub threads: usize,
    /// Where the plans of stored messages are kept.
    pub kept: Arc<dyn KeptPlans>,
    /// Links between identifiers, so that a patient who was merged keeps one order.
    pub links: Arc<dyn LinkedKeys>,
}

/// Why an engine cannot start, or cannot take a plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The journal cannot be opened.
    #[error("cannot open the journal in {folder}")]
    Journal {
        /// The folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: JournalError,
    },
    /// A thread cannot be started.
    #[error("cannot start the processing threads")]
    Threads(#[source] std::io::Error),
    /// Sources that cannot be opened.
    #[error("cannot open {}", .0.join("; "))]
    Sources(Vec<String>),
    /// Destinations that are gone and still have a queue.
    #[error("destinations are not in the plan while deliveries wait for them: {}", lines(.0))]
    RemovedWithQueue(Vec<Orphan>),
    /// A record of the engine's own cannot be written or read.
    #[error("cannot use the journal")]
    Store(#[source] JournalError),
}

fn lines(orphans: &[Orphan]) -> String {
    let lines: Vec<String> = orphans.iter().map(ToString::to_string).collect();
    lines.join("; ")
}

/// Lets the journal give back at start what the plan says is remembered.
fn remember(plan: &Plan, options: &mut JournalOptions) {
    let limits = &mut options.limits;
    for channel in plan.channels.values() {
        let resend = channel.resend;
        limits.resend_window_ms = limits.resend_window_ms.max(resend.within.0);
        limits.resend_entries_max = limits.resend_entries_max.max(resend.max);
    }
}

/// A task with its stop.
pub(crate) struct Running {
    pub(crate) stop: StopHandle,
    pub(crate) task: JoinHandle<()>,
}

impl Running {
    /// Starts what `start` makes of a stop.
    pub(crate) fn spawn<F>(start: impl FnOnce(Stop) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (handle, stop) = Stop::new();
        Self {
            stop: handle,
            task: tokio::spawn(start(stop)),
        }
    }

    /// Requests the stop and waits, at most until `deadline`; then the task is ended.
    pub(crate) async fn end(self, deadline: tokio::time::Instant) {
        self.stop.request();
        let mut task = self.task;
        if tokio::time::timeout_at(deadline, &mut task).await.is_err() {
            task.abort();
            // Waited for, so that nothing of it is left when the journal is closed.
            drop(task.await);
        }
    }
}

/// What runs for a channel or a queue.
#[derive(Default)]
pub(crate) struct Tasks {
    pub(crate) sources: HashMap<Arc<str>, sources::RunningSource>,
    pub(crate) queues: HashMap<u32, Running>,
    pub(crate) own: Vec<Running>,
}

/// A running engine.
pub struct Engine {
    core: Arc<Core>,
    tasks: Mutex<Tasks>,
}

impl Engine {
    /// Opens the journal, recovers what it holds, opens every source and runs the plan. When it
    /// returns, every channel takes messages or its status says why not.
    pub async fn start(plan: Plan, options: EngineOptions) -> Result<Self, EngineError> {
        let plan = Arc::new(plan);
        let sink = Arc::new(sink::Sink::default());
        let folder = options.data.clone();
        let space = Space::new(folder.clone(), options.journal.free.clone());
        let clock = options.journal.clock.clone();
        let parts_max = options.journal.limits.children_max;
        let mut journal = options.journal;
        remember(&plan, &mut journal);
        let (journal, recovered) = Journal::open(&options.data, &journal, Arc::clone(&sink) as _)
            .map_err(|source| EngineError::Journal { folder, source })?;
        let pool = Pool::start(options.threads).map_err(EngineError::Threads)?;
        let (core, alerts) = Core::new(
            journal,
            clock,
            parts_max,
            pool,
            Arc::clone(&plan),
            (options.kept, options.links),
            space,
        );
        let core = Arc::new(core);
        sink.connect(&core);
        let engine = Self {
            core: Arc::clone(&core),
            tasks: Mutex::default(),
        };
        let mut tasks = engine.tasks.lock().await;
        for channel in plan.channels.values() {
            let channel = Arc::new(Channel::new(
                core.number(),
                Arc::clone(channel),
                core.now_ms(),
            ));
            core.add_channel(Arc::clone(&channel));
            queues::add_all(&core, &mut tasks, &channel.plan());
        }
        let orphans = store::recover(&core, recovered)
            .await
            .map_err(EngineError::Store)?;
        if !orphans.is_empty() {
            return Err(EngineError::RemovedWithQueue(orphans));
        }
        let opened = sources::open_all(&core, &plan).await?;
        queues::run_all(&core, &mut tasks);
        tasks.own.push(Running::spawn(|stop| {
            alerts::publish(Arc::clone(&core), alerts, stop)
        }));
        tasks.own.push(Running::spawn(|stop| {
            alerts::watch(Arc::clone(&core), stop)
        }));
        tasks.own.push(Running::spawn(|stop| {
            crate::critical::watch(Arc::clone(&core), stop)
        }));
        tasks.own.push(Running::spawn(|stop| {
            crate::withdrawn::watch(Arc::clone(&core), stop)
        }));
        tasks.own.push(Running::spawn(|stop| {
            retention::retain(Arc::clone(&core), stop)
        }));
        tasks.own.push(Running::spawn(|stop| {
            store::wake_held(Arc::clone(&core), stop)
        }));
        tasks.own.push(Running::spawn(|stop| {
            process_received(Arc::clone(&core), stop)
        }));
        for source in opened {
            let name = Arc::clone(&source.channel.name);
            let source = source.run(&core).await;
            tasks.sources.insert(name, source);
        }
        drop(tasks);
        Ok(engine)
    }

    /// Takes a new plan, channel by channel, each at a message boundary.
    pub async fn reload(&self, plan: Plan) -> Result<ReloadReport, EngineError> {
        let mut tasks = self.tasks.lock().await;
        reload::reload(&self.core, &mut tasks, Arc::new(plan)).await
    }

    /// Stops: sources first, then what is in flight, then the destinations. What is queued stays
    /// in the journal; only a send that is still unanswered when `stop-within` is over may be
    /// repeated at the next start.
    pub async fn stop(&self) {
        let within = self.core.plan().stop_within.duration();
        let deadline = tokio::time::Instant::now() + within;
        let mut tasks = std::mem::take(&mut *self.tasks.lock().await);
        for source in tasks.sources.values() {
            source.request_stop();
        }
        for (_, source) in tasks.sources.drain() {
            source.end(deadline).await;
        }
        self.core.close_intake(deadline).await;
        for task in tasks.queues.values() {
            task.stop.request();
        }
        for (_, task) in tasks.queues.drain() {
            task.end(deadline).await;
        }
        for task in tasks.own.drain(..) {
            task.end(deadline.min(tokio::time::Instant::now() + Duration::from_secs(1)))
                .await;
        }
        queues::close_all(&self.core).await;
        if let Err(error) = self.core.journal.flush().await {
            tracing::error!(%error, "the journal could not be closed cleanly; the next start recovers it");
        }
    }

    /// What it does at the moment.
    #[must_use]
    pub fn status(&self) -> EngineStatus {
        EngineStatus::of(&self.core)
    }

    /// Tells people what happened once beside the channels, in a part of the program that the
    /// engine does not know.
    pub fn tell(&self, kind: &'static str, text: String) {
        self.core.publish_alert(Alert {
            kind,
            state: "event",
            site: self.core.site(),
            channel: None,
            owner: None,
            destination: None,
            message: None,
            text,
            at_ms: self.core.now_ms(),
        });
    }

    /// The journal, for searches and records.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.core.journal
    }

    /// The plan that new messages have.
    #[must_use]
    pub fn plan(&self) -> Arc<Plan> {
        self.core.plan()
    }

    pub(crate) const fn core(&self) -> &Arc<Core> {
        &self.core
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}
