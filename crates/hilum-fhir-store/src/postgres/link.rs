//! One connection, used by one thread, which waits for it.
//!
//! Each thread has a runtime of its own, so that a store needs none of its caller's, and a call
//! costs no change of threads. Statements are prepared once for each connection. Calls that do not
//! depend on each other go out together and cost one round trip.
//!
//! Errors never carry what PostgreSQL says in words, because it repeats values.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hilum_db::{DbClass, DbError};
use hilum_net::{Stream, io_reason};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, Row, Statement};

use crate::config::Postgres;
use crate::error::StoreError;

/// What PostgreSQL is asked with for TLS (protocol 3.0, `SSLRequest`).
const TLS_PLEASE: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// How long a server may take from the first byte to being ready.
const READY_WITHIN: Duration = Duration::from_secs(10);
/// How long a server may stay silent after its own limit of a statement has passed.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// Values of a statement.
pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// What a connection is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Use {
    /// Reading; no statement takes longer.
    Read(Duration),
    /// Writing and verifying.
    Write,
}

impl Use {
    fn settings(self, schema: &str) -> String {
        // Scans go along an index, whatever the statistics say: no plan changes over night.
        let common = format!(
            "SET search_path TO \"{schema}\"; SET plan_cache_mode = force_generic_plan; \
             SET jit = off; SET enable_seqscan = off; SET enable_sort = off; \
             SET enable_hashjoin = off; SET enable_mergejoin = off; SET lock_timeout = 0; \
             SET client_min_messages = error; SET default_text_search_config = 'pg_catalog.simple'; "
        );
        match self {
            Self::Read(limit) => {
                let ms = limit.as_millis().max(1);
                format!("{common} SET statement_timeout = {ms}")
            }
            // What is answered is durable, also where the server would rather be fast.
            Self::Write => format!(
                "{common} SET statement_timeout = 0; \
                 SET idle_in_transaction_session_timeout = '60s'; \
                 SELECT set_config('synchronous_commit', 'on', false) \
                 WHERE current_setting('synchronous_commit') = 'off'"
            ),
        }
    }

    fn answer_within(self) -> Duration {
        match self {
            Self::Read(limit) => limit + SILENCE_MAX,
            Self::Write => Duration::from_secs(600),
        }
    }
}

struct Open {
    client: Client,
    driver: JoinHandle<()>,
    statements: HashMap<&'static str, Statement>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// A connection that is made when it is needed.
pub(super) struct Link {
    place: Arc<Postgres>,
    name: Arc<str>,
    usage: Use,
    runtime: Runtime,
    open: Option<Open>,
}

/// What went wrong, before it is told.
enum Failure {
    /// The connection is of no use any more.
    Gone(String),
    State(String),
}

impl Link {
    pub(super) fn new(place: Arc<Postgres>, name: Arc<str>, usage: Use) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(Self {
            place,
            name,
            usage,
            runtime,
            open: None,
        })
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether a connection is open as far as is known.
    pub(super) fn is_open(&self) -> bool {
        let open = self.open.as_ref();
        open.is_some_and(|open| !open.client.is_closed())
    }

    /// Connects if there is no open connection.
    pub(super) fn connect(&mut self) -> Result<(), StoreError> {
        if self.is_open() {
            return Ok(());
        }
        self.open = None;
        let connecting = open(&self.place, self.usage);
        let opened = self.runtime.block_on(async {
            let late = |_| Failure::Gone("it does not answer".to_owned());
            timeout(READY_WITHIN, connecting).await.map_err(late)?
        });
        match opened {
            Ok(open) => self.open = Some(open),
            Err(failure) => return Err(self.told(failure)),
        }
        Ok(())
    }

    /// Runs calls that go out together; their rows in the order of the calls, or the first error.
    /// If one fails inside a transaction, those behind it do nothing.
    pub(super) fn together(
        &mut self,
        calls: &[(&'static str, Values<'_>)],
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        self.connect()?;
        let within = self.usage.answer_within();
        let Some(open) = &mut self.open else {
            return Err(StoreError::Closed);
        };
        let answered = self.runtime.block_on(async {
            let late = |_| Failure::Gone("it does not answer any more".to_owned());
            timeout(within, run(open, calls)).await.map_err(late)?
        });
        answered.map_err(|failure| self.told(failure))
    }

    pub(super) fn query(
        &mut self,
        sql: &'static str,
        values: Values<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let mut all = self.together(&[(sql, values)])?;
        Ok(all.pop().unwrap_or_default())
    }

    /// The number in the first column of the only row.
    pub(super) fn number(
        &mut self,
        sql: &'static str,
        values: Values<'_>,
    ) -> Result<i64, StoreError> {
        let rows = self.query(sql, values)?;
        let row = rows.first();
        row.and_then(|row| row.try_get(0).ok())
            .ok_or(StoreError::Invalid("a statement without its row"))
    }

