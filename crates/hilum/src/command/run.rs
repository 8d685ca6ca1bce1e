//! `hilum run`

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use hilum_admin::route::Stores;
use hilum_admin::{ADMIN_CONNECTIONS_MAX, Admin, ApiError};
use hilum_component::{FhirDoor, Plan, Stop};
use hilum_config::{FhirPlan, Secrets};
use hilum_engine::{Engine, EngineError, EngineOptions, ReloadReport};
use hilum_journal::JournalOptions;
use hilum_net::{HostPort, ListenOptions, Listener};
use hilum_terminology::Shelf;
use hilum_terminology::installed::Folder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use super::check::load_with;
use super::watch::Watch;
use crate::args::{Run, SiteArgs};
use crate::fhir::Served;
use crate::kept::Kept;
use crate::output::{Exit, Output};
use crate::plans::Plans;

/// The file whose lock says that a node uses a data folder.
pub(super) const LOCK: &str = "hilum.lock";

pub(crate) fn run(arguments: &Run, output: &Output) -> anyhow::Result<Exit> {
    log_to_stderr(arguments)?;
    let door = FhirDoor::default();
    let shelf = Arc::new(Shelf::default());
    fill(&shelf, &arguments.data);
    let terminology = crate::terms::of_node(&shelf, &arguments.data);
    let opened = (door.clone(), terminology.clone());
    let loaded = load_with(&arguments.site, Secrets::Required, opened, output)?;
    if loaded.plan.is_none() {
        output.note(hilum_config::summary(&loaded.diagnostics, loaded.files));
        return Ok(Exit::Found);
    }
    std::fs::create_dir_all(&arguments.data)
        .with_context(|| format!("cannot make the folder {}", arguments.data.display()))?;
    let lock = lock(&arguments.data)?;
    let kept = Kept::open(&arguments.data, &arguments.site.site, terminology)?;
    let kept = Arc::new(kept);
    kept.keep(&loaded, arguments.site.environment.as_deref())?;
    let fhir = loaded.fhir;
    let plan = loaded.plan.context("checked above")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(io_threads(cores()))
        .enable_all()
        .build()
        .context("cannot start the I/O threads")?;
    let beside = (fhir, door, shelf);
    let result = runtime.block_on(serve(arguments, plan, beside, kept, output));
    runtime.shutdown_timeout(Duration::from_secs(1));
    drop(lock);
    result
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// Threads for sockets. Messages are processed on threads of their own, one for each core, and a
/// socket's share is small: more threads here would only wake each other.
const fn io_threads(cores: usize) -> usize {
    let half = cores / 2;
    if half == 0 { 1 } else { half }
}

fn log_to_stderr(arguments: &Run) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&arguments.log)
        .with_context(|| format!("not a log filter: {}", arguments.log))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let set = if arguments.log_json {
        builder.json().try_init()
    } else {
        builder
            .with_ansi(crate::output::wants_color(&std::io::stderr()))
            .try_init()
    };
    set.map_err(|error| anyhow::anyhow!("cannot set up logging: {error}"))
}

/// Two nodes on one journal would break it.
pub(super) fn lock(data: &Path) -> anyhow::Result<File> {
    let path = data.join(LOCK);
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    if file.try_lock().is_err() {
        bail!(
            "another hilum runs on {}; stop it first, or choose another --data",
            data.display()
        );
    }
    Ok(file)
}

