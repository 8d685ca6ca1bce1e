//! What was carried over, a bit for each node, and what was not.

use hilum_fhir::Node;

use super::run::Run;

impl<'r> Run<'r, '_> {
    pub(super) fn mark(&mut self, node: Node<'r>, below: bool) {
        let found = self
            .sources
            .all
            .iter()
            .position(|of| std::ptr::eq(*of, node.resource()));
        let Some(marks) = found.and_then(|at| self.marks.get_mut(at)) else {
            return;
        };
        set(marks, node);
        if below {
            set_below(marks, node);
        }
    }

    fn is_marked(&self, node: Node<'r>) -> bool {
        let all = self.sources.all.iter().zip(&self.marks);
        let mut own = all.filter(|(of, _)| std::ptr::eq(**of, node.resource()));
        let (word, bit) = bit(node);
        own.next()
            .and_then(|(_, marks)| marks.get(word))
            .is_some_and(|word| word & bit != 0)
    }

    /// The paths of what was not carried over, each the highest that says it.
    pub(super) fn unmapped(&self) -> Vec<String> {
        let mut paths = Vec::new();
        for root in &self.sources.roots {
            let mut open = Vec::new();
            match self.walk(*root, &mut open) {
                Some(false) => paths.push(root.path()),
                Some(true) => paths.extend(open.into_iter().map(Node::path)),
                None => {}
            }
        }
        paths
    }

    /// Whether something in a node was carried over; `None` where nothing in it counts. What was
    /// not is added where something beside it was.
    fn walk(&self, node: Node<'r>, open: &mut Vec<Node<'r>>) -> Option<bool> {
        let here = open.len();
        let mut own = node.text().map(|_| self.is_marked(node));
        let mut lost = Vec::new();
        for child in node.children().filter(|child| counts(node, *child)) {
            match self.walk(child, open) {
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
}

/// What says nothing of its own: the id and bookkeeping of a resource, its narrative, the URL of an
/// extension, the type beside a reference.
fn counts(parent: Node<'_>, child: Node<'_>) -> bool {
    let name = child.name();
    if parent.is_resource() {
        return !matches!(name, "id" | "text" | "implicitRules") && !is_derived(child);
    }
    match parent.type_name() {
        "Meta" => !matches!(name, "versionId" | "lastUpdated" | "profile" | "source"),
        "Extension" => name != "url",
        "Reference" => name != "type",
        _ => name != "id" && !is_derived(child),
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
