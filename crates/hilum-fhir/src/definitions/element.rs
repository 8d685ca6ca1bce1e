//! Elements and the rules on them.

use super::TypeId;

/// An element of a type, by its place in the table; the roots of the types are elements too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ElementId(pub(super) u16);

impl ElementId {
    /// Its place in the table, for side tables.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The element at a place that [`Self::index`] gave, in the low bits of a number.
    pub(crate) const fn at(index: u64) -> Self {
        Self((index & 0xffff) as u16)
    }
}

/// A rule, by its place in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InvariantId(pub(super) u16);

impl InvariantId {
    /// Its place in [`super::Definitions::invariants`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a name below a scope means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Child {
    /// The element.
    pub element: ElementId,
    /// Its type here; a resource inside a resource has `Resource` until its `resourceType` is read.
    pub ty: TypeId,
    /// Where its own children are looked up.
    pub scope: ElementId,
}

/// One type that an element may have.
#[derive(Debug)]
pub struct TypeUse {
    /// The type.
    pub ty: TypeId,
    /// The JSON name of the element with this type (`valueQuantity`).
    pub json_name: &'static str,
    /// Resource types that a Reference or canonical may point at; empty for any.
    pub targets: Vec<TypeId>,
    /// Profiles on the type, of which one must hold (`SimpleQuantity`).
    pub profiles: Vec<&'static str>,
}

/// How strictly a value set holds (FHIR R4 terminologies.html#strength).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BindingStrength {
    /// Shows what could be used.
    Example,
    /// Encouraged.
    Preferred,
    /// Holds if it has a fitting code.
    Extensible,
    /// Holds.
    Required,
}

/// The value set of an element.
#[derive(Debug)]
pub struct Binding {
    /// How strictly it holds.
    pub strength: BindingStrength,
    /// Its canonical URL, with version if the standard states one; empty where it names none.
    pub value_set: &'static str,
}

/// A rule that is written in FHIRPath.
#[derive(Debug)]
pub struct Invariant {
    /// `dom-3`.
    pub key: &'static str,
    /// What it says.
    pub human: &'static str,
    /// The expression, seen from the element.
    pub expression: &'static str,
    /// A broken rule is a warning.
    pub warning: bool,
    /// A broken rule is only bad practice.
    pub best_practice: bool,
}

/// What is said about an element.
#[derive(Debug)]
pub struct ElementDef {
    /// The name without `[x]`; for a root the name of the type.
    pub name: &'static str,
    /// The path as the standard writes it (`Observation.value[x]`).
    pub path: &'static str,
    /// The least number of repetitions.
    pub min: u32,
    /// The most repetitions, `u32::MAX` for `*`.
    pub max: u32,
    /// It has one of several types and its JSON name says which (`value[x]`).
    pub choice: bool,
    /// The types it may have; for a root its own type, for a content reference the target's.
    pub types: Vec<TypeUse>,
    /// The element whose children it has (`contentReference`).
    pub content: Option<ElementId>,
    /// The element it is below; roots have none.
    pub parent: Option<ElementId>,
    /// The value set.
    pub binding: Option<Binding>,
    /// The rules of this element. Those of its type are at the root of the type.
    pub invariants: Vec<InvariantId>,
    /// It belongs to the summary.
    pub is_summary: bool,
    /// It changes the meaning of what holds it.
    pub is_modifier: bool,
    /// In XML it is an attribute (`id` of elements, `url` of extensions).
    pub xml_attribute: bool,
    /// The most characters, where the standard limits them.
    pub max_length: Option<u32>,
    /// First child and the one after the last.
    pub(super) children: (u16, u16),
}

impl ElementDef {
    /// In JSON it is an array.
    #[must_use]
    pub fn is_list(&self) -> bool {
        self.max > 1
    }

    /// Its own children, in the order of the standard.
    #[must_use]
    pub fn child_ids(&self) -> impl ExactSizeIterator<Item = ElementId> + use<> {
        (self.children.0..self.children.1).map(ElementId)
    }

    /// It has children of its own (a backbone element, or the root of a type).
    #[must_use]
    pub fn has_children(&self) -> bool {
        self.children.0 < self.children.1
    }
}

/// Stands where an id from elsewhere finds nothing.
pub(super) static NOTHING: ElementDef = ElementDef {
    name: "",
    path: "",
    min: 0,
    max: 0,
    choice: false,
    types: Vec::new(),
    content: None,
    parent: None,
    binding: None,
    invariants: Vec::new(),
    is_summary: false,
    is_modifier: false,
    xml_attribute: false,
    max_length: None,
    children: (0, 0),
};

pub(super) static NO_RULE: Invariant = Invariant {
    key: "",
    human: "",
    expression: "true",
    warning: true,
    best_practice: true,
};
