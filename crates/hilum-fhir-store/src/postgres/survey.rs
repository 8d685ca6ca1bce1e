//! A look at a store's schema.

use std::sync::Arc;
use std::time::Duration;

use super::link::{Link, Use};
use super::schema::STEPS;
use crate::config::{Clock, Postgres};
use crate::error::StoreError;
use crate::survey::{Server, Survey};

/// Longest statement; what takes longer is left out.
const LOOK_WITHIN: Duration = Duration::from_secs(10);

pub(crate) fn survey(place: &Postgres, clock: &Clock) -> Result<Survey, StoreError> {
    let (place, clock) = (Arc::new(place.clone()), clock.clone());
    // On a thread of its own, because the caller may be inside a runtime.
    let looked = std::thread::spawn(move || look(&place, &clock)).join();
    looked.unwrap_or(Err(StoreError::Closed))
}

fn look(place: &Arc<Postgres>, clock: &Clock) -> Result<Survey, StoreError> {
    let name: Arc<str> = place.name().into();
    let closed = |_| StoreError::Closed;
    let mut link = Link::new(Arc::clone(place), name, Use::Read(LOOK_WITHIN)).map_err(closed)?;
    let schema = place.schema.as_str();
    let before = clock.now_ms();
    let their = link.number(
        "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint",
        &[],
    )?;
    // The first statement connects too, so the clock is asked again.
    let now = clock.now_ms();
    let ahead_ms = if their > now {
        their - now
    } else {
        (their - before).min(0)
    };
    let known = "SELECT count(*) FROM pg_namespace WHERE nspname = $1";
    let there = link.number(known, &[&schema])? > 0;
    let may = if there {
        "SELECT (has_schema_privilege($1, 'USAGE') AND has_schema_privilege($1, 'CREATE'))::int::bigint"
    } else {
        "SELECT has_database_privilege(current_database(), 'CREATE')::int::bigint WHERE $1 <> ''"
    };
    let server = Server {
        version: link.number("SELECT current_setting('server_version_num')::bigint", &[])?,
        utf8: link.number(
            "SELECT (current_setting('server_encoding') = 'UTF8')::int::bigint",
            &[],
        )? == 1,
        may_make: link.number(may, &[&schema])? == 1,
        ahead_ms,
    };
    let mut found = Survey {
        newest: i64::try_from(STEPS.len()).unwrap_or(i64::MAX),
        server: Some(server),
        ..Survey::default()
    };
    let table = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE n.nspname = $1 AND c.relname = 'store'";
    if link.number(table, &[&schema])? == 0 {
        return Ok(found);
    }
    found.version = Some(link.number("SELECT version FROM store", &[])?);
    let numbers = "SELECT seq, (SELECT count(*) FROM version), \
                   (SELECT coalesce(max(seq), 0) FROM version) FROM store";
    match link.query(numbers, &[]) {
        Ok(rows) => {
            let row = rows
                .first()
                .ok_or(StoreError::Invalid("a store without its row"))?;
            let (last, count, newest): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
            found.changes = last.unsigned_abs();
            let gaps = (count, newest) != (last, last);
            let gap = || "the numbers of changes have gaps".to_owned();
            found.findings = Some(gaps.then(gap).into_iter().collect());
        }
        Err(StoreError::Db(error)) if error.class() == hilum_db::DbClass::Cancelled => {
            found.changes = link.number("SELECT seq FROM store", &[])?.unsigned_abs();
        }
        Err(error) => return Err(error),
    }
    Ok(found)
}
