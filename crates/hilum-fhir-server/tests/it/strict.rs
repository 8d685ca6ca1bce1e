//! Searches that are not understood: refused by name, or reported where the client prefers that.

use crate::kit::Server;

#[tokio::test]
async fn what_is_not_understood_is_refused_by_name() {
    let server = Server::start().await;
    let long = format!("/Patient?name={}", "x".repeat(20_000));
    let deep = format!(
        "/Observation?subject:Patient.{}name=x",
        "link:Patient.".repeat(10)
    );
    for (path, status, named) in [
        ("/Patient?brithdate=1990", 400, "did you mean `birthdate`?"),
        ("/Patient?name:exakt=x", 400, "`:exakt`"),
        ("/Patient?birthdate=yesterday", 400, "`birthdate`"),
        ("/Patient?birthdate=zz1990", 400, "prefix"),
        ("/Patient?birthdate:exact=1990", 400, "`:exact`"),
        ("/Patient?name=a,,b", 400, "empty"),
        ("/Patient?_count=x", 400, "`_count`"),
        ("/Patient?_cuont=1", 400, "did you mean `_count`?"),
        ("/Patient?_sort=colour", 400, "`colour`"),
        ("/Patient?_total=some", 400, "`_total`"),
        ("/Patient?_summary=all", 400, "`_summary`"),
        ("/Patient?_elements=nam", 400, "`nam`"),
        ("/Patient?_include=Patient:nothing", 400, "`nothing`"),
        ("/Patient?_include=Patient:name", 400, "no reference"),
        ("/Patient?_include=nonsense", 400, "TYPE:PARAMETER"),
        ("/Patient?name=a%5Cb", 400, "escapes nothing"),
        ("/Patient?_text=(a", 400, "parenthesis"),
        ("/Patient?_text=a%20or", 400, "lacks a word"),
        ("/ValueSet?url=urn:x%7C", 400, "URL|VERSION"),
        ("/Patient?organization:below=o1", 400, "canonical"),
        ("/Patient?_summary=text&_include=*", 400, "_summary=text"),
        (
            "/Patient?_include:often=Patient:organization",
            400,
            ":iterate",
        ),
        ("/Patient?_has:Observation:patient=x", 400, "_has:TYPE"),
        (
            "/Patient?_has:Observation:code:status=final",
            400,
            "no reference",
        ),
        ("/Patient?_has:Practitioner:name:x=y", 400, "no reference"),
        ("/Patient?organization:Patient=1", 400, "never refers"),
        ("/Patient?organization:Patient.name=1", 400, "never refers"),
        ("/Patient?organization.colour=1", 400, "`colour`"),
        ("/Patient?name.given=1", 400, "no reference"),
        ("/Patient?organization=a%20b", 400, "`organization`"),
        ("/Patient?gender:in=urn:none", 400, "value set"),
        ("/Patient?gender:above=x", 400, "SYSTEM|CODE"),
        ("/Patient?_filter=name", 400, "operator"),
        ("/Patient?_filter=name%20xx%20y", 400, "operator"),
        ("/Patient?_filter=(name%20eq%20y", 400, "parenthesis"),
        ("/Patient?_filter=colour%20eq%20y", 400, "`colour`"),
        ("/Patient?_page=abc", 400, "`_page`"),
        ("/Patient?_list=none", 400, "`_list`"),
        ("/Patient?_text:exact=x", 400, "`_text`"),
        ("/Patient?_query=x", 400, "`_query`"),
        ("/Patient?_contained=yes", 400, "`_contained`"),
        ("/?_contained=true&_id=a", 400, "`_contained`"),
        (
            "/Patient/a/Observation?_contained=true",
            400,
            "`_contained`",
        ),
        ("/Patient?_containedType=x", 400, "`_containedType`"),
        ("/Patient?_id=a/b", 400, "`_id`"),
        ("/Observation?value-quantity=x", 400, "`value-quantity`"),
        ("/Observation?code-value-quantity=x", 400, "2 are needed"),
        (
            "/?_type=Patient,Pateint&_id=1",
            400,
            "did you mean `Patient`?",
        ),
        ("/?name=x", 400, "`name`"),
        ("/Patient/p1/Location", 404, "compartment"),
        ("/Location/p1/Patient", 404, "compartment"),
        (long.as_str(), 414, "exceeds"),
        (deep.as_str(), 400, "links"),
    ] {
        let answer = server.get(path).await;
        let shown: String = path.chars().take(100).collect();
        assert_eq!(answer.status.as_u16(), status, "{shown}: {}", answer.told());
        assert!(answer.text().contains(named), "{shown}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_lenient_search_says_what_it_left_out() {
    let server = Server::start().await;
    server
        .store(serde_json::json!({ "resourceType": "Patient", "id": "p1" }))
        .await;
    let lenient = [("prefer", "handling=lenient")];
    let path = "/Patient?colour=red&_id=p1";
    let answer = server.request("GET", path, &lenient, "").await;
    assert_eq!(
        answer.found(),
        ["Patient/p1", "outcome"],
        "{}",
        answer.told()
    );
    assert!(answer.text().contains("`colour`"), "{}", answer.text());
    assert!(
        !answer.link("self").unwrap().contains("colour"),
        "{}",
        answer.text()
    );
    let wrong = server
        .request("GET", "/Patient?birthdate=x", &lenient, "")
        .await;
    assert_eq!(
        wrong.status.as_u16(),
        400,
        "a wrong value is no unknown parameter"
    );
}

#[tokio::test]
async fn a_large_count_is_cut_to_the_limit() {
    let server = Server::start().await;
    server
        .store(serde_json::json!({ "resourceType": "Patient", "id": "p1" }))
        .await;
    let answer = server.get("/Patient?_count=99999999999999999999").await;
    assert_eq!(answer.found(), ["Patient/p1"]);
}
