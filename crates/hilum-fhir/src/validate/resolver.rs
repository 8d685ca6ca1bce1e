//! What a validator asks about other resources.

use std::sync::Arc;

use crate::definitions::TypeId;
use crate::resource::Resource;

/// What is known about the target of a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// There is such a resource, of this type.
    Found(TypeId),
    /// There is none.
    Missing,
    /// Nobody looked.
    Unknown,
}

/// Knows resources beyond the one that is validated. It must not wait for the network.
pub trait Resolver: Send + Sync {
    /// What a reference out of the resource leads to; contained resources and entries of the same
    /// Bundle are not asked for.
    fn target(&self, reference: &str) -> Target;

    /// The definition with a canonical URL (a Questionnaire, a Measure), where it is at hand.
    fn canonical(&self, _url: &str) -> Option<Arc<Resource>> {
        None
    }
}

/// Knows nothing beyond the resource.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoResolver;

impl Resolver for NoResolver {
    fn target(&self, _reference: &str) -> Target {
        Target::Unknown
    }
}
