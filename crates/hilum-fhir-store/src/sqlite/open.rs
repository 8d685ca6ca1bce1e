//! Opening the file, and the operations of the store on it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hilum_db::rusqlite::Connection;
use hilum_db::{
    Cancel, DbClass, DbError, DbFile, Doing, Files, QueueLimits, Readers, Writer, WriterLimits,
    refuse_unsuitable,
};
use hilum_message::IndexKey;
use tokio::sync::{Semaphore, oneshot};

use super::care::{self, CARE_TIME};
use super::handler::{CommitOp, Op, StoreHandler};
use super::read;
use super::reindex::{self, Item, Step};
use super::schema::STORE;
use super::source::SqliteSource;
use crate::commit::{Commit, Committed};
use crate::config::{ParamSpec, StoreConfig};
use crate::cursor::Seal;
use crate::entry::pack;
use crate::error::StoreError;
use crate::id::{ParamKey, Pk, ResourceType, Seq};
use crate::normal::Tokens;
use crate::prepare::Texts;
use crate::query::Query;
use crate::reindex::{Counted, Progress};
use crate::row::IndexRow;
use crate::search::{self, Hits};
use crate::shared::Shared;
use crate::stored::{HistoryPage, HistoryQuery, HistoryScope, Page, Stored};
use crate::threads::Threads;

/// Kilobytes of commits that may be on their way at a time; a larger one goes alone.
const IN_FLIGHT_KIB: u32 = 64 << 10;
/// Connections for reads by id, which run on the caller's thread.
const POINT_READERS: usize = 4;
/// Resources that one step of a reindex looks at, at most.
const REINDEX_STEP_MAX: usize = 1000;
/// Page cache of one of these.
const POINT_CACHE_KIB: u32 = 8 << 10;
/// Page cache of a searching connection: candidates lie all over the file, and a page that is not
/// in the cache costs more than testing what is on it.
const SEARCH_CACHE_KIB: u32 = 64 << 10;

/// A store in a SQLite file.
pub(crate) struct SqliteStore {
    pub(super) shared: Arc<Shared>,
    /// `None` once closed.
    writer: Mutex<Option<Arc<Writer<Op>>>>,
    points: Readers,
    searchers: Arc<Readers>,
    threads: Threads<()>,
    in_flight: Semaphore,
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore")
            .field("file", &self.shared.name)
            .finish_non_exhaustive()
    }
}

