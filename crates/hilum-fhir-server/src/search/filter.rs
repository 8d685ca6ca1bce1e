//! `_filter` (FHIR R4 search_filter.html): comparisons joined by `and`, `or` and `not`.
//!
//! A comparison is turned into the parameter that means the same (`name co "x"` is
//! `name:contains=x`), so that both ways of asking have one meaning. `and` and `or` are taken from
//! left to right, neither before the other. A path with a condition in brackets is not understood.

use hilum_fhir::definitions::{SearchParamKind, TypeId};
use hilum_fhir_store::{Criterion, Prefix, StringMode, Test};

use super::key::{Keys, Refused};
use super::split::{split, unescape};
use crate::terms::Asked;

/// Parentheses within each other.
const NESTING_MAX: usize = 16;
const BRACKETS: &str = "has a condition in brackets, which is not supported";
/// Comparisons of one filter.
const TERMS_MAX: usize = 100;

/// What a filter asks of resources of these types.
pub(crate) fn parse(keys: &Keys<'_>, types: &[TypeId], text: &str) -> Result<Criterion, Refused> {
    let mut reader = Reader {
        keys,
        types,
        tokens: tokens(text)?,
        at: 0,
        terms: 0,
    };
    let criterion = reader.logic(0)?;
    match reader.peek() {
        None => Ok(criterion),
        Some(_) => Err(wrong("goes on where it should end")),
    }
}

/// The sets of codes that a filter names.
pub(crate) fn sets(text: &str) -> Vec<Asked> {
    let tokens = tokens(text).unwrap_or_default();
    let mut sets = Vec::new();
    for pair in tokens.windows(2) {
        let [Token::Word(operator), of] = pair else {
            continue;
        };
        let Some(text) = value(of) else { continue };
        match operator.to_ascii_lowercase().as_str() {
            "in" | "ni" => sets.push(Asked::In(unescape(&text))),
            "ss" => sets.push(Asked::Above(text)),
            "sb" => sets.push(Asked::Below(text)),
            _ => {}
        }
    }
    sets
}

/// A value as a parameter writes it.
fn value(token: &Token) -> Option<String> {
    match token {
        Token::Word(text) => Some(expanded(escaped(text, false))),
        Token::Quoted(text) => Some(expanded(escaped(text, true))),
        Token::Open | Token::Close => None,
    }
}

/// Systems that a filter may call by these names.
const SYSTEMS: [(&str, &str); 4] = [
    ("loinc", "http://loinc.org"),
    ("snomed", "http://snomed.info/sct"),
    ("rxnorm", "http://www.nlm.nih.gov/research/umls/rxnorm"),
    ("ucum", "http://unitsofmeasure.org"),
];

/// A value with the URL of a system in the place of its name.
fn expanded(text: String) -> String {
    let parts = split(&text, '|');
    let Some(at) = parts.len().checked_sub(2) else {
        return text;
    };
    let named = parts.get(at).copied().unwrap_or_default();
    let Some((_, url)) = SYSTEMS.iter().find(|(name, _)| *name == named) else {
        return text;
    };
    let mut parts = parts;
    if let Some(place) = parts.get_mut(at) {
        *place = url;
    }
    parts.join("|")
}

fn wrong(text: &str) -> Refused {
    Refused::value(format!("`_filter` {text}"))
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    Word(String),
    Quoted(String),
}

