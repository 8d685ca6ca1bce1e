//! Accepting: from a request to the proof that it survives power loss.

use std::sync::Arc;

use hilum_db::rusqlite::OptionalExtension;
use hilum_db::{Cancel, DbClass, DbError, Doing, Refusal};
use hilum_message::{Accepted, Failpoint};
use tokio::sync::oneshot;

use super::{Inner, Journal};
use crate::error::AcceptError;
use crate::model::{AcceptRequest, Attempt, DeliveryRef, Outcome};
use crate::partition::ops::{AcceptOp, AttemptOp, Op, Prepared, Reply};
use crate::prepare::{prepare, queued_bytes};

/// How often parts are brought into a partition that was rolled meanwhile.
const MOVES_MAX: usize = 3;

/// The delivery on a topic that a hop publishes: accepted once for all subscribers, however often
/// it is repeated after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publication {
    /// The delivery to the topic, settled with the hop.
    pub delivery: DeliveryRef,
}

impl Journal {
    /// Stores a message with all that belongs to it in one synced commit.
    ///
    /// Dropping the future does not undo anything that was handed in.
    ///
    /// # Errors
    /// See [`AcceptError`]; only `Failed` leaves open whether it was stored.
    pub async fn accept(&self, request: AcceptRequest) -> Result<Accepted, AcceptError> {
        let accepted = self.accept_all(vec![request], None).await?;
        accepted.into_iter().next().ok_or(AcceptError::Closed)
    }

    /// Stores several messages in one synced commit, all or none: a parent with its parts, or the
    /// subscribers of a publication. Those with the same received bytes share them.
    ///
    /// # Errors
    /// As [`Journal::accept`].
    pub async fn accept_all(
        &self,
        requests: Vec<AcceptRequest>,
        publication: Option<Publication>,
    ) -> Result<Vec<Accepted>, AcceptError> {
        let inner = &self.inner;
        let mut op = inner.prepare_op(requests, publication)?;
        Failpoint::BeforeAppend.reach();
        for _ in 0..MOVES_MAX {
            let (reply, outcome) = oneshot::channel();
            op.reply = Some(reply);
            let completes: Vec<u64> = completed(&op).collect();
            let settles = op.settles;
            let key = op.once.clone();
            inner.submit(op)?;
            match outcome.await.map_err(|_| AcceptError::Closed)? {
                Reply::Accepted(accepted) => {
                    inner.settle_elsewhere(&completes, settles, &accepted);
                    return Ok(accepted);
                }
                Reply::Not(error) => return Err(error),
                Reply::Elsewhere(messages) => {
                    op = Box::new(AcceptOp {
                        messages: inner.bring_here(messages)?,
                        once: key,
                        settles,
                        reply: None,
                        verdict: None,
                        sequences: Vec::new(),
                    });
                }
            }
        }
        let doing = "bring the parts of a message into";
        let error = DbError::new(DbClass::Busy, doing, "the open partition");
        Err(AcceptError::Blob(error))
    }
}

fn longest_text(request: &AcceptRequest) -> usize {
    let outbound = request.deliveries.iter().map(|delivery| &delivery.payload);
    let all = outbound.chain([&request.received]);
    all.map(|payload| payload.text().len()).max().unwrap_or(0)
}

fn completed(op: &AcceptOp) -> impl Iterator<Item = u64> {
    op.messages
        .iter()
        .filter_map(|message| message.request.completes)
}

impl Inner {
    fn prepare_op(
        &self,
        requests: Vec<AcceptRequest>,
        publication: Option<Publication>,
    ) -> Result<Box<AcceptOp>, AcceptError> {
        let limits = &self.core.limits;
        if requests.is_empty() || requests.len() > limits.children_max.saturating_add(1) {
            return Err(AcceptError::TooLarge {
                what: "messages of one commit",
                limit: limits.children_max.saturating_add(1),
            });
        }
        let changes = requests.iter().any(|request| {
            !request.state_writes.is_empty()
                || !request.state_merges.is_empty()
                || !request.timers.is_empty()
        });
        if changes && self.core.state.waiting() >= limits.unfolded_max {
            self.core.wake.notify();
            return Err(AcceptError::QueueFull);
        }
        let once = self.once_key(&requests, publication)?;
        let mut messages: Vec<Prepared> = Vec::with_capacity(requests.len());
        for mut request in requests {
            self.core.claim(&mut request);
            // Twice the blob limit: what is above it must have been cut into a blob.
            let inline_max = limits.inline_bytes_max.saturating_mul(2);
            if longest_text(&request) > inline_max {
                return Err(AcceptError::TooLarge {
                    what: "inline bytes of a message",
                    limit: inline_max,
                });
            }
            let origin = request.completes.and_then(|at| self.holder(at));
            let open = self.open_partition();
            let origin = origin
                .filter(|origin| open.as_ref().is_some_and(|open| Arc::ptr_eq(open, origin)))
                .map(|origin| origin.name().clone());
            let prepared = prepare(&self.core.codecs, request, &messages, origin);
            messages.push(prepared);
        }
        Ok(Box::new(AcceptOp {
            messages,
            once,
            settles: publication.map(|publication| publication.delivery),
            reply: None,
            verdict: None,
            sequences: Vec::new(),
        }))
    }

