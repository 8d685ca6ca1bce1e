//! What the components of this crate share about addresses, TLS and errors.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hilum_component::{
    BoxFuture, BuildContext, Class, Delivery, DeliveryError, Millis, Outcome, Problem, Reached,
    SourceError, SystemInfo, SystemName,
};
use hilum_net::{
    AllowList, ClientCertificates, ClientTls, ClientTlsOptions, ConnectOptions, Connector,
    HostPort, Identity, ListenOptions, NetError, Roots, ServerTls, ServerTlsOptions, TlsVersion,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// TLS of a connection. Paths are absolute or relative to the site's folder; changed files are
/// read again.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Tls {
    /// Our certificate chain (PEM); a listener needs one.
    pub(crate) certificate: Option<String>,
    /// The key of our certificate (PEM).
    pub(crate) key: Option<String>,
    /// The authorities (PEM) from which the peer's certificate must come. Without it a connection
    /// trusts those of the operating system, and a listener asks for no certificate.
    pub(crate) ca: Option<String>,
    /// Whether peers of a listener must show a certificate; they must unless this says otherwise.
    #[serde(default)]
    pub(crate) clients: Clients,
    /// The name in the peer's certificate, where it is not the host of the address.
    pub(crate) server_name: Option<String>,
    /// The oldest version of TLS that is spoken.
    #[serde(default)]
    pub(crate) oldest: Oldest,
}

/// Whether a listener with `ca` insists on a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Clients {
    /// Who shows none is refused.
    #[default]
    Required,
    /// Who shows none is let in without a name.
    Optional,
}

/// The oldest version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum Oldest {
    /// TLS 1.2.
    #[default]
    #[serde(rename = "tls-1.2")]
    V1_2,
    /// TLS 1.3.
    #[serde(rename = "tls-1.3")]
    V1_3,
}

impl Oldest {
    const fn version(self) -> TlsVersion {
        match self {
            Self::V1_2 => TlsVersion::V1_2,
            Self::V1_3 => TlsVersion::V1_3,
        }
    }
}

/// Reads a configuration that was checked against its schema.
pub(crate) fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Vec<Problem>> {
    T::deserialize(value).map_err(|error| vec![Problem::at(&[], error.to_string())])
}

/// The schema of a configuration.
pub(crate) fn schema<T: JsonSchema>() -> Value {
    schemars::schema_for!(T).to_value()
}

/// Keeps a value or notes what is wrong with it.
pub(crate) fn noting<T>(problems: &mut Vec<Problem>, found: Result<T, Problem>) -> Option<T> {
    found.map_err(|problem| problems.push(problem)).ok()
}

/// The system of a component, if it names one.
pub(crate) fn system(
    context: &BuildContext<'_>,
    name: Option<&SystemName>,
) -> Result<Option<Arc<SystemInfo>>, Problem> {
    name.map(|name| context.system(&["system"], name.as_str()))
        .transpose()
}

/// The address of a peer: written out, or that of the system for a technology.
pub(crate) fn peer_text(
    technology: &str,
    key: &str,
    written: Option<&str>,
    system: Option<&SystemInfo>,
) -> Result<String, Problem> {
    if let Some(text) = written {
        return Ok(text.to_owned());
    }
    let Some(system) = system else {
        return Err(Problem::at(&[], "neither a system nor an address is named")
            .hint(format!("write `system: NAME`, or `{key}: ...`")));
    };
    system.addresses.get(technology).cloned().ok_or_else(|| {
        let text = format!(
            "the system `{}` has no address for {technology}",
            system.name
        );
        Problem::at(&["system"], text).hint(format!(
            "write it in systems/{}.yaml under `addresses: {{ {technology}: ... }}`",
            system.name
        ))
    })
}

/// A problem with an address that the system's file gives lies there.
pub(crate) fn of_peer(
    technology: &str,
    written: Option<&str>,
    system: Option<&SystemInfo>,
    problem: Problem,
) -> Problem {
    match (written, system) {
        (None, Some(system)) if system.addresses.contains_key(technology) => {
            problem.in_system(&*system.name, &["addresses", technology])
        }
        _ => problem,
    }
}

/// Reads an address.
pub(crate) fn host_port(key: &str, text: &str) -> Result<HostPort, Problem> {
    text.parse()
        .map_err(|error: hilum_net::AddressError| Problem::at(&[key], error.to_string()))
}

/// The TLS settings of a connection: the component's own, else those in the system's file.
pub(crate) fn connect_tls(
    context: &BuildContext<'_>,
    technology: &str,
    own: Option<&Tls>,
    system: Option<&SystemInfo>,
) -> Result<Option<Arc<ClientTls>>, Problem> {
    let (None, Some(system)) = (own, system) else {
        return own.map(|tls| client_tls(context, tls)).transpose();
    };
    let narrow = system.settings.get(technology);
    let (key, settings) = match narrow.and_then(|value| value.get("tls")) {
        Some(value) => (vec!["settings", technology, "tls"], value),
        None => match system.settings.get("tls") {
            Some(value) => (vec!["settings", "tls"], value),
            None => return Ok(None),
        },
    };
    let there = |problem: Problem| problem.in_system(&*system.name, &key);
    let tls = Tls::deserialize(settings).map_err(|error| {
        let text = format!("the TLS settings of the system: {error}");
        let hint = "keys: certificate, key, ca, clients, server-name, oldest";
        there(Problem::at(&[], text).hint(hint))
    })?;
    client_tls(context, &tls).map(Some).map_err(there)
}

