//! The suite of the HL7 terminology ecosystem, the part that needs no licensed code system, over
//! real HTTP.
//!
//! The score is a file in the tree, `docs/scores/terminology.md`. With `HILUM_SCORES=write` this
//! test writes it (`cargo xtask scores`), otherwise it compares.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::kit::{Server, shared};

const SCORES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/scores/terminology.md"
);

/// Of a hundred cases, how many have to agree.
const AGREEMENT_MIN: usize = 90;

/// Why a case does not agree.
const REASONS: &[(&str, &str)] = &[
    (
        "batch-validate-bad",
        "The case wants a text about codes that are missing; hilum names the parameter `codingX`, which it does not know.",
    ),
    (
        "metadata",
        "The statement claims no version of this suite and has no `$versions`, which the case asks for.",
    ),
    (
        "validation-simple-coding-bad-system",
        "The case wants the message without quotation marks around the URL; every other case with it wants them.",
    ),
    (
        "expand-enum-good",
        "The case wants the display of version 1.0.0 for a code of 2.0.0; `expand-all` wants the one of 2.0.0.",
    ),
    (
        "expand-exclude-versioned",
        "The case wants the display of version 1.0.0 for a code of 2.0.0; `expand-all` wants the one of 2.0.0.",
    ),
];

/// The extensions in which FHIR R4 carries what R5 has elements for.
const PROPERTY: &str =
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.expansion.property";
const CONTAINS_PROPERTY: &str =
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.expansion.contains.property";

fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap()
}

/// What R5 writes otherwise, as R4 writes it.
fn to_r4(value: &mut Value) {
    if let Value::Object(map) = value {
        // Names such as `title:de` are remarks of the authors and no FHIR.
        map.retain(|name, _| !name.contains(':') && name != "versionAlgorithmCoding");
        for (old, new) in [
            ("sourceScopeUri", "sourceUri"),
            ("targetScopeUri", "targetUri"),
        ] {
            if let Some(value) = map.remove(old) {
                map.insert(new.to_owned(), value);
            }
        }
        if let Some(relationship) = map.remove("relationship")
            && !map.contains_key("mode")
        {
            let equivalence = match relationship.as_str() {
                Some("equivalent") => "equivalent",
                Some("source-is-narrower-than-target") => "wider",
                Some("source-is-broader-than-target") => "narrower",
                Some("not-related-to") => "disjoint",
                _ => "relatedto",
            };
            map.insert("equivalence".to_owned(), json!(equivalence));
        }
        if let Some(flag) = map.get_mut("valueBoolean")
            && let Some(text) = flag.as_str()
        {
            *flag = json!(text == "true");
        }
    }
    match value {
        Value::Object(map) => map.values_mut().for_each(to_r4),
        Value::Array(all) => all.iter_mut().for_each(to_r4),
        _ => {}
    }
}

/// What R4 carries in extensions, as R5 has it in elements.
fn to_r5(value: &mut Value) {
    if let Value::Object(map) = value {
        let mut properties = Vec::new();
        if let Some(Value::Array(extensions)) = map.get_mut("extension") {
            extensions.retain(|one| {
                let url = one["url"].as_str().unwrap_or_default();
                if url != PROPERTY && url != CONTAINS_PROPERTY {
                    return true;
                }
                let mut property = Map::new();
                for part in one["extension"].as_array().unwrap() {
                    let name = part["url"].as_str().unwrap();
                    for (key, value) in part.as_object().unwrap() {
                        let key = match (name, key.as_str()) {
                            (_, "url") => continue,
                            ("value", typed) => typed,
                            (name, _) => name,
                        };
                        property.insert(key.to_owned(), value.clone());
                    }
                }
                properties.push(Value::Object(property));
                false
            });
            if extensions.is_empty() {
                map.remove("extension");
            }
        }
        if !properties.is_empty() {
            map.insert("property".to_owned(), Value::Array(properties));
        }
        // R5 renamed a part of the answer of $translate.
        if map.get("name") == Some(&json!("source")) && map.contains_key("valueUri") {
            map.insert("name".to_owned(), json!("originMap"));
            let url = map.remove("valueUri").unwrap();
            map.insert("valueCanonical".to_owned(), url);
        }
    }
    match value {
        Value::Object(map) => map.values_mut().for_each(to_r5),
        Value::Array(all) => all.iter_mut().for_each(to_r5),
        _ => {}
    }
}

/// Whether a thing of the expected answer may be absent.
fn is_optional(expected: &Value) -> bool {
    match expected.get("$optional$") {
        Some(Value::Bool(optional)) => *optional,
        Some(Value::String(when)) => matches!(
            when.as_str(),
            "!tx.fhir.org" | "warning:version" | "version:4"
        ),
        _ => false,
    }
}

