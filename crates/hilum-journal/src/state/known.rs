//! What was lately read of `control.db` or written to it, also that it has nothing: a message that was
//! processed with a value has its version compared again when it is committed, and messages of one
//! patient come together.

use hashbrown::HashMap;

use super::{Entry, Name, StateKey};

/// What is kept, in bytes of keys and values.
const KNOWN_BYTES_MAX: usize = 32 << 20;
/// What an entry takes beside its key and value.
const ENTRY_BYTES: usize = 160;

/// The generation that was read when something was not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u64);

/// By scope and key; two halves, of which the older one is dropped when the newer one is full.
#[derive(Default)]
pub(super) struct Known {
    newer: HashMap<StateKey, Entry>,
    older: HashMap<StateKey, Entry>,
    /// Bytes in `newer`.
    bytes: usize,
    /// Counts the changes of the state.
    generation: u64,
}

impl Known {
    /// Where what is not known is learned for.
    pub(super) const fn place(&self) -> Place {
        Place(self.generation)
    }

    /// What is known of a key.
    pub(super) fn get(&mut self, name: Name<'_>) -> Option<&Entry> {
        if !self.newer.contains_key(&name) {
            let (name, entry) = self.older.remove_entry(&name)?;
            self.put(name, entry);
        }
        // It may have filled the newer half, which is the older one then.
        self.newer.get(&name).or_else(|| self.older.get(&name))
    }

    /// Keeps what was read, unless the state has changed since: what was read may be old then.
    pub(super) fn learn(&mut self, place: Place, Name(scope, key): Name<'_>, entry: &Entry) {
        if place == Place(self.generation) {
            self.put((scope.into(), key.into()), entry.clone());
        }
    }

    /// What was written to the file just now, and has not changed since.
    pub(super) fn keep(&mut self, name: StateKey, mut entry: Entry) {
        if entry.value.is_none() {
            // As a row that is not there is read.
            (entry.version, entry.expires_ms) = (0, None);
        }
        self.older.remove(&name);
        self.put(name, entry);
    }

    /// Something has changed. It is not looked for here before it is folded, and then kept anew.
    pub(super) const fn changed(&mut self) {
        self.generation += 1;
    }

    fn put(&mut self, name: StateKey, entry: Entry) {
        let value = entry.value.as_ref().map_or(0, bytes::Bytes::len);
        self.bytes += name.0.len() + name.1.len() + value + ENTRY_BYTES;
        self.newer.insert(name, entry);
        if self.bytes > KNOWN_BYTES_MAX / 2 {
            // The room of what is dropped is used again.
            std::mem::swap(&mut self.older, &mut self.newer);
            self.newer.clear();
            self.bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(version: u64) -> Entry {
        Entry {
            version,
            value: Some(vec![0; 1000].into()),
            expires_ms: None,
        }
    }

    fn version(known: &mut Known, key: &str) -> Option<u64> {
        known.get(Name("s", key)).map(|entry| entry.version)
    }

    #[test]
    fn what_changed_while_it_was_read_is_not_kept() {
        let mut known = Known::default();
        let place = known.place();
        known.learn(place, Name("s", "k"), &entry(1));
        assert_eq!(version(&mut known, "k"), Some(1));
        let other = known.place();
        known.changed();
        known.learn(other, Name("s", "other"), &entry(1));
        assert_eq!(version(&mut known, "other"), None);
        known.keep(("s".into(), "k".into()), entry(2));
        assert_eq!(version(&mut known, "k"), Some(2));
    }

    #[test]
    fn it_is_bounded_and_keeps_what_is_used() {
        let mut known = Known::default();
        let learn = |known: &mut Known, key: &str| {
            if known.get(Name("s", key)).is_none() {
                known.learn(known.place(), Name("s", key), &entry(1));
            }
        };
        let each = 1000 + ENTRY_BYTES + 10;
        for n in 0..3 * KNOWN_BYTES_MAX / each {
            learn(&mut known, &n.to_string());
            learn(&mut known, "used");
        }
        assert_eq!(version(&mut known, "used"), Some(1));
        assert_eq!(version(&mut known, "0"), None);
        assert!((known.newer.len() + known.older.len()) * each <= KNOWN_BYTES_MAX);
    }
}
