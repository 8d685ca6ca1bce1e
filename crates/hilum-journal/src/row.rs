//! Checksums of rows, so that a bit that turned on the disk is found and never sent.
//!
//! A message row is covered whole: by the task that accepts as far as it knows the row, then by the
//! writer, which gives it its sequence and time. Names count by what they say, not by their number.
//! The part of a delivery that changes, its state and the number of attempts, lies beside the sum
//! of the rest in one column, so that a settlement need not read the row. An attempt is covered
//! whole.

use std::hash::Hasher;

use hilum_db::rusqlite::{Connection, Error, OptionalExtension, Row, params};
use hilum_db::{DbError, Doing};
use siphasher::sip::SipHasher13;

use crate::codec::Codec;
use crate::partition::PartitionShared;
use crate::state::log_sum;

/// Keys of the checksum. Not secret: it finds damage, not forgery.
const KEYS: (u64, u64) = (0x6869_6c75_6d2d_726f, 0x772d_6368_6563_6b73);

/// What a row's parts add up to; a part that is not there differs from an empty one.
pub(crate) struct Sum(SipHasher13);

impl Sum {
    pub(crate) fn new() -> Self {
        Self(SipHasher13::new_with_keys(KEYS.0, KEYS.1))
    }

    pub(crate) fn bytes(mut self, part: Option<&[u8]>) -> Self {
        match part {
            None => self.0.write_u64(u64::MAX),
            Some(part) => {
                self.0.write_u64(part.len() as u64);
                self.0.write(part);
            }
        }
        self
    }

    pub(crate) fn number(mut self, part: u64) -> Self {
        self.0.write_u64(part);
        self
    }

    pub(crate) fn end(self) -> i64 {
        self.0.finish().cast_signed()
    }

    fn low(self) -> i64 {
        self.end() & LOW
    }
}

/// The half of a delivery's sum that never changes.
pub(crate) const LOW: i64 = 0xFFFF_FFFF;

/// A message row without what the writer gives it.
#[derive(Debug, Default)]
pub(crate) struct MessageParts<'a> {
    /// Id, channel, plan, type, peer, tokens, control id, and so on; see where it is made.
    pub(crate) bytes: [Option<&'a [u8]>; 19],
    pub(crate) numbers: [u64; 10],
}

impl MessageParts<'_> {
    pub(crate) fn sum(&self) -> i64 {
        let sum = self
            .bytes
            .iter()
            .fold(Sum::new(), |sum, part| sum.bytes(*part));
        let numbers = self.numbers.iter();
        numbers.fold(sum, |sum, part| sum.number(*part)).end()
    }
}

/// The sum of a message row with what the writer gives it. `origin` is the row whose body it has.
pub(crate) fn written(sum: i64, sequence: u64, committed_ms: u64, origin: Option<u64>) -> i64 {
    Sum::new()
        .number(sum.cast_unsigned())
        .number(sequence)
        .number(committed_ms)
        .number(origin.unwrap_or(0))
        .end()
}

/// Every column of a message row that counts, in the order in which [`is_intact`] reads them.
const COLUMNS: &str = "seq, committed_ms, sum, codec, body, id, channel, plan, kind, peer, tokens, \
    control_id, reason, parent, replay_of, hold, metadata, reads, findings, resend, \
    answer, cuts, outbound, arrived_ms, disposition, origin, part, dictionary, text_bytes, \
    total_bytes, place, answer_bytes";

fn text<'r>(row: &'r Row<'_>, at: usize) -> Result<Option<&'r [u8]>, Error> {
    Ok(row.get_ref(at)?.as_bytes_or_null()?)
}

fn number(row: &Row<'_>, at: usize) -> Result<u64, Error> {
    let value: Option<i64> = row.get(at)?;
    Ok(value.map_or(0, |value| value.cast_unsigned().wrapping_add(1)))
}

