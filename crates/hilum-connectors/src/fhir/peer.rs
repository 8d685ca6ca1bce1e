//! The server at the other end: a store of this node, or one elsewhere over HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hilum_component::{
    BlobReader, BoxFuture, BuildContext, Delivery, DeliveryError, FhirApart, FhirDoor, FhirMethod,
    FhirRequest, Millis, Problem, Reached, Secret, SystemInfo, SystemName,
};
use hilum_message::{BlobRange, Payload, Tokens};
use hilum_net::Connector;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HOST, LOCATION};
use http::{HeaderName, HeaderValue, Request, Uri};
use tokio::time::timeout;

use super::ask::Ask;
use super::untimed::untimed;
use crate::endpoint::{self, Tls};
use crate::http::client::{Body, Pool, body, inline};
use crate::http::config::{Basic, Key, content_type};
use crate::http::way::{self, Written, read_reply, retry_after};

/// The header that carries the delivery's id, the same on every attempt.
const DELIVERY: HeaderName = HeaderName::from_static("x-hilum-delivery");
const IF_NONE_EXIST: HeaderName = HeaderName::from_static("if-none-exist");
/// The largest message for a store of this node, without its attachments.
const LOCAL_BYTES_MAX: u64 = 50_000_000;
/// What the attachments of a message for a store of this node may have together.
const LOCAL_ATTACHMENT_BYTES_MAX: u64 = 1_000_000_000;
/// The word for a store of this node.
pub(super) const LOCAL: &str = "local";

/// How a server is written in a configuration.
pub(super) struct Server<'w> {
    /// The key of the address.
    pub(super) key: &'static str,
    pub(super) address: Option<&'w str>,
    pub(super) tenant: Option<&'w str>,
    pub(super) system: Option<&'w SystemName>,
    pub(super) shown: (Option<&'w Key>, Option<&'w Basic>, Option<&'w Secret>),
    pub(super) tls: Option<&'w Tls>,
    pub(super) connect_within: Option<Millis>,
}

/// A server that was found in a configuration.
#[derive(Clone)]
pub(super) enum Place {
    /// A store of this node.
    Local { door: FhirDoor, tenant: String },
    /// A server elsewhere.
    Remote {
        uri: Uri,
        connector: Connector,
        headers: Vec<(HeaderName, HeaderValue)>,
    },
}

impl Server<'_> {
    /// Finds the server; what is wrong is noted.
    pub(super) fn place(
        &self,
        context: &BuildContext<'_>,
        problems: &mut Vec<Problem>,
    ) -> Option<Place> {
        let system = endpoint::noting(problems, endpoint::system(context, self.system))?;
        let found = if self.address == Some(LOCAL) {
            self.local(context)
        } else {
            self.remote(context, system.as_deref(), problems)
        };
        endpoint::noting(problems, found)
    }

    fn local(&self, context: &BuildContext<'_>) -> Result<Place, Problem> {
        let stores = context.site.fhir().ok_or_else(|| {
            Problem::at(&[self.key], "the site has no FHIR server")
                .hint("write `fhir: {}` in hilum.yaml")
        })?;
        let tenant = self.tenant.unwrap_or_default().to_owned();
        if !tenant.is_empty() && !stores.tenants.contains(&tenant) {
            let problem = Problem::at(&["tenant"], format!("there is no tenant `{tenant}`"));
            let known = stores.tenants.join(", ");
            return Err(problem.hint(format!("tenants of hilum.yaml: {known}")));
        }
        let (key, basic, bearer) = self.shown;
        if key.is_some() || basic.is_some() || bearer.is_some() || self.tls.is_some() {
            let text = "a store of this node is reached without a network: nothing is shown to it";
            return Err(Problem::at(&[], text));
        }
        let door = stores.door;
        Ok(Place::Local { door, tenant })
    }

    fn remote(
        &self,
        context: &BuildContext<'_>,
        system: Option<&SystemInfo>,
        problems: &mut Vec<Problem>,
    ) -> Result<Place, Problem> {
        if self.tenant.is_some() {
            let text = "a server elsewhere has its tenant in the URL";
            return Err(Problem::at(&["tenant"], text));
        }
        let written = Written {
            technology: "fhir",
            key: self.key,
            url: self.address,
            tls: self.tls,
            connect_within: self.connect_within,
        };
        let (uri, connector) = written.way(context, system)?;
        if uri.query().is_some() {
            return Err(Problem::at(&[self.key], "a base URL has no `?`"));
        }
        let (key, basic, bearer) = self.shown;
        Ok(Place::Remote {
            headers: way::shown(context, key, basic, bearer, problems),
            uri,
            connector,
        })
    }
}

impl Place {
    /// Where it is, for people.
    pub(super) fn address(&self) -> String {
        match self {
            Self::Local { tenant, .. } if tenant.is_empty() => LOCAL.to_owned(),
            Self::Local { tenant, .. } => format!("{LOCAL}/{tenant}"),
            Self::Remote { uri, .. } => uri.to_string().trim_end_matches('/').to_owned(),
        }
    }

