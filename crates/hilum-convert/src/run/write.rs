//! Rows: from a value to what is written.

use std::borrow::Cow;

use hilum_fhir::definitions::PrimitiveKind;

use super::condition::Scope;
use super::functions::not_a_number;
use super::read::{Value, trimmed};
use super::{Frame, Late, Run, Spot};
use crate::finding::{FindingCode, Location};
use crate::plan::{CodesUse, Row, Src, Way};
use crate::settings::ClockChange;
use crate::text::Given;
use crate::value::time::{Time, Written, time_of_day};
use crate::value::{encode, number};

/// One value that a row runs for.
#[derive(Clone, Copy)]
pub(super) struct Turn<'f, 'm> {
    pub(super) frame: &'f Frame<'m>,
    pub(super) row: &'f Row,
    /// The segment at hand: that of the source.
    pub(super) segment: u32,
    /// The value; `None` for a row that runs once.
    pub(super) value: Option<Value<'m>>,
    /// The repetition that it is in.
    pub(super) own: Option<Value<'m>>,
}

impl<'f, 'm> Turn<'f, 'm> {
    const fn once(frame: &'f Frame<'m>, row: &'f Row, segment: u32) -> Self {
        Self {
            frame,
            row,
            segment,
            value: None,
            own: None,
        }
    }

    pub(super) fn repetition(&self) -> u32 {
        self.own.map_or(0, |own| own.repetition)
    }
}

impl<'p, 'm> Run<'p, 'm> {
    pub(super) fn row(&mut self, frame: &Frame<'m>, row: &'p Row) {
        if frame.depth == 0 {
            self.at_field = (0, 0);
        }
        match row.source {
            Src::Once => {
                self.turn(&Turn::once(frame, row, frame.segment));
            }
            Src::Segment(of) => {
                if let Some(segment) = self.segment_of(frame.segment, of) {
                    self.turn(&Turn::once(frame, row, segment));
                }
            }
            Src::Value {
                component,
                subcomponent,
            } => {
                let Some(own) = &frame.value else { return };
                let Some(value) = self.below(own, component, subcomponent) else {
                    return;
                };
                if value.is_null() {
                    let place = self.location(&value);
                    self.finding(FindingCode::ExplicitNull, place, None);
                } else if value.is_valued() {
                    self.turn(&Turn {
                        value: Some(value),
                        own: Some(*own),
                        ..Turn::once(frame, row, frame.segment)
                    });
                }
            }
            Src::Field {
                segment: of,
                field,
                repetition,
                component,
                subcomponent,
                ..
            } => {
                let Some(segment) = self.segment_of(frame.segment, of) else {
                    return;
                };
                // Only an explicit null is noted where the condition does not hold.
                if let Some(condition) = &row.condition
                    && self.is_ruled_out(condition, frame.segment)
                    && !self.has_quote(segment)
                {
                    return;
                }
                self.repeat(
                    &Turn::once(frame, row, segment),
                    field,
                    repetition,
                    component,
                    subcomponent,
                );
            }
        }
    }

    /// Runs a row for the repetitions of its field.
    pub(super) fn repeat(
        &mut self,
        turn: &Turn<'_, 'm>,
        field: u32,
        only: Option<u32>,
        component: u32,
        subcomponent: u32,
    ) {
        let field = self.field(turn.segment, field);
        let Some(field) = field.filter(|field| !field.is_empty()) else {
            return;
        };
        let mut done = false;
        for (repetition, part) in self.repetitions_of(turn.segment, field) {
            if only.is_some_and(|only| only != repetition) || part.is_empty() {
                continue;
            }
            let whole = Value::repetition(part, repetition);
            let Some(value) = self.below(&whole, component, subcomponent) else {
                continue;
            };
            if !value.is_valued() {
                if value.is_null() {
                    let place = self.location(&value);
                    self.finding(FindingCode::ExplicitNull, place, None);
                    if whole.is_null() && turn.segment == turn.frame.segment {
                        self.note_null(turn.frame, turn.row);
                    }
                }
                continue;
            }
            if done && !turn.row.many {
                let place = self.location(&whole);
                self.finding(FindingCode::RepetitionDropped, place, None);
                return;
            }
            let turn = Turn {
                value: Some(value),
                own: Some(whole),
                ..*turn
            };
            if turn.segment == turn.frame.segment && turn.frame.depth == 0 {
                self.at_field = (field.field_number(), repetition);
            }
            done |= self.turn(&turn);
        }
    }

