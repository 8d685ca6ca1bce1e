//! Several commits in one transaction.
//!
//! What the commits change is read with one statement, the commits are applied to it in memory, and
//! all rows are written with one statement for each table. A commit that is refused has changed
//! nothing but memory, so there are no savepoints. Only an expectation that searches has to see
//! what the commits before it wrote, and has it written first.

use std::collections::HashMap;

use tokio_postgres::Row;

use super::columns::{Columns, ResourceRow, VersionRow};
use super::content;
use super::link::Values;
use super::reading::Unbounded;
use super::source::{PgSource, small};
use super::text::clean;
use super::writing::Writing;
use crate::commit::{
    Commit, Committed, Delivery, Expect, Expected, JobStep, OutboxEvent, Watched, Written,
    decode_written, encode_written, method,
};
use crate::error::StoreError;
use crate::id::{Pk, ResourceType, Seq};
use crate::prepare::{Action, PreparedChange, Texts};
use crate::search;
use crate::shared::Shared;

/// Rows that a search inside the writer may look at, because everybody waits for it.
const EXPECTED_SEARCH_ROWS: u64 = 50_000;

/// A commit, prepared as far as possible outside the writer.
pub(super) struct CommitOp {
    expectations: Vec<Expect>,
    changes: Vec<PreparedChange>,
    events: Vec<OutboxEvent>,
    delivery: Option<(i64, Delivery)>,
    job: Option<JobStep>,
    watched: Option<Watched>,
}

impl CommitOp {
    /// Prepares a commit; also its bytes.
    pub(super) fn prepare(shared: &Shared, commit: Commit) -> Result<(Self, usize), StoreError> {
        let (changes, bytes) = shared.prepare(commit.changes, &commit.events)?;
        let delivery = commit
            .delivery
            .map(|delivery| (shared.tokens.delivery(&delivery.id.0), delivery));
        let op = Self {
            expectations: commit.expectations,
            changes,
            events: commit.events,
            delivery,
            job: commit.job,
            watched: commit.watched,
        };
        Ok((op, bytes))
    }
}

/// What became of one commit.
pub(super) type Outcome = Result<Committed, StoreError>;

type Key<'a> = (u16, &'a str);

/// A resource as the database has it.
struct Base {
    rows: Vec<u8>,
    exists: bool,
}

/// A resource as the group has made it so far.
#[derive(Clone, Copy)]
struct State<'a> {
    pk: i64,
    seq: i64,
    version: u32,
    updated_ms: i64,
    exists: bool,
    /// What the group wrote; `None` as long as it is as in the database.
    put: Option<Put<'a>>,
}

#[derive(Clone, Copy)]
struct Put<'a> {
    rows: Option<&'a [u8]>,
    text: Option<&'a Texts>,
}

struct Known<'a> {
    token: i64,
    base: Option<Base>,
    state: Option<State<'a>>,
}

struct Group<'a> {
    shared: &'a Shared,
    known: HashMap<Key<'a>, Known<'a>>,
    deliveries: HashMap<i64, Committed>,
    /// Steps that were done.
    steps: Vec<&'a JobStep>,
    /// Deliveries came.
    delivered: bool,
    topics: HashMap<&'a str, i64>,
    /// Topics that the group counted on.
    counted: Vec<&'a str>,
    columns: Columns<'a>,
    versions: Vec<VersionRow<'a>>,
    /// Contents apart that the versions name.
    contents: Vec<i64>,
}

/// Applies commits and commits the transaction; one outcome for each.
pub(super) fn apply(
    writing: &mut Writing<'_>,
    ops: &[&CommitOp],
) -> Result<Vec<Outcome>, StoreError> {
    let shared = writing.shared.clone();
    let mut group = Group::read(writing, &shared, ops)?;
    let mut outcomes = Vec::with_capacity(ops.len());
    for op in ops {
        outcomes.push(group.commit(writing, op)?);
    }
    group.write(writing, true)?;
    Ok(outcomes)
}

