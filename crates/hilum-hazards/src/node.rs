//! A node of the site on a simulated disk: the real engine, journal and FHIR server, its sockets
//! replaced by the ends of [`crate::peers`].

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use hilum_component::{
    ChannelPlan, DestinationKind, FhirDoor, Millis, Plan, Registry, Reply, RetryPlan, SourceKind,
};
use hilum_config::{OpenTerminology, Options, Secrets};
use hilum_engine::{Engine, EngineOptions};
use hilum_faultfs::Disk;
use hilum_fhir_server::{
    Fhir, FhirOptions, Limits, StoreDisk, SubscriptionOptions, TenantOptions, Validate,
};
use hilum_journal::{Background, Clock, FreeSpace, JournalOptions};
use hilum_terminology::{ForSteps, Shelf, Terminology};

use crate::peers::{Real, Sender, V2, World};

/// When every story begins: 2026-11-02T06:00:00Z.
const BEGIN_MS: u64 = 1_793_599_200_000;

/// How long the node may take to come to rest before a run is given up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How long the steps of a message may take.
const STEP_BUDGET: Millis = Millis(60_000);

/// The checked site, made once for each thread: its components reach the FHIR store by one door.
pub(crate) struct Site {
    plan: Plan,
    door: FhirDoor,
    /// An empty journal and store.
    fresh: Disk,
    /// The channel of each source, by the system at its end.
    pub(crate) sources: BTreeMap<String, Arc<str>>,
}

impl Site {
    /// Reads and checks the folder, and makes an empty journal and store.
    pub(crate) async fn load(folder: &Path) -> anyhow::Result<Self> {
        let door = FhirDoor::default();
        let registry = Registry::new(
            hilum_formats::specs()
                .into_iter()
                .chain(hilum_steps::specs())
                .chain(hilum_connectors::specs()),
        );
        let options = Options {
            secrets: Secrets::Unread,
            fhir: door.clone(),
            terminology: OpenTerminology::new(|_| {
                let (now, state) = Shelf::default().now_with_state();
                let terminology = Terminology::new(now.to_vec());
                Ok(Arc::new(ForSteps::new(terminology, state)))
            }),
            ..Options::default()
        };
        let folder = folder
            .canonicalize()
            .with_context(|| format!("there is no folder {}", folder.display()))?;
        let loaded = hilum_config::load(&folder, &registry, &options);
        let Some(plan) = loaded.plan else {
            bail!("{}", hilum_config::render(&loaded.diagnostics));
        };
        let sources = plan.channels.values().filter_map(|channel| {
            Some((channel.source.system.clone()?, Arc::clone(&channel.name)))
        });
        let mut site = Self {
            sources: sources.collect(),
            plan,
            door,
            fresh: Disk::new(),
        };
        let mut first =
            Node::start(&site, World::default(), site.fresh.clone(), Arc::default()).await?;
        first.stop(&site).await;
        site.fresh = site.fresh.copy();
        Ok(site)
    }

    /// A disk on which nothing has happened.
    pub(crate) fn disk(&self) -> Disk {
        self.fresh.copy()
    }

