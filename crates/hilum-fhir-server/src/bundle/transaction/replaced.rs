//! Numbers that are given up in favour of another patient (A40 and its kin) may be those of several
//! patients: each of them is replaced, not only the one whom an entry of the transaction names.
//!
//! - Who is found under several of the numbers is one, and so is who is found under one and has an entry.
//! - An entry that finds nobody under its own number is about whoever is found under the next one.
//! - No number gets a second patient: what somebody else has is left out of the entry.
//! - Nobody who is known by another number of the same authority is replaced, for that one was not given
//!   up; and nobody who is already replaced by one of those that the transaction is about.
//!
//! What is taken back is taken back from all who are found, as far as it is still so.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use hilum_fhir::definitions::TypeId;
use hilum_fhir::{IssueType, Node, Resource};
use hilum_fhir_store::{Change, Expect, Expected, Method, Pk, Query, ResourceType, Stored};

use super::edit::Edit;
use super::numbers::{criterion, numbers};
use super::timed::MERGED;
use super::{Plan, Prepared, Verb, Write};
use crate::as_of::{self, Current, Outcome, Timed, Times};
use crate::bundle::read::Item;
use crate::call::Call;
use crate::fault::Fault;
use crate::interaction::condition;
use crate::request::encode;
use crate::write;

/// Numbers that are given up at once.
const NUMBERS_MAX: usize = 64;

/// Patients who have one number, and links that are followed from one of them.
const HOLDERS_MAX: u32 = 64;

/// What the numbers that are given up come to.
#[derive(Default)]
pub(super) struct Replaced {
    /// What entries say beside what the bundle holds.
    pub(super) edits: Arc<HashMap<usize, Edit>>,
    /// Those who are replaced and have no entry.
    others: Vec<Other>,
}

/// Somebody who is replaced and has no entry.
struct Other {
    stored: Stored,
    ty: TypeId,
    /// The entry of whoever replaces them, and what it is stored as.
    by: usize,
    reference: String,
}

/// Whoever stays, with the numbers that are given up in their favour.
struct Surviving<'i> {
    item: &'i Item,
    timed: &'i Timed,
    ty: TypeId,
    resource_type: ResourceType,
    id: String,
    /// The authority of the number by which they are known.
    home: Option<String>,
}

/// Who has the numbers.
struct Holders {
    /// By number the ids of those who have it.
    of: Vec<Vec<String>>,
    stored: HashMap<String, Stored>,
}

/// Finds everybody who has a number that is given up.
pub(super) async fn find(
    call: &Call,
    bundle: &Resource,
    items: &[Item],
    prepared: &mut Prepared,
) -> Result<Replaced, Fault> {
    let mut edits = HashMap::new();
    let mut others = Vec::new();
    for item in items {
        let Some(surviving) = surviving(bundle, item, prepared) else {
            continue;
        };
        let found = all(call, bundle, items, &surviving, prepared, &mut edits).await;
        others.extend(found.map_err(|fault| fault.within(&item.place()))?);
    }
    Ok(Replaced {
        edits: Arc::new(edits),
        others,
    })
}

fn surviving<'i>(bundle: &Resource, item: &'i Item, prepared: &Prepared) -> Option<Surviving<'i>> {
    let timed = item.timed.as_ref()?;
    let (false, Some(Plan::Write(write))) =
        (timed.replaces.is_empty(), prepared.plans.get(item.at))
    else {
        return None;
    };
    let node = item.node(bundle)?;
    let mut own = numbers(node);
    let own = own.find(|one| is_known_by(item, one.system, one.value));
    Some(Surviving {
        item,
        timed,
        ty: write.ty,
        resource_type: write.resource_type,
        id: write.id.clone(),
        home: own.map(|one| one.system.to_owned()),
    })
}

/// Whether an update is conditional on this number.
fn is_known_by(item: &Item, system: &str, value: &str) -> bool {
    let token = criterion(system, value);
    let mut asked = item.query.iter();
    asked.any(|(name, text)| name == "identifier" && *text == token)
}

