//! The FHIR server of a node: opened before the node says that it is ready, stopped with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use hilum_admin::{FhirSide, FhirWork};
use hilum_component::{FhirDoor, Stop, StopHandle};
use hilum_config::{FhirDatabase, FhirPlan, FhirSubscriptions, FhirTenant, FhirTrigger};
use hilum_engine::Engine;
use hilum_fhir::definitions::Definitions;
use hilum_fhir_server::{
    Fhir, FhirOptions, Interaction, JobFailure, Limits, Place, Postgres, SubscriptionOptions,
    TenantOptions, TestResult, TopicOptions, TriggerOptions, Validate, Work, WorkState,
};
use hilum_net::{
    ClientTls, ClientTlsOptions, ConnectOptions, Connector, HostPort, Identity, ListenOptions,
    Listener, Roots, TlsVersion,
};
use hilum_terminology::Shelf;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;

/// The kind of alert about a job of the FHIR server.
const JOB_FAILED: &str = "fhir-job-failed";

/// A FHIR server that serves.
pub(crate) struct Served {
    /// Where, with its path.
    pub(crate) url: String,
    /// The server, for its built-in channel.
    pub(crate) fhir: Arc<Fhir>,
    door: FhirDoor,
    stop: StopHandle,
    task: JoinHandle<()>,
}

/// The types of resources that a server keeps.
pub(crate) fn resource_types() -> Vec<&'static str> {
    let all = Definitions::r4().types().map(|(_, def)| def);
    all.filter(|def| def.is_resource() && !def.is_abstract)
        .map(|def| def.name)
        .collect()
}

/// Opens the stores below a data folder, for channels as well, and listens.
pub(crate) async fn start(
    plan: &FhirPlan,
    (site, data): (&Path, &Path),
    door: FhirDoor,
    terminology: Arc<Shelf>,
) -> anyhow::Result<Served> {
    let listener = listener(plan).await?;
    let url = format!("http://{}/fhir", listener.local_address());
    let places = places(plan, site, data)?;
    let tenants = places.into_iter().map(|(name, place)| {
        let own = plan.tenants.get(&name).unwrap_or(&plan.first);
        tenant(name, (site, data), place, own)
    });
    let tenants = tenants.collect();
    let limits = Limits {
        body_bytes_max: usize::try_from(plan.body_max.0).unwrap_or(usize::MAX),
        page_max: plan.page_max,
        ..Limits::default()
    };
    let options = FhirOptions {
        tenants,
        url: plan.url.clone(),
        origins: plan.origins.clone(),
        import_folder: plan.import_folder.as_ref().map(PathBuf::from),
        import_from: plan.import_from.clone(),
        import_tls: import_tls(plan, site)?,
        terminology,
        limits,
        subscriptions: SubscriptionOptions {
            here: Some(format!("http://{}", listener.local_address())),
            ..subscriptions(&plan.subscriptions)
        },
        clock: Arc::new(now_ms),
    };
    let fhir = Fhir::open(options).await?;
    door.open(fhir.port());
    let (stop, stopped) = Stop::new();
    let task = tokio::spawn(Arc::clone(&fhir).serve(listener, stopped));
    Ok(Served {
        url,
        fhir,
        door,
        stop,
        task,
    })
}

impl Served {
    /// Takes no more connections and lets the requests end that have begun.
    pub(crate) async fn stop(self) {
        self.door.close();
        self.stop.request();
        if self.task.await.is_err() {
            tracing::error!("the FHIR server broke down; this is a bug in hilum");
        }
    }
}

/// The server as the management API shows it.
pub(crate) fn side(served: &Served) -> FhirSide {
    let fhir = Arc::clone(&served.fhir);
    FhirSide {
        url: served.url.clone(),
        work: Box::new(move || {
            let fhir = Arc::clone(&fhir);
            Box::pin(async move {
                let work = fhir.work().await;
                let work = work.map_err(|error| format!("a store cannot be asked: {error}"))?;
                Ok(work.into_iter().map(shown).collect())
            })
        }),
    }
}

fn shown(work: Work) -> FhirWork {
    FhirWork {
        tenant: work.tenant,
        kind: work.kind,
        state: match work.state {
            WorkState::Waiting => "waiting",
            WorkState::Running => "running",
            WorkState::Failed => "failed",
        },
        job: work.job,
        done: work.done,
        total: work.total,
        since_ms: work.since_ms,
        text: work.text,
    }
}

