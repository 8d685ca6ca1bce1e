//! How each request may be answered.

use hilum_access::{Method, Route};
use serde_json::{Map, Value, json};

/// Refusals and failures that any request may meet: its host, its path, its form, its size, a
/// store that is busy or full.
const ANY: [(&str, &str); 9] = [
    ("400", "the request is wrong; the outcome names the place"),
    (
        "403",
        "the caller is not granted this, or the Host is not this server's",
    ),
    ("404", "there is no such resource or path"),
    ("406", "no format that is known here is accepted"),
    ("414", "the URL is too long"),
    ("431", "the headers are too large"),
    ("422", "the search costs too much"),
    ("500", "the server failed"),
    ("503", "the server is busy or stops"),
];

/// Those of requests with a body.
const BODY: [(&str, &str); 3] = [
    ("408", "the body took too long"),
    ("413", "the body is too large"),
    ("415", "the body is of a kind that is not known here"),
];

/// Those of requests that write.
const WRITE: [(&str, &str); 4] = [
    ("409", "others changed what is written, again and again"),
    ("412", "a condition of the request does not hold"),
    ("422", "the resource breaks a rule; the outcome names it"),
    ("507", "the disk is full; nothing was stored"),
];

/// The answers of a route, by status.
pub(super) fn of(route: &Route) -> Value {
    let mut all = Map::new();
    for (status, kind) in done(route) {
        all.insert((*status).to_owned(), good(kind));
    }
    let mut refused = |list: &[(&str, &str)]| {
        for (status, about) in list {
            all.insert((*status).to_owned(), outcome(about));
        }
    };
    refused(&ANY);
    if matches!(route.method, Method::Post | Method::Put | Method::Patch) {
        refused(&BODY);
    }
    let searches = route.path.ends_with("/_search");
    if route.method != Method::Get && !searches {
        refused(&WRITE);
    }
    if matches!(route.name, "read" | "vread" | "patch") || route.path.contains("{id}/$") {
        refused(&[("410", "the resource was deleted")]);
    }
    if route.path.ends_with("/websocket") {
        refused(&[("426", "the path speaks websockets")]);
    }
    if matches!(route.name, "read" | "vread") {
        all.insert(
            "304".to_owned(),
            json!({ "description": "the client has it already" }),
        );
    }
    Value::Object(all)
}

/// The statuses of success, each with what comes with it: a type of resource, `*` for any, `file`
/// for what is no resource, nothing.
fn done(route: &Route) -> &'static [(&'static str, &'static str)] {
    match route.name {
        "openapi" => &[("200", "file")],
        "capabilities" => &[("200", "CapabilityStatement")],
        "create" | "conditional-update" | "update" => &[("200", "*"), ("201", "*")],
        "patch" | "conditional-patch" | "read" | "vread" => &[("200", "*")],
        "delete" | "conditional-delete" => &[("200", "OperationOutcome"), ("204", "")],
        "batch" => &[("200", "Bundle")],
        name if name.starts_with("search-") => &[("200", "*")],
        name if name.starts_with("history-") => &[("200", "Bundle")],
        name if name.starts_with("everything-") => &[("200", "Bundle")],
        name if name.starts_with("export") => &[("202", "")],
        name if name.starts_with("validate") => &[("200", "OperationOutcome")],
        "meta" | "meta-type" | "meta-system" | "meta-add" | "meta-delete" => {
            &[("200", "Parameters")]
        }
        "job-status" => &[("200", "file"), ("202", "")],
        "job-delete" => &[("202", "")],
        "job-file" => &[("200", "file")],
        _ => &[("2XX", "*")],
    }
}

fn good(kind: &str) -> Value {
    let schema = match kind {
        "" => return json!({ "description": "done" }),
        "file" => {
            return json!({ "description": "done", "content": {
                "application/json": {}, "application/fhir+json": {}, "application/fhir+xml": {},
                "application/fhir+ndjson": {},
            } });
        }
        "*" => json!({ "$ref": "#/components/schemas/Resource" }),
        kind => json!({ "allOf": [
            { "$ref": "#/components/schemas/Resource" },
            { "properties": { "resourceType": { "const": kind } } },
        ] }),
    };
    json!({ "description": "done", "content": content(&schema) })
}

fn outcome(about: &str) -> Value {
    let schema = json!({ "$ref": "#/components/schemas/OperationOutcome" });
    json!({ "description": about, "content": content(&schema) })
}

/// The media types of an answer.
fn content(schema: &Value) -> Value {
    json!({
        "application/fhir+json": { "schema": schema },
        "application/json": { "schema": schema },
        "application/fhir+xml": {},
        "application/xml": {},
    })
}
