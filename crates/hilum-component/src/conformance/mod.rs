//! What every source and destination must do, as one suite that connectors run in their tests.
//!
//! A connector writes a rig: how to make the component, and how to play its peer. The suite then
//! checks open and close, order, refusal, a stop while a message is under way, and a peer that
//! goes away. It panics with the name of what was violated, as tests do. The fakes beside it
//! ([`FakeIntake`], [`FakeSite`], [`Opaque`]) stand for the engine and the configuration.
//!
//! It does not check what only one technology has: frames, statuses and file names are for the
//! connector's own tests.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a violated contract fails by panicking"
)]

mod destination;
mod fakes;
mod intake;
mod source;

use std::future::Future;
use std::time::Duration;

pub use destination::{DestinationRig, PeerMood, check_destination};
pub use fakes::{FakeSite, MemoryBlobs, Opaque, build_context, delivery};
pub use intake::FakeIntake;
pub use source::{Said, SourceRig, check_source};

/// How long a step of the suite may take; it ends at once when its condition holds.
pub const PATIENCE: Duration = Duration::from_secs(60);

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("still waiting after {PATIENCE:?}: {what}"),
    }
}
