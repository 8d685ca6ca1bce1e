//! Sorted runs: how tokens lie in an index file.
//!
//! The tokens of the rows that are indexed together are sorted and written as one run of small
//! blocks, so that a row costs a few bytes and no page of its own, however large the file is. Runs
//! of like size that follow each other are merged. They cover ascending sequences without overlap:
//! the newest one holds the newest rows.
//!
//! Values are shortened to 40 bits. Everything proposed is checked on its row, so two values that
//! share a shortened form cost a look and nothing else.

use hilum_db::rusqlite::{CachedStatement, Connection, Error, Row, Rows, ffi, params};

use crate::bytes::{Unpack, put_u64};

/// Bytes from which on a block ends: four fill a page.
const BLOCK_BYTES: usize = 900;
/// Runs of like size that are merged into one.
const FAN: usize = 8;
/// Rows of a run from which on it is not merged any more, so that no merge takes long.
const ROWS_MAX: u64 = 512 * 1024;
/// Bytes of a block's key: kind, value, sequence.
const KEY_BYTES: usize = 15;

type Key = [u8; KEY_BYTES];

/// One token of one row. Orders as runs are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    kind: u16,
    value: u64,
    sequence: u64,
}

impl Entry {
    pub(super) const fn new(kind: u16, value: i64, sequence: u64) -> Self {
        // The upper bits of a product depend on all bits of the value.
        let value = value.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 24;
        Self {
            kind,
            value,
            sequence,
        }
    }

    fn key(&self) -> Key {
        let mut key = [0; KEY_BYTES];
        let value = self.value.to_be_bytes();
        let parts = self
            .kind
            .to_be_bytes()
            .into_iter()
            .chain(value.into_iter().skip(3))
            .chain(self.sequence.to_be_bytes());
        for (to, byte) in key.iter_mut().zip(parts) {
            *to = byte;
        }
        key
    }

    fn of_key(key: &[u8]) -> Option<Self> {
        let mut from = Unpack(key);
        let kind = u16::from_be_bytes(from.take(2)?.try_into().ok()?);
        let high = u64::from(*from.take(1)?.first()?);
        let low = u32::from_be_bytes(from.take(4)?.try_into().ok()?);
        let sequence = u64::from_be_bytes(from.take(8)?.try_into().ok()?);
        Some(Self {
            kind,
            value: high << 32 | u64::from(low),
            sequence,
        })
    }

    /// Appends this entry behind `before`.
    fn pack(&self, before: &Self, base: u64, out: &mut Vec<u8>) {
        if self.kind == before.kind {
            let step = self.value - before.value;
            put_u64(out, step << 1);
            let from = if step == 0 { before.sequence } else { base };
            put_u64(out, self.sequence.saturating_sub(from));
        } else {
            put_u64(out, u64::from(self.kind - before.kind) << 1 | 1);
            put_u64(out, self.value);
            put_u64(out, self.sequence.saturating_sub(base));
        }
    }

    fn unpack(from: &mut Unpack<'_>, before: &Self, base: u64) -> Option<Self> {
        let tag = from.u64()?;
        if tag & 1 == 0 {
            let step = tag >> 1;
            let value = before.value.checked_add(step)?;
            let after = if step == 0 { before.sequence } else { base };
            Some(Self {
                kind: before.kind,
                value,
                sequence: after.checked_add(from.u64()?)?,
            })
        } else {
            Some(Self {
                kind: before.kind.checked_add(u16::try_from(tag >> 1).ok()?)?,
                value: from.u64()?,
                sequence: base.checked_add(from.u64()?)?,
            })
        }
    }
}

/// The entries of a block in order; `None` if it is damaged.
fn entries_of(key: &[u8], packed: &[u8], base: u64) -> Option<Vec<Entry>> {
    let mut last = Entry::of_key(key)?;
    let mut entries = vec![last];
    let mut from = Unpack(packed);
    while !from.is_empty() {
        last = Entry::unpack(&mut from, &last, base)?;
        entries.push(last);
    }
    Some(entries)
}

fn block_of(row: &Row<'_>, base: u64) -> Result<(Key, Vec<Entry>), Error> {
    let (key, packed) = (row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob()?);
    let entries = entries_of(key, packed, base);
    entries
        .and_then(|entries| Some((key.try_into().ok()?, entries)))
        .ok_or_else(|| Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), None))
}

/// Writes one run, in order.
struct RunWriter<'c> {
    insert: CachedStatement<'c>,
    run: i64,
    base: u64,
    first: Option<Entry>,
    last: Option<Entry>,
    block: Vec<u8>,
}

