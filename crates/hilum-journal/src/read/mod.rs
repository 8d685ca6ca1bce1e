//! Rows back into messages, deliveries and attempts.

mod delivery;
mod message;

pub use delivery::{StoredAttempt, StoredDelivery};
pub(crate) use delivery::{attempts_of, deliveries_of, has_message, pending_of, placed_of};
pub use message::StoredMessage;
pub(crate) use message::{
    HEADER_COLUMNS, answer_of, body_of, content_of, header_from, header_of, outbound_of,
    placed_rows,
};
