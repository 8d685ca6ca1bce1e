//! create and conditional create (FHIR R4 http.html#create, #ccreate).

use hilum_component::BoxFuture;
use hilum_fhir::{IssueType, Problem};
use hilum_fhir_store::{Body, Change, Commit, Method, ResourceType, StoreError, Stored, Written};
use http::{StatusCode, header};

use super::conditional::{Matches, matches};
use super::type_of;
use crate::call::{Answer, Call, Reply};
use crate::fault::Fault;
use crate::request::Return;
use crate::time::http_date;
use crate::write;

pub(super) fn handle(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        call.knows_only(&[])?;
        let (ty, stored_type) = type_of(&call)?;
        let given = call.resource(Some(ty)).await?;
        let taken = call.take(given).await?;
        let id = call.fhir.new_id();
        for _ in 0..call.fhir.limits.tries_max {
            let mut commit = Commit::default();
            if let Some(criteria) = &call.conditions.if_none_exist {
                match matches(&call, ty, criteria).await? {
                    Matches::None(expect) => commit.expectations.push(expect),
                    Matches::One(found, _) => return existing(&call, &found),
                    Matches::Several => return Err(several()),
                }
            }
            let body = taken.body(&id);
            commit.changes.push(Change {
                resource_type: stored_type,
                id: id.clone(),
                method: Method::Create {
                    body: body.clone(),
                    rows: taken.rows.clone(),
                },
            });
            let committed = match call.commit(commit).await {
                Err(StoreError::Stale { .. }) => continue,
                other => other?,
            };
            let written = *committed.written.first().ok_or_else(lost)?;
            return created(&call, stored_type, &id, body, written, &taken.warnings);
        }
        Err(restless())
    })
}

/// 412: more than one resource matches.
pub(super) fn several() -> Fault {
    Fault::precondition(
        IssueType::MultipleMatches,
        "more than one resource matches the condition",
    )
}

pub(super) fn lost() -> Fault {
    Fault::failed("the store did not say what it wrote")
}

/// 409: others change what a condition finds, again and again.
pub(crate) fn restless() -> Fault {
    Fault::new(
        StatusCode::CONFLICT,
        IssueType::Conflict,
        "what the condition finds was changed by others again and again; try again",
    )
}

/// The answer to a write that is stored.
pub(crate) fn created(
    call: &Call,
    resource_type: ResourceType,
    id: &str,
    body: Body,
    written: Written,
    warnings: &[Problem],
) -> Result<Reply, Fault> {
    let name = call.tenant.type_name(resource_type);
    let status = if written.created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let content = match call.prefer.returns.unwrap_or(Return::Representation) {
        Return::Minimal => Answer::None,
        Return::Outcome => Answer::Json(hilum_fhir::operation_outcome_json(warnings)),
        Return::Representation => {
            let stored = Stored {
                pk: written.pk,
                resource_type,
                id: id.into(),
                version: written.version,
                seq: written.seq,
                updated_ms: written.updated_ms,
                created: written.created,
                body: Some(body),
            };
            Answer::Json(write::spliced(&stored).unwrap_or_default())
        }
    };
    let location = format!("{}/{name}/{id}/_history/{}", call.base, written.version);
    Ok(Reply::new(status, content)
        .with(header::LOCATION, &location)
        .with(header::ETAG, &format!("W/\"{}\"", written.version))
        .with(header::LAST_MODIFIED, &http_date(written.updated_ms)))
}

/// The answer to a create whose condition found the resource already.
fn existing(call: &Call, found: &Stored) -> Result<Reply, Fault> {
    let name = call.tenant.type_name(found.resource_type);
    let content = match call.prefer.returns.unwrap_or(Return::Representation) {
        Return::Minimal => Answer::None,
        Return::Outcome => Answer::Json(hilum_fhir::operation_outcome_json(&[])),
        Return::Representation => Answer::Json(write::spliced(found).unwrap_or_default()),
    };
    let location = format!(
        "{}/{name}/{}/_history/{}",
        call.base, found.id, found.version
    );
    Ok(Reply::new(StatusCode::OK, content)
        .with(header::LOCATION, &location)
        .with(header::ETAG, &format!("W/\"{}\"", found.version))
        .with(header::LAST_MODIFIED, &http_date(found.updated_ms)))
}
