//! Conditions of rows, in the three values of FHIRPath: `None` is empty.

use std::borrow::Cow;
use std::cell::Cell;

use super::read::{Value, trimmed};
use super::{Answer, Frame, LOOKS, Look, Looked, Run};
use crate::plan::{Cond, Number, PlaceStep, Setting, Src};
use crate::text::Compare;
use crate::value::number;

/// What a condition sees.
#[derive(Clone, Copy)]
pub(super) struct Scope<'f, 'm> {
    pub(super) segment: u32,
    pub(super) value: Option<Value<'m>>,
    /// The repetition of the row's own source.
    pub(super) own: Option<Value<'m>>,
    /// The run of the map and the place of the row.
    pub(super) target: Option<(&'f Frame<'m>, Number)>,
}

impl Scope<'_, '_> {
    pub(super) const fn of_segment(segment: u32) -> Self {
        Self {
            segment,
            value: None,
            own: None,
            target: None,
        }
    }
}

fn compared(left: &str, how: Compare, right: &str) -> bool {
    match how {
        Compare::Equal => left == right,
        Compare::Differs => left != right,
        Compare::Alike => left.eq_ignore_ascii_case(right),
        Compare::Unlike => !left.eq_ignore_ascii_case(right),
        // The compiler lets sizes be compared only.
        Compare::Less | Compare::AtMost | Compare::More | Compare::AtLeast => false,
    }
}

const fn sized(left: usize, how: Compare, right: u32) -> bool {
    let right = right as usize;
    match how {
        Compare::Equal | Compare::Alike => left == right,
        Compare::Differs | Compare::Unlike => left != right,
        Compare::Less => left < right,
        Compare::AtMost => left <= right,
        Compare::More => left > right,
        Compare::AtLeast => left >= right,
    }
}

