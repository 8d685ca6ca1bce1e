//! Searches follow who was merged with whom, and no longer once that was taken back.

use serde_json::{Value, json};

use crate::kit::{Answer, Server};

async fn put(server: &Server, resource: Value) {
    let (ty, id) = (&resource["resourceType"], &resource["id"]);
    let path = format!("/{}/{}", ty.as_str().unwrap(), id.as_str().unwrap());
    let answer = server.put(&path, &resource).await;
    assert!(answer.status.is_success(), "{answer:?}");
}

fn patient(id: &str, links: &[(&str, &str)]) -> Value {
    let mut patient = json!({"resourceType": "Patient", "id": id,
        "identifier": [{"system": "http://h.example/mrn", "value": id}]});
    if !links.is_empty() {
        let link = |(kind, other): &(&str, &str)| json!({"type": kind, "other": {"reference": format!("Patient/{other}")}});
        patient["link"] = links.iter().map(link).collect();
    }
    patient
}

fn visit(id: &str, of: &str, part_of: Option<&str>, merged: bool) -> Value {
    let mut visit = json!({"resourceType": "Encounter", "id": id, "status": "in-progress",
        "class": {"code": "IMP"}, "subject": {"reference": format!("Patient/{of}")}});
    if let Some(other) = part_of {
        visit["partOf"] = json!({"reference": format!("Encounter/{other}")});
    }
    if let Some(other) = part_of.filter(|_| merged) {
        visit["extension"] = json!([{"url": "urn:hilum:merged-into",
            "valueReference": {"reference": format!("Encounter/{other}")}}]);
    }
    visit
}

fn result(id: &str, of: &str, visit: &str) -> Value {
    json!({"resourceType": "Observation", "id": id, "status": "final", "code": {"text": id},
        "subject": {"reference": format!("Patient/{of}")},
        "encounter": {"reference": format!("Encounter/{visit}")}})
}

