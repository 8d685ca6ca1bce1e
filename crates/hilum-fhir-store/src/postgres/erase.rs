//! Erasing in the database. What its pages, its log and its copies still hold of it is the
//! database's: [`PgStore::scrub`] says so.

use super::columns::Columns;
use super::content;
use super::open::PgStore;
use super::text::clean;
use super::writing::Writing;
use crate::commit::method;
use crate::erase::{EraseStep, Erased};
use crate::error::StoreError;
use crate::id::ResourceType;

impl PgStore {
    pub(crate) async fn erase(
        &self,
        resources: Vec<(ResourceType, String)>,
        step: Option<EraseStep>,
    ) -> Result<Erased, StoreError> {
        let changes_max = self.shared().config.limits.changes_max;
        if resources.len() > changes_max {
            return Err(StoreError::Limit {
                limit: "changes_max",
                max: changes_max as u64,
            });
        }
        self.write(move |writing| erase(writing, &resources, step.as_ref()))
            .await
    }

    /// PostgreSQL gives pages back by VACUUM and overwrites them when they are used again; the
    /// store, which may not own the server, does not do that. So nothing is promised.
    #[expect(clippy::unused_async, reason = "as the other place answers")]
    pub(crate) async fn scrub(&self) -> Result<bool, StoreError> {
        Ok(false)
    }
}

fn erase(
    writing: &mut Writing<'_>,
    resources: &[(ResourceType, String)],
    step: Option<&EraseStep>,
) -> Result<Erased, StoreError> {
    writing.begin(&[])?;
    let shared = writing.shared.clone();
    let mut erased = Erased::default();
    for (of, id) in resources {
        let token = shared.token(*of, id);
        let sql = "SELECT pk, deleted, rows FROM resource \
                   WHERE token = $1 AND type = $2 AND fhir_id IN ($3, '')";
        let found = writing.query(sql, &[&token, &i64::from(of.0), &&*clean(id)])?;
        let Some(row) = found.first() else { continue };
        let (pk, deleted): (i64, bool) = (row.get(0), row.get(1));
        let rows: Vec<u8> = row.get::<_, Option<Vec<u8>>>(2).unwrap_or_default();
        let mut columns = Columns::default();
        columns.difference(pk, &rows, &[], &shared.tokens);
        columns.text(pk, None, true);
        if !deleted {
            columns.count(of.0, -1);
        }
        writing.write(&mut columns, false)?;
        let resource =
            "UPDATE resource SET deleted = true, rows = NULL, fhir_id = '' WHERE pk = $1";
        writing.query(resource, &[&pk])?;
        let content = clear(writing, pk)?;
        erased.resources += u64::from(content > 0);
        erased.versions += content;
    }
    if let Some(EraseStep { id, progress }) = step {
        let (bytes, now) = (progress(erased), shared.config.clock.now_ms());
        let sql = "UPDATE job SET progress = $2, changed_ms = $3 WHERE id = $1";
        writing.query(sql, &[&&*clean(id), &&bytes[..], &now])?;
    }
    Ok(erased)
}

/// Clears the versions of a resource and what was kept about them; how many had content.
fn clear(writing: &mut Writing<'_>, pk: i64) -> Result<u64, StoreError> {
    content::release(writing, pk)?;
    let all = "SELECT seq, body IS NOT NULL FROM version \
               WHERE (pk = $1 AND seq <> pk) OR seq = $1";
    let rows = writing.query(all, &[&pk])?;
    let seqs: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    let held = rows.iter().filter(|row| row.get(1)).count();
    let version = "UPDATE version SET body = NULL, method = $2, codec = 0, dictionary = NULL, \
                   key = NULL, splice = 0, bytes = 0 WHERE seq = ANY($1)";
    writing.query(version, &[&seqs, &method::ERASED])?;
    let reply = "UPDATE delivery d SET reply = '' WHERE reply <> '' AND EXISTS \
                 (SELECT 1 FROM unnest($1::bigint[]) s (seq) WHERE s.seq BETWEEN d.first AND d.last)";
    writing.query(reply, &[&seqs])?;
    let payload = "UPDATE outbox SET payload = '' WHERE payload <> '' AND seq = ANY($1)";
    writing.query(payload, &[&seqs])?;
    Ok(held as u64)
}
