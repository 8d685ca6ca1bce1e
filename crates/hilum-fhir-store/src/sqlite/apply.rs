//! Writing one commit inside the group's transaction.

use hilum_db::rusqlite::types::ToSql;
use hilum_db::rusqlite::{Connection, OptionalExtension};
use hilum_db::{DbClass, DbError, Doing};

use super::content;
use super::delivery;
use super::handler::{CommitOp, StoreHandler};
use super::index::{difference, write_text};
use super::job;
use super::outbox;
use super::source::SqliteSource;
use crate::body::Kept;
use crate::commit::{Committed, Expect, Expected, Written, decode_written, encode_written, method};
use crate::error::StoreError;
use crate::id::{Pk, ResourceType, Seq};
use crate::prepare::{Action, PreparedChange};
use crate::search;

/// Rows that a search inside the writer may look at, because everybody waits for it.
const EXPECTED_SEARCH_ROWS: u64 = 50_000;

/// What the writer knows of a resource before it changes it.
pub(super) struct Before {
    pub(super) pk: i64,
    seq: i64,
    version: u32,
    pub(super) deleted: bool,
    pub(super) rows: Option<Vec<u8>>,
}

/// Applies a commit. An `Ok` with an error as the op's outcome means that nothing was written.
pub(super) fn commit(
    handler: &mut StoreHandler,
    conn: &Connection,
    op: &mut CommitOp,
) -> Result<(), DbError> {
    if let Some(known) = repeated(handler, conn, op)? {
        op.outcome = Ok(known);
        return Ok(());
    }
    if let Err(reason) = expectations(handler, conn, &op.expectations) {
        return match reason {
            StoreError::Db(error) => Err(error),
            StoreError::Conflict { .. }
            | StoreError::Stale { .. }
            | StoreError::Outdated
            | StoreError::TooCostly { .. }
            | StoreError::Limit { .. }
            | StoreError::Invalid(_)
            | StoreError::NoJob
            | StoreError::Closed
            | StoreError::Away { .. }
            | StoreError::Lost { .. }
            | StoreError::Refused { .. }
            | StoreError::Busy => {
                op.outcome = Err(reason);
                Ok(())
            }
        };
    }
    if let Some(step) = &op.job
        && job::step(handler, conn, step)? == 0
    {
        op.outcome = Err(StoreError::NoJob);
        return Ok(());
    }
    let first = handler.state.seq;
    let now = handler.shared.config.clock.now_ms();
    if !op.changes.is_empty() {
        handler.state.updated_ms = handler.state.updated_ms.max(now);
    }
    let mut written = Vec::with_capacity(op.changes.len());
    for (at, change) in op.changes.iter().enumerate() {
        match put(handler, conn, change)? {
            Ok(one) => written.push(one),
            Err(version) => {
                op.outcome = Err(StoreError::Conflict {
                    resource_type: ResourceType(change.resource_type),
                    at: op.expectations.len() + at,
                    version: Some(version),
                });
                if handler.state.seq == first && op.job.is_none() {
                    return Ok(());
                }
                let name = handler.shared.name.clone();
                return Err(DbError::new(DbClass::Constraint, "commit to", name));
            }
        }
    }
    let contents = op.changes.iter().flat_map(PreparedChange::contents);
    if !content::take_into_use(handler, conn, contents)? {
        op.outcome = Err(StoreError::Invalid(
            "a body names content that is not there",
        ));
        let name = handler.shared.name.clone();
        return Err(DbError::new(DbClass::Constraint, "commit to", name));
    }
    outbox::write(handler, conn, &op.events, &written)?;
    let outcome = Committed {
        seq: Seq(handler.state.seq),
        written,
        repeated: None,
    };
    if let Some(delivery) = &op.delivery {
        delivery::forget(handler, conn, now)?;
        let token = handler.shared.tokens.delivery(&delivery.id.0);
        let written = encode_written(&outcome.written);
        let (first, last) = (first + 1, handler.state.seq);
        let sql = "INSERT INTO delivery VALUES (?, ?, ?, ?, ?)";
        let values: [&dyn ToSql; 5] = [&token, &first, &last, &written, &&delivery.reply[..]];
        run(handler, conn, sql, &values)?;
    }
    op.outcome = Ok(outcome);
    Ok(())
}

