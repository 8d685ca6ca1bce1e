//! A merge that gives up several numbers replaces everybody who has one of them, and taking it back gives
//! each back.

use serde_json::{Value, json};

use crate::kit::{Answer, Server};
use crate::linked::told;

/// A number of the hospital, or `E:7` of somebody else.
fn number(text: &str) -> Value {
    match text.strip_prefix("E:") {
        Some(value) => json!({"system": "urn:x:e", "value": value}),
        None => json!({"system": "urn:x:a", "value": text}),
    }
}

fn patient(numbers: &[&str]) -> Value {
    let all: Vec<Value> = numbers.iter().map(|text| number(text)).collect();
    json!({"resourceType": "Patient", "identifier": all})
}

/// A registration of a patient whose id is known.
async fn admitted(server: &Server, at: i64, id: &str, numbers: &[&str]) {
    let mut one = patient(numbers);
    one["id"] = json!(id);
    one["name"] = json!([{"family": format!("{id} at {at}")}]);
    told(
        server,
        at,
        &[(one, &format!("Patient/{id}"), &["deletes=active"])],
    )
    .await;
}

/// Three who were registered under a number of their own.
async fn three() -> Server {
    let server = Server::start().await;
    for (id, own) in [("a", "1"), ("b", "2"), ("c", "3")] {
        admitted(&server, 10, id, &[own]).await;
        let result = json!({"resourceType": "Observation", "id": format!("r-{id}"), "status": "final",
            "code": {"text": id}, "subject": {"reference": format!("Patient/{id}")}});
        server.put(&format!("/Observation/r-{id}"), &result).await;
    }
    server
}

fn url(text: &str) -> String {
    let number = number(text);
    let part = |name: &str| number[name].as_str().unwrap().replace(':', "%3A");
    format!("Patient?identifier={}%7C{}", part("system"), part("value"))
}

/// The entries of one merge of numbers into the patient of the number 1: as a conversion writes them.
fn entries(numbers: &[&str], more: &[(&str, &str)]) -> Vec<Value> {
    let given: Vec<String> = numbers
        .iter()
        .map(|text| url(text).split('=').nth(1).unwrap().replace("%7C", "|"))
        .collect();
    let mut extensions = vec![json!({"url": "urn:hilum:replaces", "valueString": given.join(" ")})];
    let more: Vec<Value> = more
        .iter()
        .map(|(url, text)| json!({"url": format!("urn:hilum:{url}"), "valueString": text}))
        .collect();
    extensions.extend(more.clone());
    let mut stays = patient(&["1"]);
    stays["link"] = json!([{"other": {"reference": "urn:uuid:former"}, "type": "replaces"}]);
    let mut former = patient(numbers);
    former["active"] = json!(false);
    former["link"] = json!([{"other": {"reference": "urn:uuid:stays"}, "type": "replaced-by"}]);
    let first = numbers.first().copied().unwrap_or_default();
    let mut request = json!({"method": "PUT", "url": url(first)});
    if !more.is_empty() {
        request["extension"] = json!(more);
    }
    vec![
        json!({"fullUrl": "urn:uuid:stays", "resource": stays,
            "request": {"method": "PUT", "url": url("1"), "extension": extensions}}),
        json!({"fullUrl": "urn:uuid:former", "resource": former, "request": request}),
    ]
}

async fn send(server: &Server, at: i64, entries: Vec<Value>) -> Answer {
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": entries,
        "meta": {"extension": [{"url": "urn:hilum:as-of", "valueString": format!("{at} {at} 0")}]}});
    server.post("/", &bundle).await
}

async fn merged(server: &Server, at: i64, numbers: &[&str]) {
    let answer = send(server, at, entries(numbers, &[])).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["entry"].as_array().unwrap().len(), 2);
}

