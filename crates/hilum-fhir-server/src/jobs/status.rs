//! What becomes of a job: its status, its end, its files.

use hilum_access::{Method, Permission};
use hilum_component::BoxFuture;
use hilum_fhir::IssueType;
use hilum_fhir_store::{Job, JobState};
use http::{StatusCode, header};

use super::{PROGRESS, Progress, kind, runner};
use crate::call::{Answer, Call, Reply};
use crate::fault::Fault;
use crate::route::{Claim, Entry, entry};
use crate::time::http_date;

pub(crate) fn routes() -> [Entry; 2] {
    let path = "/_jobs/{job}";
    [
        entry(
            "job-status",
            Method::Get,
            path,
            Permission::FhirJob,
            "How far work is that is answered later, and its answer when it is done",
            Claim::Beside,
            status,
        ),
        entry(
            "job-delete",
            Method::Delete,
            path,
            Permission::FhirJob,
            "Ends work that is answered later, and removes what it made",
            Claim::Beside,
            delete,
        ),
    ]
}

/// The job that a path names.
pub(crate) async fn named(call: &Call) -> Result<Job, Fault> {
    let none = || {
        let text = "there is no such job; it may have been deleted, or its time is over";
        Fault::missing(IssueType::NotFound, text)
    };
    call.tenant
        .store
        .job(call.part("job"))
        .await?
        .ok_or_else(none)
}

fn status(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        call.knows_only(&[])?;
        let job = named(&call).await?;
        let progress = Progress::of(&job);
        match job.state {
            JobState::Open => Ok(Reply::new(StatusCode::ACCEPTED, Answer::None)
                .with(PROGRESS, &progress.text)
                .with(header::RETRY_AFTER, "1")),
            JobState::Failed => {
                let (status, outcome) = progress.fault.unwrap_or_default();
                Ok(failed_as(status, outcome))
            }
            JobState::Done => {
                let kind = kind(&job)
                    .ok_or_else(|| Fault::failed("another version of the server made this job"))?;
                let kept = i64::try_from(call.fhir.limits.job_kept.as_millis());
                let expires = job.changed_ms.saturating_add(kept.unwrap_or(i64::MAX));
                let reply = (kind.answer)(call, job).await?;
                Ok(reply.with(header::EXPIRES, &http_date(expires)))
            }
        }
    })
}

/// The answer about a job that failed.
pub(crate) fn failed_as(status: u16, outcome: String) -> Reply {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Reply::new(status, Answer::Json(outcome.into_bytes()))
}

fn delete(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        call.knows_only(&[])?;
        let job = named(&call).await?;
        // Removed first, so that the runner does not begin it again.
        runner::remove(&call.tenant, &job.id).await;
        call.fhir.jobs.abort(&job.id);
        // What it wrote in between.
        super::remove_folder(&call.tenant, &job.id).await?;
        Ok(Reply::new(StatusCode::ACCEPTED, Answer::None))
    })
}
