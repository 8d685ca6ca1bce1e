//! `$erase`: a resource with all its versions, or a patient with everything about them, for good
//! (GDPR article 17). `mode=preview`, the default, only counts.
//!
//! What belongs to a patient is their compartment (FHIR R4 compartmentdefinition-patient.html) as it
//! is now, and what was deleted out of it. A Group stays: it is about its other members as well,
//! and the answer counts those that name the patient.

use std::collections::BTreeMap;
use std::sync::Arc;

use hilum_access::{Method, Permission};
use hilum_component::BoxFuture;
use hilum_fhir::IssueType;
use hilum_fhir::definitions::TypeId;
use hilum_fhir_store::{Erased, Kept, MomentQuery, Pk, Query, ResourceType, Seq};
use serde_json::{Value, json};

use crate::bulk::{belongs, compartment, criterion, pairs};
use crate::call::{Call, Reply};
use crate::fault::{Fault, suggestion};
use crate::interaction::{id_of, type_of};
use crate::route::{Claim, Entry, entry};

/// Resources that are read, or erased in one commit.
const AT_ONCE: usize = 500;
/// Searches for what was written while others were erased.
const ROUNDS_MAX: usize = 5;
/// What names patients and is about others too.
const SHARED: &str = "Group";

pub(super) fn routes() -> [Entry; 1] {
    [entry(
        "erase",
        Method::Post,
        "/{type}/{id}/$erase",
        Permission::FhirErase,
        "Counts what erasing a resource, or a patient with everything about them, would remove; with mode=erase it is removed for good",
        Claim::Beside,
        handle,
    )]
}

/// What is asked for.
struct Asked {
    erases: bool,
    compartment: bool,
}

/// Resources by type and id.
type Names = Vec<(ResourceType, String)>;

fn handle(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        let (_, stored_type) = type_of(&call)?;
        let id = id_of(&call)?.to_owned();
        let patient = call.part("type") == "Patient";
        let asked = asked(&call, patient).await?;
        let focus = call.tenant.read(stored_type, &id).await?;
        if focus.is_none() {
            let text = "there is no such resource";
            return Err(Fault::missing(IssueType::NotFound, text));
        }
        let own = (stored_type, id.clone());
        if !asked.erases {
            let mut names = vec![own];
            if asked.compartment {
                names.extend(about(&call, &id).await?);
            }
            return answer(&call, &asked, &id, count(&call, &names), None).await;
        }
        // Whoever asked may go: what has begun is done to its end.
        let call = Arc::new(call);
        let work = {
            let call = Arc::clone(&call);
            async move {
                erase(&call, own, asked.compartment)
                    .await
                    .map(|done| (done, asked))
            }
        };
        let done = tokio::spawn(work).await;
        let ((counts, erased, clean), asked) =
            done.map_err(|_| Fault::failed("the erasure was broken off"))??;
        tracing::info!(
            resources = erased.resources,
            versions = erased.versions,
            "FHIR resources were erased"
        );
        answer(&call, &asked, &id, counts, Some((erased, clean))).await
    })
}

async fn asked(call: &Call, patient: bool) -> Result<Asked, Fault> {
    let mut asked = Asked {
        erases: false,
        compartment: patient,
    };
    for (name, value) in pairs(call).await? {
        match (name.as_str(), value.as_str()) {
            ("mode", "preview") => asked.erases = false,
            ("mode", "erase") => asked.erases = true,
            ("mode", _) => {
                let text = "`mode` is neither preview nor erase";
                return Err(Fault::bad(IssueType::Value, text));
            }
            ("compartment", "true") if patient => asked.compartment = true,
            ("compartment", "false") => asked.compartment = false,
            ("compartment", _) => {
                let text = "`compartment` is true or false, and true for a Patient only";
                return Err(Fault::bad(IssueType::Value, text));
            }
            (name, _) => {
                let near = suggestion(name, ["mode", "compartment"].into_iter());
                let name: String = name.chars().take(64).collect();
                let text = format!("`$erase` takes no parameter `{name}`{near}");
                return Err(Fault::bad(IssueType::NotSupported, text));
            }
        }
    }
    Ok(asked)
}

/// The types that are looked through for what is about a patient.
fn types(call: &Call) -> Vec<(TypeId, ResourceType, Vec<&'static str>)> {
    let table = &call.tenant.table;
    let all = compartment(&call.tenant).into_iter();
    let of = all.filter(|(ty, codes)| !codes.is_empty() && table.name(*ty) != SHARED);
    of.filter_map(|(ty, codes)| Some((ty, table.stored(ty)?, codes)))
        .collect()
}

