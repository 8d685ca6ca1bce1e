//! What a message says of itself that decides who may have it and how soon: confidentiality, a test
//! patient, a critical result, results that are withdrawn.
//!
//! A format reads what its standard has; the site adds its own lists. What was found stands beside the
//! message from then on, under [`SECURITY`], [`TEST`], [`CRITICAL`] and [`WITHDRAWS`],
//! whatever steps do to the text.

use std::fmt;
use std::sync::Arc;

use hilum_fhirpath::{Env, Moment};
use hilum_message::{Metadata, Phi};

use crate::{Document, Format, Millis, Rule, TraceLine};

/// The named value that holds the security labels of a message, with a space between each two.
pub const SECURITY: &str = "security";
/// The named value that says by which place a message was found to be about a test patient.
pub const TEST: &str = "test";
/// The named value that says why a message is a critical result: the flag, or `STAT`.
pub const CRITICAL: &str = "critical";
/// The named value that says how many results a message withdraws.
pub const WITHDRAWS: &str = "withdraws";
/// How long a critical result may take until its receiver has acknowledged it, where nothing else is
/// said.
pub const CRITICAL_WITHIN: Millis = Millis(600_000);
/// The priority of a critical result, where the channel gives none.
pub(crate) const CRITICAL_PRIORITY: i16 = 100;
/// A value of the engine: when a message came first, Unix milliseconds, where that was not to this channel
/// or before a hold.
pub const FIRST_RECEIVED: &str = "hilum.received-ms";
/// A value of the engine that a message has that came from another channel.
const HOPS: &str = "hilum.hops";
/// Confidentiality from low to high (HL7 v3 code system Confidentiality): of several the highest
/// counts.
const LEVELS: [&str; 6] = ["U", "L", "M", "N", "R", "V"];

/// What a format found in a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Values that say that the message is confidential.
    pub labels: Vec<Labelled>,
    /// The place that says that this is no care: `MSH-11`, `PID-5`, `PID-3`.
    pub test: Option<&'static str>,
    /// Why it is a critical result: the flag (`HH`), or `STAT`.
    pub critical: Option<&'static str>,
    /// How many results its sender takes back.
    pub withdraws: usize,
}

/// A value that says that a message is confidential, and what that comes to.
#[derive(Clone, PartialEq, Eq)]
pub struct Labelled {
    /// The field, as `PV1-16`.
    pub field: &'static str,
    /// The value.
    pub code: String,
    /// Security labels: codes of HL7 v3 Confidentiality or ActCode.
    pub labels: Vec<&'static str>,
}

impl fmt::Debug for Labelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Labelled({}, {:?})", self.field, self.labels)
    }
}

/// The lists of a site for one channel: those of `hilum.yaml` and of every system that may send.
#[derive(Clone, Debug, Default)]
pub struct Marking {
    /// What values of a field mean.
    pub labels: Vec<LabelList>,
    /// Patients who are none.
    pub test_patients: Vec<TestPatients>,
}

/// What values of a field mean.
#[derive(Clone, Debug)]
pub struct LabelList {
    /// The field as written, as `PV1-16`.
    pub field: String,
    /// Its values.
    pub rule: Rule,
    /// The values that are meant, in any case; `*` is every value.
    pub codes: Vec<String>,
    /// The labels; none where the values mean nothing.
    pub labels: Vec<Arc<str>>,
}

impl LabelList {
    fn has(&self, code: &str) -> bool {
        let mut codes = self.codes.iter();
        codes.any(|known| known == "*" || known.eq_ignore_ascii_case(code))
    }
}

/// Patients who are none: everything that is set must fit.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TestPatients {
    /// Family names, in any case; a `*` at the end stands for anything.
    pub family: Vec<String>,
    /// Given names, likewise.
    pub given: Vec<String>,
    /// Who assigned the number.
    pub authority: Option<String>,
    /// The first and the last number, by their value.
    pub range: Option<(u128, u128)>,
    /// Numbers one by one.
    pub numbers: Vec<String>,
}

impl fmt::Debug for TestPatients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestPatients(…)")
    }
}

impl TestPatients {
    /// A number of an authority is meant.
    #[must_use]
    pub fn has_number(&self, number: &str, authority: Option<&str>) -> bool {
        let own = |own: &String| authority.is_some_and(|given| given.eq_ignore_ascii_case(own));
        if !self.authority.as_ref().is_some_and(own) {
            return false;
        }
        let number = number.trim();
        let listed = self.numbers.iter().any(|known| known == number);
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        let value = digits.then(|| number.parse::<u128>().ok()).flatten();
        let within = |(first, last): (u128, u128)| {
            value.is_some_and(|value| (first..=last).contains(&value))
        };
        listed || self.range.is_some_and(within)
    }

    /// It says something of the number.
    #[must_use]
    pub const fn asks_number(&self) -> bool {
        self.authority.is_some()
    }

    /// It says something of the name.
    #[must_use]
    pub fn asks_name(&self) -> bool {
        !(self.family.is_empty() && self.given.is_empty())
    }

    /// A name is meant.
    #[must_use]
    pub fn has_name(&self, family: &str, given: &str) -> bool {
        let fits =
            |list: &[String], name: &str| list.is_empty() || list.iter().any(|p| is_like(p, name));
        self.asks_name() && fits(&self.family, family) && fits(&self.given, given)
    }
}

fn is_like(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.trim().to_lowercase(), name.trim().to_lowercase());
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start) && !name.is_empty(),
        None => name == pattern,
    }
}

/// How a destination takes what is not like the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Care {
    /// What becomes of messages about test patients.
    pub test_messages: TestMessages,
    /// How long a critical result may take; `None` where nobody waits for it.
    pub critical_within: Option<Millis>,
}

