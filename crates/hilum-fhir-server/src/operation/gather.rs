//! Operations that gather resources: `$everything`, `$lastn`, `$document`.

use std::collections::HashSet;

use hilum_access::{Method, Permission};
use hilum_component::BoxFuture;
use hilum_fhir::IssueType;
use hilum_fhir::json::write_string;
use hilum_fhir_store::{Criterion, Direction, IntervalTest, Prefix, SortBy, SortKey, Stored};

use crate::bundle::{Bundle, link_url};
use crate::call::{Call, Reply};
use crate::fault::Fault;
use crate::interaction::{id_of, members, page, type_named};
use crate::route::{Claim, Entry, entry};
use crate::search::{Include, Known, instant_of};
use crate::time::instant;
use crate::write;

pub(super) fn routes() -> [Entry; 4] {
    let everything = |name, path, url, handle| {
        entry(
            name,
            Method::Get,
            path,
            Permission::FhirSearch,
            "Everything about one, page by page, with what it refers to",
            Claim::Operation("everything", url),
            handle,
        )
    };
    [
        everything(
            "everything-patient",
            "/Patient/{id}/$everything",
            "http://hl7.org/fhir/OperationDefinition/Patient-everything",
            of_patient,
        ),
        everything(
            "everything-encounter",
            "/Encounter/{id}/$everything",
            "http://hl7.org/fhir/OperationDefinition/Encounter-everything",
            of_encounter,
        ),
        entry(
            "lastn",
            Method::Get,
            "/Observation/$lastn",
            Permission::FhirSearch,
            "The newest observations of each code",
            Claim::Operation(
                "lastn",
                "http://hl7.org/fhir/OperationDefinition/Observation-lastn",
            ),
            lastn,
        ),
        entry(
            "document",
            Method::Get,
            "/Composition/{id}/$document",
            Permission::FhirSearch,
            "A composition and what it refers to, as a document",
            Claim::Operation(
                "document",
                "http://hl7.org/fhir/OperationDefinition/Composition-document",
            ),
            document,
        ),
    ]
}

fn of_patient(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move { everything(&call, "Patient").await })
}

fn of_encounter(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move { everything(&call, "Encounter").await })
}

/// The resource that an operation is about.
async fn focus(call: &Call, name: &str) -> Result<Stored, Fault> {
    let (_, stored_type) = type_named(call, name)?;
    let stored = call.tenant.read(stored_type, id_of(call)?).await?;
    let stored =
        stored.ok_or_else(|| Fault::missing(IssueType::NotFound, "there is no such resource"))?;
    if stored.body.is_none() {
        return Err(Fault::gone(u64::from(stored.version)));
    }
    Ok(stored)
}

/// FHIR R4 patient-operation-everything.html: the compartment, and what its resources refer to.
async fn everything(call: &Call, name: &str) -> Result<Reply, Fault> {
    call.knows_only(&["_since", "_type", "_count", "_page"])?;
    let (owner, _) = type_named(call, name)?;
    let id = focus(call, name).await?.id.to_string();
    let mut pairs = call.query.clone();
    pairs.retain(|(name, _)| name != "_since");
    if !pairs.iter().any(|(name, _)| name == "_count") {
        let most = call.fhir.limits.page_max.to_string();
        pairs.push(("_count".to_owned(), most));
    }
    let mut search = crate::search::parse(call.reading(&Known::default()), None, &pairs)?;
    let members = members(call, owner, &id, &search.types)?;
    search.restrict(members);
    if let Some(text) = call.query("_since") {
        let start_ms = instant_of(text).ok_or_else(|| {
            Fault::bad(IssueType::Value, "`_since` has a value that is no instant")
        })?;
        search.restrict(Criterion::LastUpdated(vec![IntervalTest {
            prefix: Prefix::Ge,
            start_ms,
            end_ms: start_ms.saturating_add(1),
        }]));
    }
    search.includes.push(Include::EVERYTHING);
    search.used = call
        .query
        .iter()
        .filter(|(name, _)| name != "_page")
        .cloned()
        .collect();
    page(call, search, &format!("/{name}/{id}/$everything")).await
}

