//! What the FHIR store says in the end, as facts of the same form as a receiver's.
//!
//! It is read as a client reads it that follows `Patient.link`: what refers to a patient who was
//! replaced is of the one who replaces. Numbers keep their digits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use hilum_component::{FhirPort, FhirRequest};
use hilum_message::as_of::MERGED_INTO;
use serde_json::Value;

use hilum_testkit::receiver::{labelled, observation};

/// Resources of one page.
const PAGE: usize = 200;

/// Everything that the store has of patients, visits, orders and results.
pub(crate) async fn facts(port: &Arc<dyn FhirPort>) -> anyhow::Result<BTreeMap<String, String>> {
    let patients = Patients::of(&all(port, "Patient").await?);
    let mut facts = patients.facts();
    let of = |reference: &Value| patients.number_of(text(&reference["reference"]));
    for visit in all(port, "Encounter").await? {
        if is_merged(&visit) {
            // Who follows links looks at the one that it was merged into.
            continue;
        }
        let subject = format!("{} visit {}", of(&visit["subject"]), number(&visit));
        let results = results_of(port, &visit).await?;
        if !results.is_empty() {
            put(&mut facts, format!("{subject} results"), results);
        }
        let place = place(port, &visit).await?;
        let state = match visit["status"].as_str().unwrap_or_default() {
            "in-progress" => "admitted",
            "finished" => "discharged",
            "planned" => "expected",
            "entered-in-error" => "cancelled",
            "onleave" => "on leave",
            other => other,
        };
        if let Some(doctor) = doctor(port, &visit).await? {
            put(&mut facts, format!("{subject} doctor"), doctor);
        }
        put(
            &mut facts,
            subject,
            with_labels(format!("{place} {state}").trim(), &visit),
        );
    }
    for order in all(port, "ServiceRequest").await? {
        let subject = format!("{} order {}", of(&order["subject"]), number(&order));
        let state = match order["status"].as_str().unwrap_or_default() {
            // Only a result refers to it; nobody has told of the order itself.
            "unknown" => continue,
            "active" | "completed" => "ordered",
            "revoked" => "cancelled",
            other => other,
        };
        put(&mut facts, subject, with_labels(state, &order));
    }
    for result in all(port, "Observation").await? {
        let (patient, named) = (of(&result["subject"]), named(&result));
        put(
            &mut facts,
            format!("{patient} result {named}"),
            with_labels(&result_fact(&result), &result),
        );
    }
    for allergy in all(port, "AllergyIntolerance").await? {
        if is_over(&allergy) {
            continue;
        }
        let (code, named) = coded(&allergy["code"]);
        let subject = format!("{} allergy {code}", of(&allergy["patient"]));
        put(&mut facts, subject, with_labels(named, &allergy));
    }
    for (name, fact) in [("Condition", "diagnosis"), ("Procedure", "procedure")] {
        for resource in all(port, name).await?.iter().filter(|one| !is_over(one)) {
            let (code, named) = coded(&resource["code"]);
            let subject = format!("{} {fact} {code}", of(&resource["subject"]));
            put(&mut facts, subject, with_labels(named, resource));
        }
    }
    for person in all(port, "RelatedPerson").await? {
        // A mother is known by her number alone.
        if person["active"] != false && person["name"][0].is_object() {
            let (owner, name) = (of(&person["patient"]), &person["name"][0]);
            let given = text(&name["given"][0]);
            put(
                &mut facts,
                format!("{owner} person {given}"),
                text(&name["family"]).to_owned(),
            );
        }
    }
    Ok(facts)
}

/// What is no more, or was told by mistake.
fn is_over(resource: &Value) -> bool {
    let code = |of: &str| text(&resource[of]["coding"][0]["code"]);
    code("clinicalStatus") == "inactive"
        || code("verificationStatus") == "entered-in-error"
        || resource["status"] == "entered-in-error"
}

/// What results were before, oldest first: a client that asks for their history.
pub(crate) async fn histories(
    port: &Arc<dyn FhirPort>,
    subjects: impl Iterator<Item = &String>,
) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let mut found = BTreeMap::new();
    let subjects: Vec<&String> = subjects.collect();
    if subjects.is_empty() {
        return Ok(found);
    }
    let patients = Patients::of(&all(port, "Patient").await?);
    for result in all(port, "Observation").await? {
        let patient = patients.number_of(text(&result["subject"]["reference"]));
        let subject = format!("{patient} result {}", named(&result));
        if !subjects.contains(&&subject) {
            continue;
        }
        let target = format!("Observation/{}/_history?_count={PAGE}", text(&result["id"]));
        let versions = get(port, target).await?;
        let versions = versions["entry"].as_array().into_iter().flatten().rev();
        let mut values: Vec<String> = versions
            .map(|entry| result_fact(&entry["resource"]))
            .collect();
        values.dedup();
        let now = result_fact(&result);
        values.retain(|value| *value != now);
        found.insert(subject, values);
    }
    Ok(found)
}

