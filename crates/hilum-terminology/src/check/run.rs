//! Every coding of a request, and what they amount to.

use std::sync::Arc;

use hilum_fhir::{IssueType, Severity};

use super::{CODINGS_MAX, Check, Checked, Coding, Found, Given, Verdict, below, comment, shown};
use crate::issue::{Failure, Issue, not_in_value_set};
use crate::set::ValueSet;

/// What the codings of a request amount to.
#[derive(Default)]
struct Outcome {
    verdict: Option<Verdict>,
    matched: Option<Coding>,
    matched_path: String,
    first: Option<Coding>,
    version: Option<String>,
    display: Option<String>,
    shown: Vec<String>,
    matches: Vec<usize>,
}

impl Check<'_> {
    pub(super) fn run(
        mut self,
        set: &Arc<ValueSet>,
        given: Given,
        codings: &[Coding],
    ) -> Result<Checked, Failure> {
        if !self.of_system {
            self.standing("ValueSet", &set.canonical(), &set.standing, set);
        }
        let mut outcome = Outcome::default();
        let mut no_code = false;
        for (at, coding) in codings.iter().enumerate().take(CODINGS_MAX) {
            let path = match given {
                Given::Code => String::new(),
                Given::Coding => "Coding".to_owned(),
                Given::Concept => format!("CodeableConcept.coding[{at}]"),
            };
            if coding.code.is_none() {
                self.no_code(&path, coding);
                no_code = true;
                break;
            }
            self.one(set, given, coding, &path, at, &mut outcome)?;
        }
        if given == Given::Concept && !outcome.matches.is_empty() {
            self.soften(codings, &outcome.matches);
        }
        let out = outcome.verdict.unwrap_or(Verdict::Out) == Verdict::Out;
        let silent = no_code && (given != Given::Concept || self.of_system);
        let errors = self.issues.iter().any(Issue::is_error);
        if out && !silent && (!self.of_system || !errors) {
            self.none_found(set, given, &outcome);
        }
        Ok(self.finish(given, outcome))
    }

    fn no_code(&mut self, path: &str, coding: &Coding) {
        let (id, text) = match &coding.system {
            None => (
                "Coding_has_no_system_or_code__cannot_validate",
                "Coding has no system or code - cannot validate".to_owned(),
            ),
            Some(system) => (
                "Coding_has_no_code__cannot_validate",
                format!("Coding has no code for system {system} and cannot be validated"),
            ),
        };
        let issue = Issue::error(IssueType::Invalid, "invalid-data", id, text);
        self.tell(issue.with(Severity::Warning).at(path));
    }

    /// One coding.
    fn one(
        &mut self,
        set: &Arc<ValueSet>,
        given: Given,
        coding: &Coding,
        path: &str,
        at: usize,
        outcome: &mut Outcome,
    ) -> Result<(), Failure> {
        let mut found = Found::default();
        let verdict = self.member(set, path, coding, &mut found)?;
        let system = self.implied.clone().or_else(|| coding.system.clone());
        let system = system.unwrap_or_default();
        if outcome.first.is_none() || verdict == Verdict::In {
            outcome.first = Some(coding.clone());
        }
        outcome.shown.push(shown(&system, coding));
        if verdict == Verdict::Out && !self.of_system && given == Given::Concept {
            let mut issue = not_in_value_set(&shown(&system, coding), &set.canonical());
            issue.about = Some("this-code-not-in-vs");
            self.issue(issue.with(Severity::Information).at(below(path, "code")));
        }
        match outcome.verdict {
            Some(Verdict::In) => {}
            None | Some(Verdict::Out) => outcome.verdict = Some(verdict),
            Some(Verdict::Open) if verdict == Verdict::In => outcome.verdict = Some(verdict),
            Some(Verdict::Open) => {}
        }
        if verdict == Verdict::In {
            outcome.matches.push(at);
            self.check_display(path, coding, &found);
            if outcome.matched.is_none() {
                outcome.matched = Some(coding.clone());
                path.clone_into(&mut outcome.matched_path);
                outcome.version = found.version.clone().or(outcome.version.take());
                outcome.display = self.shown_display(&found);
            }
        } else if !self.engine.options.membership_only && !system.is_empty() {
            let known = self.look_up(set, path, &system, coding)?;
            if let Some(concept) = known {
                let of = Found {
                    concept: Some(concept),
                    ..Found::default()
                };
                if outcome.matched.is_none() {
                    outcome.display = self.shown_display(&of).or(outcome.display.take());
                }
                self.check_unlisted_display(path, coding, &of);
                let version = of
                    .concept
                    .as_ref()
                    .and_then(|one| one.system().version.clone());
                if given != Given::Concept && outcome.version.is_none() {
                    outcome.version = version.map(Into::into);
                }
            }
        }
        if outcome.version.is_none() && given != Given::Concept {
            outcome.version = found.version;
        }
        Ok(())
    }

    /// Where one coding is in the value set, others of systems that are not known do no harm.
    fn soften(&mut self, codings: &[Coding], matches: &[usize]) {
        for (at, coding) in codings.iter().enumerate() {
            if matches.contains(&at) {
                continue;
            }
            let place = format!("CodeableConcept.coding[{at}].system");
            let system = coding.system.as_deref().unwrap_or_default();
            let name = crate::version::joined(system, coding.version.as_deref());
            for issue in &mut self.issues {
                let unknown = issue.message_id.starts_with("UNKNOWN_CODESYSTEM");
                if !unknown || !issue.is_error() || issue.place.as_deref() != Some(&*place) {
                    continue;
                }
                self.messages.retain(|text| *text != issue.text);
                issue.severity = Severity::Warning;
                issue.message_id = "UNKNOWN_CODESYSTEM_CODING_NOT_CHECKED";
                issue.text = format!(
                    "A definition for CodeSystem '{name}' could not be found, so this coding was not checked"
                );
                self.messages.push(issue.text.clone());
            }
        }
    }

    /// None of the codings is in the value set.
    fn none_found(&mut self, set: &ValueSet, given: Given, outcome: &Outcome) {
        let issue = match given {
            Given::Concept => Issue::error(
                IssueType::CodeInvalid,
                "not-in-vs",
                "TX_GENERAL_CC_ERROR_MESSAGE",
                format!(
                    "No valid coding was found for the value set '{}'",
                    set.canonical()
                ),
            ),
            Given::Code => not_in_value_set(&outcome.shown.join(", "), &set.canonical()).at("code"),
            Given::Coding => {
                not_in_value_set(&outcome.shown.join(", "), &set.canonical()).at("Coding.code")
            }
        };
        self.tell(issue);
    }

    fn finish(mut self, given: Given, outcome: Outcome) -> Checked {
        let single = given != Given::Concept;
        let verdict = outcome.verdict.unwrap_or(Verdict::Out);
        let errors = self.issues.iter().any(Issue::is_error);
        let result = verdict == Verdict::In && !errors;
        let answered = outcome.matched.as_ref();
        let first = outcome.first.as_ref().filter(|_| single);
        let own_system = answered.and_then(|coding| coding.system.clone());
        let implied = self.implied.clone().filter(|_| verdict == Verdict::In);
        let mut checked = Checked {
            result,
            system: own_system
                .or(implied)
                .or_else(|| first.and_then(|coding| coding.system.clone())),
            code: answered.or(first).and_then(|coding| coding.code.clone()),
            version: outcome.version.filter(|_| answered.is_some() || single),
            display: outcome.display.filter(|_| answered.is_some() || single),
            normalized: self.normalized.take(),
            is_open: verdict != Verdict::Out && !result,
            ..Checked::default()
        };
        if verdict != Verdict::In || !result {
            checked.unknown_systems = std::mem::take(&mut self.unknown_systems);
        }
        self.tell_inactive(
            &mut checked,
            given,
            &outcome.matched_path,
            answered.is_some(),
        );
        let errors: Vec<String> = self
            .issues
            .iter()
            .filter(|issue| issue.is_error())
            .map(|issue| issue.text.clone())
            .collect();
        for text in errors {
            self.say(&text);
        }
        self.messages.sort();
        checked.message = (!self.messages.is_empty()).then(|| self.messages.join("; "));
        checked.issues = self.issues;
        checked
    }

    fn tell_inactive(
        &mut self,
        checked: &mut Checked,
        given: Given,
        matched_path: &str,
        matched: bool,
    ) {
        if let Some(inactive) = self.inactive.take() {
            let status = inactive.status.unwrap_or_default();
            // Of a CodeableConcept another coding may be the inactive one.
            if given != Given::Concept || matched && inactive.path == matched_path {
                checked.inactive = true;
                if !status.is_empty() && status != "inactive" {
                    checked.status = Some(status.clone());
                }
            }
            let standing = match &*status {
                "" => "inactive".to_owned(),
                "inactive" | "DISCOURAGED" => status.clone(),
                other => format!("{other} and inactive"),
            };
            let text = format!(
                "The concept '{}' has a status of {standing} and its use should be reviewed",
                inactive.code
            );
            let place = match inactive.path.as_str() {
                "" => "code",
                path => path,
            };
            self.tell(comment("INACTIVE_CONCEPT_FOUND", text).at(place));
        } else if self.deprecated {
            checked.status = Some("deprecated".to_owned());
            let code = checked.code.clone().unwrap_or_default();
            let text = format!("The concept '{code}' is deprecated and its use should be reviewed");
            let place = match (given, matched_path) {
                (Given::Code, _) => "code",
                (_, path) => path,
            };
            self.tell(comment("DEPRECATED_CONCEPT_FOUND", text).at(place));
        }
    }
}