fn tokens(text: &str) -> Result<Vec<Token>, Refused> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => {}
            '(' => tokens.push(Token::Open),
            ')' => tokens.push(Token::Close),
            '"' => tokens.push(Token::Quoted(quoted(&mut rest)?)),
            first => {
                let mut word = String::from(first);
                while let Some(next) = rest.next_if(|c| !c.is_whitespace() && !"()\"".contains(*c))
                {
                    word.push(next);
                }
                if word.contains(['[', ']']) {
                    return Err(wrong(BRACKETS));
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Ok(tokens)
}

fn quoted(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<String, Refused> {
    let mut text = String::new();
    while let Some(c) = rest.next() {
        match c {
            '"' => return Ok(text),
            '\\' => match rest.next() {
                Some(c @ ('"' | '\\' | '/')) => text.push(c),
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some('r') => text.push('\r'),
                _ => return Err(wrong("has an escape that is not known")),
            },
            c => text.push(c),
        }
    }
    Err(wrong("has a text without its closing quote"))
}

struct Reader<'r, 't> {
    keys: &'r Keys<'t>,
    types: &'r [TypeId],
    tokens: Vec<Token>,
    at: usize,
    terms: usize,
}

impl Reader<'_, '_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(own)) if own.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn logic(&mut self, depth: usize) -> Result<Criterion, Refused> {
        let mut left = self.term(depth)?;
        loop {
            left = if self.word("and") {
                let right = self.term(depth)?;
                match left {
                    Criterion::And(mut each) => {
                        each.push(right);
                        Criterion::And(each)
                    }
                    left => Criterion::And(vec![left, right]),
                }
            } else if self.word("or") {
                let right = self.term(depth)?;
                match left {
                    Criterion::Or(mut each) => {
                        each.push(right);
                        Criterion::Or(each)
                    }
                    left => Criterion::Or(vec![left, right]),
                }
            } else {
                return Ok(left);
            };
        }
    }

    fn term(&mut self, depth: usize) -> Result<Criterion, Refused> {
        if depth > NESTING_MAX {
            return Err(wrong("is nested too deep"));
        }
        self.terms += 1;
        if self.terms > TERMS_MAX {
            return Err(wrong("has too many comparisons"));
        }
        if self.word("not") {
            if self.peek() != Some(&Token::Open) {
                return Err(wrong("needs parentheses after `not`"));
            }
            return Ok(Criterion::Not(Box::new(self.term(depth + 1)?)));
        }
        match self.next() {
            Some(Token::Open) => {
                let inner = self.logic(depth + 1)?;
                match self.next() {
                    Some(Token::Close) => Ok(inner),
                    _ => Err(wrong("lacks a closing parenthesis")),
                }
            }
            Some(Token::Word(path)) => self.comparison(&path),
            _ => Err(wrong("lacks a comparison: PARAMETER OPERATOR VALUE")),
        }
    }

    fn comparison(&mut self, path: &str) -> Result<Criterion, Refused> {
        let Some(Token::Word(operator)) = self.next() else {
            return Err(wrong("lacks an operator after a parameter"));
        };
        let Some(value) = self.next().as_ref().and_then(value) else {
            return Err(wrong("lacks a value after an operator"));
        };
        let operator = operator.to_ascii_lowercase();
        if operator == "pr" {
            let missing = match value.as_str() {
                "true" => "false",
                "false" => "true",
                _ => return Err(wrong("has `pr` with neither true nor false")),
            };
            return self.ask(&format!("{path}:missing"), missing);
        }
        let kind = self.kind(path)?;
        match (kind, operator.as_str()) {
            (SearchParamKind::String, "eq") => self.string(path, &value, StringMode::Equal),
            (SearchParamKind::String, "co") => self.ask(&format!("{path}:contains"), &value),
            (SearchParamKind::String, "sw") => self.ask(path, &value),
            (SearchParamKind::String, "ew") => self.string(path, &value, StringMode::Suffix),
            (SearchParamKind::Date, "po") => {
                let mut found = self.ask(path, &value)?;
                each_test(&mut found, &mut |test| {
                    if let Test::Date(intervals) = test {
                        // The value overlaps the range as it was written.
                        intervals.iter_mut().for_each(|of| of.prefix = Prefix::Ap);
                    }
                });
                Ok(found)
            }
            (SearchParamKind::String, "ne") => {
                let equal = self.string(path, &value, StringMode::Equal)?;
                Ok(Criterion::Not(Box::new(equal)))
            }
            (SearchParamKind::Token, "ne") => self.ask(&format!("{path}:not"), &value),
            (SearchParamKind::Token, "ni") => self.ask(&format!("{path}:not-in"), &value),
            (SearchParamKind::Token, "in") => self.ask(&format!("{path}:in"), &value),
            (SearchParamKind::Token, "ss") => self.ask(&format!("{path}:above"), &value),
            (SearchParamKind::Token, "sb") => self.ask(&format!("{path}:below"), &value),
            (SearchParamKind::Token | SearchParamKind::Reference | SearchParamKind::Uri, "eq")
            | (SearchParamKind::Reference, "re") => self.ask(path, &value),
            (SearchParamKind::Reference | SearchParamKind::Uri, "ne") => {
                Ok(Criterion::Not(Box::new(self.ask(path, &value)?)))
            }
            (
                SearchParamKind::Date | SearchParamKind::Number | SearchParamKind::Quantity,
                "eq" | "ne" | "gt" | "lt" | "ge" | "le" | "sa" | "eb" | "ap",
            ) => self.ask(path, &format!("{operator}{value}")),
            _ => Err(wrong(
                "has an operator that its parameter does not know, or none that is known",
            )),
        }
    }

    /// Strings compared in a way that no parameter writes.
    fn string(&self, path: &str, value: &str, how: StringMode) -> Result<Criterion, Refused> {
        let mut found = self.ask(&format!("{path}:contains"), value)?;
        each_test(&mut found, &mut |test| {
            if let Test::String(mode, _) = test {
                *mode = how;
            }
        });
        Ok(found)
    }

    fn ask(&self, key: &str, value: &str) -> Result<Criterion, Refused> {
        self.keys.criterion(self.types, key, value, 0)
    }

    /// The kind of the parameter at the end of a path.
    fn kind(&self, path: &str) -> Result<SearchParamKind, Refused> {
        let table = self.keys.context.table;
        let mut types = self.types.to_vec();
        let mut parts = path.split('.').peekable();
        while let Some(part) = parts.next() {
            let (code, target) = part
                .split_once(':')
                .map_or((part, None), |(c, t)| (c, Some(t)));
            match code {
                "_id" => return Ok(SearchParamKind::Token),
                "_lastUpdated" => return Ok(SearchParamKind::Date),
                _ => {}
            }
            let params: Vec<_> = types
                .iter()
                .filter_map(|ty| table.param(*ty, code))
                .collect();
            let Some(param) = params.first() else {
                return Err(self.keys.unknown(&types, code));
            };
            if parts.peek().is_none() {
                return Ok(param.def.kind);
            }
            types = match target.and_then(|name| table.type_named(name)) {
                Some(ty) => vec![ty],
                None => params
                    .iter()
                    .flat_map(|param| table.targets(param.def))
                    .collect(),
            };
        }
        Err(wrong("lacks a parameter"))
    }
}

