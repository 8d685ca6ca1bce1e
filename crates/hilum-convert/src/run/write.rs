//! Rows: from a value to what is written.

use std::borrow::Cow;

use hilum_fhir::definitions::PrimitiveKind;
use hilum_message::ATTACHMENT_TOKEN;

use super::condition::Scope;
use super::read::Value;
use super::{Frame, Late, Run, Spot};
use crate::finding::{FindingCode, Location};
use crate::plan::{CodesInto, CodesUse, Coding, Joined, Row, Src, Way};
use crate::text::{Function, Given};
use crate::value::time::{Time, Written, time_of_day};
use crate::value::{encode, number, uri};

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

impl Turn<'_, '_> {
    fn repetition(&self) -> u32 {
        self.own.map_or(0, |own| own.repetition)
    }
}

impl<'p, 'm> Run<'p, 'm> {
    pub(super) fn row(&mut self, frame: &Frame<'m>, row: &'p Row) {
        let turn = Turn {
            frame,
            row,
            segment: frame.segment,
            value: None,
            own: None,
        };
        match row.source {
            Src::Once => {
                self.turn(&turn);
            }
            Src::Segment(of) => {
                if let Some(segment) = self.segment_of(frame.segment, of) {
                    self.turn(&Turn { segment, ..turn });
                }
            }
            Src::Value {
                component,
                subcomponent,
            } => {
                let found = frame
                    .value
                    .and_then(|value| value.below(component, subcomponent));
                if let Some(value) = found.filter(Value::is_valued) {
                    self.turn(&Turn {
                        value: Some(value),
                        own: frame.value,
                        ..turn
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
                self.repeat(
                    &Turn { segment, ..turn },
                    field,
                    repetition,
                    component,
                    subcomponent,
                );
            }
        }
    }

    /// Runs a row for the repetitions of its field.
    fn repeat(
        &mut self,
        turn: &Turn<'_, 'm>,
        field: u32,
        only: Option<u32>,
        component: u32,
        subcomponent: u32,
    ) {
        let found = self.message.segment(turn.segment as usize);
        let Some(field) = found.and_then(|segment| segment.field(field)) else {
            return;
        };
        if field.raw().is_empty() {
            return;
        }
        let mut done = false;
        for (at, part) in field.children().enumerate() {
            let repetition = super::narrow(at + 1);
            if only.is_some_and(|only| only != repetition) || part.raw().is_empty() {
                continue;
            }
            let whole = Value {
                part,
                repetition,
                component: 0,
                subcomponent: 0,
            };
            let Some(value) = whole.below(component, subcomponent) else {
                continue;
            };
            if !value.is_valued() {
                if value.part.is_null() {
                    let place = self.location(&value);
                    self.finding(FindingCode::ExplicitNull, place, None);
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
            done |= self.turn(&turn);
        }
    }

    /// Runs a row for one value; false if its condition does not hold.
    fn turn(&mut self, turn: &Turn<'_, 'm>) -> bool {
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
            Way::Map { map, codes } => self.through_map(turn, *map, codes.as_ref()),
            Way::Codes(codes) => {
                let Some(value) = &turn.value else {
                    return true;
                };
                let text = value.text();
                self.coded(turn, codes, text.trim());
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
                        value.text()
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
                let text = value.text();
                let found = regex.captures(text.trim()).and_then(|found| found.get(1));
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

    fn through_map(&mut self, turn: &Turn<'_, 'm>, map: u32, codes: Option<&CodesUse>) {
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
        self.run_map(map, spot, segment, value, turn.frame.depth + 1);
        if let (Some(codes), Some(value)) = (codes, turn.value) {
            let code = value.below(1, 0).unwrap_or(value);
            let text = code.text();
            self.code_at(turn, spot, codes, text.trim(), true);
        }
    }

    /// The element of the row's target; a finding where there is no room for it.
    fn target(&mut self, turn: &Turn<'_, 'm>) -> Option<Spot> {
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

    fn reason(&mut self, turn: &Turn<'_, 'm>, spot: Spot) {
        if self.settings.explain {
            let place = self.place_of(turn);
            self.reasons.push((spot.at, turn.row.id, Some(place)));
        }
    }

    fn refuse(&mut self, turn: &Turn<'_, 'm>, rule: &str) {
        let place = self.place_of(turn);
        self.finding(FindingCode::ValueRefused, place, Some(rule));
    }

    /// Writes a text that has the form of its target, unless something is there.
    fn write_known(&mut self, turn: &Turn<'_, 'm>, spot: Spot, text: &str) {
        if self.draft.text(spot.at).is_some() {
            return;
        }
        match self.draft.set(spot.at, text) {
            Ok(()) => self.reason(turn, spot),
            Err(rule) => self.refuse(turn, rule),
        }
    }

    fn write(&mut self, turn: &Turn<'_, 'm>, text: &str) {
        if let Some(spot) = self.target(turn) {
            self.write_known(turn, spot, text);
        }
    }

    /// The result of a function.
    fn result(&mut self, turn: &Turn<'_, 'm>, text: &str, codes: Option<&CodesUse>) {
        match codes {
            Some(codes) => self.coded(turn, codes, text),
            None => self.primitive(turn, text),
        }
    }

    /// Writes a text as the primitive that the target is.
    fn primitive(&mut self, turn: &Turn<'_, 'm>, text: &str) {
        let text = text.trim();
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
                number::integer(text).ok_or("not a whole number")
            }
            PrimitiveKind::Decimal => number::decimal(text).ok_or("not a number"),
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

    fn time<'t>(
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
            Written::DateOnly(_) if kind == PrimitiveKind::Instant => {
                Err("an instant needs an offset, and no zone is set")
            }
            Written::DateOnly(text) => {
                let place = self.place_of(turn);
                self.finding(FindingCode::TimeWithoutZone, place, None);
                Ok(Cow::Owned(text))
            }
        }
    }

    fn function(
        &mut self,
        turn: &Turn<'_, 'm>,
        function: Function,
        arguments: &[Joined],
        codes: Option<&CodesUse>,
    ) {
        let own = turn.value.map(|value| value.text()).unwrap_or_default();
        let own = own.trim();
        let found = match function {
            Function::Join => Some(self.join(turn, arguments)).filter(|text| !text.is_empty()),
            Function::Lower => Some(own.to_lowercase()),
            Function::Authority => self.authority(turn, arguments),
            Function::Universal => {
                let [id, ty] = self.arguments(turn, arguments);
                uri::universal(&id, &ty)
            }
            Function::System => {
                let [name, oid, _] = match arguments {
                    [] => [own.into(), Cow::Borrowed(""), Cow::Borrowed("")],
                    arguments => self.arguments(turn, arguments),
                };
                uri::system(&self.settings.systems, &name, &oid)
            }
            Function::Comparator => number::comparator(own).map(|(sign, _)| sign.to_owned()),
            Function::Number => {
                let digits = number::comparator(own).map_or(own, |(_, digits)| digits);
                Some(digits.to_owned()).filter(|digits| number::decimal(digits).is_some())
            }
            Function::Numbers => self.numbers(turn),
            Function::Minutes => {
                let [unit] = self.arguments(turn, arguments);
                minutes(own, &unit)
            }
            Function::Plus => self.plus(turn, arguments),
            Function::Text => turn.value.map(|value| value.whole_text().into_owned()),
            Function::Ucum => {
                Some(own.to_owned()).filter(|unit| hilum_ucum::Unit::parse(unit).is_ok())
            }
            Function::Data => return self.data(turn, arguments),
            Function::Lines => self.lines(turn, arguments),
            Function::Times => return self.times(turn, own),
            // The compiler makes it a way of its own.
            Function::Capture => None,
        };
        match found {
            Some(text) => self.result(turn, &text, codes),
            None => {
                if function == Function::Number && !own.is_empty() {
                    self.refuse(turn, "not a number");
                }
            }
        }
    }

    /// The texts of arguments, as many as are asked for.
    fn arguments<const N: usize>(
        &self,
        turn: &Turn<'_, 'm>,
        arguments: &[Joined],
    ) -> [Cow<'m, str>; N] {
        let mut texts = [const { Cow::Borrowed("") }; N];
        for (text, argument) in texts.iter_mut().zip(arguments) {
            *text = match argument {
                Joined::Text(text) => Cow::Owned(text.to_string()),
                Joined::Path(src) => self
                    .argument(turn, src)
                    .map(|value| value.text())
                    .unwrap_or_default(),
            };
        }
        texts
    }

    fn argument(&self, turn: &Turn<'_, 'm>, src: &Src) -> Option<Value<'m>> {
        self.first_value(
            turn.frame.segment,
            turn.frame.value.as_ref(),
            turn.own.as_ref(),
            src,
        )
    }

    /// Texts beside places that are valued; one text between two of them.
    fn join(&self, turn: &Turn<'_, 'm>, parts: &[Joined]) -> String {
        self.joined(
            turn.frame.segment,
            turn.frame.value.as_ref(),
            turn.own.as_ref(),
            parts,
        )
    }

    pub(super) fn joined(
        &self,
        segment: u32,
        value: Option<&Value<'m>>,
        own: Option<&Value<'m>>,
        parts: &[Joined],
    ) -> String {
        let mut out = String::new();
        let mut between: Option<&str> = None;
        for part in parts {
            match part {
                Joined::Text(text) => between = Some(between.unwrap_or(text)),
                Joined::Path(src) => {
                    let found = self.first_value(segment, value, own, src);
                    let Some(found) = found else { continue };
                    let text = found.text();
                    let text = text.trim();
                    if text.is_empty() {
                        continue;
                    }
                    if let Some(between) = between.take().filter(|_| !out.is_empty()) {
                        out.push_str(between);
                    }
                    out.push_str(text);
                    between = None;
                }
            }
        }
        out
    }

    fn authority(&self, turn: &Turn<'_, 'm>, arguments: &[Joined]) -> Option<String> {
        let [namespace, id, ty] = if arguments.is_empty() {
            let value = turn.value?;
            let part = |number| value.below(number, 0).filter(Value::is_valued);
            let text = |number| part(number).map(|value| value.text()).unwrap_or_default();
            [text(1), text(2), text(3)]
        } else {
            self.arguments(turn, arguments)
        };
        uri::authority(&self.settings.authorities, &namespace, &id, &ty)
    }

    fn numbers(&self, turn: &Turn<'_, 'm>) -> Option<String> {
        let value = turn.value?;
        let mut out = String::new();
        for part in value.part.children() {
            let text = part.plain_text();
            let text = text.trim();
            if text.is_empty() {
                continue;
            }
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(&number::decimal(text)?);
        }
        Some(out).filter(|out| !out.is_empty())
    }

    fn plus(&self, turn: &Turn<'_, 'm>, arguments: &[Joined]) -> Option<String> {
        let [start, count, unit] = self.arguments(turn, arguments);
        let count: f64 = minutes(&count, &unit)?.parse().ok()?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "minutes beyond the range are refused as a year is"
        )]
        let later = Time::read(&start)?.plus_minutes(count as i64)?;
        match later.date_time(self.clock()) {
            Written::Whole(text) => {
                if let Some(spot) = Some(text) {
                    return Some(spot);
                }
                None
            }
            Written::DateOnly(text) => Some(text),
        }
    }

    /// The payload of ED, or of a value and its encoding, as base64.
    fn data(&mut self, turn: &Turn<'_, 'm>, arguments: &[Joined]) {
        let Some(value) = turn.value else { return };
        let (data, encoding) = match arguments {
            [] => {
                let part = |number| value.below(number, 0).filter(Value::is_valued);
                let encoding = part(4).map(|part| part.text()).unwrap_or_default();
                (
                    part(5).map(|part| part.whole_text()).unwrap_or_default(),
                    encoding,
                )
            }
            arguments => {
                let [data, encoding] = self.arguments(turn, arguments);
                (data, encoding)
            }
        };
        if data.is_empty() {
            return;
        }
        let written = match encoding.trim().to_ascii_uppercase().as_str() {
            "BASE64" => {
                let plain: String = data.chars().filter(|c| !c.is_whitespace()).collect();
                Some(plain)
            }
            // What stands for content outside memory is base64 as it is and nothing else.
            _ if data.trim().starts_with(ATTACHMENT_TOKEN) => {
                self.refuse(turn, "a large attachment that is not base64");
                return;
            }
            "HEX" => encode::hex_to_base64(&data),
            _ => Some(encode::base64(data.as_bytes())),
        };
        match written {
            Some(text) => self.write(turn, &text),
            None => self.refuse(turn, "not hexadecimal"),
        }
    }

    /// The values of a field of all segments with its name, a line each.
    fn lines(&self, turn: &Turn<'_, 'm>, arguments: &[Joined]) -> Option<String> {
        let Some((Joined::Path(Src::Field { segment, field, .. }), types)) =
            arguments.split_first()
        else {
            return None;
        };
        let first = self.segment_of(turn.frame.segment, *segment)?;
        let id = self.segments.get(first as usize)?.id;
        let mut out = String::new();
        for (at, segment) in self.segments.iter().enumerate() {
            if segment.id != id {
                continue;
            }
            let at = super::narrow(at);
            if !types.is_empty() {
                let mut ty = None;
                self.repetitions(at, 2, None, &mut |value| {
                    ty = Some(value.text().into_owned());
                    false
                });
                let named = types.iter().any(
                    |known| matches!(known, Joined::Text(known) if Some(&**known) == ty.as_deref()),
                );
                if !named {
                    continue;
                }
            }
            self.repetitions(at, *field, None, &mut |value| {
                if !out.is_empty() {
                    out.push('\n');
                }
                out.push_str(&value.whole_text());
                true
            });
        }
        Some(out).filter(|out| !out.is_empty())
    }

    fn times(&mut self, turn: &Turn<'_, 'm>, text: &str) {
        for part in text.split([',', ' ']).filter(|part| !part.is_empty()) {
            match time_of_day(part) {
                Some(time) => self.write(turn, &time),
                None => self.refuse(turn, "not a time of day"),
            }
        }
    }

    /// Looks a code up and writes what it is mapped to.
    fn coded(&mut self, turn: &Turn<'_, 'm>, codes: &CodesUse, code: &str) {
        if code.is_empty() {
            return;
        }
        if let Some(spot) = self.target(turn) {
            self.code_at(turn, spot, codes, code, false);
        }
    }

    fn code_at(
        &mut self,
        turn: &Turn<'_, 'm>,
        spot: Spot,
        codes: &CodesUse,
        code: &str,
        beside: bool,
    ) {
        let plan = self.plan;
        let Some(table) = plan.codes.get(codes.table as usize) else {
            return;
        };
        let scope = Scope {
            segment: turn.frame.segment,
            value: turn.frame.value,
            own: turn.own,
            target: None,
        };
        let rows = table
            .by_code
            .get(code)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let rows = rows.iter().chain(&table.other);
        let mut rows = rows.filter_map(|row| table.rows.get(*row as usize));
        let row = rows.find(|row| {
            let condition = row.condition.as_ref();
            condition.is_none_or(|condition| self.holds(condition, &scope) == Some(true))
        });
        let Some((row, mapped)) = row.and_then(|row| Some((row, row.code.as_deref()?))) else {
            if row.is_none_or(|row| {
                Some(row.id)
                    == table
                        .other
                        .and_then(|at| table.rows.get(at as usize))
                        .map(|row| row.id)
            }) {
                let place = self.place_of(turn);
                self.finding(FindingCode::UnmappedCode, place, Some(&table.name));
            }
            if !beside {
                self.code_as_it_came(turn, spot, codes, code, table.from.as_deref());
            }
            return;
        };
        let target = (row.system.as_deref(), mapped, row.display.as_deref());
        match codes.into {
            // A map that wrote the code itself wrote what is mapped here.
            CodesInto::Primitive => {
                if beside || self.draft.text(spot.at).is_none() {
                    match self.draft.set(spot.at, mapped) {
                        Ok(()) => self.reason(turn, spot),
                        Err(rule) => self.refuse(turn, rule),
                    }
                }
            }
            CodesInto::Coding(inside) => {
                if beside {
                    for child in [inside.system, inside.code, inside.display] {
                        if let Some(at) = self.draft.child(spot.at, child) {
                            self.draft.remove(at);
                        }
                    }
                }
                self.coding(turn, spot, inside, target);
            }
            CodesInto::Concept { coding, inside } => {
                if !beside {
                    let at = self.draft.append(spot.at, coding);
                    self.coding(turn, Spot { at, ..spot }, inside, target);
                    return;
                }
                let first = self.draft.child(spot.at, coding);
                if let Some(first) = first {
                    // A code of the table's own system need not say so.
                    if let Some(from) = table.from.as_deref()
                        && self.draft.child(first, inside.system).is_none()
                        && let Some(at) = self.draft.single(first, inside.system)
                    {
                        let _known = self.draft.set(at, from);
                    }
                    if self.is_coding(first, inside, target) {
                        return;
                    }
                }
                let at = self.draft.prepend(spot.at, coding);
                self.coding(turn, Spot { at, ..spot }, inside, target);
            }
        }
    }

    fn is_coding(
        &self,
        at: hilum_fhir::At,
        inside: Coding,
        target: (Option<&str>, &str, Option<&str>),
    ) -> bool {
        let text = |child| {
            self.draft
                .child(at, child)
                .and_then(|at| self.draft.text(at))
        };
        text(inside.system) == target.0 && text(inside.code) == Some(target.1)
    }

    fn coding(
        &mut self,
        turn: &Turn<'_, 'm>,
        spot: Spot,
        inside: Coding,
        target: (Option<&str>, &str, Option<&str>),
    ) {
        let parts = [
            (inside.system, target.0),
            (inside.code, Some(target.1)),
            (inside.display, target.2),
        ];
        for (child, text) in parts {
            let (Some(text), Some(at)) = (text, self.draft.single(spot.at, child)) else {
                continue;
            };
            self.write_known(turn, Spot { at, ..spot }, text);
        }
    }

    /// A code without a row: never dropped where there is room for it with its system.
    fn code_as_it_came(
        &mut self,
        turn: &Turn<'_, 'm>,
        spot: Spot,
        codes: &CodesUse,
        code: &str,
        from: Option<&str>,
    ) {
        let target = (from, code, None);
        match codes.into {
            CodesInto::Primitive => {}
            CodesInto::Coding(inside) => self.coding(turn, spot, inside, target),
            CodesInto::Concept { coding, inside } => {
                let at = self.draft.append(spot.at, coding);
                self.coding(turn, Spot { at, ..spot }, inside, target);
            }
        }
    }
}

/// A number of a unit as minutes, whole ones.
fn minutes(count: &str, unit: &str) -> Option<String> {
    let count: f64 = number::decimal(count)?.parse().ok()?;
    let minutes = (count * number::minutes_in(unit)?).round();
    // Beyond this no whole number is told from the next.
    (minutes.abs() < 9e15).then(|| format!("{minutes:.0}"))
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
