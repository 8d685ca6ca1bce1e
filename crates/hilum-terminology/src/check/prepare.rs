//! What has to be known and right before codes are checked: everything that a value set names.

use std::sync::Arc;

use hilum_fhir::{IssueType, Severity};

use super::Check;
use crate::engine::IMPORTS_MAX;
use crate::issue::{Failure, Issue};
use crate::select;
use crate::set::ValueSet;
use crate::system::Standing;

/// A value set that is made of itself.
pub(crate) fn circular(canonical: &str, way: &[String]) -> Issue {
    let text = format!(
        "Found a circularity pointing to {canonical} processing ValueSet with pathway [{}]",
        way.join(", ")
    );
    Issue::error(
        IssueType::Processing,
        "vs-invalid",
        "VALUESET_CIRCULAR_REFERENCE",
        text,
    )
}

/// Value sets within value sets beyond a limit.
pub(crate) fn too_deep(canonical: &str) -> Issue {
    let text =
        format!("The value set {canonical} is made of others in more than {IMPORTS_MAX} steps");
    Issue::error(
        IssueType::TooCostly,
        "vs-invalid",
        "VALUESET_TOO_DEEP",
        text,
    )
}

impl Check<'_> {
    pub(super) fn prepare(&self, set: &Arc<ValueSet>) -> Result<(), Failure> {
        let idle = self.engine.idle_supplements(set);
        if !idle.is_empty() {
            return Err(Failure::refused(crate::issue::missing_supplements(&idle)));
        }
        self.prepare_within(set, &mut Vec::new())
    }

    fn prepare_within(&self, set: &Arc<ValueSet>, way: &mut Vec<String>) -> Result<(), Failure> {
        let name = set.canonical();
        if !name.is_empty() && way.contains(&name) {
            return Err(Failure::refused(circular(&name, way)));
        }
        if way.len() >= IMPORTS_MAX {
            return Err(Failure::refused(too_deep(&name)));
        }
        way.push(name);
        for (parts, kind) in [(&set.include, "include"), (&set.exclude, "exclude")] {
            for (at, part) in parts.iter().enumerate() {
                for canonical in &part.value_sets {
                    let found = self.engine.import(set, canonical)?;
                    let found = found.map_err(|name| {
                        Failure::Unresolved(Box::new(crate::issue::unknown_value_set(&name)))
                    })?;
                    self.prepare_within(&found, way)?;
                }
                let Some(url) = part.system.as_deref().filter(|_| !part.filters.is_empty()) else {
                    continue;
                };
                if let Some(system) = self.engine.system(url, part.version.as_deref())? {
                    let place = format!("ValueSet.compose.{kind}[{at}]");
                    let checked = select::check(&part.filters, &system, &place, &set.canonical());
                    checked.map_err(Failure::refused)?;
                }
            }
        }
        way.pop();
        Ok(())
    }

    /// Tells of a definition that is not meant for use, unless the value set that names it is not
    /// either.
    pub(super) fn standing(
        &mut self,
        kind: &'static str,
        canonical: &str,
        standing: &Standing,
        of: &ValueSet,
    ) {
        let Some((id, word)) = remark(standing, &of.standing) else {
            return;
        };
        let issue = Issue {
            severity: Severity::Information,
            code: IssueType::BusinessRule,
            about: Some("status-check"),
            place: None,
            message_id: id,
            text: format!("Reference to {word} {kind} {canonical}"),
            diagnostics: None,
        };
        self.issue(issue);
    }
}

/// What there is to say of a definition that another names: the name of the message, and a word.
pub(crate) fn remark(standing: &Standing, of: &Standing) -> Option<(&'static str, &'static str)> {
    let standards = standing.standards.as_deref();
    let is_draft =
        |one: &Standing| &*one.status == "draft" || one.standards.as_deref() == Some("draft");
    match standards {
        Some("deprecated") => Some(("MSG_DEPRECATED", "deprecated")),
        Some("withdrawn") => Some(("MSG_WITHDRAWN", "withdrawn")),
        _ if &*standing.status == "retired" => Some(("MSG_RETIRED", "retired")),
        _ if standing.experimental && !of.experimental => {
            Some(("MSG_EXPERIMENTAL", "experimental"))
        }
        _ if is_draft(standing) && !is_draft(of) => Some(("MSG_DRAFT", "draft")),
        _ => None,
    }
}
