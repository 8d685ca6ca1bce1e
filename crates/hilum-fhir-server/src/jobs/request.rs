//! Bundles and searches that are answered later (FHIR R5 async-bundle.html; R4 async.html allows it
//! for every interaction): the answer is a Bundle of type `batch-response` whose one entry holds
//! the status and the resource that would have been given at once.
//!
//! A bundle is done with the job's id as that of its delivery, so a restart changes nothing twice.

use hilum_component::BoxFuture;
use hilum_fhir_store::Job;
use http::Method;
use serde::{Deserialize, Serialize};

use super::{Halt, Kind, Running, blocking, make_folder, start};
use crate::bundle::{Bundle, add_answer};
use crate::call::{Call, Content, Reply};
use crate::fault::Fault;
use crate::port::Delivering;
use crate::request::{Format, Handling, Kind as BodyKind, Prefer, Return};
use crate::route::{self, Entry};

/// The kind of job.
pub(crate) const KIND: Kind = Kind {
    name: "request",
    run,
    answer,
};

const BODY: &str = "body";
const ANSWER: &str = "answer.json";

/// A request as it is kept.
#[derive(Deserialize, Serialize)]
struct Asked {
    method: String,
    /// Below the tenant.
    path: String,
    query: Vec<(String, String)>,
    base: String,
    /// The body is XML; none if there is no body.
    xml: Option<bool>,
    returns: Option<String>,
    lenient: bool,
}

/// Requests that take long enough.
pub(crate) fn takes(entry: &Entry) -> bool {
    let name = entry.route.name;
    name == "bundle" || name.starts_with("search-")
}

/// Keeps a request that was read and checked as far as its route; it is done later.
pub(crate) async fn begin(call: &Call, method: &Method, path: &str) -> Result<Reply, Fault> {
    let body = &call.body;
    let xml = match (body.bytes.is_empty(), body.kind) {
        (true, _) | (false, BodyKind::Form) => None,
        (false, _) => Some(body.format()? == Format::Xml),
    };
    let asked = Asked {
        method: method.as_str().to_owned(),
        path: path.to_owned(),
        query: call.query.clone(),
        base: call.base.to_string(),
        xml,
        returns: call.prefer.returns.map(|returns| returns.name().to_owned()),
        lenient: call.prefer.handling == Handling::Lenient,
    };
    let id = call.fhir.new_id();
    if xml.is_some() {
        let folder = make_folder(&call.tenant, &id).await?;
        let (files, bytes) = (call.tenant.files.clone(), body.bytes.clone());
        blocking(move || {
            let mut file = files.create(&folder.join(BODY))?;
            file.append(&bytes)?;
            file.sync()?;
            files.sync_dir(&folder)
        })
        .await?;
    }
    start(call, id, &KIND, &asked).await
}

fn run(mut running: Running) -> BoxFuture<'static, Result<(), Halt>> {
    Box::pin(async move {
        let asked: Asked = running.request()?;
        running.save(&(), "working".to_owned()).await?;
        let answer = match done(&running, &asked).await {
            Err(fault) if super::later(&fault) => return Err(fault.into()),
            made => made,
        };
        let mut bundle = Bundle::new("batch-response");
        add_answer(&mut bundle, &answer);
        let (files, folder) = (running.files(), running.folder());
        blocking(move || {
            let path = folder.join(ANSWER);
            files.remove(&path)?;
            let mut file = files.create(&path)?;
            file.append(&bundle.finish())?;
            file.sync()?;
            files.sync_dir(&folder)
        })
        .await?;
        Ok(())
    })
}

/// Does the request as if it had come now.
async fn done(running: &Running, asked: &Asked) -> Result<Reply, Fault> {
    let method = Method::from_bytes(asked.method.as_bytes())
        .map_err(|_| Fault::failed("the record of a job cannot be read"))?;
    let (entry, parts) = route::find(&running.fhir.entries, &method, &asked.path)?;
    let mut body = Content::NONE;
    if let Some(xml) = asked.xml {
        let format = if xml { Format::Xml } else { Format::Json };
        body = Content {
            kind: BodyKind::Resource(format),
            bytes: file(running.files(), running.folder().join(BODY))
                .await?
                .into(),
        };
    }
    let delivering = Delivering::new(running.job.id.clone());
    let call = Call {
        parts,
        query: asked.query.clone(),
        body,
        prefer: Prefer {
            returns: asked.returns.as_deref().and_then(Return::named),
            handling: if asked.lenient {
                Handling::Lenient
            } else {
                Handling::Strict
            },
            respond_async: false,
        },
        delivering: Some(delivering.clone()),
        ..running.call(&asked.base)
    };
    let made = (entry.handle)(call.clone()).await;
    delivering.answer(&call, made)
}

fn answer(call: Call, job: Job) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        let path = call.tenant.job_folder(&job.id).join(ANSWER);
        Ok(Reply::json(file(call.tenant.files.clone(), path).await?))
    })
}

/// A whole file.
async fn file(
    files: std::sync::Arc<dyn hilum_db::Files>,
    path: std::path::PathBuf,
) -> Result<Vec<u8>, Fault> {
    blocking(move || {
        let len = files.len(&path)?.unwrap_or(0);
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        let read = files.read_at(&path, 0, &mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    })
    .await
}
