//! Functions of rows: what a value becomes where a row alone cannot say it.

use std::borrow::Cow;

use hilum_fhir::definitions::PrimitiveKind;
use hilum_message::ATTACHMENT_TOKEN;

use super::Run;
use super::read::{Value, trimmed};
use super::write::Turn;
use crate::plan::{CodesUse, Joined, Src};
use crate::text::Function;
use crate::value::time::{Time, Written, time_of_day};
use crate::value::{encode, number, uri};

/// The system of UCUM's codes (FHIR R4 terminologies-systems.html).
const UCUM: &str = "http://unitsofmeasure.org";

impl<'m> Run<'_, 'm> {
    pub(super) fn function(
        &mut self,
        turn: &Turn<'_, 'm>,
        function: Function,
        arguments: &[Joined],
        codes: Option<&CodesUse>,
    ) {
        let own = turn
            .value
            .map(|value| self.text_of(&value))
            .unwrap_or_default();
        let own = trimmed(&own);
        let decimal = self.settings.decimal;
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
            Function::Comparator => number::comparator(own)
                .filter(|(_, digits)| number::read(digits, decimal).is_some())
                .map(|(sign, _)| sign.to_owned()),
            Function::Number => {
                let digits = number::comparator(own).map_or(own, |(_, digits)| digits);
                Some(digits.to_owned()).filter(|digits| number::read(digits, decimal).is_some())
            }
            // They are numbers of FHIR now, so they are written as they are.
            Function::Low | Function::High => {
                let (low, high) = number::bounds(own, decimal);
                let bound = if function == Function::Low { low } else { high };
                if let Some(bound) = bound {
                    self.write(turn, &bound);
                }
                return;
            }
            Function::Numbers => self.numbers(turn),
            Function::Minutes => {
                let [unit] = self.arguments(turn, arguments);
                minutes(own, &unit)
            }
            Function::Plus => {
                // It has the form of FHIR already.
                if let Some(text) = self.plus(turn, arguments) {
                    self.write(turn, &text);
                }
                return;
            }
            Function::Text => turn
                .value
                .map(|value| broken(value.whole_text()).into_owned()),
            Function::Ucum => self.ucum(turn, own),
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
                    self.refuse(turn, not_a_number(own));
                }
            }
        }
    }

    /// The texts of arguments, as many as are asked for.
    pub(super) fn arguments<const N: usize>(
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
                    .map(|value| self.text_of(&value))
                    .unwrap_or_default(),
            };
        }
        texts
    }

    pub(super) fn argument(&self, turn: &Turn<'_, 'm>, src: &Src) -> Option<Value<'m>> {
        self.first_value(
            turn.frame.segment,
            turn.frame.value.as_ref(),
            turn.own.as_ref(),
            src,
        )
    }

    /// Texts beside places that are valued; one text between two of them.
    pub(super) fn join(&self, turn: &Turn<'_, 'm>, parts: &[Joined]) -> String {
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
        let mut opened = matches!(parts.first(), Some(Joined::Text(_)));
        for part in parts {
            match part {
                Joined::Text(text) => between = Some(between.unwrap_or(text)),
                Joined::Path(src) => {
                    let found = self.first_value(segment, value, own, src);
                    let Some(found) = found else { continue };
                    let text = self.text_of(&found);
                    let text = trimmed(&text);
                    if text.is_empty() {
                        continue;
                    }
                    // `'urn:oid:'` in front of all is part of the text; `' '` behind a place that is
                    // not valued is not.
                    if let Some(between) = between.take().filter(|_| opened || !out.is_empty()) {
                        out.push_str(between);
                    }
                    opened = false;
                    out.push_str(text);
                    between = None;
                }
            }
        }
        out
    }

    pub(super) fn authority(&self, turn: &Turn<'_, 'm>, arguments: &[Joined]) -> Option<String> {
        let [namespace, id, ty] = if arguments.is_empty() {
            let value = turn.value?;
            let part = |number| self.below(&value, number, 0).filter(Value::is_valued);
            let text = |number| {
                part(number)
                    .map(|value| self.text_of(&value))
                    .unwrap_or_default()
            };
            [text(1), text(2), text(3)]
        } else {
            self.arguments(turn, arguments)
        };
        uri::authority(&self.settings.authorities, &namespace, &id, &ty)
    }

    pub(super) fn numbers(&self, turn: &Turn<'_, 'm>) -> Option<String> {
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
            out.push_str(&number::read(text, self.settings.decimal)?);
        }
        Some(out).filter(|out| !out.is_empty())
    }

    pub(super) fn plus(&self, turn: &Turn<'_, 'm>, arguments: &[Joined]) -> Option<String> {
        let [start, count, unit] = self.arguments(turn, arguments);
        let count: f64 = minutes(&count, &unit)?.parse().ok()?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "minutes beyond the range are refused as a year is"
        )]
        let later = Time::read(&start)?.plus_minutes(count as i64)?;
        match later.date_time(self.clock()) {
            Written::Whole(text) | Written::DateOnly(text, _) => Some(text),
        }
    }

    /// The payload of ED, or of a value and its encoding, as base64.
    pub(super) fn data(&mut self, turn: &Turn<'_, 'm>, arguments: &[Joined]) {
        let Some(value) = turn.value else { return };
        let (data, encoding) = match arguments {
            [] => {
                let part = |number| self.below(&value, number, 0).filter(Value::is_valued);
                let encoding = part(4).map(|part| self.text_of(&part)).unwrap_or_default();
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
            // Only what is broken into lines is copied: a document may be large.
            "BASE64" if !data.contains(char::is_whitespace) => Some(data),
            "BASE64" => Some(
                data.chars()
                    .filter(|c| !c.is_whitespace())
                    .collect::<String>()
                    .into(),
            ),
            // What stands for content outside memory is base64 as it is and nothing else.
            _ if data.trim().starts_with(ATTACHMENT_TOKEN) => {
                self.refuse(turn, "a large attachment that is not base64");
                return;
            }
            "HEX" => encode::hex_to_base64(&data).map(Cow::Owned),
            _ => Some(encode::base64(data.as_bytes()).into()),
        };
        match written {
            Some(text) => {
                self.document(turn, &text);
                self.write(turn, &text);
            }
            None => self.refuse(turn, "not hexadecimal"),
        }
    }

    /// The values of a field of all segments with its name, a line each.
    pub(super) fn lines(&self, turn: &Turn<'_, 'm>, arguments: &[Joined]) -> Option<String> {
        let Some((Joined::Path(Src::Field { segment, field, .. }), types)) =
            arguments.split_first()
        else {
            return None;
        };
        let first = self.segment_of(turn.frame.segment, *segment)?;
        let id = self.segments.get(first as usize)?.id;
        let mut out = String::new();
        for (at, segment) in self.segments.iter().enumerate() {
            let at = super::narrow(at);
            if segment.id != id || (types.is_empty() && at != first) {
                continue;
            }
            if !types.is_empty() {
                let mut ty = None;
                self.repetitions(at, 2, None, &mut |value| {
                    ty = Some(self.text_of(&value).into_owned());
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
                out.push_str(&broken(value.whole_text()));
                true
            });
        }
        Some(out).filter(|out| !out.is_empty())
    }

    /// A unit that UCUM knows: its code, and at a URI the system of UCUM.
    fn ucum(&self, turn: &Turn<'_, 'm>, unit: &str) -> Option<String> {
        if !hilum_ucum::is_unit(unit) {
            return None;
        }
        let def = self.place_def(turn.frame.map, turn.row.place)?;
        let text = match def.primitive {
            Some(PrimitiveKind::Uri) => UCUM,
            _ => unit,
        };
        Some(text.to_owned())
    }

    pub(super) fn times(&mut self, turn: &Turn<'_, 'm>, text: &str) {
        for part in text.split([',', ' ']).filter(|part| !part.is_empty()) {
            match time_of_day(part) {
                Some(time) => self.write(turn, &time),
                None => self.refuse(turn, "not a time of day"),
            }
        }
    }
}

/// Text whose lines end as those of FHIR: `\X0D\` and `\X0D0A\` are breaks as `\.br\` is.
fn broken(text: Cow<'_, str>) -> Cow<'_, str> {
    match memchr::memchr(b'\r', text.as_bytes()) {
        Some(_) => Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")),
        None => text,
    }
}

/// Why a text is no number: what a site can declare is said.
pub(super) fn not_a_number(text: &str) -> &'static str {
    let has_sign = text.contains([',', ' ', '\u{a0}', '\u{202f}']);
    if has_sign && text.contains(|c: char| c.is_ascii_digit()) {
        "not a number; commas and blanks in numbers are read where the file of the system says `decimal`"
    } else {
        "not a number"
    }
}

/// A number of a unit as minutes, whole ones.
fn minutes(count: &str, unit: &str) -> Option<String> {
    let count: f64 = number::decimal(count)?.parse().ok()?;
    let minutes = (count * number::minutes_in(unit)?).round();
    // Beyond this no whole number is told from the next.
    (minutes.abs() < 9e15).then(|| format!("{minutes:.0}"))
}