/// FHIR R4 observation-operation-lastn.html.
fn lastn(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        let wrong = |text: &str| Fault::bad(IssueType::Value, text);
        let most = match call.query("max") {
            None => 1,
            Some(text) => text
                .parse::<usize>()
                .ok()
                .filter(|most| (1..=1_000).contains(most))
                .ok_or_else(|| wrong("`max` is no number from 1 to 1000"))?,
        };
        let mut pairs = call.query.clone();
        pairs.retain(|(name, _)| name != "max");
        let shaped = pairs.iter().any(|(name, _)| {
            name.starts_with('_') && !matches!(name.as_str(), "_lastUpdated" | "_id" | "_tag")
        });
        let about = pairs.iter().any(|(name, _)| {
            let code = name.split([':', '.']).next().unwrap_or_default();
            matches!(code, "patient" | "subject" | "category" | "code")
        });
        if shaped || !about {
            return Err(wrong(
                "it takes `max` and parameters of Observation, `patient`, `subject`, `category` or `code` among them",
            ));
        }
        let (ty, stored_type) = type_named(&call, "Observation")?;
        let mut search = crate::search::parse(call.reading(&Known::default()), Some(ty), &pairs)?;
        let date = call.tenant.table.param(ty, "date");
        search.query.types = vec![stored_type];
        search.query.count = u32::try_from(call.fhir.limits.page_max).unwrap_or(u32::MAX);
        search.query.sort = vec![SortKey {
            by: SortBy::Param(date.into_iter().map(|param| param.key).collect()),
            direction: Direction::Descending,
        }];
        let newest = newest(&call, search.query, most).await?;
        let mut bundle = Bundle::new("searchset");
        bundle.total = Some(newest.len() as u64);
        let url = format!("{}/Observation/$lastn", call.base);
        bundle.link("self", link_url(&url, &call.query));
        for stored in &newest {
            add(&call, &mut bundle, stored, Some("match"));
        }
        Ok(Reply::json(bundle.finish()))
    })
}

/// The first `most` of each code among what a search finds.
async fn newest(
    call: &Call,
    mut query: hilum_fhir_store::Query,
    most: usize,
) -> Result<Vec<Stored>, Fault> {
    let mut groups: Vec<(HashSet<(String, String)>, usize)> = Vec::new();
    let mut kept = Vec::new();
    let mut seen = 0;
    loop {
        let page = call.tenant.search(query.clone()).await?;
        seen += page.found.len();
        if seen > call.fhir.limits.gathered_max {
            let text = format!(
                "more than {} observations match; ask for fewer",
                call.fhir.limits.gathered_max
            );
            return Err(Fault::bad(IssueType::TooCostly, text));
        }
        for found in page.found {
            let codes = codes(&found.stored)?;
            let known = groups
                .iter_mut()
                .find(|(known, _)| known.iter().any(|code| codes.contains(code)));
            match known {
                Some((_, count)) if *count >= most => continue,
                Some((known, count)) => {
                    *count += 1;
                    known.extend(codes);
                }
                None => groups.push((codes, 1)),
            }
            kept.push(found.stored);
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(kept),
        }
    }
}

/// System and code of each coding of an observation; its text where it has none.
fn codes(stored: &Stored) -> Result<HashSet<(String, String)>, Fault> {
    let mut codes = HashSet::new();
    let Some(bytes) = write::spliced(stored) else {
        return Ok(codes);
    };
    let resource = write::trusted(&bytes)?;
    let Some(code) = resource.root().child("code") else {
        return Ok(codes);
    };
    for coding in code.children_named("coding") {
        let text = |name| coding.child_text(name).unwrap_or_default().to_owned();
        codes.insert((text("system"), text("code")));
    }
    if codes.is_empty() {
        let text = code.child_text("text").unwrap_or_default();
        codes.insert((String::new(), text.to_owned()));
    }
    Ok(codes)
}

/// FHIR R4 composition-operation-document.html. The document is made and given, not stored.
fn document(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        call.knows_only(&["persist"])?;
        if call.query("persist").is_some_and(|value| value != "false") {
            let text = "`persist` is not supported: store the document that you get";
            return Err(Fault::bad(IssueType::NotSupported, text));
        }
        let composition = focus(&call, "Composition").await?;
        let pks = call
            .tenant
            .store
            .references(vec![composition.pk], Vec::new())
            .await?;
        if pks.len() > call.fhir.limits.gathered_max {
            let text = format!(
                "the document has more than {} resources",
                call.fhir.limits.gathered_max
            );
            return Err(Fault::bad(IssueType::TooCostly, text));
        }
        let referred = call.tenant.store.fetch(pks).await?;
        let mut bundle = Bundle::new("document");
        let now = instant((call.fhir.clock)());
        let mut lead = br#""identifier":{"system":"urn:ietf:rfc:3986","value":"#.to_vec();
        let name = format!("{}/Bundle/{}", call.base, call.fhir.new_id());
        write_string(&name, &mut lead);
        lead.extend_from_slice(b"},\"timestamp\":");
        write_string(&now, &mut lead);
        bundle.lead = lead;
        add(&call, &mut bundle, &composition, None);
        for stored in referred.iter().filter(|stored| stored.pk != composition.pk) {
            add(&call, &mut bundle, stored, None);
        }
        Ok(Reply::json(bundle.finish()))
    })
}

fn add(call: &Call, bundle: &mut Bundle, stored: &Stored, mode: Option<&str>) {
    let Some(json) = write::spliced(stored) else {
        return;
    };
    let name = call.tenant.type_name(stored.resource_type);
    bundle.entry(|entry| {
        entry.full_url(&format!("{}/{name}/{}", call.base, stored.id));
        entry.resource(&json);
        if let Some(mode) = mode {
            entry.search_mode(mode);
        }
    });
}
