//! The text that `_text` and `_content` look for (FHIR R4 search.html#text).
//!
//! Words are joined by `and`, which may be left out, by `or` and by `not`, in either case; `and` binds
//! more than `or`. Parentheses group, and what stands in quotation marks is found in this order.

use hilum_fhir_store::{Criterion, ParamKey, Test};

/// Parentheses within each other.
const NESTING_MAX: usize = 16;
/// Words and operators of one text.
const WORDS_MAX: usize = 100;

/// What is wrong with a text; said after the name of the parameter.
type Wrong = &'static str;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    /// One word, or several in this order.
    Words(String),
}

/// What a text asks of resources with these parameters.
pub(super) fn parse(params: &[ParamKey], text: &str) -> Result<Criterion, Wrong> {
    let tokens = tokens(text)?;
    let mut reader = Reader {
        params,
        rest: tokens.as_slice(),
    };
    let found = reader.any(0)?;
    match reader.rest {
        [] => Ok(found),
        _ => Err("has a closing parenthesis without an opening one"),
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, Wrong> {
    let mut found = Vec::new();
    for (at, part) in text.split('"').enumerate() {
        if at % 2 == 1 {
            let words: Vec<&str> = words(part).collect();
            if !words.is_empty() {
                found.push(Token::Words(words.join(" ")));
            }
            continue;
        }
        let spaced = part.replace('(', " ( ").replace(')', " ) ");
        for word in spaced.split_whitespace() {
            match word {
                "(" => found.push(Token::Open),
                ")" => found.push(Token::Close),
                word if word.eq_ignore_ascii_case("and") => found.push(Token::And),
                word if word.eq_ignore_ascii_case("or") => found.push(Token::Or),
                word if word.eq_ignore_ascii_case("not") => found.push(Token::Not),
                word => found.extend(words(word).map(|word| Token::Words(word.to_owned()))),
            }
        }
    }
    if text.matches('"').count() % 2 == 1 {
        return Err("has a quotation mark without its other one");
    }
    match found.len() {
        0 => Err("has a value without a word"),
        1..=WORDS_MAX => Ok(found),
        _ => Err("has too many words"),
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    words.filter(|word| !word.is_empty())
}

struct Reader<'r> {
    params: &'r [ParamKey],
    rest: &'r [Token],
}

impl Reader<'_> {
    fn take(&mut self, wanted: &Token) -> bool {
        let found = self.rest.first() == Some(wanted);
        if found {
            self.rest = self.rest.get(1..).unwrap_or_default();
        }
        found
    }

    fn any(&mut self, depth: usize) -> Result<Criterion, Wrong> {
        if depth > NESTING_MAX {
            return Err("is nested too deep");
        }
        let mut each = vec![self.all(depth)?];
        while self.take(&Token::Or) {
            each.push(self.all(depth)?);
        }
        Ok(match each.len() {
            1 => each.remove(0),
            _ => Criterion::Or(each),
        })
    }

    fn all(&mut self, depth: usize) -> Result<Criterion, Wrong> {
        let (mut words, mut others) = (Vec::new(), Vec::new());
        loop {
            let negative = self.take(&Token::Not);
            let found = match self.rest.split_first() {
                Some((Token::Open, rest)) => {
                    self.rest = rest;
                    let inner = self.any(depth + 1)?;
                    if !self.take(&Token::Close) {
                        return Err("lacks a closing parenthesis");
                    }
                    inner
                }
                Some((Token::Words(word), rest)) => {
                    self.rest = rest;
                    if !negative {
                        words.push(word.clone());
                        if self.ends() {
                            break;
                        }
                        continue;
                    }
                    self.text(vec![word.clone()])
                }
                _ => return Err("lacks a word where one is needed"),
            };
            others.push(if negative {
                Criterion::Not(Box::new(found))
            } else {
                found
            });
            if self.ends() {
                break;
            }
        }
        if !words.is_empty() {
            others.insert(0, self.text(words));
        }
        Ok(match others.len() {
            1 => others.remove(0),
            _ => Criterion::And(others),
        })
    }

    /// Whether no further condition follows that must hold as well.
    fn ends(&mut self) -> bool {
        let explicit = self.take(&Token::And);
        !explicit && matches!(self.rest.first(), None | Some(Token::Or | Token::Close))
    }

    fn text(&self, words: Vec<String>) -> Criterion {
        Criterion::Param {
            params: self.params.to_vec(),
            test: Test::FullText(words),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_words_and_what_joins_them() {
        let count = |text: &str| tokens(text).map(|tokens| tokens.len());
        assert_eq!(count("(bone OR liver) and metastases"), Ok(7));
        assert_eq!(count("non-small \"lung cancer\""), Ok(3));
        for wrong in [
            "",
            "()",
            "(a",
            "a)",
            "a or",
            "and a",
            "not",
            "a \"b",
            "a or or b",
            "\"-\"",
        ] {
            assert!(parse(&[], wrong).is_err(), "{wrong}");
        }
        for fine in [
            "a",
            "a b",
            "a and b",
            "a or not b",
            "not (a or b) c",
            "(((a)))",
        ] {
            assert!(parse(&[], fine).is_ok(), "{fine}");
        }
        let deep = format!("{}a{}", "(".repeat(17), ")".repeat(17));
        assert_eq!(parse(&[], &deep).err(), Some("is nested too deep"));
        let long = "a ".repeat(WORDS_MAX + 1);
        assert_eq!(parse(&[], &long).err(), Some("has too many words"));
    }
}
