//! The destination: one request for each message, its status and answer classified.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hilum_component::{
    AnswerTable, BoxFuture, BuildContext, Built, Class, Delivered, Delivery, DeliveryError,
    Destination, DestinationFactory, Format, Outcome, Problem, Reached, SystemInfo,
};
use hilum_net::{ClientTls, ClientTlsOptions, Connector, HostPort};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::time::timeout;

use super::auth::basic_header;
use super::client::{Body, Pool, body};
use super::config::{AnswerRead, DestinationConfig, StatusMeans, content_type};
use crate::endpoint;

/// The longest body of a response that is kept.
const REPLY_BYTES_MAX: usize = 1_000_000;
/// The header that carries the delivery's id, the same on every attempt.
const DELIVERY: HeaderName = HeaderName::from_static("x-hilum-delivery");

pub(super) fn build(value: &Value, context: &BuildContext<'_>) -> Built<DestinationFactory> {
    let config: DestinationConfig = endpoint::read(value)?;
    let mut problems = Vec::new();
    let system = endpoint::noting(
        &mut problems,
        endpoint::system(context, config.system.as_ref()),
    );
    let Some(system) = system else {
        return Err(problems);
    };
    let target = target(context, &config, system.as_deref());
    let target = endpoint::noting(&mut problems, target);
    let headers = headers(context, &config, &mut problems);
    let status = status_table(&config.status, &mut problems);
    if config.connections == 0 {
        problems.push(Problem::at(
            &["connections"],
            "at least one connection is needed",
        ));
    }
    let (Some((uri, connector)), true) = (target, problems.is_empty()) else {
        return Err(problems);
    };
    let shared = Arc::new(Settings {
        uri,
        method: config.method.http(),
        headers,
        status,
        read: config.answer,
        answer_within: config.answer_within.duration(),
        format: Arc::clone(context.format),
        answers: system
            .map(|system| system.answers.clone())
            .unwrap_or_default(),
        connections: usize::try_from(config.connections).unwrap_or(1),
    });
    Ok(Arc::new(move || {
        let pool = Pool::new(connector.clone(), shared.connections);
        Arc::new(HttpDestination {
            settings: Arc::clone(&shared),
            pool,
        })
    }))
}

