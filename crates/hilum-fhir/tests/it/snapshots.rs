//! The suite of snapshot generation: from a differential to the elements that the reference makes.
//!
//! The reference builds on R4B and writes texts and mappings of its own making, so two things are
//! told of each case: whether the elements say the same (names, order, cardinalities, types,
//! slicing, values, bindings, rules), and whether they are the same in every word.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hilum_fhir::snapshot::{Library, with_snapshot};
use hilum_fhir::{Limits, Node, Resource, Style, json, xml};
use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::Value;

use crate::shared::shared;

struct Case {
    id: String,
    fails: bool,
    register: Vec<String>,
    /// Why an engine of R4 cannot be asked.
    beyond: Option<&'static str>,
}

/// Cases that an engine of R4 cannot be asked, each with its reason.
const BEYOND: &[(&str, &str)] = &[
    (
        "t23a",
        "the reference is told not to sort; here every differential may be in any order",
    ),
    ("t26", "a case of sorting, without a snapshot"),
    ("au3", "the input is of STU3 (`binding.valueSetReference`)"),
    (
        "pattern-ext-2",
        "the input is no FHIR (`sliceName` with an attribute `name`)",
    ),
    (
        "pat-choice-ms",
        "its base is of STU3 (`binding.valueSetReference`)",
    ),
    ("ext-sort-issue", "its base is of DSTU2 (`baseType`)"),
    ("obs-unit", "the input is no FHIR (an empty array)"),
    (
        "au-med-k",
        "its base is of STU3 (`binding.valueSetReference`)",
    ),
    (
        "pat-xver-extension",
        "it is built on a definition of STU3 that the suite does not bring",
    ),
    ("org2a", "its base is not in the suite"),
];

/// What R4B says otherwise of elements that cases begin with: the end of the path, and what.
const CHANGED: &[(&str, &str)] = &[
    // `Meta` is no type of values of extensions any more.
    ("xtension.value[x]", "type"),
    // `canonical` came.
    ("PlanDefinition.subject[x]", "type"),
    ("action.subject[x]", "type"),
    // The version of the value set.
    ("Composition.confidentiality", "binding"),
];

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// Every word as the reference has it.
    Same,
    /// The elements say the same.
    Alike,
    /// The elements say the same but for what R4B changed in what they are built on.
    Changed,
    /// An engine of R4 cannot be asked.
    Beyond(&'static str),
    /// It was to fail and did.
    Refused,
    Other(String),
}

fn cases(manifest: &str) -> Vec<Case> {
    let mut reader = Reader::from_str(manifest);
    let mut found = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) | Event::Empty(start) if start.name().as_ref() == "test" => {
                let value = |name: &str| {
                    let found = start.try_get_attribute(name).unwrap()?;
                    let value = found.normalized_value(quick_xml::XmlVersion::Implicit1_0);
                    Some(value.unwrap().into_owned())
                };
                let names = ["register", "include"].map(|name| value(name).unwrap_or_default());
                let register = names.join(",");
                let id = value("id").unwrap_or_default();
                let beyond = BEYOND.iter().find(|(known, _)| *known == id);
                found.push(Case {
                    beyond: beyond.map(|(_, reason)| *reason),
                    id,
                    fails: value("fail").as_deref() == Some("true"),
                    register: register
                        .split(',')
                        .map(|one| one.trim().to_owned())
                        .filter(|one| !one.is_empty())
                        .collect(),
                });
            }
            Event::Eof => return found,
            _ => {}
        }
    }
}

/// Reads a file, whichever of the two forms it has.
fn read(folder: &Path, name: &str) -> Option<Resource> {
    for (ending, parse) in [
        ("xml", xml::parse as fn(&[u8], &Limits) -> _),
        ("json", json::parse),
    ] {
        let Ok(bytes) = fs::read(folder.join(format!("{name}.{ending}"))) else {
            continue;
        };
        if let Ok(resource) = parse(&bytes, &Limits::default()) {
            return Some(resource);
        }
    }
    None
}

/// Without the snapshot that it brings: the reference makes it anew.
fn differential_alone(resource: &Resource) -> Resource {
    let mut json = value(resource.root());
    let members = json.as_object_mut().unwrap();
    if members["derivation"] == "constraint" && members.contains_key("differential") {
        members.remove("snapshot");
    }
    json::parse(json.to_string().as_bytes(), &Limits::default()).unwrap()
}

fn elements(resource: &Resource) -> Vec<Value> {
    let snapshot = resource.root().child("snapshot");
    let elements = snapshot
        .into_iter()
        .flat_map(|one| one.children_named("element"));
    elements.map(value).collect()
}

/// The keys of the rules that a profile adds. Those of the standard differ in R4B.
fn own_rules(input: &Resource) -> Vec<String> {
    let differential = input.root().child("differential");
    let elements = differential
        .into_iter()
        .flat_map(|one| one.children_named("element"));
    let rules = elements.flat_map(|element| element.children_named("constraint"));
    let keys = rules.filter_map(|rule| rule.child_text("key"));
    keys.map(str::to_owned).collect()
}

