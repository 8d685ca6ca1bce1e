//! What expressions see beside the message: `%meta`, its named values, and `%original`, the
//! message that asked.

use std::borrow::Cow;

use hilum_fhirpath::{Collection, Node, NodeId, Scalar, Tree, Variables, Visit};
use hilum_message::{Metadata, Payload};

use super::Finding;
use crate::{ChannelPlan, Document, Severity, SourceKind};

/// The variable under which expressions know the message that asked.
pub(crate) const ORIGINAL: &str = "original";
/// The variable under which expressions know the message's named values (`%meta.ward`).
pub(crate) const META: &str = "meta";

/// The message that asked, parsed once for all steps and expressions of its reply.
#[derive(Debug, Default)]
pub(super) struct Original(Option<Box<dyn Document>>);

impl Original {
    /// Reads what a reply came with. One that is gone or cannot be read is noted, and
    /// `%original` is empty then.
    pub(super) fn of(
        plan: &ChannelPlan,
        payload: Option<&Payload>,
        findings: &mut Vec<Finding>,
    ) -> Self {
        let SourceKind::Reply(Some(format)) = &plan.source.kind else {
            return Self(None);
        };
        let read = payload
            .ok_or_else(|| "the message that asked is not there".to_owned())
            .and_then(|payload| format.parse(payload).map_err(|reject| reject.to_string()));
        match read {
            Ok(document) => Self(Some(document)),
            Err(text) => {
                findings.push(Finding {
                    step: ORIGINAL.to_owned(),
                    code: "no-original".to_owned(),
                    path: None,
                    severity: Severity::Warning,
                    text,
                });
                Self(None)
            }
        }
    }

    pub(super) fn document(&self) -> Option<&dyn Document> {
        self.0.as_deref()
    }
}

/// What stands beside a message at one step: its values are those from before the step.
pub struct Beside<'b> {
    original: Option<&'b dyn Document>,
    values: Values,
}

impl<'b> Beside<'b> {
    /// The message that asked, if there is one, and the values as they are now.
    #[must_use]
    pub fn new(original: Option<&'b dyn Document>, metadata: &Metadata) -> Self {
        Self {
            original,
            values: Values(metadata.clone()),
        }
    }
}

impl std::fmt::Debug for Beside<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Beside")
    }
}

impl Variables for Beside<'_> {
    fn variable<'v>(&'v self, name: &str) -> Option<Collection<'v>> {
        let tree: Option<&dyn Tree> = match name {
            META => Some(&self.values),
            ORIGINAL => self.original.map(Document::tree),
            _ => return None,
        };
        let root = tree.map(|tree| Node {
            tree,
            id: tree.root(),
        });
        Some(root.map(Collection::one).unwrap_or_default())
    }
}

/// Named values as a tree of one level.
struct Values(Metadata);

impl Values {
    fn at(&self, node: NodeId) -> Option<(&str, &str)> {
        let place = usize::try_from(node.lo).ok()?.checked_sub(1)?;
        self.0.iter().nth(place)
    }
}

impl Tree for Values {
    fn root(&self) -> NodeId {
        NodeId::default()
    }

    fn children(&self, of: NodeId, name: &str, visit: &mut Visit<'_>) {
        let named = self
            .0
            .iter()
            .zip(1_u64..)
            .find(|((own, _), _)| *own == name);
        if let Some((_, lo)) = named.filter(|_| of.lo == 0) {
            visit(NodeId { hi: 0, lo });
        }
    }

    fn all_children(&self, of: NodeId, visit: &mut Visit<'_>) {
        if of.lo == 0 {
            for (_, lo) in self.0.iter().zip(1_u64..) {
                visit(NodeId { hi: 0, lo });
            }
        }
    }

    fn name(&self, node: NodeId) -> Cow<'_, str> {
        self.at(node).map_or("", |(name, _)| name).into()
    }

    fn value(&self, node: NodeId) -> Option<Scalar<'_>> {
        self.at(node).map(|(_, value)| Scalar::String(value.into()))
    }

    fn location(&self, node: NodeId) -> String {
        format!("{META}.{}", self.name(node))
    }
}
