//! Reading places of the message.

use std::borrow::Cow;

use hilum_hl7v2::{Level, Part};

use super::{Run, narrow};
use crate::finding::Location;
use crate::plan::{Fields, SegRef, Src};

/// A value with its place.
#[derive(Clone, Copy)]
pub(super) struct Value<'m> {
    pub(super) part: Part<'m>,
    pub(super) repetition: u32,
    pub(super) component: u32,
    pub(super) subcomponent: u32,
}

impl<'m> Value<'m> {
    /// A component or subcomponent of the value.
    pub(super) fn below(&self, component: u32, subcomponent: u32) -> Option<Self> {
        let mut value = *self;
        for number in [component, subcomponent] {
            if number == 0 {
                break;
            }
            value.part = value.part.nth(number)?;
            if value.component == 0 {
                value.component = number;
            } else {
                value.subcomponent = number;
            }
        }
        Some(value)
    }

    /// The components that are not empty; of a value without any the first stands for all of it.
    pub(super) fn present(&self) -> Fields {
        let mut present = Fields::default();
        if self.part.level() == Level::Subcomponent {
            present.add(1);
        }
        for (number, part) in (1..).zip(self.part.children()) {
            if !part.raw().is_empty() {
                present.add(number);
            }
        }
        present
    }

    /// Whether there is something: neither blank nor the explicit null.
    pub(super) fn is_valued(&self) -> bool {
        !self.part.is_blank() && !self.part.is_null()
    }

    /// The first value in it, as plain text.
    pub(super) fn text(&self) -> Cow<'m, str> {
        let mut part = self.part;
        while !part.is_leaf() && part.level() != Level::Subcomponent {
            match part.nth(1) {
                Some(first) => part = first,
                None => break,
            }
        }
        if part.is_null() {
            return Cow::Borrowed("");
        }
        part.plain_text()
    }

    /// All of it as plain text, separators included.
    pub(super) fn whole_text(&self) -> Cow<'m, str> {
        if self.part.is_null() {
            return Cow::Borrowed("");
        }
        self.part.plain_text()
    }
}

impl<'m> Run<'_, 'm> {
    /// The fields of a segment that are not empty.
    pub(super) fn fields_present(&self, segment: u32) -> Fields {
        let mut present = Fields::default();
        if let Some(segment) = self.message.segment(segment as usize) {
            for (number, field) in (1..).zip(segment.fields()) {
                if !field.raw().is_empty() {
                    present.add(number);
                }
            }
        }
        present
    }

    /// The segment that is meant.
    pub(super) fn segment_of(&self, own: u32, of: SegRef) -> Option<u32> {
        match of {
            SegRef::Own => Some(own),
            SegRef::Other(id) => self.find_segment(own, id),
        }
    }

    /// The segment with an id in the innermost group that has one: of several the last before the
    /// segment at hand, else the first.
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
        loop {
            let mut within =
                self.segments.iter().enumerate().filter(|(_, segment)| {
                    segment.id == id && self.is_within(segment.group, group)
                });
            let first = within.next();
            if let Some((first, _)) = first {
                let later = within.take_while(|(index, _)| *index < at).last();
                return Some(narrow(later.map_or(first, |(index, _)| index)));
            }
            if group == 0 {
                return None;
            }
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
                let found = value.and_then(|value| value.below(component, subcomponent));
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
                    let found = own.below(component, subcomponent);
                    if let Some(found) = found.filter(Value::is_valued) {
                        take(found);
                    }
                    return;
                }
                let Some(at) = self.segment_of(segment, of) else {
                    return;
                };
                self.repetitions(at, field, repetition, &mut |whole| match whole
                    .below(component, subcomponent)
                    .filter(Value::is_valued)
                {
                    Some(found) => take(found),
                    None => true,
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
        let found = self.message.segment(segment as usize);
        let Some(field) = found.and_then(|segment| segment.field(field)) else {
            return;
        };
        if field.raw().is_empty() {
            return;
        }
        for (at, part) in field.children().enumerate() {
            let repetition = narrow(at + 1);
            if only.is_some_and(|only| only != repetition) || part.raw().is_empty() {
                continue;
            }
            let value = Value {
                part,
                repetition,
                component: 0,
                subcomponent: 0,
            };
            if !take(value) {
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
