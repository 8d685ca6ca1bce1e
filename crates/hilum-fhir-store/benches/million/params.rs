//! Search parameters by the type that defines them, and their keys in the store.

use std::collections::HashMap;

use hilum_fhir::definitions::{Definitions, SearchParamKind};
use hilum_fhir::search::{ParamId, ParamSet, SearchParam, SearchValue};
use hilum_fhir_store::{Catalog, IndexRow, ParamKey, ParamKind, ParamSpec, index_values};

/// The registered keys of a set of search parameters.
#[derive(Clone, Debug, Default)]
pub(crate) struct ParamMap {
    keys: HashMap<ParamId, ParamKey>,
}

/// The parameters of a set as a store registers them. Special ones are computed otherwise and have
/// no rows.
pub(crate) fn param_specs(params: &ParamSet) -> Vec<ParamSpec> {
    params.all().filter_map(spec).collect()
}

fn spec(param: &SearchParam) -> Option<ParamSpec> {
    Some(ParamSpec {
        resource_type: type_name(param).into(),
        code: param.code.as_ref().into(),
        kind: kind(param.kind)?,
    })
}

fn type_name(param: &SearchParam) -> &'static str {
    Definitions::r4().type_def(param.resource).name
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

impl ParamMap {
    /// The keys that a store has for the parameters of a set.
    pub(crate) fn new(catalog: &Catalog, params: &ParamSet) -> Self {
        let key = |param: &SearchParam| {
            let of = catalog.resource_type(type_name(param))?;
            Some((param.id, catalog.param(of, &param.code)?.key))
        };
        Self {
            keys: params.all().filter_map(key).collect(),
        }
    }

    /// The key of a parameter.
    pub(crate) fn key(&self, param: ParamId) -> Option<ParamKey> {
        self.keys.get(&param).copied()
    }

    /// The index rows of extracted values; those of parameters that are not registered are left out.
    pub(crate) fn rows(&self, values: Vec<(ParamId, SearchValue<'_>)>) -> Vec<IndexRow> {
        let mut rows = Vec::with_capacity(values.len() * 2);
        for (param, value) in values {
            if let Some(param) = self.key(param) {
                index_values(value, &mut |value| rows.push(IndexRow { param, value }));
            }
        }
        rows
    }
}
