//! The engine: runs plans.
//!
//! A message goes from its source through [`hilum_component::Intake`] to the pool of processing
//! threads, from there into the journal in one synced group commit, is answered, and goes out
//! through the queue of each destination. See `ARCHITECTURE.md` for the way of a message.
//!
//! Invariants:
//! - the engine names no protocol and no component;
//! - what is answered positively is on disk; what cannot be recorded is answered negatively;
//! - deliveries that share a key reach a system in commit order ([`lanes`]);
//! - retry, suspension, dead letters and pauses are decided here and nowhere else;
//! - every queue, memory and wait is bounded by name.
//!
//! What it does not do: parse, connect, render. It has no opinion on configuration files.

pub mod alert;
mod channel;
mod clock;
mod codes;
mod critical;
mod edit;
mod figures;
mod in_flight;
mod kept;
pub mod lanes;
mod operate;
mod pool;
mod queue;
mod replay;
mod resend;
mod rows;
mod run;
mod runtime;
mod sender_clocks;
mod stale;
mod status;
mod store;
mod withdrawn;

pub use alert::{ALERT_TOPIC, Alert};
pub use codes::{FORGOTTEN_AFTER_MS, Forget, Seen, UNMAPPED_CODES_MAX, Unmapped};
pub use critical::{Critical, CriticalFigures, OnlyOpen};
pub use edit::StateEdit;
pub use figures::{
    ChannelFigures, Counter, DISPOSITIONS, LATENCY_BOUNDS_US, Latency, QueueFigures,
};
pub use in_flight::IN_FLIGHT_MESSAGES_MAX;
pub use kept::{KeptPlans, PlanChoice};
pub use operate::{Held, OperateError};
pub use queue::Trouble;
pub use replay::{Recomputed, Replay, Replayed};
pub use run::{Engine, EngineError, EngineOptions, ReloadReport};
pub(crate) use runtime::Core;
pub use sender_clocks::ClockSkew;
pub use stale::{COMPARED_MAX, OldState, Outdated};
pub use status::{
    ChannelStatus, ChannelView, DestinationState, DestinationStatus, EngineStatus, QueueView,
    UnderWay,
};
pub use store::Orphan;
pub use withdrawn::{Withdrawal, Withdrawn, WithdrawnDelivery};
