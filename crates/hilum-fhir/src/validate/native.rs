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

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};
    use std::path::PathBuf;

    use hilum_fhirpath::{Expression, Moment, Options};

    use super::named;
    use crate::definitions::Definitions;
    use crate::validate::{Check, Request, Validator};
    use crate::{Limits, Resource, json, xml};

    /// Resources of the standard and of the suite of the reference validator, right and wrong.
    fn resources() -> Vec<Resource> {
        let root = std::env::var_os("HILUM_SHARED").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
            PathBuf::from,
        );
        let folders = ["suites/r4-examples-xml-json", "suites/fhir-validator"];
        let mut found = Vec::new();
        for folder in folders {
            let entries = std::fs::read_dir(root.join(folder)).into_iter().flatten();
            for entry in entries.flatten() {
                let Ok(bytes) = std::fs::read(entry.path()) else {
                    continue;
                };
                let limits = Limits::default();
                found.extend(json::parse(&bytes, &limits).or_else(|_| xml::parse(&bytes, &limits)));
            }
        }
        found
    }

    #[test]
    fn rules_in_code_say_what_their_expressions_say() {
        let resources = resources();
        if resources.is_empty() {
            println!("not run: rules_in_code_say_what_their_expressions_say (no shared material)");
            return;
        }
        let tables = Definitions::r4();
        let mut rules = HashMap::new();
        for (at, rule) in tables.invariants().iter().enumerate() {
            // A pattern that takes the fuel of a whole evaluation.
            let code = named(rule.key).filter(|_| rule.key != "eld-19");
            let path = Expression::compile(rule.expression, &Options::default()).ok();
            rules.extend(code.zip(path).map(|both| (at, (rule.key, both))));
        }
        let (validator, request) = (
            Validator::new(),
            Request::new(Moment::from_unix_millis(0, 0)),
        );
        let (mut compared, mut differ) = (0, BTreeMap::<&str, usize>::new());
        for resource in &resources {
            let check = Check::new(&validator, resource, &request);
            for node in resource.nodes() {
                let at_scope = (node.scope() != node.element_id()).then(|| node.scope());
                for element in [Some(node.element_id()), at_scope].into_iter().flatten() {
                    let ids = &tables.element(element).invariants;
                    for (key, (code, path)) in ids.iter().filter_map(|id| rules.get(&id.index())) {
                        // Its expression is empty without a text, and does not know `#` alone.
                        if *key == "ref-1"
                            && matches!(node.child_text("reference"), None | Some("#"))
                        {
                            continue;
                        }
                        compared += 1;
                        if check
                            .holds(node, path)
                            .is_ok_and(|holds| holds != code(node))
                        {
                            *differ.entry(key).or_default() += 1;
                        }
                    }
                }
            }
        }
        assert!(compared > 5_000, "{compared}");
        assert_eq!(differ, BTreeMap::new());
    }
}
