//! transaction: all requests together or none (FHIR R4 http.html#trules).
//!
//! Conditions and conditional references are looked up on what is there now, everything is
//! prepared outside the store, and one commit writes it under the expectation that the lookups
//! still find the same. If they do not, it is prepared anew, a bounded number of times.

mod ahead;
mod answer;
mod edit;
mod ended;
mod moved;
mod numbers;
mod plan;
mod replaced;
mod timed;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use hilum_fhir::definitions::TypeId;
use hilum_fhir::{IssueType, Resource};
use hilum_fhir_store::{Body, Change, Commit, Expect, Method, ResourceType, StoreError, Stored};

use self::ahead::{Ahead, Named};
use self::edit::Edit;
use self::timed::{Became, Known};
use super::read::Item;
use super::reference::{References, conditional};
use crate::call::{Call, Reply};
use crate::fault::Fault;
use crate::interaction::{restless, type_named, unmet};
use crate::request::Format;
use crate::route;
use crate::slot::Alone;
use crate::take::{read, take_written};
use crate::terminology::with_definitions;
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
    /// What was looked up before.
    ahead: Ahead,
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
    let tries_max = call.fhir.limits.tries_max;
    for left in (0..tries_max).rev() {
        // What many deliveries merge with at once is changed again and again: the last try goes alone.
        let is_last = left == 0 && items.iter().any(|item| item.timed.is_some());
        let alone = match is_last {
            true => Some(call.slot()?.alone().await),
            false => None,
        };
        match once(call, bundle, &items, (&fresh, &wanted), alone).await? {
            Some(reply) => return Ok(reply),
            None => tracing::debug!("a transaction is prepared anew"),
        }
    }
    Err(restless())
}

fn writes(item: &Item) -> bool {
    item.method == http::Method::POST || item.method == http::Method::PUT
}

/// Whether a request reads something else than one resource by its id, of which every version is
/// kept.
fn searches(call: &Call, item: &Item) -> bool {
    let entry = route::find(&call.fhir.entries, &item.method, &item.path);
    let name = entry.map_or("", |(entry, _)| entry.route.name);
    !writes(item)
        && !matches!(
            name,
            "" | "read" | "vread" | "patch" | "conditional-patch" | "delete" | "conditional-delete"
        )
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
    (fresh, wanted): (&[String], &BTreeSet<String>),
    alone: Option<Alone>,
) -> Result<Option<Reply>, Fault> {
    let mut prepared = Prepared {
        ahead: Ahead::look(call, items, wanted).await,
        ..Prepared::default()
    };
    for (item, id) in items.iter().zip(fresh) {
        let planned = plan::plan(call, bundle, item, id, &mut prepared).await;
        let planned = planned.map_err(|fault| fault.within(&item.place()))?;
        prepared.plans.push(planned);
    }
    let replaced = replaced::find(call, bundle, items, &mut prepared).await?;
    unique(items, &prepared.plans)?;
    let mut references = entries(call, items, &prepared.plans)?;
    for text in wanted {
        let found = look_up(call, text, &mut prepared).await?;
        references.found.insert(text.clone(), found);
    }
    let known = timed::known(call, items, &mut prepared).await?;
    numbers::alone(call, bundle, items, &known, &mut prepared).await?;
    let former = moved::former(items, &known);
    let edits = Arc::clone(&replaced.edits);
    let mut taken = taken(call, bundle, items, &prepared, (references, known, edits)).await?;
    timed::leave(&mut prepared.plans, &mut taken);
    let (mut changes, bodies) = changes(items, &prepared.plans, &mut taken);
    // Behind all that is answered.
    changes.extend(replaced::changes(call, items, replaced)?);
    changes.extend(moved::changes(call, items, (&former, &taken), &mut prepared).await?);
    changes.extend(ended::changes(call, items, &taken, &mut prepared).await?);
    let commit = Commit {
        expectations: std::mem::take(&mut prepared.expectations),
        changes,
        ..Commit::default()
    };
    let conditions = prepared.owners.len();
    let alone = match alone {
        None if items.iter().any(|item| searches(call, item)) => Some(call.slot()?.alone().await),
        alone => alone,
    };
    let committed = match call.commit_with(commit, alone.as_ref()).await {
        Ok(committed) => committed,
        Err(StoreError::Stale { .. }) => return Ok(None),
        Err(StoreError::Conflict { at, version, .. }) => {
            let owner = prepared.owners.get(at).filter(|_| at < conditions);
            if owner == Some(&timed::MERGED) {
                // Not what somebody expects, but what was merged with.
                return Ok(None);
            }
            let fault = unmet(version);
            return Err(match owner.and_then(|at| items.get(*at)) {
                Some(item) => fault.within(&item.place()),
                None => fault,
            });
        }
        Err(error) => return Err(error.into()),
    };
    answer::respond(
        call,
        bundle,
        items,
        &prepared.plans,
        &taken,
        &bodies,
        (&committed, alone),
    )
    .await
    .map(Some)
}

