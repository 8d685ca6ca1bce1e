//! What one atomic write consists of, and what became of it.

use std::fmt;

use bytes::Bytes;

use crate::id::{DeliveryId, Pk, ResourceType, Seq};
use crate::query::Query;
use crate::row::IndexRow;
use crate::stored::Body;

/// One atomic write: everything in it is stored, or nothing.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// What must be so when it is written; checked inside the write transaction, before any change.
    pub expectations: Vec<Expect>,
    /// The changes, applied in order.
    pub changes: Vec<Change>,
    /// Rows for the outbox, numbered when they are written; one about a delete that finds nothing
    /// is left out.
    pub events: Vec<OutboxEvent>,
    /// If given and already known, nothing is written and the recorded outcome is returned.
    pub delivery: Option<Delivery>,
    /// The job that this is a step of; its progress is saved with the changes, so no step is done
    /// twice. If the job is gone nothing is written.
    pub job: Option<JobStep>,
    /// Whom the events were worked out for, in a store that other programs write as well.
    pub watched: Option<Watched>,
}

/// The state of what makes events, as all programs that write a store agree on it. Where it is
/// another one by now the commit ends with [`StoreError::Outdated`](crate::StoreError::Outdated).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    /// What [`Store::watched`](crate::Store::watched) said.
    pub known: u64,
    /// This commit changes it: it is one more from then on.
    pub changes: bool,
}

/// How far a job is with a commit.
#[derive(Clone, PartialEq, Eq)]
pub struct JobStep {
    /// The job.
    pub id: String,
    /// Its progress from then on.
    pub progress: Bytes,
}

impl fmt::Debug for JobStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobStep({} bytes)", self.progress.len())
    }
}

/// A delivery that must take effect at most once.
#[derive(Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The sender's id of it.
    pub id: DeliveryId,
    /// What is returned when it is repeated.
    pub reply: Bytes,
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delivery({:?}, {} bytes)", self.id, self.reply.len())
    }
}

/// The state of one resource that an expectation asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Never stored, or deleted.
    Absent,
    /// Stored, not deleted, and of this version (`If-Match`).
    Exactly(u32),
    /// Stored and not deleted.
    Present,
}

/// Something that must hold when a commit is written.
#[derive(Clone, Debug)]
pub enum Expect {
    /// About one resource; if it does not hold the commit ends with
    /// [`StoreError::Conflict`](crate::StoreError::Conflict).
    Version {
        /// Its type.
        resource_type: ResourceType,
        /// Its id.
        id: String,
        /// What must be so.
        expected: Expected,
    },
    /// A search finds what it found when the commit was prepared (conditional interactions and
    /// references); if not the commit ends with [`StoreError::Stale`](crate::StoreError::Stale)
    /// and the caller prepares it anew.
    ///
    /// At most `found.len() + 1` matches are looked at, so ask for two when preparing.
    Search {
        /// The search.
        query: Box<Query>,
        /// What it found.
        found: Vec<Pk>,
    },
}

/// What a change does.
#[derive(Clone, Debug)]
pub enum Method {
    /// A resource that does not exist (or was deleted) gets this content. If it exists, the commit
    /// ends with a conflict.
    Create {
        /// The content.
        body: Body,
        /// What searches find it by.
        rows: Vec<IndexRow>,
    },
    /// A resource gets this content, whether it exists or not.
    Update {
        /// The content.
        body: Body,
        /// What searches find it by.
        rows: Vec<IndexRow>,
    },
    /// The resource is deleted. If it does not exist, nothing is written for it.
    Delete,
}

/// A change of one resource.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its type.
    pub resource_type: ResourceType,
    /// Its id.
    pub id: String,
    /// What to do.
    pub method: Method,
}

/// A row of the outbox, written in the same transaction as the changes.
#[derive(Clone, PartialEq, Eq)]
pub struct OutboxEvent {
    /// For whom (the name of a topic or subscription).
    pub topic: String,
    /// Which change of the commit it is about.
    pub change: usize,
    /// Anything the receiver needs besides.
    pub payload: Bytes,
}

impl fmt::Debug for OutboxEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxEvent")
            .field("topic", &self.topic)
            .field("change", &self.change)
            .field("payload_bytes", &self.payload.len())
            .finish()
    }
}

/// A row of the outbox as it is read.
#[derive(Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its number: rising, in the order of commits, never given out twice.
    pub number: i64,
    /// Its number among the events of its topic: from 1, without gaps.
    pub event: u64,
    /// The change it is about.
    pub seq: Seq,
    /// When that was, in milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// For whom.
    pub topic: String,
    /// What the writer of the event gave.
    pub payload: Bytes,
}

impl fmt::Debug for OutboxRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxRow")
            .field("number", &self.number)
            .field("event", &self.event)
            .field("seq", &self.seq)
            .field("topic", &self.topic)
            .field("payload_bytes", &self.payload.len())
            .finish()
    }
}

/// What one change came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The resource.
    pub pk: Pk,
    /// The change's number; of a delete that found nothing, the number before it.
    pub seq: Seq,
    /// The version now; of a delete that found nothing, 0.
    pub version: u32,
    /// When, in milliseconds since 1970 UTC.
    pub updated_ms: i64,
    /// The resource did not exist before (or was deleted).
    pub created: bool,
    /// Where its former version is, if it existed.
    pub former: Option<Seq>,
}

/// A commit that is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The number of the last change in the store.
    pub seq: Seq,
    /// One for each change, in order. Of a repeated delivery: what the first one wrote.
    pub written: Vec<Written>,
    /// The delivery was known already: this was recorded then, and nothing was written now.
    pub repeated: Option<Bytes>,
}

/// Methods, as stored.
pub(crate) mod method {
    pub(crate) const CREATE: i64 = 0;
    pub(crate) const UPDATE: i64 = 1;
    pub(crate) const DELETE: i64 = 2;
    /// Whatever it was, its content was erased.
    pub(crate) const ERASED: i64 = 3;
}

/// What a delivery wrote, for when it is repeated: fixed-width numbers, one group for each change.
pub(crate) fn encode_written(written: &[Written]) -> Vec<u8> {
    let mut out = Vec::with_capacity(written.len() * 40);
    for one in written {
        let former = one.former.map_or(0, |seq| seq.0);
        let version = i64::from(one.version) << 1 | i64::from(one.created);
        for number in [one.pk.0, one.seq.0, version, one.updated_ms, former] {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }
    out
}

pub(crate) fn decode_written(bytes: &[u8]) -> Vec<Written> {
    let numbers: Vec<i64> = bytes
        .as_chunks::<8>()
        .0
        .iter()
        .map(|b| i64::from_le_bytes(*b))
        .collect();
    let groups = numbers.as_chunks::<5>().0.iter();
    groups
        .map(|[pk, seq, version, updated_ms, former]| Written {
            pk: Pk(*pk),
            seq: Seq(*seq),
            version: u32::try_from(version >> 1).unwrap_or(0),
            updated_ms: *updated_ms,
            created: version & 1 != 0,
            former: (*former != 0).then_some(Seq(*former)),
        })
        .collect()
}
