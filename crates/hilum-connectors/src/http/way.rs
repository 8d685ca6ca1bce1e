//! The way to an HTTP server: its address, who we are, and what its statuses mean.
//!
//! What every client of HTTP in this crate shares; what it sends is its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use hilum_component::{BuildContext, Millis, Problem, Secret, SystemInfo};
use hilum_net::{ClientTls, ClientTlsOptions, Connector, HostPort};
use http::header::{AUTHORIZATION, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::auth::basic_header;
use super::config::{Basic, Key, StatusMeans};
use crate::endpoint::{self, Tls};

/// An address as it is written.
pub(crate) struct Written<'w> {
    /// The technology by which the file of a system names its address.
    pub(crate) technology: &'static str,
    /// The key of the address.
    pub(crate) key: &'static str,
    /// The address, where it is not the system's.
    pub(crate) url: Option<&'w str>,
    /// TLS, beyond what `https` implies.
    pub(crate) tls: Option<&'w Tls>,
    /// How long connecting may take.
    pub(crate) connect_within: Option<Millis>,
}

impl Written<'_> {
    /// The address and the way to it.
    pub(crate) fn way(
        &self,
        context: &BuildContext<'_>,
        system: Option<&SystemInfo>,
    ) -> Result<(Uri, Connector), Problem> {
        let text = endpoint::peer_text(self.technology, self.key, self.url, system)?;
        let problem = |reason: &str| {
            let problem = Problem::at(&[self.key], format!("`{text}` {reason}"));
            endpoint::of_peer(self.technology, self.url, system, problem)
        };
        let uri: Uri = text
            .parse()
            .map_err(|_| problem("is no address, such as https://ehr.example/in"))?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) | None => return Err(problem("begins with neither http:// nor https://")),
        };
        let authority = uri.authority().ok_or_else(|| problem("names no host"))?;
        if let Some((user, _)) = authority.as_str().rsplit_once('@') {
            let problem = problem("holds a user").hint("write `basic: { user, password }`");
            let with_password = user.contains(':');
            return Err(if with_password {
                problem.secret()
            } else {
                problem
            });
        }
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let port = authority
            .port_u16()
            .unwrap_or(if secure { 443 } else { 80 });
        let tls = endpoint::connect_tls(context, self.technology, self.tls, system)?;
        let tls = match (secure, tls) {
            (true, Some(tls)) => Some(tls),
            (true, None) => Some(usual_tls()?),
            (false, Some(_)) if self.tls.is_some() => {
                return Err(Problem::at(&["tls"], "TLS needs an address with https://"));
            }
            (false, Some(_) | None) => None,
        };
        let address = HostPort { host, port };
        let connector = endpoint::connector(address, tls, self.connect_within, None)?;
        Ok((uri, connector))
    }
}

fn usual_tls() -> Result<Arc<ClientTls>, Problem> {
    let tls = ClientTls::load(ClientTlsOptions::default());
    tls.map(Arc::new)
        .map_err(|error| Problem::at(&["tls"], error.chain()))
}

/// The headers that say who we are, marked so that nothing prints them.
pub(crate) fn shown(
    context: &BuildContext<'_>,
    key: Option<&Key>,
    basic: Option<&Basic>,
    bearer: Option<&Secret>,
    problems: &mut Vec<Problem>,
) -> Vec<(HeaderName, HeaderValue)> {
    let mut secret = |key: &[&str], reference: &str| {
        let found = context
            .site
            .secret(reference)
            .map_err(|message| Problem::at(key, message));
        endpoint::noting(problems, found)
    };
    let mut shown = Vec::new();
    if let Some(key) = key
        && let Some(value) = secret(&["key", "secret"], key.secret.as_str())
    {
        shown.push((key.header.clone(), value));
    }
    if let Some(basic) = basic
        && let Some(password) = secret(&["basic", "password"], basic.password.as_str())
    {
        shown.push((
            AUTHORIZATION.as_str().to_owned(),
            basic_header(&basic.user, &password),
        ));
    }
    if let Some(bearer) = bearer
        && let Some(token) = secret(&["bearer"], bearer.as_str())
    {
        shown.push((AUTHORIZATION.as_str().to_owned(), format!("Bearer {token}")));
    }
    let mut headers = Vec::new();
    for (name, value) in shown {
        match (HeaderName::try_from(name), HeaderValue::from_str(&value)) {
            (Ok(name), Ok(mut value)) => {
                value.set_sensitive(true);
                headers.push((name, value));
            }
            (Err(_), _) => problems.push(Problem::at(&["key", "header"], "not a name of a header")),
            (_, Err(_)) => problems.push(Problem::at(
                &[],
                "a secret holds characters that no header can carry",
            )),
        }
    }
    headers
}

/// What statuses mean, the narrowest first.
pub(crate) fn status_table(
    config: &BTreeMap<String, StatusMeans>,
    problems: &mut Vec<Problem>,
) -> Vec<(std::ops::RangeInclusive<u16>, StatusMeans)> {
    let mut table = Vec::new();
    for (text, means) in config {
        let class = text
            .strip_suffix("xx")
            .and_then(|digit| digit.parse::<u16>().ok());
        match (class, text.parse::<u16>()) {
            (Some(class @ 2..=5), _) => table.push((class * 100..=class * 100 + 99, *means)),
            (None, Ok(code @ 200..=599)) => table.push((code..=code, *means)),
            (Some(_) | None, _) => {
                problems.push(Problem::at(
                    &["status", text],
                    "expected a status such as 409 or 5xx",
                ));
            }
        }
    }
    // A number says more than a class.
    table.sort_by_key(|(range, _)| range.end() - range.start());
    table
}

/// What a status means where nothing else is written.
pub(crate) const fn usual(status: StatusCode) -> StatusMeans {
    match status.as_u16() {
        200..=299 => StatusMeans::Delivered,
        408 | 425 | 429 | 500..=599 => StatusMeans::Retry,
        401 | 403 | 407 => StatusMeans::Halt,
        400..=499 => StatusMeans::Reject,
        _ => StatusMeans::Halt,
    }
}

/// The stable code of a status.
pub(crate) const fn status_code(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 | 403 | 407 => "http-not-authorised",
        408 | 425 | 429 => "http-later",
        500..=599 => "http-5xx",
        400..=499 => "http-4xx",
        300..=399 => "http-redirect",
        _ => "http-status",
    }
}

/// `Retry-After`, if it is short and plain.
pub(crate) fn retry_after(response: &Response<Incoming>) -> Option<String> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | ',' | ':' | '-');
    (value.len() <= 40 && value.chars().all(plain)).then(|| match value.parse::<u64>() {
        Ok(seconds) => format!("{seconds} s"),
        Err(_) => format!("until {value}"),
    })
}

/// The body of a response; `None` if it is longer than this.
pub(crate) async fn read_reply(
    response: Response<Incoming>,
    bytes_max: usize,
) -> Result<Option<Bytes>, hyper::Error> {
    let (mut body, mut reply) = (response.into_body(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        if let Ok(bytes) = frame?.into_data() {
            if reply.len() + bytes.len() > bytes_max {
                return Ok(None);
            }
            reply.extend_from_slice(&bytes);
        }
    }
    Ok(Some(reply.freeze()))
}
