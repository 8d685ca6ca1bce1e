//! `$document`: a composition and what it refers to (FHIR R4 composition-operation-document.html).
//!
//! `persist=true` stores the document under `/Bundle` as well. That changes something, so it is asked
//! by POST.

use hilum_access::{Method, Permission};
use hilum_component::BoxFuture;
use hilum_fhir::IssueType;
use hilum_fhir::definitions::Definitions;
use hilum_fhir::json::write_string;
use hilum_fhir_store::{Change, Commit, Method as Write};
use http::StatusCode;

use super::{add, focus};
use crate::bulk::pairs;
use crate::bundle::Bundle;
use crate::call::{Call, Reply};
use crate::fault::{Fault, suggestion};
use crate::interaction::{created, type_named};
use crate::request::Format;
use crate::route::{Claim, Entry, entry};
use crate::take::{heavy, read};
use crate::time::instant;

pub(super) fn routes() -> [Entry; 2] {
    let document = |name, method, permission, about, handle| {
        let path = "/Composition/{id}/$document";
        let claim = Claim::Operation(
            "document",
            "http://hl7.org/fhir/OperationDefinition/Composition-document",
        );
        entry(name, method, path, permission, about, claim, handle)
    };
    [
        document(
            "document",
            Method::Get,
            Permission::FhirSearch,
            "A composition and what it refers to, as a document",
            shown,
        ),
        document(
            "document-persist",
            Method::Post,
            Permission::FhirWrite,
            "The same; with persist=true the document is stored as a Bundle",
            kept,
        ),
    ]
}

fn shown(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        call.knows_only(&["persist"])?;
        if call.query("persist").is_some_and(|value| value != "false") {
            let text = "`persist=true` stores the document, so it is asked by POST";
            return Err(Fault::bad(IssueType::NotSupported, text));
        }
        let id = call.fhir.new_id();
        Ok(Reply::json(document(&call, &id).await?))
    })
}

fn kept(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        let persists = persists(&call).await?;
        let id = call.fhir.new_id();
        let json = document(&call, &id).await?;
        if persists {
            return keep(&call, id, json).await;
        }
        Ok(Reply::json(json))
    })
}

async fn persists(call: &Call) -> Result<bool, Fault> {
    let mut persists = false;
    for (name, value) in pairs(call).await? {
        match (name.as_str(), value.as_str()) {
            ("persist", "true") => persists = true,
            ("persist", "false") => persists = false,
            ("persist", _) => {
                let text = "`persist` is neither true nor false";
                return Err(Fault::bad(IssueType::Value, text));
            }
            (name, _) => {
                let near = suggestion(name, ["persist"].into_iter());
                let name: String = name.chars().take(64).collect();
                let text = format!("$document takes no parameter `{name}`{near}");
                return Err(Fault::bad(IssueType::NotSupported, text));
            }
        }
    }
    Ok(persists)
}

/// The document, as the Bundle with this id.
async fn document(call: &Call, id: &str) -> Result<Vec<u8>, Fault> {
    let composition = focus(call, "Composition").await?;
    let pks = call
        .tenant
        .store
        .references(vec![composition.pk], Vec::new())
        .await?;
    let most = call.fhir.limits.gathered_max;
    if pks.len() > most {
        let text = format!("the document has more than {most} resources");
        return Err(Fault::bad(IssueType::TooCostly, text));
    }
    let referred = call.tenant.store.fetch(pks).await?;
    let mut bundle = Bundle::new("document");
    let now = instant((call.fhir.clock)());
    let mut lead = br#""identifier":{"system":"urn:ietf:rfc:3986","value":"#.to_vec();
    write_string(&format!("{}/Bundle/{id}", call.base), &mut lead);
    lead.extend_from_slice(b"},\"timestamp\":");
    write_string(&now, &mut lead);
    bundle.lead = lead;
    add(call, &mut bundle, &composition, None);
    for stored in referred.iter().filter(|stored| stored.pk != composition.pk) {
        add(call, &mut bundle, stored, None);
    }
    Ok(bundle.finish())
}

/// Stores a document, checked as any resource is.
async fn keep(call: &Call, id: String, json: Vec<u8>) -> Result<Reply, Fault> {
    let (_, resource_type) = type_named(call, "Bundle")?;
    let limits = call.fhir.reading_limits();
    let expected = Definitions::r4().type_named("Bundle");
    let resource = heavy(json.len(), move || {
        read(&json, Format::Json, &limits, expected)
    });
    let taken = call.take(resource.await?).await?;
    let body = taken.body(&id);
    let commit = Commit {
        changes: vec![Change {
            resource_type,
            id: id.clone(),
            method: Write::Create {
                body: body.clone(),
                rows: taken.rows,
            },
        }],
        ..Commit::default()
    };
    let committed = call.commit(commit).await?;
    let written = committed.written.first().copied();
    let written = written.ok_or_else(|| Fault::failed("the store did not say what it wrote"))?;
    let reply = created(call, resource_type, &id, body, written, &taken.warnings)?;
    // The operation has done what was asked for; its `Location` says where the document is.
    Ok(Reply {
        status: StatusCode::OK,
        ..reply
    })
}