    /// Runs a row for one value; false if its condition does not hold.
    pub(super) fn turn(&mut self, turn: &Turn<'_, 'm>) -> bool {
        let Turn { frame, row, .. } = *turn;
        if let Some(condition) = &row.condition {
            let scope = Scope {
                segment: frame.segment,
                value: frame.value,
                own: turn.own,
                target: Some((frame, row.place)),
            };
            if self.holds(condition, &scope) != Some(true) {
                return false;
            }
        }
        match &row.way {
            Way::Map { of, map, codes } => {
                let value = match of {
                    Some(of) => self.argument(turn, of),
                    None => turn.value,
                };
                if of.is_none() || value.is_some() {
                    self.through_map(&Turn { value, ..*turn }, *map, codes.as_ref());
                }
            }
            Way::Codes(codes) => {
                let Some(value) = &turn.value else {
                    return true;
                };
                let text = self.text_of(value);
                self.coded(turn, codes, trimmed(&text));
            }
            Way::Constant(text) => {
                if let Some(spot) = self.target(turn) {
                    self.write_known(turn, spot, text);
                }
            }
            Way::Type => {
                if let Some(value) = turn.value {
                    let text = if row.whole {
                        value.whole_text()
                    } else {
                        self.text_of(&value)
                    };
                    self.primitive(turn, &text);
                }
            }
            Way::Given(given) => {
                let text = match given {
                    Given::Arrival => self.arrived.at,
                    Given::Id => self.arrived.id,
                };
                if !text.is_empty()
                    && let Some(spot) = self.target(turn)
                {
                    self.write_known(turn, spot, text);
                }
            }
            Way::Role(role, text) => {
                if let Some(spot) = self.target(turn) {
                    self.late.push(Late::Role {
                        role: *role,
                        holder: spot.at,
                        text: *text,
                        segment: turn.segment,
                    });
                }
            }
            Way::Capture(regex, codes) => {
                let Some(value) = turn.value else { return true };
                let text = self.text_of(&value);
                let found = regex
                    .captures(trimmed(&text))
                    .and_then(|found| found.get(1));
                if let Some(found) = found {
                    self.result(turn, found.as_str(), codes.as_ref());
                }
            }
            Way::Function(function, arguments, codes) => {
                self.function(turn, *function, arguments, codes.as_ref());
            }
        }
        true
    }

    pub(super) fn through_map(&mut self, turn: &Turn<'_, 'm>, map: u32, codes: Option<&CodesUse>) {
        let Some(spot) = self.target(turn) else {
            return;
        };
        let plan = self.plan;
        let is_segment = plan
            .maps
            .get(map as usize)
            .is_some_and(|map| map.is_segment);
        let value = if is_segment {
            None
        } else {
            // `HD -> Organization` on a row about `PID` or `-` has the value at hand.
            turn.value.or(turn.frame.value)
        };
        let segment = if is_segment {
            turn.segment
        } else {
            turn.frame.segment
        };
        let depth = turn.frame.depth + 1;
        let known = value.is_some_and(|value| self.copied(map, spot, segment, value, depth));
        if !known {
            self.run_map(map, spot, segment, value, depth);
        }
        if let (Some(codes), Some(value)) = (codes, turn.value) {
            let code = self.below(&value, 1, 0).unwrap_or(value);
            let text = self.text_of(&code);
            self.code_at(turn, spot, codes, trimmed(&text), true);
        }
    }

    /// The element of the row's target; a finding where there is no room for it.
    pub(super) fn target(&mut self, turn: &Turn<'_, 'm>) -> Option<Spot> {
        let spot = self.spot(turn.frame, turn.row.place, turn.repetition());
        if spot.is_none() {
            let place = self.place_of(turn);
            self.finding(FindingCode::ChoiceTaken, place, None);
        }
        spot
    }

    pub(super) fn place_of(&self, turn: &Turn<'_, 'm>) -> Location {
        match (&turn.value, &turn.frame.value) {
            (Some(value), _) | (None, Some(value)) => self.location(value),
            (None, None) => self.whole(turn.segment),
        }
    }

    pub(super) fn reason(&mut self, turn: &Turn<'_, 'm>, spot: Spot) {
        if self.settings.explain {
            let place = self.place_of(turn);
            self.reasons.push((spot.at, turn.row.id, Some(place)));
        }
    }

    pub(super) fn refuse(&mut self, turn: &Turn<'_, 'm>, rule: &str) {
        let place = self.place_of(turn);
        self.finding(FindingCode::ValueRefused, place, Some(rule));
    }

    /// Writes a text that has the form of its target, unless something is there.
    pub(super) fn write_known(&mut self, turn: &Turn<'_, 'm>, spot: Spot, text: &str) {
        if self.draft.text(spot.at).is_some() {
            return;
        }
        match self.draft.set(spot.at, text) {
            Ok(()) => self.reason(turn, spot),
            Err(rule) => self.refuse(turn, rule),
        }
    }

    pub(super) fn write(&mut self, turn: &Turn<'_, 'm>, text: &str) {
        if let Some(spot) = self.target(turn) {
            self.write_known(turn, spot, text);
        }
    }

