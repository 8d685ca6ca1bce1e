//! Reading versions.

use std::collections::HashMap;

use hilum_db::{DbClass, DbError};
use tokio_postgres::Row;

use super::link::{Link, Values};
use super::reading::{Ask, Reading};
use super::source::small;
use super::text::clean;
use crate::body::unpack;
use crate::commit::method;
use crate::error::StoreError;
use crate::id::{Pk, ResourceType, Seq};
use crate::stored::{HistoryPage, HistoryQuery, HistoryScope, Stored};

/// Columns of a version with its resource, in the order that [`stored`] reads them.
macro_rules! columns {
    () => {
        "SELECT v.pk, v.type, r.fhir_id, v.version, v.seq, v.updated_ms, v.method, v.codec, \
         v.splice, v.bytes, v.body "
    };
}

pub(super) fn stored(row: &Row, name: &str) -> Result<Stored, StoreError> {
    let id: &str = row.get(2);
    let kind: i64 = row.get(6);
    let packed: Option<&[u8]> = row.get(10);
    let body = match packed {
        None => None,
        Some(bytes) => {
            let damaged = |_| DbError::new(DbClass::Corrupt, "unpack a body of", name);
            let body = unpack(row.get(7), row.get(8), row.get(9), bytes);
            Some(body.map_err(damaged)?)
        }
    };
    Ok(Stored {
        pk: Pk(row.get(0)),
        resource_type: ResourceType(small(row.get(1))),
        id: id.into(),
        version: u32::try_from(row.get::<_, i64>(3)).unwrap_or(u32::MAX),
        seq: Seq(row.get(4)),
        updated_ms: row.get(5),
        created: kind == method::CREATE,
        body,
    })
}

fn all(rows: &[Row], name: &str) -> Result<Vec<Stored>, StoreError> {
    rows.iter().map(|row| stored(row, name)).collect()
}

fn one(rows: &[Row], name: &str) -> Result<Option<Stored>, StoreError> {
    rows.first().map(|row| stored(row, name)).transpose()
}

/// What was found, in the order of the keys asked for; a key that was asked for twice gives it twice.
pub(super) fn in_order<T: Clone>(keys: &[i64], found: Vec<T>, key: impl Fn(&T) -> i64) -> Vec<T> {
    let all_once = keys.len() == found.len();
    let mut by_key: HashMap<i64, T> = found.into_iter().map(|one| (key(&one), one)).collect();
    if all_once {
        return keys.iter().filter_map(|key| by_key.remove(key)).collect();
    }
    keys.iter()
        .filter_map(|key| by_key.get(key).cloned())
        .collect()
}

/// The current version of a resource.
pub(super) fn current(
    link: &mut Link,
    of: ResourceType,
    token: i64,
    id: &str,
) -> Result<Option<Stored>, StoreError> {
    let sql = concat!(
        columns!(),
        "FROM resource r JOIN version v ON v.seq = r.seq \
         WHERE r.token = $1 AND r.type = $2 AND r.fhir_id IN ($3, '')"
    );
    let rows = link.query(sql, &[&token, &i64::from(of.0), &&*clean(id)])?;
    one(&rows, link.name())
}

/// The current versions of several resources, in the order asked for.
pub(super) fn current_many(
    link: &mut Link,
    wanted: &[(ResourceType, i64, String)],
) -> Result<Vec<Option<Stored>>, StoreError> {
    let sql = concat!(
        columns!(),
        "FROM resource r JOIN version v ON v.seq = r.seq WHERE r.token = ANY($1)"
    );
    let tokens: Vec<i64> = wanted.iter().map(|(_, token, _)| *token).collect();
    let rows = link.query(sql, &[&tokens])?;
    let found = all(&rows, link.name())?;
    let mut by_name = HashMap::with_capacity(found.len());
    for stored in &found {
        by_name.insert((stored.resource_type, &*stored.id), stored);
    }
    Ok(wanted
        .iter()
        .map(|(of, _, id)| by_name.get(&(*of, id.as_str())).map(|one| (*one).clone()))
        .collect())
}

/// The current versions of resources that are not deleted, in the order asked for.
pub(super) fn fetch(
    reading: &mut Reading<'_>,
    pks: &[i64],
    name: &str,
) -> Result<Vec<Stored>, StoreError> {
    if pks.is_empty() {
        return Ok(Vec::new());
    }
    let sql = concat!(
        columns!(),
        "FROM resource r JOIN version v ON v.seq = r.seq WHERE r.pk = ANY($1) AND NOT r.deleted"
    );
    let rows = reading.query(sql, &[&pks])?;
    let found = all(&rows, name)?;
    Ok(in_order(pks, found, |one| one.pk.0))
}

