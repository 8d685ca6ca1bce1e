//! Events in commits: what is about to be written is held against the active subscriptions.
//!
//! A change that no subscription of its type waits for costs one look into a map. A change of a
//! Subscription itself, or of a topic, is done alone, so that every other commit was prepared with the
//! subscriptions that are active when it is written.

use std::sync::{Arc, OnceLock};

use hilum_fhir::Resource;
use hilum_fhir_store::{
    Change, Commit, Committed, Expect, Expected, Method, OutboxEvent, ResourceType, Searchable,
    StoreError, Stored,
};

use super::active::Active;
use super::basic;
use super::read::Subscribed;
use crate::as_of;
use crate::tenant::Tenant;
use crate::write;

/// Times that a commit is prepared anew because a resource changed whose former state it names.
const TRIES_MAX: usize = 8;

/// One change, as a subscription looks at it.
pub(super) struct Moment<'m> {
    /// The resource as it will be; none if it is deleted.
    pub(super) now: Option<&'m Seen>,
    /// The resource as it is; none if it does not exist, or nobody asked.
    pub(super) before: Option<&'m Seen>,
    pub(super) at_ms: i64,
}

/// A resource, as conditions look at it.
pub(super) struct Seen {
    pub(super) searchable: Searchable,
    json: bytes::Bytes,
    /// Read when an expression asks for it.
    tree: OnceLock<Option<Resource>>,
}

impl Seen {
    fn new(searchable: Searchable, json: bytes::Bytes) -> Self {
        Self {
            searchable,
            json,
            tree: OnceLock::new(),
        }
    }

    pub(super) fn tree(&self) -> Option<&Resource> {
        let read = || write::trusted(&self.json).ok();
        self.tree.get_or_init(read).as_ref()
    }
}

impl Tenant {
    /// Writes a commit with the events that follow from it.
    pub(crate) async fn commit(self: &Arc<Self>, commit: Commit) -> Result<Committed, StoreError> {
        let committed = self.gated(commit).await;
        // Also after a failure: of that it is unknown whether it was written.
        self.subscriptions.committed();
        committed
    }

    async fn gated(self: &Arc<Self>, commit: Commit) -> Result<Committed, StoreError> {
        if self.subscriptions.share().is_none() {
            return self.once(commit).await;
        }
        for _ in 0..TRIES_MAX {
            match self.once(commit.clone()).await {
                // Another node has changed a subscription.
                Err(StoreError::Outdated) => self.follow_others().await?,
                outcome => return outcome,
            }
        }
        Err(StoreError::Busy)
    }

    async fn once(self: &Arc<Self>, mut commit: Commit) -> Result<Committed, StoreError> {
        let own = self.subscriptions.resource_type();
        let topics = self.subscriptions.stored_topics();
        let basics = basic::stored_type(self);
        let mut changes = commit.changes.iter();
        let of_topics = changes.any(|change| basic::concerns(change, basics, &topics));
        let changes = commit.changes.iter();
        let of_subscriptions = changes.filter(|change| Some(change.resource_type) == own);
        let ids: Vec<String> = of_subscriptions.map(|change| change.id.clone()).collect();
        if ids.is_empty() && !of_topics {
            let _others = self.subscriptions.gate.read().await;
            commit.watched = self.subscriptions.watched(false);
            return self.notifying(commit).await;
        }
        // Goes on when the client hangs up: what is in memory follows what is stored.
        let tenant = Arc::clone(self);
        let alone = async move {
            let _alone = tenant.subscriptions.gate.write().await;
            let watched = tenant.subscriptions.watched(true);
            commit.watched = watched;
            let committed = tenant.notifying(commit).await;
            if let (Some(watched), Ok(_)) = (watched, &committed) {
                tenant.subscriptions.changed_from(watched);
            }
            // Also after a failure: of that it is unknown whether it was written.
            if of_topics {
                tenant.reread_topics().await;
            }
            tenant.reread(&ids).await;
            committed
        };
        let done = tokio::spawn(alone).await;
        done.unwrap_or(Err(StoreError::Closed))
    }

    /// Deletes the subscriptions and topics among some resources, so that nobody goes by them when
    /// they are erased.
    pub(crate) async fn unsubscribe(
        self: &Arc<Self>,
        some: &[(ResourceType, String)],
    ) -> Result<(), StoreError> {
        let own = self.subscriptions.resource_type();
        let topics = self.subscriptions.stored_topics();
        let basics = basic::stored_type(self);
        let concerned = |(of, id): &&(ResourceType, String)| {
            Some(*of) == own || (Some(*of) == basics && topics.contains_key(id))
        };
        let deletes = some.iter().filter(concerned).map(|(of, id)| Change {
            resource_type: *of,
            id: id.clone(),
            method: Method::Delete,
        });
        let changes: Vec<Change> = deletes.collect();
        if changes.is_empty() {
            return Ok(());
        }
        let commit = Commit {
            changes,
            ..Commit::default()
        };
        self.commit(commit).await.map(drop)
    }

