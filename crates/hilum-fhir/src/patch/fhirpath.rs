//! FHIRPath Patch: operations as parameters of a Parameters resource.

use hilum_fhirpath::{Env, Expression, Moment, NodeId, Options};

use super::{OPERATIONS_MAX, refused};
use crate::definitions::{Definitions, TypeId};
use crate::fhirpath::R4Types;
use crate::problem::{IssueType, Problem};
use crate::resource::{EditError, Editor, Node, Resource};

pub(super) fn apply(resource: &Resource, patch: &Resource) -> Result<Resource, Problem> {
    if patch.type_name() != "Parameters" {
        let text = "a FHIRPath Patch is a Parameters resource";
        return Err(Problem::error(IssueType::Structure, text));
    }
    let mut editor = Editor::new(resource);
    for (at, parameter) in patch.root().children_named("parameter").enumerate() {
        if at >= OPERATIONS_MAX {
            let text = format!("more than {OPERATIONS_MAX} operations");
            return Err(Problem::error(IssueType::TooLong, text));
        }
        let operation = Operation {
            editor: &mut editor,
            parameter,
        };
        operation
            .apply()
            .map_err(|fault| fault.problem(&parameter.path()))?;
    }
    Ok(editor.finish())
}

/// Why an operation is refused.
enum Fault {
    Here(IssueType, &'static str),
    Edit(EditError),
}

impl Fault {
    fn problem(self, operation: &str) -> Problem {
        match self {
            Self::Here(code, text) => refused(code, operation, text),
            Self::Edit(error) => refused(IssueType::Processing, operation, error.to_string()),
        }
    }
}

impl From<EditError> for Fault {
    fn from(error: EditError) -> Self {
        Self::Edit(error)
    }
}

type Step<T> = Result<T, Fault>;

struct Operation<'e, 'p> {
    editor: &'e mut Editor,
    parameter: Node<'p>,
}

/// A list that a path names: its elements, and where it is.
struct List {
    parent: NodeId,
    json_name: &'static str,
    count: usize,
}

impl<'p> Operation<'_, 'p> {
    fn apply(mut self) -> Step<()> {
        if self.parameter.child_text("name") != Some("operation") {
            return Err(Fault::Here(
                IssueType::Structure,
                "a parameter that is no operation",
            ));
        }
        match self.text("type", "an operation without type")? {
            "add" => {
                let parent = self.one()?;
                let name = self.text("name", "an add without name")?;
                let value = self.value()?;
                self.add_value(parent, name, value, None)
            }
            "insert" => {
                let list = self.list()?;
                let index = self.index("index", list.count)?;
                let value = self.value()?;
                self.add_value(list.parent, list.json_name, value, Some(index))
            }
            "delete" => {
                let mut found = self.found()?;
                match (found.pop(), found.is_empty()) {
                    (None, _) => Ok(()),
                    (Some(only), true) => Ok(self.editor.delete(only)?),
                    (Some(_), false) => Err(Fault::Here(
                        IssueType::MultipleMatches,
                        "the path selects more than one element",
                    )),
                }
            }
            "replace" => {
                let target = self.one()?;
                let value = self.value()?;
                self.replace(target, value)
            }
            "move" => {
                let list = self.list()?;
                let last = list.count.saturating_sub(1);
                let (from, to) = (
                    self.index("source", last)?,
                    self.index("destination", last)?,
                );
                Ok(self.editor.shift(list.parent, list.json_name, from, to)?)
            }
            _ => Err(Fault::Here(IssueType::NotSupported, "an unknown operation")),
        }
    }

