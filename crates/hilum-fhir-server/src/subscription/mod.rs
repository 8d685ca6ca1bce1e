//! Subscriptions: clients that are told when something changes (FHIR R4 subscription.html, and the
//! Subscriptions R5 Backport guide for topics, notification Bundles and replay).
//!
//! - `read`: a Subscription resource as the server understands it, or why it is refused; `asked`:
//!   what its channel asks for.
//! - `criteria`: conditions, compiled once; `topic`: what is offered to subscribe to, by the site or
//!   by resources (`basic`).
//! - `commit`: what is about to be written is held against the active subscriptions, and the events
//!   are written in the same commit, numbered by the store.
//! - `channel`: the built-in channel `hilum.subscriptions`, whose source is the outbox and which has
//!   one destination for each subscription; `hook` and `socket` are the ways to a subscriber.
//! - `follow`: changes for the channels of this node, which keep their own place.
//! - `share`: several nodes on one store, of which one delivers.
//! - `keeper`: handshakes, heartbeats, ends, and the trimming of the outbox.
//!
//! Invariants:
//! - an event and its change are one commit, and the numbers of a subscription's events have no
//!   gaps: a change that is answered is notified, whatever happens after;
//! - retry, order, dead letters, alerts and replay are the engine's; nothing here tries again;
//! - a server calls no address that the site does not allow.

mod active;
mod allow;
mod asked;
mod basic;
mod channel;
mod commit;
mod criteria;
mod follow;
mod hook;
mod hub;
mod keeper;
mod notification;
mod operation;
mod options;
mod read;
mod share;
mod socket;
mod status;
mod topic;

pub use channel::SUBSCRIPTIONS;
pub use options::SubscriptionOptions;
pub use topic::{Interaction, TestResult, TopicOptions, TriggerOptions};

pub(crate) use basic::check as check_topic;

pub(crate) use active::Subscriptions;
pub(crate) use allow::{covers, plain, port};
pub(crate) use follow::changes;
pub(crate) use hub::Hub;
pub(crate) use keeper::keep;
pub(crate) use operation::{routes, websocket_url};
pub(crate) use read::admitted;
pub(crate) use socket::{accept, asks};
