//! Criteria of the model: what the store is asked, and which resources fulfil it.

use hilum_fhir_store::{
    Chain, Criterion, Has, IndexValue, IntervalTest, NumberTest, Prefix, ReferenceTest, StringMode,
    Test, TokenTest,
};
use proptest::prelude::*;

use super::{CODES, Model, SYSTEMS};
use crate::door::{Door, reference};

/// A criterion of the model: it names parameters by text.
#[derive(Clone, Debug)]
pub(super) enum Wish {
    Code(&'static str, usize, usize),
    Name(StringMode, &'static str),
    Date(&'static str, Prefix, i64, i64),
    Score(Prefix, i32),
    Refers(&'static str, usize),
    Missing(&'static str),
    Chain(&'static str, Box<Wish>),
    Has(Box<Wish>),
    Not(Box<Wish>),
    Or(Box<Wish>, Box<Wish>),
}

fn prefix() -> impl Strategy<Value = Prefix> {
    use Prefix::{Ap, Eb, Eq, Ge, Gt, Le, Lt, Ne, Sa};
    proptest::sample::select(vec![Eq, Ne, Gt, Lt, Ge, Le, Sa, Eb, Ap])
}

fn wish(of: &'static str) -> BoxedStrategy<Wish> {
    let (code, date, link) = match of {
        "Patient" => ("Patient.identifier", "Patient.birthdate", "Patient.link"),
        _ => (
            "Observation.code",
            "Observation.date",
            "Observation.subject",
        ),
    };
    let dates = (prefix(), -20_i64..20, 1_i64..6)
        .prop_map(move |(prefix, from, half_days)| Wish::Date(date, prefix, from, half_days));
    let simple = prop_oneof![
        (0..4_usize, 0..CODES.len()).prop_map(move |(s, c)| Wish::Code(code, s, c)),
        dates,
        (0..6_usize).prop_map(move |n| Wish::Refers(link, n)),
        proptest::sample::select(vec![code, date, link]).prop_map(Wish::Missing),
    ];
    let own = if of == "Patient" {
        let mode = proptest::sample::select(vec![
            StringMode::Prefix,
            StringMode::Exact,
            StringMode::Contains,
            StringMode::Suffix,
            StringMode::Equal,
        ]);
        let text = proptest::sample::select(vec!["m", "Meier", "ann", "MÜL", "Müller", "e"]);
        (mode, text)
            .prop_map(|(mode, text)| Wish::Name(mode, text))
            .boxed()
    } else {
        (prefix(), -5_i32..5)
            .prop_map(|(prefix, n)| Wish::Score(prefix, n))
            .boxed()
    };
    let flat = prop_oneof![4 => simple, 1 => own].boxed();
    let not = flat.clone().prop_map(|wish| Wish::Not(Box::new(wish)));
    let or = (flat.clone(), flat.clone()).prop_map(|(a, b)| Wish::Or(Box::new(a), Box::new(b)));
    prop_oneof![6 => flat, 1 => not, 1 => or].boxed()
}

pub(super) fn wishes(of: &'static str) -> BoxedStrategy<Vec<Wish>> {
    let link = if of == "Patient" {
        "Patient.link"
    } else {
        "Observation.subject"
    };
    let chain = wish("Patient").prop_map(move |wish| Wish::Chain(link, Box::new(wish)));
    let one = if of == "Patient" {
        let has = wish("Observation").prop_map(|wish| Wish::Has(Box::new(wish)));
        prop_oneof![4 => wish(of), 1 => chain, 1 => has].boxed()
    } else {
        prop_oneof![4 => wish(of), 1 => chain].boxed()
    };
    proptest::collection::vec(one, 0..4).boxed()
}

impl Wish {
    pub(super) fn criterion(&self, door: &Door) -> Criterion {
        let is = |param: &str, test| Criterion::Param {
            params: vec![door.param(param)],
            test,
        };
        match self {
            Self::Code(param, system, code) => {
                let code = CODES[*code].to_owned();
                let test = match SYSTEMS.get(*system) {
                    None => TokenTest::Code(code),
                    Some(&"") => TokenTest::NoSystem(code),
                    Some(system) => TokenTest::SystemCode((*system).to_owned(), code),
                };
                is(param, Test::Token(vec![test]))
            }
            Self::Name(mode, text) => is(
                "Patient.name",
                Test::String(*mode, vec![(*text).to_owned()]),
            ),
            Self::Date(param, prefix, from, half_days) => {
                let start_ms = from * 43_200_000;
                let end_ms = start_ms + half_days * 43_200_000;
                is(
                    param,
                    Test::Date(vec![IntervalTest {
                        prefix: *prefix,
                        start_ms,
                        end_ms,
                    }]),
                )
            }
            Self::Score(prefix, n) => {
                let test = NumberTest {
                    prefix: *prefix,
                    value: n.to_string(),
                };
                is("Observation.score", Test::Number(vec![test]))
            }
            Self::Refers(param, n) => {
                let local = ReferenceTest::Local(vec![door.of("Patient")], format!("p{n}"));
                is(param, Test::Reference(vec![local]))
            }
            Self::Missing(param) => Criterion::Missing {
                params: vec![door.param(param)],
                missing: true,
            },
            Self::Chain(param, wish) => Criterion::Chain(Box::new(Chain {
                params: vec![door.param(param)],
                types: vec![door.of("Patient")],
                criteria: vec![wish.criterion(door)],
            })),
            Self::Has(wish) => Criterion::Has(Box::new(Has {
                resource_type: door.of("Observation"),
                params: vec![door.param("Observation.subject")],
                criteria: vec![wish.criterion(door)],
            })),
            Self::Not(wish) => Criterion::Not(Box::new(wish.criterion(door))),
            Self::Or(a, b) => Criterion::Or(vec![a.criterion(door), b.criterion(door)]),
        }
    }

    /// The same by looking at everything, written from the standard and not from the store.
    pub(super) fn holds(&self, model: &Model, name: &str) -> bool {
        let known = &model[name];
        let values = |param: &str| {
            let code = param.split_once('.').unwrap().1.to_owned();
            known
                .rows
                .iter()
                .filter(move |(of, _)| **of == code)
                .map(|(_, value)| value)
        };
        match self {
            Self::Code(param, wanted, code) => values(param).any(|value| {
                let IndexValue::Token {
                    system,
                    code: found,
                } = value
                else {
                    return false;
                };
                let same = match SYSTEMS.get(*wanted) {
                    None => true,
                    Some(wanted) => system.as_deref().unwrap_or("") == *wanted,
                };
                same && found.as_deref() == Some(CODES[*code])
            }),
            Self::Name(mode, text) => values("Patient.name").any(|value| {
                let IndexValue::String(found) = value else {
                    return false;
                };
                let plain = |text: &str| text.to_lowercase().replace('é', "e").replace('ü', "u");
                match mode {
                    StringMode::Exact => found == text,
                    StringMode::Prefix => plain(found).starts_with(&plain(text)),
                    StringMode::Contains => plain(found).contains(&plain(text)),
                    StringMode::Equal => plain(found) == plain(text),
                    StringMode::Suffix => plain(found).ends_with(&plain(text)),
                }
            }),
            Self::Date(param, prefix, from, half_days) => {
                let low = from * 43_200_000;
                let high = low + half_days * 43_200_000;
                values(param).any(|value| {
                    let IndexValue::Date { start_ms, end_ms } = value else {
                        return false;
                    };
                    compared(*prefix, (low, high), (*start_ms, *end_ms))
                })
            }
            Self::Score(prefix, n) => values("Observation.score").any(|value| {
                let IndexValue::Number { low, high } = value else {
                    return false;
                };
                scored(*prefix, f64::from(*n), (*low, *high))
            }),
            Self::Refers(param, n) => {
                let wanted = reference(&format!("Patient/p{n}"));
                values(param).any(|value| *value == wanted)
            }
            Self::Missing(param) => values(param).next().is_none(),
            Self::Chain(param, wish) => values(param).any(|value| {
                let target = target(value);
                model.contains_key(&target) && wish.holds(model, &target)
            }),
            Self::Has(wish) => model.iter().any(|(other, of)| {
                other.starts_with("Observation/")
                    && of
                        .rows
                        .iter()
                        .any(|(code, value)| *code == "subject" && target(value) == name)
                    && wish.holds(model, other)
            }),
            Self::Not(wish) => !wish.holds(model, name),
            Self::Or(a, b) => a.holds(model, name) || b.holds(model, name),
        }
    }
}

/// FHIR R4 search.html#number for a whole number.
fn scored(prefix: Prefix, n: f64, (low, high): (f64, f64)) -> bool {
    let half = 0.5;
    let within = low >= n - half && high < n + half;
    match prefix {
        Prefix::Eq => within,
        Prefix::Ne => !within,
        Prefix::Gt => high > n,
        Prefix::Lt => low < n,
        Prefix::Ge => high > n || (low == n && high == n),
        Prefix::Le => low < n || (low == n && high == n),
        Prefix::Sa => low > n,
        Prefix::Eb => high < n,
        Prefix::Ap => {
            let by = (n.abs() / 10.0).max(half);
            low <= n + by && high >= n - by
        }
    }
}

fn target(value: &IndexValue) -> String {
    match value {
        IndexValue::Reference { resource_type, id } => format!("{resource_type}/{id}"),
        _ => String::new(),
    }
}

/// FHIR R4 search.html#prefix on half-open ranges.
fn compared(prefix: Prefix, (low, high): (i64, i64), (start, end): (i64, i64)) -> bool {
    let within = start >= low && end <= high;
    match prefix {
        Prefix::Eq => within,
        Prefix::Ne => !within,
        Prefix::Gt => end > high,
        Prefix::Lt => start < low,
        Prefix::Ge => end > high || within,
        Prefix::Le => start < low || within,
        Prefix::Sa => start >= high,
        Prefix::Eb => end <= low,
        Prefix::Ap => start < high && end > low,
    }
}
