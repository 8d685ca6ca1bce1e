//! Work that takes longer than a request: it is answered with 202 and the URL of its status, goes
//! on beside the requests, and survives a restart (FHIR R4 async.html).
//!
//! A [`Kind`] is a pair of functions: one does the work, one makes the answer when it is done. The
//! row of a job lies in the store, what it writes in a folder of its own beside the store
//! ([`Running::folder`]).
//!
//! # Adding a kind
//! 1. Write `run(running: Running)`. It reads what was asked for with [`Running::request`] and how
//!    far it came with [`Running::progress`], works in steps, calls [`Running::save`] after each
//!    and [`Running::rest`] between them, and returns when all is done.
//! 2. Write `answer(call, job)`, which the status URL gives once it is done.
//! 3. Add the [`Kind`] to [`KINDS`], and call [`start`] where a client asks for it.
//!
//! Invariants:
//! - `run` may end at any `await`: a stop of the server and the deletion of the job drop it there.
//!   What is not saved is done again, so each step must be harmless when it is repeated (an own
//!   file is written anew, a commit carries a delivery id);
//! - at most [`Limits::jobs_running_max`](crate::Limits::jobs_running_max) of a kind run at once;
//! - a job that failed for want of something that may come back (a full disk, a busy store) is
//!   begun again later; any other failure ends it, and the status tells the OperationOutcome;
//! - the progress text holds numbers and types, no content.

mod files;
pub(crate) mod request;
mod runner;
mod status;
mod work;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hilum_component::BoxFuture;
use hilum_db::Files;
use hilum_fhir::IssueType;
use hilum_fhir_store::{Job, JobState, NewJob, StoreError};
use http::{HeaderName, StatusCode, header};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

pub(crate) use files::{Lines, blocking, make_folder, remove_folder};
pub(crate) use runner::{clean, run};
pub(crate) use status::{failed_as, named, routes};
pub(crate) use work::Failures;
pub use work::{JobFailure, Work, WorkState};

use crate::call::{Answer, Call, Content, Reply};
use crate::fault::Fault;
use crate::request::{Conditions, Media, Prefer};
use crate::server::Fhir;
use crate::tenant::Tenant;

/// How a client asks to be answered later, and where it is told how far the work is.
pub(crate) const PROGRESS: HeaderName = HeaderName::from_static("x-progress");

/// A kind of job.
pub(crate) struct Kind {
    /// Its name in the store; never changed.
    pub(crate) name: &'static str,
    /// Does the work from where it was saved last.
    pub(crate) run: fn(Running) -> BoxFuture<'static, Result<(), Halt>>,
    /// What is answered when it is done.
    pub(crate) answer: fn(Call, Job) -> BoxFuture<'static, Result<Reply, Fault>>,
}

/// Every kind.
pub(crate) const KINDS: &[Kind] = &[
    request::KIND,
    crate::bulk::export::KIND,
    crate::bulk::import::KIND,
    crate::operation::erase::KIND,
];

/// The kind of a job; none if another program made it.
pub(crate) fn kind(job: &Job) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == job.kind)
}

/// The jobs of a server that run.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    /// There is something to begin.
    wake: Notify,
    /// A job has saved something, or has ended.
    moved: Notify,
    failures: Failures,
    running: Mutex<HashMap<String, AbortHandle>>,
}

impl Jobs {
    /// Lets the runner look for what is to be begun.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Those who wait for a job are to look at it.
    fn moved(&self) {
        self.moved.notify_waiters();
    }

    /// Ends a job that runs, at its next `await`.
    fn abort(&self, id: &str) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = running.remove(id) {
            handle.abort();
        }
    }
}

/// Why work ends before it is done.
#[derive(Debug)]
pub(crate) enum Halt {
    /// The job was removed.
    Removed,
    /// It cannot be done.
    Failed(Fault),
}

/// It may succeed another time.
fn later(fault: &Fault) -> bool {
    fault.status == StatusCode::SERVICE_UNAVAILABLE
        || fault.status == StatusCode::INSUFFICIENT_STORAGE
}

impl From<Fault> for Halt {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoJob => Self::Removed,
            error => Self::Failed(error.into()),
        }
    }
}

/// How far a job is, as the store keeps it.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Progress {
    /// For people: numbers and types, at most a hundred characters.
    pub(crate) text: String,
    /// What is done, in the unit of its kind (resources, bytes).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) done: Option<u64>,
    /// What there is to do, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) total: Option<u64>,
    /// Status and OperationOutcome of a job that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fault: Option<(u16, String)>,
    /// In the terms of its kind.
    #[serde(default)]
    pub(crate) own: Value,
}

impl Progress {
    /// A text, and what the kind keeps.
    pub(crate) fn saying(text: String, own: &impl Serialize) -> Result<Self, Fault> {
        let own = serde_json::to_value(own)
            .map_err(|_| Fault::failed("the progress of a job cannot be written"))?;
        Ok(Self {
            text,
            own,
            ..Self::default()
        })
    }

    pub(crate) fn of(job: &Job) -> Self {
        serde_json::from_slice(&job.progress).unwrap_or_default()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// What a request that was kept, or the progress of a job, is read as.
pub(crate) fn read<T: DeserializeOwned>(value: Value) -> Result<T, Fault> {
    serde_json::from_value(value).map_err(|_| Fault::failed("the record of a job cannot be read"))
}

/// A job while it runs.
pub(crate) struct Running {
    pub(crate) fhir: Arc<Fhir>,
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) job: Job,
    /// When it began to work after its last rest.
    since: Instant,
}

impl Running {
    /// What was asked for.
    pub(crate) fn request<T: DeserializeOwned>(&self) -> Result<T, Halt> {
        serde_json::from_slice(&self.job.request)
            .map_err(|_| Fault::failed("the record of a job cannot be read").into())
    }

