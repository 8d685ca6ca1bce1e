//! Single resources: create, read, update, delete, versions, conditions.

use http::StatusCode;
use serde_json::json;

use crate::kit::{Answer, Server};

#[tokio::test]
async fn a_resource_is_created_read_changed_and_deleted() {
    let server = Server::start().await;
    let patient =
        json!({ "resourceType": "Patient", "active": true, "name": [{ "family": "Ames" }] });
    let created = server.post("/Patient", &patient).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.told());
    let stored = created.json();
    let id = stored["id"].as_str().unwrap().to_owned();
    assert_eq!(stored["meta"]["versionId"], "1");
    assert_eq!(stored["name"][0]["family"], "Ames");
    let location = format!("{}/Patient/{id}/_history/1", server.base());
    assert_eq!(created.header("location"), location);
    assert_eq!(created.header("etag"), "W/\"1\"");

    let path = format!("/Patient/{id}");
    let read = server.get(&path).await;
    assert_eq!(read.status, StatusCode::OK, "{}", read.told());
    assert_eq!(read.json(), stored);
    assert_eq!(
        read.header("content-type"),
        "application/fhir+json; charset=utf-8"
    );
    assert_eq!(
        read.header("last-modified"),
        created.header("last-modified")
    );

    let changed = json!({ "resourceType": "Patient", "id": id, "active": false });
    let updated = server.put(&path, &changed).await;
    assert_eq!(updated.status, StatusCode::OK, "{}", updated.told());
    assert_eq!(updated.header("etag"), "W/\"2\"");
    assert_eq!(server.get(&path).await.json()["active"], false);
    let first = server.get(&format!("{path}/_history/1")).await;
    assert_eq!(first.json(), stored, "an old version stays as it was");

    let deleted = server.request("DELETE", &path, &[], "").await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT, "{}", deleted.told());
    assert_eq!(deleted.header("etag"), "W/\"3\"");
    let gone = server.get(&path).await;
    assert_eq!(gone.status, StatusCode::GONE);
    assert_eq!(gone.issues(), ["deleted"]);
    assert_eq!(
        server.get(&format!("{path}/_history/3")).await.status,
        StatusCode::GONE
    );
    let again = server.request("DELETE", &path, &[], "").await;
    assert_eq!(
        again.status,
        StatusCode::NO_CONTENT,
        "deleting twice does no harm"
    );

    let back = server.put(&path, &changed).await;
    assert_eq!(back.status, StatusCode::CREATED, "{}", back.told());
    assert_eq!(back.header("etag"), "W/\"4\"");
    let history = server.get(&format!("{path}/_history")).await;
    let versions: Vec<_> = history.json()["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let method = entry["request"]["method"].as_str().unwrap().to_owned();
            (
                method,
                entry["response"]["status"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    let expected = [
        ("PUT", "201"),
        ("DELETE", "204"),
        ("PUT", "200"),
        ("POST", "201"),
    ];
    assert_eq!(
        versions,
        expected.map(|(a, b)| (a.to_owned(), b.to_owned()))
    );
}

#[tokio::test]
async fn what_is_stored_is_there_after_a_restart() {
    let server = Server::start().await;
    server
        .store(json!({ "resourceType": "Patient", "id": "p1", "gender": "female" }))
        .await;
    let before = server.get("/Patient/p1").await.json();
    let server = server.again().await;
    assert_eq!(server.get("/Patient/p1").await.json(), before);
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_its_reason() {
    let server = Server::start().await;
    let patient = r#"{"resourceType":"Patient","id":"p1"}"#;
    for (method, path, body, status, code) in [
        ("GET", "/Patient/none", "", 404, "not-found"),
        ("GET", "/Pateint/none", "", 404, "not-supported"),
        ("GET", "/Patient/none/_history", "", 404, "not-found"),
        ("GET", "/Patient/none/_history/1", "", 404, "not-found"),
        ("GET", "/Patient/a_b", "", 400, "value"),
        ("GET", "/Patient/p1?name=x", "", 400, "not-supported"),
        ("GET", "/$nothing", "", 404, "not-supported"),
        ("GET", "/Patient/$validate", "", 405, "not-supported"),
        ("GET", "/metadata?_format=ttl", "", 406, "not-supported"),
        ("GET", "/t/nobody/metadata", "", 404, "not-supported"),
        ("POST", "/Patient", "", 400, "required"),
        ("POST", "/Patient", "{", 400, "structure"),
        (
            "POST",
            "/Patient",
            r#"{"resourceType":"Patient","nam":1}"#,
            400,
            "structure",
        ),
        ("POST", "/Observation", patient, 400, "invalid"),
        (
            "POST",
            "/Observation",
            r#"{"resourceType":"Observation"}"#,
            422,
            "required",
        ),
        ("PUT", "/Patient/p2", patient, 400, "value"),
        (
            "PUT",
            "/Patient/p2",
            r#"{"resourceType":"Patient"}"#,
            400,
            "required",
        ),
        ("PUT", "/Patient", patient, 400, "required"),
        ("DELETE", "/Patient", "", 400, "required"),
        ("POST", "/", patient, 400, "invalid"),
        ("GET", "/", "", 400, "required"),
    ] {
        let answer = server.request(method, path, &[], body).await;
        let told = format!("{method} {path} {body}: {}", answer.told());
        assert_eq!(answer.status.as_u16(), status, "{told}");
        assert!(answer.issues().iter().any(|issue| issue == code), "{told}");
    }
    let answer = server.get("/Pateint/none").await;
    assert!(
        answer.text().contains("did you mean `Patient`?"),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn conditions_on_versions_are_kept() {
    let server = Server::start().await;
    server
        .store(json!({ "resourceType": "Patient", "id": "p1" }))
        .await;
    let patient = r#"{"resourceType":"Patient","id":"p1","active":true}"#;
    let absent = r#"{"resourceType":"Patient","id":"p2"}"#;
    let date = server
        .get("/Patient/p1")
        .await
        .header("last-modified")
        .to_owned();
    for (method, path, header, value, body, status) in [
        ("GET", "/Patient/p1", "if-none-match", "W/\"1\"", "", 304),
        ("GET", "/Patient/p1", "if-none-match", "W/\"2\"", "", 200),
        (
            "GET",
            "/Patient/p1",
            "if-modified-since",
            date.as_str(),
            "",
            304,
        ),
        (
            "GET",
            "/Patient/p1",
            "if-modified-since",
            "Thu, 01 Jan 1970 00:00:00 GMT",
            "",
            200,
        ),
        ("PUT", "/Patient/p1", "if-match", "W/\"7\"", patient, 412),
        ("PUT", "/Patient/p1", "if-none-match", "*", patient, 412),
        ("PUT", "/Patient/p1", "if-match", "W/\"1\"", patient, 200),
        ("PUT", "/Patient/p1", "if-match", "W/\"1\"", patient, 412),
        ("PUT", "/Patient/p1", "if-match", "nonsense", patient, 400),
        ("PUT", "/Patient/p2", "if-match", "W/\"1\"", absent, 412),
        ("PUT", "/Patient/p2", "if-none-match", "*", absent, 201),
        ("DELETE", "/Patient/p1", "if-match", "W/\"1\"", "", 412),
        ("DELETE", "/Patient/p1", "if-match", "W/\"2\"", "", 204),
    ] {
        let answer = server.request(method, path, &[(header, value)], body).await;
        let told = format!("{method} {path} {header}: {value}: {}", answer.told());
        assert_eq!(answer.status.as_u16(), status, "{told}");
    }
}

#[tokio::test]
async fn a_history_is_read_page_by_page_in_both_directions() {
    let server = Server::start().await;
    for n in 0..5 {
        for id in ["p1", "p2"] {
            server
                .store(json!({ "resourceType": "Patient", "id": id, "multipleBirthInteger": n }))
                .await;
        }
    }
    for (path, versions) in [
        ("/_history", 10),
        ("/Patient/_history", 10),
        ("/Patient/p1/_history", 5),
    ] {
        let etags = |answer: &Answer| -> Vec<String> {
            let json = answer.json();
            let entries = json["entry"].as_array().unwrap().iter();
            entries
                .map(|entry| format!("{} {}", entry["fullUrl"], entry["response"]["etag"]))
                .collect()
        };
        let mut page = server.get(&format!("{path}?_count=2&_since=2020")).await;
        assert_eq!(page.link("prev"), None, "{path}: {}", page.told());
        let mut forth = vec![etags(&page)];
        while let Some(next) = page.link("next") {
            page = server.get(&next).await;
            forth.push(etags(&page));
        }
        assert_eq!(forth.iter().flatten().count(), versions, "{path}");
        let mut back = vec![etags(&page)];
        while let Some(prev) = page.link("prev") {
            page = server.get(&prev).await;
            back.push(etags(&page));
        }
        let all = |pages: &[Vec<String>]| pages.concat();
        back.reverse();
        assert_eq!(all(&back), all(&forth), "{path}");
    }
    for page in ["x", "-1", "behind-", "behind-x", "99999999999999999999"] {
        let answer = server.get(&format!("/_history?_page={page}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{page}");
    }
}
