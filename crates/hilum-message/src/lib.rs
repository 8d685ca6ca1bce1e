//! What travels through hilum: opaque bytes and what identifies them.
//!
//! Invariants:
//! - received bytes are kept exactly; nothing in this crate changes or interprets them;
//! - content never reaches a log through formatting: [`Payload`] and [`Phi`] print masked;
//! - a positive answer needs an [`Accepted`], and only the journal's synced append makes one.
//!
//! This crate has no clock, no I/O and no source of randomness: times and random bits are passed in.

mod accepted;
pub mod as_of;
pub mod calendar;
mod failpoint;
mod id;
mod index;
mod metadata;
pub mod numbers;
mod payload;
mod phi;
mod source_time;
mod tokens;

pub use accepted::Accepted;
pub use failpoint::Failpoint;
pub use id::{DeliveryId, MessageId, ParseIdError, PlanDigest};
pub use index::{IndexKey, IndexToken, OrderKey};
pub use metadata::Metadata;
pub use payload::{ATTACHMENT_TOKEN, BlobRange, BlobRef, Cut, Payload, Piece};
pub use phi::Phi;
pub use source_time::SourceTime;
pub use tokens::{TokenAt, Tokens};
