//! batch: every request for itself, in the order of the bundle.

use base64::Engine as _;
use bytes::Bytes;
use hilum_fhir::{IssueType, Resource};
use http::{HeaderName, StatusCode, header};

use super::read::Item;
use super::writer::Bundle;
use crate::call::{Answer, Call, Content, Reply};
use crate::fault::Fault;
use crate::request::{Format, Kind};
use crate::route;

pub(super) async fn run(call: &Call, bundle: &Resource, items: &[Item]) -> Result<Reply, Fault> {
    let mut answer = Bundle::new("batch-response");
    for item in items {
        let result = one(call, bundle, item).await;
        add(&mut answer, &result);
    }
    Ok(Reply::json(answer.finish()))
}

/// Does one request as if it had come by itself.
pub(super) async fn one(call: &Call, bundle: &Resource, item: &Item) -> Result<Reply, Fault> {
    let (entry, parts) = route::find(&call.fhir.entries, &item.method, &path(call, item))?;
    if entry.route.name == super::NAME {
        let text = "a bundle cannot hold a batch or a transaction";
        return Err(Fault::bad(IssueType::NotSupported, text));
    }
    route::permitted(entry, call.caller)?;
    let mut query = item.query.clone();
    // The bundle has one format for all.
    query.retain(|(name, _)| name != "_format" && name != "_pretty");
    let body = content(bundle, item)?;
    let delivering = call.delivering.as_ref().map(|of| of.entry(item.at));
    let inner = Call {
        parts,
        query,
        conditions: item.conditions.clone(),
        body,
        delivering: delivering.clone(),
        ..call.clone()
    };
    let made = match (entry.handle)(inner.clone()).await {
        Ok(reply) => reply.whole().await,
        Err(fault) => Err(fault),
    };
    if matches!(&made, Ok(reply) if matches!(reply.content, Answer::Lines(..))) {
        return Err(crate::port::too_long());
    }
    match delivering {
        Some(delivering) => delivering.answer(&inner, made),
        None => made,
    }
}

/// The body of a request. A patch that is no resource comes in a Binary (FHIR R4
/// http.html#jsonpatch).
pub(super) fn content(bundle: &Resource, item: &Item) -> Result<Content, Fault> {
    let Some(node) = item.node(bundle) else {
        return Ok(Content::NONE);
    };
    if item.method == http::Method::PATCH && node.type_name() == "Binary" {
        if node.child_text("contentType") != Some("application/json-patch+json") {
            let text = "the Binary of a patch is application/json-patch+json";
            return Err(Fault::bad(IssueType::NotSupported, text));
        }
        let data = node.child_text("data").unwrap_or_default();
        let compact: String = data.split_whitespace().collect();
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(compact)
            .map_err(|_| Fault::bad(IssueType::Value, "the data of the Binary is no base64"))?;
        return Ok(Content {
            kind: Kind::JsonPatch,
            bytes: Bytes::from(bytes),
        });
    }
    Ok(Content {
        kind: Kind::Resource(Format::Json),
        bytes: Bytes::from(item.json(bundle).unwrap_or_default()),
    })
}

/// The path below the tenant; clients also write the whole URL.
fn path(call: &Call, item: &Item) -> String {
    let whole = item.path.trim_start_matches('/');
    match whole.strip_prefix(&*call.base) {
        Some(rest) if rest.starts_with('/') => rest.to_owned(),
        _ => item.path.clone(),
    }
}

/// The answer to one request as an entry.
pub(crate) fn add(bundle: &mut Bundle, result: &Result<Reply, Fault>) {
    let of = |headers: &[(HeaderName, http::HeaderValue)], wanted: HeaderName| {
        let found = headers.iter().find(|(name, _)| *name == wanted);
        found.and_then(|(_, value)| value.to_str().ok().map(str::to_owned))
    };
    match result {
        Ok(reply) => {
            let status = status(reply.status);
            let mut members: Vec<(&str, &str)> = vec![("status", &status)];
            let location = of(&reply.headers, header::LOCATION);
            let etag = of(&reply.headers, header::ETAG);
            let modified = of(&reply.headers, header::LAST_MODIFIED)
                .and_then(|text| crate::time::read_http_date(&text))
                .map(crate::time::instant);
            members.extend(location.as_deref().map(|text| ("location", text)));
            members.extend(etag.as_deref().map(|text| ("etag", text)));
            members.extend(modified.as_deref().map(|text| ("lastModified", text)));
            bundle.entry(|entry| {
                if let Answer::Json(json) = &reply.content {
                    entry.resource(json);
                }
                entry.response(&members, None);
            });
        }
        Err(fault) => {
            let outcome = hilum_fhir::operation_outcome_json(&fault.problems);
            let status = status(fault.status);
            bundle.entry(|entry| entry.response(&[("status", &status)], Some(&outcome)));
        }
    }
}

/// `201 Created`.
pub(super) fn status(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_str()),
        None => status.as_str().to_owned(),
    }
}