    /// The server, ready to be asked.
    pub(super) fn open(&self, connections: usize, within: Duration) -> Peer {
        let pool = match self {
            Self::Local { .. } => None,
            Self::Remote { connector, .. } => Some(Pool::new(connector.clone(), connections)),
        };
        Peer {
            place: self.clone(),
            address: self.address(),
            pool,
            within,
        }
    }
}

/// A server that can be asked.
pub(super) struct Peer {
    place: Place,
    address: String,
    pool: Option<Pool>,
    within: Duration,
}

/// What a server answers.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) location: Option<String>,
    /// `None` also where it was too long to keep.
    pub(super) body: Option<Bytes>,
    /// How long the server asks to wait.
    pub(super) wait: Option<String>,
}

impl Peer {
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// The server is elsewhere.
    pub(super) const fn is_remote(&self) -> bool {
        self.pool.is_some()
    }

    /// Closes connections that are not in use.
    pub(super) fn close(&self) {
        if let Some(pool) = &self.pool {
            pool.clear();
        }
    }

    /// Goes as far as is possible without asking for anything.
    pub(super) async fn reach(&self) -> Result<Reached, DeliveryError> {
        match (&self.place, &self.pool) {
            (Place::Local { door, .. }, _) => match door.port() {
                Some(_) => Ok(Reached::default()),
                None => Err(self.closed()),
            },
            (Place::Remote { .. }, Some(pool)) => endpoint::reach(pool.connector()).await,
            (Place::Remote { .. }, None) => Ok(Reached::default()),
        }
    }

    /// Sends what a delivery asks for.
    pub(super) async fn deliver(
        &self,
        ask: &Ask,
        delivery: &Delivery,
        bytes_max: usize,
    ) -> Result<Answer, DeliveryError> {
        let exchanged = async {
            match (&self.place, &self.pool) {
                (Place::Remote { uri, headers, .. }, Some(pool)) => {
                    let request = self.request(uri, headers, ask, &delivery.blobs)?;
                    let (mut head, body) = request.into_parts();
                    if let Ok(id) = HeaderValue::from_str(&delivery.id.to_string()) {
                        head.headers.insert(DELIVERY, id);
                    }
                    exchange(pool, Request::from_parts(head, body), bytes_max).await
                }
                (Place::Local { door, tenant }, _) => {
                    bounded(&ask.payload)?;
                    let blobs = Arc::new(Told {
                        blobs: Arc::clone(&delivery.blobs),
                        failed: AtomicBool::new(false),
                    });
                    let (body, tokens) = Tokens::embed(&ask.payload);
                    let request = FhirRequest {
                        method: ask.method,
                        target: ask.target.clone(),
                        if_none_exist: ask.if_none_exist.clone(),
                        body,
                        apart: tokens.map(|tokens| FhirApart {
                            tokens,
                            blobs: Arc::clone(&blobs) as Arc<dyn BlobReader>,
                        }),
                        delivery: Some(delivery.id.to_string()),
                    };
                    let answer = self.ask_local(door, tenant, request).await;
                    if blobs.failed.load(Ordering::Relaxed) {
                        let text = "an attachment of the message cannot be read";
                        return Err(DeliveryError::halt("fhir-blob", text));
                    }
                    answer
                }
                (Place::Remote { .. }, None) => Err(self.closed()),
            }
        };
        timeout(self.within, exchanged)
            .await
            .unwrap_or_else(|_| Err(self.late()))
    }

    /// Reads what lies at a target below the base.
    pub(super) async fn read(
        &self,
        target: &str,
        bytes_max: usize,
    ) -> Result<Answer, DeliveryError> {
        let exchanged = async {
            match (&self.place, &self.pool) {
                (Place::Remote { uri, headers, .. }, Some(pool)) => {
                    let request =
                        head(uri, headers, FhirMethod::Get, target).body(inline(Bytes::new()));
                    let request = request.map_err(|error| refused(&error))?;
                    exchange(pool, request, bytes_max).await
                }
                (Place::Local { door, tenant }, _) => {
                    let request = FhirRequest {
                        target: target.to_owned(),
                        ..FhirRequest::default()
                    };
                    self.ask_local(door, tenant, request).await
                }
                (Place::Remote { .. }, None) => Err(self.closed()),
            }
        };
        timeout(self.within, exchanged)
            .await
            .unwrap_or_else(|_| Err(self.late()))
    }

    /// The target of a link that the server gave; `None` if it leads elsewhere.
    pub(super) fn target_of(&self, link: &str, resource_type: &str) -> Option<String> {
        let Place::Remote { uri, .. } = &self.place else {
            let sign = format!("/{resource_type}?");
            let at = link.find(&sign)?;
            return link.get(at + 1..).map(str::to_owned);
        };
        let link: Uri = link.parse().ok()?;
        let same = link
            .authority()
            .is_none_or(|own| Some(own) == uri.authority());
        let base = uri.path().trim_end_matches('/');
        let rest = link.path().strip_prefix(base).filter(|_| same)?;
        let rest = rest.trim_start_matches('/');
        Some(match link.query() {
            Some(query) => format!("{rest}?{query}"),
            None => rest.to_owned(),
        })
    }

