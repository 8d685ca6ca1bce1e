//! The store as its callers see it.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use hilum_db::{Cancel, DbFile, RealFiles};

use crate::catalog::Catalog;
use crate::commit::{Commit, Committed, OutboxRow};
use crate::config::{ParamSpec, Place, StoreConfig};
use crate::entry::pack;
use crate::erase::{EraseStep, Erased};
use crate::error::StoreError;
use crate::id::{ParamKey, Pk, ResourceType, Seq};
use crate::job::{Job, JobChange, JobState, NewJob};
use crate::moment::{Listing, MomentPage, MomentQuery};
use crate::postgres::PgStore;
use crate::query::{Cursor, Query};
use crate::reindex::{Counted, Progress};
use crate::row::IndexRow;
use crate::search::{Condition, Searchable};
use crate::shared::Shared;
use crate::sqlite::{SqliteStore, file};
use crate::stored::{HistoryPage, HistoryQuery, Page, Stored};

/// An open store. Clones are the same store; it closes when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) inner: Arc<Backend>,
}

/// Where it is kept.
#[derive(Debug)]
pub(crate) enum Backend {
    Sqlite(SqliteStore),
    Postgres(PgStore),
}

/// Asks the place that keeps the store.
macro_rules! ask {
    ($store:ident, $place:ident => $asked:expr) => {
        match &*$store.inner {
            Backend::Sqlite($place) => $asked,
            Backend::Postgres($place) => $asked,
        }
    };
}

impl Store {
    /// Opens a store, making it if it is not there. Blocks: it may have to recover what an unclean
    /// stop left.
    ///
    /// # Errors
    /// If the place cannot be used, or a newer program wrote it.
    pub fn open(config: StoreConfig) -> Result<Self, StoreError> {
        match &config.place {
            Place::Sqlite(path) => {
                let file = file(path, Arc::new(RealFiles));
                Self::open_file(file, config)
            }
            Place::Postgres(place) => {
                let place = (**place).clone();
                let inner = Arc::new(Backend::Postgres(PgStore::open(place, config)?));
                Ok(Self { inner })
            }
        }
    }

