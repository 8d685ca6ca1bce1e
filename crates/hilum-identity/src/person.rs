//! What is known of a person, and whether a message says the same.

use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Name, birth date and sex as a message gives them; what it does not give is empty.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Family name (XPN-1.1).
    #[serde(default, skip_serializing_if = "SmolStr::is_empty")]
    pub family: SmolStr,
    /// Given name (XPN-2).
    #[serde(default, skip_serializing_if = "SmolStr::is_empty")]
    pub given: SmolStr,
    /// Birth date, `YYYYMMDD`, `YYYYMM` or `YYYY`.
    #[serde(default, skip_serializing_if = "SmolStr::is_empty")]
    pub birth: SmolStr,
    /// Administrative sex (table 0001); `U` and what is not known count as not given.
    #[serde(default, skip_serializing_if = "SmolStr::is_empty")]
    pub sex: SmolStr,
    /// Which of those born together it is (PID-25), as [`birth_order`] reads it.
    #[serde(default, skip_serializing_if = "SmolStr::is_empty")]
    pub birth_order: SmolStr,
}

/// Names and dates of birth are content.
impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Person(…)")
    }
}

/// How one thing that two descriptions say of a person compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// One of them does not say.
    Unsaid,
    /// The same, as far as spelling goes.
    Same,
    /// Half of it: the family or the given name, or a date that agrees as far as both go.
    Partly,
    /// Something else.
    Other,
}

/// How two descriptions compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The names.
    pub name: Likeness,
    /// The birth dates.
    pub birth: Likeness,
    /// The sex.
    pub sex: Likeness,
    /// Which of those born together: only twins differ in it.
    pub birth_order: Likeness,
}

impl Comparison {
    /// They are of two people: another birth date with a name that is not the same, or, where a
    /// birth date is not given, another name and another sex.
    ///
    /// One difference alone is a correction or a marriage. Two at once under one number are how a
    /// wrong patient looks.
    #[must_use]
    pub fn contradicts(self) -> bool {
        let renamed = matches!(self.name, Likeness::Partly | Likeness::Other);
        match self.birth {
            Likeness::Other => renamed,
            Likeness::Unsaid => self.name == Likeness::Other && self.sex == Likeness::Other,
            Likeness::Same | Likeness::Partly => false,
        }
    }

    /// Something differs.
    #[must_use]
    pub fn differs(self) -> bool {
        [self.name, self.birth, self.sex]
            .iter()
            .any(|likeness| matches!(likeness, Likeness::Partly | Likeness::Other))
    }
}

impl Person {
    /// Nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Compares what two messages say.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Comparison {
        Comparison {
            name: names(self, other),
            birth: dates(&self.birth, &other.birth),
            sex: sexes(&self.sex, &other.sex),
            birth_order: match (&*self.birth_order, &*other.birth_order) {
                ("", _) | (_, "") => Likeness::Unsaid,
                (one, other) if one == other => Likeness::Same,
                _ => Likeness::Other,
            },
        }
    }
}

/// A birth order as it is compared: `01` is `1`, `a` is `A`, and `0` says nothing (PID-25 is a number
/// from 1, HL7 v2.5.1 §3.4.2.25; some systems count in letters).
#[must_use]
pub fn birth_order(text: &str) -> SmolStr {
    let text = text.trim().trim_start_matches('0');
    let is_letter = text.len() == 1 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_number = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    match is_letter || is_number {
        true => text.to_ascii_uppercase().into(),
        false => SmolStr::default(),
    }
}

/// Letters and digits alone, in capitals and without accents.
fn spelling(text: &str) -> SmolStr {
    text.nfd()
        .filter(|char| !is_combining_mark(*char))
        .flat_map(char::to_uppercase)
        .flat_map(|char| {
            match char {
                // What has no decomposition and is written in two ways.
                'Ø' => "OE".chars(),
                'Æ' => "AE".chars(),
                'Ł' => "L".chars(),
                'Đ' => "D".chars(),
                _ => "".chars(),
            }
            .chain(
                (char.is_alphanumeric() && !matches!(char, 'Ø' | 'Æ' | 'Ł' | 'Đ')).then_some(char),
            )
        })
        .collect()
}

fn parts(text: &str) -> Vec<SmolStr> {
    text.split(|char: char| !char.is_alphanumeric() && char != '\'' && !is_combining_mark(char))
        .map(spelling)
        .filter(|part| !part.is_empty())
        .collect()
}

fn names(one: &Person, other: &Person) -> Likeness {
    let families = (!one.family.is_empty() && !other.family.is_empty())
        .then(|| family(&one.family, &other.family));
    let givens =
        (!one.given.is_empty() && !other.given.is_empty()).then(|| given(&one.given, &other.given));
    match (families, givens) {
        (None, None) => Likeness::Unsaid,
        (Some(true) | None, Some(true) | None) => Likeness::Same,
        (Some(false) | None, Some(false) | None) => Likeness::Other,
        (Some(_), Some(_)) => {
            // Some systems write the two the other way round.
            Likeness::Partly
        }
    }
}