/// Whether a text is what the pattern says.
fn fits(pattern: &str, text: &str) -> bool {
    if let Some(before) = pattern.strip_suffix("|$version$") {
        let version = text
            .strip_prefix(before)
            .and_then(|rest| rest.strip_prefix('|'));
        return version.is_some_and(|version| !version.is_empty());
    }
    let Some(inner) = pattern
        .strip_prefix('$')
        .and_then(|rest| rest.strip_suffix('$'))
    else {
        return pattern == text;
    };
    let (name, rest) = inner.split_once(':').unwrap_or((inner, ""));
    match name {
        "external" => rest
            .split_once(':')
            .is_none_or(|(_, part)| text.contains(part)),
        "fragments" => rest.split('|').all(|part| text.contains(part)),
        "choice" => rest.split('|').any(|one| one == text),
        "uuid" => text.starts_with("urn:uuid:"),
        "instant" | "date" => text.starts_with("20") && text.len() >= 10,
        "url" => text.contains(':'),
        "semver" | "version" => text.chars().next().is_some_and(|c| c.is_ascii_digit()),
        "id" | "token" | "string" | "" => !text.is_empty(),
        _ => false,
    }
}

/// Where two answers differ; `None` if they agree. `whole` is false where the expected answer only
/// names the least there has to be.
fn difference(expected: &Value, found: &Value, place: &str, whole: bool) -> Option<String> {
    match (expected, found) {
        (Value::String(pattern), Value::String(text)) => {
            (!fits(pattern, text)).then(|| format!("{place}: {text:?} is not {pattern:?}"))
        }
        (Value::Object(expected), Value::Object(found)) => objects(expected, found, place, whole),
        (Value::Array(expected), Value::Array(found)) => arrays(expected, found, place, whole),
        _ if expected.as_f64().is_some() && expected.as_f64() == found.as_f64() => None,
        _ => (expected != found).then(|| format!("{place}: {found} is not {expected}")),
    }
}

