//! Copying open deliveries of old partitions to `pinned.db`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hilum_db::rusqlite::{Connection, params};
use hilum_db::{Cancel, DbError, Doing};
use tokio::sync::oneshot;

use crate::error::JournalError;
use crate::journal::Inner;
use crate::model::{AcceptRequest, DeliveryState, NewDelivery, NewState};
use crate::partition::Partition;
use crate::partition::ops::Op;
use crate::pins::{OpenDelivery, PinOp, PinnedMessage};
use crate::prepare::prepare;
use crate::read::{answer_of, attempts_of, body_of, deliveries_of, header_of, outbound_of};
use crate::state::ControlWrite;

/// Messages copied in one commit.
const CHUNK: usize = 64;

/// Pins partitions that are old enough and not pinned yet.
pub(super) fn pass(inner: &Inner) -> Result<(), JournalError> {
    let after = inner.core.limits.pin_after_ms;
    let before_ms = inner.core.clock.now_ms().saturating_sub(after);
    let old: Vec<Arc<Partition>> = {
        let partitions = inner.read_partitions();
        let list = partitions.list.iter().rev().skip(1);
        list.filter(|partition| !partition.pinned.load(Ordering::Acquire))
            .cloned()
            .collect()
    };
    for partition in old {
        if last_commit(&partition)?.is_some_and(|at| at < before_ms) {
            pin(inner, &partition)?;
        }
    }
    Ok(())
}

/// When the last message of a partition was committed.
pub(crate) fn last_commit(partition: &Partition) -> Result<Option<u64>, DbError> {
    let name = partition.name().clone();
    partition.readers.read(&Cancel::new(), |conn| {
        let sql = "SELECT committed_ms FROM message WHERE seq = ?1";
        let mut statement = conn.prepare_cached(sql).doing("look into", &name)?;
        let mut rows = statement
            .query([partition.shared.last()])
            .doing("look into", &name)?;
        let row = rows.next().doing("look into", &name)?;
        row.map(|row| row.get(0))
            .transpose()
            .doing("look into", &name)
    })
}

/// Copies everything open of a partition to `pinned.db` and marks it there.
pub(crate) fn pin(inner: &Inner, partition: &Partition) -> Result<(), JournalError> {
    let pinned = inner.read_partitions().pinned.clone();
    let mut after = 0;
    loop {
        let sequences = open_rows(partition, after)?;
        let Some(&last) = sequences.last() else {
            break;
        };
        after = last;
        let mut messages = Vec::with_capacity(sequences.len());
        let mut deliveries = Vec::new();
        for sequence in sequences {
            let copy = match copy_of(inner, partition, sequence) {
                Ok(copy) => copy,
                // It stays where it is: `verify` names it, retention leaves its file alone.
                Err(JournalError::Damaged { .. }) => {
                    let partition = partition.name();
                    tracing::error!(%partition, sequence, "an open row is damaged and cannot be kept");
                    continue;
                }
                Err(error) => return Err(error),
            };
            deliveries.extend(copy.deliveries());
            messages.push(copy);
        }
        copy(&pinned, messages, Vec::new())?;
        let changed = unpend(partition, deliveries)?;
        if !changed.is_empty() {
            copy(&pinned, Vec::new(), changed)?;
        }
    }
    let name = partition.name().to_string();
    inner.control(ControlWrite::Pinned { partition: name })?;
    partition.pinned.store(true, Ordering::Release);
    // Settlements that were on their way while it was copied.
    inner.retry_kept()?;
    Ok(())
}

pub(crate) fn open_rows(partition: &Partition, after: u64) -> Result<Vec<u64>, DbError> {
    let name = partition.name().clone();
    partition.readers.read(&Cancel::new(), |conn| {
        let sql = "SELECT seq FROM (SELECT seq FROM delivery WHERE state = 0 UNION \
                   SELECT seq FROM delivery WHERE state = 2 UNION SELECT seq FROM work) \
                   WHERE seq > ?1 ORDER BY seq LIMIT ?2";
        let read = || {
            let mut statement = conn.prepare_cached(sql)?;
            let rows = statement.query_map(params![after, CHUNK], |row| row.get::<_, u64>(0))?;
            rows.collect::<Result<Vec<_>, _>>()
        };
        read().doing("find what is open in", &name)
    })
}