fn is_intact(row: &Row<'_>, shared: &PartitionShared) -> Result<bool, Error> {
    let name = |at: usize| -> Result<_, Error> {
        let id: Option<i64> = row.get(at)?;
        Ok(id.and_then(|id| shared.names.value(id)))
    };
    let (channel, plan, kind, peer) = (name(6)?, name(7)?, name(8)?, name(9)?);
    let body = text(row, 4)?.unwrap_or_default();
    let codec: i64 = row.get(3)?;
    let origin = (codec == Codec::Other as i64).then(|| {
        let origin = body.try_into().map(u64::from_le_bytes);
        origin.unwrap_or(u64::MAX)
    });
    let mut parts = MessageParts::default();
    let own = origin.map_or(body, |_| b"");
    let head = [
        Some(own),
        text(row, 5)?,
        channel.as_deref(),
        plan.as_deref(),
        kind.as_deref(),
        peer.as_deref(),
    ];
    for (part, of) in parts.bytes.iter_mut().zip(head) {
        *part = of;
    }
    for (part, at) in parts.bytes.iter_mut().skip(head.len()).zip(10..23) {
        *part = text(row, at)?;
    }
    for (part, at) in parts
        .numbers
        .iter_mut()
        .zip([3, 23, 24, 25, 26, 27, 28, 29, 30, 31])
    {
        *part = number(row, at)?;
    }
    let (sequence, committed_ms) = (row.get(0)?, row.get(1)?);
    let sum: i64 = row.get(2)?;
    Ok(written(parts.sum(), sequence, committed_ms, origin) == sum)
}

/// A number as it counts in a sum: one more, so that none differs from nought.
pub(crate) const fn counted(value: u64) -> u64 {
    value.wrapping_add(1)
}

/// The row of a message is what was written; nothing if there is none.
pub(crate) fn message_is_intact(
    conn: &Connection,
    shared: &PartitionShared,
    sequence: u64,
) -> Result<Option<bool>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM message WHERE seq = ?1");
    conn.prepare_cached(&sql)
        .and_then(|mut statement| {
            let row = statement.query_row([sequence], |row| sound(is_intact(row, shared)));
            row.optional()
        })
        .doing("check a message of", &shared.name)
}

/// A value of a type that was never written is damage, not a failure.
fn sound(check: Result<bool, Error>) -> Result<bool, Error> {
    match check {
        Err(Error::FromSqlConversionFailure(..) | Error::InvalidColumnType(..)) => Ok(false),
        Err(Error::IntegralValueOutOfRange(..)) => Ok(false),
        other => other,
    }
}

/// The sum of what never changes in a delivery.
pub(crate) fn delivery_base(
    (sequence, ordinal): (u64, u32),
    destination: &[u8],
    priority: i16,
    bytes: u64,
    keys: Option<&[u8]>,
) -> i64 {
    Sum::new()
        .number(sequence)
        .number(u64::from(ordinal))
        .bytes(Some(destination))
        .number(i64::from(priority).cast_unsigned())
        .number(bytes)
        .bytes(keys)
        .low()
}

/// The `sum` column of a delivery.
pub(crate) fn delivery_sum(base: i64, state: u8, attempts: u32) -> i64 {
    base | i64::from(state) << 32 | i64::from(attempts) << 40
}

const DELIVERY: &str = "seq, ordinal, destination, priority, bytes, keys, state, attempts, sum";

fn delivery_row(row: &Row<'_>, shared: &PartitionShared) -> Result<bool, Error> {
    let destination = shared.names.value(row.get(2)?);
    let base = delivery_base(
        (row.get(0)?, row.get(1)?),
        destination.as_deref().unwrap_or_default(),
        row.get(3)?,
        row.get(4)?,
        text(row, 5)?,
    );
    let sum: i64 = row.get(8)?;
    Ok(destination.is_some() && delivery_sum(base, row.get(6)?, row.get(7)?) == sum)
}

/// The row of a delivery is what was written; nothing if there is none.
pub(crate) fn delivery_is_intact(
    conn: &Connection,
    shared: &PartitionShared,
    sequence: u64,
    ordinal: u32,
) -> Result<Option<bool>, DbError> {
    let sql = format!("SELECT {DELIVERY} FROM delivery WHERE seq = ?1 AND ordinal = ?2");
    conn.prepare_cached(&sql)
        .and_then(|mut statement| {
            let row = statement.query_row(params![sequence, ordinal], |row| {
                sound(delivery_row(row, shared))
            });
            row.optional()
        })
        .doing("check a delivery of", &shared.name)
}