async fn all(
    call: &Call,
    bundle: &Resource,
    items: &[Item],
    surviving: &Surviving<'_>,
    prepared: &mut Prepared,
    edits: &mut HashMap<usize, Edit>,
) -> Result<Vec<Other>, Fault> {
    let holders = holders(call, surviving, prepared).await?;
    let entries = entries(bundle, items, surviving, prepared);
    // Those whom other entries are about say themselves what they are.
    let mut claimed: HashSet<String> = prepared
        .plans
        .iter()
        .enumerate()
        .filter(|(at, _)| !entries.contains(at))
        .filter_map(|(_, plan)| match plan {
            Plan::Write(write) if write.resource_type == surviving.resource_type => {
                Some(write.id.clone())
            }
            _ => None,
        })
        .collect();
    let mut replaced = HashSet::from([surviving.id.clone()]);
    for at in &entries {
        let Some(item) = items.get(*at) else { continue };
        let id = fold(
            call,
            bundle,
            (item, surviving),
            (&holders, &claimed),
            prepared,
        )
        .await?;
        let edit: &mut Edit = edits.entry(*at).or_default();
        edit.without(&holders.elsewhere(surviving, &id));
        claimed.insert(id.clone());
        replaced.insert(id);
    }
    let mut met = claimed;
    let open: Vec<&Stored> = holders
        .in_order()
        .filter(|stored| met.insert(stored.id.to_string()))
        .filter(|stored| may_be_replaced(stored, surviving))
        .collect();
    replaced.extend(open.iter().map(|stored| stored.id.to_string()));
    let mut found = Vec::new();
    for stored in open {
        if surviving.timed.takes_back.is_empty()
            && is_there(call, stored, surviving, &replaced).await?
        {
            replaced.remove(&*stored.id);
            continue;
        }
        prepared.expectations.push(Expect::Version {
            resource_type: surviving.resource_type,
            id: stored.id.to_string(),
            expected: Expected::Exactly(stored.version),
        });
        prepared.owners.push(MERGED);
        found.push(Other {
            stored: stored.clone(),
            ty: surviving.ty,
            by: surviving.item.at,
            reference: format!("Patient/{}", surviving.id),
        });
    }
    let references: Vec<String> = found
        .iter()
        .map(|other| format!("Patient/{}", other.stored.id))
        .collect();
    for (at, item) in items.iter().enumerate() {
        if tells_of(bundle, item, &entries, items) {
            edits.entry(at).or_default().targets(&references);
        }
    }
    let own = format!("Patient/{}", surviving.id);
    edits
        .entry(surviving.item.at)
        .or_default()
        .replaces(own, references);
    Ok(found)
}

/// Looks up the numbers, and expects them to be with the same when all is written.
async fn holders(
    call: &Call,
    surviving: &Surviving<'_>,
    prepared: &mut Prepared,
) -> Result<Holders, Fault> {
    let all = &surviving.timed.replaces;
    if all.len() > NUMBERS_MAX {
        let text =
            format!("more than {NUMBERS_MAX} numbers are given up at once: send several merges");
        return Err(Fault::bad(IssueType::TooCostly, text));
    }
    let mut queries = Vec::with_capacity(all.len());
    for (system, value) in all {
        let mut criteria = String::from("identifier=");
        encode(&criterion(system, value), &mut criteria);
        queries.push(Query {
            count: HOLDERS_MAX + 1,
            ..condition(call, surviving.ty, &criteria).await?
        });
    }
    let found = call.tenant.store.named(queries.clone()).await?;
    let mut pks: Vec<Pk> = Vec::new();
    let mut of = Vec::with_capacity(found.len());
    for (query, found) in queries.into_iter().zip(found) {
        if found.len() > HOLDERS_MAX as usize {
            let text = format!("more than {HOLDERS_MAX} patients have one number that is given up");
            return Err(Fault::precondition(IssueType::MultipleMatches, text));
        }
        let those: Vec<Pk> = found.iter().map(|(pk, _)| *pk).collect();
        pks.extend(
            those
                .iter()
                .filter(|pk| !pks.contains(pk))
                .copied()
                .collect::<Vec<_>>(),
        );
        prepared.expectations.push(Expect::Search {
            query: Box::new(query),
            found: those,
        });
        prepared.owners.push(MERGED);
        of.push(found.into_iter().map(|(_, id)| id).collect());
    }
    let stored = match pks.is_empty() {
        true => Vec::new(),
        false => call.tenant.store.fetch(pks).await?,
    };
    let stored = stored.into_iter().map(|one| (one.id.to_string(), one));
    Ok(Holders {
        of,
        stored: stored.collect(),
    })
}

