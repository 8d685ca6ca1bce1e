//! The end of a draft: a resource without what came to nothing.

use super::build::{Builder, narrow};
use super::{Entry, NONE, Resource, VALUE, definitions};

impl Builder {
    /// As [`Self::compact`], and where each node went.
    pub(crate) fn compact_tracked(self) -> (Resource, Vec<u32>) {
        let mut entries = Vec::with_capacity(self.entries.len());
        let mut way = vec![NONE; self.entries.len()];
        self.keep(0, NONE, &mut entries, Some(&mut way));
        let resource = Resource {
            text: self.text,
            read: self.read,
            entries,
        };
        (resource, way)
    }

    /// The resource without what was taken out and without what has neither value nor children.
    pub(crate) fn compact(self) -> Resource {
        let mut entries = Vec::with_capacity(self.entries.len());
        self.keep(0, NONE, &mut entries, None);
        Resource {
            text: self.text,
            read: self.read,
            entries,
        }
    }

    /// Copies a node with what is below it; false where nothing is left of it.
    fn keep(
        &self,
        index: u32,
        parent: u32,
        entries: &mut Vec<Entry>,
        mut way: Option<&mut Vec<u32>>,
    ) -> bool {
        let Some(source) = self.entry(index) else {
            return false;
        };
        let own = entries.len();
        entries.push(Entry {
            parent,
            first: NONE,
            next: NONE,
            ..*source
        });
        let mut last = own;
        let mut next = source.first;
        while let Some(child) = self.entry(next) {
            let at = entries.len();
            // Two of three nodes are values with nothing below them. Without a call for each it takes
            // a third fewer instructions.
            let is_value = child.first == NONE && child.flags & VALUE != 0 && way.is_none();
            if is_value {
                entries.push(Entry {
                    parent: narrow(own),
                    next: NONE,
                    ..*child
                });
            }
            if is_value || self.keep(next, narrow(own), entries, way.as_deref_mut()) {
                if let Some(before) = entries.get_mut(last) {
                    let link = match last == own {
                        true => &mut before.first,
                        false => &mut before.next,
                    };
                    *link = narrow(at);
                }
                last = at;
            }
            next = child.next;
        }
        let is_whole = || definitions().type_def(source.ty).is_resource();
        if source.flags & VALUE == 0 && last == own && !is_whole() {
            entries.truncate(own);
            return false;
        }
        if let Some(place) = way.and_then(|way| way.get_mut(index as usize)) {
            *place = narrow(own);
        }
        true
    }
}