fn value(node: Node<'_>) -> Value {
    let mut bytes = Vec::new();
    json::write_node(node, Style::Compact, &mut bytes);
    serde_json::from_slice(&bytes).unwrap()
}

/// Without versions of R4 and R4B.
fn plain(text: &str) -> String {
    text.replace("|4.0.1", "").replace("|4.3.0", "")
}

/// What an element says, each thing with a name; of the rules those with these keys.
fn says(element: &Value, keys: &BTreeSet<String>) -> BTreeMap<String, String> {
    let mut said = BTreeMap::new();
    let members = element.as_object().unwrap();
    for (name, value) in members {
        let kept = matches!(
            name.as_str(),
            "path"
                | "sliceName"
                | "min"
                | "max"
                | "mustSupport"
                | "contentReference"
                | "slicing"
                | "maxLength"
        ) || ["fixed", "pattern", "minValue", "maxValue"]
            .iter()
            .any(|beginning| name.starts_with(beginning));
        // Not to be supported is what nothing says.
        if kept && (name != "mustSupport" || value == true) {
            let mut value = value.clone();
            if name == "slicing" {
                let slicing = value.as_object_mut().unwrap();
                // Order does not matter unless it is said to.
                let ordered = slicing.remove("ordered") == Some(Value::Bool(true));
                slicing.remove("description");
                said.insert("ordered".to_owned(), ordered.to_string());
            }
            // R4B writes the URL of the type before it.
            if name == "contentReference" {
                let text = value.as_str().unwrap_or_default();
                value = Value::from(text.rsplit('#').next());
            }
            said.insert(name.clone(), value.to_string());
        }
    }
    let types = element["type"].as_array().into_iter().flatten();
    // Two types are new in R4B.
    let new = |one: &&Value| {
        matches!(
            one["code"].as_str(),
            Some("CodeableReference" | "RatioRange")
        )
    };
    let mut types: Vec<String> = types
        .filter(|one| !new(one))
        .map(|one| {
            let mut one = one.clone();
            // Where references may lead is wider in R4B.
            one.as_object_mut().unwrap().remove("extension");
            one.as_object_mut().unwrap().remove("targetProfile");
            plain(&one.to_string())
        })
        .collect();
    types.sort();
    said.insert("type".to_owned(), types.join(" "));
    let binding = &element["binding"];
    let bound = format!(
        "{} {}",
        binding["strength"],
        plain(&binding["valueSet"].to_string())
    );
    if binding["strength"] != "example" && !binding.is_null() {
        said.insert("binding".to_owned(), bound);
    }
    let rules = element["constraint"].as_array().into_iter().flatten();
    let mut rules: Vec<&str> = rules
        .filter_map(|rule| rule["key"].as_str())
        .filter(|key| keys.contains(*key))
        .collect();
    rules.sort_unstable();
    said.insert("constraint".to_owned(), rules.join(" "));
    said
}

/// The first thing in which two lists of elements differ.
fn difference(
    found: &[Value],
    expected: &[Value],
    keys: &BTreeSet<String>,
    changed: &mut bool,
) -> Option<String> {
    let path = |element: &Value| {
        let slice = element["sliceName"]
            .as_str()
            .map(|slice| format!(":{slice}"));
        format!(
            "{}{}",
            element["path"].as_str().unwrap_or_default(),
            slice.unwrap_or_default()
        )
    };
    for (own, other) in found.iter().zip(expected) {
        if path(own) != path(other) {
            return Some(format!("{} instead of {}", path(own), path(other)));
        }
        let (own_says, other_says) = (says(own, keys), says(other, keys));
        if own_says != other_says {
            let names = own_says.keys().chain(other_says.keys());
            let place = own["path"].as_str().unwrap_or_default();
            let is_changed = |name: &str| {
                let known = |(end, what): &(&str, &str)| place.ends_with(end) && *what == name;
                CHANGED.iter().any(known)
            };
            let other: Vec<&String> = names
                .filter(|name| own_says.get(*name) != other_says.get(*name))
                .collect();
            let Some(name) = other.into_iter().find(|name| !is_changed(name)) else {
                *changed = true;
                continue;
            };
            if std::env::var_os("HILUM_SHOW").is_some() {
                let (own, other) = (own_says.get(name), other_says.get(name));
                println!("    {own:?}\n    {other:?}");
            }
            return Some(format!("{name} of {}", path(own)));
        }
    }
    (found.len() != expected.len())
        .then(|| format!("{} elements instead of {}", found.len(), expected.len()))
}

