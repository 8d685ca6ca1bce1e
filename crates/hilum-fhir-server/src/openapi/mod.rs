//! The OpenAPI document, made of the list of routes.
//!
//! It says which statuses each request may have and lists no others, so that a tool that compares
//! answers with the document finds what is not described.

mod parameters;
mod responses;

use bytes::Bytes;
use hilum_access::{Method, Permission, Route};
use hilum_component::BoxFuture;
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::call::{Answer, Call, Reply};
use crate::fault::Fault;
use crate::route::{Claim, Entry, entry};

pub(crate) fn routes() -> Vec<Entry> {
    vec![entry(
        "openapi",
        Method::Get,
        "/openapi.json",
        Permission::FhirDescribe,
        "This document",
        Claim::Beside,
        handle,
    )]
}

fn handle(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        call.knows_only(&[])?;
        let text = document(&call).to_string();
        let kind = "application/json; charset=utf-8".to_owned();
        Ok(Reply::new(
            StatusCode::OK,
            Answer::Raw(Bytes::from(text), kind),
        ))
    })
}

fn document(call: &Call) -> Value {
    let table = &call.tenant.table;
    let types: Vec<&str> = table.all().into_iter().map(|ty| table.name(ty)).collect();
    let mut paths = Map::new();
    for entry in &call.fhir.entries {
        let path = paths.entry(entry.route.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            let method = entry.route.method.name().to_lowercase();
            path.insert(method, operation(entry, &types));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "hilum FHIR R4 API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Resources of FHIR R4 (4.0.1); metadata says which parameters and operations there are.",
        },
        "servers": [{ "url": &*call.base }],
        "paths": paths,
        "components": { "schemas": {
            "Resource": {
                "type": "object",
                "required": ["resourceType"],
                "properties": {
                    "resourceType": { "type": "string" },
                    "id": { "type": "string", "pattern": "^[A-Za-z0-9\\-.]{1,64}$" },
                },
            },
            "OperationOutcome": {
                "type": "object",
                "required": ["resourceType", "issue"],
                "properties": {
                    "resourceType": { "const": "OperationOutcome" },
                    "issue": { "type": "array", "minItems": 1, "items": {
                        "type": "object",
                        "required": ["severity", "code"],
                        "properties": {
                            "severity": { "enum": ["fatal", "error", "warning", "information"] },
                            "code": { "type": "string" },
                            "diagnostics": { "type": "string" },
                        },
                    }},
                },
            },
        }},
    })
}

fn operation(entry: &Entry, types: &[&str]) -> Value {
    let route = &entry.route;
    let mut parameters: Vec<Value> = route
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            let schema = match name {
                "type" | "inside" => json!({ "type": "string", "enum": types }),
                "version" => json!({ "type": "string", "pattern": "^[1-9][0-9]{0,8}$" }),
                _ => json!({ "type": "string", "pattern": "^[A-Za-z0-9\\-.]{1,64}$" }),
            };
            let example = match name {
                "type" => "Patient",
                "inside" => "Observation",
                "version" => "1",
                _ => "example",
            };
            json!({ "name": name, "in": "path", "required": true, "schema": schema, "example": example })
        })
        .collect();
    parameters.extend(parameters::of(route));
    let mut operation = json!({
        "operationId": route.name,
        "summary": route.about,
        "x-permission": route.permission.name(),
        "parameters": parameters,
        "responses": responses::of(route),
    });
    if let (Some(content), Some(operation)) = (body(route), operation.as_object_mut()) {
        operation.insert(
            "requestBody".to_owned(),
            json!({ "required": true, "content": content }),
        );
    }
    operation
}

/// What a request carries.
fn body(route: &Route) -> Option<Value> {
    if route.path.ends_with("/_search") {
        return Some(json!({ "application/x-www-form-urlencoded": {
            "schema": { "type": "object", "additionalProperties": { "type": "string" } },
            "example": { "_count": "2" },
        } }));
    }
    let resource = |example: Value| {
        json!({
            "application/fhir+json": { "schema": { "$ref": "#/components/schemas/Resource" }, "example": example },
            "application/fhir+xml": {},
        })
    };
    let patient = || json!({ "resourceType": "Patient", "id": "example", "active": true });
    match route.method {
        Method::Post if route.name == "batch" => Some(resource(json!({
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [{ "resource": patient(), "request": { "method": "PUT", "url": "Patient/example" } }],
        }))),
        Method::Post if route.name.starts_with("meta-") => Some(resource(json!({
            "resourceType": "Parameters",
            "parameter": [{ "name": "meta", "valueMeta": { "tag": [{ "system": "urn:example", "code": "a" }] } }],
        }))),
        // Their parameters may stand in the query.
        Method::Post if route.path.ends_with("$export") || route.path.ends_with("$document") => {
            None
        }
        Method::Post | Method::Put => Some(resource(patient())),
        Method::Patch => Some(json!({
            "application/json-patch+json": {
                "schema": { "type": "array", "items": {
                    "type": "object",
                    "required": ["op", "path"],
                    "properties": {
                        "op": { "enum": ["add", "remove", "replace", "move", "copy", "test"] },
                        "path": { "type": "string" },
                    },
                } },
                "example": [{ "op": "add", "path": "/active", "value": true }],
            },
            "application/fhir+json": { "schema": { "$ref": "#/components/schemas/Resource" } },
        })),
        Method::Get | Method::Delete => None,
    }
}