impl SqliteStore {
    pub(crate) fn open(file: DbFile, config: StoreConfig) -> Result<Self, StoreError> {
        make_folder(&file)?;
        let (index_key, cursor_key) = keys(&file)?;
        let damaged = || DbError::new(DbClass::Corrupt, "read the keys of", file.name().clone());
        let tokens = Tokens::new(IndexKey::new(index_key));
        let seal = Seal::new(&cursor_key).ok_or_else(damaged)?;
        let shared = Arc::new(Shared::new(file.name().clone(), config, tokens, seal));
        let limits = WriterLimits {
            queue: QueueLimits {
                // The semaphore is the limit of what waits, so the queue refuses nothing.
                ops_max: usize::MAX,
                bytes_max: usize::MAX,
                lane_ops_max: usize::MAX,
                lane_bytes_max: usize::MAX,
                ..QueueLimits::default()
            },
            checkpoint_pages: shared.config.checkpoint_pages,
            ..WriterLimits::default()
        };
        let writer = Writer::start(file.clone(), limits, StoreHandler::new(shared.clone()))?;
        let threads = Threads::start(shared.config.readers, &shared.name, || ())?;
        Ok(Self {
            points: Readers::new(with_cache(&file, POINT_CACHE_KIB), POINT_READERS),
            searchers: Arc::new(Readers::new(
                with_cache(&file, SEARCH_CACHE_KIB),
                shared.config.readers.max(1),
            )),
            writer: Mutex::new(Some(Arc::new(writer))),
            threads,
            in_flight: Semaphore::new(IN_FLIGHT_KIB as usize),
            shared,
        })
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Takes no more commits; returns when those on their way have their outcome and the file is
    /// closed.
    pub(crate) fn close(&self) {
        let writer = self
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(writer);
    }

    pub(super) fn submit(&self, bytes: usize, op: Op) -> Result<(), StoreError> {
        let writer = self
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let writer = writer.ok_or(StoreError::Closed)?;
        writer
            .submit(0, 1, bytes, op)
            .map_err(|(_, refusal)| match refusal {
                hilum_db::Refusal::Closed => StoreError::Closed,
                _ => StoreError::Busy,
            })
    }

    pub(crate) async fn define(
        &self,
        params: Vec<ParamSpec>,
        retired: Vec<ParamKey>,
    ) -> Result<Vec<ParamKey>, StoreError> {
        let (done, outcome) = oneshot::channel();
        let op = Op::Define {
            params,
            retired,
            keys: Err(StoreError::Closed),
            done,
        };
        self.submit(0, op)?;
        outcome.await.map_err(|_| StoreError::Closed)?
    }

    pub(crate) async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        let (changes, bytes) = self.shared.prepare(commit.changes, &commit.events)?;
        let permits = u32::try_from(bytes >> 10).unwrap_or(u32::MAX) + 1;
        let permit = self
            .in_flight
            .acquire_many(permits.min(IN_FLIGHT_KIB))
            .await;
        let permit = permit.map_err(|_| StoreError::Closed)?;
        let (done, outcome) = oneshot::channel();
        let op = CommitOp {
            expectations: commit.expectations,
            changes,
            events: commit.events,
            delivery: commit.delivery,
            job: commit.job,
            outcome: Err(StoreError::Closed),
            done,
        };
        self.submit(bytes, Op::Commit(Box::new(op)))?;
        let outcome = outcome.await.map_err(|_| StoreError::Closed)?;
        drop(permit);
        outcome
    }

    /// Runs a short read on the caller's thread.
    pub(super) fn point<T>(
        &self,
        read: impl FnOnce(&Connection, &str) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let limit = self.shared.config.limits.search_time;
        within(&self.points, &self.shared, limit, &Cancel::new(), read)
    }

