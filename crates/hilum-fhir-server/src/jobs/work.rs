//! What an operator sees of the work of a server: jobs and reindexes, and those that failed.
//!
//! Kinds, numbers and reasons as the OperationOutcome of a job tells them; no content.

use std::sync::PoisonError;

use hilum_fhir_store::{Job, JobState, StoreError};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::broadcast;

use super::Progress;
use crate::fault::Fault;
use crate::server::Fhir;

/// Failures that wait for whoever listens; the status of a job tells of it in any case.
const FAILURES_WAITING_MAX: usize = 64;

/// How a piece of work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkState {
    /// Others are before it.
    Waiting,
    /// It goes on.
    Running,
    /// It gave up; the job tells why until it is deleted or its time is over.
    Failed,
}

/// Work that takes longer than a request, and is not done.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Work {
    /// The tenant; empty for the first one.
    pub tenant: String,
    /// `export`, `import`, `request`, `erase`, `reindex`.
    pub kind: String,
    /// How it is.
    pub state: WorkState,
    /// The id of the job, below `_jobs`; a reindex has none.
    pub job: Option<String>,
    /// What is done: resources, or bytes of an import.
    pub done: Option<u64>,
    /// What there is to do, where that is known.
    pub total: Option<u64>,
    /// When it was asked for, or began, Unix milliseconds.
    pub since_ms: Option<i64>,
    /// How far it is, or why it failed.
    pub text: String,
}

/// A job that gave up.
#[derive(Clone, Debug)]
pub struct JobFailure {
    /// The tenant; empty for the first one.
    pub tenant: String,
    /// The kind of job.
    pub kind: String,
    /// Its id.
    pub job: String,
    /// Why.
    pub text: String,
}

/// Tells of failures.
#[derive(Debug)]
pub(crate) struct Failures(broadcast::Sender<JobFailure>);

impl Default for Failures {
    fn default() -> Self {
        Self(broadcast::channel(FAILURES_WAITING_MAX).0)
    }
}

impl Failures {
    pub(super) fn tell(&self, tenant: &str, job: &Job, fault: &Fault) {
        let problem = fault.problems.first();
        let failure = JobFailure {
            tenant: tenant.to_owned(),
            kind: job.kind.clone(),
            job: job.id.clone(),
            text: problem.map_or_else(String::new, |problem| problem.text.to_string()),
        };
        // Nobody has to listen.
        drop(self.0.send(failure));
    }
}

impl Fhir {
    /// Jobs that fail from now on.
    #[must_use]
    pub fn job_failures(&self) -> broadcast::Receiver<JobFailure> {
        self.jobs.failures.0.subscribe()
    }

    /// The jobs and reindexes that go on, wait or have failed, of all tenants.
    ///
    /// # Errors
    /// If a store cannot be asked.
    pub async fn work(&self) -> Result<Vec<Work>, StoreError> {
        let mut all = Vec::new();
        for slot in self.tenants.values() {
            let tenant = slot.now();
            let reindex = tenant.store.reindexing().await?;
            if let Some(progress) = reindex.filter(|progress| !progress.finished) {
                all.push(Work {
                    tenant: tenant.name.clone(),
                    kind: "reindex".to_owned(),
                    state: WorkState::Running,
                    job: None,
                    done: Some(progress.done),
                    total: Some(progress.total),
                    since_ms: (progress.began_ms > 0).then_some(progress.began_ms),
                    text: progress.to_string(),
                });
            }
            for job in tenant.store.jobs().await? {
                all.extend(self.of_job(&tenant.name, &job));
            }
        }
        Ok(all)
    }

    fn of_job(&self, tenant: &str, job: &Job) -> Option<Work> {
        let progress = Progress::of(job);
        let running = self.jobs.running.lock();
        let runs = running
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(&job.id);
        let (state, text) = match job.state {
            JobState::Done => return None,
            JobState::Failed => (WorkState::Failed, reason(&progress)),
            JobState::Open if runs => (WorkState::Running, progress.text),
            JobState::Open => (WorkState::Waiting, progress.text),
        };
        Some(Work {
            tenant: tenant.to_owned(),
            kind: job.kind.clone(),
            state,
            job: Some(job.id.clone()),
            done: progress.done,
            total: progress.total,
            since_ms: Some(job.created_ms),
            text,
        })
    }
}

/// What the outcome of a failed job says first.
fn reason(progress: &Progress) -> String {
    let Some((status, outcome)) = &progress.fault else {
        return "it failed".to_owned();
    };
    let outcome: Value = serde_json::from_str(outcome).unwrap_or_default();
    let issue = outcome.pointer("/issue/0");
    let told = issue.and_then(|issue| {
        let text = issue
            .get("diagnostics")
            .or_else(|| issue.pointer("/details/text"));
        text.and_then(Value::as_str)
    });
    told.map_or_else(
        || format!("it failed with the status {status}"),
        str::to_owned,
    )
}
