//! Maps: their rows run for a segment or a value.

use super::read::Value;
use super::{Frame, Named, Run, Slot, Spot};
use crate::finding::FindingCode;
use crate::plan::{Fields, Map, Number};

/// Maps within maps.
const DEPTH_MAX: u32 = 24;

impl<'p, 'm> Run<'p, 'm> {
    /// Runs the rows of a map.
    pub(super) fn run_map(
        &mut self,
        map: Number,
        target: Spot,
        segment: u32,
        value: Option<Value<'m>>,
        depth: u32,
    ) {
        if depth >= DEPTH_MAX {
            self.finding(
                FindingCode::LimitReached,
                self.whole(segment),
                Some("maps within maps"),
            );
            return;
        }
        let plan = self.plan;
        let Some(rows) = plan.maps.get(map as usize) else {
            return;
        };
        let base = self.slots.len();
        let parts = self.parts.len();
        // Most rows are about what is not there: one look at the segment or value tells which.
        let (value, present) = match value {
            Some(value) => {
                let (value, present) = self.opened(value);
                (Some(value), present)
            }
            None => (None, self.fields_present(segment)),
        };
        let frame = Frame {
            map,
            target,
            segment,
            value,
            base,
            depth,
        };
        // What is new has nothing that was named: ten thousand results do not look for it in each other.
        if depth == 0 && self.draft.first_child(target.at).is_some() {
            self.share_named(rows, &frame);
        }
        if self.in_portions(rows, &frame) {
            self.portions(rows, &frame, present);
        } else {
            for row in 0..rows.rows.len() {
                self.row_if(rows, row, &frame, present);
            }
        }
        if depth == 0 {
            self.keep_named(rows, &frame);
        }
        self.slots.truncate(base);
        self.parts.truncate(parts);
    }

    /// Runs a row unless it is about what is not there, or known to fail.
    #[inline]
    fn row_if(&mut self, map: &'p Map, row: usize, frame: &Frame<'m>, present: Fields) {
        let (Some(asked), Some(guard)) = (map.asked.get(row), map.guards.get(row)) else {
            return;
        };
        if (*asked == 0 || present.has(*asked))
            && !self.is_known_to_fail(*guard, frame.segment)
            && let Some(row) = map.rows.get(row)
        {
            self.row(frame, row);
        }
    }

    /// Gives a map the named elements that other maps of the same resource have made.
    fn share_named(&mut self, rows: &Map, frame: &Frame<'m>) {
        for (place, name) in &rows.named {
            let Some(def) = rows.places.get(*place as usize) else {
                continue;
            };
            let known = self.named.iter().find(|known| {
                known.holder == frame.target.at
                    && known.map != frame.map
                    && known.element == def.child.element
                    && *known.name == **name
            });
            if let Some(Named { spot, .. }) = known {
                self.slots.push(Slot {
                    place: *place,
                    repetition: 0,
                    spot: *spot,
                });
            }
        }
    }

    fn keep_named(&mut self, rows: &'p Map, frame: &Frame<'m>) {
        for (place, name) in &rows.named {
            let slots = self.slots.get(frame.base..).unwrap_or_default();
            let slot = slots
                .iter()
                .find(|slot| slot.place == *place && slot.repetition == 0);
            if let (Some(slot), Some(def)) = (slot, rows.places.get(*place as usize)) {
                self.named.push(Named {
                    map: frame.map,
                    holder: frame.target.at,
                    element: def.child.element,
                    name,
                    spot: slot.spot,
                });
            }
        }
    }
}