pub(super) fn run(
    handler: &StoreHandler,
    conn: &Connection,
    sql: &str,
    values: &[&dyn ToSql],
) -> Result<usize, DbError> {
    let mut statement = conn
        .prepare_cached(sql)
        .doing("write to", &handler.shared.name)?;
    statement
        .execute(values)
        .doing("write to", &handler.shared.name)
}

fn repeated(
    handler: &StoreHandler,
    conn: &Connection,
    op: &CommitOp,
) -> Result<Option<Committed>, DbError> {
    let Some(delivery) = &op.delivery else {
        return Ok(None);
    };
    let name = &handler.shared.name;
    let token = handler.shared.tokens.delivery(&delivery.id.0);
    let mut statement = conn
        .prepare_cached("SELECT last, written, reply FROM delivery WHERE token = ?")
        .doing("look for a delivery in", name)?;
    let found = statement
        .query_row([token], |row| {
            let (last, written): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
            Ok((last, written, row.get::<_, Vec<u8>>(2)?))
        })
        .optional()
        .doing("look for a delivery in", name)?;
    Ok(found.map(|(last, written, reply)| Committed {
        seq: Seq(last),
        written: decode_written(&written),
        repeated: Some(reply.into()),
    }))
}

fn expectations(
    handler: &StoreHandler,
    conn: &Connection,
    expectations: &[Expect],
) -> Result<(), StoreError> {
    for (at, expect) in expectations.iter().enumerate() {
        match expect {
            Expect::Version {
                resource_type,
                id,
                expected,
            } => {
                let type_name = handler.shared.catalog();
                let type_name = type_name.type_name(*resource_type);
                let token = handler.shared.tokens.resource(type_name, id);
                let before = before(handler, conn, resource_type.0, token, id)?;
                let version = before
                    .filter(|before| !before.deleted)
                    .map(|before| before.version);
                let holds = match expected {
                    Expected::Absent => version.is_none(),
                    Expected::Exactly(wanted) => version == Some(*wanted),
                    Expected::Present => version.is_some(),
                };
                if !holds {
                    return Err(StoreError::Conflict {
                        resource_type: *resource_type,
                        at,
                        version,
                    });
                }
            }
            Expect::Search { query, found } => {
                let mut query = (**query).clone();
                query.count = u32::try_from(found.len() + 1).unwrap_or(u32::MAX);
                query.after = None;
                let source = SqliteSource::new(conn, &handler.shared.name);
                let pks = search::matches(
                    source,
                    &handler.shared.context(),
                    &query,
                    EXPECTED_SEARCH_ROWS,
                    handler.state.seq,
                )?;
                let mut wanted = found.clone();
                wanted.sort_unstable();
                let mut now = pks;
                now.sort_unstable();
                if now != wanted {
                    return Err(StoreError::Stale { at });
                }
            }
        }
    }
    Ok(())
}

pub(super) fn before(
    handler: &StoreHandler,
    conn: &Connection,
    resource_type: u16,
    token: i64,
    id: &str,
) -> Result<Option<Before>, DbError> {
    let name = &handler.shared.name;
    let mut statement = conn
        .prepare_cached(
            "SELECT pk, seq, version, deleted, rows FROM resource \
             WHERE token = ? AND type = ? AND fhir_id IN (?, '')",
        )
        .doing("look for a resource in", name)?;
    statement
        .query_row((token, resource_type, id), |row| {
            Ok(Before {
                pk: row.get(0)?,
                seq: row.get(1)?,
                version: row.get(2)?,
                deleted: row.get(3)?,
                rows: row.get(4)?,
            })
        })
        .optional()
        .doing("look for a resource in", name)
}

