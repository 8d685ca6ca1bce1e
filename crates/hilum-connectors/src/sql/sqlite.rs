//! SQLite, on the blocking pool.

use std::path::PathBuf;
use std::time::Duration;

use hilum_component::Class;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql, params_from_iter};
use serde_json::{Map, Value};

use super::session::{Failure, ROWS_MAX, Row, Values, bound};
use super::statement::{Places, Statement};

/// How long to wait for another writer.
const BUSY: Duration = Duration::from_secs(5);

pub(super) struct Sqlite {
    /// Away while a statement runs, and gone if that was given up.
    connection: Option<Connection>,
}

impl Sqlite {
    /// Opens a file that exists: a slip in a path must not make an empty database.
    pub(super) async fn open(path: PathBuf) -> Result<Self, Failure> {
        let opened = blocking(move || {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(BUSY)?;
            Ok(connection)
        });
        Ok(Self {
            connection: Some(opened.await?),
        })
    }

    pub(super) async fn query(
        &mut self,
        query: &Statement,
        values: &Values,
    ) -> Result<Vec<Row>, Failure> {
        let (text, names) = query.render(Places::Question);
        // A cursor that is a number is compared as one, also where a column has no type.
        let values = owned(&names, values, Numbers::Bound);
        self.with(move |connection| {
            let mut statement = connection.prepare_cached(&text)?;
            let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
            let mut found = statement.query(params_from_iter(values.iter()))?;
            let mut rows = Vec::new();
            while let Some(row) = found.next()? {
                let mut json = Map::new();
                for (at, column) in columns.iter().enumerate() {
                    json.insert(column.clone(), value(row.get_ref(at)?));
                }
                rows.push(Row { json });
                if rows.len() >= ROWS_MAX {
                    break;
                }
            }
            Ok(rows)
        })
        .await
    }

    pub(super) async fn execute(
        &mut self,
        statement: &Statement,
        values: &Values,
    ) -> Result<u64, Failure> {
        let (text, names) = statement.render(Places::Question);
        let values = owned(&names, values, Numbers::Text);
        self.with(move |connection| {
            let transaction = connection.transaction()?;
            let changed = transaction.execute(&text, params_from_iter(values.iter()))?;
            transaction.commit()?;
            Ok(changed as u64)
        })
        .await
    }

    async fn with<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let Some(mut connection) = self.connection.take() else {
            return Err(Failure::new(
                Class::Retry,
                "sql-away",
                "the file is being opened again",
            ));
        };
        let (connection, result) = blocking(move || {
            let result = work(&mut connection);
            Ok((connection, result))
        })
        .await?;
        self.connection = Some(connection);
        result.map_err(|error| failure(&error))
    }
}

/// How text that is a number is bound.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Numbers {
    Bound,
    Text,
}

fn owned(names: &[&str], values: &Values, numbers: Numbers) -> Vec<Box<dyn ToSql + Send>> {
    let own = |value: Option<&str>| -> Box<dyn ToSql + Send> {
        let number = value
            .filter(|_| numbers == Numbers::Bound)
            .and_then(|text| text.parse::<i64>().ok());
        match number {
            Some(number) => Box::new(number),
            None => Box::new(value.map(str::to_owned)),
        }
    };
    bound(names, values).into_iter().map(own).collect()
}

fn value(field: ValueRef<'_>) -> Value {
    match field {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            String::from_utf8_lossy(bytes).into_owned().into()
        }
    }
}

fn failure(error: &rusqlite::Error) -> Failure {
    let Some(code) = error.sqlite_error_code() else {
        return Failure::new(
            Class::Halt,
            "sql-statement",
            "the statement does not fit its values",
        );
    };
    let (class, name) = match code {
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::DiskFull
        | ErrorCode::SystemIoFailure
        | ErrorCode::CannotOpen
        | ErrorCode::OutOfMemory => (Class::Retry, "sql-away"),
        ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig => {
            (Class::Reject, "sql-value")
        }
        // A foreign enum: everything else is about the statement or the file.
        _ => (Class::Halt, "sql-statement"),
    };
    Failure::new(class, name, format!("SQLite {code:?}"))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|error| failure(&error)),
        Err(_) => Err(Failure::new(
            Class::Retry,
            "sql-away",
            "the work was given up",
        )),
    }
}
