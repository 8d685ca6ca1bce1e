//! Finding messages: the index, and a scan of what it does not have yet.
//!
//! Newest first by commit sequence. Every condition is checked on the row itself, so the index
//! only has to propose rows; a proposal that is missing there is found by the scan of the tail.
//! What one call may look at is bounded; an answer says whether it is complete and where to go on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hilum_db::rusqlite::{Connection, params};
use hilum_db::{Cancel, DbClass, DbError, Doing};
use hilum_message::{IndexToken, MessageId};

use crate::error::JournalError;
use crate::index::{
    CHANNEL, DISPOSITION, LATE, LATE_MS, MESSAGE, RELATED, channel_token, discard, find, id_token,
};
use crate::journal::{Inner, Journal, Pinned};
use crate::model::{DeliveryState, Disposition, Token};
use crate::partition::Partition;
use crate::read::{HEADER_COLUMNS, StoredMessage, header_from, header_of};
use crate::recover::first_since;

/// Rows of a related list; of more, the newest.
const RELATED_MAX: usize = 10_000;
/// Rows that one call looks at.
const SCAN_MAX: usize = 50_000;
/// Rows proposed at once.
const CHUNK: usize = 256;
/// Results of a page unless said otherwise.
pub const PAGE_DEFAULT: usize = 50;
/// Most results of a page.
pub const PAGE_MAX: usize = 1000;

/// A message matches if one of these values is among its tokens of this kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnyOf {
    /// The index.
    pub kind: u16,
    /// The values: for a patient, all identifiers that are linked.
    pub values: Vec<IndexToken>,
}

/// What to look for. All conditions have to hold.
#[derive(Clone, Debug)]
pub struct Query {
    /// Of this channel.
    pub channel: Option<Arc<str>>,
    /// Arrived at or after, Unix milliseconds.
    pub from_ms: u64,
    /// Arrived at or before.
    pub to_ms: u64,
    /// What became of it.
    pub disposition: Option<Disposition>,
    /// It has a delivery in this state.
    pub delivery: Option<DeliveryState>,
    /// Control id, patient, type, declared fields.
    pub tokens: Vec<AnyOf>,
    /// Results of a page.
    pub limit: usize,
    /// Before this sequence: where the page before ended.
    pub before: Option<u64>,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            channel: None,
            from_ms: 0,
            to_ms: u64::MAX,
            disposition: None,
            delivery: None,
            tokens: Vec::new(),
            limit: PAGE_DEFAULT,
            before: None,
        }
    }
}

/// A page of results, newest first.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// What was found.
    pub messages: Vec<StoredMessage>,
    /// Where to go on; `None` if there is no more.
    pub next: Option<u64>,
    /// Rows that were looked at.
    pub scanned: usize,
}

impl Query {
    fn matches(&self, row: &StoredMessage) -> bool {
        let channel = self.channel.as_ref();
        let has = |any: &AnyOf| {
            let is = |token: &Token| token.kind == any.kind && any.values.contains(&token.value);
            row.tokens.iter().any(is)
        };
        (self.from_ms..=self.to_ms).contains(&row.arrived_ms)
            && channel.is_none_or(|channel| *channel == row.channel)
            && self.disposition.is_none_or(|d| d == row.disposition)
            && self.tokens.iter().all(has)
    }

    /// The index that proposes the fewest rows, as far as kinds tell; none: all rows.
    fn proposal(&self) -> Option<(u16, Vec<i64>)> {
        let rank = |any: &&AnyOf| match any.kind {
            Token::CONTROL_ID => 0,
            kind if kind >= Token::DECLARED => 1,
            Token::ORDER => 2,
            Token::PATIENT => 3,
            _ => 4,
        };
        if let Some(best) = self.tokens.iter().min_by_key(rank) {
            let values = best.values.iter().map(|value| value.0).collect();
            return Some((best.kind, values));
        }
        match (self.disposition, &self.channel) {
            (Some(disposition), _) if disposition != Disposition::Accepted => {
                Some((DISPOSITION, vec![disposition as i64]))
            }
            (_, Some(channel)) => Some((CHANNEL, vec![channel_token(channel)])),
            (_, None) => None,
        }
    }
}

/// Collects a page.
struct Search<'a> {
    query: &'a Query,
    limit: usize,
    page: Page,
}

