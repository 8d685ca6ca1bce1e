//! What searches find a resource by, in the store's terms.

use hilum_fhir::Resource;
use hilum_fhir::search::{
    ParamSet, ReferenceValue, SearchValue, content_text, extract, narrative_text,
};
use hilum_fhir_store::{CompositePart, IndexRow, IndexValue};

use crate::search::table::{CONTENT, TEXT, Table};

/// The index rows of a resource.
pub(crate) fn rows(table: &Table, params: &ParamSet, resource: &Resource) -> Vec<IndexRow> {
    let ty = resource.type_id();
    let mut rows = Vec::with_capacity(32);
    for (id, value) in extract(resource, params).values {
        if let Some(param) = table.key(ty, id) {
            let mut push = |value| rows.push(IndexRow { param, value });
            values(value, &mut push);
        }
    }
    let mut text = |code: &str, text: String| {
        if let Some(param) = table.param(ty, code).filter(|_| !text.is_empty()) {
            rows.push(IndexRow {
                param: param.key,
                value: IndexValue::FullText(text),
            });
        }
    };
    text(TEXT, narrative_text(resource));
    text(CONTENT, content_text(resource));
    rows
}

fn owned(text: Option<std::borrow::Cow<'_, str>>) -> Option<String> {
    text.map(std::borrow::Cow::into_owned)
}

/// One value of the resource is up to three of the store.
fn values(value: SearchValue<'_>, push: &mut dyn FnMut(IndexValue)) {
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
                    values(value, &mut |value| inner.push(value));
                }
                CompositePart(inner)
            });
            push(IndexValue::Composite(parts.collect()));
        }
    }
}

fn references(reference: ReferenceValue<'_>, push: &mut dyn FnMut(IndexValue)) {
    if let Some((system, value)) = reference.identifier {
        push(IndexValue::ReferenceIdentifier {
            system: owned(system),
            value: owned(value),
        });
    }
    match (reference.url, reference.resource_type, reference.id) {
        (Some(url), _, _) => push(IndexValue::ReferenceUrl {
            url: url.into_owned(),
            version: owned(reference.version),
        }),
        (None, Some(resource_type), Some(id)) => push(IndexValue::Reference {
            resource_type: resource_type.into_owned(),
            id: id.into_owned(),
        }),
        (None, _, _) => {}
    }
}
