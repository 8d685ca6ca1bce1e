//! What rules may ask of the world while they are tested.

use hilum_fhirpath::{self as fhirpath, HostError, Item};

use super::Check;
use crate::definitions::{Definitions, Membership};
use crate::resource::Node;

const SYSTEM_TYPES: &[(&str, &str)] = &[
    ("Boolean", "boolean"),
    ("String", "string"),
    ("Integer", "integer"),
    ("Decimal", "decimal"),
    ("Date", "date"),
    ("DateTime", "dateTime"),
    ("Time", "time"),
];

/// Answers from the resource itself, the tables and the caller's terminology.
pub(super) struct Host<'c> {
    pub(super) check: &'c Check<'c>,
}

impl fhirpath::Host for Host<'_> {
    fn member_of(&self, item: &Item<'_>, value_set: &str) -> Result<Option<bool>, HostError> {
        let told = |member: Membership| match member {
            Membership::In => Some(true),
            Membership::Out => Some(false),
            Membership::Unknown => None,
        };
        let Item::Node(found) = item else {
            let terminology = self.check.request.terminology;
            let member = |code: &str| terminology.member(value_set, None, code);
            return Ok(item.text().and_then(|code| told(member(&code))));
        };
        let node = Node::from_id(self.check.resource, found.id);
        Ok(node.and_then(|node| told(self.check.membership(node, value_set))))
    }

    fn resolve<'h>(
        &'h self,
        text: &str,
        from: Option<fhirpath::Node<'h>>,
    ) -> Result<Option<fhirpath::Node<'h>>, HostError> {
        let resource = self.check.resource;
        let from = from.and_then(|node| Node::from_id(resource, node.id));
        let from = from.unwrap_or(resource.root());
        Ok(self
            .check
            .entries
            .inside(from, text)
            .map(|node| fhirpath::Node {
                tree: resource,
                id: node.id(),
            }))
    }

    fn conforms_to(
        &self,
        node: fhirpath::Node<'_>,
        profile: &str,
    ) -> Result<Option<bool>, HostError> {
        let node = Node::from_id(self.check.resource, node.id);
        Ok(node.and_then(|node| self.check.conforms(node, profile)))
    }

    fn is_subtype(&self, namespace: &str, name: &str, of: &str) -> bool {
        let tables = Definitions::r4();
        // Rules of R4 write `Boolean` and `String` for the types of FHIR as well.
        let lower = SYSTEM_TYPES.iter().find(|(system, _)| *system == of);
        let of = lower.map_or(of, |(_, fhir)| fhir);
        let both = tables.type_named(name).zip(tables.type_named(of));
        namespace == "FHIR" && both.is_some_and(|(name, of)| tables.is_a(name, of))
    }
}
