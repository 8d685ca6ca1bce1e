//! search, within a type, a compartment or the whole system (FHIR R4 http.html#search).

use std::collections::HashSet;

use hilum_component::BoxFuture;
use hilum_fhir::definitions::TypeId;
use hilum_fhir::{IssueType, Problem, Severity};
use hilum_fhir_store::{Criterion, Cursor, Pk, ReferenceTest, Stored, Test};

use super::contained::{self, Alone};
use super::{id_of, type_named, type_of};
use crate::bundle::{Bundle, link_url};
use crate::call::{Call, Reply};
use crate::fault::Fault;
use crate::search::{Search, View};
use crate::write;

pub(super) fn system(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        if said(&call.query).next().is_none() {
            let text = "a search over all types needs a parameter; GET metadata says what there is";
            return Err(Fault::bad(IssueType::Required, text));
        }
        let pairs: Vec<_> = said(&call.query).cloned().collect();
        let search = read(&call, None, &pairs).await?;
        page(&call, search, "").await
    })
}

pub(super) fn of_type(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        let (ty, _) = type_of(&call)?;
        let mut pairs: Vec<_> = said(&call.query).cloned().collect();
        let asked = contained::take(&mut pairs)?;
        let mut search = read(&call, Some(ty), &pairs).await?;
        let path = format!("/{}", call.part("type"));
        let Some(asked) = asked else {
            return page(&call, search, &path).await;
        };
        let about = |(name, _): &&(String, String)| name.starts_with("_contained");
        search.used.extend(call.query.iter().filter(about).cloned());
        match asked.apply(&call, ty, &mut search)? {
            Some(alone) if !search.explain => parts(&call, search, &path, &alone).await,
            _ => page(&call, search, &path).await,
        }
    })
}

/// What belongs to a patient, encounter and so on (FHIR R4 http.html#vsearch).
pub(super) fn compartment(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        let (owner, _) = type_of(&call)?;
        let id = id_of(&call)?;
        let name = call.part("inside");
        let inside = match name {
            "" | "*" => None,
            name => Some(type_named(&call, name)?.0),
        };
        let pairs: Vec<_> = said(&call.query).cloned().collect();
        let mut search = read(&call, inside, &pairs).await?;
        let members = members(&call, owner, id, &search.types)?;
        search.restrict(members);
        let shown = if name.is_empty() { "*" } else { name };
        let path = format!("/{}/{id}/{shown}", call.part("type"));
        page(&call, search, &path).await
    })
}

/// Parameters that say something: empty ones are ignored (FHIR R4 search.html#errors). They are not
/// in conditions, which would then mean every resource.
fn said(query: &[(String, String)]) -> impl Iterator<Item = &(String, String)> {
    query.iter().filter(|(_, value)| !value.is_empty())
}

async fn read(
    call: &Call,
    ty: Option<TypeId>,
    pairs: &[(String, String)],
) -> Result<Search, Fault> {
    let known = call.known(pairs).await?;
    crate::search::parse(call.reading(&known), ty, pairs)
}

/// One page of a search as a Bundle, with what is asked of somebody asked of all who are one with them.
pub(crate) async fn page(call: &Call, mut search: Search, path: &str) -> Result<Reply, Fault> {
    crate::linked::follow(call, &mut search.query).await?;
    found(call, search, path).await
}