/// The files of TLS belong to the plan.
fn note_files(context: &BuildContext<'_>, tls: &Tls) {
    for path in [&tls.certificate, &tls.key, &tls.ca].into_iter().flatten() {
        context.site.note_file(path);
    }
}

fn client_tls(context: &BuildContext<'_>, tls: &Tls) -> Result<Arc<ClientTls>, Problem> {
    note_files(context, tls);
    let options = ClientTlsOptions {
        roots: tls
            .ca
            .as_ref()
            .map_or(Roots::System, |ca| Roots::File(path(context, ca))),
        identity: identity(context, tls)?,
        server_name: tls.server_name.clone(),
        oldest: tls.oldest.version(),
    };
    ClientTls::load(options)
        .map(Arc::new)
        .map_err(|error| net_problem(&["tls"], &error))
}

/// The TLS settings of a listener.
pub(crate) fn listen_tls(
    context: &BuildContext<'_>,
    tls: &Tls,
    protocols: &[&str],
) -> Result<Arc<ServerTls>, Problem> {
    note_files(context, tls);
    let identity = identity(context, tls)?.ok_or_else(|| {
        Problem::at(&["tls"], "a listener needs a certificate")
            .hint("write `certificate: FILE` and `key: FILE`")
    })?;
    let clients = match (&tls.ca, tls.clients) {
        (None, _) => ClientCertificates::None,
        (Some(ca), Clients::Required) => ClientCertificates::Required(path(context, ca)),
        (Some(ca), Clients::Optional) => ClientCertificates::Optional(path(context, ca)),
    };
    let options = ServerTlsOptions {
        identity,
        clients,
        oldest: tls.oldest.version(),
        protocols: protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect(),
    };
    ServerTls::load(options)
        .map(Arc::new)
        .map_err(|error| net_problem(&["tls"], &error))
}

fn identity(context: &BuildContext<'_>, tls: &Tls) -> Result<Option<Identity>, Problem> {
    match (&tls.certificate, &tls.key) {
        (Some(certificate), Some(key)) => Ok(Some(Identity {
            certificate: path(context, certificate),
            key: path(context, key),
        })),
        (None, None) => Ok(None),
        (Some(_), None) | (None, Some(_)) => Err(Problem::at(
            &["tls"],
            "`certificate` and `key` belong together",
        )),
    }
}

/// A path as written, from the site's folder.
pub(crate) fn path(context: &BuildContext<'_>, text: &str) -> PathBuf {
    context.site.folder().join(text)
}

/// A listener's settings, of what the components share.
pub(crate) fn listen_options(
    context: &BuildContext<'_>,
    problems: &mut Vec<Problem>,
    listen: &str,
    tls: Option<&Tls>,
    allow: &[String],
    protocols: &[&str],
) -> Option<ListenOptions> {
    let address = HostPort::listen(listen).map_err(|e| Problem::at(&["listen"], e.to_string()));
    let address = noting(problems, address);
    let allow = AllowList::new(allow).map_err(|e| Problem::at(&["allow"], e.to_string()));
    let allow = noting(problems, allow);
    let tls = tls
        .map(|tls| listen_tls(context, tls, protocols))
        .transpose();
    let tls = noting(problems, tls);
    let mut options = ListenOptions::new(address?);
    options.allow = allow?;
    options.tls = tls?;
    Some(options)
}

/// A connector's settings, of what the components share.
pub(crate) fn connector(
    address: HostPort,
    tls: Option<Arc<ClientTls>>,
    within: Option<Millis>,
    keep_alive: Option<Millis>,
) -> Result<Connector, Problem> {
    let mut options = ConnectOptions::new(address);
    options.tls = tls;
    if let Some(within) = within {
        options.within = within.duration();
    }
    if let Some(keep_alive) = keep_alive {
        options.keep_alive = quiet(keep_alive);
    }
    Connector::new(options).map_err(|error| net_problem(&["tls"], &error))
}

/// Zero turns the probes off.
pub(crate) fn quiet(keep_alive: Millis) -> Option<Duration> {
    (keep_alive.0 > 0).then(|| keep_alive.duration())
}

fn net_problem(key: &[&str], error: &NetError) -> Problem {
    let problem = Problem::at(key, error.chain());
    match error.hint() {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

/// A failed listener or connection as a source reports it.
pub(crate) fn source_error(error: &NetError) -> SourceError {
    SourceError {
        retry: true,
        message: error.chain(),
        hint: error.hint(),
    }
}

/// A failed connection as a destination reports it: nothing was sent, so it may be tried again.
pub(crate) fn delivery_error(error: &NetError) -> DeliveryError {
    let mut failed = DeliveryError::new(Class::Retry, error.code(), error.chain());
    failed.hint = error.hint();
    failed
}

/// One attempt for each delivery, one after the other.
pub(crate) fn one_by_one<'a, F>(
    deliveries: &'a [Delivery],
    attempt: impl Fn(&'a Delivery) -> F + Send + 'a,
) -> BoxFuture<'a, Vec<Outcome>>
where
    F: Future<Output = Outcome> + Send + 'a,
{
    Box::pin(async move {
        let mut outcomes = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            outcomes.push(attempt(delivery).await);
        }
        outcomes
    })
}

/// Connects and lets go again, as a destination that is only tried.
pub(crate) async fn reach(connector: &Connector) -> Result<Reached, DeliveryError> {
    let connection = connector.connect().await;
    let certificate = connection
        .map_err(|error| delivery_error(&error))?
        .peer
        .certificate;
    Ok(Reached {
        good_until: certificate.as_ref().and_then(|name| name.good_until),
        certificate: certificate.map(|name| name.subject),
    })
}
