//! What searches find a resource by, in the store's terms.

use hilum_fhir::Resource;
use hilum_fhir::search::{content_text, extract, narrative_text};
use hilum_fhir_store::{IndexRow, IndexValue, index_values};

use crate::search::table::{CONTENT, TEXT, Table};

/// The index rows of a resource.
pub(crate) fn rows(table: &Table, resource: &Resource) -> Vec<IndexRow> {
    let ty = resource.type_id();
    let mut rows = Vec::with_capacity(32);
    for (id, value) in extract(resource, &table.set).values {
        if let Some(param) = table.key(ty, id) {
            let mut push = |value| rows.push(IndexRow { param, value });
            index_values(value, &mut push);
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