    /// What was saved last; the default if nothing was.
    pub(crate) fn progress<T: DeserializeOwned + Default>(&self) -> Result<T, Halt> {
        match Progress::of(&self.job).own {
            Value::Null => Ok(T::default()),
            own => Ok(read(own)?),
        }
    }

    /// Saves how far it is, durably.
    pub(crate) async fn save(&mut self, own: &impl Serialize, text: String) -> Result<(), Halt> {
        let progress = Progress::saying(text, own)?;
        self.write(JobState::Open, &progress).await
    }

    /// As [`Running::save`], with how much is done of how much.
    pub(crate) async fn save_part(
        &mut self,
        own: &impl Serialize,
        text: String,
        (done, total): (u64, Option<u64>),
    ) -> Result<(), Halt> {
        let progress = Progress {
            done: Some(done),
            total,
            ..Progress::saying(text, own)?
        };
        self.write(JobState::Open, &progress).await
    }

    async fn write(&mut self, state: JobState, progress: &Progress) -> Result<(), Halt> {
        let bytes = progress.bytes().into();
        let saved = self
            .tenant
            .store
            .save_job(&self.job.id, state, bytes)
            .await?;
        self.job = saved.ok_or(Halt::Removed)?;
        self.fhir.jobs.moved();
        Ok(())
    }

    /// Leaves the machine to the requests for a part of the time that was worked since the last
    /// rest ([`Limits::job_rest_percent`](crate::Limits::job_rest_percent)).
    pub(crate) async fn rest(&mut self) {
        let worked = self.since.elapsed().min(Duration::from_secs(10));
        let rest = worked.saturating_mul(self.fhir.limits.job_rest_percent) / 100;
        tokio::time::sleep(rest).await;
        self.since = Instant::now();
    }

    /// A request of the job itself, without a body, to the tenant under this URL. Whoever asked
    /// for the job was permitted to.
    pub(crate) fn call(&self, base: &str) -> Call {
        Call {
            moment: None,
            fhir: Arc::clone(&self.fhir),
            // A job may run for longer than a set of search parameters lasts.
            tenant: match self.fhir.tenants.get(&self.tenant.name) {
                Some(slot) => slot.now(),
                None => Arc::clone(&self.tenant),
            },
            parts: Vec::new(),
            query: Vec::new(),
            conditions: Conditions::default(),
            prefer: Prefer::default(),
            languages: None,
            media: Media::JSON,
            body: Content::NONE,
            base: base.into(),
            caller: IpAddr::V4(Ipv4Addr::LOCALHOST),
            delivering: None,
            beside: None,
        }
    }

    /// Where its files lie.
    pub(crate) fn folder(&self) -> PathBuf {
        self.tenant.job_folder(&self.job.id)
    }

    /// The disk.
    pub(crate) fn files(&self) -> Arc<dyn Files> {
        Arc::clone(&self.tenant.files)
    }
}

/// Keeps a job, lets it begin, and answers 202 with the URL of its status. Files that it needs may
/// lie in its folder already.
pub(crate) async fn start(
    call: &Call,
    id: String,
    kind: &Kind,
    request: &impl Serialize,
) -> Result<Reply, Fault> {
    let request = serde_json::to_vec(request)
        .map_err(|_| Fault::failed("the request of a job cannot be written"))?;
    let known = call.tenant.store.jobs().await?.len();
    if known >= call.fhir.limits.jobs_max {
        let text =
            format!("there are {known} jobs, as many as are kept; delete some that are done");
        let status = StatusCode::TOO_MANY_REQUESTS;
        return Err(Fault::new(status, IssueType::Throttled, text).with(header::RETRY_AFTER, "60"));
    }
    make_folder(&call.tenant, &id).await?;
    let reply = later_at(call, &id);
    let progress = Progress::saying("waiting".to_owned(), &())?;
    add(call, id, kind, request.into(), &progress).await?;
    Ok(reply)
}

/// 202, and where the status of the job is.
pub(crate) fn later_at(call: &Call, id: &str) -> Reply {
    let url = format!("{}/_jobs/{id}", call.base);
    Reply::new(StatusCode::ACCEPTED, Answer::None).with(header::CONTENT_LOCATION, &url)
}

/// Keeps a job with what it has to go on with, and lets it begin.
pub(crate) async fn add(
    call: &Call,
    id: String,
    kind: &Kind,
    request: Bytes,
    progress: &Progress,
) -> Result<(), Fault> {
    let job = NewJob {
        id,
        kind: kind.name.to_owned(),
        request,
        progress: progress.bytes().into(),
    };
    call.tenant.store.add_job(job).await?;
    call.fhir.jobs.wake();
    Ok(())
}

/// Waits until a job is as the caller wants it, at most for so long; gives it as it is then.
pub(crate) async fn until(
    call: &Call,
    id: &str,
    within: Duration,
    wanted: impl Fn(&Job) -> bool,
) -> Result<Job, Fault> {
    let until = Instant::now() + within;
    loop {
        let moved = call.fhir.jobs.moved.notified();
        let job = call.tenant.store.job(id).await?;
        let job = job.ok_or_else(|| Fault::failed("the job was removed"))?;
        if wanted(&job) || tokio::time::timeout_at(until, moved).await.is_err() {
            return Ok(job);
        }
    }
}
