//! What a search should find, by looking at every resource.

use jiff::ToSpan;
use jiff::civil::Date;
use serde_json::Value;

/// The nodes at a path such as `name.family`, `effective` (a choice) or
/// `extension.where(url='…').valueDateTime`.
pub(super) fn at<'v>(resource: &'v Value, path: &str) -> Vec<&'v Value> {
    let mut nodes = vec![resource];
    let mut rest = path;
    while !rest.is_empty() {
        let (step, later) = step(rest);
        rest = later;
        nodes = match step.strip_prefix("where(url='") {
            Some(url) => {
                let url = url.trim_end_matches("')");
                nodes
                    .into_iter()
                    .filter(|node| node["url"] == url)
                    .collect()
            }
            None => nodes
                .into_iter()
                .flat_map(|node| below(node, step))
                .collect(),
        };
    }
    nodes
}

/// The first step of a path; a dot within parentheses parts nothing.
fn step(path: &str) -> (&str, &str) {
    let mut depth = 0;
    for (at, c) in path.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            '.' if depth == 0 => {
                let (first, rest) = path.split_at(at);
                return (first, rest.trim_start_matches('.'));
            }
            _ => {}
        }
    }
    (path, "")
}

fn below<'v>(node: &'v Value, name: &str) -> Vec<&'v Value> {
    let Some(object) = node.as_object() else {
        return Vec::new();
    };
    let chosen = |key: &str| {
        let rest = key.strip_prefix(name);
        rest.is_some_and(|rest| {
            rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_uppercase())
        })
    };
    let found = object
        .iter()
        .filter(|(key, _)| chosen(key))
        .map(|(_, value)| value);
    found
        .flat_map(|value| match value.as_array() {
            Some(items) => items.iter().collect(),
            None => vec![value],
        })
        .collect()
}

/// What a parameter of this type is searched by in a node: values of a search that find it.
pub(super) fn values(kind: &str, node: &Value) -> Vec<String> {
    let text = |name: &str| node[name].as_str().map(str::to_owned);
    let coded = |coding: &Value| {
        let code = coding["code"].as_str()?;
        let system = coding["system"].as_str();
        Some(system.map_or_else(|| format!("|{code}"), |system| format!("{system}|{code}")))
    };
    match kind {
        "Reference" => text("reference").into_iter().collect(),
        "CodeableConcept" => node["coding"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(coded)
            .collect(),
        "Coding" => coded(node).into_iter().collect(),
        "Identifier" => {
            let value = text("value");
            value
                .map(|value| match text("system") {
                    Some(system) => format!("{system}|{value}"),
                    None => format!("|{value}"),
                })
                .into_iter()
                .collect()
        }
        "HumanName" | "Address" => {
            let shown = [
                "family",
                "given",
                "text",
                "prefix",
                "suffix",
                "line",
                "city",
                "district",
                "state",
                "postalCode",
                "country",
            ];
            shown
                .iter()
                .flat_map(|name| below(node, name))
                .filter_map(|v| v.as_str().map(str::to_owned))
                .collect()
        }
        // A description of a goal may be but a text.
        _ => node.as_str().map(str::to_owned).into_iter().collect(),
    }
}

/// Whether a node is found by a value.
pub(super) fn matches(kind: &str, node: &Value, wanted: &str) -> bool {
    match kind {
        "date" | "dateTime" | "instant" | "Period" => {
            let (comparator, text) =
                wanted.split_at(wanted.find(|c: char| c.is_ascii_digit()).unwrap());
            compared(comparator, span(node), range(text))
        }
        "HumanName" | "Address" | "string" => {
            let wanted = folded(wanted);
            values(kind, node)
                .iter()
                .any(|value| folded(value).starts_with(&wanted))
        }
        _ => values(kind, node).iter().any(|value| value == wanted),
    }
}

fn folded(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

type Range = (i64, i64);

/// A date or a period as a half-open range of milliseconds.
pub(super) fn span(node: &Value) -> Range {
    match node.as_str() {
        Some(text) => range(text),
        None => (
            node["start"]
                .as_str()
                .map_or(i64::MIN, |text| range(text).0),
            node["end"].as_str().map_or(i64::MAX, |text| range(text).1),
        ),
    }
}

fn range(text: &str) -> Range {
    let instant = |date: Date| {
        let zoned = date.to_zoned(jiff::tz::TimeZone::UTC).unwrap();
        zoned.timestamp().as_millisecond()
    };
    if text.contains('T') {
        let start: jiff::Timestamp = text.parse().unwrap();
        let precision = if text.contains('.') { 1 } else { 1_000 };
        let start = start.as_millisecond();
        return (start, start + precision);
    }
    let (_, missing) = "0000-01-01".split_at(text.len());
    let whole = format!("{text}{missing}");
    let first: Date = whole.parse().unwrap();
    let next = match text.len() {
        4 => first + 1.year(),
        7 => first + 1.month(),
        _ => first + 1.day(),
    };
    (instant(first), instant(next))
}

fn compared(comparator: &str, own: Range, wanted: Range) -> bool {
    let within = own.0 >= wanted.0 && own.1 <= wanted.1;
    match comparator {
        "" => within,
        "gt" => own.1 > wanted.1,
        "lt" => own.0 < wanted.0,
        "ge" => own.1 > wanted.1 || within,
        "le" => own.0 < wanted.0 || within,
        other => panic!("{other}"),
    }
}
