//! Opening a server: its stores, its tenants, its routes.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hilum_db::RealFiles;
use hilum_fhir::definitions::{Definitions, TypeId};
use hilum_fhir::search::ParamSet;
use hilum_fhir::validate::Validator;
use hilum_fhir_store::{Place, Store, StoreConfig, StoreError};
use hilum_message::MessageId;

use crate::limits::Limits;
use crate::search::table::{Table, specs};
use crate::server::Fhir;
use crate::tenant::{Tenant, Validate};
use crate::time::Clock;

/// How a tenant is opened.
#[derive(Clone, Debug, Default)]
pub struct TenantOptions {
    /// Its part of the path; empty for the one that needs none.
    pub name: String,
    /// The file of its store.
    pub file: PathBuf,
    /// The folder for the files of its jobs; it is made when one needs it.
    pub jobs: PathBuf,
    /// How strictly resources are checked.
    pub validate: Validate,
    /// The same for single types, by their names.
    pub validate_types: BTreeMap<String, Validate>,
}

/// How a server is opened.
pub struct FhirOptions {
    /// The tenants, the one without a name among them.
    pub tenants: Vec<TenantOptions>,
    /// Scheme and authority under which clients reach it; as the client says where not set.
    pub url: Option<String>,
    /// Origins of web pages that may call.
    pub origins: Vec<String>,
    /// What it takes on.
    pub limits: Limits,
    /// What time it is.
    pub clock: Clock,
}

impl std::fmt::Debug for FhirOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FhirOptions")
            .field("tenants", &self.tenants)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Why a server does not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A store cannot be opened.
    #[error("cannot open the FHIR store {}", file.display())]
    Store {
        /// Its file.
        file: PathBuf,
        /// Why.
        source: StoreError,
    },
    /// The work on it was broken off.
    #[error("the opening of a FHIR store was broken off; this is a bug in hilum")]
    BrokenOff,
    /// A type that does not exist.
    #[error("`validate-types` names the type of resource `{0}`, which does not exist")]
    Type(String),
}

/// Makes ids of resources: the time, which keeps neighbours together, and bits that nobody can
/// guess.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    first: RandomState,
    second: RandomState,
    count: AtomicU64,
}

impl Ids {
    fn next(&self, now_ms: i64) -> String {
        let now_ms = u64::try_from(now_ms).unwrap_or(0);
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let bits = |state: &RandomState| u128::from(state.hash_one((now_ms, count)));
        let random = (bits(&self.first) << 64) | bits(&self.second);
        MessageId::new(now_ms, random).to_string().to_lowercase()
    }
}

impl Fhir {
    /// Opens the stores and gives a server that can be asked to serve.
    pub async fn open(options: FhirOptions) -> Result<Arc<Self>, OpenError> {
        let definitions = Definitions::r4();
        let validator = Arc::new(Validator::new());
        let params = Arc::new(ParamSet::r4());
        let mut tenants = BTreeMap::new();
        for tenant in options.tenants {
            let shared = (Arc::clone(&validator), Arc::clone(&params));
            let clock = Arc::clone(&options.clock);
            let opened =
                tokio::task::spawn_blocking(move || open(tenant, definitions, shared, &clock));
            let opened = opened.await.map_err(|_| OpenError::BrokenOff)??;
            tenants.insert(opened.name.clone(), Arc::new(opened));
        }
        Ok(Arc::new(Self {
            tenants,
            entries: crate::route::all(),
            bodies: Self::bodies(&options.limits),
            limits: options.limits,
            clock: options.clock,
            path: "/fhir".to_owned(),
            public: options.url,
            origins: options.origins,
            ids: Ids::default(),
            jobs: crate::jobs::Jobs::default(),
            full_told_ms: std::sync::atomic::AtomicI64::new(0),
        }))
    }

    /// An id for a new resource.
    pub(crate) fn new_id(&self) -> String {
        self.ids.next((self.clock)())
    }

    /// The bounds of a resource that is read.
    pub(crate) fn reading_limits(&self) -> hilum_fhir::Limits {
        hilum_fhir::Limits {
            bytes_max: self.limits.body_bytes_max,
            ..hilum_fhir::Limits::default()
        }
    }
}

fn open(
    options: TenantOptions,
    definitions: &'static Definitions,
    (validator, params): (Arc<Validator>, Arc<ParamSet>),
    clock: &Clock,
) -> Result<Tenant, OpenError> {
    let mut validate_types: BTreeMap<TypeId, Validate> = BTreeMap::new();
    for (name, validate) in options.validate_types {
        let ty = definitions
            .type_named(&name)
            .filter(|ty| definitions.type_def(*ty).is_resource())
            .ok_or(OpenError::Type(name))?;
        validate_types.insert(ty, validate);
    }
    let (types, named) = specs(definitions);
    let own = Arc::clone(clock);
    let now = hilum_fhir_store::Clock::new(move || own());
    let config = StoreConfig {
        types,
        params: named,
        ..StoreConfig::new(Place::Sqlite(options.file.clone()), now)
    };
    let store = Store::open(config).map_err(|source| OpenError::Store {
        file: options.file,
        source,
    })?;
    let table = Table::new(definitions, &store.catalog());
    Ok(Tenant {
        name: options.name,
        store,
        jobs: options.jobs,
        files: Arc::new(RealFiles),
        table,
        validator,
        params,
        validate: options.validate,
        validate_types,
    })
}
