//! How a Bundle on its way to a store of this node says when what it holds was so.
//!
//! Extensions of FHIR, so that a step that knows nothing of them leaves them where they are: one in
//! `Bundle.meta` for all entries, and those of `Bundle.entry.request` for that entry alone. A server
//! elsewhere never gets them.

use crate::SourceTime;

/// The extension with the time of the source, as [`write()`] writes it.
pub const TIME: &str = "urn:hilum:as-of";

/// The extension with the names of elements that the source deletes, with a space between them.
pub const DELETES: &str = "urn:hilum:deletes";

/// The extension with the names of elements that are taken back: what the resource says there is no
/// more, as far as it is still so.
pub const TAKES_BACK: &str = "urn:hilum:takes-back";

/// The extension of an Encounter that was merged into another one (A42), with a reference to that: R4 has
/// no link between visits.
pub const MERGED_INTO: &str = "urn:hilum:merged-into";

/// The extension that says what is moved to another patient: [`WITH_SUBJECT`] or [`WITH_NUMBERS`].
pub const MOVES: &str = "urn:hilum:moves";

/// What belongs to a visit or an account goes with it.
pub const WITH_SUBJECT: &str = "subject";

/// All that is under the numbers of a patient goes with them, and so the patient that has them must not
/// have others.
pub const WITH_NUMBERS: &str = "identifier";

/// The extension with the identifiers that a resource has no more: of each system and value with `|`
/// between them, percent-encoded, with a space between two of them.
pub const GIVES_UP: &str = "urn:hilum:gives-up";

/// The extension of a Patient with the identifiers that were given up in favour of it (MRG-1), written as
/// [`GIVES_UP`] writes them: whoever has one of them is replaced by this patient, however many they are.
pub const REPLACES: &str = "urn:hilum:replaces";

/// The extension with the lists of which the message has all there is, on the patient, visit or account
/// that has them: of each the type of its resources, `@` and what tells it from other lists of that type.
pub const WHOLE: &str = "urn:hilum:whole";

/// The extension with the list that a resource is in, named as [`WHOLE`] names it.
pub const LISTED: &str = "urn:hilum:listed";

/// The extensions of a Bundle on its way, which a server elsewhere never gets.
pub const ALL: [&str; 8] = [
    TIME, DELETES, TAKES_BACK, MOVES, GIVES_UP, REPLACES, WHOLE, LISTED,
];

/// The system of the tag of a version that came late.
pub const TAG: &str = "urn:hilum:as-of";

/// The code of that tag.
pub const LATE: &str = "late";

/// A time as text: milliseconds since 1970 of the event and of the sending, and the number in the
/// sequence.
#[must_use]
pub fn write(time: &SourceTime) -> String {
    format!("{} {} {}", time.at_ms, time.sent_ms, time.sequence)
}

/// Reads what [`write()`] wrote.
#[must_use]
pub fn read(text: &str) -> Option<SourceTime> {
    let mut parts = text.split(' ');
    let time = SourceTime {
        at_ms: parts.next()?.parse().ok()?,
        sent_ms: parts.next()?.parse().ok()?,
        sequence: parts.next()?.parse().ok()?,
    };
    parts.next().is_none().then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_it_was_written() {
        let time = SourceTime {
            at_ms: -5,
            sent_ms: 1_767_323_045_000,
            sequence: 7,
        };
        assert_eq!(read(&write(&time)), Some(time));
        for text in ["", "1 2", "1 2 x", "1 2 3 4", "1  2"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