/// Notes a resource as the database has it.
fn find<'a>(
    row: &Row,
    names: &HashMap<i64, Vec<Key<'a>>>,
    known: &mut HashMap<Key<'a>, Known<'a>>,
) {
    let name: (u16, &str) = (small(row.get(0)), row.get(1));
    let key = names.get(&row.get::<_, i64>(8));
    // One that was erased has no id any more.
    let same = |key: &&Key<'_>| **key == name || (name.1.is_empty() && key.0 == name.0);
    let key = key.and_then(|keys| keys.iter().find(same));
    let Some(one) = key.and_then(|key| known.get_mut(key)) else {
        return;
    };
    let exists = !row.get::<_, bool>(6);
    one.state = Some(State {
        pk: row.get(2),
        seq: row.get(3),
        version: u32::try_from(row.get::<_, i64>(4)).unwrap_or(u32::MAX),
        updated_ms: row.get(5),
        exists,
        put: None,
    });
    let rows = row.get::<_, Option<Vec<u8>>>(7).unwrap_or_default();
    one.base = Some(Base { rows, exists });
}

impl<'a> Group<'a> {
    /// Begins the transaction with what the commits are about.
    fn read(
        writing: &mut Writing<'_>,
        shared: &'a Shared,
        ops: &[&'a CommitOp],
    ) -> Result<Self, StoreError> {
        let mut known: HashMap<Key<'a>, Known<'a>> = HashMap::new();
        let mut note = |of: u16, id: &'a str, token: i64| {
            known.entry((of, id)).or_insert(Known {
                token,
                base: None,
                state: None,
            });
        };
        let (mut delivered, mut topics) = (Vec::new(), Vec::new());
        for op in ops {
            for change in &op.changes {
                note(change.resource_type, &change.id, change.token);
            }
            for expect in &op.expectations {
                if let Expect::Version {
                    resource_type, id, ..
                } = expect
                {
                    note(resource_type.0, id, shared.token(*resource_type, id));
                }
            }
            delivered.extend(op.delivery.iter().map(|(token, _)| *token));
            topics.extend(op.events.iter().map(|event| &*event.topic));
        }
        topics.sort_unstable();
        topics.dedup();
        let mut names: HashMap<i64, Vec<Key<'a>>> = HashMap::new();
        for (key, one) in &known {
            names.entry(one.token).or_default().push(*key);
        }
        let tokens: Vec<i64> = names.keys().copied().collect();
        let resources: Values<'_> = &[&tokens];
        let (of_deliveries, of_topics): (Values<'_>, Values<'_>) = (&[&delivered], &[&topics]);
        let mut calls = vec![(
            "SELECT type, fhir_id, pk, seq, version, updated_ms, deleted, rows, token FROM resource \
             WHERE token = ANY($1)",
            resources,
        )];
        if !delivered.is_empty() {
            let sql = "SELECT token, last, written, reply FROM delivery WHERE token = ANY($1)";
            calls.push((sql, of_deliveries));
        }
        if !topics.is_empty() {
            let sql = "SELECT name, events FROM topic WHERE name = ANY($1)";
            calls.push((sql, of_topics));
        }
        let mut answers = writing.begin(&calls)?.into_iter();
        for row in answers.next().unwrap_or_default() {
            find(&row, &names, &mut known);
        }
        let mut deliveries = HashMap::new();
        if !delivered.is_empty() {
            for row in answers.next().unwrap_or_default() {
                let known = Committed {
                    seq: Seq(row.get(1)),
                    written: decode_written(row.get(2)),
                    repeated: Some(row.get::<_, Vec<u8>>(3).into()),
                };
                deliveries.insert(row.get(0), known);
            }
        }
        let mut events: HashMap<&'a str, i64> = topics.iter().map(|name| (*name, 0)).collect();
        for row in answers.next().unwrap_or_default() {
            if let Some(count) = events.get_mut(row.get::<_, &str>(0)) {
                *count = row.get(1);
            }
        }
        Ok(Self {
            shared,
            known,
            deliveries,
            steps: Vec::new(),
            delivered: false,
            topics: events,
            counted: Vec::new(),
            columns: Columns::default(),
            versions: Vec::new(),
            contents: Vec::new(),
        })
    }

