//! A tenant: one store, the parameters that it is searched by, and how it checks what it takes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use hilum_db::Files;
use hilum_fhir::definitions::TypeId;
use hilum_fhir::package::Guides;
use hilum_fhir::search::CustomParam;
use hilum_fhir::validate::Validator;
use hilum_fhir::{IssueType, Resource};
use hilum_fhir_store::{
    Cursor, HistoryPage, HistoryQuery, IndexRow, Page, Query, ResourceType, Store, StoreError,
    Stored,
};
use http::{StatusCode, header};

use crate::fault::Fault;
use crate::search::table::Table;
use crate::subscription::Subscriptions;
use crate::terminology::Codes;

/// How strictly resources are checked before they are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validate {
    /// Not beyond their structure.
    Off,
    /// What is wrong is told to those who ask for an outcome.
    Warn,
    /// What is wrong is refused.
    #[default]
    Enforce,
}

/// A store with its meaning, as it is for one request: it never changes. What changes is which one
/// requests get ([`Slot`](crate::slot::Slot)), so it is not kept for longer than one needs.
#[derive(Clone)]
pub(crate) struct Tenant {
    /// Empty for the first one.
    pub(crate) name: String,
    /// The place of its store, for messages.
    pub(crate) place: String,
    pub(crate) store: Store,
    /// The folder below which jobs have theirs.
    pub(crate) jobs: PathBuf,
    pub(crate) files: Arc<dyn Files>,
    pub(crate) table: Arc<Table>,
    pub(crate) validator: Arc<Validator>,
    pub(crate) validate: Validate,
    pub(crate) validate_types: BTreeMap<TypeId, Validate>,
    /// The files of the packages.
    pub(crate) packages: Vec<PathBuf>,
    /// What is in them.
    pub(crate) guides: Arc<Guides>,
    /// Profiles that every resource of a type has to conform to.
    pub(crate) profiles: BTreeMap<TypeId, Vec<String>>,
    /// Search parameters that are in use beside those of the standard.
    pub(crate) custom: Arc<Vec<CustomParam>>,
    /// How many there may be.
    pub(crate) custom_max: usize,
    pub(crate) subscriptions: Arc<Subscriptions>,
    /// Code systems, value sets and concept maps, compiled.
    pub(crate) codes: Arc<Codes>,
}

impl Tenant {
    /// The path below the server's.
    pub(crate) fn path(&self) -> String {
        if self.name.is_empty() {
            String::new()
        } else {
            format!("/t/{}", self.name)
        }
    }

    pub(crate) fn validates(&self, ty: TypeId) -> Validate {
        self.validate_types
            .get(&ty)
            .copied()
            .unwrap_or(self.validate)
    }

    pub(crate) fn type_name(&self, stored: ResourceType) -> &'static str {
        self.table
            .type_of(stored)
            .map_or("Resource", |ty| self.table.name(ty))
    }

    /// What searches find a resource by.
    pub(crate) fn rows(&self, resource: &Resource) -> Vec<IndexRow> {
        crate::index::rows(&self.table, resource)
    }

    /// The current version of a resource.
    pub(crate) async fn read(&self, ty: ResourceType, id: &str) -> Result<Option<Stored>, Fault> {
        Ok(self.store.read(ty, id).await?)
    }

    pub(crate) async fn history(&self, query: HistoryQuery) -> Result<HistoryPage, Fault> {
        Ok(self.store.history(query).await?)
    }

    pub(crate) async fn explain(&self, query: Query) -> Result<String, Fault> {
        Ok(self.store.explain(query).await?)
    }

    pub(crate) fn seal_cursor(&self, cursor: &Cursor) -> String {
        self.store.seal_cursor(cursor)
    }

    pub(crate) fn open_cursor(&self, text: &str) -> Result<Cursor, Fault> {
        self.store.open_cursor(text).map_err(|_| {
            let text = "`_page` is no page of this server; begin with the first one";
            Fault::bad(IssueType::Value, text)
        })
    }

    pub(crate) async fn search(&self, query: Query) -> Result<Page, Fault> {
        Ok(self.store.search(query).await?)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { version, .. } => {
                let text = match version {
                    Some(version) => format!("the resource exists, in version {version}"),
                    None => "the resource does not exist".to_owned(),
                };
                Self::new(StatusCode::CONFLICT, IssueType::Conflict, text)
            }
            StoreError::Stale { .. } => crate::interaction::restless(),
            StoreError::TooCostly { plan } => {
                let text = format!("the search costs too much; it was done so: {plan}");
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, IssueType::TooCostly, text)
            }
            StoreError::Limit { limit, max } => Self::bad(
                IssueType::TooCostly,
                format!("more than {limit} allows ({max})"),
            ),
            StoreError::Invalid(text) => Self::bad(IssueType::Invalid, text),
            StoreError::Busy => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                IssueType::Throttled,
                "too many requests wait for the store",
            )
            .with(header::RETRY_AFTER, "1"),
            StoreError::Away { .. } => {
                tracing::error!(%error, "the database of the FHIR store is away");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    IssueType::Transient,
                    "the database of the server cannot be reached; nothing was stored",
                )
                .with(header::RETRY_AFTER, "5")
            }
            StoreError::Lost { .. } => {
                tracing::error!(%error, "the database of the FHIR store went away");
                let text = "the database of the server went away in the midst of it; look whether \
                            it was stored before you repeat it";
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    IssueType::Transient,
                    text,
                )
            }
            StoreError::Closed => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                IssueType::Transient,
                "the server stops",
            ),
            StoreError::Db(error) if error.class() == hilum_db::DbClass::Full => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                IssueType::NoStore,
                "the disk is full; nothing was stored",
            ),
            error => {
                tracing::error!(%error, "the FHIR store failed");
                Self::failed("the store failed")
            }
        }
    }
}
