//! What there is to say about codes and value sets, in the words and codes of the HL7 terminology
//! ecosystem (hl7.fhir.uv.tx-ecosystem), which the tools of the field look for.

use hilum_fhir::{IssueType, Severity};

use crate::source::Wanted;

/// Something that was found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of problem (FHIR R4 valueset-issue-type.html).
    pub code: IssueType,
    /// What it is about, as the terminology ecosystem names it (`not-in-vs`, `invalid-display`).
    pub about: Option<&'static str>,
    /// Where, as a FHIRPath of the request.
    pub place: Option<String>,
    /// The name of the message.
    pub message_id: &'static str,
    /// The message.
    pub text: String,
    /// What helps whoever looks for the cause.
    pub diagnostics: Option<String>,
}

impl Issue {
    /// An error.
    #[must_use]
    pub fn error(
        code: IssueType,
        about: &'static str,
        message_id: &'static str,
        text: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Error,
            code,
            about: Some(about),
            place: None,
            message_id,
            text: text.into(),
            diagnostics: None,
        }
    }

    /// The same at a place; at none if it is empty.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into()).filter(|place| !place.is_empty());
        self
    }

    /// The same with another severity.
    #[must_use]
    pub const fn with(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// It is an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        matches!(self.severity, Severity::Fatal | Severity::Error)
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Something has to be loaded first; then ask again.
    Missing(Wanted),
    /// What was asked is not possible.
    Refused(Box<Issue>),
    /// Something that the value set names cannot be found; where codes are checked, this is an
    /// answer about them.
    Unresolved(Box<Issue>),
}

impl Failure {
    pub(crate) fn refused(issue: Issue) -> Self {
        Self::Refused(Box::new(issue))
    }
}

impl From<crate::source::Missing> for Failure {
    fn from(missing: crate::source::Missing) -> Self {
        Self::Missing(missing.0)
    }
}

/// Names in a row as people write them: `a`, `a or b`, `a, b or c`.
pub(crate) fn alternatives(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} or {last}", rest.join(", ")),
    }
}

/// A value set that is not known.
pub(crate) fn unknown_value_set(canonical: &str) -> Issue {
    Issue::error(
        IssueType::NotFound,
        "not-found",
        "Unable_to_resolve_value_Set_",
        format!("A definition for the value Set '{canonical}' could not be found"),
    )
}

/// A code system that is not known, in any version or in the one that is asked for.
pub(crate) fn unknown_system(url: &str, version: Option<&str>, known: &[String]) -> Issue {
    let (id, text) = match version {
        None => (
            "UNKNOWN_CODESYSTEM",
            format!(
                "A definition for CodeSystem '{url}' could not be found, so the code cannot be validated"
            ),
        ),
        Some(version) if known.is_empty() => (
            "UNKNOWN_CODESYSTEM_VERSION_NONE",
            format!(
                "A definition for CodeSystem '{url}' version '{version}' could not be found, so the code cannot be validated. No versions of this code system are known"
            ),
        ),
        Some(version) => (
            "UNKNOWN_CODESYSTEM_VERSION",
            format!(
                "A definition for CodeSystem '{url}' version '{version}' could not be found, so the code cannot be validated. Valid versions: {}",
                alternatives(known)
            ),
        ),
    };
    Issue::error(IssueType::NotFound, "not-found", id, text)
}

/// The same where a value set is to be expanded.
pub(crate) fn unknown_system_of_expansion(
    url: &str,
    version: Option<&str>,
    known: &[String],
) -> Issue {
    let (id, text) = match version {
        None => (
            "UNKNOWN_CODESYSTEM_EXP",
            format!(
                "A definition for CodeSystem '{url}' could not be found, so the value set cannot be expanded"
            ),
        ),
        Some(version) if known.is_empty() => (
            "UNKNOWN_CODESYSTEM_VERSION_EXP_NONE",
            format!(
                "A definition for CodeSystem '{url}' version '{version}' could not be found, so the value set cannot be expanded. No versions of this code system are known"
            ),
        ),
        Some(version) => (
            "UNKNOWN_CODESYSTEM_VERSION_EXP",
            format!(
                "A definition for CodeSystem '{url}' version '{version}' could not be found, so the value set cannot be expanded. Valid versions: {}",
                alternatives(known)
            ),
        ),
    };
    Issue::error(IssueType::NotFound, "not-found", id, text)
}

/// A version that a parameter of the request does not allow.
pub(crate) fn version_not_allowed(url: &str, version: &str, required: &str) -> Issue {
    Issue::error(
        IssueType::Exception,
        "version-error",
        "VALUESET_VERSION_CHECK",
        format!(
            "The version '{version}' is not allowed for system '{url}': required to be '{required}' by a version-check parameter"
        ),
    )
}

/// Supplements that are needed and not known.
pub(crate) fn missing_supplements(names: &[String]) -> Issue {
    let plural = if names.len() == 1 { "" } else { "s" };
    Issue::error(
        IssueType::NotFound,
        "not-found",
        "VALUESET_SUPPLEMENT_MISSING",
        format!("Required supplement{plural} not found: {}", names.join(",")),
    )
}

/// A code that is not in a value set.
pub(crate) fn not_in_value_set(coding: &str, canonical: &str) -> Issue {
    Issue::error(
        IssueType::CodeInvalid,
        "not-in-vs",
        "None_of_the_provided_codes_are_in_the_value_set_one",
        format!("The provided code {coding} was not found in the value set '{canonical}'"),
    )
}

/// Failures that callers tell in the words of this crate.
pub mod issues {
    use super::Failure;

    /// A value set that is not known.
    #[must_use]
    pub fn unknown_value_set(canonical: &str) -> Failure {
        Failure::refused(super::unknown_value_set(canonical))
    }
}
