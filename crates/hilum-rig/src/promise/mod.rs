//! What was promised to peers and what came of it, kept outside the program.
//!
//! Senders behave as real ones do: each waits for its answer, and sends a message again, with the
//! same control id, until it is accepted. They, the receiver and the record live in this process,
//! which nothing happens to. [`record`] says what must hold at the end.

mod record;
mod sender;
mod stored;

pub(crate) use record::Record;
pub(crate) use sender::{Load, Sent};
pub(crate) use stored::{Place, Retention, compare};
