//! Begins what waits, ends what is done, forgets what is old.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use hilum_fhir_store::{Job, JobState};
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;

use super::{Halt, Kind, Progress, Running, files, kind, later};
use crate::fault::Fault;
use crate::server::Fhir;
use crate::tenant::Tenant;

/// How often jobs are looked at when nothing calls for it: for what expires, and for those that
/// failed for want of something.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Removes the files of jobs that there are no more. Nothing may begin a job meanwhile: its folder
/// is there before its row.
pub(crate) async fn clean(fhir: &Fhir) {
    for slot in fhir.tenants.values() {
        if let Err(error) = files::clean(&slot.now()).await {
            tracing::warn!(problem = ?error.problems.first(), "the files of FHIR jobs cannot be looked at");
        }
    }
}

/// Runs jobs until it is dropped; those that run then end at their next `await`.
pub(crate) async fn run(fhir: Arc<Fhir>) {
    let mut tasks: JoinSet<()> = JoinSet::new();
    let mut ids = HashMap::<Id, (String, &'static str)>::new();
    loop {
        begin(&fhir, &mut tasks, &mut ids).await;
        tokio::select! {
            () = fhir.jobs.wake.notified() => {}
            Some(ended) = tasks.join_next_with_id(), if !tasks.is_empty() => {
                let (task, panicked) = match ended {
                    Ok((task, ())) => (task, false),
                    Err(error) => (error.id(), error.is_panic()),
                };
                if let Some((id, _)) = ids.remove(&task) {
                    forget(&fhir, &id);
                    if panicked {
                        broken(&fhir, &id).await;
                    }
                    fhir.jobs.moved();
                }
            }
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

fn forget(fhir: &Fhir, id: &str) {
    let mut running = fhir
        .jobs
        .running
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    running.remove(id);
}

/// A job that broke down is not tried again and again.
async fn broken(fhir: &Fhir, id: &str) {
    let fault = Fault::failed("the job broke down; this is a bug in hilum");
    for slot in fhir.tenants.values() {
        let tenant = slot.now();
        if let Ok(Some(job)) = tenant.store.job(id).await {
            fhir.jobs.failures.tell(&tenant.name, &job, &fault);
            save(&tenant, &job, &fault).await;
        }
    }
}

/// Begins jobs as far as there is room, and removes those that are old.
async fn begin(
    fhir: &Arc<Fhir>,
    tasks: &mut JoinSet<()>,
    ids: &mut HashMap<Id, (String, &'static str)>,
) {
    let now = (fhir.clock)();
    let kept_ms = i64::try_from(fhir.limits.job_kept.as_millis()).unwrap_or(i64::MAX);
    for slot in fhir.tenants.values() {
        let tenant = &slot.now();
        let jobs = match tenant.store.jobs().await {
            Ok(jobs) => jobs,
            Err(error) => {
                tracing::warn!(%error, "the FHIR jobs cannot be looked at");
                continue;
            }
        };
        for job in jobs {
            match job.state {
                JobState::Done | JobState::Failed => {
                    if now.saturating_sub(job.changed_ms) > kept_ms {
                        remove(tenant, &job.id).await;
                    }
                }
                JobState::Open => {
                    let Some(kind) = kind(&job) else { continue };
                    let runs = ids.values().any(|(id, _)| *id == job.id);
                    let alike = ids.values().filter(|(_, name)| *name == kind.name);
                    if runs || alike.count() >= fhir.limits.jobs_running_max {
                        continue;
                    }
                    let id = job.id.clone();
                    let work = work(Arc::clone(fhir), Arc::clone(tenant), job, kind);
                    let handle = tasks.spawn(work);
                    ids.insert(handle.id(), (id.clone(), kind.name));
                    let mut running = fhir
                        .jobs
                        .running
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner);
                    running.insert(id, handle);
                }
            }
        }
    }
}

/// Removes a job and its files.
pub(super) async fn remove(tenant: &Tenant, id: &str) -> bool {
    let removed = match tenant.store.remove_job(id).await {
        Ok(removed) => removed.is_some(),
        Err(error) => {
            tracing::warn!(%error, "a FHIR job cannot be removed");
            return false;
        }
    };
    if let Err(fault) = files::remove_folder(tenant, id).await {
        tracing::warn!(problem = ?fault.problems.first(), "the files of a FHIR job stay");
    }
    removed
}

async fn work(fhir: Arc<Fhir>, tenant: Arc<Tenant>, job: Job, kind: &'static Kind) {
    let began = Instant::now();
    tracing::info!(kind = kind.name, "a FHIR job begins");
    let running = Running {
        fhir: Arc::clone(&fhir),
        tenant: Arc::clone(&tenant),
        job: job.clone(),
        since: began,
    };
    let duration = || u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    match (kind.run)(running).await {
        Ok(()) => {
            let Ok(Some(last)) = tenant.store.job(&job.id).await else {
                return;
            };
            let saved = tenant
                .store
                .save_job(&job.id, JobState::Done, last.progress);
            if let Err(error) = saved.await {
                // It stays open, so its end is found once more.
                tracing::warn!(%error, "the end of a FHIR job cannot be saved");
            }
            tracing::info!(
                kind = kind.name,
                duration_ms = duration(),
                "a FHIR job is done"
            );
        }
        Err(Halt::Removed) => tracing::info!(kind = kind.name, "a FHIR job was removed"),
        Err(Halt::Failed(fault)) if later(&fault) => {
            let status = fault.status.as_u16();
            tracing::warn!(kind = kind.name, status, "a FHIR job is tried again later");
            // Not at once: whatever is missing has time to come back.
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(Halt::Failed(fault)) => {
            let status = fault.status.as_u16();
            tracing::warn!(kind = kind.name, status, "a FHIR job failed");
            fhir.jobs.failures.tell(&tenant.name, &job, &fault);
            save(&tenant, &job, &fault).await;
        }
    }
}

async fn save(tenant: &Tenant, job: &Job, fault: &Fault) {
    let outcome = hilum_fhir::operation_outcome_json(&fault.problems);
    let told = (
        fault.status.as_u16(),
        String::from_utf8_lossy(&outcome).into_owned(),
    );
    let last = tenant.store.job(&job.id).await;
    let progress = Progress {
        fault: Some(told),
        ..Progress::of(last.ok().flatten().as_ref().unwrap_or(job))
    };
    let bytes = progress.bytes().into();
    let saved = tenant.store.save_job(&job.id, JobState::Failed, bytes);
    if let Err(error) = saved.await {
        tracing::warn!(%error, "the failure of a FHIR job cannot be saved");
    }
}
