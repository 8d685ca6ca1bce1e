//! What FHIR R4 says about itself, as tables: types, elements, rules, value sets, search parameters.
//!
//! [`Definitions::r4`] decodes the committed table once; everything in it is `'static` and found by
//! small copyable ids, so that a parser or a validator looks things up without allocating.
//!
//! - Each type has its elements as its snapshot lists them, inherited ones included, in the order of
//!   the standard. The children of a node come from its *scope*: the element itself where it has
//!   children of its own, the target of its content reference, else the root of its type.
//! - Only resources, data types and primitives are here. Profiles and extensions are not types.
//!
//! It reads no resource and loads no package.

mod decode;
mod element;
mod kind;
mod names;
mod other;
mod systems;
mod terms;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

pub use element::{
    Binding, BindingStrength, Child, ElementDef, ElementId, Invariant, InvariantId, TypeUse,
};
pub use kind::{PrimitiveKind, TypeDef, TypeId, TypeKind};
pub use other::{
    Compartment, CompartmentMember, Operation, SearchComponent, SearchParamDef, SearchParamDefId,
    SearchParamKind,
};
pub use systems::{PlacedCode, code_system};
pub use terms::{Concept, Membership, ValueSetDef};

use names::NameIndex;

/// The tables of one release of FHIR.
#[derive(Debug)]
pub struct Definitions {
    types: Vec<TypeDef>,
    elements: Vec<ElementDef>,
    invariants: Vec<Invariant>,
    value_sets: Vec<ValueSetDef>,
    search_params: Vec<SearchParamDef>,
    compartments: Vec<Compartment>,
    operations: Vec<Operation>,
    names: NameIndex,
    known: KnownTypes,
}

/// Types that code names.
#[derive(Debug, Clone, Copy)]
pub struct KnownTypes {
    /// `Resource`, the type of contained resources and Bundle entries until they are read.
    pub resource: TypeId,
    /// `DomainResource`.
    pub domain_resource: TypeId,
    /// `Element`, the base of all data types.
    pub element: TypeId,
    /// `BackboneElement`.
    pub backbone_element: TypeId,
    /// `Extension`.
    pub extension: TypeId,
    /// `Reference`.
    pub reference: TypeId,
    /// `Bundle`.
    pub bundle: TypeId,
    /// `Coding`.
    pub coding: TypeId,
    /// `Attachment`.
    pub attachment: TypeId,
    /// `Narrative`.
    pub narrative: TypeId,
    /// `string`.
    pub string: TypeId,
    /// `id`.
    pub id: TypeId,
}

static R4: OnceLock<Definitions> = OnceLock::new();

