//! What a partition's writer is asked to do.

use std::sync::Arc;

use bytes::Bytes;
use hilum_message::Accepted;
use tokio::sync::oneshot;

use crate::bytes::RESEND_BYTES;
use crate::codec::{Dictionary, Stored};
use crate::error::AcceptError;
use crate::model::{AcceptRequest, Attempt, DeliveryRef, StateWrite};

/// A message ready to be written: everything that costs time was done by the task that accepts.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) request: AcceptRequest,
    pub(crate) body: Body,
    pub(crate) outbound: Option<Bytes>,
    pub(crate) cuts: Option<Vec<u8>>,
    pub(crate) tokens: Option<Vec<u8>>,
    pub(crate) metadata: Option<Vec<u8>>,
    pub(crate) reads: Option<Vec<u8>>,
    pub(crate) findings: Option<Vec<u8>>,
    pub(crate) hold: Option<Vec<u8>>,
    pub(crate) resend: Option<[u8; RESEND_BYTES]>,
    /// What its merges came to, made by the writer each time it is applied.
    pub(crate) merged: Vec<StateWrite>,
    pub(crate) sum: i64,
}

impl Prepared {
    /// Every value that it changes.
    pub(crate) fn writes(&self) -> impl Iterator<Item = &StateWrite> {
        self.request.state_writes.iter().chain(&self.merged)
    }

    /// The answer where the body lies elsewhere, else how many bytes of it lie behind the text.
    pub(crate) fn answer(&self) -> (Option<&[u8]>, Option<u64>) {
        let answer = self.request.answer.as_deref();
        match self.body {
            Body::Stored(_) => (None, answer.map(|answer| answer.len() as u64)),
            Body::Shared(_) | Body::Origin(..) => (answer, None),
        }
    }
}

/// Where the received bytes are.
#[derive(Debug)]
pub(crate) enum Body {
    /// In this row.
    Stored(Stored),
    /// In the row of an earlier message of the same operation.
    Shared(usize),
    /// In the row of this sequence, which lies in the partition named.
    Origin(u64, Arc<str>),
}

/// What an accept came to.
#[derive(Debug)]
pub(crate) enum Reply {
    Accepted(Vec<Accepted>),
    Not(AcceptError),
    /// What the messages refer to lies in another partition by now: bring it here and ask again.
    Elsewhere(Vec<Prepared>),
}

pub(crate) type AcceptReply = oneshot::Sender<Reply>;

/// Messages of one commit, all or none.
#[derive(Debug)]
pub(crate) struct AcceptOp {
    pub(crate) messages: Vec<Prepared>,
    /// Refused if it was seen before in this file.
    pub(crate) once: Option<Vec<u8>>,
    /// A delivery (the publication of a topic hop) that this commit settles, if it lies here.
    pub(crate) settles: Option<DeliveryRef>,
    pub(crate) reply: Option<AcceptReply>,
    /// Set while it is applied.
    pub(crate) verdict: Option<Verdict>,
    pub(crate) sequences: Vec<u64>,
}

/// Why an operation was not stored although nothing failed.
#[derive(Debug)]
pub(crate) enum Verdict {
    Not(AcceptError),
    /// What it refers to lies in another partition by now.
    Elsewhere,
}

/// The end of a delivery, or an attempt at it.
#[derive(Clone, Debug)]
pub(crate) struct AttemptOp {
    pub(crate) delivery: DeliveryRef,
    pub(crate) attempt: Attempt,
    /// The reply, compressed, and its plain length.
    pub(crate) reply: Option<(Stored, usize)>,
    pub(crate) settles: bool,
}

/// An answer to something administrative.
pub(crate) type Done<T> = oneshot::Sender<Result<T, hilum_db::DbError>>;

/// One operation of a partition.
#[derive(Debug)]
pub(crate) enum Op {
    Accept(Box<AcceptOp>),
    Attempt(Box<AttemptOp>),
    /// A dead letter is pending again.
    Requeue {
        delivery: DeliveryRef,
        /// Why, for the record; it lies in the same commit.
        why: Option<Attempt>,
        changed: bool,
        done: Option<Done<bool>>,
    },
    /// The work of a row is done elsewhere.
    Finish {
        sequence: u64,
    },
    Dictionary {
        channel: Arc<str>,
        dictionary: Arc<Dictionary>,
    },
    /// Copies of deliveries from an old partition, into `pinned.db`.
    Pin(Box<crate::pins::PinOp>),
    /// These deliveries are in `pinned.db` now.
    Unpend {
        deliveries: Vec<crate::pins::OpenDelivery>,
        /// Those that are not as they were copied any more.
        changed: Vec<crate::pins::OpenDelivery>,
        done: Option<Done<Vec<crate::pins::OpenDelivery>>>,
    },
    /// Everything handed in before is written.
    Flush(Option<Done<()>>),
}
