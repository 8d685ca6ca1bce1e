//! Reading paths, alone or at the start of an expression.

use super::{FieldPath, PATH_NUMBER_MAX, Path, Which};
use crate::message::GroupStep;

/// Why a text is not a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// Not of the form `SEG-field`.
    #[error("{0:?} is not a path such as PID-3[1].4 or OBX[2]-5")]
    Form(String),
    /// Followed by something else.
    #[error("{0:?} is not a path: only the first {1} characters are")]
    Rest(String, usize),
}

/// Reads text byte by byte; paths are ASCII.
struct Cursor<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Cursor<'t> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.at = self.at.saturating_add(1);
        }
        found
    }

    fn take_while(&mut self, accept: impl Fn(u8) -> bool) -> &'t str {
        let start = self.at;
        while self.peek().is_some_and(&accept) {
            self.at = self.at.saturating_add(1);
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Tries a part of the grammar and goes back if it does not match.
    fn attempt<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let start = self.at;
        let found = read(self);
        if found.is_none() {
            self.at = start;
        }
        found
    }

    fn number(&mut self) -> Option<u32> {
        let n = self.take_while(|b| b.is_ascii_digit()).parse().ok()?;
        (1..=PATH_NUMBER_MAX).contains(&n).then_some(n)
    }

    fn index(&mut self) -> Which {
        self.attempt(|c| {
            if !c.eat(b'[') {
                return None;
            }
            let which = if c.eat(b'*') {
                Which::All
            } else {
                Which::Nth(c.number()?)
            };
            c.eat(b']').then_some(which)
        })
        .unwrap_or_default()
    }

    fn group(&mut self) -> Option<GroupStep> {
        self.attempt(|c| {
            let name = if c.eat(b'`') {
                let name = c.take_while(is_name_byte);
                if !c.eat(b'`') {
                    return None;
                }
                name
            } else {
                c.take_while(is_name_byte)
            };
            if !name.starts_with(|first: char| first.is_ascii_uppercase()) {
                return None;
            }
            let index = match c.index() {
                Which::Nth(n) => Some(n),
                Which::Unsaid | Which::All => None,
            };
            c.eat(b'/').then(|| GroupStep {
                name: name.to_owned(),
                index,
            })
        })
    }

    fn segment(&mut self) -> Option<(String, bool)> {
        self.attempt(|c| {
            if c.eat(b'`') {
                let name = c.take_while(|b| b.is_ascii_alphanumeric() || b == b'_');
                return (c.eat(b'`') && !name.is_empty()).then(|| (name.to_owned(), true));
            }
            let name = c.take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
            is_plain_segment(name).then(|| (name.to_owned(), false))
        })
    }

    fn field(&mut self) -> Option<FieldPath> {
        self.attempt(|c| {
            if !c.eat(b'-') {
                return None;
            }
            let field = c.number()?;
            let repetition = c.index();
            let component = c.dotted();
            let subcomponent = if component > 0 { c.dotted() } else { 0 };
            Some(FieldPath {
                field,
                repetition,
                component,
                subcomponent,
            })
        })
    }

    fn dotted(&mut self) -> u32 {
        self.attempt(|c| if c.eat(b'.') { c.number() } else { None })
            .unwrap_or(0)
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_'
}

/// `[A-Z][A-Z0-9]{2}`.
pub(super) fn is_plain_segment(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.len() == 3
        && bytes.next().is_some_and(|b| b.is_ascii_uppercase())
        && bytes.all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

/// The longest path at the start of a text, its length, and whether its last name was quoted.
fn longest(text: &str) -> Option<(usize, Path, bool)> {
    let mut cursor = Cursor { text, at: 0 };
    let mut groups = Vec::new();
    while let Some(step) = cursor.group() {
        groups.push(step);
    }
    let (segment, quoted) = cursor.segment()?;
    let occurrence = cursor.index();
    let field = cursor.field();
    Some((
        cursor.at,
        Path::new(groups, segment, occurrence, field),
        quoted,
    ))
}

/// What stands at the start of an expression: a path with a field, or a quoted name.
///
/// A lone quoted name may be a group; the tree tells. `None` also where the text goes on as a
/// longer name (`PID-3x`), which is then not ours.
pub(super) fn literal(text: &str) -> Option<(usize, Path)> {
    let (length, path, quoted) = longest(text)?;
    let goes_on = text
        .get(length..)
        .and_then(|rest| rest.chars().next())
        .is_some_and(|next| next.is_alphanumeric() || next == '_');
    ((path.field.is_some() || quoted) && !goes_on).then_some((length, path))
}

/// A text that is a path and nothing else.
pub(super) fn whole(text: &str) -> Result<Path, PathError> {
    match longest(text) {
        Some((length, path, _)) if length == text.len() => Ok(path),
        Some((length, path, _)) if path.field.is_some() => {
            Err(PathError::Rest(text.to_owned(), length))
        }
        _ => Err(PathError::Form(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, taken: Option<&str>) {
        let found = literal(text).map(|(length, path)| (text.get(..length), path.to_string()));
        assert_eq!(found, taken.map(|t| (Some(t), t.to_owned())), "{text}");
    }

    #[test]
    fn takes_the_longest_literal_without_white_space() {
        check("PV1-3.1 = 'ICU'", Some("PV1-3.1"));
        check("PID-3[2].4.1.where($this)", Some("PID-3[2].4.1"));
        check("PID-5[1].7.exists()", Some("PID-5[1].7"));
        check("PID-5.exists()", Some("PID-5"));
        check("OBX[3]-5", Some("OBX[3]-5"));
        check("OBX[*]-5", Some("OBX[*]-5"));
        check(
            "PATIENT_RESULT/ORDER_OBSERVATION[2]/OBR-4.1)",
            Some("PATIENT_RESULT/ORDER_OBSERVATION[2]/OBR-4.1"),
        );
        check("PID-8-1", Some("PID-8"));
        check("`ZPAT`-3.1", Some("`ZPAT`-3.1"));
        check("`ORDER_OBSERVATION`.count()", Some("`ORDER_OBSERVATION`"));
    }

    #[test]
    fn leaves_the_rest_to_the_expression() {
        check("PID", None);
        check("PID - 3", None);
        check("PID-0", None);
        check("PID-3x", None);
        check("PIDX-3", None);
        check("Pid-3", None);
        check("pid-3", None);
        check("-3", None);
        check("", None);
        check("é", None);
    }

    #[test]
    fn whole_paths_say_what_is_wrong() {
        assert!(Path::parse("OBX[2]").is_ok());
        assert_eq!(
            Path::parse("PID-3 "),
            Err(PathError::Rest("PID-3 ".into(), 5))
        );
        assert_eq!(Path::parse("pid.3"), Err(PathError::Form("pid.3".into())));
    }
}
