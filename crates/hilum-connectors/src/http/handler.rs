//! One request: who calls is checked before the body is read, and the body has its limits.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hilum_component::{Arrival, Disposition, Intake, NotTaken, Partial, Peer, Reply};
use hilum_message::{Metadata, Payload};
use http::header::{
    ALLOW, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::timeout;

use super::auth::Callers;
use super::config::{AnswerBody, content_type};
use super::server::Routes;
use crate::body::{Gather, HEAD_BYTES, Ungathered};

/// What a caller is told to wait after 503.
const RETRY_AFTER_SECONDS: &str = "5";

/// A source as the listener sees it.
pub(super) struct Route {
    pub(super) path: String,
    pub(super) methods: Vec<Method>,
    pub(super) callers: Callers,
    pub(super) body_max: u64,
    pub(super) read_within: Duration,
    pub(super) metadata: Vec<(Arc<str>, Origin)>,
    pub(super) answer: AnswerBody,
    /// The format of the answers.
    pub(super) format: &'static str,
    state: Mutex<Option<Intake>>,
    under_way: watch::Sender<usize>,
}

/// Where a value beside the message comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Header(HeaderName),
    Query(String),
}

/// A request under way; counts itself off when dropped.
struct UnderWay<'a>(&'a Route);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.send_modify(|count| *count -= 1);
    }
}

type Answered = Response<Full<Bytes>>;

impl Route {
    #[expect(
        clippy::too_many_arguments,
        reason = "built at one place from the configuration"
    )]
    pub(super) fn new(
        path: String,
        methods: Vec<Method>,
        callers: Callers,
        body_max: u64,
        read_within: Duration,
        metadata: Vec<(Arc<str>, Origin)>,
        answer: AnswerBody,
        format: &'static str,
    ) -> Self {
        Self {
            path,
            methods,
            callers,
            body_max,
            read_within,
            metadata,
            answer,
            format,
            state: Mutex::new(None),
            under_way: watch::channel(0).0,
        }
    }

    pub(super) fn open(&self, intake: Intake) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = Some(intake);
    }

    /// Takes no more requests, and waits for those under way.
    pub(super) async fn close(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let mut under_way = self.under_way.subscribe();
        // The sender lives in self.
        drop(under_way.wait_for(|count| *count == 0).await);
    }

    fn enter(&self) -> Option<(Intake, UnderWay<'_>)> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let intake = state.clone()?;
        // Counted under the lock, so that `close` sees it.
        self.under_way.send_modify(|count| *count += 1);
        Some((intake, UnderWay(self)))
    }

    fn reply(&self, reply: Reply) -> Answered {
        let status = match reply.disposition {
            Disposition::Accepted | Disposition::Filtered => StatusCode::OK,
            Disposition::Held => StatusCode::ACCEPTED,
            Disposition::Refused | Disposition::Rejected => StatusCode::UNPROCESSABLE_ENTITY,
            Disposition::Failed => StatusCode::SERVICE_UNAVAILABLE,
        };
        let mut response = match (self.answer, reply.answer) {
            (AnswerBody::Format, Some(answer)) => {
                respond(status, content_type(self.format, &answer), answer)
            }
            (AnswerBody::Format, None) | (AnswerBody::Json, _) => {
                let body = json!({
                    "id": reply.message.map(|id| id.to_string()),
                    "disposition": reply.disposition.word(),
                    "reason": reply.reason,
                });
                respond(status, "application/json", body.to_string().into())
            }
        };
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        response
    }
}

pub(super) async fn handle(request: Request<Incoming>, routes: &Routes, peer: Peer) -> Answered {
    let Some(route) = routes.get(request.uri().path()) else {
        return refuse(StatusCode::NOT_FOUND, "nothing is taken at this path");
    };
    if !route.callers.admit(request.headers()) {
        tracing::warn!(peer = %peer.label, path = %route.path, "a caller did not show what is asked");
        let mut response = refuse(StatusCode::UNAUTHORIZED, "the caller is not known");
        let challenge = HeaderValue::from_static(route.callers.challenge());
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        return response;
    }
    if !route.methods.contains(request.method()) {
        let mut response = refuse(
            StatusCode::METHOD_NOT_ALLOWED,
            "this method brings no message",
        );
        let allowed: Vec<&str> = route.methods.iter().map(Method::as_str).collect();
        if let Ok(allowed) = HeaderValue::from_str(&allowed.join(", ")) {
            response.headers_mut().insert(ALLOW, allowed);
        }
        return response;
    }
    let encoded = request.headers().get(CONTENT_ENCODING);
    if encoded.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return refuse(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "send the body without compression",
        );
    }
    let Some((intake, _under_way)) = route.enter() else {
        let mut response = refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            "the channel is not running",
        );
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        return response;
    };
    taken(&route, &intake, request, peer).await
}

