//! What the capability statement claims is so: each claim is tried.

use serde_json::{Value, json};

use crate::kit::Server;

/// A value that a parameter of a kind accepts.
fn value(kind: &str, code: &str) -> Option<&'static str> {
    Some(match kind {
        "number" => "1",
        "date" => "2026",
        "string" | "token" => "x",
        "reference" => "x1",
        "quantity" => "5||mg",
        "uri" => "urn:x",
        "special" if code == "_filter" => "_id eq x",
        _ => return None,
    })
}

fn codes(claims: &Value) -> Vec<String> {
    let claims = claims.as_array().into_iter().flatten();
    claims
        .map(|claim| claim["code"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn every_claim_of_the_capability_statement_is_so() {
    let server = Server::start().await;
    let statement = server.get("/metadata").await.json();
    let checked = server.post("/$validate", &statement).await.json();
    let wrong = checked["issue"]
        .as_array()
        .unwrap()
        .iter()
        .find(|issue| issue["severity"] == "error");
    assert!(wrong.is_none(), "the statement itself is valid: {wrong:?}");
    let rest = &statement["rest"][0];
    let resources = rest["resource"].as_array().unwrap();
    assert!(resources.len() > 140, "{}", resources.len());

    let mut wrong = Vec::new();
    let mut searched = 0;
    for resource in resources {
        let kind = resource["type"].as_str().unwrap();
        // One page for each parameter of a few types, one with all of them for the others.
        let mut together = Vec::new();
        for param in resource["searchParam"].as_array().unwrap() {
            let (code, how) = (
                param["name"].as_str().unwrap(),
                param["type"].as_str().unwrap(),
            );
            if let Some(value) = value(how, code) {
                together.push(format!("{code}={value}"));
            } else if how == "composite" {
                together.push(format!("{code}:missing=true"));
            }
        }
        for include in ["searchInclude", "searchRevInclude"] {
            let name = if include == "searchInclude" {
                "_include"
            } else {
                "_revinclude"
            };
            for item in resource[include].as_array().into_iter().flatten() {
                together.push(format!("{name}={}", item.as_str().unwrap()));
            }
        }
        for part in together.chunks(20) {
            let path = format!("/{kind}?{}", part.join("&"));
            let answer = server.get(&path).await;
            searched += 1;
            if answer.status != 200 {
                wrong.push(format!("{path}: {}", answer.told()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {searched}: {}",
        wrong.len(),
        wrong[0]
    );
    for param in rest["searchParam"].as_array().unwrap() {
        let (code, how) = (
            param["name"].as_str().unwrap(),
            param["type"].as_str().unwrap(),
        );
        let Some(value) = value(how, code).filter(|_| code != "_list") else {
            continue;
        };
        let value = if how == "date" { "2026" } else { value };
        let answer = server
            .get(&format!("/?{code}={}", value.replace(' ', "%20")))
            .await;
        assert_eq!(answer.status, 200, "{code}: {}", answer.told());
    }
}

#[tokio::test]
async fn every_interaction_that_is_claimed_is_answered() {
    let server = Server::start().await;
    let statement = server.get("/metadata").await.json();
    let rest = &statement["rest"][0];
    let basic = |id: Option<&str>| {
        let mut basic = json!({ "resourceType": "Basic", "code": { "text": "x" } });
        if let Some(id) = id {
            basic["id"] = json!(id);
        }
        basic.to_string()
    };
    let claims = rest["resource"]
        .as_array()
        .unwrap()
        .iter()
        .find(|resource| resource["type"] == "Basic")
        .unwrap();
    let interactions = codes(&claims["interaction"]);
    let json_patch = [("content-type", "application/json-patch+json")];
    server
        .request("PUT", "/Basic/b1", &[], basic(Some("b1")))
        .await;
    for claim in &interactions {
        let answer = match claim.as_str() {
            "read" => server.get("/Basic/b1").await,
            "vread" => server.get("/Basic/b1/_history/1").await,
            "update" => {
                server
                    .request("PUT", "/Basic/b1", &[], basic(Some("b1")))
                    .await
            }
            "patch" => {
                server
                    .request("PATCH", "/Basic/b1", &json_patch, "[]")
                    .await
            }
            "delete" => server.request("DELETE", "/Basic/b2", &[], "").await,
            "history-instance" => server.get("/Basic/b1/_history").await,
            "history-type" => server.get("/Basic/_history").await,
            "create" => server.request("POST", "/Basic", &[], basic(None)).await,
            "search-type" => server.get("/Basic").await,
            other => panic!("no test of {other}"),
        };
        assert!(answer.status.is_success(), "{claim}: {}", answer.told());
    }
    for claim in codes(&rest["interaction"]) {
        let bundle = |kind: &str| json!({ "resourceType": "Bundle", "type": kind });
        let answer = match claim.as_str() {
            "batch" | "transaction" => server.post("/", &bundle(&claim)).await,
            "history-system" => server.get("/_history").await,
            "search-system" => server.get("/?_id=b1").await,
            other => panic!("no test of {other}"),
        };
        assert!(answer.status.is_success(), "{claim}: {}", answer.told());
    }
    assert_eq!(claims["conditionalUpdate"], true);
    assert_eq!(claims["conditionalDelete"], "multiple");
    assert_eq!(claims["updateCreate"], true);
}

#[tokio::test]
async fn the_openapi_document_has_every_route_with_its_permission() {
    let server = Server::start().await;
    let document = server.get("/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut names = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(
                operation["x-permission"]
                    .as_str()
                    .unwrap()
                    .starts_with("fhir-"),
                "{method} {path}"
            );
            names.push(operation["operationId"].as_str().unwrap().to_owned());
        }
    }
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(count > 30, "{count}");
}
