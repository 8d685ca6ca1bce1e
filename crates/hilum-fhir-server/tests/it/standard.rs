//! FHIR R4 search.html, sentence by sentence: what each says is asked over HTTP.

use serde_json::{Value, json};

use crate::kit::Server;

const UCUM: &str = "http://unitsofmeasure.org";

fn observation(id: &str, more: &Value) -> Value {
    let mut resource = json!({ "resourceType": "Observation", "id": id, "status": "final",
        "code": { "coding": [{ "system": "http://loinc.org", "code": "x" }] } });
    let own = resource.as_object_mut().unwrap();
    own.extend(more.as_object().unwrap().clone());
    resource
}

/// JSON that keeps the digits of a number.
fn quantity(id: &str, value: &str, unit: &str) -> Value {
    let text = format!(
        r#"{{"valueQuantity":{{"value":{value},"unit":"{unit}","system":"{UCUM}","code":"{unit}"}}}}"#
    );
    observation(id, &serde_json::from_str(&text).unwrap())
}

fn risk(id: &str, probability: &str) -> Value {
    let text = format!(
        r#"{{"resourceType":"RiskAssessment","id":"{id}","status":"final","subject":{{"reference":"Patient/p1"}},
        "prediction":[{{"probabilityDecimal":{probability}}}]}}"#
    );
    serde_json::from_str(&text).unwrap()
}

async fn hospital() -> Server {
    let server = Server::start().await;
    let base = server.base();
    for resource in [
        json!({ "resourceType": "Organization", "id": "o1", "name": "Gute Klinik",
            "partOf": { "reference": "Organization/o2" } }),
        json!({ "resourceType": "Organization", "id": "o2", "name": "Trust",
            "partOf": { "reference": "Organization/o1" } }),
        json!({ "resourceType": "Practitioner", "id": "d1", "name": [{ "family": "Weiss" }] }),
        json!({ "resourceType": "Patient", "id": "p1", "active": true, "gender": "female",
            "meta": { "profile": ["http://example.org/profiles/mother|2"], "security": [{ "system": "urn:s", "code": "R" }],
                "tag": [{ "system": "urn:x", "code": "vip" }] },
            "identifier": [{ "system": "urn:mrn", "value": "a|b,c$d" }],
            "name": [{ "family": "van der Berg", "given": ["Ève", "Ann"] }],
            "telecom": [{ "system": "phone", "value": "555-1" }, { "system": "email", "value": "eve@example.org" }],
            "address": [{ "line": ["12 Hill Road"], "city": "Bath", "postalCode": "BA1", "country": "GB", "use": "home" }],
            "maritalStatus": { "text": "Divorced long ago" }, "birthDate": "1974-12-25",
            "generalPractitioner": [{ "reference": "Practitioner/d1" }],
            "managingOrganization": { "reference": format!("{base}/Organization/o1") } }),
        json!({ "resourceType": "Patient", "id": "p2", "active": false, "gender": "male", "deceasedBoolean": true,
            "identifier": [{ "value": "plain" }], "name": [{ "family": "Berg", "given": ["Bo"] }],
            "link": [{ "type": "seealso", "other": { "reference": "Patient/p1" } }],
            "managingOrganization": { "identifier": { "system": "urn:org", "value": "77" } } }),
        json!({ "resourceType": "Patient", "id": "p3", "deceasedDateTime": "2020-05-01",
            "managingOrganization": { "reference": "https://elsewhere.example/fhir/Organization/o9" } }),
        quantity("q1", "5.4", "mg"),
        quantity("q2", "5.40", "mg"),
        quantity("q3", "0.0054", "g"),
        quantity("q4", "5.35", "mg"),
        quantity("q5", "-1", "mg"),
        observation(
            "t1",
            &json!({ "effectiveDateTime": "2013-01-14", "subject": { "reference": "Patient/p1" },
            "encounter": { "reference": "Encounter/e1" } }),
        ),
        observation(
            "t2",
            &json!({ "effectiveDateTime": "2013-01-14T10:00:00+02:00" }),
        ),
        observation(
            "t3",
            &json!({ "effectivePeriod": { "start": "2013-01-10", "end": "2013-01-20" } }),
        ),
        observation(
            "t4",
            &json!({ "effectivePeriod": { "start": "2013-02-01" } }),
        ),
        observation(
            "c1",
            &json!({ "component": [
            { "code": { "coding": [{ "code": "sys" }] }, "valueQuantity": { "value": 120 } },
            { "code": { "coding": [{ "code": "dia" }] }, "valueQuantity": { "value": 60 } }] }),
        ),
        json!({ "resourceType": "Encounter", "id": "e1", "status": "finished", "class": { "code": "AMB" },
            "subject": { "reference": "Patient/p1" } }),
        risk("r1", "0.8"),
        risk("r2", "100"),
        risk("r3", "99.4"),
        json!({ "resourceType": "ValueSet", "id": "v1", "status": "active", "url": "http://acme.org/fhir/ValueSet/123/x", "version": "1" }),
        json!({ "resourceType": "ValueSet", "id": "v2", "status": "active", "url": "http://acme.org/fhir/ValueSet" }),
        json!({ "resourceType": "ValueSet", "id": "v3", "status": "active", "url": "urn:oid:1.2.3" }),
        json!({ "resourceType": "MedicationRequest", "id": "m1", "status": "active", "intent": "order",
            "contained": [{ "resourceType": "Medication", "id": "med", "code": { "coding": [{ "code": "aspirin" }] } }],
            "medicationReference": { "reference": "#med" }, "subject": { "reference": "Patient/p1" } }),
        json!({ "resourceType": "CarePlan", "id": "cp1", "status": "active", "intent": "plan",
            "subject": { "reference": "Patient/p1" }, "instantiatesCanonical": ["http://acme.org/plan|3"] }),
        json!({ "resourceType": "Provenance", "id": "pr1", "recorded": "2020-01-01T00:00:00Z",
            "target": [{ "reference": "Patient/p1" }], "agent": [{ "who": { "reference": "Practitioner/d1" } }] }),
    ] {
        server.store(resource).await;
    }
    server
}

