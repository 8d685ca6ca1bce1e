//! Reading places of the message.

use std::borrow::Cow;
use std::cell::Cell;

use hilum_hl7v2::{Level, Part};

use super::{MEANT, Meant, Run, narrow};
use crate::finding::Location;
use crate::plan::{Fields, SegRef, Src};

/// A value with its place.
#[derive(Clone, Copy)]
pub(super) struct Value<'m> {
    pub(super) part: Part<'m>,
    pub(super) repetition: u32,
    pub(super) component: u32,
    pub(super) subcomponent: u32,
    /// Where its components are noted, and how many; 0 where they are not.
    pub(super) parts: (u32, u32),
}

/// A text without white space around it; most have none, which two of their bytes tell.
pub(super) fn trimmed(text: &str) -> &str {
    let ends = [text.as_bytes().first(), text.as_bytes().last()];
    if ends.iter().all(|end| end.is_some_and(u8::is_ascii_graphic)) {
        return text;
    }
    text.trim()
}

impl<'m> Value<'m> {
    pub(super) const fn repetition(part: Part<'m>, repetition: u32) -> Self {
        Self {
            part,
            repetition,
            component: 0,
            subcomponent: 0,
            parts: (0, 0),
        }
    }

    /// Whether there is something: neither blank nor the explicit null.
    pub(super) fn is_valued(&self) -> bool {
        !self.part.is_blank() && !self.is_null()
    }

    /// Whether it is the explicit null, or has nothing but such.
    pub(super) fn is_null(&self) -> bool {
        // Most values tell by their first byte.
        let may_be = self
            .part
            .raw()
            .first()
            .is_some_and(u8::is_ascii_punctuation);
        may_be && !self.part.is_blank() && nulls_only(self.part)
    }

    /// All of it as plain text, separators included.
    pub(super) fn whole_text(&self) -> Cow<'m, str> {
        if self.is_null() {
            return Cow::Borrowed("");
        }
        self.part.plain_text()
    }
}

fn nulls_only(part: Part<'_>) -> bool {
    part.is_null()
        || part.is_blank()
        || (part.level() != Level::Subcomponent
            && !part.is_leaf()
            && part.children().all(nulls_only))
}

