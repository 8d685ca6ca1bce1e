//! Recognising a message that a peer sends again because it did not get our answer.
//!
//! Key: source, sending application and facility, control id. A bounded memory per channel holds
//! what was accepted lately; the answer itself is read from the journal when it is needed. A
//! message still on its way is waited for. What was rejected is not remembered: it is processed
//! anew.

use std::collections::{HashMap, VecDeque};

use hilum_component::{Identity, ResendPlan};
use hilum_message::MessageId;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

/// A hash over channel, sender and control id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ResendKey(pub(crate) [u8; 8]);

/// A digest (SHA-256, its first half) over the message without what changes on a resend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ResendDigest(pub(crate) [u8; 16]);

impl ResendKey {
    /// The key of a message; `None` where it has no control id.
    pub(crate) fn of(channel: &str, identity: &Identity) -> Option<Self> {
        let control_id = identity.control_id.as_deref()?;
        let (application, facility) = identity
            .sender
            .as_ref()
            .map_or(("", ""), |(a, f)| (a.as_str(), f.as_str()));
        let mut digest = Sha256::new();
        for part in [channel, application, facility, control_id] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part.as_bytes());
        }
        let (mut key, whole) = ([0; 8], digest.finalize());
        key.copy_from_slice(&whole[..8]);
        Some(Self(key))
    }
}

impl ResendDigest {
    /// The digest of what `feed` gives.
    pub(crate) fn of(feed: impl FnOnce(&mut dyn FnMut(&[u8]))) -> Self {
        let mut digest = Sha256::new();
        feed(&mut |bytes| digest.update(bytes));
        let (mut half, whole) = ([0; 16], digest.finalize());
        half.copy_from_slice(&whole[..16]);
        Self(half)
    }
}

/// What is known of a message that came in.
#[derive(Debug)]
pub(crate) enum Known {
    /// It is new; its fate is to be told by [`Memory::settled`].
    New {
        /// Another message came under the same id with other content.
        other_content: bool,
    },
    /// It was accepted as this one.
    Again(MessageId),
    /// It is on its way; its fate will come here.
    UnderWay(oneshot::Receiver<Option<MessageId>>),
}

#[derive(Debug)]
struct Entry {
    digest: ResendDigest,
    message: MessageId,
    at_ms: u64,
    /// Those who wait for its fate; `None` once it is accepted.
    waiting: Option<Vec<oneshot::Sender<Option<MessageId>>>>,
}

/// The memory of one channel.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    entries: HashMap<ResendKey, Entry>,
    age: VecDeque<(u64, ResendKey, MessageId)>,
}

impl Memory {
    /// Asks about a message that has just come in and, if it is new, remembers it.
    pub(crate) fn ask(
        &mut self,
        plan: &ResendPlan,
        key: ResendKey,
        digest: ResendDigest,
        message: MessageId,
        now_ms: u64,
    ) -> Known {
        self.forget(plan, now_ms);
        let other_content = match self.entries.get_mut(&key) {
            Some(entry) if entry.digest == digest => {
                return match &mut entry.waiting {
                    None => Known::Again(entry.message),
                    Some(waiting) => {
                        let (sender, receiver) = oneshot::channel();
                        waiting.push(sender);
                        Known::UnderWay(receiver)
                    }
                };
            }
            Some(_) => true,
            None => false,
        };
        let entry = Entry {
            digest,
            message,
            at_ms: now_ms,
            waiting: Some(Vec::new()),
        };
        self.entries.insert(key, entry);
        self.age.push_back((now_ms, key, message));
        Known::New { other_content }
    }

    /// Remembers a message that the journal has from before the start.
    pub(crate) fn restore(
        &mut self,
        key: ResendKey,
        digest: ResendDigest,
        message: MessageId,
        at_ms: u64,
    ) {
        self.entries.insert(
            key,
            Entry {
                digest,
                message,
                at_ms,
                waiting: None,
            },
        );
        self.age.push_back((at_ms, key, message));
    }

    /// The fate of a message that [`Memory::ask`] called new: accepted, or not to be remembered.
    pub(crate) fn settled(&mut self, key: ResendKey, message: MessageId, accepted: bool) {
        let Some(entry) = self
            .entries
            .get_mut(&key)
            .filter(|entry| entry.message == message)
        else {
            return;
        };
        for waiting in entry.waiting.take().unwrap_or_default() {
            // Whoever waited may have hung up.
            waiting.send(accepted.then_some(message)).ok();
        }
        if !accepted {
            self.entries.remove(&key);
        }
    }

    fn forget(&mut self, plan: &ResendPlan, now_ms: u64) {
        while let Some(&(at_ms, key, message)) = self.age.front() {
            let old = now_ms.saturating_sub(at_ms) > plan.within.0 || self.age.len() > plan.max;
            if !old {
                return;
            }
            self.age.pop_front();
            let same = self.entries.get(&key).is_some_and(|entry| {
                entry.message == message && entry.at_ms == at_ms && entry.waiting.is_none()
            });
            if same {
                self.entries.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hilum_component::Millis;

    const PLAN: ResendPlan = ResendPlan {
        within: Millis(1_000),
        max: 3,
    };

    fn id(n: u64) -> MessageId {
        MessageId::new(n, 0)
    }

    fn key_of(n: u64) -> ResendKey {
        ResendKey(n.to_be_bytes())
    }

    fn ask(memory: &mut Memory, key: u64, digest: u8, message: u64, now: u64) -> Known {
        memory.ask(
            &PLAN,
            key_of(key),
            ResendDigest([digest; 16]),
            id(message),
            now,
        )
    }

    #[test]
    fn an_accepted_message_is_known_again_and_a_rejected_one_is_not() {
        let mut memory = Memory::default();
        assert!(matches!(
            ask(&mut memory, 1, 7, 1, 0),
            Known::New {
                other_content: false
            }
        ));
        memory.settled(key_of(1), id(1), true);
        assert!(matches!(ask(&mut memory, 1, 7, 2, 5), Known::Again(first) if first == id(1)));
        assert!(matches!(
            ask(&mut memory, 1, 8, 3, 6),
            Known::New {
                other_content: true
            }
        ));
        memory.settled(key_of(1), id(3), false);
        assert!(matches!(
            ask(&mut memory, 1, 8, 4, 7),
            Known::New {
                other_content: false
            }
        ));
    }

    #[test]
    fn a_message_under_way_is_waited_for() {
        let mut memory = Memory::default();
        assert!(matches!(ask(&mut memory, 1, 7, 1, 0), Known::New { .. }));
        let Known::UnderWay(mut fate) = ask(&mut memory, 1, 7, 2, 0) else {
            panic!("not waited for")
        };
        memory.settled(key_of(1), id(1), true);
        assert_eq!(fate.try_recv(), Ok(Some(id(1))));
    }

    #[test]
    fn memory_is_bounded_by_age_and_number() {
        let mut memory = Memory::default();
        for n in 0..4 {
            assert!(matches!(ask(&mut memory, n, 7, n, 0), Known::New { .. }));
            memory.settled(key_of(n), id(n), true);
        }
        assert!(matches!(ask(&mut memory, 9, 7, 9, 0), Known::New { .. }));
        assert!(
            matches!(ask(&mut memory, 0, 7, 10, 0), Known::New { .. }),
            "one over the number"
        );
        assert!(
            matches!(ask(&mut memory, 3, 7, 11, 1_001), Known::New { .. }),
            "one over the age"
        );
    }
}
