//! Digests: what a plan, a channel, a source or a destination is addressed by.
//!
//! Parts are hashed with their lengths, so that no two lists of parts give the same bytes. The
//! place of the folder is no part of any digest.

use hilum_message::PlanDigest;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Collects the parts of a digest.
pub(super) struct Digest(Sha256);

impl Digest {
    /// A digest for one purpose; the program's version is part of each.
    pub(super) fn of(purpose: &str) -> Self {
        let mut digest = Self(Sha256::new());
        digest.text(purpose);
        digest.text(env!("CARGO_PKG_VERSION"));
        digest
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Keys are hashed in their order, which has a meaning.
    pub(super) fn json(&mut self, value: &Value) {
        self.text(&value.to_string());
    }

    pub(super) fn finish(self) -> PlanDigest {
        PlanDigest(self.0.finalize().into())
    }
}