/// The messages from which patients and reports are, by the names of the story.
pub(crate) async fn provenances(
    port: &Arc<dyn FhirPort>,
    subjects: impl Iterator<Item = &String>,
) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let subjects: Vec<&String> = subjects.collect();
    if subjects.is_empty() {
        return Ok(found);
    }
    let patients = Patients::of(&all(port, "Patient").await?);
    let mut targets: Vec<(String, String)> = patients.current().collect();
    for report in all(port, "DiagnosticReport").await? {
        let patient = patients.number_of(text(&report["subject"]["reference"]));
        let numbers = report["identifier"].as_array().into_iter().flatten();
        let filled = numbers
            .filter(|one| one["type"]["coding"][0]["code"] == "FILL")
            .map(|one| text(&one["value"]));
        let reference = format!("DiagnosticReport/{}", text(&report["id"]));
        targets.extend(filled.map(|own| (format!("{patient} report {own}"), reference.clone())));
    }
    for (subject, reference) in targets {
        if !subjects.contains(&&subject) {
            continue;
        }
        let of = all(port, &format!("Provenance?target={reference}")).await?;
        let entities = of.iter().flat_map(|one| one["entity"].as_array());
        let names = entities.flatten().filter_map(|entity| {
            let said = entity["what"]["display"].as_str()?;
            Some(said.strip_prefix("message ")?.to_owned())
        });
        let names: BTreeSet<String> = names.collect();
        found.entry(subject).or_default().extend(names);
    }
    Ok(found)
}

/// A visit that was merged into another one.
fn is_merged(visit: &Value) -> bool {
    let extensions = visit["extension"].as_array();
    let mut extensions = extensions.into_iter().flatten();
    extensions.any(|one| one["url"] == MERGED_INTO)
}

/// The results that a search finds with a visit.
async fn results_of(port: &Arc<dyn FhirPort>, visit: &Value) -> anyhow::Result<String> {
    let found = all(
        port,
        &format!("Encounter/{}/Observation", text(&visit["id"])),
    )
    .await?;
    let mut names: Vec<String> = found.iter().map(named).collect();
    names.sort_unstable();
    Ok(names.join(", "))
}

/// Who is whom.
struct Patients(BTreeMap<String, One>);

struct One {
    number: String,
    who: String,
    persons: String,
    replaced_by: Option<String>,
}

impl Patients {
    fn of(patients: &[Value]) -> Self {
        let one = |patient: &Value| {
            let links = patient["link"].as_array();
            let replaced = links
                .into_iter()
                .flatten()
                .find(|link| link["type"] == "replaced-by");
            let by = replaced.map(|link| text(&link["other"]["reference"]).to_owned());
            let one = One {
                number: number(patient),
                who: with_labels(&who(patient), patient),
                persons: persons(patient),
                replaced_by: by,
            };
            (format!("Patient/{}", text(&patient["id"])), one)
        };
        Self(patients.iter().map(one).collect())
    }

    /// Those who are not replaced by another.
    fn facts(&self) -> BTreeMap<String, String> {
        let mut facts = BTreeMap::new();
        for one in self.0.values().filter(|one| one.replaced_by.is_none()) {
            put(&mut facts, one.number.clone(), one.who.clone());
            if !one.persons.is_empty() {
                put(
                    &mut facts,
                    format!("{} of person", one.number),
                    one.persons.clone(),
                );
            }
        }
        facts
    }

    /// The numbers and references of those.
    fn current(&self) -> impl Iterator<Item = (String, String)> {
        let current = self.0.iter().filter(|(_, one)| one.replaced_by.is_none());
        current.map(|(reference, one)| (one.number.clone(), reference.clone()))
    }

    /// The number of the patient to whom a reference leads.
    fn number_of(&self, reference: &str) -> String {
        let mut at = reference;
        // As many steps as there are patients, should links go in a circle.
        for _ in 0..self.0.len() {
            let Some(one) = self.0.get(at) else {
                return "nobody".to_owned();
            };
            match &one.replaced_by {
                Some(by) => at = by,
                None => return one.number.clone(),
            }
        }
        "nobody".to_owned()
    }
}

/// Two resources of one subject are two facts, so that a doubled one shows.
fn put(facts: &mut BTreeMap<String, String>, subject: String, value: String) {
    let doubled = |said: &mut String| *said = format!("{said}; {value}");
    facts
        .entry(subject)
        .and_modify(doubled)
        .or_insert_with(|| value.clone());
}

