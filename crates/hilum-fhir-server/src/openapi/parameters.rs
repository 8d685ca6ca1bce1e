//! What each request may say in its query and its headers.

use hilum_access::{Method, Route};
use serde_json::{Value, json};

fn query(name: &str, schema: Value) -> Value {
    json!({ "name": name, "in": "query", "schema": schema })
}

fn header(name: &str, schema: Value) -> Value {
    json!({ "name": name, "in": "header", "schema": schema })
}

fn one_of(values: &[&str]) -> Value {
    json!({ "type": "string", "enum": values })
}

/// FHIR R4 datatypes.html#dateTime, as far as a range of time goes.
fn date() -> Value {
    json!({ "type": "string", "pattern": "^[12][0-9]{3}(-(0[1-9]|1[0-2]))?$" })
}

/// The parameters of a route beside those of its path.
pub(super) fn of(route: &Route) -> Vec<Value> {
    let mut all = Vec::new();
    if route.name != "openapi" {
        all.push(query("_format", one_of(&["json", "xml"])));
        all.push(query("_pretty", one_of(&["true", "false"])));
    }
    let count = || query("_count", json!({ "type": "integer", "minimum": 0 }));
    let summary = || query("_summary", one_of(&["true", "text", "data", "false"]));
    match route.name {
        name if name.starts_with("search-") && route.method == Method::Get => {
            all.extend([
                query(
                    "_id",
                    json!({ "type": "string", "pattern": "^[A-Za-z0-9\\-.]{1,64}$" }),
                ),
                query("_lastUpdated", date()),
                count(),
                query(
                    "_summary",
                    one_of(&["true", "text", "data", "count", "false"]),
                ),
                query("_total", one_of(&["none", "estimate", "accurate"])),
                query(
                    "_sort",
                    one_of(&["_id", "-_id", "_lastUpdated", "-_lastUpdated"]),
                ),
                query("_elements", one_of(&["id", "meta", "id,meta"])),
                query("_explain", one_of(&["true", "false"])),
            ]);
            if name == "search-type" {
                all.push(query("_contained", one_of(&["true", "both", "false"])));
            }
        }
        name if name.starts_with("history-") => {
            all.extend([count(), query("_since", date()), query("_at", date())]);
        }
        "everything-patient" => {
            let care = [query("start", date()), query("end", date())];
            all.extend([count(), query("_since", date())].into_iter().chain(care));
        }
        "everything-encounter" => all.extend([count(), query("_since", date())]),
        "snapshot-named" => all.push(query("url", json!({ "type": "string", "format": "uri" }))),
        "document-persist" => all.push(query("persist", one_of(&["true", "false"]))),
        "read" | "vread" => {
            all.push(summary());
            all.push(header(
                "If-None-Match",
                json!({ "type": "string", "pattern": "^W/\"[0-9]{1,9}\"$" }),
            ));
        }
        "create" => {
            all.push(header(
                "If-None-Exist",
                json!({ "type": "string", "pattern": "^_id=[a-z]{1,8}$" }),
            ));
        }
        "update" | "delete" | "patch" => {
            all.push(header(
                "If-Match",
                json!({ "type": "string", "pattern": "^W/\"[0-9]{1,9}\"$" }),
            ));
        }
        "conditional-update" | "conditional-patch" | "conditional-delete" => {
            let id = json!({ "type": "string", "pattern": "^[A-Za-z0-9\\-.]{1,64}$" });
            all.push(json!({ "name": "_id", "in": "query", "required": true, "schema": id, "example": "example" }));
        }
        "capabilities" => all.push(query("mode", one_of(&["full", "normative"]))),
        _ => {}
    }
    let writes = matches!(route.name, "create" | "update" | "patch" | "batch")
        || route.name.starts_with("conditional-");
    if writes {
        let mut prefer = header("Prefer", json!({ "type": "string" }));
        prefer["description"] = json!(
            "return=representation, return=OperationOutcome, or return=minimal: an answer without content"
        );
        all.push(prefer);
    }
    all
}
