//! Searches for contained resources, and chains into them.

use serde_json::{Value, json};

use crate::kit::Server;
use crate::standard::check;

fn medication(id: &str, code: &str, form: &str, ingredients: &[&str]) -> Value {
    let coded = |code: &str| json!({ "coding": [{ "system": "urn:m", "code": code }] });
    let ingredients: Vec<Value> = ingredients
        .iter()
        .map(|code| json!({ "itemCodeableConcept": coded(code) }))
        .collect();
    let mut medication = json!({ "resourceType": "Medication", "id": id, "code": coded(code), "form": coded(form),
        "manufacturer": { "reference": "Organization/acme" } });
    if !ingredients.is_empty() {
        medication["ingredient"] = json!(ingredients);
    }
    medication
}

fn request(id: &str, contained: &[Value], medication: &str) -> Value {
    let mut request = json!({ "resourceType": "MedicationRequest", "id": id, "status": "active", "intent": "order",
        "medicationReference": { "reference": medication }, "subject": { "reference": "Patient/p" } });
    if !contained.is_empty() {
        request["contained"] = json!(contained);
    }
    request
}

async fn pharmacy() -> Server {
    let server = Server::start().await;
    let aspirin = || medication("a", "aspirin", "tablet", &["acid"]);
    let syrup = || medication("b", "cough", "syrup", &["acid", "sugar"]);
    let unused =
        json!({ "resourceType": "Practitioner", "id": "who", "name": [{ "family": "Weiss" }] });
    let mut with_who = request("r3", &[aspirin(), unused], "#a");
    with_who["requester"] = json!({ "reference": "#who" });
    for resource in [
        json!({ "resourceType": "Organization", "id": "acme", "name": "Acme" }),
        json!({ "resourceType": "Patient", "id": "p", "name": [{ "family": "Berg" }] }),
        medication("m1", "aspirin", "tablet", &["acid"]),
        request("r0", &[], "Medication/m1"),
        request("r1", &[aspirin()], "#a"),
        // Both are contained, one is asked for.
        request("r2", &[aspirin(), syrup()], "#b"),
        with_who,
    ] {
        let id = resource["id"].as_str().unwrap().to_owned();
        if id != "r2" {
            server.store(resource).await;
            continue;
        }
        // What is contained has to be referred to: the other one is, as a reason.
        let mut resource = resource;
        resource["supportingInformation"] = json!([{ "reference": "#a" }]);
        server.store(resource).await;
    }
    server
}

#[tokio::test]
async fn chains_lead_into_contained_resources() {
    let server = pharmacy().await;
    let cases = [
        ("/MedicationRequest?medication.code=aspirin", "r0 r1 r3"),
        ("/MedicationRequest?medication.code=cough", "r2"),
        (
            "/MedicationRequest?medication.ingredient-code=acid",
            "r0 r1 r2 r3",
        ),
        ("/MedicationRequest?medication.ingredient-code=sugar", "r2"),
        (
            "/MedicationRequest?medication:Medication.code=urn:m%7Ccough",
            "r2",
        ),
        ("/MedicationRequest?medication.form:not=tablet", "r2"),
        (
            "/MedicationRequest?medication.ingredient-code:missing=true",
            "",
        ),
        (
            "/MedicationRequest?medication.manufacturer.name=acme",
            "r0 r1 r2 r3",
        ),
        ("/MedicationRequest?requester.name=weiss", "r3"),
        (
            "/MedicationRequest?requester:Practitioner.family=weiss",
            "r3",
        ),
        (
            "/MedicationRequest?medication.code=aspirin&requester.name=weiss",
            "r3",
        ),
        ("/MedicationRequest?medication.code=none", ""),
        (
            "/Patient?_has:MedicationRequest:subject:medication.code=cough",
            "p",
        ),
        (
            "/Patient?_has:MedicationRequest:subject:medication.code=none",
            "",
        ),
        // By default nothing that is contained is found, nor by what is contained.
        ("/Medication?code=aspirin", "m1"),
        ("/Medication?_contained=false&code=cough", ""),
        ("/Practitioner?name=weiss", ""),
        ("/Organization?_has:Medication:manufacturer:code=cough", ""),
    ];
    check(&server, &cases).await;
    let all = server
        .get("/MedicationRequest?_id=r1&_include=*")
        .await
        .found();
    assert_eq!(all, ["MedicationRequest/r1", "+Patient/p"]);
}

