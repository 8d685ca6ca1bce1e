//! `$erase`.

use serde_json::{Value, json};

use crate::kit::Server;

fn values(answer: &Value, name: &str) -> Vec<Value> {
    let parameters = answer["parameter"].as_array().unwrap().iter();
    let named = parameters.filter(|one| one["name"] == name);
    named
        .map(|one| match one.get("part") {
            Some(part) => json!([part[0]["valueCode"], part[1]["valueInteger"]]),
            None => one["valueInteger"].clone(),
        })
        .collect()
}

#[tokio::test]
async fn a_patient_is_erased_with_everything_about_them_and_nobody_else() {
    let server = Server::start().await;
    let observation = |id: &str, patient: &str| {
        json!({ "resourceType": "Observation", "id": id, "status": "final",
            "code": { "text": "x" }, "subject": { "reference": format!("Patient/{patient}") } })
    };
    for resource in [
        json!({ "resourceType": "Patient", "id": "p1", "active": true }),
        json!({ "resourceType": "Patient", "id": "p1", "active": false }),
        json!({ "resourceType": "Patient", "id": "p2" }),
        observation("o1", "p1"),
        observation("o2", "p2"),
        observation("o3", "p1"),
        json!({ "resourceType": "Group", "id": "g", "type": "person", "actual": true,
            "member": [{ "entity": { "reference": "Patient/p1" } }] }),
    ] {
        server.store(resource).await;
    }
    // What was deleted lies in the history still.
    server.request("DELETE", "/Observation/o3", &[], "").await;
    let preview = server.request("POST", "/Patient/p1/$erase", &[], "").await;
    assert_eq!(preview.status, 200, "{}", preview.told());
    let expected = [json!(["Observation", 2]), json!(["Patient", 1])];
    assert_eq!(values(&preview.json(), "type"), expected);
    assert_eq!(values(&preview.json(), "left"), [json!(["Group", 1])]);
    assert_eq!(server.get("/Patient/p1").await.status, 200);

    let parameters = json!({ "resourceType": "Parameters",
        "parameter": [{ "name": "mode", "valueCode": "erase" }] });
    let erased = server.post("/Patient/p1/$erase", &parameters).await;
    assert_eq!(erased.status, 200, "{}", erased.told());
    assert_eq!(values(&erased.json(), "type"), expected);
    assert_eq!(values(&erased.json(), "resources"), [json!(3)]);
    assert_eq!(values(&erased.json(), "versions"), [json!(4)]);
    for path in [
        "/Patient/p1",
        "/Patient/p1/_history",
        "/Patient/p1/_history/1",
        "/Observation/o1",
        "/Observation/o3/_history/1",
    ] {
        let gone = server.get(path).await;
        assert_eq!(gone.status, 410, "{path}: {}", gone.told());
        assert!(gone.text().contains("erased"), "{path}: {}", gone.told());
    }
    let found = server.get("/Observation?subject=Patient/p1").await;
    assert_eq!(found.found(), Vec::<String>::new());
    for path in ["/Patient/p2", "/Observation/o2", "/Group/g"] {
        assert_eq!(server.get(path).await.status, 200, "{path}");
    }
    let history = server.get("/_history").await.json();
    assert_eq!(history["entry"].as_array().unwrap().len(), 3);
    // It may be asked for again, and the id may be used again.
    let again = server.post("/Patient/p1/$erase", &parameters).await;
    assert_eq!(values(&again.json(), "versions"), [json!(0)]);
    server
        .store(json!({ "resourceType": "Patient", "id": "p1" }))
        .await;
    assert_eq!(server.get("/Patient/p1").await.header("etag"), "W/\"3\"");
}

#[tokio::test]
async fn one_resource_is_erased_alone_and_wrong_requests_are_refused() {
    let server = Server::start().await;
    server
        .store(json!({ "resourceType": "Patient", "id": "p1" }))
        .await;
    server
        .store(
            json!({ "resourceType": "Basic", "id": "b1", "code": { "text": "x" },
        "subject": { "reference": "Patient/p1" } }),
        )
        .await;
    for (path, status) in [
        ("/Basic/b1/$erase?mode=everything", 400),
        ("/Basic/b1/$erase?compartment=true", 400),
        ("/Basic/b1/$erase?mod=erase", 400),
        ("/Basic/none/$erase", 404),
    ] {
        let refused = server.request("POST", path, &[], "").await;
        assert_eq!(refused.status, status, "{path}: {}", refused.told());
    }
    let path = "/Patient/p1/$erase?mode=erase&compartment=false";
    let erased = server.request("POST", path, &[], "").await;
    assert_eq!(values(&erased.json(), "resources"), [json!(1)]);
    assert_eq!(server.get("/Basic/b1").await.status, 200);
    assert_eq!(server.get("/Patient/p1").await.status, 410);
}
