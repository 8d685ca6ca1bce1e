//! Profiles: what a StructureDefinition asks of resources beyond the standard, compiled once.
//!
//! A profile is a sparse tree of [`Constraint`]s: only elements that it or its bases constrain are
//! there, everything else is the standard's business. A derived profile starts as a copy of its
//! base and its differential is laid over it, so that no snapshot is needed.
//!
//! Invariant: compiling ends on any input; what cannot be understood constrains nothing and is
//! counted in [`Profile::ignored`].

mod compile;
mod set;
mod standard;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use hilum_fhirpath::Expression;

use crate::definitions::{BindingStrength, ElementId, TypeId};
use crate::resource::{Node, Resource};

pub use set::{Profiles, ProfilesBuilder};
pub(crate) use standard::resource as standard_resource;

/// A profile on a resource or data type; extensions are profiles too.
#[derive(Debug)]
pub struct Profile {
    /// Its canonical URL.
    pub url: String,
    /// Its version.
    pub version: Option<String>,
    /// The type that it constrains.
    pub ty: TypeId,
    /// Where an extension may stand.
    pub contexts: Vec<Context>,
    /// Rules on where an extension may stand.
    pub context_rules: Vec<Expression>,
    /// What it asks.
    pub root: Constraint,
    /// How many statements of it were not understood.
    pub ignored: usize,
}

/// A place where an extension may stand (FHIR R4 defining-extensions.html#context).
#[derive(Debug)]
pub enum Context {
    /// An element or type by its path.
    Element(String),
    /// The extension with this URL.
    Extension(String),
    /// What an expression selects.
    FhirPath(Expression),
}

/// What is asked of an element.
#[derive(Debug, Clone, Default)]
pub struct Constraint {
    /// The name of the element without `[x]`; of a root the type.
    pub name: String,
    /// It is the root of its profile.
    pub is_root: bool,
    /// The name of the slice, where it is one.
    pub slice: Option<String>,
    /// The least number.
    pub min: Option<u32>,
    /// The greatest number.
    pub max: Option<u32>,
    /// The types it may have; empty for those of the standard.
    pub types: Vec<TypeLimit>,
    /// The value it has.
    pub given: Option<Given>,
    /// A value set.
    pub binding: Option<(BindingStrength, String)>,
    /// Rules.
    pub rules: Vec<Arc<ProfileRule>>,
    /// The most characters.
    pub max_length: Option<usize>,
    /// The fewest characters (the extension `minLength`).
    pub min_length: Option<usize>,
    /// The least value.
    pub min_value: Option<Value>,
    /// The greatest value.
    pub max_value: Option<Value>,
    /// How its repetitions are told apart.
    pub slicing: Option<Slicing>,
    /// What is asked of each kind of repetition; of a slice, of the kinds in it (`a/b` in `a`).
    pub slices: Vec<Constraint>,
    /// What is asked of its children.
    pub children: Vec<Constraint>,
    /// Where the names of its children are looked up.
    pub(crate) scope: Option<ElementId>,
}

/// A type that an element may have.
#[derive(Debug, Clone, Default)]
pub struct TypeLimit {
    /// The type.
    pub ty: Option<TypeId>,
    /// Profiles of which one must hold.
    pub profiles: Vec<String>,
    /// Profiles of which one must hold for the target of a reference.
    pub targets: Vec<String>,
    /// How a reference may be aggregated (`contained`, `referenced`, `bundled`); empty for any.
    pub aggregation: Vec<String>,
}

/// How the repetitions of an element are told apart (FHIR R4 profiling.html#slicing).
#[derive(Debug, Clone, Default)]
pub struct Slicing {
    /// What tells them apart.
    pub discriminators: Vec<Discriminator>,
    /// They come in the order of the profile.
    pub ordered: bool,
    /// Whether others may be there.
    pub rules: SlicingRules,
}

/// Whether repetitions that are in no slice are allowed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SlicingRules {
    /// Anywhere.
    #[default]
    Open,
    /// At the end.
    OpenAtEnd,
    /// No.
    Closed,
}

/// What tells slices apart.
#[derive(Debug, Clone)]
pub struct Discriminator {
    /// What is looked at.
    pub kind: DiscriminatorKind,
    /// Where it is looked at.
    pub path: Vec<Step>,
}

/// What a discriminator looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiscriminatorKind {
    /// The value, or the pattern of it.
    Value,
    /// Whether it is there.
    Exists,
    /// The type.
    Type,
    /// The profile.
    Profile,
    /// What this program does not understand: nothing is told by it.
    Unknown,
}

/// A step of a discriminator's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The children with this name.
    Child(String),
    /// The extensions with this URL.
    Extension(String),
    /// What a reference leads to.
    Resolve,
    /// Those of this type.
    OfType(String),
}

/// A rule of a profile.
#[derive(Debug)]
pub struct ProfileRule {
    /// Its key.
    pub key: String,
    /// What it says.
    pub human: String,
    /// A broken rule is a warning.
    pub warning: bool,
    /// The expression.
    pub expression: Expression,
}

/// Whether more than the given value may be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// `fixed[x]`: nothing more.
    Exactly,
    /// `pattern[x]`: at least that.
    AtLeast,
}

/// A value that an element has to have.
#[derive(Debug, Clone)]
pub struct Given {
    /// How closely.
    pub fit: Fit,
    /// The value.
    pub value: Value,
}

/// A value in the StructureDefinition it was read from.
#[derive(Clone)]
pub struct Value {
    source: Arc<Resource>,
    index: u32,
}

impl Value {
    pub(crate) fn new(source: &Arc<Resource>, node: Node<'_>) -> Self {
        Self {
            source: Arc::clone(source),
            index: node.index(),
        }
    }

    /// The value as a node.
    #[must_use]
    pub fn node(&self) -> Node<'_> {
        Node::new(&self.source, self.index)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Value").field(&self.node()).finish()
    }
}

impl Constraint {
    /// The constraint on a child.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }
}
