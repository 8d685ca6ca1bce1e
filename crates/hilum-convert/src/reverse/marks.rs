//! What was carried over, a bit for each node, and what was not.

use std::sync::LazyLock;

use hilum_fhir::Node;
use hilum_fhir::definitions::{Definitions, TypeUse};

use super::run::Run;

impl<'r> Run<'r, '_> {
    pub(super) fn mark(&mut self, node: Node<'r>, below: bool) {
        let place = self.sources.place(node);
        let Some(marks) = self.marks.get_mut(place) else {
            return;
        };
        set(marks, node);
        if below {
            set_below(marks, node);
        }
    }

    /// The paths of what was not carried over, each the highest that says it.
    pub(super) fn unmapped(&self) -> Vec<String> {
        let mut paths = Vec::new();
        let mut open = Vec::new();
        for root in &self.sources.roots {
            let marks = self.marks.get(self.sources.place(*root));
            match walk(marks.map_or(&[], Vec::as_slice), *root, &mut open) {
                Some(false) => paths.push(root.path()),
                Some(true) => paths.extend(open.iter().map(|node| node.path())),
                None => {}
            }
            open.clear();
        }
        paths
    }
}

/// Whether something in a node was carried over; `None` where nothing in it counts. What was not is
/// added where something beside it was.
fn walk<'r>(marks: &[u64], node: Node<'r>, open: &mut Vec<Node<'r>>) -> Option<bool> {
    let here = open.len();
    let mut own = node.text().map(|_| is_set(marks, node));
    let mut lost = Vec::new();
    for child in node.children().filter(|child| counts(*child)) {
        match walk(marks, child, open) {
            Some(true) => own = Some(true),
            Some(false) => {
                own = own.or(Some(false));
                lost.push(child);
            }
            None => {}
        }
    }
    match own {
        Some(true) => open.extend(lost),
        Some(false) => open.truncate(here),
        None => {}
    }
    own
}

/// What an element says of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    /// Nothing: the id and bookkeeping of a resource, its narrative, the URL of an extension, the type
    /// beside a reference.
    Nothing,
    /// Something, unless it is an identifier that the way there made of other fields.
    Own,
    Always,
}

/// What each element says, by its place in the tables.
static SAYS: LazyLock<Vec<Says>> = LazyLock::new(|| {
    let tables = Definitions::r4();
    let all = tables.elements().iter();
    all.map(|element| {
        let named = |ty: &TypeUse| tables.type_def(ty.ty).name == "Identifier";
        let some = if element.types.iter().any(named) {
            Says::Own
        } else {
            Says::Always
        };
        let holder = element.parent.map(|parent| tables.element(parent));
        // Only the root of a type has none above it.
        let ty = holder.filter(|holder| holder.parent.is_none());
        let ty = ty.and_then(|holder| Some((holder.name, tables.type_named(holder.name)?)));
        let (is_own, otherwise) = match ty {
            Some((_, ty)) if tables.type_def(ty).is_resource() => (
                !matches!(element.name, "id" | "text" | "implicitRules"),
                some,
            ),
            Some(("Meta", _)) => {
                let kept = matches!(
                    element.name,
                    "versionId" | "lastUpdated" | "profile" | "source"
                );
                (!kept, Says::Always)
            }
            Some(("Extension", _)) => (element.name != "url", Says::Always),
            Some(("Reference", _)) => (element.name != "type", Says::Always),
            _ => (element.name != "id", some),
        };
        if is_own { otherwise } else { Says::Nothing }
    })
    .collect()
});

fn counts(child: Node<'_>) -> bool {
    match SAYS.get(child.element_id().index()) {
        Some(Says::Nothing) => false,
        Some(Says::Own) => !is_derived(child),
        Some(Says::Always) | None => true,
    }
}

/// Whether it is an identifier that the way there made of other fields.
fn is_derived(node: Node<'_>) -> bool {
    node.type_name() == "Identifier" && node.child_text("system") == Some("urn:hilum:derived")
}

fn bit(node: Node<'_>) -> (usize, u64) {
    let index = node.id().lo;
    (
        usize::try_from(index / 64).unwrap_or(usize::MAX),
        1 << (index % 64),
    )
}

fn is_set(marks: &[u64], node: Node<'_>) -> bool {
    let (word, bit) = bit(node);
    marks.get(word).is_some_and(|word| word & bit != 0)
}

fn set(marks: &mut [u64], node: Node<'_>) {
    let (word, bit) = bit(node);
    if let Some(word) = marks.get_mut(word) {
        *word |= bit;
    }
}

fn set_below(marks: &mut [u64], node: Node<'_>) {
    for child in node.children() {
        set(marks, child);
        set_below(marks, child);
    }
}