/// What an attempt's row holds beside its reply.
pub(crate) struct AttemptParts<'a> {
    pub(crate) key: (u64, u32, u32),
    pub(crate) started_ms: u64,
    pub(crate) duration_ms: u32,
    pub(crate) outcome: u8,
    pub(crate) reason: Option<&'a [u8]>,
    /// Codec, dictionary and plain length of the reply.
    pub(crate) form: (Option<u8>, Option<i64>, Option<u64>),
    pub(crate) reply: Option<&'a [u8]>,
}

impl AttemptParts<'_> {
    pub(crate) fn sum(&self) -> i64 {
        let (sequence, ordinal, n) = self.key;
        let (codec, dictionary, bytes) = self.form;
        Sum::new()
            .number(sequence)
            .number(u64::from(ordinal))
            .number(u64::from(n))
            .number(self.started_ms)
            .number(u64::from(self.duration_ms))
            .number(u64::from(self.outcome))
            .bytes(self.reason)
            .number(codec.map_or(0, |codec| counted(u64::from(codec))))
            .number(dictionary.map_or(0, |id| counted(id.cast_unsigned())))
            .number(bytes.map_or(0, counted))
            .bytes(self.reply)
            .low()
    }
}

const ATTEMPT: &str = "seq, ordinal, n, started_ms, duration_ms, outcome, reason, codec, \
    dictionary, reply_bytes, reply, sum";

fn attempt_row(row: &Row<'_>) -> Result<bool, Error> {
    let sum = AttemptParts {
        key: (row.get(0)?, row.get(1)?, row.get(2)?),
        started_ms: row.get(3)?,
        duration_ms: row.get(4)?,
        outcome: row.get(5)?,
        reason: text(row, 6)?,
        form: (row.get(7)?, row.get(8)?, row.get(9)?),
        reply: text(row, 10)?,
    }
    .sum();
    Ok(sum == row.get::<_, i64>(11)?)
}

/// A row that is not what was written.
pub(crate) struct DamagedRow {
    pub(crate) table: &'static str,
    pub(crate) sequence: u64,
    /// The rest of its key.
    key: [Option<u64>; 2],
}

impl DamagedRow {
    /// What is wrong, for people.
    pub(crate) fn text(&self) -> String {
        format!("the row in table {} is not what was written", self.table)
    }

    /// Selects the row.
    pub(crate) fn condition(&self) -> String {
        let rest = ["ordinal", "n"].into_iter().zip(self.key);
        rest.fold(format!("seq = {}", self.sequence), |all, (name, value)| {
            value.map_or(all.clone(), |value| format!("{all} AND {name} = {value}"))
        })
    }
}

/// The damaged rows of each kind, at most `max` of a kind.
pub(crate) fn damaged_rows(
    conn: &Connection,
    shared: &PartitionShared,
    max: usize,
) -> Result<Vec<DamagedRow>, DbError> {
    let mut damaged = Vec::new();
    let mut scan = |table: &'static str, columns, keys, check: Check<'_>| {
        let mut found = 0;
        let mut statement = conn.prepare(&format!("SELECT {columns} FROM {table}"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            if !sound(check(row))? && found < max {
                found += 1;
                let key = |at: usize| (at <= keys).then(|| row.get(at)).transpose();
                damaged.push(DamagedRow {
                    table,
                    sequence: row.get(0)?,
                    key: [key(1)?, key(2)?],
                });
            }
        }
        Ok(())
    };
    let mut all = || -> Result<(), Error> {
        scan("message", COLUMNS, 0, &|row| is_intact(row, shared))?;
        scan("delivery", DELIVERY, 1, &|row| delivery_row(row, shared))?;
        scan("attempt", ATTEMPT, 2, &attempt_row)?;
        scan("state_log", "seq, sum, changes", 0, &|row| {
            let changes = text(row, 2)?.unwrap_or_default();
            Ok(log_sum(row.get(0)?, changes) == row.get::<_, i64>(1)?)
        })
    };
    all().doing("verify the rows of", &shared.name)?;
    Ok(damaged)
}

type Check<'c> = &'c dyn Fn(&Row<'_>) -> Result<bool, Error>;
