//! Channels at run time: a plan that can be exchanged at a message boundary, and its source.

mod delivered;
mod intake;
mod origin;
mod received;
mod refuse;
mod work;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use hilum_component::ChannelPlan;

use crate::figures::ChannelFigures;
use crate::resend::Memory;

pub(crate) use intake::ChannelIntake;
pub(crate) use origin::{Origin, REPLAY, Taken};
pub(crate) use received::{process_received, tell_if_rejected};
pub(crate) use work::{held_again, processed, take_in, take_in_with};

/// Why a source brings no messages.
#[derive(Clone, Debug)]
pub(crate) struct SourceTrouble {
    /// What happened last, and what to do about it.
    pub(crate) text: String,
    /// When it failed first, Unix milliseconds.
    pub(crate) since_ms: u64,
}

/// A channel that runs.
pub(crate) struct Channel {
    pub(crate) name: Arc<str>,
    /// Its line in the pool.
    pub(crate) number: u32,
    plan: RwLock<Arc<ChannelPlan>>,
    memory: Mutex<Memory>,
    trouble: Mutex<Option<SourceTrouble>>,
    pub(crate) figures: ChannelFigures,
    /// What is received and not processed.
    pub(crate) received: received::Line,
    /// When it was started, Unix milliseconds.
    pub(crate) started_ms: u64,
    /// Held by a message whose reads of the state were stale too often, so that it gets its turn.
    pub(crate) alone: tokio::sync::RwLock<()>,
}

impl Channel {
    pub(crate) fn new(number: u32, plan: Arc<ChannelPlan>, started_ms: u64) -> Self {
        Self {
            name: Arc::clone(&plan.name),
            number,
            plan: RwLock::new(plan),
            memory: Mutex::new(Memory::default()),
            trouble: Mutex::default(),
            figures: ChannelFigures::default(),
            received: received::Line::default(),
            started_ms,
            alone: tokio::sync::RwLock::new(()),
        }
    }

    /// The plan of messages that come in now.
    pub(crate) fn plan(&self) -> Arc<ChannelPlan> {
        Arc::clone(&self.plan.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The next message has this plan.
    pub(crate) fn replan(&self, plan: Arc<ChannelPlan>) {
        *self.plan.write().unwrap_or_else(PoisonError::into_inner) = plan;
    }

    /// Why its source does not run; none while it does.
    pub(crate) fn trouble(&self) -> Option<SourceTrouble> {
        let trouble = self.trouble.lock();
        trouble.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_trouble(&self, trouble: Option<SourceTrouble>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// What it remembers of accepted messages.
    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Channel({})", self.name)
    }
}
