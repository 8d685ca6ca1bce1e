//! The stores as the channels of this node reach them: the same routes, without a socket.
//!
//! A request of a channel carries the id of its delivery. What it changes is committed with that
//! id and with the names of what was changed; when the delivery comes again nothing is changed and
//! the answer is made of that record.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use hilum_component::{
    BoxFuture, DELIVERY_ID_MAX, FhirChanges, FhirPort, FhirRequest, FhirResponse, FhirWanted,
};
use hilum_fhir::IssueType;
use hilum_fhir_store::{Commit, Committed, Delivery, DeliveryId, StoreError};
use http::{Method, StatusCode, header};
use tokio::sync::watch;

use crate::beside::Beside;
use crate::bundle::Bundle;
use crate::call::{Answer, Call, Content, Reply};
use crate::fault::{Fault, etag};
use crate::request::{Conditions, Format, Kind, Media, Prefer, Return, pairs};
use crate::route;
use crate::server::Fhir;
use crate::slot::{Alone, Slot};
use crate::subscription;

/// Under which the stores are known to channels; no client uses it.
pub(crate) const BASE: &str = "http://localhost";

/// The delivery that a request belongs to.
#[derive(Clone)]
pub(crate) struct Delivering {
    id: String,
    /// What was recorded of it, if it came before.
    known: Arc<OnceLock<Committed>>,
}

impl Delivering {
    pub(crate) fn new(id: String) -> Self {
        let known = Arc::default();
        Self { id, known }
    }

    /// The same for one request of a batch, which is done for itself.
    pub(crate) fn entry(&self, at: usize) -> Self {
        Self::new(format!("{}/{at}", self.id))
    }

    /// The answer of a delivery that was recorded before; else the one that was made now.
    pub(crate) fn answer(&self, call: &Call, made: Result<Reply, Fault>) -> Result<Reply, Fault> {
        match self.known.get() {
            Some(known) => recorded(call, known),
            None => made,
        }
    }
}

impl Call {
    /// The place of the tenant.
    pub(crate) fn slot(&self) -> Result<&Arc<Slot>, Fault> {
        let slot = self.fhir.tenants.get(&self.tenant.name);
        slot.ok_or_else(|| Fault::failed("the tenant has no place; this is a bug in hilum"))
    }

    async fn slotted(
        &self,
        commit: Commit,
        alone: Option<&Alone>,
    ) -> Result<Committed, StoreError> {
        let slot = self.slot().map_err(|_| StoreError::Closed)?;
        match alone {
            Some(_) => slot.commit_alone(&self.tenant, commit).await,
            None => slot.commit(&self.tenant, commit).await,
        }
    }

    /// Commits, under the id of the delivery where the request belongs to one.
    pub(crate) async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        self.commit_with(commit, None).await
    }

    /// As [`Call::commit`], perhaps while nobody else may commit.
    pub(crate) async fn commit_with(
        &self,
        mut commit: Commit,
        alone: Option<&Alone>,
    ) -> Result<Committed, StoreError> {
        if let Some(beside) = &self.beside {
            beside.mark(&mut commit);
        }
        let Some(delivering) = &self.delivering else {
            return self.slotted(commit, alone).await;
        };
        let names = commit.changes.iter().map(|change| {
            let name = self.tenant.type_name(change.resource_type);
            format!("{name}/{}\n", change.id)
        });
        commit.delivery = Some(Delivery {
            id: DeliveryId(delivering.id.clone()),
            reply: Bytes::from(names.collect::<String>()),
        });
        let committed = self.slotted(commit, alone).await?;
        if committed.repeated.is_some() {
            // Set at most once: a request commits once.
            drop(delivering.known.set(committed.clone()));
        }
        Ok(committed)
    }
}

/// The answer to what was changed before: where it is, or a Bundle that says so of each change.
fn recorded(call: &Call, known: &Committed) -> Result<Reply, Fault> {
    let names = known.repeated.as_deref().unwrap_or_default();
    if names.is_empty() && known.written.iter().any(|one| one.version > 0) {
        // What it was about was erased, and its names with it.
        return Err(Fault::erased());
    }
    let names = std::str::from_utf8(names)
        .map_err(|_| Fault::failed("the record of a delivery cannot be read"))?;
    // Of one that came late there are two versions, of which the answer names the last.
    let next = names.lines().skip(1).map(Some).chain([None]);
    let each = names.lines().zip(&known.written).zip(next);
    let each = each.filter(|((name, _), next)| *next != Some(*name));
    let changes = each.map(|((name, written), _)| {
        let location = format!("{}/{name}/_history/{}", call.base, written.version);
        let status = if written.created {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        (status, location, written.version)
    });
    if call.part("type").is_empty() {
        let mut answer = Bundle::new("transaction-response");
        for (status, location, _) in changes {
            let status = status.as_str().to_owned();
            let members = [("status", status.as_str()), ("location", location.as_str())];
            answer.entry(|entry| entry.response(&members, None));
        }
        return Ok(Reply::json(answer.finish()));
    }
    let mut changes = changes;
    let (status, location, version) = changes
        .next()
        .ok_or_else(|| Fault::failed("the record of a delivery is empty"))?;
    let mut reply = Reply::new(status, Answer::None).with(header::LOCATION, &location);
    reply.headers.extend(etag(u64::from(version)));
    Ok(reply)
}

/// The server as a port.
struct Port(Arc<Fhir>);

impl Fhir {
    /// The way by which the channels of this node reach the stores.
    #[must_use]
    pub fn port(self: &Arc<Self>) -> Arc<dyn FhirPort> {
        Arc::new(Port(Arc::clone(self)))
    }
}

impl FhirPort for Port {
    fn request(&self, tenant: &str, request: FhirRequest) -> BoxFuture<'_, FhirResponse> {
        let tenant = tenant.to_owned();
        Box::pin(async move {
            let answered = answer(&self.0, &tenant, request).await;
            answered.unwrap_or_else(|fault| FhirResponse {
                status: fault.status.as_u16(),
                location: None,
                body: Some(hilum_fhir::operation_outcome_json(&fault.problems).into()),
            })
        })
    }

    fn changes(
        &self,
        tenant: &str,
        wanted: FhirWanted,
    ) -> BoxFuture<'_, Result<FhirChanges, String>> {
        let slot = self.0.tenants.get(tenant).map(Arc::clone);
        Box::pin(async move {
            let slot = slot.ok_or("there is no such tenant")?;
            subscription::changes(&slot.now(), &wanted).await
        })
    }

    fn commits(&self, tenant: &str) -> Option<watch::Receiver<u64>> {
        let slot = self.0.tenants.get(tenant)?;
        Some(slot.now().subscriptions.commits())
    }
}

