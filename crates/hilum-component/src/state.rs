//! Durable values and timers that steps read and change.

use bytes::Bytes;
use hilum_message::BlobRange;
use smol_str::SmolStr;

/// A value with the version it had when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The commit sequence that wrote it; 0 for a value that is not there.
    pub version: u64,
    /// The value.
    pub value: Option<Bytes>,
}

/// A snapshot of the state, as a step sees it.
pub trait StateView: Send + Sync {
    /// The value of a key and its version.
    fn get(&self, scope: &str, key: &str) -> Stored;

    /// The values of scopes and keys and their versions, in their order: for who can look for several
    /// at once with less effort.
    fn get_all(&self, names: &[(&str, &str)]) -> Vec<Stored> {
        let each = names.iter().map(|(scope, key)| self.get(scope, key));
        each.collect()
    }

    /// Fills `into` with what was cut out of a message, from so many bytes on, and says how many they
    /// are: 0 at its end. `None` where it cannot be read.
    fn read_cut(&self, _range: &BlobRange, _offset: u64, _into: &mut [u8]) -> Option<usize> {
        None
    }
}

/// No state: for tests of channels that use none.
impl StateView for () {
    fn get(&self, _scope: &str, _key: &str) -> Stored {
        Stored {
            version: 0,
            value: None,
        }
    }
}

/// What a message read, so that stale reads are noticed and replay is exact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateRead {
    /// The scope.
    pub scope: SmolStr,
    /// The key.
    pub key: SmolStr,
    /// The version that was seen.
    pub version: u64,
}

/// A change of one value, committed with the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateChange {
    /// The scope.
    pub scope: SmolStr,
    /// The key.
    pub key: SmolStr,
    /// The new value; `None` removes it.
    pub value: Option<Bytes>,
    /// When it is forgotten, Unix milliseconds.
    pub expires_ms: Option<u64>,
}

/// A timer that is set or removed with the message; when due it enters the channel as a message
/// of type `timer`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimerChange {
    /// The scope.
    pub scope: SmolStr,
    /// The key.
    pub key: SmolStr,
    /// When it is due, Unix milliseconds; `None` removes it.
    pub due_ms: Option<u64>,
}
