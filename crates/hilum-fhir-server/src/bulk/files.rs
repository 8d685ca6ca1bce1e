//! The files of a job, as they lie there.

use std::path::PathBuf;
use std::sync::Arc;

use hilum_access::{Method, Permission};
use hilum_component::BoxFuture;
use hilum_db::Files;
use hilum_fhir::IssueType;
use http::StatusCode;

use super::NDJSON;
use crate::call::{Answer, Call, Reply};
use crate::fault::Fault;
use crate::jobs::{Progress, blocking, named};
use crate::route::{Claim, Entry, entry};

pub(super) fn route() -> Entry {
    entry(
        "job-file",
        Method::Get,
        "/_jobs/{job}/{file}",
        Permission::FhirTransfer,
        "A file of resources that a job made, one on each line",
        Claim::Beside,
        handle,
    )
}

/// Files whose lines are given one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) files: Arc<dyn Files>,
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) bytes: u64,
}

fn handle(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        call.knows_only(&[])?;
        let job = named(&call).await?;
        let none = || Fault::missing(IssueType::NotFound, "the job has no such file");
        let name = call.part("file").to_owned();
        let own = Progress::of(&job).own;
        // Only what the progress names is complete, and nothing else can be asked for.
        let known = own.get("files").and_then(|files| files.as_array());
        let is_file = known
            .into_iter()
            .flatten()
            .any(|file| file["name"] == *name);
        if !is_file {
            return Err(none());
        }
        let (files, path) = (
            call.tenant.files.clone(),
            call.tenant.job_folder(&job.id).join(&name),
        );
        let found = path.clone();
        let bytes = blocking(move || files.len(&found))
            .await?
            .ok_or_else(none)?;
        let parts = Parts {
            files: call.tenant.files.clone(),
            paths: vec![path],
            bytes,
        };
        Ok(Reply::new(StatusCode::OK, Answer::Lines(parts, NDJSON)))
    })
}
