//! Places of a resource to write to: `Patient.name[0].family`, `valueQuantity.value`.
//!
//! The type may stand in front; then names are checked when the site is. Of a choice, the name
//! with its type is written where there is nothing yet (`valueString`); the bare one (`value`)
//! means what is there. `[n]` counts from 0, `[*]` is each.

use hilum_component::EditError;
use hilum_fhir::definitions::{Definitions, ElementId};
use hilum_fhir::resource::Editor;
use hilum_fhir::{Node, Resource};
use hilum_fhirpath::{NodeId, Tree};
use hilum_tree::{Index, Path, Step};

/// A compiled place.
pub(super) struct Place {
    path: Path,
    /// The type in front of the path.
    of: Option<&'static str>,
}

impl Place {
    /// Reads a path; names below a type are looked up in the tables.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let path = Path::parse(text).map_err(|error| error.to_string())?;
        let tables = Definitions::r4();
        let first = path.steps().first();
        let of = first.and_then(|step| {
            let def = tables.type_def(tables.type_named(&step.name)?);
            def.is_resource().then_some(def)
        });
        if let Some(def) = of {
            if path.steps().len() == 1 {
                return Err("this is the whole resource".to_owned());
            }
            check(def.root, path.steps().get(1..).unwrap_or_default())?;
        }
        let of = of.map(|def| def.name);
        Ok(Self { path, of })
    }

    fn steps(&self) -> &[Step] {
        let skip = usize::from(self.of.is_some());
        self.path.steps().get(skip..).unwrap_or_default()
    }

    fn fail(&self, reason: impl Into<String>) -> EditError {
        EditError {
            path: self.path.text().to_owned(),
            reason: reason.into(),
        }
    }
}

/// Follows names through the tables, as far as they tell what is there.
fn check(mut scope: ElementId, steps: &[Step]) -> Result<(), String> {
    let tables = Definitions::r4();
    for step in steps {
        match tables.child(scope, &step.name) {
            // What a resource inside is, only the message tells.
            Some(child) if child.ty == tables.known().resource => return Ok(()),
            Some(child) => scope = child.scope,
            None => {
                let choice = |child: &ElementId| tables.element(*child).name == step.name;
                if tables.children(scope).any(|child| choice(&child)) {
                    return Ok(());
                }
                let within = tables.element(scope).path;
                return Err(format!("`{within}` has no element `{}`", step.name));
            }
        }
    }
    Ok(())
}

/// The resource with these values at a place; none of them removes it.
pub(super) fn set(
    resource: &Resource,
    place: &Place,
    values: &[String],
) -> Result<Resource, EditError> {
    if let Some(of) = place.of
        && of != resource.type_name()
    {
        return Err(place.fail(format!("the resource is a {}", resource.type_name())));
    }
    let mut writer = Writer {
        editor: Editor::new(resource),
        place,
    };
    writer.set(values)?;
    Ok(writer.editor.finish())
}

/// The resource with this value at a node.
pub(super) fn set_node(
    resource: &Resource,
    node: NodeId,
    value: &str,
) -> Result<Resource, EditError> {
    let mut editor = Editor::new(resource);
    editor.set_text(node, value).map_err(|error| EditError {
        path: resource.location(node),
        reason: error.reason.to_owned(),
    })?;
    Ok(editor.finish())
}

struct Writer<'p> {
    editor: Editor,
    place: &'p Place,
}

impl Writer<'_> {
    fn set(&mut self, values: &[String]) -> Result<(), EditError> {
        let place = self.place;
        let Some((last, parents)) = place.steps().split_last() else {
            return Err(place.fail("this is the whole resource"));
        };
        let mut owners = vec![self.editor.root()];
        for step in parents {
            owners = self.select(&owners, step, usize::from(!values.is_empty()))?;
        }
        let spread = parents.iter().any(|step| step.index == Index::Each);
        let wanted = match values {
            [] => 0,
            _ if last.index == Index::Each && !spread => values.len(),
            _ => 1,
        };
        let places = self.select(&owners, last, wanted)?;
        match values {
            [] => {
                for at in places {
                    self.delete(at)?;
                }
                return Ok(());
            }
            [value] => {
                for at in places {
                    self.write(at, value)?;
                }
                return Ok(());
            }
            _ if !spread && last.index != Index::Each => {
                let reason = "several values for one place: write `[*]` to set a list";
                return Err(place.fail(reason));
            }
            _ if spread && places.len() != values.len() => {
                return Err(place.fail("as many values as places are needed"));
            }
            _ => {}
        }
        let mut places = places.into_iter();
        for (value, at) in values.iter().zip(places.by_ref()) {
            self.write(at, value)?;
        }
        for at in places {
            self.delete(at)?;
        }
        Ok(())
    }

    /// The places of a step below each owner; what is missing is added, up to `wanted`.
    fn select(
        &mut self,
        owners: &[NodeId],
        step: &Step,
        wanted: usize,
    ) -> Result<Vec<NodeId>, EditError> {
        let mut selected = Vec::new();
        for &owner in owners {
            let found = self.named(owner, &step.name);
            let (from, until) = match step.index {
                Index::First => (0, 1),
                Index::At(at) => (at, at.saturating_add(1)),
                Index::Each if wanted == 0 => (0, usize::MAX),
                Index::Each => (0, found.len().max(wanted)),
            };
            let missing = until.saturating_sub(found.len().max(from));
            let there = found.into_iter().skip(from).take(until - from);
            selected.extend(there);
            if wanted > 0 {
                for _ in 0..missing {
                    let added = self.add(owner, step)?;
                    selected.push(added);
                }
            }
        }
        Ok(selected)
    }

    fn named(&mut self, owner: NodeId, name: &str) -> Vec<NodeId> {
        self.editor.look(|resource| {
            let owner = Node::from_id(resource, owner);
            let children = owner.into_iter().flat_map(Node::children);
            let named = children.filter(|child| child.name() == name || child.json_name() == name);
            named.map(Node::id).collect()
        })
    }

    fn add(&mut self, owner: NodeId, step: &Step) -> Result<NodeId, EditError> {
        let count = self.named(owner, &step.name).len();
        if let Index::At(at) = step.index
            && at > count
        {
            let reason = format!("`{}` has only {count}", step.name);
            return Err(self.place.fail(reason));
        }
        self.editor
            .add(owner, &step.name)
            .map_err(|error| self.place.fail(error.reason))
    }

    fn write(&mut self, at: NodeId, value: &str) -> Result<(), EditError> {
        self.editor
            .set_text(at, value)
            .map_err(|error| self.place.fail(error.reason))
    }

    fn delete(&mut self, at: NodeId) -> Result<(), EditError> {
        self.editor
            .delete(at)
            .map_err(|error| self.place.fail(error.reason))
    }
}
