//! Whether a resource is what FHIR R4 says it has to be.
//!
//! Reading has already refused unknown elements and wrong forms of values; here are cardinality,
//! bindings, rules, references, extensions, narrative and the rules of Bundles. A [`Validator`] is
//! made once and shared; what it knows about codes and other resources comes with each [`Request`].
//!
//! Invariants: no resource makes it panic or run without end; a problem names place and rule, and
//! repeats no more of the content than a code or a URL. It resolves nothing over the network.

mod answers;
mod binding;
mod bundle;
mod codes;
mod compare;
mod conform;
mod data;
mod definition;
mod entries;
mod extension;
mod given;
mod host;
mod measure;
mod narrative;
mod native;
mod plan;
mod questionnaire;
mod reference;
mod resolver;
mod rule;
mod slicing;
mod terminology;
#[cfg(test)]
mod tests;
mod walk;

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use hilum_fhirpath::Moment;

use crate::definitions::Definitions;
use crate::problem::{IssueType, Problem, Severity};
use crate::profile::Profiles;
use crate::resource::{Node, Resource};

pub use codes::LoadedCodes;
pub use resolver::{NoResolver, Resolver, Target};
pub use terminology::{ListedCodes, Terminology};

use answers::Answers;
use entries::Entries;
use plan::Plan;

/// Problems after which a validation ends, unless the request says otherwise.
pub const PROBLEMS_MAX: usize = 500;

/// What one validation may use.
#[derive(Clone, Copy)]
pub struct Request<'r> {
    /// What rules get from `now()`.
    pub now: Moment,
    /// Answers about codes.
    pub terminology: &'r dyn Terminology,
    /// Answers about resources elsewhere.
    pub resolver: &'r dyn Resolver,
    /// The profiles and extensions that are known.
    pub profiles: &'r Profiles,
    /// Profiles that the resource has to conform to, besides those that it names itself.
    pub asked: &'r [&'r str],
    /// What an extension is that nobody knows.
    pub unknown_extension: Severity,
    /// What a display is that is not the one of its code.
    pub wrong_display: Severity,
    /// What a Coding is whose system is the URL of a value set, as Synthea and others write it.
    pub value_set_as_system: Severity,
    /// What text is that looks like embedded markup; `None` does not look.
    pub markup_in_text: Option<Severity>,
    /// What a URL of a host that stands for examples is; `None` does not look.
    pub example_urls: Option<Severity>,
    /// What a breach of best practice is; `None` leaves it out.
    pub best_practice: Option<Severity>,
    /// Where to stop.
    pub problems_max: usize,
}

static STANDARD: Profiles = Profiles::standard();

impl Request<'_> {
    /// Checks by the standard alone; best practice and unknown extensions are warnings.
    #[must_use]
    pub fn new(now: Moment) -> Self {
        Self {
            now,
            terminology: &ListedCodes,
            resolver: &NoResolver,
            profiles: &STANDARD,
            asked: &[],
            unknown_extension: Severity::Warning,
            wrong_display: Severity::Warning,
            value_set_as_system: Severity::Warning,
            markup_in_text: None,
            example_urls: None,
            best_practice: Some(Severity::Warning),
            problems_max: PROBLEMS_MAX,
        }
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("best_practice", &self.best_practice)
            .field("problems_max", &self.problems_max)
            .finish_non_exhaustive()
    }
}

/// Checks resources; made once, used from any thread.
pub struct Validator {
    plan: Plan,
}

impl Validator {
    /// Works out what is to be checked where, which takes some milliseconds.
    #[must_use]
    pub fn new() -> Self {
        Self {
            plan: Plan::new(Definitions::r4()),
        }
    }

    /// Everything that is wrong with a resource, in the order in which it was found.
    #[must_use]
    pub fn validate(&self, resource: &Resource, request: &Request<'_>) -> Vec<Problem> {
        let mut check = Check::new(self, resource, request);
        check.run();
        check.found()
    }
}

impl Default for Validator {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Validator").finish_non_exhaustive()
    }
}

/// One validation.
struct Check<'c> {
    validator: &'c Validator,
    resource: &'c Resource,
    request: &'c Request<'c>,
    /// What was found, with the byte where it stands.
    problems: Vec<(Option<usize>, Problem)>,
    entries: Entries,
    answers: Answers,
    /// Profiles within profiles.
    depth: usize,
    /// Only whether there is an error is asked for.
    errors_only: bool,
}

impl<'c> Check<'c> {
    fn new(validator: &'c Validator, resource: &'c Resource, request: &'c Request<'c>) -> Self {
        Self {
            validator,
            resource,
            request,
            problems: Vec::new(),
            entries: Entries::new(resource),
            answers: Answers::default(),
            depth: 0,
            errors_only: false,
        }
    }
}

impl Check<'_> {
    fn is_full(&self) -> bool {
        self.problems.len() >= self.request.problems_max
    }

    /// The problems with lines and columns, which are counted once through the text.
    fn found(self) -> Vec<Problem> {
        let mut places: Vec<(usize, &mut Problem)> = Vec::new();
        let mut problems = self.problems;
        for (offset, problem) in &mut problems {
            places.extend(offset.map(|offset| (offset, problem)));
        }
        places.sort_by_key(|(offset, _)| *offset);
        if let Some(mut lines) = self.resource.lines() {
            for (offset, problem) in places {
                problem.position = Some(lines.position(offset));
            }
        }
        // Several profiles may ask for the same.
        let mut seen = HashSet::new();
        let once =
            |problem: &Problem| seen.insert((problem.expression.clone(), problem.text.clone()));
        let found = problems.into_iter().map(|(_, problem)| problem);
        found.filter(once).collect()
    }

    fn report(
        &mut self,
        severity: Severity,
        code: IssueType,
        node: Node<'_>,
        text: impl Into<Cow<'static, str>>,
    ) {
        self.push(Problem::error(code, text).with_severity(severity), node);
    }

    fn error(&mut self, code: IssueType, node: Node<'_>, text: impl Into<Cow<'static, str>>) {
        self.report(Severity::Error, code, node, text);
    }

    fn push(&mut self, problem: Problem, node: Node<'_>) {
        if !self.is_full() && (problem.is_error() || !self.errors_only) {
            let offset = self.resource.offset(node);
            self.problems.push((offset, problem.at(node.path())));
        }
    }
}
