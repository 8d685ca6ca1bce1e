//! Connections, and what is refused before any route is looked for.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hilum_component::Stop;
use hilum_db::Cancel;
use hilum_fhir::IssueType;
use hilum_fhir_store::StoreError;
use hilum_net::{Connection, Listener};
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::bulk::import;
use crate::call::{Call, Content, Reply};
use crate::fault::Fault;
use crate::jobs;
use crate::limits::Limits;
use crate::request::{
    Conditions, Kind, Media, Prefer, accepted, asked_format, body_format, pairs, sent, unpack,
    unsupported,
};
use crate::respond::{self, Shape};
use crate::route::{self, Entry};
use crate::slot::Slot;
use crate::subscription;
use crate::tenant::Tenant;
use crate::time::Clock;

/// How long connections may go on after a stop was requested.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// The unit in which [`Limits::bodies_bytes_max`] is given out.
const BODY_UNIT: usize = 1_024;
/// A disk that is full is told of no more often: the log may lie on it.
const FULL_TOLD_EVERY_MS: i64 = 10_000;

/// A FHIR server: its tenants, its routes, its limits.
pub struct Fhir {
    pub(crate) tenants: BTreeMap<String, Arc<Slot>>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) limits: Limits,
    pub(crate) clock: Clock,
    /// The path before everything, such as `/fhir`.
    pub(crate) path: String,
    /// Scheme and authority under which clients reach the server; from `Host` where not set.
    pub(crate) public: Option<String>,
    /// Web pages of these origins may call; none by default.
    pub(crate) origins: Vec<String>,
    /// Files below this folder may be imported.
    pub(crate) import_folder: Option<std::path::PathBuf>,
    /// Files below these URLs may be imported.
    pub(crate) import_from: Vec<String>,
    /// How those of `https` are trusted.
    pub(crate) import_tls: Option<Arc<hilum_net::ClientTls>>,
    pub(crate) bodies: Arc<Semaphore>,
    pub(crate) ids: crate::open::Ids,
    pub(crate) jobs: crate::jobs::Jobs,
    pub(crate) hub: Arc<crate::subscription::Hub>,
    /// When a full disk was last told of; 0 is never.
    pub(crate) full_told_ms: AtomicI64,
}