/// That a resource of one of the types belongs to the compartment of a resource.
pub(crate) fn members(
    call: &Call,
    owner: TypeId,
    id: &str,
    types: &[TypeId],
) -> Result<Criterion, Fault> {
    let table = &call.tenant.table;
    let compartment = table
        .definitions
        .compartments()
        .iter()
        .find(|known| known.resource == owner)
        .ok_or_else(|| {
            let text = format!("there is no compartment of a {}", table.name(owner));
            Fault::missing(IssueType::NotSupported, text)
        })?;
    let owner_stored = table.stored(owner).into_iter().collect::<Vec<_>>();
    // A parameter belongs to one type, so these find no resource of another.
    let members = compartment.members.iter();
    let params: Vec<_> = members
        .filter(|member| types.contains(&member.resource))
        .flat_map(|member| {
            member
                .params
                .iter()
                .map(move |code| (member.resource, code))
        })
        .filter_map(|(of, code)| Some(table.param(of, code)?.key))
        .collect();
    let mut each = Vec::new();
    if !params.is_empty() {
        let owner = ReferenceTest::Local(owner_stored.clone(), id.to_owned());
        each.push(Criterion::Param {
            params,
            test: Test::Reference(vec![owner]),
        });
    }
    if types.contains(&owner) {
        let own = owner_stored.iter().map(|ty| (*ty, id.to_owned()));
        each.push(Criterion::Resources(own.collect()));
    }
    if each.is_empty() {
        let text = format!(
            "nothing of this type belongs to the compartment of a {}",
            table.name(owner)
        );
        return Err(Fault::missing(IssueType::NotSupported, text));
    }
    Ok(Criterion::Or(each))
}

/// One page of a search as a Bundle.
async fn found(call: &Call, search: Search, path: &str) -> Result<Reply, Fault> {
    let Search {
        query,
        includes,
        view,
        ignored,
        used,
        page,
        explain,
        ..
    } = search;
    if explain {
        return explained(call, query).await;
    }
    let mut query = query;
    let counting = view == View::Count;
    if counting {
        query.count = 0;
        query.total = hilum_fhir_store::Total::Accurate;
    }
    let after = match &page {
        None => None,
        Some(text) => Some(call.tenant.open_cursor(text)?),
    };
    let first = after.is_none();
    query.after = after;
    let wanted = query.count as usize;
    let found = call.tenant.search(query).await?;
    let mut bundle = Bundle::new("searchset");
    bundle.total = found.total;
    if bundle.total.is_none()
        && first
        && found.next.is_none()
        && found.found.len() <= wanted
        && !counting
    {
        bundle.total = Some(found.found.len() as u64);
    }
    link(
        call,
        &mut bundle,
        path,
        (&used, page),
        (&found.prev, &found.next),
    );
    let matches: Vec<Stored> = found.found.into_iter().map(|found| found.stored).collect();
    for stored in &matches {
        add(call, &mut bundle, stored, &view, "match")?;
    }
    let included = if includes.is_empty() || counting {
        Vec::new()
    } else {
        included(call, &includes, &matches).await?
    };
    // The list of elements is about the matches alone (FHIR R4 search.html#elements).
    let view = match view {
        View::Elements(_) => View::Full,
        view => view,
    };
    for stored in &included {
        add(call, &mut bundle, stored, &view, "include")?;
    }
    say(&mut bundle, &ignored);
    Ok(Reply::json(bundle.finish()))
}

/// The links of a page: itself, the first one, and those beside it.
fn link(
    call: &Call,
    bundle: &mut Bundle,
    path: &str,
    (used, page): (&[(String, String)], Option<String>),
    (prev, next): (&Option<Cursor>, &Option<Cursor>),
) {
    let base = format!("{}{path}", call.base);
    let url = |page: Option<String>| {
        let mut used = used.to_vec();
        used.extend(page.map(|page| ("_page".to_owned(), page)));
        link_url(&base, &used)
    };
    bundle.link("self", url(page));
    bundle.link("first", url(None));
    if let Some(prev) = prev {
        bundle.link("prev", url(Some(call.tenant.seal_cursor(prev))));
    }
    if let Some(next) = next {
        bundle.link("next", url(Some(call.tenant.seal_cursor(next))));
    }
}

/// Says what was left out of a search.
fn say(bundle: &mut Bundle, ignored: &[Problem]) {
    if !ignored.is_empty() {
        let outcome = hilum_fhir::operation_outcome_json(ignored);
        bundle.entry(|entry| {
            entry.resource(&outcome);
            entry.search_mode("outcome");
        });
    }
}

