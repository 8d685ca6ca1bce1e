//! From what a resource says about its search parameters to values of index rows.

use std::borrow::Cow;

use hilum_fhir::search::{ReferenceValue, SearchValue};

use crate::row::{CompositePart, IndexValue};

/// Hands on what a value of a resource is in the store's terms: up to three values.
pub fn index_values(value: SearchValue<'_>, push: &mut dyn FnMut(IndexValue)) {
    match value {
        SearchValue::Token { system, code, text } => {
            if system.is_some() || code.is_some() {
                push(IndexValue::Token {
                    system: owned(system),
                    code: owned(code),
                });
            }
            if let Some(text) = owned(text) {
                push(IndexValue::TokenText(text));
            }
        }
        SearchValue::OfType {
            system,
            code,
            value,
        } => push(IndexValue::OfType {
            system: owned(system),
            code: code.into_owned(),
            value: value.into_owned(),
        }),
        SearchValue::String(text) => push(IndexValue::String(text.into_owned())),
        SearchValue::Date { start_ms, end_ms } => push(IndexValue::Date { start_ms, end_ms }),
        SearchValue::Number { low, high } => push(IndexValue::Number { low, high }),
        SearchValue::Quantity {
            low,
            high,
            system,
            code,
            unit,
        } => push(IndexValue::Quantity {
            low,
            high,
            system: owned(system),
            code: owned(code),
            unit: owned(unit),
        }),
        SearchValue::Reference(reference) => references(*reference, push),
        SearchValue::Uri(text) => {
            // A canonical one is found with its version and without.
            if let Some((url, _)) = text.split_once('|') {
                push(IndexValue::Uri(url.to_owned()));
            }
            push(IndexValue::Uri(text.into_owned()));
        }
        SearchValue::Composite(parts) => {
            let parts = parts.into_iter().map(|part| {
                let mut inner = Vec::new();
                for value in part {
                    index_values(value, &mut |value| inner.push(value));
                }
                CompositePart(inner)
            });
            push(IndexValue::Composite(parts.collect()));
        }
    }
}

/// A reference is local if it names type and id without a server. One with a server is found by its
/// URL: whoever stores resources makes references to itself relative before.
fn references(reference: ReferenceValue<'_>, push: &mut dyn FnMut(IndexValue)) {
    if let Some((system, value)) = reference.identifier {
        push(IndexValue::ReferenceIdentifier {
            system: owned(system),
            value: owned(value),
        });
    }
    match (reference.url, reference.resource_type, reference.id) {
        (Some(url), _, _) => {
            let version = owned(reference.version);
            for below in version.iter().flat_map(|version| versions_above(version)) {
                push(IndexValue::ReferenceUrl {
                    url: url.to_string(),
                    version: Some(below),
                });
            }
            push(IndexValue::ReferenceUrl {
                url: url.into_owned(),
                version,
            });
        }
        (None, Some(resource_type), Some(id)) => push(IndexValue::Reference {
            resource_type: resource_type.into_owned(),
            id: id.into_owned(),
        }),
        (None, _, _) => {}
    }
}

/// Parts of a version that are looked for by `:below`.
const VERSION_PARTS_MAX: usize = 4;

/// `1.*` and `1.2.*` of `1.2.3`: a search for what is below the version 1 finds it by the first one
/// (FHIR R4 search.html#versions). No version is written like this.
fn versions_above(version: &str) -> impl Iterator<Item = String> {
    let dots = version.match_indices('.').take(VERSION_PARTS_MAX);
    dots.filter_map(|(at, _)| version.get(..at).map(version_below))
}

/// What a canonical reference with a version below this one is found by, in the place of its version.
#[must_use]
pub fn version_below(version: &str) -> String {
    format!("{version}.*")
}

fn owned(text: Option<Cow<'_, str>>) -> Option<String> {
    text.map(Cow::into_owned)
}
