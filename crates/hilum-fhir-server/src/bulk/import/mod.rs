//! `$import`: resources from lines, one resource on each, into the store.
//!
//! They come as the body of the request, which is written to a file first, or lie in files below a
//! folder or a URL that the site names; a manifest or a Parameters resource lists those. Each resource is
//! stored under its id, as an update does it; one without an id gets one. A line that cannot be
//! stored is told of in a file of OperationOutcomes, and the others go on.

mod chunk;
mod remote;
mod sources;
mod spool;
mod work;

use hilum_access::{Method, Permission};
use hilum_component::BoxFuture;
use hilum_fhir::IssueType;
use hilum_fhir_store::Job;
use http::{HeaderMap, Request, StatusCode, header};
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::call::{Answer, Call, Reply};
use crate::fault::Fault;
use crate::jobs::{Kind, Progress, make_folder, read, remove_folder, start};
use crate::request::sent;
use crate::route::{Claim, Entry, entry};
use crate::time::instant;

use work::Made;

/// The kind of job.
pub(crate) const KIND: Kind = Kind {
    name: "import",
    run: work::run,
    answer: manifest,
};

/// The name of the route.
pub(crate) const NAME: &str = "import";
/// The file of a body that was sent.
const BODY: &str = "body.ndjson";

pub(super) fn routes() -> [Entry; 1] {
    let about = "Begins to store the resources of a body or of files, one on each line";
    let permission = Permission::FhirTransfer;
    let (post, path) = (Method::Post, "/$import");
    [entry(
        NAME,
        post,
        path,
        permission,
        about,
        Claim::Beside,
        listed,
    )]
}

/// An import as it is kept until it is done.
#[derive(Debug, Deserialize, Serialize)]
struct Asked {
    url: String,
    base: String,
    inputs: Vec<Input>,
}

/// A file of lines.
#[derive(Debug, Deserialize, Serialize)]
struct Input {
    /// Where it lies; empty if it is fetched from its URL first.
    path: String,
    /// How the client named it; `None` is the body.
    url: Option<String>,
    /// The only type that it may hold.
    #[serde(rename = "type")]
    resource_type: Option<String>,
}

impl Asked {
    fn of(call: &Call, inputs: Vec<Input>) -> Self {
        Self {
            url: format!("{}/$import", call.base),
            base: call.base.to_string(),
            inputs,
        }
    }
}

/// A body of this kind is not read into memory.
pub(crate) fn is_lines(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    [
        "application/fhir+ndjson",
        "application/ndjson",
        "application/x-ndjson",
    ]
    .iter()
    .any(|known| kind.eq_ignore_ascii_case(known))
}

/// Takes the lines of a body.
pub(crate) async fn streamed(call: &Call, request: Request<Incoming>) -> Result<Reply, Fault> {
    call.knows_only(&[])?;
    let coding = sent(request.headers())?;
    let id = call.fhir.new_id();
    let folder = make_folder(&call.tenant, &id).await?;
    let path = folder.join(BODY);
    let (limits, files) = (&call.fhir.limits, call.tenant.files.clone());
    let taken = spool::body(limits, files, request.into_body(), coding, path.clone()).await;
    let begun = match taken {
        Ok(()) => {
            let input = Input {
                path: path.to_string_lossy().into_owned(),
                url: None,
                resource_type: None,
            };
            start(call, id.clone(), &KIND, &Asked::of(call, vec![input])).await
        }
        Err(fault) => Err(fault),
    };
    if begun.is_err() {
        remove_folder(&call.tenant, &id).await?;
    }
    begun
}

/// Takes the files that a manifest names.
fn listed(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        call.knows_only(&[])?;
        if call.body.bytes.is_empty() {
            let text = "an import needs lines (application/fhir+ndjson) or a manifest as its body";
            return Err(Fault::bad(IssueType::Required, text));
        }
        let inputs = sources::inputs(&call).await?;
        start(&call, call.fhir.new_id(), &KIND, &Asked::of(&call, inputs)).await
    })
}

/// What was stored and what was not.
fn manifest(call: Call, job: Job) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        let asked: Asked = serde_json::from_slice(&job.request)
            .map_err(|_| Fault::failed("the record of a job cannot be read"))?;
        let made: Made = read(Progress::of(&job).own)?;
        let url = |at: usize| asked.inputs.get(at).and_then(|input| input.url.as_deref());
        let stored = made.stored.iter().enumerate();
        let output: Vec<Value> = stored
            .map(|(at, count)| json!({ "inputUrl": url(at), "count": count }))
            .collect();
        let files = made.files.iter();
        let error: Vec<Value> = files
            .map(|file| {
                json!({
                    "type": "OperationOutcome",
                    "url": format!("{}/_jobs/{}/{}", call.base, job.id, file.name),
                    "count": file.count,
                    "inputUrl": url(file.input),
                })
            })
            .collect();
        let manifest = json!({
            "transactionTime": instant(job.changed_ms),
            "request": asked.url,
            "requiresAccessToken": false,
            "output": output,
            "error": error,
        });
        let bytes = manifest.to_string().into_bytes().into();
        let kind = "application/json; charset=utf-8".to_owned();
        Ok(Reply::new(StatusCode::OK, Answer::Raw(bytes, kind)))
    })
}
