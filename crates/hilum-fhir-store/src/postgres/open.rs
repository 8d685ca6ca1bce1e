//! Opening the schema, and the operations of the store on it.

use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use hilum_db::{Cancel, DbClass, DbError};
use hilum_message::IndexKey;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::{Semaphore, oneshot};

use super::group::CommitOp;
use super::link::{Link, Use};
use super::reading::{Reading, read};
use super::schema::{self, Keys};
use super::source::PgSource;
use super::writer::{Op, PgWriter, Task, Waiting};
use super::writing::Writing;
use super::{care, names, read as reads, reindex};
use crate::commit::{Commit, Committed};
use crate::config::{ParamSpec, Postgres, StoreConfig};
use crate::cursor::Seal;
use crate::error::StoreError;
use crate::id::{ParamKey, Pk, ResourceType, Seq};
use crate::normal::Tokens;
use crate::query::Query;
use crate::reindex::Counted;
use crate::search::{self, Hits};
use crate::shared::Shared;
use crate::stored::{HistoryPage, HistoryQuery, HistoryScope, Page, Stored};
use crate::threads::Threads;

/// Kilobytes of commits that may be on their way at a time; a larger one goes alone.
const IN_FLIGHT_KIB: u32 = 64 << 10;
/// Operations that wait for the writer.
const WAITING_MAX: usize = 4096;
/// Connections for reads by id, so that these do not wait for searches.
const POINT_READERS: usize = 2;
/// Longest verification.
const CARE_TIME: Duration = Duration::from_secs(4 * 3600);
/// Longest name of a schema.
const SCHEMA_CHARS_MAX: usize = 63;

/// A thread's connection, or why there is none.
type Tool = Result<Link, Arc<str>>;

/// A store in a schema of PostgreSQL.
pub(crate) struct PgStore {
    pub(super) shared: Arc<Shared>,
    place: Arc<Postgres>,
    /// `None` once closed.
    writer: Mutex<Option<(SyncSender<Op>, JoinHandle<()>)>>,
    points: Threads<Tool>,
    searchers: Threads<Tool>,
    in_flight: Semaphore,
    /// Tells this program from others that write the schema.
    pub(super) program: i64,
}

