//! Search parameters beside those of the standard, and finding old resources by them.

use std::task::Poll;

use hilum_component::{FhirMethod, FhirRequest};
use hilum_fhir_server::{Limits, Validate};
use hilum_testkit::wait::within;
use http::StatusCode;
use serde_json::{Value, json};

use crate::kit::Server;

fn parameter(id: &str, code: &str, kind: &str, expression: &str) -> Value {
    json!({
        "resourceType": "SearchParameter",
        "id": id,
        "url": format!("http://example.org/SearchParameter/{id}"),
        "name": "P",
        "description": "d",
        "status": "active",
        "code": code,
        "base": ["Patient"],
        "type": kind,
        "expression": expression
    })
}

const COLOUR: &str = "Patient.extension.where(url='http://example.org/colour').value.ofType(code)";

fn colour() -> Value {
    parameter("colour", "eye-colour", "token", COLOUR)
}

fn patient(id: &str, colour: &str) -> Value {
    json!({
        "resourceType": "Patient",
        "id": id,
        "extension": [{"url": "http://example.org/colour", "valueCode": colour}]
    })
}

/// The progress once nothing is built any more.
async fn built(server: &Server) -> Value {
    loop {
        let progress = server.get("/$reindex").await.json();
        let state = &progress["parameter"][0]["valueCode"];
        if state != "running" && !progress.to_string().contains("building") {
            return progress;
        }
        tokio::task::yield_now().await;
    }
}

