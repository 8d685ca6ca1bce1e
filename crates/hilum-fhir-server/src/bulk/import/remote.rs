//! Sources of an import that lie on other servers.
//!
//! Only what lies below a URL that the site names is fetched: a server that fetches any URL on a
//! client's wish would be the client's way into the hospital's network. Redirects are not followed,
//! because they lead elsewhere. What breaks off is fetched again from its beginning.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use hilum_fhir::IssueType;
use hilum_net::{ConnectOptions, Connector, HostPort};
use http::{Method, Request, StatusCode, Uri, Version, header};
use http_body_util::Empty;
use hyper::Response;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::spool;
use crate::bulk::NDJSON;
use crate::fault::Fault;
use crate::jobs::Running;
use crate::request::sent;
use crate::server::Fhir;
use crate::subscription::{covers, plain, port};

/// Whether a source lies on another server.
pub(super) fn is(url: &str) -> bool {
    url.starts_with("http://") || url.starts_with("https://")
}

/// The URL of a source, if the site allows it.
pub(super) fn allowed(fhir: &Fhir, url: &str) -> Result<Uri, Fault> {
    let uri = plain(url).map_err(|_| {
        let text = "the URL of an input is none, or holds credentials, a fragment or `..`";
        Fault::bad(IssueType::Value, text)
    })?;
    if fhir.import_from.iter().any(|prefix| covers(prefix, &uri)) {
        return Ok(uri);
    }
    let text = "this server may not fetch an input: it is not below a URL of `fhir: import-from`";
    Err(Fault::bad(IssueType::Forbidden, text))
}

/// Why a source was not fetched.
enum Broken {
    /// It may succeed another time.
    Passing(String),
    /// It will not.
    Ended(Fault),
}

impl Broken {
    fn ended(text: impl std::fmt::Display) -> Self {
        Self::Ended(refused(format!("an input cannot be fetched: {text}")))
    }
}

fn refused(text: String) -> Fault {
    Fault::new(StatusCode::BAD_GATEWAY, IssueType::Incomplete, text)
}

/// Writes a source to a file.
pub(super) async fn fetch(running: &Running, url: &str, path: &Path) -> Result<(), Fault> {
    let limits = &running.fhir.limits;
    // What the site allows may have changed since it was asked for.
    let uri = allowed(&running.fhir, url)?;
    let mut pause = limits.import_fetch_pause;
    for tried in 1.. {
        let within = limits.import_fetch_within;
        let fetched = timeout(within, once(running, &uri, path)).await;
        let fetched = fetched.unwrap_or_else(|_| {
            Err(Broken::ended(format_args!(
                "it takes longer than `import_fetch_within` allows ({within:?})"
            )))
        });
        let reason = match fetched {
            Ok(()) => return Ok(()),
            Err(Broken::Ended(fault)) => return Err(fault),
            Err(Broken::Passing(reason)) => reason,
        };
        if tried >= limits.import_fetch_tries {
            let text = format!("an input cannot be fetched, tried {tried} times: {reason}");
            return Err(refused(text));
        }
        tracing::warn!(tried, %reason, "a source of an import is fetched again");
        tokio::time::sleep(pause).await;
        pause = pause.saturating_mul(2).min(Duration::from_secs(60));
    }
    Ok(())
}

async fn once(running: &Running, uri: &Uri, path: &Path) -> Result<(), Broken> {
    let limits = &running.fhir.limits;
    let connector = connector(&running.fhir, uri)?;
    let connection = connector.connect().await;
    let connection = connection.map_err(|error| Broken::Passing(error.chain()))?;
    let io = TokioIo::new(connection.stream);
    let broken = |error: hyper::Error| Broken::Passing(format!("the connection broke: {error}"));
    let (mut sender, driver) = http1::handshake(io).await.map_err(broken)?;
    // Ends with this function.
    let mut driving = JoinSet::new();
    driving.spawn(async move {
        if let Err(error) = driver.await {
            tracing::debug!(%error, "a connection to a source of an import ended");
        }
    });
    let answer = timeout(limits.body_within, sender.send_request(request(uri)?)).await;
    let answer = answer
        .map_err(|_| Broken::Passing(format!("no answer within {:?}", limits.body_within)))?
        .map_err(broken)?;
    acceptable(&answer, limits.import_bytes_max)?;
    let coding = sent(answer.headers())
        .map_err(|_| Broken::ended("its `Content-Encoding` is neither gzip nor zstd"))?;
    let body = answer.into_body();
    let written = spool::body(limits, running.files(), body, coding, path.to_path_buf()).await;
    written.map_err(|fault| match fault.status {
        StatusCode::BAD_REQUEST | StatusCode::REQUEST_TIMEOUT => {
            let first = fault.problems.first();
            Broken::Passing(first.map_or_else(String::new, |problem| problem.text.to_string()))
        }
        StatusCode::PAYLOAD_TOO_LARGE => too_large(limits.import_bytes_max),
        _ => Broken::Ended(fault),
    })
}

fn connector(fhir: &Fhir, uri: &Uri) -> Result<Connector, Broken> {
    let host = uri.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mut options = ConnectOptions::new(HostPort {
        host: host.to_owned(),
        port: port(uri),
    });
    if uri.scheme_str() == Some("https") {
        let tls = fhir.import_tls.clone();
        options.tls = Some(tls.ok_or_else(|| Broken::ended("https is not set up"))?);
    }
    Connector::new(options).map_err(|error| Broken::ended(error.chain()))
}

fn request(uri: &Uri) -> Result<Request<Empty<Bytes>>, Broken> {
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let host = uri.authority().map_or("", |authority| authority.as_str());
    Request::builder()
        .method(Method::GET)
        .uri(target)
        .header(header::HOST, host)
        .header(header::ACCEPT, NDJSON)
        .header(header::ACCEPT_ENCODING, "gzip, zstd")
        .header(header::USER_AGENT, "hilum")
        .body(Empty::new())
        .map_err(|_| Broken::ended("its URL cannot be asked for"))
}

/// Refuses what is no file, is too large, or has no end that can be told from a break.
fn acceptable(answer: &Response<Incoming>, bytes_max: u64) -> Result<(), Broken> {
    let status = answer.status();
    if status.is_redirection() {
        return Err(Broken::ended(format_args!(
            "the server answers {status}, and redirects are not followed"
        )));
    }
    let passing = status.is_server_error()
        || status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT;
    if passing {
        return Err(Broken::Passing(format!("the server answers {status}")));
    }
    if status != StatusCode::OK {
        return Err(Broken::ended(format_args!("the server answers {status}")));
    }
    let headers = answer.headers();
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let chunked = headers.contains_key(header::TRANSFER_ENCODING);
    if answer.version() < Version::HTTP_11 || (length.is_none() && !chunked) {
        return Err(Broken::ended("the server does not say where it ends"));
    }
    if length.is_some_and(|length| length > bytes_max) {
        return Err(too_large(bytes_max));
    }
    Ok(())
}

fn too_large(bytes_max: u64) -> Broken {
    Broken::ended(format_args!(
        "it has more bytes than `import_bytes_max` allows ({bytes_max})"
    ))
}
