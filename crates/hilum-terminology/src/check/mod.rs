//! Whether a code is valid: in a code system, in a value set, and with its display
//! (FHIR R4 valueset-operation-validate-code.html, codesystem-operation-validate-code.html; what
//! those leave open is decided as the HL7 terminology ecosystem decides it).

mod display;
mod infer;
mod member;
mod prepare;
mod run;
mod system;
mod version;

pub(crate) use prepare::{circular, remark, too_deep};

use std::sync::Arc;

use hilum_fhir::{IssueType, Severity};

use crate::engine::Engine;
use crate::issue::{Failure, Issue};
use crate::set::ValueSet;
use crate::system::{Concept, Content, System};

/// Codings that one request may give.
pub const CODINGS_MAX: usize = 1_000;

/// A code that somebody gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coding {
    /// Its system.
    pub system: Option<String>,
    /// The version of the system.
    pub version: Option<String>,
    /// The code.
    pub code: Option<String>,
    /// What people read.
    pub display: Option<String>,
}

/// In which form a code was given: problems are told at places of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// As the parameters `code`, `system`, `display`.
    Code,
    /// As a Coding.
    Coding,
    /// As a CodeableConcept with some.
    Concept,
}

/// What came out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// It is valid.
    pub result: bool,
    /// The system of the code.
    pub system: Option<String>,
    /// The code.
    pub code: Option<String>,
    /// The version of the system.
    pub version: Option<String>,
    /// What people are to read.
    pub display: Option<String>,
    /// The code as the system writes it, where that is different.
    pub normalized: Option<String>,
    /// It is not to be used any more.
    pub inactive: bool,
    /// Where it stands, where the system says it.
    pub status: Option<String>,
    /// Systems, or versions of them, that are not known.
    pub unknown_systems: Vec<String>,
    /// It is not valid, but not because it is known to be outside: something that decides is not
    /// known, or only its version or display is wrong.
    pub is_open: bool,
    /// What was found out, all in one line.
    pub message: Option<String>,
    /// What was found out.
    pub issues: Vec<Issue>,
}

/// Whether a coding is in a value set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    In,
    Out,
    /// Something that decides is not known.
    Open,
}

/// What one coding is found to be.
#[derive(Debug, Default)]
struct Found {
    concept: Option<Concept>,
    /// The include that lists it by name, with its place there.
    listed: Option<(Arc<ValueSet>, usize, usize)>,
    version: Option<String>,
    content: Option<Content>,
    language: Option<String>,
}

/// A code that is not to be used any more.
#[derive(Debug)]
struct Inactive {
    path: String,
    code: String,
    status: Option<String>,
}

/// A check while it goes on.
struct Check<'e> {
    engine: &'e Engine<'e>,
    issues: Vec<Issue>,
    messages: Vec<String>,
    unknown_systems: Vec<String>,
    normalized: Option<String>,
    inactive: Option<Inactive>,
    deprecated: bool,
    implied: Option<String>,
    /// Only a code system is asked about: nobody named a value set.
    of_system: bool,
}

impl<'e> Check<'e> {
    fn new(engine: &'e Engine<'e>) -> Self {
        Self {
            engine,
            issues: Vec::new(),
            messages: Vec::new(),
            unknown_systems: Vec::new(),
            normalized: None,
            inactive: None,
            deprecated: false,
            implied: None,
            of_system: false,
        }
    }

    fn say(&mut self, text: &str) {
        if !self.messages.iter().any(|known| known == text) {
            self.messages.push(text.to_owned());
        }
    }

    fn issue(&mut self, issue: Issue) {
        if !self.issues.contains(&issue) {
            self.issues.push(issue);
        }
    }

    /// Adds an issue whose text is part of the message.
    fn tell(&mut self, issue: Issue) {
        self.say(&issue.text.clone());
        self.issue(issue);
    }

    fn unknown(&mut self, name: String) -> bool {
        if self.unknown_systems.contains(&name) {
            return false;
        }
        self.unknown_systems.push(name);
        true
    }

    /// Tells of a system that is not known, once.
    fn unknown_system(
        &mut self,
        path: &str,
        url: &str,
        version: Option<&str>,
    ) -> Result<(), Failure> {
        let known = self.engine.terminology.versions(url)?;
        let issue = crate::issue::unknown_system(url, version, &known).at(below(path, "system"));
        let name = match version {
            Some(version) if !known.is_empty() => format!("{url}|{version}"),
            _ => url.to_owned(),
        };
        self.say(&issue.text.clone());
        if self.unknown(name) {
            self.issue(issue);
        }
        Ok(())
    }

    fn see_status(&mut self, path: &str, concept: &Concept) {
        if self.inactive.is_none() && concept.is_inactive() {
            self.inactive = Some(Inactive {
                path: path.to_owned(),
                code: concept.code().to_owned(),
                status: concept.status().map(str::to_owned),
            });
        }
        let status = concept.status().unwrap_or_default();
        self.deprecated |= status.eq_ignore_ascii_case("deprecated");
    }
}

/// A place below another; that place itself where there is none above.
fn below(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// A coding as messages name it.
fn shown(system: &str, coding: &Coding) -> String {
    let mut text = String::from("'");
    text.push_str(system);
    if let Some(version) = &coding.version {
        text.push('|');
        text.push_str(version);
    }
    text.push('#');
    text.push_str(coding.code.as_deref().unwrap_or_default());
    if let Some(display) = &coding.display {
        text.push_str(" ('");
        text.push_str(display);
        text.push_str("')");
    }
    text.push('\'');
    text
}

impl Engine<'_> {
    /// Whether codings are in a value set; one is enough. A coding without version gets the one
    /// that it was looked up in.
    pub fn check(
        &self,
        set: &Arc<ValueSet>,
        given: Given,
        codings: &[Coding],
    ) -> Result<Checked, Failure> {
        let check = Check::new(self);
        match check.prepare(set) {
            Ok(()) => {}
            Err(Failure::Unresolved(issue)) => return Ok(unresolved(*issue, given, codings)),
            Err(other) => return Err(other),
        }
        check.run(set, given, codings)
    }

    /// Whether codings are codes of a code system.
    pub fn check_system(
        &self,
        system: &Arc<System>,
        given: Given,
        codings: &[Coding],
    ) -> Result<Checked, Failure> {
        let mut check = Check::new(self);
        check.of_system = true;
        let set = Arc::new(system::all_of(system));
        let given_as: Vec<Coding> = codings
            .iter()
            .map(|coding| Coding {
                system: coding
                    .system
                    .clone()
                    .or_else(|| Some(system.url.to_string())),
                ..coding.clone()
            })
            .collect();
        check.run(&set, given, &given_as)
    }
}

/// The answer where a value set names another that is not known.
fn unresolved(issue: Issue, given: Given, codings: &[Coding]) -> Checked {
    let first = codings.first().filter(|_| given != Given::Concept);
    Checked {
        system: first.and_then(|coding| coding.system.clone()),
        code: first.and_then(|coding| coding.code.clone()),
        message: Some(issue.text.clone()),
        is_open: true,
        issues: vec![issue],
        ..Checked::default()
    }
}

/// A remark on a code that is valid.
fn comment(id: &'static str, text: String) -> Issue {
    Issue::error(IssueType::BusinessRule, "code-comment", id, text).with(Severity::Warning)
}
