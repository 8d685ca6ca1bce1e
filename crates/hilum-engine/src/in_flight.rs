//! How much may be on its way at once.
//!
//! A message is let in when there is room for it, and leaves its room when it is answered. While
//! there is none its source does not read on, which is how a peer is held back; nothing is ever
//! queued beyond the bound.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Messages on their way at once.
pub const IN_FLIGHT_MESSAGES_MAX: usize = 4_096;

/// The grain in which bytes are counted.
const GRAIN: u64 = 1_024;

/// The room.
#[derive(Clone, Debug)]
pub(crate) struct InFlight {
    messages: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    grains_max: u32,
}

/// The room of one message.
#[derive(Debug)]
pub(crate) struct Room {
    _message: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

impl InFlight {
    /// Room for [`IN_FLIGHT_MESSAGES_MAX`] messages and so many bytes.
    pub(crate) fn new(bytes_max: u64) -> Self {
        let grains = u32::try_from(bytes_max / GRAIN).unwrap_or(u32::MAX).max(1);
        Self {
            messages: Arc::new(Semaphore::new(IN_FLIGHT_MESSAGES_MAX)),
            bytes: Arc::new(Semaphore::new(grains as usize)),
            grains_max: grains,
        }
    }

    /// Waits for room for a message of so many bytes in memory; one larger than the whole room
    /// waits for all of it. `None` once the engine is closed.
    pub(crate) async fn enter(&self, bytes: usize) -> Option<Room> {
        let grains = u32::try_from(bytes as u64 / GRAIN + 1)
            .unwrap_or(u32::MAX)
            .min(self.grains_max);
        let message = Arc::clone(&self.messages).acquire_owned().await.ok()?;
        let bytes = Arc::clone(&self.bytes)
            .acquire_many_owned(grains)
            .await
            .ok()?;
        Some(Room {
            _message: message,
            _bytes: bytes,
        })
    }

    /// Messages on their way.
    pub(crate) fn messages(&self) -> usize {
        IN_FLIGHT_MESSAGES_MAX - self.messages.available_permits()
    }

    /// Nothing is let in any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.messages.is_closed()
    }

    /// Waits until nothing is on its way, at most until `deadline`, and lets nothing in any more.
    pub(crate) async fn close(&self, deadline: tokio::time::Instant) {
        let all = u32::try_from(IN_FLIGHT_MESSAGES_MAX).unwrap_or(u32::MAX);
        // Whether they all ended or not, the doors are closed now.
        drop(tokio::time::timeout_at(deadline, self.messages.acquire_many(all)).await);
        self.messages.close();
        self.bytes.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn one_over_the_bound_waits_and_a_huge_message_waits_for_all() {
        let room = InFlight::new(10 * GRAIN);
        let first = room
            .enter(5 * GRAIN as usize)
            .now_or_never()
            .flatten()
            .expect("room");
        assert!(
            room.enter(5 * GRAIN as usize).now_or_never().is_none(),
            "one grain over"
        );
        assert!(room.enter(usize::MAX / 2).now_or_never().is_none());
        drop(first);
        assert!(
            room.enter(usize::MAX / 2)
                .now_or_never()
                .flatten()
                .is_some()
        );
    }
}
