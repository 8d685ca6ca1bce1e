//! Content apart in the database.

use super::open::PgStore;
use super::writing::Writing;
use crate::body::{CODEC_APART, contents};
use crate::content::{ContentStep, UNUSED_MS};
use crate::error::StoreError;

impl PgStore {
    pub(crate) async fn content(&self, step: ContentStep) -> Result<(), StoreError> {
        self.write(move |writing| apply(writing, &step)).await
    }

    /// How a part is packed, its length, and its bytes.
    pub(crate) async fn part(
        &self,
        key: (i64, i64),
    ) -> Result<Option<(i64, i64, Vec<u8>)>, StoreError> {
        self.point(move |link| {
            let sql = "SELECT codec, bytes, body FROM part WHERE content = $1 AND part = $2";
            let rows = link.query(sql, &[&key.0, &key.1])?;
            Ok(rows.first().map(|row| (row.get(0), row.get(1), row.get(2))))
        })
        .await
    }
}

fn apply(writing: &mut Writing<'_>, step: &ContentStep) -> Result<(), StoreError> {
    match step {
        ContentStep::Put {
            content,
            part,
            codec,
            len,
            bytes,
        } => {
            let now = writing.shared.config.clock.now_ms();
            // A statement whose answer was lost is sent once more.
            if *part == 0 {
                // Other programs may have some on their way, but none for a day.
                let forgotten = "WITH gone AS (DELETE FROM content WHERE uses = 0 AND at_ms <= $1 \
                                 RETURNING id) DELETE FROM part WHERE content IN (SELECT id FROM gone)";
                writing.query(forgotten, &[&(now - UNUSED_MS)])?;
                let known = "INSERT INTO content VALUES ($1, 0, $2) ON CONFLICT DO NOTHING";
                writing.query(known, &[content, &now])?;
            }
            let put = "INSERT INTO part VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
            writing.query(put, &[content, part, codec, len, bytes])?;
        }
        ContentStep::Drop(contents) => drop_unused(writing, contents)?,
    }
    Ok(())
}

fn drop_unused(writing: &mut Writing<'_>, contents: &[i64]) -> Result<(), StoreError> {
    let sql = "WITH gone AS (DELETE FROM content WHERE uses = 0 AND id = ANY($1) RETURNING id) \
               DELETE FROM part WHERE content IN (SELECT id FROM gone)";
    writing.query(sql, &[&contents]).map(drop)
}

/// Whether all of some contents are there.
pub(super) fn are_there(writing: &mut Writing<'_>, contents: &[i64]) -> Result<bool, StoreError> {
    let sql = "SELECT count(*) FROM unnest($1::bigint[]) n (id) \
               WHERE NOT EXISTS (SELECT 1 FROM content c WHERE c.id = n.id)";
    let rows = writing.query(sql, &[&contents])?;
    Ok(rows.first().is_some_and(|row| row.get::<_, i64>(0) == 0))
}

/// A version more names each of some contents.
pub(super) fn take_into_use(writing: &mut Writing<'_>, contents: &[i64]) -> Result<(), StoreError> {
    let sql = "UPDATE content c SET uses = uses + n.more FROM \
               (SELECT id, count(*) AS more FROM unnest($1::bigint[]) u (id) GROUP BY id) n \
               WHERE c.id = n.id";
    writing.query(sql, &[&contents]).map(drop)
}

/// The versions of a resource, which is erased, name their contents no more; those that none names
/// go with them.
pub(super) fn release(writing: &mut Writing<'_>, pk: i64) -> Result<(), StoreError> {
    let sql = "SELECT codec, body FROM version WHERE ((pk = $1 AND seq <> pk) OR seq = $1) \
               AND codec & $2 <> 0 AND body IS NOT NULL";
    let rows = writing.query(sql, &[&pk, &CODEC_APART])?;
    let named = rows.iter().flat_map(|row| contents(row.get(0), row.get(1)));
    let named: Vec<i64> = named.collect();
    if named.is_empty() {
        return Ok(());
    }
    let less = "UPDATE content c SET uses = uses - n.less FROM \
                (SELECT id, count(*) AS less FROM unnest($1::bigint[]) u (id) GROUP BY id) n \
                WHERE c.id = n.id";
    writing.query(less, &[&named])?;
    drop_unused(writing, &named)
}