impl Holders {
    /// Those who have the numbers, in the order of these.
    fn in_order(&self) -> impl Iterator<Item = &Stored> {
        self.of
            .iter()
            .flatten()
            .filter_map(|id| self.stored.get(id))
    }

    /// The numbers that somebody else has.
    fn elsewhere(&self, surviving: &Surviving<'_>, id: &str) -> Vec<(String, String)> {
        let all = surviving.timed.replaces.iter().zip(&self.of);
        let others = all.filter(|(_, holders)| holders.iter().any(|holder| holder != id));
        others.map(|(number, _)| number.clone()).collect()
    }
}

/// The entries of those whom this one replaces.
fn entries(
    bundle: &Resource,
    items: &[Item],
    surviving: &Surviving<'_>,
    prepared: &Prepared,
) -> Vec<usize> {
    let by = surviving.item.full_url.as_deref();
    let is_replaced = |node: Node<'_>| {
        let mut links = node.children_named("link");
        links.any(|link| {
            let other = link.child("other");
            link.child_text("type") == Some("replaced-by")
                && by.is_some()
                && other.and_then(|other| other.child_text("reference")) == by
        })
    };
    let all = items.iter().filter(|item| {
        let plan = prepared.plans.get(item.at);
        matches!(plan, Some(Plan::Write(write)) if write.ty == surviving.ty)
            && item.node(bundle).is_some_and(is_replaced)
    });
    all.map(|item| item.at).collect()
}

