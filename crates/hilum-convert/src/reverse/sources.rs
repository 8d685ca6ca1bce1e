//! The resources that a message is made of, and what refers to what.

use hilum_fhir::definitions::{Definitions, ElementId, TypeId};
use hilum_fhir::{Node, Resource};

use super::Resolver;
use super::plan::Plan;

/// Resources that are asked for beside those of the Bundle.
pub(super) const RESOLVED_MAX: usize = 256;

/// References after references that are followed out of the Bundle.
const STEPS_MAX: usize = 3;

/// What the rows follow and the Bundle does not have.
pub(super) fn gather(
    resource: &Resource,
    sources: &Sources<'_>,
    resolver: &dyn Resolver,
    plan: &Plan,
) -> Vec<Resource> {
    let mut asked = Vec::new();
    let mut found = ask(sources, resolver, plan, &mut asked);
    let mut new = found.len();
    for _ in 1..STEPS_MAX {
        if new == 0 {
            break;
        }
        let mut more = ask(&Sources::new(resource, &found), resolver, plan, &mut asked);
        new = more.len();
        found.append(&mut more);
    }
    found
}

/// Asks for what is referred to and not there.
fn ask(
    sources: &Sources<'_>,
    resolver: &dyn Resolver,
    plan: &Plan,
    asked: &mut Vec<String>,
) -> Vec<Resource> {
    let mut new = Vec::new();
    for link in sources.links.iter().filter(|link| link.target.is_none()) {
        let text = link.node.child_text("reference").unwrap_or_default();
        let open = !text.is_empty() && !text.starts_with('#');
        let known = || asked.iter().any(|asked| asked == text);
        if open && plan.followed.contains(&link.element) && !known() {
            if asked.len() >= RESOLVED_MAX {
                break;
            }
            asked.push(text.to_owned());
            new.extend(resolver.resolve(text));
        }
    }
    new
}

/// A reference.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link<'r> {
    /// The resource that it stands in.
    pub(super) holder: Node<'r>,
    pub(super) element: ElementId,
    pub(super) node: Node<'r>,
    pub(super) target: Option<Node<'r>>,
    /// The place of the node.
    key: Key,
}

/// A node: the place of its resource among all, and its own in it.
type Key = (usize, u64);

/// All resources.
#[derive(Debug)]
pub(super) struct Sources<'r> {
    pub(super) all: Vec<&'r Resource>,
    pub(super) roots: Vec<Node<'r>>,
    /// In the order of their nodes.
    pub(super) links: Vec<Link<'r>>,
    /// What is referred to, with the place of the link; sorted.
    by_target: Vec<(Key, usize)>,
    /// Sorted; of two with one URL the later one holds.
    by_url: Vec<(&'r str, Node<'r>)>,
    /// By type and id, sorted; of two with one id the earlier one holds.
    by_id: Vec<((&'r str, &'r str), Node<'r>)>,
}

impl<'r> Sources<'r> {
    pub(super) fn new(resource: &'r Resource, found: &'r [Resource]) -> Self {
        let known = Definitions::r4().known();
        let mut sources = Self {
            all: std::iter::once(resource).chain(found).collect(),
            roots: Vec::new(),
            links: Vec::new(),
            by_target: Vec::new(),
            by_url: Vec::new(),
            by_id: Vec::new(),
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
        sources.by_url.sort_by_key(|(url, _)| *url);
        sources.by_id.sort_by_key(|(id, _)| *id);
        for (place, resource) in sources.all.clone().into_iter().enumerate() {
            for node in resource.nodes().filter(|n| n.type_id() == known.reference) {
                let target = sources.find(node);
                if let Some(target) = target {
                    let link = sources.links.len();
                    sources.by_target.push((sources.key(target), link));
                }
                sources.links.push(Link {
                    holder: outer(node),
                    element: node.element_id(),
                    node,
                    target,
                    key: (place, node.id().lo),
                });
            }
        }
        sources.by_target.sort_unstable();
        sources
    }

    fn add(&mut self, root: Node<'r>, url: Option<&'r str>) {
        self.roots.push(root);
        self.by_url.extend(url.map(|url| (url, root)));
        let id = root.child_text("id");
        self.by_id
            .extend(id.map(|id| ((root.type_name(), id), root)));
    }

    /// The place of the resource that a node is in.
    pub(super) fn place(&self, node: Node<'r>) -> usize {
        let own = |of: &&Resource| std::ptr::eq(*of, node.resource());
        self.all.iter().position(own).unwrap_or(usize::MAX)
    }

    fn key(&self, node: Node<'r>) -> Key {
        (self.place(node), node.id().lo)
    }

    /// What a Reference refers to.
    pub(super) fn resolve(&self, node: Node<'r>) -> Option<Node<'r>> {
        let key = self.key(node);
        let at = self
            .links
            .binary_search_by_key(&key, |link| link.key)
            .ok()?;
        self.links.get(at)?.target
    }

    fn find(&self, node: Node<'r>) -> Option<Node<'r>> {
        let text = node.child_text("reference")?;
        if let Some(id) = text.strip_prefix('#') {
            let holder = outer(node);
            return holder
                .children_named("contained")
                .find(|inner| inner.child_text("id") == Some(id));
        }
        let behind = self.by_url.partition_point(|(url, _)| *url <= text);
        let found = behind.checked_sub(1).and_then(|at| self.by_url.get(at));
        if let Some((_, found)) = found.filter(|(url, _)| *url == text) {
            return Some(*found);
        }
        // The version is of no matter within one Bundle.
        let text = text.split_once("/_history/").map_or(text, |(text, _)| text);
        let (rest, id) = text.rsplit_once('/')?;
        let ty = rest.rsplit_once('/').map_or(rest, |(_, ty)| ty);
        let first = self.by_id.partition_point(|(known, _)| *known < (ty, id));
        let found = self
            .by_id
            .get(first)
            .filter(|(known, _)| *known == (ty, id));
        found.map(|(_, node)| *node)
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
        let Some(to) = to else {
            let of = |link: &&Link<'r>| link.element == element && link.target.is_some();
            let linked = self.links.iter().filter(of);
            let mut linked: Vec<Key> = linked.map(|link| self.key(link.holder)).collect();
            linked.sort_unstable();
            for root in self.of_type(ty) {
                if linked.binary_search(&self.key(root)).is_err() {
                    visit(root, None);
                }
            }
            return;
        };
        let key = self.key(to);
        let first = self.by_target.partition_point(|(of, _)| *of < key);
        let links = self.by_target.iter().skip(first);
        for (_, at) in links.take_while(|(of, _)| *of == key) {
            let link = self.links.get(*at);
            if let Some(link) = link
                && link.element == element
                && link.holder.type_id() == ty
            {
                visit(link.holder, Some(link.node));
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