/// What becomes of messages about test patients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TestMessages {
    /// They are delivered like any other: the destination is not in production, or its file says so.
    #[default]
    Deliver,
    /// They are not delivered.
    Stop,
}

/// What a trace calls the reading of marks.
pub(crate) const MARKS: &str = "marks";

/// What a trace shows of the marks of a message; they are codes and places, and no content.
pub(crate) fn lines(metadata: &Metadata) -> impl Iterator<Item = TraceLine> + '_ {
    [SECURITY, TEST, CRITICAL, WITHDRAWS]
        .into_iter()
        .filter_map(|name| {
            let value = metadata.get(name)?;
            Some(TraceLine {
                step: MARKS.to_owned(),
                path: Some(format!("meta.{name}")),
                before: None,
                after: Some(Phi::new(value.to_owned())),
                note: String::new(),
            })
        })
}

/// What a message says of itself, as metadata, for whoever takes it through no channel.
///
/// # Errors
/// If a list of the site cannot be evaluated, in a sentence without content.
pub fn marked(
    format: &dyn Format,
    marking: &Marking,
    document: &dyn Document,
) -> Result<Metadata, String> {
    let mut metadata = Metadata::default();
    let env = Env::new(Moment::from_unix_millis(0, 0));
    note(format, marking, document, &env, &mut metadata)?;
    Ok(metadata)
}

/// Finds what a message says of itself, and notes it beside the message.
pub(crate) fn note(
    format: &dyn Format,
    marking: &Marking,
    document: &dyn Document,
    env: &Env<'_>,
    metadata: &mut Metadata,
) -> Result<(), String> {
    let marks = format.marks(document, &marking.test_patients);
    // What another channel found still holds; of a message that is processed again it is found again.
    let inherits = metadata.get(HOPS).is_some();
    let mut labels: Vec<Arc<str>> = Vec::new();
    let before = metadata.get(SECURITY).filter(|_| inherits);
    labels.extend(
        before
            .into_iter()
            .flat_map(str::split_whitespace)
            .map(Arc::from),
    );
    let decided = |found: &&Labelled| {
        let lists = marking.labels.iter();
        let mut lists = lists.filter(|list| list.field == found.field);
        !lists.any(|list| list.has(&found.code))
    };
    for found in marks.labels.iter().filter(decided) {
        labels.extend(found.labels.iter().map(|&label| Arc::from(label)));
    }
    for list in &marking.labels {
        let values = list.rule.strings(document, env)?;
        if values.iter().any(|value| list.has(value.trim())) {
            labels.extend(list.labels.iter().cloned());
        }
    }
    put(metadata, SECURITY, joined(labels));
    let withdraws = (marks.withdraws > 0).then(|| marks.withdraws.to_string());
    for (name, found) in [
        (TEST, marks.test),
        (CRITICAL, marks.critical),
        (WITHDRAWS, withdraws.as_deref()),
    ] {
        if let Some(found) = found {
            metadata.set(name, found);
        } else if !inherits {
            metadata.remove(name);
        }
    }
    Ok(())
}

fn put(metadata: &mut Metadata, name: &'static str, value: String) {
    if value.is_empty() {
        metadata.remove(name);
    } else {
        metadata.set(name, value);
    }
}

/// Each label once, and of the levels of confidentiality the highest, first.
fn joined(found: Vec<Arc<str>>) -> String {
    let level = |label: &str| LEVELS.iter().position(|known| *known == label);
    let highest = found.iter().filter_map(|label| level(label)).max();
    let mut labels: Vec<&str> = highest
        .and_then(|at| LEVELS.get(at))
        .copied()
        .into_iter()
        .collect();
    for label in &found {
        if level(label).is_none() && !labels.contains(&&**label) {
            labels.push(label);
        }
    }
    labels.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_confidentiality_counts_and_each_label_once() {
        for (found, expected) in [
            (vec![], ""),
            (vec!["R", "HIV", "R"], "R HIV"),
            (vec!["CEL", "N", "V", "R", "CEL"], "V CEL"),
            (vec!["urn:x|secret"], "urn:x|secret"),
        ] {
            let found = found.into_iter().map(Arc::from).collect();
            assert_eq!(joined(found), expected);
        }
    }

    #[test]
    fn a_test_patient_is_known_by_number_and_authority_or_by_name() {
        let range = TestPatients {
            authority: Some("STE".to_owned()),
            range: Some((9_000, 9_999)),
            numbers: vec!["T1".to_owned()],
            ..TestPatients::default()
        };
        for (number, authority, expected) in [
            ("9000", Some("STE"), true),
            ("9999", Some("ste"), true),
            ("09500", Some("STE"), true),
            ("8999", Some("STE"), false),
            ("10000", Some("STE"), false),
            ("9500", Some("LAB"), false),
            ("9500", None, false),
            ("T1", Some("STE"), true),
            ("", Some("STE"), false),
            ("+9500", Some("STE"), false),
        ] {
            assert_eq!(range.has_number(number, authority), expected, "{number}");
        }
        let names = TestPatients {
            family: vec!["ZZTEST*".to_owned(), "Mustermann".to_owned()],
            given: vec!["Erika".to_owned()],
            ..TestPatients::default()
        };
        assert!(names.has_name("zztest-1", "ERIKA") && names.has_name("MUSTERMANN", "erika"));
        assert!(!names.has_name("Mustermann", "Eva") && !names.has_name("Muster", "Erika"));
        assert!(!TestPatients::default().has_name("", "") && !names.has_number("1", Some("STE")));
    }
}
