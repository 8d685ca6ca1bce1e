//! `$snapshot` of a StructureDefinition (FHIR R4 structuredefinition-operation-snapshot.html).
//!
//! What a profile is built on is looked for among the StructureDefinitions that are stored, then in
//! the packages of the tenant; the types of the standard are at hand.

use std::fs::File;
use std::sync::Arc;

use hilum_access::{Method, Permission};
use hilum_component::BoxFuture;
use hilum_fhir::package::{PackageLimits, find};
use hilum_fhir::snapshot::{Library, SnapshotError, with_snapshot};
use hilum_fhir::{IssueType, Problem, Resource, Style, json};
use hilum_fhir_store::{Criterion, Query, Test, UriMode};

use crate::call::{Call, Reply};
use crate::fault::Fault;
use crate::interaction::id_of;
use crate::route::{Claim, Entry, entry};
use crate::take::heavy;
use crate::tenant::Tenant;
use crate::write;

const CLAIM: Claim = Claim::Operation(
    "snapshot",
    "http://hl7.org/fhir/OperationDefinition/StructureDefinition-snapshot",
);

/// Profiles that one snapshot is built on, at most.
const BASES_MAX: usize = 64;

pub(super) fn routes() -> [Entry; 4] {
    let (permission, about) = (Permission::FhirOperate, "A profile with its snapshot");
    let of =
        |name, method, path, handle| entry(name, method, path, permission, about, CLAIM, handle);
    [
        of(
            "snapshot",
            Method::Post,
            "/StructureDefinition/$snapshot",
            given,
        ),
        of(
            "snapshot-stored",
            Method::Get,
            "/StructureDefinition/{id}/$snapshot",
            stored,
        ),
        of(
            "snapshot-stored-post",
            Method::Post,
            "/StructureDefinition/{id}/$snapshot",
            stored,
        ),
        of(
            "snapshot-named",
            Method::Get,
            "/StructureDefinition/$snapshot",
            named,
        ),
    ]
}

/// Of the definition in the body, or of the one in Parameters, or of the one with a URL.
fn given(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        call.knows_only(&[])?;
        let resource = call.resource(None).await?;
        let definition = match resource.type_name() {
            "StructureDefinition" => resource,
            "Parameters" => inner(&call, &resource).await?,
            other => {
                let text = format!("the resource is a {other}, not a StructureDefinition");
                return Err(Fault::bad(IssueType::Invalid, text));
            }
        };
        made(&call, definition).await
    })
}

/// Of the one with the URL that the query names.
fn named(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        call.knows_only(&["url"])?;
        let Some(url) = call.query("url") else {
            let text = "the request needs the parameter `url`, or a StructureDefinition by POST";
            return Err(Fault::bad(IssueType::Required, text));
        };
        let definition = with_url(&call, url).await?;
        made(&call, definition).await
    })
}

async fn with_url(call: &Call, url: &str) -> Result<Resource, Fault> {
    let found = look(&call.tenant, url).await?;
    found.ok_or_else(|| {
        let text = "no StructureDefinition has this `url`";
        Fault::missing(IssueType::NotFound, text)
    })
}

fn stored(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        call.knows_only(&[])?;
        let table = &call.tenant.table;
        let ty = table.type_named("StructureDefinition");
        let none = || Fault::missing(IssueType::NotFound, "there is no such resource");
        let ty = ty.and_then(|ty| table.stored(ty)).ok_or_else(none)?;
        let stored = call
            .tenant
            .read(ty, id_of(&call)?)
            .await?
            .ok_or_else(none)?;
        let Some(bytes) = write::spliced(&stored) else {
            return Err(Fault::gone(u64::from(stored.version)));
        };
        made(&call, write::trusted(&bytes)?).await
    })
}

async fn inner(call: &Call, parameters: &Resource) -> Result<Resource, Fault> {
    for parameter in parameters.root().children_named("parameter") {
        let text = parameter.child("value").and_then(hilum_fhir::Node::text);
        match (
            parameter.child_text("name"),
            parameter.child("resource"),
            text,
        ) {
            (Some("definition"), Some(node), _) => {
                let mut bytes = Vec::new();
                json::write_node(node, Style::Compact, &mut bytes);
                return write::trusted(&bytes);
            }
            (Some("url"), _, Some(url)) => {
                return with_url(call, url).await;
            }
            _ => {}
        }
    }
    let text = "Parameters need a `definition` or a `url`";
    Err(Fault::bad(IssueType::Required, text))
}

/// Makes the snapshot, and looks for what it is built on as it turns out to be missing.
async fn made(call: &Call, definition: Resource) -> Result<Reply, Fault> {
    let definition = Arc::new(definition);
    let mut library = Library::new();
    for _ in 0..BASES_MAX {
        let own = Arc::clone(&definition);
        let (made, back) = heavy(usize::MAX, move || {
            Ok((with_snapshot(&own, &library), library))
        })
        .await?;
        library = back;
        match made {
            Ok(made) => {
                let mut bytes = Vec::new();
                json::write(&made, Style::Compact, &mut bytes);
                return Ok(Reply::json(bytes));
            }
            Err(SnapshotError::Unknown(url)) => match look(&call.tenant, &url).await? {
                Some(found) => library.add(Arc::new(found)),
                None => return Err(refused(&SnapshotError::Unknown(url))),
            },
            Err(error) => return Err(refused(&error)),
        }
    }
    let text = format!("the profile is built on more than {BASES_MAX} others");
    Err(Fault::bad(IssueType::TooCostly, text))
}

fn refused(error: &SnapshotError) -> Fault {
    let code = match error {
        SnapshotError::Unknown(_) => IssueType::NotFound,
        _ => IssueType::Invalid,
    };
    let problem = Problem::error(code, format!("there is no snapshot: {error}"));
    Fault::unprocessable(vec![
        problem.at("StructureDefinition.differential".to_owned()),
    ])
}

/// The StructureDefinition with a URL, as it is stored or in a package.
async fn look(tenant: &Arc<Tenant>, canonical: &str) -> Result<Option<Resource>, Fault> {
    let url = canonical.split('|').next().unwrap_or(canonical).to_owned();
    let table = &tenant.table;
    let ty = table.type_named("StructureDefinition");
    let param = ty.and_then(|ty| Some((table.stored(ty)?, table.param(ty, "url")?.key)));
    if let Some((ty, key)) = param {
        let query = Query {
            types: vec![ty],
            criteria: vec![Criterion::Param {
                params: vec![key],
                test: Test::Uri(UriMode::Equal, vec![url.clone()]),
            }],
            count: 1,
            ..Query::default()
        };
        let page = tenant.search(query).await?;
        let json = page
            .found
            .first()
            .and_then(|found| write::spliced(&found.stored));
        if let Some(json) = json {
            return write::trusted(&json).map(Some);
        }
    }
    let files = tenant.packages.clone();
    heavy(usize::MAX, move || {
        for file in &files {
            // It could be read at the start.
            let Ok(opened) = File::open(file) else {
                continue;
            };
            if let Ok(Some(found)) = find(opened, &PackageLimits::default(), &url) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    })
    .await
}
