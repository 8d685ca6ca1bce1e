//! Where an edit takes effect.

use super::{Message, pos};
use crate::delimiters::Delimiters;
use crate::path::{FieldPath, Which};

/// Where a value goes in a segment: what it replaces, and the separators that have to come first.
pub(super) struct Place {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) padding: Vec<u8>,
}

impl Place {
    /// The place is new: nothing is replaced.
    pub(super) fn is_new(&self) -> bool {
        !self.padding.is_empty()
    }
}

impl Message {
    /// Where the value of a field path goes in a segment.
    pub(super) fn place(&self, index: usize, path: &FieldPath, repetition: u32) -> Place {
        let Delimiters {
            field,
            component,
            repetition: repeat,
            subcomponent,
            ..
        } = self.delimiters;
        let Some(text) = self.seg_text(index) else {
            return Place {
                start: 0,
                end: 0,
                padding: Vec::new(),
            };
        };
        let mut padding = Vec::new();
        let pad = |padding: &mut Vec<u8>, separator, missing: u32| {
            padding.resize(padding.len().saturating_add(missing as usize), separator);
        };
        let steps = [
            (repetition, repeat),
            (path.component, component),
            (path.subcomponent, subcomponent),
        ];
        let found = self
            .segment(index)
            .and_then(|segment| segment.field(path.field));
        let Some(mut part) = found else {
            pad(
                &mut padding,
                field,
                path.field.saturating_sub(text.field_count()),
            );
            for (n, separator) in steps {
                pad(&mut padding, separator, n.saturating_sub(1));
            }
            return Place {
                start: text.end,
                end: text.end,
                padding,
            };
        };
        for (n, separator) in steps {
            if n == 0 {
                break;
            }
            if !padding.is_empty() {
                pad(&mut padding, separator, n.saturating_sub(1));
                continue;
            }
            match part.nth(n) {
                Some(child) => part = child,
                None => {
                    let present = pos(part.children().count());
                    pad(&mut padding, separator, n.saturating_sub(present));
                }
            }
        }
        let start = if padding.is_empty() {
            part.start
        } else {
            part.end
        };
        Place {
            start,
            end: part.end,
            padding,
        }
    }
}

/// The number that a path means when it is written to.
pub(super) fn first(which: Which) -> u32 {
    match which {
        Which::Nth(n) => n,
        Which::Unsaid | Which::All => 1,
    }
}
