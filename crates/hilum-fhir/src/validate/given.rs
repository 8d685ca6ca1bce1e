//! Whether a value is the one that a profile gives (`fixed[x]`, `pattern[x]`).

use crate::profile::{Fit, Given};
use crate::resource::Node;

/// Levels that are compared.
const DEPTH_MAX: usize = 30;

/// Whether a node has the given value.
pub(super) fn matches(node: Node<'_>, given: &Given) -> bool {
    fits(node, given.value.node(), given.fit, DEPTH_MAX)
}

/// Whether a node has the value of another.
pub(super) fn fits(node: Node<'_>, wanted: Node<'_>, fit: Fit, depth: usize) -> bool {
    if depth == 0 || node.text() != wanted.text() {
        return false;
    }
    let found = wanted.children().all(|part| {
        let mut same = node.children_named(part.name());
        same.any(|own| fits(own, part, fit, depth - 1))
    });
    found && (fit == Fit::AtLeast || node.children().count() == wanted.children().count())
}
