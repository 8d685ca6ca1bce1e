//! One connection that messages come in on.
//!
//! Frames that arrive together are handed to intake together, in order, and their answers go out
//! in order. A peer that waits for each answer has one message under way; a peer that does not
//! wait has as many as one read brings, at most [`PIPELINE_MAX`].
//!
//! A message that cannot be taken whole (beyond the limit, or no room for its content) is answered
//! no at once. The rest of its frame is read over and the connection goes on behind it; a peer
//! that sends more than [`Served::frame_bytes_max`] of it is closed.

use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{FuturesOrdered, StreamExt};
use hilum_component::{Arrival, Intake, NotTaken, Partial, Peer, Reply, Stop};
use hilum_hl7v2::mllp::{
    Commit, Decoder, DecoderOptions, Event, Frame, SKIPPED_KEPT_MAX, SkipReason, Skipped,
    StartByte, encode_commit,
};
use hilum_message::{Failpoint, Metadata, Payload};
use hilum_net::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};

use super::config::Release;
use super::wire::write_frame;
use crate::body::{ATTACHMENT_MIN, Cutter};

/// Messages of one connection that have no answer yet.
pub(super) const PIPELINE_MAX: usize = 64;
/// Bytes outside of frames before a connection is closed.
const JUNK_MAX: u64 = 64_000;
/// How long the CR after an FS may take before the frame counts as whole without it.
const END_MOMENT: Duration = Duration::from_millis(200);
/// How long a peer may take to read an answer.
const WRITE_WITHIN: Duration = Duration::from_secs(30);
/// Bytes read at once.
const READ_BYTES: usize = 16 * 1024;
/// The beginnings of peers that took the port for another protocol.
const OTHER_PROTOCOLS: [&[u8]; 7] = [
    b"GET ",
    b"POST ",
    b"PUT ",
    b"HEAD ",
    b"OPTIONS ",
    b"SSH-",
    &[0x16, 0x03],
];

/// How connections are served.
#[derive(Clone, Debug)]
pub(super) struct Served {
    pub(super) frame_bytes_max: u64,
    pub(super) start_byte: StartByte,
    pub(super) idle: Duration,
    pub(super) release: Release,
}

/// Why a connection ended, for the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The peer closed.
    Closed,
    /// The source stops.
    Stopped,
    /// Nothing came for too long.
    Idle,
    /// The peer speaks something else.
    Junk,
    /// The rest of a refused frame does not end.
    TooLarge,
}

/// How long a peer that is closed may go on sending before what it was told is lost.
const LINGER: Duration = Duration::from_secs(2);

pub(super) struct Connection<'a> {
    stream: Stream,
    peer: Peer,
    served: &'a Served,
    intake: &'a Intake,
    decoder: Decoder,
    cutter: Option<Cutter>,
    arrivals: Vec<Arrival>,
    /// Bytes of a refused frame that were read over.
    dropped: u64,
    read: Box<[u8]>,
    greeted: bool,
    deviations: bool,
}

impl<'a> Connection<'a> {
    pub(super) fn new(stream: Stream, peer: Peer, served: &'a Served, intake: &'a Intake) -> Self {
        let options = DecoderOptions {
            frame_bytes_max: served.frame_bytes_max,
            start_byte: served.start_byte,
        };
        Self {
            stream,
            peer,
            served,
            intake,
            decoder: Decoder::new(options),
            cutter: None,
            arrivals: Vec::new(),
            dropped: 0,
            read: vec![0; READ_BYTES].into_boxed_slice(),
            greeted: false,
            deviations: false,
        }
    }

