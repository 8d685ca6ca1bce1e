//! The active subscriptions of a tenant, in memory: what every commit is held against.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use hilum_fhir_store::{Query, ResourceType, StoreError, Stored, Watched};
use tokio::sync::watch;

use super::Hub;
use super::basic;
use super::commit::own_type;
use super::options::SubscriptionOptions;
use super::read::{self, Status, Subscribed};
use super::share::Share;
use super::topic::{self, Topics};
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
    /// Where other nodes may use the store.
    share: OnceLock<Share>,
    /// The state of what makes events that is known here, as the store counts it.
    watched: AtomicU64,
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
            share: OnceLock::new(),
            watched: AtomicU64::new(0),
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

    /// Where other nodes may use the store: what this one does of the delivering.
    pub(super) fn share(&self) -> Option<&Share> {
        self.share.get()
    }

    /// Notifications are sent by this node.
    pub(super) fn delivers(&self) -> bool {
        self.share().is_none_or(|share| share.turn().is_some())
    }

    /// What a commit has to tell of how its events were worked out, in a store that others write.
    pub(super) fn watched(&self, changes: bool) -> Option<Watched> {
        self.share().map(|_| Watched {
            known: self.watched.load(Ordering::Acquire),
            changes,
        })
    }

    /// This node was the one that changed what makes events.
    pub(super) fn changed_from(&self, watched: Watched) {
        self.watched.store(watched.known + 1, Ordering::Release);
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
    /// Reads the topics and subscriptions that are stored.
    async fn load_subscriptions(&self) -> Result<(), StoreError> {
        let subscriptions = &self.subscriptions;
        // Asked first: what changes meanwhile is read again.
        let watched = self.store.watched().await?;
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
        let (mut all, before) = (BTreeMap::new(), subscriptions.active());
        loop {
            let page = self.store.search(query.clone()).await?;
            for found in &page.found {
                if let Some(mut one) = self.subscribed(&found.stored) {
                    one.held = before.get(&one.id).is_some_and(|known| known.is_live());
                    if one.status == Status::Requested && !one.held {
                        // The program ended amid its handshake, or another node got the wish.
                        one.held = self.store.last_event(&one.id).await? > 0;
                    }
                    all.insert(one.id.clone(), Arc::new(one));
                }
            }
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        subscriptions.replace(all);
        subscriptions.watched.store(watched, Ordering::Release);
        Ok(())
    }

    /// Reads again what other nodes have changed.
    pub(super) async fn follow_others(&self) -> Result<(), StoreError> {
        let subscriptions = &self.subscriptions;
        let known = || subscriptions.watched.load(Ordering::Acquire);
        if self.store.watched().await? == known() {
            return Ok(());
        }
        let _alone = subscriptions.gate.write().await;
        if self.store.watched().await? != known() {
            self.load_subscriptions().await?;
            subscriptions.hub.changed();
        }
        Ok(())
    }

    /// Compiles the topics and reads the subscriptions that are stored; done before anything is
    /// served.
    pub(crate) async fn open_subscriptions(&self) -> Result<(), OpenError> {
        let topics = topic::compile(self, &self.subscriptions.options.topics)?;
        self.subscriptions
            .offer(Arc::new(topics), basic::Stored::new());
        if self.store.is_shared() {
            let share = || Share::new(self.node());
            self.subscriptions.share.get_or_init(share);
        }
        let loaded = self.load_subscriptions().await;
        loaded.map_err(|error| OpenError::Subscriptions(self.name.clone(), error.to_string()))
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
                // Its limit was asked when it was taken; what is stored as active is served, also if
                // a transaction brought several.
                Some(mut one) => {
                    one.held = all.get(id).is_some_and(|known| known.is_live());
                    all.insert(id.clone(), Arc::new(one))
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
