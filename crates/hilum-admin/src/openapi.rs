//! The OpenAPI document, made from the list of routes.

use hilum_access::{Method, Route};
use serde_json::{Map, Value, json};

/// OpenAPI 3.1 of all routes.
pub(crate) fn document<'r>(routes: impl Iterator<Item = &'r Route>) -> Value {
    let mut paths = Map::new();
    for route in routes {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(route.method.name().to_lowercase(), operation(route));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "hilum management API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What an operator's tools ask of a running node. Loopback only in this release.",
        },
        "paths": paths,
        "components": { "schemas": { "Error": {
            "type": "object",
            "required": ["error"],
            "properties": { "error": {
                "type": "object",
                "required": ["code", "message"],
                "properties": {
                    "code": { "type": "string" },
                    "message": { "type": "string" },
                    "hint": { "type": ["string", "null"] },
                },
            }},
        }}},
    })
}

fn operation(route: &Route) -> Value {
    let mut parameters: Vec<Value> = route
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    parameters.extend(route.query.iter().map(|parameter| {
        json!({
            "name": parameter.name, "in": "query", "description": parameter.about,
            "schema": { "type": "string" },
        })
    }));
    let mut operation = json!({
        "operationId": route.name,
        "summary": route.about,
        "x-permission": route.permission.name(),
        "parameters": parameters,
        "responses": {
            "200": { "description": "done" },
            "default": {
                "description": "not done",
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
            },
        },
    });
    if route.method == Method::Post {
        let fields: Map<String, Value> = route
            .body
            .iter()
            .map(|field| (field.name.to_owned(), json!({ "description": field.about })))
            .collect();
        operation["requestBody"] = json!({
            "required": true,
            "content": { "application/json": { "schema": { "type": "object", "properties": fields } } },
        });
    }
    operation
}
