//! Reading a code: terms, components, annotations.
//!
//! The grammar is UCUM §7 to §12 with `/` binding to the component behind it only and everything
//! applied from left to right.

use num_bigint::BigInt;
use num_rational::BigRational;

use crate::canonical::Canonical;
use crate::error::{UnitError, UnitProblem};
use crate::essence::{Atom, Prefix, Table};
use crate::special::Function;

/// Longest code, in bytes.
pub const CODE_BYTES_MAX: usize = 256;

/// Deepest nesting of parentheses.
pub const NESTING_MAX: usize = 16;

/// Largest exponent.
pub const EXPONENT_MAX: i32 = 99;

/// What a code comes to.
#[derive(Clone, Debug)]
pub(crate) struct Analysis {
    pub(crate) canonical: Canonical,
    /// A special unit that stands alone, with the factor of its prefix or number.
    pub(crate) special: Option<(Function, BigRational)>,
}

struct Parser<'c> {
    table: &'c Table,
    code: &'c [u8],
    text: &'c str,
    pos: usize,
    depth: usize,
    /// Where the special unit stood, and its symbol, if there was one.
    special: Option<(usize, &'static str, Function, BigRational)>,
    /// Components other than lone annotations.
    components: usize,
    name: String,
}

type Parse<T> = Result<T, UnitError>;

/// Analyses a code, and names it.
pub(crate) fn analyse(table: &Table, code: &str) -> Parse<(Analysis, String)> {
    if code.len() > CODE_BYTES_MAX {
        let problem = UnitProblem::TooLarge {
            what: "bytes",
            limit: CODE_BYTES_MAX as u64,
        };
        return Err(UnitError {
            position: CODE_BYTES_MAX,
            problem,
        });
    }
    let mut parser = Parser {
        table,
        code: code.as_bytes(),
        text: code,
        pos: 0,
        depth: 0,
        special: None,
        components: 0,
        name: String::new(),
    };
    if code.is_empty() {
        let analysis = Analysis {
            canonical: Canonical::one(),
            special: None,
        };
        return Ok((analysis, "(unity)".to_owned()));
    }
    if let Some(at) = code.bytes().position(|b| !(33..=126).contains(&b)) {
        return Err(UnitError {
            position: at,
            problem: UnitProblem::NotAscii,
        });
    }
    let canonical = parser.term()?;
    if parser.pos < code.len() {
        let closing = parser.peek() == Some(b')');
        return Err(parser.error(if closing {
            UnitProblem::Bracket
        } else {
            UnitProblem::Unexpected
        }));
    }
    let special = match parser.special {
        None => None,
        Some((_, _, function, scale)) if parser.components == 1 => Some((function, scale)),
        Some((position, symbol, ..)) => {
            let problem = UnitProblem::SpecialInTerm(symbol.to_owned());
            return Err(UnitError { position, problem });
        }
    };
    Ok((Analysis { canonical, special }, parser.name))
}

impl<'c> Parser<'c> {
    fn peek(&self) -> Option<u8> {
        self.code.get(self.pos).copied()
    }

