//! Opening a server: its stores, its tenants, its routes.

use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hilum_db::{Files, RealFiles};
use hilum_fhir::definitions::{Definitions, TypeId};
use hilum_fhir::package::{GuideError, Guides, GuidesBuilder, PackageError, PackageLimits};
use hilum_fhir::search::ParamSet;
use hilum_fhir::validate::Validator;
use hilum_fhir_store::{Place, Postgres, Store, StoreConfig, StoreError, store_file};
use hilum_message::MessageId;
use hilum_terminology::Shelf;

use crate::limits::Limits;
use crate::search::table::{Table, specs};
use crate::server::Fhir;
use crate::slot::Slot;
use crate::subscription::{Hub, SubscriptionOptions, Subscriptions};
use crate::tenant::{Tenant, Validate};
use crate::terminology::Codes;
use crate::time::Clock;

/// How a tenant is opened.
#[derive(Clone, Debug, Default)]
pub struct TenantOptions {
    /// Its part of the path; empty for the one that needs none.
    pub name: String,
    /// The file of its store, unless it is in PostgreSQL.
    pub file: PathBuf,
    /// Another disk that the file is on, for simulations; the operating system's where not set.
    pub disk: Option<StoreDisk>,
    /// The schema of PostgreSQL that holds its store.
    pub postgres: Option<Box<Postgres>>,
    /// The folder for the files of its jobs; it is made when one needs it.
    pub jobs: PathBuf,
    /// How strictly resources are checked.
    pub validate: Validate,
    /// The same for single types, by their names.
    pub validate_types: BTreeMap<String, Validate>,
    /// Files of FHIR packages with profiles, codes and search parameters.
    pub packages: Vec<PathBuf>,
    /// Profiles that every resource of a type has to conform to.
    pub profiles: BTreeMap<String, Vec<String>>,
}

/// A disk that is not the operating system's.
#[derive(Clone, Debug)]
pub struct StoreDisk {
    /// Its files beside SQLite's.
    pub files: Arc<dyn Files>,
    /// The SQLite VFS that reaches it.
    pub vfs: Arc<str>,
}

