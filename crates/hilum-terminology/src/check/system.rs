//! A coding looked up in its code system, beside any value set.

use std::sync::Arc;

use hilum_fhir::IssueType;

use super::member::unknown_code;
use super::{Check, Coding, below};
use crate::issue::{Failure, Issue};
use crate::set::{Part, ValueSet};
use crate::system::{Concept, Content, System};
use crate::version;

/// The value set of everything in a code system.
pub(super) fn all_of(system: &System) -> ValueSet {
    ValueSet {
        url: None,
        version: None,
        language: None,
        standing: system.standing.clone(),
        is_composed: true,
        inactive: None,
        include: vec![Part {
            system: Some(system.url.clone()),
            version: system.version.clone(),
            ..Part::default()
        }],
        exclude: Vec::new(),
        expansion: None,
        expansion_is_partial: false,
        supplements: Vec::new(),
        parameters: Vec::new(),
        contained: std::collections::HashMap::new(),
        resource: None,
    }
}

impl Check<'_> {
    /// The concept of a coding that is not in the value set, or what is wrong with its system or
    /// code.
    pub(super) fn look_up(
        &mut self,
        set: &ValueSet,
        path: &str,
        system: &str,
        coding: &Coding,
    ) -> Result<Option<Concept>, Failure> {
        let engine = self.engine;
        if !system.contains(':') {
            let text = "Coding.system must be an absolute reference, not a local reference";
            let id = "Terminology_TX_System_Relative";
            let issue = Issue::error(IssueType::Invalid, "invalid-data", id, text);
            self.tell(issue.at(below(path, "system")));
        }
        let parts = set.include.iter();
        let parts = parts.filter(|part| part.system.as_deref() == Some(system));
        let of_set = parts
            .filter_map(|part| part.version.as_deref())
            .max_by(|a, b| version::order(a, b));
        let named = coding.version.as_deref().or(of_set);
        let Some(known) = engine.system(system, named)? else {
            self.unknown_of_coding(path, system, named)?;
            return Ok(None);
        };
        if let Err(issue) = engine.allowed(&known) {
            self.tell(issue.at(below(path, "version")));
        }
        if !self.of_system {
            self.standing("CodeSystem", &known.canonical(), &known.standing, set);
        }
        let code = coding.code.as_deref().unwrap_or_default();
        let Some(concept) = engine.concept(&known, code) else {
            let issue = unknown_code(&known, code).at(below(path, "code"));
            self.issue(issue);
            return Ok(None);
        };
        if concept.is_inactive() {
            self.see_status(path, &concept);
        }
        Ok(Some(concept))
    }

    fn unknown_of_coding(
        &mut self,
        path: &str,
        system: &str,
        named: Option<&str>,
    ) -> Result<(), Failure> {
        let terminology = self.engine.terminology;
        let place = below(path, "system");
        if terminology.value_set(system)?.is_some() {
            let text = format!("The Coding references a value set, not a code system ('{system}')");
            let id = "Terminology_TX_System_ValueSet2";
            let issue = Issue::error(IssueType::Invalid, "invalid-data", id, text);
            self.tell(issue.at(place));
            return Ok(());
        }
        let is_supplement = |one: &System| one.content == Content::Supplement;
        if let Some(known) = terminology.system_that(system, named, is_supplement)? {
            let issue = no_supplement(&known);
            self.tell(issue.at(place));
            return Ok(());
        }
        let asked = self
            .engine
            .options
            .version(system, named)
            .map(str::to_owned);
        self.unknown_system(path, system, asked.as_deref())
    }
}

/// A supplement that was named as a code system.
pub(crate) fn no_supplement(system: &Arc<System>) -> Issue {
    let text = format!(
        "CodeSystem {} is a supplement, so can't be used as a value in Coding.system",
        system.canonical()
    );
    Issue::error(
        IssueType::Invalid,
        "invalid-data",
        "CODESYSTEM_CS_NO_SUPPLEMENT",
        text,
    )
}
