//! What the codes of an include have to be (FHIR R4 valueset-filter-operator.html; `child-of` and
//! `descendent-leaf` of R5).

use regex::{Regex, RegexBuilder};

/// Bytes of a pattern.
pub const PATTERN_BYTES_MAX: usize = 4_096;
/// Bytes that a compiled pattern may take.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// How a filter compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// The property has this value.
    Equal,
    /// The concept or one below it.
    IsA,
    /// Below the concept.
    DescendentOf,
    /// Neither the concept nor below it.
    IsNotA,
    /// The property fits a pattern, as a whole.
    Regex,
    /// The property has one of these values.
    In,
    /// The property has none of these values.
    NotIn,
    /// The concept or one above it.
    Generalizes,
    /// The property is there, or is not.
    Exists,
    /// Right below the concept.
    ChildOf,
    /// Below the concept, with nothing below itself.
    DescendentLeaf,
}

impl Operator {
    pub(crate) const ALL: [Self; 11] = [
        Self::Equal,
        Self::IsA,
        Self::DescendentOf,
        Self::IsNotA,
        Self::Regex,
        Self::In,
        Self::NotIn,
        Self::Generalizes,
        Self::Exists,
        Self::ChildOf,
        Self::DescendentLeaf,
    ];

    /// Its code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::IsA => "is-a",
            Self::DescendentOf => "descendent-of",
            Self::IsNotA => "is-not-a",
            Self::Regex => "regex",
            Self::In => "in",
            Self::NotIn => "not-in",
            Self::Generalizes => "generalizes",
            Self::Exists => "exists",
            Self::ChildOf => "child-of",
            Self::DescendentLeaf => "descendent-leaf",
        }
    }

    /// The operator with this code.
    #[must_use]
    pub fn of(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.code() == code)
    }
}

/// A filter of an include.
#[derive(Clone, Debug)]
pub struct Filter {
    /// The property, `concept`, `code` or `display`.
    pub property: Box<str>,
    /// How it compares; `None` for an operator that is not known.
    pub operator: Option<Operator>,
    /// The code of the operator, as it stands.
    pub code: Box<str>,
    /// What it compares with; `None` where there is nothing.
    pub value: Option<Box<str>>,
    /// The pattern, compiled; `None` for other operators and for one that cannot be used.
    pub(crate) pattern: Option<Regex>,
}

impl Filter {
    /// A filter.
    #[must_use]
    pub fn new(property: &str, code: &str, value: Option<&str>) -> Self {
        let operator = Operator::of(code);
        let pattern = match (operator, value) {
            (Some(Operator::Regex), Some(value)) => compiled(value),
            _ => None,
        };
        Self {
            property: property.into(),
            operator,
            code: code.into(),
            value: value.map(Into::into),
            pattern,
        }
    }

    /// Whether a value is one of a list with commas.
    pub(crate) fn lists(&self, value: &str) -> bool {
        let list = self.value.as_deref().unwrap_or_default();
        list.split(',').any(|one| one.trim() == value)
    }
}

/// A pattern that is matched in linear time and takes whole values.
fn compiled(pattern: &str) -> Option<Regex> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return None;
    }
    RegexBuilder::new(&format!("^(?:{pattern})$"))
        .size_limit(COMPILED_BYTES_MAX)
        .dfa_size_limit(COMPILED_BYTES_MAX)
        .nest_limit(64)
        .build()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_take_whole_values_and_are_bounded() {
        let of = |pattern: &str| Filter::new("code", "regex", Some(pattern)).pattern;
        let plain = of("a|ab").unwrap();
        assert!(plain.is_match("ab") && !plain.is_match("abc"));
        // One that engines with backtracking never finish.
        let slow = of("(a+)+").unwrap();
        assert!(!slow.is_match(&format!("{}!", "a".repeat(100_000))));
        assert!(of(&"a".repeat(PATTERN_BYTES_MAX)).is_some());
        assert!(of(&"a".repeat(PATTERN_BYTES_MAX + 1)).is_none());
        assert!(of("(").is_none() && of("a{1000}{1000}{1000}").is_none());
    }

    #[test]
    fn every_operator_has_its_code() {
        for operator in Operator::ALL {
            assert_eq!(Operator::of(operator.code()), Some(operator));
        }
        assert_eq!(Operator::of("like"), None);
    }
}
