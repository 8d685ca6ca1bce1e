//! What a text refers to inside the document it stands in (FHIR R4 bundle.html#references).

use std::collections::HashMap;
use std::sync::Arc;

use super::native;
use super::reference::relative;
use crate::definitions::Definitions;
use crate::resource::{Node, Resource};

/// Bundle and URL, or `Type/id`, to the resources, all by number.
type ByUrl = HashMap<(u32, Box<str>), Vec<u32>>;

/// The entries of every Bundle in a document by their `fullUrl`, so that a reference costs one look.
#[derive(Clone)]
pub(super) struct Entries {
    by_url: Arc<ByUrl>,
}

impl Entries {
    pub(super) fn new(document: &Resource) -> Self {
        let mut by_url = ByUrl::new();
        let bundle = Definitions::r4().known().bundle;
        for node in document.nodes() {
            if node.type_id() != bundle {
                continue;
            }
            for entry in node.children_named("entry") {
                let Some(resource) = entry.child("resource") else {
                    continue;
                };
                let id = resource.child_text("id");
                let local = id.map(|id| format!("{}/{id}", resource.type_name()));
                for name in entry
                    .child_text("fullUrl")
                    .into_iter()
                    .chain(local.as_deref())
                {
                    let key = (node.index(), name.into());
                    let known = by_url.entry(key).or_default();
                    // A fullUrl may be `Type/id` itself.
                    if known.last() != Some(&resource.index()) {
                        known.push(resource.index());
                    }
                }
            }
        }
        Self {
            by_url: Arc::new(by_url),
        }
    }

    /// A contained resource, an entry of the nearest Bundle, or what stands in another parameter.
    pub(super) fn inside<'r>(&self, from: Node<'r>, text: &str) -> Option<Node<'r>> {
        if let Some(id) = text.strip_prefix('#') {
            let holder = native::container(from);
            if id.is_empty() {
                return Some(holder);
            }
            let mut contained = holder.children_named("contained");
            return contained.find(|inner| inner.child_text("id") == Some(id));
        }
        let found = self.of_bundle(from, text);
        found.first().copied().or_else(|| beside(from, text))
    }

    /// The entries of the nearest Bundle that a text refers to.
    pub(super) fn of_bundle<'r>(&self, from: Node<'r>, text: &str) -> Vec<Node<'r>> {
        let mut around = std::iter::once(from).chain(from.ancestors());
        let entry = around.find(|node| node.element().path == "Bundle.entry");
        let Some((entry, bundle)) = entry.and_then(|entry| Some((entry, entry.parent()?))) else {
            return Vec::new();
        };
        let wanted = absolute(entry.child_text("fullUrl"), text);
        let (url, version) = match wanted.split_once("/_history/") {
            Some((url, version)) => (url, Some(version)),
            None => (wanted.as_str(), None),
        };
        // Authors of documents write `Type/id` also where the entries are named by `urn:uuid:`.
        let by_name = |name: &str| self.by_url.get(&(bundle.index(), name.into()));
        let found = by_name(url).or_else(|| {
            relative(text)?;
            by_name(text.split("/_history/").next()?)
        });
        let nodes = found.into_iter().flatten();
        let nodes = nodes.map(|index| Node::new(from.resource(), *index));
        let fits = |resource: &Node<'_>| {
            let meta = resource.child("meta");
            version.is_none() || meta.and_then(|meta| meta.child_text("versionId")) == version
        };
        nodes.filter(fits).collect()
    }
}

/// The resource in another parameter of the Parameters around a node.
fn beside<'r>(from: Node<'r>, text: &str) -> Option<Node<'r>> {
    let root = from.resource().root();
    if root.type_name() != "Parameters" {
        return None;
    }
    let ty = relative(text)?;
    let (_, id) = text.split_once('/')?;
    let resources = root
        .children_named("parameter")
        .filter_map(|one| one.child("resource"));
    let mut resources = resources.filter(|one| one.type_id() == ty);
    resources.find(|one| one.child_text("id") == Some(id))
}

/// A relative reference means the server of the entry it stands in.
fn absolute(base: Option<&str>, text: &str) -> String {
    let server = base
        .filter(|_| relative(text).is_some())
        .and_then(server_of);
    match server {
        Some(server) => format!("{server}{text}"),
        None => text.to_owned(),
    }
}

/// `http://server/` of `http://server/Patient/1`.
fn server_of(url: &str) -> Option<&str> {
    let (rest, _) = url.rsplit_once('/')?;
    let (server, ty) = rest.rsplit_once('/')?;
    Definitions::r4().type_named(ty)?;
    url.get(..server.len() + 1)
}
