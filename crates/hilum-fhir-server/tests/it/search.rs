//! What searches find.

use serde_json::{Value, json};

use crate::kit::Server;

const LOINC: &str = "http://loinc.org";

fn observation(id: &str, patient: &str, code: &str, value: &str, unit: &str, date: &str) -> Value {
    let text = format!(
        r#"{{"resourceType":"Observation","id":"{id}","status":"final",
        "code":{{"coding":[{{"system":"{LOINC}","code":"{code}","display":"Test {code}"}}]}},
        "subject":{{"reference":"Patient/{patient}"}},"effectiveDateTime":"{date}",
        "performer":[{{"reference":"Practitioner/d1"}}],
        "valueQuantity":{{"value":{value},"system":"http://unitsofmeasure.org","code":"{unit}","unit":"{unit}"}}}}"#
    );
    serde_json::from_str(&text).unwrap()
}

/// Three patients, a doctor, an organization and some observations.
async fn ward() -> Server {
    let server = Server::start().await;
    for resource in [
        json!({ "resourceType": "Organization", "id": "o1", "name": "General Hospital" }),
        json!({ "resourceType": "Practitioner", "id": "d1", "name": [{ "family": "Weiss" }] }),
        json!({ "resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1980-03-01",
            "meta": { "tag": [{ "system": "urn:x", "code": "vip" }] },
            "identifier": [{ "system": "urn:mrn", "value": "17",
                "type": { "coding": [{ "system": "urn:types", "code": "MR" }] } }],
            "name": [{ "family": "Ames", "given": ["Mae", "Ann"] }],
            "managingOrganization": { "reference": "Organization/o1" } }),
        json!({ "resourceType": "Patient", "id": "p2", "gender": "male", "birthDate": "1990-03-01",
            "identifier": [{ "system": "urn:other", "value": "17" }],
            "name": [{ "family": "Müller" }],
            "managingOrganization": { "reference": "Organization/o1" },
            "text": { "status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">allergic to penicillin</div>" } }),
        json!({ "resourceType": "Patient", "id": "p3", "active": true, "birthDate": "1990",
            "name": [{ "family": "Amesbury" }] }),
        observation("b1", "p1", "8480-6", "120", "mm[Hg]", "2026-01-01"),
        observation("b2", "p1", "8480-6", "140", "mm[Hg]", "2026-02-01"),
        observation(
            "b3",
            "p2",
            "2823-3",
            "4.1",
            "mmol/L",
            "2026-01-15T10:00:00Z",
        ),
        observation("b4", "p2", "718-7", "70000", "g", "2026-01-20"),
        json!({ "resourceType": "List", "id": "l1", "status": "current", "mode": "changes",
            "entry": [{ "item": { "reference": "Patient/p1" } },
                { "deleted": true, "item": { "reference": "Patient/p2" } }] }),
    ] {
        server.store(resource).await;
    }
    server
}

#[tokio::test]
async fn each_kind_of_parameter_finds_what_it_should() {
    let server = ward().await;
    for (path, expected) in [
        ("/Patient", "p1 p2 p3"),
        ("/Patient?name=ames", "p1 p3"),
        ("/Patient?family:exact=Ames", "p1"),
        ("/Patient?family=muller", "p2"),
        ("/Patient?name:contains=bury", "p3"),
        ("/Patient?name=ames,muller", "p1 p2 p3"),
        ("/Patient?name=ames&gender=female", "p1"),
        ("/Patient?gender:not=female", "p2 p3"),
        ("/Patient?gender:missing=true", "p3"),
        ("/Patient?gender:missing=false", "p1 p2"),
        ("/Patient?identifier=17", "p1 p2"),
        ("/Patient?identifier=urn:mrn%7C17", "p1"),
        ("/Patient?identifier=urn:mrn%7C", "p1"),
        ("/Patient?identifier=%7C17", ""),
        ("/Patient?identifier:of-type=urn:types%7CMR%7C17", "p1"),
        ("/Patient?active=true", "p3"),
        ("/Patient?birthdate=1990", "p2 p3"),
        ("/Patient?birthdate=1990-03-01", "p2"),
        ("/Patient?birthdate=lt1985", "p1"),
        ("/Patient?birthdate=ge1985&birthdate=le1990-12-31", "p2 p3"),
        ("/Patient?_id=p1,p3", "p1 p3"),
        ("/Patient?_tag=urn:x%7Cvip", "p1"),
        ("/Patient?_lastUpdated=gt2020", "p1 p2 p3"),
        ("/Patient?_lastUpdated=lt2020", ""),
        ("/Patient?_list=l1", "p1"),
        ("/Patient?_text=penicillin", "p2"),
        ("/Patient?_text=allergic%20penicillin", "p2"),
        ("/Patient?_text=penicillin%20absent", ""),
        ("/Patient?_content=Amesbury", "p3"),
        ("/Patient?_content=Amesbury,penicillin", "p2 p3"),
        ("/Patient?organization=o1", "p1 p2"),
        ("/Patient?organization=Organization/o1", "p1 p2"),
        ("/Patient?organization:Organization=o1", "p1 p2"),
        ("/Patient?organization.name=general", "p1 p2"),
        ("/Patient?_has:Observation:patient:code=8480-6", "p1"),
        (
            "/Patient?_has:Observation:subject:_has:List:item:status=current",
            "",
        ),
        (
            "/Patient?_filter=name%20co%20%22bury%22%20or%20gender%20eq%20male",
            "p2 p3",
        ),
        (
            "/Patient?_filter=not(gender%20eq%20male)%20and%20birthdate%20lt%201985",
            "p1",
        ),
        ("/Observation?code=8480-6", "b1 b2"),
        ("/Observation?code=http://loinc.org%7C8480-6", "b1 b2"),
        ("/Observation?code:text=test%202823", "b3"),
        ("/Observation?value-quantity=gt130", "b2 b4"),
        (
            "/Observation?value-quantity=70%7Chttp://unitsofmeasure.org%7Ckg",
            "b4",
        ),
        ("/Observation?value-quantity=4.1%7C%7Cmmol/L", "b3"),
        ("/Observation?code-value-quantity=8480-6$gt130", "b2"),
        ("/Observation?code=8480-6&value-quantity=gt130", "b2"),
        (
            "/Observation?code=8480-6,718-7&value-quantity=gt130,le120",
            "b1 b2 b4",
        ),
        ("/Observation?subject=Patient/p1", "b1 b2"),
        ("/Observation?patient=p1", "b1 b2"),
        ("/Observation?subject:Patient.name=muller", "b3 b4"),
        (
            "/Observation?subject.organization.name=general&code=2823-3",
            "b3",
        ),
        ("/Observation?date=2026-01", "b1 b3 b4"),
        ("/Observation?date=sa2026-01-15", "b2 b4"),
        (
            "/Observation?performer:Practitioner.name=weiss&code=2823-3",
            "b3",
        ),
        ("/Patient/p1/Observation", "b1 b2"),
        ("/Patient/p1/Observation?date=2026-02", "b2"),
        ("/?_type=Patient,Organization&_id=p1,o1", "o1 p1"),
    ] {
        let answer = server.get(path).await;
        let mut found: Vec<String> = answer
            .found()
            .iter()
            .map(|entry| entry.split_once('/').unwrap().1.to_owned())
            .collect();
        found.sort();
        assert_eq!(found.join(" "), expected, "{path}: {}", answer.told());
        assert!(answer.link("self").is_some(), "{path}");
    }
}

#[tokio::test]
async fn results_are_sorted_shaped_and_widened() {
    let server = ward().await;
    for (path, expected) in [
        (
            "/Patient?_sort=birthdate",
            "Patient/p1 Patient/p3 Patient/p2",
        ),
        ("/Patient?_sort=-family", "Patient/p2 Patient/p3 Patient/p1"),
        ("/Patient?_sort=-_id", "Patient/p3 Patient/p2 Patient/p1"),
        (
            "/Patient?_sort=gender,-_id",
            "Patient/p1 Patient/p2 Patient/p3",
        ),
        (
            "/Observation?_id=b1&_include=Observation:subject",
            "Observation/b1 +Patient/p1",
        ),
        (
            "/Observation?_id=b1&_include=Observation:performer&_include=Observation:patient",
            "Observation/b1 +Practitioner/d1 +Patient/p1",
        ),
        (
            "/Observation?_id=b1&_include=Observation:subject&_include:iterate=Patient:organization",
            "Observation/b1 +Patient/p1 +Organization/o1",
        ),
        (
            "/Observation?_id=b1&_include=Observation:subject:Group",
            "Observation/b1",
        ),
        (
            "/Observation?_id=b3&_include=*",
            "Observation/b3 +Patient/p2 +Practitioner/d1",
        ),
        (
            "/Patient?_id=p1&_revinclude=Observation:subject",
            "Patient/p1 +Observation/b1 +Observation/b2",
        ),
        ("/Patient?_count=0", ""),
        ("/Patient?_summary=count", ""),
    ] {
        let answer = server.get(path).await;
        let mut found = answer.found();
        let begin = found
            .iter()
            .position(|entry| entry.starts_with('+'))
            .unwrap_or(found.len());
        found[begin..].sort();
        let mut wanted: Vec<&str> = expected.split_whitespace().collect();
        let begin = wanted
            .iter()
            .position(|entry| entry.starts_with('+'))
            .unwrap_or(wanted.len());
        wanted[begin..].sort_unstable();
        assert_eq!(found, wanted, "{path}: {}", answer.told());
    }
    let counted = server.get("/Patient?_summary=count").await.json();
    assert_eq!(counted["total"], 3, "{counted}");
    let some = server
        .get("/Patient?_id=p1&_elements=birthDate")
        .await
        .json();
    let resource = &some["entry"][0]["resource"];
    assert_eq!(resource["birthDate"], "1980-03-01");
    assert!(resource.get("name").is_none(), "{resource}");
    assert_eq!(
        resource["meta"]["tag"][1]["code"], "SUBSETTED",
        "{resource}"
    );
    let text = server.get("/Patient/p2?_summary=text").await.json();
    assert!(
        text.get("text").is_some() && text.get("name").is_none(),
        "{text}"
    );
    let data = server.get("/Patient/p2?_summary=data").await.json();
    assert!(
        data.get("text").is_none() && data.get("name").is_some(),
        "{data}"
    );
    let plan = server.get("/Patient?name=ames&_explain=true").await;
    assert_eq!(plan.issues(), ["informational"]);
    let joint = "/Observation?code=8480-6&value-quantity=gt130&_explain=true";
    let plan = server.get(joint).await;
    assert!(plan.told().contains("composite"), "{}", plan.told());
}

#[tokio::test]
async fn pages_show_every_resource_once_and_none_that_came_later() {
    let server = Server::start().await;
    for number in 0..25 {
        server
            .store(
                json!({ "resourceType": "Patient", "id": format!("p{number:02}"),
                "birthDate": format!("19{:02}-01-01", 99 - number) }),
            )
            .await;
    }
    for sort in [
        "",
        "&_sort=birthdate",
        "&_sort=-birthdate",
        "&_sort=-_lastUpdated",
    ] {
        let mut all = Vec::new();
        let mut next = Some(format!("/Patient?_count=10{sort}"));
        let mut pages = 0;
        while let Some(path) = next {
            let page = server.get(&path).await;
            all.extend(page.found());
            pages += 1;
            if pages == 1 {
                let late = format!("late{}", sort.len());
                server
                    .store(
                        json!({ "resourceType": "Patient", "id": late, "birthDate": "1990-06-01" }),
                    )
                    .await;
            }
            assert!(page.link("first").is_some());
            next = page.link("next");
        }
        let late = all.iter().filter(|entry| entry.contains("late")).count();
        let mut once = all.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), all.len(), "{sort}: {all:?}");
        assert_eq!(all.len() - late, 25, "{sort}: {all:?}");
        assert!(
            !all.contains(&format!("Patient/late{}", sort.len())),
            "{sort}: {all:?}"
        );
    }
}

#[tokio::test]
async fn a_search_may_come_as_a_form() {
    let server = ward().await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let posted = server
        .request("POST", "/Patient/_search?gender=female", &form, "name=ames")
        .await;
    assert_eq!(posted.found(), ["Patient/p1"], "{}", posted.told());
    let posted = server
        .request(
            "POST",
            "/_search",
            &form,
            "_type=Patient&_id=p1&_format=xml",
        )
        .await;
    assert!(posted.text().contains("?><Bundle "), "{}", posted.told());
    let posted = server
        .request(
            "POST",
            "/Patient/p1/Observation/_search",
            &form,
            "date=2026-02",
        )
        .await;
    assert_eq!(posted.found(), ["Observation/b2"], "{}", posted.told());
}