impl std::fmt::Debug for PgStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PgStore")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl PgStore {
    /// Opens on a thread of its own, because the caller may be inside a runtime.
    pub(crate) fn open(place: Postgres, config: StoreConfig) -> Result<Self, StoreError> {
        checked(&place.schema)?;
        let name: Arc<str> = place.name().into();
        let place = Arc::new(place);
        let (told, opened) = sync_channel(1);
        let (ops, waiting) = sync_channel::<Op>(WAITING_MAX);
        let (own, own_name) = (place.clone(), name.clone());
        let thread = std::thread::Builder::new()
            .name("hilum-fhir-write".into())
            .spawn(move || {
                let failed = |told: &SyncSender<_>, error| drop(told.send(Err(error)));
                let writer = match open(own, &own_name, config) {
                    Ok(writer) => writer,
                    Err(error) => return failed(&told, error),
                };
                let (shared, mut writer) = writer;
                let program = writer.id();
                if let Err(error) = writer.open() {
                    return failed(&told, error);
                }
                if told.send(Ok((shared, program))).is_ok() {
                    drop(told);
                    writer.run(&waiting);
                }
            })
            .map_err(|error| DbError::io("start the writer of", name.as_ref().as_ref(), error))?;
        let (shared, program): (Arc<Shared>, i64) =
            opened.recv().map_err(|_| StoreError::Closed)??;
        let limit = shared.config.limits.search_time;
        let (own, own_name) = (place.clone(), name.clone());
        let tool = move || {
            let link = Link::new(own.clone(), own_name.clone(), Use::Read(limit));
            link.map_err(|error| error.to_string().into())
        };
        Ok(Self {
            points: Threads::start(POINT_READERS, &name, tool.clone())?,
            searchers: Threads::start(shared.config.readers, &name, tool)?,
            writer: Mutex::new(Some((ops, thread))),
            in_flight: Semaphore::new(IN_FLIGHT_KIB as usize),
            place,
            shared,
            program,
        })
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Takes no more commits; returns when those on their way have their outcome.
    pub(crate) fn close(&self) {
        let writer = self
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some((ops, thread)) = writer {
            drop(ops);
            if thread.join().is_err() {
                tracing::error!("the writer of a FHIR store broke down; this is a bug in hilum");
            }
        }
    }

    fn submit(&self, op: Op) -> Result<(), StoreError> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let (ops, _) = writer.as_ref().ok_or(StoreError::Closed)?;
        ops.try_send(op).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => StoreError::Closed,
        })
    }

    pub(crate) async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        let (op, bytes) = CommitOp::prepare(&self.shared, commit)?;
        let permits = u32::try_from(bytes >> 10).unwrap_or(u32::MAX) + 1;
        let permit = self
            .in_flight
            .acquire_many(permits.min(IN_FLIGHT_KIB))
            .await;
        let permit = permit.map_err(|_| StoreError::Closed)?;
        let (done, outcome) = oneshot::channel();
        self.submit(Op::Commit(Box::new(Waiting { op, bytes, done })))?;
        let outcome = outcome.await.map_err(|_| StoreError::Closed)?;
        drop(permit);
        outcome
    }

    /// Runs work in a write transaction of its own.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut Writing<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (done, outcome) = oneshot::channel();
        let task = Alone {
            work,
            result: None,
            done,
        };
        self.submit(Op::Task(Box::new(task)))?;
        outcome.await.map_err(|_| StoreError::Closed)?
    }

    pub(crate) async fn define(
        &self,
        params: Vec<ParamSpec>,
        retired: Vec<ParamKey>,
    ) -> Result<Vec<ParamKey>, StoreError> {
        self.write(move |writing| {
            writing.begin(&[])?;
            names::retire(writing, &retired)?;
            names::register(writing, &[], &params)
        })
        .await
    }

    /// A read of one statement.
    pub(super) async fn point<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Link) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.points
            .run(move |tool, _| {
                let link = linked(tool)?;
                let was_open = link.is_open();
                match work(link) {
                    // The server had closed the connection meanwhile: a read may be done anew.
                    Err(StoreError::Away { .. }) if was_open => work(link),
                    outcome => outcome,
                }
            })
            .await
    }

    /// A read of several statements that see one state.
    pub(super) async fn long<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Reading<'_>, &Shared) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.longer(self.shared.config.limits.search_time, work)
            .await
    }

    /// As `long`, for what may take longer altogether; its single statements may not.
    pub(super) async fn longer<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl Fn(&mut Reading<'_>, &Shared) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = self.shared.clone();
        let run = move |tool: &mut Tool, cancel: &Cancel| {
            read(linked(tool)?, limit, cancel, |reading| {
                work(reading, &shared)
            })
        };
        self.searchers.run(run).await
    }

    pub(crate) async fn read(
        &self,
        of: ResourceType,
        id: &str,
    ) -> Result<Option<Stored>, StoreError> {
        let (token, id) = (self.shared.token(of, id), id.to_owned());
        self.point(move |link| reads::current(link, of, token, &id))
            .await
    }

    pub(crate) async fn vread(
        &self,
        of: ResourceType,
        id: &str,
        version: u32,
    ) -> Result<Option<Stored>, StoreError> {
        let (token, id) = (self.shared.token(of, id), id.to_owned());
        self.point(move |link| reads::version(link, of, (token, &id), version))
            .await
    }

    pub(crate) async fn change(&self, seq: Seq) -> Result<Option<Stored>, StoreError> {
        self.point(move |link| reads::change(link, seq)).await
    }

    pub(crate) async fn read_many(
        &self,
        wanted: Vec<(ResourceType, String)>,
    ) -> Result<Vec<Option<Stored>>, StoreError> {
        let wanted: Vec<_> = wanted
            .into_iter()
            .map(|(of, id)| (of, self.shared.token(of, &id), id))
            .collect();
        self.point(move |link| reads::current_many(link, &wanted))
            .await
    }

    pub(crate) async fn fetch(&self, pks: Vec<Pk>) -> Result<Vec<Stored>, StoreError> {
        let pks = numbers(&pks);
        self.long(move |reading, shared| reads::fetch(reading, &pks, &shared.name))
            .await
    }

    pub(crate) async fn history(&self, query: HistoryQuery) -> Result<HistoryPage, StoreError> {
        self.long(move |reading, shared| {
            let token = match &query.scope {
                HistoryScope::Instance(of, id) => shared.token(*of, id),
                HistoryScope::System | HistoryScope::Type(_) => 0,
            };
            reads::history(reading, &shared.name, &query, token)
        })
        .await
    }

    pub(crate) async fn search(&self, query: Query) -> Result<Page, StoreError> {
        self.long(move |reading, shared| {
            let hits = hits(reading, shared, &query)?;
            let found = reads::fetch(reading, &hits.pks, &shared.name)?;
            Ok(hits.page(found))
        })
        .await
        .map_err(too_costly)
    }

    pub(crate) async fn explain(&self, query: Query) -> Result<String, StoreError> {
        self.long(move |reading, shared| Ok(hits(reading, shared, &query)?.plan))
            .await
            .map_err(too_costly)
    }

    pub(crate) async fn one_of_each(
        &self,
        params: Vec<ParamKey>,
    ) -> Result<Vec<Stored>, StoreError> {
        let params = keys(&params);
        self.long(move |reading, shared| {
            let max = shared.config.limits.distinct_max;
            let pks = search::one_of_each(PgSource(&mut *reading), &params, max)?;
            reads::fetch(reading, &pks, &shared.name)
        })
        .await
        .map_err(too_costly)
    }

    pub(crate) async fn references(
        &self,
        from: Vec<Pk>,
        params: Vec<ParamKey>,
    ) -> Result<Vec<Pk>, StoreError> {
        let (from, params) = (numbers(&from), keys(&params));
        self.long(move |reading, _| {
            let pks = search::referenced(PgSource(reading), &from, &params)?;
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
        let (to, params) = (numbers(&to), keys(&params));
        self.long(move |reading, _| {
            let pks = search::referencing(PgSource(reading), &to, &params, max)?;
            Ok(pks.into_iter().map(Pk).collect())
        })
        .await
    }
}

impl PgStore {
    pub(crate) async fn counted(&self, params: Vec<ParamKey>) -> Result<Vec<Counted>, StoreError> {
        let (place, shared) = (self.place.clone(), self.shared.clone());
        let run = move |_: &mut Tool, cancel: &Cancel| {
            // Its statements may take longer than those of a search.
            let mut link = with_write_settings(&place, &shared)?;
            read(&mut link, CARE_TIME, cancel, |reading| {
                reindex::counted(reading, &shared, &params)
            })
        };
        self.searchers.run(run).await
    }

    /// Runs on a thread of its own, because the caller may be inside a runtime.
    pub(crate) fn verify(&self, cancel: &Cancel) -> Result<Vec<String>, StoreError> {
        let (place, shared) = (&self.place, &self.shared);
        let work = || {
            let mut link = with_write_settings(place, shared)?;
            read(&mut link, CARE_TIME, cancel, |reading| {
                care::verify(reading, shared)
            })
        };
        std::thread::scope(|scope| scope.spawn(work).join()).unwrap_or(Err(StoreError::Closed))
    }
}

/// A task of the writer with its result.
struct Alone<W, T> {
    work: W,
    result: Option<T>,
    done: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, W> Task for Alone<W, T>
where
    T: Send,
    W: FnMut(&mut Writing<'_>) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, writing: &mut Writing<'_>) -> Result<(), StoreError> {
        self.result = Some((self.work)(writing)?);
        Ok(())
    }

    fn end(self: Box<Self>, fate: Result<(), StoreError>) {
        let Self { result, done, .. } = *self;
        let outcome = fate.and_then(|()| result.ok_or(StoreError::Closed));
        // Whoever asked may have stopped waiting.
        drop(done.send(outcome));
    }
}

fn open(
    place: Arc<Postgres>,
    name: &Arc<str>,
    config: StoreConfig,
) -> Result<(Arc<Shared>, PgWriter), StoreError> {
    let failed = |error| DbError::io("start the writer of", name.as_ref().as_ref(), error);
    let mut link = Link::new(place.clone(), name.clone(), Use::Write).map_err(failed)?;
    let mut bytes = [0; 56];
    let no_randomness = |_| StoreError::Invalid("the system has no randomness");
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(no_randomness)?;
    let (index, rest) = bytes.split_at(16);
    let (cursor, id) = rest.split_at(32);
    let fresh = Keys {
        index: index.to_vec(),
        cursor: cursor.to_vec(),
    };
    let id = id.first_chunk().map_or(0, |id| i64::from_le_bytes(*id));
    let keys = schema::prepare(&mut link, &place.schema, &fresh)?;
    let damaged = || DbError::new(DbClass::Corrupt, "read the keys of", name.clone());
    let index: [u8; 16] = keys.index.try_into().map_err(|_| damaged())?;
    let seal = Seal::new(&keys.cursor).ok_or_else(damaged)?;
    let tokens = Tokens::new(IndexKey::new(index));
    let shared = Arc::new(Shared::new(name.clone(), config, tokens, seal));
    Ok((shared.clone(), PgWriter::new(link, shared, id)))
}

fn checked(schema: &str) -> Result<(), StoreError> {
    let begins = schema.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !begins || schema.len() > SCHEMA_CHARS_MAX || !schema.chars().all(good) {
        return Err(StoreError::Invalid(
            "the name of a schema is not lower-case letters, digits and _",
        ));
    }
    Ok(())
}

fn with_write_settings(place: &Arc<Postgres>, shared: &Shared) -> Result<Link, StoreError> {
    let name = &shared.name;
    let link = Link::new(place.clone(), name.clone(), Use::Write);
    let failed = |error| DbError::io("start a reader of", name.as_ref().as_ref(), error);
    Ok(link.map_err(failed)?)
}

fn linked(tool: &mut Tool) -> Result<&mut Link, StoreError> {
    tool.as_mut().map_err(|reason| StoreError::Away {
        place: "the database".into(),
        reason: reason.to_string(),
    })
}

/// The time ran out before the search began or after it had ended.
pub(super) fn too_costly(error: StoreError) -> StoreError {
    match error {
        StoreError::Db(error) if error.class() == DbClass::Cancelled => StoreError::TooCostly {
            plan: "waits for the database".to_owned(),
        },
        other => other,
    }
}

fn hits(reading: &mut Reading<'_>, shared: &Shared, query: &Query) -> Result<Hits, StoreError> {
    search::page(PgSource(reading), &shared.context(), query)
}

fn numbers(pks: &[Pk]) -> Vec<i64> {
    pks.iter().map(|pk| pk.0).collect()
}

fn keys(params: &[ParamKey]) -> Vec<u32> {
    params.iter().map(|param| param.0).collect()
}