async fn answer(
    fhir: &Arc<Fhir>,
    tenant: &str,
    request: FhirRequest,
) -> Result<FhirResponse, Fault> {
    let slot = fhir
        .tenants
        .get(tenant)
        .ok_or_else(|| Fault::missing(IssueType::NotSupported, "there is no such tenant"))?;
    let tenant = slot.now();
    if request.body.len() > fhir.limits.body_bytes_max {
        return Err(Fault::too_large(fhir.limits.body_bytes_max));
    }
    let (delivery, apart) = (request.delivery, request.apart);
    if apart.is_some() && delivery.is_none() {
        return Err(Fault::failed(
            "attachments without a delivery; this is a bug in hilum",
        ));
    }
    if delivery
        .as_ref()
        .is_some_and(|id| id.len() > DELIVERY_ID_MAX)
    {
        let text = "the id of the delivery is too long";
        return Err(Fault::bad(IssueType::TooLong, text));
    }
    let (path, query) = match request.target.split_once('?') {
        Some((path, query)) => (path, query),
        None => (request.target.as_str(), ""),
    };
    let query = pairs(query).map_err(|_| Fault::bad(IssueType::Value, "the query is not UTF-8"))?;
    let method = Method::from_bytes(request.method.name().as_bytes())
        .map_err(|_| Fault::failed("a method of the port is none of HTTP"))?;
    let (entry, parts) = route::find(&fhir.entries, &method, &format!("/{path}"))?;
    let caller = IpAddr::V4(Ipv4Addr::LOCALHOST);
    route::permitted(entry, caller)?;
    let public = fhir.public.as_deref().unwrap_or(BASE);
    let base: Arc<str> = format!("{public}{}{}", fhir.path, tenant.path()).into();
    let delivering = delivery.map(Delivering::new);
    let beside = match apart {
        Some(apart) => Some(Arc::new(Beside::take(&tenant, apart).await?)),
        None => None,
    };
    let call = Call {
        moment: None,
        tenant,
        parts,
        query,
        conditions: Conditions {
            if_none_exist: request.if_none_exist,
            ..Conditions::default()
        },
        prefer: Prefer {
            // Who delivers a resource has it.
            returns: delivering.as_ref().map(|_| Return::Minimal),
            ..Prefer::default()
        },
        languages: None,
        media: Media::JSON,
        body: content(request.body),
        base,
        caller,
        fhir: Arc::clone(fhir),
        delivering: delivering.clone(),
        beside,
    };
    let base = format!("{}/", call.base);
    let made = (entry.handle)(call.clone()).await;
    let reply = match delivering {
        Some(delivering) => delivering.answer(&call, made)?,
        None => made?,
    };
    let reply = reply.whole().await?;
    Ok(FhirResponse {
        status: reply.status.as_u16(),
        location: located(&reply, &base),
        body: match reply.content {
            Answer::None => None,
            Answer::Json(json) => Some(json.into()),
            Answer::Raw(bytes, _) => Some(bytes),
            Answer::Lines(..) | Answer::Apart(_) => return Err(too_long()),
        },
    })
}

/// Files go to clients piece by piece, which neither a channel nor a bundle can take.
pub(crate) fn too_long() -> Fault {
    Fault::bad(
        IssueType::NotSupported,
        "a file is given by HTTP alone, not within something else",
    )
}

fn content(bytes: Bytes) -> Content {
    if bytes.is_empty() {
        return Content::NONE;
    }
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
    let format = match text.trim_ascii_start().first() {
        Some(b'<') => Format::Xml,
        Some(_) | None => Format::Json,
    };
    let mark = bytes.len() - text.len();
    Content {
        kind: Kind::Resource(format),
        bytes: bytes.slice(mark..),
    }
}

/// Where the resource is, below the base.
fn located(reply: &Reply, base: &str) -> Option<String> {
    let found = reply
        .headers
        .iter()
        .find(|(name, _)| *name == header::LOCATION);
    let location = found?.1.to_str().ok()?;
    Some(location.strip_prefix(base).unwrap_or(location).to_owned())
}
