//! What the journal's writer tells, in commit order.

use std::sync::{Arc, OnceLock, Weak};

use hilum_journal::{CommitSink, CommittedMessage, Resend};

use crate::runtime::Core;
use crate::store;

/// Hands committed deliveries to their queues. The journal is opened before the engine is made,
/// so the engine connects itself afterwards; until then nothing is committed.
#[derive(Default)]
pub(super) struct Sink(OnceLock<Weak<Core>>);

impl Sink {
    pub(super) fn connect(&self, core: &Arc<Core>) {
        // Connected once, by the engine that opened the journal.
        drop(self.0.set(Arc::downgrade(core)));
    }

    fn core(&self) -> Option<Arc<Core>> {
        self.0.get().and_then(Weak::upgrade)
    }
}

impl CommitSink for Sink {
    fn committed(&self, message: CommittedMessage) {
        if let Some(core) = self.core() {
            store::dispatch(&core, message);
        }
    }

    fn recovered(&self, message: CommittedMessage, resend: Option<Resend>) {
        if let Some(core) = self.core() {
            store::remember_recovered(&core, &message, resend.as_ref());
            store::dispatch(&core, message);
        }
    }
}
