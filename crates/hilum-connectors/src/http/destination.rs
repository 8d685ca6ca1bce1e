//! The destination: one request for each message, its status and answer classified.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hilum_component::{
    AnswerTable, BoxFuture, BuildContext, Built, Class, Delivered, Delivery, DeliveryError,
    Destination, DestinationFactory, Format, Outcome, Problem, Reached,
};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{HeaderName, HeaderValue, Request, StatusCode, Uri};
use serde_json::Value;
use tokio::time::timeout;

use super::client::{Body, Pool, body};
use super::config::{AnswerRead, DestinationConfig, StatusMeans, content_type};
use super::way::{self, Written, read_reply, retry_after, status_code, status_table, usual};
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
    let written = Written {
        technology: "http",
        key: "url",
        url: config.url.as_deref(),
        tls: config.tls.as_ref(),
        connect_within: config.connect_within,
    };
    let target = written.way(context, system.as_deref());
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
    let shown = way::shown(
        context,
        config.key.as_ref(),
        config.basic.as_ref(),
        config.bearer.as_ref(),
        problems,
    );
    found.extend(
        shown
            .into_iter()
            .map(|(name, value)| (name, Template::Fixed(value))),
    );
    found
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
        let reply = match read_reply(response, REPLY_BYTES_MAX).await {
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
            .body(body(&delivery.payload, &delivery.blobs))
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