    fn commit(
        &mut self,
        writing: &mut Writing<'_>,
        op: &'a CommitOp,
    ) -> Result<Outcome, StoreError> {
        if let Some((token, _)) = &op.delivery
            && let Some(known) = self.deliveries.get(token)
        {
            return Ok(Ok(known.clone()));
        }
        let watched = i64::try_from(op.watched.map_or(0, |watched| watched.known)).unwrap_or(0);
        if op.watched.is_some() && watched != writing.numbers.watched {
            return Ok(Err(StoreError::Outdated));
        }
        if let Err(reason) = self.expectations(writing, &op.expectations)? {
            return Ok(Err(reason));
        }
        if let Some(step) = &op.job {
            let there = "SELECT 1::bigint FROM job WHERE id = $1";
            if writing.query(there, &[&&*clean(&step.id)])?.is_empty() {
                return Ok(Err(StoreError::NoJob));
            }
        }
        let named = op.changes.iter().flat_map(PreparedChange::contents);
        let named: Vec<i64> = named.copied().collect();
        if !named.is_empty() && !content::are_there(writing, &named)? {
            let text = "a body names content that is not there";
            return Ok(Err(StoreError::Invalid(text)));
        }
        let before = writing.numbers;
        let versions = self.versions.len();
        if !op.changes.is_empty() {
            let now = self.shared.config.clock.now_ms();
            writing.numbers.updated_ms = before.updated_ms.max(now);
        }
        let mut written = Vec::with_capacity(op.changes.len());
        let mut undo: Vec<(Key<'a>, Option<State<'a>>)> = Vec::new();
        for (at, change) in op.changes.iter().enumerate() {
            let key = (change.resource_type, &*change.id);
            undo.push((key, self.known.get(&key).and_then(|known| known.state)));
            match self.put(writing, change) {
                Ok(one) => written.push(one),
                Err(version) => {
                    for (key, state) in undo.into_iter().rev() {
                        if let Some(known) = self.known.get_mut(&key) {
                            known.state = state;
                        }
                    }
                    self.versions.truncate(versions);
                    writing.numbers = before;
                    return Ok(Err(StoreError::Conflict {
                        resource_type: ResourceType(change.resource_type),
                        at: op.expectations.len() + at,
                        version: Some(version),
                    }));
                }
            }
        }
        if op.watched.is_some_and(|watched| watched.changes) {
            writing.numbers.watched += 1;
        }
        self.contents.extend(named);
        self.events(writing, &op.events, &written);
        self.steps.extend(&op.job);
        let outcome = Committed {
            seq: Seq(writing.numbers.seq),
            written,
            repeated: None,
        };
        if let Some((token, delivery)) = &op.delivery {
            let numbers = [*token, before.seq + 1, writing.numbers.seq];
            let written = encode_written(&outcome.written);
            self.delivered = true;
            self.columns.delivery(numbers, written, &delivery.reply);
            let repeated = Committed {
                repeated: Some(delivery.reply.clone()),
                ..outcome.clone()
            };
            self.deliveries.insert(*token, repeated);
        }
        Ok(Ok(outcome))
    }