impl<'c> RunWriter<'c> {
    fn new(conn: &'c Connection, run: i64, base: u64) -> Result<Self, Error> {
        let sql = "INSERT INTO block (run, key, entries) VALUES (?1, ?2, ?3)";
        Ok(Self {
            insert: conn.prepare_cached(sql)?,
            run,
            base,
            first: None,
            last: None,
            block: Vec::with_capacity(BLOCK_BYTES + 32),
        })
    }

    fn push(&mut self, entry: Entry) -> Result<(), Error> {
        if let Some(last) = self.last
            && self.block.len() < BLOCK_BYTES
        {
            if last != entry {
                entry.pack(&last, self.base, &mut self.block);
            }
        } else {
            self.end_block()?;
            self.first = Some(entry);
        }
        self.last = Some(entry);
        Ok(())
    }

    fn end_block(&mut self) -> Result<(), Error> {
        if let Some(first) = self.first.take() {
            let row = params![self.run, &first.key()[..], &self.block];
            self.insert.execute(row)?;
            self.block.clear();
        }
        Ok(())
    }
}

/// A run as its row describes it.
struct Run {
    id: i64,
    first: u64,
    last: u64,
    rows: u64,
}

fn runs_where(conn: &Connection, condition: &str, values: (u64, u64)) -> Result<Vec<Run>, Error> {
    let sql = format!("SELECT id, first, last, rows FROM run WHERE {condition}");
    let mut statement = conn.prepare_cached(&sql)?;
    let rows = statement.query_map(params![values.0, values.1], |row| {
        Ok(Run {
            id: row.get(0)?,
            first: row.get(1)?,
            last: row.get(2)?,
            rows: row.get(3)?,
        })
    })?;
    rows.collect()
}

fn note(conn: &Connection, level: u64, first: u64, last: u64, rows: u64) -> Result<i64, Error> {
    let sql = "INSERT INTO run (level, first, last, rows) VALUES (?1, ?2, ?3, ?4)";
    conn.prepare_cached(sql)?
        .execute(params![level, first, last, rows])?;
    Ok(conn.last_insert_rowid())
}

/// Writes the entries of `rows` rows, the first and last of which are given, as a new run.
pub(super) fn write(
    conn: &Connection,
    mut entries: Vec<Entry>,
    (first, last, rows): (u64, u64, u64),
) -> Result<(), Error> {
    entries.sort_unstable();
    let run = note(conn, 0, first, last, rows)?;
    let mut writer = RunWriter::new(conn, run, first)?;
    for entry in entries {
        writer.push(entry)?;
    }
    writer.end_block()
}

/// Merges runs where enough of like size have gathered; `true` if it did, and there may be more.
pub(super) fn merge_some(conn: &Connection) -> Result<bool, Error> {
    let sql = "SELECT level FROM run WHERE rows < ?1 GROUP BY level HAVING count(*) >= ?2 LIMIT 1";
    let small = ROWS_MAX / FAN as u64;
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params![small, FAN])?;
    let Some(level) = rows.next()?.map(|row| row.get::<_, u64>(0)).transpose()? else {
        return Ok(false);
    };
    drop(rows);
    let mut runs = runs_where(
        conn,
        "level = ?1 AND rows < ?2 ORDER BY first",
        (level, small),
    )?;
    runs.truncate(FAN);
    merge(conn, &runs, level + 1)?;
    Ok(true)
}

/// Merges all that may be merged: nothing will be added.
pub(super) fn merge_all(conn: &Connection) -> Result<(), Error> {
    let runs = runs_where(conn, "?1 = ?2 ORDER BY first", (0, 0))?;
    let mut group: Vec<Run> = Vec::new();
    let mut rows = 0;
    for run in runs {
        if rows + run.rows > ROWS_MAX {
            merge(conn, &group, u64::from(u8::MAX))?;
            group.clear();
            rows = 0;
        }
        rows += run.rows;
        group.push(run);
    }
    merge(conn, &group, u64::from(u8::MAX))
}

/// Reads the blocks of one run while others are read.
struct Source<'s> {
    blocks: Rows<'s>,
    base: u64,
    entries: std::vec::IntoIter<Entry>,
}

impl Source<'_> {
    fn next(&mut self) -> Result<Option<Entry>, Error> {
        loop {
            if let Some(entry) = self.entries.next() {
                return Ok(Some(entry));
            }
            let Some(row) = self.blocks.next()? else {
                return Ok(None);
            };
            self.entries = block_of(row, self.base)?.1.into_iter();
        }
    }
}

