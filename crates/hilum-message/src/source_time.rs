//! When something was so, as its source says.

use serde::{Deserialize, Serialize};

/// When something was so, as its source says, and not when it arrived.
///
/// Order and `Eq` compare all three, one after the other, so that of two things that are kept the same one
/// wins in whatever order they come. Whether one may replace the other is
/// [`is_older_than`](Self::is_older_than), which is careful where two clocks disagree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourceTime {
    /// When it happened or was reported, Unix milliseconds: in HL7 v2 EVN-2 of an event (§3.3.1), OBR-22
    /// of the order of a result (§4.5.3.22), else when it was sent.
    pub at_ms: i64,
    /// When it was sent (MSH-7), Unix milliseconds: of two things of one minute the later one.
    pub sent_ms: i64,
    /// Its number in the sequence of its sender (MSH-13), 0 for none. It only tells apart what has the
    /// same times: many senders write whole seconds, and a sequence begins anew when both sides agree on
    /// it (HL7 v2.5.1 §2.9.4), so that a greater number alone is not newer.
    #[serde(default, skip_serializing_if = "is_none")]
    pub sequence: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes what it asks about by reference"
)]
const fn is_none(sequence: &u64) -> bool {
    *sequence == 0
}

impl SourceTime {
    /// Before everything.
    pub const NEVER: Self = Self {
        at_ms: i64::MIN,
        sent_ms: i64::MIN,
        sequence: 0,
    };

    /// A time without a sequence number.
    #[must_use]
    pub const fn new(at_ms: i64, sent_ms: i64) -> Self {
        Self {
            at_ms,
            sent_ms,
            sequence: 0,
        }
    }

    /// One of its clocks says that it is older than `other`.
    ///
    /// Where the clocks disagree (what happened earlier was sent later) each is older than the other:
    /// nobody can say which state is the newer one, and neither may silently replace the other. The
    /// sequence number counts where both times are the same and both have one.
    #[must_use]
    pub const fn is_older_than(&self, other: &Self) -> bool {
        if self.at_ms == other.at_ms && self.sent_ms == other.sent_ms {
            return self.sequence != 0 && self.sequence < other.sequence;
        }
        self.at_ms < other.at_ms || self.sent_ms < other.sent_ms
    }
}

#[cfg(test)]
mod tests {
    use super::SourceTime;

    fn check(one: (i64, i64, u64), other: (i64, i64, u64), expected: [bool; 2]) {
        let time = |(at_ms, sent_ms, sequence)| SourceTime {
            at_ms,
            sent_ms,
            sequence,
        };
        let (one, other) = (time(one), time(other));
        assert_eq!(
            [one.is_older_than(&other), other.is_older_than(&one)],
            expected
        );
    }

    #[test]
    fn is_older_by_either_clock() {
        check((1, 5, 0), (2, 6, 0), [true, false]);
        check((1, 5, 0), (1, 6, 0), [true, false]);
        check((1, 5, 0), (1, 5, 0), [false, false]);
    }

    #[test]
    fn each_is_older_where_clocks_disagree() {
        check((1, 6, 0), (2, 5, 0), [true, true]);
    }

    #[test]
    fn numbers_tell_apart_what_has_the_same_times_and_nothing_else() {
        check((1, 5, 7), (1, 5, 8), [true, false]);
        check((1, 5, 0), (1, 5, 8), [false, false]);
        check((1, 5, 8), (1, 6, 1), [true, false]);
    }
}