/// The address and the way to it.
fn target(
    context: &BuildContext<'_>,
    config: &DestinationConfig,
    system: Option<&SystemInfo>,
) -> Result<(Uri, Connector), Problem> {
    let text = endpoint::peer_text("http", "url", config.url.as_deref(), system)?;
    let problem = |reason: &str| {
        let problem = Problem::at(&["url"], format!("`{text}` {reason}"));
        endpoint::of_peer("http", config.url.as_deref(), system, problem)
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
    if authority.as_str().contains('@') {
        return Err(problem("holds a user").hint("write `basic: { user, password }`"));
    }
    let host = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    let port = authority
        .port_u16()
        .unwrap_or(if secure { 443 } else { 80 });
    let tls = endpoint::connect_tls(context, "http", config.tls.as_ref(), system)?;
    let tls = match (secure, tls) {
        (true, Some(tls)) => Some(tls),
        (true, None) => Some(usual_tls()?),
        (false, Some(_)) if config.tls.is_some() => {
            return Err(Problem::at(&["tls"], "TLS needs an address with https://"));
        }
        (false, Some(_) | None) => None,
    };
    let address = HostPort { host, port };
    Ok((
        uri,
        endpoint::connector(address, tls, config.connect_within, None)?,
    ))
}

fn usual_tls() -> Result<Arc<ClientTls>, Problem> {
    let tls = ClientTls::load(ClientTlsOptions::default());
    tls.map(Arc::new)
        .map_err(|error| Problem::at(&["tls"], error.chain()))
}

/// The headers, those with secrets marked so that nothing prints them.
fn headers(
    context: &BuildContext<'_>,
    config: &DestinationConfig,
    problems: &mut Vec<Problem>,
) -> Vec<(HeaderName, Template)> {
    let mut found = Vec::new();
    let kind = match config.content_type.as_deref() {
        Some(kind) => Template::constant(kind),
        None => Template::ContentType(context.format.name()),
    };
    found.push((CONTENT_TYPE, kind));
    for (name, value) in &config.headers {
        let key = ["headers", name.as_str()];
        match (HeaderName::try_from(name.as_str()), Template::parse(value)) {
            (Ok(name), Ok(template)) => found.push((name, template)),
            (Err(_), _) => problems.push(Problem::at(&key, "not a name of a header")),
            (_, Err(error)) => problems.push(Problem::at(&key, error)),
        }
    }
    let mut secret = |key: &[&str], reference: &str| {
        let found = context
            .site
            .secret(reference)
            .map_err(|message| Problem::at(key, message));
        endpoint::noting(problems, found)
    };
    let mut shown = Vec::new();
    if let Some(key) = &config.key
        && let Some(value) = secret(&["key", "secret"], key.secret.as_str())
    {
        shown.push((key.header.clone(), value));
    }
    if let Some(basic) = &config.basic
        && let Some(password) = secret(&["basic", "password"], basic.password.as_str())
    {
        shown.push((
            AUTHORIZATION.as_str().to_owned(),
            basic_header(&basic.user, &password),
        ));
    }
    if let Some(bearer) = &config.bearer
        && let Some(token) = secret(&["bearer"], bearer.as_str())
    {
        shown.push((AUTHORIZATION.as_str().to_owned(), format!("Bearer {token}")));
    }
    for (name, value) in shown {
        match (HeaderName::try_from(name), HeaderValue::from_str(&value)) {
            (Ok(name), Ok(mut value)) => {
                value.set_sensitive(true);
                found.push((name, Template::Fixed(value)));
            }
            (Err(_), _) => problems.push(Problem::at(&["key", "header"], "not a name of a header")),
            (_, Err(_)) => problems.push(Problem::at(
                &[],
                "a secret holds characters that no header can carry",
            )),
        }
    }
    found
}

fn status_table(
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

/// A value of a header.
enum Template {
    Fixed(HeaderValue),
    /// That of a message of this format.
    ContentType(&'static str),
    Parts(Vec<Part>),
}

enum Part {
    Text(String),
    Id,
    Channel,
    Meta(String),
}

impl Template {
    fn constant(text: &str) -> Self {
        Self::Parts(vec![Part::Text(text.to_owned())])
    }

    fn parse(text: &str) -> Result<Self, String> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once('{') {
            let (key, after) = after.split_once('}').ok_or("a `{` without its `}`")?;
            parts.push(Part::Text(before.to_owned()));
            parts.push(match (key, key.strip_prefix("meta.")) {
                ("id", _) => Part::Id,
                ("channel", _) => Part::Channel,
                (_, Some(name)) if !name.is_empty() => Part::Meta(name.to_owned()),
                (_, Some(_) | None) => return Err(format!("no such value `{{{key}}}`")),
            });
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self::Parts(parts))
    }

    fn render(&self, delivery: &Delivery) -> Option<HeaderValue> {
        let parts = match self {
            Self::Fixed(value) => return Some(value.clone()),
            Self::ContentType(format) => {
                let kind = content_type(format, delivery.payload.text());
                return Some(HeaderValue::from_static(kind));
            }
            Self::Parts(parts) => parts,
        };
        let mut text = String::new();
        for part in parts {
            match part {
                Part::Text(constant) => text.push_str(constant),
                Part::Id => text.push_str(&delivery.id.to_string()),
                Part::Channel => text.push_str(&delivery.channel),
                Part::Meta(name) => text.push_str(delivery.metadata.get(name).unwrap_or_default()),
            }
        }
        HeaderValue::from_bytes(text.as_bytes()).ok()
    }
}

struct Settings {
    uri: Uri,
    method: http::Method,
    headers: Vec<(HeaderName, Template)>,
    status: Vec<(std::ops::RangeInclusive<u16>, StatusMeans)>,
    read: AnswerRead,
    answer_within: Duration,
    format: Arc<dyn Format>,
    answers: AnswerTable,
    connections: usize,
}

struct HttpDestination {
    settings: Arc<Settings>,
    pool: Pool,
}

impl Destination for HttpDestination {
    fn send<'a>(&'a self, deliveries: &'a [Delivery]) -> BoxFuture<'a, Vec<Outcome>> {
        Box::pin(async move {
            let mut outcomes = Vec::with_capacity(deliveries.len());
            for delivery in deliveries {
                let within = self.settings.answer_within;
                let outcome = timeout(within, self.one(delivery)).await;
                outcomes.push(outcome.unwrap_or_else(|_| Err(self.late())));
            }
            outcomes
        })
    }

    fn concurrency(&self) -> usize {
        self.settings.connections
    }

    fn address(&self) -> String {
        // A query may hold a key.
        let uri = &self.settings.uri;
        let authority = uri.authority().map_or("", http::uri::Authority::as_str);
        format!(
            "{}://{authority}{}",
            uri.scheme_str().unwrap_or("http"),
            uri.path()
        )
    }

    fn reach(&self) -> BoxFuture<'_, Option<Result<Reached, DeliveryError>>> {
        Box::pin(async { Some(endpoint::reach(self.pool.connector()).await) })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.pool.clear();
        Box::pin(async {})
    }
}

impl HttpDestination {
    async fn one(&self, delivery: &Delivery) -> Outcome {
        let request = self.request(delivery)?;
        let (response, line) = self.pool.send(request).await?;
        let (status, wait) = (response.status(), retry_after(&response));
        let reply = match read_reply(response).await {
            Ok(Some(reply)) => {
                self.pool.keep(line);
                Some(reply)
            }
            // Too long to keep, or broken off: the status was said all the same.
            Ok(None) | Err(_) => None,
        };
        self.judge(status, wait, reply.filter(|reply| !reply.is_empty()))
    }

    fn request(&self, delivery: &Delivery) -> Result<Request<Body>, DeliveryError> {
        let settings = &self.settings;
        let path = settings
            .uri
            .path_and_query()
            .map_or("/", http::uri::PathAndQuery::as_str);
        let host = settings
            .uri
            .authority()
            .map_or("", http::uri::Authority::as_str);
        let mut request = Request::builder()
            .method(settings.method.clone())
            .uri(path)
            .header(HOST, host)
            .header(CONTENT_LENGTH, delivery.payload.len())
            .header(DELIVERY, delivery.id.to_string());
        for (name, template) in &settings.headers {
            let value = template.render(delivery).ok_or_else(|| {
                let text = format!("the header {name} cannot carry its value");
                DeliveryError::reject("http-header", text)
            })?;
            request = request.header(name, value);
        }
        request
            .body(body(delivery))
            .map_err(|error| DeliveryError::halt("http-request", error.to_string()))
    }

    fn judge(&self, status: StatusCode, wait: Option<String>, reply: Option<Bytes>) -> Outcome {
        let code = status.as_u16();
        let means = self
            .settings
            .status
            .iter()
            .find(|(range, _)| range.contains(&code));
        let means = means.map_or_else(|| usual(status), |(_, means)| *means);
        let class = match means {
            StatusMeans::Delivered if self.settings.read == AnswerRead::Format => {
                return self.read(code, reply);
            }
            StatusMeans::Delivered => {
                return Ok(Delivered {
                    reply,
                    summary: code.to_string(),
                });
            }
            StatusMeans::Retry => Class::Retry,
            StatusMeans::Reject => Class::Reject,
            StatusMeans::Halt => Class::Halt,
        };
        let text = format!("{} answered {code}", self.address());
        let mut error = DeliveryError::new(class, status_code(status), text);
        error.reply = reply;
        error.hint = match (code, wait) {
            (401 | 403 | 407, _) => {
                Some("the peer does not accept who we are: check the secret".to_owned())
            }
            (300..=399, _) => Some("the peer sends elsewhere: write the new address".to_owned()),
            (_, Some(wait)) => Some(format!("the peer asks to wait: {wait}")),
            (_, None) => None,
        };
        Err(error)
    }

    /// The answer in the body of a positive response.
    fn read(&self, code: u16, reply: Option<Bytes>) -> Outcome {
        let unreadable = |reply: Option<Bytes>| {
            let text = format!(
                "{} answered {code} without a readable answer",
                self.address()
            );
            let mut error = DeliveryError::halt("answer-unreadable", text);
            error.reply = reply;
            Err(error)
        };
        let Some(bytes) = reply else {
            return unreadable(None);
        };
        let Ok(answer) = self.settings.format.read_answer(&bytes) else {
            return unreadable(Some(bytes));
        };
        match self.settings.answers.class(&answer) {
            None => Ok(Delivered {
                reply: Some(bytes),
                summary: format!("{code} {}", positive(&answer.code)),
            }),
            Some(class) => {
                let text = format!("{} answered {code} with a negative answer", self.address());
                Err(DeliveryError::new(class, "answer-negative", text).reply(bytes))
            }
        }
    }

    fn late(&self) -> DeliveryError {
        let within = self.settings.answer_within.as_secs_f64();
        let text = format!("{} did not answer within {within} s", self.address());
        DeliveryError::retry("answer-timeout", text).hint("`answer-within` sets the time")
    }
}

fn positive(code: &str) -> &str {
    if code.len() <= 2 { code } else { "yes" }
}

const fn usual(status: StatusCode) -> StatusMeans {
    match status.as_u16() {
        200..=299 => StatusMeans::Delivered,
        408 | 425 | 429 | 500..=599 => StatusMeans::Retry,
        401 | 403 | 407 => StatusMeans::Halt,
        400..=499 => StatusMeans::Reject,
        _ => StatusMeans::Halt,
    }
}

const fn status_code(status: StatusCode) -> &'static str {
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
fn retry_after(response: &Response<Incoming>) -> Option<String> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | ',' | ':' | '-');
    (value.len() <= 40 && value.chars().all(plain)).then(|| match value.parse::<u64>() {
        Ok(seconds) => format!("{seconds} s"),
        Err(_) => format!("until {value}"),
    })
}

/// The body of a response; `None` if it is too long to keep.
async fn read_reply(response: Response<Incoming>) -> Result<Option<Bytes>, hyper::Error> {
    let (mut body, mut reply) = (response.into_body(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        if let Ok(bytes) = frame?.into_data() {
            if reply.len() + bytes.len() > REPLY_BYTES_MAX {
                return Ok(None);
            }
            reply.extend_from_slice(&bytes);
        }
    }
    Ok(Some(reply.freeze()))
}