    /// The outer error is the database's, the inner one the reason why the commit is refused.
    fn expectations(
        &mut self,
        writing: &mut Writing<'_>,
        expectations: &[Expect],
    ) -> Result<Result<(), StoreError>, StoreError> {
        for (at, expect) in expectations.iter().enumerate() {
            match expect {
                Expect::Version {
                    resource_type,
                    id,
                    expected,
                } => {
                    let known = self.known.get(&(resource_type.0, &**id));
                    let state = known.and_then(|known| known.state);
                    let version = state
                        .filter(|state| state.exists)
                        .map(|state| state.version);
                    let holds = match expected {
                        Expected::Absent => version.is_none(),
                        Expected::Exactly(wanted) => version == Some(*wanted),
                        Expected::Present => version.is_some(),
                    };
                    if !holds {
                        return Ok(Err(StoreError::Conflict {
                            resource_type: *resource_type,
                            at,
                            version,
                        }));
                    }
                }
                Expect::Search { query, found } => {
                    self.write(writing, false)?;
                    let mut query = (**query).clone();
                    query.count = u32::try_from(found.len() + 1).unwrap_or(u32::MAX);
                    query.after = None;
                    let seq = writing.numbers.seq;
                    let source = PgSource(Unbounded(writing.link));
                    let context = self.shared.context();
                    let pks = search::matches(source, &context, &query, EXPECTED_SEARCH_ROWS, seq);
                    let mut now = match pks {
                        Ok(pks) => pks,
                        Err(
                            reason @ (StoreError::TooCostly { .. }
                            | StoreError::Limit { .. }
                            | StoreError::Invalid(_)),
                        ) => return Ok(Err(reason)),
                        Err(error) => return Err(error),
                    };
                    let mut wanted = found.clone();
                    wanted.sort_unstable();
                    now.sort_unstable();
                    if now != wanted {
                        return Ok(Err(StoreError::Stale { at }));
                    }
                }
            }
        }
        Ok(Ok(()))
    }

    /// Applies one change in memory; the error is the version that is in the way of a create.
    fn put(
        &mut self,
        writing: &mut Writing<'_>,
        change: &'a PreparedChange,
    ) -> Result<Written, u32> {
        let numbers = &mut writing.numbers;
        let known = self
            .known
            .entry((change.resource_type, &change.id))
            .or_insert(Known {
                token: change.token,
                base: None,
                state: None,
            });
        let found = known.state;
        let exists = found.is_some_and(|before| before.exists);
        let (kept, put) = match &change.action {
            Action::Put { fresh: true, .. } if exists => {
                return Err(found.map_or(0, |before| before.version));
            }
            Action::Put {
                kept, rows, text, ..
            } => {
                let put = Put {
                    rows: Some(rows),
                    text: Some(text),
                };
                (Some(kept), put)
            }
            Action::Delete if !exists => {
                return Ok(Written {
                    pk: Pk(found.map_or(0, |before| before.pk)),
                    seq: Seq(numbers.seq),
                    version: 0,
                    updated_ms: numbers.updated_ms,
                    created: false,
                    former: None,
                });
            }
            Action::Delete => {
                let gone = Put {
                    rows: None,
                    text: None,
                };
                (None, gone)
            }
        };
        numbers.seq += 1;
        let kind = match (kept, exists) {
            (None, _) => method::DELETE,
            (Some(_), true) => method::UPDATE,
            (Some(_), false) => method::CREATE,
        };
        let state = State {
            pk: found.map_or(numbers.seq, |before| before.pk),
            seq: numbers.seq,
            version: found.map_or(0, |before| before.version) + 1,
            updated_ms: numbers.updated_ms,
            exists: kept.is_some(),
            put: Some(put),
        };
        known.state = Some(state);
        self.versions.push(VersionRow {
            seq: state.seq,
            pk: state.pk,
            resource_type: change.resource_type,
            version: state.version,
            method: kind,
            updated_ms: state.updated_ms,
            kept,
        });
        Ok(Written {
            pk: Pk(state.pk),
            seq: Seq(state.seq),
            version: state.version,
            updated_ms: state.updated_ms,
            created: kind == method::CREATE,
            former: found.map(|before| Seq(before.seq)),
        })
    }