fn merge(conn: &Connection, runs: &[Run], level: u64) -> Result<(), Error> {
    let (Some(first), Some(last)) = (runs.first(), runs.last()) else {
        return Ok(());
    };
    if runs.len() < 2 {
        return Ok(());
    }
    let rows = runs.iter().map(|run| run.rows).sum();
    let merged = note(conn, level, first.first, last.last, rows)?;
    let mut statements = Vec::with_capacity(runs.len());
    for _ in runs {
        statements
            .push(conn.prepare("SELECT key, entries FROM block WHERE run = ?1 ORDER BY key")?);
    }
    let mut sources = Vec::with_capacity(runs.len());
    let mut heads = std::collections::BinaryHeap::with_capacity(runs.len());
    for ((statement, run), at) in statements.iter_mut().zip(runs).zip(0_usize..) {
        let mut source = Source {
            blocks: statement.query([run.id])?,
            base: run.first,
            entries: Vec::new().into_iter(),
        };
        if let Some(entry) = source.next()? {
            heads.push(std::cmp::Reverse((entry, at)));
        }
        sources.push(source);
    }
    let mut writer = RunWriter::new(conn, merged, first.first)?;
    while let Some(std::cmp::Reverse((entry, at))) = heads.pop() {
        writer.push(entry)?;
        if let Some(source) = sources.get_mut(at)
            && let Some(next) = source.next()?
        {
            heads.push(std::cmp::Reverse((next, at)));
        }
    }
    writer.end_block()?;
    drop(sources);
    for run in runs {
        conn.prepare_cached("DELETE FROM block WHERE run = ?1")?
            .execute([run.id])?;
        conn.prepare_cached("DELETE FROM run WHERE id = ?1")?
            .execute([run.id])?;
    }
    Ok(())
}

/// The rows of `from..to` that may have a token, newest first, at most `limit`.
pub(crate) fn find(
    conn: &Connection,
    (kind, value): (u16, i64),
    (from, to): (u64, u64),
    limit: usize,
) -> Result<Vec<u64>, Error> {
    // A range without an end has one that SQLite can hold.
    let [from, to] = [from, to].map(|sequence| sequence.min(i64::MAX.cast_unsigned()));
    let mut found = Vec::new();
    let runs = runs_where(
        conn,
        "last >= ?1 AND first < ?2 ORDER BY first DESC",
        (from, to),
    )?;
    let sql = "SELECT key, entries FROM block WHERE run = ?1 AND key < ?2 ORDER BY key DESC";
    let mut statement = conn.prepare_cached(sql)?;
    let begin = Entry::new(kind, value, from);
    let end = Entry::new(kind, value, to);
    for run in runs {
        let mut blocks = statement.query(params![run.id, &end.key()[..]])?;
        while let Some(row) = blocks.next()? {
            let (key, entries) = block_of(row, run.first)?;
            let wanted = entries.iter().rev().filter(|e| (begin..end).contains(e));
            found.extend(wanted.map(|entry| entry.sequence));
            if found.len() >= limit {
                found.truncate(limit);
                return Ok(found);
            }
            if key <= begin.key() {
                break;
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn open() -> Connection {
        let conn = Connection::open_in_memory().unwrap();
        for step in crate::schema::INDEX.steps {
            conn.execute_batch(step).unwrap();
        }
        conn
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn every_token_is_found_newest_first_however_runs_were_merged(
            steps in proptest::collection::vec(1_u64..60, 1..40),
            values in 1_i64..200,
            merged: bool,
        ) {
            let conn = open();
            let tokens = |row: u64| {
                let spread = i64::try_from(row % 97).unwrap() % values;
                [(1, 7), (16, i64::try_from(row).unwrap()), (17, spread), (17, spread)]
            };
            let mut next = 10;
            for rows in steps {
                let range = next..next + rows;
                let entries = range.clone().flat_map(|row| {
                    tokens(row).map(|(kind, value)| Entry::new(kind, value, row))
                });
                write(&conn, entries.collect(), (range.start, range.end - 1, rows)).unwrap();
                next += rows;
                while merge_some(&conn).unwrap() {}
            }
            if merged {
                merge_all(&conn).unwrap();
            }
            let (from, to) = (10 + (next - 10) / 4, next - (next - 10) / 5);
            for (kind, value) in [(1, 7), (16, 15), (17, 3), (17, 500), (2, 7)] {
                let expected: Vec<u64> = (from..to)
                    .rev()
                    .filter(|row| tokens(*row).contains(&(kind, value)))
                    .collect();
                let found = find(&conn, (kind, value), (from, to), usize::MAX).unwrap();
                prop_assert_eq!(&found, &expected);
                let some = find(&conn, (kind, value), (from, to), 5).unwrap();
                let first: Vec<u64> = expected.into_iter().take(5).collect();
                prop_assert_eq!(some, first);
            }
        }

        #[test]
        fn a_damaged_block_is_refused_without_panic(
            key in proptest::collection::vec(any::<u8>(), 0..20),
            packed in proptest::collection::vec(any::<u8>(), 0..100),
            base: u64,
        ) {
            drop(entries_of(&key, &packed, base));
        }
    }
}
