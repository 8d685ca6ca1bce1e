//! What belongs to a visit goes with it to another patient (A45): results, reports, documents and orders;
//! and with an account (A44) its visits, each with all that, and its charges.
//!
//! A visit is moved because it was registered for the wrong one; so what was recorded in it is not of
//! that one either. Moved back, all goes back.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use hilum_fhir::IssueType;
use hilum_fhir::definitions::TypeId;
use hilum_fhir_store::{
    Body, Change, Criterion, Expect, Expected, Method, Query, ReferenceTest, ResourceType, Stored,
    Test,
};
use hilum_message::SourceTime;

use super::timed::{Became, Known, MERGED};
use super::{Plan, Prepared};
use crate::as_of::{Moves, Own, Times};
use crate::bundle::read::Item;
use crate::call::Call;
use crate::fault::Fault;
use crate::interaction::{members, type_named};
use crate::write::{self, items};

/// The elements by which a resource says of whom it is.
const OWNER: [&[u8]; 2] = [b"subject", b"patient"];

/// What refers to an account, by the parameter that finds it (FHIR R4 encounter.html#search and the like).
const OF_ACCOUNT: [&str; 3] = ["Encounter", "ChargeItem", "Invoice"];

/// Of whom the visits and accounts are that are moved, by their items.
pub(super) fn former(items: &[Item], known: &HashMap<usize, Known>) -> HashMap<usize, String> {
    let moved = items.iter().filter(|item| is_moved(item));
    let each = moved.filter_map(|item| {
        let body = known.get(&item.at)?.stored.body.as_ref()?;
        Some((item.at, owner(&body.bytes)?))
    });
    each.collect()
}

fn is_moved(item: &Item) -> bool {
    let moves = item.timed.as_ref().and_then(|timed| timed.moves);
    moves == Some(Moves::Subject)
}

/// The changes of what belongs to the visits that have got another patient.
pub(super) async fn changes(
    call: &Call,
    items: &[Item],
    (former, taken): (&HashMap<usize, String>, &HashMap<usize, Became>),
    prepared: &mut Prepared,
) -> Result<Vec<Change>, Fault> {
    let mut changes = Vec::new();
    for item in items.iter().filter(|item| is_moved(item)) {
        let (Some(before), Some(became)) = (former.get(&item.at), taken.get(&item.at)) else {
            continue;
        };
        let now = owner(&became.taken().json).filter(|_| became.is_newest());
        let Some(now) = now.filter(|now| now != before) else {
            continue;
        };
        let Some(Plan::Write(write)) = prepared.plans.get(item.at) else {
            continue;
        };
        let (ty, id) = (write.ty, write.id.clone());
        let mut open = vec![(ty, id)];
        let mut met: HashSet<(ResourceType, String)> = HashSet::new();
        while let Some((ty, id)) = open.pop() {
            let Some(criterion) = belongs(call, ty, &id)? else {
                continue;
            };
            let query = Query {
                criteria: vec![criterion],
                count: u32::try_from(call.fhir.limits.page_max).unwrap_or(u32::MAX),
                ..Query::default()
            };
            for (resource_type, id) in belonging(call, query, prepared).await? {
                if !met.insert((resource_type, id.clone())) {
                    continue;
                }
                let found = changed(call, (resource_type, id), (before, &now, item), prepared);
                let Some(change) = found.await? else {
                    continue;
                };
                let of = call.tenant.type_name(change.resource_type);
                if let Ok((visit, _)) = type_named(call, of)
                    && of == "Encounter"
                {
                    open.push((visit, change.id.clone()));
                }
                changes.push(change);
            }
        }
    }
    Ok(changes)
}

/// What belongs to a visit or an account; to nothing else does anything belong.
fn belongs(call: &Call, ty: TypeId, id: &str) -> Result<Option<Criterion>, Fault> {
    let table = &call.tenant.table;
    match table.name(ty) {
        "Encounter" => members(call, ty, id, &table.all()).map(Some),
        "Account" => {
            let types = OF_ACCOUNT.iter().filter_map(|of| type_named(call, of).ok());
            let params = types.filter_map(|(of, _)| Some(table.param(of, "account")?.key));
            let account =
                ReferenceTest::Local(table.stored(ty).into_iter().collect(), id.to_owned());
            Ok(Some(Criterion::Param {
                params: params.collect(),
                test: Test::Reference(vec![account]),
            }))
        }
        _ => Ok(None),
    }
}

/// The change of one resource that belongs to what is moved; `None` if it is of somebody else.
async fn changed(
    call: &Call,
    (resource_type, id): (ResourceType, String),
    (before, now, item): (&str, &str, &Item),
    prepared: &mut Prepared,
) -> Result<Option<Change>, Fault> {
    let stored = call.tenant.store.read_apart(resource_type, &id).await?;
    let Some(stored) = stored else {
        return Ok(None);
    };
    let Some(method) = with_owner(call, &stored, (before, now), item)? else {
        return Ok(None);
    };
    prepared.expectations.push(Expect::Version {
        resource_type,
        id: id.clone(),
        expected: Expected::Exactly(stored.version),
    });
    prepared.owners.push(MERGED);
    Ok(Some(Change {
        resource_type,
        id,
        method,
    }))
}

