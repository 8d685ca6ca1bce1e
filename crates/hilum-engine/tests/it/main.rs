//! The engine through its public door: real journal, scripted sources and destinations.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "helpers of tests stop at what must not happen"
)]

mod accept;
mod alerts;
mod ask;
mod batches;
mod behind_hold;
mod beside;
mod content;
mod critical;
mod dead_letters;
mod disk;
mod enhanced;
mod fairness;
mod findings;
mod hold;
mod kit;
mod large;
mod limits;
mod old_state;
mod order;
mod queue_limits;
mod received;
mod reload;
mod removed;
mod replay;
mod resend;
mod restart;
mod retention;
mod retry;
mod sender_clock;
mod split;
mod state;
mod timers;
mod topics;
mod withdrawn;