    /// What makes the operation unique, looked for in the older partitions that may hold it; the
    /// open one is looked into by the transaction itself.
    fn once_key(
        &self,
        requests: &[AcceptRequest],
        publication: Option<Publication>,
    ) -> Result<Option<Vec<u8>>, AcceptError> {
        let completes = requests.iter().find_map(|request| request.completes);
        let (key, since) = match (publication, completes) {
            (Some(publication), _) => {
                let delivery = publication.delivery;
                let mut key = b"p".to_vec();
                key.extend_from_slice(&delivery.id.message.bytes());
                key.extend_from_slice(&delivery.id.ordinal.to_be_bytes());
                (key, delivery.sequence)
            }
            (None, Some(sequence)) => {
                let mut key = b"c".to_vec();
                key.extend_from_slice(&sequence.to_be_bytes());
                (key, sequence)
            }
            (None, None) => return Ok(None),
        };
        let partitions: Vec<_> = {
            let partitions = self.read_partitions();
            let older = partitions.list.iter().rev().skip(1);
            older
                .take_while(|partition| partition.shared.last() >= since)
                .cloned()
                .collect()
        };
        for partition in partitions {
            let known = partition
                .readers
                .read(&Cancel::new(), |conn| {
                    conn.prepare_cached("SELECT 1 FROM once WHERE key = ?1")
                        .and_then(|mut statement| {
                            statement.query_row([&key], |_| Ok(())).optional()
                        })
                        .doing("look for a publication in", partition.name())
                })
                .map_err(|error| AcceptError::refused(&error))?;
            if known.is_some() {
                return Err(AcceptError::Duplicate);
            }
        }
        Ok(Some(key))
    }

    fn submit(&self, op: Box<AcceptOp>) -> Result<(), AcceptError> {
        let Some(first) = op.messages.first() else {
            return Err(AcceptError::Closed);
        };
        let lane = self.lane(&first.request.channel);
        let bytes = op.messages.iter().map(queued_bytes).sum();
        // Held while it is handed in, so that a roll comes before or after it, not in between.
        let partitions = self.read_partitions();
        let open = partitions.list.last().ok_or(AcceptError::Closed)?;
        let writer = open.writer().ok_or(AcceptError::Closed)?;
        writer
            .submit(lane.number, lane.weight, bytes, Op::Accept(op))
            .map_err(|(_, refusal)| match refusal {
                Refusal::QueueFull => AcceptError::QueueFull,
                _ => AcceptError::Closed,
            })
    }

    /// Ends, in older partitions, what this commit completed or published.
    fn settle_elsewhere(
        &self,
        completes: &[u64],
        settles: Option<DeliveryRef>,
        accepted: &[Accepted],
    ) {
        let Some(here) = accepted.first().and_then(|a| self.holder(a.sequence())) else {
            return;
        };
        let elsewhere = |sequence: u64| {
            self.holder(sequence)
                .is_none_or(|holder| !Arc::ptr_eq(&holder, &here))
        };
        for &sequence in completes {
            if elsewhere(sequence) {
                self.route_or_keep(Op::Finish { sequence });
            }
        }
        if let Some(delivery) = settles.filter(|delivery| elsewhere(delivery.sequence)) {
            let attempt = Attempt {
                started_ms: self.core.clock.now_ms(),
                duration_ms: 0,
                outcome: Outcome::Delivered,
                reason: None,
                reply: None,
            };
            self.route_or_keep(Op::Attempt(Box::new(AttemptOp {
                delivery,
                attempt,
                reply: None,
                settles: true,
            })));
        }
    }

    /// What cannot be handed in now is handed in by the next pass of housekeeping.
    pub(crate) fn route_or_keep(&self, op: Op) {
        if let Err((op, _)) = self.route(op) {
            self.read_partitions().pinned.shared.keep_for_later(*op);
        }
    }
}
