//! update and conditional update (FHIR R4 http.html#update, #cond-update).

use hilum_component::BoxFuture;
use hilum_fhir::IssueType;
use hilum_fhir_store::{Change, Commit, Expect, Expected, Method, ResourceType, StoreError};
use http::StatusCode;

use super::conditional::{Matches, matches};
use super::create::{created, lost, restless, several};
use super::{id_of, type_of};
use crate::call::{Call, Reply};
use crate::fault::Fault;
use crate::request::Tags;
use crate::take::Taken;

pub(super) fn handle(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        call.knows_only(&[])?;
        let (ty, stored_type) = type_of(&call)?;
        let id = id_of(&call)?;
        let given = call.resource(Some(ty)).await?;
        match given.id() {
            Some(own) if own == id => {}
            Some(_) => {
                let text = "the id of the resource is not that of the URL";
                return Err(Fault::bad(IssueType::Value, text));
            }
            None => {
                let text = "the resource has no id; it needs that of the URL";
                return Err(Fault::bad(IssueType::Required, text));
            }
        }
        let taken = call.take(given).await?;
        let expectations = expected(&call, stored_type, id)?;
        put(&call, stored_type, id, &taken, expectations).await
    })
}

/// What `If-Match` and `If-None-Match` expect of a resource.
pub(super) fn expected(
    call: &Call,
    resource_type: ResourceType,
    id: &str,
) -> Result<Vec<Expect>, Fault> {
    let mut expectations = Vec::new();
    let mut push = |expected| {
        expectations.push(Expect::Version {
            resource_type,
            id: id.to_owned(),
            expected,
        });
    };
    match &call.conditions.if_match {
        None => {}
        Some(Tags::Any) => push(Expected::Present),
        Some(Tags::Versions(versions)) => match versions.as_slice() {
            [only] => push(Expected::Exactly(u32::try_from(*only).unwrap_or(u32::MAX))),
            _ => {
                let text = "`If-Match` names several versions, it takes one";
                return Err(Fault::bad(IssueType::Value, text));
            }
        },
    }
    match &call.conditions.if_none_match {
        None => {}
        Some(Tags::Any) => push(Expected::Absent),
        Some(Tags::Versions(_)) => {
            let text = "`If-None-Match` of a change is `*` or absent";
            return Err(Fault::bad(IssueType::Value, text));
        }
    }
    Ok(expectations)
}

/// Puts a resource under its id.
async fn put(
    call: &Call,
    resource_type: ResourceType,
    id: &str,
    taken: &Taken,
    expectations: Vec<Expect>,
) -> Result<Reply, Fault> {
    let conditional = !expectations.is_empty();
    let body = taken.body(id);
    let commit = Commit {
        expectations,
        changes: vec![Change {
            resource_type,
            id: id.to_owned(),
            method: Method::Update {
                body: body.clone(),
                rows: taken.rows.clone(),
            },
        }],
        ..Commit::default()
    };
    let committed = match call.commit(commit).await {
        Err(StoreError::Conflict { version, .. }) if conditional => return Err(unmet(version)),
        other => other?,
    };
    let written = *committed.written.first().ok_or_else(lost)?;
    created(call, resource_type, id, body, written, &taken.warnings)
}

/// 412: the resource is of another version than the client expects.
pub(crate) fn unmet(version: Option<u32>) -> Fault {
    let text = match version {
        Some(version) => format!("the resource is now of version {version}"),
        None => "the resource does not exist".to_owned(),
    };
    let mut fault = Fault::precondition(IssueType::Conflict, text);
    if let Some(version) = version {
        fault.headers.extend(crate::fault::etag(u64::from(version)));
    }
    fault
}

pub(super) fn conditional(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        let (ty, stored_type) = type_of(&call)?;
        let criteria = call.criteria()?;
        let given = call.resource(Some(ty)).await?;
        let own = given.id().map(str::to_owned);
        let taken = call.take(given).await?;
        let fresh = call.fhir.new_id();
        for _ in 0..call.fhir.limits.tries_max {
            let (id, expectations) = match matches(&call, ty, &criteria).await? {
                Matches::Several => return Err(several()),
                Matches::One(found, expect) => {
                    if own.as_ref().is_some_and(|own| **own != *found.id) {
                        let text = "the id of the resource is not that of the one that matches";
                        return Err(Fault::bad(IssueType::Value, text));
                    }
                    let mut expectations = expected(&call, stored_type, &found.id)?;
                    expectations.push(expect);
                    (found.id.to_string(), expectations)
                }
                Matches::None(expect) => {
                    if call.conditions.if_match.is_some() {
                        return Err(unmet(None));
                    }
                    let id = own.clone().unwrap_or_else(|| fresh.clone());
                    let absent = Expect::Version {
                        resource_type: stored_type,
                        id: id.clone(),
                        expected: Expected::Absent,
                    };
                    (id, vec![expect, absent])
                }
            };
            match put_conditionally(&call, stored_type, &id, &taken, expectations).await {
                Ok(reply) => return Ok(reply),
                Err(Tried::Again) => {}
                Err(Tried::Fault(fault)) => return Err(*fault),
            }
        }
        Err(restless())
    })
}

enum Tried {
    Again,
    Fault(Box<Fault>),
}

async fn put_conditionally(
    call: &Call,
    resource_type: ResourceType,
    id: &str,
    taken: &Taken,
    expectations: Vec<Expect>,
) -> Result<Reply, Tried> {
    let body = taken.body(id);
    let change = Change {
        resource_type,
        id: id.to_owned(),
        method: Method::Update {
            body: body.clone(),
            rows: taken.rows.clone(),
        },
    };
    let commit = Commit {
        expectations,
        changes: vec![change],
        ..Commit::default()
    };
    let fault = |fault: Fault| Tried::Fault(Box::new(fault));
    let committed = match call.commit(commit).await {
        Ok(committed) => committed,
        Err(StoreError::Stale { .. }) => return Err(Tried::Again),
        Err(StoreError::Conflict { version, .. }) if call.conditions.if_match.is_some() => {
            return Err(fault(unmet(version)));
        }
        Err(StoreError::Conflict { .. }) => {
            let text = "a resource with this id exists, though it does not match the condition";
            return Err(fault(Fault::new(
                StatusCode::CONFLICT,
                IssueType::Duplicate,
                text,
            )));
        }
        Err(error) => return Err(fault(error.into())),
    };
    let written = *committed.written.first().ok_or_else(|| fault(lost()))?;
    created(call, resource_type, id, body, written, &taken.warnings).map_err(fault)
}
