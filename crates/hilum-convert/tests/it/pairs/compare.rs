//! Compares two bundles field by field, whatever order and ids they have.
//!
//! What is compared is a *field*: a value with the path of names that leads to it. The rules that
//! make two bundles comparable are listed in [`RULES`], and every one of them is applied here.

use serde_json::{Map, Value};

use super::matching::{Side, match_entries};

/// What is not a difference; shown in the page of scores.
pub(crate) const RULES: &[&str] = &[
    "Ids, full URLs, `request`, `meta.lastUpdated` and `meta.versionId` are left out: each makes its own.",
    "A reference is equal when it leads to the resource that was matched with theirs.",
    "Resources of a type are matched by the identifiers that they share, by the places of matched resources that refer to them, and by how many of their fields are equal; elements of a list by how many of their fields are equal. Order does not count.",
    "A resource that they give several times may match one of ours, where it has the same identifier, stands at the same place, or says nearly the same: we give a practitioner or an organization once.",
    "The path of a resource that has no match tells in parentheses where it stands: `Organization(Patient.identifier.assigner)`.",
    "Extensions of theirs below `https://reportstream.cdc.gov/` are left out with all that is in them: they carry v2 positions for their own way back. So are resources that only such an extension leads to.",
    "The same instant in another offset is equal; trailing zeros of a fraction do not count.",
    "White space around texts and its amount within them do not count.",
    "Numbers are equal by value.",
];

const OWN_EXTENSIONS: &str = "https://reportstream.cdc.gov/";

/// How a field differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// They have it, we do not.
    Missing,
    /// Both have it with other values.
    Differs,
    /// We have it, they do not.
    Extra,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Differs => "differs",
            Self::Extra => "extra",
        }
    }
}

/// One field that is not the same.
#[derive(Clone, Debug)]
pub(crate) struct Difference {
    pub(crate) kind: Kind,
    /// `Patient.name.family`, an extension as `extension(patient-birthPlace)`.
    pub(crate) path: String,
    pub(crate) theirs: String,
    pub(crate) ours: String,
}

/// How two bundles compare.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Fields that are equal.
    pub(crate) equal: usize,
    pub(crate) differences: Vec<Difference>,
}

/// Compares their bundle with ours.
pub(crate) fn compare(theirs: &Value, ours: &Value) -> Outcome {
    let (theirs, ours) = (Side::read(theirs), Side::read(ours));
    let matched = match_entries(&theirs, &ours);
    // With the matches known, references are compared by where they lead.
    let theirs_now = theirs.pointing(&|at, name| match matched.get(at).copied().flatten() {
        Some(our) => format!("→ {name} {our}"),
        None => format!("→ {name}"),
    });
    let ours_now = ours.pointing(&|at, name| format!("→ {name} {at}"));
    let mut outcome = Outcome::default();
    let mut used = vec![false; ours_now.len()];
    for (at, their) in theirs_now.iter().enumerate() {
        let Some(our) = matched.get(at).copied().flatten() else {
            alone(their, &theirs.place(at), Kind::Missing, &mut outcome);
            continue;
        };
        let again = std::mem::replace(&mut used[our], true);
        let mut found = Outcome::default();
        align(their, &ours_now[our], theirs.name(at), &mut found);
        if again {
            // What the first of several said is not beyond what they say.
            found.differences.retain(|one| one.kind != Kind::Extra);
        }
        outcome.equal += found.equal;
        outcome.differences.append(&mut found.differences);
    }
    for (at, our) in ours_now.iter().enumerate().filter(|(at, _)| !used[*at]) {
        alone(our, &ours.place(at), Kind::Extra, &mut outcome);
    }
    outcome
}

/// Whether a value is an extension of theirs that is left out.
pub(super) fn is_own_extension(value: &Value) -> bool {
    let url = value["url"].as_str();
    url.is_some_and(|url| url.starts_with(OWN_EXTENSIONS))
}

/// The value without what does not count; `None` where nothing is left.
pub(super) fn normal(
    value: &Value,
    root: bool,
    point: &dyn Fn(&str) -> Option<String>,
) -> Option<Value> {
    match value {
        Value::Object(fields) => {
            if is_own_extension(value) {
                return None;
            }
            let mut kept = Map::new();
            for (name, value) in fields {
                let left_out = match name.as_str() {
                    "resourceType" => true,
                    "id" | "text" => root,
                    "lastUpdated" | "versionId" => true,
                    _ => false,
                };
                if left_out {
                    continue;
                }
                let value = match value.as_str() {
                    Some(reference) if name == "reference" => Some(Value::String(
                        point(reference).unwrap_or_else(|| reference.to_owned()),
                    )),
                    _ => normal(value, false, point),
                };
                if let Some(value) = value {
                    kept.insert(name.clone(), value);
                }
            }
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        Value::Array(items) => {
            let kept: Vec<_> = items
                .iter()
                .filter_map(|item| normal(item, false, point))
                .collect();
            (!kept.is_empty()).then_some(Value::Array(kept))
        }
        Value::String(text) => {
            let text = instant(text)
                .unwrap_or_else(|| text.split_whitespace().collect::<Vec<_>>().join(" "));
            (!text.is_empty()).then_some(Value::String(text))
        }
        Value::Null => None,
        other => Some(other.clone()),
    }
}

/// A time with an offset as seconds of UTC.
fn instant(text: &str) -> Option<String> {
    let (date, rest) = text.split_once('T')?;
    let (time, offset) = match rest.strip_suffix('Z') {
        Some(time) => (time, 0),
        None => {
            let at = rest.rfind(['+', '-'])?;
            let (time, offset) = (rest.get(..at)?, rest.get(at..)?);
            let (hours, minutes) = offset.get(1..)?.split_once(':')?;
            let minutes = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?;
            (
                time,
                if offset.starts_with('-') {
                    -minutes
                } else {
                    minutes
                },
            )
        }
    };
    let mut date = date.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.split(':');
    let hour = time.next()?.parse::<i64>().ok()?;
    let minute = time.next()?.parse::<i64>().ok()?;
    let second = time.next().unwrap_or("0");
    let second = if second.contains('.') {
        second.trim_end_matches('0').trim_end_matches('.')
    } else {
        second
    };
    // Days since 1970 by the civil calendar, March first.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let minutes = (days * 24 + hour) * 60 + minute - offset;
    Some(format!("{minutes} min {second} s"))
}

/// How many fields a value has.
pub(super) fn count(value: &Value) -> usize {
    match value {
        Value::Object(fields) => fields.values().map(count).sum(),
        Value::Array(items) => items.iter().map(count).sum(),
        _ => 1,
    }
}

/// How many fields of two values are equal.
pub(super) fn likeness(theirs: &Value, ours: &Value) -> usize {
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => {
            let both = theirs
                .iter()
                .filter_map(|(name, value)| Some((value, ours.get(name)?)));
            both.map(|(theirs, ours)| likeness(theirs, ours)).sum()
        }
        (Value::Array(theirs), Value::Array(ours)) => {
            let pairs = match_items(theirs, ours);
            let alike = |(t, o): &(usize, usize)| likeness(&theirs[*t], &ours[*o]);
            pairs.iter().map(alike).sum()
        }
        _ => usize::from(same(theirs, ours)),
    }
}

