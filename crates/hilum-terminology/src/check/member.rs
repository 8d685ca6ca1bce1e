//! Whether one coding is in a value set.

use std::collections::BTreeSet;
use std::sync::Arc;

use hilum_fhir::{IssueType, Severity};

use super::{Check, Coding, Found, Verdict, below};
use crate::engine::includes;
use crate::issue::{Failure, Issue};
use crate::select;
use crate::set::{Listed, Part, ValueSet};
use crate::system::{Concept, Content, System};
use crate::version;

/// Whether a part lets codes in or keeps them out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    In,
    Out,
}

impl Check<'_> {
    /// Whether a coding is in a value set. Problems are told at `path`.
    pub(super) fn member(
        &mut self,
        set: &Arc<ValueSet>,
        path: &str,
        coding: &Coding,
        found: &mut Found,
    ) -> Result<Verdict, Failure> {
        let engine = self.engine;
        let code = coding.code.as_deref().unwrap_or_default();
        let system = match coding.system.as_deref() {
            Some(system) => system.to_owned(),
            None if engine.options.infer_system => match self.infer(set, code)? {
                Some(system) => system,
                None => return Ok(Verdict::Out),
            },
            None => {
                let text = "Coding has no system. A code with no system has no defined meaning, and it cannot be validated. A system should be provided";
                let id = "Coding_has_no_system__cannot_validate";
                let issue = Issue::error(IssueType::Invalid, "invalid-data", id, text);
                self.tell(issue.with(Severity::Warning).at(path));
                return Ok(Verdict::Out);
            }
        };
        if let Some(expansion) = set.expansion.as_ref().filter(|_| !set.is_composed) {
            return self.member_of_expansion(set, expansion, path, &system, coding, found);
        }
        let chosen = self.version_to_use(set, &system, coding)?;
        let mut verdict = Verdict::Out;
        for (at, part) in includes(set) {
            verdict = match part.system.as_deref() {
                None => Verdict::In,
                Some(own)
                    if own == system
                        && chosen
                            .as_deref()
                            .is_none_or(|only| part.version.as_deref() == Some(only))
                        && uses_version(set, part, coding.version.as_deref()) =>
                {
                    match self.part(set, (Role::In, at), part, path, coding, found)? {
                        Verdict::Open => return Ok(Verdict::Open),
                        told => told,
                    }
                }
                Some(_) => Verdict::Out,
            };
            for canonical in &part.value_sets {
                let import = self.imported(set, canonical)?;
                self.standing("ValueSet", &import.canonical(), &import.standing, set);
                if verdict == Verdict::In {
                    let with_system = Coding {
                        system: Some(system.clone()),
                        ..coding.clone()
                    };
                    verdict = self.member(&import, path, &with_system, found)?;
                }
            }
            if verdict == Verdict::In {
                break;
            }
        }
        if verdict == Verdict::In && self.is_excluded(set, path, &system, coding)? {
            return Ok(Verdict::Out);
        }
        Ok(verdict)
    }

    pub(super) fn imported(
        &self,
        set: &ValueSet,
        canonical: &str,
    ) -> Result<Arc<ValueSet>, Failure> {
        let found = self.engine.import(set, canonical)?;
        found.map_err(|name| Failure::Unresolved(Box::new(crate::issue::unknown_value_set(&name))))
    }

    fn is_excluded(
        &mut self,
        set: &Arc<ValueSet>,
        path: &str,
        system: &str,
        coding: &Coding,
    ) -> Result<bool, Failure> {
        for (at, part) in set.exclude.iter().enumerate() {
            // What an exclude finds is nothing to tell about the coding.
            let mut found = Found::default();
            let mut excluded = match part.system.as_deref() {
                None => true,
                Some(own) if own == system => {
                    self.part(set, (Role::Out, at), part, path, coding, &mut found)? == Verdict::In
                }
                Some(_) => false,
            };
            for canonical in &part.value_sets {
                if !excluded {
                    break;
                }
                let import = self.imported(set, canonical)?;
                self.standing("ValueSet", &import.canonical(), &import.standing, set);
                let with_system = Coding {
                    system: Some(system.to_owned()),
                    ..coding.clone()
                };
                let mut apart = Check::new(self.engine);
                excluded = apart.member(&import, path, &with_system, &mut found)? == Verdict::In;
            }
            if excluded {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a coding is one of an include or exclude of its system.
    fn part(
        &mut self,
        set: &Arc<ValueSet>,
        (role, at): (Role, usize),
        part: &Part,
        path: &str,
        coding: &Coding,
        found: &mut Found,
    ) -> Result<Verdict, Failure> {
        let engine = self.engine;
        let url = part.system.as_deref().unwrap_or_default();
        let version = match role {
            Role::In => self.version_of(path, part, coding)?,
            Role::Out => part.version.as_deref().map(str::to_owned),
        };
        let Some(system) = engine.system(url, version.as_deref())? else {
            if role == Role::Out || engine.options.membership_only {
                return Ok(Verdict::Out);
            }
            let asked = engine.options.version(url, version.as_deref());
            let asked = asked.map(str::to_owned);
            self.unknown_system(path, url, asked.as_deref())?;
            return Ok(Verdict::Open);
        };
        if let Err(issue) = engine.allowed(&system) {
            self.tell(issue.at(below(path, "version")));
        }
        if !self.of_system {
            self.standing("CodeSystem", &system.canonical(), &system.standing, set);
        }
        if role == Role::In {
            found.content = Some(system.content);
            found.language = system.language.as_deref().map(str::to_owned);
        }
        let verdict = self.concept_set(set, (role, at), &system, part, path, coding, found);
        if verdict == Verdict::In && role == Role::In {
            found.version = system.version.as_deref().map(str::to_owned);
        }
        Ok(verdict)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "they are the state of one step of a walk"
    )]
    fn concept_set(
        &mut self,
        set: &Arc<ValueSet>,
        (role, at): (Role, usize),
        system: &Arc<System>,
        part: &Part,
        path: &str,
        coding: &Coding,
        found: &mut Found,
    ) -> Verdict {
        let engine = self.engine;
        let code = coding.code.as_deref().unwrap_or_default();
        let concept = engine.concept(system, code);
        if part.is_whole_system() {
            let Some(concept) = concept else {
                return self.not_there(role, system, path, code);
            };
            if role == Role::In && concept.code() != code {
                self.tell_normal_form(path, code, &concept);
            }
            return self.usable(set, role, path, concept, found);
        }
        if let (Some(chosen), Some(concept)) = (part.listed(code), concept.clone()) {
            if role == Role::In {
                let place = part.concepts.iter().position(|one| one.code == chosen.code);
                found.listed = place.map(|place| (Arc::clone(set), at, place));
            }
            let verdict = self.usable(set, role, path, concept, found);
            if verdict == Verdict::In {
                if let Some(status) = chosen.discouraged.as_ref().filter(|_| role == Role::In) {
                    self.tell_discouraged(set, path, system, code, status);
                }
                return verdict;
            }
        }
        if part.filters.is_empty() {
            return Verdict::Out;
        }
        let Some(concept) = concept else {
            return Verdict::Out;
        };
        let supplements = engine.supplements_of(system);
        let mut filters = part.filters.iter();
        if !filters.all(|filter| select::passes(filter, &concept, &supplements)) {
            return Verdict::Out;
        }
        self.usable(set, role, path, concept, found)
    }

    /// A whole system does not have the code.
    fn not_there(&mut self, role: Role, system: &System, path: &str, code: &str) -> Verdict {
        if role == Role::Out || self.engine.options.membership_only {
            return Verdict::Out;
        }
        let issue = unknown_code(system, code).at(below(path, "code"));
        let verdict = if system.content == Content::Complete {
            Verdict::Out
        } else {
            Verdict::In
        };
        self.issue(issue);
        verdict
    }

    /// Whether a concept that is there counts: abstract and inactive ones may not.
    fn usable(
        &mut self,
        set: &ValueSet,
        role: Role,
        path: &str,
        concept: Concept,
        found: &mut Found,
    ) -> Verdict {
        let options = self.engine.options;
        let loud = role == Role::In && !options.membership_only;
        let code = concept.code().to_owned();
        let verdict = if concept.is_abstract() && !options.counts_abstract() {
            if loud {
                let text = format!(
                    "Code '{}#{code}' is abstract, and not allowed in this context",
                    concept.system().url
                );
                let id = "ABSTRACT_CODE_NOT_ALLOWED";
                let issue = Issue::error(IssueType::BusinessRule, "code-rule", id, text);
                self.issue(issue.at(below(path, "code")));
            }
            Verdict::Out
        } else if concept.is_inactive()
            && (set.excludes_inactive() || options.active_only == Some(true))
        {
            if loud {
                let text = format!("The concept '{code}' is valid but is not active");
                let id = "STATUS_CODE_WARNING_CODE";
                let issue = Issue::error(IssueType::BusinessRule, "code-rule", id, text);
                self.tell(issue.at(below(path, "code")));
                self.see_status(path, &concept);
            }
            Verdict::Out
        } else {
            if role == Role::In {
                self.see_status(path, &concept);
            }
            Verdict::In
        };
        if role == Role::In {
            found.concept = Some(concept);
        }
        verdict
    }

    fn tell_normal_form(&mut self, path: &str, code: &str, concept: &Concept) {
        let (normal, system) = (concept.code(), concept.system().canonical());
        let text = format!(
            "The code '{code}' differs from the correct code '{normal}' by case. Although the code system '{system}' is case insensitive, implementers are strongly encouraged to use the correct case anyway"
        );
        let id = "CODE_CASE_DIFFERENCE";
        let issue = Issue::error(IssueType::BusinessRule, "code-rule", id, text);
        self.issue(issue.with(Severity::Information).at(below(path, "code")));
        self.normalized = Some(normal.to_owned());
    }

    fn tell_discouraged(
        &mut self,
        set: &ValueSet,
        path: &str,
        system: &System,
        code: &str,
        status: &str,
    ) {
        let text = format!(
            "The presence of the concept '{code}' in the system '{}' in the value set {} is marked with a status of {status} and its use should be reviewed",
            system.url,
            set.canonical()
        );
        let issue = super::comment("CONCEPT_DEPRECATED_IN_VALUESET", text);
        self.issue(issue.at(below(path, "code")));
    }

    /// The version that counts where includes name several, and the coding none: the newest in
    /// which the code is known, with the display that was given.
    fn version_to_use(
        &self,
        set: &ValueSet,
        system: &str,
        coding: &Coding,
    ) -> Result<Option<String>, Failure> {
        if coding.version.is_some() {
            return Ok(None);
        }
        let parts = set.include.iter();
        let parts = parts.filter(|part| part.system.as_deref() == Some(system));
        let named: BTreeSet<&str> = parts.filter_map(|part| part.version.as_deref()).collect();
        if named.len() < 2 {
            return Ok(None);
        }
        let mut with: Vec<&str> = Vec::new();
        for version in &named {
            let Some(system) = self.engine.system(system, Some(version))? else {
                continue;
            };
            let Some(concept) = self
                .engine
                .concept(&system, coding.code.as_deref().unwrap_or_default())
            else {
                continue;
            };
            let display = coding.display.as_deref();
            if display.is_none_or(|given| concept.names().any(|name| name.value == given)) {
                with.push(version);
            }
        }
        if with.len() == named.len() {
            return Ok(None);
        }
        let of = if with.is_empty() {
            named.into_iter().collect()
        } else {
            with
        };
        let newest = of.into_iter().max_by(|a, b| version::order(a, b));
        Ok(newest.map(str::to_owned))
    }

    fn member_of_expansion(
        &mut self,
        set: &Arc<ValueSet>,
        expansion: &[Listed],
        path: &str,
        system: &str,
        coding: &Coding,
        found: &mut Found,
    ) -> Result<Verdict, Failure> {
        let code = coding.code.as_deref().unwrap_or_default();
        let mut same = expansion.iter().filter(|one| *one.code == *code);
        let Some(listed) = same.find(|one| one.system.as_deref() == Some(system)) else {
            // What a part of an expansion does not have may be in the rest of it.
            let open = set.expansion_is_partial;
            return Ok(if open { Verdict::Open } else { Verdict::Out });
        };
        let version = match (listed.version.as_deref(), coding.version.as_deref()) {
            (Some(own), Some(given))
                if !version::fits(own, given) && !version::fits(given, own) =>
            {
                let text = format!(
                    "The code system '{system}' version '{own}' in the ValueSet expansion is different to the one in the value ('{given}')"
                );
                let issue = Issue::error(
                    IssueType::Invalid,
                    "vs-invalid",
                    "VALUESET_VALUE_MISMATCH",
                    text,
                );
                self.tell(issue.at(below(path, "version")));
                return Ok(Verdict::Out);
            }
            (own, given) => own.or(given),
        };
        let Some(known) = self.engine.system(system, version)? else {
            // It is listed; nothing more is known of it.
            found.version = version.map(str::to_owned);
            return Ok(Verdict::In);
        };
        found.content = Some(known.content);
        found.version = known.version.as_deref().map(str::to_owned);
        match self.engine.concept(&known, code) {
            Some(concept) => Ok(self.usable(set, Role::In, path, concept, found)),
            None => Ok(self.not_there(Role::In, &known, path, code)),
        }
    }
}

/// A code that a system does not have.
pub(super) fn unknown_code(system: &System, code: &str) -> Issue {
    let of = match system.version.as_deref() {
        Some(version) => format!("'{}' version '{version}'", system.url),
        None => format!("'{}'", system.url),
    };
    if system.content == Content::Complete {
        let text = format!("Unknown code '{code}' in the CodeSystem {of}");
        let id = match system.version {
            Some(_) => "Unknown_Code_in_Version",
            None => "Unknown_Code_in",
        };
        return Issue::error(IssueType::CodeInvalid, "invalid-code", id, text);
    }
    let text = format!(
        "Unknown Code '{code}' in the CodeSystem {of} - note that the code system is labeled as a fragment, so the code may be valid in some other fragment"
    );
    let id = "UNKNOWN_CODE_IN_FRAGMENT";
    Issue::error(IssueType::CodeInvalid, "invalid-code", id, text).with(Severity::Warning)
}

/// Whether an include counts for a coding with a version: where one names that version, others of
/// the system do not.
fn uses_version(set: &ValueSet, part: &Part, given: Option<&str>) -> bool {
    let Some(given) = given.filter(|given| part.version.as_deref() != Some(given)) else {
        return true;
    };
    let mut parts = set.include.iter();
    !parts.any(|part| part.version.as_deref() == Some(given))
}
