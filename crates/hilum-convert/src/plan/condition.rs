//! Conditions as direct tests.

use regex::Regex;

use super::source::Reading;
use super::{Cond, Setting, Src};
use crate::problem::Fault;
use crate::text::{Compare, Condition, Operand};

/// The largest automaton of a regular expression, in bytes.
const REGEX_BYTES_MAX: usize = 1_000_000;

fn text_of(operand: &Operand) -> &str {
    match operand {
        Operand::Text(text) => text,
        Operand::Setting { name, .. } => name,
        Operand::Path { source, .. } => &source.name,
        Operand::Target => "%target",
    }
}

fn path(reading: &Reading, operand: &Operand) -> Result<Src, Fault> {
    match operand {
        Operand::Path { at, source } => reading.source(source, *at),
        Operand::Target | Operand::Setting { .. } | Operand::Text(_) => Err(Fault::new(
            0,
            text_of(operand),
            "a place of the message was expected",
        )),
    }
}

fn setting(at: usize, name: &str) -> Result<Setting, Fault> {
    match Setting::ALL.iter().find(|(known, _)| *known == name) {
        Some((_, setting)) => Ok(*setting),
        None => Err(
            Fault::new(at, name, "there is no such setting of a conversion")
                .nearest(Setting::ALL.iter().map(|(name, _)| *name)),
        ),
    }
}

fn boxed(texts: &[String]) -> Vec<Box<str>> {
    texts.iter().map(|text| text.as_str().into()).collect()
}

/// `.count()` counts repetitions, whichever is at hand.
fn whole(src: Src) -> Src {
    match src {
        Src::Field {
            segment,
            field,
            repetition,
            component,
            subcomponent,
            ..
        } => Src::Field {
            segment,
            field,
            repetition,
            component,
            subcomponent,
            own: false,
        },
        Src::Once | Src::Segment(_) | Src::Value { .. } => src,
    }
}

pub(super) fn condition(reading: &Reading, of: &Condition) -> Result<Cond, Fault> {
    let all = |parts: &[Condition]| {
        parts
            .iter()
            .map(|part| condition(reading, part))
            .collect::<Result<Vec<_>, _>>()
    };
    Ok(match of {
        Condition::And(parts) => Cond::And(all(parts)?),
        Condition::Or(parts) => Cond::Or(all(parts)?),
        Condition::Not(inner) => Cond::Not(Box::new(condition(reading, inner)?)),
        Condition::Exists(Operand::Target) => Cond::TargetExists,
        Condition::Exists(Operand::Setting { at, name }) => {
            Cond::SettingExists(setting(*at, name)?)
        }
        Condition::Exists(operand) => Cond::Valued(path(reading, operand)?),
        Condition::Empty(Operand::Target) => Cond::TargetEmpty,
        Condition::Empty(Operand::Setting { at, name }) => {
            Cond::Not(Box::new(Cond::SettingExists(setting(*at, name)?)))
        }
        Condition::Empty(operand) => Cond::Empty(path(reading, operand)?),
        Condition::Compare(left, how, right) => compare(reading, left, *how, right)?,
        Condition::In(Operand::Setting { at, name }, texts) => {
            Cond::SettingIn(setting(*at, name)?, boxed(texts))
        }
        Condition::In(operand, texts) => Cond::In(path(reading, operand)?, boxed(texts)),
        Condition::Count(operand, how, number) => {
            Cond::Count(whole(path(reading, operand)?), *how, *number)
        }
        Condition::Length(operand, how, number) => {
            Cond::Length(path(reading, operand)?, *how, *number)
        }
        Condition::StartsWith(operand, text) => {
            Cond::StartsWith(path(reading, operand)?, text.as_str().into())
        }
        Condition::EndsWith(operand, text) => {
            Cond::EndsWith(path(reading, operand)?, text.as_str().into())
        }
        Condition::Contains(operand, text) => {
            Cond::Contains(path(reading, operand)?, text.as_str().into())
        }
        Condition::Decimal(operand) => Cond::Decimal(path(reading, operand)?),
        Condition::Matches(operand, text) => {
            // FHIRPath's matches looks anywhere in the text.
            let regex = regex::RegexBuilder::new(text)
                .size_limit(REGEX_BYTES_MAX)
                .build();
            let regex: Regex =
                regex.map_err(|_| Fault::new(0, text, "not a regular expression"))?;
            Cond::Matches(path(reading, operand)?, regex)
        }
    })
}

fn compare(
    reading: &Reading,
    left: &Operand,
    how: Compare,
    right: &Operand,
) -> Result<Cond, Fault> {
    match (left, right) {
        (Operand::Setting { at, name }, Operand::Text(text)) => Ok(Cond::Setting(
            setting(*at, name)?,
            how,
            text.as_str().into(),
        )),
        (left, Operand::Text(text)) => {
            Ok(Cond::Text(path(reading, left)?, how, text.as_str().into()))
        }
        (left, right) => Ok(Cond::Same(path(reading, left)?, how, path(reading, right)?)),
    }
}

pub(crate) fn regex(text: &str) -> Result<Regex, Fault> {
    let built = regex::RegexBuilder::new(text)
        .size_limit(REGEX_BYTES_MAX)
        .build();
    built.map_err(|_| Fault::new(0, text, "not a regular expression"))
}
