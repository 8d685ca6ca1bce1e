//! The parts of a FHIR resource: entries of a Bundle, or the resources in them.

use hilum_component::Halted;
use hilum_fhir::resource::{EditError, Editor};
use hilum_fhir::{Limits, Node, Resource, Style, json, xml};
use hilum_fhirpath::NodeId;

use super::config::Keep;

/// How parts are written: as the message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Xml,
}

/// One text for each node.
pub(super) fn resources(
    resource: &Resource,
    nodes: &[NodeId],
    keep: Keep,
    form: Form,
    spend: impl Fn() -> Result<(), Halted>,
) -> Result<Vec<Vec<u8>>, Halted> {
    let around = match keep {
        Keep::Part => None,
        Keep::Envelope => Some(Envelope::around(resource, nodes)?),
    };
    let mut parts = Vec::with_capacity(nodes.len());
    for &node in nodes {
        spend()?;
        let node = Node::from_id(resource, node).ok_or_else(nowhere)?;
        let part = match &around {
            Some(envelope) => envelope.with(node).map_err(refused)?,
            None => alone(node)?,
        };
        let mut out = Vec::new();
        match form {
            Form::Json => json::write(&part, Style::Compact, &mut out),
            Form::Xml => xml::write(&part, Style::Compact, &mut out),
        }
        parts.push(out);
    }
    Ok(parts)
}

fn nowhere() -> Halted {
    Halted::reject("only elements of the resource can be split off")
}

fn refused(error: EditError) -> Halted {
    Halted::reject(hilum_fhir::Problem::from(error).to_string())
}

fn alone(node: Node<'_>) -> Result<Resource, Halted> {
    if !node.is_resource() {
        return Err(Halted::reject(
            "only resources can stand alone, such as Bundle.entry.resource",
        ));
    }
    let mut out = Vec::new();
    json::write_node(node, Style::Compact, &mut out);
    json::parse(&out, &Limits::default())
        .map_err(|problems| Halted::reject(format!("a part cannot be read: {problems}")))
}

/// The resource with one of the parts, which gives its place to each.
struct Envelope {
    resource: Resource,
    parent: NodeId,
    first: NodeId,
    name: String,
}

impl Envelope {
    fn around(resource: &Resource, nodes: &[NodeId]) -> Result<Self, Halted> {
        let place = |id: &NodeId| {
            let node = Node::from_id(resource, *id)?;
            Some((node.parent()?, node.name()))
        };
        let (parent, name) = nodes.first().and_then(place).ok_or_else(nowhere)?;
        let together = nodes
            .iter()
            .filter_map(place)
            .all(|(other, own)| other.id() == parent.id() && own == name);
        if !together {
            return Err(Halted::reject(
                "what is split off with the resource around it are repetitions of one element, such \
                 as Bundle.entry; with `keep: part` resources stand alone",
            ));
        }
        let path = steps(parent);
        let mut editor = Editor::new(resource);
        for other in nodes.iter().skip(1) {
            editor.delete(*other).map_err(refused)?;
        }
        let lean = editor.finish();
        let found = below(&lean, &path).and_then(|parent| {
            let first = parent.children_named(name).next()?;
            Some((parent.id(), first.id()))
        });
        let (parent, first) = found.ok_or_else(nowhere)?;
        Ok(Self {
            resource: lean,
            parent,
            first,
            name: name.to_owned(),
        })
    }

    fn with(&self, node: Node<'_>) -> Result<Resource, EditError> {
        let mut editor = Editor::new(&self.resource);
        editor.delete(self.first)?;
        if node.is_resource() {
            editor.add_resource(self.parent, &self.name, node)?;
        } else {
            let at = editor.add(self.parent, &self.name)?;
            editor.fill(at, node)?;
        }
        Ok(editor.finish())
    }
}

/// The way from the root: names, and which of several.
fn steps(node: Node<'_>) -> Vec<(String, usize)> {
    let mut path = Vec::new();
    let mut current = node;
    while let Some(parent) = current.parent() {
        let name = current.name();
        let mut same = parent.children_named(name);
        let at = same.position(|other| other.id() == current.id());
        path.push((name.to_owned(), at.unwrap_or(0)));
        current = parent;
    }
    path.reverse();
    path
}

fn below<'r>(resource: &'r Resource, path: &[(String, usize)]) -> Option<Node<'r>> {
    path.iter().try_fold(resource.root(), |node, (name, at)| {
        node.children_named(name).nth(*at)
    })
}
