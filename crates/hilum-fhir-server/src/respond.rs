//! From a reply or a fault to bytes on the wire.

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body_util::Full;

use crate::call::{Answer, Reply};
use crate::fault::Fault;
use crate::request::{Coding, Format, Media, PACK_BYTES_MIN, pack};
use crate::write;

/// The form of the answer that the client asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) media: Media,
    pub(crate) pretty: bool,
    pub(crate) coding: Option<Coding>,
}

/// An answer.
pub(crate) fn reply(reply: Reply, shape: &Shape) -> Response<Full<Bytes>> {
    let (bytes, content_type) = match reply.content {
        Answer::None => (Bytes::new(), None),
        Answer::Raw(bytes, content_type) => (bytes, Some(content_type)),
        Answer::Json(json) => match shaped(json, shape) {
            Ok(bytes) => (bytes, Some(shape.media.content_type.to_owned())),
            Err(error) => return fault(error, shape),
        },
    };
    let mut response = Response::new(Full::default());
    *response.status_mut() = reply.status;
    for (name, value) in reply.headers {
        response.headers_mut().append(name, value);
    }
    let headers = response.headers_mut();
    headers.insert(
        "x-content-type-options",
        HeaderValue::from_static("nosniff"),
    );
    // What is about patients is nobody's to keep, except to ask again whether it has changed.
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-cache"),
    );
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
    *response.body_mut() = Full::new(bytes);
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
pub(crate) fn fault(fault: Fault, shape: &Shape) -> Response<Full<Bytes>> {
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
        return reply(told, &plain);
    }
    reply(told, shape)
}

/// Lets a web page of this origin read the answer.
pub(crate) fn allow_origin(response: &mut Response<Full<Bytes>>, origin: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("etag, location, content-location, last-modified"),
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
pub(crate) fn without_body(response: &mut Response<Full<Bytes>>) {
    use hyper::body::Body as _;
    let length = response.body().size_hint().exact().unwrap_or(0);
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    *response.body_mut() = Full::default();
}
