//! Looking after the file: whether it holds together, and copies of it.

use hilum_db::rusqlite::{Connection, Params};
use hilum_db::{DbError, Doing, integrity};

use crate::entry::{Rows, TableRow, table_rows};
use crate::error::StoreError;
use crate::shared::Shared;

/// Findings after which verification stops: a damaged file has many.
const FINDINGS_MAX: usize = 100;

/// What does not hold together; names kinds and numbers only. Empty is good.
pub(super) fn verify(conn: &Connection, shared: &Shared) -> Result<Vec<String>, StoreError> {
    let mut found = integrity(conn, &shared.name)?;
    let name = &shared.name;
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
    ] {
        let count = one(sql)?;
        if count != 0 {
            found.push(format!("{what}: {count}"));
        }
    }
    index_rows(conn, shared, &mut found)?;
    found.truncate(FINDINGS_MAX);
    Ok(found)
}

/// Every packed row is in its table, and the tables hold nothing else.
fn index_rows(
    conn: &Connection,
    shared: &Shared,
    found: &mut Vec<String>,
) -> Result<(), StoreError> {
    let name = &*shared.name;
    let mut statement = conn
        .prepare("SELECT pk, rows FROM resource WHERE deleted = 0")
        .doing("verify", name)?;
    let mut resources = statement.query([]).doing("verify", name)?;
    let (mut tokens, mut spans, mut wides) = (0, 0, 0);
    while let Some(row) = resources.next().doing("verify", name)? {
        let pk: i64 = row.get(0).doing("verify", name)?;
        let packed: Vec<u8> = row.get(1).doing("verify", name)?;
        for row in table_rows(Rows(&packed), &shared.tokens) {
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
