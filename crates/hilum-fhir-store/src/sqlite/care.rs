//! Looking after the file: whether it holds together, and copies of it.
//!
//! What is here may run while a program uses the file, and changes nothing in it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hilum_db::rusqlite::{Connection, Params};
use hilum_db::{Cancel, DbClass, DbError, Doing, Readers, RealFiles, integrity};
use hilum_message::IndexKey;

use super::open::file;
use super::schema::STORE;
use crate::entry::{Rows, TableRow, table_rows};
use crate::error::StoreError;
use crate::normal::Tokens;

/// Longest backup or verification.
pub(super) const CARE_TIME: Duration = Duration::from_secs(24 * 3600);

/// Findings after which verification stops: a damaged file has many.
const FINDINGS_MAX: usize = 100;

/// What does not hold together; names kinds and numbers only. Empty is good.
pub(super) fn verify(
    conn: &Connection,
    name: &str,
    tokens: &Tokens,
) -> Result<Vec<String>, StoreError> {
    let mut found = integrity(conn, name)?;
    let one = |sql: &str| number(conn, name, sql, []);
    let last = one("SELECT value FROM meta WHERE name = 'seq'")?;
    if (
        one("SELECT count(*) FROM version")?,
        one("SELECT coalesce(max(seq), 0) FROM version")?,
    ) != (last, last)
    {
        found.push("the numbers of changes have gaps".to_owned());
    }
    for (sql, what) in [
        (
            "SELECT count(*) FROM resource r LEFT JOIN version v ON v.seq = r.seq \
             WHERE v.pk IS NOT r.pk OR v.version <> r.version OR (v.body IS NULL) <> r.deleted",
            "resources without their current version",
        ),
        (
            "SELECT count(*) FROM version v LEFT JOIN resource r ON r.pk = v.pk \
             WHERE r.pk IS NULL OR v.seq > r.seq OR v.version > r.version",
            "versions without a resource",
        ),
        (
            "SELECT count(*) FROM (SELECT 1 FROM version GROUP BY pk, version HAVING count(*) > 1)",
            "versions that exist twice",
        ),
        (
            "SELECT count(*) FROM (SELECT updated_ms, lag(updated_ms) OVER (ORDER BY seq) AS before \
             FROM version) WHERE before > updated_ms",
            "changes that are older than the one before",
        ),
        (
            "SELECT count(*) FROM (SELECT type, count(*) AS n FROM resource WHERE deleted = 0 \
             GROUP BY type) r LEFT JOIN counter c ON c.type = r.type WHERE c.count IS NOT r.n",
            "types that are counted wrongly",
        ),
        (
            "SELECT count(*) FROM version v JOIN resource r ON r.pk = v.pk \
             WHERE (v.method = 3 AND v.body IS NOT NULL) OR (r.fhir_id = '' AND v.method <> 3)",
            "erased versions with content",
        ),
        (
            "SELECT count(*) FROM word w WHERE NOT EXISTS \
             (SELECT 1 FROM token t WHERE t.param = w.param AND t.code = w.code)",
            "words without rows",
        ),
        (
            "SELECT count(*) FROM part p LEFT JOIN content c ON c.id = p.content \
             WHERE c.id IS NULL",
            "parts of content that is not there",
        ),
        (
            "SELECT count(*) FROM content c WHERE NOT EXISTS \
             (SELECT 1 FROM part p WHERE p.content = c.id AND p.part = 0)",
            "content without parts",
        ),
    ] {
        let count = one(sql)?;
        if count != 0 {
            found.push(format!("{what}: {count}"));
        }
    }
    index_rows(conn, name, tokens, &mut found)?;
    found.truncate(FINDINGS_MAX);
    Ok(found)
}

/// As [`verify`], of a file that this program need not have opened.
pub(crate) fn verify_file(path: &Path, cancel: &Cancel) -> Result<Vec<String>, StoreError> {
    let file = file(path, Arc::new(RealFiles));
    let readers = Readers::new(file, 1);
    let mut found = Ok(Vec::new());
    let read = readers.read_within(CARE_TIME, cancel, |conn| {
        found = verify_unknown(conn, readers.file().name());
        Ok(())
    });
    match read.map_err(StoreError::from).and(found) {
        Err(StoreError::Db(error)) if error.class() == DbClass::Corrupt => {
            Ok(vec!["the file is damaged beyond reading".to_owned()])
        }
        found => found,
    }
}