impl Search<'_> {
    /// Nothing more may be looked at or is wanted.
    fn is_done(&self) -> bool {
        self.page.messages.len() >= self.limit || self.page.scanned >= SCAN_MAX
    }

    fn offer(
        &mut self,
        conn: &Connection,
        partition: &Partition,
        row: StoredMessage,
    ) -> Result<(), DbError> {
        self.page.scanned += 1;
        self.page.next = Some(row.sequence);
        if !self.query.matches(&row) {
            return Ok(());
        }
        if let Some(state) = self.query.delivery {
            let sql = "SELECT count(*) > 0 FROM delivery WHERE seq = ?1 AND state = ?2";
            let has = conn
                .prepare_cached(sql)
                .and_then(|mut statement| {
                    let row = params![row.sequence, state as u8];
                    statement.query_row(row, |row| row.get::<_, bool>(0))
                })
                .doing("search", partition.name())?;
            if !has {
                return Ok(());
            }
        }
        self.page.messages.push(row);
        Ok(())
    }

    /// Looks at all rows of `from..to`, newest first.
    fn scan(
        &mut self,
        partition: &Partition,
        cancel: &Cancel,
        from: u64,
        mut to: u64,
    ) -> Result<(), JournalError> {
        let shared = &partition.shared;
        let sql = format!(
            "SELECT {HEADER_COLUMNS} FROM message WHERE seq >= ?1 AND seq < ?2 \
             ORDER BY seq DESC LIMIT ?3"
        );
        while from < to && !self.is_done() {
            let mut seen = 0;
            partition.readers.read(cancel, |conn| {
                let read = || {
                    let mut statement = conn.prepare_cached(&sql)?;
                    let rows = statement
                        .query_map(params![from, to, CHUNK], |row| header_from(row, shared))?;
                    rows.collect::<Result<Vec<_>, _>>()
                };
                for row in read().doing("search", &shared.name)? {
                    seen += 1;
                    to = row.sequence;
                    self.offer(conn, partition, row)?;
                    if self.is_done() {
                        break;
                    }
                }
                Ok(())
            })?;
            if seen < CHUNK {
                break;
            }
        }
        Ok(())
    }

    /// Looks at the rows that an index proposes in `from..to`, newest first.
    fn look_up(
        &mut self,
        partition: &Partition,
        cancel: &Cancel,
        proposal: &(u16, Vec<i64>),
        from: u64,
        mut to: u64,
    ) -> Result<(), JournalError> {
        while from < to && !self.is_done() {
            let sequences = proposed(partition, cancel, proposal, from, to)?;
            let count = sequences.len();
            let shared = &partition.shared;
            partition.readers.read(cancel, |conn| {
                for sequence in sequences {
                    to = sequence;
                    if let Some(row) = header_of(conn, shared, sequence)? {
                        self.offer(conn, partition, row)?;
                    }
                    if self.is_done() {
                        break;
                    }
                }
                Ok(())
            })?;
            if count < CHUNK {
                break;
            }
        }
        Ok(())
    }

    fn partition(&mut self, partition: &Partition, cancel: &Cancel) -> Result<(), JournalError> {
        let query = self.query;
        let shared = &partition.shared;
        let end = shared.last().saturating_add(1);
        let end = query.before.map_or(end, |before| before.min(end));
        let proposal = query.proposal();
        if *shared.name == *"pinned" {
            return self.scan(partition, cancel, 0, end);
        }
        let (from, until) = partition.readers.read(cancel, |conn| {
            let from = first_since(conn, shared, query.from_ms)?;
            let late = query.to_ms.saturating_add(LATE_MS + 1);
            let until = if late == u64::MAX {
                end
            } else {
                first_since(conn, shared, late)?
            };
            Ok((from, until))
        })?;
        // Rows that the index has are at most up to here.
        let indexed = shared.indexed.load(Ordering::Acquire).saturating_add(1);
        self.scan(partition, cancel, from.max(indexed), end)?;
        // Committed long after the range, but arrived in it.
        if until < end {
            let late = (LATE, vec![0]);
            self.look_up(partition, cancel, &late, until, end.min(indexed))?;
        }
        let to = end.min(until).min(indexed);
        match &proposal {
            Some(proposal) => self.look_up(partition, cancel, proposal, from, to),
            None => self.scan(partition, cancel, from, to),
        }
    }
}

fn proposed(
    partition: &Partition,
    cancel: &Cancel,
    (kind, values): &(u16, Vec<i64>),
    from: u64,
    to: u64,
) -> Result<Vec<u64>, JournalError> {
    let index = partition
        .index
        .read()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .clone();
    let Some(index) = index else {
        return Ok(Vec::new());
    };
    let mut found: Vec<u64> = Vec::new();
    let read = index.read(cancel, |conn| {
        for value in values {
            let rows = find(conn, (*kind, *value), (from, to), CHUNK);
            found.extend(rows.doing("search the index of", partition.name())?);
        }
        Ok(())
    });
    if let Err(error) = read {
        if error.class() == DbClass::Corrupt {
            discard(partition)?;
        }
        return Err(error.into());
    }
    found.sort_unstable_by(|one, two| two.cmp(one));
    found.dedup();
    found.truncate(CHUNK);
    Ok(found)
}