/// How a server is opened.
pub struct FhirOptions {
    /// The tenants, the one without a name among them.
    pub tenants: Vec<TenantOptions>,
    /// Scheme and authority under which clients reach it; as the client says where not set.
    pub url: Option<String>,
    /// Origins of web pages that may call.
    pub origins: Vec<String>,
    /// The folder below which files may be imported; none where not set.
    pub import_folder: Option<PathBuf>,
    /// Beginnings of URLs that files may be imported from; none where it is empty.
    pub import_from: Vec<String>,
    /// How those of `https` are trusted; they are refused where it is not set.
    pub import_tls: Option<Arc<hilum_net::ClientTls>>,
    /// What it takes on.
    pub limits: Limits,
    /// What clients may subscribe to, and where they may be called.
    pub subscriptions: SubscriptionOptions,
    /// Where definitions of codes come from that are not stored, before those of the standard.
    pub terminology: Arc<Shelf>,
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
    #[error("cannot open the FHIR store {place}")]
    Store {
        /// Its file, or its address without user and password.
        place: String,
        /// Why.
        source: StoreError,
    },
    /// The work on it was broken off.
    #[error("the opening of a FHIR store was broken off; this is a bug in hilum")]
    BrokenOff,
    /// A type that does not exist.
    #[error(
        "`validate-types` or `profiles` names the type of resource `{0}`, which does not exist"
    )]
    Type(String),
    /// A package cannot be used.
    #[error("cannot use the FHIR package {}", file.display())]
    Package {
        /// Its file.
        file: PathBuf,
        /// Why.
        source: GuideError,
    },
    /// A topic that cannot be compiled.
    #[error("the topic {url}: {text}")]
    Topic {
        /// Its canonical URL.
        url: String,
        /// What is wrong with it.
        text: String,
    },
    /// The subscriptions of a store cannot be read.
    #[error("cannot read the subscriptions of the tenant `{0}`: {1}")]
    Subscriptions(String, String),
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
        let validator = Arc::new(Validator::new());
        let hub = Arc::new(Hub::new());
        let here = options.subscriptions.here.clone();
        let url = options.url.clone().or(here);
        let mut tenants = BTreeMap::new();
        // Tenants with the same packages share what was made of them.
        let mut known: Vec<(Vec<PathBuf>, Arc<Guides>)> = Vec::new();
        for tenant in options.tenants {
            let guides = known.iter().find(|(files, _)| *files == tenant.packages);
            let guides = guides.map(|(_, guides)| Arc::clone(guides));
            let shared = (Arc::clone(&validator), guides);
            let subscriptions = Subscriptions::new(
                Arc::clone(&hub),
                options.subscriptions.clone(),
                Arc::clone(&options.clock),
                own_url(url.as_deref(), &tenant.name),
            );
            let custom_max = options.limits.custom_parameters_max;
            let packages = tenant.packages.clone();
            let behind = Arc::clone(&options.terminology);
            let opened = tokio::task::spawn_blocking(move || {
                open(tenant, shared, subscriptions, custom_max, &behind)
            });
            let opened = opened.await.map_err(|_| OpenError::BrokenOff)??;
            known.push((packages, Arc::clone(&opened.guides)));
            let (name, place) = (opened.name.clone(), opened.place.clone());
            let slot = Slot::new(opened);
            let refreshed = slot.refresh().await;
            refreshed.map_err(|source| OpenError::Store { place, source })?;
            slot.now().open_subscriptions().await?;
            tenants.insert(name, Arc::new(slot));
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
            import_folder: options.import_folder,
            import_from: options.import_from,
            import_tls: options.import_tls,
            ids: Ids::default(),
            jobs: crate::jobs::Jobs::default(),
            hub,
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

/// Reads packages and makes them ready.
fn guides(files: &[PathBuf]) -> Result<Guides, OpenError> {
    let mut guides = GuidesBuilder::new();
    for file in files {
        let failed = |source| OpenError::Package {
            file: file.clone(),
            source,
        };
        let opened = File::open(file).map_err(|error| failed(PackageError::Read(error).into()))?;
        guides
            .add(opened, &PackageLimits::default())
            .map_err(failed)?;
    }
    Ok(guides.build())
}

/// The types of resources that settings name.
fn by_type<T>(named: BTreeMap<String, T>) -> Result<BTreeMap<TypeId, T>, OpenError> {
    let definitions = Definitions::r4();
    let mut known = BTreeMap::new();
    for (name, value) in named {
        let ty = definitions
            .type_named(&name)
            .filter(|ty| definitions.type_def(*ty).is_resource())
            .ok_or(OpenError::Type(name))?;
        known.insert(ty, value);
    }
    Ok(known)
}

fn open(
    options: TenantOptions,
    (validator, known): (Arc<Validator>, Option<Arc<Guides>>),
    subscriptions: Subscriptions,
    custom_max: usize,
    behind: &Arc<Shelf>,
) -> Result<Tenant, OpenError> {
    let definitions = Definitions::r4();
    let guides = match known {
        Some(guides) => guides,
        None => Arc::new(guides(&options.packages)?),
    };
    let (types, named) = specs(definitions);
    let (name, place) = match options.postgres {
        Some(postgres) => (postgres.name(), Place::Postgres(postgres)),
        None => {
            let name = options.file.display().to_string();
            (name, Place::Sqlite(options.file))
        }
    };
    let shared = matches!(place, Place::Postgres(_));
    let clock = subscriptions.clock();
    let own = subscriptions.clock();
    let now = hilum_fhir_store::Clock::new(move || own());
    let config = StoreConfig {
        types,
        params: named,
        ..StoreConfig::new(place, now)
    };
    let opened = match (options.disk, &config.place) {
        (Some(disk), Place::Sqlite(path)) => {
            let mut file = store_file(path, disk.files);
            file.vfs = Some(disk.vfs);
            Store::open_file(file, config)
        }
        _ => Store::open(config),
    };
    let store = opened.map_err(|source| OpenError::Store {
        place: name.clone(),
        source,
    })?;
    let set = Arc::new(ParamSet::r4());
    let table = Table::new(definitions, set, &store.catalog(), Arc::default());
    Ok(Tenant {
        name: options.name,
        place: name,
        store,
        jobs: options.jobs,
        files: Arc::new(RealFiles),
        table: Arc::new(table),
        validator,
        validate: options.validate,
        validate_types: by_type(options.validate_types)?,
        packages: options.packages,
        guides,
        profiles: by_type(options.profiles)?,
        custom: Arc::default(),
        custom_max,
        subscriptions: Arc::new(subscriptions),
        codes: Arc::new(Codes::new(shared, behind, clock)),
    })
}

/// The URL of a tenant where no request says it.
fn own_url(public: Option<&str>, tenant: &str) -> String {
    let public = public.unwrap_or(crate::port::BASE);
    let place = if tenant.is_empty() {
        String::new()
    } else {
        format!("/t/{tenant}")
    };
    format!("{public}/fhir{place}")
}