impl Prepared {
    fn expect(&mut self, expect: Expect, item: &Item) {
        self.expectations.push(expect);
        self.owners.push(item.at);
    }
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
    match prepared.ahead.named(call, ty, criteria).await? {
        Named::None(_) => Err(none(IssueType::NotFound, "no resource")),
        Named::Several => Err(none(IssueType::MultipleMatches, "more than one resource")),
        Named::One(id, expect) => {
            prepared.expectations.push(expect);
            prepared.owners.push(usize::MAX);
            Ok(format!("{name}/{id}"))
        }
    }
}

/// Rewrites, checks and indexes every resource that is written.
async fn taken(
    call: &Call,
    bundle: &Arc<Resource>,
    items: &Arc<Vec<Item>>,
    prepared: &Prepared,
    (references, known, edits): (References, HashMap<usize, Known>, Arc<HashMap<usize, Edit>>),
) -> Result<HashMap<usize, Became>, Fault> {
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
    let own = Arc::clone(&tenant);
    with_definitions(&tenant, nodes.saturating_mul(32), move |needs| {
        let mut taken = HashMap::with_capacity(written.len());
        for (at, ty, patched) in &written {
            let Some(item) = items.get(*at) else { continue };
            let changed = patched.as_ref().map(Resource::root);
            let Some(node) = changed.or_else(|| item.node(&bundle)) else {
                continue;
            };
            let one = || {
                let json = references.rewritten(node, item.full_url.as_deref())?;
                let json = match edits.get(at) {
                    None => json,
                    Some(edit) => edit.applied(json),
                };
                let take = |json: Vec<u8>| {
                    let resource = read(&json, Format::Json, &write::TRUSTED, Some(*ty))?;
                    take_written(&own, (&resource, Some(json)), &base, now_ms, needs)
                };
                match &item.timed {
                    None => take(json).map(Became::plain),
                    Some(timed) => {
                        let known = known.get(at);
                        timed::became((&own, *ty), item, (json, timed), known, &take)
                    }
                }
            };
            taken.insert(*at, one().map_err(|fault| fault.within(&item.place()))?);
        }
        Ok(taken)
    })
    .await
}

/// A change with its place in the order of the standard, its item and what the answer gives.
type Ranked = (u8, usize, Change, Option<Body>);

/// The changes in the order of the standard (deletes, creates, updates), each with its item; what
/// was found for the index goes with them.
fn changes(
    items: &[Item],
    plans: &[Plan],
    taken: &mut HashMap<usize, Became>,
) -> (Vec<Change>, Vec<(usize, Option<Body>)>) {
    let mut ordered: Vec<Ranked> = Vec::new();
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
                let Some(taken) = taken.get_mut(&item.at) else {
                    continue;
                };
                let change = |method| Change {
                    resource_type: write.resource_type,
                    id: write.id.clone(),
                    method,
                };
                for (body, rows) in taken.bodies(&write.id) {
                    let given = body.clone();
                    let (rank, method) = match write.method {
                        Verb::Create => (1, Method::Create { body, rows }),
                        Verb::Update => (2, Method::Update { body, rows }),
                    };
                    ordered.push((rank, item.at, change(method), Some(given)));
                }
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