impl std::fmt::Debug for Fhir {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fhir")
            .field("tenants", &self.tenants.keys())
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Fhir {
    pub(crate) fn bodies(limits: &Limits) -> Arc<Semaphore> {
        let units = limits.bodies_bytes_max / BODY_UNIT;
        Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS)))
    }

    /// Tells of a request that failed through no fault of the client.
    fn tell(&self, fault: &Fault) {
        let status = fault.status;
        if !status.is_server_error() || status == StatusCode::SERVICE_UNAVAILABLE {
            return;
        }
        if status == StatusCode::INSUFFICIENT_STORAGE {
            let now = (self.clock)();
            let last = self.full_told_ms.load(Ordering::Relaxed);
            if last != 0 && now - last < FULL_TOLD_EVERY_MS {
                return;
            }
            self.full_told_ms.store(now, Ordering::Relaxed);
        }
        let problem = fault.problems.first();
        let text = problem.map_or("", |problem| &problem.text);
        let code = problem.map_or("", |problem| problem.code.code());
        tracing::error!(
            status = status.as_u16(),
            code,
            "a FHIR request failed: {text}"
        );
    }

    /// The tenant that a path names, and the rest of the path, with a slash before it.
    fn tenant_of(&self, path: &str) -> Result<(Arc<Tenant>, String), Fault> {
        let none = |text: &str| Fault::missing(IssueType::NotSupported, text);
        let rest = path
            .strip_prefix(self.path.as_str())
            .filter(|rest| rest.is_empty() || rest.starts_with('/'))
            .ok_or_else(|| none(&format!("no such path; the API is below {}", self.path)))?;
        let (name, rest) = match rest.strip_prefix("/t/") {
            Some(rest) => rest
                .split_once('/')
                .map_or((rest, String::new()), |(name, rest)| {
                    (name, format!("/{rest}"))
                }),
            None => ("", rest.to_owned()),
        };
        let tenant = self
            .tenants
            .get(name)
            .ok_or_else(|| none("there is no such tenant"))?;
        let rest = match rest.strip_suffix('/') {
            Some(rest) if !rest.is_empty() => rest.to_owned(),
            _ if rest.is_empty() => "/".to_owned(),
            _ => rest,
        };
        Ok((tenant.now(), rest))
    }

    /// What does not hold together in the store of a tenant; kinds and numbers only, empty is good.
    /// Blocks for as long as reading everything takes.
    pub fn verify(&self, tenant: &str, cancel: &Cancel) -> Result<Vec<String>, StoreError> {
        let slot = self.tenants.get(tenant);
        let slot = slot.ok_or(StoreError::Invalid("there is no such tenant"))?;
        slot.now().store.verify(cancel)
    }

    /// Serves until `stop`, then lets the requests end that have begun.
    pub async fn serve(self: Arc<Self>, listener: Listener, mut stop: Stop) {
        let keeper = tokio::spawn(crate::subscription::keep(Arc::clone(&self), stop.clone()));
        let mut connections = tokio::task::JoinSet::new();
        jobs::clean(&self).await;
        let jobs = tokio::spawn(jobs::run(Arc::clone(&self)));
        let mut indexing = tokio::task::JoinSet::new();
        for slot in self.tenants.values() {
            let step = self.limits.reindex_step;
            indexing.spawn(Arc::clone(slot).keep_indexed(step, stop.clone()));
        }
        loop {
            let incoming = tokio::select! {
                incoming = listener.accept() => incoming,
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
                () = stop.requested() => break,
            };
            let (fhir, stop) = (Arc::clone(&self), stop.clone());
            connections.spawn(async move {
                match incoming.handshake().await {
                    Ok(connection) => connected(connection, fhir, stop).await,
                    Err(error) => tracing::debug!(%error, "a connection to the FHIR server failed"),
                }
            });
        }
        drop(listener);
        // Jobs go on after the next start, from what they saved.
        jobs.abort();
        drop(jobs.await);
        if keeper.await.is_err() {
            tracing::error!("the keeper of subscriptions broke down; this is a bug in hilum");
        }
        let ended = async {
            while connections.join_next().await.is_some() {}
            while indexing.join_next().await.is_some() {}
        };
        if tokio::time::timeout(STOP_WITHIN, ended).await.is_err() {
            tracing::warn!("requests to the FHIR server were cut off by the stop");
        }
    }
}

