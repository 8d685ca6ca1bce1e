//! What searches find a resource by, in the store's terms.

use hilum_fhir::search::{content_text, extract, narrative_text};
use hilum_fhir::{Resource, Style, json};
use hilum_fhir_store::{IndexRow, IndexValue, index_values};

use crate::search::table::{CONTENT, TEXT, Table};
use crate::write;

/// The index rows of a resource and of what it contains.
pub(crate) fn rows(table: &Table, resource: &Resource) -> Vec<IndexRow> {
    let ty = resource.type_id();
    let mut rows = values(table, resource);
    for inner in contained(resource) {
        let of = table.stored(inner.type_id());
        if let (Some(of), Some(id)) = (of, inner.root().child_text("id")) {
            let own = values(table, &inner);
            rows.push(IndexRow::contained(of, inner.type_name(), id, own));
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

/// The resources that a resource contains, each as one of its own.
pub(crate) fn contained(resource: &Resource) -> impl Iterator<Item = Resource> {
    let nodes = resource.root().children_named("contained");
    nodes.filter_map(|node| {
        let mut bytes = Vec::new();
        json::write_node(node, Style::Compact, &mut bytes);
        // It was read as a part of its container.
        write::trusted(&bytes).ok()
    })
}

/// What the parameters of a resource's type say about it, without its text.
pub(crate) fn values(table: &Table, resource: &Resource) -> Vec<IndexRow> {
    let ty = resource.type_id();
    let mut rows = Vec::with_capacity(32);
    for (id, value) in extract(resource, &table.set).values {
        if let Some(param) = table.key(ty, id) {
            let mut push = |value| rows.push(IndexRow { param, value });
            index_values(value, &mut push);
        }
    }
    rows
}
