//! The FHIR server of a node: opened before the node says that it is ready, stopped with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use hilum_component::{FhirDoor, Stop, StopHandle};
use hilum_config::{FhirDatabase, FhirPlan, FhirSubscriptions, FhirTenant, FhirTrigger};
use hilum_fhir::definitions::Definitions;
use hilum_fhir_server::{
    Fhir, FhirOptions, Interaction, Limits, Postgres, SubscriptionOptions, TenantOptions,
    TopicOptions, TriggerOptions, Validate,
};
use hilum_net::{
    ClientTls, ClientTlsOptions, ConnectOptions, Connector, HostPort, Identity, ListenOptions,
    Listener, Roots, TlsVersion,
};
use tokio::task::JoinHandle;

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
) -> anyhow::Result<Served> {
    let listener = listener(plan).await?;
    let url = format!("http://{}/fhir", listener.local_address());
    let database = plan.database.as_ref();
    let database = database.map(|own| postgres(own, site)).transpose()?;
    let mut tenants = vec![tenant("", site, data.join("fhir.db"), &plan.first)];
    for (name, own) in &plan.tenants {
        tenants.push(tenant(
            name,
            site,
            data.join(format!("fhir-{name}.db")),
            own,
        ));
    }
    if let (Some(own), Some(first)) = (&plan.database, database) {
        for tenant in &mut tenants {
            let mut place = first.clone();
            if !tenant.name.is_empty() {
                place.schema = own.schema_of(&tenant.name);
            }
            tenant.postgres = Some(Box::new(place));
        }
    }
    let limits = Limits {
        connections_max: plan.connections_max,
        body_bytes_max: usize::try_from(plan.body_max.0).unwrap_or(usize::MAX),
        page_max: plan.page_max,
        ..Limits::default()
    };
    let options = FhirOptions {
        tenants,
        url: plan.url.clone(),
        origins: plan.origins.clone(),
        import_folder: plan.import_folder.as_ref().map(PathBuf::from),
        limits,
        subscriptions: subscriptions(&plan.subscriptions),
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

fn subscriptions(plan: &FhirSubscriptions) -> SubscriptionOptions {
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
        }
    };
    let topics = plan.topics.iter().map(|topic| TopicOptions {
        url: topic.url.clone(),
        triggers: topic.triggers.iter().map(trigger).collect(),
        filters: topic.filters.clone(),
    });
    SubscriptionOptions {
        allow: plan.allow.clone(),
        failures_max: plan.failures_max,
        retry_first: plan.retry_first.duration(),
        retry_longest: plan.retry_longest.duration(),
        give_up_after: plan.give_up_after.duration(),
        keep: plan.keep.duration(),
        keep_max: plan.keep_max,
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

fn tenant(name: &str, site: &Path, file: PathBuf, own: &FhirTenant) -> TenantOptions {
    let types = own.validate_types.iter();
    TenantOptions {
        name: name.to_owned(),
        jobs: file.with_extension("jobs"),
        file,
        validate: validate(own.validate),
        validate_types: types
            .map(|(ty, mode)| (ty.clone(), validate(*mode)))
            .collect(),
        packages: own.packages.iter().map(|path| site.join(path)).collect(),
        profiles: own.profiles.clone(),
        ..TenantOptions::default()
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
fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}