impl Definitions {
    /// The tables of FHIR R4 (4.0.1), decoded at the first call.
    #[must_use]
    pub fn r4() -> &'static Self {
        R4.get_or_init(decode::r4)
    }

    /// The type with this name (`Patient`, `HumanName`, `dateTime`).
    #[must_use]
    pub fn type_named(&self, name: &str) -> Option<TypeId> {
        self.names.type_named(&self.types, name)
    }

    /// The type with this canonical URL, or this name of a type in FHIRPath.
    #[must_use]
    pub fn type_at(&self, url: &str) -> Option<TypeId> {
        let name = url.strip_prefix("http://hl7.org/fhir/StructureDefinition/")?;
        self.type_named(name)
    }

    /// What is said about a type.
    #[must_use]
    pub fn type_def(&self, id: TypeId) -> &TypeDef {
        // Ids come only from these tables; the first type stands in for one from elsewhere.
        self.types.get(id.index()).unwrap_or(&kind::NOTHING)
    }

    /// Every type, in the order of its id.
    pub fn types(&self) -> impl ExactSizeIterator<Item = (TypeId, &TypeDef)> {
        self.types
            .iter()
            .enumerate()
            .map(|(at, def)| (TypeId::at(at), def))
    }

    /// Whether `of` is `base` or derived from it (`Patient` is a `DomainResource`).
    #[must_use]
    pub fn is_a(&self, of: TypeId, base: TypeId) -> bool {
        let mut current = Some(of);
        while let Some(id) = current {
            if id == base {
                return true;
            }
            current = self.type_def(id).base;
        }
        false
    }

    /// Types that code names.
    #[must_use]
    pub fn known(&self) -> &KnownTypes {
        &self.known
    }

    /// What is said about an element.
    #[must_use]
    pub fn element(&self, id: ElementId) -> &ElementDef {
        self.elements.get(id.index()).unwrap_or(&element::NOTHING)
    }

    /// Every element, in the order of its id.
    #[must_use]
    pub fn elements(&self) -> &[ElementDef] {
        &self.elements
    }

    /// The children of a scope in the order of the standard, inherited ones (`id`, `extension`)
    /// included. For a primitive: `id` and `extension`; its value is not an element here.
    pub fn children(&self, scope: ElementId) -> impl ExactSizeIterator<Item = ElementId> + use<> {
        self.element(scope).child_ids()
    }

    /// What a JSON name below a scope means, choices resolved: `valueQuantity` below Observation is
    /// the element `value` with the type Quantity. `resourceType` is not an element.
    #[must_use]
    pub fn child(&self, scope: ElementId, json_name: &str) -> Option<Child> {
        self.names.child(scope, json_name)
    }

    /// The JSON name of an element when it has this type; its plain name if it is not a choice.
    #[must_use]
    pub fn json_name(&self, element: ElementId, ty: TypeId) -> &'static str {
        let def = self.element(element);
        if !def.choice {
            return def.name;
        }
        let use_of_type = def.types.iter().find(|known| known.ty == ty);
        use_of_type.map_or(def.name, |known| known.json_name)
    }

    /// The child for an element that has this type, as [`Self::child`] would find it by name.
    #[must_use]
    pub fn child_of(&self, element: ElementId, ty: TypeId) -> Child {
        let def = self.element(element);
        let scope = if def.children.0 < def.children.1 {
            element
        } else {
            def.content.unwrap_or_else(|| self.type_def(ty).root)
        };
        Child { element, ty, scope }
    }

    /// An element by its path as the standard writes it (`Observation.value[x]`,
    /// `Patient.contact.name`); a walk, for tests, profiles and configuration.
    #[must_use]
    pub fn element_at(&self, path: &str) -> Option<ElementId> {
        let mut parts = path.split('.');
        let mut scope = self.type_def(self.type_named(parts.next()?)?).root;
        for part in parts {
            let name = part.strip_suffix("[x]").unwrap_or(part);
            let inside = self.element(scope);
            let below = if inside.children.0 < inside.children.1 {
                scope
            } else {
                inside.content?
            };
            scope = self
                .children(below)
                .find(|child| self.element(*child).name == name)?;
        }
        Some(scope)
    }

    /// A rule.
    #[must_use]
    pub fn invariant(&self, id: InvariantId) -> &Invariant {
        self.invariants
            .get(usize::from(id.0))
            .unwrap_or(&element::NO_RULE)
    }

    /// Every rule, in the order of its id.
    #[must_use]
    pub fn invariants(&self) -> &[Invariant] {
        &self.invariants
    }

    /// The value set with this URL (a version after `|` is not looked at). Those of required and
    /// extensible bindings are here.
    #[must_use]
    pub fn value_set(&self, url: &str) -> Option<&ValueSetDef> {
        let url = url.split_once('|').map_or(url, |(url, _)| url);
        let at = self
            .value_sets
            .binary_search_by(|set| set.url.cmp(url))
            .ok()?;
        self.value_sets.get(at)
    }

    /// Every value set, sorted by URL.
    #[must_use]
    pub fn value_sets(&self) -> &[ValueSetDef] {
        &self.value_sets
    }

    /// The search parameters that may be used on a resource type, those of `Resource` and
    /// `DomainResource` included, sorted by type and code.
    pub fn search_params(&self, ty: TypeId) -> impl Iterator<Item = &SearchParamDef> {
        self.search_params
            .iter()
            .filter(move |param| self.is_a(ty, param.resource))
    }

    /// Every search parameter, one per resource type it is defined on, in the order of its id.
    #[must_use]
    pub fn all_search_params(&self) -> &[SearchParamDef] {
        &self.search_params
    }

    /// The compartments (FHIR R4 compartmentdefinition.html).
    #[must_use]
    pub fn compartments(&self) -> &[Compartment] {
        &self.compartments
    }

    /// The operations that the standard defines.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }
}
