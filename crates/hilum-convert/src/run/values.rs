//! What is odd about values, told and never mended: a flag that its own range contradicts, a clock
//! that is wrong, a document that is not what it is said to be.

use std::borrow::Cow;

use hilum_message::ATTACHMENT_TOKEN;
use sha1::{Digest as _, Sha1};

use super::Run;
use super::names::names;
use super::read::{Value, trimmed};
use super::write::Turn;
use crate::finding::{FindingCode, Location};
use crate::settings::DecimalSign;
use crate::value::{encode, magic, number};

/// Where a value lies: from and to, either of which may be open.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Interval {
    from: f64,
    to: f64,
}

/// What a flag (HL7 table 0078) says of where a value lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flag {
    Above,
    Below,
    Within,
}

impl Flag {
    fn named(text: &str) -> Option<Self> {
        match text {
            "H" | "HH" | "HU" | ">" => Some(Self::Above),
            "L" | "LL" | "LU" | "<" => Some(Self::Below),
            "N" => Some(Self::Within),
            _ => None,
        }
    }

    /// Whether a value cannot lie where the flag says. A value on a bound contradicts nothing: the
    /// laboratory compares before it rounds.
    fn is_contradicted(self, value: Interval, range: Interval) -> bool {
        match self {
            Self::Above => range.to.is_finite() && value.to < range.to,
            Self::Below => range.from.is_finite() && value.from > range.from,
            Self::Within => value.to < range.from || value.from > range.to,
        }
    }
}

/// The value of NM, or of SN without a second number.
fn interval(sign: &str, digits: &str, decimal: Option<DecimalSign>) -> Option<Interval> {
    let value: f64 = number::read(digits, decimal)?.parse().ok()?;
    let (from, to) = match sign {
        "" | "=" => (value, value),
        "<" | "<=" => (f64::NEG_INFINITY, value),
        ">" | ">=" => (value, f64::INFINITY),
        _ => return None,
    };
    Some(Interval { from, to })
}

impl<'m> Run<'_, 'm> {
    /// Tells of flags (OBX-8) that the value (OBX-5) and its range (OBX-7) contradict. The flag stays
    /// as it is: whoever reports a result answers for it.
    pub(super) fn flags(&mut self) {
        for at in 0..self.segments.len() {
            let at = super::narrow(at);
            let is_result = self.segments.get(at as usize).is_some_and(|segment| {
                segment.id == *b"OBX" && [5, 7, 8].iter().all(|field| segment.present.has(*field))
            });
            if !is_result {
                continue;
            }
            if let Some(place) = self.contradiction(at) {
                let rule = "the flag says something else than the value and its own range";
                self.finding(FindingCode::FlagAgainstRange, place, Some(rule));
            }
        }
    }

    fn contradiction(&self, at: u32) -> Option<Location> {
        let decimal = self.settings.decimal;
        let value = self.first(at, 5)?;
        let part = |component| {
            let part = self.below(&value, component, 0).filter(Value::is_valued);
            part.map_or(Cow::Borrowed(""), |part| self.text_of(&part))
        };
        let value = match &*self.text_at(at, 2)? {
            "NM" => {
                let text = part(1);
                let text = trimmed(&text);
                let (sign, digits) = number::comparator(text).unwrap_or(("", text));
                interval(sign, digits, decimal)?
            }
            "SN" if part(3).is_empty() && part(4).is_empty() => {
                interval(trimmed(&part(1)), &part(2), decimal)?
            }
            _ => return None,
        };
        let text = self.text_at(at, 7)?;
        let (low, high) = number::bounds(trimmed(&text), decimal);
        let bound = |bound: Option<Cow<'_, str>>, open: f64| match bound {
            Some(bound) => bound.parse().ok(),
            None => Some(open),
        };
        if low.is_none() && high.is_none() {
            return None;
        }
        let range = Interval {
            from: bound(low, f64::NEG_INFINITY)?,
            to: bound(high, f64::INFINITY)?,
        };
        let mut found = None;
        self.repetitions(at, 8, None, &mut |flag| {
            let text = self.text_of(&flag);
            let is_wrong =
                Flag::named(trimmed(&text)).is_some_and(|flag| flag.is_contradicted(value, range));
            if is_wrong {
                found = Some(self.location(&flag));
            }
            !is_wrong
        });
        found
    }

    /// The first repetition of a field.
    pub(super) fn first(&self, segment: u32, field: u32) -> Option<Value<'m>> {
        let mut found = None;
        self.repetitions(segment, field, None, &mut |value| {
            found = Some(value);
            false
        });
        found
    }

    fn text_at(&self, segment: u32, field: u32) -> Option<Cow<'m, str>> {
        self.first(segment, field).map(|value| self.text_of(&value))
    }

    /// Looks into a document (in base64) that became an attachment: its size and hash are written (FHIR
    /// R4 datatypes.html#Attachment), and it is told where its bytes begin otherwise than the type that
    /// it was given. Of what lies outside memory the settings say so.
    pub(super) fn document(&mut self, turn: &Turn<'_, 'm>, data: &str) {
        let attachment = turn.frame.target.at;
        let names = names();
        if self.draft.type_id(attachment) != Some(names.attachment.ty) {
            return;
        }
        let inside;
        let (size, hash, beginning) = if data.starts_with(ATTACHMENT_TOKEN) {
            let Some(outside) = self.settings.outside.get(data) else {
                return;
            };
            (outside.size, outside.hash, outside.beginning.as_slice())
        } else {
            let Some(bytes) = encode::from_base64(data) else {
                return;
            };
            inside = bytes;
            (
                inside.len(),
                Sha1::digest(&inside).into(),
                inside.as_slice(),
            )
        };
        let kind = self.draft.child(attachment, names.attachment_type);
        let kind = kind.and_then(|kind| self.draft.text(kind));
        if let Some(rule) = magic::contradiction(kind, beginning) {
            let place = self.place_of(turn);
            self.finding(FindingCode::AttachmentType, place, Some(rule));
        }
        // An unsignedInt has no more.
        if i32::try_from(size).is_ok() {
            self.put(attachment, names.attachment_size, &size.to_string());
        }
        let hash = encode::base64(&hash);
        self.put(attachment, names.attachment_hash, &hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_contradicted_only_beyond_doubt() {
        let check = |flag: &str, value: &str, range: &str, expected: bool| {
            let (sign, digits) = number::comparator(value).unwrap_or(("", value));
            let value = interval(sign, digits, None).expect(digits);
            let (low, high) = number::bounds(range, None);
            let read = |bound: Option<Cow<'_, str>>, open| {
                bound.map_or(open, |bound| bound.parse().expect(range))
            };
            let range = Interval {
                from: read(low, f64::NEG_INFINITY),
                to: read(high, f64::INFINITY),
            };
            let found = Flag::named(flag).is_some_and(|flag| flag.is_contradicted(value, range));
            assert_eq!(found, expected, "{flag}");
        };
        check("H", "6.0", "3.5-5.1", false);
        check("H", "4.0", "3.5-5.1", true);
        check("HH", "5.10", "3.5-5.1", false);
        check("L", "4.0", "3.5-5.1", true);
        check("L", "<4.0", "3.5-5.1", false);
        check("L", ">4.0", "3.5-5.1", true);
        check("N", "6.0", "3.5-5.1", true);
        check("N", "5.1", "3.5-5.1", false);
        check("N", "<3.0", "3.5-5.1", true);
        check("N", ">3.0", "3.5-5.1", false);
        check("H", "70", ">=60", false);
        check("N", "50", ">=60", true);
        check("A", "4.0", "3.5-5.1", false);
    }
}
