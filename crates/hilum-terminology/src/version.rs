//! Versions of code systems and value sets: which one a text names, and which of two is newer.

use std::cmp::Ordering;

/// Whether a version is what a text asks for: the same, or fitting a pattern with `x` or `*` for a
/// part (`1.0.x`; FHIR R5 references.html#canonical-matching).
#[must_use]
pub fn fits(asked: &str, version: &str) -> bool {
    asked == version || fits_pattern(asked, version)
}

/// Whether the text is a pattern and the version fits it.
#[must_use]
pub fn fits_pattern(pattern: &str, version: &str) -> bool {
    let any = |part: &str| matches!(part, "x" | "X" | "*");
    if !pattern.split('.').any(any) {
        return false;
    }
    let mut parts = version.split('.');
    let mut last_any = false;
    for asked in pattern.split('.') {
        match parts.next() {
            Some(part) if asked == part || any(asked) => last_any = asked == "*",
            Some(_) => return false,
            None => return any(asked),
        }
    }
    // A star at the end takes what is left (`1.*` and `1.2.3`).
    last_any || parts.next().is_none()
}

/// The order of versions: parts that are numbers as numbers, a version without the label of one
/// (`1.0.0-draft`) behind it, everything else as text.
#[must_use]
pub fn order(a: &str, b: &str) -> Ordering {
    let (a, a_label) = split_label(a);
    let (b, b_label) = split_label(b);
    let mut theirs = b.split(['.', '-']);
    for own in a.split(['.', '-']) {
        let Some(other) = theirs.next() else {
            return Ordering::Greater;
        };
        let by_part = match (own.parse::<u64>(), other.parse::<u64>()) {
            (Ok(own), Ok(other)) => own.cmp(&other),
            _ => own.cmp(other),
        };
        if by_part != Ordering::Equal {
            return by_part;
        }
    }
    if theirs.next().is_some() {
        return Ordering::Less;
    }
    match (a_label, b_label) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => a.cmp(b),
    }
}

/// Splits the label off a semantic version; dates keep their hyphens.
fn split_label(version: &str) -> (&str, Option<&str>) {
    match version.split_once('-') {
        Some((plain, label)) if plain.contains('.') => (plain, Some(label)),
        _ => (version, None),
    }
}

/// A canonical URL and its version.
#[must_use]
pub fn split(canonical: &str) -> (&str, Option<&str>) {
    match canonical.split_once('|') {
        Some((url, version)) => (url, Some(version).filter(|version| !version.is_empty())),
        None => (canonical, None),
    }
}

/// A canonical URL with its version, where there is one.
#[must_use]
pub fn joined(url: &str, version: Option<&str>) -> String {
    match version {
        Some(version) => format!("{url}|{version}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_take_the_versions_they_name() {
        for (asked, version, expected) in [
            ("1.0.0", "1.0.0", true),
            ("1.0.x", "1.0.0", true),
            ("1.x.x", "1.2.0", true),
            ("1.0.x", "1.2.0", false),
            ("1", "1.0.0", false),
            ("1.x", "1.0.0", false),
            ("1.*", "1.0.0", true),
            ("1.0.x", "1.0", true),
            ("", "1", false),
        ] {
            assert_eq!(fits(asked, version), expected, "{asked} {version}");
        }
    }

    #[test]
    fn newer_versions_come_later() {
        for (older, newer) in [
            ("1.0.0", "1.2.0"),
            ("1.9.0", "1.10.0"),
            ("1.0.0-draft", "1.0.0"),
            ("2.77", "2.78"),
            ("2020-01-31", "2020-07-31"),
            ("1.0", "1.0.1"),
            ("20200131", "20210131"),
        ] {
            assert_eq!(order(older, newer), Ordering::Less, "{older} {newer}");
            assert_eq!(order(newer, older), Ordering::Greater, "{newer} {older}");
        }
        assert_eq!(order("1.0", "1.0"), Ordering::Equal);
    }
}