/// Writes one change; the inner error is the version that is in the way of a create.
fn put(
    handler: &mut StoreHandler,
    conn: &Connection,
    change: &PreparedChange,
) -> Result<Result<Written, u32>, DbError> {
    let found = before(
        handler,
        conn,
        change.resource_type,
        change.token,
        &change.id,
    )?;
    let exists = found.as_ref().is_some_and(|before| !before.deleted);
    let (kept, rows) = match &change.action {
        Action::Put { fresh: true, .. } if exists => {
            return Ok(Err(found.map_or(0, |before| before.version)));
        }
        Action::Put { kept, rows, .. } => (Some(kept), Some(&rows[..])),
        Action::Delete if !exists => {
            return Ok(Ok(Written {
                pk: Pk(found.map_or(0, |before| before.pk)),
                seq: Seq(handler.state.seq),
                version: 0,
                updated_ms: handler.state.updated_ms,
                created: false,
                former: None,
            }));
        }
        Action::Delete => (None, None),
    };
    handler.state.seq += 1;
    let (seq, updated_ms) = (handler.state.seq, handler.state.updated_ms);
    let pk = found.as_ref().map_or(seq, |before| before.pk);
    let version = found.as_ref().map_or(0, |before| before.version) + 1;
    let kind = match (kept, exists) {
        (None, _) => method::DELETE,
        (Some(_), true) => method::UPDATE,
        (Some(_), false) => method::CREATE,
    };
    let numbers = Numbers {
        pk,
        seq,
        version,
        updated_ms,
    };
    write_version(handler, conn, change, numbers, kind, kept)?;
    let deleted = kept.is_none();
    write_resource(handler, conn, change, numbers, rows, found.is_some())?;
    count(handler, change.resource_type, exists, !deleted);
    let old = found
        .as_ref()
        .and_then(|before| before.rows.as_deref())
        .unwrap_or_default();
    difference(handler, conn, pk, old, rows.unwrap_or_default())?;
    let text = match &change.action {
        Action::Put { text, .. } => Some(text),
        Action::Delete => None,
    };
    write_text(handler, conn, pk, text, exists)?;
    Ok(Ok(Written {
        pk: Pk(pk),
        seq: Seq(seq),
        version,
        updated_ms,
        created: kind == method::CREATE,
        former: found.map(|before| Seq(before.seq)),
    }))
}

/// What a change is known by.
#[derive(Clone, Copy)]
struct Numbers {
    pk: i64,
    seq: i64,
    version: u32,
    updated_ms: i64,
}

fn write_version(
    handler: &StoreHandler,
    conn: &Connection,
    change: &PreparedChange,
    numbers: Numbers,
    kind: i64,
    kept: Option<&Kept>,
) -> Result<(), DbError> {
    let body = kept.map(|kept| &kept.bytes[..]);
    let (codec, splice, len) = kept.map_or((0, 0, 0), |kept| (kept.codec, kept.splice, kept.len));
    run(
        handler,
        conn,
        "INSERT INTO version VALUES (?, ?, ?, ?, ?, ?, ?, NULL, NULL, ?, ?, ?)",
        &[
            &numbers.seq,
            &numbers.pk,
            &change.resource_type,
            &numbers.version,
            &kind,
            &numbers.updated_ms,
            &codec,
            &splice,
            &len,
            &body,
        ],
    )
    .map(drop)
}

/// Without rows the resource is deleted.
fn write_resource(
    handler: &StoreHandler,
    conn: &Connection,
    change: &PreparedChange,
    numbers: Numbers,
    rows: Option<&[u8]>,
    known: bool,
) -> Result<(), DbError> {
    let Numbers {
        pk,
        seq,
        version,
        updated_ms,
    } = numbers;
    let done = if known {
        run(
            handler,
            conn,
            "UPDATE resource SET seq = ?, version = ?, updated_ms = ?, deleted = ?, rows = ?, \
             fhir_id = ? WHERE pk = ?",
            &[
                &seq,
                &version,
                &updated_ms,
                &rows.is_none(),
                &rows,
                &change.id,
                &pk,
            ],
        )
    } else {
        let (of, token, id) = (&change.resource_type, &change.token, &change.id);
        run(
            handler,
            conn,
            "INSERT INTO resource VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?)",
            &[&pk, of, token, &seq, &version, &updated_ms, id, &rows],
        )
    };
    done.map(drop)
}

pub(super) fn count(handler: &mut StoreHandler, resource_type: u16, existed: bool, exists: bool) {
    let counts = &mut handler.state.counts;
    let at = usize::from(resource_type);
    if counts.len() <= at {
        counts.resize(at + 1, 0);
    }
    if let Some(count) = counts.get_mut(at) {
        *count += i64::from(exists) - i64::from(existed);
    }
}
