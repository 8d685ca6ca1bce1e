//! From a reply or a fault to bytes on the wire.

mod apart;
mod lines;

use std::io;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::channel::Channel;
use http_body_util::{Either, Full};

use crate::bulk::Parts;

use crate::call::{Answer, Reply};
use crate::fault::Fault;
use crate::request::{Coding, Format, Media, PACK_BYTES_MIN, pack};
use crate::write::{self, Large};

/// The body of an answer: bytes that are there, or files that are read on the way.
pub(crate) type Body = Either<Full<Bytes>, Channel<Bytes, io::Error>>;

fn full(bytes: Bytes) -> Body {
    Either::Left(Full::new(bytes))
}

/// The form of the answer that the client asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) media: Media,
    pub(crate) pretty: bool,
    pub(crate) coding: Option<Coding>,
}

/// An answer; large content that a resource has apart is read on the way if nothing is to be made
/// of the whole.
pub(crate) async fn reply(reply: Reply, shape: &Shape) -> Response<Body> {
    let as_it_is = shape.media.format == Format::Json && !shape.pretty;
    let reply = match reply.content {
        Answer::Apart(large) if as_it_is => {
            let mut response = apart(*large, shape);
            common(&mut response, reply.status, reply.headers);
            return response;
        }
        Answer::Apart(_) => match reply.whole().await {
            Ok(reply) => reply,
            Err(error) => return fault(error, shape),
        },
        _ => reply,
    };
    present(reply, shape)
}

/// An answer whose bytes are there, or files.
fn present(reply: Reply, shape: &Shape) -> Response<Body> {
    let (bytes, content_type) = match reply.content {
        Answer::None | Answer::Apart(_) => (Bytes::new(), None),
        Answer::Raw(bytes, content_type) => (bytes, Some(content_type)),
        Answer::Json(json) => match shaped(json, shape) {
            Ok(bytes) => (bytes, Some(shape.media.content_type.to_owned())),
            Err(error) => return fault(error, shape),
        },
        Answer::Lines(parts, content_type) => {
            let mut response = lines(parts, content_type, shape.coding);
            common(&mut response, reply.status, reply.headers);
            return response;
        }
    };
    let mut response = Response::new(full(Bytes::new()));
    common(&mut response, reply.status, reply.headers);
    let headers = response.headers_mut();
    if let Some(value) = content_type.and_then(|text| HeaderValue::from_str(&text).ok()) {
        headers.insert(header::CONTENT_TYPE, value);
        headers.insert(
            header::VARY,
            HeaderValue::from_static("accept, accept-encoding"),
        );
    }
    let packed = shape
        .coding
        .filter(|_| bytes.len() >= PACK_BYTES_MIN)
        .and_then(|coding| Some((coding, pack(coding, &bytes)?)));
    let bytes = match packed {
        Some((coding, packed)) => {
            let value = HeaderValue::from_static(coding.name());
            headers.insert(header::CONTENT_ENCODING, value);
            Bytes::from(packed)
        }
        None => bytes,
    };
    *response.body_mut() = full(bytes);
    response
}

/// What every answer says.
fn common(
    response: &mut Response<Body>,
    status: StatusCode,
    given: Vec<(http::HeaderName, HeaderValue)>,
) {
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in given {
        headers.append(name, value);
    }
    headers.insert(
        "x-content-type-options",
        HeaderValue::from_static("nosniff"),
    );
    // What is about patients is nobody's to keep, except to ask again whether it has changed.
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-cache"),
    );
}

/// A resource, its parts as they are read.
fn apart(large: Large, shape: &Shape) -> Response<Body> {
    let bytes = large.bytes();
    let body = match apart::body(large, shape.coding) {
        Ok(body) => Either::Right(body),
        Err(error) => {
            tracing::error!(%error, "an answer cannot be packed");
            let mut failed = Response::new(full(Bytes::new()));
            *failed.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            return failed;
        }
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(shape.media.content_type) {
        headers.insert(header::CONTENT_TYPE, value);
    }
    let vary = HeaderValue::from_static("accept, accept-encoding");
    headers.insert(header::VARY, vary);
    match shape.coding {
        Some(coding) => {
            let value = HeaderValue::from_static(coding.name());
            headers.insert(header::CONTENT_ENCODING, value);
        }
        None => {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
        }
    }
    response
}

/// Files, as they are read.
fn lines(parts: Parts, content_type: &'static str, coding: Option<Coding>) -> Response<Body> {
    let bytes = parts.bytes;
    let coding = coding.filter(|_| bytes >= PACK_BYTES_MIN as u64);
    let mut response = match lines::body(parts, coding) {
        Ok(body) => Response::new(Either::Right(body)),
        Err(error) => {
            tracing::error!(%error, "a file cannot be packed");
            let mut failed = Response::new(full(Bytes::new()));
            *failed.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            return failed;
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    match coding {
        Some(coding) => {
            let value = HeaderValue::from_static(coding.name());
            headers.insert(header::CONTENT_ENCODING, value);
        }
        None => {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
        }
    }
    response
}

/// Compact JSON in the form that was asked for.
fn shaped(json: Vec<u8>, shape: &Shape) -> Result<Bytes, Fault> {
    if shape.media.format == Format::Json && !shape.pretty {
        return Ok(Bytes::from(json));
    }
    write::converted(&json, shape.media.format, shape.pretty).map(Bytes::from)
}

/// A refusal or a failure as an OperationOutcome.
pub(crate) fn fault(fault: Fault, shape: &Shape) -> Response<Body> {
    let answer = Answer::Json(hilum_fhir::operation_outcome_json(&fault.problems));
    let told = Reply {
        status: fault.status,
        headers: fault.headers,
        content: answer,
    };
    if shape.media.format == Format::Xml
        && let Answer::Json(json) = &told.content
        && write::converted(json, Format::Xml, shape.pretty).is_err()
    {
        // Never round and round: an outcome that cannot be converted is told as it is.
        let plain = Shape {
            media: Media::JSON,
            ..*shape
        };
        return present(told, &plain);
    }
    present(told, shape)
}

/// Lets a web page of this origin read the answer.
pub(crate) fn allow_origin(response: &mut Response<Body>, origin: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(
            "etag, location, content-location, last-modified, expires, retry-after, x-progress",
        ),
    );
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE"),
    );
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(
            "accept, content-type, if-match, if-none-match, if-none-exist, if-modified-since, prefer",
        ),
    );
}

/// The answer to `HEAD`: everything but the body.
pub(crate) fn without_body(response: &mut Response<Body>) {
    use hyper::body::Body as _;
    // Files that are not packed have named their length already.
    if let Some(length) = response.body().size_hint().exact() {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    *response.body_mut() = full(Bytes::new());
}
