//! Conditions of rows: a part of FHIRPath that compiles to direct tests.

use super::logic::{TextTest, called, compare, joined, list};
use super::path::Source;
use super::scan::Scan;
use crate::problem::Fault;

/// A condition as it was written.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// All hold.
    And(Vec<Condition>),
    /// One holds.
    Or(Vec<Condition>),
    /// `.not()`.
    Not(Box<Condition>),
    /// `PATH.exists()`: it is valued; `SEG.exists()`.
    Exists(Operand),
    /// `PATH.empty()`.
    Empty(Operand),
    /// Two values compared.
    Compare(Operand, Compare, Operand),
    /// `PATH in ('a' | 'b')`.
    In(Operand, Vec<String>),
    /// `PATH.count() > 1`.
    Count(Operand, Compare, u32),
    /// `PATH.length() > 8`.
    Length(Operand, Compare, u32),
    /// `PATH.startsWith('a')`.
    StartsWith(Operand, String),
    /// `PATH.endsWith('a')`.
    EndsWith(Operand, String),
    /// `PATH.contains('a')`.
    Contains(Operand, String),
    /// `PATH.matches('regex')`.
    Matches(Operand, String),
    /// `PATH.convertsToDecimal()`: it is a number.
    Decimal(Operand),
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// `=`.
    Equal,
    /// `!=`: false where a value is absent.
    Differs,
    /// `~`: case does not count.
    Alike,
    /// `!~`: true where a value is absent, case does not count.
    Unlike,
    /// `<`.
    Less,
    /// `<=`.
    AtMost,
    /// `>`.
    More,
    /// `>=`.
    AtLeast,
}

/// What is looked at.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// A place of the message.
    Path {
        /// Characters in front of it.
        at: usize,
        /// The place.
        source: Source,
    },
    /// `%target`: what was written at the row's target so far.
    Target,
    /// `%country` and other settings of the conversion.
    Setting {
        /// Characters in front of it.
        at: usize,
        /// The name without `%`.
        name: String,
    },
    /// A constant.
    Text(String),
}

/// Conditions within each other.
const DEPTH_MAX: usize = 32;

impl Condition {
    /// Reads a condition.
    pub(crate) fn read(text: &str) -> Result<Self, Fault> {
        let mut scan = Scan::new(text);
        let condition = any(&mut scan, 0)?;
        scan.end()?;
        Ok(condition)
    }
}

fn any(scan: &mut Scan<'_>, depth: usize) -> Result<Condition, Fault> {
    joined(scan, depth, term, Condition::And, Condition::Or)
}

fn term(scan: &mut Scan<'_>, depth: usize) -> Result<Condition, Fault> {
    scan.blanks();
    if depth >= DEPTH_MAX {
        return Err(scan.fault("the condition is too deep"));
    }
    let negated = scan.word("not");
    scan.blanks();
    let mut condition = if scan.take("(") {
        let inner = any(scan, depth + 1)?;
        scan.blanks();
        scan.expect(")")?;
        inner
    } else {
        test(scan)?
    };
    if negated {
        condition = Condition::Not(Box::new(condition));
    }
    while scan.take(".not()") {
        condition = Condition::Not(Box::new(condition));
    }
    Ok(condition)
}

fn operand(scan: &mut Scan<'_>) -> Result<Operand, Fault> {
    scan.blanks();
    let at = scan.column();
    if let Some(text) = scan.quoted()? {
        return Ok(Operand::Text(text));
    }
    if scan.take("%") {
        let name = scan.take_while(|c| c.is_ascii_alphanumeric() || c == '-');
        return Ok(match name {
            "target" => Operand::Target,
            name => Operand::Setting {
                at,
                name: name.to_owned(),
            },
        });
    }
    let source = Source::scan(scan)?;
    Ok(Operand::Path { at, source })
}

fn test(scan: &mut Scan<'_>) -> Result<Condition, Fault> {
    let left = operand(scan)?;
    if scan.take(".exists()") {
        return Ok(Condition::Exists(left));
    }
    if scan.take(".empty()") {
        return Ok(Condition::Empty(left));
    }
    if scan.take(".convertsToDecimal()") {
        return Ok(Condition::Decimal(left));
    }
    if scan.take(".count()") {
        let compare = compare(scan)?;
        scan.blanks();
        return Ok(Condition::Count(left, compare, scan.number()?));
    }
    if scan.take(".length()") {
        let compare = compare(scan)?;
        scan.blanks();
        return Ok(Condition::Length(left, compare, scan.number()?));
    }
    if let Some((test, text)) = called(scan)? {
        return Ok(match test {
            TextTest::StartsWith => Condition::StartsWith(left, text),
            TextTest::EndsWith => Condition::EndsWith(left, text),
            TextTest::Contains => Condition::Contains(left, text),
            TextTest::Matches => Condition::Matches(left, text),
        });
    }
    scan.blanks();
    if scan.word("in") {
        return Ok(Condition::In(left, list(scan)?));
    }
    if scan.rest().starts_with('.') {
        return Err(scan.fault("there is no such function here").remedy(
            "there are exists, empty, count, length, startsWith, endsWith, contains, matches, convertsToDecimal and not",
        ));
    }
    let compare = compare(scan)?;
    if !matches!(
        compare,
        Compare::Equal | Compare::Differs | Compare::Alike | Compare::Unlike
    ) {
        return Err(scan
            .fault("only lengths and counts are compared by size")
            .remedy("write `.length()` or `.count()` in front of the comparison"));
    }
    Ok(Condition::Compare(left, compare, operand(scan)?))
}
