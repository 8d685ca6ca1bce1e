//! Source times as rows hold them.

use std::fmt;

use hilum_message::SourceTime;
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A source time without names: one number where all three are as one of a message without a sequence
/// that was sent when it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Time(i64, i64, u64);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self(at_ms, sent_ms, 0) if at_ms == sent_ms => at_ms.serialize(serializer),
            Self(at_ms, sent_ms, sequence) => (at_ms, sent_ms, sequence).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time in milliseconds, or two and a sequence")
            }

            fn visit_i64<E>(self, at_ms: i64) -> Result<Time, E> {
                Ok(Time(at_ms, at_ms, 0))
            }

            fn visit_u64<E: de::Error>(self, at_ms: u64) -> Result<Time, E> {
                let at_ms = i64::try_from(at_ms).map_err(E::custom)?;
                self.visit_i64(at_ms)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Time, A::Error> {
                let lacks = || de::Error::invalid_length(0, &"3 numbers");
                let at_ms = all.next_element()?.ok_or_else(lacks)?;
                let sent_ms = all.next_element()?.ok_or_else(lacks)?;
                let sequence = all.next_element()?.ok_or_else(lacks)?;
                Ok(Time(at_ms, sent_ms, sequence))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl From<SourceTime> for Time {
    fn from(time: SourceTime) -> Self {
        Self(time.at_ms, time.sent_ms, time.sequence)
    }
}

impl From<Time> for SourceTime {
    fn from(Time(at_ms, sent_ms, sequence): Time) -> Self {
        Self {
            at_ms,
            sent_ms,
            sequence,
        }
    }
}

/// For `serde(with)` of a field that holds a source time.
pub(crate) fn serialize<S: Serializer>(
    time: &SourceTime,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    Time::from(*time).serialize(serializer)
}

/// For `serde(with)` of a field that holds a source time.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<SourceTime, D::Error> {
    Time::deserialize(deserializer).map(SourceTime::from)
}

pub(crate) const fn never() -> SourceTime {
    SourceTime::NEVER
}

pub(crate) fn is_never(time: &SourceTime) -> bool {
    *time == SourceTime::NEVER
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_as_short_as_it_can_be() {
        for (time, text) in [
            (Time(7, 7, 0), "7"),
            (Time(-7, -7, 0), "-7"),
            (Time(7, 8, 0), "[7,8,0]"),
            (Time(7, 7, 1), "[7,7,1]"),
            (Time(i64::MAX, i64::MAX, 0), "9223372036854775807"),
        ] {
            assert_eq!(serde_json::to_string(&time).unwrap(), text);
            assert_eq!(serde_json::from_str::<Time>(text).unwrap(), time);
        }
        for text in ["9223372036854775808", "[7,8]", "[]", "\"7\""] {
            assert!(serde_json::from_str::<Time>(text).is_err(), "{text}");
        }
    }
}