/// What a search finds once its parameter is built.
async fn found(server: &Server, path: &str) -> Vec<String> {
    loop {
        let answer = server.get(path).await;
        if answer.status != StatusCode::SERVICE_UNAVAILABLE {
            return answer.found();
        }
        assert_eq!(answer.issues(), ["transient"]);
        assert!(
            answer.text().contains("is being built"),
            "{}",
            answer.told()
        );
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_parameter_is_in_use_from_the_moment_it_is_stored() {
    let server = Server::start().await;
    assert_eq!(
        server.get("/Patient?eye-colour=blue").await.status,
        StatusCode::BAD_REQUEST
    );
    server.store(colour()).await;
    server.store(patient("p1", "blue")).await;
    server.store(patient("p2", "green")).await;
    let path = "/Patient?eye-colour=blue";
    assert_eq!(server.get(path).await.found(), ["Patient/p1"]);
    let statement = server.get("/metadata").await.text();
    assert!(statement.contains("eye-colour"));
    assert_eq!(
        server.get("/t/second/Patient?eye-colour=blue").await.status,
        StatusCode::BAD_REQUEST,
        "it belongs to its tenant"
    );
    // It works in chains, in the other direction, and for sorting.
    server
        .store(
            json!({"resourceType": "Basic", "id": "b", "code": {"text": "x"},
            "subject": {"reference": "Patient/p1"}}),
        )
        .await;
    let chained = server.get("/Basic?subject:Patient.eye-colour=blue").await;
    assert_eq!(chained.found(), ["Basic/b"]);
    let sorted = server.get("/Patient?_sort=-eye-colour").await;
    assert_eq!(sorted.found(), ["Patient/p2", "Patient/p1"]);

    let server = server.again().await;
    assert_eq!(server.get(path).await.found(), ["Patient/p1"]);
    let answer = server
        .request("DELETE", "/SearchParameter/colour", &[], "")
        .await;
    assert!(answer.status.is_success(), "{}", answer.told());
    assert_eq!(server.get(path).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn resources_from_before_are_found_when_the_parameter_is_built() {
    let limits = Limits {
        reindex_step: 3,
        ..Limits::default()
    };
    let server = Server::with(limits, Validate::Enforce).await;
    for n in 0..40 {
        let colour = if n % 2 == 0 { "blue" } else { "green" };
        server.store(patient(&format!("p{n}"), colour)).await;
    }
    server.store(colour()).await;
    // Lenient clients learn that it was left out; what is asked first may be too late for that.
    let headers = [("prefer", "handling=lenient")];
    let lenient = server
        .request("GET", "/Patient?eye-colour=blue&_count=1", &headers, "")
        .await;
    assert_eq!(lenient.status, StatusCode::OK, "{}", lenient.told());
    assert_eq!(found(&server, "/Patient?eye-colour=blue").await.len(), 20);
    let progress = built(&server).await;
    assert_eq!(progress["parameter"][0]["valueCode"], "finished");
    let text = progress.to_string();
    assert!(
        text.contains(r#"{"name":"resources","valueInteger":40}"#),
        "{text}"
    );
    assert!(
        text.contains(r#"{"name":"found","valueInteger":40}"#),
        "{text}"
    );

    // Another definition under the same code is built anew.
    let mut other = colour();
    other["expression"] = json!("Patient.gender");
    let answer = server.put("/SearchParameter/colour", &other).await;
    assert!(answer.status.is_success(), "{}", answer.told());
    assert!(found(&server, "/Patient?eye-colour=blue").await.is_empty());
    // And the first one again, with a resource that was stored meanwhile.
    server.store(patient("late", "blue")).await;
    server.store(colour()).await;
    assert_eq!(found(&server, "/Patient?eye-colour=blue").await.len(), 21);

    // Retired, nothing is indexed by it; active once more, everything is.
    let mut retired = colour();
    retired["status"] = json!("retired");
    server.store(retired).await;
    let answer = server.get("/Patient?eye-colour=blue").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    server.store(patient("p1", "blue")).await;
    server.store(colour()).await;
    assert_eq!(found(&server, "/Patient?eye-colour=blue").await.len(), 22);
}

#[tokio::test]
async fn a_stop_in_the_midst_of_building_loses_nothing() {
    let limits = Limits {
        reindex_step: 1,
        ..Limits::default()
    };
    let server = Server::with(limits, Validate::Enforce).await;
    for n in 0..60 {
        server.store(patient(&format!("p{n}"), "blue")).await;
    }
    server.store(colour()).await;
    let progress = server.get("/$reindex").await.json();
    let server = server.again().await;
    assert_eq!(
        found(&server, "/Patient?eye-colour=blue&_count=100")
            .await
            .len(),
        60
    );
    assert_ne!(
        progress["parameter"][0]["valueCode"], "finished",
        "{progress}"
    );
}

#[tokio::test]
async fn everything_is_indexed_again_on_request() {
    let server = Server::start().await;
    assert_eq!(
        server.get("/$reindex").await.json()["parameter"][0]["valueCode"],
        "idle"
    );
    for n in 0..5 {
        server.store(patient(&format!("p{n}"), "blue")).await;
    }
    let answer = server.request("POST", "/$reindex", &[], "").await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.told());
    assert!(
        answer
            .header("content-location")
            .ends_with("/fhir/$reindex")
    );
    loop {
        let progress = server.get("/$reindex").await.json();
        let text = progress.to_string();
        // The counts come behind the last step.
        if progress["parameter"][0]["valueCode"] == "finished" && text.contains("found") {
            assert_eq!(progress["parameter"][1]["valueInteger"], 5);
            break;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_parameter_that_cannot_be_used_is_refused_with_its_place() {
    let server = Server::start().await;
    let check = async |resource: &Value, place: &str, words: &str| {
        let answer = server.post("/SearchParameter", resource).await;
        assert_eq!(
            answer.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{}",
            answer.told()
        );
        let json = answer.json();
        let issue = &json["issue"][0];
        assert_eq!(issue["expression"][0], place, "{json}");
        let text = issue["diagnostics"]
            .as_str()
            .or(issue["details"]["text"].as_str());
        assert!(text.unwrap().contains(words), "{json}");
    };
    let expression = "SearchParameter.expression";
    let wrong = parameter("a", "a", "token", "Patient.nme");
    check(&wrong, expression, "no element `nme`").await;
    let wrong = parameter("a", "a", "token", "Patient.name.");
    check(&wrong, expression, "no FHIRPath").await;
    let wrong = parameter("a", "gender", "token", "Patient.gender");
    check(&wrong, "SearchParameter.code", "choose another code").await;
    // What is no more than a draft is stored and not used.
    let mut draft = parameter("a", "a", "token", "Patient.nme");
    draft["status"] = json!("draft");
    let answer = server.post("/SearchParameter", &draft).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.told());
    // The same code for another type is another parameter.
    server.store(colour()).await;
    check(
        &parameter("b", "eye-colour", "token", "Patient.gender"),
        "SearchParameter.code",
        "already",
    )
    .await;
    let mut other = parameter("c", "eye-colour", "token", "Practitioner.gender");
    other["base"] = json!(["Practitioner"]);
    server.store(other).await;
}

#[tokio::test]
async fn there_may_be_so_many_parameters_and_no_more() {
    let limits = Limits {
        custom_parameters_max: 1,
        ..Limits::default()
    };
    let server = Server::with(limits, Validate::Enforce).await;
    server.store(colour()).await;
    let second = parameter("b", "b", "token", "Patient.gender");
    let answer = server.put("/SearchParameter/b", &second).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer.issues(), ["too-costly"]);
    server.store(colour()).await;
}

#[tokio::test]
async fn a_composite_of_own_parameters_finds_what_belongs_together() {
    let server = Server::start().await;
    let mut part = parameter("part", "city-part", "string", "Patient.address.city");
    part["base"] = json!(["Patient"]);
    server.store(part).await;
    let mut pair = parameter("pair", "city-use", "composite", "Patient.address");
    pair["component"] = json!([
        {"definition": "http://example.org/SearchParameter/part", "expression": "city"},
        {"definition": "http://hl7.org/fhir/SearchParameter/individual-address-use", "expression": "use"}
    ]);
    server.store(pair).await;
    server
        .store(json!({"resourceType": "Patient", "id": "p", "address": [
            {"use": "home", "city": "Bonn"}, {"use": "work", "city": "Ulm"}]}))
        .await;
    assert_eq!(
        server.get("/Patient?city-use=bonn$home").await.found(),
        ["Patient/p"]
    );
    assert!(
        server
            .get("/Patient?city-use=bonn$work")
            .await
            .found()
            .is_empty()
    );
}

/// Asks until the asking has waited so often, and then goes away; whether it was answered before.
async fn impatient(server: &Server, body: &Value, waits: usize) -> bool {
    let port = server.port();
    let request = FhirRequest {
        method: FhirMethod::Put,
        target: format!("SearchParameter/{}", body["id"].as_str().unwrap()),
        body: body.to_string().into(),
        ..FhirRequest::default()
    };
    let mut asked = port.request("", request);
    let mut waited = 0;
    std::future::poll_fn(|context| match asked.as_mut().poll(context) {
        Poll::Ready(answer) => {
            assert!(matches!(answer.status, 200 | 201), "{answer:?}");
            Poll::Ready(true)
        }
        Poll::Pending => {
            waited += 1;
            if waited >= waits {
                Poll::Ready(false)
            } else {
                Poll::Pending
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_parameter_that_is_stored_is_in_use_although_its_client_went_away() {
    let server = Server::start().await;
    for waits in 1.. {
        let (id, code) = (format!("c{waits}"), format!("colour{waits}"));
        let own = parameter(&id, &code, "token", COLOUR);
        let answered = impatient(&server, &own, waits).await;
        // What was on its way to the store before this is there afterwards.
        server.store(patient("p1", "blue")).await;
        let stored = server.get(&format!("/SearchParameter/{id}")).await;
        if stored.status == StatusCode::OK {
            let path = format!("/Patient?{code}=blue");
            let in_use = async {
                while server.get(&path).await.status == StatusCode::BAD_REQUEST {
                    tokio::task::yield_now().await;
                }
            };
            within(
                &format!("it is stored after {waits} waits, and in use"),
                in_use,
            )
            .await;
        }
        if answered {
            return;
        }
    }
}
