//! Segments that say the same as one before them: what a portion of the rows made of that one is made
//! again, and only the rest of the rows run.
//!
//! The results of one order share status, times, unit, range and observer. All that a portion leaves
//! behind stands at the end of the lists of the run, so making it again is copying these ends with
//! the numbers moved.

use hilum_fhir::{At, Moved, Stretch};

use super::{Frame, Late, Made, Pending, Run, Slot, Spot, narrow};
use crate::plan::{Fields, Map, Number, Portion, Reads};

/// What the portions of a map made of a segment, last.
pub(super) struct Before {
    map: Number,
    portions: Vec<Last>,
}

/// The last run of a portion.
#[derive(Default)]
struct Last {
    segment: u32,
    /// A bit for each of its rows whose condition did not hold.
    failed: u128,
    /// The fields that told so.
    tests: Fields,
    traces: Option<Traces>,
}

/// What a portion made of a segment.
struct Traces {
    segment: u32,
    reads: Reads,
    /// The other segments that were read.
    others: Vec<([u8; 3], Option<u32>)>,
    target: Spot,
    stretch: Stretch,
    first_made: usize,
    made: Vec<Made>,
    pending: Vec<Pending>,
    extensions: Vec<(At, At)>,
    late: Vec<Late>,
    slots: Vec<Slot>,
}

/// How long the lists of the run are.
struct Ends {
    nodes: usize,
    made: usize,
    pending: usize,
    extensions: usize,
    late: usize,
    slots: usize,
    findings: usize,
}

/// Where what is made again goes.
struct Move<'t> {
    traces: &'t Traces,
    moved: Moved,
    to: Spot,
    segment: u32,
    /// The first resource that is made again.
    made: usize,
}

impl Move<'_> {
    fn made(&self, made: u32) -> u32 {
        let from = self.traces.first_made;
        match (made as usize).checked_sub(from) {
            Some(at) if at < self.traces.made.len() => narrow(self.made + at),
            _ if made == self.traces.target.made => self.to.made,
            _ => made,
        }
    }

    const fn segment(&self, segment: u32) -> u32 {
        if segment == self.traces.segment {
            self.segment
        } else {
            segment
        }
    }
}

impl<'p, 'm> Run<'p, 'm> {
    /// Whether the rows of a map run in portions: for a new resource of a segment of which the
    /// message has several. Where each element is to say why it is there, every row runs; so it does
    /// where there may be an explicit null, which is told even if the row is about something else.
    pub(super) fn in_portions(&self, map: &Map, frame: &Frame<'m>) -> bool {
        let segment = self.segments.get(frame.segment as usize);
        frame.depth == 0
            && frame.target.made != 0
            && !map.portions.groups.is_empty()
            && !self.settings.explain
            && !self.has_quotes
            && segment.is_some_and(|segment| segment.is_one_of_many)
            && self.draft.first_child(frame.target.at).is_none()
    }

    /// Runs the rows of a map by portions, as far as a portion is not known from a segment before.
    pub(super) fn portions(&mut self, map: &'p Map, frame: &Frame<'m>, present: Fields) {
        let known = self.before.iter().position(|known| known.map == frame.map);
        let mut before = match known {
            Some(at) => self.before.swap_remove(at),
            None => Before {
                map: frame.map,
                portions: map
                    .portions
                    .groups
                    .iter()
                    .map(|_| Last::default())
                    .collect(),
            },
        };
        for (portion, last) in map.portions.groups.iter().zip(&mut before.portions) {
            if let Some(traces) = &last.traces
                && self.reads_the_same(portion, traces, frame.segment, present)
                && self.make_again(traces, frame)
            {
                continue;
            }
            let ends = self.ends_now();
            let reads = self.portion(map, portion, last, frame, present);
            last.traces = self.traces(map, reads, frame, &ends);
        }
        self.before.push(before);
    }

    /// Runs the rows of a portion; gives what they read.
    fn portion(
        &mut self,
        map: &'p Map,
        portion: &Portion,
        last: &mut Last,
        frame: &Frame<'m>,
        present: Fields,
    ) -> Reads {
        let mut reads = Reads::default();
        let changed = self.changed(last.tests, last.segment, frame.segment);
        let before = std::mem::replace(
            last,
            Last {
                segment: frame.segment,
                ..Last::default()
            },
        );
        for (bit, number) in portion.rows.iter().enumerate() {
            let at = *number as usize;
            let bit = if bit < 128 { 1_u128 << bit } else { 0 };
            let (Some(asked), Some(guard)) = (map.asked.get(at), map.guards.get(at)) else {
                continue;
            };
            if *asked != 0 && !present.has(*asked) {
                continue;
            }
            let (Some(row), Some(of)) = (map.rows.get(at), map.portions.reads.get(at)) else {
                continue;
            };
            let condition = row.condition.as_ref();
            // A test of what is the same has the same answer: of the thirty types that OBX-2 may
            // name, one is looked for.
            let of_fields = of.test.others == 0 && !of.test.beyond;
            let fails = (of_fields && before.failed & bit != 0 && of.test.own.and(changed).0 == 0)
                || self.is_known_to_fail(*guard, frame.segment)
                || condition.is_some_and(|test| self.is_ruled_out(test, frame.segment));
            if fails {
                reads.add(of.test);
                if of_fields {
                    last.failed |= bit;
                    last.tests.0 |= of.test.own.0;
                }
            } else {
                reads.add(of.all);
                self.row(frame, row);
            }
        }
        reads
    }

