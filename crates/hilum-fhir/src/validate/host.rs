//! What rules may ask of the world while they are tested.

use hilum_fhirpath::{self as fhirpath, HostError, Item};

use super::Request;
use super::reference;
use crate::definitions::{Definitions, Membership};
use crate::resource::{Node, Resource};

/// Answers from the resource itself, the tables and the caller's terminology.
pub(super) struct Host<'c> {
    pub(super) resource: &'c Resource,
    pub(super) request: &'c Request<'c>,
}

impl fhirpath::Host for Host<'_> {
    fn member_of(&self, item: &Item<'_>, value_set: &str) -> Result<Option<bool>, HostError> {
        let member = |system: Option<&str>, code: &str| match self
            .request
            .terminology
            .member(value_set, system, code)
        {
            Membership::In => Some(true),
            Membership::Out => Some(false),
            Membership::Unknown => None,
        };
        let Item::Node(found) = item else {
            return Ok(item.text().and_then(|code| member(None, &code)));
        };
        let Some(node) = Node::from_id(self.resource, found.id) else {
            return Ok(None);
        };
        let coding = |node: Node<'_>| member(node.child_text("system"), node.child_text("code")?);
        Ok(match node.type_name() {
            "CodeableConcept" => {
                let mut answers = node.children_named("coding").map(coding);
                answers.try_fold(false, |any, one| one.map(|one| any || one))
            }
            "Coding" => coding(node),
            _ => node.text().and_then(|code| member(None, code)),
        })
    }

    fn resolve<'h>(
        &'h self,
        text: &str,
        from: Option<fhirpath::Node<'h>>,
    ) -> Result<Option<fhirpath::Node<'h>>, HostError> {
        let from = from.and_then(|node| Node::from_id(self.resource, node.id));
        let from = from.unwrap_or(self.resource.root());
        Ok(reference::inside(from, text).map(|node| fhirpath::Node {
            tree: self.resource,
            id: node.id(),
        }))
    }

    fn conforms_to(
        &self,
        node: fhirpath::Node<'_>,
        profile: &str,
    ) -> Result<Option<bool>, HostError> {
        let tables = Definitions::r4();
        let node = Node::from_id(self.resource, node.id);
        let wanted = tables.type_at(profile);
        Ok(node
            .zip(wanted)
            .map(|(node, wanted)| tables.is_a(node.type_id(), wanted)))
    }

    fn is_subtype(&self, namespace: &str, name: &str, of: &str) -> bool {
        let tables = Definitions::r4();
        let both = tables.type_named(name).zip(tables.type_named(of));
        namespace == "FHIR" && both.is_some_and(|(name, of)| tables.is_a(name, of))
    }
}
