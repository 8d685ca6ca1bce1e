//! Two states of a document compared value by value: what a step changed, what another plan sends.

use std::collections::BTreeMap;

use crate::Document;

/// Values of a document that are compared; one with more is not.
pub const LEAVES_MAX: usize = 20_000;

/// The values of a document by their places.
pub type Leaves = BTreeMap<String, String>;

/// A place that does not have the same value in both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedLeaf {
    /// Its path.
    pub path: String,
    /// The value before, if it was there.
    pub before: Option<String>,
    /// The value after, if it is there.
    pub after: Option<String>,
}

/// The values of a document; `None` if there are more than [`LEAVES_MAX`].
#[must_use]
pub fn leaves(document: &dyn Document) -> Option<Leaves> {
    let tree = document.tree();
    let mut leaves = Leaves::new();
    let mut open = vec![tree.root()];
    while let Some(node) = open.pop() {
        let mut below = Vec::new();
        tree.all_children(node, &mut |child| below.push(child));
        if below.is_empty()
            && let Some(value) = tree.value(node)
        {
            leaves.insert(tree.location(node), value.into_text().into_owned());
        }
        open.append(&mut below);
        if leaves.len() + open.len() > LEAVES_MAX {
            return None;
        }
    }
    Some(leaves)
}

/// The places that differ: those of before in order, then those that are new.
#[must_use]
pub fn changed_leaves(before: Leaves, mut after: Leaves) -> Vec<ChangedLeaf> {
    let mut found = Vec::new();
    for (path, old) in before {
        let new = after.remove(&path);
        if new.as_ref() != Some(&old) {
            found.push(ChangedLeaf {
                path,
                before: Some(old),
                after: new,
            });
        }
    }
    found.extend(after.into_iter().map(|(path, new)| ChangedLeaf {
        path,
        before: None,
        after: Some(new),
    }));
    found
}
