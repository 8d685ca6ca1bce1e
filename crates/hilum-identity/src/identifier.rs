//! An identifier with whoever assigned it.

use std::fmt;

use smol_str::{SmolStr, SmolStrBuilder, format_smolstr};

/// The named value of a message that says to whom a person has reassigned it: a key that
/// [`Identifier::key`] made.
pub const REASSIGNED: &str = "reassigned";

/// The named value of a message by which a person takes back what it did to links: the id of the
/// event, a space, and why.
pub const UNDO: &str = "hilum.undo";

/// What a system calls a patient, a visit or an order (HL7 v2.5.1 §2.A.14 CX, §2.A.28 EI).
///
/// A number alone names nobody: two laboratories use the same ones. With authority and type it is
/// the key of one source record.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identifier {
    /// The number (CX-1, EI-1).
    pub value: SmolStr,
    /// Who assigned it (CX-4, EI-2), as the system's file names it; empty if nobody says.
    pub authority: SmolStr,
    /// Its type (CX-5, table 0203), such as `MR`; `placer` or `filler` of an order.
    pub kind: SmolStr,
}

impl Identifier {
    /// An identifier.
    pub fn new(
        value: impl Into<SmolStr>,
        authority: impl Into<SmolStr>,
        kind: impl Into<SmolStr>,
    ) -> Self {
        Self {
            value: value.into(),
            authority: authority.into(),
            kind: kind.into(),
        }
    }

    /// The key of its record: authority, type and number.
    #[must_use]
    pub fn key(&self) -> SmolStr {
        let mut key = SmolStrBuilder::new();
        escape(&self.authority, &mut key);
        key.push('|');
        escape(&self.kind, &mut key);
        key.push('|');
        escape(&self.value, &mut key);
        key.finish()
    }

    /// The identifier of a key that [`Identifier::key`] made.
    #[must_use]
    pub fn of_key(key: &str) -> Option<Self> {
        let mut parts = [const { SmolStrBuilder::new() }; 3];
        let mut at = 0;
        let mut chars = key.chars();
        while let Some(char) = chars.next() {
            let part = parts.get_mut(at)?;
            match char {
                '|' => at += 1,
                '\\' => part.push(chars.next()?),
                other => part.push(other),
            }
        }
        let [authority, kind, value] = parts.map(|part| part.finish());
        (at == 2).then_some(Self {
            value,
            authority,
            kind,
        })
    }

    /// What deliveries are kept in order by: authority and number, without the type, which one
    /// system writes and the other leaves out.
    #[must_use]
    pub fn lane(&self) -> SmolStr {
        format_smolstr!("{}|{}", self.authority, self.value)
    }
}

fn escape(text: &str, out: &mut SmolStrBuilder) {
    if !text.contains(['|', '\\']) {
        return out.push_str(text);
    }
    for char in text.chars() {
        if matches!(char, '|' | '\\') {
            out.push('\\');
        }
        out.push(char);
    }
}

/// Numbers of patients are content.
impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identifier({}, {})", self.authority, self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_key_says_which_identifier_it_is(value in ".{0,12}", authority in ".{0,12}", kind in "[A-Z|\\\\]{0,4}") {
            let identifier = Identifier::new(value, authority, kind);
            prop_assert_eq!(Identifier::of_key(&identifier.key()), Some(identifier));
        }
    }
}
