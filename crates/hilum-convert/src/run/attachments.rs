//! Documents in a Binary of their own: whoever lists DocumentReferences reads a URL each, and not all
//! documents.

use hilum_fhir::At;

use super::names::names;
use super::{Pending, Run};
use crate::settings::Attachments;

/// What is said of content whose media type nobody told.
const UNKNOWN: &str = "application/octet-stream";

/// Elements within each other that are looked at.
const DEPTH_MAX: usize = 40;

impl Run<'_, '_> {
    /// Moves the data of attachments, where that is asked for.
    pub(super) fn attachments(&mut self) {
        if self.settings.attachments == Attachments::Inline {
            return;
        }
        let mut found = Vec::new();
        for made in self.made.iter().skip(1) {
            self.attachments_below(made.node, 0, &mut found);
        }
        for attachment in found {
            self.detach(attachment);
        }
    }

    fn attachments_below(&self, at: At, depth: usize, found: &mut Vec<At>) {
        for (child, _, ty) in self.draft.children(at) {
            if ty == names().attachment.ty {
                found.push(child);
            } else if depth < DEPTH_MAX {
                self.attachments_below(child, depth + 1, found);
            }
        }
    }

    fn detach(&mut self, attachment: At) {
        let names = names();
        let Some(data) = self.draft.child(attachment, names.attachment_data) else {
            return;
        };
        if self.draft.text(data).is_none() {
            return;
        }
        let kind = self.draft.child(attachment, names.attachment_type);
        let kind = kind.and_then(|kind| self.draft.text(kind));
        let kind = kind.unwrap_or(UNKNOWN).to_owned();
        let Some(made) = self.make(names.binary, 0, true) else {
            return;
        };
        let node = self.node(made);
        self.put(node, names.binary_content, &kind);
        let Some(place) = self.draft.single(node, names.binary_data) else {
            return;
        };
        // Both have the same text, so that nothing of a large document is copied.
        self.draft.copy_into(data, place);
        self.draft.remove(data);
        if let Some(text) = self.draft.single(attachment, names.attachment_url) {
            self.pending.push(Pending {
                text,
                parent: attachment,
                made,
                weak: false,
            });
        }
    }
}