fn same(theirs: &Value, ours: &Value) -> bool {
    match (theirs.as_f64(), ours.as_f64()) {
        (Some(theirs), Some(ours)) => theirs.to_bits() == ours.to_bits(),
        _ => theirs == ours,
    }
}

/// Pairs of items of two lists, the most alike first; the rest in order.
fn match_items(theirs: &[Value], ours: &[Value]) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    for (t, their) in theirs.iter().enumerate() {
        for (o, our) in ours.iter().enumerate() {
            let mut alike = likeness(their, our) * 2;
            // Two extensions are one another's only with the same URL.
            if their["url"].is_string() && their["url"] != our["url"] {
                continue;
            }
            if their["system"].is_string() && their["system"] == our["system"] {
                alike += 1;
            }
            all.push((alike, t, o));
        }
    }
    all.sort_by(|a, b| (b.0, a.1, a.2).cmp(&(a.0, b.1, b.2)));
    let (mut left, mut right) = (vec![false; theirs.len()], vec![false; ours.len()]);
    let mut pairs = Vec::new();
    for (_, t, o) in all {
        if !left[t] && !right[o] {
            left[t] = true;
            right[o] = true;
            pairs.push((t, o));
        }
    }
    pairs
}

/// The path of a child; an extension is named by the end of its URL.
fn below(path: &str, name: &str) -> String {
    format!("{path}.{name}")
}

fn item_path(path: &str, item: &Value) -> String {
    let url = item["url"].as_str();
    match url.filter(|_| path.ends_with("xtension")) {
        Some(url) => format!("{path}({})", url.rsplit('/').next().unwrap_or(url)),
        None => path.to_owned(),
    }
}

fn align(theirs: &Value, ours: &Value, path: &str, outcome: &mut Outcome) {
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => {
            for (name, value) in theirs {
                let path = below(path, name);
                match ours.get(name) {
                    Some(ours) => align(value, ours, &path, outcome),
                    None => alone(value, &path, Kind::Missing, outcome),
                }
            }
            for (name, value) in ours.iter().filter(|(name, _)| !theirs.contains_key(*name)) {
                alone(value, &below(path, name), Kind::Extra, outcome);
            }
        }
        (Value::Array(theirs), Value::Array(ours)) => {
            let pairs = match_items(theirs, ours);
            for (at, their) in theirs.iter().enumerate() {
                let path = item_path(path, their);
                match pairs.iter().find(|(t, _)| *t == at) {
                    Some((_, o)) => align(their, &ours[*o], &path, outcome),
                    None => alone(their, &path, Kind::Missing, outcome),
                }
            }
            for (at, our) in ours.iter().enumerate() {
                if pairs.iter().all(|(_, o)| *o != at) {
                    alone(our, &item_path(path, our), Kind::Extra, outcome);
                }
            }
        }
        _ if same(theirs, ours) => outcome.equal += 1,
        (Value::Object(_) | Value::Array(_), _) | (_, Value::Object(_) | Value::Array(_)) => {
            alone(theirs, path, Kind::Missing, outcome);
            alone(ours, path, Kind::Extra, outcome);
        }
        _ => outcome.differences.push(Difference {
            kind: Kind::Differs,
            path: path.to_owned(),
            theirs: shown(theirs),
            ours: shown(ours),
        }),
    }
}

/// Every field of a value that only one side has.
fn alone(value: &Value, path: &str, kind: Kind, outcome: &mut Outcome) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                alone(value, &below(path, name), kind, outcome);
            }
        }
        Value::Array(items) => {
            for item in items {
                alone(item, &item_path(path, item), kind, outcome);
            }
        }
        Value::Null => {}
        _ => {
            let (theirs, ours) = match kind {
                Kind::Extra => (String::new(), shown(value)),
                _ => (shown(value), String::new()),
            };
            outcome.differences.push(Difference {
                kind,
                path: path.to_owned(),
                theirs,
                ours,
            });
        }
    }
}

fn shown(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
