//! Taking things out of a message.

use super::edit::check_target;
use super::{EditError, Message};
use crate::path::{FieldPath, Path, Which};

impl Message {
    /// Deletes what a path names: segments and repetitions with `[n]` or `[*]` are taken out,
    /// anything else is emptied. Returns how many places were changed.
    pub fn delete(&mut self, path: &Path) -> Result<usize, EditError> {
        let Some(field) = path.field else {
            return self.delete_segments(path);
        };
        check_target(path)?;
        let mut changed = 0_usize;
        for index in self.targets(path) {
            changed = changed.saturating_add(self.delete_in(index, &field));
        }
        Ok(changed)
    }

    fn delete_segments(&mut self, path: &Path) -> Result<usize, EditError> {
        let found = self.targets(path);
        if found.contains(&0) {
            return Err(EditError::Header {
                path: path.to_string(),
            });
        }
        for index in found.iter().rev() {
            self.remove_segment(*index)?;
        }
        Ok(found.len())
    }

    /// Deletes within one segment; returns how many places changed.
    fn delete_in(&mut self, index: usize, path: &FieldPath) -> usize {
        let Some(field) = self
            .segment(index)
            .and_then(|segment| segment.field(path.field))
        else {
            return 0;
        };
        if path.component == 0 && !matches!(path.repetition, Which::Nth(_)) {
            let (start, end) = (field.start, field.end);
            if start == end {
                return 0;
            }
            self.splice(index, (start, end), &[]);
            return 1;
        }
        let spans: Vec<(u32, u32)> = field
            .children()
            .zip(1_u32..)
            .filter(|(_, n)| match path.repetition {
                Which::Nth(wanted) => wanted == *n,
                Which::Unsaid => *n == 1,
                Which::All => true,
            })
            .filter_map(|(repetition, _)| {
                let mut part = repetition;
                if path.component > 0 {
                    part = part.nth(path.component)?;
                }
                if path.subcomponent > 0 {
                    part = part.nth(path.subcomponent)?;
                }
                // The separator goes with a repetition: the one before, or after the first.
                let span = if path.component > 0 {
                    (part.start, part.end)
                } else if part.start > field.start {
                    (part.start.saturating_sub(1), part.end)
                } else {
                    (part.start, part.end.saturating_add(1).min(field.end))
                };
                (span.0 < span.1).then_some(span)
            })
            .collect();
        // From the back, and relative to the segment: the first splice moves it to its own text.
        let base = self.segs.get(index).map_or(0, |seg| seg.start);
        for span in spans.iter().rev() {
            let at = self.segs.get(index).map_or(0, |seg| seg.start);
            let moved = |position: u32| position.saturating_sub(base).saturating_add(at);
            self.splice(index, (moved(span.0), moved(span.1)), &[]);
        }
        spans.len()
    }
}
