//! What conditions on messages and on resources have in common: words between terms, comparisons,
//! lists and functions that take a text.

use super::condition::Compare;
use super::scan::Scan;
use crate::problem::Fault;

/// Terms with `and` and `or` between them; `and` binds closer.
pub(super) fn joined<T>(
    scan: &mut Scan<'_>,
    depth: usize,
    term: fn(&mut Scan<'_>, usize) -> Result<T, Fault>,
    and: fn(Vec<T>) -> T,
    or: fn(Vec<T>) -> T,
) -> Result<T, Fault> {
    let mut any = Vec::new();
    loop {
        let mut all = vec![term(scan, depth)?];
        while follows(scan, "and") {
            all.push(term(scan, depth)?);
        }
        any.push(single(all, and));
        if !follows(scan, "or") {
            return Ok(single(any, or));
        }
    }
}

fn follows(scan: &mut Scan<'_>, word: &str) -> bool {
    scan.blanks();
    scan.word(word)
}

fn single<T>(mut parts: Vec<T>, make: fn(Vec<T>) -> T) -> T {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            make(parts)
        }
        None => make(parts),
    }
}

/// A function with a text.
#[derive(Clone, Copy, Debug)]
pub(super) enum TextTest {
    StartsWith,
    EndsWith,
    Contains,
    Matches,
}

/// The function with a text that stands behind a path.
pub(super) fn called(scan: &mut Scan<'_>) -> Result<Option<(TextTest, String)>, Fault> {
    let tests = [
        (".startsWith(", TextTest::StartsWith),
        (".endsWith(", TextTest::EndsWith),
        (".contains(", TextTest::Contains),
        (".matches(", TextTest::Matches),
    ];
    for (name, test) in tests {
        if scan.take(name) {
            let text = quoted(scan)?;
            scan.blanks();
            scan.expect(")")?;
            return Ok(Some((test, text)));
        }
    }
    Ok(None)
}

/// A text in single quotes.
pub(super) fn quoted(scan: &mut Scan<'_>) -> Result<String, Fault> {
    scan.blanks();
    match scan.quoted()? {
        Some(text) => Ok(text),
        None => Err(scan.fault("a text in single quotes was expected")),
    }
}

pub(super) fn list(scan: &mut Scan<'_>) -> Result<Vec<String>, Fault> {
    scan.blanks();
    scan.expect("(")?;
    let mut texts = Vec::new();
    loop {
        texts.push(quoted(scan)?);
        scan.blanks();
        if !scan.take("|") {
            scan.expect(")")?;
            return Ok(texts);
        }
    }
}

pub(super) fn compare(scan: &mut Scan<'_>) -> Result<Compare, Fault> {
    scan.blanks();
    let signs = [
        ("!=", Compare::Differs),
        ("!~", Compare::Unlike),
        ("<=", Compare::AtMost),
        (">=", Compare::AtLeast),
        ("=", Compare::Equal),
        ("~", Compare::Alike),
        ("<", Compare::Less),
        (">", Compare::More),
    ];
    for (sign, compare) in signs {
        if scan.take(sign) {
            return Ok(compare);
        }
    }
    Err(scan
        .fault("a comparison was expected")
        .remedy("write `=`, `!=`, `~`, `!~`, `in (...)`, `.exists()` or `.empty()`"))
}
