//! Every node once: cardinality, and what each kind of element asks for.

use super::Check;
use crate::definitions::{Definitions, ElementId, PrimitiveKind, TypeId};
use crate::problem::IssueType;
use crate::resource::Node;

impl Check<'_> {
    /// Checks every node of the resource.
    pub(super) fn run(&mut self) {
        for canonical in self.request.asked {
            self.against(self.resource.root(), canonical);
        }
        for node in self.resource.nodes() {
            if self.is_full() {
                return;
            }
            self.node(node);
        }
    }

    fn node(&mut self, node: Node<'_>) {
        let plan = &self.validator.plan;
        let (element, scope) = (node.element_id(), node.scope());
        let at_element = plan.at(element);
        let at_scope = plan.at(scope);
        if let Some((strength, value_set)) = at_element.bound {
            self.binding(node, strength, value_set);
        }
        for rule in &at_element.rules {
            self.rule(node, *rule);
        }
        // What a type, or the target of a content reference, says of itself.
        if scope != element {
            for rule in &at_scope.rules {
                self.rule(node, *rule);
            }
        }
        if node.is_primitive() {
            self.primitive(node);
        } else {
            self.cardinality(node, &at_scope.required);
            self.by_type(node, node.type_id());
        }
    }

    fn primitive(&mut self, node: Node<'_>) {
        // The rule ele-1: what has no value has an extension.
        if node.text().is_none() && node.child("extension").is_none() {
            let text = "ele-1: neither a value nor an extension";
            self.error(IssueType::Invariant, node, text);
        }
        match node.type_def().primitive() {
            Some(PrimitiveKind::Canonical) => self.canonical(node),
            Some(PrimitiveKind::Url) => {
                if let Some(severity) = self.request.example_urls {
                    self.example_url(node, severity);
                }
            }
            Some(PrimitiveKind::String | PrimitiveKind::Markdown) => {
                if let Some(severity) = self.request.markup_in_text {
                    self.markup(node, severity);
                }
            }
            _ => {}
        }
    }

    fn cardinality(&mut self, node: Node<'_>, required: &[ElementId]) {
        let tables = Definitions::r4();
        for wanted in required {
            if !node.children().any(|child| child.element_id() == *wanted) {
                let path = tables.element(*wanted).path;
                self.error(IssueType::Required, node, format!("{path} is required"));
            }
        }
        let mut before = None;
        for child in node.children() {
            let id = child.element_id();
            if before == Some(id) && !child.element().is_list() {
                let path = child.element().path;
                let text = format!("{path} may be there only once");
                self.error(IssueType::Structure, node, text);
            }
            before = Some(id);
        }
    }

    fn by_type(&mut self, node: Node<'_>, ty: TypeId) {
        let tables = Definitions::r4();
        let known = tables.known();
        if ty == known.reference {
            self.reference(node);
        } else if ty == known.narrative {
            self.narrative(node);
        } else if ty == known.extension {
            self.extension(node);
        } else if ty == known.coding {
            self.coding_parts(node);
        } else if ty == known.attachment {
            self.attachment(node);
        } else if node.is_resource() {
            self.stated_profiles(node);
            self.global_profiles(node);
            self.by_resource_type(node);
        } else if node.element().path == "Questionnaire.item"
            || node.element().path == "Questionnaire.item.item"
        {
            self.questionnaire_item(node);
        }
    }

    fn by_resource_type(&mut self, node: Node<'_>) {
        match node.type_name() {
            "Bundle" => self.bundle(node),
            "MeasureReport" => self.measure_report(node),
            "Observation" => self.vital_sign(node),
            "QuestionnaireResponse" => self.questionnaire_response(node),
            "SearchParameter" => self.search_parameter(node),
            "StructureDefinition" => self.structure_definition(node),
            _ => {}
        }
    }
}
