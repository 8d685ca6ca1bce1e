//! The statements of a profile: assertions and conditions.
//!
//! A statement about something gives *holds*, *fails* or *open*; open where a part of it cannot be
//! checked (see the warnings at loading) or asks for that when nothing is there.

use regex::Regex;

use super::path::{Position, Target, View};
use super::values::{ValueSets, Verdict};

/// What a statement gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Truth {
    Holds,
    Fails,
    Open,
}

impl Truth {
    fn of(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::Fails }
    }

    fn not(self) -> Self {
        match self {
            Self::Holds => Self::Fails,
            Self::Fails => Self::Holds,
            Self::Open => Self::Open,
        }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Fails, _) | (_, Self::Fails) => Self::Fails,
            (Self::Holds, Self::Holds) => Self::Holds,
            _ => Self::Open,
        }
    }

    fn or(self, other: Self) -> Self {
        self.not().and(other.not()).not()
    }
}

/// What a comparison gives when nothing is at its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhenAbsent {
    Holds,
    Fails,
    Open,
}

/// Whether all values at a position have to fit, or one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    All,
    AtLeastOne,
}

/// How two values compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
}

/// What is asked of the values at a position.
#[derive(Debug, Clone)]
pub(crate) enum Test {
    Text {
        text: String,
        ignore_case: bool,
    },
    List {
        texts: Vec<String>,
        ignore_case: bool,
    },
    Numbers(Vec<f64>),
    Format {
        matches: Regex,
        but_not: Option<Regex>,
    },
    Compare {
        operator: Operator,
        value: String,
        number: bool,
    },
    ValueSet {
        id: String,
        locations: Vec<u16>,
    },
}

/// A statement.
#[derive(Debug, Clone)]
pub(crate) enum Expression {
    Presence(Position),
    Values {
        position: Position,
        mode: Mode,
        absent: WhenAbsent,
        test: Test,
    },
    /// The value is the number of the instance.
    SetId(Position),
    Pair {
        left: Position,
        left_mode: Mode,
        operator: Operator,
        right: Position,
        right_mode: Mode,
        absent: WhenAbsent,
    },
    Not(Box<Expression>),
    All(Vec<Expression>),
    Any(Vec<Expression>),
    One(Box<Expression>, Box<Expression>),
    Implies(Box<Expression>, Box<Expression>),
    /// Cannot be checked.
    Unsupported,
}

/// What a statement is about, and which instance of its kind that is.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'m> {
    pub(crate) target: Target<'m>,
    pub(crate) instance: u32,
}

impl Expression {
    /// Checks the statement.
    pub(crate) fn check(&self, view: &View<'_>, subject: Subject<'_>, sets: &ValueSets) -> Truth {
        match self {
            Self::Presence(position) => Truth::of(
                view_follow(view, subject, position)
                    .iter()
                    .any(Target::is_present),
            ),
            Self::Values {
                position,
                mode,
                absent,
                test,
            } => {
                let found = present(view, subject, position);
                if found.is_empty() {
                    return absent.truth();
                }
                let mut results = found.iter().map(|target| test.check(*target, sets));
                match mode {
                    Mode::All => Truth::of(results.all(|fits| fits)),
                    Mode::AtLeastOne => Truth::of(results.any(|fits| fits)),
                }
            }
            Self::SetId(position) => {
                let found = present(view, subject, position);
                let wanted = subject.instance.to_string();
                let fits = found
                    .iter()
                    .all(|target| target.value().is_some_and(|value| value == wanted));
                if found.is_empty() {
                    Truth::Holds
                } else {
                    Truth::of(fits)
                }
            }
            Self::Pair {
                left,
                left_mode,
                operator,
                right,
                right_mode,
                absent,
            } => {
                let left = present(view, subject, left);
                let right = present(view, subject, right);
                match (left.is_empty(), right.is_empty()) {
                    (true, true) => Truth::Holds,
                    (true, false) | (false, true) => absent.truth(),
                    (false, false) => {
                        let pair = |l: &Target<'_>| {
                            quantify(*right_mode, right.iter().map(|r| operator.holds(*l, *r)))
                        };
                        Truth::of(quantify(*left_mode, left.iter().map(pair)))
                    }
                }
            }
            Self::Not(inner) => inner.check(view, subject, sets).not(),
            Self::All(inner) => {
                let truths = inner.iter().map(|part| part.check(view, subject, sets));
                truths.fold(Truth::Holds, Truth::and)
            }
            Self::Any(inner) => {
                let truths = inner.iter().map(|part| part.check(view, subject, sets));
                truths.fold(Truth::Fails, Truth::or)
            }
            Self::One(left, right) => {
                match (
                    left.check(view, subject, sets),
                    right.check(view, subject, sets),
                ) {
                    (Truth::Open, _) | (_, Truth::Open) => Truth::Open,
                    (left, right) => Truth::of(left != right),
                }
            }
            Self::Implies(when, then) => match when.check(view, subject, sets) {
                Truth::Fails => Truth::Holds,
                Truth::Open => Truth::Open,
                Truth::Holds => then.check(view, subject, sets),
            },
            Self::Unsupported => Truth::Open,
        }
    }
}

