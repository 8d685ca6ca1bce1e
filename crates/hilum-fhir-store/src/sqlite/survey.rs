//! A look at a store's file.

use std::path::Path;
use std::sync::Arc;

use hilum_db::{DbError, Doing, Files, RealFiles, integrity};

use super::open::file;
use super::schema::STORE;
use crate::error::StoreError;
use crate::survey::Survey;

/// A file that is larger takes too long to be read whole by the way.
const CHECKED_BYTES_MAX: u64 = 2_000_000_000;

pub(crate) fn survey(path: &Path) -> Result<Survey, StoreError> {
    let newest = i64::try_from(STORE.steps.len()).unwrap_or(i64::MAX);
    let file = file(path, Arc::new(RealFiles));
    let length = |path: &Path| RealFiles.len(path).ok().flatten();
    let mut found = Survey {
        newest,
        ..Survey::default()
    };
    let Some(bytes) = length(path).filter(|bytes| *bytes > 0) else {
        return Ok(found);
    };
    found.bytes = Some((bytes, length(&file.wal_path()).unwrap_or(0)));
    // SQLite opens what it may not write to all the same.
    std::fs::OpenOptions::new()
        .append(true)
        .open(path)
        .map_err(|error| DbError::io("write to", path, error))?;
    let conn = file.open_reader()?;
    let number = |sql: &str| {
        conn.query_row(sql, [], |row| row.get::<_, i64>(0))
            .doing("look into", file.name())
    };
    if number("PRAGMA application_id")? != i64::from(STORE.application_id) {
        return Err(StoreError::Invalid("it is a file of another kind"));
    }
    let version = number("PRAGMA user_version")?;
    found.version = Some(version);
    if bytes <= CHECKED_BYTES_MAX {
        found.findings = Some(integrity(&conn, file.name())?);
    }
    if version != newest {
        return Ok(found);
    }
    let last = number("SELECT value FROM meta WHERE name = 'seq'")?;
    found.changes = last.unsigned_abs();
    if let Some(findings) = &mut found.findings {
        let numbers = (
            number("SELECT count(*) FROM version")?,
            number("SELECT coalesce(max(seq), 0) FROM version")?,
        );
        if numbers != (last, last) {
            findings.push("the numbers of changes have gaps".to_owned());
        }
    }
    Ok(found)
}
