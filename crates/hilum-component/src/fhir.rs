//! The FHIR stores of this node, as channels reach them.
//!
//! A request is what it would be over HTTP, without a socket: the same interactions, the same
//! statuses, the same OperationOutcomes, so that a component has one way for a store of this node
//! and for a server elsewhere. What is added is the id of a delivery, which the store keeps in the
//! transaction of the change: a repeat changes nothing and is answered as the first time.
//!
//! Components are built before the server runs and outlive its reload, so they get a
//! [`FhirDoor`], which the program opens when the server is there.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use hilum_message::Tokens;
use tokio::sync::watch;

use crate::{BlobReader, BoxFuture};

/// The FHIR stores of this node; implemented by its FHIR server.
pub trait FhirPort: Send + Sync {
    /// Does what a request asks of a tenant's store; the empty name is the first one. Dropping the
    /// future gives the answer up, not the change.
    fn request(&self, tenant: &str, request: FhirRequest) -> BoxFuture<'_, FhirResponse>;

    /// What was changed behind a place, in the order of the changes. The error says why that
    /// cannot be told, without content.
    fn changes(
        &self,
        tenant: &str,
        wanted: FhirWanted,
    ) -> BoxFuture<'_, Result<FhirChanges, String>>;

    /// Changes whenever something may have been committed by this node; `None` if there is no such
    /// tenant.
    fn commits(&self, tenant: &str) -> Option<watch::Receiver<u64>>;
}

/// Which changes of a store are wanted.
#[derive(Clone, PartialEq, Eq)]
pub struct FhirWanted {
    /// The types of the resources.
    pub types: Vec<String>,
    /// Criteria of a search that the resource matches: as it became, or as it was before it was
    /// deleted. They are asked of the resource alone.
    pub query: String,
    /// Behind which place.
    pub after: FhirPlace,
    /// Changes that are looked at, at most.
    pub max: usize,
}

/// A query may hold identifiers.
impl fmt::Debug for FhirWanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FhirWanted({:?}, {:?})", self.types, self.after)
    }
}

/// A place in the changes of a store, which have numbers without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FhirPlace {
    /// Before the first one.
    Beginning,
    /// Behind the last one.
    End,
    /// Before those of a time, in milliseconds since 1970.
    Time(i64),
    /// Behind the change of a number.
    Number(i64),
}

/// Changes of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FhirChanges {
    /// Those that match, in their order.
    pub changes: Vec<FhirChange>,
    /// The place behind all that was looked at. Where it is the place that was asked about, there
    /// is nothing behind it.
    pub to: i64,
}

/// One change.
#[derive(Clone, PartialEq, Eq)]
pub struct FhirChange {
    /// Its number.
    pub number: i64,
    /// What was done.
    pub interaction: FhirInteraction,
    /// To which resource: `Patient/7`.
    pub target: String,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// The resource as it became, in JSON; empty if it was deleted.
    pub body: Bytes,
}

/// The body is content, and the target may be an identifier.
impl fmt::Debug for FhirChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FhirChange({}, {:?})", self.number, self.interaction)
    }
}

/// What is done to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FhirInteraction {
    /// It did not exist before.
    Create,
    /// It existed before.
    Update,
    /// It exists no more.
    Delete,
}

/// A request to a store, as it would be over HTTP (FHIR R4 http.html).
#[derive(Clone, Default)]
pub struct FhirRequest {
    /// What is done.
    pub method: FhirMethod,
    /// Path and query below the base: `Patient/7`, `Patient?identifier=...`, empty for a Bundle.
    pub target: String,
    /// The condition of a conditional create (`If-None-Exist`).
    pub if_none_exist: Option<String>,
    /// The resource in JSON or XML; empty for a read.
    pub body: Bytes,
    /// What of the body lies elsewhere; such a request needs a `delivery`.
    pub apart: Option<FhirApart>,
    /// The same on every attempt of one delivery, at most [`DELIVERY_ID_MAX`] bytes. A change
    /// with it is done once, and answered without the resource.
    pub delivery: Option<String>,
}

/// Large attachments of a request, each the text of a `base64Binary`. Tokens stand for them in the
/// body, which is base64 as well; the store reads and keeps them part by part.
#[derive(Clone)]
pub struct FhirApart {
    /// The tokens in the body.
    pub tokens: Tokens,
    /// Reads what they stand for.
    pub blobs: Arc<dyn BlobReader>,
}

impl fmt::Debug for FhirApart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FhirApart({} attachments)", self.tokens.ranges().len())
    }
}

/// The longest id of a delivery, in bytes.
pub const DELIVERY_ID_MAX: usize = 200;

/// The target may hold identifiers and the body is content: only the method and sizes are shown.
impl fmt::Debug for FhirRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.body.len();
        write!(f, "FhirRequest({}, {bytes} bytes)", self.method.name())
    }
}

/// What a request does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FhirMethod {
    /// Reads.
    #[default]
    Get,
    /// Creates, or takes a Bundle.
    Post,
    /// Updates.
    Put,
    /// Deletes.
    Delete,
}

impl FhirMethod {
    /// The method of HTTP.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// What a store answers.
#[derive(Clone, PartialEq, Eq)]
pub struct FhirResponse {
    /// The status of HTTP.
    pub status: u16,
    /// Where the resource is, with its version.
    pub location: Option<String>,
    /// A resource in JSON: what was asked for, or an OperationOutcome.
    pub body: Option<Bytes>,
}

impl fmt::Debug for FhirResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FhirResponse({})", self.status)
    }
}

/// The way to the FHIR stores of this node, closed until the program opens it.
#[derive(Clone, Default)]
pub struct FhirDoor(Arc<RwLock<Option<Arc<dyn FhirPort>>>>);

impl FhirDoor {
    /// From now on the stores can be reached.
    pub fn open(&self, port: Arc<dyn FhirPort>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(port);
    }

    /// They cannot be reached any more.
    pub fn close(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The stores, while they can be reached.
    #[must_use]
    pub fn port(&self) -> Option<Arc<dyn FhirPort>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl fmt::Debug for FhirDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.port().is_some() {
            "open"
        } else {
            "closed"
        };
        write!(f, "FhirDoor({state})")
    }
}

/// The FHIR stores that a site has, for components that are built for it.
#[derive(Clone, Debug, Default)]
pub struct FhirStores {
    /// The names of those beside the first.
    pub tenants: Vec<String>,
    /// The way to them.
    pub door: FhirDoor,
}