#[tokio::test]
async fn contained_resources_are_found_by_what_contains_them() {
    let server = pharmacy().await;
    let cases = [
        ("/Medication?_contained=true&code=aspirin", "r1 r2 r3"),
        (
            "/Medication?_contained=true&_containedType=container&code=cough",
            "r2",
        ),
        ("/Medication?_contained=both&code=aspirin", "m1 r1 r2 r3"),
        ("/Medication?_contained=true", "r1 r2 r3"),
        ("/Medication?_contained=both", "m1 r1 r2 r3"),
        // Both conditions hold for one of them.
        ("/Medication?_contained=true&code=aspirin&form=syrup", ""),
        ("/Medication?_contained=true&code=cough&form=syrup", "r2"),
        ("/Medication?_contained=true&code:not=aspirin", "r2"),
        (
            "/Medication?_contained=true&code=aspirin,cough&_sort=-_id",
            "r1 r2 r3",
        ),
        (
            "/Medication?_contained=true&manufacturer=Organization/acme&form=syrup",
            "r2",
        ),
        (
            "/Medication?_contained=true&manufacturer.name=acme&form=syrup",
            "r2",
        ),
        ("/Medication?_contained=true&_id=b", "r2"),
        (
            "/Medication?_contained=true&ingredient-code:missing=true",
            "",
        ),
        (
            "/Medication?_contained=true&_filter=code%20eq%20cough%20or%20form%20eq%20tablet",
            "r1 r2 r3",
        ),
        (
            "/Medication?_contained=true&_lastUpdated=gt2000&code=cough",
            "r2",
        ),
        ("/Practitioner?_contained=true&name=weiss", "r3"),
        ("/Practitioner?_contained=true&name:contains=eis", "r3"),
        ("/Location?_contained=true", ""),
    ];
    check(&server, &cases).await;
    let counted = server
        .get("/Medication?_contained=true&_summary=count")
        .await
        .json();
    assert_eq!(counted["total"], 3, "{counted}");

    // What is contained goes with its container.
    server.store(request("r2", &[], "Medication/m1")).await;
    check(&server, &[("/Medication?_contained=true&code=cough", "")]).await;
    server
        .request("DELETE", "/MedicationRequest/r1", &[], "")
        .await;
    check(
        &server,
        &[("/Medication?_contained=true&code=aspirin", "r3")],
    )
    .await;
}

/// The URLs of a page behind that of the server, with the ids of the resources.
fn alone(server: &Server, bundle: &Value) -> Vec<(String, String)> {
    let base = format!("{}/", server.base());
    let entries = bundle["entry"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let one = |entry: &Value| {
        assert_eq!(entry["search"]["mode"], "match");
        let url = text(&entry["fullUrl"])
            .strip_prefix(&base)
            .unwrap()
            .to_owned();
        (url, text(&entry["resource"]["id"]))
    };
    entries.map(one).collect()
}

#[tokio::test]
async fn a_contained_resource_is_given_alone_with_the_url_of_its_place() {
    let server = pharmacy().await;
    let alone_type = "_contained=true&_containedType=contained";
    let of = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        let pairs = pairs.iter();
        pairs
            .map(|(url, id)| ((*url).to_owned(), (*id).to_owned()))
            .collect()
    };
    let page = server
        .get(&format!("/Medication?{alone_type}&code=aspirin"))
        .await
        .json();
    let expected = of(&[
        ("MedicationRequest/r1#a", "a"),
        ("MedicationRequest/r2#a", "a"),
        ("MedicationRequest/r3#a", "a"),
    ]);
    assert_eq!(alone(&server, &page), expected, "{page}");
    assert_eq!(
        (
            &page["total"],
            &page["entry"][0]["resource"]["resourceType"]
        ),
        (&json!(3), &json!("Medication"))
    );
    let both = "/Medication?_contained=both&_containedType=contained&code=aspirin,cough&_count=10";
    let page = server.get(both).await.json();
    assert_eq!(alone(&server, &page).len(), 5, "{page}");
    assert_eq!(
        alone(&server, &page)[0],
        ("Medication/m1".to_owned(), "m1".to_owned())
    );

    // No page has more than was asked for, and the pages together have each once.
    let mut all = Vec::new();
    let mut next = Some(format!("/Medication?{alone_type}&_count=2"));
    while let Some(path) = next {
        let page = server.get(&path).await;
        assert!(page.status.is_success(), "{}", page.told());
        let found = alone(&server, &page.json());
        assert!((1..=2).contains(&found.len()), "{found:?}");
        all.extend(found);
        next = page.link("next");
    }
    assert_eq!(all.len(), 4, "{all:?}");
    let narrow = server
        .get(&format!("/Medication?{alone_type}&_count=1"))
        .await;
    let second = server.get(&narrow.link("next").unwrap()).await;
    assert!(
        second.text().contains("more matches than"),
        "{}",
        second.told()
    );
    for (query, reason) in [
        ("manufacturer.name=acme", "chains"),
        ("_elements=code", "_elements"),
        ("_summary=count", "_summary"),
        ("_include=*", "_include"),
        ("_sort=code", "sorted by"),
        ("_text=x", "_text"),
        ("_list=none", "_list"),
        ("_has:MedicationRequest:medication:status=active", "_has"),
    ] {
        let path = format!("/Medication?{alone_type}&{query}");
        let answer = server.get(&path).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.told());
        assert!(answer.text().contains(reason), "{path}: {}", answer.told());
    }
}

#[tokio::test]
async fn a_condition_or_an_export_names_no_contained_resources() {
    let server = pharmacy().await;
    let path = "/Medication?_contained=true&code=cough";
    let deleted = server.request("DELETE", path, &[], "").await;
    assert_eq!(deleted.status, 400, "{}", deleted.told());
    let filter = "/$export?_typeFilter=Medication%3F_contained%3Dtrue%26code%3Dcough";
    let headers = [("prefer", "respond-async")];
    let exported = server.request("GET", filter, &headers, "").await;
    assert_eq!(exported.status, 400, "{}", exported.told());
    assert_eq!(
        server.get("/MedicationRequest?_summary=count").await.json()["total"],
        4
    );
}
