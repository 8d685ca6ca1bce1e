//! One result (OBX) in another unit: value, unit and range together, or none of them.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::{PoisonError, RwLock};

use hilum_component::{EditError, Finding, Severity, StepContext, TraceLine};
use hilum_convert::{DecimalSign, number};
use hilum_hl7v2::{Message, Part, Segment};
use hilum_message::Phi;
use hilum_ucum::{Conversion, NoConversion};

use super::spelled;
use crate::translate::v2::set;

/// The unit that a result is wanted in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'w> {
    /// A code of UCUM.
    pub(crate) unit: &'w str,
    /// Grams for a mole of the analyte.
    pub(crate) molar_mass: Option<&'w str>,
    /// How the sender writes units.
    pub(crate) spelled: &'w BTreeMap<String, String>,
    /// How the sender writes numbers.
    pub(crate) decimal: Option<DecimalSign>,
}

impl Wanted<'_> {
    /// A number as the sender writes it.
    pub(super) fn write(&self, number: &str) -> String {
        match self.decimal {
            Some(DecimalSign::Comma) => number.replace('.', ","),
            _ => number.to_owned(),
        }
    }
}

/// Why a result stays as it came: the code of the finding, and a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub(super) code: &'static str,
    pub(super) text: &'static str,
}

pub(super) const UNIT_MISSING: Left = Left {
    code: "unit-missing",
    text: "the result has no unit, so nobody knows what its value is: it stays as it came",
};
pub(super) const UNIT_UNKNOWN: Left = Left {
    code: "unit-unknown",
    text: "the unit is no code of UCUM and no known spelling of one: the result stays as it came",
};
pub(super) const INCOMPATIBLE: Left = Left {
    code: "unit-incompatible",
    text: "the unit measures something else than the wanted one: the result stays as it came",
};
const MOLAR_MASS: Left = Left {
    code: "molar-mass-missing",
    text: "the unit and the wanted one are of amount of substance and mass, and no `molar-mass` \
           is declared: the result stays as it came",
};
pub(super) const VALUE: Left = Left {
    code: "value-not-converted",
    text: "the value is no number that a unit can be given for: the result stays as it came",
};
pub(super) const RANGE: Left = Left {
    code: "range-not-converted",
    text: "the range has numbers and is no plain interval, so it would not fit the value: the \
           result stays as it came",
};

/// Conversions that were asked for; the units of a hospital are some hundreds.
const KNOWN_MAX: usize = 4_096;

/// From, to, molar mass.
type Key = (String, String, String);

/// The conversions that messages need, each found once.
#[derive(Debug, Default)]
pub(crate) struct Conversions(RwLock<HashMap<Key, Result<Conversion, NoConversion>>>);

impl Conversions {
    pub(super) fn find(&self, from: &str, wanted: Wanted<'_>) -> Result<Conversion, Left> {
        let mass = wanted.molar_mass.unwrap_or_default();
        let key = (from.to_owned(), wanted.unit.to_owned(), mass.to_owned());
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(&key).cloned();
        drop(known);
        let found = found.unwrap_or_else(|| {
            let made = Conversion::new(from, wanted.unit, wanted.molar_mass);
            let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
            if known.len() < KNOWN_MAX {
                known.insert(key, made.clone());
            }
            made
        });
        found.map_err(|why| match why {
            NoConversion::MolarMassMissing => MOLAR_MASS,
            NoConversion::NoUnit(_) => UNIT_UNKNOWN,
            _ => INCOMPATIBLE,
        })
    }

    /// Gives a result another unit; what cannot be done for certain is not done, and told.
    pub(crate) fn bring(
        &self,
        message: &mut Message,
        index: usize,
        wanted: Wanted<'_>,
        context: &mut StepContext<'_>,
    ) -> Result<(), EditError> {
        let place = message.segment_location(index);
        let Some(segment) = message.segment(index) else {
            return Ok(());
        };
        match self.edits(&segment, &place, wanted) {
            Err(left) => {
                context.findings.push(Finding {
                    step: context.step.to_owned(),
                    code: left.code.to_owned(),
                    path: Some(place),
                    severity: Severity::Warning,
                    text: left.text.to_owned(),
                });
                Ok(())
            }
            Ok(edits) => {
                for edit in &edits {
                    set(message, &edit.place, &edit.after)?;
                }
                for edit in edits {
                    context.note(|step| TraceLine {
                        step: step.to_owned(),
                        path: Some(edit.place),
                        before: Some(Phi::new(edit.before)),
                        after: Some(Phi::new(edit.after)),
                        note: format!("in {}", wanted.unit),
                    });
                }
                Ok(())
            }
        }
    }