    /// Takes messages until the peer closes or the source stops.
    pub(super) async fn run(mut self, mut stop: Stop) -> io::Result<Ended> {
        let mut stopped = pin!(stop.requested());
        let mut timer = pin!(sleep_until(Instant::now() + self.served.idle));
        let mut last = Instant::now();
        loop {
            let awaiting_end = self.decoder.awaiting_end();
            let count = tokio::select! {
                biased;
                () = &mut stopped => return Ok(Ended::Stopped),
                count = self.stream.read(&mut self.read) => count,
                () = tokio::time::sleep(END_MOMENT), if awaiting_end => {
                    let event = self.decoder.end_now();
                    self.handle(event).await?;
                    self.deliver().await?;
                    continue;
                }
                () = &mut timer => {
                    // One timer serves all reads: it is only set again when it rings.
                    if last.elapsed() < self.served.idle {
                        timer.as_mut().reset(last + self.served.idle);
                        continue;
                    }
                    self.finish().await?;
                    return Ok(Ended::Idle);
                }
            }?;
            if count == 0 {
                self.finish().await?;
                return Ok(Ended::Closed);
            }
            last = Instant::now();
            if let Some(ended) = self.take(count).await? {
                return Ok(ended);
            }
        }
    }

    /// Works on the bytes of one read.
    async fn take(&mut self, count: usize) -> io::Result<Option<Ended>> {
        let bytes = self.read.get(..count).unwrap_or_default();
        if !std::mem::replace(&mut self.greeted, true) && is_other_protocol(bytes) {
            let first = Bytes::copy_from_slice(
                bytes.get(..count.min(SKIPPED_KEPT_MAX)).unwrap_or_default(),
            );
            self.intake
                .record_junk(first, count as u64, self.peer.clone())
                .await;
            return Ok(Some(Ended::Junk));
        }
        self.decoder.push(bytes);
        while let Some(event) = self.decoder.next_event() {
            self.handle(Some(event)).await?;
            if self.arrivals.len() >= PIPELINE_MAX {
                self.deliver().await?;
            }
        }
        self.deliver().await?;
        if self.cutter.is_some() || self.decoder.partial().len() >= ATTACHMENT_MIN {
            let part = self.decoder.take_partial();
            let intake = self.intake;
            let cutter = self.cutter.get_or_insert_with(|| Cutter::new(intake));
            if let Err(error) = cutter.push(intake, &part).await {
                self.decoder.drop_frame();
                let first = self.head().unwrap_or_default();
                self.not_stored(&error, first).await?;
            }
        }
        self.dropped = match self.decoder.is_dropping() {
            true => self.dropped.saturating_add(count as u64),
            false => 0,
        };
        if self.dropped > self.served.frame_bytes_max {
            self.linger().await;
            return Ok(Some(Ended::TooLarge));
        }
        if self.decoder.junk_count() > JUNK_MAX {
            self.finish().await?;
            self.linger().await;
            return Ok(Some(Ended::Junk));
        }
        Ok(None)
    }

    async fn handle(&mut self, event: Option<Event>) -> io::Result<()> {
        match event {
            Some(Event::Frame(frame)) => {
                let payload = match self.payload(frame).await {
                    Ok(payload) => payload,
                    Err((error, head)) => return self.not_stored(&error, head).await,
                };
                let (peer, metadata) = (self.peer.clone(), Metadata::new());
                self.arrivals.push(Arrival {
                    payload,
                    peer,
                    metadata,
                    remembers: None,
                });
            }
            Some(Event::Skipped(skipped)) => self.skipped(skipped).await?,
            Some(Event::Deviation(deviation)) if !std::mem::replace(&mut self.deviations, true) => {
                let code = deviation.code();
                tracing::debug!(peer = %self.peer.label, code, "tolerated framing");
            }
            // A confirmation of release 2 says nothing to us.
            Some(Event::Deviation(_) | Event::Commit(_)) | None => {}
        }
        Ok(())
    }

    /// The payload of a frame; where it cannot be stored, its first bytes.
    async fn payload(&mut self, frame: Frame) -> Result<Payload, (io::Error, Bytes)> {
        let Some(mut cutter) = self.cutter.take() else {
            return Ok(Payload::inline(frame.bytes));
        };
        let head = cutter.head(SKIPPED_KEPT_MAX);
        if let Err(error) = cutter.push(self.intake, &frame.bytes).await {
            return Err((error, head));
        }
        cutter.finish().await.map_err(|error| (error, head))
    }