    async fn notifying(&self, commit: Commit) -> Result<Committed, StoreError> {
        let active = self.subscriptions.active();
        let needs =
            |change: &Change| active.needs_before(change.resource_type) && !is_quiet(change);
        let committed = if commit.changes.iter().any(needs) {
            self.with_former(&active, commit).await
        } else {
            let mut commit = commit;
            for (at, change) in commit.changes.iter().enumerate() {
                let known = active.of(change.resource_type);
                if known.is_empty() || is_quiet(change) {
                    continue;
                }
                let now = self.now_of(change)?;
                let moment = Moment {
                    now: now.as_ref(),
                    before: None,
                    at_ms: self.subscriptions.now_ms(),
                };
                commit.events.extend(events(known, change, at, &moment));
            }
            let any = !commit.events.is_empty();
            let committed = self.store.commit(commit).await;
            if any {
                self.subscriptions.hub().wake();
            }
            return committed;
        };
        self.subscriptions.hub().wake();
        committed
    }

    fn now_of(&self, change: &Change) -> Result<Option<Seen>, StoreError> {
        let (body, rows) = match &change.method {
            Method::Create { body, rows } | Method::Update { body, rows } => (body, rows),
            Method::Delete => return Ok(None),
        };
        let of = change.resource_type;
        let searchable = self.store.searchable(of, &change.id, rows)?;
        Ok(Some(Seen::new(searchable, body.bytes.clone())))
    }

    /// A commit whose events depend on what was there before: it is read, expected to be so still
    /// when the commit is written, and read again if it is not.
    async fn with_former(&self, active: &Active, commit: Commit) -> Result<Committed, StoreError> {
        let own = commit.expectations.len();
        for _ in 0..TRIES_MAX {
            let mut tried = commit.clone();
            for (at, change) in commit.changes.iter().enumerate() {
                let known = active.of(change.resource_type);
                if known.is_empty() || is_quiet(change) {
                    continue;
                }
                let stored = self.store.read(change.resource_type, &change.id).await?;
                let stored = stored.filter(|stored| stored.body.is_some());
                let before = match &stored {
                    Some(stored) => Some(self.seen(stored)?),
                    None => None,
                };
                tried.expectations.push(Expect::Version {
                    resource_type: change.resource_type,
                    id: change.id.clone(),
                    expected: stored
                        .map_or(Expected::Absent, |stored| Expected::Exactly(stored.version)),
                });
                let now = self.now_of(change)?;
                let moment = Moment {
                    now: now.as_ref(),
                    before: before.as_ref(),
                    at_ms: self.subscriptions.now_ms(),
                };
                if moment.now.is_none() && moment.before.is_none() {
                    continue;
                }
                tried.events.extend(events(known, change, at, &moment));
            }
            match self.store.commit(tried).await {
                // Not what the caller expects, but what was read here.
                Err(StoreError::Conflict { at, .. })
                    if at >= own && self.moved(&commit, at - own, active) => {}
                other => return other,
            }
        }
        Err(StoreError::Busy)
    }

    /// Whether a conflict is with an expectation of [`Tenant::with_former`] and not with the changes
    /// behind all expectations.
    fn moved(&self, commit: &Commit, at: usize, active: &Active) -> bool {
        let watched = commit.changes.iter();
        let watched = watched
            .filter(|change| !active.of(change.resource_type).is_empty() && !is_quiet(change));
        at < watched.count()
    }

    /// What is stored, as conditions look at it.
    pub(super) fn seen(&self, stored: &Stored) -> Result<Seen, StoreError> {
        let json = write::spliced(stored).unwrap_or_default();
        let Ok(resource) = write::trusted(&json) else {
            return Err(StoreError::Invalid("what is stored cannot be read"));
        };
        let rows = self.rows(&resource);
        let of = stored.resource_type;
        let searchable = self.store.searchable(of, &stored.id, &rows)?;
        Ok(Seen {
            tree: OnceLock::from(Some(resource)),
            ..Seen::new(searchable, json.into())
        })
    }
}

/// A version that came late, and the repeated one behind it, change nothing that anybody sees.
fn is_quiet(change: &Change) -> bool {
    match &change.method {
        Method::Create { body, .. } | Method::Update { body, .. } => as_of::is_quiet(body),
        Method::Delete => false,
    }
}

/// The events of one change, one for each subscription that waits for it.
fn events(
    known: &[Arc<Subscribed>],
    change: &Change,
    at: usize,
    moment: &Moment<'_>,
) -> Vec<OutboxEvent> {
    let of = change.resource_type;
    let waits = |one: &&Arc<Subscribed>| {
        one.end_ms.is_none_or(|end| end > moment.at_ms)
            && one
                .watches
                .iter()
                .any(|watch| watch.resource_type == of && watch.holds(moment))
    };
    let event = |one: &Arc<Subscribed>| OutboxEvent {
        topic: one.id.clone(),
        change: at,
        payload: bytes::Bytes::new(),
    };
    known.iter().filter(waits).map(event).collect()
}

/// The type of a subscription's resource in the store.
pub(super) fn own_type(tenant: &Tenant) -> Option<ResourceType> {
    let table = &tenant.table;
    let ty = table.type_named("Subscription")?;
    table.stored(ty)
}
