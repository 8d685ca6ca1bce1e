//! The official FHIRPath suite for R4, on its own resources: all of it, each expression held
//! against the types before it is evaluated.

use std::collections::BTreeMap;
use std::path::Path;

use hilum_fhir::fhirpath::{R4Shapes, R4Types};
use hilum_fhir::{Limits, Resource, json, xml};
use hilum_fhirpath::{Env, Expression, Item, Moment, Options, Value};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::shared::shared;

/// Cases of the suite.
const CASES: usize = 935;

#[derive(Debug, Default)]
struct Case {
    name: String,
    input: Option<String>,
    predicate: bool,
    expression: String,
    invalid: Option<String>,
    outputs: Vec<(String, String)>,
}

fn attribute(start: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = start.try_get_attribute(name).unwrap()?;
    let value = found.normalized_value(quick_xml::XmlVersion::Implicit1_0);
    Some(value.unwrap().into_owned())
}

fn read_cases(text: &str) -> Vec<Case> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let (mut cases, mut case, mut content) = (Vec::new(), Case::default(), String::new());
    let mut output = String::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) => {
                content.clear();
                match start.name().as_ref() {
                    "test" => {
                        case = Case {
                            name: attribute(&start, "name").unwrap_or_default(),
                            input: attribute(&start, "inputfile"),
                            predicate: attribute(&start, "predicate").is_some_and(|p| p == "true"),
                            ..Case::default()
                        };
                    }
                    "expression" => case.invalid = attribute(&start, "invalid"),
                    "output" => output = attribute(&start, "type").unwrap_or_default(),
                    _ => {}
                }
            }
            Event::Text(part) => content.push_str(&part),
            Event::GeneralRef(part) => {
                let name = part.to_string();
                match part.resolve_char_ref().unwrap() {
                    Some(c) => content.push(c),
                    None => content.push_str(
                        quick_xml::escape::resolve_predefined_entity(&name).unwrap_or_default(),
                    ),
                }
            }
            Event::End(end) => match end.name().as_ref() {
                "expression" => case.expression = std::mem::take(&mut content),
                "output" => {
                    let kind = std::mem::take(&mut output);
                    case.outputs.push((kind, std::mem::take(&mut content)));
                }
                "test" => cases.push(std::mem::take(&mut case)),
                _ => {}
            },
            Event::Eof => return cases,
            _ => {}
        }
    }
}

fn read_input(folder: &Path, name: &str) -> Resource {
    let mut text = std::fs::read_to_string(folder.join("input").join(name)).unwrap();
    if name == "observation-example.xml" {
        // Its extension stands behind the status, which XML does not allow.
        let status = r#"<status value="final"/>"#;
        text = text.replace(status, "");
        let (before, behind) = text.split_once("</extension>").unwrap();
        text = format!("{before}</extension>{status}{behind}");
    }
    let read = if name.ends_with(".xml") {
        xml::parse
    } else {
        json::parse
    };
    read(text.as_bytes(), &Limits::default())
        .unwrap_or_else(|problems| panic!("{name}: {problems:?}"))
}

/// An item as the suite writes it.
fn show(item: &Item<'_>) -> String {
    let Some(value) = item.value() else {
        return "(node)".to_owned();
    };
    match &value {
        Value::Date(moment) | Value::DateTime(moment) => format!("@{moment}"),
        Value::Time(time) => format!("@T{time}"),
        _ => value.into_text().into_owned(),
    }
}

/// 2024-02-29T13:14:15.016+01:00.
fn now() -> Moment {
    Moment::from_unix_millis(1_709_208_855_016, 60)
}

fn run(resource: &Resource, text: &str) -> Result<Vec<String>, String> {
    let expression = Expression::compile(text, &Options::default());
    let expression = expression.map_err(|error| format!("compile: {error}"))?;
    let named = expression.named(&R4Shapes, &[R4Shapes::of(resource.type_id())]);
    if let Some(wrong) = named.problems.first() {
        return Err(format!("names: {wrong:?}"));
    }
    let env = Env::new(now()).with_host(&R4Types);
    let found = expression.evaluate(resource, resource.root().id(), &env);
    let found = found.map_err(|error| error.to_string())?;
    Ok(found.iter().map(show).collect())
}

/// Decimals are equal with their scale but for the sign of zero, everything else as text.
fn same(found: &str, (kind, expected): &(String, String)) -> bool {
    let zero = |text: &str| {
        let digits = text.strip_prefix('-')?;
        let zero = digits.chars().all(|c| matches!(c, '0' | '.'));
        zero.then(|| digits.to_owned())
    };
    let plain = |text: &str| zero(text).unwrap_or_else(|| text.to_owned());
    let date = || {
        matches!(kind.as_str(), "date" | "dateTime" | "time" | "instant")
            && found.trim_start_matches(['@', 'T']) == expected.trim_start_matches(['@', 'T'])
    };
    plain(found) == plain(expected) || date()
}

fn verdict(case: &Case, resource: &Resource) -> Result<(), String> {
    match (run(resource, &case.expression), &case.invalid) {
        (Err(_), Some(_)) => Ok(()),
        (Ok(found), Some(kind)) => Err(format!("expected a {kind} error, got {found:?}")),
        (Err(error), None) => Err(error),
        (Ok(found), None) => {
            let found = if case.predicate {
                vec![(found.len() == 1 && found != ["false"]).to_string()]
            } else {
                found
            };
            let pairs = found.iter().zip(&case.outputs);
            let equal = found.len() == case.outputs.len() && pairs.clone().all(|(a, b)| same(a, b));
            match equal {
                true => Ok(()),
                false => Err(format!("{found:?} instead of {:?}", case.outputs)),
            }
        }
    }
}

#[test]
fn the_official_suite_passes_on_its_resources() {
    let test = "the_official_suite_passes_on_its_resources";
    let Some(folder) = shared("suites/fhirpath-r4", test) else {
        return;
    };
    let text = std::fs::read_to_string(folder.join("tests-fhir-r4.xml")).unwrap();
    let cases = read_cases(&text);
    assert_eq!(cases.len(), CASES);
    let empty = json::parse(
        br#"{"resourceType":"Basic","id":"empty"}"#,
        &Limits::default(),
    );
    let mut inputs = BTreeMap::from([(None, empty.unwrap())]);
    let mut failures = Vec::new();
    for case in &cases {
        let resource = inputs
            .entry(case.input.clone())
            .or_insert_with_key(|name| read_input(&folder, name.as_deref().unwrap_or_default()));
        if let Err(reason) = verdict(case, resource) {
            failures.push(format!("{}: {} -> {reason}", case.name, case.expression));
        }
    }
    let count = failures.len();
    assert!(
        failures.is_empty(),
        "{count} failures:\n{}",
        failures.join("\n")
    );
}