    /// Runs several statements without values.
    pub(super) fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        self.connect()?;
        let Some(open) = &mut self.open else {
            return Err(StoreError::Closed);
        };
        let done = self.runtime.block_on(open.client.batch_execute(sql));
        done.map_err(|error| self.told(failure(&error)))
    }

    /// Ends a transaction that failed.
    pub(super) fn roll_back(&mut self) {
        if self.open.is_some() && self.query("ROLLBACK", &[]).is_err() {
            self.open = None;
        }
    }

    /// Waits on the thread, as long as nothing else is to be done.
    pub(super) fn pause(&self, time: Duration) {
        // Made inside, because a timer belongs to the runtime that it is made in.
        self.runtime
            .block_on(async { tokio::time::sleep(time).await });
    }

    fn told(&mut self, failure: Failure) -> StoreError {
        let place = self.name.clone();
        match failure {
            Failure::Gone(reason) => {
                self.open = None;
                StoreError::Away { place, reason }
            }
            Failure::State(state) => {
                let class = match state.as_str() {
                    "57014" => DbClass::Cancelled,
                    "53100" => DbClass::Full,
                    "XX001" | "XX002" => DbClass::Corrupt,
                    _ => return StoreError::Refused { place, state },
                };
                StoreError::Db(DbError::new(class, "use", place))
            }
        }
    }
}

/// Whether the same may succeed when it is done once more.
pub(super) fn is_passing(error: &StoreError) -> bool {
    // Serialization failure, deadlock, lock not available.
    matches!(error, StoreError::Refused { state, .. } if matches!(state.as_str(), "40001" | "40P01" | "55P03"))
}

async fn open(place: &Postgres, usage: Use) -> Result<Open, Failure> {
    let gone = |error: io::Error| Failure::Gone(io_reason(&error));
    let connection = place.connector.connect().await;
    let mut stream = connection
        .map_err(|error| Failure::Gone(error.chain()))?
        .stream;
    if place.tls.is_some() {
        stream = secured(place, stream).await.map_err(gone)?;
    }
    let mut config = Config::new();
    config
        .user(&place.user)
        .dbname(&place.database)
        .application_name("hilum")
        .ssl_mode(SslMode::Disable);
    if let Some(password) = &place.password {
        config.password(password);
    }
    let ready = config.connect_raw(stream, NoTls).await;
    let (client, driver) = ready.map_err(|error| refused(&error))?;
    let driver = tokio::spawn(async move {
        if driver.await.is_err() {
            tracing::debug!("a connection to PostgreSQL ended");
        }
    });
    let open = Open {
        client,
        driver,
        statements: HashMap::new(),
    };
    let settings = usage.settings(&place.schema);
    let set = open.client.batch_execute(&settings).await;
    set.map_err(|error| refused(&error))?;
    Ok(open)
}

/// A login that fails is as good as no server, but for the reason.
fn refused(error: &tokio_postgres::Error) -> Failure {
    match failure(error) {
        Failure::State(state) => Failure::Gone(format!("SQLSTATE {state}")),
        gone @ Failure::Gone(_) => gone,
    }
}

async fn secured(place: &Postgres, mut stream: Stream) -> io::Result<Stream> {
    let Some(tls) = &place.tls else {
        return Ok(stream);
    };
    stream.write_all(&TLS_PLEASE).await?;
    let mut answer = [0];
    stream.read_exact(&mut answer).await?;
    if answer != *b"S" {
        return Err(io::Error::other("the server has no TLS"));
    }
    let name = tls.server_name(place.connector.address());
    tls.upgrade(name.map_err(io::Error::other)?, stream).await
}

async fn run(
    open: &mut Open,
    calls: &[(&'static str, Values<'_>)],
) -> Result<Vec<Vec<Row>>, Failure> {
    for (sql, _) in calls {
        if !open.statements.contains_key(sql) {
            let prepared = open.client.prepare(sql).await;
            let prepared = prepared.map_err(|error| failure(&error))?;
            open.statements.insert(sql, prepared);
        }
    }
    let Open {
        client, statements, ..
    } = open;
    let calls = calls.iter().filter_map(|(sql, values)| {
        let statement = statements.get(sql)?;
        Some(client.query(statement, values))
    });
    let answers = join_all(calls).await;
    let answers: Result<Vec<_>, _> = answers.into_iter().collect();
    answers.map_err(|error| failure(&error))
}

fn failure(error: &tokio_postgres::Error) -> Failure {
    use std::error::Error;
    if let Some(said) = error.as_db_error() {
        let state = said.code().code();
        // Connection exceptions, too many connections, shutdown, start.
        let gone =
            state.starts_with("08") || matches!(state, "53300" | "57P01" | "57P02" | "57P03");
        return if gone {
            Failure::Gone(format!("SQLSTATE {state}"))
        } else {
            Failure::State(state.to_owned())
        };
    }
    let cause = error.source().and_then(|source| source.downcast_ref());
    Failure::Gone(match cause {
        Some(error) => io_reason(error),
        None if error.is_closed() => "the connection is closed".to_owned(),
        None => "the protocol of PostgreSQL was not kept".to_owned(),
    })
}