async fn serve(
    arguments: &Run,
    plan: Plan,
    (fhir, door, shelf): (Option<FhirPlan>, FhirDoor, Arc<Shelf>),
    kept: Arc<Kept>,
    output: &Output,
) -> anyhow::Result<Exit> {
    let threads = cores();
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mut hung_up = signal(SignalKind::hangup())?;
    let (site, channels) = (plan.site.clone(), plan.channels.len());
    let listener = admin_listener(&plan).await?;
    let journal = journal_options()?;
    let options = || EngineOptions {
        data: arguments.data.clone(),
        journal: journal.clone(),
        threads,
        kept: Arc::clone(&kept) as _,
        links: Arc::new(hilum_identity::Lanes),
    };
    // Channels reach the stores from their first message to their last.
    let served = match &fhir {
        Some(plan) => {
            let folders = (&*arguments.site.site, &*arguments.data);
            Some(crate::fhir::start(plan, folders, door.clone(), Arc::clone(&shelf)).await?)
        }
        None => None,
    };
    let stores = (fhir, door);
    let plans = Plans::new(plan, served.as_ref().map(|served| &served.fhir))?;
    plans.keep(&kept);
    let engine = Arc::new(plans.start(options).await?);
    let plans = Arc::new(plans);
    let mut beside = beside(&plans, &engine, served.as_ref());
    let running = (Arc::clone(&engine), plans);
    let (stop_admin, stop) = Stop::new();
    let mut address = String::new();
    if let Some((listener, at)) = listener {
        address = format!(", management at http://{at}");
        let reload = reloader(arguments, &kept, &running, &stores, &shelf);
        let fhir = served.as_ref().map(crate::fhir::side);
        let admin = Admin::new(Arc::clone(&engine), reload)
            .with_fhir(fhir)
            .with_stores(kept_stores(&stores.0, served.as_ref(), &arguments.data));
        let admin = Arc::new(admin);
        tokio::spawn(hilum_admin::serve(listener, admin, stop));
    }
    if let Some(served) = &served {
        address = format!("{address}, FHIR at {}", served.url);
    }
    let plural = if channels == 1 { "" } else { "s" };
    output.line(format_args!(
        "hilum ready: {site}, {channels} channel{plural}{address}"
    ));
    let reload = reloader(arguments, &kept, &running, &stores, &shelf);
    let site = &arguments.site.site;
    let mut watch = arguments.watch.then(|| Watch::new(site, &arguments.data));
    loop {
        tokio::select! {
            _ = interrupted.recv() => break,
            _ = terminated.recv() => break,
            _ = hung_up.recv() => {}
            () = changed(&mut watch) => {}
        }
        match reload().await {
            Ok(report) => tracing::info!(plan = report.plan, "reloaded"),
            Err(error) => tracing::error!("not reloaded: {}", error.message),
        }
    }
    tracing::info!("stopping; what is queued stays in the journal (stop again to end at once)");
    stop_admin.request();
    beside.abort_all();
    let stopped = async {
        engine.stop().await;
        if let Some(served) = served {
            served.stop().await;
        }
    };
    tokio::select! {
        () = stopped => Ok(Exit::Done),
        _ = interrupted.recv() => Ok(Exit::Failed),
        _ = terminated.recv() => Ok(Exit::Failed),
    }
}

/// Opens the code systems that are active (`hilum terminology`). One that cannot be used is left out:
/// a node serves its channels without it, unless their steps need it.
fn fill(shelf: &Shelf, data: &Path) {
    let problems = match Folder::of(data).open() {
        Ok(opened) => {
            for loaded in &opened.loads {
                let (id, bytes) = (&loaded.load.id, loaded.bytes());
                tracing::info!(load = id, bytes, "code systems of a load answer");
            }
            shelf.put(opened.loads, opened.state);
            opened.problems
        }
        Err(problem) => vec![problem],
    };
    for problem in problems {
        let error = anyhow::Error::new(problem);
        tracing::error!("a code system that is active cannot be used: {error:#}");
    }
}

/// What a backup copies beside the journal.
fn kept_stores(plan: &Option<FhirPlan>, served: Option<&Served>, data: &Path) -> Stores {
    let (server, data) = (
        plan.clone()
            .zip(served.map(|served| Arc::clone(&served.fhir))),
        data.to_owned(),
    );
    Box::new(move || match &server {
        Some((plan, fhir)) => crate::stores::of_node(plan, fhir, &data),
        None => crate::stores::in_folder(&data),
    })
}

/// What goes on beside the engine: it follows the subscriptions, and tells of jobs that failed.
fn beside(plans: &Arc<Plans>, engine: &Arc<Engine>, served: Option<&Served>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    if let Some(served) = served {
        tasks.spawn(crate::fhir::tell_failures(&served.fhir, engine));
    }
    let (plans, engine) = (Arc::clone(plans), Arc::clone(engine));
    tasks.spawn(async move { plans.follow(&engine).await });
    tasks
}