fn quantify(mode: Mode, mut results: impl Iterator<Item = bool>) -> bool {
    match mode {
        Mode::All => results.all(|fits| fits),
        Mode::AtLeastOne => results.any(|fits| fits),
    }
}

fn view_follow<'m>(view: &View<'m>, subject: Subject<'m>, position: &Position) -> Vec<Target<'m>> {
    view.follow(subject.target, position)
}

fn present<'m>(view: &View<'m>, subject: Subject<'m>, position: &Position) -> Vec<Target<'m>> {
    let mut found = view_follow(view, subject, position);
    found.retain(Target::is_present);
    found
}

impl WhenAbsent {
    fn truth(self) -> Truth {
        match self {
            Self::Holds => Truth::Holds,
            Self::Fails => Truth::Fails,
            Self::Open => Truth::Open,
        }
    }
}

impl Operator {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "EQ" => Self::Equal,
            "NE" => Self::NotEqual,
            "GT" => Self::Greater,
            "LT" => Self::Less,
            "GE" => Self::GreaterOrEqual,
            "LE" => Self::LessOrEqual,
            _ => return None,
        })
    }

    fn holds(self, left: Target<'_>, right: Target<'_>) -> bool {
        match (left.value(), right.value()) {
            (Some(left), Some(right)) => self.compare(&left, &right, false),
            _ => false,
        }
    }

    /// Numbers where asked for or where both are; else text.
    fn compare(self, left: &str, right: &str, number: bool) -> bool {
        let numbers = left
            .trim()
            .parse::<f64>()
            .ok()
            .zip(right.trim().parse::<f64>().ok());
        let order = match (self, numbers) {
            (Self::Equal | Self::NotEqual, _) if !number => Some(left.cmp(right)),
            (_, Some((left, right))) => left.partial_cmp(&right),
            (_, None) if number => None,
            (_, None) => Some(left.cmp(right)),
        };
        let Some(order) = order else { return false };
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Greater => order.is_gt(),
            Self::Less => order.is_lt(),
            Self::GreaterOrEqual => order.is_ge(),
            Self::LessOrEqual => order.is_le(),
        }
    }
}

fn same(left: &str, right: &str, ignore_case: bool) -> bool {
    if ignore_case {
        left.to_lowercase() == right.to_lowercase()
    } else {
        left == right
    }
}

impl Test {
    fn check(&self, target: Target<'_>, sets: &ValueSets) -> bool {
        if let (Self::ValueSet { id, locations }, Target::Part(part)) = (self, target) {
            return !matches!(sets.verdict(id, part, locations, None), Verdict::Outside);
        }
        let Some(value) = target.value() else {
            return false;
        };
        match self {
            Self::Text { text, ignore_case } => same(&value, text, *ignore_case),
            Self::List { texts, ignore_case } => {
                texts.iter().any(|text| same(&value, text, *ignore_case))
            }
            Self::Numbers(numbers) => {
                let number = value.trim().parse::<f64>().ok();
                number.is_some_and(|number| {
                    numbers
                        .iter()
                        .any(|wanted| wanted.total_cmp(&number).is_eq())
                })
            }
            Self::Format { matches, but_not } => {
                matches.is_match(&value)
                    && !but_not.as_ref().is_some_and(|not| not.is_match(&value))
            }
            Self::Compare {
                operator,
                value: wanted,
                number,
            } => operator.compare(&value, wanted, *number),
            Self::ValueSet { .. } => false,
        }
    }
}
