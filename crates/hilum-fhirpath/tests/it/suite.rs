//! The official FHIRPath suite for R4: the cases that need no resource.

use std::path::PathBuf;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::json::Json;
use crate::run;

/// Cases that fail, with the reason. Not to grow.
const ACCEPTED_FAILURES: &[(&str, &str)] = &[];

/// Cases of the suite without `inputfile`.
const CASES_WITHOUT_INPUT: usize = 81;

#[derive(Debug, Default)]
struct Case {
    name: String,
    input: Option<String>,
    expression: String,
    invalid: Option<String>,
    outputs: Vec<String>,
}

fn shared() -> Option<PathBuf> {
    let root = match std::env::var_os("HILUM_SHARED") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
    };
    let file = root.join("suites/fhirpath-r4/tests-fhir-r4.xml");
    file.exists().then_some(file)
}

fn attribute(start: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = start.try_get_attribute(name).unwrap()?;
    Some(
        found
            .normalized_value(quick_xml::XmlVersion::Implicit1_0)
            .unwrap()
            .into_owned(),
    )
}

fn read_cases(text: &str) -> Vec<Case> {
    let mut reader = Reader::from_str(text);
    let (mut cases, mut case, mut content) = (Vec::new(), Case::default(), String::new());
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) => {
                content.clear();
                match start.name().as_ref() {
                    "test" => {
                        case = Case {
                            name: attribute(&start, "name").unwrap_or_default(),
                            input: attribute(&start, "inputfile"),
                            ..Case::default()
                        };
                    }
                    "expression" => case.invalid = attribute(&start, "invalid"),
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
                "output" => case.outputs.push(std::mem::take(&mut content)),
                "test" => cases.push(std::mem::take(&mut case)),
                _ => {}
            },
            Event::Eof => return cases,
            _ => {}
        }
    }
}

/// Decimals are equal with their scale but for the sign of zero, everything else as text.
fn same(found: &str, expected: &str) -> bool {
    let zero = |s: &str| {
        s.strip_prefix('-')
            .filter(|s| !s.contains(['1', '5']))
            .map(str::to_owned)
    };
    let plain = |s: &str| match zero(s) {
        Some(digits) if digits.chars().all(|c| c == '0' || c == '.') => digits,
        _ => s.to_owned(),
    };
    plain(found) == plain(expected)
}

fn verdict(case: &Case, document: &Json) -> Result<(), String> {
    match (run(document, &case.expression), &case.invalid) {
        (Err(_), Some(_)) => Ok(()),
        (Ok(found), Some(kind)) => Err(format!("expected a {kind} error, got {found:?}")),
        (Err(error), None) => Err(error),
        (Ok(found), None) => {
            let equal = found.len() == case.outputs.len()
                && found.iter().zip(&case.outputs).all(|(a, b)| same(a, b));
            if equal {
                Ok(())
            } else {
                Err(format!("{found:?} instead of {:?}", case.outputs))
            }
        }
    }
}

#[test]
fn official_cases_without_input_pass() {
    let Some(path) = shared() else {
        println!("not run: official_cases_without_input_pass (no shared material)");
        return;
    };
    let cases = read_cases(&std::fs::read_to_string(path).unwrap());
    let document = Json::parse("{}");
    let mut failures = Vec::new();
    let own: Vec<_> = cases.iter().filter(|c| c.input.is_none()).collect();
    assert_eq!(own.len(), CASES_WITHOUT_INPUT);
    for case in own {
        if let Err(reason) = verdict(case, &document)
            && !ACCEPTED_FAILURES.iter().any(|(name, _)| *name == case.name)
        {
            failures.push(format!("{}: {} -> {reason}", case.name, case.expression));
        }
    }
    assert!(
        failures.is_empty(),
        "{} failures:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn official_cases_that_never_look_at_their_input_pass() {
    let Some(path) = shared() else {
        println!(
            "not run: official_cases_that_never_look_at_their_input_pass (no shared material)"
        );
        return;
    };
    let cases = read_cases(&std::fs::read_to_string(path).unwrap());
    let document = Json::parse("{}");
    let mut failures = Vec::new();
    let mut count = 0;
    for case in cases
        .iter()
        .filter(|c| c.input.is_some() && !names_an_element(&c.expression))
    {
        count += 1;
        if let Err(reason) = verdict(case, &document) {
            failures.push(format!("{}: {} -> {reason}", case.name, case.expression));
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {count}:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// Whether the expression uses a name that is no function, keyword or type outside of texts.
fn names_an_element(expression: &str) -> bool {
    let mut rest = expression;
    let mut outside = String::new();
    while let Some((before, behind)) = rest.split_once('\'') {
        outside.push_str(before);
        outside.push_str("''");
        let mut escaped = false;
        let end = behind.find(|c| {
            let end = c == '\'' && !escaped;
            escaped = c == '\\' && !escaped;
            end
        });
        rest = end.and_then(|e| behind.get(e + 1..)).unwrap_or_default();
    }
    outside.push_str(rest);
    const ELEMENTS: &[&str] = &[
        "Patient",
        "Observation",
        "name",
        "Questionnaire",
        "ValueSet",
        "Appointment",
        "birthDate",
        "telecom",
        "Encounter",
        "Parameters",
        "category",
        "contained",
        "concept",
        "supportingInfo",
        "conformsTo",
        "`",
    ];
    ELEMENTS.iter().any(|e| outside.contains(e))
}
