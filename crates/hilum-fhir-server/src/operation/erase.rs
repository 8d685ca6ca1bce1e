//! `$erase`: a resource with all its versions, or a patient with everything about them, for good
//! (GDPR article 17). `mode=preview`, the default, only counts.
//!
//! What belongs to a patient is their compartment (FHIR R4 compartmentdefinition-patient.html) as it
//! is now, and what was deleted out of it. A Group stays: it is about its other members as well,
//! and the answer counts those that name the patient.
//!
//! An erasure is a job, so that a server that dies in its midst goes on with it. The request waits
//! for it; if it takes long it is answered with the URL of its status.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hilum_access::{Method, Permission};
use hilum_component::BoxFuture;
use hilum_fhir::IssueType;
use hilum_fhir::definitions::TypeId;
use hilum_fhir_store::{
    EraseStep, Erased, Job, JobState, Kept, MomentQuery, Pk, Query, ResourceType, Seq,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::bulk::{belongs, compartment, criterion, pairs};
use crate::call::{Call, Reply};
use crate::fault::{Fault, suggestion};
use crate::interaction::{id_of, type_named, type_of};
use crate::jobs::{self, Halt, Kind, Progress, Running};
use crate::route::{Claim, Entry, entry};
use crate::tenant::Tenant;

/// Resources that are read, or erased in one commit.
const AT_ONCE: usize = 500;
/// Searches for what was written while others were erased.
const ROUNDS_MAX: usize = 5;
/// How long a request waits for its erasure.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// Between two tries to clean the files.
const CLEAN_AGAIN: Duration = Duration::from_secs(5);
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

/// The kind of job. What it is about lies in its progress, which forgets it at the end.
pub(crate) const KIND: Kind = Kind {
    name: "erase",
    run,
    answer: told,
};

/// How far an erasure is.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Made {
    /// What is erased; gone when it is.
    focus: Option<Focus>,
    counts: BTreeMap<String, u64>,
    resources: u64,
    versions: u64,
    /// Resources that there were to erase, as far as they were found.
    total: u64,
    /// Groups that name the patient.
    left: u64,
    /// The files hold nothing of it any more; not known before the end.
    clean: Option<bool>,
}

/// What an erasure is about.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Focus {
    #[serde(rename = "type")]
    resource_type: String,
    id: String,
    compartment: bool,
}

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
        if !asked.erases {
            let mut names = vec![(stored_type, id.clone())];
            let mut made = Made::default();
            if asked.compartment {
                names.extend(about(&call, &id).await?);
                made.left = left(&call, &id).await?;
            }
            made.count(&call.tenant, &names);
            return answer(&call, &made).await;
        }
        let made = Made {
            focus: Some(Focus {
                resource_type: call.part("type").to_owned(),
                id,
                compartment: asked.compartment,
            }),
            ..Made::default()
        };
        // Whoever asked may go, and so may the server: what has begun is done to its end.
        let job = call.fhir.new_id();
        let progress = Progress::saying("waiting".to_owned(), &made)?;
        jobs::add(&call, job.clone(), &KIND, Bytes::new(), &progress).await?;
        let overwrites = call.tenant.store.overwrites();
        let waits = |job: &Job| made_of(job).is_ok_and(|made| made.clean == Some(false));
        let ended = jobs::until(&call, &job, ANSWER_WITHIN, |job| {
            job.state != JobState::Open || overwrites && waits(job)
        })
        .await?;
        let made = made_of(&ended)?;
        let done = made.clean.is_some();
        if ended.state != JobState::Open {
            call.tenant.store.remove_job(&job).await?;
        }
        match Progress::of(&ended).fault {
            Some((status, outcome)) => Ok(jobs::failed_as(status, outcome)),
            None if done => answer(&call, &made).await,
            None => Ok(jobs::later_at(&call, &job)),
        }
    })
}

fn made_of(job: &Job) -> Result<Made, Fault> {
    jobs::read(Progress::of(job).own)
}

/// What the status of an erasure gives whose client did not wait.
fn told(call: Call, job: Job) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move { answer(&call, &made_of(&job)?).await })
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

impl Made {
    fn count(&mut self, tenant: &Tenant, names: &[(ResourceType, String)]) {
        for (of, _) in names {
            *self
                .counts
                .entry(tenant.type_name(*of).to_owned())
                .or_default() += 1;
        }
    }

    fn and(mut self, erased: Erased) -> Self {
        self.resources += erased.resources;
        self.versions += erased.versions;
        self
    }

    fn progress(&self) -> Result<Progress, Fault> {
        let text = format!("{} resources erased", self.resources);
        Ok(Progress {
            done: Some(self.resources),
            total: Some(self.total.max(self.resources)),
            ..Progress::saying(text, self)?
        })
    }
}