    async fn skipped(&mut self, skipped: Skipped) -> io::Result<()> {
        // What a cutter holds belonged to the frame that is skipped.
        let head = self.head();
        let first = head.unwrap_or(skipped.first);
        if skipped.reason == SkipReason::TooLarge {
            let why = NotTaken::TooLarge {
                setting: "frame-bytes-max",
                bytes_max: self.served.frame_bytes_max,
            };
            return self.refuse(first, skipped.count, why).await;
        }
        tracing::warn!(peer = %self.peer.label, bytes = skipped.count, reason = ?skipped.reason, "skipped bytes outside of frames");
        self.intake
            .record_junk(first, skipped.count, self.peer.clone())
            .await;
        Ok(())
    }

    /// The first bytes of the frame that a cutter holds; the rest of it is let go.
    fn head(&mut self) -> Option<Bytes> {
        let cutter = self.cutter.take()?;
        Some(cutter.head(SKIPPED_KEPT_MAX))
    }

    async fn not_stored(&mut self, error: &io::Error, first: Bytes) -> io::Result<()> {
        let why = NotTaken::NotStored {
            cause: error.to_string(),
        };
        let total = first.len() as u64;
        self.refuse(first, total, why).await
    }

    /// Says no to a message that is not there whole, after what came before it is answered.
    async fn refuse(&mut self, first: Bytes, total: u64, why: NotTaken) -> io::Result<()> {
        self.deliver().await?;
        let peer = self.peer.clone();
        let partial = Partial {
            first,
            total,
            peer,
            why,
        };
        let reply = self.intake.refuse(partial).await;
        self.answer(reply).await
    }

    /// Closes our side and reads on for a moment: a peer that is cut off while it sends would lose
    /// what it was told.
    async fn linger(&mut self) {
        let rest = async {
            self.stream.shutdown().await?;
            while self.stream.read(&mut self.read).await? > 0 {}
            Ok::<(), io::Error>(())
        };
        // The peer is closed either way.
        drop(timeout(LINGER, rest).await);
    }

    /// The stream has ended: what is left is recorded, and a frame without its last CR counts.
    async fn finish(&mut self) -> io::Result<()> {
        for event in self.decoder.finish() {
            self.handle(Some(event)).await?;
        }
        self.deliver().await
    }

    /// Hands over what has come and sends the answers, in order.
    async fn deliver(&mut self) -> io::Result<()> {
        let intake = self.intake;
        if self.arrivals.len() <= 1 {
            let Some(arrival) = self.arrivals.pop() else {
                return Ok(());
            };
            let reply = intake.take(arrival).await;
            return self.answer(reply).await;
        }
        // First polls happen in the order of the queue, and so does the handing over.
        let mut under_way: FuturesOrdered<_> = self
            .arrivals
            .drain(..)
            .map(|arrival| intake.take(arrival))
            .collect();
        let mut failed = None;
        while let Some(reply) = under_way.next().await {
            // A peer that has gone does not keep the others from being taken.
            if failed.is_none() {
                failed = answer(&mut self.stream, self.served.release, reply)
                    .await
                    .err();
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn answer(&mut self, reply: Reply) -> io::Result<()> {
        answer(&mut self.stream, self.served.release, reply).await
    }
}

async fn answer(stream: &mut Stream, release: Release, reply: Reply) -> io::Result<()> {
    let write = async {
        if release == Release::Two {
            let stored = if reply.message.is_some() {
                Commit::Ack
            } else {
                Commit::Nak
            };
            stream.write_all(&encode_commit(stored)).await?;
            stream.flush().await?;
        }
        match &reply.answer {
            Some(answer) => write_frame(stream, answer).await,
            None => Ok(()),
        }
    };
    let written = timeout(WRITE_WITHIN, write).await;
    Failpoint::AfterAnswer.reach();
    written.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn is_other_protocol(first: &[u8]) -> bool {
    OTHER_PROTOCOLS.iter().any(|start| first.starts_with(start))
}