async fn taken_back(server: &Server, at: i64, numbers: &[&str]) {
    let answer = send(
        server,
        at,
        entries(numbers, &[("takes-back", "link active")]),
    )
    .await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// Numbers and links of a patient, and whether it is said to be inactive.
async fn seen(server: &Server, id: &str) -> String {
    let found = server.get(&format!("/Patient/{id}")).await.json();
    let list = |name: &str| found[name].as_array().cloned().unwrap_or_default();
    let mut all: Vec<String> = list("identifier")
        .iter()
        .map(|one| one["value"].as_str().unwrap().to_owned())
        .chain(list("link").iter().map(|link| {
            let to = link["other"]["reference"].as_str().unwrap();
            let kind = link["type"].as_str().unwrap();
            format!("{kind} {}", to.trim_start_matches("Patient/"))
        }))
        .collect();
    all.sort();
    if found["active"] == false {
        all.push("inactive".to_owned());
    }
    all.join(", ")
}

async fn check(server: &Server, expected: &[(&str, &str)]) {
    for (id, expected) in expected {
        assert_eq!(seen(server, id).await, *expected, "{id}");
    }
}

async fn version(server: &Server, id: &str) -> String {
    let found = server.get(&format!("/Patient/{id}")).await.json();
    found["meta"]["versionId"].as_str().unwrap().to_owned()
}

async fn results(server: &Server, id: &str) -> i64 {
    let found = server.get(&format!("/Observation?patient={id}")).await;
    found.json()["total"].as_i64().unwrap()
}

async fn patients(server: &Server) -> i64 {
    let found = server.get("/Patient?_summary=count").await;
    found.json()["total"].as_i64().unwrap()
}

#[tokio::test]
async fn everybody_who_has_one_of_the_numbers_is_replaced_and_comes_back() {
    let server = three().await;
    admitted(&server, 10, "d", &["4"]).await;
    merged(&server, 20, &["2", "3", "9"]).await;
    let replaced = [
        ("a", "1, replaces b, replaces c"),
        // The number that nobody has is another one of the first.
        ("b", "2, 9, replaced-by a, inactive"),
        ("c", "3, replaced-by a, inactive"),
        ("d", "4"),
    ];
    check(&server, &replaced).await;
    for id in ["a", "b", "c"] {
        assert_eq!(results(&server, id).await, 3, "{id}");
    }
    // The same once more, and with a newer time.
    let before = version(&server, "c").await;
    for at in [20, 30] {
        merged(&server, at, &["2", "3", "9"]).await;
        check(&server, &replaced).await;
    }
    assert_eq!(version(&server, "c").await, before);
    assert_eq!(patients(&server).await, 4);
    taken_back(&server, 40, &["2", "3", "9"]).await;
    check(
        &server,
        &[("a", "1"), ("b", "2, 9"), ("c", "3"), ("d", "4")],
    )
    .await;
    for id in ["a", "b", "c"] {
        assert_eq!(results(&server, id).await, 1, "{id}");
    }
    // Made again with an earlier time, it holds.
    merged(&server, 25, &["2", "3", "9"]).await;
    check(&server, &replaced).await;
    // Of one who came to the same place before, only the other's link is taken back.
    taken_back(&server, 50, &["3"]).await;
    let left = [
        ("a", "1, replaces b"),
        ("b", "2, 9, replaced-by a, inactive"),
        ("c", "3"),
    ];
    check(&server, &left).await;
}

#[tokio::test]
async fn numbers_of_one_patient_are_of_one_entry() {
    let server = three().await;
    admitted(&server, 11, "b", &["2", "4", "5"]).await;
    for (at, numbers) in [
        (20, ["4", "2", "5"]),
        (21, ["2", "5", "4"]),
        (22, ["5", "4", "6"]),
    ] {
        merged(&server, at, &numbers).await;
        let more = if at == 22 { ", 6" } else { "" };
        let b = format!("2, 4, 5{more}, replaced-by a, inactive");
        check(&server, &[("a", "1, replaces b"), ("b", &b), ("c", "3")]).await;
    }
    taken_back(&server, 30, &["2", "4", "5"]).await;
    check(&server, &[("a", "1"), ("b", "2, 4, 5, 6"), ("c", "3")]).await;
}

#[tokio::test]
async fn a_merge_that_comes_late_replaces_all_and_keeps_what_is_newer() {
    for order in [
        [0, 1, 2],
        [1, 0, 2],
        [1, 2, 0],
        [2, 1, 0],
        [0, 2, 1],
        [2, 0, 1],
    ] {
        let server = three().await;
        for what in order {
            match what {
                0 => merged(&server, 20, &["2", "3"]).await,
                1 => admitted(&server, 30, "c", &["3"]).await,
                _ => admitted(&server, 15, "c", &["3"]).await,
            }
        }
        let replaced = [
            ("b", "2, replaced-by a, inactive"),
            ("c", "3, replaced-by a, inactive"),
        ];
        check(&server, &replaced).await;
        let c = server.get("/Patient/c").await.json();
        assert_eq!(c["name"][0]["family"], "c at 30", "{order:?}");
    }
}

#[tokio::test]
async fn an_entry_is_about_the_first_who_is_known() {
    let server = three().await;
    merged(&server, 20, &["8", "3", "2"]).await;
    let replaced = [
        ("a", "1, replaces b, replaces c"),
        ("b", "2, replaced-by a, inactive"),
        ("c", "3, 8, replaced-by a, inactive"),
    ];
    check(&server, &replaced).await;
    assert_eq!(patients(&server).await, 3);
    taken_back(&server, 30, &["8", "3", "2"]).await;
    check(&server, &[("a", "1"), ("b", "2"), ("c", "3, 8")]).await;
    // Nobody has one of them: whoever comes under either is replaced.
    merged(&server, 40, &["6", "7"]).await;
    assert_eq!(patients(&server).await, 4);
    let found = server.get("/Patient?identifier=urn:x:a%7C7").await.json();
    let found = &found["entry"][0]["resource"];
    assert_eq!(found["link"][0]["other"]["reference"], "Patient/a");
    assert_eq!(found["identifier"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn nobody_replaces_themselves() {
    let server = three().await;
    admitted(&server, 11, "a", &["1", "5", "6"]).await;
    merged(&server, 20, &["5", "2", "6", "3"]).await;
    let replaced = [
        ("a", "1, 5, 6, replaces b, replaces c"),
        ("b", "2, replaced-by a, inactive"),
        ("c", "3, replaced-by a, inactive"),
    ];
    check(&server, &replaced).await;
    taken_back(&server, 30, &["5", "2", "6", "3"]).await;
    check(&server, &[("a", "1, 5, 6"), ("b", "2"), ("c", "3")]).await;
    // All of them are those of whoever stays.
    merged(&server, 40, &["5", "6"]).await;
    check(&server, &[("a", "1, 5, 6"), ("b", "2"), ("c", "3")]).await;
}

#[tokio::test]
async fn who_was_merged_before_goes_where_the_others_go() {
    let server = three().await;
    admitted(&server, 10, "z", &["9"]).await;
    let former = |id: &str, own: &str, by: &str| {
        let mut one = patient(&[own]);
        one["id"] = json!(id);
        one["active"] = json!(false);
        one["link"] =
            json!([{"other": {"reference": format!("Patient/{by}")}, "type": "replaced-by"}]);
        one
    };
    // 3 went into 2 before, and both go into 1 now.
    told(&server, 12, &[(former("c", "3", "b"), "Patient/c", &[])]).await;
    for (at, numbers) in [(20, ["2", "3"]), (22, ["3", "2"])] {
        merged(&server, at, &numbers).await;
        check(&server, &[("b", "2, replaced-by a, inactive")]).await;
        for id in ["a", "b", "c"] {
            assert_eq!(results(&server, id).await, 3, "{id}");
        }
        taken_back(&server, at + 1, &numbers).await;
        check(
            &server,
            &[("a", "1"), ("b", "2"), ("c", "3, replaced-by b, inactive")],
        )
        .await;
        assert_eq!(results(&server, "c").await, 2);
    }
    // It went into somebody else before: taken back, it is that one's again.
    admitted(&server, 10, "d", &["4"]).await;
    told(&server, 12, &[(former("d", "4", "z"), "Patient/d", &[])]).await;
    merged(&server, 30, &["2", "4"]).await;
    check(
        &server,
        &[("d", "4, replaced-by a, replaced-by z, inactive")],
    )
    .await;
    taken_back(&server, 31, &["2", "4"]).await;
    check(&server, &[("d", "4, replaced-by z, inactive"), ("b", "2")]).await;
    // It went here, then into somebody else, and comes here once more.
    merged(&server, 32, &["4"]).await;
    told(&server, 34, &[(former("d", "4", "z"), "Patient/d", &[])]).await;
    merged(&server, 36, &["2", "4"]).await;
    let d = server.get("/Patient/d").await.json();
    assert_eq!(d["link"][0]["other"]["reference"], "Patient/a");
}

#[tokio::test]
async fn nobody_is_replaced_who_has_a_number_of_the_hospital_that_is_not_given_up() {
    let server = three().await;
    admitted(&server, 11, "c", &["3", "E:7"]).await;
    admitted(&server, 11, "e", &["E:8"]).await;
    merged(&server, 20, &["2", "E:7", "E:8", "E:9"]).await;
    let replaced = [
        ("a", "1, replaces b, replaces e"),
        ("b", "2, 9, replaced-by a, inactive"),
        ("c", "3, 7"),
        ("e", "8, replaced-by a, inactive"),
    ];
    check(&server, &replaced).await;
    // With that number it is.
    merged(&server, 21, &["2", "E:7", "3"]).await;
    check(&server, &[("c", "3, 7, replaced-by a, inactive")]).await;
}

#[tokio::test]
async fn of_two_who_have_one_number_both_are_replaced() {
    let server = three().await;
    for (id, own) in [("d", "E:7"), ("e", "E:7")] {
        admitted(&server, 11, id, &[own]).await;
    }
    merged(&server, 20, &["2", "E:7"]).await;
    let replaced = [
        ("a", "1, replaces b, replaces d, replaces e"),
        ("b", "2, replaced-by a, inactive"),
        ("d", "7, replaced-by a, inactive"),
        ("e", "7, replaced-by a, inactive"),
    ];
    check(&server, &replaced).await;
}

#[tokio::test]
async fn who_was_told_of_by_a_result_alone_keeps_the_number() {
    let server = three().await;
    let mut gap = patient(&["4"]);
    gap["name"] = json!([{"family": "By a result"}]);
    let entry = json!({"resource": gap, "request": {"method": "POST", "url": "Patient",
        "ifNoneExist": url("4").split_once('?').unwrap().1}});
    assert_eq!(send(&server, 15, vec![entry]).await.status, 200);
    merged(&server, 20, &["2", "4"]).await;
    let found = server.get("/Patient?identifier=urn:x:a%7C4").await.json();
    assert_eq!(found["total"], 1);
    let found = &found["entry"][0]["resource"];
    assert_eq!(found["active"], false);
    assert_eq!(found["link"][0]["other"]["reference"], "Patient/a");
    // An earlier registration comes late.
    let id = found["id"].as_str().unwrap();
    admitted(&server, 12, id, &["4"]).await;
    assert_eq!(seen(&server, id).await, "4, replaced-by a, inactive");
    taken_back(&server, 30, &["2", "4"]).await;
    assert_eq!(seen(&server, id).await, "4");
}

#[tokio::test]
async fn each_patient_has_one_entry_where_a_message_has_several_merges() {
    let server = three().await;
    admitted(&server, 11, "b", &["2", "5"]).await;
    // Two groups with one who stays, and both numbers are of one patient.
    let mut all = entries(&["2", "5"], &[]);
    let mut second = entries(&["5"], &[]).remove(1);
    second["fullUrl"] = json!("urn:uuid:second");
    all.push(second);
    let provenance = json!({"resource": {"resourceType": "Provenance", "recorded": "2026-01-02T03:04:05Z",
        "agent": [{"who": {"display": "PAS"}}], "target": [{"reference": "urn:uuid:former"}]},
        "request": {"method": "POST", "url": "Provenance"}});
    all[0]["request"]["extension"][0]["valueString"] =
        json!("urn%3Ax%3Aa|2 urn%3Ax%3Aa|5 urn%3Ax%3Aa|3");
    all.push(provenance);
    let answer = send(&server, 20, all).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["entry"].as_array().unwrap().len(), 4);
    let replaced = [
        ("a", "1, replaces b, replaces c"),
        ("b", "2, 5, replaced-by a, inactive"),
        ("c", "3, replaced-by a, inactive"),
    ];
    check(&server, &replaced).await;
    for id in ["b", "c"] {
        let of = server
            .get(&format!("/Provenance?target=Patient/{id}"))
            .await;
        assert_eq!(of.json()["total"], 1, "{id}");
    }
}

#[tokio::test]
async fn a_merge_of_too_many_is_refused() {
    let server = three().await;
    let numbers: Vec<String> = (100..165).map(|n| n.to_string()).collect();
    let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
    let answer = send(&server, 20, entries(&numbers, &[])).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    let text = answer.json().to_string();
    assert!(text.contains("more than 64 numbers"), "{text}");
    merged(&server, 20, &numbers[..64]).await;
    for count in [64, 65] {
        for n in 0..count {
            let mut one = patient(&["E:7"]);
            one["id"] = json!(format!("p{n}"));
            server.put(&format!("/Patient/p{n}"), &one).await;
        }
        let answer = send(&server, 30, entries(&["2", "E:7"], &[])).await;
        let expected = if count == 64 { 200 } else { 412 };
        assert_eq!(answer.status, expected, "{answer:?}");
    }
}
