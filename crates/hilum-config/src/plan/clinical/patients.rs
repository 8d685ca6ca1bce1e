//! Conditions that know a patient by a number alone.

use super::trial::{Trial, Value, plain, with};
use super::{Condition, Decides, constants};
use crate::diagnostic::Draft;

/// Texts of a condition that are tried as numbers and as authorities, at most.
const CONSTANTS_MAX: usize = 6;
/// Messages around them that are tried, at most.
const CONTEXTS_MAX: usize = 64;

/// A number and an authority that no condition asks for.
const OTHER: &str = "HILUM-TRIES";

/// Where an authority is named: by its name or by its object identifier (HL7 v2.5.1 §2.A.14, CX-4).
const AUTHORITY: [&str; 2] = ["4.1", "4.2"];

/// Conditions of destinations that read the number of a patient (PID-3.1) and not who assigned it
/// (PID-3.4): HL7 v2.5.1 §2.A.14, where the number is unique only within its authority.
pub(super) fn bare_numbers(trial: Option<&Trial<'_>>, conditions: &[Condition]) -> Vec<Draft> {
    let mut found = Vec::new();
    for condition in conditions {
        if matches!(condition.decides, Decides::Passing) || !reads(condition) {
            continue;
        }
        let text = match trial.map_or(Keyed::Unknown, |trial| keyed(trial, condition)) {
            Keyed::Number => "a patient's number decides without the authority that assigned it",
            Keyed::Apart => {
                "a patient's number and an authority decide, and may be of two identifiers"
            }
            Keyed::Unknown if !condition.rule.text().contains(".4") => {
                "a patient's number decides without the authority that assigned it"
            }
            Keyed::Both | Keyed::Unknown => continue,
        };
        let remedy = "two authorities use the same numbers: ask for both of one identifier, such as \
                      PID-3.exists($this.`1` = '4711' and $this.`4`.`1` = 'STE'), or write why not: \
                      `silence: { W0316: … }`";
        found.push(Draft::warning("W0316", condition.span, text).remedy(remedy));
    }
    found
}

/// The condition is about the numbers of a patient.
fn reads(condition: &Condition) -> bool {
    let text = condition.rule.text();
    condition.rule.expression().literals().any(|found| {
        let path = plain(&found.literal.text);
        // Whether there is a number at all says nothing of whose it is.
        let rest = text.get(found.span.end..).unwrap_or_default();
        let only_there = [".exists()", ".empty()", ".count()"];
        let asks = !only_there.iter().any(|only| rest.starts_with(only));
        (path == "PID-3" || path == "PID-3.1") && asks
    })
}

/// What a condition takes for the same patient.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keyed {
    /// A number, whoever assigned it.
    Number,
    /// A number and an authority, each of any identifier of the patient.
    Apart,
    /// Both of one identifier.
    Both,
    /// No number that stands in the condition makes a difference.
    Unknown,
}

fn keyed(trial: &Trial<'_>, condition: &Condition) -> Keyed {
    let contexts = trial.contexts(condition, &["PID-3"]);
    let texts = constants(condition.rule.text());
    let mut found = Keyed::Unknown;
    for context in contexts.iter().take(CONTEXTS_MAX) {
        let goes_on = |identifiers: &[Identifier<'_>]| {
            let all = set(identifiers);
            let all: Vec<Value<'_>> = all.iter().map(|(at, to)| (at.as_str(), *to)).collect();
            trial.goes_on(condition, &with(context, &all))
        };
        if goes_on(&[(OTHER, "4.1", OTHER)]) {
            continue;
        }
        for number in texts.iter().take(CONSTANTS_MAX) {
            if goes_on(&[(number, "4.1", OTHER)]) {
                return Keyed::Number;
            }
            let authorities = texts.iter().take(CONSTANTS_MAX);
            for (authority, at) in authorities.flat_map(|text| AUTHORITY.map(|at| (text, at))) {
                let (own, theirs) = ((number.as_str(), "4.1", OTHER), (OTHER, at, &**authority));
                if goes_on(&[theirs]) || !goes_on(&[(number, at, authority)]) {
                    continue;
                }
                found = Keyed::Both;
                if goes_on(&[own, theirs]) || goes_on(&[theirs, own]) {
                    return Keyed::Apart;
                }
            }
        }
    }
    found
}

/// A number, and where its authority is named how.
type Identifier<'i> = (&'i str, &'static str, &'i str);

/// The repetitions of PID-3 of a patient with these.
fn set<'i>(identifiers: &[Identifier<'i>]) -> Vec<(String, &'i str)> {
    let mut all = Vec::new();
    for (repetition, (number, at, authority)) in (1..).zip(identifiers) {
        let path = |part: &str| format!("PID-3[{repetition}].{part}");
        all.push((path("1"), *number));
        // In place of what the synthetic message has there.
        all.push((path("4.1"), OTHER));
        all.push((path(at), *authority));
    }
    all
}