/// The same spelling, or one part of a double name.
fn family(one: &str, other: &str) -> bool {
    if one == other || spelling(one) == spelling(other) {
        return true;
    }
    let (one, other) = (parts(one), parts(other));
    let within = |few: &[SmolStr], many: &[SmolStr]| few.iter().all(|part| many.contains(part));
    within(&one, &other) || within(&other, &one)
}

/// The same first name, or its initial.
fn given(one: &str, other: &str) -> bool {
    if one == other || spelling(one) == spelling(other) {
        return true;
    }
    let (one, other) = (parts(one), parts(other));
    let (Some(one), Some(other)) = (one.first(), other.first()) else {
        return false;
    };
    let initial = |short: &str, long: &str| {
        short.chars().count() == 1 && long.chars().next() == short.chars().next()
    };
    one == other || initial(one, other) || initial(other, one)
}

fn dates(one: &str, other: &str) -> Likeness {
    if one == other && one.starts_with(|first: char| first.is_ascii_digit()) {
        return Likeness::Same;
    }
    let one: SmolStr = one.chars().filter(char::is_ascii_digit).take(8).collect();
    let other: SmolStr = other.chars().filter(char::is_ascii_digit).take(8).collect();
    if one.is_empty() || other.is_empty() {
        Likeness::Unsaid
    } else if one == other {
        Likeness::Same
    } else if one.starts_with(&*other) || other.starts_with(&*one) {
        Likeness::Partly
    } else {
        Likeness::Other
    }
}

fn sexes(one: &str, other: &str) -> Likeness {
    let said = |sex: &str| matches!(sex, "M" | "F" | "m" | "f");
    if !said(one) || !said(other) {
        Likeness::Unsaid
    } else if one.eq_ignore_ascii_case(other) {
        Likeness::Same
    } else {
        Likeness::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(text: &str) -> Person {
        let mut parts = text.split('^').map(SmolStr::new);
        let mut next = || parts.next().unwrap_or_default();
        Person {
            family: next(),
            given: next(),
            birth: next(),
            sex: next(),
            birth_order: next(),
        }
    }

    #[test]
    fn two_people_are_told_from_one_whose_record_was_corrected() {
        for (one, other, contradicts) in [
            ("Smith^John^19500101^M", "SMITH^JOHN^19500101^M", false),
            // A correction of the date, a marriage, an initial, an accent, a double name.
            ("Smith^John^19500101^M", "Smith^John^19510101^M", false),
            ("Silva^Maria^19810304^F", "Costa^Maria^19810304^F", false),
            ("Smith^John^19500101^M", "Smith^J^19510101^M", false),
            ("Müller^Jörg^19500101^M", "MULLER^JORG^19510101^M", false),
            (
                "Garcia Lopez^Ana^19500101^F",
                "Garcia^Ana^19510101^F",
                false,
            ),
            ("O'Neill^Sean^19500101^M", "ONEILL^SEAN^19510101^M", false),
            // Father and son, two Marias, somebody else.
            ("Smith^John^19500101^M", "Smith^Peter^19800101^M", true),
            ("Silva^Maria^19500101^F", "Costa^Maria^19810304^F", true),
            ("Smith^John^19500101^M", "Jones^Ann^19700101^F", true),
            ("Smith^John^^M", "Jones^Ann^19700101^F", true),
            ("Smith^John^^M", "Jones^Ann^^", false),
            ("Smith^John^1950^M", "Jones^Ann^19500101^F", false),
            ("", "Jones^Ann^19700101^F", false),
        ] {
            let compared = person(one).compare(&person(other));
            assert_eq!(compared.contradicts(), contradicts, "{one} {other}");
            assert_eq!(
                person(other).compare(&person(one)).contradicts(),
                contradicts
            );
        }
    }

    #[test]
    fn twins_differ_in_the_order_of_their_birth_when_all_else_is_the_same() {
        for (one, other, expected) in [
            (
                "Doe^Boy^20260101^M^1",
                "Doe^Boy^20260101^M^2",
                Likeness::Other,
            ),
            (
                "Doe^Boy^20260101^M^1",
                "Doe^Boy^20260101^M^1",
                Likeness::Same,
            ),
            (
                "Doe^Boy^20260101^M^1",
                "Doe^Boy^20260101^M^",
                Likeness::Unsaid,
            ),
        ] {
            let compared = person(one).compare(&person(other));
            assert_eq!(compared.birth_order, expected, "{one} {other}");
        }
        for (text, expected) in [
            ("1", "1"),
            ("01", "1"),
            (" 2 ", "2"),
            ("12", "12"),
            ("b", "B"),
            ("0", ""),
            ("", ""),
            ("first", ""),
            ("123", ""),
        ] {
            assert_eq!(birth_order(text), expected, "{text}");
        }
    }

    #[test]
    fn letters_that_do_not_decompose_are_written_out() {
        assert_eq!(spelling("Sørensen-Łukasz Ærø"), "SOERENSENLUKASZAEROE");
        assert_eq!(spelling("Jose\u{301}"), "JOSE");
    }
}
