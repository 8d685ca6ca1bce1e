//! `$preferred-id` of a NamingSystem (FHIR R4 namingsystem-operation-preferred-id.html): a system
//! by another of its names.

use std::sync::Arc;

use hilum_access::{Method, Permission};
use hilum_component::BoxFuture;
use hilum_fhir::IssueType;
use hilum_terminology::naming::IdKind;
use hilum_terminology::{Library, Source, Terminology};

use crate::call::{Call, Reply};
use crate::fault::Fault;
use crate::route::{Claim, Entry, entry};
use crate::terminology::{Given, Parameters, naming_systems};
use crate::write;

const CLAIM: Claim = Claim::Operation(
    "preferred-id",
    "http://hl7.org/fhir/OperationDefinition/NamingSystem-preferred-id",
);

pub(super) fn routes() -> [Entry; 2] {
    let (permission, about) = (Permission::FhirSearch, "A system by another of its names");
    let of = |name, method| {
        let path = "/NamingSystem/$preferred-id";
        entry(name, method, path, permission, about, CLAIM, handle)
    };
    [
        of("preferred-id", Method::Get),
        of("preferred-id-post", Method::Post),
    ]
}

fn handle(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        let given = Given::of(&call, &["id", "type", "date"]).await?;
        let (id, kind) = (given.needed("id")?, given.needed("type")?);
        let kind = IdKind::of(kind).ok_or_else(|| {
            let text = "`type` is none of oid, uuid, uri, other";
            Fault::bad(IssueType::Value, text)
        })?;
        let bare = id.strip_prefix("urn:oid:").unwrap_or(id);
        let mut library = Library::new();
        let names = vec![bare.to_owned(), format!("urn:oid:{bare}")];
        for json in naming_systems(&call.tenant, names).await? {
            let read = library.add(write::trusted(&json)?);
            read.map_err(|error| Fault::failed(error.to_string()))?;
        }
        let mut sources: Vec<Arc<dyn Source>> = vec![Arc::new(library)];
        sources.extend(call.tenant.codes.behind().iter().cloned());
        match Terminology::new(sources).preferred_id(id, kind) {
            Some(found) => {
                let mut out = Parameters::new();
                out.text("result", "valueString", &found);
                Ok(Reply::json(out.finish()))
            }
            None => Err(Fault::missing(
                IssueType::NotFound,
                "no system has this `id` together with a name of this `type`",
            )),
        }
    })
}
