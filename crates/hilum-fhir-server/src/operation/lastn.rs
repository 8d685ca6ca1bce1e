//! `$lastn`: the newest observations of each code (FHIR R4 observation-operation-lastn.html).

use std::collections::HashSet;

use hilum_access::{Method, Permission};
use hilum_component::BoxFuture;
use hilum_fhir::IssueType;
use hilum_fhir_store::{Direction, SortBy, SortKey, Stored};

use super::add;
use crate::bundle::{Bundle, link_url};
use crate::call::{Call, Reply};
use crate::fault::Fault;
use crate::interaction::type_named;
use crate::route::{Claim, Entry, entry};
use crate::search::Known;
use crate::write;

pub(super) fn routes() -> [Entry; 1] {
    [entry(
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
    )]
}

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
        crate::linked::follow(&call, &mut search.query).await?;
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