    /// Which of some fields are not the same in two segments.
    fn changed(&self, fields: Fields, one: u32, other: u32) -> Fields {
        let presence = self.fields_present(one).0 ^ self.fields_present(other).0;
        let mut changed = Fields(presence);
        let text = |segment, number| self.field(segment, number).map(|field| field.raw());
        for number in fields.and(self.fields_present(one)).numbers() {
            if text(one, number) != text(other, number) {
                changed.add(number);
            }
        }
        changed
    }

    fn reads_the_same(
        &self,
        portion: &Portion,
        traces: &Traces,
        segment: u32,
        present: Fields,
    ) -> bool {
        let presence = Fields(portion.asked.0 | traces.reads.own.0);
        let before = self.fields_present(traces.segment);
        let text = |segment, number| self.field(segment, number).map(|field| field.raw());
        let mut own = present.and(traces.reads.own).numbers();
        let mut others = traces.others.iter();
        present.and(presence) == before.and(presence)
            && own.all(|number| text(segment, number) == text(traces.segment, number))
            && others.all(|(id, found)| self.other_segment(segment, *id) == *found)
    }

    fn ends_now(&self) -> Ends {
        Ends {
            nodes: self.draft.node_count(),
            made: self.made.len(),
            pending: self.pending.len(),
            extensions: self.extensions.len(),
            late: self.late.len(),
            slots: self.slots.len(),
            findings: self.findings.len(),
        }
    }

    /// What a portion has left behind; `None` where that cannot be made again. A finding names the
    /// place of its own segment.
    fn traces(&self, map: &Map, reads: Reads, frame: &Frame<'m>, ends: &Ends) -> Option<Traces> {
        if reads.beyond || self.findings.len() != ends.findings {
            return None;
        }
        let others = (0..).zip(&map.portions.others);
        let others = others.filter(|(bit, _)| reads.others & 1_u32.wrapping_shl(*bit) != 0);
        Some(Traces {
            segment: frame.segment,
            reads,
            others: others
                .map(|(_, id)| (*id, self.other_segment(frame.segment, *id)))
                .collect(),
            target: frame.target,
            stretch: self.draft.kept_since(ends.nodes, frame.target.at),
            first_made: ends.made,
            made: since(&self.made, ends.made),
            pending: since(&self.pending, ends.pending),
            extensions: since(&self.extensions, ends.extensions),
            late: since(&self.late, ends.late),
            slots: since(&self.slots, ends.slots),
        })
    }

    /// Makes again what a portion left behind; false, and nothing is made, where there is no room
    /// for its resources.
    fn make_again(&mut self, traces: &Traces, frame: &Frame<'m>) -> bool {
        if self.made.len() + traces.made.len() > super::RESOURCES_MAX {
            return false;
        }
        let go = Move {
            traces,
            moved: self.draft.make_again(&traces.stretch, frame.target.at),
            to: frame.target,
            segment: frame.segment,
            made: self.made.len(),
        };
        for made in &traces.made {
            let entry = go.moved.at(made.entry);
            if let Some(last) = self.last_entry {
                self.draft.put_behind(last, entry);
            }
            self.last_entry = Some(entry);
            self.made.push(Made {
                entry,
                node: go.moved.at(made.node),
                segment: go.segment(made.segment),
                ..*made
            });
        }
        for pending in &traces.pending {
            let text = go.moved.at(pending.text);
            if let Some(holder) = self.draft.parent(text) {
                let pending = Pending {
                    text,
                    parent: go.moved.at(pending.parent),
                    made: go.made(pending.made),
                    ..*pending
                };
                self.note_reference(holder, pending);
            }
        }
        let extensions = traces.extensions.iter();
        self.extensions
            .extend(extensions.map(|(at, url)| (go.moved.at(*at), go.moved.at(*url))));
        for late in &traces.late {
            self.late.push(match *late {
                Late::Row { row, made, segment } => Late::Row {
                    row,
                    made: go.made(made),
                    segment: go.segment(segment),
                },
                Late::Role {
                    role,
                    holder,
                    text,
                    segment,
                } => Late::Role {
                    role,
                    holder: go.moved.at(holder),
                    text,
                    segment: go.segment(segment),
                },
            });
        }
        for slot in &traces.slots {
            let spot = Spot {
                at: go.moved.at(slot.spot.at),
                made: go.made(slot.spot.made),
            };
            self.slots.push(Slot { spot, ..*slot });
        }
        true
    }
}

fn since<T: Copy>(list: &[T], from: usize) -> Vec<T> {
    list.get(from..).unwrap_or_default().to_vec()
}
