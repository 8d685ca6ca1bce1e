//! What expressions over resources get from the tables: which types there are and which of them
//! are kinds of others.

use hilum_fhirpath::{Host, HostError, Node};

use crate::definitions::Definitions;

/// A host that knows the types of R4 and nothing of the world.
#[derive(Clone, Copy, Debug, Default)]
pub struct R4Types;

/// Whether a type is a kind of another; for hosts that know more than types.
#[must_use]
pub fn is_subtype(namespace: &str, name: &str, of: &str) -> bool {
    let tables = Definitions::r4();
    namespace == "FHIR"
        && match (tables.type_named(name), tables.type_named(of)) {
            (Some(name), Some(of)) => tables.is_a(name, of),
            _ => false,
        }
}

/// Whether there is such a type; for hosts that know more than types. A name with a namespace may
/// name a type that no item has.
#[must_use]
pub fn known_type(namespace: Option<&str>, name: &str) -> bool {
    namespace.is_some() || Definitions::r4().type_named(name).is_some() || SYSTEM.contains(&name)
}

/// The types of FHIRPath itself that are no types of FHIR too (FHIRPath N1 §5.1).
const SYSTEM: [&str; 9] = [
    "Any", "Boolean", "String", "Integer", "Decimal", "Date", "DateTime", "Time", "TypeInfo",
];

/// Whether a node conforms to a profile that is the definition of a type; `None` for another.
#[must_use]
pub fn conforms_to_type(node: Node<'_>, profile: &str) -> Option<bool> {
    let wanted = Definitions::r4().type_at(profile)?;
    let (namespace, name) = node.tree.type_of(node.id)?;
    let wanted = Definitions::r4().type_def(wanted).name;
    Some(name == wanted || is_subtype(&namespace, &name, wanted))
}

impl Host for R4Types {
    fn is_subtype(&self, namespace: &str, name: &str, of: &str) -> bool {
        is_subtype(namespace, name, of)
    }

    fn known_type(&self, namespace: Option<&str>, name: &str) -> bool {
        known_type(namespace, name)
    }

    fn conforms_to(&self, node: Node<'_>, profile: &str) -> Result<Option<bool>, HostError> {
        match conforms_to_type(node, profile) {
            Some(answer) => Ok(Some(answer)),
            None => Err(HostError::Unsupported),
        }
    }
}
