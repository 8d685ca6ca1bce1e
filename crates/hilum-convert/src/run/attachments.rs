//! Documents in a Binary of their own: whoever lists DocumentReferences reads a URL each, and not all
//! documents.
//!
//! The Binary is known by the resource whose document it holds: a message that corrects this one
//! gives the next version of both.

use hilum_fhir::At;
use hilum_fhir::definitions::Definitions;

use super::bundle::{UUID, Unified};
use super::names::names;
use super::{Pending, Run, narrow};
use crate::settings::Attachments;
use crate::text::How;
use crate::value::hash;

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
        for (of, made) in self.made.iter().enumerate().skip(1) {
            let mut below = Vec::new();
            self.attachments_below(made.node, 0, &mut below);
            found.extend(below.into_iter().map(|attachment| (narrow(of), attachment)));
        }
        for (of, attachment) in found {
            self.detach(of, attachment);
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

    fn detach(&mut self, of: u32, attachment: At) {
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
        self.detached.push((made, of));
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

    /// The URL of a resource that holds a document: it derives from what that one is known by whose
    /// document it is, and from which of its documents it is. `None` where a transaction does not
    /// write whose it is, or it is not known: the next message would change a document that is
    /// still referred to.
    pub(super) fn detached_url(&self, at: usize, unified: &Unified) -> Option<String> {
        let of = |binary: u32| self.detached.iter().find(|(made, _)| *made == binary);
        let (_, owner) = of(narrow(at))?;
        let is_kept = |owner: u32| unified.same.get(owner as usize) == Some(&Some(owner));
        let known = unified.known.get(*owner as usize)?.as_ref()?;
        if !is_kept(*owner) || known.how != How::Update {
            return None;
        }
        let ty = self.made.get(*owner as usize)?.node;
        let ty = self.draft.type_id(ty)?;
        let earlier = self.detached.iter();
        let earlier = earlier.filter(|(made, of)| of == owner && (*made as usize) < at);
        let name = Definitions::r4().type_def(ty).name;
        let number = earlier.count().to_string();
        let parts = ["Binary", name, &known.system, &known.value, &number];
        Some(hash::uuid_behind(UUID, &parts))
    }
}
