//! Setting and removing by path, the same for every kind of document.

use hilum_fhirpath::NodeId;

use crate::error::EditError;
use crate::path::{Index, Path, Step};

/// What a document offers so that paths can be written to.
pub(crate) trait Places {
    /// Where paths begin.
    fn origin(&self) -> NodeId;

    /// The children of this name.
    fn named(&self, of: NodeId, name: &str) -> Vec<NodeId>;

    /// Adds a child behind those of this name; `of` may be an empty leaf.
    fn add(&mut self, of: NodeId, step: &Step) -> Result<NodeId, &'static str>;

    /// Replaces the value of a leaf.
    fn write_value(&mut self, at: NodeId, value: &str) -> Result<(), &'static str>;

    /// Removes a node with all below it.
    fn remove(&mut self, at: NodeId) -> Result<(), &'static str>;

    /// Steps at the front of a path that name the root and not one of its children.
    fn skip(&self, _steps: &[Step]) -> usize {
        0
    }
}

/// Places that one path may select.
const SELECTED_MAX: usize = 1_000_000;

/// Writes `values` to a place.
///
/// Without `[*]` there is one place and one value. With `[*]` one value goes to each place;
/// several values go to the places in order, and where only the last name has `[*]`, places are
/// added and removed until there is one for each value. No value removes the places.
pub(crate) fn set<D: Places>(doc: &mut D, path: &Path, values: &[String]) -> Result<(), EditError> {
    let fail = |reason| EditError::new(path.text(), reason);
    if values.is_empty() {
        return delete(doc, path);
    }
    let skip = doc.skip(path.steps());
    let Some((last, parents)) = path.steps().get(skip..).and_then(<[Step]>::split_last) else {
        return Err(fail("this is the whole document"));
    };
    let spread = parents.iter().any(|step| step.index == Index::Each);
    let mut owners = vec![doc.origin()];
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
        doc.remove(place).map_err(fail)?;
    }
    Ok(())
}

/// The places of a step below each owner; what is missing is added, up to `wanted`.
fn select<D: Places>(
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

/// The nodes at a place, without adding any.
pub(crate) fn find<D: Places>(doc: &D, path: &Path) -> Vec<NodeId> {
    let skip = doc.skip(path.steps());
    let mut found = vec![doc.origin()];
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

/// Removes a place with all below it; nothing happens where it does not exist.
pub(crate) fn delete<D: Places>(doc: &mut D, path: &Path) -> Result<(), EditError> {
    for node in find(doc, path) {
        doc.remove(node)
            .map_err(|reason| EditError::new(path.text(), reason))?;
    }
    Ok(())
}
