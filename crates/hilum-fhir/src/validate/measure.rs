//! Reports against the Measure that they are of (FHIR R4 measurereport.html).

use super::Check;
use crate::problem::IssueType;
use crate::resource::Node;

impl Check<'_> {
    pub(super) fn measure_report(&mut self, report: Node<'_>) {
        let kind = report.child_text("type").unwrap_or_default();
        for group in report.children_named("group") {
            for population in group.children_named("population") {
                if kind != "subject-list" && population.child("subjectResults").is_some() {
                    let text = "only a report of type subject-list lists subjects";
                    self.error(IssueType::BusinessRule, population, text);
                }
            }
        }
        let known = report
            .child_text("measure")
            .and_then(|url| self.request.resolver.canonical(url));
        let Some(measure) = known.filter(|known| known.type_name() == "Measure") else {
            return;
        };
        let defined: Vec<Node<'_>> = measure.root().children_named("group").collect();
        let groups: Vec<Node<'_>> = report.children_named("group").collect();
        for group in &groups {
            let same = |one: &&Node<'_>| same_concept(group.child("code"), one.child("code"));
            let by_code = defined.iter().find(same).copied();
            // A single group needs no code.
            let only = (defined.len() == 1 && groups.len() == 1).then(|| defined.first().copied());
            match by_code.or(only.flatten()) {
                Some(definition) => self.measured_group(*group, definition),
                None => {
                    let text = "the Measure has no such group";
                    self.error(IssueType::NotFound, *group, text);
                }
            }
        }
    }

    fn measured_group(&mut self, group: Node<'_>, definition: Node<'_>) {
        for (name, what) in [
            ("population", "the Measure has no such population"),
            ("stratifier", "the Measure has no such stratifier"),
        ] {
            for part in group.children_named(name) {
                let mut defined = definition.children_named(name);
                let code = part.child("code");
                if code.is_none() || !defined.any(|one| same_concept(code, one.child("code"))) {
                    self.error(IssueType::NotFound, part, what);
                }
            }
        }
    }
}

/// Whether two concepts share a coding, or have the same text and no coding.
fn same_concept(one: Option<Node<'_>>, other: Option<Node<'_>>) -> bool {
    let (Some(one), Some(other)) = (one, other) else {
        return false;
    };
    let mut codings = one.children_named("coding").peekable();
    if codings.peek().is_none() {
        return one.child_text("text").is_some()
            && one.child_text("text") == other.child_text("text");
    }
    codings.any(|coding| {
        other.children_named("coding").any(|own| {
            own.child_text("code") == coding.child_text("code")
                && own.child_text("system") == coding.child_text("system")
        })
    })
}
