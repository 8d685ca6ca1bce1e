//! transaction: all requests together or none (FHIR R4 http.html#trules).
//!
//! Conditions and conditional references are looked up on what is there now, everything is
//! prepared outside the store, and one commit writes it under the expectation that the lookups
//! still find the same. If they do not, it is prepared anew, a bounded number of times.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use hilum_fhir::definitions::TypeId;
use hilum_fhir::{IssueType, Resource};
use hilum_fhir_store::{
    Body, Change, Commit, Committed, Expect, Expected, Method, Query, ResourceType, StoreError,
    Stored, Written,
};
use http::StatusCode;

use super::batch;
use super::read::{Item, decoded};
use super::reference::{References, conditional};
use super::writer::Bundle;
use crate::call::{Answer, Call, Reply};
use crate::fault::Fault;
use crate::interaction::{Matches, matches, patched, query, restless, type_named, unmet};
use crate::request::{Format, Return, Tags};
use crate::route;
use crate::search::is_id;
use crate::take::{Taken, heavy, read, take};
use crate::time::instant;
use crate::write;

/// What becomes of one request.
enum Plan {
    /// It reads: done after the commit.
    Read,
    /// The resource is there already (conditional create).
    There(Box<Stored>),
    /// A resource is written under this id.
    Write(Write),
    /// Resources are deleted.
    Delete(Vec<(ResourceType, String)>),
}

struct Write {
    /// What a patch made of the resource, instead of what the bundle holds.
    patched: Option<Resource>,
    ty: TypeId,
    resource_type: ResourceType,
    id: String,
    method: Verb,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Create,
    Update,
}

/// Everything that one try needs.
#[derive(Default)]
struct Prepared {
    plans: Vec<Plan>,
    expectations: Vec<Expect>,
    /// For each expectation the item that it is of.
    owners: Vec<usize>,
}

pub(super) async fn run(
    call: &Call,
    bundle: &Arc<Resource>,
    items: Vec<Item>,
) -> Result<Reply, Fault> {
    let items = Arc::new(items);
    for item in items.iter() {
        allowed(call, item).map_err(|fault| fault.within(&item.place()))?;
    }
    let fresh: Vec<String> = items.iter().map(|_| call.fhir.new_id()).collect();
    let mut wanted = BTreeSet::new();
    for item in items.iter().filter(|item| writes(item)) {
        if let Some(node) = item.node(bundle) {
            conditional(node, &mut wanted);
        }
    }
    for _ in 0..call.fhir.limits.tries_max {
        match once(call, bundle, &items, &fresh, &wanted).await? {
            Some(reply) => return Ok(reply),
            None => tracing::debug!("a transaction is prepared anew"),
        }
    }
    Err(restless())
}

fn writes(item: &Item) -> bool {
    item.method == http::Method::POST || item.method == http::Method::PUT
}

/// Refuses what has no route or may not be in a transaction.
fn allowed(call: &Call, item: &Item) -> Result<(), Fault> {
    let (entry, _) = route::find(&call.fhir.entries, &item.method, &item.path)?;
    route::permitted(entry, call.caller)?;
    let known = matches!(
        entry.route.name,
        "create"
            | "update"
            | "conditional-update"
            | "patch"
            | "conditional-patch"
            | "delete"
            | "conditional-delete"
    );
    let reads = item.method == http::Method::GET || item.method == http::Method::HEAD;
    if !known && !reads {
        let text = "a transaction holds reads, searches, creates, updates, patches and deletes";
        return Err(Fault::bad(IssueType::NotSupported, text));
    }
    Ok(())
}