impl<'m> Run<'_, 'm> {
    pub(super) fn holds(&self, condition: &Cond, scope: &Scope<'_, 'm>) -> Option<bool> {
        match condition {
            Cond::And(parts) => self.all_hold(parts, scope),
            Cond::Or(parts) => {
                let mut unknown = false;
                for part in parts {
                    match self.holds(part, scope) {
                        Some(true) => return Some(true),
                        Some(false) => {}
                        None => unknown = true,
                    }
                }
                (!unknown).then_some(false)
            }
            Cond::Not(inner) => self.holds(inner, scope).map(|holds| !holds),
            Cond::Valued(src) => Some(self.is_there(src, scope)),
            Cond::Empty(src) => Some(!self.is_there(src, scope)),
            Cond::TargetEmpty => Some(self.target_empty(scope)),
            Cond::TargetExists => Some(!self.target_empty(scope)),
            Cond::Same(left, how, right) => {
                let right = self
                    .value_of(right, scope)
                    .map(|value| self.text_of(&value));
                match right {
                    Some(right) => self.compare(left, *how, right.trim(), scope),
                    None => matches!(how, Compare::Unlike).then_some(true),
                }
            }
            Cond::Text(src, how, text) => self.compare(src, *how, text, scope),
            Cond::In(src, texts) => self.any(src, scope, &|value| {
                texts.iter().any(|text| **text == *value)
            }),
            Cond::Count(src, how, count) => Some(sized(self.count(src, scope), *how, *count)),
            Cond::Length(src, how, length) => {
                let value = self.value_of(src, scope)?;
                Some(sized(
                    self.text_of(&value).trim().chars().count(),
                    *how,
                    *length,
                ))
            }
            Cond::StartsWith(src, text) => {
                self.any(src, scope, &|value| value.starts_with(&**text))
            }
            Cond::EndsWith(src, text) => self.any(src, scope, &|value| value.ends_with(&**text)),
            Cond::Contains(src, text) => self.any(src, scope, &|value| value.contains(&**text)),
            Cond::Matches(src, regex) => self.any(src, scope, &|value| regex.is_match(value)),
            Cond::Decimal(src) => self.any(src, scope, &|value| {
                number::read(value, self.settings.decimal).is_some()
            }),
            Cond::Setting(setting, how, text) => match self.setting(*setting) {
                Some(value) => Some(compared(value, *how, text)),
                None => matches!(how, Compare::Unlike).then_some(true),
            },
            Cond::SettingIn(setting, texts) => {
                let value = self.setting(*setting)?;
                Some(texts.iter().any(|text| **text == *value))
            }
            Cond::SettingExists(setting) => Some(self.setting(*setting).is_some()),
            Cond::Fact {
                number,
                per_repetition,
                of,
            } => self.answer(*number, *per_repetition, of, scope),
        }
    }

    /// The answer to a condition with a number, found once for a segment or repetition.
    fn answer(
        &self,
        number: Number,
        per_repetition: bool,
        of: &Cond,
        scope: &Scope<'_, 'm>,
    ) -> Option<bool> {
        let repetition = match scope.own {
            Some(own) if per_repetition => own.repetition,
            _ => 0,
        };
        let cell = self.answers.get(number as usize);
        if let Some(known) = cell.map(Cell::get)
            && known.segment == scope.segment
            && known.repetition == repetition
        {
            return known.holds;
        }
        let holds = self.holds(of, scope);
        if let Some(cell) = cell {
            cell.set(Answer {
                segment: scope.segment,
                repetition,
                holds,
            });
        }
        holds
    }

    /// Whether a condition was answered for the segment and does not hold, and there is nothing
    /// else to be noted of it.
    pub(super) fn is_known_to_fail(&self, fact: Number, segment: u32) -> bool {
        let known = self.answers.get(fact as usize).map(Cell::get);
        known.is_some_and(|known| known.segment == segment && known.holds != Some(true))
            && !self.has_quotes
    }

    /// Whether the segment alone tells that a condition does not hold.
    pub(super) fn is_ruled_out(&self, condition: &Cond, segment: u32) -> bool {
        match condition {
            Cond::Fact {
                per_repetition: false,
                ..
            } => self.holds(condition, &Scope::of_segment(segment)) != Some(true),
            Cond::Fact { of, .. } => self.is_ruled_out(of, segment),
            // A part that is empty keeps the whole from holding as well.
            Cond::And(parts) => parts.iter().any(|part| self.is_ruled_out(part, segment)),
            _ => false,
        }
    }

    pub(super) fn has_quote(&self, segment: u32) -> bool {
        let found = self.segments.get(segment as usize);
        found.is_some_and(|segment| segment.has_quote)
    }

    fn all_hold(&self, parts: &[Cond], scope: &Scope<'_, 'm>) -> Option<bool> {
        let mut unknown = false;
        for part in parts {
            match self.holds(part, scope) {
                Some(false) => return Some(false),
                Some(true) => {}
                None => unknown = true,
            }
        }
        (!unknown).then_some(true)
    }

    fn setting(&self, setting: Setting) -> Option<&str> {
        let settings = self.settings;
        match setting {
            Setting::Country => settings.country.as_deref(),
            Setting::Profile => settings.profile.as_deref(),
            Setting::Software => settings.software.as_deref(),
        }
    }

    fn is_there(&self, src: &Src, scope: &Scope<'_, 'm>) -> bool {
        match src {
            Src::Segment(of) => self.segment_of(scope.segment, *of).is_some(),
            Src::Once => true,
            Src::Field { .. } => !matches!(self.looked(src, scope), Looked::Nothing),
            Src::Value { .. } => self.value_of(src, scope).is_some(),
        }
    }

    /// The only value of a field, where it was looked at for another condition it is not read again.
    fn looked(&self, src: &Src, scope: &Scope<'_, 'm>) -> Looked<'m> {
        let Src::Field {
            field,
            component,
            subcomponent,
            own,
            ..
        } = *src
        else {
            return Looked::More;
        };
        let repetition = match scope.own {
            Some(value) if own => value.repetition,
            _ => 0,
        };
        let place = field
            .wrapping_mul(7)
            .wrapping_add(component * 3 + subcomponent);
        let cell = self.looks.get(place as usize % LOOKS);
        if let Some(known) = cell.map(Cell::get)
            && known.segment == scope.segment
            && known.repetition == repetition
            && known.src == *src
        {
            return known.found;
        }
        let mut found = Looked::Nothing;
        let mut take = |value: Value<'m>| {
            found = match (found, self.text_of(&value)) {
                (Looked::Nothing, Cow::Borrowed(text)) => Looked::One(trimmed(text)),
                _ => Looked::More,
            };
            !matches!(found, Looked::More)
        };
        self.each_value(
            scope.segment,
            scope.value.as_ref(),
            scope.own.as_ref(),
            src,
            &mut take,
        );
        if let Some(cell) = cell {
            cell.set(Look {
                segment: scope.segment,
                repetition,
                src: *src,
                found,
            });
        }
        found
    }

    fn value_of(&self, src: &Src, scope: &Scope<'_, 'm>) -> Option<Value<'m>> {
        self.first_value(scope.segment, scope.value.as_ref(), scope.own.as_ref(), src)
    }

    fn compare(&self, src: &Src, how: Compare, text: &str, scope: &Scope<'_, 'm>) -> Option<bool> {
        let negative = matches!(how, Compare::Differs | Compare::Unlike);
        let positive = match how {
            Compare::Differs => Compare::Equal,
            Compare::Unlike => Compare::Alike,
            Compare::Equal
            | Compare::Alike
            | Compare::Less
            | Compare::AtMost
            | Compare::More
            | Compare::AtLeast => how,
        };
        match self.any(src, scope, &|value| compared(value, positive, text)) {
            Some(found) => Some(found != negative),
            None => matches!(how, Compare::Unlike).then_some(true),
        }
    }

    /// Whether a test holds for one of the values; `None` where there is none.
    fn any(&self, src: &Src, scope: &Scope<'_, 'm>, test: &dyn Fn(&str) -> bool) -> Option<bool> {
        match self.looked(src, scope) {
            Looked::Nothing => return None,
            Looked::One(text) => return Some(test(text)),
            Looked::More => {}
        }
        let mut found = None;
        let mut take = |value: Value<'m>| {
            let holds = test(trimmed(&self.text_of(&value)));
            found = Some(holds);
            !holds
        };
        self.each_value(
            scope.segment,
            scope.value.as_ref(),
            scope.own.as_ref(),
            src,
            &mut take,
        );
        found
    }

    fn count(&self, src: &Src, scope: &Scope<'_, 'm>) -> usize {
        let mut count = 0;
        let mut take = |_: Value<'m>| {
            count += 1;
            true
        };
        self.each_value(scope.segment, scope.value.as_ref(), None, src, &mut take);
        count
    }

    /// Whether nothing was written at the target of the row so far; of a list, whether it is empty.
    fn target_empty(&self, scope: &Scope<'_, 'm>) -> bool {
        let Some((frame, place)) = scope.target else {
            return true;
        };
        let repetition = scope.own.map_or(0, |own| own.repetition);
        let Some(def) = self.place_def(frame.map, place) else {
            return true;
        };
        if def.fresh && matches!(def.step, PlaceStep::Append) {
            let Some(parent) = self.peek(frame, def.parent, repetition) else {
                return true;
            };
            let mut children = self.draft.children(parent.at);
            return !children
                .any(|(at, element, _)| element == def.child.element && !self.draft.is_empty(at));
        }
        match self.peek(frame, place, repetition) {
            Some(spot) => self.draft.is_empty(spot.at),
            None => true,
        }
    }
}
