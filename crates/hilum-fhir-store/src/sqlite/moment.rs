//! What was there at a moment.

use hilum_db::rusqlite::{Connection, OptionalExtension};
use hilum_db::{DbError, Doing};

use super::open::SqliteStore;
use super::read;
use super::source::SqliteSource;
use crate::commit::method;
use crate::error::StoreError;
use crate::id::{Pk, ResourceType, Seq};
use crate::moment::{
    Kept, LISTING_TIME, Listing, MomentPage, MomentQuery, PAGE_BYTES, first_changes,
};
use crate::query::Query;
use crate::search;
use crate::stored::Stored;

/// Versions that one page looks at.
const LOOKED_AT_MAX: u32 = 10_000;

impl SqliteStore {
    pub(crate) async fn moment(&self, query: MomentQuery) -> Result<MomentPage, StoreError> {
        self.long(move |conn, shared| page(conn, &shared.name, &query))
            .await
    }

    pub(crate) async fn versions_at(
        &self,
        pks: Vec<Pk>,
        to: Seq,
    ) -> Result<Vec<Stored>, StoreError> {
        let pks: Vec<i64> = pks.into_iter().map(|pk| pk.0).collect();
        self.long(move |conn, shared| versions(conn, &shared.name, &pks, to.0))
            .await
    }

    pub(crate) async fn changes(
        &self,
        types: Vec<ResourceType>,
        after: Seq,
        max: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        self.long(move |conn, shared| changes(conn, &shared.name, (&types, after.0), max))
            .await
    }

    pub(crate) async fn seq_at(&self, at_ms: i64) -> Result<Seq, StoreError> {
        self.long(move |conn, shared| {
            let mut source = SqliteSource::new(conn, &shared.name);
            Ok(Seq(search::Source::seq_at(&mut source, at_ms)?))
        })
        .await
    }

    pub(crate) async fn list(&self, queries: Vec<Query>) -> Result<Listing, StoreError> {
        self.longer(LISTING_TIME, move |conn, shared| {
            let source = || SqliteSource::new(conn, &shared.name);
            search::list(source, &shared.context(), &queries)
        })
        .await
    }

    pub(crate) async fn named(
        &self,
        queries: Vec<Query>,
    ) -> Result<Vec<Vec<(Pk, String)>>, StoreError> {
        self.long(move |conn, shared| {
            let source = || SqliteSource::new(conn, &shared.name);
            search::named(source, &shared.context(), &queries)
        })
        .await
    }

    pub(crate) async fn numbered(&self, seq: Seq) -> Result<Option<Stored>, StoreError> {
        self.long(move |conn, shared| read::numbered(conn, &shared.name, seq.0))
            .await
    }
}

/// Whether a version of a resource, whose last one is `last`, was the current one at a moment.
fn current(
    conn: &Connection,
    name: &str,
    (pk, seq, last): (i64, i64, i64),
    to: i64,
) -> Result<bool, DbError> {
    if last == seq {
        return Ok(true);
    }
    if last <= to {
        return Ok(false);
    }
    let sql = "SELECT 1 FROM version WHERE pk = ? AND seq <> pk AND seq > ? AND seq <= ? LIMIT 1";
    let mut statement = conn.prepare_cached(sql).doing("read from", name)?;
    let later = statement
        .query_row((pk, seq, to), |_| Ok(()))
        .optional()
        .doing("read from", name)?;
    Ok(later.is_none())
}

/// A page.
pub(super) fn page(
    conn: &Connection,
    name: &str,
    query: &MomentQuery,
) -> Result<MomentPage, StoreError> {
    let sql = "SELECT v.seq, v.pk, v.method, r.seq FROM version v CROSS JOIN resource r ON r.pk = v.pk \
               WHERE v.type = ? AND v.seq > ? AND v.seq <= ? ORDER BY v.seq LIMIT ?";
    let mut statement = conn.prepare_cached(sql).doing("read from", name)?;
    let (after, to) = (query.after.0, query.to.0);
    let mut rows = statement
        .query((query.resource_type.0, after, to, LOOKED_AT_MAX))
        .doing("read from", name)?;
    let (mut versions, mut bytes) = (Vec::new(), 0);
    let (mut looked_at, mut last) = (0, after);
    while let Some(row) = rows.next().doing("read from", name)? {
        if versions.len() >= query.count as usize || bytes > PAGE_BYTES as usize {
            return Ok(MomentPage {
                versions,
                next: Some(Seq(last)),
            });
        }
        let read = || Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?, row.get(3)?));
        let (seq, pk, kind, newest): (i64, i64, i64, i64) = read().doing("read from", name)?;
        looked_at += 1;
        last = seq;
        let wanted = match kind {
            method::CREATE | method::UPDATE => query.kept == Kept::Present,
            method::DELETE => query.kept == Kept::Deleted,
            _ => false,
        };
        if wanted && current(conn, name, (pk, seq, newest), to)? {
            let version = read::numbered(conn, name, seq)?;
            bytes += version.iter().filter_map(Stored::body_bytes).sum::<usize>();
            versions.extend(version);
        }
    }
    let more = looked_at >= LOOKED_AT_MAX;
    Ok(MomentPage {
        versions,
        next: more.then_some(Seq(last)),
    })
}

/// Changes of some types behind a number.
fn changes(
    conn: &Connection,
    name: &str,
    (types, after): (&[ResourceType], i64),
    max: usize,
) -> Result<Vec<Stored>, StoreError> {
    let sql = "SELECT seq, bytes FROM version WHERE type = ? AND seq > ? AND method <> ? \
               ORDER BY seq LIMIT ?";
    let mut statement = conn.prepare_cached(sql).doing("read from", name)?;
    let limit = i64::try_from(max).unwrap_or(i64::MAX);
    let mut found: Vec<(i64, i64)> = Vec::new();
    for of in types {
        let rows = statement.query_map((of.0, after, method::ERASED, limit), |row| {
            Ok((row.get(0)?, row.get(1)?))
        });
        let rows: Result<Vec<_>, _> = rows.doing("read from", name)?.collect();
        found.extend(rows.doing("read from", name)?);
    }
    let mut out = Vec::new();
    for seq in first_changes(found, max) {
        out.extend(read::numbered(conn, name, seq)?);
    }
    Ok(out)
}

/// The versions that resources had at a moment; those that did not exist then, or were deleted, are
/// left out.
pub(super) fn versions(
    conn: &Connection,
    name: &str,
    pks: &[i64],
    to: i64,
) -> Result<Vec<Stored>, StoreError> {
    let newest = "SELECT coalesce((SELECT seq FROM resource WHERE pk = ?1 AND seq <= ?2), \
                  (SELECT max(seq) FROM version WHERE pk = ?1 AND seq <> pk AND seq <= ?2), ?1)";
    let mut statement = conn.prepare_cached(newest).doing("read from", name)?;
    let mut out = Vec::with_capacity(pks.len());
    for pk in pks.iter().filter(|pk| **pk <= to) {
        let seq = statement
            .query_row((pk, to), |row| row.get(0))
            .doing("read from", name)?;
        out.extend(read::numbered(conn, name, seq)?);
    }
    out.retain(|version| version.body.is_some());
    Ok(out)
}
