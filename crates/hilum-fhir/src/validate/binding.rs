//! Codes against the value sets of their elements (FHIR R4 terminologies.html#strength).

use super::Check;
use crate::definitions::{BindingStrength, Membership};
use crate::problem::{IssueType, Severity};
use crate::resource::Node;

impl Check<'_> {
    /// Checks what is at a node against a value set. An extensible one is not broken by text alone,
    /// and a code outside it may have its reasons: a warning.
    pub(super) fn binding(&mut self, node: Node<'_>, strength: BindingStrength, value_set: &str) {
        let severity = match strength {
            BindingStrength::Required => Severity::Error,
            BindingStrength::Extensible => Severity::Warning,
            BindingStrength::Preferred | BindingStrength::Example => return,
        };
        let found = self.membership(node, value_set);
        if found == Membership::Out {
            let url = value_set.split('|').next().unwrap_or(value_set);
            let text = match node.type_name() {
                "CodeableConcept" if !node.children_named("coding").any(has_code) => {
                    if strength != BindingStrength::Required {
                        return;
                    }
                    format!("a code of the value set {url} is required")
                }
                _ => format!("not a code of the value set {url}"),
            };
            self.report(severity, IssueType::CodeInvalid, node, text);
        }
    }

    /// Whether what is at a node is in a value set.
    pub(super) fn membership(&self, node: Node<'_>, value_set: &str) -> Membership {
        match node.type_name() {
            "CodeableConcept" => self.concept(node, value_set),
            "Coding" | "Quantity" | "Age" | "Duration" | "Money" => self.coding(node, value_set),
            _ => match node.text() {
                Some(code) => self.request.terminology.member(value_set, None, code),
                None => Membership::Unknown,
            },
        }
    }

    /// One coding in the value set is enough; one that cannot be told leaves it open.
    fn concept(&self, node: Node<'_>, value_set: &str) -> Membership {
        let mut answer = Membership::Out;
        for coding in node.children_named("coding") {
            match self.coding(coding, value_set) {
                Membership::In => return Membership::In,
                Membership::Unknown => answer = Membership::Unknown,
                Membership::Out => {}
            }
        }
        answer
    }

    fn coding(&self, node: Node<'_>, value_set: &str) -> Membership {
        match node.child_text("code") {
            // A code without system is in no value set of codings.
            Some(code) => {
                let system = node.child_text("system").unwrap_or_default();
                self.request
                    .terminology
                    .member(value_set, Some(system), code)
            }
            None if node.type_name() == "Coding" => Membership::Out,
            None => Membership::Unknown,
        }
    }
}

fn has_code(coding: Node<'_>) -> bool {
    coding.child("code").is_some()
}