    /// The names of the systems that the site delivers to; the FHIR store is `store`.
    pub(crate) fn receivers(&self) -> Vec<String> {
        let destinations = self
            .plan
            .channels
            .values()
            .flat_map(|channel| &channel.destinations);
        let mut names: Vec<String> = destinations
            .map(|one| one.system.clone().unwrap_or_else(|| one.name.to_string()))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The plan with the ends of a run in place of sockets, and quick retries.
    fn plan(&self, world: &World, senders: &mut BTreeMap<Arc<str>, Sender>) -> Plan {
        let mut plan = self.plan.clone();
        plan.stop_within = Millis(500);
        for (name, channel) in &mut plan.channels {
            let sender = Sender::default();
            let mut own = ChannelPlan::clone(channel);
            // That the machine is busy is no part of a story.
            own.step_budget = STEP_BUDGET;
            let source = sender.clone();
            // A topic stays what it is.
            if matches!(own.source.kind, SourceKind::Component(_)) {
                own.source.kind = SourceKind::Component(Arc::new(move || source.source()));
            }
            for destination in &mut own.destinations {
                let system = destination.system.clone();
                let end = system.unwrap_or_else(|| destination.name.to_string());
                let world = world.clone();
                destination.retry = RetryPlan {
                    first: Millis(1),
                    longest: Millis(4),
                    give_up_after: None,
                };
                let DestinationKind::Component(make) = destination.kind.clone() else {
                    continue;
                };
                let is_v2 = destination.component == "mllp";
                destination.kind = DestinationKind::Component(Arc::new(move || {
                    let (name, world) = (end.clone(), world.clone());
                    if is_v2 {
                        Arc::new(V2 { name, world })
                    } else {
                        let inner = make();
                        Arc::new(Real { name, world, inner })
                    }
                }));
            }
            *channel = Arc::new(own);
            senders.insert(Arc::clone(name), sender);
        }
        plan
    }
}

/// Minutes and messages since the story began.
pub(crate) type Time = Arc<AtomicU64>;

/// A running node.
pub(crate) struct Node {
    engine: Option<Arc<Engine>>,
    fhir: Option<Arc<Fhir>>,
    senders: BTreeMap<Arc<str>, Sender>,
    pub(crate) world: World,
    pub(crate) disk: Disk,
    /// Milliseconds since the story began.
    pub(crate) time: Time,
}

impl Node {
    /// Starts the site over what a disk holds.
    pub(crate) async fn start(
        site: &Site,
        world: World,
        disk: Disk,
        time: Time,
    ) -> anyhow::Result<Self> {
        let now = {
            let time = Arc::clone(&time);
            move || BEGIN_MS + time.fetch_add(1, Ordering::Relaxed)
        };
        let fhir = Fhir::open(fhir_options(&disk, now.clone())).await?;
        site.door.open(fhir.port());
        let mut journal = JournalOptions {
            clock: Clock::new(now),
            free: FreeSpace::new(|_| Ok(1 << 40)),
            files: Arc::new(disk.clone()),
            vfs: Some(disk.vfs()),
            background: Background::Caller,
            ..JournalOptions::default()
        };
        journal.limits.settle_linger = Duration::from_millis(1);
        journal.limits.read_threads = 1;
        journal.limits.readers_per_file = 1;
        let options = EngineOptions {
            data: disk.folder(),
            journal,
            threads: 1,
            kept: Arc::new(()),
            links: Arc::new(hilum_identity::Lanes),
        };
        let mut senders = BTreeMap::new();
        let plan = site.plan(&world, &mut senders);
        let engine = Engine::start(plan, options).await;
        let engine = match engine {
            Ok(engine) => engine,
            Err(error) => {
                site.door.close();
                return Err(error.into());
            }
        };
        Ok(Self {
            engine: Some(Arc::new(engine)),
            fhir: Some(fhir),
            senders,
            world,
            disk,
            time,
        })
    }

    /// Stops it as far as its disk lets it.
    pub(crate) async fn stop(&mut self, site: &Site) {
        if let Some(engine) = self.engine.take() {
            let closed = engine.journal().closed();
            engine.stop().await;
            drop(engine);
            // A thread that still holds it ends by itself.
            drop(tokio::time::timeout(PATIENCE, closed).await);
        }
        site.door.close();
        self.fhir = None;
    }

    /// The power goes, and the node starts again over what the disk kept.
    pub(crate) async fn power_cut(self, site: &Site, seed: u64) -> anyhow::Result<Self> {
        let mut gone = self;
        let kept = gone.disk.power_cut(seed);
        gone.stop(site).await;
        Self::start(site, gone.world.clone(), kept, Arc::clone(&gone.time)).await
    }

    /// The time of the story, Unix milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        BEGIN_MS + self.time.load(Ordering::Relaxed)
    }

    /// The engine, while it runs.
    pub(crate) fn engine(&self) -> anyhow::Result<&Arc<Engine>> {
        self.engine.as_ref().context("the node does not run")
    }

    /// The FHIR server, while it runs.
    pub(crate) fn fhir(&self) -> anyhow::Result<&Arc<Fhir>> {
        self.fhir.as_ref().context("the node does not run")
    }

    /// Sends a message into a channel.
    pub(crate) async fn send(&self, channel: &str, bytes: Bytes) -> Option<Reply> {
        self.senders.get(channel)?.send(bytes).await
    }

    /// Waits until nothing moves any more, except towards receivers that are away.
    pub(crate) async fn rest(&self) -> anyhow::Result<()> {
        let engine = self.engine()?;
        let rest = async {
            loop {
                let under_way = engine.under_way();
                let moves = |(_, to): &(Arc<str>, Arc<str>)| !self.world.is_away(to);
                if under_way.messages == 0 && !under_way.queues.iter().any(moves) {
                    return;
                }
                if self.disk.is_dead() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let rested = tokio::time::timeout(PATIENCE, rest).await;
        rested.with_context(|| format!("the node does not come to rest: {:?}", engine.under_way()))
    }
}

fn fhir_options(disk: &Disk, now: impl Fn() -> u64 + Send + Sync + 'static) -> FhirOptions {
    let file = disk.folder().join("fhir.db");
    FhirOptions {
        tenants: vec![TenantOptions {
            jobs: file.with_extension("jobs"),
            file,
            disk: Some(StoreDisk {
                files: Arc::new(disk.clone()),
                vfs: disk.vfs(),
            }),
            validate: Validate::Off,
            ..TenantOptions::default()
        }],
        url: None,
        origins: Vec::new(),
        import_folder: None,
        import_from: Vec::new(),
        import_tls: None,
        limits: Limits::default(),
        subscriptions: SubscriptionOptions::default(),
        terminology: Arc::new(Shelf::default()),
        clock: Arc::new(move || i64::try_from(now()).unwrap_or(i64::MAX)),
    }
}
