//! The resources that a message is made of, and what refers to what.

use std::collections::HashMap;

use hilum_fhir::definitions::{Definitions, ElementId, TypeId};
use hilum_fhir::{Node, Resource};

use super::Resolver;
use super::plan::Plan;

/// Resources that are asked for beside those of the Bundle.
pub(super) const RESOLVED_MAX: usize = 256;

/// References after references that are followed out of the Bundle.
const STEPS_MAX: usize = 3;

/// What the rows follow and the Bundle does not have.
pub(super) fn gather(resource: &Resource, resolver: &dyn Resolver, plan: &Plan) -> Vec<Resource> {
    let mut found: Vec<Resource> = Vec::new();
    let mut asked: Vec<String> = Vec::new();
    for _ in 0..STEPS_MAX {
        let mut new = Vec::new();
        {
            let sources = Sources::new(resource, &found);
            for link in &sources.links {
                let text = link.node.child_text("reference").unwrap_or_default();
                let open = link.target.is_none() && plan.followed.contains(&link.element);
                let known = asked.iter().any(|asked| asked == text);
                if open && !text.is_empty() && !text.starts_with('#') && !known {
                    if asked.len() >= RESOLVED_MAX {
                        break;
                    }
                    asked.push(text.to_owned());
                    new.extend(resolver.resolve(text));
                }
            }
        }
        if new.is_empty() {
            break;
        }
        found.append(&mut new);
    }
    found
}

/// A reference.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link<'r> {
    /// The resource that it stands in.
    pub(super) holder: Node<'r>,
    pub(super) element: ElementId,
    pub(super) node: Node<'r>,
    pub(super) target: Option<Node<'r>>,
}

/// All resources.
#[derive(Debug)]
pub(super) struct Sources<'r> {
    pub(super) all: Vec<&'r Resource>,
    pub(super) roots: Vec<Node<'r>>,
    pub(super) links: Vec<Link<'r>>,
    by_url: HashMap<&'r str, Node<'r>>,
    by_id: HashMap<(&'r str, &'r str), Node<'r>>,
}

impl<'r> Sources<'r> {
    pub(super) fn new(resource: &'r Resource, found: &'r [Resource]) -> Self {
        let known = Definitions::r4().known();
        let mut sources = Self {
            all: std::iter::once(resource).chain(found).collect(),
            roots: Vec::new(),
            links: Vec::new(),
            by_url: HashMap::new(),
            by_id: HashMap::new(),
        };
        for resource in sources.all.clone() {
            let root = resource.root();
            if root.type_id() == known.bundle {
                for entry in root.children_named("entry") {
                    if let Some(inner) = entry.child("resource") {
                        sources.add(inner, entry.child_text("fullUrl"));
                    }
                }
            } else {
                sources.add(root, None);
            }
        }
        for resource in sources.all.clone() {
            for node in resource.nodes().filter(|n| n.type_id() == known.reference) {
                let target = sources.resolve(node);
                sources.links.push(Link {
                    holder: outer(node),
                    element: node.element_id(),
                    node,
                    target,
                });
            }
        }
        sources
    }

    fn add(&mut self, root: Node<'r>, url: Option<&'r str>) {
        self.roots.push(root);
        if let Some(url) = url {
            self.by_url.insert(url, root);
        }
        if let Some(id) = root.child_text("id") {
            self.by_id.entry((root.type_name(), id)).or_insert(root);
        }
    }

    /// What a Reference refers to.
    pub(super) fn resolve(&self, node: Node<'r>) -> Option<Node<'r>> {
        let text = node.child_text("reference")?;
        if let Some(id) = text.strip_prefix('#') {
            let holder = outer(node);
            return holder
                .children_named("contained")
                .find(|inner| inner.child_text("id") == Some(id));
        }
        if let Some(found) = self.by_url.get(text) {
            return Some(*found);
        }
        // The version is of no matter within one Bundle.
        let text = text.split_once("/_history/").map_or(text, |(text, _)| text);
        let (rest, id) = text.rsplit_once('/')?;
        let ty = rest.rsplit_once('/').map_or(rest, |(_, ty)| ty);
        self.by_id.get(&(ty, id)).copied()
    }

    /// All resources of a type, in order.
    pub(super) fn of_type(&self, ty: TypeId) -> impl Iterator<Item = Node<'r>> {
        self.roots
            .iter()
            .copied()
            .filter(move |root| root.type_id() == ty)
    }

    /// The resources of a type whose element refers to `to`; without it those whose element refers
    /// to nothing that is known.
    pub(super) fn back(
        &self,
        ty: TypeId,
        element: ElementId,
        to: Option<Node<'r>>,
        mut visit: impl FnMut(Node<'r>, Option<Node<'r>>),
    ) {
        match to {
            Some(_) => {
                for link in &self.links {
                    let fits = link.element == element && link.holder.type_id() == ty;
                    if fits && link.target == to {
                        visit(link.holder, Some(link.node));
                    }
                }
            }
            None => {
                for root in self.of_type(ty) {
                    let of = |link: &&Link<'r>| link.element == element && link.holder == root;
                    if !self
                        .links
                        .iter()
                        .filter(of)
                        .any(|link| link.target.is_some())
                    {
                        visit(root, None);
                    }
                }
            }
        }
    }
}

/// The resource around a node that is not contained in another one.
fn outer(node: Node<'_>) -> Node<'_> {
    let mut holder = node.nearest_resource();
    while holder.element().name == "contained" {
        match holder.parent() {
            Some(parent) => holder = parent.nearest_resource(),
            None => break,
        }
    }
    holder
}