/// What is about a patient, now or before it was deleted; the patient is not among it.
async fn about(call: &Call, id: &str) -> Result<Names, Fault> {
    let store = &call.tenant.store;
    let patients = [id.to_owned()];
    let types = types(call);
    let mut queries = Vec::with_capacity(types.len());
    for (ty, stored, _) in &types {
        queries.push(Query {
            types: vec![*stored],
            criteria: vec![criterion(&call.tenant, *ty, &patients)?],
            ..Query::default()
        });
    }
    let listing = store.list(queries).await?;
    let mut pks: Vec<Pk> = listing.matches.into_iter().flatten().collect();
    pks.sort_unstable();
    pks.dedup();
    let most = call.fhir.limits.erase_resources_max;
    let too_many = || {
        let text = format!("more than {most} resources are about the patient");
        Fault::bad(IssueType::TooCostly, text)
    };
    if pks.len() > most {
        return Err(too_many());
    }
    let mut names = Names::new();
    for some in pks.chunks(AT_ONCE) {
        let found = store.fetch(some.to_vec()).await?;
        names.extend(
            found
                .iter()
                .map(|one| (one.resource_type, one.id.to_string())),
        );
    }
    let patients = patients.into_iter().collect();
    for (_, stored, codes) in types {
        let mut query = MomentQuery {
            resource_type: stored,
            kept: Kept::Deleted,
            after: Seq(0),
            to: Seq(i64::MAX),
            count: 500,
        };
        loop {
            let page = store.moment(query).await?;
            for deletion in page.versions {
                let before = deletion.version.saturating_sub(1);
                let former = store.vread(stored, &deletion.id, before).await?;
                let Some(former) = former else { continue };
                if belongs(&call.tenant, &former, &codes, Some(&patients))? {
                    names.push((stored, deletion.id.to_string()));
                }
            }
            match page.next {
                Some(next) => query.after = next,
                None => break,
            }
        }
    }
    if names.len() > most {
        return Err(too_many());
    }
    Ok(names)
}

/// Resources of each type.
type Counts = BTreeMap<&'static str, u64>;

fn count(call: &Call, names: &Names) -> Counts {
    let mut counts = Counts::new();
    for (of, _) in names {
        *counts.entry(call.tenant.type_name(*of)).or_default() += 1;
    }
    counts
}

/// Erases a resource and, where that is asked for, what is about it; the patient goes last, so that
/// an erasure that was broken off can be asked for again.
async fn erase(
    call: &Call,
    own: (ResourceType, String),
    compartment: bool,
) -> Result<(Counts, Erased, bool), Fault> {
    let store = &call.tenant.store;
    let (mut counts, mut sum) = (Counts::new(), Erased::default());
    let mut add = |some: &Names, erased: Erased| {
        sum.resources += erased.resources;
        sum.versions += erased.versions;
        for (name, more) in count(call, some) {
            *counts.entry(name).or_default() += more;
        }
    };
    if compartment {
        for _ in 0..ROUNDS_MAX {
            let names = about(call, &own.1).await?;
            if names.is_empty() {
                break;
            }
            for some in names.chunks(AT_ONCE) {
                add(&some.to_vec(), store.erase(some.to_vec()).await?);
            }
        }
    }
    let own = vec![own];
    add(&own, store.erase(own.clone()).await?);
    let clean = store.scrub().await?;
    Ok((counts, sum, clean))
}

/// What was or would be erased, as Parameters.
async fn answer(
    call: &Call,
    asked: &Asked,
    id: &str,
    counts: Counts,
    done: Option<(Erased, bool)>,
) -> Result<Reply, Fault> {
    let mode = if asked.erases { "erase" } else { "preview" };
    let mut parameters = vec![json!({ "name": "mode", "valueCode": mode })];
    let number = |name: &str, count: u64| json!({ "name": name, "valueInteger": count });
    parameters.extend(counts.iter().map(|(name, count)| {
        json!({ "name": "type", "part": [
            { "name": "name", "valueCode": name }, number("resources", *count) ] })
    }));
    if let Some((erased, clean)) = done {
        parameters.push(number("resources", erased.resources));
        parameters.push(number("versions", erased.versions));
        parameters.push(json!({ "name": "overwritten", "valueBoolean": clean }));
    }
    if asked.compartment {
        let table = &call.tenant.table;
        let shared = table.type_named(SHARED);
        let stored = shared.and_then(|shared| Some((shared, table.stored(shared)?)));
        if let Some((shared, stored)) = stored {
            let query = Query {
                types: vec![stored],
                criteria: vec![criterion(&call.tenant, shared, &[id.to_owned()])?],
                ..Query::default()
            };
            let listing = call.tenant.store.list(vec![query]).await?;
            let left = listing.matches.first().map_or(0, Vec::len) as u64;
            if left > 0 {
                parameters.push(json!({ "name": "left", "part": [
                    { "name": "name", "valueCode": SHARED }, number("resources", left) ] }));
            }
        }
    }
    // Files of exports and answers that are kept may hold copies.
    let jobs = call.tenant.store.jobs().await?.len() as u64;
    if jobs > 0 {
        parameters.push(number("jobs", jobs));
    }
    let body: Value = json!({ "resourceType": "Parameters", "parameter": parameters });
    Ok(Reply::json(body.to_string().into_bytes()))
}
