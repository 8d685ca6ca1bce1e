//! Rules that are tested by code: those that stand on every resource or extension, and those that
//! FHIRPath cannot say.
//!
//! Each does what the expression of the same key means; a test compares them over real resources.

use std::collections::HashSet;

use crate::resource::Node;

/// Whether a rule holds at a node.
pub(super) type Native = fn(Node<'_>) -> bool;

/// The code for a rule.
pub(super) fn named(key: &str) -> Option<Native> {
    Some(match key {
        "ext-1" => |node| node.child("extension").is_some() != node.child("value").is_some(),
        "dom-2" => |node| contained(node).all(|inner| inner.child("contained").is_none()),
        "dom-3" => every_contained_is_referred_to,
        "dom-4" => |node| {
            contained(node)
                .filter_map(|inner| inner.child("meta"))
                .all(|meta| {
                    meta.child("versionId").is_none() && meta.child("lastUpdated").is_none()
                })
        },
        "dom-5" => |node| {
            let mut metas = contained(node).filter_map(|inner| inner.child("meta"));
            metas.all(|meta| meta.child("security").is_none())
        },
        "dom-6" => |node| {
            let text = node.child("text");
            text.is_some_and(|text| text.child("div").is_some())
        },
        "ref-1" => local_reference_has_its_resource,
        "eld-19" => path_is_plain,
        "bdl-3" => |node| {
            let wanted = is_of_kind(node, &["batch", "transaction", "history"]);
            entries(node).all(|entry| entry.child("request").is_some() == wanted)
        },
        "bdl-4" => |node| {
            let wanted = is_of_kind(node, &["batch-response", "transaction-response", "history"]);
            entries(node).all(|entry| entry.child("response").is_some() == wanted)
        },
        "bdl-7" => full_urls_differ,
        "csd-1" => |node| {
            let mut codes = HashSet::new();
            all_differ(node, "concept", "code", &mut codes)
        },
        "que-2" => |node| {
            let mut ids = HashSet::new();
            all_differ(node, "item", "linkId", &mut ids)
        },
        "qty-3" => |node| node.child("code").is_none() || node.child("system").is_some(),
        "cpt-2" => |node| node.child("value").is_none() || node.child("system").is_some(),
        _ => return None,
    })
}

fn entries(bundle: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    bundle.children_named("entry")
}

fn is_of_kind(bundle: Node<'_>, kinds: &[&str]) -> bool {
    bundle
        .child_text("type")
        .is_some_and(|kind| kinds.contains(&kind))
}

/// No two entries have the same URL and version, except in a history.
fn full_urls_differ(bundle: Node<'_>) -> bool {
    if bundle.child_text("type") == Some("history") {
        return true;
    }
    let mut seen = HashSet::new();
    bundle.children_named("entry").all(|entry| {
        let Some(url) = entry.child_text("fullUrl") else {
            return true;
        };
        let resource = entry.child("resource");
        let meta = resource.and_then(|resource| resource.child("meta"));
        seen.insert((url, meta.and_then(|meta| meta.child_text("versionId"))))
    })
}

/// Whether what stands in children of children differs everywhere.
fn all_differ<'r>(node: Node<'r>, children: &str, name: &str, seen: &mut HashSet<&'r str>) -> bool {
    node.children_named(children).all(|child| {
        child.child_text(name).is_none_or(|text| seen.insert(text))
            && all_differ(child, children, name, seen)
    })
}

/// The expression of the standard is a pattern that grows too large.
fn path_is_plain(node: Node<'_>) -> bool {
    const NAME_CHARS_MAX: usize = 64;
    let Some(path) = node.child_text("path") else {
        return true;
    };
    path.split('.').all(|part| {
        let (name, slice) = part.split_once(':').unwrap_or((part, "slice"));
        let name = name.strip_suffix("[x]").unwrap_or(name);
        let odd = |char: char| char.is_whitespace() || ",;'\"/|?!@#$%&*()[]{}".contains(char);
        let length = name.chars().count();
        (1..=NAME_CHARS_MAX).contains(&length) && !name.contains(odd) && !slice.is_empty()
    })
}

fn contained(node: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    node.children_named("contained")
}

/// The outermost resource that is not an entry of something: where contained resources stand.
pub(super) fn container(node: Node<'_>) -> Node<'_> {
    let mut inner = node.nearest_resource();
    while inner.name() == "contained" {
        match inner.parent() {
            Some(parent) => inner = parent.nearest_resource(),
            None => break,
        }
    }
    inner
}

fn local_reference_has_its_resource(node: Node<'_>) -> bool {
    let Some(id) = node
        .child_text("reference")
        .and_then(|text| text.strip_prefix('#'))
    else {
        return true;
    };
    // `#` alone is the container itself.
    let holder = container(node);
    id.is_empty() || contained(holder).any(|inner| inner.child_text("id") == Some(id))
}

fn every_contained_is_referred_to(node: Node<'_>) -> bool {
    contained(node).all(|inner| {
        let Some(id) = inner.child_text("id") else {
            return refers_to(inner, "");
        };
        refers_to(node, id) || refers_to(inner, "")
    })
}

/// Whether something below refers to `#` with this id.
fn refers_to(node: Node<'_>, id: &str) -> bool {
    node.children().any(|child| {
        let local = child.text().and_then(|text| text.strip_prefix('#'));
        let link = matches!(child.type_name(), "string" | "uri" | "url" | "canonical")
            && (child.type_name() != "string" || child.name() == "reference");
        (link && local == Some(id)) || refers_to(child, id)
    })
}
