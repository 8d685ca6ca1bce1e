//! The active subscriptions of a tenant, in memory: what every commit is held against.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use hilum_fhir_store::{Query, ResourceType, StoreError, Stored};
use tokio::sync::watch;

use super::Hub;
use super::basic;
use super::commit::own_type;
use super::options::SubscriptionOptions;
use super::read::{self, Status, Subscribed};
use super::topic::{self, Topics};
use crate::fault::Fault;
use crate::open::OpenError;
use crate::tenant::Tenant;
use crate::time::Clock;
use crate::write;

/// Subscriptions that are read at once at start.
const PAGE: u32 = 500;
/// Events whose age is looked at when old ones are dropped.
const TRIM_MAX: usize = 1_000;

/// What a tenant has of subscriptions.
pub(crate) struct Subscriptions {
    /// Commits share it; a change of a Subscription has it alone.
    pub(super) gate: tokio::sync::RwLock<()>,
    active: RwLock<Arc<Active>>,
    hub: Arc<Hub>,
    options: SubscriptionOptions,
    clock: Clock,
    base: String,
    /// Up to where the channel has the outbox.
    accepted: AtomicI64,
    /// Counts commits.
    commits: watch::Sender<u64>,
    topics: RwLock<Offered>,
    /// Subscriptions that cannot be served, with the reason; their status is to say it.
    broken: Mutex<Vec<(String, String)>>,
    own: OnceLock<ResourceType>,
}

/// What may be subscribed to.
#[derive(Clone, Default)]
struct Offered {
    configured: Arc<Topics>,
    stored: Arc<basic::Stored>,
    all: Arc<Topics>,
}

/// One state of the active subscriptions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Active {
    all: BTreeMap<String, Arc<Subscribed>>,
    by_type: HashMap<ResourceType, Vec<Arc<Subscribed>>>,
    before: HashSet<ResourceType>,
}

impl Active {
    fn new(all: BTreeMap<String, Arc<Subscribed>>) -> Self {
        let mut by_type: HashMap<ResourceType, Vec<Arc<Subscribed>>> = HashMap::new();
        let mut before = HashSet::new();
        let live = all.values().filter(|one| one.is_live());
        for subscribed in live {
            for watch in &subscribed.watches {
                let of = by_type.entry(watch.resource_type).or_default();
                if !of.iter().any(|known| known.id == subscribed.id) {
                    of.push(Arc::clone(subscribed));
                }
                if watch.needs_before() {
                    before.insert(watch.resource_type);
                }
            }
        }
        Self {
            all,
            by_type,
            before,
        }
    }

    /// The subscriptions that wait for changes of a type.
    pub(super) fn of(&self, resource_type: ResourceType) -> &[Arc<Subscribed>] {
        self.by_type
            .get(&resource_type)
            .map_or(&[], |known| known.as_slice())
    }

    /// To tell events of this type, the resource as it was must be known.
    pub(super) fn needs_before(&self, resource_type: ResourceType) -> bool {
        self.before.contains(&resource_type)
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Arc<Subscribed>> {
        self.all.get(id)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Subscribed>> {
        self.all.values()
    }
}

impl Subscriptions {
    pub(crate) fn new(
        hub: Arc<Hub>,
        options: SubscriptionOptions,
        clock: Clock,
        base: String,
    ) -> Self {
        Self {
            gate: tokio::sync::RwLock::new(()),
            active: RwLock::default(),
            hub,
            options,
            clock,
            base,
            accepted: AtomicI64::new(0),
            commits: watch::Sender::new(0),
            topics: RwLock::default(),
            broken: Mutex::default(),
            own: OnceLock::new(),
        }
    }

    pub(crate) fn active(&self) -> Arc<Active> {
        let active = self.active.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&active)
    }

    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    pub(crate) fn options(&self) -> &SubscriptionOptions {
        &self.options
    }

    pub(crate) fn clock(&self) -> Clock {
        Arc::clone(&self.clock)
    }

    /// Something may have been committed.
    pub(super) fn committed(&self) {
        self.commits.send_modify(|count| *count += 1);
    }

    /// Changes whenever something may have been committed here.
    pub(crate) fn commits(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }

    /// The channel has the outbox up to a row.
    pub(super) fn accepted(&self, number: i64) {
        self.accepted.fetch_max(number, Ordering::Relaxed);
    }

    pub(crate) fn now_ms(&self) -> i64 {
        (self.clock)()
    }

    /// The URL of the tenant, as notifications name it.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    fn offered(&self) -> Offered {
        let offered = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        offered.clone()
    }

    /// What may be subscribed to.
    pub(crate) fn topics(&self) -> Arc<Topics> {
        self.offered().all
    }

    /// The topics that are resources.
    pub(super) fn stored_topics(&self) -> Arc<basic::Stored> {
        self.offered().stored
    }

    /// The site itself has a topic with this URL.
    pub(super) fn configured(&self, url: &str) -> bool {
        self.offered().configured.contains_key(url)
    }

    fn offer(&self, configured: Arc<Topics>, stored: basic::Stored) {
        let mut all = (*configured).clone();
        for (url, topic) in stored.values() {
            all.entry(url.clone()).or_insert_with(|| Arc::clone(topic));
        }
        let mut offered = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        *offered = Offered {
            configured,
            stored: Arc::new(stored),
            all: Arc::new(all),
        };
    }

    /// Takes what is to be told of subscriptions that cannot be served.
    pub(super) fn take_broken(&self) -> Vec<(String, String)> {
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *broken)
    }

    /// The type of Subscriptions in the store.
    pub(super) fn resource_type(&self) -> Option<ResourceType> {
        self.own.get().copied()
    }

    fn replace(&self, all: BTreeMap<String, Arc<Subscribed>>) {
        let mut active = self.active.write().unwrap_or_else(PoisonError::into_inner);
        *active = Arc::new(Active::new(all));
    }
}

