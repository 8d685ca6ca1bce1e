//! How a store is opened.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hilum_net::{ClientTls, Connector};

use crate::id::ParamKind;

/// Where a store is kept.
#[derive(Clone)]
#[non_exhaustive]
pub enum Place {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A schema of a PostgreSQL database (15 or later), made if it is not there.
    Postgres(Box<Postgres>),
}

/// A schema of a PostgreSQL database.
#[derive(Clone)]
pub struct Postgres {
    /// How its server is reached, without TLS: PostgreSQL asks for that on the way.
    pub connector: Connector,
    /// TLS, if it is to be used.
    pub tls: Option<Arc<ClientTls>>,
    /// The user.
    pub user: String,
    /// The user's password.
    pub password: Option<String>,
    /// The database.
    pub database: String,
    /// The schema: lower-case letters, digits and `_`, at most 63. All tables of the store are in
    /// it and nothing else should be.
    pub schema: String,
}

impl Postgres {
    /// The place for people, without user and password.
    #[must_use]
    pub fn name(&self) -> String {
        let (address, database) = (self.connector.address(), &self.database);
        format!("postgres://{address}/{database} (schema {})", self.schema)
    }
}

/// Without user and password.
impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "Sqlite({})", path.display()),
            Self::Postgres(place) => place.fmt(f),
        }
    }
}

/// What time it is, in milliseconds since 1970 UTC.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl Clock {
    /// A clock of the caller: the system's in production, a paused one in tests.
    pub fn new(now_ms: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now_ms))
    }

    /// The time now.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// A search parameter of one resource type, by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ParamSpec {
    /// The resource type (`Patient`).
    pub resource_type: Arc<str>,
    /// The code in searches (`birthdate`).
    pub code: Arc<str>,
    /// How its values are compared.
    pub kind: ParamKind,
}

/// Limits of a store; what goes beyond is refused with the limit's name.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest single search.
    pub search_time: Duration,
    /// Matches from which on a criterion is frequent: its matches are not listed, the search walks
    /// along the order of the page instead and meets them soon.
    pub frequent_at: usize,
    /// Resources of one page.
    pub page_max: u32,
    /// Criteria of a query, all levels together.
    pub criteria_max: usize,
    /// Values of one criterion (alternatives separated by commas).
    pub values_max: usize,
    /// How deep chains, `_has` and groups nest.
    pub depth_max: usize,
    /// Different values of parameters that are listed at once.
    pub distinct_max: usize,
    /// Changes of one commit.
    pub changes_max: usize,
    /// Bytes of one resource.
    pub body_bytes_max: usize,
    /// Index rows of one resource.
    pub rows_max: usize,
    /// Characters of a string or URI that are indexed and compared; what follows is cut off.
    pub text_chars_max: usize,
    /// How long a delivery is remembered, so that its repetition changes nothing.
    pub delivery_kept: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            search_time: Duration::from_secs(5),
            frequent_at: 16_384,
            page_max: 1000,
            criteria_max: 200,
            values_max: 10_000,
            depth_max: 8,
            distinct_max: 1_000,
            changes_max: 10_000,
            body_bytes_max: 50 << 20,
            rows_max: 10_000,
            text_chars_max: 128,
            delivery_kept: Duration::from_secs(30 * 24 * 3600),
        }
    }
}

/// How to open a store.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Where it is kept.
    pub place: Place,
    /// The resource types; more may be added at a later opening, none is ever removed.
    pub types: Vec<Arc<str>>,
    /// The search parameters; more may be added later.
    pub params: Vec<ParamSpec>,
    /// What time it is.
    pub clock: Clock,
    /// Limits.
    pub limits: Limits,
    /// Threads that read (SQLite) or connections (PostgreSQL).
    pub readers: usize,
    /// Pages in SQLite's log from which on the writer moves them into the file: a page that many
    /// commits change is written into the file once.
    pub checkpoint_pages: u32,
}

impl StoreConfig {
    /// A store at `place` with the usual limits.
    #[must_use]
    pub fn new(place: Place, clock: Clock) -> Self {
        Self {
            place,
            types: Vec::new(),
            params: Vec::new(),
            clock,
            limits: Limits::default(),
            readers: 3,
            checkpoint_pages: 16_000,
        }
    }
}
