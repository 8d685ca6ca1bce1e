//! Searches by value sets and by the hierarchy of code systems.

use std::path::Path;
use std::sync::Arc;

use hilum_terminology::Shelf;
use hilum_terminology::import::{self, Kind, Request};
use hilum_terminology::installed::Folder;
use serde_json::{Value, json};

use crate::kit::{Server, Sources};
use crate::standard::check;

const FOOD: &str = "http://acme.org/food";

/// food > fruit > (apple, pear), food > bread; `pear` says by a property that it is sweet, too.
fn food() -> Value {
    json!({ "resourceType": "CodeSystem", "id": "food", "status": "active", "url": FOOD, "content": "complete",
        "property": [{ "code": "parent", "type": "code" }],
        "concept": [
            { "code": "food", "concept": [
                { "code": "fruit", "concept": [{ "code": "apple" }, { "code": "pear",
                    "property": [{ "code": "parent", "valueCode": "sweet" }] }] },
                { "code": "bread" }] },
            { "code": "sweet" }] })
}

fn set(id: &str, compose: &Value) -> Value {
    json!({ "resourceType": "ValueSet", "id": id, "status": "active",
        "url": format!("http://acme.org/ValueSet/{id}"), "compose": compose })
}

fn is_a(code: &str) -> Value {
    json!({ "system": FOOD, "filter": [{ "property": "concept", "op": "is-a", "value": code }] })
}

async fn kitchen() -> Server {
    let server = Server::start().await;
    let own = |id: &str| format!("http://acme.org/ValueSet/{id}");
    for resource in [
        food(),
        json!({ "resourceType": "CodeSystem", "id": "part", "status": "active", "url": "http://acme.org/part",
            "content": "fragment", "concept": [{ "code": "x" }] }),
        json!({ "resourceType": "CodeSystem", "id": "ring", "status": "active", "url": "http://acme.org/ring",
            "content": "complete", "concept": [
                { "code": "a", "property": [{ "code": "parent", "valueCode": "b" }] },
                { "code": "b", "property": [{ "code": "parent", "valueCode": "a" }] }] }),
        set(
            "listed",
            &json!({ "include": [{ "system": FOOD, "concept": [{ "code": "apple" }, { "code": "bread" }] }] }),
        ),
        set(
            "unknown",
            &json!({ "include": [{ "system": FOOD, "concept": [{ "code": "bread" }] },
                { "system": "http://acme.org/nobody", "concept": [{ "code": "x" }, { "code": "y" }] }],
                "exclude": [{ "system": "http://acme.org/nobody", "concept": [{ "code": "y" }] }] }),
        ),
        set("whole", &json!({ "include": [{ "system": FOOD }] })),
        set("fruit", &json!({ "include": [is_a("fruit")] })),
        set(
            "not-pear",
            &json!({ "include": [is_a("food")],
            "exclude": [{ "system": FOOD, "concept": [{ "code": "pear" }] }] }),
        ),
        set(
            "both",
            &json!({ "include": [{ "valueSet": [own("fruit"), own("not-pear")] }] }),
        ),
        set(
            "sweet-fruit",
            &json!({ "include": [{ "system": FOOD,
            "filter": [{ "property": "concept", "op": "is-a", "value": "sweet" }], "valueSet": [own("fruit")] }] }),
        ),
        set(
            "self",
            &json!({ "include": [{ "valueSet": [own("self")] }] }),
        ),
        set(
            "part",
            &json!({ "include": [{ "system": "http://acme.org/part" }] }),
        ),
        set(
            "pattern",
            &json!({ "include": [{ "system": FOOD,
            "filter": [{ "property": "concept", "op": "regex", "value": ".*(a+)+.*(e|d)$" }] }] }),
        ),
        json!({ "resourceType": "ValueSet", "id": "done", "status": "active", "url": own("done"),
            "expansion": { "timestamp": "2020-01-01T00:00:00Z", "total": 1,
                "contains": [{ "abstract": true, "display": "all", "contains": [{ "system": FOOD, "code": "pear" }] }] } }),
        json!({ "resourceType": "ValueSet", "id": "cut", "status": "active", "url": own("cut"),
            "expansion": { "timestamp": "2020-01-01T00:00:00Z", "total": 9, "contains": [{ "system": FOOD, "code": "pear" }] } }),
    ] {
        server.store(resource).await;
    }
    for (code, id) in [
        ("food", "f"),
        ("fruit", "u"),
        ("apple", "a"),
        ("pear", "p"),
        ("bread", "b"),
        ("sweet", "s"),
    ] {
        server
            .store(
                json!({ "resourceType": "Observation", "id": id, "status": "final",
                "subject": { "reference": format!("Patient/{id}") },
                "code": { "coding": [{ "system": FOOD, "code": code }] } }),
            )
            .await;
    }
    server
        .store(json!({ "resourceType": "Observation", "id": "z", "status": "final", "code": { "text": "none" } }))
        .await;
    for (id, gender) in [("a", "male"), ("p", "other")] {
        server
            .store(json!({ "resourceType": "Patient", "id": id, "gender": gender }))
            .await;
    }
    server
}