/// The tables of another version are not known: SQLite alone looks at them.
fn verify_unknown(conn: &Connection, name: &str) -> Result<Vec<String>, StoreError> {
    let version = number(conn, name, "PRAGMA user_version", [])?;
    let kind = number(conn, name, "PRAGMA application_id", [])?;
    let newest = i64::try_from(STORE.steps.len()).unwrap_or(i64::MAX);
    if kind != i64::from(STORE.application_id) {
        return Ok(vec!["it is no store of FHIR resources".to_owned()]);
    }
    if version != newest {
        let mut found = integrity(conn, name)?;
        if version > newest {
            found.push(format!("a newer program wrote it (tables {version})"));
        }
        return Ok(found);
    }
    let key: Vec<u8> = conn
        .query_row(
            "SELECT value FROM meta WHERE name = 'index-key'",
            [],
            |row| row.get(0),
        )
        .doing("verify", name)?;
    let Ok(key) = <[u8; 16]>::try_from(key) else {
        return Ok(vec!["its key is damaged".to_owned()]);
    };
    verify(conn, name, &Tokens::new(IndexKey::new(key)))
}

/// Copies one moment of a file, synced, while a program may write to it.
pub(crate) fn back_up_file(path: &Path, to: &Path, cancel: &Cancel) -> Result<(), StoreError> {
    let file = file(path, Arc::new(RealFiles));
    copy(&Readers::new(file, 1), to, cancel)
}

/// Copies one moment of the file of some readers.
pub(super) fn copy(readers: &Readers, to: &Path, cancel: &Cancel) -> Result<(), StoreError> {
    let from = readers.file();
    let target = from.clone_at(to);
    let copy = |conn: &Connection| hilum_db::backup(conn, from.name(), &target, cancel);
    Ok(readers.read_within(CARE_TIME, cancel, copy)?)
}

/// Every packed row is in its table, and the tables hold nothing else.
fn index_rows(
    conn: &Connection,
    name: &str,
    keys: &Tokens,
    found: &mut Vec<String>,
) -> Result<(), StoreError> {
    let mut statement = conn
        .prepare("SELECT pk, rows FROM resource WHERE deleted = 0")
        .doing("verify", name)?;
    let mut resources = statement.query([]).doing("verify", name)?;
    let (mut tokens, mut spans, mut wides) = (0, 0, 0);
    while let Some(row) = resources.next().doing("verify", name)? {
        let pk: i64 = row.get(0).doing("verify", name)?;
        let packed: Vec<u8> = row.get(1).doing("verify", name)?;
        for row in table_rows(Rows(&packed), keys) {
            match row {
                TableRow::Token { .. } | TableRow::Word { .. } => tokens += 1,
                TableRow::Span { wide, .. } => {
                    spans += 1;
                    wides += i64::from(wide);
                }
            }
            if found.len() < FINDINGS_MAX && !is_there(conn, name, pk, &row)? {
                found.push(format!("resource {pk} is not found by one of its values"));
            }
        }
    }
    for (table, expected) in [("token", tokens), ("span", spans), ("wide", wides)] {
        let count = number(conn, name, &format!("SELECT count(*) FROM {table}"), [])?;
        if count != expected {
            found.push(format!("{table} has {count} rows instead of {expected}"));
        }
    }
    Ok(())
}

fn is_there(
    conn: &Connection,
    name: &str,
    pk: i64,
    row: &TableRow<'_>,
) -> Result<bool, StoreError> {
    let token = "SELECT count(*) FROM token WHERE param = ? AND code = ? AND pk = ? AND extra = ?";
    let count = match row {
        TableRow::Token { index, code, extra } => {
            number(conn, name, token, (index.0, code, pk, extra))?
        }
        TableRow::Word {
            index,
            code,
            extra,
            text,
        } => {
            let word = "SELECT count(*) FROM word WHERE param = ? AND text = ? AND code = ?";
            number(conn, name, token, (index.0, code, pk, extra))?
                * number(conn, name, word, (index.0, text, code))?
        }
        TableRow::Span {
            index,
            unit,
            low,
            high,
            ..
        } => {
            let span = "SELECT count(*) FROM span \
                        WHERE param = ? AND unit = ? AND low = ? AND pk = ? AND high = ?";
            number(conn, name, span, (index.0, unit, low, pk, high))?
        }
    };
    Ok(count == 1)
}

fn number(conn: &Connection, name: &str, sql: &str, params: impl Params) -> Result<i64, DbError> {
    let mut statement = conn.prepare_cached(sql).doing("verify", name)?;
    statement
        .query_row(params, |row| row.get(0))
        .doing("verify", name)
}
