//! `$export`: the resources of the system, of all patients or of a group, as files
//! (Bulk Data Access IG 2.0.0, export.html).
//!
//! The job's moment is the `transactionTime`: everything is given as it was then, since the store
//! reads versions and not what is there now. Filters are searched in one snapshot at the beginning,
//! and that snapshot is then the moment.

mod ask;
mod belongs;
mod work;

use hilum_access::{Method, Permission};
use hilum_component::BoxFuture;
use hilum_fhir::IssueType;
use hilum_fhir_store::Job;
use http::StatusCode;
use serde_json::{Value, json};

use crate::call::{Answer, Call, Reply};
use crate::fault::Fault;
use crate::interaction::{id_of, type_named};
use crate::jobs::{Kind, Progress, read, start};
use crate::route::{Claim, Entry, entry};
use crate::time::instant;

use ask::{Asked, Level};
pub(crate) use belongs::{belongs, compartment, criterion};
use work::Made;

/// The kind of job.
pub(crate) const KIND: Kind = Kind {
    name: "export",
    run: work::run,
    answer: manifest,
};

const SYSTEM: &str = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export";
const PATIENT: &str = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/patient-export";
const GROUP: &str = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/group-export";

pub(super) fn routes() -> Vec<Entry> {
    let about = "Begins to write resources into files, one on each line";
    let transfer = Permission::FhirTransfer;
    let (get, post) = (Method::Get, Method::Post);
    let claim = |url| Claim::Operation("export", url);
    #[rustfmt::skip]
    let routes = vec![
        entry("export", get, "/$export", transfer, about, claim(SYSTEM), system),
        entry("export-post", post, "/$export", transfer, about, claim(SYSTEM), system),
        entry("export-patient", get, "/Patient/$export", transfer, about, claim(PATIENT), patient),
        entry("export-patient-post", post, "/Patient/$export", transfer, about, claim(PATIENT), patient),
        entry("export-group", get, "/Group/{id}/$export", transfer, about, claim(GROUP), group),
        entry("export-group-post", post, "/Group/{id}/$export", transfer, about, claim(GROUP), group),
    ];
    routes
}

fn system(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move { begin(&call, Level::System, "/$export").await })
}

fn patient(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move { begin(&call, Level::Patient, "/Patient/$export").await })
}

fn group(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        let id = id_of(&call)?.to_owned();
        let (_, stored_type) = type_named(&call, "Group")?;
        let group = call.tenant.read(stored_type, &id).await?;
        if group.is_none_or(|group| group.body.is_none()) {
            return Err(Fault::missing(
                IssueType::NotFound,
                "there is no such group",
            ));
        }
        let path = format!("/Group/{id}/$export");
        begin(&call, Level::Group(id), &path).await
    })
}

async fn begin(call: &Call, level: Level, path: &str) -> Result<Reply, Fault> {
    if !call.prefer.respond_async {
        let text = "an export is answered later: send `Prefer: respond-async`";
        return Err(Fault::bad(IssueType::Required, text));
    }
    let asked = Asked::read(call, level, path).await?;
    start(call, call.fhir.new_id(), &KIND, &asked).await
}

/// The manifest of an export that is done.
fn manifest(call: Call, job: Job) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        let asked: Asked = serde_json::from_slice(&job.request)
            .map_err(|_| Fault::failed("the record of a job cannot be read"))?;
        let made: Made = read(Progress::of(&job).own)?;
        let of = |wanted: &str| -> Vec<Value> {
            let files = made.files.iter().filter(|file| file.part == wanted);
            files
                .map(|file| {
                    let url = format!("{}/_jobs/{}/{}", call.base, job.id, file.name);
                    json!({ "type": file.resource_type, "url": url, "count": file.count })
                })
                .collect()
        };
        let manifest = json!({
            "transactionTime": instant(made.at_ms.unwrap_or(job.created_ms)),
            "request": asked.url,
            "requiresAccessToken": false,
            "output": of("output"),
            "deleted": of("deleted"),
            "error": of("error"),
        });
        let bytes = manifest.to_string().into_bytes().into();
        let kind = "application/json; charset=utf-8".to_owned();
        Ok(Reply::new(StatusCode::OK, Answer::Raw(bytes, kind)))
    })
}
