//! What differs in an environment, laid over the files of the folder.

use crate::yaml::{Kind, Node};

/// `base` with `over` laid over it: maps are merged key by key, anything else is replaced. What
/// comes from the overlay keeps its place there.
pub(crate) fn merge(base: &Node, over: &Node) -> Node {
    let (Kind::Map(below), Kind::Map(above)) = (&base.kind, &over.kind) else {
        return over.clone();
    };
    let mut entries = below.clone();
    for (key, value) in above {
        match entries.iter_mut().find(|(known, _)| known.text == key.text) {
            Some((known, old)) => {
                *old = merge(old, value);
                *known = key.clone();
            }
            None => entries.push((key.clone(), value.clone())),
        }
    }
    Node {
        span: base.span,
        kind: Kind::Map(entries),
    }
}
