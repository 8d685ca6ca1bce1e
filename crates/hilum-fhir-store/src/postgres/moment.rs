//! What was there at a moment.

use std::cell::RefCell;
use std::collections::HashMap;

use super::open::{PgStore, too_costly};
use super::read;
use super::reading::{Ask, Reading};
use super::source::PgSource;
use crate::commit::method;
use crate::error::StoreError;
use crate::id::{Pk, ResourceType, Seq};
use crate::moment::{
    Kept, LISTING_TIME, Listing, MomentPage, MomentQuery, PAGE_BYTES, first_changes,
};
use crate::query::Query;
use crate::search;
use crate::stored::Stored;

/// Versions that one page looks at, at least and at most.
const LOOKED_AT: (i64, i64) = (100, 10_000);

impl PgStore {
    pub(crate) async fn moment(&self, query: MomentQuery) -> Result<MomentPage, StoreError> {
        self.long(move |reading, shared| page(reading, &shared.name, &query))
            .await
    }

    pub(crate) async fn versions_at(
        &self,
        pks: Vec<Pk>,
        to: Seq,
    ) -> Result<Vec<Stored>, StoreError> {
        let pks: Vec<i64> = pks.into_iter().map(|pk| pk.0).collect();
        self.long(move |reading, shared| versions(reading, &shared.name, &pks, to.0))
            .await
    }

    pub(crate) async fn changes(
        &self,
        types: Vec<ResourceType>,
        after: Seq,
        max: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        self.long(move |reading, shared| changes(reading, &shared.name, (&types, after.0), max))
            .await
    }

    pub(crate) async fn seq_at(&self, at_ms: i64) -> Result<Seq, StoreError> {
        self.long(move |reading, _| Ok(Seq(search::Source::seq_at(&mut PgSource(reading), at_ms)?)))
            .await
    }

    pub(crate) async fn list(&self, queries: Vec<Query>) -> Result<Listing, StoreError> {
        self.longer(LISTING_TIME, move |reading, shared| {
            let reading = RefCell::new(reading);
            let source = || PgSource(&reading);
            search::list(source, &shared.context(), &queries)
        })
        .await
    }

    pub(crate) async fn named(
        &self,
        queries: Vec<Query>,
    ) -> Result<Vec<Vec<(Pk, String)>>, StoreError> {
        self.long(move |reading, shared| {
            let reading = RefCell::new(reading);
            let source = || PgSource(&reading);
            search::named(source, &shared.context(), &queries)
        })
        .await
        .map_err(too_costly)
    }

    pub(crate) async fn numbered(&self, seq: Seq) -> Result<Option<Stored>, StoreError> {
        self.change(seq).await
    }
}

/// A page.
fn page(
    reading: &mut Reading<'_>,
    name: &str,
    query: &MomentQuery,
) -> Result<MomentPage, StoreError> {
    let sql = "SELECT v.seq, v.method, v.bytes, r.seq = v.seq OR (r.seq > $3 AND NOT EXISTS \
               (SELECT 1 FROM version l WHERE l.pk = v.pk AND l.seq <> l.pk AND l.seq > v.seq \
               AND l.seq <= $3)) FROM version v JOIN resource r ON r.pk = v.pk \
               WHERE v.type = $1 AND v.seq > $2 AND v.seq <= $3 ORDER BY v.seq LIMIT $4";
    let (after, to) = (query.after.0, query.to.0);
    let of = i64::from(query.resource_type.0);
    let limit = i64::from(query.count).saturating_mul(2);
    let limit = limit.clamp(LOOKED_AT.0, LOOKED_AT.1);
    let rows = reading.query(sql, &[&of, &after, &to, &limit])?;
    let (mut seqs, mut bytes, mut last) = (Vec::new(), 0, after);
    let mut more = i64::try_from(rows.len()).is_ok_and(|looked_at| looked_at >= limit);
    for row in &rows {
        if seqs.len() >= query.count as usize || bytes > i64::from(PAGE_BYTES) {
            more = true;
            break;
        }
        last = row.get(0);
        let wanted = match row.get(1) {
            method::CREATE | method::UPDATE => query.kept == Kept::Present,
            method::DELETE => query.kept == Kept::Deleted,
            _ => false,
        };
        if wanted && row.get(3) {
            bytes += row.get::<_, i64>(2);
            seqs.push(last);
        }
    }
    Ok(MomentPage {
        versions: read::numbered(reading, &seqs, name)?,
        next: more.then_some(Seq(last)),
    })
}

/// Changes of some types behind a number.
fn changes(
    reading: &mut Reading<'_>,
    name: &str,
    (types, after): (&[ResourceType], i64),
    max: usize,
) -> Result<Vec<Stored>, StoreError> {
    let sql = "SELECT seq, bytes FROM version WHERE type = $1 AND seq > $2 AND method <> $3 \
               ORDER BY seq LIMIT $4";
    let limit = i64::try_from(max).unwrap_or(i64::MAX);
    let mut found = Vec::new();
    for of in types {
        let rows = reading.query(sql, &[&i64::from(of.0), &after, &method::ERASED, &limit])?;
        found.extend(rows.iter().map(|row| (row.get(0), row.get(1))));
    }
    read::numbered(reading, &first_changes(found, max), name)
}

/// The versions that resources had at a moment; those that did not exist then, or were deleted, are
/// left out.
fn versions(
    reading: &mut Reading<'_>,
    name: &str,
    pks: &[i64],
    to: i64,
) -> Result<Vec<Stored>, StoreError> {
    let sql = "SELECT w.pk, coalesce((SELECT seq FROM resource WHERE pk = w.pk AND seq <= $2), \
               (SELECT max(seq) FROM version WHERE pk = w.pk AND seq <> pk AND seq <= $2), w.pk) \
               FROM unnest($1::bigint[]) w (pk) WHERE w.pk <= $2";
    let rows = reading.query(sql, &[&pks, &to])?;
    let newest: HashMap<i64, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let seqs: Vec<i64> = pks
        .iter()
        .filter_map(|pk| newest.get(pk).copied())
        .collect();
    let mut out = read::numbered(reading, &seqs, name)?;
    out.retain(|version| version.body.is_some());
    Ok(out)
}
