//! Values that a message has many times: a unit, a flag, who observed. What a map made of one is
//! copied.

use std::collections::hash_map::Entry;

use hilum_fhir::At;

use super::read::Value;
use super::{Run, Spot};
use crate::plan::Number;

/// What is known of a value that a map was run for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Copied {
    /// It was seen once.
    Seen,
    /// What the map makes of it, beside the Bundle.
    Made(At),
    /// Something was reported, which names its place.
    Reported,
}

impl<'m> Run<'_, 'm> {
    /// Fills an element with what a map makes of a value where that is known; false where the map
    /// has to be run.
    pub(super) fn copied(
        &mut self,
        map: Number,
        spot: Spot,
        segment: u32,
        value: Value<'m>,
        depth: u32,
    ) -> bool {
        let plan = self.plan;
        let Some(beyond) = plan
            .maps
            .get(map as usize)
            .and_then(|map| map.beyond.as_ref())
        else {
            return false;
        };
        if self.settings.explain {
            return false;
        }
        let key = (map, value.part.level(), value.part.raw());
        match self.copies.entry(key) {
            Entry::Vacant(place) => {
                place.insert(Copied::Seen);
                return false;
            }
            Entry::Occupied(known) => match *known.get() {
                Copied::Made(from) => return self.draft.copy_into(from, spot.at),
                Copied::Reported => return false,
                Copied::Seen => {}
            },
        }
        let parts = self.parts.len();
        let (_, present) = self.opened(value);
        self.parts.truncate(parts);
        if beyond.iter().any(|field| present.has(*field)) {
            self.copies.insert(key, Copied::Reported);
            return false;
        }
        let Some(from) = self.draft.beside(spot.at) else {
            return false;
        };
        let findings = self.findings.len();
        self.run_map(map, Spot { at: from, ..spot }, segment, Some(value), depth);
        let copied = match self.findings.len() == findings {
            true => Copied::Made(from),
            false => Copied::Reported,
        };
        self.copies.insert(key, copied);
        self.draft.copy_into(from, spot.at)
    }
}
