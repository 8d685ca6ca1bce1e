//! The FHIR R4 API over HTTP: interactions, searches, bundles, operations.
//!
//! A [`Fhir`] serves its tenants, each with a store of its own, on a listener of `hilum-net`. Every
//! route is in one list with the permission it needs and with what the capability statement says
//! because it exists; the OpenAPI document is made of the same list.
//!
//! - `request/`: what a client asks, read once at the edge; `respond`: the answer in the format that
//!   was asked for, every error as an OperationOutcome.
//! - `interaction/` and `operation/`: one file for each kind; `bundle/`: batch and transaction.
//! - `jobs/`: what takes longer than a request; `bulk/`: resources out and in as files.
//! - `subscription/`: who is told of changes, and how.
//! - `search/`: from a URL to a query of the store; `terms/`: the codes of value sets for it.
//! - `terminology/`: code systems, value sets and concept maps of the store, compiled and kept.
//! - `as_of/`: what a source said when, so that an older state never replaces a newer one.
//! - `linked`: searches follow who was merged with whom.
//! - `slot`: a tenant under its name, and how it changes; `parameter` and `reindex`: search
//!   parameters that are not of the standard, and finding old resources by them.
//!
//! Invariants: what it does not do it does not claim; nothing in a request is silently ignored; a
//! caller that is not granted is refused before a body is read; every body, page, list and chain
//! is bounded by a limit of [`Limits`]; no content of a resource is in a log or an error.

mod as_of;
mod beside;
mod bulk;
mod bundle;
mod call;
mod capability;
mod fault;
mod include;
mod index;
mod interaction;
mod jobs;
mod limits;
mod linked;
mod list;
mod open;
mod openapi;
mod operation;
mod parameter;
mod port;
mod reindex;
mod request;
mod respond;
mod route;
mod search;
mod server;
mod slot;
mod subscription;
mod take;
mod tenant;
mod terminology;
mod terms;
mod time;
mod write;

pub use hilum_fhir_store::{
    Clock as StoreClock, Place, Postgres, StoreError, Survey, back_up_file, survey, verify_file,
};
pub use jobs::{JobFailure, Work, WorkState};
pub use limits::Limits;
pub use open::{FhirOptions, OpenError, StoreDisk, TenantOptions};
pub use server::Fhir;
pub use subscription::{
    Interaction, SUBSCRIPTIONS, SubscriptionOptions, TestResult, TopicOptions, TriggerOptions,
};
pub use tenant::Validate;
pub use time::Clock;
