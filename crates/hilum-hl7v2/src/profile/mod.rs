//! Conformance profiles: what two systems agreed on beyond the standard.
//!
//! Reads the XML of the NIST validation resources (profile, constraints, value sets, value set
//! bindings) into a form in which messages can be checked. Checked: segments and groups (usage,
//! cardinality, order), fields and components (usage, cardinality, length, constant, form of primitive types),
//! value sets by code (with the coding system where a binding names its place), predicates, and
//! constraints built of AND, OR, XOR, NOT, IMPLY, FORALL, EXIST, Presence, PlainText, StringList,
//! NumberList, Format, SimpleValue, PathValue, SetID and ValueSet.
//!
//! Not checked, and named by a warning at loading where a profile uses it: plug-ins, co-constraints,
//! slicing, cut comparison of dates, other assertions. Conformance lengths say what a receiver must keep and
//! are no rule for messages. A statement with a part that cannot be checked is reported as broken
//! only when the rest decides it.

mod check;
mod expression;
mod load;
mod model;
mod path;
mod statements;
#[cfg(test)]
mod tests;
mod values;

use crate::message::Message;
use crate::structure::{assign, keys};
use crate::validate::{FINDINGS_MAX, Finding, Findings, Rule, Severity, ShapeRatings, check_shape};
use crate::xml::{Element, XmlError};

use check::Check;
use load::Parts;
use model::{Book, MessageDef};
use path::View;
use values::ValueSets;

/// The files of a profile, as bytes; only the first is needed.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProfileFiles<'a> {
    /// `PROFILE.xml`
    pub profile: &'a [u8],
    /// `CONSTRAINTS.xml`
    pub constraints: Option<&'a [u8]>,
    /// `VALUESETS.xml`
    pub value_sets: Option<&'a [u8]>,
    /// `VALUESETBINDINGS.xml`
    pub bindings: Option<&'a [u8]>,
    /// `COCONSTRAINTS.xml`; what it holds is not checked, which a warning says
    pub co_constraints: Option<&'a [u8]>,
    /// `SLICINGS.xml`; what it holds is not checked, which a warning says
    pub slicings: Option<&'a [u8]>,
}

/// A profile, ready to check messages.
#[derive(Debug)]
pub struct Profile {
    name: String,
    parts: Parts,
    sets: ValueSets,
    warnings: Vec<String>,
}

impl Profile {
    /// Reads a profile. What cannot be checked is in [`Self::warnings`].
    pub fn load(files: &ProfileFiles<'_>) -> Result<Self, XmlError> {
        let mut warnings = Vec::new();
        let mut book = Book::default();
        if let Some(bytes) = files.constraints {
            statements::load(&Element::parse(bytes)?, &mut book, &mut warnings)?;
        }
        if let Some(bytes) = files.bindings {
            statements::load_bindings(&Element::parse(bytes)?, &mut book, &mut warnings)?;
        }
        let sets = match files.value_sets {
            Some(bytes) => ValueSets::load(&Element::parse(bytes)?, &mut warnings)?,
            None => ValueSets::default(),
        };
        for (name, bytes) in [
            ("co-constraints", files.co_constraints),
            ("slicings", files.slicings),
        ] {
            if let Some(bytes) = bytes
                && !Element::parse(bytes)?.children.is_empty()
            {
                warnings.push(format!("{name} are not checked"));
            }
        }
        let root = Element::parse(files.profile)?;
        let name = root
            .child("MetaData")
            .and_then(|data| data.attribute("Name"))
            .unwrap_or_default();
        let parts = load::load(&root, &book, &sets, &mut warnings)?;
        warnings.sort();
        warnings.dedup();
        Ok(Self {
            name: name.to_owned(),
            parts,
            sets,
            warnings,
        })
    }

    /// What the profile calls itself.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the profile asks for and is not checked.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Message code, trigger event and structure of each message that the profile describes.
    pub fn messages(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.parts.messages.iter().map(|def| {
            (
                def.code.as_str(),
                def.event.as_str(),
                def.structure.as_str(),
            )
        })
    }

    /// Everything about the message that is not as the profile has it.
    #[must_use]
    pub fn validate(&self, message: &Message) -> Vec<Finding> {
        self.validate_up_to(message, FINDINGS_MAX)
    }

    /// [`Self::validate`] with a limit of its own on the findings that are listed.
    #[must_use]
    pub fn validate_up_to(&self, message: &Message, findings_max: usize) -> Vec<Finding> {
        let mut findings = Findings::new(findings_max);
        let Some(def) = self.message_of(message) else {
            let text = "the profile does not describe this message type";
            findings.add(
                || "MSH-9".to_owned(),
                Rule::StructureUnknown,
                Severity::Error,
                text,
            );
            return findings.list;
        };
        let assignment = assign(&def.grammar, keys(message));
        check_shape(message, &def.grammar, &assignment, RATINGS, &mut findings);
        let view = View {
            message,
            grammar: &def.grammar,
            assignment: &assignment,
        };
        Check {
            view,
            def,
            parts: &self.parts,
            sets: &self.sets,
        }
        .run(&mut findings);
        findings.list
    }

    fn message_of(&self, message: &Message) -> Option<&MessageDef> {
        let code = message.component("MSH", 9, 1)?;
        let event = message.component("MSH", 9, 2).unwrap_or_default();
        let fits =
            |def: &&MessageDef| def.code == code && (def.event.is_empty() || def.event == event);
        self.parts.messages.iter().find(fits)
    }
}

const RATINGS: ShapeRatings = ShapeRatings {
    missing: Severity::Error,
    excess: Severity::Error,
    order: Severity::Error,
    unknown: Severity::Warning,
};
