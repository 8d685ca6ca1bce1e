//! Setting and removing by path, the same for every kind of document.

use bytes::Bytes;
use hilum_fhirpath::{NodeId, Tree};

use crate::error::EditError;
use crate::path::{Index, Path, Step};

/// A document of this crate: a tree whose places can be written to.
pub trait Editable: Tree {
    /// The document as bytes; those it was read from where nothing was changed.
    fn write(&self) -> Bytes;

    /// Something was changed since it was read.
    fn touched(&self) -> bool;

    /// The children of this name, those that count as absent included.
    fn named(&self, of: NodeId, name: &str) -> Vec<NodeId> {
        let mut found = Vec::new();
        self.children(of, name, &mut |node| found.push(node));
        found
    }

    /// Adds a child behind those of this name; `of` may be an empty leaf. The error says what is
    /// in the way.
    fn add(&mut self, of: NodeId, step: &Step) -> Result<NodeId, &'static str>;

    /// Replaces the value of a leaf.
    fn write_value(&mut self, at: NodeId, value: &str) -> Result<(), &'static str>;

    /// Takes a node out with all below it.
    fn take_out(&mut self, at: NodeId) -> Result<(), &'static str>;

    /// Steps at the front of a path that name the root and not one of its children.
    fn skip(&self, _steps: &[Step]) -> usize {
        0
    }

    /// Writes `values` to a place; what is missing on the way appears.
    ///
    /// Without `[*]` there is one place and one value. With `[*]` one value goes to each place;
    /// several values go to the places in order, and where only the last name has `[*]`, places
    /// are added and removed until there is one for each value. No value removes the places.
    fn set(&mut self, path: &Path, values: &[String]) -> Result<(), EditError> {
        set(self, path, values)
    }

    /// Replaces the value of one node.
    fn set_node(&mut self, node: NodeId, value: &str) -> Result<(), EditError> {
        let written = self.write_value(node, value);
        refused(self, node, written)
    }

    /// Removes one node with all below it.
    fn remove(&mut self, node: NodeId) -> Result<(), EditError> {
        let removed = self.take_out(node);
        refused(self, node, removed)
    }

    /// Removes a place with all below it; nothing happens where it does not exist.
    fn delete(&mut self, path: &Path) -> Result<(), EditError> {
        for node in self.find(path) {
            self.take_out(node)
                .map_err(|reason| EditError::new(path.text(), reason))?;
        }
        Ok(())
    }

    /// The nodes at a place, those that count as absent included; none is added.
    fn find(&self, path: &Path) -> Vec<NodeId> {
        find(self, path)
    }
}

/// An error at a node.
pub(crate) fn refused<D: Editable + ?Sized>(
    doc: &D,
    node: NodeId,
    result: Result<(), &'static str>,
) -> Result<(), EditError> {
    result.map_err(|reason| EditError::new(&doc.location(node), reason))
}

/// Places that one path may select.
const SELECTED_MAX: usize = 1_000_000;

fn set<D: Editable + ?Sized>(doc: &mut D, path: &Path, values: &[String]) -> Result<(), EditError> {
    let fail = |reason| EditError::new(path.text(), reason);
    if values.is_empty() {
        return doc.delete(path);
    }
    let skip = doc.skip(path.steps());
    let Some((last, parents)) = path.steps().get(skip..).and_then(<[Step]>::split_last) else {
        return Err(fail("this is the whole document"));
    };
    let spread = parents.iter().any(|step| step.index == Index::Each);
    let mut owners = vec![doc.root()];
    for step in parents {
        owners = select(doc, &owners, step, 1).map_err(fail)?;
    }
    let wanted = if last.index == Index::Each && !spread {
        values.len()
    } else {
        1
    };
    let places = select(doc, &owners, last, wanted).map_err(fail)?;
    match values {
        [value] => {
            for place in places {
                doc.write_value(place, value).map_err(fail)?;
            }
            return Ok(());
        }
        _ if !spread && last.index != Index::Each => {
            return Err(fail(
                "several values for one place: write `[*]` to set a list",
            ));
        }
        _ if spread && places.len() != values.len() => {
            return Err(fail("as many values as places are needed"));
        }
        _ => {}
    }
    let mut places = places.into_iter();
    for (value, place) in values.iter().zip(places.by_ref()) {
        doc.write_value(place, value).map_err(fail)?;
    }
    for place in places {
        doc.take_out(place).map_err(fail)?;
    }
    Ok(())
}

/// The places of a step below each owner; what is missing is added, up to `wanted`.
fn select<D: Editable + ?Sized>(
    doc: &mut D,
    owners: &[NodeId],
    step: &Step,
    wanted: usize,
) -> Result<Vec<NodeId>, &'static str> {
    let mut found = Vec::with_capacity(owners.len());
    for &owner in owners {
        let mut named = doc.named(owner, &step.name);
        let need = match step.index {
            Index::First | Index::Each => wanted,
            Index::At(n) if n > named.len() => return Err("the one before it does not exist"),
            Index::At(n) => n.saturating_add(1),
        };
        while named.len() < need {
            named.push(doc.add(owner, step)?);
        }
        match step.index {
            Index::First => found.extend(named.first()),
            Index::At(n) => found.extend(named.get(n)),
            Index::Each => found.extend(named),
        }
        if found.len() > SELECTED_MAX {
            return Err("the path selects more than 1000000 places");
        }
    }
    Ok(found)
}

fn find<D: Editable + ?Sized>(doc: &D, path: &Path) -> Vec<NodeId> {
    let skip = doc.skip(path.steps());
    let mut found = vec![doc.root()];
    for step in path.steps().get(skip..).unwrap_or_default() {
        let mut next = Vec::new();
        for &owner in &found {
            let named = doc.named(owner, &step.name);
            match step.index {
                Index::First => next.extend(named.first()),
                Index::At(n) => next.extend(named.get(n)),
                Index::Each => next.extend(named),
            }
        }
        found = next;
    }
    found
}
