//! The changes of a message as a row of its partition, until they are folded.

use std::sync::Arc;

use hilum_db::rusqlite::{Connection, params};
use hilum_db::{DbClass, DbError, Doing};

use super::{Change, ChangeOf};
use crate::bytes::{Unpack, put_bytes, put_u64, sum};
use crate::model::{StateWrite, TimerWrite};

/// What a change begins with. The bits: it sets something, else it removes it; a time follows; it is a
/// timer.
const SETS: u64 = 1;
const TIMED: u64 = 2;
const TIMER: u64 = 4;

/// The changes of one message, packed, with their checksum; nothing where it has none.
pub(crate) fn log_row<'a>(
    sequence: u64,
    values: impl Iterator<Item = &'a StateWrite>,
    channel: &str,
    timers: &[TimerWrite],
) -> Option<(Vec<u8>, i64)> {
    let mut out = Vec::new();
    for write in values {
        let value = write.value.as_deref();
        let sets = if value.is_some() { SETS } else { 0 };
        let timed = if write.expires_ms.is_some() { TIMED } else { 0 };
        put_u64(&mut out, sets | timed);
        put_bytes(&mut out, write.scope.as_bytes());
        put_bytes(&mut out, write.key.as_bytes());
        if let Some(value) = value {
            put_bytes(&mut out, value);
        }
        if let Some(at) = write.expires_ms {
            put_u64(&mut out, at);
        }
    }
    for timer in timers {
        let sets = if timer.due_ms.is_some() { SETS } else { 0 };
        put_u64(&mut out, TIMER | sets);
        put_bytes(&mut out, channel.as_bytes());
        put_bytes(&mut out, timer.scope.as_bytes());
        put_bytes(&mut out, timer.key.as_bytes());
        if let Some(at) = timer.due_ms {
            put_u64(&mut out, at);
        }
    }
    let sum = log_sum(sequence, &out);
    (!out.is_empty()).then_some((out, sum))
}

/// The checksum of such a row.
pub(crate) fn log_sum(sequence: u64, changes: &[u8]) -> i64 {
    sum(&[&sequence.to_le_bytes(), changes])
}

fn unpack(bytes: &[u8]) -> Option<Vec<ChangeOf>> {
    let mut from = Unpack(bytes);
    let mut changes = Vec::new();
    while !from.is_empty() {
        let kind = from.u64()?;
        let has = |bit| kind & bit != 0;
        if has(TIMER) {
            let channel: Arc<str> = from.text()?.into();
            let timer = TimerWrite {
                scope: from.text()?.into(),
                key: from.text()?.into(),
                due_ms: if has(SETS) { Some(from.u64()?) } else { None },
            };
            changes.push(ChangeOf::Timer(channel, timer));
            continue;
        }
        changes.push(ChangeOf::Value(StateWrite {
            scope: from.text()?.into(),
            key: from.text()?.into(),
            value: if has(SETS) {
                Some(from.bytes()?.to_vec().into())
            } else {
                None
            },
            expires_ms: if has(TIMED) { Some(from.u64()?) } else { None },
        }));
    }
    Some(changes)
}

/// The changes above `folded` that a partition holds, in commit order.
pub(crate) fn unfolded_of(
    conn: &Connection,
    file: &Arc<str>,
    folded: u64,
) -> Result<Vec<Change>, DbError> {
    let read = || {
        let sql = "SELECT seq, sum, changes FROM state_log WHERE seq > ?1 ORDER BY seq";
        let mut statement = conn.prepare_cached(sql)?;
        let mut rows = statement.query(params![folded])?;
        let mut changes = Vec::new();
        while let Some(row) = rows.next()? {
            let sequence: u64 = row.get(0)?;
            let packed = row.get_ref(2)?.as_blob()?;
            let intact = row.get::<_, i64>(1)? == log_sum(sequence, packed);
            let Some(all) = intact.then(|| unpack(packed)).flatten() else {
                return Ok(None);
            };
            changes.extend(all.into_iter().map(|what| Change { sequence, what }));
        }
        Ok(Some(changes))
    };
    let found = read().doing("read what is not folded of", file)?;
    found.ok_or_else(|| DbError::new(DbClass::Corrupt, "read what is not folded of", file.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(value: Option<&'static [u8]>, expires_ms: Option<u64>) -> StateWrite {
        StateWrite {
            scope: "s".into(),
            key: "k".into(),
            value: value.map(Into::into),
            expires_ms,
        }
    }

    #[test]
    fn what_is_packed_comes_back() {
        let values = [
            value(Some(b"v"), None),
            value(Some(b""), Some(7)),
            value(None, None),
            value(None, Some(u64::MAX)),
        ];
        let timers = [Some(1), None].map(|due_ms| TimerWrite {
            scope: "s".into(),
            key: "k".into(),
            due_ms,
        });
        let (packed, _) = log_row(3, values.iter(), "channel", &timers).unwrap();
        let back = unpack(&packed).unwrap();
        let all = values.into_iter().map(ChangeOf::Value);
        let channel: Arc<str> = "channel".into();
        let timers = timers.map(|timer| ChangeOf::Timer(channel.clone(), timer));
        let all: Vec<_> = all.chain(timers).collect();
        assert!(back == all);
        for short in 0..packed.len() {
            // Cut anywhere it is no row, or one of fewer changes.
            let cut = packed.get(..short).and_then(unpack);
            assert!(cut.is_none_or(|cut| cut.len() < all.len()), "{short}");
        }
        assert!(log_row(3, [].iter(), "channel", &[]).is_none());
    }
}