    /// Runs a read on a thread of its own.
    pub(super) async fn long<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection, &Shared) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let limit = self.shared.config.limits.search_time;
        self.longer(limit, read).await
    }

    /// As [`Self::long`], for as long as the caller says.
    pub(super) async fn longer<T: Send + 'static>(
        &self,
        limit: Duration,
        read: impl FnOnce(&Connection, &Shared) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (readers, shared) = (self.searchers.clone(), self.shared.clone());
        let run = move |_: &mut (), cancel: &Cancel| {
            within(&readers, &shared, limit, cancel, |conn, _| {
                read(conn, &shared)
            })
        };
        self.threads.run(run).await
    }

    pub(crate) async fn read(
        &self,
        of: ResourceType,
        id: &str,
    ) -> Result<Option<Stored>, StoreError> {
        let token = self.shared.token(of, id);
        self.point(|conn, name| read::current(conn, name, of, token, id))
    }

    pub(crate) async fn vread(
        &self,
        of: ResourceType,
        id: &str,
        version: u32,
    ) -> Result<Option<Stored>, StoreError> {
        let token = self.shared.token(of, id);
        self.point(|conn, name| read::version(conn, name, of, (token, id), version))
    }

    pub(crate) async fn read_many(
        &self,
        wanted: Vec<(ResourceType, String)>,
    ) -> Result<Vec<Option<Stored>>, StoreError> {
        self.long(move |conn, shared| {
            let one = |(of, id): &(ResourceType, String)| {
                read::current(conn, &shared.name, *of, shared.token(*of, id), id)
            };
            wanted.iter().map(one).collect()
        })
        .await
    }

    pub(crate) async fn fetch(&self, pks: Vec<Pk>) -> Result<Vec<Stored>, StoreError> {
        let pks: Vec<i64> = pks.into_iter().map(|pk| pk.0).collect();
        self.long(move |conn, shared| read::fetch(conn, &shared.name, &pks))
            .await
    }

    pub(crate) async fn history(&self, query: HistoryQuery) -> Result<HistoryPage, StoreError> {
        self.long(move |conn, shared| {
            let token = match &query.scope {
                HistoryScope::Instance(of, id) => shared.token(*of, id),
                HistoryScope::System | HistoryScope::Type(_) => 0,
            };
            read::history(conn, &shared.name, &query, token)
        })
        .await
    }

    pub(crate) async fn search(&self, query: Query) -> Result<Page, StoreError> {
        self.long(move |conn, shared| {
            let hits = hits(conn, shared, &query)?;
            let found = read::fetch(conn, &shared.name, &hits.pks)?;
            Ok(hits.page(found))
        })
        .await
    }

    pub(crate) async fn explain(&self, query: Query) -> Result<String, StoreError> {
        self.long(move |conn, shared| Ok(hits(conn, shared, &query)?.plan))
            .await
    }

    pub(crate) async fn one_of_each(
        &self,
        params: Vec<ParamKey>,
    ) -> Result<Vec<Stored>, StoreError> {
        self.long(move |conn, shared| {
            let params: Vec<u32> = params.iter().map(|param| param.0).collect();
            let source = SqliteSource::new(conn, &shared.name);
            let max = shared.config.limits.distinct_max;
            let pks = search::one_of_each(source, &params, max)?;
            read::fetch(conn, &shared.name, &pks)
        })
        .await
    }

    pub(crate) async fn references(
        &self,
        from: Vec<Pk>,
        params: Vec<ParamKey>,
    ) -> Result<Vec<Pk>, StoreError> {
        self.long(move |conn, shared| {
            let from: Vec<i64> = from.iter().map(|pk| pk.0).collect();
            let params: Vec<u32> = params.iter().map(|param| param.0).collect();
            let source = SqliteSource::new(conn, &shared.name);
            let pks = search::referenced(source, &from, &params)?;
            Ok(pks.into_iter().map(Pk).collect())
        })
        .await
    }

    pub(crate) async fn referencing(
        &self,
        to: Vec<Pk>,
        params: Vec<ParamKey>,
        max: usize,
    ) -> Result<Vec<Pk>, StoreError> {
        self.long(move |conn, shared| {
            let to: Vec<i64> = to.iter().map(|pk| pk.0).collect();
            let params: Vec<u32> = params.iter().map(|param| param.0).collect();
            let source = SqliteSource::new(conn, &shared.name);
            let pks = search::referencing(source, &to, &params, max)?;
            Ok(pks.into_iter().map(Pk).collect())
        })
        .await
    }
}

impl SqliteStore {
    pub(crate) async fn change(&self, seq: Seq) -> Result<Option<Stored>, StoreError> {
        self.point(|conn, name| read::change(conn, name, seq))
    }

    pub(crate) async fn reindex(
        &self,
        max: usize,
        rows_of: &(dyn Fn(&Stored) -> Vec<IndexRow> + Sync),
    ) -> Result<Option<Progress>, StoreError> {
        let progress = self.step(Step::Begin { anyway: false }).await?;
        let Some(progress) = progress.filter(|progress| !progress.finished) else {
            return Ok(progress);
        };
        let max = max.clamp(1, REINDEX_STEP_MAX);
        let next = self
            .long(move |conn, shared| reindex::next(conn, &shared.name, &progress, max))
            .await?;
        let mut items = Vec::with_capacity(next.len());
        for stored in &next {
            let config = &self.shared.config;
            let rows = rows_of(stored);
            let packed = pack(&rows, &self.shared.tokens, &config.limits)?;
            items.push(Item {
                pk: stored.pk.0,
                seq: stored.seq.0,
                rows: packed,
                text: Texts::of(&rows, &self.shared.catalog()),
            });
        }
        let last = next.last().map_or(progress.until, |last| last.pk);
        let position = last.0;
        self.step(Step::On { items, position }).await
    }

    pub(crate) async fn begin_reindex(&self) -> Result<Option<Progress>, StoreError> {
        self.step(Step::Begin { anyway: true }).await
    }

