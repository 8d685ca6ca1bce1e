//! A look at a store's file.

use std::path::Path;
use std::sync::Arc;

use hilum_db::{Doing, Files, RealFiles, integrity};

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
    let Some(bytes) = length(path) else {
        return Ok(found);
    };
    found.bytes = Some((bytes, length(&file.wal_path()).unwrap_or(0)));
    let conn = file.open_reader()?;
    let number = |sql: &str| {
        conn.query_row(sql, [], |row| row.get::<_, i64>(0))
            .doing("look into", file.name())
    };
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
