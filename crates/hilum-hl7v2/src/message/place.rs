//! Where an edit takes effect, and what happens to cuts around it.

use std::ops::Range;

use super::{CutAt, Message, pos};
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

/// Bytes to put into a segment, with the cuts that belong into them.
#[derive(Default)]
pub(super) struct Text {
    pub(super) bytes: Vec<u8>,
    pub(super) cuts: Vec<CutAt>,
}

impl Text {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            cuts: Vec::new(),
        }
    }

    /// Puts separators before it.
    pub(super) fn after(self, padding: &[u8]) -> Self {
        let shift = pos(padding.len());
        let moved = |place: CutAt| CutAt {
            at: place.at.saturating_add(shift),
            ..place
        };
        Self {
            bytes: [padding, &self.bytes].concat(),
            cuts: self.cuts.into_iter().map(moved).collect(),
        }
    }
}

/// What an edit does to the cuts that touch its place.
#[derive(Clone, Copy)]
pub(super) enum Touched {
    /// Those in this span, ends included, go with what is replaced.
    Replaced(u32, u32),
    /// They come before what is inserted.
    Before,
    /// They come after what is inserted.
    After,
}

/// The cuts of a segment after its text between `start` and `end` was replaced.
pub(super) fn moved_cuts(
    cuts: &[CutAt],
    segment: Range<u32>,
    (start, end): (u32, u32),
    with: &Text,
    touched: Touched,
) -> Vec<CutAt> {
    let own = |place: &&CutAt| (segment.start..=segment.end).contains(&place.at);
    let mut before = Vec::new();
    let mut after = Vec::new();
    for place in cuts.iter().filter(own) {
        let at = place.at;
        let replaced = match touched {
            Touched::Replaced(from, to) => (from..=to).contains(&at),
            Touched::Before | Touched::After => start < at && at < end,
        };
        if replaced {
            continue;
        }
        let leads = at < start || (at == start && !matches!(touched, Touched::After));
        if leads {
            before.push(CutAt {
                at: at.saturating_sub(segment.start),
                ..*place
            });
        } else {
            let moved = start
                .saturating_sub(segment.start)
                .saturating_add(pos(with.bytes.len()))
                .saturating_add(at.saturating_sub(end));
            after.push(CutAt {
                at: moved,
                ..*place
            });
        }
    }
    let base = start.saturating_sub(segment.start);
    before.extend(with.cuts.iter().map(|p| CutAt {
        at: p.at.saturating_add(base),
        ..*p
    }));
    before.extend(after);
    before
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
