//! Random commits and searches beside a store that remembers everything and looks at all of it.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use hilum_fhir_store::{
    Chain, Change, Criterion, Direction, Has, IndexValue, IntervalTest, NumberTest, Prefix, Query,
    ReferenceTest, SortBy, SortKey, StringMode, Test, TokenTest, Total,
};
use proptest::prelude::*;

use crate::door::{Door, reference, token};

/// What the model knows of a resource.
#[derive(Clone, Debug)]
struct Known {
    pk: i64,
    seq: i64,
    rows: Vec<(&'static str, IndexValue)>,
}

type Model = BTreeMap<String, Known>;

const CODES: [&str; 4] = ["a", "b", "c", "d"];
const SYSTEMS: [&str; 3] = ["", "urn:x", "urn:y"];
const NAMES: [&str; 6] = ["Meier", "meyer", "Méier", "Müller", "Ann", "Hannah"];

fn value(of: &'static str) -> BoxedStrategy<(&'static str, IndexValue)> {
    let code = (0..SYSTEMS.len(), 0..CODES.len()).prop_map(|(s, c)| token(SYSTEMS[s], CODES[c]));
    let date = (-20_i64..20, prop_oneof![Just(0), 1_i64..30]).prop_map(|(from, days)| {
        let start_ms = from * 43_200_000;
        let end_ms = start_ms + 1 + days * 43_200_000;
        IndexValue::Date {
            start_ms,
            end_ms: if days == 29 { i64::MAX } else { end_ms },
        }
    });
    let patient = (0..6).prop_map(|n| reference(&format!("Patient/p{n}")));
    let name = (0..NAMES.len()).prop_map(|n| IndexValue::String(NAMES[n].to_owned()));
    let score = (-8_i32..8, 0_i32..3).prop_map(|(low, more)| IndexValue::Number {
        low: f64::from(low) / 2.0,
        high: f64::from(low + more) / 2.0,
    });
    if of == "Patient" {
        prop_oneof![
            code.prop_map(|v| ("identifier", v)),
            name.prop_map(|v| ("name", v)),
            date.prop_map(|v| ("birthdate", v)),
            patient.prop_map(|v| ("link", v)),
        ]
        .boxed()
    } else {
        prop_oneof![
            code.prop_map(|v| ("code", v)),
            patient.prop_map(|v| ("subject", v)),
            date.prop_map(|v| ("date", v)),
            score.prop_map(|v| ("score", v)),
        ]
        .boxed()
    }
}

type Rows = Vec<(&'static str, IndexValue)>;

/// A resource and its rows, or its deletion.
fn change() -> impl Strategy<Value = (String, Option<Rows>)> {
    let patient = (
        0..6,
        proptest::collection::vec(value("Patient"), 0..5),
        0..6,
    )
        .prop_map(|(n, rows, die)| (format!("Patient/p{n}"), (die > 0).then_some(rows)));
    let observation = (
        0..20,
        proptest::collection::vec(value("Observation"), 0..5),
        0..6,
    )
        .prop_map(|(n, rows, die)| (format!("Observation/o{n}"), (die > 0).then_some(rows)));
    prop_oneof![1 => patient, 3 => observation]
}

/// A criterion of the model: it names parameters by text.
#[derive(Clone, Debug)]
enum Wish {
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

fn wishes(of: &'static str) -> BoxedStrategy<Vec<Wish>> {
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
    fn criterion(&self, door: &Door) -> Criterion {
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
    fn holds(&self, model: &Model, name: &str) -> bool {
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

/// What to sort by: nothing, a date, a name or score, the time of change; and which ways.
#[derive(Clone, Copy, Debug)]
struct Order {
    by: u8,
    second: bool,
    ways: (Direction, Direction),
}

fn order() -> impl Strategy<Value = Order> {
    let way = || proptest::sample::select(vec![Direction::Ascending, Direction::Descending]);
    (0..5_u8, any::<bool>(), way(), way()).prop_map(|(by, second, first, other)| Order {
        by,
        second,
        ways: (first, other),
    })
}

impl Order {
    fn params(self, of: &str) -> Vec<&'static str> {
        let (date, own, code) = match of {
            "Patient" => ("Patient.birthdate", "Patient.name", "Patient.identifier"),
            _ => ("Observation.date", "Observation.score", "Observation.code"),
        };
        let mut keys = match self.by {
            0 => return vec![],
            1 => vec![date],
            2 => vec![own],
            3 => vec![code],
            _ => vec!["changed"],
        };
        if self.second && self.by < 4 {
            keys.push(if self.by == 1 { own } else { date });
        }
        keys
    }

    fn sort(self, of: &str, door: &Door) -> Vec<SortKey> {
        let ways = [self.ways.0, self.ways.1];
        let key = |(name, direction): (&str, Direction)| SortKey {
            by: match name {
                "changed" => SortBy::LastUpdated,
                name => SortBy::Param(vec![door.param(name)]),
            },
            direction,
        };
        self.params(of).into_iter().zip(ways).map(key).collect()
    }

    fn compare(self, of: &str, a: &Known, b: &Known) -> Ordering {
        let ways = [self.ways.0, self.ways.1];
        for (name, way) in self.params(of).into_iter().zip(ways) {
            let order = match (sort_key(a, name, way), sort_key(b, name, way)) {
                (None, None) => Ordering::Equal,
                (None, Some(_)) => return Ordering::Greater,
                (Some(_), None) => return Ordering::Less,
                (Some(a), Some(b)) if way == Direction::Ascending => a.cmp(&b),
                (Some(a), Some(b)) => b.cmp(&a),
            };
            if order != Ordering::Equal {
                return order;
            }
        }
        if self.by != 0 && self.ways.0 == Direction::Descending {
            b.pk.cmp(&a.pk)
        } else {
            a.pk.cmp(&b.pk)
        }
    }
}

fn sort_key(known: &Known, name: &str, way: Direction) -> Option<(i64, String)> {
    let Some((_, code)) = name.split_once('.') else {
        return Some((known.seq, String::new()));
    };
    let key = |value: &IndexValue| match value {
        IndexValue::Date { start_ms, .. } => (*start_ms, String::new()),
        IndexValue::Number { low, .. } => ((low * 2.0) as i64, String::new()),
        IndexValue::String(text) => (0, text.to_lowercase().replace('é', "e").replace('ü', "u")),
        IndexValue::Token { code, .. } => (0, code.clone().unwrap()),
        _ => unreachable!(),
    };
    let keys = known
        .rows
        .iter()
        .filter(|(of, _)| *of == code)
        .map(|(_, value)| key(value));
    if way == Direction::Ascending {
        keys.min()
    } else {
        keys.max()
    }
}

#[derive(Clone, Debug)]
struct Case {
    commits: Vec<Vec<(String, Option<Rows>)>>,
    searches: Vec<(&'static str, Vec<Wish>, Order, u32)>,
}

fn case() -> impl Strategy<Value = Case> {
    let commits = proptest::collection::vec(proptest::collection::vec(change(), 1..8), 1..12);
    let search = prop_oneof![Just("Patient"), Just("Observation")]
        .prop_flat_map(|of| (Just(of), wishes(of), order(), 1..7_u32));
    (commits, proptest::collection::vec(search, 1..40))
        .prop_map(|(commits, searches)| Case { commits, searches })
}

async fn play(case: Case, frequent_at: usize) {
    let limits = hilum_fhir_store::Limits {
        frequent_at,
        ..Default::default()
    };
    let door = Door::with(limits);
    let mut model = Model::new();
    for commit in &case.commits {
        let change = |(name, rows): &(String, Option<Rows>)| -> Change {
            match rows {
                Some(rows) => door.update(name, rows),
                None => door.delete(name),
            }
        };
        let done = door
            .commit(commit.iter().map(change).collect())
            .await
            .unwrap();
        for ((name, rows), written) in commit.iter().zip(done.written) {
            match rows {
                Some(rows) => {
                    let known = Known {
                        pk: written.pk.0,
                        seq: written.seq.0,
                        rows: rows.clone(),
                    };
                    model.insert(name.clone(), known);
                }
                None => drop(model.remove(name)),
            }
        }
    }
    for (of, wishes, order, count) in &case.searches {
        let query = Query {
            types: vec![door.of(of)],
            criteria: wishes.iter().map(|wish| wish.criterion(&door)).collect(),
            sort: order.sort(of, &door),
            count: *count,
            total: Total::Accurate,
            ..Query::default()
        };
        let mut expected: Vec<(&String, &Known)> = model
            .iter()
            .filter(|(name, _)| {
                name.starts_with(of) && wishes.iter().all(|wish| wish.holds(&model, name))
            })
            .collect();
        expected.sort_by(|a, b| order.compare(of, a.1, b.1));
        let expected: Vec<&str> = expected
            .iter()
            .map(|(name, _)| name.split_once('/').unwrap().1)
            .collect();
        assert_eq!(
            door.ids(&query).await,
            expected,
            "{of} {wishes:?} {order:?}"
        );
        let total = door.store.search(query).await.unwrap().total;
        assert_eq!(total, Some(expected.len() as u64), "{of} {wishes:?}");
    }
}

fn run(case: Case, frequent_at: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(play(case, frequent_at));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn searches_find_what_looking_at_everything_finds(case in case()) {
        run(case, 16_384);
    }

    // The ways for frequent matches (walks along an order, chains followed from candidates) are
    // taken when almost everything counts as frequent.
    #[test]
    fn walks_find_the_same_as_lists(case in case(), frequent_at in 1..4_usize) {
        run(case, frequent_at);
    }
}
