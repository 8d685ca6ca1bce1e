//! Every node once: cardinality, and what each kind of element asks for.

use super::Check;
use crate::definitions::{Definitions, ElementId, TypeId};
use crate::problem::IssueType;
use crate::resource::Node;

impl Check<'_> {
    /// Checks every node of the resource.
    pub(super) fn run(&mut self) {
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
        if !node.is_primitive() {
            self.cardinality(node, &at_scope.required);
        }
        self.by_type(node, node.type_id());
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
        } else if node.is_resource() && node.type_name() == "Bundle" {
            self.bundle(node);
        }
    }
}