/// What a query finds, all of it, but for what the transaction writes itself.
pub(super) async fn belonging(
    call: &Call,
    mut query: Query,
    prepared: &mut Prepared,
) -> Result<Vec<(ResourceType, String)>, Fault> {
    let own: HashSet<(ResourceType, String)> = prepared
        .plans
        .iter()
        .filter_map(|plan| match plan {
            Plan::Write(write) => Some((write.resource_type, write.id.clone())),
            Plan::Read | Plan::There(_) | Plan::Delete(_) => None,
        })
        .collect();
    let most = call.fhir.limits.gathered_max;
    let mut all = Vec::new();
    loop {
        let asked = query.clone();
        let page = call.tenant.search(query.clone()).await?;
        // What comes to belong to it meanwhile has to go with it too.
        prepared.expectations.push(Expect::Search {
            query: Box::new(asked),
            found: page.found.iter().map(|found| found.pk).collect(),
        });
        prepared.owners.push(MERGED);
        let named = page.found.into_iter().map(|found| found.stored);
        let named = named.map(|stored| (stored.resource_type, stored.id.to_string()));
        all.extend(named.filter(|one| !own.contains(one)));
        if all.len() > most {
            let text = format!("more than {most} resources belong to one patient or visit");
            return Err(Fault::precondition(IssueType::TooCostly, text));
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(all),
        }
    }
}

/// Of whom a resource is, as a reference.
fn owner(json: &[u8]) -> Option<String> {
    let text = references(json).next()?;
    std::str::from_utf8(text).ok().map(str::to_owned)
}

/// The texts of the references to whom a resource is of, without their quotes.
fn references(json: &[u8]) -> impl Iterator<Item = &[u8]> {
    let all = write::members(json).into_iter();
    let owners = all.filter(|(name, _)| OWNER.contains(name));
    // An account may be of several.
    let each = owners.flat_map(|(_, value)| match value.first() {
        Some(b'[') => items(value),
        _ => vec![value],
    });
    let references = each.filter_map(|value| {
        let own = write::members(value).into_iter();
        own.filter(|(name, _)| *name == b"reference")
            .map(|(_, text)| text)
            .next()
    });
    references.filter_map(|text| text.strip_prefix(b"\"")?.strip_suffix(b"\""))
}

/// The resource as one of somebody else, if it is of this one.
fn with_owner(
    call: &Call,
    stored: &Stored,
    (before, now): (&str, &str),
    item: &Item,
) -> Result<Option<Method>, Fault> {
    let Some(body) = &stored.body else {
        return Ok(None);
    };
    let mut text = body.bytes.to_vec();
    let mut apart = body.apart.clone();
    let mut changed = false;
    // From the last one, so that the places before stay what they are.
    let places: Vec<usize> = references(&body.bytes)
        .filter(|text| *text == before.as_bytes())
        .filter_map(|text| (text.as_ptr() as usize).checked_sub(body.bytes.as_ptr() as usize))
        .collect();
    for place in places.into_iter().rev() {
        let end = place + before.len();
        if text.get(place..end) != Some(before.as_bytes()) {
            continue;
        }
        text.splice(place..end, now.bytes());
        for one in apart.iter_mut().filter(|one| one.at as usize >= end) {
            let moved = (one.at as usize + now.len()).saturating_sub(before.len());
            one.at = u32::try_from(moved).unwrap_or(u32::MAX);
        }
        changed = true;
    }
    if !changed {
        return Ok(None);
    }
    // When all else was so, and how it is read, stays.
    let time = item.timed.as_ref().map(|timed| timed.time);
    let beside = time.map(|time| moved_at(body, stored.updated_ms, time));
    let body = Body {
        bytes: Bytes::from(text),
        apart,
        beside: beside.unwrap_or_else(|| body.beside.clone()),
        ..body.clone()
    };
    let whole = Stored {
        body: Some(body.clone()),
        ..stored.clone()
    };
    let resource = write::trusted(&write::spliced(&whole).unwrap_or_default())?;
    let rows = call.tenant.rows(&resource);
    Ok(Some(Method::Update { body, rows }))
}

/// Of whom it is was so when it was moved, so that an older message does not take it back.
fn moved_at(body: &Body, updated_ms: i64, time: SourceTime) -> Bytes {
    let mut times = Times::of(body, updated_ms);
    for (name, _) in write::members(&body.bytes) {
        let name = OWNER.iter().find(|owner| **owner == name);
        let Some(name) = name.and_then(|name| std::str::from_utf8(name).ok()) else {
            continue;
        };
        times.own.retain(|own| own.name != name);
        times.own.push(Own {
            name: name.to_owned(),
            place: None,
            time,
        });
    }
    times.write()
}