/// Makes an alert of each job that fails, for as long as the node runs.
pub(crate) fn tell_failures(
    fhir: &Fhir,
    engine: &Arc<Engine>,
) -> impl Future<Output = ()> + Send + use<> {
    let (mut failures, engine) = (fhir.job_failures(), Arc::clone(engine));
    async move {
        loop {
            match failures.recv().await {
                Ok(failure) => engine.tell(JOB_FAILED, told(&failure)),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }
}

fn told(failure: &JobFailure) -> String {
    let JobFailure {
        tenant,
        kind,
        job,
        text,
    } = failure;
    let of = if tenant.is_empty() {
        String::new()
    } else {
        format!(" of the tenant {tenant}")
    };
    format!("the {kind} {job}{of} of the FHIR server failed: {text}")
}

fn subscriptions(plan: &FhirSubscriptions) -> SubscriptionOptions {
    let result = |passes| {
        if passes {
            TestResult::Passes
        } else {
            TestResult::Fails
        }
    };
    let trigger = |trigger: &FhirTrigger| {
        let all = [
            Interaction::Create,
            Interaction::Update,
            Interaction::Delete,
        ];
        let on = all.into_iter().zip(trigger.on);
        TriggerOptions {
            resource: trigger.resource.clone(),
            on: on.filter(|(_, on)| *on).map(|(what, _)| what).collect(),
            previous: trigger.previous.clone(),
            current: trigger.current.clone(),
            require_both: trigger.require_both,
            for_create: result(trigger.create_passes),
            for_delete: result(trigger.delete_passes),
            fhirpath: trigger.fhirpath.clone(),
        }
    };
    let topics = plan.topics.iter().map(|topic| TopicOptions {
        url: topic.url.clone(),
        triggers: topic.triggers.iter().map(trigger).collect(),
        filters: topic.filters.clone(),
        ..TopicOptions::default()
    });
    SubscriptionOptions {
        allow: plan.allow.clone(),
        failures_max: plan.failures_max,
        retry_first: plan.retry_first.duration(),
        retry_longest: plan.retry_longest.duration(),
        give_up_after: plan.give_up_after.duration(),
        keep: plan.keep.duration(),
        keep_max: plan.keep_max,
        lease: plan.lease.duration(),
        topics: topics.collect(),
        ..SubscriptionOptions::default()
    }
}

async fn listener(plan: &FhirPlan) -> anyhow::Result<Listener> {
    let address = HostPort::listen(&plan.listen)?;
    let loopback = address.host == "localhost" || address.ip().is_some_and(|ip| ip.is_loopback());
    if !loopback {
        bail!(
            "the FHIR server listens on loopback only in this release, not on {}",
            plan.listen
        );
    }
    let mut options = ListenOptions::new(address);
    options.connections_max = plan.connections_max;
    Listener::bind(options).await.with_context(|| {
        format!(
            "cannot listen at `fhir: listen: {}`; `hilum doctor` says who holds the port",
            plan.listen
        )
    })
}

/// How sources of imports are trusted, where some may be of `https`.
fn import_tls(plan: &FhirPlan, site: &Path) -> anyhow::Result<Option<Arc<ClientTls>>> {
    let secure = |url: &String| url.starts_with("https://");
    if !plan.import_from.iter().any(secure) {
        return Ok(None);
    }
    let roots = plan
        .import_ca
        .as_ref()
        .map_or(Roots::System, |ca| Roots::File(site.join(ca)));
    let tls = ClientTls::load(ClientTlsOptions {
        roots,
        ..ClientTlsOptions::default()
    });
    tls.map(|tls| Some(Arc::new(tls)))
        .context("the certificates that `fhir: import-from` is trusted by")
}

/// The schema of the first store; this is where its password is read.
fn postgres(own: &FhirDatabase, site: &Path) -> anyhow::Result<Postgres> {
    let address: HostPort = own.address.parse()?;
    let path = |path: &String| site.join(path);
    let tls = own.tls.as_ref().map(|tls| {
        let identity = tls.identity.as_ref().map(|(certificate, key)| Identity {
            certificate: path(certificate),
            key: path(key),
        });
        ClientTls::load(ClientTlsOptions {
            roots: tls
                .ca
                .as_ref()
                .map_or(Roots::System, |ca| Roots::File(path(ca))),
            identity,
            server_name: tls.server_name.clone(),
            oldest: TlsVersion::default(),
        })
    });
    let tls = tls
        .transpose()
        .context("the TLS settings of `fhir: database`")?;
    let password = own.password.as_ref();
    let password = password.map(|reference| hilum_config::secret(site, reference));
    Ok(Postgres {
        connector: Connector::new(ConnectOptions::new(address))?,
        tls: tls.map(Arc::new),
        user: own.user.clone(),
        password: password.transpose().map_err(anyhow::Error::msg)?,
        database: own.database.clone(),
        schema: own.schema.clone(),
    })
}

/// The file of a tenant in the data folder, also where only its jobs lie there.
fn file_of(name: &str, data: &Path) -> PathBuf {
    if name.is_empty() {
        data.join("fhir.db")
    } else {
        data.join(format!("fhir-{name}.db"))
    }
}

/// The stores by the names of their tenants, the first without one; this is where the password of
/// the database is read.
pub(crate) fn places(
    plan: &FhirPlan,
    site: &Path,
    data: &Path,
) -> anyhow::Result<Vec<(String, Place)>> {
    let names = std::iter::once("").chain(plan.tenants.keys().map(String::as_str));
    let Some(own) = &plan.database else {
        let place = |name: &str| (name.to_owned(), Place::Sqlite(file_of(name, data)));
        return Ok(names.map(place).collect());
    };
    let first = postgres(own, site)?;
    let place = |name: &str| {
        let mut place = first.clone();
        if !name.is_empty() {
            place.schema = own.schema_of(name);
        }
        (name.to_owned(), Place::Postgres(Box::new(place)))
    };
    Ok(names.map(place).collect())
}

fn tenant(
    name: String,
    (site, data): (&Path, &Path),
    place: Place,
    own: &FhirTenant,
) -> TenantOptions {
    let types = own.validate_types.iter();
    let file = file_of(&name, data);
    TenantOptions {
        name,
        jobs: file.with_extension("jobs"),
        file,
        disk: None,
        postgres: match place {
            Place::Postgres(place) => Some(place),
            _ => None,
        },
        validate: validate(own.validate),
        validate_types: types
            .map(|(ty, mode)| (ty.clone(), validate(*mode)))
            .collect(),
        packages: own.packages.iter().map(|path| site.join(path)).collect(),
        profiles: own.profiles.clone(),
    }
}

const fn validate(mode: hilum_config::Validate) -> Validate {
    match mode {
        hilum_config::Validate::Off => Validate::Off,
        hilum_config::Validate::Warn => Validate::Warn,
        hilum_config::Validate::Enforce => Validate::Enforce,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the FHIR server's clock is the system's"
)]
pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}
