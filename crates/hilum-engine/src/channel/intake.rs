//! The door of one channel.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::Bytes;
use hilum_component::{
    Arrival, BlobWriter, BoxFuture, Disposition, IntakePort, Partial, Peer, Reply, Stop,
};

use super::{Channel, Origin, Taken, refuse, take_in};
use crate::{Core, store};

/// [`IntakePort`] for one channel.
pub(crate) struct ChannelIntake {
    pub(crate) core: Arc<Core>,
    pub(crate) channel: Arc<Channel>,
    /// The stop of the source, which is not to wait for a full queue.
    pub(crate) stop: Stop,
}

impl ChannelIntake {
    /// Waits while a queue of the channel is full; `false` if the source is to stop before.
    async fn room(&self) -> bool {
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            room = self.core.room(&self.channel.name) => room,
            () = stop.requested() => false,
        }
    }
}

impl IntakePort for ChannelIntake {
    fn take(&self, arrival: Arrival) -> BoxFuture<'_, Reply> {
        Box::pin(async move {
            if !self.room().await {
                return closed();
            }
            let (core, channel) = (Arc::clone(&self.core), Arc::clone(&self.channel));
            let work = GoesOn {
                core: Arc::clone(&self.core),
                work: Some(Box::pin(take(core, channel, arrival))),
            };
            work.await
        })
    }

    fn record_junk(&self, bytes: Bytes, total: u64, peer: Peer) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            tracing::warn!(channel = %self.channel.name, peer = %peer.label, bytes = total,
                "received bytes that are no message; the first of them are in the journal");
            let reason = format!(
                "{total} bytes that are no message; the first {} are kept",
                bytes.len()
            );
            if let Err(error) =
                store::record_part(&self.core, &self.channel, bytes, reason, peer).await
            {
                tracing::error!(channel = %self.channel.name, error = error.text(), "cannot record what was received");
            }
        })
    }

    fn refuse(&self, partial: Partial) -> BoxFuture<'_, Reply> {
        Box::pin(refuse::refuse(&self.core, &self.channel, partial))
    }

    fn blob(&self) -> BoxFuture<'_, std::io::Result<Box<dyn BlobWriter>>> {
        Box::pin(std::future::ready(store::blob(&self.core)))
    }

    fn ends_attachment(&self, byte: u8) -> bool {
        self.channel.plan().format.ends_attachment(byte)
    }

    fn remember<'a>(&'a self, key: &'a str, value: Bytes) -> BoxFuture<'a, std::io::Result<()>> {
        Box::pin(store::remember(&self.core, &self.channel, key, value))
    }

    fn recall<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Option<Bytes>> {
        Box::pin(std::future::ready(store::recall(
            &self.core,
            &self.channel,
            key,
        )))
    }

    fn now_ms(&self) -> u64 {
        self.core.now_ms()
    }
}

/// Takes a message in when there is room for it.
async fn take(core: Arc<Core>, channel: Arc<Channel>, arrival: Arrival) -> Reply {
    let started = tokio::time::Instant::now();
    let figures = &channel.figures;
    figures.received.add(1);
    figures.received_bytes.add(arrival.payload.len());
    let Some(room) = core.in_flight.enter(arrival.payload.text().len()).await else {
        return closed();
    };
    figures.last_ms.store(core.now_ms(), Ordering::Relaxed);
    let Taken {
        reply,
        only_received,
        ..
    } = take_in(&core, &channel, arrival, Origin::Source).await;
    drop(room);
    // What is processed afterwards is counted when that is decided.
    if !only_received {
        figures.disposed(reply.disposition);
    }
    let took = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    figures.answer.observe_us(took);
    reply
}

/// Work on a message that goes on when its source gives up waiting (the peer hung up): what was
/// handed to the journal is written in any case, so its fate must be noted, or a resend would wait
/// for it for ever.
struct GoesOn {
    core: Arc<Core>,
    work: Option<BoxFuture<'static, Reply>>,
}

impl Future for GoesOn {
    type Output = Reply;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Reply> {
        let Some(work) = &mut self.work else {
            return Poll::Ready(closed());
        };
        let polled = work.as_mut().poll(context);
        if polled.is_ready() {
            self.work = None;
        }
        polled
    }
}

impl Drop for GoesOn {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            self.core.go_on(async { drop(work.await) });
        }
    }
}

/// The engine has stopped taking messages.
pub(super) fn closed() -> Reply {
    Reply {
        disposition: Disposition::Failed,
        answer: None,
        reason: Some("the engine is stopping; send the message again".to_owned()),
        message: None,
    }
}