    /// As [`Store::open`], on a file that the caller describes: another disk, other settings.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_file(file: DbFile, config: StoreConfig) -> Result<Self, StoreError> {
        let inner = Arc::new(Backend::Sqlite(SqliteStore::open(file, config)?));
        Ok(Self { inner })
    }

    /// Takes no more commits; returns when those on their way have their outcome and the file is
    /// closed. Blocks.
    pub fn close(&self) {
        ask!(self, at => at.close());
    }

    pub(crate) fn shared(&self) -> &Shared {
        ask!(self, at => at.shared())
    }

    /// The names of types and parameters.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        self.shared().catalog()
    }

    /// Registers search parameters; known ones keep their keys. One whose type has resources
    /// already is [building](crate::Param::building) until they are indexed again.
    ///
    /// The `retired` ones are not kept up from now on, so one of them that is registered once more
    /// is built once more.
    ///
    /// # Errors
    /// If a type is unknown or the place fails.
    pub async fn define(
        &self,
        params: Vec<ParamSpec>,
        retired: Vec<ParamKey>,
    ) -> Result<Vec<ParamKey>, StoreError> {
        ask!(self, at => at.define(params, retired).await)
    }

    /// Writes everything in `commit`, or nothing; returns when it is durable.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] and [`StoreError::Stale`] if an expectation does not hold,
    /// [`StoreError::Limit`], or as the place fails: of a commit that failed otherwise it is
    /// unknown whether it was written.
    pub async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        ask!(self, at => at.commit(commit).await)
    }

    /// The current version of a resource; without a body if that is its deletion. SQLite reads it
    /// on the caller's thread: a few microseconds when the pages are in memory.
    ///
    /// # Errors
    /// As the place fails.
    pub async fn read(&self, of: ResourceType, id: &str) -> Result<Option<Stored>, StoreError> {
        let found = ask!(self, at => at.read(of, id).await)?;
        self.whole_one(found).await
    }

    /// A version of a resource; without a body if it is a deletion. As [`Store::read`].
    ///
    /// # Errors
    /// As the place fails.
    pub async fn vread(
        &self,
        of: ResourceType,
        id: &str,
        version: u32,
    ) -> Result<Option<Stored>, StoreError> {
        let found = ask!(self, at => at.vread(of, id, version).await)?;
        self.whole_one(found).await
    }

    /// The current versions of several resources, from one snapshot.
    ///
    /// # Errors
    /// As the place fails.
    pub async fn read_many(
        &self,
        wanted: Vec<(ResourceType, String)>,
    ) -> Result<Vec<Option<Stored>>, StoreError> {
        let mut all = ask!(self, at => at.read_many(wanted).await)?;
        for stored in all.iter_mut().flatten() {
            self.whole_in(stored).await?;
        }
        Ok(all)
    }

    /// The current versions of resources in the order asked for; deleted ones are left out.
    ///
    /// # Errors
    /// As the place fails.
    pub async fn fetch(&self, pks: Vec<Pk>) -> Result<Vec<Stored>, StoreError> {
        let found = ask!(self, at => at.fetch(pks).await)?;
        self.whole_all(found).await
    }

    /// A page of history, newest first.
    ///
    /// # Errors
    /// As the place fails.
    pub async fn history(&self, query: HistoryQuery) -> Result<HistoryPage, StoreError> {
        let mut page = ask!(self, at => at.history(query).await)?;
        page.versions = self.whole_all(page.versions).await?;
        Ok(page)
    }

    /// A page of a search, from one snapshot.
    ///
    /// # Errors
    /// [`StoreError::TooCostly`] if it takes longer than a search may, [`StoreError::Limit`],
    /// [`StoreError::Invalid`], or as the place fails.
    pub async fn search(&self, query: Query) -> Result<Page, StoreError> {
        let found = ask!(self, at => at.search(query).await)?;
        self.whole_page(found).await
    }

    /// What each of some searches finds on its first page, with the ids, from one snapshot: for
    /// searches that are asked together and whose resources are not wanted. All of them together
    /// may take as long as one search.
    ///
    /// # Errors
    /// As [`Store::search`].
    pub async fn named(&self, queries: Vec<Query>) -> Result<Vec<Vec<(Pk, String)>>, StoreError> {
        ask!(self, at => at.named(queries).await)
    }

    /// Runs a search and tells how it was done: kinds, parameter keys and counts, no values.
    ///
    /// # Errors
    /// As [`Store::search`].
    pub async fn explain(&self, query: Query) -> Result<String, StoreError> {
        ask!(self, at => at.explain(query).await)
    }

    /// Resources among which each different value that some parameters have occurs, in the order of
    /// creation: at most one for each value. For parameters of kinds that are found by equality.
    ///
    /// # Errors
    /// [`StoreError::Limit`] if there are more than
    /// [`Limits::distinct_max`](crate::Limits::distinct_max) values, or as [`Store::search`].
    pub async fn one_of_each(&self, params: Vec<ParamKey>) -> Result<Vec<Stored>, StoreError> {
        let found = ask!(self, at => at.one_of_each(params).await)?;
        self.whole_all(found).await
    }

    /// The resources that some resources reference through parameters (through all if empty), each
    /// once, in no order (`_include`).
    ///
    /// # Errors
    /// As [`Store::search`].
    pub async fn references(
        &self,
        from: Vec<Pk>,
        params: Vec<ParamKey>,
    ) -> Result<Vec<Pk>, StoreError> {
        ask!(self, at => at.references(from, params).await)
    }

    /// At most `max` of the resources that reference some resources through parameters, each once,
    /// in the order of creation (`_revinclude`).
    ///
    /// # Errors
    /// As [`Store::search`].
    pub async fn referencing(
        &self,
        to: Vec<Pk>,
        params: Vec<ParamKey>,
        max: usize,
    ) -> Result<Vec<Pk>, StoreError> {
        ask!(self, at => at.referencing(to, params, max).await)
    }

    /// Rows of the outbox behind a number, in their order; at most a thousand.
    ///
    /// # Errors
    /// As the place fails.
    pub async fn outbox(&self, after: i64, max: usize) -> Result<Vec<OutboxRow>, StoreError> {
        ask!(self, at => at.outbox(after, max).await)
    }

    /// Events of one topic from one number to another, both included, in their order; at most a
    /// thousand. Those that were trimmed are not there.
    ///
    /// # Errors
    /// As the place fails.
    pub async fn events(
        &self,
        topic: &str,
        from: u64,
        to: u64,
        max: usize,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        ask!(self, at => at.events(topic.to_owned(), (from, to), max).await)
    }

    /// The number of the last event of a topic; 0 if it never had one. As [`Store::read`].
    ///
    /// # Errors
    /// As the place fails.
    pub async fn last_event(&self, topic: &str) -> Result<u64, StoreError> {
        ask!(self, at => at.last_event(topic).await)
    }

    /// The version that a change made; without a body if it is a deletion. As [`Store::read`].
    ///
    /// # Errors
    /// As the place fails.
    pub async fn change(&self, seq: Seq) -> Result<Option<Stored>, StoreError> {
        let found = ask!(self, at => at.change(seq).await)?;
        self.whole_one(found).await
    }

    /// The types and criteria of a query as a condition on single resources that need not be
    /// stored; sort and page do not matter. What only the store can answer (chains, `_has`, full
    /// text, `_lastUpdated`) is refused.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] and [`StoreError::Limit`].
    pub fn condition(&self, query: &Query) -> Result<Condition, StoreError> {
        Condition::compile(&self.shared().context(), query)
    }

    /// What conditions are asked about: the index rows of a resource as a commit would store them.
    ///
    /// # Errors
    /// [`StoreError::Limit`] if there are too many.
    pub fn searchable(
        &self,
        of: ResourceType,
        id: &str,
        rows: &[IndexRow],
    ) -> Result<Searchable, StoreError> {
        let shared = self.shared();
        let packed = pack(rows, &shared.tokens, &shared.config.limits)?;
        Ok(Searchable::new(of, shared.token(of, id), packed))
    }

    /// Forgets the rows of the outbox up to a number.
    ///
    /// # Errors
    /// As the place fails.
    pub async fn trim_outbox(&self, to: i64) -> Result<(), StoreError> {
        ask!(self, at => at.trim_outbox(to).await)
    }

    /// A page of what there was at a moment.
    ///
    /// # Errors
    /// As the place fails.
    pub async fn moment(&self, query: MomentQuery) -> Result<MomentPage, StoreError> {
        let mut page = ask!(self, at => at.moment(query).await)?;
        page.versions = self.whole_all(page.versions).await?;
        Ok(page)
    }

    /// The versions that resources had at a moment; those that did not exist then, or were deleted,
    /// are left out.
    ///
    /// # Errors
    /// As the place fails.
    pub async fn versions_at(&self, pks: Vec<Pk>, to: Seq) -> Result<Vec<Stored>, StoreError> {
        let found = ask!(self, at => at.versions_at(pks, to).await)?;
        self.whole_all(found).await
    }

    /// The version that a change made.
    ///
    /// # Errors
    /// As the place fails.
    pub async fn numbered(&self, seq: Seq) -> Result<Option<Stored>, StoreError> {
        let found = ask!(self, at => at.numbered(seq).await)?;
        self.whole_one(found).await
    }

    /// The changes of some types behind a number, in their order, at most `max` of them; fewer where
    /// their bodies are large. What was erased is left out. None come behind the place where none
    /// are given.
    ///
    /// # Errors
    /// As the place fails.
    pub async fn changes(
        &self,
        types: Vec<ResourceType>,
        after: Seq,
        max: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        let found = ask!(self, at => at.changes(types, after, max).await)?;
        self.whole_all(found).await
    }

    /// The first change that is not older than a time; one behind the last if all are older.
    ///
    /// # Errors
    /// As the place fails.
    pub async fn seq_at(&self, at_ms: i64) -> Result<Seq, StoreError> {
        ask!(self, at => at.seq_at(at_ms).await)
    }

    /// Everything that some searches find, from one snapshot; pages and totals are left aside. It
    /// may take minutes, and holds eight bytes for each match.
    ///
    /// # Errors
    /// As [`Store::search`].
    pub async fn list(&self, queries: Vec<Query>) -> Result<Listing, StoreError> {
        ask!(self, at => at.list(queries).await)
    }

    /// Keeps a job, durably, and gives it with its moment.
    ///
    /// # Errors
    /// If a job has this id, or as the place fails.
    pub async fn add_job(&self, job: NewJob) -> Result<Job, StoreError> {
        let change = JobChange::Add(job);
        let added = ask!(self, at => at.change_job(change).await)?;
        added.ok_or(StoreError::Invalid("the job was not kept"))
    }

    /// Saves how far a job is, durably; `None` if it was removed meanwhile.
    ///
    /// # Errors
    /// As the place fails.
    pub async fn save_job(
        &self,
        id: &str,
        state: JobState,
        progress: Bytes,
    ) -> Result<Option<Job>, StoreError> {
        let id = id.to_owned();
        let change = JobChange::Save {
            id,
            state,
            progress,
        };
        ask!(self, at => at.change_job(change).await)
    }

    /// Removes a job; `None` if it is not there.
    ///
    /// # Errors
    /// As the place fails.
    pub async fn remove_job(&self, id: &str) -> Result<Option<Job>, StoreError> {
        ask!(self, at => at.change_job(JobChange::Remove(id.to_owned())).await)
    }

    /// A job.
    ///
    /// # Errors
    /// As the place fails.
    pub async fn job(&self, id: &str) -> Result<Option<Job>, StoreError> {
        ask!(self, at => at.job(id).await)
    }

    /// All jobs in the order in which they were added.
    ///
    /// # Errors
    /// As the place fails.
    pub async fn jobs(&self) -> Result<Vec<Job>, StoreError> {
        ask!(self, at => at.jobs().await)
    }

    /// Removes the content of resources and of all their versions for good, in one commit; see
    /// [`Erased`] and the module it is in for what stays. Resources that are not there, or were
    /// erased, are passed over. At most [`Limits::changes_max`](crate::Limits::changes_max) at
    /// once. What was just freed may lie in the file and its log until [`Store::scrub`].
    ///
    /// # Errors
    /// [`StoreError::Limit`], or as [`Store::commit`].
    pub async fn erase(
        &self,
        resources: Vec<(ResourceType, String)>,
    ) -> Result<Erased, StoreError> {
        ask!(self, at => at.erase(resources, None).await)
    }

    /// As [`Store::erase`], as a step of a job: the commit saves its progress too.
    ///
    /// # Errors
    /// As [`Store::erase`].
    pub async fn erase_as(
        &self,
        resources: Vec<(ResourceType, String)>,
        step: EraseStep,
    ) -> Result<Erased, StoreError> {
        ask!(self, at => at.erase(resources, Some(step)).await)
    }

    /// Whether [`Store::scrub`] can overwrite what was erased; in a database it cannot.
    #[must_use]
    pub fn overwrites(&self) -> bool {
        match &*self.inner {
            Backend::Sqlite(_) => true,
            Backend::Postgres(_) => false,
        }
    }

    /// Makes sure that what was erased is no longer in the files of the store: merges it out of the
    /// full text and empties the log. `false` if a long read keeps the log from being emptied; it
    /// is then emptied by the next call, and in a database, whose pages are its own. Commits go on
    /// between its steps.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub async fn scrub(&self) -> Result<bool, StoreError> {
        ask!(self, at => at.scrub().await)
    }

    /// Does one step of the reindex, at most `max` resources, and tells how far it is; begins one
    /// if a parameter is [building](crate::Param::building). `None` if there was never one.
    ///
    /// The caller paces the job by how often it asks, and one caller at a time does. `rows_of`
    /// makes all rows of a resource with the parameters of now.
    ///
    /// # Errors
    /// As [`Store::commit`]; the next call goes on where this one was.
    pub async fn reindex(
        &self,
        max: usize,
        rows_of: &(dyn Fn(&Stored) -> Vec<IndexRow> + Sync),
    ) -> Result<Option<Progress>, StoreError> {
        ask!(self, at => at.reindex(max, rows_of).await)
    }

    /// Begins a reindex of everything, whether or not a parameter is building; one that runs begins
    /// anew. [`Store::reindex`] does its steps.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub async fn begin_reindex(&self) -> Result<Option<Progress>, StoreError> {
        ask!(self, at => at.begin_reindex().await)
    }

    /// How far the last reindex is. `None` if there was never one.
    ///
    /// # Errors
    /// As the place fails.
    pub async fn reindexing(&self) -> Result<Option<Progress>, StoreError> {
        ask!(self, at => at.reindexing().await)
    }

    /// How many resources parameters find, counted twice from one snapshot. Looks at every resource
    /// of their types.
    ///
    /// # Errors
    /// As the place fails.
    pub async fn counted(&self, params: Vec<ParamKey>) -> Result<Vec<Counted>, StoreError> {
        ask!(self, at => at.counted(params).await)
    }

    /// What does not hold together: kinds and numbers only; empty is good. Looks at every row and
    /// blocks for as long; commits go on meanwhile.
    ///
    /// # Errors
    /// If the file cannot be read at all.
    pub fn verify(&self, cancel: &Cancel) -> Result<Vec<String>, StoreError> {
        ask!(self, at => at.verify(cancel))
    }

    /// Copies one moment of the store to another file, synced, while commits go on. Blocks. A store
    /// in PostgreSQL is copied by `pg_dump`, and this refuses.
    ///
    /// # Errors
    /// If reading or writing fails or it was cancelled; `to` is then no backup.
    pub fn backup(&self, to: &Path, cancel: &Cancel) -> Result<(), StoreError> {
        match &*self.inner {
            Backend::Sqlite(file) => file.backup(to, cancel),
            Backend::Postgres(_) => Err(StoreError::Invalid(
                "a store in PostgreSQL is copied by pg_dump, not into a file",
            )),
        }
    }

    /// A cursor as text for a URL; it tells nothing and only this store can read it.
    #[must_use]
    pub fn seal_cursor(&self, cursor: &Cursor) -> String {
        // Without randomness the text is empty, which no store opens: the page cannot be asked for.
        self.shared().seal.seal(cursor).unwrap_or_default()
    }

    /// The cursor that a text is.
    ///
    /// # Errors
    /// If this store did not make it.
    pub fn open_cursor(&self, text: &str) -> Result<Cursor, StoreError> {
        let cursor = self.shared().seal.open(text);
        cursor.ok_or(StoreError::Invalid("a cursor of no page of this store"))
    }
}
