//! The part of the Expression Constraint Language of SNOMED CT (ECL 2.2) that value sets can say:
//! `*`, a concept, `<`, `<<`, `<!`, `>`, `>>`, `^`, brackets, `AND`, `OR`, and one `MINUS` outside
//! of all brackets. Refinements (`:`) and everything else is refused.

use serde_json::Value;

use super::implicit::filter;
use crate::import::MEMBER_OF;

/// Brackets within each other.
const LEVELS_MAX: usize = 16;
/// Alternatives that brackets may multiply to.
const PARTS_MAX: usize = 256;

/// Alternatives of filters that all have to be met.
pub(super) type Alternatives = Vec<Vec<Value>>;

/// What an expression takes, and what it leaves out of that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Expression {
    pub(super) include: Alternatives,
    pub(super) exclude: Alternatives,
}

/// Reads an expression; the error says what is not understood.
pub(super) fn read(text: &str) -> Result<Expression, &'static str> {
    let mut reader = Reader { rest: text };
    let include = reader.set(LEVELS_MAX)?;
    let exclude = match reader.word("MINUS") {
        true => reader.set(LEVELS_MAX)?,
        false => Vec::new(),
    };
    match reader.skip() {
        "" => Ok(Expression { include, exclude }),
        _ => Err("something follows that is not understood"),
    }
}

struct Reader<'e> {
    rest: &'e str,
}

impl<'e> Reader<'e> {
    fn skip(&mut self) -> &'e str {
        self.rest = self.rest.trim_start();
        self.rest
    }

    fn takes(&mut self, sign: &str) -> bool {
        let rest = self.skip().strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn word(&mut self, word: &str) -> bool {
        let rest = self.skip();
        let (head, tail) = rest.split_at_checked(word.len()).unwrap_or(("", rest));
        let ends = !tail.starts_with(|c: char| c.is_ascii_alphanumeric());
        let found = head.eq_ignore_ascii_case(word) && ends;
        if found {
            self.rest = tail;
        }
        found
    }

    fn set(&mut self, levels: usize) -> Result<Alternatives, &'static str> {
        let mut all = self.one(levels)?;
        let mut used: Option<bool> = None;
        loop {
            let and = if self.word("AND") || self.takes(",") {
                true
            } else if self.word("OR") {
                false
            } else {
                return Ok(all);
            };
            if used.is_some_and(|used| used != and) {
                return Err("AND and OR stand beside each other without brackets");
            }
            used = Some(and);
            let next = self.one(levels)?;
            if and {
                let pairs = all.iter().flat_map(|own| {
                    next.iter()
                        .map(move |other| [own.clone(), other.clone()].concat())
                });
                all = pairs.take(PARTS_MAX + 1).collect();
            } else {
                all.extend(next);
            }
            if all.len() > PARTS_MAX {
                return Err("it has more than 256 alternatives");
            }
        }
    }

    fn one(&mut self, levels: usize) -> Result<Alternatives, &'static str> {
        if self.takes("(") {
            let levels = levels
                .checked_sub(1)
                .ok_or("more than 16 brackets are within each other")?;
            let inner = self.set(levels)?;
            return match self.takes(")") {
                true => Ok(inner),
                false => Err("a bracket is not closed"),
            };
        }
        if self.takes("*") {
            return Ok(vec![Vec::new()]);
        }
        let operator = self.operator()?;
        let code = self.concept()?;
        Ok(vec![match operator {
            "^" => vec![filter(MEMBER_OF, "=", code)],
            ">" => vec![
                filter("concept", "generalizes", code),
                filter("concept", "not-in", code),
            ],
            operator => vec![filter("concept", operator, code)],
        }])
    }

    fn operator(&mut self) -> Result<&'static str, &'static str> {
        // Those that begin like others come first.
        let all = [
            ("<<!", ""),
            (">>!", ""),
            ("<!", "child-of"),
            (">!", ""),
            ("<<", "is-a"),
            (">>", "generalizes"),
            ("<", "descendent-of"),
            (">", ">"),
            ("^", "^"),
        ];
        for (sign, operator) in all {
            if self.takes(sign) {
                return if operator.is_empty() {
                    Err("an operator is not known here")
                } else {
                    Ok(operator)
                };
            }
        }
        Ok("=")
    }

    fn concept(&mut self) -> Result<&'e str, &'static str> {
        let rest = self.skip();
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (code, tail) = rest.split_at_checked(end).unwrap_or(("", rest));
        if !(6..=18).contains(&code.len()) {
            return Err("an identifier of SNOMED CT is expected");
        }
        self.rest = tail;
        if self.takes("|") {
            // The term is for people.
            let (_, tail) = self.rest.split_once('|').ok_or("a term is not closed")?;
            self.rest = tail;
        }
        Ok(code)
    }
}