/// Reads the body and hands the message over.
async fn taken(route: &Route, intake: &Intake, request: Request<Incoming>, peer: Peer) -> Answered {
    let metadata = metadata(route, &request);
    let announced = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok())
        .filter(|length| *length > route.body_max);
    // Whoever waits to be asked for the body is not asked for one that is refused.
    if let Some(total) = announced.filter(|_| request.headers().contains_key(EXPECT)) {
        return not_taken(route, intake, peer, Bytes::new(), total, too_large(route)).await;
    }
    let mut body = request.into_body();
    // Of a body that is known to be too large only the beginning is read.
    let max = announced.map_or(route.body_max, |_| route.body_max.min(HEAD_BYTES as u64));
    let read = timeout(route.read_within, read(&mut body, intake, max));
    let (first, total, why) = match read.await {
        Ok(Ok(payload)) => {
            let arrival = Arrival {
                payload,
                peer,
                metadata,
                remembers: None,
            };
            return route.reply(intake.take(arrival).await);
        }
        Ok(Err(Unread::TooLarge(first))) => {
            let total = announced.unwrap_or_else(|| route.body_max.saturating_add(1));
            (first, total, too_large(route))
        }
        Ok(Err(Unread::NotStored(error, first))) => {
            let (total, cause) = (first.len() as u64, error.to_string());
            (first, total, NotTaken::NotStored { cause })
        }
        Ok(Err(Unread::Broken)) => return refuse(StatusCode::BAD_REQUEST, "the body broke off"),
        Err(_) => {
            return refuse(
                StatusCode::REQUEST_TIMEOUT,
                "the body took longer than `read-within`",
            );
        }
    };
    let response = not_taken(route, intake, peer, first, total, why).await;
    // A caller that is cut off while it sends would lose the response: as much again is read over.
    drop(timeout(route.read_within, skip(&mut body, route.body_max)).await);
    response
}

const fn too_large(route: &Route) -> NotTaken {
    NotTaken::TooLarge {
        setting: "body-max",
        bytes_max: route.body_max,
    }
}

/// Says no to a message of which only the beginning is there.
async fn not_taken(
    route: &Route,
    intake: &Intake,
    peer: Peer,
    first: Bytes,
    total: u64,
    why: NotTaken,
) -> Answered {
    let status = match why {
        NotTaken::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        NotTaken::NotStored { .. } => StatusCode::INSUFFICIENT_STORAGE,
    };
    let partial = Partial {
        first,
        total,
        peer,
        why,
    };
    let mut response = route.reply(intake.refuse(partial).await);
    *response.status_mut() = status;
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}

/// Why there is no body.
enum Unread {
    TooLarge(Bytes),
    Broken,
    NotStored(std::io::Error, Bytes),
}

impl From<Ungathered> for Unread {
    fn from(error: Ungathered) -> Self {
        match error {
            Ungathered::TooLarge(first) => Self::TooLarge(first),
            Ungathered::Io(error, first) => Self::NotStored(error, first),
        }
    }
}

async fn read(body: &mut Incoming, intake: &Intake, max: u64) -> Result<Payload, Unread> {
    let mut gather = Gather::new(max);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Unread::Broken)?;
        // Trailers say nothing about the message.
        let Ok(bytes) = frame.into_data() else {
            continue;
        };
        gather.push(intake, &bytes).await?;
    }
    Ok(gather.finish().await?)
}

/// Reads over what is left of a body, up to a limit.
async fn skip(body: &mut Incoming, max: u64) {
    let mut count = 0;
    while let Some(Ok(frame)) = body.frame().await {
        count += frame.data_ref().map_or(0, |bytes| bytes.len() as u64);
        if count > max {
            return;
        }
    }
}

fn metadata(route: &Route, request: &Request<Incoming>) -> Metadata {
    let mut metadata = Metadata::new();
    for (name, origin) in &route.metadata {
        let value = match origin {
            Origin::Header(header) => header_text(request.headers(), header),
            Origin::Query(key) => request
                .uri()
                .query()
                .and_then(|query| query_value(query, key)),
        };
        if let Some(value) = value {
            metadata.set(Arc::clone(name), value);
        }
    }
    metadata
}

fn header_text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers
        .get(name)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The first value of a key of a query.
fn query_value(query: &str, key: &str) -> Option<String> {
    let pairs = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs
        .map(|(name, value)| (decode(name), value))
        .find(|(name, _)| name == key)
        .map(|(_, value)| decode(value))
}

fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let mut ahead = bytes.clone();
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                match (digit(ahead.next()), digit(ahead.next())) {
                    (Some(high), Some(low)) => {
                        out.extend(u8::try_from(high * 16 + low));
                        bytes = ahead;
                    }
                    (Some(_), None) | (None, _) => out.push(byte),
                }
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A response that says no. The connection ends with it: what is left of a body is not read.
fn refuse(status: StatusCode, reason: &str) -> Answered {
    let body = json!({ "id": null, "disposition": "refused", "reason": reason });
    let mut response = respond(status, "application/json", body.to_string().into());
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn respond(status: StatusCode, content_type: &'static str, body: Bytes) -> Answered {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_values_are_decoded() {
        let check = |query: &str, expected: Option<&str>| {
            assert_eq!(query_value(query, "run").as_deref(), expected, "{query}");
        };
        check("run=7", Some("7"));
        check("a=1&run=a%20b+c%2", Some("a b c%2"));
        check("run", Some(""));
        check("r%75n=%zz", Some("%zz"));
        check("other=1", None);
    }
}