    pub(crate) async fn reindexing(&self) -> Result<Option<Progress>, StoreError> {
        self.long(|conn, shared| Ok(reindex::progress(conn, &shared.name)?))
            .await
    }

    pub(crate) async fn counted(&self, params: Vec<ParamKey>) -> Result<Vec<Counted>, StoreError> {
        self.longer(CARE_TIME, move |conn, shared| {
            reindex::counted(conn, shared, &params)
        })
        .await
    }

    async fn step(&self, step: Step) -> Result<Option<Progress>, StoreError> {
        let (done, outcome) = oneshot::channel();
        let progress = Err(StoreError::Closed);
        self.submit(
            0,
            Op::Reindex {
                step,
                progress,
                done,
            },
        )?;
        outcome.await.map_err(|_| StoreError::Closed)?
    }

    pub(crate) fn verify(&self, cancel: &Cancel) -> Result<Vec<String>, StoreError> {
        let mut found = Err(StoreError::Closed);
        self.searchers.read_within(CARE_TIME, cancel, |conn| {
            found = care::verify(conn, &self.shared.name, &self.shared.tokens);
            Ok(())
        })?;
        found
    }

    pub(crate) fn backup(&self, to: &Path, cancel: &Cancel) -> Result<(), StoreError> {
        care::copy(&self.searchers, to, cancel)
    }
}

fn hits(conn: &Connection, shared: &Shared, query: &Query) -> Result<Hits, StoreError> {
    let source = SqliteSource::new(conn, &shared.name);
    search::page(source, &shared.context(), query)
}

fn within<T>(
    readers: &Readers,
    shared: &Shared,
    limit: Duration,
    cancel: &Cancel,
    read: impl FnOnce(&Connection, &str) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    // The reader's closure speaks of the file only; what the search says comes out beside it.
    let mut outcome = Err(StoreError::Closed);
    let ran = readers.read_within(limit, cancel, |conn| {
        outcome = read(conn, &shared.name);
        Ok(())
    });
    match (ran, outcome) {
        (Err(error), Ok(_) | Err(StoreError::Closed)) => Err(error.into()),
        (Ok(()) | Err(_), outcome) => outcome,
    }
}

fn with_cache(file: &DbFile, cache_kib: u32) -> DbFile {
    let mut file = file.clone();
    file.cache_kib = cache_kib;
    file
}

/// Makes the folder of a file if it is not there, durably.
fn make_folder(file: &DbFile) -> Result<(), DbError> {
    let named = |path: &&Path| !path.as_os_str().is_empty();
    let folder = file.path().parent().filter(named).unwrap_or(Path::new("."));
    let made = file.files.create_dir(folder);
    made.map_err(|error| DbError::io("make the folder", folder, error))?;
    if let Some(above) = folder.parent().filter(named) {
        let synced = file.files.sync_dir(above);
        synced.map_err(|error| DbError::io("sync the folder", above, error))?;
    }
    refuse_unsuitable(&*file.files, folder)
}

/// The keys of a file, which is made if it is not there.
fn keys(file: &DbFile) -> Result<([u8; 16], Vec<u8>), DbError> {
    let (conn, _) = file.open_writer()?;
    let key = |name: &str| {
        conn.query_row("SELECT value FROM meta WHERE name = ?", [name], |row| {
            row.get::<_, Vec<u8>>(0)
        })
        .doing("read the keys of", file.name())
    };
    let index = key("index-key")?;
    let damaged = || DbError::new(DbClass::Corrupt, "read the keys of", file.name().clone());
    let index: [u8; 16] = index.try_into().map_err(|_| damaged())?;
    let cursor = key("cursor-key")?;
    file.checkpoint_all(&conn)?;
    Ok((index, cursor))
}

/// The file of a store with the settings that suit it, for [`Store::open_file`](crate::Store::open_file).
#[must_use]
pub fn file(path: &Path, files: Arc<dyn Files>) -> DbFile {
    let mut file = DbFile::new(path, files, STORE);
    file.cache_kib = 32 << 10;
    file
}