#[tokio::test]
async fn codes_are_found_by_value_sets_and_by_what_subsumes_them() {
    let server = kitchen().await;
    let base = server.base();
    let mut wrong = Vec::new();
    for (query, expected) in [
        ("code:in=http://acme.org/ValueSet/listed", "a b"),
        ("code:in=ValueSet/listed", "a b"),
        ("code:in={base}/ValueSet/listed", "a b"),
        ("code:in=http://acme.org/ValueSet/whole", "a b f p s u"),
        ("code:in=http://acme.org/ValueSet/fruit", "a p u"),
        ("code:in=http://acme.org/ValueSet/not-pear", "a b f u"),
        ("code:in=http://acme.org/ValueSet/both", "a u"),
        ("code:in=http://acme.org/ValueSet/sweet-fruit", "p"),
        ("code:in=http://acme.org/ValueSet/done", "p"),
        (
            "code:in=http://acme.org/ValueSet/done,http://acme.org/ValueSet/listed",
            "a b p",
        ),
        // Listed codes count, whatever is known of their system; patterns take linear time.
        ("code:in=http://acme.org/ValueSet/unknown", "b"),
        ("code:in=http://acme.org/ValueSet/pattern", "a b"),
        ("code:not-in=http://acme.org/ValueSet/fruit", "b f s z"),
        ("code:below=http://acme.org/food%7Cfruit", "a p u"),
        ("code:below=http://acme.org/food%7Csweet", "p s"),
        (
            "code:below=http://acme.org/food%7Capple,http://acme.org/food%7Csweet",
            "a p s",
        ),
        ("code:above=http://acme.org/food%7Cpear", "f p s u"),
        ("code:below=http://acme.org/ring%7Ca", ""),
        (
            "status:in=http://hl7.org/fhir/ValueSet/observation-status",
            "a b f p s u z",
        ),
        (
            "status:not-in=http://hl7.org/fhir/ValueSet/observation-status",
            "",
        ),
        (
            "subject:Patient.gender:in=http://hl7.org/fhir/ValueSet/administrative-gender",
            "a p",
        ),
        (
            "_filter=code%20in%20http://acme.org/ValueSet/fruit",
            "a p u",
        ),
        (
            "_filter=code%20sb%20%22http://acme.org/food%7Cfruit%22%20and%20not(code%20ss%20http://acme.org/food%7Cpear)",
            "a",
        ),
    ] {
        let path = format!("/Observation?{}", query.replace("{base}", &base));
        let answer = server.get(&path).await;
        if !answer.status.is_success() {
            wrong.push(format!("{query}: {}", answer.told()));
            continue;
        }
        let mut found = answer.found();
        found.sort();
        let found: Vec<_> = found
            .iter()
            .map(|entry| entry.split_once('/').unwrap().1)
            .collect();
        if found.join(" ") != expected {
            wrong.push(format!("{query}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let has = server
        .get("/Patient?_has:Observation:patient:code:in=http://acme.org/ValueSet/sweet-fruit")
        .await;
    assert_eq!(has.found(), ["Patient/p"], "{}", has.told());
}

#[tokio::test]
async fn what_cannot_be_listed_is_refused_with_the_reason() {
    let server = kitchen().await;
    for (query, reason) in [
        ("code:in=http://acme.org/ValueSet/none", "does not have"),
        (
            "code:in=http://hl7.org/fhir/ValueSet/mimetypes",
            "CodeSystem 'urn:ietf:bcp:13' could not be found",
        ),
        ("code:in=http://acme.org/ValueSet/part", "fragment"),
        ("code:in=http://acme.org/ValueSet/self", "circularity"),
        ("code:in=http://acme.org/ValueSet/cut", "only a part"),
        ("code:below=http://acme.org/part%7Cx", "not as complete"),
        (
            "code:below=http://loinc.org%7C1-8",
            "CodeSystem 'http://loinc.org' could not be found",
        ),
        ("code:below=http://unitsofmeasure.org%7Cmg", "has a grammar"),
        ("code:below=http://acme.org/food%7Csoup", "does not have"),
        ("code:below=fruit", "SYSTEM|CODE"),
        ("code:above=a%7Cb%7Cc", "SYSTEM|CODE"),
    ] {
        let answer = server.get(&format!("/Observation?{query}")).await;
        assert_eq!(answer.status.as_u16(), 400, "{query}: {}", answer.told());
        assert!(answer.text().contains(reason), "{query}: {}", answer.text());
    }
    let again = json!({ "resourceType": "ValueSet", "id": "listed2", "status": "active", "version": "2",
        "url": "http://acme.org/ValueSet/listed", "compose": { "include": [{ "system": FOOD, "concept": [{ "code": "pear" }] }] } });
    server.store(again).await;
    let path = "/Observation?code:in=http://acme.org/ValueSet/listed";
    // The newest version counts, as everywhere, where none is named.
    let newest = server.get(path).await;
    assert_eq!(newest.found(), ["Observation/p"], "{}", newest.told());
    let one = server.get(&format!("{path}%7C2")).await;
    assert_eq!(one.found(), ["Observation/p"], "{}", one.told());
    let many: Vec<String> = (0..65).map(|n| format!("urn:v{n}")).collect();
    let costly = server
        .get(&format!("/Observation?code:in={}", many.join(",")))
        .await;
    assert_eq!(costly.issues(), ["too-costly"], "{}", costly.told());
}

#[tokio::test]
async fn code_systems_of_the_standard_have_their_hierarchy() {
    let server = Server::start().await;
    let clinical = "http://terminology.hl7.org/CodeSystem/condition-clinical";
    for code in ["active", "relapse", "inactive", "remission"] {
        let status = json!({ "coding": [{ "system": clinical, "code": code }] });
        server
            .store(
                json!({ "resourceType": "Condition", "id": code, "clinicalStatus": status,
                "subject": { "reference": "Patient/p" } }),
            )
            .await;
    }
    let active = json!({ "include": [{ "system": clinical,
        "filter": [{ "property": "concept", "op": "is-a", "value": "active" }] }] });
    for resource in [
        set("active", &active),
        json!({ "resourceType": "Patient", "id": "p", "gender": "female" }),
        json!({ "resourceType": "Patient", "id": "q", "gender": "male" }),
        json!({ "resourceType": "Encounter", "id": "e", "status": "planned",
            "class": { "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "ACUTE" } }),
    ] {
        server.store(resource).await;
    }
    let cases = [
        (
            "/Condition?clinical-status:below={clinical}%7Cactive",
            "active relapse",
        ),
        (
            "/Condition?clinical-status:above={clinical}%7Crelapse",
            "active relapse",
        ),
        (
            "/Condition?clinical-status:below={clinical}%7Crelapse",
            "relapse",
        ),
        (
            "/Condition?clinical-status:in=http://acme.org/ValueSet/active",
            "active relapse",
        ),
        (
            "/Condition?clinical-status:not-in=http://acme.org/ValueSet/active",
            "inactive remission",
        ),
        (
            "/Condition?_filter=clinical-status%20sb%20{clinical}%7Cinactive",
            "inactive remission",
        ),
        (
            "/Encounter?class:below=http://terminology.hl7.org/CodeSystem/v3-ActCode%7C_ActEncounterCode",
            "e",
        ),
        (
            "/Encounter?class:below=http://terminology.hl7.org/CodeSystem/v3-ActCode%7CIMP",
            "e",
        ),
        (
            "/Encounter?class:below=http://terminology.hl7.org/CodeSystem/v3-ActCode%7CAMB",
            "",
        ),
        (
            "/Patient?gender:below=http://hl7.org/fhir/administrative-gender%7Cmale",
            "q",
        ),
    ];
    let cases = cases.map(|(path, found)| (path.replace("{clinical}", clinical), found));
    let cases: Vec<(&str, &str)> = cases
        .iter()
        .map(|(path, found)| (path.as_str(), *found))
        .collect();
    check(&server, &cases).await;
    // What is stored comes first.
    let own = json!({ "resourceType": "CodeSystem", "id": "own", "status": "active", "url": clinical,
        "content": "complete", "concept": [{ "code": "active" }, { "code": "relapse" }] });
    server.store(own).await;
    let path = format!("/Condition?clinical-status:below={clinical}%7Cactive");
    check(&server, &[(path.as_str(), "active")]).await;
}

const MODULE: &str = "900000000000207008";
const SNOMED: &str = "http://snomed.info/sct";

/// Findings in an invented release of SNOMED CT: 138875005 > 404684003 > (700001003, 700002005 >
/// 700003001), and one that is not used any more.
fn release(folder: &Path) -> Arc<Shelf> {
    let rows = |head: &str, rows: &[String]| format!("{head}\r\n{}", rows.concat());
    let head = "id\teffectiveTime\tactive\tmoduleId";
    let concepts = [
        ("138875005", 1),
        ("404684003", 1),
        ("700001003", 1),
        ("700002005", 1),
        ("700003001", 1),
        ("700004008", 0),
    ];
    let row = |id: &str, active: u8, rest: &str| {
        format!("{id}\t20260101\t{active}\t{MODULE}\t{rest}\r\n")
    };
    let concept = concepts.map(|(id, active)| row(id, active, "900000000000074008"));
    let names = concepts.map(|(id, _)| {
        let rest = format!("{id}\ten\t900000000000003001\tInvented {id}\t900000000000448009");
        row(&format!("8{id}"), 1, &rest)
    });
    let is_a = [
        ("404684003", "138875005"),
        ("700001003", "404684003"),
        ("700002005", "404684003"),
        ("700003001", "700002005"),
    ];
    let relations = is_a.map(|(below, above)| {
        let rest =
            format!("{below}\t{above}\t0\t116680003\t900000000000011006\t900000000000451002");
        row(&format!("9{below}"), 1, &rest)
    });
    let files = [
        (
            "Concept_Snapshot",
            rows(&format!("{head}\tdefinitionStatusId"), &concept),
        ),
        (
            "Description_Snapshot-en",
            rows(
                &format!("{head}\tconceptId\tlanguageCode\ttypeId\tterm\tcaseSignificanceId"),
                &names,
            ),
        ),
        (
            "Relationship_Snapshot",
            rows(
                &format!(
                    "{head}\tsourceId\tdestinationId\trelationshipGroup\ttypeId\t\
                     characteristicTypeId\tmodifierId"
                ),
                &relations,
            ),
        ),
    ];
    let at = folder.join("Snapshot/Terminology");
    std::fs::create_dir_all(&at).unwrap();
    for (name, text) in files {
        std::fs::write(at.join(format!("sct2_{name}_INT_20260101.txt")), text).unwrap();
    }
    let request = Request {
        kind: Kind::Snomed,
        path: folder,
        version: None,
        url: None,
    };
    let imported = import::read(&request, &mut |_| {}).unwrap();
    let loads = Folder::of(folder);
    let load = loads.keep("snomed", Kind::Snomed, &imported, "1", "now");
    loads.activate(&load.unwrap().id).unwrap();
    let opened = loads.open().unwrap();
    let shelf = Shelf::default();
    shelf.put(opened.loads, opened.state);
    Arc::new(shelf)
}

#[tokio::test]
async fn what_is_loaded_and_what_ships_counts_in_searches() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources {
        terminology: release(folder.path()),
        ..Sources::default()
    };
    let server = Server::importing(sources, hilum_fhir_server::Limits::default()).await;
    for code in [
        "404684003",
        "700001003",
        "700002005",
        "700003001",
        "700004008",
    ] {
        let coding = json!({ "coding": [{ "system": SNOMED, "code": code }] });
        let resource = json!({ "resourceType": "Condition", "id": code, "code": coding,
            "subject": { "reference": "Patient/p" } });
        server.store(resource).await;
    }
    let sex = "http://terminology.hl7.org/CodeSystem/v2-0001";
    for (id, code) in [("f", "F"), ("x", "XX")] {
        let resource = json!({ "resourceType": "Basic", "id": id,
            "code": { "coding": [{ "system": sex, "code": code }] } });
        server.store(resource).await;
    }
    let own = json!({ "include": [{ "system": SNOMED,
        "filter": [{ "property": "concept", "op": "descendent-of", "value": "700002005" }] }] });
    server.store(set("narrow", &own)).await;
    let cases = [
        (
            "/Condition?code:below=http://snomed.info/sct%7C404684003",
            "404684003 700001003 700002005 700003001",
        ),
        (
            "/Condition?code:below=http://snomed.info/sct%7C700002005",
            "700002005 700003001",
        ),
        (
            "/Condition?code:above=http://snomed.info/sct%7C700003001",
            "404684003 700002005 700003001",
        ),
        (
            "/Condition?code:in=http://snomed.info/sct?fhir_vs=isa/700002005",
            "700002005 700003001",
        ),
        (
            "/Condition?code:not-in=http://snomed.info/sct?fhir_vs=isa/700002005",
            "404684003 700001003 700004008",
        ),
        (
            "/Condition?code:in=http://acme.org/ValueSet/narrow",
            "700003001",
        ),
        (
            "/Basic?code:in=http://terminology.hl7.org/ValueSet/v2-0001",
            "f",
        ),
    ];
    check(&server, &cases).await;
    let path = "/Condition?code:below=http://snomed.info/sct%7C999";
    let refused = server.get(path).await;
    assert!(
        refused.text().contains("does not have"),
        "{}",
        refused.told()
    );
}
