//! What a component says about itself: docs, editor schema, console form and `hilum check` come
//! from here alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::{
    BuildContext, DestinationFactory, Format, FormatOptions, Problem, SourceFactory, Step,
};

/// The kinds of component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ComponentKind {
    /// A format of messages.
    Format,
    /// A source.
    Source,
    /// A step.
    Step,
    /// A destination.
    Destination,
}

/// What building a component gives: itself, or all that is wrong with its configuration.
pub type Built<T> = Result<T, Vec<Problem>>;

/// How a component is made from its checked configuration.
#[derive(Clone, Copy)]
pub enum Build {
    /// A format.
    Format(fn(&FormatOptions) -> Result<Arc<dyn Format>, String>),
    /// A source: the factory makes one each time the channel starts.
    Source(fn(&Value, &BuildContext<'_>) -> Built<SourceFactory>),
    /// A step.
    Step(fn(&Value, &BuildContext<'_>) -> Built<Arc<dyn Step>>),
    /// A destination: the factory makes one each time the channel starts.
    Destination(fn(&Value, &BuildContext<'_>) -> Built<DestinationFactory>),
}

impl std::fmt::Debug for Build {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Build")
    }
}

/// A component, described once.
#[derive(Clone, Debug)]
pub struct ComponentSpec {
    /// The key by which configuration chooses it.
    pub name: &'static str,
    /// One line of what it does.
    pub summary: &'static str,
    /// The JSON schema of its configuration; see [`crate::value`] for the formats it may name.
    pub schema: fn() -> Value,
    /// The key that a bare value stands for (`filter: EXPR` means `filter: { if: EXPR }`).
    pub shorthand: Option<&'static str>,
    /// Examples, each of which is a test.
    pub examples: &'static [Example],
    /// What it does not do, and its bounds.
    pub limits: &'static [Limit],
    /// How it is made.
    pub build: Build,
}

impl ComponentSpec {
    /// What kind of component it is.
    #[must_use]
    pub const fn kind(&self) -> ComponentKind {
        match self.build {
            Build::Format(_) => ComponentKind::Format,
            Build::Source(_) => ComponentKind::Source,
            Build::Step(_) => ComponentKind::Step,
            Build::Destination(_) => ComponentKind::Destination,
        }
    }
}

/// A piece of configuration that shows how a component is used.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// What it shows.
    pub title: &'static str,
    /// YAML, as it stands in a channel file.
    pub yaml: &'static str,
    /// For steps: what goes in and what comes out.
    pub effect: Option<StepExample>,
}

/// A message before and after a step.
#[derive(Clone, Copy, Debug)]
pub struct StepExample {
    /// The name of the format.
    pub format: &'static str,
    /// The message before, with `\n` for the format's line end.
    pub before: &'static str,
    /// The message after; empty if it is filtered or rejected.
    pub after: &'static str,
    /// Other files of the site that the example needs: name and content.
    pub files: &'static [(&'static str, &'static str)],
}

/// A bound of a component.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Its name, which is the key that sets it where it can be set.
    pub name: &'static str,
    /// Its default.
    pub value: &'static str,
    /// What happens beyond it.
    pub beyond: &'static str,
}

/// The components that a program was built with.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    components: BTreeMap<(ComponentKind, &'static str), Arc<ComponentSpec>>,
}

impl Registry {
    /// A registry of the given components.
    pub fn new(specs: impl IntoIterator<Item = ComponentSpec>) -> Self {
        let components = specs
            .into_iter()
            .map(|spec| ((spec.kind(), spec.name), Arc::new(spec)));
        Self {
            components: components.collect(),
        }
    }

    /// A component by kind and name.
    #[must_use]
    pub fn get(&self, kind: ComponentKind, name: &str) -> Option<&Arc<ComponentSpec>> {
        self.components
            .iter()
            .find(|((k, n), _)| *k == kind && *n == name)
            .map(|(_, spec)| spec)
    }

    /// All components of a kind, by name.
    pub fn of_kind(&self, kind: ComponentKind) -> impl Iterator<Item = &Arc<ComponentSpec>> {
        self.components
            .iter()
            .filter(move |((k, _), _)| *k == kind)
            .map(|(_, spec)| spec)
    }

    /// Makes a format.
    pub fn format(&self, name: &str, options: &FormatOptions) -> Result<Arc<dyn Format>, String> {
        match self.get(ComponentKind::Format, name).map(|spec| spec.build) {
            Some(Build::Format(build)) => build(options),
            _ => Err(format!("no such format `{name}`")),
        }
    }
}
