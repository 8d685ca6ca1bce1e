//! Replacing what a resource says about others: references, URIs, links of its narrative.

use super::{Node, Resource, definitions};
use crate::definitions::{Definitions, ElementId, PrimitiveKind};

/// Replaces each text that may name another resource (FHIR R4 http.html#trules): the `reference`
/// of a Reference, every uri, url, canonical, oid and uuid, and `href` and `src` in the narrative.
/// `replace` says what stands there instead, or nothing; `None` comes back where nothing changed.
///
/// `Reference.reference` is read whole, `#` and version included. The `system` of a code is a URI
/// too and is shown; what is to be replaced is known to the caller (`urn:uuid:`).
pub fn rewrite_references(
    resource: &Resource,
    mut replace: impl FnMut(Node<'_>, &str) -> Option<String>,
) -> Option<Resource> {
    let reference = reference_element(definitions());
    let mut changed: Option<super::Builder> = None;
    for node in resource.nodes() {
        let Some(text) = node.text() else { continue };
        let new = match node.type_def().primitive() {
            Some(PrimitiveKind::String) if Some(node.element_id()) == reference => {
                replace(node, text)
            }
            Some(
                PrimitiveKind::Uri
                | PrimitiveKind::Url
                | PrimitiveKind::Canonical
                | PrimitiveKind::Oid
                | PrimitiveKind::Uuid,
            ) => replace(node, text),
            Some(PrimitiveKind::Xhtml) => rewrite_links(text, |link| replace(node, link)),
            _ => None,
        };
        if let Some(new) = new {
            let builder = changed.get_or_insert_with(|| super::Builder::of(resource));
            if builder.has_room(new.len()) {
                builder.set_text(node.index(), &new);
            }
        }
    }
    changed.map(super::Builder::finish)
}

fn reference_element(tables: &Definitions) -> Option<ElementId> {
    let scope = tables.type_def(tables.known().reference).root;
    tables.child(scope, "reference").map(|child| child.element)
}

/// Replaces the values of `href` and `src`, the only attributes of narrative that hold a URL.
fn rewrite_links(xhtml: &str, mut replace: impl FnMut(&str) -> Option<String>) -> Option<String> {
    let mut out = String::new();
    let mut rest = xhtml;
    let mut changed = false;
    while let Some((at, name)) = ["href=", "src="]
        .iter()
        .filter_map(|name| Some((rest.find(name)?, name)))
        .min()
    {
        let (before, behind) = rest.split_at(at + name.len());
        out.push_str(before);
        rest = behind;
        let Some(quote) = behind.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            continue;
        };
        let mut parts = behind.splitn(3, quote);
        let (Some(_), Some(link), Some(behind)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let new = replace(link).filter(|new| !new.contains(['"', '\'', '<', '&']));
        changed |= new.is_some();
        out.push(quote);
        out.push_str(new.as_deref().unwrap_or(link));
        out.push(quote);
        rest = behind;
    }
    out.push_str(rest);
    changed.then_some(out)
}
