//! Reading versions.

use std::sync::Arc;

use hilum_db::rusqlite::{Connection, OptionalExtension, Row};
use hilum_db::{DbClass, DbError, Doing};

use crate::body::unpack;
use crate::commit::method;
use crate::error::StoreError;
use crate::id::{Pk, ResourceType, Seq};
use crate::stored::{HistoryPage, HistoryQuery, HistoryScope, Stored};

/// Columns of a version with its resource, in the order that [`stored`] reads them.
macro_rules! columns {
    () => {
        "v.pk, v.type, r.fhir_id, v.version, v.seq, v.updated_ms, v.method, v.codec, v.splice, \
         v.bytes, v.body"
    };
}

fn stored(row: &Row<'_>, name: &str) -> Result<Stored, StoreError> {
    let read = || -> Result<_, hilum_db::rusqlite::Error> {
        let id: Arc<str> = row.get_ref(2)?.as_str()?.into();
        let kind: i64 = row.get(6)?;
        let packed = row.get_ref(10)?.as_blob_or_null()?;
        let body = packed.map(|bytes| {
            let how = (row.get(7)?, row.get(8)?, row.get(9)?);
            Ok::<_, hilum_db::rusqlite::Error>((how, bytes))
        });
        let one = Stored {
            pk: Pk(row.get(0)?),
            resource_type: ResourceType(row.get(1)?),
            id,
            version: row.get(3)?,
            seq: Seq(row.get(4)?),
            updated_ms: row.get(5)?,
            created: kind == method::CREATE,
            body: None,
        };
        Ok((one, body.transpose()?))
    };
    let (mut one, body) = read().doing("read from", name)?;
    if let Some(((codec, splice, len), bytes)) = body {
        let damaged = |_| DbError::new(DbClass::Corrupt, "unpack a body of", name);
        one.body = Some(unpack(codec, splice, len, bytes).map_err(damaged)?);
    }
    Ok(one)
}

fn one(
    conn: &Connection,
    name: &str,
    sql: &str,
    params: impl hilum_db::rusqlite::Params,
) -> Result<Option<Stored>, StoreError> {
    let mut statement = conn.prepare_cached(sql).doing("read from", name)?;
    let mut rows = statement.query(params).doing("read from", name)?;
    match rows.next().doing("read from", name)? {
        Some(row) => stored(row, name).map(Some),
        None => Ok(None),
    }
}

/// The current version of a resource.
pub(super) fn current(
    conn: &Connection,
    name: &str,
    of: ResourceType,
    token: i64,
    id: &str,
) -> Result<Option<Stored>, StoreError> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM resource r CROSS JOIN version v ON v.seq = r.seq \
         WHERE r.token = ? AND r.type = ? AND r.fhir_id IN (?, '')"
    );
    one(conn, name, sql, (token, of.0, id))
}

/// The current versions of resources that are not deleted.
pub(super) fn fetch(conn: &Connection, name: &str, pks: &[i64]) -> Result<Vec<Stored>, StoreError> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM resource r CROSS JOIN version v ON v.seq = r.seq WHERE r.pk = ? AND r.deleted = 0"
    );
    let mut out = Vec::with_capacity(pks.len());
    for pk in pks {
        out.extend(one(conn, name, sql, [pk])?);
    }
    Ok(out)
}

/// The version that a change made.
pub(super) fn numbered(
    conn: &Connection,
    name: &str,
    seq: i64,
) -> Result<Option<Stored>, StoreError> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM version v CROSS JOIN resource r ON r.pk = v.pk WHERE v.seq = ?"
    );
    one(conn, name, sql, [seq])
}