/// The ids of the observations that a search finds.
async fn finds(server: &Server, path: &str) -> Vec<String> {
    let found = server.get(path).await.json();
    let entries = found["entry"].as_array().cloned().unwrap_or_default();
    let mut ids: Vec<String> = entries
        .iter()
        .map(|entry| &entry["resource"])
        .filter(|resource| resource["resourceType"] == "Observation")
        .map(|resource| resource["id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn a_search_for_either_of_two_who_were_merged_finds_what_is_of_both() {
    let server = Server::start().await;
    for one in ["anna", "again", "petra"] {
        put(&server, patient(one, &[])).await;
        put(&server, visit(&format!("v-{one}"), one, None, false)).await;
        put(
            &server,
            result(&format!("r-{one}"), one, &format!("v-{one}")),
        )
        .await;
    }
    let asked = |id: &str| {
        [
            format!("/Observation?patient={id}"),
            format!("/Observation?subject=Patient/{id}"),
            format!("/Observation?subject:Patient={id}"),
            format!("/Observation?patient.identifier=http://h.example/mrn%7C{id}"),
            format!("/Observation?subject.identifier={id}"),
            format!("/Patient/{id}/Observation"),
            format!("/Patient/{id}/$everything"),
            format!("/Observation/$lastn?patient={id}"),
            format!("/Observation?_filter=patient%20eq%20Patient/{id}"),
        ]
    };
    for path in asked("anna") {
        assert_eq!(finds(&server, &path).await, ["r-anna"], "{path}");
    }
    put(&server, patient("anna", &[("replaces", "again")])).await;
    put(&server, patient("again", &[("replaced-by", "anna")])).await;
    for path in [asked("anna"), asked("again")].concat() {
        assert_eq!(finds(&server, &path).await, ["r-again", "r-anna"], "{path}");
    }
    for path in asked("petra") {
        assert_eq!(finds(&server, &path).await, ["r-petra"], "{path}");
    }
    // Taken back; two of one person who both stay in use are not one.
    put(&server, patient("anna", &[("seealso", "again")])).await;
    put(&server, patient("again", &[("seealso", "anna")])).await;
    for path in asked("again") {
        assert_eq!(finds(&server, &path).await, ["r-again"], "{path}");
    }
}

#[tokio::test]
async fn a_chain_of_merges_is_followed_and_a_circle_ends() {
    let server = Server::start().await;
    put(&server, patient("c", &[])).await;
    put(&server, patient("b", &[("replaced-by", "c")])).await;
    // Only the one that was replaced says so, as applications may write it.
    put(&server, patient("a", &[("replaced-by", "b")])).await;
    put(&server, visit("v", "a", None, false)).await;
    put(&server, result("r", "a", "v")).await;
    for id in ["a", "b", "c"] {
        let path = format!("/Observation?patient={id}");
        assert_eq!(finds(&server, &path).await, ["r"], "{path}");
    }
    put(&server, patient("c", &[("replaced-by", "a")])).await;
    assert_eq!(finds(&server, "/Observation?patient=c").await, ["r"]);
}

#[tokio::test]
async fn who_was_merged_into_two_is_the_last_ones_alone() {
    let server = Server::start().await;
    for id in ["a", "b", "c"] {
        told(
            &server,
            10,
            &[(patient(id, &[]), &format!("Patient/{id}"), &[])],
        )
        .await;
        put(&server, visit(&format!("v-{id}"), id, None, false)).await;
        put(&server, result(&format!("r-{id}"), id, &format!("v-{id}"))).await;
    }
    let merge = async |at: i64, into: &str| {
        let stays = (
            patient(into, &[("replaces", "c")]),
            format!("Patient/{into}"),
        );
        let former = patient("c", &[("replaced-by", into)]);
        let none: &[&str] = &[];
        told(
            &server,
            at,
            &[(stays.0, &*stays.1, none), (former, "Patient/c", none)],
        )
        .await;
    };
    let check = async |expected: [&[&str]; 3]| {
        for (id, expected) in ["a", "b", "c"].into_iter().zip(expected) {
            let path = format!("/Observation?patient={id}");
            assert_eq!(finds(&server, &path).await, expected, "{id}");
        }
    };
    merge(20, "a").await;
    check([&["r-a", "r-c"], &["r-b"], &["r-a", "r-c"]]).await;
    merge(30, "b").await;
    check([&["r-a"], &["r-b", "r-c"], &["r-b", "r-c"]]).await;
    // The first one comes once more.
    merge(20, "a").await;
    check([&["r-a"], &["r-b", "r-c"], &["r-b", "r-c"]]).await;
    let back: &[&str] = &["takes-back=link active"];
    let former = patient("c", &[("replaced-by", "b")]);
    let stays = patient("b", &[("replaces", "c")]);
    told(
        &server,
        40,
        &[(stays, "Patient/b", back), (former, "Patient/c", back)],
    )
    .await;
    check([&["r-a", "r-c"], &["r-b"], &["r-a", "r-c"]]).await;
}

#[tokio::test]
async fn what_is_of_a_visit_that_was_merged_is_found_with_the_one_that_stays() {
    let server = Server::start().await;
    put(&server, patient("anna", &[])).await;
    put(&server, visit("v1", "anna", None, false)).await;
    put(&server, visit("v2", "anna", None, false)).await;
    put(&server, result("r1", "anna", "v1")).await;
    put(&server, result("r2", "anna", "v2")).await;
    let path = "/Observation?encounter=v1";
    assert_eq!(finds(&server, path).await, ["r1"]);
    put(&server, visit("v2", "anna", Some("v1"), true)).await;
    for id in ["v1", "v2"] {
        let path = format!("/Observation?encounter={id}");
        assert_eq!(finds(&server, &path).await, ["r1", "r2"], "{path}");
    }
    assert_eq!(
        finds(&server, "/Encounter/v1/Observation").await,
        ["r1", "r2"]
    );
    // A visit that is only a part of another one stays one of its own.
    put(&server, visit("v2", "anna", Some("v1"), false)).await;
    assert_eq!(finds(&server, path).await, ["r1"]);
}

/// Carries out a transaction that says when what it holds was so.
pub(crate) async fn told(server: &Server, at: i64, entries: &[(Value, &str, &[&str])]) {
    let answer = tell(server, at, entries).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// Sends such a transaction.
pub(crate) async fn tell(server: &Server, at: i64, entries: &[(Value, &str, &[&str])]) -> Answer {
    let entry = |(resource, url, extensions): &(Value, &str, &[&str])| {
        let extension = |text: &&str| {
            let (url, value) = text.split_once('=').unwrap();
            json!({"url": format!("urn:hilum:{url}"), "valueString": value})
        };
        let mut request = json!({"method": "PUT", "url": url});
        if !extensions.is_empty() {
            request["extension"] = extensions.iter().map(extension).collect();
        }
        json!({"resource": resource, "request": request})
    };
    let bundle = json!({
        "resourceType": "Bundle", "type": "transaction",
        "meta": {"extension": [{"url": "urn:hilum:as-of", "valueString": format!("{at} {at} 0")}]},
        "entry": entries.iter().map(entry).collect::<Vec<_>>(),
    });
    server.post("/", &bundle).await
}

#[tokio::test]
async fn what_is_taken_back_is_as_if_it_had_never_been_said() {
    let server = Server::start().await;
    let named = |mut patient: Value| {
        patient["name"] = json!([{"family": "Ames"}]);
        patient["active"] = json!(false);
        patient
    };
    let former = || patient("b", &[("replaced-by", "a"), ("seealso", "c")]);
    let merge = |at, extensions: &'static [&'static str]| {
        let server = &server;
        async move {
            let surviving = patient("a", &[("replaces", "b")]);
            let all = [
                (surviving, "Patient/a", extensions),
                (
                    named(patient("b", &[("replaced-by", "a")])),
                    "Patient/b",
                    extensions,
                ),
            ];
            told(server, at, &all).await;
        }
    };
    put(&server, patient("c", &[])).await;
    told(
        &server,
        10,
        &[(patient("a", &[("replaces", "z")]), "Patient/a", &[])],
    )
    .await;
    told(&server, 10, &[(former(), "Patient/b", &[])]).await;
    merge(20, &[]).await;
    let b = server.get("/Patient/b").await.json();
    assert_eq!(b["active"], false, "{b}");
    // Only what the merge has said goes, whenever it was so.
    merge(20, &["takes-back=link active"]).await;
    let (a, b) = (
        server.get("/Patient/a").await.json(),
        server.get("/Patient/b").await.json(),
    );
    assert_eq!(a["link"].as_array().unwrap().len(), 1, "{a}");
    assert_eq!(a["link"][0]["other"]["reference"], "Patient/z");
    assert!(b["active"].is_null(), "{b}");
    assert_eq!(b["link"].as_array().unwrap().len(), 1, "{b}");
    assert_eq!(b["link"][0]["type"], "seealso");
    assert_eq!(b["name"][0]["family"], "Ames");
    // Made again, even with the earlier time, it holds.
    merge(20, &[]).await;
    let b = server.get("/Patient/b").await.json();
    assert_eq!(b["active"], false, "{b}");
    assert_eq!(b["link"].as_array().unwrap().len(), 2, "{b}");
    // Of one that is not there nothing is made but what it is known by.
    let unknown = patient("d", &[("replaced-by", "a")]);
    told(
        &server,
        30,
        &[(unknown, "Patient/d", &["takes-back=link active"])],
    )
    .await;
    let d = server.get("/Patient/d").await.json();
    assert!(d["link"].is_null() && d["identifier"].is_array(), "{d}");
}

#[tokio::test]
async fn a_visit_that_is_moved_takes_with_it_what_belongs_to_it_and_brings_it_back() {
    let server = Server::start().await;
    for one in ["anna", "petra"] {
        put(&server, patient(one, &[])).await;
    }
    told(
        &server,
        10,
        &[(visit("v", "anna", None, false), "Encounter/v", &[])],
    )
    .await;
    put(&server, visit("w", "anna", None, false)).await;
    put(&server, result("r", "anna", "v")).await;
    put(&server, result("other", "anna", "w")).await;
    put(
        &server,
        json!({"resourceType": "ServiceRequest", "id": "o", "status": "active", "intent": "order",
            "code": {"text": "lytes"}, "subject": {"reference": "Patient/anna"},
            "encounter": {"reference": "Encounter/v"}}),
    )
    .await;
    let of = async |path: &str| {
        let found = server.get(path).await.json();
        found["subject"]["reference"].as_str().unwrap().to_owned()
    };
    let moved = visit("v", "petra", None, false);
    told(&server, 20, &[(moved, "Encounter/v", &["moves=subject"])]).await;
    for path in ["/Observation/r", "/ServiceRequest/o", "/Encounter/v"] {
        assert_eq!(of(path).await, "Patient/petra", "{path}");
    }
    assert_eq!(of("/Observation/other").await, "Patient/anna");
    assert_eq!(finds(&server, "/Observation?patient=petra").await, ["r"]);
    assert_eq!(finds(&server, "/Observation?patient=anna").await, ["other"]);
    // The same again, or one that is older, changes nothing.
    let older = visit("v", "anna", None, false);
    told(
        &server,
        15,
        &[(older.clone(), "Encounter/v", &["moves=subject"])],
    )
    .await;
    assert_eq!(of("/Observation/r").await, "Patient/petra");
    told(&server, 30, &[(older, "Encounter/v", &["moves=subject"])]).await;
    assert_eq!(of("/Observation/r").await, "Patient/anna");
}

#[tokio::test]
async fn an_account_that_is_moved_takes_its_visits_and_charges_with_it_and_brings_them_back() {
    let server = Server::start().await;
    for one in ["anna", "petra"] {
        put(&server, patient(one, &[])).await;
    }
    let account = |of: &str| {
        json!({"resourceType": "Account", "id": "k", "status": "active",
            "subject": [{"reference": format!("Patient/{of}")}]})
    };
    let mut stay = visit("v", "anna", None, false);
    stay["account"] = json!([{"reference": "Account/k"}]);
    told(
        &server,
        10,
        &[
            (account("anna"), "Account/k", &[]),
            (stay.clone(), "Encounter/v", &[]),
        ],
    )
    .await;
    put(&server, visit("w", "anna", None, false)).await;
    put(&server, result("r", "anna", "v")).await;
    put(&server, result("other", "anna", "w")).await;
    put(
        &server,
        json!({"resourceType": "ChargeItem", "id": "c", "status": "billable", "code": {"text": "ECG"},
            "subject": {"reference": "Patient/anna"}, "account": [{"reference": "Account/k"}]}),
    )
    .await;
    let of = async |path: &str| {
        let found = server.get(path).await.json();
        let subject = &found["subject"];
        let one = subject.as_array().map_or(subject, |all| &all[0]);
        one["reference"].as_str().unwrap().to_owned()
    };
    let all = [
        "/Account/k",
        "/Encounter/v",
        "/Observation/r",
        "/ChargeItem/c",
    ];
    let moves: &[&str] = &["moves=subject"];
    told(&server, 20, &[(account("petra"), "Account/k", moves)]).await;
    for path in all {
        assert_eq!(of(path).await, "Patient/petra", "{path}");
    }
    assert_eq!(of("/Observation/other").await, "Patient/anna");
    // What was said of the visit before the move does not take it back.
    stay["period"] = json!({"start": "2026-01-01T08:00:00Z"});
    told(&server, 15, &[(stay, "Encounter/v", &[])]).await;
    assert_eq!(of("/Encounter/v").await, "Patient/petra");
    told(&server, 30, &[(account("anna"), "Account/k", moves)]).await;
    for path in all {
        assert_eq!(of(path).await, "Patient/anna", "{path}");
    }
}