    /// The result of a function.
    pub(super) fn result(&mut self, turn: &Turn<'_, 'm>, text: &str, codes: Option<&CodesUse>) {
        match codes {
            Some(codes) => self.coded(turn, codes, text),
            None => self.primitive(turn, text),
        }
    }

    /// Writes a text as the primitive that the target is.
    pub(super) fn primitive(&mut self, turn: &Turn<'_, 'm>, text: &str) {
        let text = trimmed(text);
        let def = self.place_def(turn.frame.map, turn.row.place);
        let Some(kind) = def.and_then(|def| def.primitive) else {
            return;
        };
        if text.is_empty() {
            return;
        }
        let written = match kind {
            PrimitiveKind::String | PrimitiveKind::Markdown => Ok(plain(text)),
            PrimitiveKind::Code => Ok(collapsed(text)),
            PrimitiveKind::Uri
            | PrimitiveKind::Url
            | PrimitiveKind::Canonical
            | PrimitiveKind::Oid
            | PrimitiveKind::Uuid
            | PrimitiveKind::Id
            | PrimitiveKind::Xhtml => Ok(Cow::Borrowed(text)),
            PrimitiveKind::Boolean => match text {
                "Y" | "y" | "true" | "1" => Ok(Cow::Borrowed("true")),
                "N" | "n" | "false" | "0" => Ok(Cow::Borrowed("false")),
                _ => Err("neither Y nor N"),
            },
            PrimitiveKind::Integer | PrimitiveKind::UnsignedInt | PrimitiveKind::PositiveInt => {
                number::integer(text, self.settings.decimal).ok_or("not a whole number")
            }
            PrimitiveKind::Decimal => {
                number::read(text, self.settings.decimal).ok_or_else(|| not_a_number(text))
            }
            PrimitiveKind::Base64Binary => Ok(Cow::Owned(encode::base64(text.as_bytes()))),
            PrimitiveKind::Date | PrimitiveKind::DateTime | PrimitiveKind::Instant => {
                self.time(turn, kind, text)
            }
            PrimitiveKind::Time => time_of_day(text).map(Cow::Owned).ok_or("not a time of day"),
        };
        match written {
            Ok(text) => self.write(turn, &text),
            Err(rule) => self.refuse(turn, rule),
        }
    }

    pub(super) fn time<'t>(
        &mut self,
        turn: &Turn<'_, 'm>,
        kind: PrimitiveKind,
        text: &'t str,
    ) -> Result<Cow<'t, str>, &'static str> {
        let time = Time::read(text).ok_or("not a time of the form YYYYMMDDHHMMSS")?;
        if kind == PrimitiveKind::Date {
            return Ok(Cow::Owned(time.date()));
        }
        match time.date_time(self.clock()) {
            Written::Whole(text) if kind == PrimitiveKind::Instant && !text.contains('T') => {
                Err("a date alone is no instant")
            }
            Written::Whole(text) => Ok(Cow::Owned(text)),
            Written::DateOnly(_, None) if kind == PrimitiveKind::Instant => {
                Err("an instant needs an offset, and no zone is set")
            }
            Written::DateOnly(text, change) => {
                let place = self.place_of(turn);
                match change {
                    Some(change) => {
                        let rule = in_clock_change(change);
                        self.finding(FindingCode::TimeInClockChange, place, Some(rule));
                    }
                    None => self.finding(FindingCode::TimeWithoutZone, place, None),
                }
                if kind == PrimitiveKind::Instant {
                    return Err("an instant is one point in time, and this may be none or two");
                }
                Ok(Cow::Owned(text))
            }
        }
    }
}

/// What is the matter with a time that no offset tells from another.
const fn in_clock_change(change: ClockChange) -> &'static str {
    match change {
        ClockChange::Twice => {
            "the clock of the zone shows this time twice and it has no offset; its date is written"
        }
        ClockChange::Never => {
            "the clock of the zone leaves this time out and it has no offset; its date is written"
        }
    }
}

/// Text without the control characters that a string of FHIR cannot have.
fn plain(text: &str) -> Cow<'_, str> {
    let control = |c: char| c < ' ' && !matches!(c, '\t' | '\n' | '\r');
    if text.contains(control) {
        return Cow::Owned(text.chars().filter(|c| !control(*c)).collect());
    }
    Cow::Borrowed(text)
}

/// Text with single blanks, as a code has them.
fn collapsed(text: &str) -> Cow<'_, str> {
    let blank = |c: char| c.is_whitespace() || c < ' ';
    if text.contains("  ") || text.contains(|c: char| c != ' ' && blank(c)) {
        let words: Vec<&str> = text.split(blank).filter(|word| !word.is_empty()).collect();
        return Cow::Owned(words.join(" "));
    }
    Cow::Borrowed(text)
}
