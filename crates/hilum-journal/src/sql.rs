//! One reading SQL statement on one file, for people: content stays masked unless it is asked for.
//!
//! SQLite itself refuses everything but reading (its authorizer sees each table and column before
//! a statement runs), and gives NULL for every column that holds content. Three views say what the
//! small numbers of the tables mean: `messages`, `deliveries`, `attempts`.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hilum_db::rusqlite::functions::FunctionFlags;
use hilum_db::rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use hilum_db::rusqlite::types::ValueRef;
use hilum_db::rusqlite::{self, Connection};
use hilum_db::{DbFile, RealFiles, Schema};
use hilum_message::MessageId;

use crate::error::JournalError;
use crate::survey::database_names;

/// Longest statement.
const SQL_WITHIN: Duration = Duration::from_secs(60);
/// Virtual machine steps between two looks at the clock.
const STEPS_PER_LOOK: i32 = 10_000;

/// Columns that hold what patients' messages say, or parts of it.
const CONTENT: [(&str, &str); 11] = [
    ("secret", "value"),
    ("message", "body"),
    ("message", "outbound"),
    ("message", "cuts"),
    ("message", "metadata"),
    ("message", "answer"),
    ("message", "hold"),
    ("attempt", "reply"),
    ("dictionary", "bytes"),
    ("state_log", "changes"),
    ("message", "reads"),
];

/// The same of `control.db`.
const CONTENT_CONTROL: [(&str, &str); 4] = [
    ("state", "key"),
    ("state", "value"),
    ("timer", "key"),
    ("meta", "value"),
];

const VIEWS: &str = "
CREATE TEMP VIEW messages AS SELECT seq AS sequence, id_text(id) AS message,
  (SELECT CAST(value AS TEXT) FROM name WHERE name.id = channel) AS channel,
  datetime(arrived_ms / 1000, 'unixepoch') AS arrived, arrived_ms, committed_ms,
  CASE disposition WHEN 0 THEN 'accepted' WHEN 1 THEN 'filtered' WHEN 2 THEN 'refused'
    WHEN 3 THEN 'rejected' WHEN 4 THEN 'held' WHEN 5 THEN 'received' WHEN 6 THEN 'suppressed'
    WHEN 7 THEN 'batch-open' WHEN 8 THEN 'batch-closed' END AS disposition,
  (SELECT CAST(value AS TEXT) FROM name WHERE name.id = kind) AS type, control_id, reason,
  (SELECT CAST(value AS TEXT) FROM name WHERE name.id = peer) AS peer,
  (SELECT substr(lower(hex(value)), 1, 12) FROM name WHERE name.id = plan) AS plan, total_bytes AS bytes
  FROM message;
CREATE TEMP VIEW deliveries AS SELECT delivery.seq AS sequence,
  id_text(message.id) || '.' || ordinal AS delivery,
  (SELECT replace(CAST(value AS TEXT), char(0), ' ') FROM name WHERE name.id = destination)
    AS destination,
  CASE state WHEN 0 THEN 'pending' WHEN 1 THEN 'delivered' WHEN 2 THEN 'dead-letter'
    WHEN 3 THEN 'withdrawn' WHEN 4 THEN 'pinned' END AS state,
  attempts, priority, delivery.reason, bytes
  FROM delivery LEFT JOIN message ON message.seq = delivery.seq;
CREATE TEMP VIEW attempts AS SELECT attempt.seq AS sequence,
  id_text(message.id) || '.' || ordinal AS delivery, n AS attempt,
  datetime(started_ms / 1000, 'unixepoch') AS started, started_ms, duration_ms,
  CASE outcome WHEN 1 THEN 'delivered' WHEN 2 THEN 'dead-letter' WHEN 3 THEN 'withdrawn'
    WHEN 4 THEN 'retry' WHEN 5 THEN 'halt' END AS outcome, attempt.reason
  FROM attempt LEFT JOIN message ON message.seq = attempt.seq;
";

/// Whether content is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// It reads as NULL.
    Masked,
    /// It is shown.
    Revealed,
}

/// A value.
#[derive(Clone, PartialEq)]
pub enum Cell {
    /// Nothing, or masked.
    Null,
    /// A number.
    Integer(i64),
    /// A number with a fraction.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl std::fmt::Debug for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cell(…)")
    }
}

/// What a statement gave.
#[derive(Clone, Default)]
pub struct SqlAnswer {
    /// The file that was asked.
    pub file: String,
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<Cell>>,
    /// There are more rows than were asked for.
    pub more: bool,
    /// The columns that were masked, as `table.column`.
    pub masked: BTreeSet<String>,
}

impl std::fmt::Debug for SqlAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SqlAnswer({} rows of {})", self.rows.len(), self.file)
    }
}

/// Why a statement gave nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SqlError {
    /// The folder or the file could not be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// There is no such file.
    #[error("there is no {file} here; there are {}", .known.join(", "))]
    NoFile {
        /// What was asked for.
        file: String,
        /// The files that are there.
        known: Vec<String>,
    },
    /// It would do more than read.
    #[error("only reading statements are run")]
    Writes,
    /// It took too long.
    #[error("the statement took longer than {} s", SQL_WITHIN.as_secs())]
    TooLong,
    /// SQLite does not run it.
    #[error("SQLite says: {0}")]
    Sqlite(String),
}

