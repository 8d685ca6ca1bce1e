//! The message that asked, for those who work on the reply.

use hilum_fhirpath::{Collection, Node, Variables};
use hilum_message::Payload;

use super::Finding;
use crate::{ChannelPlan, Document, Severity, SourceKind};

/// The variable under which expressions know it.
pub(crate) const ORIGINAL: &str = "original";

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

impl Variables for Original {
    fn variable<'v>(&'v self, name: &str) -> Option<Collection<'v>> {
        if name != ORIGINAL {
            return None;
        }
        let tree = self.document().map(Document::tree);
        let root = tree.map(|tree| Node {
            tree,
            id: tree.root(),
        });
        Some(root.map(Collection::one).unwrap_or_default())
    }
}