/// Changes every test of a criterion.
fn each_test(criterion: &mut Criterion, change: &mut dyn FnMut(&mut Test)) {
    match criterion {
        Criterion::Param { test, .. } | Criterion::ParamNot { test, .. } => change(test),
        Criterion::Chain(chain) => chain
            .criteria
            .iter_mut()
            .for_each(|inner| each_test(inner, change)),
        Criterion::Has(has) => has
            .criteria
            .iter_mut()
            .for_each(|inner| each_test(inner, change)),
        Criterion::Contained(of) => of
            .criteria
            .iter_mut()
            .for_each(|inner| each_test(inner, change)),
        Criterion::And(all) | Criterion::Or(all) => {
            all.iter_mut().for_each(|inner| each_test(inner, change));
        }
        Criterion::Not(inner) => each_test(inner, change),
        Criterion::Missing { .. }
        | Criterion::Ids(_)
        | Criterion::Resources(_)
        | Criterion::LastUpdated(_)
        | Criterion::Types(_) => {}
    }
}

/// A value as a parameter writes it. In a quoted text a comma is no list.
fn escaped(text: &str, quoted: bool) -> String {
    if !quoted {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, ',' | '$' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_words_texts_and_parentheses() {
        let word = |text: &str| Token::Word(text.to_owned());
        let found = tokens("(name eq \"a \\\"b\\\"\") and not(x gt 5)").unwrap();
        let expected = [
            Token::Open,
            word("name"),
            word("eq"),
            Token::Quoted("a \"b\"".to_owned()),
            Token::Close,
            word("and"),
            word("not"),
            Token::Open,
            word("x"),
            word("gt"),
            word("5"),
            Token::Close,
        ];
        assert_eq!(found, expected);
        assert!(tokens("a eq \"b").is_err());
        assert!(tokens("a[b eq c].d eq e").is_err());
    }
}