    fn part(&self, name: &str) -> Option<Node<'p>> {
        let mut parts = self.parameter.children_named("part");
        parts.find(|part| part.child_text("name") == Some(name))
    }

    fn text(&self, name: &str, missing: &'static str) -> Step<&'p str> {
        let value = self.part(name).and_then(|part| part.child_text("value"));
        value.ok_or(Fault::Here(IssueType::Required, missing))
    }

    fn index(&self, name: &str, max: usize) -> Step<usize> {
        let text = self.text(name, "an index is missing")?;
        let index = text.parse().ok().filter(|index| *index <= max);
        index.ok_or(Fault::Here(IssueType::Value, "the list has no such index"))
    }

    /// The part with the value.
    fn value(&self) -> Step<Node<'p>> {
        let part = self.part("value");
        part.ok_or(Fault::Here(
            IssueType::Required,
            "an operation without value",
        ))
    }

    fn found(&mut self) -> Step<Vec<NodeId>> {
        let path = self.text("path", "an operation without path")?;
        let expression = Expression::compile(path, &Options::default());
        let expression =
            expression.map_err(|_| Fault::Here(IssueType::Invalid, "the path is no FHIRPath"))?;
        self.editor.look(|resource| {
            let env = Env::new(Moment::from_unix_millis(0, 0)).with_host(&R4Types);
            let found = expression.evaluate(resource, resource.root().id(), &env);
            let found = found.map_err(|_| {
                Fault::Here(IssueType::Processing, "the path could not be evaluated")
            })?;
            let nodes: Vec<NodeId> = found.nodes().collect();
            if nodes.len() < found.len() {
                let text = "the path selects something that is no element";
                return Err(Fault::Here(IssueType::Processing, text));
            }
            Ok(nodes)
        })
    }

    fn one(&mut self) -> Step<NodeId> {
        match self.found()?.as_slice() {
            [only] => Ok(*only),
            [] => Err(Fault::Here(
                IssueType::NotFound,
                "the path selects no element",
            )),
            _ => Err(Fault::Here(
                IssueType::MultipleMatches,
                "the path selects more than one element",
            )),
        }
    }

    /// The list whose elements the path selects, all of them.
    fn list(&mut self) -> Step<List> {
        let found = self.found()?;
        let list = self.editor.look(|resource| {
            let first = Node::from_id(resource, *found.first()?)?;
            let parent = first.parent()?;
            let same = |node: &Node<'_>| node.element_id() == first.element_id();
            let all: Vec<_> = parent.children().filter(same).map(Node::id).collect();
            (all == found).then(|| List {
                parent: parent.id(),
                json_name: first.json_name(),
                count: all.len(),
            })
        });
        list.ok_or(Fault::Here(
            IssueType::NotFound,
            "the path does not select a list",
        ))
    }

    /// Adds an element with the value of a part, at the end or at an index of its list.
    fn add_value(
        &mut self,
        parent: NodeId,
        name: &str,
        value: Node<'_>,
        index: Option<usize>,
    ) -> Step<()> {
        let content = value.child("value");
        let scope = self
            .editor
            .look(|resource| Node::from_id(resource, parent).map(Node::scope));
        let tables = Definitions::r4();
        // A choice may be named without its type.
        let name = scope
            .filter(|scope| tables.child(*scope, name).is_none())
            .and_then(|scope| {
                let mut children = tables.children(scope);
                let choice = children.find(|child| {
                    let def = tables.element(*child);
                    def.choice && def.name == name
                })?;
                Some(tables.json_name(choice, content?.type_id()))
            })
            .unwrap_or(name);
        if let Some(resource) = value.child("resource") {
            self.editor.add_resource(parent, name, resource)?;
            return Ok(());
        }
        let at = match index {
            Some(index) => self.editor.insert(parent, name, index)?,
            None => self.editor.add(parent, name)?,
        };
        self.fill(at, value)
    }

    /// Fills an element with the value of a part: a value of a type, or one of parts.
    fn fill(&mut self, at: NodeId, value: Node<'_>) -> Step<()> {
        if let Some(content) = value.child("value") {
            return Ok(self.editor.fill(at, content)?);
        }
        let mut empty = true;
        for part in value.children_named("part") {
            empty = false;
            let Some(name) = part.child_text("name") else {
                return Err(Fault::Here(IssueType::Required, "a part without name"));
            };
            self.add_value(at, name, part, None)?;
        }
        if empty {
            return Err(Fault::Here(
                IssueType::Required,
                "an operation without value",
            ));
        }
        Ok(())
    }

    fn replace(&mut self, target: NodeId, value: Node<'_>) -> Step<()> {
        let new_type = value.child("value").map(Node::type_id);
        let place = self.editor.look(|resource| {
            let node = Node::from_id(resource, target)?;
            Some((
                place_of(node, new_type),
                node.children().map(Node::id).collect(),
            ))
        });
        let Some((place, children)): Option<(_, Vec<NodeId>)> = place else {
            return Err(Fault::Here(
                IssueType::NotFound,
                "the path selects no element",
            ));
        };
        if let Some((parent, json_name)) = place {
            self.editor.delete(target)?;
            let at = self.editor.add(parent, json_name)?;
            return self.fill(at, value);
        }
        if new_type.is_none() {
            for child in children {
                self.editor.delete(child)?;
            }
        }
        self.fill(target, value)
    }
}

/// Where the element of a choice goes when its type changes.
fn place_of(node: Node<'_>, new_type: Option<TypeId>) -> Option<(NodeId, &'static str)> {
    let new_type = new_type?;
    let def = node.element();
    let known = def.types.iter().any(|known| known.ty == new_type);
    if !def.choice || node.type_id() == new_type || !known {
        return None;
    }
    let json_name = Definitions::r4().json_name(node.element_id(), new_type);
    Some((node.parent()?.id(), json_name))
}