/// One try; `None` if something changed meanwhile.
async fn once(
    call: &Call,
    bundle: &Arc<Resource>,
    items: &Arc<Vec<Item>>,
    fresh: &[String],
    wanted: &BTreeSet<String>,
) -> Result<Option<Reply>, Fault> {
    let mut prepared = Prepared::default();
    for (item, id) in items.iter().zip(fresh) {
        let planned = plan(call, bundle, item, id, &mut prepared).await;
        let planned = planned.map_err(|fault| fault.within(&item.place()))?;
        prepared.plans.push(planned);
    }
    unique(items, &prepared.plans)?;
    let mut references = entries(call, items, &prepared.plans)?;
    for text in wanted {
        let found = look_up(call, text, &mut prepared).await?;
        references.found.insert(text.clone(), found);
    }
    let taken = taken(call, bundle, items, &prepared, references).await?;
    let (changes, bodies) = changes(items, &prepared.plans, &taken);
    let commit = Commit {
        expectations: std::mem::take(&mut prepared.expectations),
        changes,
        ..Commit::default()
    };
    let conditions = prepared.owners.len();
    let committed = match call.commit(commit).await {
        Ok(committed) => committed,
        Err(StoreError::Stale { .. }) => return Ok(None),
        Err(StoreError::Conflict { at, version, .. }) => {
            let owner = prepared.owners.get(at).filter(|_| at < conditions);
            let fault = unmet(version);
            return Err(match owner.and_then(|at| items.get(*at)) {
                Some(item) => fault.within(&item.place()),
                None => fault,
            });
        }
        Err(error) => return Err(error.into()),
    };
    respond(
        call,
        bundle,
        items,
        &prepared.plans,
        &taken,
        &bodies,
        &committed,
    )
    .await
    .map(Some)
}

/// What one request comes to.
async fn plan(
    call: &Call,
    bundle: &Resource,
    item: &Item,
    fresh: &str,
    prepared: &mut Prepared,
) -> Result<Plan, Fault> {
    if item.method == http::Method::GET || item.method == http::Method::HEAD {
        return Ok(Plan::Read);
    }
    let parts = item.parts();
    let name = parts.first().copied().unwrap_or_default();
    let (ty, resource_type) = type_named(call, name)?;
    let id = parts.get(1).map(|part| decoded(part)).transpose()?;
    if let Some(id) = id.as_ref().filter(|id| !is_id(id)) {
        let text = format!(
            "the id has {} characters that no id has, or too many",
            id.len()
        );
        return Err(Fault::bad(IssueType::Value, text));
    }
    if item.method == http::Method::DELETE {
        return delete(call, item, (ty, resource_type), id, prepared).await;
    }
    if item.method == http::Method::PATCH {
        return patch(call, bundle, item, (ty, resource_type), id, prepared).await;
    }
    let node = item
        .node(bundle)
        .ok_or_else(|| Fault::bad(IssueType::Required, "the entry has no resource"))?;
    if node.type_id() != ty {
        let text = format!("the resource is a {}, not a {name}", node.type_name());
        return Err(Fault::bad(IssueType::Invalid, text));
    }
    let own = node.child_text("id");
    if item.method == http::Method::POST {
        let Some(criteria) = &item.conditions.if_none_exist else {
            return Ok(written(ty, resource_type, fresh, Verb::Create));
        };
        return match matches(call, ty, criteria).await? {
            Matches::Several => Err(several()),
            Matches::One(found, expect) => {
                prepared.expect(expect, item);
                Ok(Plan::There(found))
            }
            Matches::None(expect) => {
                prepared.expect(expect, item);
                Ok(written(ty, resource_type, fresh, Verb::Create))
            }
        };
    }
    let Some(id) = id else {
        return update(call, item, (ty, resource_type), own, fresh, prepared).await;
    };
    if own != Some(id.as_str()) {
        let text = "the resource needs the id of the URL";
        return Err(Fault::bad(IssueType::Value, text));
    }
    version(item, resource_type, &id, prepared)?;
    Ok(written(ty, resource_type, &id, Verb::Update))
}

fn written(ty: TypeId, resource_type: ResourceType, id: &str, method: Verb) -> Plan {
    Plan::Write(Write {
        patched: None,
        ty,
        resource_type,
        id: id.to_owned(),
        method,
    })
}

/// A conditional update.
async fn update(
    call: &Call,
    item: &Item,
    (ty, resource_type): (TypeId, ResourceType),
    own: Option<&str>,
    fresh: &str,
    prepared: &mut Prepared,
) -> Result<Plan, Fault> {
    let criteria = super::link_url("", &item.query);
    match matches(call, ty, &criteria).await? {
        Matches::Several => Err(several()),
        Matches::One(found, expect) => {
            if own.is_some_and(|own| *own != *found.id) {
                let text = "the id of the resource is not that of the one that matches";
                return Err(Fault::bad(IssueType::Value, text));
            }
            prepared.expect(expect, item);
            version(item, resource_type, &found.id, prepared)?;
            Ok(written(ty, resource_type, &found.id, Verb::Update))
        }
        Matches::None(expect) => {
            prepared.expect(expect, item);
            let id = own.unwrap_or(fresh);
            Ok(written(ty, resource_type, id, Verb::Create))
        }
    }
}

