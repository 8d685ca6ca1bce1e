//! A tenant under its name: what it is for requests of now, and how that changes.
//!
//! A request gets the tenant as it is when the request begins and keeps it to its end, so that it
//! sees one set of search parameters. When parameters change a new one takes its place.
//!
//! **Invariant**: what is committed after the change is indexed by the new parameters. A commit that
//! was prepared before is indexed again while no change can happen, so a reindex that begins
//! afterwards finds every resource that lacks the new values.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use hilum_fhir_store::{Commit, Committed, Counted, Method, ParamKey, StoreError};
use tokio::sync::{Notify, OwnedRwLockWriteGuard};

use crate::parameter;
use crate::search::table::{Table, custom_specs, is_custom};
use crate::tenant::Tenant;
use crate::write;

/// As long as it lives, only its owner commits: what is read meanwhile is what its commit left.
/// Erasing, and other programs that write the same schema, are not kept away.
pub(crate) struct Alone(#[expect(dead_code, reason = "it is held")] OwnedRwLockWriteGuard<()>);

/// The place of a tenant.
pub(crate) struct Slot {
    now: RwLock<Arc<Tenant>>,
    /// Shared by commits on their way to the store; taken alone to change the tenant.
    writing: tokio::sync::RwLock<()>,
    /// Shared by commits; taken alone by who has to read what its own commit left.
    others: Arc<tokio::sync::RwLock<()>>,
    changing: tokio::sync::Mutex<()>,
    /// There may be something to index again.
    pub(crate) wake: Notify,
    /// What parameters were found to find when the last reindex had ended.
    counted: Mutex<Vec<Counted>>,
}

impl Slot {
    pub(crate) fn new(tenant: Tenant) -> Self {
        Self {
            now: RwLock::new(Arc::new(tenant)),
            writing: tokio::sync::RwLock::default(),
            others: Arc::default(),
            changing: tokio::sync::Mutex::default(),
            wake: Notify::new(),
            counted: Mutex::default(),
        }
    }

    /// The tenant for one request.
    pub(crate) fn now(&self) -> Arc<Tenant> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn counted(&self) -> Vec<Counted> {
        let counted = self.counted.lock();
        counted.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_counted(&self, counted: Vec<Counted>) {
        *self.counted.lock().unwrap_or_else(PoisonError::into_inner) = counted;
    }

    /// Waits for commits that are on their way, and keeps others back.
    pub(crate) async fn alone(&self) -> Alone {
        Alone(Arc::clone(&self.others).write_owned().await)
    }

    /// Commits what was prepared with a tenant of this slot, and puts search parameters that it
    /// changes into use.
    pub(crate) async fn commit(
        self: &Arc<Self>,
        prepared_with: &Arc<Tenant>,
        commit: Commit,
    ) -> Result<Committed, StoreError> {
        let _with_others = self.others.read().await;
        self.commit_alone(prepared_with, commit).await
    }

    /// As [`Slot::commit`], for who is [`Alone`].
    pub(crate) async fn commit_alone(
        self: &Arc<Self>,
        prepared_with: &Arc<Tenant>,
        commit: Commit,
    ) -> Result<Committed, StoreError> {
        let parameters = parameter::stored_type(prepared_with);
        let mut changes = commit.changes.iter();
        if !changes.any(|change| Some(change.resource_type) == parameters) {
            return self.write(prepared_with, commit).await;
        }
        // Goes on when the client hangs up: what is in use follows what is stored.
        let (slot, prepared_with) = (Arc::clone(self), Arc::clone(prepared_with));
        let whole = async move {
            let committed = slot.write(&prepared_with, commit).await?;
            if let Err(error) = slot.refresh().await {
                // It is stored; the next change or start puts it into use.
                tracing::error!(%error, "search parameters could not be put into use");
            }
            Ok(committed)
        };
        let done = tokio::spawn(whole).await;
        done.unwrap_or(Err(StoreError::Closed))
    }

    async fn write(
        &self,
        prepared_with: &Tenant,
        mut commit: Commit,
    ) -> Result<Committed, StoreError> {
        let _writing = self.writing.read().await;
        let now = self.now();
        if !Arc::ptr_eq(&now.table, &prepared_with.table) {
            index_again(&now, &mut commit);
        }
        let defines = commit.changes.iter().any(|change| {
            let named = now.type_name(change.resource_type);
            matches!(named, "CodeSystem" | "ValueSet" | "ConceptMap")
        });
        let committed = now.commit(commit).await;
        if defines {
            // Before the writer is answered, so that its next question sees what it wrote.
            now.codes.forget();
        }
        committed
    }

    /// Puts the search parameters that are stored into use, and takes others out of it.
    pub(crate) async fn refresh(&self) -> Result<(), StoreError> {
        let _changing = self.changing.lock().await;
        let tenant = self.now();
        let (set, custom) = parameter::set(&tenant.guides, parameter::stored(&tenant).await?);
        let definitions = tenant.table.definitions;
        let specs = custom_specs(definitions, &set);
        let catalog = tenant.store.catalog();
        let retired: Vec<ParamKey> = catalog
            .params()
            .iter()
            .filter(|param| is_custom(&param.code))
            .filter(|param| {
                let of = catalog.type_name(param.resource_type);
                let mut specs = specs.iter();
                !specs.any(|spec| *spec.resource_type == *of && spec.code == param.code)
            })
            .map(|param| param.key)
            .collect();
        if !specs.is_empty() || !retired.is_empty() {
            tenant.store.define(specs, retired).await?;
        }
        let table = Table::new(
            definitions,
            Arc::new(set),
            &tenant.store.catalog(),
            Arc::clone(&tenant.table.progress),
        );
        let next = Tenant {
            table: Arc::new(table),
            custom: Arc::new(custom),
            ..(*tenant).clone()
        };
        let writing = self.writing.write().await;
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        drop(writing);
        self.wake.notify_one();
        Ok(())
    }
}

/// Finds the index values of changes once more, by the parameters of now.
fn index_again(now: &Tenant, commit: &mut Commit) {
    for change in &mut commit.changes {
        match &mut change.method {
            Method::Create { body, rows } | Method::Update { body, rows } => {
                match write::trusted(&write::unversioned(body)) {
                    Ok(resource) => *rows = now.rows(&resource),
                    // Its values are those of before; a reindex finds it.
                    Err(_) => tracing::error!(
                        resource_type = now.type_name(change.resource_type),
                        "a resource cannot be read to be indexed by new search parameters"
                    ),
                }
            }
            Method::Delete => {}
        }
    }
}