fn objects(
    expected: &Map<String, Value>,
    found: &Map<String, Value>,
    place: &str,
    whole: bool,
) -> Option<String> {
    let listed = expected.get("$optional-properties$");
    let optional: Vec<&str> = listed
        .and_then(Value::as_array)
        .map(|all| all.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    for (name, value) in expected {
        if name.starts_with('$') {
            continue;
        }
        match found.get(name) {
            Some(own) => {
                let place = format!("{place}.{name}");
                if let Some(difference) = difference(value, own, &place, whole) {
                    return Some(difference);
                }
            }
            None if optional.contains(&name.as_str()) || is_optional(value) => {}
            None if value
                .as_array()
                .is_some_and(|all| all.iter().all(is_optional)) => {}
            None => return Some(format!("{place}.{name} is missing")),
        }
    }
    // `location` repeats what `expression` says.
    let ignored = |name: &str| matches!(name, "location" | "meta" | "text");
    let more = found.keys().find(|name| {
        whole
            && !expected.contains_key(*name)
            && !optional.contains(&name.as_str())
            && !ignored(name)
    });
    more.map(|name| format!("{place}.{name} is not expected"))
}

/// Items agree in any order.
fn arrays(expected: &[Value], found: &[Value], place: &str, whole: bool) -> Option<String> {
    let mut left: Vec<&Value> = found.iter().collect();
    let mut missing = None;
    for (at, item) in expected.iter().enumerate() {
        let place = format!("{place}[{at}]");
        let fitting = left
            .iter()
            .position(|own| difference(item, own, &place, whole).is_none());
        match fitting {
            Some(fitting) => {
                left.remove(fitting);
            }
            None if is_optional(item) => {}
            None => {
                let label = |one: &Value| {
                    let keys = ["name", "code", "url"];
                    keys.iter().find_map(|key| one.get(*key)).cloned()
                };
                let near = left.iter().find(|own| label(own) == label(item));
                missing.get_or_insert_with(|| match near {
                    Some(own) => difference(item, own, &place, whole).unwrap(),
                    None => format!("{place} is missing: {}", short(item)),
                });
            }
        }
    }
    if missing.is_some() {
        return missing;
    }
    let more = left.first().filter(|_| whole)?;
    Some(format!("{place}: not expected: {}", short(more)))
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(160).collect()
}

/// A case with what is wrong with it.
struct Case {
    suite: String,
    name: String,
    wrong: Option<String>,
}

async fn case(server: &Server, folder: &Path, setup: &[Value], test: &Value) -> Option<String> {
    let text = |name: &str| test[name].as_str();
    let operation = text("operation").unwrap();
    let path = match operation {
        "metadata" => "/metadata",
        "term-caps" => "/metadata?mode=terminology",
        "expand" => "/ValueSet/$expand",
        "validate-code" => "/ValueSet/$validate-code",
        "cs-validate-code" => "/CodeSystem/$validate-code",
        "lookup" => "/CodeSystem/$lookup",
        "translate" => "/ConceptMap/$translate",
        "batch-validate" => "/ValueSet/$batch-validate-code",
        other => return Some(format!("the operation {other} is not known")),
    };
    let mut body = String::new();
    if let Some(request) = text("request") {
        let mut request = read(&folder.join(request));
        let parameters = request["parameter"].as_array_mut().unwrap();
        if let Some(profile) = text("profile") {
            let profile = read(&folder.join(profile));
            let more = profile["parameter"].as_array().unwrap().iter();
            // The name of the profile itself is no parameter of an operation.
            parameters.extend(more.filter(|one| one["name"] != "uuid").cloned());
        }
        let given = |resource: &Value| json!({ "name": "tx-resource", "resource": resource });
        parameters.extend(setup.iter().map(given));
        to_r4(&mut request);
        body = request.to_string();
    }
    let method = if body.is_empty() { "GET" } else { "POST" };
    let headers: Vec<(&str, &str)> = text("Accept-Language")
        .map(|languages| ("accept-language", languages))
        .into_iter()
        .collect();
    let answer = server.request(method, path, &headers, body).await;
    let wanted = if text("http-code") == Some("4xx") {
        4
    } else {
        2
    };
    if answer.status.as_u16() / 100 != wanted {
        return Some(format!(
            "status {}: {}",
            answer.status,
            short(&answer.json())
        ));
    }
    let mut found = answer.json();
    to_r5(&mut found);
    // What names only the least there has to be.
    let whole = !matches!(operation, "metadata" | "term-caps");
    let mut first = None;
    for name in ["response", "response:flat", "response2"] {
        let Some(file) = text(name)
            .map(|file| folder.join(file))
            .filter(|file| file.exists())
        else {
            continue;
        };
        let expected = read(&file);
        match difference(
            &expected,
            &found,
            expected["resourceType"].as_str().unwrap(),
            whole,
        ) {
            None => return None,
            Some(wrong) => {
                first.get_or_insert(wrong);
            }
        }
    }
    first
}

#[tokio::test]
async fn codes_are_answered_as_the_terminology_ecosystem_expects() {
    let folder = shared().map(|shared| shared.join("suites/tx-ecosystem"));
    let Some(folder) = folder.filter(|folder| folder.is_dir()) else {
        println!("not run: terminology suite (no shared material)");
        return;
    };
    let server = Server::start().await;
    let suites = read(&folder.join("test-cases.json"));
    let mut cases = Vec::new();
    for suite in suites["suites"].as_array().unwrap() {
        let setup = suite["setup"].as_array().unwrap().iter();
        let setup: Vec<Value> = setup
            .map(|file| read(&folder.join(file.as_str().unwrap())))
            .collect();
        for test in suite["tests"].as_array().unwrap() {
            cases.push(Case {
                suite: suite["name"].as_str().unwrap().to_owned(),
                name: test["name"].as_str().unwrap().to_owned(),
                wrong: case(&server, &folder, &setup, test).await,
            });
        }
    }
    let page = scores(&cases);
    if std::env::var_os("HILUM_SCORES").is_some_and(|value| value == "write") {
        fs::write(SCORES, &page).unwrap();
    }
    let failing = cases.iter().filter(|case| case.wrong.is_some());
    for case in failing.clone() {
        println!(
            "{} / {}: {}",
            case.suite,
            case.name,
            case.wrong.as_deref().unwrap()
        );
    }
    let agreed = cases.len() - failing.count();
    println!("{agreed} of {}", cases.len());
    assert!(agreed * 100 >= cases.len() * AGREEMENT_MIN);
    let known = fs::read_to_string(SCORES).unwrap_or_default();
    assert_eq!(page, known, "cargo xtask scores writes the page anew");
}

fn scores(cases: &[Case]) -> String {
    let agreed = cases.iter().filter(|case| case.wrong.is_none()).count();
    let mut page = String::from(
        "# The suite of the terminology ecosystem\n\n\
         Written by `cargo xtask scores`. The cases of the HL7 terminology ecosystem \
         (hl7.fhir.uv.tx-ecosystem, mode `general`) that need no licensed code system, over HTTP. \
         What a case sets up goes along as `tx-resource`.\n\n\
         An answer agrees if it has everything that is expected and nothing else, down to the words \
         of messages where the suite gives them. The order of items in lists does not count. The \
         suite is written in FHIR R5: what R4 names otherwise or carries in extensions is \
         translated first (properties of expansions, the elements of concept maps, the map that a \
         translation is from). `location` of an issue may stand beside `expression`. Of capability \
         statements the suite names the least that has to be there.\n\n",
    );
    let share = agreed as f64 * 100.0 / cases.len() as f64;
    let _ok = writeln!(page, "{agreed} of {} agree ({share:.1} %).\n", cases.len());
    page.push_str("| Suite | Cases | Agree |\n|---|---|---|\n");
    let mut suites: Vec<&str> = cases.iter().map(|case| case.suite.as_str()).collect();
    suites.dedup();
    for suite in suites {
        let own = cases.iter().filter(|case| case.suite == suite);
        let good = own.clone().filter(|case| case.wrong.is_none()).count();
        let _ok = writeln!(page, "| {suite} | {} | {good} |", own.count());
    }
    let reasons: HashMap<&str, &str> = REASONS.iter().copied().collect();
    page.push_str("\n## Cases that do not agree\n\n| Suite | Case | Why |\n|---|---|---|\n");
    for case in cases.iter().filter(|case| case.wrong.is_some()) {
        let reason = reasons.get(case.name.as_str());
        let reason = reason.copied().unwrap_or("not explained");
        let _ok = writeln!(page, "| {} | {} | {reason} |", case.suite, case.name);
    }
    page
}