/// A patch changes what is there now, and only that.
async fn patch(
    call: &Call,
    bundle: &Resource,
    item: &Item,
    (ty, resource_type): (TypeId, ResourceType),
    id: Option<String>,
    prepared: &mut Prepared,
) -> Result<Plan, Fault> {
    let missing = || Fault::missing(IssueType::NotFound, "there is no such resource");
    let stored = match id {
        Some(id) => call
            .tenant
            .read(resource_type, &id)
            .await?
            .ok_or_else(missing)?,
        None => match matches(call, ty, &super::link_url("", &item.query)).await? {
            Matches::None(_) => return Err(missing()),
            Matches::Several => return Err(several()),
            Matches::One(stored, expect) => {
                prepared.expect(expect, item);
                *stored
            }
        },
    };
    version(item, resource_type, &stored.id, prepared)?;
    let content = batch::content(bundle, item)?;
    let resource = patched(&content, &stored, ty, &call.fhir.reading_limits())?;
    let expect = Expect::Version {
        resource_type,
        id: stored.id.to_string(),
        expected: Expected::Exactly(stored.version),
    };
    prepared.expect(expect, item);
    Ok(Plan::Write(Write {
        patched: Some(resource),
        ty,
        resource_type,
        id: stored.id.to_string(),
        method: Verb::Update,
    }))
}

async fn delete(
    call: &Call,
    item: &Item,
    (ty, resource_type): (TypeId, ResourceType),
    id: Option<String>,
    prepared: &mut Prepared,
) -> Result<Plan, Fault> {
    if let Some(id) = id {
        version(item, resource_type, &id, prepared)?;
        return Ok(Plan::Delete(vec![(resource_type, id)]));
    }
    let most = call.fhir.limits.page_max;
    let wanted = Query {
        count: u32::try_from(most).unwrap_or(u32::MAX),
        ..query(call, ty, &item.query).await?
    };
    let page = call.tenant.search(wanted.clone()).await?;
    if page.next.is_some() {
        let text = format!("more than {most} resources match; delete them in parts");
        return Err(Fault::precondition(IssueType::TooCostly, text));
    }
    let found = page.found.iter().map(|found| found.pk).collect();
    prepared.expect(
        Expect::Search {
            query: Box::new(wanted),
            found,
        },
        item,
    );
    let each = page.found.iter();
    Ok(Plan::Delete(
        each.map(|found| (resource_type, found.stored.id.to_string()))
            .collect(),
    ))
}

impl Prepared {
    fn expect(&mut self, expect: Expect, item: &Item) {
        self.expectations.push(expect);
        self.owners.push(item.at);
    }
}

/// `ifMatch` and `ifNoneMatch` of a change.
fn version(
    item: &Item,
    resource_type: ResourceType,
    id: &str,
    prepared: &mut Prepared,
) -> Result<(), Fault> {
    let expected = match (&item.conditions.if_match, &item.conditions.if_none_match) {
        (None, None) => return Ok(()),
        (Some(Tags::Any), None) => Expected::Present,
        (None, Some(Tags::Any)) => Expected::Absent,
        (Some(Tags::Versions(versions)), None) if versions.len() == 1 => {
            let only = versions.first().copied().unwrap_or(0);
            Expected::Exactly(u32::try_from(only).unwrap_or(u32::MAX))
        }
        _ => {
            let text = "`ifMatch` names one version, `ifNoneMatch` of a change is `*`";
            return Err(Fault::bad(IssueType::Value, text));
        }
    };
    let expect = Expect::Version {
        resource_type,
        id: id.to_owned(),
        expected,
    };
    prepared.expect(expect, item);
    Ok(())
}

fn several() -> Fault {
    Fault::precondition(
        IssueType::MultipleMatches,
        "more than one resource matches the condition",
    )
}

