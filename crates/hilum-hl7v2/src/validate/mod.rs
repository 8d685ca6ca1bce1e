//! Validation of a message against the dictionary.
//!
//! Structure (required segments and groups, cardinality, order), fields (presence, repetition,
//! length), data types, tables. Nothing is refused here: a message gives a list of [`Finding`]s, each with a
//! path, a rule with a stable code, a severity and a text without content of the message. Whoever asks
//! decides what a finding means. What a site agreed on beyond the standard is a profile, see
//! [`crate::profile`].
//!
//! Not checked: conditions of the standard's prose (usage C), conformance lengths, the content of
//! fields whose type varies (OBX-5 apart, which goes by OBX-2).

mod facts;
mod fields;
mod finding;
mod shape;
#[cfg(test)]
mod tests;
mod value;

use std::sync::Arc;

pub use finding::{Finding, Rule, Severity};

pub(crate) use finding::Findings;
pub(crate) use shape::{ShapeRatings, check as check_shape, inner_path};
pub(crate) use value::Form;

use crate::message::Message;
use crate::structure::{DictionaryStructures, version_of};
use facts::Facts;
use fields::FieldCheck;

/// Findings that are listed for one message.
pub const FINDINGS_MAX: usize = 1_000;

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How a code that a user-defined table (IS) does not suggest is rated; `None`: not looked at.
    pub site_tables: Option<Severity>,
    /// Lengths of fields and components.
    pub lengths: bool,
    /// Components that a data type requires.
    pub components_required: bool,
    /// Findings that are listed.
    pub findings_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            site_tables: None,
            lengths: true,
            components_required: true,
            findings_max: FINDINGS_MAX,
        }
    }
}

/// Validates messages; one serves all.
#[derive(Debug, Default)]
pub struct Validator {
    structures: Arc<DictionaryStructures>,
    options: Options,
}

impl Validator {
    /// Shares the structures that messages are grouped with.
    #[must_use]
    pub fn new(structures: Arc<DictionaryStructures>, options: Options) -> Self {
        Self {
            structures,
            options,
        }
    }

    /// Everything about the message that is not as the dictionary has it, in document order within
    /// structure, then fields.
    #[must_use]
    pub fn validate(&self, message: &Message) -> Vec<Finding> {
        let mut findings = Findings::new(self.options.findings_max);
        match self.structures.assign(message) {
            Some((grammar, assignment)) => {
                shape::check(message, &grammar, &assignment, RATINGS, &mut findings);
            }
            None => findings.add(
                || "MSH-9".to_owned(),
                Rule::StructureUnknown,
                Severity::Warning,
                "the dictionary has no structure for this message type",
            ),
        }
        let Some(facts) = Facts::of(version_of(message)) else {
            return findings.list;
        };
        let check = FieldCheck {
            message,
            facts,
            options: &self.options,
        };
        for index in 0..message.segment_count() {
            check.segment(index, &mut findings);
            if findings.is_full() {
                break;
            }
        }
        findings.list
    }
}

const RATINGS: ShapeRatings = ShapeRatings {
    missing: Severity::Error,
    excess: Severity::Error,
    order: Severity::Warning,
    unknown: Severity::Warning,
};

/// `PID`, or `OBX[3]` where there are several; `#5`, its position, where what stands in place of
/// the id is none and may be content.
pub(crate) fn segment_path(message: &Message, index: usize) -> String {
    let key = message.segs.get(index).map_or(0, |seg| seg.key);
    let [letters @ .., _] = key.to_le_bytes();
    if key == 0 {
        return format!("#{}", index.saturating_add(1));
    }
    let name = String::from_utf8_lossy(&letters);
    let same = || {
        message
            .segs
            .iter()
            .enumerate()
            .filter(|(_, seg)| seg.key == key)
    };
    if same().nth(1).is_none() {
        return name.into_owned();
    }
    let number = same().take_while(|(at, _)| *at <= index).count();
    format!("{name}[{number}]")
}