impl<'m> Run<'_, 'm> {
    /// The first value in a value, as plain text.
    pub(super) fn text_of(&self, value: &Value<'m>) -> Cow<'m, str> {
        let (part, escaped) = value.part.first_value();
        if part.is_null() {
            return Cow::Borrowed("");
        }
        if !escaped && let Some(text) = self.text.and_then(|text| text.get(part.span())) {
            return Cow::Borrowed(text);
        }
        part.plain_text()
    }

    /// The fields of a segment that are not empty.
    pub(super) fn fields_present(&self, segment: u32) -> Fields {
        let found = self.segments.get(segment as usize);
        found.map_or(Fields::default(), |segment| segment.present)
    }

    /// A field of a segment, as far as the segment reaches.
    pub(super) fn field(&self, segment: u32, number: u32) -> Option<Part<'m>> {
        let segment = self.segments.get(segment as usize)?;
        let at = number
            .checked_sub(1)
            .filter(|at| *at < segment.field_count)?;
        self.fields.get((segment.fields + at) as usize).copied()
    }

    /// A value whose components are noted, and which of them are not empty; of a value without any
    /// the first stands for all of it.
    pub(super) fn opened(&mut self, value: Value<'m>) -> (Value<'m>, Fields) {
        let mut present = Fields::default();
        if value.part.level() == Level::Subcomponent {
            present.add(1);
            return (value, present);
        }
        let first = self.parts.len();
        for (number, part) in (1..).zip(value.part.children()) {
            if !part.is_empty() {
                present.add(number);
            }
            self.parts.push(part);
        }
        let parts = (narrow(first), narrow(self.parts.len() - first));
        (Value { parts, ..value }, present)
    }

    /// A component or subcomponent of a value.
    pub(super) fn below(
        &self,
        of: &Value<'m>,
        component: u32,
        subcomponent: u32,
    ) -> Option<Value<'m>> {
        let mut value = *of;
        for number in [component, subcomponent] {
            if number == 0 {
                break;
            }
            let (first, count) = std::mem::take(&mut value.parts);
            value.part = match count {
                0 => value.part.nth(number)?,
                count => {
                    let at = number.checked_sub(1).filter(|at| *at < count)?;
                    self.parts.get((first + at) as usize).copied()?
                }
            };
            if value.component == 0 {
                value.component = number;
            } else {
                value.subcomponent = number;
            }
        }
        Some(value)
    }

    /// The segment that is meant.
    #[inline]
    pub(super) fn segment_of(&self, own: u32, of: SegRef) -> Option<u32> {
        match of {
            SegRef::Own => Some(own),
            SegRef::Other(id) => self.other_segment(own, id),
        }
    }

    pub(super) fn other_segment(&self, own: u32, id: [u8; 3]) -> Option<u32> {
        let [a, b, c] = id.map(usize::from);
        let cell = self.meant.get((a * 5 + b * 3 + c) % MEANT);
        if let Some(known) = cell.map(Cell::get)
            && known.id == id
            && (known.own == own || self.means_the_same(&known, own))
        {
            return known.found;
        }
        let found = self.find_segment(own, id);
        if let Some(cell) = cell {
            cell.set(Meant { own, id, found });
        }
        found
    }

    /// Whether what an earlier segment meant is meant by a later one of its group too: the OBR of
    /// one result is that of the next, unless another one stands between.
    fn means_the_same(&self, known: &Meant, own: u32) -> bool {
        let segment = |at: u32| self.segments.get(at as usize);
        let (Some(before), Some(here)) = (segment(known.own), segment(own)) else {
            return false;
        };
        known.own < own
            && before.group == here.group
            && before.id != known.id
            && here.id != known.id
            && known.found.is_none_or(|found| {
                found < known.own && segment(found).is_some_and(|found| found.next_alike > own)
            })
    }

    /// The repetitions of a field of a segment.
    pub(super) fn repetitions_of(
        &self,
        segment: u32,
        field: Part<'m>,
    ) -> impl Iterator<Item = (u32, Part<'m>)> + use<'m> {
        let segment = self.segments.get(segment as usize);
        let many = segment
            .is_none_or(|segment| segment.repeats)
            .then(|| field.children());
        let one = many.is_none().then(|| field.only_repetition());
        (1..).zip(one.into_iter().chain(many.into_iter().flatten()))
    }

    /// The segment with an id in the innermost group that has one: of several the last before the
    /// segment at hand, else the first. What stands in another repetition of a group around the
    /// segment is somebody else's: the ORC of one order says nothing of the next.
    fn find_segment(&self, own: u32, id: [u8; 3]) -> Option<u32> {
        let at = own as usize;
        if self
            .segments
            .get(at)
            .is_some_and(|segment| segment.id == id)
        {
            return Some(own);
        }
        if !self.segments.iter().any(|segment| segment.id == id) {
            return None;
        }
        let mut group = self.segments.get(at).map_or(0, |segment| segment.group);
        let mut below = None;
        loop {
            let mut within = self.segments.iter().enumerate().filter(|(_, segment)| {
                segment.id == id && self.belongs(segment.group, group, below)
            });
            let first = within.next();
            if let Some((first, _)) = first {
                let later = within.take_while(|(index, _)| *index < at).last();
                return Some(narrow(later.map_or(first, |(index, _)| index)));
            }
            if group == 0 {
                return None;
            }
            below = Some(group);
            group = self.parent(group);
        }
    }

    /// Hands over each valued value at a place until `take` says that it is enough.
    pub(super) fn each_value(
        &self,
        segment: u32,
        value: Option<&Value<'m>>,
        own: Option<&Value<'m>>,
        src: &Src,
        take: &mut dyn FnMut(Value<'m>) -> bool,
    ) {
        match *src {
            Src::Once | Src::Segment(_) => {}
            Src::Value {
                component,
                subcomponent,
            } => {
                let found = value.and_then(|value| self.below(value, component, subcomponent));
                if let Some(found) = found.filter(Value::is_valued) {
                    take(found);
                }
            }
            Src::Field {
                segment: of,
                field,
                repetition,
                component,
                subcomponent,
                own: is_own,
            } => {
                if let Some(own) = own.filter(|_| is_own) {
                    let found = self.below(own, component, subcomponent);
                    if let Some(found) = found.filter(Value::is_valued) {
                        take(found);
                    }
                    return;
                }
                let Some(at) = self.segment_of(segment, of) else {
                    return;
                };
                self.repetitions(at, field, repetition, &mut |whole| {
                    let found = self.below(&whole, component, subcomponent);
                    found.filter(Value::is_valued).is_none_or(&mut *take)
                });
            }
        }
    }

    /// Hands over each repetition of a field that is not empty, until `take` says that it is enough.
    pub(super) fn repetitions(
        &self,
        segment: u32,
        field: u32,
        only: Option<u32>,
        take: &mut dyn FnMut(Value<'m>) -> bool,
    ) {
        let Some(field) = self.field(segment, field).filter(|field| !field.is_empty()) else {
            return;
        };
        for (repetition, part) in self.repetitions_of(segment, field) {
            if only.is_some_and(|only| only != repetition) || part.is_empty() {
                continue;
            }
            if !take(Value::repetition(part, repetition)) {
                return;
            }
        }
    }

    /// The first valued value at a place.
    pub(super) fn first_value(
        &self,
        segment: u32,
        value: Option<&Value<'m>>,
        own: Option<&Value<'m>>,
        src: &Src,
    ) -> Option<Value<'m>> {
        let mut found = None;
        self.each_value(segment, value, own, src, &mut |value| {
            found = Some(value);
            false
        });
        found
    }

    /// Where a value stands.
    pub(super) fn location(&self, value: &Value<'m>) -> Location {
        Location {
            field: value.part.field_number(),
            repetition: value.repetition,
            component: value.component,
            subcomponent: value.subcomponent,
            ..self.whole(narrow(value.part.segment().index()))
        }
    }
}
