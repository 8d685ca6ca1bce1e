//! What expressions over resources get from the tables: which types there are and which of them
//! are kinds of others.

use hilum_fhirpath::{Host, HostError, Node, Shape, Shapes};

use crate::definitions::{Definitions, ElementId, TypeId};

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

/// The types of R4 as what the names of an expression are held against.
///
/// A shape is a scope of the tables (where names are looked up) and the type that stands there.
#[derive(Clone, Copy, Debug, Default)]
pub struct R4Shapes;

impl R4Shapes {
    /// The shape of a type.
    #[must_use]
    pub fn of(ty: TypeId) -> Shape {
        shape(Definitions::r4().type_def(ty).root, ty)
    }
}

fn shape(scope: ElementId, ty: TypeId) -> Shape {
    Shape((ty.index() as u64) << 32 | scope.index() as u64)
}

fn type_of(shape: Shape) -> Option<TypeId> {
    let at = usize::try_from(shape.0 >> 32).ok()?;
    (at < Definitions::r4().types().len()).then(|| TypeId::at(at))
}

impl Shapes for R4Shapes {
    fn child(&self, of: Shape, name: &str) -> Option<Vec<Shape>> {
        let tables = Definitions::r4();
        let ty = type_of(of)?;
        if tables.type_def(ty).primitive().is_some() && name == "value" {
            return Some(Vec::new());
        }
        let scope = ElementId::at(of.0);
        let found = tables
            .children(scope)
            .find(|child| tables.element(*child).name == name)?;
        let types = &tables.element(found).types;
        if types.iter().any(|one| tables.type_def(one.ty).is_abstract) {
            return Some(Vec::new());
        }
        let each = types.iter().map(|one| {
            let child = tables.child_of(found, one.ty);
            shape(child.scope, one.ty)
        });
        Some(each.collect())
    }

    fn named(&self, namespace: Option<&str>, name: &str) -> Option<Shape> {
        let known = namespace.is_none_or(|namespace| namespace == "FHIR");
        Definitions::r4()
            .type_named(name)
            .filter(|_| known)
            .map(Self::of)
    }

    fn is(&self, shape: Shape, ty: Shape) -> bool {
        match (type_of(shape), type_of(ty)) {
            (Some(own), Some(ty)) => Definitions::r4().is_a(own, ty),
            _ => false,
        }
    }
}
