//! The management API: what an operator's tools ask of a running node.
//!
//! JSON over HTTP/1.1 on loopback. Every route is in [`route::all`] with the permission it needs
//! ([`hilum_access`]); the OpenAPI document is made from the same list. `GET /metrics` gives
//! figures to Prometheus.
//!
//! Invariants: a caller that is not granted is refused before a body is read; a request whose
//! `Host` is not a loopback name is refused, so that no web page can reach the API by a name of
//! its own; content of messages is given only where it is asked for by name; every page, body and
//! connection is bounded.

mod backup;
mod fhir;
mod metrics;
mod openapi;
pub mod route;
mod server;

pub use backup::{BackupError, Copied, Elsewhere, PLANS, back_up, verify};
pub use fhir::{FhirCopy, FhirSide, FhirStore, FhirStores, FhirWork, FhirWorkList};
pub use route::{Admin, ApiError, message_json, trace_json};
pub use server::{ADMIN_BODY_BYTES_MAX, ADMIN_CONNECTIONS_MAX, serve};
