//! Which search parameters each type of resource has, with their keys in the store.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use hilum_fhir::definitions::{Definitions, SearchParamKind, TypeId};
use hilum_fhir::search::{ParamId, ParamSet, SearchParam};
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
pub(crate) struct Param<'t> {
    pub(crate) key: ParamKey,
    pub(crate) def: &'t SearchParam,
}

/// How far a reindex is, for those who ask for a parameter that is not complete yet.
#[derive(Debug, Default)]
pub(crate) struct Building {
    pub(crate) done: AtomicU64,
    pub(crate) total: AtomicU64,
}

/// Parameters of one type by their codes.
type ByCode = HashMap<Cow<'static, str>, (ParamKey, ParamId)>;

/// The types and parameters of a tenant.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) definitions: &'static Definitions,
    pub(crate) set: Arc<ParamSet>,
    /// Numbers of the types in the store.
    stored: HashMap<TypeId, ResourceType>,
    types: HashMap<ResourceType, TypeId>,
    params: HashMap<TypeId, ByCode>,
    /// Those by which not all resources are found yet.
    building: HashMap<TypeId, ByCode>,
    pub(crate) progress: Arc<Building>,
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

fn indexed(set: &ParamSet, ty: TypeId) -> impl Iterator<Item = &SearchParam> {
    set.of(ty).filter(|def| {
        let text = def.code == TEXT || def.code == CONTENT;
        !BUILT_IN.contains(&&*def.code) && (text || !def.expression.is_empty())
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

/// What a store is to be opened with: the types, and the parameters of the standard.
pub(crate) fn specs(definitions: &'static Definitions) -> (Vec<Arc<str>>, Vec<ParamSpec>) {
    let types = resource_types(definitions);
    let specs = specs_of(definitions, &ParamSet::r4(), &|_| true);
    let names = types.iter().map(|(_, name)| Arc::from(*name)).collect();
    (names, specs)
}

/// The parameters beside those of the standard.
pub(crate) fn custom_specs(definitions: &'static Definitions, set: &ParamSet) -> Vec<ParamSpec> {
    let custom: HashSet<ParamId> = set.custom().iter().map(|param| param.id).collect();
    specs_of(definitions, set, &|param| custom.contains(&param.id))
}

fn specs_of(
    definitions: &'static Definitions,
    set: &ParamSet,
    wanted: &dyn Fn(&SearchParam) -> bool,
) -> Vec<ParamSpec> {
    let mut specs = Vec::new();
    for (ty, name) in resource_types(definitions) {
        for def in indexed(set, ty).filter(|def| wanted(def)) {
            let kind = if matches!(&*def.code, TEXT | CONTENT) {
                Some(ParamKind::String)
            } else {
                kind(def.kind)
            };
            specs.extend(kind.map(|kind| ParamSpec {
                resource_type: Arc::from(name),
                code: stored_code(set, def).into(),
                kind,
            }));
        }
    }
    specs
}

/// Between the code of a parameter and what tells its definition from others.
const MARK: char = '~';

/// Whether the store keeps this code for a parameter that is not of the standard.
pub(crate) fn is_custom(stored_code: &str) -> bool {
    stored_code.contains(MARK)
}

/// The code under which the store keeps a parameter. One that is not of the standard carries a
/// number that is made of its definition: a definition that changes is another parameter, which has
/// to be built, however the change came about.
fn stored_code<'p>(set: &ParamSet, param: &'p SearchParam) -> Cow<'p, str> {
    if !set.custom().iter().any(|own| own.id == param.id) {
        return Cow::Borrowed(&*param.code);
    }
    // FNV-1a, because the number has to be the same in every build.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut take = |text: &str| {
        for byte in text.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    take(param.kind.code());
    take(&param.expression);
    for (id, expression) in &param.components {
        let inner = set.get(*id);
        take(inner.map_or("", |inner| inner.kind.code()));
        take(expression);
    }
    Cow::Owned(format!("{}{MARK}{hash:016x}", param.code))
}

impl Table {
    pub(crate) fn new(
        definitions: &'static Definitions,
        set: Arc<ParamSet>,
        catalog: &Catalog,
        progress: Arc<Building>,
    ) -> Self {
        let mut table = Self {
            definitions,
            set: Arc::clone(&set),
            stored: HashMap::new(),
            types: HashMap::new(),
            params: HashMap::new(),
            building: HashMap::new(),
            progress,
            keys: HashMap::new(),
        };
        for (ty, name) in resource_types(definitions) {
            let Some(stored) = catalog.resource_type(name) else {
                continue;
            };
            table.stored.insert(ty, stored);
            table.types.insert(stored, ty);
            let (mut own, mut building) = (ByCode::new(), ByCode::new());
            for def in indexed(&set, ty) {
                if let Some(param) = catalog.param(stored, &stored_code(&set, def)) {
                    let into = if param.building {
                        &mut building
                    } else {
                        &mut own
                    };
                    into.insert(def.code.clone(), (param.key, def.id));
                    table.keys.insert((ty, def.id), param.key);
                }
            }
            table.params.insert(ty, own);
            if !building.is_empty() {
                table.building.insert(ty, building);
            }
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

    fn known(&self, (key, id): (ParamKey, ParamId)) -> Option<Param<'_>> {
        let def = self.set.get(id)?;
        Some(Param { key, def })
    }

    /// A parameter by which all resources of a type are found.
    pub(crate) fn param(&self, ty: TypeId, code: &str) -> Option<Param<'_>> {
        self.known(*self.params.get(&ty)?.get(code)?)
    }

    /// A parameter that is not complete yet, which no search uses.
    pub(crate) fn building(&self, ty: TypeId, code: &str) -> Option<Param<'_>> {
        self.known(*self.building.get(&ty)?.get(code)?)
    }

    /// Every parameter beside those of the standard, with its type and whether it is complete.
    pub(crate) fn custom(&self) -> Vec<(TypeId, Param<'_>, bool)> {
        let custom = self.set.custom();
        let first = custom.first().map(|param| param.id);
        let mut found = Vec::new();
        for (all, complete) in [(&self.params, true), (&self.building, false)] {
            for (ty, own) in all {
                let own = own
                    .values()
                    .filter(|(_, id)| first.is_some_and(|first| *id >= first));
                let known = own.filter_map(|known| Some((*ty, self.known(*known)?, complete)));
                found.extend(known);
            }
        }
        found.sort_by_key(|(ty, param, _)| (self.name(*ty), &*param.def.code));
        found
    }

    /// The key of a parameter that is taken out of resources of a type.
    pub(crate) fn key(&self, ty: TypeId, id: ParamId) -> Option<ParamKey> {
        self.keys.get(&(ty, id)).copied()
    }

    /// The parameters of a type in the order of their codes.
    pub(crate) fn params(&self, ty: TypeId) -> Vec<Param<'_>> {
        let own = self.params.get(&ty).into_iter().flat_map(HashMap::values);
        let mut own: Vec<Param<'_>> = own.filter_map(|known| self.known(*known)).collect();
        own.sort_by_key(|param| &*param.def.code);
        own
    }

    /// The codes that may be written for a type, for suggestions.
    pub(crate) fn codes(&self, ty: TypeId) -> impl Iterator<Item = &str> {
        self.params
            .get(&ty)
            .into_iter()
            .flat_map(|own| own.keys().map(|code| &**code))
    }

    /// The types that a reference parameter may point at.
    pub(crate) fn targets(&self, def: &SearchParam) -> Vec<TypeId> {
        if def.targets.is_empty() || def.targets.contains(&self.definitions.known().resource) {
            return self.all();
        }
        let known = |ty: &&TypeId| self.stored.contains_key(ty);
        def.targets.iter().filter(known).copied().collect()
    }
}
