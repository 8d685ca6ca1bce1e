//! The routes: one list, each with the permission it needs and what it does.

mod care;
mod codes;
mod critical;
mod identity;
mod messages;
mod node;
mod operate;
mod search;
mod steps;
mod withdrawals;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use hilum_access::Route;
use hilum_component::BoxFuture;
use hilum_engine::{Engine, ReloadReport};
use http::StatusCode;
use serde_json::Value;

use crate::fhir::{FhirSide, FhirStores};

/// Loads the site's folder again and hands the plan to the engine.
pub type Reload = Box<dyn Fn() -> BoxFuture<'static, Result<ReloadReport, ApiError>> + Send + Sync>;

/// What the routes work on.
pub struct Admin {
    pub(crate) engine: Arc<Engine>,
    pub(crate) reload: Reload,
    /// The backup or verification that runs, or ran last.
    pub(crate) care: Mutex<Option<Arc<care::Job>>>,
    /// The FHIR server of the node, if it has one.
    pub(crate) fhir: Option<FhirSide>,
    /// The stores of resources, as they are when it is asked.
    pub(crate) stores: Stores,
}

/// Gives the stores that backup and verification are about.
pub type Stores = Box<dyn Fn() -> FhirStores + Send + Sync>;

impl Admin {
    /// An API over a running engine.
    #[must_use]
    pub fn new(engine: Arc<Engine>, reload: Reload) -> Self {
        Self {
            engine,
            reload,
            care: Mutex::new(None),
            fhir: None,
            stores: Box::new(Vec::new),
        }
    }

    /// With stores of resources to look after.
    #[must_use]
    pub fn with_stores(mut self, stores: Stores) -> Self {
        self.stores = stores;
        self
    }

    /// Beside a FHIR server.
    #[must_use]
    pub fn with_fhir(mut self, fhir: Option<FhirSide>) -> Self {
        self.fhir = fhir;
        self
    }
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Admin")
    }
}

pub use messages::{message_json, trace_json};

/// Why a request is not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// The status of the response.
    pub status: StatusCode,
    /// Stable code.
    pub code: &'static str,
    /// What was asked and why it is not done, without content.
    pub message: String,
    /// What to do instead.
    pub hint: Option<String>,
}

impl ApiError {
    /// With a status of its own.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            hint: None,
        }
    }

    /// The request is wrong.
    pub fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// There is no such thing.
    pub fn missing(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// It was tried and failed.
    pub fn failed(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, code, message)
    }
}

/// A request that found its route.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) parts: Vec<(String, String)>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Value,
}

impl Call {
    /// A part of the path.
    pub(crate) fn part(&self, name: &str) -> &str {
        self.parts
            .iter()
            .find(|(known, _)| known == name)
            .map_or("", |(_, value)| value)
    }

    /// A parameter of the query.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// A text of the body.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.body.get(name).and_then(Value::as_str)
    }
}

/// What a route gives.
pub(crate) enum Reply {
    Json(Value),
    Text(String, &'static str),
    Bytes(Bytes),
}

/// What a route does.
pub(crate) type Handle = fn(Arc<Admin>, Call) -> BoxFuture<'static, Result<Reply, ApiError>>;

/// A route and what it does.
pub(crate) struct Entry {
    pub(crate) route: Route,
    pub(crate) handle: Handle,
}

/// All routes.
pub(crate) fn all() -> Vec<Entry> {
    node::routes()
        .into_iter()
        .chain(messages::routes())
        .chain(search::routes())
        .chain(steps::routes())
        .chain(operate::routes())
        .chain(codes::routes())
        .chain(critical::routes())
        .chain(withdrawals::routes())
        .chain(identity::routes())
        .chain(care::routes())
        .collect()
}

/// A value as the reply of a route.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<Reply, ApiError> {
    serde_json::to_value(value)
        .map(Reply::Json)
        .map_err(|error| ApiError::failed("json", error.to_string()))
}