fn run(folder: &Path, case: &Case, (all, keys): (&[Arc<Resource>], &BTreeSet<String>)) -> Outcome {
    if let Some(reason) = case.beyond {
        return Outcome::Beyond(reason);
    }
    let mut library = Library::new();
    for one in all {
        library.add(Arc::clone(one));
    }
    for name in &case.register {
        let names = [
            name.clone(),
            format!("{name}-input"),
            format!("{name}-expected"),
        ];
        let found = names.iter().find_map(|name| read(folder, name));
        if let Some(resource) = found {
            library.add(Arc::new(differential_alone(&resource)));
        }
    }
    let Some(input) = read(folder, &format!("{}-input", case.id)) else {
        return Outcome::Other("the input is no StructureDefinition of R4".to_owned());
    };
    let made = with_snapshot(&input, &library);
    match (made, case.fails) {
        (Err(_), true) => Outcome::Refused,
        (Ok(_), true) => Outcome::Other("the reference refuses it".to_owned()),
        (Err(error), false) => Outcome::Other(error.to_string()),
        (Ok(made), false) => {
            let Some(expected) = read(folder, &format!("{}-expected", case.id)) else {
                return Outcome::Other("the expected snapshot is not FHIR R4".to_owned());
            };
            let (found, expected) = (elements(&made), elements(&expected));
            let mut changed = false;
            match difference(&found, &expected, keys, &mut changed) {
                Some(difference) => Outcome::Other(difference),
                None if changed => Outcome::Changed,
                None if found == expected => Outcome::Same,
                None => Outcome::Alike,
            }
        }
    }
}

/// Unpacks the suite into a folder of its own.
fn unpacked(archive: &Path) -> Option<tempfile::TempDir> {
    let folder = tempfile::tempdir().unwrap();
    let script = "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])";
    let run = std::process::Command::new("python3")
        .args(["-c", script])
        .arg(archive)
        .arg(folder.path())
        .status();
    run.is_ok_and(|status| status.success()).then_some(folder)
}

#[test]
fn snapshot_suite_agrees_as_recorded() {
    let test = "snapshot_suite_agrees_as_recorded";
    let Some(shared) = shared("suites/snapshot-generation", test) else {
        return;
    };
    let Some(folder) = unpacked(&shared.join("r4b-snapshot-generation.zip")) else {
        println!("not run: {test} (no python3)");
        return;
    };
    let folder = folder.path().join("snapshot-generation");
    let manifest = fs::read_to_string(folder.join("manifest.xml")).unwrap();
    let cases = cases(&manifest);
    assert_eq!(cases.len(), 113);
    // Cases are built on each other. Where several have the same URL, the first is meant.
    let inputs = cases
        .iter()
        .filter_map(|case| read(&folder, &format!("{}-input", case.id)));
    let mut all: Vec<Arc<Resource>> = inputs.map(Arc::new).collect();
    let keys: BTreeSet<String> = all.iter().flat_map(|input| own_rules(input)).collect();
    all.reverse();
    let outcomes: Vec<(String, Outcome)> = cases
        .iter()
        .map(|case| {
            let outcome = run(&folder, case, (&all, &keys));
            if std::env::var_os("HILUM_SHOW").is_some() {
                println!("{}: {outcome:?}", case.id);
            }
            (case.id.clone(), outcome)
        })
        .collect();
    let page = scores(&outcomes);
    let recorded = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/scores/fhir-snapshots.md"
    ));
    if std::env::var("HILUM_SCORES").is_ok_and(|mode| mode == "write") {
        fs::write(&recorded, &page).unwrap();
    }
    let known = fs::read_to_string(&recorded).unwrap_or_default();
    assert!(known == page, "run `cargo xtask scores`\n{page}");
}

/// The page of scores: names and counts, and in which element a case differs first.
fn scores(outcomes: &[(String, Outcome)]) -> String {
    let count = |wanted: &[Outcome]| {
        let found = outcomes
            .iter()
            .filter(|(_, outcome)| wanted.contains(outcome));
        found.count()
    };
    let changed = count(&[Outcome::Changed]);
    let good = count(&[Outcome::Same, Outcome::Alike, Outcome::Refused]) + changed;
    let beyond = |outcome: &Outcome| match outcome {
        Outcome::Beyond(reason) => Some(*reason),
        _ => None,
    };
    let asked = outcomes
        .iter()
        .filter(|(_, outcome)| beyond(outcome).is_none());
    let total = asked.count();
    let mut page = format!(
        "# The suite of snapshot generation\n\n\
         Written by `cargo xtask scores`. A case agrees if the elements say the same as those of the \
         reference (order, names, cardinalities, types, slicing, values, bindings but for examples, own rules), or if both \
         refuse the differential. The reference builds on R4B, so that texts differ in any case.\n\n\
         Of {} cases {total} can be asked of an engine of R4. {good} of them agree ({}.{} %): {} \
         because both refuse, {changed} but for what R4B changed in the elements that they are built on \
         (the types of `Extension.value[x]`, of `subject[x]` in PlanDefinition and of its actions, the version of the \
         binding of `Composition.confidentiality`), {} in every word.\n\n\
         | Case | First difference |\n|---|---|\n",
        outcomes.len(),
        good * 1000 / total / 10,
        good * 1000 / total % 10,
        count(&[Outcome::Refused]),
        count(&[Outcome::Same]),
    );
    for (id, outcome) in outcomes {
        if let Outcome::Other(text) = outcome {
            writeln!(page, "| {id} | {text} |").unwrap();
        }
    }
    page.push_str("\n## Not asked\n\n| Case | Why |\n|---|---|\n");
    for (id, outcome) in outcomes {
        if let Some(reason) = beyond(outcome) {
            writeln!(page, "| {id} | {reason} |").unwrap();
        }
    }
    page
}