/// Whom an entry is about: whoever has its number, else one of its others.
async fn fold(
    call: &Call,
    bundle: &Resource,
    (item, surviving): (&Item, &Surviving<'_>),
    (holders, claimed): (&Holders, &HashSet<String>),
    prepared: &mut Prepared,
) -> Result<String, Fault> {
    let (Some(node), Some(Plan::Write(write))) = (item.node(bundle), prepared.plans.get(item.at))
    else {
        return Ok(String::new());
    };
    let given = &surviving.timed.replaces;
    let counts = given
        .iter()
        .any(|(system, value)| is_known_by(item, system, value));
    let is_taken = claimed.contains(&write.id);
    if counts && write.method == Verb::Update && !is_taken {
        return Ok(write.id.clone());
    }
    let own: Vec<(&str, &str)> = numbers(node).map(|one| (one.system, one.value)).collect();
    let with = given.iter().zip(&holders.of);
    let with = with.filter(|((system, value), _)| own.contains(&(system, value)));
    let mut next = with.flat_map(|(_, ids)| ids).filter(|id| {
        let stored = holders.stored.get(*id);
        !claimed.contains(*id) && stored.is_some_and(|stored| may_be_replaced(stored, surviving))
    });
    let id = next.next().unwrap_or(&write.id).clone();
    if id == write.id && is_taken {
        // Nobody is left who could be replaced.
        if let Some(stored) = call.tenant.read(surviving.resource_type, &id).await? {
            set(prepared, item, Plan::There(Box::new(stored)));
        }
    } else if id != write.id {
        let write = Write {
            patched: None,
            ty: surviving.ty,
            resource_type: surviving.resource_type,
            id: id.clone(),
            method: Verb::Update,
        };
        set(prepared, item, Plan::Write(write));
    }
    Ok(id)
}

fn set(prepared: &mut Prepared, item: &Item, plan: Plan) {
    if let Some(known) = prepared.plans.get_mut(item.at) {
        *known = plan;
    }
}

/// Whether the numbers of somebody are given up, and not one beside others by which they are known.
fn may_be_replaced(stored: &Stored, surviving: &Surviving<'_>) -> bool {
    let (Some(home), true) = (&surviving.home, surviving.timed.takes_back.is_empty()) else {
        return true;
    };
    let Ok(resource) = write::trusted(&write::spliced(stored).unwrap_or_default()) else {
        return false;
    };
    let own: Vec<_> = numbers(resource.root())
        .filter(|one| one.system == home)
        .collect();
    let is_given = |system: &str, value: &str| {
        let mut given = surviving.timed.replaces.iter();
        given.any(|(of, number)| of == system && number == value)
    };
    own.is_empty() || own.iter().any(|one| is_given(one.system, one.value))
}

/// Whether somebody is replaced already by whoever stays, or by one whom they replace.
async fn is_there(
    call: &Call,
    stored: &Stored,
    surviving: &Surviving<'_>,
    replaced: &HashSet<String>,
) -> Result<bool, Fault> {
    let mut met = HashSet::from([stored.id.to_string()]);
    let mut next = by_whom(stored)?;
    while let Some(id) = next.filter(|_| met.len() <= HOLDERS_MAX as usize) {
        if replaced.contains(&id) {
            return Ok(true);
        }
        if !met.insert(id.clone()) {
            break;
        }
        next = match call.tenant.read(surviving.resource_type, &id).await? {
            Some(stored) => by_whom(&stored)?,
            None => None,
        };
    }
    Ok(false)
}

/// Who replaces somebody: the last who did, whom the store has first.
fn by_whom(stored: &Stored) -> Result<Option<String>, Fault> {
    let Some(json) = write::spliced(stored) else {
        return Ok(None);
    };
    let resource = write::trusted(&json)?;
    let mut links = resource.root().children_named("link");
    let last = links.find(|link| link.child_text("type") == Some("replaced-by"));
    Ok(last.and_then(|link| {
        let reference = link.child("other")?.child_text("reference")?;
        reference.strip_prefix("Patient/").map(str::to_owned)
    }))
}

/// Whether an entry says where one of those comes from who are replaced.
fn tells_of(bundle: &Resource, item: &Item, entries: &[usize], items: &[Item]) -> bool {
    let Some(node) = item
        .node(bundle)
        .filter(|node| node.type_name() == "Provenance")
    else {
        return false;
    };
    let mut urls = entries
        .iter()
        .filter_map(|at| items.get(*at)?.full_url.as_deref());
    urls.any(|url| {
        let mut targets = node.children_named("target");
        targets.any(|target| target.child_text("reference") == Some(url))
    })
}

/// The changes of those who have no entry.
pub(super) fn changes(
    call: &Call,
    items: &[Item],
    replaced: Replaced,
) -> Result<Vec<Change>, Fault> {
    let mut changes = Vec::new();
    for other in replaced.others {
        let timed = items.get(other.by).and_then(|item| item.timed.as_ref());
        if let Some(timed) = timed
            && let Some(method) = method(call, &other, timed)?
        {
            changes.push(Change {
                resource_type: other.stored.resource_type,
                id: other.stored.id.to_string(),
                method,
            });
        }
    }
    Ok(changes)
}

fn method(call: &Call, other: &Other, timed: &Timed) -> Result<Option<Method>, Fault> {
    let Some(body) = &other.stored.body else {
        return Ok(None);
    };
    let timed = Timed {
        takes_back: timed.takes_back.clone(),
        ..Timed::plain(timed.time)
    };
    let times = Times::of(body, other.stored.updated_ms);
    if times.gap && !timed.takes_back.is_empty() {
        return Ok(None);
    }
    let json = said(body, &other.reference);
    let current = Current {
        json: &body.bytes,
        times,
        apart: !body.apart.is_empty(),
    };
    let (json, times) = match as_of::merge(other.ty, &current, &json, &timed) {
        Outcome::Same | Outcome::Late => return Ok(None),
        Outcome::Replaced(times) => (json, times),
        Outcome::Merged(json, times) => (json, times),
    };
    let name = call.tenant.table.name(other.ty);
    let mut body = write::body(&json, name, &other.stored.id);
    body.beside = times.write();
    let resource = write::trusted(&write::unversioned(&body))?;
    let rows = call.tenant.rows(&resource);
    Ok(Some(Method::Update { body, rows }))
}

/// What a merge says of somebody who is replaced. The numbers stay with whom only a result has told of, and
/// whose other elements give way to what is registered.
fn said(body: &hilum_fhir_store::Body, by: &str) -> Vec<u8> {
    let link = format!("[{{\"other\":{{\"reference\":\"{by}\"}},\"type\":\"replaced-by\"}}]");
    let own = write::members(&body.bytes);
    let own = own.into_iter().filter(|(name, _)| *name == b"identifier");
    let head: [write::Member<'_>; 1] = [(b"resourceType", b"\"Patient\"")];
    let tail: [write::Member<'_>; 2] = [(b"active", b"false"), (b"link", link.as_bytes())];
    let all: Vec<_> = head.into_iter().chain(own).chain(tail).collect();
    let mut out = b"{".to_vec();
    write::push_members(&mut all.iter(), &mut out);
    out.push(b'}');
    out
}