/// The code and the text of a concept's first coding.
fn coded(concept: &Value) -> (&str, &str) {
    let first = &concept["coding"][0];
    (text(&first["code"]), text(&first["display"]))
}

/// A fact with the security labels of its resource.
fn with_labels(fact: &str, resource: &Value) -> String {
    let labels = resource["meta"]["security"].as_array();
    let mut codes: Vec<&str> = labels
        .into_iter()
        .flatten()
        .map(|label| text(&label["code"]))
        .collect();
    codes.sort_unstable();
    labelled(fact, &codes)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// All resources of a type.
async fn all(port: &Arc<dyn FhirPort>, ty: &str) -> anyhow::Result<Vec<Value>> {
    let with = if ty.contains('?') { '&' } else { '?' };
    let bundle = get(port, format!("{ty}{with}_count={PAGE}&_sort=_id")).await?;
    let links = bundle["link"].as_array();
    if links
        .into_iter()
        .flatten()
        .any(|link| link["relation"] == "next")
    {
        bail!("more than {PAGE} resources of the type {ty}");
    }
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    Ok(entries
        .into_iter()
        .map(|entry| entry["resource"].clone())
        .collect())
}

async fn get(port: &Arc<dyn FhirPort>, target: String) -> anyhow::Result<Value> {
    let request = FhirRequest {
        target: target.clone(),
        ..FhirRequest::default()
    };
    let answer = port.request("", request).await;
    let body = answer.body.unwrap_or_default();
    if answer.status != 200 {
        let text = String::from_utf8_lossy(&body).into_owned();
        bail!("{target} is answered {}: {text}", answer.status);
    }
    let body = digits(&String::from_utf8_lossy(&body));
    serde_json::from_str(&body).with_context(|| format!("the answer to {target}"))
}

/// The numbers under `value` as texts, so that reading them keeps every digit.
fn digits(body: &str) -> String {
    const KEY: &str = "\"value\":";
    let mut parts = body.split(KEY);
    let mut read = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let part = part.trim_start();
        let is_digit = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
        let end = part.find(|c| !is_digit(c)).unwrap_or(part.len());
        let (number, rest) = part.split_at(end);
        read.push_str(KEY);
        if number.is_empty() {
            read.push_str(rest);
        } else {
            read.push_str(&format!("\"{number}\"{rest}"));
        }
    }
    read
}

