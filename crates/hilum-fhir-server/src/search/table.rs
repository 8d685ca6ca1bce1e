//! Which search parameters each type of resource has, with their keys in the store.

use std::collections::HashMap;
use std::sync::Arc;

use hilum_fhir::definitions::{Definitions, SearchParamDef, SearchParamKind, TypeId};
use hilum_fhir::search::ParamId;
use hilum_fhir_store::{Catalog, ParamKey, ParamKind, ParamSpec, ResourceType};

/// Parameters of the standard that are answered in another way than by an index of their own.
const BUILT_IN: [&str; 10] = [
    "_id",
    "_lastUpdated",
    "_type",
    "_list",
    "_has",
    "_filter",
    "_query",
    "_contained",
    "_containedType",
    "near",
];

/// Text of the narrative, and of everything: indexes that the standard names without an expression.
pub(crate) const TEXT: &str = "_text";
pub(crate) const CONTENT: &str = "_content";

/// A search parameter of one type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Param {
    pub(crate) key: ParamKey,
    pub(crate) def: &'static SearchParamDef,
}

/// The types and parameters of a tenant.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) definitions: &'static Definitions,
    /// Numbers of the types in the store.
    stored: HashMap<TypeId, ResourceType>,
    types: HashMap<ResourceType, TypeId>,
    params: HashMap<TypeId, HashMap<&'static str, Param>>,
    /// Keys by what is taken out of resources.
    keys: HashMap<(TypeId, ParamId), ParamKey>,
}

/// The types of resources that there can be, in the order of their names.
pub(crate) fn resource_types(definitions: &'static Definitions) -> Vec<(TypeId, &'static str)> {
    let mut types: Vec<(TypeId, &'static str)> = definitions
        .types()
        .filter(|(_, def)| def.is_resource() && !def.is_abstract)
        .map(|(id, def)| (id, def.name))
        .collect();
    types.sort_by_key(|(_, name)| *name);
    types
}

fn indexed(
    definitions: &'static Definitions,
    ty: TypeId,
) -> impl Iterator<Item = &'static SearchParamDef> {
    definitions.search_params(ty).filter(|def| {
        let text = def.code == TEXT || def.code == CONTENT;
        !BUILT_IN.contains(&def.code) && (text || !def.expression.is_empty())
    })
}

const fn kind(kind: SearchParamKind) -> Option<ParamKind> {
    Some(match kind {
        SearchParamKind::Number => ParamKind::Number,
        SearchParamKind::Date => ParamKind::Date,
        SearchParamKind::String => ParamKind::String,
        SearchParamKind::Token => ParamKind::Token,
        SearchParamKind::Reference => ParamKind::Reference,
        SearchParamKind::Composite => ParamKind::Composite,
        SearchParamKind::Quantity => ParamKind::Quantity,
        SearchParamKind::Uri => ParamKind::Uri,
        SearchParamKind::Special => return None,
    })
}

/// What a store is to be opened with.
pub(crate) fn specs(definitions: &'static Definitions) -> (Vec<Arc<str>>, Vec<ParamSpec>) {
    let types = resource_types(definitions);
    let mut specs = Vec::new();
    for (ty, name) in &types {
        for def in indexed(definitions, *ty) {
            let kind = if matches!(def.code, TEXT | CONTENT) {
                Some(ParamKind::String)
            } else {
                kind(def.kind)
            };
            specs.extend(kind.map(|kind| ParamSpec {
                resource_type: Arc::from(*name),
                code: Arc::from(def.code),
                kind,
            }));
        }
    }
    let names = types.iter().map(|(_, name)| Arc::from(*name)).collect();
    (names, specs)
}

impl Table {
    pub(crate) fn new(definitions: &'static Definitions, catalog: &Catalog) -> Self {
        let mut table = Self {
            definitions,
            stored: HashMap::new(),
            types: HashMap::new(),
            params: HashMap::new(),
            keys: HashMap::new(),
        };
        for (ty, name) in resource_types(definitions) {
            let Some(stored) = catalog.resource_type(name) else {
                continue;
            };
            table.stored.insert(ty, stored);
            table.types.insert(stored, ty);
            let mut own = HashMap::new();
            for def in indexed(definitions, ty) {
                if let Some(param) = catalog.param(stored, def.code) {
                    let key = param.key;
                    own.insert(def.code, Param { key, def });
                    // The parameters of R4 have the same numbers in both tables.
                    let id = ParamId(u32::try_from(def.id.index()).unwrap_or(u32::MAX));
                    table.keys.insert((ty, id), key);
                }
            }
            table.params.insert(ty, own);
        }
        table
    }

    /// The number of a type in the store.
    pub(crate) fn stored(&self, ty: TypeId) -> Option<ResourceType> {
        self.stored.get(&ty).copied()
    }

    /// The type of a number in the store.
    pub(crate) fn type_of(&self, stored: ResourceType) -> Option<TypeId> {
        self.types.get(&stored).copied()
    }

    pub(crate) fn name(&self, ty: TypeId) -> &'static str {
        self.definitions.type_def(ty).name
    }

    /// A type of resource that can be stored.
    pub(crate) fn type_named(&self, name: &str) -> Option<TypeId> {
        let ty = self.definitions.type_named(name)?;
        self.stored.contains_key(&ty).then_some(ty)
    }

    /// Every type of resource, in the order of their names.
    pub(crate) fn all(&self) -> Vec<TypeId> {
        let mut types: Vec<TypeId> = self.stored.keys().copied().collect();
        types.sort_by_key(|ty| self.name(*ty));
        types
    }

    pub(crate) fn param(&self, ty: TypeId, code: &str) -> Option<Param> {
        self.params.get(&ty)?.get(code).copied()
    }

    /// The key of a parameter that is taken out of resources of a type.
    pub(crate) fn key(&self, ty: TypeId, id: ParamId) -> Option<ParamKey> {
        self.keys.get(&(ty, id)).copied()
    }

    /// The parameters of a type in the order of their codes.
    pub(crate) fn params(&self, ty: TypeId) -> Vec<Param> {
        let own = self.params.get(&ty).map(HashMap::values);
        let mut own: Vec<Param> = own.into_iter().flatten().copied().collect();
        own.sort_by_key(|param| param.def.code);
        own
    }

    /// The codes that may be written for a type, for suggestions.
    pub(crate) fn codes(&self, ty: TypeId) -> impl Iterator<Item = &'static str> {
        self.params
            .get(&ty)
            .into_iter()
            .flat_map(|own| own.keys().copied())
    }

    /// The types that a reference parameter may point at.
    pub(crate) fn targets(&self, def: &SearchParamDef) -> Vec<TypeId> {
        if def.targets.is_empty() || def.targets.contains(&self.definitions.known().resource) {
            return self.all();
        }
        let known = |ty: &&TypeId| self.stored.contains_key(ty);
        def.targets.iter().filter(known).copied().collect()
    }
}
