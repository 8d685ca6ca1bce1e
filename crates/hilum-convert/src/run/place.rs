//! From the places of a map to elements of the Bundle.

use hilum_fhir::definitions::Child;

use super::{Frame, Made, Pending, Run, Slot, Spot};
use crate::plan::{Number, PlaceDef, PlaceStep, Reference};

impl<'p, 'm> Run<'p, 'm> {
    pub(super) fn place_def(&self, map: Number, place: Number) -> Option<&'p PlaceDef> {
        let plan = self.plan;
        plan.maps.get(map as usize)?.places.get(place as usize)
    }

    /// The element of a place if it is there.
    pub(super) fn peek(&self, frame: &Frame<'m>, place: Number, repetition: u32) -> Option<Spot> {
        if place == 0 {
            return Some(frame.target);
        }
        let def = self.place_def(frame.map, place)?;
        let key = if def.per_value { repetition } else { 0 };
        if let PlaceStep::Single = def.step {
            let parent = self.peek(frame, def.parent, repetition)?;
            let mut children = self.draft.children(parent.at);
            // Of a choice any type counts: it has room for one.
            let (at, ..) = children.find(|(_, element, _)| *element == def.child.element)?;
            return Some(Spot { at, ..parent });
        }
        self.slot(frame.base, place, key).or_else(|| {
            let PlaceStep::Extension { url, url_child } = &def.step else {
                return None;
            };
            let parent = self
                .peek(frame, def.parent, repetition)
                .filter(|_| !def.each)?;
            self.extension(parent, def.child, url, *url_child)
        })
    }

    fn slot(&self, base: usize, place: Number, repetition: u32) -> Option<Spot> {
        let slots = self.slots.get(base..)?;
        let found = slots
            .iter()
            .find(|slot| slot.place == place && slot.repetition == repetition);
        found.map(|slot| slot.spot)
    }

    fn extension(&self, parent: Spot, child: Child, url: &str, url_child: Child) -> Option<Spot> {
        let mut children = self.draft.children(parent.at);
        let found = children.find(|(at, element, _)| {
            *element == child.element
                && self
                    .draft
                    .child(*at, url_child)
                    .and_then(|at| self.draft.text(at))
                    .is_some_and(|text| text == url)
        });
        found.map(|(at, ..)| Spot { at, ..parent })
    }

    /// The element of a place, made where it is not there yet; `None` where there is no room for it.
    pub(super) fn spot(
        &mut self,
        frame: &Frame<'m>,
        place: Number,
        repetition: u32,
    ) -> Option<Spot> {
        let plan = self.plan;
        let places = &plan.maps.get(frame.map as usize)?.places;
        self.spot_in(
            places,
            frame.base,
            frame.target,
            frame.segment,
            place,
            repetition,
        )
    }

    /// As [`Self::spot`], in the places of a map or of a link.
    pub(super) fn spot_in(
        &mut self,
        places: &'p [PlaceDef],
        base: usize,
        target: Spot,
        segment: u32,
        place: Number,
        repetition: u32,
    ) -> Option<Spot> {
        if place == 0 {
            return Some(target);
        }
        let def = places.get(place as usize)?;
        let key = if def.per_value { repetition } else { 0 };
        let single = matches!(def.step, PlaceStep::Single);
        if !def.fresh
            && !single
            && let Some(spot) = self.slot(base, place, key)
        {
            return Some(spot);
        }
        let parent = self.spot_in(places, base, target, segment, def.parent, repetition)?;
        let spot = match &def.step {
            PlaceStep::Target => target,
            PlaceStep::Single => {
                let at = self.draft.single(parent.at, def.child)?;
                return Some(Spot { at, ..parent });
            }
            PlaceStep::Append => Spot {
                at: self.draft.append(parent.at, def.child),
                ..parent
            },
            PlaceStep::Extension { url, url_child } => {
                let known = if def.each {
                    None
                } else {
                    self.extension(parent, def.child, url, *url_child)
                };
                match known {
                    Some(spot) => spot,
                    None => {
                        let at = self.draft.append(parent.at, def.child);
                        let text = self.draft.single(at, *url_child)?;
                        self.draft.set(text, url).ok()?;
                        self.extensions.push((at, text));
                        Spot { at, ..parent }
                    }
                }
            }
            PlaceStep::Refer { reference, ty } => {
                if !reference.list && self.refers(parent, *reference) {
                    return None;
                }
                let made = self.make(*ty, segment, false)?;
                self.refer(parent.at, *reference, made, false);
                self.spot_of(made)
            }
            PlaceStep::Back { reference, ty } => {
                let made = self.make(*ty, segment, false)?;
                let spot = self.spot_of(made);
                self.refer(spot.at, *reference, parent.made, true);
                spot
            }
        };
        if !def.fresh {
            self.slots.push(Slot {
                place,
                repetition: key,
                spot,
            });
        }
        Some(spot)
    }

    fn spot_of(&self, made: u32) -> Spot {
        let node = self.made.get(made as usize).map(|Made { node, .. }| *node);
        Spot {
            at: node.unwrap_or(self.draft.root()),
            made,
        }
    }

    /// Whether an element that holds one reference has it.
    fn refers(&self, parent: Spot, reference: Reference) -> bool {
        let mut children = self.draft.children(parent.at);
        children.any(|(at, element, _)| {
            element == reference.child.element && (self.is_holder(at) || !self.draft.is_empty(at))
        })
    }

    fn is_holder(&self, at: hilum_fhir::At) -> bool {
        self.holders.get(at.index()) == Some(&true)
    }

    /// Puts a reference to a resource into an element.
    fn refer(&mut self, parent: hilum_fhir::At, reference: Reference, made: u32, weak: bool) {
        let holder = if reference.list {
            Some(self.draft.append(parent, reference.child))
        } else {
            self.draft.single(parent, reference.child)
        };
        if let Some(holder) = holder {
            self.refer_in(parent, holder, reference.text, made, weak);
        }
    }

    /// Notes that a Reference refers to a resource.
    pub(super) fn refer_in(
        &mut self,
        parent: hilum_fhir::At,
        holder: hilum_fhir::At,
        text: Child,
        made: u32,
        weak: bool,
    ) {
        if self.is_holder(holder) {
            return;
        }
        if let Some(text) = self.draft.single(holder, text) {
            let pending = Pending {
                text,
                parent,
                made,
                weak,
            };
            self.note_reference(holder, pending);
        }
    }

    /// Notes a reference whose text is written when all resources are known.
    pub(super) fn note_reference(&mut self, holder: hilum_fhir::At, pending: Pending) {
        if self.holders.len() <= holder.index() {
            self.holders.resize(self.draft.node_count(), false);
        }
        if let Some(known) = self.holders.get_mut(holder.index()) {
            *known = true;
        }
        if self.draft.parent(holder) == Some(pending.parent)
            && let Some(of) = self.draft.as_child(holder)
        {
            self.linked
                .insert((of.element, pending.parent, pending.made));
        }
        self.pending.push(pending);
    }
}