/// Paths, and the ids that each finds in alphabetical order.
pub(crate) async fn check(server: &Server, cases: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    let base = server.base();
    for (path, expected) in cases {
        let path = path.replace("{base}", &base);
        let answer = server.get(&path).await;
        if !answer.status.is_success() {
            wrong.push(format!("{path}: {}", answer.told()));
            continue;
        }
        let mut found: Vec<String> = answer
            .found()
            .iter()
            .map(|entry| entry.rsplit('/').next().unwrap().to_owned())
            .collect();
        found.sort();
        if found.join(" ") != *expected {
            wrong.push(format!("{path}: found {found:?}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn values_are_compared_as_the_standard_says() {
    let server = hospital().await;
    let cases = [
        // number
        ("/RiskAssessment?probability=0.8", "r1"),
        ("/RiskAssessment?probability=100", "r2"),
        ("/RiskAssessment?probability=1e2", "r2 r3"),
        ("/RiskAssessment?probability=100.00", "r2"),
        ("/RiskAssessment?probability=lt100", "r1 r3"),
        ("/RiskAssessment?probability=le100", "r1 r2 r3"),
        ("/RiskAssessment?probability=gt0.8", "r2 r3"),
        ("/RiskAssessment?probability=ne0.8", "r2 r3"),
        ("/RiskAssessment?probability=ap95", "r2 r3"),
        ("/RiskAssessment?probability=sa99.5", "r2"),
        ("/RiskAssessment?probability=eb99", "r1"),
        // date
        ("/Patient?birthdate=eq1974-12-25", "p1"),
        ("/Patient?birthdate=1974-12", "p1"),
        ("/Patient?death-date=2020-05", "p3"),
        ("/Patient?deceased=true", "p2 p3"),
        ("/Patient?deceased=false", "p1"),
        ("/Observation?date=2013-01-14", "t1 t2"),
        ("/Observation?date=ne2013-01-14", "t3 t4"),
        ("/Observation?date=lt2013-01-14T10:00Z", "t1 t2 t3"),
        ("/Observation?date=2013-01-14T08:00Z", "t2"),
        ("/Observation?date=2013-01-14T08:00:00.000Z", ""),
        ("/Observation?date=2013-01-14T10:00:00%2B02:00", "t2"),
        ("/Observation?date=ge2013-01-15", "t3 t4"),
        ("/Observation?date=sa2013-01-21", "t4"),
        ("/Observation?date=eb2013-01-14", ""),
        ("/Observation?date=eb2013-01-21", "t1 t2 t3"),
        ("/Observation?date=gt2030", "t4"),
        ("/Observation?date=ge2013-01-10&date=lt2013-01-14", "t3"),
        // string
        ("/Patient?family=van", "p1"),
        ("/Patient?family=VAN%20DER", "p1"),
        ("/Patient?family=Berg", "p2"),
        ("/Patient?family:contains=berg", "p1 p2"),
        ("/Patient?given=eve", "p1"),
        ("/Patient?given:exact=Eve", ""),
        ("/Patient?given:exact=%C3%88ve", "p1"),
        ("/Patient?name=ann", "p1"),
        ("/Patient?address=12%20hill", "p1"),
        ("/Patient?address=bath", "p1"),
        ("/Patient?address-postalcode=BA", "p1"),
        ("/Patient?address-country=gb", "p1"),
        ("/Patient?address-use=home", "p1"),
        // uri
        ("/ValueSet?url=http://acme.org/fhir/ValueSet", "v2"),
        ("/ValueSet?url:below=http://acme.org/fhir/", "v1 v2"),
        ("/ValueSet?url:below=http://acme.org/fhir/ValueSet/12", ""),
        (
            "/ValueSet?url:above=http://acme.org/fhir/ValueSet/123/x/y",
            "v1 v2",
        ),
        ("/ValueSet?url=urn:oid:1.2.3", "v3"),
        ("/ValueSet?url=http://acme.org/fhir/valueset", ""),
        // quantity
        (
            "/Observation?value-quantity=5.4%7Chttp://unitsofmeasure.org%7Cmg",
            "q1 q2 q3 q4",
        ),
        (
            "/Observation?value-quantity=5.40%7Chttp://unitsofmeasure.org%7Cmg",
            "q1 q2 q3",
        ),
        ("/Observation?value-quantity=5.4%7C%7Cmg", "q1 q2 q4"),
        ("/Observation?value-quantity=5.4", "q1 q2 q4"),
        (
            "/Observation?value-quantity=le5.39%7Chttp://unitsofmeasure.org%7Cmg",
            "q4 q5",
        ),
        (
            "/Observation?value-quantity=ap5.4%7Chttp://unitsofmeasure.org%7Cmg",
            "q1 q2 q3 q4",
        ),
        ("/Observation?value-quantity=lt0", "q5"),
        (
            "/Observation?value-quantity=5400%7Chttp://unitsofmeasure.org%7Cug",
            "q1 q2 q3",
        ),
        // composite
        ("/Observation?component-code-value-quantity=sys$gt100", "c1"),
        ("/Observation?component-code-value-quantity=dia$gt100", ""),
        (
            "/Observation?component-code-value-quantity=dia$gt100,sys$120",
            "c1",
        ),
    ];
    check(&server, &cases).await;
}

#[tokio::test]
async fn tokens_and_references_are_compared_as_the_standard_says() {
    let server = hospital().await;
    let cases = [
        ("/Patient?identifier=a%5C%7Cb%5C,c%5C$d", "p1"),
        ("/Patient?identifier=urn:mrn%7Ca%5C%7Cb%5C,c%5C$d", "p1"),
        ("/Patient?identifier=%7Cplain", "p2"),
        ("/Patient?identifier=urn:mrn%7C", "p1"),
        ("/Patient?identifier:not=plain", "p1 p3"),
        (
            "/Patient?gender=http://hl7.org/fhir/administrative-gender%7Cmale",
            "p2",
        ),
        ("/Patient?gender=urn:other%7Cmale", ""),
        ("/Patient?gender:not=male", "p1 p3"),
        ("/Patient?gender:not=male,female", "p3"),
        ("/Patient?gender:missing=true", "p3"),
        ("/Patient?active=false", "p2"),
        ("/Patient?active:not=true", "p2 p3"),
        ("/Patient?phone=555-1", "p1"),
        ("/Patient?email=eve@example.org", "p1"),
        ("/Patient?telecom=555-1", "p1"),
        ("/Patient?telecom=phone%7C555-1", "p1"),
        ("/Patient?_tag=vip", "p1"),
        ("/Patient?_tag:not=vip", "p2 p3"),
        ("/Patient?_tag:missing=true", "p2 p3"),
        ("/Patient?_security=urn:s%7CR", "p1"),
        ("/Patient?_profile=http://example.org/profiles/mother", "p1"),
        (
            "/Patient?_profile=http://example.org/profiles/mother%7C2",
            "p1",
        ),
        (
            "/Patient?_profile=http://example.org/profiles/mother%7C3",
            "",
        ),
        ("/Patient?_profile:below=http://example.org/profiles", "p1"),
        ("/Patient?_id:not=p1", "p2 p3"),
        // references
        ("/Patient?organization=Organization/o1", "p1"),
        ("/Patient?organization=o1", "p1"),
        ("/Patient?organization={base}/Organization/o1", "p1"),
        (
            "/Patient?organization=https://elsewhere.example/fhir/Organization/o9",
            "p3",
        ),
        ("/Patient?organization:identifier=urn:org%7C77", "p2"),
        ("/Patient?organization:missing=true", ""),
        ("/Patient?organization.name=gute", "p1"),
        ("/Patient?organization.partof.name=trust", "p1"),
        (
            "/Patient?general-practitioner:Practitioner.family=weiss",
            "p1",
        ),
        ("/Patient?general-practitioner:Practitioner=d1", "p1"),
        ("/Patient?general-practitioner.name=weiss", "p1"),
        ("/Patient?link=Patient/p1", "p2"),
        ("/Patient?link.name=eve", "p2"),
        ("/Observation?encounter.subject.name=eve", "t1"),
        ("/Observation?patient._id=p1", "t1"),
        ("/Observation?subject:Patient._lastUpdated=gt2000", "t1"),
        ("/Observation?patient._tag=vip", "t1"),
        (
            "/Observation?patient._has:Encounter:patient:status=finished",
            "t1",
        ),
        ("/Observation?patient.organization:missing=false", "t1"),
        ("/Observation?patient.gender:not=male", "t1"),
        ("/Patient?_has:Observation:patient:_id=t1", "p1"),
        ("/Patient?_has:Observation:patient:date=2013", "p1"),
        (
            "/Patient?_has:Observation:patient:encounter.status=finished",
            "p1",
        ),
        (
            "/Practitioner?_has:Patient:general-practitioner:_has:Observation:patient:code=x",
            "d1",
        ),
        (
            "/CarePlan?instantiates-canonical=http://acme.org/plan%7C3",
            "cp1",
        ),
        (
            "/CarePlan?instantiates-canonical=http://acme.org/plan",
            "cp1",
        ),
        (
            "/CarePlan?instantiates-canonical=http://acme.org/plan%7C2",
            "",
        ),
        // several types
        ("/?_type=Patient,Practitioner&name=weiss", "d1"),
        ("/?_type=Patient,Practitioner&family=weiss,berg", "d1 p2"),
        ("/?_tag=vip", "p1"),
        ("/?_id=p1,d1", "d1 p1"),
        ("/?_type=Patient&_type=Practitioner&_id=p1,d1", "d1 p1"),
        // compartments
        ("/Patient/p1/*", "cp1 e1 m1 p1 p2 pr1 r1 r2 r3 t1"),
        ("/Patient/p1/*?_type=Encounter,Observation", "e1 t1"),
        ("/Patient/p1/RiskAssessment?probability=gt50", "r2 r3"),
        ("/Encounter/e1/Observation", "t1"),
        ("/Practitioner/d1/Patient", "p1"),
        // filters
        ("/Patient?_filter=family%20ne%20%22Berg%22", "p1 p3"),
        ("/Patient?_filter=birthdate%20ge%201970-01-01", "p1"),
        ("/Patient?_filter=gender%20pr%20false", "p3"),
        (
            "/Patient?_filter=gender%20ne%20male%20and%20not(_id%20eq%20p3)",
            "p1",
        ),
        ("/Patient?_filter=organization.name%20sw%20%22gute%22", "p1"),
        ("/Patient?_filter=organization%20re%20Organization/o1", "p1"),
        ("/Patient?_filter=family%20ew%20%22berg%22", "p1 p2"),
        ("/Observation?_filter=date%20po%202013-01-15", "t3"),
        ("/Observation?_filter=value-quantity%20gt%205.4", ""),
    ];
    check(&server, &cases).await;
}

#[tokio::test]
async fn results_are_ordered_widened_and_counted_as_the_standard_says() {
    let server = hospital().await;
    for (path, expected) in [
        ("/Patient?_sort=family,-_id", "p2 p1 p3"),
        ("/Patient?_sort=-family", "p1 p2 p3"),
        ("/Patient?_sort=gender,birthdate", "p1 p2 p3"),
        ("/Patient?_sort=-birthdate,-_id", "p1 p3 p2"),
        ("/Patient?_sort=active,family", "p2 p1 p3"),
        ("/Observation?_sort=-date&_count=3", "t4 t2 t1"),
        (
            "/Observation?_sort=value-quantity&_count=2&value-quantity:missing=false",
            "q5 q3",
        ),
        (
            "/Patient?_id=p1&_include=Patient:organization&_include:iterate=Organization:partof",
            "p1 +o1 +o2",
        ),
        ("/Observation?_id=t1&_include=Observation:*", "t1 +e1 +p1"),
        (
            "/Observation?_id=t1&_include=Observation:patient&_include:iterate=Patient:*",
            "t1 +d1 +o1 +p1",
        ),
        ("/Patient?_id=p1&_revinclude=Provenance:target", "p1 +pr1"),
        ("/Patient?_id=p1&_revinclude=Provenance:*", "p1 +pr1"),
        (
            "/Patient?_id=p1&_revinclude=Observation:patient&_revinclude=Encounter:patient",
            "p1 +e1 +t1",
        ),
        (
            "/Organization?_id=o1&_revinclude=Patient:organization&_revinclude:iterate=Observation:patient",
            "o1 +p1 +t1",
        ),
        (
            "/Observation?_id=t1&_include=Observation:subject:Patient",
            "t1 +p1",
        ),
        ("/Patient?_id=p2&_include=Patient:link", "p2 +p1"),
    ] {
        let answer = server.get(path).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.told());
        let found = answer.found();
        let (included, matched): (Vec<_>, Vec<_>) =
            found.iter().partition(|entry| entry.starts_with('+'));
        let last = |entry: &&String| entry.rsplit('/').next().unwrap().to_owned();
        let mut shown: Vec<String> = matched.iter().map(last).collect();
        let mut included: Vec<String> = included.iter().map(|e| format!("+{}", last(e))).collect();
        included.sort();
        shown.extend(included);
        assert_eq!(shown.join(" "), expected, "{path}");
    }
    for (path, total) in [
        ("/Patient?_total=accurate&_count=1", json!(3)),
        ("/Patient?_total=none&_count=1", Value::Null),
        ("/Patient?_total=estimate&_count=1", json!(3)),
        ("/Patient?_count=1", Value::Null),
        ("/Patient?_count=0", json!(3)),
        (
            "/Patient?_summary=count&_include=Patient:organization",
            json!(3),
        ),
        (
            "/Patient?gender=male&_include=Patient:link&_total=accurate",
            json!(1),
        ),
    ] {
        let bundle = server.get(path).await.json();
        assert_eq!(bundle["total"], total, "{path}: {bundle}");
    }
}

#[tokio::test]
async fn pages_lead_back_to_the_pages_before() {
    let server = hospital().await;
    for sort in ["", "&_sort=date", "&_sort=-value-quantity,_id"] {
        let mut pages = vec![server.get(&format!("/Observation?_count=3{sort}")).await];
        assert!(pages[0].link("prev").is_none());
        while let Some(next) = pages.last().unwrap().link("next") {
            pages.push(server.get(&next).await);
        }
        assert!(pages.len() > 3, "{}", pages.len());
        let mut back = pages.last().unwrap().link("prev");
        for earlier in pages.iter().rev().skip(1) {
            let page = server
                .get(&back.expect("a later page has one before"))
                .await;
            assert_eq!(page.found(), earlier.found(), "{sort}");
            assert_eq!(page.link("first"), earlier.link("first"));
            back = page.link("prev");
        }
        assert!(back.is_none(), "{sort}");
    }
}

#[tokio::test]
async fn a_reference_by_the_servers_own_url_is_a_local_one() {
    let server = hospital().await;
    let kept = server.get("/Patient/p1").await.json();
    assert_eq!(kept["managingOrganization"]["reference"], "Organization/o1");
    let foreign = server.get("/Patient/p3").await.json();
    assert_eq!(
        foreign["managingOrganization"]["reference"],
        "https://elsewhere.example/fhir/Organization/o9"
    );
    let reference = |text: String| {
        json!({ "resourceType": "Bundle", "type": "transaction", "entry": [{
            "resource": { "resourceType": "Encounter", "id": "e7", "status": "planned", "class": { "code": "AMB" },
                "subject": { "reference": text } },
            "request": { "method": "PUT", "url": "Encounter/e7" } }] })
    };
    let base = server.base();
    for (text, expected) in [
        (format!("{base}/Patient/p2"), "Patient/p2"),
        (
            format!("{base}/Patient/p2/_history/1"),
            "Patient/p2/_history/1",
        ),
    ] {
        let answer = server.post("/", &reference(text.clone())).await;
        assert!(answer.status.is_success(), "{}", answer.told());
        let stored = server.get("/Encounter/e7").await.json();
        assert_eq!(stored["subject"]["reference"], expected, "{text}");
        let found = server.get("/Encounter?subject=Patient/p2").await;
        assert_eq!(found.found(), ["Encounter/e7"], "{text}");
    }
}