    fn error(&self, problem: UnitProblem) -> UnitError {
        UnitError {
            position: self.pos,
            problem,
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.pos += usize::from(found);
        found
    }

    /// Components with `.` and `/` between them, and perhaps a `/` before the first.
    fn term(&mut self) -> Parse<Canonical> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            let limit = NESTING_MAX as u64;
            return Err(self.error(UnitProblem::TooLarge {
                what: "parentheses",
                limit,
            }));
        }
        let mut result = Canonical::one();
        let mut divide = self.take(b'/');
        if divide {
            self.name.push_str("1 / ");
        }
        loop {
            let start = self.pos;
            let component = self.component(divide)?;
            let component = if divide {
                component.inverse()
            } else {
                Some(component)
            };
            let at = |problem| UnitError {
                position: start,
                problem,
            };
            let component = component.ok_or_else(|| at(UnitProblem::Unexpected))?;
            result = result.times(&component).map_err(at)?;
            divide = match self.peek() {
                Some(b'.') => false,
                Some(b'/') => true,
                _ => break,
            };
            self.pos += 1;
            self.name.push_str(if divide { " / " } else { " * " });
        }
        self.depth -= 1;
        Ok(result)
    }

    fn component(&mut self, divided: bool) -> Parse<Canonical> {
        match self.peek() {
            None => Err(self.error(UnitProblem::Expected)),
            Some(b'(') => {
                let start = self.pos;
                self.pos += 1;
                self.name.push('(');
                let inner = self.term()?;
                if !self.take(b')') {
                    return Err(UnitError {
                        position: start,
                        problem: UnitProblem::Bracket,
                    });
                }
                self.name.push(')');
                self.annotation()?;
                Ok(inner)
            }
            Some(b'{') => {
                self.annotation()?;
                // `{a}` alone is the unit one.
                match self.peek() {
                    None | Some(b'.' | b'/' | b')') => {
                        self.name.push_str("(1)");
                        Ok(Canonical::one())
                    }
                    Some(_) => Err(self.error(UnitProblem::AnnotationFirst)),
                }
            }
            Some(b'0'..=b'9') if !self.ten() => self.number(),
            Some(_) => self.symbol(divided),
        }
    }

    /// Whether the symbol `10*` or `10^` stands here.
    fn ten(&self) -> bool {
        matches!(self.code.get(self.pos..self.pos + 3), Some(b"10*" | b"10^"))
    }

    fn number(&mut self) -> Parse<Canonical> {
        let start = self.pos;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.pos += 1;
        }
        let digits = self.text.get(start..self.pos).unwrap_or_default();
        self.name.push_str(digits);
        self.components += 1;
        let number: BigInt = digits.parse().unwrap_or_default();
        self.annotation()?;
        match self.peek() {
            None | Some(b'.' | b'/' | b')') => Ok(Canonical::number(number.into())),
            Some(b) if b.is_ascii_alphabetic() || b == b'[' => {
                Err(self.error(UnitProblem::NumberBeforeUnit))
            }
            Some(_) => Err(self.error(UnitProblem::Unexpected)),
        }
    }

    /// A symbol with prefix, exponent and annotation.
    fn symbol(&mut self, divided: bool) -> Parse<Canonical> {
        let start = self.pos;
        self.skip_symbol()?;
        let whole = self.text.get(start..self.pos).unwrap_or_default();
        let (symbol, exponent) = split_exponent(whole);
        let at = |problem| UnitError {
            position: start,
            problem,
        };
        let Some((prefix, atom)) = self.table.find(symbol) else {
            return Err(at(match self.table.other_case(symbol) {
                Some(meant) => UnitProblem::Case {
                    found: symbol.to_owned(),
                    meant: meant.to_owned(),
                },
                None => UnitProblem::Unknown(symbol.to_owned()),
            }));
        };
        let power = match exponent {
            "" => 1,
            digits => match digits.parse::<i32>() {
                Ok(power) if power.abs() <= EXPONENT_MAX => power,
                _ => {
                    let limit = u64::from(EXPONENT_MAX.unsigned_abs());
                    return Err(at(UnitProblem::TooLarge {
                        what: "in an exponent",
                        limit,
                    }));
                }
            },
        };
        self.components += 1;
        self.describe(prefix, atom, exponent);
        let mut canonical = atom.canonical.clone();
        if let Some(function) = atom.special {
            if power != 1 || divided {
                return Err(at(UnitProblem::SpecialInTerm(atom.symbol.to_owned())));
            }
            let scale =
                prefix.map_or_else(|| BigRational::from(BigInt::from(1)), |p| p.factor.clone());
            self.special = Some((start, atom.symbol, function, scale));
        } else if let Some(prefix) = prefix {
            canonical = Canonical::number(prefix.factor.clone())
                .times(&canonical)
                .map_err(at)?;
        }
        let canonical = canonical.power(power).map_err(at)?;
        self.annotation()?;
        match self.peek() {
            None | Some(b'.' | b'/' | b')') => Ok(canonical),
            Some(_) => Err(self.error(UnitProblem::Unexpected)),
        }
    }

    /// Moves over a symbol and its exponent; what stands in square brackets is part of it.
    fn skip_symbol(&mut self) -> Parse<()> {
        let start = self.pos;
        if self.ten() {
            self.pos += 3;
        }
        while let Some(byte) = self.peek() {
            match byte {
                b'.' | b'/' | b'(' | b')' | b'{' | b'}' => break,
                b'[' => {
                    let open = self.pos;
                    let rest = self.code.get(open..).unwrap_or_default();
                    match rest.iter().position(|b| *b == b']') {
                        Some(length) => self.pos += length + 1,
                        None => {
                            let problem = UnitProblem::Bracket;
                            return Err(UnitError {
                                position: open,
                                problem,
                            });
                        }
                    }
                }
                b']' => return Err(self.error(UnitProblem::Bracket)),
                _ => self.pos += 1,
            }
        }
        if self.pos == start {
            return Err(self.error(UnitProblem::Expected));
        }
        Ok(())
    }

    /// `{…}`, any number of times; it means nothing.
    fn annotation(&mut self) -> Parse<()> {
        while self.peek() == Some(b'{') {
            let rest = self.code.get(self.pos + 1..).unwrap_or_default();
            match rest.iter().position(|b| matches!(b, b'{' | b'}')) {
                Some(length) if rest.get(length) == Some(&b'}') => self.pos += length + 2,
                _ => return Err(self.error(UnitProblem::Bracket)),
            }
        }
        Ok(())
    }

    fn describe(&mut self, prefix: Option<&Prefix>, atom: &Atom, exponent: &str) {
        self.name.push('(');
        self.name.push_str(prefix.map_or("", |p| p.name));
        self.name.push_str(atom.name);
        if !exponent.is_empty() {
            self.name.push_str(" ^ ");
            self.name.push_str(exponent.trim_start_matches('+'));
        }
        self.name.push(')');
    }
}

/// Splits `m-2` into symbol and exponent; digits inside brackets are no exponent.
fn split_exponent(text: &str) -> (&str, &str) {
    let symbol = text.trim_end_matches(|c: char| c.is_ascii_digit());
    if symbol.len() == text.len() || symbol.is_empty() {
        return (text, "");
    }
    let signed = symbol.strip_suffix(['-', '+']).unwrap_or(symbol);
    text.split_at_checked(signed.len()).unwrap_or((text, ""))
}