async fn changed(watch: &mut Option<Watch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

#[cfg(debug_assertions)]
fn journal_options() -> anyhow::Result<JournalOptions> {
    let mut options = JournalOptions::default();
    crate::failpoint::arm(&mut options)?;
    Ok(options)
}

#[cfg(not(debug_assertions))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "with debug assertions a failpoint may be refused"
)]
fn journal_options() -> anyhow::Result<JournalOptions> {
    Ok(JournalOptions::default())
}

async fn admin_listener(plan: &Plan) -> anyhow::Result<Option<(Listener, String)>> {
    let Some(admin) = &plan.admin else {
        return Ok(None);
    };
    let address = HostPort::listen(admin)?;
    if !address.ip().is_some_and(|ip| ip.is_loopback()) {
        bail!("the management API listens on loopback only in this release, not on {admin}");
    }
    let mut options = ListenOptions::new(address);
    options.connections_max = ADMIN_CONNECTIONS_MAX;
    let listener = Listener::bind(options).await.with_context(|| {
        format!("cannot listen at `admin: {admin}`; `hilum doctor` says who holds the port")
    })?;
    let at = listener.local_address().to_string();
    Ok(Some((listener, at)))
}

type Reloader = Box<
    dyn Fn() -> hilum_component::BoxFuture<'static, Result<ReloadReport, ApiError>> + Send + Sync,
>;

/// Loads the folder again and hands the plan to the engine; a bad folder changes nothing.
/// The FHIR server stays as it was started.
fn reloader(
    arguments: &Run,
    kept: &Arc<Kept>,
    (engine, plans): &(Arc<Engine>, Arc<Plans>),
    (fhir, door): &(Option<FhirPlan>, FhirDoor),
    shelf: &Arc<Shelf>,
) -> Reloader {
    let site = SiteArgs {
        site: arguments.site.site.clone(),
        environment: arguments.site.environment.clone(),
    };
    let (engine, kept, door) = (Arc::clone(engine), Arc::clone(kept), door.clone());
    let (fhir, plans) = (fhir.clone(), Arc::clone(plans));
    let (shelf, data) = (Arc::clone(shelf), arguments.data.clone());
    Box::new(move || {
        let (shelf, data) = (Arc::clone(&shelf), data.clone());
        let (engine, kept) = (Arc::clone(&engine), Arc::clone(&kept));
        let plans = Arc::clone(&plans);
        let options = hilum_config::Options {
            fhir: door.clone(),
            terminology: crate::terms::of_node(&shelf, &data),
            ..super::check::options(&site, Secrets::Required)
        };
        let (folder, fhir) = (site.site.clone(), fhir.clone());
        Box::pin(async move {
            let loaded = tokio::task::spawn_blocking(move || {
                fill(&shelf, &data);
                let folder = folder.canonicalize()?;
                let registry = crate::components::registry();
                let loaded = hilum_config::load(&folder, &registry, &options);
                kept.keep(&loaded, options.environment.as_deref())?;
                Ok::<_, anyhow::Error>(loaded)
            });
            let loaded = loaded
                .await
                .map_err(|error| ApiError::failed("reload", error.to_string()))?
                .map_err(|error| {
                    ApiError::failed("reload", format!("cannot read the folder: {error:#}"))
                })?;
            let plan = loaded.plan.ok_or_else(|| {
                let text = hilum_config::render(&loaded.diagnostics);
                let text = format!("the folder has errors; the running plan is unchanged\n{text}");
                ApiError::bad("plan", text.trim_end())
            })?;
            if loaded.fhir != fhir {
                tracing::warn!(
                    "the section `fhir` of hilum.yaml has changed; it takes effect at the next start"
                );
            }
            plans
                .reload(&engine, plan)
                .await
                .map_err(|error| match error {
                    EngineError::RemovedWithQueue(_) => ApiError::new(
                        http::StatusCode::CONFLICT,
                        "removed-with-queue",
                        error.to_string(),
                    ),
                    _ => ApiError::failed("reload", error.to_string()),
                })
        })
    })
}
