//! The OpenAPI document, made of the list of routes.

use bytes::Bytes;
use hilum_access::{Method, Permission};
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
    let parameters: Vec<Value> = route
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            let schema = match name {
                "type" | "inside" => json!({ "type": "string", "enum": types }),
                "version" => json!({ "type": "string", "pattern": "^[1-9][0-9]*$" }),
                _ => json!({ "type": "string", "pattern": "^[A-Za-z0-9\\-.]{1,64}$" }),
            };
            json!({ "name": name, "in": "path", "required": true, "schema": schema })
        })
        .collect();
    let outcome = json!({ "schema": { "$ref": "#/components/schemas/OperationOutcome" } });
    let resource = json!({ "schema": { "$ref": "#/components/schemas/Resource" } });
    let mut operation = json!({
        "operationId": route.name,
        "summary": route.about,
        "x-permission": route.permission.name(),
        "parameters": parameters,
        "responses": {
            "2XX": {
                "description": "done",
                "content": { "application/fhir+json": &resource, "application/fhir+xml": {} },
            },
            "304": { "description": "the client has it already" },
            "default": {
                "description": "not done",
                "content": { "application/fhir+json": outcome, "application/fhir+xml": {} },
            },
        },
    });
    let form = route.path.ends_with("/_search");
    let body = match route.method {
        Method::Post if form => Some(json!({
            "application/x-www-form-urlencoded": { "schema": { "type": "object" } },
        })),
        Method::Post | Method::Put => Some(json!({
            "application/fhir+json": resource,
            "application/fhir+xml": {},
        })),
        Method::Patch => Some(json!({
            "application/json-patch+json": { "schema": { "type": "array", "items": { "type": "object" } } },
            "application/fhir+json": resource,
        })),
        Method::Get | Method::Delete => None,
    };
    if let (Some(content), Some(operation)) = (body, operation.as_object_mut()) {
        operation.insert("requestBody".to_owned(), json!({ "content": content }));
    }
    operation
}
