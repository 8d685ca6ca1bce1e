//! delete and conditional delete (FHIR R4 http.html#delete, #cdelete).

use hilum_component::BoxFuture;
use hilum_fhir::{IssueType, Problem, Severity};
use hilum_fhir_store::{Change, Commit, Expect, Method, Query, StoreError};
use http::{StatusCode, header};

use super::conditional::query;
use super::create::restless;
use super::update::{expected, unmet};
use super::{id_of, type_of};
use crate::call::{Answer, Call, Reply};
use crate::fault::Fault;
use crate::request::Return;

pub(super) fn handle(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        call.knows_only(&[])?;
        let (_, resource_type) = type_of(&call)?;
        let id = id_of(&call)?;
        let expectations = expected(&call, resource_type, id)?;
        let conditional = !expectations.is_empty();
        let commit = Commit {
            expectations,
            changes: vec![Change {
                resource_type,
                id: id.to_owned(),
                method: Method::Delete,
            }],
            ..Commit::default()
        };
        let committed = match call.commit(commit).await {
            Err(StoreError::Conflict { version, .. }) if conditional => return Err(unmet(version)),
            other => other?,
        };
        let version = committed
            .written
            .first()
            .map_or(0, |written| written.version);
        let reply = told(&call, usize::from(version > 0));
        Ok(if version > 0 {
            reply.with(header::ETAG, &format!("W/\"{version}\""))
        } else {
            reply
        })
    })
}

/// 204, or an outcome for those who ask for one.
fn told(call: &Call, count: usize) -> Reply {
    if call.prefer.returns != Some(Return::Outcome) {
        return Reply::new(StatusCode::NO_CONTENT, Answer::None);
    }
    let text = match count {
        0 => "there was nothing to delete".to_owned(),
        1 => "deleted 1 resource".to_owned(),
        count => format!("deleted {count} resources"),
    };
    let problem =
        Problem::error(IssueType::Informational, text).with_severity(Severity::Information);
    Reply::json(hilum_fhir::operation_outcome_json(&[problem]))
}

/// Deletes every resource that matches, all in one commit, or none if they are too many.
pub(super) fn conditional(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        let (ty, resource_type) = type_of(&call)?;
        if call.query.is_empty() {
            let text = "a delete without an id needs search parameters";
            return Err(Fault::bad(IssueType::Required, text));
        }
        let wanted = query(&call, ty, &call.query).await?;
        let most = call.fhir.limits.page_max;
        let wanted = Query {
            count: u32::try_from(most).unwrap_or(u32::MAX),
            ..wanted
        };
        for _ in 0..call.fhir.limits.tries_max {
            let page = call.tenant.search(wanted.clone()).await?;
            if page.next.is_some() {
                let text = format!("more than {most} resources match; delete them in parts");
                return Err(Fault::precondition(IssueType::TooCostly, text));
            }
            let changes: Vec<Change> = page
                .found
                .iter()
                .map(|found| Change {
                    resource_type,
                    id: found.stored.id.to_string(),
                    method: Method::Delete,
                })
                .collect();
            let count = changes.len();
            if count == 0 {
                return Ok(told(&call, 0));
            }
            let commit = Commit {
                expectations: vec![Expect::Search {
                    query: Box::new(wanted.clone()),
                    found: page.found.iter().map(|found| found.pk).collect(),
                }],
                changes,
                ..Commit::default()
            };
            match call.commit(commit).await {
                Ok(_) => return Ok(told(&call, count)),
                Err(StoreError::Stale { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(restless())
    })
}
