//! The names of types and parameters and their numbers.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::ParamSpec;
use crate::id::{ParamKey, ParamKind, ResourceType};

/// The registered types and parameters of a store at one moment.
#[derive(Debug, Default)]
pub struct Catalog {
    types: HashMap<Arc<str>, ResourceType>,
    type_names: Vec<Arc<str>>,
    params: HashMap<(ResourceType, Arc<str>), ParamKey>,
    defs: Vec<Param>,
}

/// A registered parameter.
#[derive(Clone, Debug)]
pub struct Param {
    /// Its key.
    pub key: ParamKey,
    /// The resource type it belongs to.
    pub resource_type: ResourceType,
    /// Its code in searches.
    pub code: Arc<str>,
    /// How its values are compared.
    pub kind: ParamKind,
    /// Resources stored before it was registered are not indexed by it yet.
    pub building: bool,
}

impl Catalog {
    /// The number of a type.
    #[must_use]
    pub fn resource_type(&self, name: &str) -> Option<ResourceType> {
        self.types.get(name).copied()
    }

    /// The name of a type.
    #[must_use]
    pub fn type_name(&self, resource_type: ResourceType) -> &str {
        let name = self.type_names.get(usize::from(resource_type.0));
        name.map_or("?", |name| name)
    }

    /// All types, in the order of their numbers.
    pub fn types(&self) -> impl Iterator<Item = ResourceType> {
        (0_u16..)
            .zip(&self.type_names)
            .map(|(at, _)| ResourceType(at))
    }

    /// The parameter of a type with a code.
    #[must_use]
    pub fn param(&self, resource_type: ResourceType, code: &str) -> Option<&Param> {
        let key = self.params.get(&(resource_type, Arc::from(code)))?;
        self.definition(*key)
    }

    /// A parameter by its key.
    #[must_use]
    pub fn definition(&self, key: ParamKey) -> Option<&Param> {
        self.defs.get(usize::try_from(key.0).ok()?)
    }

    /// All parameters, in the order of their keys.
    #[must_use]
    pub fn params(&self) -> &[Param] {
        &self.defs
    }

    pub(crate) fn add_type(&mut self, name: Arc<str>) -> Option<ResourceType> {
        let number = ResourceType(u16::try_from(self.type_names.len()).ok()?);
        self.types.insert(name.clone(), number);
        self.type_names.push(name);
        Some(number)
    }

    pub(crate) fn add_param(&mut self, spec: &ParamSpec, building: bool) -> Option<ParamKey> {
        let resource_type = self.resource_type(&spec.resource_type)?;
        let key = ParamKey(u32::try_from(self.defs.len()).ok()?);
        self.params.insert((resource_type, spec.code.clone()), key);
        self.defs.push(Param {
            key,
            resource_type,
            code: spec.code.clone(),
            kind: spec.kind,
            building,
        });
        Some(key)
    }
}
