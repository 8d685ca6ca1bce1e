//! Messages, payloads, ids and index tokens: opaque bytes and what identifies them.