    /// All edits of a result, found before the first is made.
    fn edits(
        &self,
        segment: &Segment<'_>,
        place: &str,
        wanted: Wanted<'_>,
    ) -> Result<Vec<Edit>, Left> {
        let ty = text(segment.field(2));
        let unit = segment.field(6).and_then(|unit| unit.nth(1));
        let came = text(unit.and_then(|unit| unit.nth(1)));
        if came.is_empty() {
            // What is no number needs no unit.
            let is_number = matches!(&*ty, "NM" | "SN") && !text(segment.field(5)).is_empty();
            return if is_number {
                Err(UNIT_MISSING)
            } else {
                Ok(Vec::new())
            };
        }
        let from = spelled::ucum(&came, wanted.spelled).ok_or(UNIT_UNKNOWN)?;
        let conversion = self.find(&from, wanted)?;
        let mut edits = Vec::new();
        if !conversion.is_same() {
            result(
                segment,
                place,
                &ty,
                (&conversion, wanted.decimal),
                &mut edits,
            )?;
        }
        let mut component = |n: u32, after: &str| {
            let before = text(unit.and_then(|unit| unit.nth(n)));
            if before != after && (n == 1 || !before.is_empty()) {
                edits.push(Edit {
                    place: format!("{place}-6.{n}"),
                    before: before.into_owned(),
                    after: after.to_owned(),
                });
            }
        };
        component(1, wanted.unit);
        component(3, "UCUM");
        if !conversion.is_same() {
            // Its text and what stands beside it are those of the unit that it had.
            component(2, wanted.unit);
            for n in 4..=9 {
                component(n, "");
            }
        }
        Ok(edits)
    }
}

/// One change of a message.
struct Edit {
    place: String,
    before: String,
    after: String,
}

/// A number within a text of the message.
struct Found<'t> {
    place: String,
    came: Cow<'t, str>,
    /// What stands in front of the number: a comparator.
    sign: String,
    digits: String,
}

fn text<'m>(part: Option<Part<'m>>) -> Cow<'m, str> {
    match part.filter(|part| !part.is_null()) {
        Some(part) => match part.text() {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        },
        None => Cow::Borrowed(""),
    }
}

/// The numbers of OBX-5 and OBX-7 in the other unit.
fn result(
    segment: &Segment<'_>,
    place: &str,
    ty: &str,
    (conversion, decimal): (&Conversion, Option<DecimalSign>),
    edits: &mut Vec<Edit>,
) -> Result<(), Left> {
    let values = values(segment, place, ty, decimal)?;
    let range = text(segment.field(7));
    let limits = limits(&range, decimal)?;
    let digits: Vec<&str> = values.iter().map(|value| value.digits.as_str()).collect();
    let bounds: Vec<&str> = limits.iter().map(|(_, digits)| digits.as_str()).collect();
    let found = conversion.results(&digits, &bounds).ok_or(VALUE)?;
    let write = |number: &str| match decimal {
        Some(DecimalSign::Comma) => number.replace('.', ","),
        _ => number.to_owned(),
    };
    for (value, number) in values.into_iter().zip(&found.values) {
        edits.push(Edit {
            place: value.place,
            before: value.came.into_owned(),
            after: format!("{}{}", value.sign, write(number)),
        });
    }
    if !limits.is_empty() {
        let parts = limits.iter().zip(&found.limits);
        let after: String = parts
            .map(|((before, _), limit)| format!("{before}{}", write(limit)))
            .collect();
        edits.push(Edit {
            place: format!("{place}-7"),
            before: range.into_owned(),
            after,
        });
    }
    Ok(())
}

/// The numbers of OBX-5: of NM, perhaps with a comparator, and of SN that is a number or an interval.
fn values<'m>(
    segment: &Segment<'m>,
    place: &str,
    ty: &str,
    decimal: Option<DecimalSign>,
) -> Result<Vec<Found<'m>>, Left> {
    let mut found = Vec::new();
    let Some(field) = segment.field(5) else {
        return Ok(found);
    };
    for (repetition, value) in (1..).zip(field.children()) {
        if value.is_blank() || value.is_null() {
            continue;
        }
        let part = |n| text(value.nth(n));
        let components: &[u32] = match (ty, &*part(3), &*part(4)) {
            ("NM", "", "") => &[1],
            ("SN", "", "") => &[2],
            ("SN", "-", _) => &[2, 4],
            _ => return Err(VALUE),
        };
        if ty == "SN" && !matches!(&*part(1), "" | "=" | "<" | "<=" | ">" | ">=") {
            return Err(VALUE);
        }
        for n in components {
            let came = part(*n);
            if came.is_empty() && ty == "SN" && components.len() == 2 {
                continue;
            }
            let digits = match ty {
                "NM" => number::comparator(&came).map_or(&*came, |(_, digits)| digits),
                _ => &*came,
            };
            let read = number::read(digits, decimal).ok_or(VALUE)?.into_owned();
            let sign = came.get(..came.len() - digits.len()).unwrap_or_default();
            found.push(Found {
                place: format!("{place}-5[{repetition}].{n}"),
                sign: sign.to_owned(),
                came: came.clone(),
                digits: read,
            });
        }
    }
    Ok(found)
}

/// The numbers of OBX-7, each behind the text in front of it; none where it has none.
pub(super) fn limits(
    range: &str,
    decimal: Option<DecimalSign>,
) -> Result<Vec<(String, String)>, Left> {
    if !range.contains(|c: char| c.is_ascii_digit()) {
        return Ok(Vec::new());
    }
    let read = |text| {
        number::read(text, decimal)
            .map(Cow::into_owned)
            .ok_or(RANGE)
    };
    if let Some((_, digits)) = number::comparator(range) {
        let sign = range.get(..range.len() - digits.len()).unwrap_or_default();
        return Ok(vec![(sign.to_owned(), read(digits)?)]);
    }
    let (low, high) = number::interval(range).ok_or(RANGE)?;
    let between = if range.contains(" - ") { " - " } else { "-" };
    Ok(vec![
        (String::new(), read(low)?),
        (between.to_owned(), read(high)?),
    ])
}