/// The hospital's number of a patient, the number of a visit, else the first one.
fn number(resource: &Value) -> String {
    let numbers = resource["identifier"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let own = |one: &&Value| {
        let kind = text(&one["type"]["coding"][0]["code"]);
        matches!(kind, "MR" | "VN")
    };
    let found = numbers.iter().find(own).or(numbers.first());
    found.map_or("", |one| text(&one["value"])).to_owned()
}

/// The numbers of the person that a patient is, above its own (PID-2).
fn persons(patient: &Value) -> String {
    let all = patient["identifier"].as_array().into_iter().flatten();
    let persons = all.filter(|one| one["type"]["coding"][0]["code"] == "PI");
    let values: Vec<&str> = persons.map(|one| text(&one["value"])).collect();
    values.join(", ")
}

/// Name, birth date and sex, as a receiver of HL7 v2 shows them.
fn who(patient: &Value) -> String {
    let name = &patient["name"][0];
    let sex = match text(&patient["gender"]) {
        "female" => "F",
        "male" => "M",
        "unknown" => "U",
        other => other,
    };
    let birth = text(&patient["birthDate"]).replace('-', "");
    let name = format!("{} {}", text(&name["family"]), text(&name["given"][0]));
    let who = format!("{} {birth} {sex}", name.trim());
    let who = who.trim().to_owned();
    if patient["active"] == Value::Bool(false) {
        return format!("{who}, no more")
            .trim_start_matches(", ")
            .to_owned();
    }
    who
}

/// Whoever is responsible for a visit.
async fn doctor(port: &Arc<dyn FhirPort>, visit: &Value) -> anyhow::Result<Option<String>> {
    let all = visit["participant"].as_array();
    let attends = |one: &&Value| one["type"][0]["coding"][0]["code"] == "ATND";
    let found = all.into_iter().flatten().find(attends);
    let Some(reference) = found.and_then(|one| one["individual"]["reference"].as_str()) else {
        return Ok(None);
    };
    let doctor = get(port, reference.to_owned()).await?;
    Ok(Some(text(&doctor["name"][0]["family"]).to_owned()))
}

async fn place(port: &Arc<dyn FhirPort>, visit: &Value) -> anyhow::Result<String> {
    let places = visit["location"].as_array().cloned().unwrap_or_default();
    let now = places.iter().rfind(|place| place["status"] != "completed");
    let Some(reference) = now
        .or(places.last())
        .and_then(|one| one["location"]["reference"].as_str())
    else {
        return Ok(String::new());
    };
    let place = get(port, reference.to_owned()).await?;
    Ok(text(&place["name"]).to_owned())
}

/// Order, code and sub-id of a result.
fn named(result: &Value) -> String {
    let identifiers = result["identifier"].as_array().cloned().unwrap_or_default();
    let derived = identifiers
        .iter()
        .find(|one| one["system"] == "urn:hilum:derived");
    let derived = derived.map_or("", |one| text(&one["value"]));
    let order = derived.rsplit('|').next().unwrap_or_default();
    let code = text(&result["code"]["coding"][0]["code"]);
    // Code, sub-id where there is one, placer, authority and number of the filler.
    let parts: Vec<&str> = derived.split('|').collect();
    let sub = match parts.as_slice() {
        [_, sub, _, _, _] if !sub.is_empty() => format!("#{sub}"),
        _ => String::new(),
    };
    format!("{order} {code}{sub}")
}

fn result_fact(result: &Value) -> String {
    let status = match text(&result["status"]) {
        "registered" => "pending",
        "entered-in-error" => "withdrawn",
        "amended" => "corrected",
        other => other,
    };
    let (value, unit) = value(result);
    let range = range(&result["referenceRange"][0], &unit);
    let unit = [unit, range].join(" ");
    observation(&value, unit.trim(), status)
}

/// A reference range as a receiver of HL7 v2 shows it; a bound in another unit than the value has it.
fn range(range: &Value, unit: &str) -> String {
    let bound = |bound: &Value| {
        let own = text(&bound["unit"]);
        let other = if own.is_empty() || own == unit {
            ""
        } else {
            own
        };
        format!("{} {other}", text(&bound["value"]))
            .trim()
            .to_owned()
    };
    let (low, high) = (&range["low"], &range["high"]);
    let range = match (low.is_object(), high.is_object()) {
        (true, true) => format!("{}-{}", bound(low), bound(high)),
        _ => text(&range["text"]).to_owned(),
    };
    if range.is_empty() {
        return range;
    }
    format!("({range})")
}

fn value(result: &Value) -> (String, String) {
    let quantity = &result["valueQuantity"];
    if quantity.is_object() {
        let value = format!(
            "{}{}",
            text(&quantity["comparator"]),
            text(&quantity["value"])
        );
        let unit = Some(text(&quantity["unit"])).filter(|unit| !unit.is_empty());
        return (
            value,
            unit.unwrap_or_else(|| text(&quantity["code"])).to_owned(),
        );
    }
    let coded = &result["valueCodeableConcept"];
    if coded.is_object() {
        let named = [
            &coded["text"],
            &coded["coding"][0]["display"],
            &coded["coding"][0]["code"],
        ];
        let named = named.into_iter().find_map(Value::as_str);
        return (named.unwrap_or_default().to_owned(), String::new());
    }
    let ratio = &result["valueRatio"];
    if ratio.is_object() {
        let (over, under) = (&ratio["numerator"], &ratio["denominator"]);
        let comparator = text(&over["comparator"]);
        let ratio = format!(
            "{comparator}{}:{}",
            text(&over["value"]),
            text(&under["value"])
        );
        return (ratio, String::new());
    }
    let attached = result["extension"].as_array().into_iter().flatten();
    for data in attached.map(|one| &one["valueAttachment"]["data"]) {
        if let Some(data) = data.as_str() {
            return (format!("document {data}"), String::new());
        }
    }
    let text = text(&result["valueString"]);
    (text.replace('\n', " / "), String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_digits_of_numbers_and_leaves_texts_alone() {
        let read = digits("{\"value\":2.10,\"a\":{\"value\": \"x\"},\"b\":{\"value\":-1e3}}");
        assert_eq!(
            read,
            "{\"value\":\"2.10\",\"a\":{\"value\":\"x\"},\"b\":{\"value\":\"-1e3\"}}"
        );
    }

    #[test]
    fn follows_the_links_of_patients_who_were_replaced() {
        let patient = |id: &str, number: &str, by: Option<&str>| {
            let link = by.map(
                |by| serde_json::json!([{ "type": "replaced-by", "other": { "reference": by } }]),
            );
            serde_json::json!({ "id": id, "identifier": [{ "value": number }], "link": link })
        };
        let patients = Patients::of(&[
            patient("a", "1", None),
            patient("b", "2", Some("Patient/a")),
            patient("c", "3", Some("Patient/b")),
            patient("d", "4", Some("Patient/d")),
        ]);
        assert_eq!(patients.number_of("Patient/c"), "1");
        assert_eq!(patients.number_of("Patient/d"), "nobody", "a circle ends");
        assert_eq!(patients.facts().len(), 1);
    }
}