/// A version of a resource. The first one has the number of the resource itself, so the index of
/// versions need not hold it.
pub(super) fn version(
    conn: &Connection,
    name: &str,
    of: ResourceType,
    (token, id): (i64, &str),
    version: u32,
) -> Result<Option<Stored>, StoreError> {
    let mut statement = conn
        .prepare_cached(
            "SELECT pk FROM resource WHERE token = ? AND type = ? AND fhir_id IN (?, '')",
        )
        .doing("read from", name)?;
    let pk: Option<i64> = statement
        .query_row((token, of.0, id), |row| row.get(0))
        .optional()
        .doing("read from", name)?;
    let Some(pk) = pk else {
        return Ok(None);
    };
    if version == 1 {
        let sql = concat!(
            "SELECT ",
            columns!(),
            " FROM version v CROSS JOIN resource r ON r.pk = v.pk WHERE v.seq = ?"
        );
        return one(conn, name, sql, [pk]);
    }
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM version v CROSS JOIN resource r ON r.pk = v.pk \
         WHERE v.pk = ? AND v.version = ? AND v.seq <> v.pk"
    );
    one(conn, name, sql, (pk, version))
}

/// The version that a change made.
pub(super) fn change(
    conn: &Connection,
    name: &str,
    seq: Seq,
) -> Result<Option<Stored>, StoreError> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM version v CROSS JOIN resource r ON r.pk = v.pk WHERE v.seq = ?"
    );
    one(conn, name, sql, [seq.0])
}

/// The versions of a scope in either order.
macro_rules! history {
    ($from:literal, $of:literal, $order:literal, $up:expr) => {
        if $up {
            concat!(
                "SELECT ",
                columns!(),
                $from,
                $of,
                range!(),
                $order,
                " LIMIT ?"
            )
        } else {
            concat!(
                "SELECT ",
                columns!(),
                $from,
                $of,
                range!(),
                $order,
                " DESC LIMIT ?"
            )
        }
    };
}

/// The part of the history that is asked for; what was erased is not in it.
macro_rules! range {
    () => {
        "v.seq > ? AND v.seq < ? AND v.method <> 3 AND v.updated_ms >= ? AND v.updated_ms < ? \
         ORDER BY "
    };
}

/// A page of history, newest first.
pub(super) fn history(
    conn: &Connection,
    name: &str,
    query: &HistoryQuery,
    token: i64,
) -> Result<HistoryPage, StoreError> {
    let (above, below) = query.between();
    let limit = i64::from(query.count) + 1;
    let (from, to, up) = (query.from_ms, query.to_ms, query.is_up());
    let take = |sql: &str, params: &[&dyn hilum_db::rusqlite::ToSql]| {
        let mut statement = conn.prepare_cached(sql).doing("read history of", name)?;
        let mut rows = statement.query(params).doing("read history of", name)?;
        let mut versions = Vec::new();
        while let Some(row) = rows.next().doing("read history of", name)? {
            versions.push(stored(row, name)?);
        }
        Ok::<_, StoreError>(versions)
    };
    let versions = match &query.scope {
        HistoryScope::System => take(
            history!(
                " FROM version v CROSS JOIN resource r ON r.pk = v.pk WHERE ",
                "",
                "v.seq",
                up
            ),
            &[&above, &below, &from, &to, &limit],
        )?,
        HistoryScope::Type(of) => take(
            history!(
                " FROM version v CROSS JOIN resource r ON r.pk = v.pk WHERE ",
                "v.type = ? AND ",
                "v.seq",
                up
            ),
            &[&of.0, &above, &below, &from, &to, &limit],
        )?,
        HistoryScope::Instance(of, id) => {
            let params: [&dyn hilum_db::rusqlite::ToSql; 8] =
                [&token, &of.0, id, &above, &below, &from, &to, &limit];
            let later = take(
                history!(
                    " FROM resource r CROSS JOIN version v ON v.pk = r.pk AND v.seq <> v.pk WHERE ",
                    "r.token = ? AND r.type = ? AND r.fhir_id IN (?, '') AND ",
                    "v.version",
                    up
                ),
                &params,
            )?;
            // The first one has the number of the resource itself.
            let first = take(
                history!(
                    " FROM resource r CROSS JOIN version v ON v.seq = r.pk WHERE ",
                    "r.token = ? AND r.type = ? AND r.fhir_id IN (?, '') AND ",
                    "v.seq",
                    up
                ),
                &params,
            )?;
            if up {
                [first, later].concat()
            } else {
                [later, first].concat()
            }
        }
    };
    Ok(query.page(versions))
}
