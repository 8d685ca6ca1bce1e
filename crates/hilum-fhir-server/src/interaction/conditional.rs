//! Which resource a condition means (FHIR R4 http.html#cond-update).

use hilum_fhir::IssueType;
use hilum_fhir::definitions::TypeId;
use hilum_fhir_store::{Expect, Query, Stored};

use crate::call::Call;
use crate::fault::Fault;
use crate::request::pairs;
use crate::search::View;

/// What a condition finds, and that it must find the same when the change is written.
pub(crate) enum Matches {
    None(Expect),
    One(Box<Stored>, Expect),
    Several,
}

/// Looks for the resource that the criteria mean.
pub(crate) async fn matches(call: &Call, ty: TypeId, criteria: &str) -> Result<Matches, Fault> {
    let query = condition(call, ty, criteria).await?;
    let mut page = call.tenant.search(query.clone()).await?;
    let found = page.found.iter().map(|found| found.pk).collect();
    let expect = Expect::Search {
        query: Box::new(query),
        found,
    };
    Ok(match (page.found.pop(), page.found.is_empty()) {
        (None, _) => Matches::None(expect),
        (Some(only), true) => Matches::One(Box::new(only.stored), expect),
        (Some(_), false) => Matches::Several,
    })
}

/// The query of a condition as it is written.
pub(crate) async fn condition(call: &Call, ty: TypeId, criteria: &str) -> Result<Query, Fault> {
    let criteria = criteria.trim_start_matches('?');
    let pairs =
        pairs(criteria).map_err(|_| Fault::bad(IssueType::Value, "the condition is not UTF-8"))?;
    query(call, ty, &pairs).await
}

/// The query of a condition: at least one criterion, and nothing that shapes a result.
pub(crate) async fn query(
    call: &Call,
    ty: TypeId,
    pairs: &[(String, String)],
) -> Result<Query, Fault> {
    let known = call.known(pairs).await?;
    let search = crate::search::parse(call.reading(&known), Some(ty), pairs)?;
    let shaped = search.page.is_some()
        || search.view != View::Full
        || !search.includes.is_empty()
        || !search.query.sort.is_empty();
    if shaped || search.query.criteria.is_empty() {
        let text = "a condition is made of search parameters alone, and at least one";
        return Err(Fault::bad(IssueType::Invalid, text));
    }
    if !search.ignored.is_empty() {
        // A condition that is half understood may hit the wrong resource.
        return Err(Fault::of(http::StatusCode::BAD_REQUEST, search.ignored));
    }
    Ok(Query {
        count: 2,
        ..search.query
    })
}