    /// Numbers events. A delete that found nothing has no event.
    fn events(
        &mut self,
        writing: &mut Writing<'_>,
        events: &'a [OutboxEvent],
        written: &[Written],
    ) {
        for event in events {
            let Some(change) = written.get(event.change).filter(|one| one.version > 0) else {
                continue;
            };
            let count = self.topics.entry(&event.topic).or_insert(0);
            *count += 1;
            writing.numbers.outbox += 1;
            let numbers = [writing.numbers.outbox, change.seq.0, *count];
            self.columns.outbox(numbers, &event.topic, &event.payload);
            self.counted.push(&event.topic);
        }
    }

    /// Writes what the commits so far came to.
    fn write(&mut self, writing: &mut Writing<'_>, last: bool) -> Result<(), StoreError> {
        if !last && self.versions.is_empty() {
            return Ok(());
        }
        let mut columns = std::mem::take(&mut self.columns);
        for row in self.versions.drain(..) {
            columns.version(&row);
        }
        let mut counts: HashMap<u16, i64> = HashMap::new();
        for ((of, id), known) in &mut self.known {
            let Some((mut state, put)) = known.state.and_then(|s| s.put.map(|put| (s, put))) else {
                continue;
            };
            columns.resource(&ResourceRow {
                pk: state.pk,
                resource_type: *of,
                token: known.token,
                seq: state.seq,
                version: state.version,
                updated_ms: state.updated_ms,
                id,
                rows: put.rows,
                known: known.base.is_some(),
            });
            let (old, existed) = match &known.base {
                Some(base) => (&base.rows[..], base.exists),
                None => (&[][..], false),
            };
            let new = put.rows.unwrap_or_default();
            columns.difference(state.pk, old, new, &self.shared.tokens);
            columns.text(state.pk, put.text, existed);
            let by = i64::from(state.exists) - i64::from(existed);
            *counts.entry(*of).or_default() += by;
            known.base = Some(Base {
                rows: new.to_vec(),
                exists: state.exists,
            });
            state.put = None;
            known.state = Some(state);
        }
        for (of, by) in counts {
            if by != 0 {
                columns.count(of, by);
            }
        }
        self.counted.sort_unstable();
        self.counted.dedup();
        for name in self.counted.drain(..) {
            let events = self.topics.get(name).copied().unwrap_or(0);
            columns.topic(&clean(name), events);
        }
        self.beside(writing)?;
        writing.write(&mut columns, last)
    }

    /// Saves the progress of jobs, and forgets old deliveries where new ones came.
    fn beside(&mut self, writing: &mut Writing<'_>) -> Result<(), StoreError> {
        let now = self.shared.config.clock.now_ms();
        let contents = std::mem::take(&mut self.contents);
        if !contents.is_empty() {
            content::take_into_use(writing, &contents)?;
        }
        for step in self.steps.drain(..) {
            let sql = "UPDATE job SET progress = $2, changed_ms = $3 WHERE id = $1";
            writing.query(sql, &[&&*clean(&step.id), &&step.progress[..], &now])?;
        }
        if std::mem::take(&mut self.delivered) {
            let kept = self.shared.config.limits.delivery_kept.as_millis();
            let border = now.saturating_sub(i64::try_from(kept).unwrap_or(i64::MAX));
            // A few more than came, so that there are never more of them for long.
            let sql = "DELETE FROM delivery WHERE token IN (SELECT d.token FROM \
                       (SELECT token, last FROM delivery ORDER BY last LIMIT $2) d \
                       LEFT JOIN version v ON v.seq = d.last \
                       WHERE coalesce(v.updated_ms, 0) < $1)";
            let most = i64::try_from(self.deliveries.len())
                .unwrap_or(0)
                .saturating_mul(4);
            writing.query(sql, &[&border, &most])?;
        }
        Ok(())
    }
}
