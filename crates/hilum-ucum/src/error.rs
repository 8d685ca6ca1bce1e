//! What is wrong with a code, and where.

/// Why a code is not a unit, and at which byte.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at position {position}")]
pub struct UnitError {
    /// The byte of the code where it goes wrong.
    pub position: usize,
    /// What is wrong.
    pub problem: UnitProblem,
}

/// What can be wrong with a code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnitProblem {
    /// No unit has this symbol.
    #[error("unknown unit `{0}`")]
    Unknown(String),
    /// The symbol exists in another case.
    #[error("unknown unit `{found}`, there is `{meant}`")]
    Case {
        /// What the code says.
        found: String,
        /// What UCUM says.
        meant: String,
    },
    /// A number stands directly before a unit.
    #[error("a number and a unit need `.` between them")]
    NumberBeforeUnit,
    /// An annotation stands before what it annotates.
    #[error("an annotation stands behind its unit")]
    AnnotationFirst,
    /// An operator without anything behind it.
    #[error("expected a unit")]
    Expected,
    /// A character that has no meaning here.
    #[error("unexpected character")]
    Unexpected,
    /// A bracket without its partner.
    #[error("bracket without its partner")]
    Bracket,
    /// A character outside printable ASCII.
    #[error("only printable ASCII is allowed")]
    NotAscii,
    /// A special unit with an exponent or in a product.
    #[error("special unit `{0}` stands alone")]
    SpecialInTerm(String),
    /// Longer, deeper or larger than the limits.
    #[error("code exceeds the limit of {limit} {what}")]
    TooLarge {
        /// What is limited.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
}

/// Why an amount cannot be converted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// The units measure different things.
    #[error("`{from}` and `{to}` measure different things")]
    Incommensurable {
        /// The unit to convert from.
        from: String,
        /// The unit to convert to.
        to: String,
    },
    /// The amount has no counterpart, such as the logarithm of a negative number.
    #[error("the amount in `{from}` has no counterpart in `{to}`")]
    OutOfRange {
        /// The unit to convert from.
        from: String,
        /// The unit to convert to.
        to: String,
    },
}
