//! What a client asks, read once at the edge: path, query, headers, body.

mod coding;
mod condition;
mod format;
mod prefer;
mod url;

pub(crate) use coding::{Coding, PACK_BYTES_MIN, accepted, pack, sent, unpack};
pub(crate) use condition::{Conditions, Tags};
pub(crate) use format::{Format, Kind, Media, asked_format, body_format, unsupported};
pub(crate) use prefer::{Handling, Prefer, Return};
pub(crate) use url::{decode, encode, pairs};
