//! The plan that runs: the site's, and beside it the built-in channel of FHIR subscriptions, which
//! changes with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hilum_component::{Format, FormatOptions, Plan};
use hilum_engine::{Engine, EngineError, EngineOptions, ReloadReport};
use hilum_fhir_server::{Fhir, SUBSCRIPTIONS};
use tokio::sync::Mutex;

/// Between two tries of what the engine did not take.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// The plan of the site and what is added to it.
pub(crate) struct Plans {
    /// As it was loaded last.
    site: Mutex<Plan>,
    subscriptions: Option<Subscriptions>,
    /// The change of the subscriptions that the engine has.
    applied: AtomicU64,
}

struct Subscriptions {
    fhir: Arc<Fhir>,
    format: Arc<dyn Format>,
}

/// A merged plan, and the change of the subscriptions up to which it is.
struct Merged(Plan, Option<u64>);

impl Plans {
    /// A site, and the FHIR server of the node if it has one.
    pub(crate) fn new(site: Plan, fhir: Option<&Arc<Fhir>>) -> anyhow::Result<Self> {
        let format = || {
            let registry = crate::components::registry();
            let format = registry.format("fhir", &FormatOptions::default());
            format.map_err(|text| anyhow::anyhow!("the format of FHIR: {text}"))
        };
        let with = |fhir: &Arc<Fhir>| {
            Ok::<_, anyhow::Error>(Subscriptions {
                fhir: Arc::clone(fhir),
                format: format()?,
            })
        };
        Ok(Self {
            site: Mutex::new(site),
            subscriptions: fhir.map(with).transpose()?,
            applied: AtomicU64::new(0),
        })
    }

    /// Has the plans of the built-in channel known to whoever replays or traces.
    pub(crate) fn keep(&self, kept: &crate::kept::Kept) {
        if let Some(Subscriptions { fhir, format }) = &self.subscriptions {
            let (fhir, format) = (Arc::clone(fhir), Arc::clone(format));
            kept.built_in(move || fhir.subscriptions(&format, &[]).0);
        }
    }

    fn merged(&self, site: &Plan, gone: &[Arc<str>]) -> Merged {
        let mut plan = site.clone();
        let change = self
            .subscriptions
            .as_ref()
            .map(|Subscriptions { fhir, format }| {
                let (channel, change) = fhir.subscriptions(format, gone);
                plan.channels
                    .insert(Arc::clone(&channel.name), Arc::new(channel));
                change
            });
        Merged(plan, change)
    }

    fn tell(&self, change: Option<u64>) {
        if let (Some(of), Some(change)) = (&self.subscriptions, change) {
            self.applied.fetch_max(change, Ordering::Relaxed);
            of.fhir.subscriptions_applied(change);
        }
    }

    /// A channel of the site has no name of the program's own.
    fn free(&self, site: &Plan) -> Result<(), EngineError> {
        if self.subscriptions.is_none() || !site.channels.contains_key(SUBSCRIPTIONS) {
            return Ok(());
        }
        let text = format!("the channel {SUBSCRIPTIONS}: its name is that of a built-in channel");
        Err(EngineError::Sources(vec![text]))
    }

    /// Starts the engine.
    pub(crate) async fn start(
        &self,
        options: impl Fn() -> EngineOptions,
    ) -> Result<Engine, EngineError> {
        let site = self.site.lock().await;
        self.free(&site)?;
        let Merged(plan, change) = self.merged(&site, &[]);
        let started = match Engine::start(plan, options()).await {
            Err(EngineError::RemovedWithQueue(orphans)) => {
                let Some(gone) = unsubscribed(&orphans) else {
                    return Err(EngineError::RemovedWithQueue(orphans));
                };
                Engine::start(self.merged(&site, &gone).0, options()).await
            }
            other => other,
        }?;
        self.tell(change);
        Ok(started)
    }

    /// Runs another plan of the site.
    pub(crate) async fn reload(
        &self,
        engine: &Engine,
        new: Plan,
    ) -> Result<ReloadReport, EngineError> {
        self.free(&new)?;
        let mut site = self.site.lock().await;
        let report = self.run(engine, &new).await?;
        *site = new;
        Ok(report)
    }

    async fn run(&self, engine: &Engine, site: &Plan) -> Result<ReloadReport, EngineError> {
        let Merged(plan, change) = self.merged(site, &[]);
        let done = match engine.reload(plan).await {
            Err(EngineError::RemovedWithQueue(orphans)) => {
                let Some(gone) = unsubscribed(&orphans) else {
                    return Err(EngineError::RemovedWithQueue(orphans));
                };
                let Merged(plan, _) = self.merged(site, &gone);
                engine.reload(plan).await
            }
            other => other,
        }?;
        self.tell(change);
        Ok(done)
    }

    /// Follows the subscriptions for as long as the node runs.
    pub(crate) async fn follow(&self, engine: &Engine) {
        let Some(of) = &self.subscriptions else {
            return;
        };
        let mut changes = of.fhir.subscriptions_changes();
        loop {
            let applied = self.applied.load(Ordering::Relaxed);
            // The server lives as long as this.
            if changes.wait_for(|change| *change > applied).await.is_err() {
                return;
            }
            let site = self.site.lock().await;
            let ran = self.run(engine, &site).await;
            drop(site);
            if let Err(error) = ran {
                tracing::error!(%error,
                    "the subscriptions have changed and their channel cannot follow; it is tried again");
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        }
    }
}

/// The subscriptions among destinations that are gone with their queues: what waits for them becomes
/// dead letters. `None` if others are among them.
fn unsubscribed(orphans: &[hilum_engine::Orphan]) -> Option<Vec<Arc<str>>> {
    let own = |orphan: &hilum_engine::Orphan| {
        (&*orphan.channel == SUBSCRIPTIONS).then(|| Arc::clone(&orphan.destination))
    };
    orphans.iter().map(own).collect()
}
