//! References within a transaction (FHIR R4 http.html#trules, bundle.html#references): what names
//! another entry becomes the reference to what that entry is stored as; what is a search becomes
//! the one resource that it finds.

use std::collections::{BTreeSet, HashMap};

use hilum_fhir::definitions::PrimitiveKind;
use hilum_fhir::json::Selection;
use hilum_fhir::{IssueType, Node, Resource, Style, is_id, json};

use crate::fault::Fault;

/// What references are replaced by.
#[derive(Debug, Default)]
pub(super) struct References {
    /// `fullUrl` of an entry to `Type/id`.
    pub(super) entries: HashMap<String, String>,
    /// A conditional reference to `Type/id`.
    pub(super) found: HashMap<String, String>,
}

/// The searches that references of a resource are written as.
pub(super) fn conditional(resource: Node<'_>, found: &mut BTreeSet<String>) {
    walk(resource, &mut |node| {
        if let Some(text) = reference(node).filter(|text| is_conditional(text)) {
            found.insert(text.to_owned());
        }
    });
}

/// `Patient?identifier=…`: a type and a query.
fn is_conditional(text: &str) -> bool {
    text.split_once('?').is_some_and(|(ty, query)| {
        !query.is_empty() && !ty.is_empty() && ty.bytes().all(|byte| byte.is_ascii_alphabetic())
    })
}

/// The text of a literal reference, if the node is one.
fn reference(node: Node<'_>) -> Option<&str> {
    let is_one = node.name() == "reference"
        && node
            .parent()
            .is_some_and(|parent| parent.type_name() == "Reference");
    is_one.then(|| node.text()).flatten()
}

fn walk<'r>(node: Node<'r>, visit: &mut dyn FnMut(Node<'r>)) {
    // The depth of a resource is bounded where it is read.
    for child in node.children() {
        visit(child);
        walk(child, visit);
    }
}

impl References {
    /// The resource as compact JSON with its references replaced.
    pub(super) fn rewritten(
        &self,
        resource: Node<'_>,
        full_url: Option<&str>,
    ) -> Result<Vec<u8>, Fault> {
        let mut replaced = Replaced::default();
        let mut problem = None;
        walk(
            resource,
            &mut |node| match self.replacement(node, full_url) {
                Ok(Some(text)) => {
                    replaced.0.insert(node.id().lo, text);
                }
                Ok(None) => {}
                Err(fault) => problem = Some(fault),
            },
        );
        if let Some(fault) = problem {
            return Err(fault);
        }
        let mut out = Vec::with_capacity(1_024);
        json::write_selected(resource, &replaced, Style::Compact, &mut out);
        Ok(out)
    }

    fn replacement(&self, node: Node<'_>, full_url: Option<&str>) -> Result<Option<String>, Fault> {
        let Some(text) = node.text() else {
            return Ok(None);
        };
        if reference(node).is_some() {
            if let Some(found) = self.found.get(text) {
                return Ok(Some(found.clone()));
            }
            let found = self.entry(text, full_url);
            if found.is_none() && text.starts_with("urn:uuid:") {
                let text = "the reference names a urn:uuid that no entry of the bundle has";
                return Err(Fault::bad(IssueType::NotFound, text).within(&node.path()));
            }
            return Ok(found);
        }
        match node.type_def().primitive() {
            Some(
                PrimitiveKind::Uri | PrimitiveKind::Url | PrimitiveKind::Oid | PrimitiveKind::Uuid,
            ) => Ok(self.entries.get(text).cloned()),
            Some(PrimitiveKind::Xhtml) if text.contains("urn:") => Ok(self.narrative(text)),
            _ => Ok(None),
        }
    }

    /// What an entry is stored as that a reference names: by its `fullUrl`, or relative to the
    /// `fullUrl` of the entry that refers.
    fn entry(&self, text: &str, full_url: Option<&str>) -> Option<String> {
        let (plain, fragment) = match text.split_once('#') {
            Some((plain, fragment)) => (plain, Some(fragment)),
            None => (text, None),
        };
        let known = self.entries.get(plain).or_else(|| {
            let root = base(full_url?)?;
            self.entries.get(&format!("{root}/{plain}"))
        })?;
        Some(match fragment {
            Some(fragment) => format!("{known}#{fragment}"),
            None => known.clone(),
        })
    }

    /// Links and images of a narrative that name an entry.
    fn narrative(&self, text: &str) -> Option<String> {
        let mut out = text.to_owned();
        for (url, target) in self
            .entries
            .iter()
            .filter(|(url, _)| url.starts_with("urn:"))
        {
            if out.contains(url.as_str()) {
                for quote in ['"', '\''] {
                    let from = format!("={quote}{url}{quote}");
                    out = out.replace(&from, &format!("={quote}{target}{quote}"));
                }
            }
        }
        (out != text).then_some(out)
    }
}

/// A resource whose references to this server are written with its URL, with those references made
/// relative: searches, chains and includes find both alike, whatever name the server is reached by
/// later. `None` if it has none.
pub(crate) fn relative(resource: &Resource, base: &str) -> Option<Vec<u8>> {
    let mut replaced = Replaced::default();
    walk(resource.root(), &mut |node| {
        let local = reference(node)
            .and_then(|text| text.strip_prefix(base))
            .and_then(|rest| rest.strip_prefix('/'))
            .filter(|local| is_local(local));
        if let Some(local) = local {
            replaced.0.insert(node.id().lo, local.to_owned());
        }
    });
    if replaced.0.is_empty() {
        return None;
    }
    let mut out = Vec::with_capacity(1_024);
    json::write_selected(resource.root(), &replaced, Style::Compact, &mut out);
    Some(out)
}

/// `Type/id`, with a version or not.
fn is_local(text: &str) -> bool {
    let mut parts = text.split('/');
    let ty = parts.next().unwrap_or_default();
    let id = parts.next().unwrap_or_default();
    !ty.is_empty() && ty.bytes().all(|byte| byte.is_ascii_alphabetic()) && is_id(id.as_bytes())
}

/// The base of a URL that ends in `Type/id`.
fn base(full_url: &str) -> Option<&str> {
    if !full_url.contains("://") {
        return None;
    }
    let (rest, _id) = full_url.rsplit_once('/')?;
    let (root, _type) = rest.rsplit_once('/')?;
    Some(root)
}

/// New texts by the node that has them.
#[derive(Debug, Default)]
struct Replaced(HashMap<u64, String>);

impl Selection for Replaced {
    fn value(&self, node: Node<'_>) -> Option<&str> {
        self.0.get(&node.id().lo).map(String::as_str)
    }
}