impl Journal {
    /// Finds messages, newest first. Dropping the future stops the search.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub async fn search(&self, query: Query) -> Result<Page, JournalError> {
        self.read(move |inner, cancel| inner.search(&query, cancel))
            .await
    }
}

impl Inner {
    fn search(&self, query: &Query, cancel: &Cancel) -> Result<Page, JournalError> {
        let mut search = Search {
            query,
            limit: query.limit.clamp(1, PAGE_MAX),
            page: Page::default(),
        };
        let mut partitions = self.all(Pinned::Left);
        let oldest = partitions.first().map_or(u64::MAX, |p| p.shared.first());
        partitions.reverse();
        for partition in partitions {
            if search.is_done() {
                return Ok(search.page);
            }
            let begins = partition.shared.first();
            if query.before.is_none_or(|before| begins < before) {
                search.partition(&partition, cancel)?;
            }
        }
        // Copies in `pinned.db` count only when their partition is gone.
        if !search.is_done() {
            let pinned = self.read_partitions().pinned.clone();
            let before = query.before.map_or(oldest, |before| before.min(oldest));
            search.scan(&pinned, cancel, 0, before)?;
        }
        if !search.is_done() {
            search.page.next = None;
        }
        Ok(search.page)
    }

    /// All rows of a message id, in commit order.
    pub(crate) fn rows_of(
        &self,
        message: MessageId,
        cancel: &Cancel,
    ) -> Result<Vec<StoredMessage>, JournalError> {
        let sql = "id = ?2";
        let found = self.by_id_token(MESSAGE, message, sql, cancel, |row| row.message == message);
        Ok(found?.rows)
    }

    /// Parts of a message and messages that repeat it, in commit order.
    pub(crate) fn related_to(
        &self,
        message: MessageId,
        cancel: &Cancel,
    ) -> Result<Related, JournalError> {
        let sql = "(parent = ?2 OR replay_of = ?2)";
        self.by_id_token(RELATED, message, sql, cancel, |row| {
            let parent = row.parent.map(|(parent, _)| parent);
            parent == Some(message) || row.replay_of == Some(message)
        })
    }

    fn by_id_token(
        &self,
        kind: u16,
        message: MessageId,
        condition: &str,
        cancel: &Cancel,
        is_it: impl Fn(&StoredMessage) -> bool,
    ) -> Result<Related, JournalError> {
        let proposal = (kind, vec![id_token(&message.bytes())]);
        let sql = format!(
            "SELECT {HEADER_COLUMNS} FROM message WHERE seq > ?1 AND {condition} \
             ORDER BY seq DESC LIMIT ?3"
        );
        // By sequence: `pinned.db` repeats rows of partitions that are still there.
        let mut found: BTreeMap<u64, StoredMessage> = BTreeMap::new();
        let mut keep = |rows: Vec<StoredMessage>| {
            let rows = rows.into_iter().filter(&is_it);
            found.extend(rows.map(|row| (row.sequence, row)));
            found.len() > RELATED_MAX
        };
        let mut is_full = false;
        for partition in self.all(Pinned::Included).into_iter().rev() {
            let shared = &partition.shared;
            let indexed = shared.indexed.load(Ordering::Acquire);
            let tail = |conn: &Connection| tail(conn, &partition, &sql, indexed, message);
            is_full = is_full || keep(partition.readers.read(cancel, tail)?);
            let mut to = indexed.saturating_add(1);
            while !is_full {
                let sequences = proposed(&partition, cancel, &proposal, 0, to)?;
                let Some(&last) = sequences.last() else {
                    break;
                };
                to = last;
                let headers = |conn: &Connection| {
                    let rows = sequences.into_iter().map(|at| header_of(conn, shared, at));
                    rows.flat_map(Result::transpose).collect()
                };
                is_full = keep(partition.readers.read(cancel, headers)?);
            }
        }
        let surplus = found.len().saturating_sub(RELATED_MAX);
        Ok(Related {
            rows: found.into_values().skip(surplus).collect(),
            is_truncated: surplus > 0,
        })
    }
}

/// Rows that belong to a message.
pub(crate) struct Related {
    /// In commit order.
    pub(crate) rows: Vec<StoredMessage>,
    /// There are older ones.
    pub(crate) is_truncated: bool,
}

fn tail(
    conn: &Connection,
    partition: &Partition,
    sql: &str,
    after: u64,
    message: MessageId,
) -> Result<Vec<StoredMessage>, DbError> {
    let shared = &partition.shared;
    let read = || {
        let mut statement = conn.prepare_cached(sql)?;
        let row = params![after, message.bytes(), RELATED_MAX + 1];
        let rows = statement.query_map(row, |row| header_from(row, shared))?;
        rows.collect::<Result<Vec<_>, _>>()
    };
    read().doing("search", &shared.name)
}