/// Erases a resource and, where that is asked for, what is about it; the patient goes last, so that
/// an erasure that was cut off finds again what is left.
fn run(mut running: Running) -> BoxFuture<'static, Result<(), Halt>> {
    Box::pin(async move {
        let mut made: Made = running.progress()?;
        if let Some(focus) = made.focus.clone() {
            erase(&mut running, &mut made, &focus).await?;
        }
        made.focus = None;
        let store = running.tenant.store.clone();
        loop {
            let text = "the files are cleaned".to_owned();
            running.save(&made, text).await?;
            let clean = store.scrub().await?;
            made.clean = Some(clean);
            if clean || !store.overwrites() {
                break;
            }
            // A long read is in the way. Who asked is told; it is tried until it succeeds.
            let text = "the files wait for a long read to be cleaned".to_owned();
            running.save(&made, text).await?;
            tokio::time::sleep(CLEAN_AGAIN).await;
        }
        tracing::info!(
            resources = made.resources,
            versions = made.versions,
            "FHIR resources were erased"
        );
        let text = format!("{} resources erased", made.resources);
        running.save(&made, text).await
    })
}

async fn erase(running: &mut Running, made: &mut Made, focus: &Focus) -> Result<(), Halt> {
    let call = running.call("");
    let (_, stored) = type_named(&call, &focus.resource_type)?;
    if focus.compartment {
        for _ in 0..ROUNDS_MAX {
            let names = about(&call, &focus.id).await?;
            if names.is_empty() {
                break;
            }
            made.total = made.resources + names.len() as u64 + 1;
            for some in names.chunks(AT_ONCE) {
                step(running, made, some).await?;
                running.rest().await;
            }
        }
        made.left = left(&call, &focus.id).await?;
    }
    step(running, made, &[(stored, focus.id.clone())]).await
}

/// Erases some and saves in the same commit that they are.
async fn step(
    running: &Running,
    made: &mut Made,
    some: &[(ResourceType, String)],
) -> Result<(), Halt> {
    // What is erased tells and is told nothing more.
    running.tenant.unsubscribe(some).await?;
    let mut after = made.clone();
    after.count(&running.tenant, some);
    let counted = after.clone();
    let progress = move |erased| {
        let progress = counted.clone().and(erased).progress();
        progress.map_or_else(|_| Bytes::new(), |progress| progress.bytes().into())
    };
    let step = EraseStep {
        id: running.job.id.clone(),
        progress: Arc::new(progress),
    };
    let erased = running.tenant.store.erase_as(some.to_vec(), step).await?;
    // A definition may be among it.
    running.tenant.codes.forget();
    *made = after.and(erased);
    Ok(())
}

/// Groups that name a patient.
async fn left(call: &Call, id: &str) -> Result<u64, Fault> {
    let table = &call.tenant.table;
    let shared = table.type_named(SHARED);
    let Some((shared, stored)) = shared.and_then(|shared| Some((shared, table.stored(shared)?)))
    else {
        return Ok(0);
    };
    let query = Query {
        types: vec![stored],
        criteria: vec![criterion(&call.tenant, shared, &[id.to_owned()])?],
        ..Query::default()
    };
    let listing = call.tenant.store.list(vec![query]).await?;
    Ok(listing.matches.first().map_or(0, Vec::len) as u64)
}

/// What was or would be erased, as Parameters.
async fn answer(call: &Call, made: &Made) -> Result<Reply, Fault> {
    let mode = if made.clean.is_some() {
        "erase"
    } else {
        "preview"
    };
    let mut parameters = vec![json!({ "name": "mode", "valueCode": mode })];
    let number = |name: &str, count: u64| json!({ "name": name, "valueInteger": count });
    parameters.extend(made.counts.iter().map(|(name, count)| {
        json!({ "name": "type", "part": [
            { "name": "name", "valueCode": name }, number("resources", *count) ] })
    }));
    if let Some(clean) = made.clean {
        parameters.push(number("resources", made.resources));
        parameters.push(number("versions", made.versions));
        parameters.push(json!({ "name": "overwritten", "valueBoolean": clean }));
    }
    if made.left > 0 {
        parameters.push(json!({ "name": "left", "part": [
            { "name": "name", "valueCode": SHARED }, number("resources", made.left) ] }));
    }
    // Files of exports and answers that are kept may hold copies.
    let jobs = call.tenant.store.jobs().await?;
    let jobs = jobs.iter().filter(|job| job.kind != KIND.name).count();
    if jobs > 0 {
        parameters.push(number("jobs", jobs as u64));
    }
    let body: Value = json!({ "resourceType": "Parameters", "parameter": parameters });
    Ok(Reply::json(body.to_string().into_bytes()))
}
