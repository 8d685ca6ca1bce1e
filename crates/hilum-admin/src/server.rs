//! Connections, requests, and the refusals that come before any route.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use hilum_access::{Permission, granted};
use hilum_component::Stop;
use hilum_net::{Connection, Listener};
use http::{Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};

use crate::route::{Admin, ApiError, Call, Entry, Reply, all};

/// Bytes of a request's body.
pub const ADMIN_BODY_BYTES_MAX: usize = 1_000_000;

/// Connections at once.
pub const ADMIN_CONNECTIONS_MAX: usize = 64;

pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Serves the API until `stop`.
pub async fn serve(listener: Listener, admin: Arc<Admin>, mut stop: Stop) {
    let entries = Arc::new(all());
    loop {
        let incoming = tokio::select! {
            incoming = listener.accept() => incoming,
            () = stop.requested() => return admin.cancel_care(),
        };
        let (admin, entries, stop) = (Arc::clone(&admin), Arc::clone(&entries), stop.clone());
        tokio::spawn(async move {
            match incoming.handshake().await {
                Ok(connection) => connected(connection, admin, entries, stop).await,
                Err(error) => tracing::debug!(%error, "a connection to the management API failed"),
            }
        });
    }
}

async fn connected(
    connection: Connection,
    admin: Arc<Admin>,
    entries: Arc<Vec<Entry>>,
    mut stop: Stop,
) {
    let caller = connection.peer.address.ip();
    let service = service_fn(move |request| {
        let (admin, entries) = (Arc::clone(&admin), Arc::clone(&entries));
        async move { Ok::<_, Infallible>(respond(request, caller, admin, &entries).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(std::time::Duration::from_secs(10))
        .serve_connection(TokioIo::new(connection.stream), service);
    let mut served = std::pin::pin!(served);
    tokio::select! {
        ended = served.as_mut() => drop(ended),
        () = stop.requested() => {
            served.as_mut().graceful_shutdown();
            drop(tokio::time::timeout(std::time::Duration::from_secs(1), served).await);
        }
    }
}

async fn respond(
    request: Request<Incoming>,
    caller: IpAddr,
    admin: Arc<Admin>,
    entries: &[Entry],
) -> Response<Body> {
    match answer(request, caller, admin, entries).await {
        Ok(Reply::Json(value)) => json_response(StatusCode::OK, &value),
        Ok(Reply::Text(text, kind)) => whole(StatusCode::OK, kind, Bytes::from(text)),
        Ok(Reply::Bytes(bytes)) => whole(StatusCode::OK, "application/octet-stream", bytes),
        Err(error) => {
            let body = json!({ "error": {
                "code": error.code, "message": error.message, "hint": error.hint,
            }});
            json_response(error.status, &body)
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    caller: IpAddr,
    admin: Arc<Admin>,
    entries: &[Entry],
) -> Result<Reply, ApiError> {
    loopback_host(&request)?;
    let path = request.uri().path().to_owned();
    let mut known_path = false;
    for entry in entries {
        let Some(parts) = entry.route.matches(&path) else {
            continue;
        };
        known_path = true;
        if entry.route.method.name() != request.method().as_str() {
            continue;
        }
        if !granted(entry.route.permission, caller) {
            return Err(forbidden(entry.route.permission));
        }
        let parts = parts
            .into_iter()
            .map(|(name, value)| (name.to_owned(), decode(value)))
            .collect();
        let query = request.uri().query().map(pairs).unwrap_or_default();
        let body = body(request).await?;
        return (entry.handle)(admin, Call { parts, query, body }).await;
    }
    Err(if known_path {
        ApiError::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method",
            "this path has no such method",
        )
    } else {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "path",
            "no such path; see /api/v1/openapi.json",
        )
    })
}

fn forbidden(permission: Permission) -> ApiError {
    let text = format!(
        "this needs the permission {}, granted on loopback only",
        permission.name()
    );
    ApiError::new(StatusCode::FORBIDDEN, "forbidden", text)
}

/// A browser that was lured to a name which points here sends that name as `Host`.
fn loopback_host(request: &Request<Incoming>) -> Result<(), ApiError> {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let loopback = name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if loopback {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "host",
        "the Host header names no loopback address",
    ))
}

async fn body(request: Request<Incoming>) -> Result<Value, ApiError> {
    if request.method() != http::Method::POST {
        return Ok(Value::Null);
    }
    // A form of a foreign page cannot send this type without asking first.
    let kind = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("application/json")) {
        let text = "the body must be application/json; send {} where there is nothing to say";
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "content-type",
            text,
        ));
    }
    let bytes = Limited::new(request.into_body(), ADMIN_BODY_BYTES_MAX)
        .collect()
        .await
        .map_err(|_| {
            let text = format!("the body is broken or exceeds {ADMIN_BODY_BYTES_MAX} bytes");
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body", text)
        })?;
    serde_json::from_slice(&bytes.to_bytes())
        .map_err(|error| ApiError::bad("body", format!("the body is not JSON: {error}")))
}

fn pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (
                decode(&name.replace('+', " ")),
                decode(&value.replace('+', " ")),
            )
        })
        .collect()
}

/// Decodes `%41`; what is no escape stays as it is.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = (byte == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match escaped {
            Some(decoded) => {
                out.push(decoded);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn json_response(status: StatusCode, value: &Value) -> Response<Body> {
    whole(status, "application/json", Bytes::from(value.to_string()))
}

fn whole(status: StatusCode, kind: &str, bytes: Bytes) -> Response<Body> {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, kind)
        .header(header::CACHE_CONTROL, "no-store")
        .header("x-content-type-options", "nosniff")
        .body(Full::new(bytes).boxed_unsync())
        .unwrap_or_else(|_| Response::new(empty()))
}

fn empty() -> Body {
    Full::new(Bytes::new()).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded_and_never_fail() {
        for (text, expected) in [
            ("a%20b", "a b"),
            ("%", "%"),
            ("%4", "%4"),
            ("%zz", "%zz"),
            ("%e4", "\u{fffd}"),
        ] {
            assert_eq!(decode(text), expected);
        }
        assert_eq!(
            pairs("a=1&b=x+y&&c"),
            [("a", "1"), ("b", "x y"), ("c", "")].map(|(a, b)| (a.into(), b.into()))
        );
    }
}