/// Runs one reading statement on a file of a journal (its name with or without `.db`; the newest
/// partition if none is named), and gives at most `rows_max` rows. A node may run on the folder.
///
/// # Errors
/// As [`SqlError`] says.
pub fn sql(
    dir: &Path,
    file: Option<&str>,
    statement: &str,
    content: Content,
    rows_max: usize,
) -> Result<SqlAnswer, SqlError> {
    let (name, schema) = find(dir, file)?;
    let path = dir.join(format!("{name}.db"));
    let file = DbFile::new(path, Arc::new(RealFiles), schema);
    let mut conn = file.open_reader().map_err(JournalError::Db)?;
    if name != "control" {
        views(&conn).map_err(|error| told(&error))?;
    }
    let masked = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&masked);
    conn.authorizer(Some(move |context: AuthContext<'_>| {
        authorize(&context, content, &seen)
    }))
    .map_err(|error| told(&error))?;
    let deadline = from_now(SQL_WITHIN);
    conn.progress_handler(STEPS_PER_LOOK, Some(deadline))
        .map_err(|error| told(&error))?;
    let mut answer = rows(&conn, statement, rows_max).map_err(|error| told(&error))?;
    answer.file = name;
    answer.masked = std::mem::take(&mut *masked.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(answer)
}

#[expect(
    clippy::disallowed_methods,
    reason = "ends a statement of a person, which no simulation runs"
)]
fn from_now(within: Duration) -> impl Fn() -> bool + Send + 'static {
    let end = Instant::now() + within;
    move || Instant::now() >= end
}

fn find(dir: &Path, wanted: Option<&str>) -> Result<(String, Schema), SqlError> {
    let mut known = database_names(dir, &RealFiles)?;
    let wanted = wanted.map(|name| name.strip_suffix(".db").unwrap_or(name));
    let place = match wanted {
        // The newest partition is the last of the list.
        None => known.iter().rposition(|(name, _)| name != "control"),
        Some(wanted) => known.iter().position(|(name, _)| name == wanted),
    };
    match place {
        Some(place) => Ok(known.swap_remove(place)),
        None => Err(SqlError::NoFile {
            file: wanted.unwrap_or("partition").to_owned(),
            known: known.into_iter().map(|(name, _)| name).collect(),
        }),
    }
}

/// Views of this connection alone; nothing is written to the file.
fn views(conn: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    conn.create_scalar_function("id_text", 1, flags, |context| {
        let bytes = context.get_raw(0).as_blob_or_null()?;
        let id = bytes.and_then(|bytes| bytes.try_into().ok());
        Ok(id.map(|id| MessageId::from_bytes(id).to_string()))
    })?;
    conn.pragma_update(None, "query_only", false)?;
    conn.execute_batch(VIEWS)?;
    conn.pragma_update(None, "query_only", true)
}

fn authorize(
    context: &AuthContext<'_>,
    content: Content,
    masked: &Mutex<BTreeSet<String>>,
) -> Authorization {
    match context.action {
        AuthAction::Select | AuthAction::Recursive => Authorization::Allow,
        AuthAction::Function { function_name } => match function_name {
            "load_extension" | "writefile" | "readfile" | "fts3_tokenizer" => Authorization::Deny,
            _ => Authorization::Allow,
        },
        AuthAction::Read {
            table_name,
            column_name,
        } => {
            let asked = |(table, column): &(&str, &str)| {
                table.eq_ignore_ascii_case(table_name) && column.eq_ignore_ascii_case(column_name)
            };
            let holds = CONTENT.iter().chain(&CONTENT_CONTROL).any(asked);
            if !holds || content == Content::Revealed {
                return Authorization::Allow;
            }
            let mut masked = masked.lock().unwrap_or_else(PoisonError::into_inner);
            masked.insert(format!("{table_name}.{column_name}"));
            Authorization::Ignore
        }
        _ => Authorization::Deny,
    }
}

fn rows(conn: &Connection, statement: &str, rows_max: usize) -> rusqlite::Result<SqlAnswer> {
    let mut statement = conn.prepare(statement)?;
    let columns = statement.column_names();
    let mut answer = SqlAnswer {
        columns: columns.into_iter().map(str::to_owned).collect(),
        ..SqlAnswer::default()
    };
    let width = answer.columns.len();
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        if answer.rows.len() == rows_max {
            answer.more = true;
            break;
        }
        let cells = (0..width).map(|at| Ok(cell(row.get_ref(at)?)));
        answer.rows.push(cells.collect::<rusqlite::Result<_>>()?);
    }
    Ok(answer)
}

fn cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Integer(number),
        ValueRef::Real(number) => Cell::Real(number),
        ValueRef::Text(text) => Cell::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Cell::Bytes(bytes.to_vec()),
    }
}

fn told(error: &rusqlite::Error) -> SqlError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::AuthorizationForStatementDenied) => SqlError::Writes,
        Some(rusqlite::ErrorCode::OperationInterrupted) => SqlError::TooLong,
        _ => SqlError::Sqlite(error.to_string()),
    }
}
