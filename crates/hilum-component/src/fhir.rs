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

use crate::BoxFuture;

/// The FHIR stores of this node; implemented by its FHIR server.
pub trait FhirPort: Send + Sync {
    /// Does what a request asks of a tenant's store; the empty name is the first one. Dropping the
    /// future gives the answer up, not the change.
    fn request(&self, tenant: &str, request: FhirRequest) -> BoxFuture<'_, FhirResponse>;
}

/// A request to a store, as it would be over HTTP (FHIR R4 http.html).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct FhirRequest {
    /// What is done.
    pub method: FhirMethod,
    /// Path and query below the base: `Patient/7`, `Patient?identifier=...`, empty for a Bundle.
    pub target: String,
    /// The condition of a conditional create (`If-None-Exist`).
    pub if_none_exist: Option<String>,
    /// The resource in JSON or XML; empty for a read.
    pub body: Bytes,
    /// The same on every attempt of one delivery, at most [`DELIVERY_ID_MAX`] bytes. A change
    /// with it is done once, and answered without the resource.
    pub delivery: Option<String>,
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
