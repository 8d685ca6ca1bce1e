//! What a list that is all there is does not have any more has ended: an allergy that the patient no
//! longer has, a diagnosis, an insurance, somebody around the patient.
//!
//! Only what such a list of the same system had before ends. A late list ends nothing that a newer one
//! has, and what it has itself and a newer one has not is written as ended.

use std::collections::{BTreeMap, HashMap};

use hilum_fhir_store::{
    Change, Criterion, Expect, Expected, Method, Query, ReferenceTest, ResourceType, Test,
};
use hilum_message::SourceTime;

use super::moved::belonging;
use super::timed::{Became, MERGED};
use super::{Plan, Prepared};
use crate::as_of::{self, Current, Listed, Times};
use crate::bundle::read::Item;
use crate::call::Call;
use crate::fault::Fault;
use crate::interaction::type_named;
use crate::write;

/// Elements by which what has a list says of whom it is.
const OWNER: [&[u8]; 2] = [b"subject", b"patient"];

/// A list of which a transaction has all there is.
struct List<'i> {
    name: &'i str,
    /// When the newest one was so that came until now.
    time: SourceTime,
    /// This one is it.
    is_newest: bool,
    patient: (ResourceType, String),
}

/// The changes of what has ended.
pub(super) async fn changes(
    call: &Call,
    items: &[Item],
    taken: &HashMap<usize, Became>,
    prepared: &mut Prepared,
) -> Result<Vec<Change>, Fault> {
    let mut changes = Vec::new();
    let lists = lists(call, items, taken, prepared);
    for item in items {
        let list = item.timed.as_ref().and_then(|timed| {
            let name = timed.listed.as_deref()?;
            lists.get(name).filter(|list| timed.time < list.time)
        });
        if let Some(list) = list
            && let Some(change) = own(call, item, (list, taken), prepared)?
        {
            changes.push(change);
        }
    }
    for list in lists.values().filter(|list| list.is_newest) {
        let Some(query) = members(call, list)? else {
            continue;
        };
        for (resource_type, id) in belonging(call, query, prepared).await? {
            let stored = call.tenant.store.read_apart(resource_type, &id).await?;
            let Some((stored, body)) = stored.and_then(|stored| {
                let body = stored.body.clone()?;
                Some((stored, body))
            }) else {
                continue;
            };
            let current = Current {
                json: &body.bytes,
                times: Times::of(&body, stored.updated_ms),
                apart: !body.apart.is_empty(),
            };
            let Some(method) = ended(call, (resource_type, &id), current, list)? else {
                continue;
            };
            prepared.expectations.push(Expect::Version {
                resource_type,
                id: id.clone(),
                expected: Expected::Exactly(stored.version),
            });
            prepared.owners.push(MERGED);
            changes.push(Change {
                resource_type,
                id,
                method,
            });
        }
    }
    Ok(changes)
}

/// The lists of a transaction by their names.
fn lists<'i>(
    call: &Call,
    items: &'i [Item],
    taken: &HashMap<usize, Became>,
    prepared: &Prepared,
) -> BTreeMap<&'i str, List<'i>> {
    let mut lists = BTreeMap::new();
    for item in items {
        let (Some(timed), Some(became)) = (&item.timed, taken.get(&item.at)) else {
            continue;
        };
        if timed.whole.is_empty() {
            continue;
        }
        let Some((json, times)) = became.now() else {
            continue;
        };
        let Some(patient) = patient(call, (item, json), prepared) else {
            continue;
        };
        for name in &timed.whole {
            let time = times.list(name).unwrap_or(timed.time);
            let list = List {
                name,
                time,
                is_newest: timed.time >= time,
                patient: patient.clone(),
            };
            lists.insert(name.as_str(), list);
        }
    }
    lists
}

/// The patient that has a list, or whose visit or account has it.
fn patient(
    call: &Call,
    (item, json): (&Item, &[u8]),
    prepared: &Prepared,
) -> Option<(ResourceType, String)> {
    let (of, patients) = type_named(call, "Patient").ok()?;
    let own = match prepared.plans.get(item.at)? {
        Plan::Write(write) => (write.resource_type, write.id.clone()),
        Plan::There(stored) => (stored.resource_type, stored.id.to_string()),
        Plan::Read | Plan::Delete(_) => return None,
    };
    if own.0 == patients {
        return Some(own);
    }
    let all = write::members(json);
    let (_, owner) = all.iter().find(|(name, _)| OWNER.contains(name))?;
    // An account may be of several.
    let owner = match owner.first() {
        Some(b'[') => write::items(owner).first().copied()?,
        _ => owner,
    };
    let own = write::members(owner);
    let (_, text) = own.iter().find(|(name, _)| *name == b"reference")?;
    let text = std::str::from_utf8(text).ok()?.trim_matches('"');
    let id = text
        .strip_prefix(call.tenant.table.name(of))?
        .strip_prefix('/')?;
    Some((patients, id.to_owned()))
}

/// The resources of the patient that may be in a list.
fn members(call: &Call, list: &List<'_>) -> Result<Option<Query>, Fault> {
    let name = list.name.split('@').next().unwrap_or_default();
    let (ty, resource_type) = type_named(call, name)?;
    let Some(param) = call.tenant.table.param(ty, "patient") else {
        return Ok(None);
    };
    let (patients, id) = list.patient.clone();
    Ok(Some(Query {
        types: vec![resource_type],
        criteria: vec![Criterion::Param {
            params: vec![param.key],
            test: Test::Reference(vec![ReferenceTest::Local(vec![patients], id)]),
        }],
        count: u32::try_from(call.fhir.limits.page_max).unwrap_or(u32::MAX),
        ..Query::default()
    }))
}

/// The end of what a late list has and a newer one has not, behind what the transaction writes of it.
fn own(
    call: &Call,
    item: &Item,
    (list, taken): (&List<'_>, &HashMap<usize, Became>),
    prepared: &Prepared,
) -> Result<Option<Change>, Fault> {
    let Some(Plan::Write(write)) = prepared.plans.get(item.at) else {
        return Ok(None);
    };
    let Some((json, times)) = taken.get(&item.at).and_then(Became::now) else {
        return Ok(None);
    };
    let current = Current {
        json,
        times,
        apart: false,
    };
    let method = ended(call, (write.resource_type, &write.id), current, list)?;
    Ok(method.map(|method| Change {
        resource_type: write.resource_type,
        id: write.id.clone(),
        method,
    }))
}

/// A resource as one that has ended, where the list had it and has it no more.
fn ended(
    call: &Call,
    (resource_type, id): (ResourceType, &str),
    current: Current<'_>,
    list: &List<'_>,
) -> Result<Option<Method>, Fault> {
    let table = &call.tenant.table;
    let was = current.times.list(list.name);
    // A text that stands apart is not taken into the resource again.
    if current.apart || was.is_none_or(|was| was >= list.time) {
        return Ok(None);
    }
    let Some(ty) = table.type_of(resource_type) else {
        return Ok(None);
    };
    let Some((json, times)) = as_of::ended(ty, &current, list.time) else {
        return Ok(None);
    };
    let mut body = write::body(&json, table.name(ty), id);
    body.beside = times.write();
    let resource = write::trusted(&write::unversioned(&body))?;
    let rows = call.tenant.rows(&resource);
    Ok(Some(Method::Update { body, rows }))
}
