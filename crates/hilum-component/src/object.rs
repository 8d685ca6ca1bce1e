//! What a message tells the state of.
//!
//! Engine and formats use it to see that an old state is never sent over a newer one. It is read only
//! when somebody asks (a retry, a release, a replay), never on the way of a message.

use std::fmt;

use hilum_message::SourceTime;

/// One thing whose state a message tells, and as of when.
#[derive(Clone, PartialEq, Eq)]
pub struct Object {
    /// What kind of thing.
    pub kind: ObjectKind,
    /// Its numbers, each with its assigning authority if it has one. It is the same thing as another
    /// one if they share a number.
    pub numbers: Vec<(String, Option<String>)>,
    /// Which part of it, such as one observation of an order; empty for all of it.
    pub part: String,
    /// When it was so.
    pub as_of: SourceTime,
    /// Its source takes it back: it was never so, or it is another patient's.
    pub withdrawn: bool,
}

/// Kinds of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// A patient.
    Patient,
    /// A visit.
    Visit,
    /// An order.
    Order,
    /// The result of an order, or one observation of it.
    Result,
    /// A document.
    Document,
}

impl ObjectKind {
    /// The word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Patient => "patient",
            Self::Visit => "visit",
            Self::Order => "order",
            Self::Result => "result",
            Self::Document => "document",
        }
    }
}

impl Object {
    /// What the other tells replaces this one: it is about the same thing, and about all of it or the
    /// same part, and one of the clocks says that it is newer.
    #[must_use]
    pub fn is_replaced_by(&self, other: &Self) -> bool {
        (other.part.is_empty() || self.part == other.part)
            && self.as_of.is_older_than(&other.as_of)
            && self.is_of(other)
    }

    /// This is what the other withdraws: something of it that was not reported later by both clocks.
    #[must_use]
    pub fn is_withdrawn_by(&self, other: &Self) -> bool {
        let (own, withdrawal) = (&self.as_of, &other.as_of);
        let later = withdrawal.is_older_than(own) && !own.is_older_than(withdrawal);
        let one_of = |part: &str| {
            let time = self.part.strip_prefix(part);
            time.is_some_and(|time| time.is_empty() || time.starts_with('|'))
        };
        other.withdrawn
            && (self.part.is_empty() || one_of(&other.part))
            && !later
            && self.is_of(other)
    }

    /// It is about the same thing, whatever part.
    fn is_of(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.numbers.iter().any(|own| {
                let same = |(value, authority): &(String, Option<String>)| {
                    // Who names no authority may mean any.
                    let any = own.1.is_none() || authority.is_none();
                    own.0 == *value && (any || own.1 == *authority)
                };
                other.numbers.iter().any(same)
            })
    }
}

/// Prints without the numbers.
impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object")
            .field("kind", &self.kind)
            .field("as_of", &self.as_of)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(number: &str, authority: Option<&str>, part: &str, at_ms: i64) -> Object {
        Object {
            kind: ObjectKind::Result,
            numbers: vec![(number.to_owned(), authority.map(str::to_owned))],
            part: part.to_owned(),
            as_of: SourceTime::new(at_ms, at_ms),
            withdrawn: false,
        }
    }

    #[test]
    fn what_was_reported_before_is_withdrawn_and_what_came_later_is_not() {
        let withdrawal = Object {
            withdrawn: true,
            ..object("7", Some("LAB"), "K", 5)
        };
        for (own, expected) in [
            (object("7", Some("LAB"), "K", 4), true),
            (object("7", Some("LAB"), "K", 5), true),
            (object("7", Some("LAB"), "K", 6), false),
            (object("7", Some("LAB"), "K|20260101", 4), true),
            (object("7", Some("LAB"), "KX", 4), false),
            (object("7", None, "", 4), true),
            (object("8", Some("LAB"), "K", 4), false),
        ] {
            assert_eq!(own.is_withdrawn_by(&withdrawal), expected, "{}", own.part);
        }
        let value = object("7", Some("LAB"), "K", 5);
        assert!(!object("7", Some("LAB"), "K", 4).is_withdrawn_by(&value));
    }

    #[test]
    fn is_replaced_by_what_is_newer_of_the_same_part_or_of_all() {
        let old = object("7", Some("LAB"), "K", 1);
        let newer = |number, authority, part| object(number, authority, part, 2);
        for (other, expected) in [
            (newer("7", Some("LAB"), "K"), true),
            (newer("7", Some("LAB"), ""), true),
            (newer("7", None, "K"), true),
            (newer("7", Some("LAB"), "NA"), false),
            (newer("7", Some("RIS"), "K"), false),
            (newer("8", Some("LAB"), "K"), false),
            (object("7", Some("LAB"), "K", 1), false),
        ] {
            assert_eq!(old.is_replaced_by(&other), expected, "{other:?}");
        }
        assert!(!object("7", None, "", 1).is_replaced_by(&newer("7", None, "K")));
        let printed = format!("{old:?}");
        assert!(!printed.contains("LAB"), "{printed}");
    }
}