/// One page of contained resources without what contains them: those of as many containers as have
/// no more than a page of them together.
async fn parts(call: &Call, search: Search, path: &str, alone: &Alone) -> Result<Reply, Fault> {
    let Search {
        mut query,
        ignored,
        used,
        page,
        ..
    } = search;
    query.after = match &page {
        None => None,
        Some(text) => Some(call.tenant.open_cursor(text)?),
    };
    let most = query.count as usize;
    let mut found = call.tenant.search(query.clone()).await?;
    let (mut matches, mut containers) = (Vec::new(), 0);
    for container in &found.found {
        let more = alone.of(call, &container.stored)?;
        if matches.len() + more.len() > most {
            break;
        }
        containers += 1;
        let name = call.tenant.type_name(container.stored.resource_type);
        let url = format!("{}/{name}/{}", call.base, container.stored.id);
        matches.extend(
            more.into_iter()
                .map(|(end, json)| (format!("{url}{end}"), json)),
        );
    }
    if containers < found.found.len() {
        if containers == 0 {
            let text = "one resource contains more matches than `_count`; ask for more";
            return Err(Fault::bad(IssueType::TooCostly, text));
        }
        query.count = u32::try_from(containers).unwrap_or(u32::MAX);
        found = call.tenant.search(query).await?;
    }
    let mut bundle = Bundle::new("searchset");
    if page.is_none() && found.next.is_none() {
        bundle.total = Some(matches.len() as u64);
    }
    link(
        call,
        &mut bundle,
        path,
        (&used, page),
        (&found.prev, &found.next),
    );
    for (url, json) in &matches {
        bundle.entry(|entry| {
            entry.full_url(url);
            entry.resource(json);
            entry.search_mode("match");
        });
    }
    say(&mut bundle, &ignored);
    Ok(Reply::json(bundle.finish()))
}

async fn explained(call: &Call, query: hilum_fhir_store::Query) -> Result<Reply, Fault> {
    let plan = call.tenant.explain(query).await?;
    let problem =
        Problem::error(IssueType::Informational, plan).with_severity(Severity::Information);
    Ok(Reply::json(hilum_fhir::operation_outcome_json(&[problem])))
}

fn add(
    call: &Call,
    bundle: &mut Bundle,
    stored: &Stored,
    view: &View,
    mode: &str,
) -> Result<(), Fault> {
    let Some(json) = write::viewed(stored, view)? else {
        return Ok(());
    };
    let name = call.tenant.type_name(stored.resource_type);
    bundle.entry(|entry| {
        entry.full_url(&format!("{}/{name}/{}", call.base, stored.id));
        entry.resource(&json);
        entry.search_mode(mode);
    });
    Ok(())
}

/// What the matches of a page refer to, and what refers to them, as far as it was asked for.
async fn included(
    call: &Call,
    includes: &[crate::search::Include],
    matches: &[Stored],
) -> Result<Vec<Stored>, Fault> {
    let most = call.fhir.limits.included_max;
    let mut seen: HashSet<Pk> = matches.iter().map(|stored| stored.pk).collect();
    let mut all: Vec<Stored> = Vec::new();
    let mut latest: Vec<Stored> = matches.to_vec();
    let mut iterating = false;
    loop {
        let mut next: Vec<Stored> = Vec::new();
        for include in includes
            .iter()
            .filter(|include| !iterating || include.iterate)
        {
            let room = most.saturating_sub(all.len() + next.len());
            let found = crate::include::follow(call, include, &latest, room).await?;
            next.extend(found.into_iter().filter(|stored| seen.insert(stored.pk)));
        }
        if next.is_empty() {
            return Ok(all);
        }
        if all.len() + next.len() >= most {
            let text =
                format!("the page includes more than {most} resources; ask for fewer matches");
            return Err(Fault::bad(IssueType::TooCostly, text));
        }
        all.extend(next.iter().cloned());
        latest = next;
        iterating = true;
    }
}
