//! Care for the data of a node while it is in use: backup and verification, one at a time.
//!
//! Both read everything, which may take long: a request starts them, and another asks how far they
//! are. They end with the node.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hilum_access::{Method, Parameter, Permission, Route};
use hilum_component::BoxFuture;
use hilum_journal::{Cancel, Clock, Finding, Journal};
use http::StatusCode;
use serde_json::{Value, json};

use super::{Admin, ApiError, Call, Entry, Reply};
use crate::backup::{self, back_up};
use crate::fhir::FhirStore;

/// A backup or a verification.
pub(crate) struct Job {
    what: &'static str,
    to: Option<PathBuf>,
    started_ms: u64,
    cancel: Cancel,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    /// Files that are done, and all.
    files: (usize, usize),
    ended: Option<Result<Value, String>>,
}

impl Job {
    fn progress(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, done: usize, of: usize) {
        self.progress().files = (done, of);
    }

    fn shown(&self) -> Value {
        let progress = self.progress();
        let (state, result, error) = match &progress.ended {
            None => ("running", None, None),
            Some(Ok(result)) => ("done", Some(result), None),
            Some(Err(error)) => ("failed", None, Some(error)),
        };
        json!({
            "what": self.what, "to": self.to, "started-ms": self.started_ms, "state": state,
            "files-done": progress.files.0, "files": progress.files.1,
            "result": result, "error": error,
        })
    }
}

impl Admin {
    /// Ends a backup or a verification that runs.
    pub(crate) fn cancel_care(&self) {
        let job = self.care.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(job) = &*job {
            job.cancel.cancel();
        }
    }
}

pub(super) fn routes() -> Vec<Entry> {
    let route = |name, method, path, permission, about| Route {
        name,
        method,
        path,
        permission,
        about,
        query: &[],
        body: &[],
    };
    let administer = Permission::Administer;
    vec![
        Entry {
            route: route(
                "journal",
                Method::Get,
                "/api/v1/journal",
                Permission::Operations,
                "Where the journal is, and its figures",
            ),
            handle: journal,
        },
        Entry {
            route: Route {
                body: &[Parameter {
                    name: "to",
                    about: "An absolute path on the machine of the node; new or empty",
                }],
                ..route(
                    "backup",
                    Method::Post,
                    "/api/v1/backup",
                    administer,
                    "Begins to copy the journal and the FHIR stores to a folder; /api/v1/care says how far it is",
                )
            },
            handle: backup,
        },
        Entry {
            route: route(
                "verify",
                Method::Post,
                "/api/v1/verify",
                administer,
                "Begins to compare the journal and the FHIR stores with their checksums; /api/v1/care says how far it is",
            ),
            handle: verify,
        },
        Entry {
            route: route(
                "care",
                Method::Get,
                "/api/v1/care",
                administer,
                "The backup or verification that runs or ran last",
            ),
            handle: care,
        },
        Entry {
            route: route(
                "cancel-care",
                Method::Post,
                "/api/v1/care/cancel",
                administer,
                "Ends the backup or verification that runs",
            ),
            handle: cancel,
        },
    ]
}

type Answer = BoxFuture<'static, Result<Reply, ApiError>>;

fn journal(admin: Arc<Admin>, _call: Call) -> Answer {
    Box::pin(async move {
        let journal = admin.engine.journal();
        let figures = journal.figures();
        Ok(Reply::Json(json!({
            "folder": journal.folder(), "partitions": figures.partitions,
            "open-bytes": figures.open_bytes, "index-tail": figures.index_tail,
            "unfolded": figures.unfolded, "log-is-long": figures.log_is_long,
        })))
    })
}

fn backup(admin: Arc<Admin>, call: Call) -> Answer {
    Box::pin(async move {
        let to = PathBuf::from(call.text("to").unwrap_or_default());
        if !to.is_absolute() {
            let text = "`to` is an absolute path on the machine of the node";
            return Err(ApiError::bad("to", text));
        }
        if is_used(&to) {
            let text = format!("{} is not empty; choose a new folder", to.display());
            return Err(ApiError::new(StatusCode::CONFLICT, "conflict", text));
        }
        let folder = to.clone();
        start(&admin, "backup", Some(to), move |journal, stores, job| {
            let tell = |done, of| job.tell(done, of);
            let made = back_up(journal, stores, &folder, &job.cancel, &tell);
            let made = made.map_err(|error| chain(&error))?;
            let elsewhere = made
                .elsewhere
                .iter()
                .map(|other| json!({ "store": other.store, "remedy": other.remedy }));
            let elsewhere: Vec<Value> = elsewhere.collect();
            Ok(json!({ "files": made.files, "elsewhere": elsewhere }))
        })
    })
}

fn is_used(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut inside| inside.next().is_some())
}

fn verify(admin: Arc<Admin>, _call: Call) -> Answer {
    Box::pin(async move {
        start(&admin, "verify", None, |journal, stores, job| {
            let tell = |done, of| job.tell(done, of);
            let findings = backup::verify(journal, stores, &job.cancel, &tell);
            let findings = findings.map_err(|error| chain(&error))?;
            let shown: Vec<Value> = findings.iter().map(finding).collect();
            Ok(json!({ "findings": shown }))
        })
    })
}

fn finding(finding: &Finding) -> Value {
    json!({ "file": &*finding.file, "sequence": finding.sequence, "text": finding.text })
}

fn start(
    admin: &Admin,
    what: &'static str,
    to: Option<PathBuf>,
    work: impl FnOnce(&Journal, &[Box<dyn FhirStore>], &Job) -> Result<Value, String> + Send + 'static,
) -> Result<Reply, ApiError> {
    let mut current = admin.care.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(running) = current
        .as_ref()
        .filter(|job| job.progress().ended.is_none())
    {
        let text = format!("a {} runs already", running.what);
        return Err(ApiError::new(StatusCode::CONFLICT, "conflict", text));
    }
    let job = Arc::new(Job {
        what,
        to,
        started_ms: Clock::system().now_ms(),
        cancel: Cancel::new(),
        progress: Mutex::default(),
    });
    tracing::info!(what, to = ?job.to, "care of the data began by the management API");
    let (own, journal) = (Arc::clone(&job), admin.engine.journal().clone());
    let stores = (admin.stores)();
    tokio::task::spawn_blocking(move || {
        let ended = work(&journal, &stores, &own);
        drop((journal, stores));
        if let Err(error) = &ended {
            tracing::warn!(what, %error, "care of the data failed");
        }
        own.progress().ended = Some(ended);
    });
    let shown = job.shown();
    *current = Some(job);
    Ok(Reply::Json(shown))
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

fn care(admin: Arc<Admin>, _call: Call) -> Answer {
    Box::pin(async move {
        let job = admin.care.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = job.as_ref().map_or(Value::Null, |job| job.shown());
        Ok(Reply::Json(shown))
    })
}

fn cancel(admin: Arc<Admin>, _call: Call) -> Answer {
    Box::pin(async move {
        admin.cancel_care();
        Ok(Reply::Json(json!({ "done": true })))
    })
}