impl Tenant {
    /// Reads the subscriptions that are stored; done once, before anything is served.
    async fn load_subscriptions(&self) -> Result<(), Fault> {
        let subscriptions = &self.subscriptions;
        let configured = subscriptions.offered().configured;
        subscriptions.offer(configured, basic::stored(self).await?);
        let Some(own) = own_type(self) else {
            return Ok(());
        };
        let own = *subscriptions.own.get_or_init(|| own);
        let mut query = Query {
            types: vec![own],
            count: PAGE,
            ..Query::default()
        };
        let mut all = BTreeMap::new();
        loop {
            let page = self.search(query.clone()).await?;
            for found in &page.found {
                if let Some(mut one) = self.subscribed(&found.stored) {
                    // The program ended amid its handshake.
                    one.held = self.store.last_event(&one.id).await? > 0;
                    all.insert(one.id.clone(), Arc::new(one));
                }
            }
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        subscriptions.replace(all);
        Ok(())
    }

    /// Compiles the topics and reads the subscriptions that are stored.
    pub(crate) async fn open_subscriptions(&self) -> Result<(), OpenError> {
        let topics = topic::compile(self, &self.subscriptions.options.topics)?;
        self.subscriptions
            .offer(Arc::new(topics), basic::Stored::new());
        self.load_subscriptions().await.map_err(|fault| {
            let first = fault
                .problems
                .first()
                .map(|problem| problem.text.to_string());
            OpenError::Subscriptions(self.name.clone(), first.unwrap_or_default())
        })
    }

    /// Forgets events that the channel has and that are too old, or too many.
    pub(super) async fn trim_events(&self) {
        let subscriptions = &self.subscriptions;
        let options = &subscriptions.options;
        let accepted = subscriptions.accepted.load(Ordering::Relaxed);
        let keep_max = i64::try_from(options.keep_max).unwrap_or(i64::MAX);
        let keep = i64::try_from(options.keep.as_millis()).unwrap_or(i64::MAX);
        let old = subscriptions.now_ms().saturating_sub(keep);
        let trimmed = async {
            let first = self.store.outbox(0, TRIM_MAX).await?;
            let aged = first.iter().take_while(|row| row.at_ms < old).last();
            let aged = aged.map_or(0, |row| row.number);
            let to = aged.max(accepted - keep_max).min(accepted);
            if first.first().is_some_and(|row| row.number <= to) {
                self.store.trim_outbox(to).await?;
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = trimmed.await {
            tracing::error!(tenant = %self.name, %error, "old events cannot be dropped; it is tried again");
        }
    }

    /// Follows what is stored now of topics, and has the subscriptions to them mean it.
    pub(super) async fn reread_topics(&self) {
        let subscriptions = &self.subscriptions;
        match basic::stored(self).await {
            Ok(stored) => subscriptions.offer(subscriptions.offered().configured, stored),
            Err(error) => {
                tracing::error!(%error, "the topics cannot be read; they stay as they were");
                return;
            }
        }
        let active = subscriptions.active();
        let topical = active.all().filter(|one| one.topic.is_some());
        let ids: Vec<String> = topical.map(|one| one.id.clone()).collect();
        self.reread(&ids).await;
    }

    /// Follows what is stored now of some subscriptions.
    pub(super) async fn reread(&self, ids: &[String]) {
        let subscriptions = &self.subscriptions;
        let Some(own) = subscriptions.resource_type() else {
            return;
        };
        let mut all = subscriptions.active().all.clone();
        for id in ids {
            let one = match self.store.read(own, id).await {
                Ok(stored) => stored.and_then(|stored| self.subscribed(&stored)),
                Err(error) => {
                    tracing::error!(subscription = %id, %error,
                        "a subscription cannot be read; it stays as it was until it is written again");
                    continue;
                }
            };
            let known = match one {
                Some(mut one)
                    if all.len() < subscriptions.options.active_max || all.contains_key(id) =>
                {
                    one.held = all.get(id).is_some_and(|known| known.is_live());
                    all.insert(id.clone(), Arc::new(one))
                }
                Some(_) => {
                    tracing::error!(subscription = %id, limit = "active_max",
                        "a subscription is not active: there are too many");
                    continue;
                }
                None => all.remove(id),
            };
            tracing::debug!(subscription = %id, known = known.is_some(), "a subscription has changed");
        }
        subscriptions.replace(all);
        subscriptions.hub.changed();
    }

    /// A stored Subscription, if it is not off.
    fn subscribed(&self, stored: &Stored) -> Option<Subscribed> {
        let json = write::spliced(stored)?;
        let resource = write::trusted(&json).ok()?;
        if resource.root().child_text("status") == Some(Status::Off.code()) {
            return None;
        }
        match read::read(self, &resource) {
            Ok(read) if read.status == Status::Off => None,
            Ok(read) => Some(read),
            Err(problems) => {
                let first = problems.first();
                let text = first
                    .map(|problem| problem.text.as_ref())
                    .unwrap_or_default();
                tracing::warn!(subscription = %stored.id, "a subscription is not active: {text}");
                let refused = resource.root().child_text("error");
                if !refused.is_some_and(read::is_refused) {
                    let broken = &self.subscriptions.broken;
                    let mut broken = broken.lock().unwrap_or_else(PoisonError::into_inner);
                    broken.push((stored.id.to_string(), text.to_owned()));
                }
                None
            }
        }
    }
}
