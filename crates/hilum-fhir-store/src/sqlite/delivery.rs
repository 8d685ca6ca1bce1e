//! Deliveries that are old enough to be forgotten: whoever sent one sends it again within hours or
//! not at all. They go in small steps, with the deliveries that come.

use hilum_db::DbError;
use hilum_db::rusqlite::Connection;

use super::apply::run;
use super::handler::StoreHandler;

/// Forgets a few deliveries that are older than `Limits::delivery_kept`: more than came, so that
/// there are never more of them for long.
pub(super) fn forget(handler: &StoreHandler, conn: &Connection, now: i64) -> Result<(), DbError> {
    let kept = handler.shared.config.limits.delivery_kept.as_millis();
    let border = now.saturating_sub(i64::try_from(kept).unwrap_or(i64::MAX));
    let sql = "DELETE FROM delivery WHERE token IN (SELECT d.token FROM \
               (SELECT token, last FROM delivery ORDER BY last LIMIT 4) d \
               LEFT JOIN version v ON v.seq = d.last WHERE coalesce(v.updated_ms, 0) < ?)";
    run(handler, conn, sql, &[&border]).map(drop)
}