    async fn ask_local(
        &self,
        door: &FhirDoor,
        tenant: &str,
        request: FhirRequest,
    ) -> Result<Answer, DeliveryError> {
        let port = door.port().ok_or_else(|| self.closed())?;
        let response = port.request(tenant, request).await;
        Ok(Answer {
            status: response.status,
            location: response.location,
            body: response.body,
            wait: None,
        })
    }

    fn request(
        &self,
        uri: &Uri,
        headers: &[(HeaderName, HeaderValue)],
        ask: &Ask,
        blobs: &Arc<dyn BlobReader>,
    ) -> Result<Request<Body>, DeliveryError> {
        let payload = untimed(&ask.payload);
        let payload = payload.as_ref().unwrap_or(&ask.payload);
        let mut request = head(uri, headers, ask.method, &ask.target)
            .header(CONTENT_TYPE, content_type("fhir", payload.text()))
            .header(CONTENT_LENGTH, payload.len());
        if let Some(condition) = &ask.if_none_exist {
            request = request.header(IF_NONE_EXIST, condition);
        }
        request
            .body(body(payload, blobs))
            .map_err(|error| refused(&error))
    }

    fn closed(&self) -> DeliveryError {
        let text = "the FHIR server of this node does not run";
        DeliveryError::retry("fhir-closed", text)
    }

    fn late(&self) -> DeliveryError {
        let within = self.within.as_secs_f64();
        let text = format!("{} did not answer within {within} s", self.address);
        DeliveryError::retry("answer-timeout", text).hint("`answer-within` sets the time")
    }
}

fn head(
    uri: &Uri,
    headers: &[(HeaderName, HeaderValue)],
    method: FhirMethod,
    target: &str,
) -> http::request::Builder {
    let base = uri.path().trim_end_matches('/');
    let path = match target {
        "" if base.is_empty() => "/".to_owned(),
        "" => base.to_owned(),
        query if query.starts_with('?') => format!("{base}{query}"),
        target => format!("{base}/{target}"),
    };
    let host = uri.authority().map_or("", http::uri::Authority::as_str);
    let mut request = Request::builder()
        .method(method.name())
        .uri(path)
        .header(HOST, host)
        .header(ACCEPT, "application/fhir+json");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request
}

fn refused(error: &http::Error) -> DeliveryError {
    // The error names what is wrong with the request's form, not the request.
    DeliveryError::reject("http-request", error.to_string())
}

async fn exchange(
    pool: &Pool,
    request: Request<Body>,
    bytes_max: usize,
) -> Result<Answer, DeliveryError> {
    let (response, line) = pool.send(request).await?;
    let (status, wait) = (response.status().as_u16(), retry_after(&response));
    let location = response.headers().get(LOCATION);
    let location = location
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let body = match read_reply(response, bytes_max).await {
        Ok(Some(body)) => {
            pool.keep(line);
            Some(body)
        }
        // Too long to keep, or broken off: the status was said all the same.
        Ok(None) | Err(_) => None,
    };
    Ok(Answer {
        status,
        location,
        body: body.filter(|body| !body.is_empty()),
        wait,
    })
}

/// Reads what lies outside of a message, and remembers when that failed: the fault is then neither
/// the message's nor the server's.
struct Told {
    blobs: Arc<dyn BlobReader>,
    failed: AtomicBool,
}

impl BlobReader for Told {
    fn read<'a>(
        &'a self,
        range: &'a BlobRange,
        offset: u64,
        length: usize,
    ) -> BoxFuture<'a, std::io::Result<Bytes>> {
        Box::pin(async move {
            let read = self.blobs.read(range, offset, length).await;
            if read.as_ref().is_ok_and(|read| !read.is_empty()) {
                return read;
            }
            self.failed.store(true, Ordering::Relaxed);
            Err(std::io::Error::other("an attachment cannot be read"))
        })
    }
}

/// Refuses a message that is larger than a store of this node takes.
fn bounded(payload: &Payload) -> Result<(), DeliveryError> {
    let text = payload.text().len() as u64;
    let beyond = |limit: &str, max: u64| {
        let text = format!("the message exceeds `{limit}`, {max} bytes");
        DeliveryError::reject("fhir-too-large", text)
    };
    if text > LOCAL_BYTES_MAX {
        return Err(beyond("local-bytes", LOCAL_BYTES_MAX));
    }
    if payload.len() - text > LOCAL_ATTACHMENT_BYTES_MAX {
        let name = "local-attachment-bytes";
        return Err(beyond(name, LOCAL_ATTACHMENT_BYTES_MAX));
    }
    Ok(())
}
