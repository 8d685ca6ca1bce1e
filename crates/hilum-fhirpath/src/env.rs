//! What an evaluation gets from outside: the time, the variables, the world, the fuel.

use std::fmt;

use crate::value::{Collection, Item, Moment, Node};

/// Fuel of an evaluation unless the caller says otherwise. One unit is about one step on one item,
/// or 32 bytes of text made; this much takes well below a second.
pub const FUEL_DEFAULT: u64 = 1_000_000;

/// Why a [`Host`] could not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// This host does not offer the function.
    #[error("not available here")]
    Unsupported,
    /// It tried and failed; the text says why and holds no content.
    #[error("{0}")]
    Failed(String),
}

/// Answers what an expression cannot know by itself.
///
/// Methods are called while evaluating, on the evaluating thread, and must not wait for the
/// network: a host answers from what it holds.
pub trait Host: Send + Sync {
    /// Whether the item's code is in a value set; `None` where the value set is not known.
    fn member_of(&self, _item: &Item<'_>, _value_set: &str) -> Result<Option<bool>, HostError> {
        Err(HostError::Unsupported)
    }

    /// The node that a reference found at `from` points to; `None` where there is none.
    fn resolve<'h>(
        &'h self,
        _reference: &str,
        _from: Option<Node<'h>>,
    ) -> Result<Option<Node<'h>>, HostError> {
        Ok(None)
    }

    /// Whether a node conforms to a profile; `None` where that cannot be told.
    fn conforms_to(&self, _node: Node<'_>, _profile: &str) -> Result<Option<bool>, HostError> {
        Err(HostError::Unsupported)
    }

    /// Receives what `trace()` sees. Content must not go to a log.
    fn trace(&self, _name: &str, _items: &Collection<'_>) {}

    /// Whether a type is a kind of another. The default knows the data types of FHIR R4.
    fn is_subtype(&self, namespace: &str, name: &str, of: &str) -> bool {
        namespace == "FHIR" && fhir_subtype(name, of)
    }

    /// Whether there is such a type; an expression that names another fails.
    fn known_type(&self, _namespace: Option<&str>, _name: &str) -> bool {
        true
    }
}

/// Data types of FHIR R4 that specialise another (FHIR R4 datatypes.html).
fn fhir_subtype(name: &str, of: &str) -> bool {
    match of {
        "string" => matches!(name, "code" | "id" | "markdown"),
        "uri" => matches!(name, "url" | "canonical" | "uuid" | "oid"),
        "integer" => matches!(name, "positiveInt" | "unsignedInt"),
        "Quantity" => {
            matches!(
                name,
                "Age" | "Count" | "Distance" | "Duration" | "Money" | "SimpleQuantity"
            )
        }
        _ => false,
    }
}

/// A host that knows nothing of the world.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHost;

impl Host for NoHost {}

/// Looks up the variables that the caller allowed in the expression.
pub trait Variables: Send + Sync {
    /// The value of `%name`; `None` makes the evaluation fail.
    fn variable<'v>(&'v self, name: &str) -> Option<Collection<'v>>;
}

/// No variables at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoVariables;

impl Variables for NoVariables {
    fn variable<'v>(&'v self, _name: &str) -> Option<Collection<'v>> {
        None
    }
}

/// What an evaluation gets from outside.
#[derive(Clone, Copy)]
pub struct Env<'e> {
    /// Answers what needs the world.
    pub host: &'e dyn Host,
    /// What `now()` answers, the same throughout one evaluation.
    pub now: Moment,
    /// The caller's variables.
    pub variables: &'e dyn Variables,
    /// How much work the evaluation may do.
    pub fuel: u64,
    /// What `%resource` answers; the root of the document unless given.
    pub resource: Option<Node<'e>>,
    /// What `%rootResource` answers; the root of the document unless given.
    pub root_resource: Option<Node<'e>>,
}

impl<'e> Env<'e> {
    /// An environment with nothing but the time.
    pub fn new(now: Moment) -> Self {
        Self {
            host: &NoHost,
            now,
            variables: &NoVariables,
            fuel: FUEL_DEFAULT,
            resource: None,
            root_resource: None,
        }
    }

    /// With this host.
    pub fn with_host(self, host: &'e dyn Host) -> Self {
        Self { host, ..self }
    }

    /// With these variables.
    pub fn with_variables(self, variables: &'e dyn Variables) -> Self {
        Self { variables, ..self }
    }

    /// With this much fuel.
    pub fn with_fuel(self, fuel: u64) -> Self {
        Self { fuel, ..self }
    }
}

impl fmt::Debug for Env<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env")
            .field("fuel", &self.fuel)
            .finish_non_exhaustive()
    }
}
