//! From what a resource says about its search parameters to index rows.

use std::borrow::Cow;
use std::collections::HashMap;

use hilum_fhir::definitions::{Definitions, SearchParamKind};
use hilum_fhir::search::{ParamId, ParamSet, ReferenceValue, SearchParam, SearchValue};

use crate::catalog::Catalog;
use crate::config::ParamSpec;
use crate::id::{ParamKey, ParamKind};
use crate::row::{CompositePart, IndexRow, IndexValue};

/// The registered keys of a set of search parameters.
#[derive(Clone, Debug, Default)]
pub struct ParamMap {
    keys: HashMap<ParamId, ParamKey>,
}

/// The parameters of a set as a store registers them. Special ones are computed otherwise and have
/// no rows.
#[must_use]
pub fn param_specs(params: &ParamSet) -> Vec<ParamSpec> {
    params.all().iter().filter_map(spec).collect()
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
    #[must_use]
    pub fn new(catalog: &Catalog, params: &ParamSet) -> Self {
        let key = |param: &SearchParam| {
            let of = catalog.resource_type(type_name(param))?;
            Some((param.id, catalog.param(of, &param.code)?.key))
        };
        Self {
            keys: params.all().iter().filter_map(key).collect(),
        }
    }

    /// The key of a parameter.
    #[must_use]
    pub fn key(&self, param: ParamId) -> Option<ParamKey> {
        self.keys.get(&param).copied()
    }

    /// The index rows of extracted values; those of parameters that are not registered are left out.
    #[must_use]
    pub fn rows(&self, values: &[(ParamId, SearchValue<'_>)]) -> Vec<IndexRow> {
        let mut rows = Vec::with_capacity(values.len() * 2);
        let mut found = Vec::new();
        for (param, value) in values {
            let Some(param) = self.key(*param) else {
                continue;
            };
            index_values(value, &mut found);
            rows.extend(found.drain(..).map(|value| IndexRow { param, value }));
        }
        rows
    }
}

fn index_values(value: &SearchValue<'_>, out: &mut Vec<IndexValue>) {
    match value {
        SearchValue::Token { system, code, text } => {
            if system.is_some() || code.is_some() {
                out.push(IndexValue::Token {
                    system: owned(system),
                    code: owned(code),
                });
            }
            out.extend(owned(text).map(IndexValue::TokenText));
        }
        SearchValue::OfType {
            system,
            code,
            value,
        } => out.push(IndexValue::OfType {
            system: owned(system),
            code: code.to_string(),
            value: value.to_string(),
        }),
        SearchValue::String(text) => out.push(IndexValue::String(text.to_string())),
        SearchValue::Date { start_ms, end_ms } => out.push(IndexValue::Date {
            start_ms: *start_ms,
            end_ms: *end_ms,
        }),
        SearchValue::Number { low, high } => out.push(IndexValue::Number {
            low: *low,
            high: *high,
        }),
        SearchValue::Quantity {
            low,
            high,
            system,
            code,
            unit,
        } => out.push(IndexValue::Quantity {
            low: *low,
            high: *high,
            system: owned(system),
            code: owned(code),
            unit: owned(unit),
        }),
        SearchValue::Reference(reference) => references(reference, out),
        SearchValue::Uri(uri) => {
            // A canonical one is found with its version and without.
            if let Some((url, _)) = uri.split_once('|') {
                out.push(IndexValue::Uri(url.to_owned()));
            }
            out.push(IndexValue::Uri(uri.to_string()));
        }
        SearchValue::Composite(parts) => {
            let part = |values: &Vec<SearchValue<'_>>| {
                let mut of_part = Vec::with_capacity(values.len());
                for value in values {
                    index_values(value, &mut of_part);
                }
                CompositePart(of_part)
            };
            out.push(IndexValue::Composite(parts.iter().map(part).collect()));
        }
    }
}

/// A reference is local if it names type and id without a server. One with a server is found by its
/// URL: whoever stores resources writes references to itself without a server.
fn references(reference: &ReferenceValue<'_>, out: &mut Vec<IndexValue>) {
    if let Some(url) = &reference.url {
        out.push(IndexValue::ReferenceUrl {
            url: url.to_string(),
            version: owned(&reference.version),
        });
    } else if let (Some(resource_type), Some(id)) = (&reference.resource_type, &reference.id) {
        out.push(IndexValue::Reference {
            resource_type: resource_type.to_string(),
            id: id.to_string(),
        });
    }
    if let Some((system, value)) = &reference.identifier {
        out.push(IndexValue::ReferenceIdentifier {
            system: owned(system),
            value: owned(value),
        });
    }
}

fn owned(text: &Option<Cow<'_, str>>) -> Option<String> {
    text.as_deref().map(str::to_owned)
}