/// No resource may be changed twice.
fn unique(items: &[Item], plans: &[Plan]) -> Result<(), Fault> {
    let mut seen: HashSet<(ResourceType, &str)> = HashSet::new();
    for (item, plan) in items.iter().zip(plans) {
        let fresh = match plan {
            Plan::Read | Plan::There(_) => true,
            Plan::Write(write) => seen.insert((write.resource_type, &write.id)),
            Plan::Delete(all) => all
                .iter()
                .all(|(resource_type, id)| seen.insert((*resource_type, id))),
        };
        if !fresh {
            let text = "another entry of the transaction changes the same resource";
            return Err(Fault::bad(IssueType::Duplicate, text).within(&item.place()));
        }
    }
    Ok(())
}

/// What each `fullUrl` is stored as.
fn entries(call: &Call, items: &[Item], plans: &[Plan]) -> Result<References, Fault> {
    let mut references = References::default();
    for (item, plan) in items.iter().zip(plans) {
        let target = match plan {
            Plan::Read | Plan::Delete(_) => continue,
            Plan::There(found) => {
                format!(
                    "{}/{}",
                    call.tenant.type_name(found.resource_type),
                    found.id
                )
            }
            Plan::Write(write) => {
                format!(
                    "{}/{}",
                    call.tenant.type_name(write.resource_type),
                    write.id
                )
            }
        };
        let Some(full_url) = &item.full_url else {
            continue;
        };
        if references
            .entries
            .insert(full_url.clone(), target)
            .is_some()
        {
            let text = "another entry of the transaction has the same fullUrl";
            return Err(Fault::bad(IssueType::Duplicate, text).within(&item.place()));
        }
    }
    Ok(references)
}

/// The one resource that a conditional reference means.
async fn look_up(call: &Call, text: &str, prepared: &mut Prepared) -> Result<String, Fault> {
    let (name, criteria) = text.split_once('?').unwrap_or((text, ""));
    let (ty, _) = type_named(call, name)?;
    let none = |code, how: &str| {
        let text = format!("a conditional reference to a {name} finds {how}");
        Fault::precondition(code, text)
    };
    match matches(call, ty, criteria).await? {
        Matches::None(_) => Err(none(IssueType::NotFound, "no resource")),
        Matches::Several => Err(none(IssueType::MultipleMatches, "more than one resource")),
        Matches::One(found, expect) => {
            prepared.expectations.push(expect);
            prepared.owners.push(usize::MAX);
            Ok(format!("{name}/{}", found.id))
        }
    }
}

/// Rewrites, checks and indexes every resource that is written.
async fn taken(
    call: &Call,
    bundle: &Arc<Resource>,
    items: &Arc<Vec<Item>>,
    prepared: &Prepared,
    references: References,
) -> Result<HashMap<usize, Taken>, Fault> {
    let written: Vec<(usize, TypeId, Option<Resource>)> = items
        .iter()
        .zip(&prepared.plans)
        .filter_map(|(item, plan)| match plan {
            Plan::Write(write) => Some((item.at, write.ty, write.patched.clone())),
            Plan::Read | Plan::There(_) | Plan::Delete(_) => None,
        })
        .collect();
    let (tenant, bundle, items) = (
        Arc::clone(&call.tenant),
        Arc::clone(bundle),
        Arc::clone(items),
    );
    let base = Arc::clone(&call.base);
    let (now_ms, nodes) = ((call.fhir.clock)(), bundle.node_count());
    heavy(nodes.saturating_mul(32), move || {
        let mut taken = HashMap::with_capacity(written.len());
        for (at, ty, patched) in written {
            let Some(item) = items.get(at) else { continue };
            let changed = patched.as_ref().map(Resource::root);
            let Some(node) = changed.or_else(|| item.node(&bundle)) else {
                continue;
            };
            let one = || {
                let json = references.rewritten(node, item.full_url.as_deref())?;
                let resource = read(&json, Format::Json, &write::TRUSTED, Some(ty))?;
                take(&tenant, &resource, &base, now_ms)
            };
            taken.insert(at, one().map_err(|fault| fault.within(&item.place()))?);
        }
        Ok(taken)
    })
    .await
}

