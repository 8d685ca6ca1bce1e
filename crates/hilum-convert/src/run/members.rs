//! Results that belong to another result: the susceptibilities of an isolate.
//!
//! OBR-26 names the parent result by its code and sub-id, OBR-29 the order that it stands in (HL7
//! v2.5.1 §4.5.3.26 and §7.3.1.26). Where the message has it, the parent lists its members.

use super::names::names;
use super::read::trimmed;
use super::{Run, narrow};
use crate::finding::{FindingCode, Location};

impl Run<'_, '_> {
    /// Lists the results of each order that names a parent result at that result.
    pub(super) fn members(&mut self) {
        for at in 0..self.segments.len() {
            let has_parent = self
                .segments
                .get(at)
                .is_some_and(|segment| segment.id == *b"OBR" && segment.present.has(26));
            if has_parent {
                self.members_of(narrow(at));
            }
        }
    }

    fn members_of(&mut self, order: u32) {
        let children = self.results_of(order);
        if children.is_empty() {
            return;
        }
        let mut parents = self.parents(order);
        let Some(parent) = parents.pop() else { return };
        if !parents.is_empty() {
            // Which of two isolates it is decides about the treatment.
            let place = Location {
                field: 26,
                ..self.whole(order)
            };
            self.finding(FindingCode::AmbiguousReference, place, Some("Observation"));
            return;
        }
        let holder = self.node(parent);
        let (member, text) = (names().has_member, names().reference_text);
        for child in children {
            let at = self.draft.append(holder, member);
            self.refer_in(holder, at, text, child, true);
        }
    }

    /// The results that OBR-26 of an order may mean.
    fn parents(&self, order: u32) -> Vec<u32> {
        let text = |segment, place| self.part_text(segment, place).unwrap_or_default();
        let (code, sub_id) = (text(order, (26, 1, 1)), text(order, (26, 2, 0)));
        let numbers = [(2, (29, 1, 1)), (3, (29, 2, 1))];
        let results = self.made_results().filter(|(segment, _)| {
            let Some(own) = self
                .other_segment(*segment, *b"OBR")
                .filter(|own| *own != order)
            else {
                return false;
            };
            let fits = numbers.iter().all(|(field, parent)| {
                let wanted = text(order, *parent);
                let has = text(own, (*field, 1, 0));
                wanted.is_empty() || has.is_empty() || wanted == has
            });
            fits && !code.is_empty()
                && text(*segment, (3, 1, 0)) == code
                && text(*segment, (4, 1, 0)) == sub_id
        });
        results.map(|(_, made)| made).collect()
    }

    fn results_of(&self, order: u32) -> Vec<u32> {
        let own = |segment| self.other_segment(segment, *b"OBR") == Some(order);
        let results = self.made_results().filter(|(segment, _)| own(*segment));
        results.map(|(_, made)| made).collect()
    }

    /// Observations that OBX made, with their segments.
    fn made_results(&self) -> impl Iterator<Item = (u32, u32)> {
        let made = self.made.iter().enumerate().filter(|(_, made)| {
            let segment = self.segments.get(made.segment as usize);
            made.is_role
                && segment.is_some_and(|segment| segment.id == *b"OBX")
                && self.draft.type_id(made.node) == Some(names().observation)
        });
        made.map(|(at, made)| (made.segment, narrow(at)))
    }

    /// The text of a component or subcomponent of the first repetition of a field.
    fn part_text(&self, segment: u32, place: (u32, u32, u32)) -> Option<String> {
        let (field, component, subcomponent) = place;
        let value = self.first(segment, field)?;
        let value = self.below(&value, component, subcomponent)?;
        let text = self.text_of(&value);
        let text = trimmed(&text);
        (!text.is_empty()).then(|| text.to_owned())
    }
}