fn copy_of(
    inner: &Inner,
    partition: &Partition,
    sequence: u64,
) -> Result<PinnedMessage, JournalError> {
    let codecs = &inner.core.codecs;
    let shared = &partition.shared;
    let mut failure = None;
    let copied = partition.readers.read(&Cancel::new(), |conn| {
        let read = || -> Result<_, JournalError> {
            let header = header_of(conn, shared, sequence)?
                .ok_or_else(|| JournalError::not_found("message", sequence))?;
            let received = body_of(conn, codecs, shared, sequence)?;
            let mut request = AcceptRequest::new(header.message, header.channel, received);
            let mut attempts = Vec::new();
            for stored in deliveries_of(conn, shared, sequence)? {
                let state = match stored.state {
                    DeliveryState::Pending => NewState::Pending,
                    DeliveryState::DeadLetter => {
                        NewState::DeadLetter(stored.reason.unwrap_or_default())
                    }
                    DeliveryState::Delivered | DeliveryState::Withdrawn | DeliveryState::Pinned => {
                        continue;
                    }
                };
                let ordinal = stored.delivery.delivery.id.ordinal;
                let payload = outbound_of(conn, codecs, shared, sequence, ordinal)?;
                attempts.push((
                    ordinal,
                    attempts_of(conn, codecs, shared, sequence, ordinal)?,
                ));
                request.deliveries.push(NewDelivery {
                    ordinal,
                    destination: stored.delivery.destination,
                    keys: stored.delivery.keys,
                    priority: stored.delivery.priority,
                    payload,
                    state,
                });
            }
            request.arrived_ms = header.arrived_ms;
            request.metadata = header.metadata;
            request.plan = header.plan;
            request.disposition = header.disposition;
            request.reason = header.reason;
            request.hold = header.hold;
            request.control_id = header.control_id;
            request.kind = header.kind;
            request.tokens = header.tokens;
            request.findings = header.findings;
            request.place = header.place;
            request.resend = header.resend;
            request.answer = answer_of(conn, codecs, shared, sequence)?;
            request.parent = header.parent;
            request.replay_of = header.replay_of;
            request.peer = header.peer;
            Ok((
                request,
                attempts,
                header.committed_ms,
                is_work(conn, sequence)?,
            ))
        };
        Ok(read().map_err(|error| failure = Some(error)).ok())
    })?;
    let Some((mut request, attempts, committed_ms, is_work)) = copied else {
        return Err(failure.unwrap_or(JournalError::Closed));
    };
    inner.move_blobs(&mut request, &Arc::from("pinned"))?;
    // Without a dictionary: `pinned.db` holds few rows and must open alone.
    let message = prepare(&crate::codec::Codecs::new(1), request, &[], None);
    Ok(PinnedMessage {
        sequence,
        committed_ms,
        message,
        attempts,
        is_work,
    })
}

fn is_work(conn: &Connection, sequence: u64) -> Result<bool, DbError> {
    conn.prepare_cached("SELECT count(*) > 0 FROM work WHERE seq = ?1")
        .and_then(|mut statement| statement.query_row([sequence], |row| row.get(0)))
        .doing("look for open work in", "an old partition")
}

fn copy(
    pinned: &Partition,
    messages: Vec<PinnedMessage>,
    changed: Vec<OpenDelivery>,
) -> Result<(), JournalError> {
    let (done, outcome) = oneshot::channel();
    pinned.urgent(Op::Pin(Box::new(PinOp {
        messages,
        changed,
        done: Some(done),
    })))?;
    outcome
        .blocking_recv()
        .map_err(|_| JournalError::Closed)??;
    Ok(())
}

fn unpend(
    partition: &Partition,
    deliveries: Vec<OpenDelivery>,
) -> Result<Vec<OpenDelivery>, JournalError> {
    let (done, outcome) = oneshot::channel();
    partition.urgent(Op::Unpend {
        deliveries,
        changed: Vec::new(),
        done: Some(done),
    })?;
    let changed = outcome
        .blocking_recv()
        .map_err(|_| JournalError::Closed)??;
    Ok(changed)
}