/// The changes in the order of the standard (deletes, creates, updates), each with its item.
fn changes(
    items: &[Item],
    plans: &[Plan],
    taken: &HashMap<usize, Taken>,
) -> (Vec<Change>, Vec<(usize, Option<Body>)>) {
    let mut ordered: Vec<(u8, usize, Change, Option<Body>)> = Vec::new();
    for (item, plan) in items.iter().zip(plans) {
        match plan {
            Plan::Read | Plan::There(_) => {}
            Plan::Delete(all) => ordered.extend(all.iter().map(|(resource_type, id)| {
                let change = Change {
                    resource_type: *resource_type,
                    id: id.clone(),
                    method: Method::Delete,
                };
                (0, item.at, change, None)
            })),
            Plan::Write(write) => {
                let Some(taken) = taken.get(&item.at) else {
                    continue;
                };
                let body = taken.body(&write.id);
                let rows = taken.rows.clone();
                let given = body.clone();
                let (rank, method) = match write.method {
                    Verb::Create => (1, Method::Create { body, rows }),
                    Verb::Update => (2, Method::Update { body, rows }),
                };
                let change = Change {
                    resource_type: write.resource_type,
                    id: write.id.clone(),
                    method,
                };
                ordered.push((rank, item.at, change, Some(given)));
            }
        }
    }
    ordered.sort_by_key(|(rank, _, _, _)| *rank);
    let mut bodies = Vec::with_capacity(ordered.len());
    let mut changes = Vec::with_capacity(ordered.len());
    for (_, at, change, body) in ordered {
        bodies.push((at, body));
        changes.push(change);
    }
    (changes, bodies)
}

async fn respond(
    call: &Call,
    bundle: &Resource,
    items: &[Item],
    plans: &[Plan],
    taken: &HashMap<usize, Taken>,
    bodies: &[(usize, Option<Body>)],
    committed: &Committed,
) -> Result<Reply, Fault> {
    let mut written: HashMap<usize, (&Written, Option<&Body>)> = HashMap::new();
    for (written_now, (at, body)) in committed.written.iter().zip(bodies) {
        written.insert(*at, (written_now, body.as_ref()));
    }
    let mut answer = Bundle::new("transaction-response");
    for (item, plan) in items.iter().zip(plans) {
        match plan {
            Plan::Read => {
                let result = batch::one(call, bundle, item).await;
                batch::add(&mut answer, &result);
            }
            Plan::Delete(_) => {
                let status = batch::status(StatusCode::NO_CONTENT);
                let version = written.get(&item.at).map_or(0, |(now, _)| now.version);
                let etag = format!("W/\"{version}\"");
                let mut members = vec![("status", status.as_str())];
                members.extend((version > 0).then_some(("etag", etag.as_str())));
                answer.entry(|entry| entry.response(&members, None));
            }
            Plan::There(found) => stored(call, &mut answer, found, StatusCode::OK, None),
            Plan::Write(write) => {
                let Some((now, body)) = written.get(&item.at) else {
                    continue;
                };
                let as_stored = Stored {
                    pk: now.pk,
                    resource_type: write.resource_type,
                    id: write.id.as_str().into(),
                    version: now.version,
                    seq: now.seq,
                    updated_ms: now.updated_ms,
                    created: now.created,
                    body: body.cloned(),
                };
                let status = if now.created {
                    StatusCode::CREATED
                } else {
                    StatusCode::OK
                };
                stored(call, &mut answer, &as_stored, status, taken.get(&item.at));
            }
        }
    }
    Ok(Reply::new(StatusCode::OK, Answer::Json(answer.finish())))
}

/// The answer about a resource that is stored.
fn stored(
    call: &Call,
    answer: &mut Bundle,
    stored: &Stored,
    status: StatusCode,
    taken: Option<&Taken>,
) {
    let name = call.tenant.type_name(stored.resource_type);
    let location = format!(
        "{}/{name}/{}/_history/{}",
        call.base, stored.id, stored.version
    );
    let (status, etag) = (batch::status(status), format!("W/\"{}\"", stored.version));
    let modified = instant(stored.updated_ms);
    let outcome = (call.prefer.returns == Some(Return::Outcome)).then(|| {
        let warnings = taken.map(|taken| taken.warnings.as_slice());
        hilum_fhir::operation_outcome_json(warnings.unwrap_or_default())
    });
    answer.entry(|entry| {
        if call.prefer.returns == Some(Return::Representation)
            && let Some(json) = write::spliced(stored)
        {
            entry.resource(&json);
        }
        let members = [
            ("status", status.as_str()),
            ("location", location.as_str()),
            ("etag", etag.as_str()),
            ("lastModified", modified.as_str()),
        ];
        entry.response(&members, outcome.as_deref());
    });
}