async fn connected(connection: Connection, fhir: Arc<Fhir>, mut stop: Stop) {
    let caller = connection.peer.address.ip();
    let (head_bytes_max, head_within) = (fhir.limits.head_bytes_max, fhir.limits.head_within);
    let service = service_fn(move |request| {
        let fhir = Arc::clone(&fhir);
        async move { Ok::<_, Infallible>(respond_to(request, caller, fhir).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_within)
        .max_buf_size(head_bytes_max.max(8_192))
        .serve_connection(TokioIo::new(connection.stream), service)
        .with_upgrades();
    let mut served = std::pin::pin!(served);
    tokio::select! {
        ended = served.as_mut() => drop(ended),
        () = stop.requested() => {
            served.as_mut().graceful_shutdown();
            drop(served.await);
        }
    }
}

async fn respond_to(
    request: Request<Incoming>,
    caller: IpAddr,
    fhir: Arc<Fhir>,
) -> Response<respond::Body> {
    let head = request.method() == Method::HEAD;
    let mut shape = Shape {
        media: Media::JSON,
        pretty: false,
        coding: accepted(request.headers()),
    };
    let origin = allowed_origin(request.headers(), &fhir.origins);
    let result = answer(request, caller, Arc::clone(&fhir), &mut shape).await;
    let mut response = match result {
        Ok(reply) => respond::reply(reply, &shape).await,
        Err(fault) => {
            fhir.tell(&fault);
            respond::fault(fault, &shape)
        }
    };
    if let Some(origin) = origin {
        respond::allow_origin(&mut response, origin);
    }
    if head {
        respond::without_body(&mut response);
    }
    response
}

fn allowed_origin(headers: &HeaderMap, origins: &[String]) -> Option<http::HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    origins
        .iter()
        .any(|known| known.as_bytes() == origin.as_bytes())
        .then(|| origin.clone())
}

/// Reads the request up to its body, finds who answers, and calls it.
async fn answer(
    request: Request<Incoming>,
    caller: IpAddr,
    fhir: Arc<Fhir>,
    shape: &mut Shape,
) -> Result<Reply, Fault> {
    let uri_bytes = request.uri().path().len() + request.uri().query().map_or(0, str::len);
    if uri_bytes > fhir.limits.url_bytes_max {
        return Err(Fault::new(
            StatusCode::URI_TOO_LONG,
            IssueType::TooLong,
            format!(
                "the URL exceeds {} bytes; a search can be sent as POST to _search",
                fhir.limits.url_bytes_max
            ),
        ));
    }
    // hyper stops reading near the limit, but not at it.
    let fields = request.headers().iter();
    let fields_bytes: usize = fields
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if uri_bytes + fields_bytes > fhir.limits.head_bytes_max {
        let text = format!("the headers exceed {} bytes", fhir.limits.head_bytes_max);
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Err(Fault::new(status, IssueType::TooLong, text));
    }
    let mut query = pairs(request.uri().query().unwrap_or_default())
        .map_err(|_| Fault::bad(IssueType::Value, "the query is not UTF-8"))?;
    common(&mut query, request.headers(), shape)?;
    let authority = known_host(request.headers(), &fhir)?;
    let (tenant, path) = fhir.tenant_of(request.uri().path())?;
    let base: Arc<str> = format!("{authority}{}{}", fhir.path, tenant.path()).into();
    if request.method() == Method::OPTIONS {
        return route::options(&fhir, &path);
    }
    let (entry, parts) = route::find(&fhir.entries, request.method(), &path)?;
    route::permitted(entry, caller)?;
    if entry.route.name == "websocket" && subscription::asks(request.headers()) {
        let slot = fhir.tenants.get(&tenant.name);
        let slot = slot.ok_or_else(|| Fault::failed("the tenant has no place"))?;
        let (parts, body) = request.into_parts();
        let upgrade = hyper::upgrade::on(Request::from_parts(parts.clone(), body));
        return subscription::accept(&parts.headers, upgrade, slot, &fhir.origins);
    }
    let call = Call {
        moment: None,
        tenant,
        parts,
        query,
        conditions: Conditions::of(request.headers())?,
        prefer: Prefer::of(request.headers()),
        languages: languages(request.headers()),
        media: shape.media,
        body: Content::NONE,
        base,
        caller,
        fhir: Arc::clone(&fhir),
        delivering: None,
        beside: None,
    };
    let (handle, searches) = (entry.handle, entry.route.path.ends_with("/_search"));
    if entry.route.name == import::NAME && import::is_lines(request.headers()) {
        return import::streamed(&call, request).await;
    }
    let later = call.prefer.respond_async && jobs::request::takes(entry);
    let method = request.method().clone();
    let Some((body, permit)) = body(request, &fhir).await? else {
        if later {
            return jobs::request::begin(&call, &method, &path).await;
        }
        return handle(call).await;
    };
    let mut call = Call { body, ..call };
    if searches {
        form(&mut call, shape)?;
    }
    let result = if later {
        jobs::request::begin(&call, &method, &path).await
    } else {
        handle(call).await
    };
    drop(permit);
    result
}

/// The languages that the client reads.
fn languages(headers: &HeaderMap) -> Option<Arc<str>> {
    let text = headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?;
    (!text.trim().is_empty()).then(|| text.into())
}

/// Takes what every request may say out of the query.
fn common(
    query: &mut Vec<(String, String)>,
    headers: &HeaderMap,
    shape: &mut Shape,
) -> Result<(), Fault> {
    let mut take = |name: &str| {
        let at = query.iter().position(|(known, _)| known == name)?;
        Some(query.remove(at).1)
    };
    let format = take("_format");
    let pretty = take("_pretty");
    shape.media = asked_format(format.as_deref(), headers)?;
    shape.pretty = match pretty.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => {
            return Err(Fault::bad(
                IssueType::Value,
                "`_pretty` is neither true nor false",
            ));
        }
    };
    Ok(())
}

/// The parameters of a search that is sent as a form; it may say the format there.
fn form(call: &mut Call, shape: &mut Shape) -> Result<(), Fault> {
    if call.body.kind != Kind::Form {
        return Err(unsupported(
            "the parameters of a search are application/x-www-form-urlencoded",
        ));
    }
    let text = std::str::from_utf8(&call.body.bytes)
        .map_err(|_| Fault::bad(IssueType::Value, "the form is not UTF-8"))?;
    let mut form =
        pairs(text).map_err(|_| Fault::bad(IssueType::Value, "the form is not UTF-8"))?;
    if form
        .iter()
        .any(|(name, _)| name == "_format" || name == "_pretty")
    {
        common(&mut form, &HeaderMap::new(), shape)?;
        call.media = shape.media;
    }
    call.query.extend(form);
    Ok(())
}

/// Without credentials, the one thing between a web page and this server is the name by which it
/// is reached: a page that was lured to point a name of its own here sends that name as `Host`.
fn known_host(headers: &HeaderMap, fhir: &Fhir) -> Result<String, Fault> {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    if let Some(public) = &fhir.public
        && public.split("//").nth(1) == Some(host)
    {
        return Ok(public.clone());
    }
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let loopback = name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if !loopback {
        return Err(Fault::new(
            StatusCode::FORBIDDEN,
            IssueType::Forbidden,
            "the Host header names neither a loopback address nor the address of this server",
        ));
    }
    Ok(fhir
        .public
        .clone()
        .unwrap_or_else(|| format!("http://{host}")))
}

/// The body, if there is one, and the room that it takes while it is worked on.
async fn body(
    request: Request<Incoming>,
    fhir: &Fhir,
) -> Result<Option<(Content, OwnedSemaphorePermit)>, Fault> {
    if request.body().is_end_stream() {
        return Ok(None);
    }
    let bytes_max = fhir.limits.body_bytes_max;
    let coding = sent(request.headers())?;
    let kind = body_format(request.headers())?;
    let declared = request.body().size_hint().upper();
    let declared = declared.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    if declared.is_some_and(|bytes| bytes > bytes_max) {
        return Err(Fault::too_large(bytes_max).with(header::CONNECTION, "close"));
    }
    // What is packed may become as large as the limit, and so may what names no length.
    let room = declared.filter(|_| coding.is_none()).unwrap_or(bytes_max);
    let units = u32::try_from(room.min(fhir.limits.bodies_bytes_max).div_ceil(BODY_UNIT));
    let units = units.unwrap_or(u32::MAX).max(1);
    let permit = Arc::clone(&fhir.bodies).acquire_many_owned(units).await;
    let permit = permit.map_err(|_| Fault::failed("the server stops"))?;
    let collected = Limited::new(request.into_body(), bytes_max).collect();
    let collected = tokio::time::timeout(fhir.limits.body_within, collected)
        .await
        .map_err(|_| {
            let text = format!("the body took longer than {:?}", fhir.limits.body_within);
            Fault::new(StatusCode::REQUEST_TIMEOUT, IssueType::Timeout, text)
                .with(header::CONNECTION, "close")
        })?;
    let bytes = collected.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            Fault::too_large(bytes_max).with(header::CONNECTION, "close")
        } else {
            Fault::bad(IssueType::Structure, "the body ended early")
        }
    })?;
    let mut bytes = bytes.to_bytes();
    if let Some(coding) = coding {
        bytes = Bytes::from(unpack(coding, &bytes, bytes_max)?);
    }
    Ok(Some((Content { kind, bytes }, permit)))
}