/// The versions that changes made, in the order asked for.
pub(super) fn numbered(
    reading: &mut Reading<'_>,
    seqs: &[i64],
    name: &str,
) -> Result<Vec<Stored>, StoreError> {
    if seqs.is_empty() {
        return Ok(Vec::new());
    }
    let sql = concat!(
        columns!(),
        "FROM version v JOIN resource r ON r.pk = v.pk WHERE v.seq = ANY($1)"
    );
    let found = all(&reading.query(sql, &[&seqs])?, name)?;
    Ok(in_order(seqs, found, |one| one.seq.0))
}

/// A version of a resource.
pub(super) fn version(
    link: &mut Link,
    of: ResourceType,
    (token, id): (i64, &str),
    version: u32,
) -> Result<Option<Stored>, StoreError> {
    let key = (i64::from(of.0), clean(id));
    // The first one has the number of the resource itself, so the index of versions need not hold
    // it.
    let rows = if version == 1 {
        let sql = concat!(
            columns!(),
            "FROM resource r JOIN version v ON v.seq = r.pk \
             WHERE r.token = $1 AND r.type = $2 AND r.fhir_id IN ($3, '')"
        );
        link.query(sql, &[&token, &key.0, &&*key.1])?
    } else {
        let sql = concat!(
            columns!(),
            "FROM resource r JOIN version v ON v.pk = r.pk AND v.version = $4 AND v.seq <> v.pk \
             WHERE r.token = $1 AND r.type = $2 AND r.fhir_id IN ($3, '')"
        );
        link.query(sql, &[&token, &key.0, &&*key.1, &i64::from(version)])?
    };
    one(&rows, link.name())
}

/// The version that a change made.
pub(super) fn change(link: &mut Link, seq: Seq) -> Result<Option<Stored>, StoreError> {
    let sql = concat!(
        columns!(),
        "FROM version v JOIN resource r ON r.pk = v.pk WHERE v.seq = $1"
    );
    let rows = link.query(sql, &[&seq.0])?;
    one(&rows, link.name())
}

/// The part of the history that is asked for; what was erased is not in it.
macro_rules! range {
    () => {
        "WHERE v.seq > $1 AND v.seq < $2 AND v.method <> 3 AND v.updated_ms >= $3 \
         AND v.updated_ms < $4 "
    };
}

/// The versions of a scope in either order.
macro_rules! history {
    ($from:literal, $of:literal, $order:literal, $up:expr) => {
        if $up {
            concat!(
                columns!(),
                $from,
                range!(),
                $of,
                "ORDER BY ",
                $order,
                " LIMIT $5"
            )
        } else {
            concat!(
                columns!(),
                $from,
                range!(),
                $of,
                "ORDER BY ",
                $order,
                " DESC LIMIT $5"
            )
        }
    };
}

/// A page of history, newest first.
pub(super) fn history(
    reading: &mut Reading<'_>,
    name: &str,
    query: &HistoryQuery,
    token: i64,
) -> Result<HistoryPage, StoreError> {
    let (above, below) = query.between();
    let limit = i64::from(query.count) + 1;
    let (from, to, up) = (query.from_ms, query.to_ms, query.is_up());
    let versions = match &query.scope {
        HistoryScope::System => {
            let sql = history!(
                "FROM version v JOIN resource r ON r.pk = v.pk ",
                "",
                "v.seq",
                up
            );
            all(
                &reading.query(sql, &[&above, &below, &from, &to, &limit])?,
                name,
            )?
        }
        HistoryScope::Type(of) => {
            let sql = history!(
                "FROM version v JOIN resource r ON r.pk = v.pk ",
                "AND v.type = $6 ",
                "v.seq",
                up
            );
            let of = i64::from(of.0);
            all(
                &reading.query(sql, &[&above, &below, &from, &to, &limit, &of])?,
                name,
            )?
        }
        HistoryScope::Instance(of, id) => {
            let key = (i64::from(of.0), clean(id));
            let values: Values<'_> =
                &[&above, &below, &from, &to, &limit, &token, &key.0, &&*key.1];
            let later = history!(
                "FROM resource r JOIN version v ON v.pk = r.pk AND v.seq <> v.pk ",
                "AND r.token = $6 AND r.type = $7 AND r.fhir_id IN ($8, '') ",
                "v.version",
                up
            );
            let later = all(&reading.query(later, values)?, name)?;
            // The first one has the number of the resource itself.
            let first = history!(
                "FROM resource r JOIN version v ON v.seq = r.pk ",
                "AND r.token = $6 AND r.type = $7 AND r.fhir_id IN ($8, '') ",
                "v.seq",
                up
            );
            let first = all(&reading.query(first, values)?, name)?;
            if up {
                [first, later].concat()
            } else {
                [later, first].concat()
            }
        }
    };
    Ok(query.page(versions))
}
