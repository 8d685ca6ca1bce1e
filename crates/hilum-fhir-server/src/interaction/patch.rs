//! patch and conditional patch, by JSON Patch or FHIRPath Patch (FHIR R4 http.html#patch).

use hilum_component::BoxFuture;
use hilum_fhir::definitions::TypeId;
use hilum_fhir::{IssueType, Limits, Resource, patch};
use hilum_fhir_store::{
    Change, Commit, Expect, Expected, Method, ResourceType, StoreError, Stored,
};

use super::conditional::{Matches, matches};
use super::create::{created, lost, restless, several};
use super::update::unmet;
use super::{id_of, type_of};
use crate::call::{Call, Content, Reply};
use crate::fault::Fault;
use crate::request::{Kind, unsupported};
use crate::take::read;
use crate::write;

pub(super) fn handle(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        call.knows_only(&[])?;
        let (ty, stored_type) = type_of(&call)?;
        let id = id_of(&call)?;
        for _ in 0..call.fhir.limits.tries_max {
            let stored = call.tenant.read(stored_type, id).await?;
            let stored = stored.ok_or_else(super::read::missing)?;
            if let Some(reply) = once(&call, (ty, stored_type), &stored, Vec::new()).await? {
                return Ok(reply);
            }
        }
        Err(restless())
    })
}

pub(super) fn conditional(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        let (ty, stored_type) = type_of(&call)?;
        let criteria = call.criteria()?;
        for _ in 0..call.fhir.limits.tries_max {
            let (stored, expect) = match matches(&call, ty, &criteria).await? {
                Matches::Several => return Err(several()),
                Matches::None(_) => {
                    let text = "no resource matches the condition";
                    return Err(Fault::missing(IssueType::NotFound, text));
                }
                Matches::One(stored, expect) => (stored, expect),
            };
            let tried = once(&call, (ty, stored_type), &stored, vec![expect]).await?;
            if let Some(reply) = tried {
                return Ok(reply);
            }
        }
        Err(restless())
    })
}

/// One try on what is there now; `None` if somebody else was faster.
async fn once(
    call: &Call,
    (ty, resource_type): (TypeId, ResourceType),
    stored: &Stored,
    mut expectations: Vec<Expect>,
) -> Result<Option<Reply>, Fault> {
    let expected = call.conditions.if_match.as_ref();
    if expected.is_some_and(|tags| !tags.holds(u64::from(stored.version))) {
        return Err(unmet(Some(stored.version)));
    }
    let patched = patched(&call.body, stored, ty, &call.fhir.reading_limits())?;
    let taken = call.take(patched).await?;
    let id = stored.id.to_string();
    expectations.push(Expect::Version {
        resource_type,
        id: id.clone(),
        expected: Expected::Exactly(stored.version),
    });
    let body = taken.body(&id);
    let commit = Commit {
        expectations,
        changes: vec![Change {
            resource_type,
            id: id.clone(),
            method: Method::Update {
                body: body.clone(),
                rows: taken.rows.clone(),
            },
        }],
        ..Commit::default()
    };
    let committed = match call.commit(commit).await {
        Err(StoreError::Conflict { version, .. }) if expected.is_some() => {
            return Err(unmet(version));
        }
        Err(StoreError::Conflict { .. } | StoreError::Stale { .. }) => return Ok(None),
        other => other?,
    };
    let written = *committed.written.first().ok_or_else(lost)?;
    created(call, resource_type, &id, body, written, &taken.warnings).map(Some)
}

/// A stored version as a patch changes it. The id stays.
pub(crate) fn patched(
    content: &Content,
    stored: &Stored,
    ty: TypeId,
    limits: &Limits,
) -> Result<Resource, Fault> {
    let Some(bytes) = write::spliced(stored) else {
        return Err(Fault::gone(u64::from(stored.version)));
    };
    let current = write::trusted(&bytes)?;
    let patched = match content.kind {
        Kind::JsonPatch => patch::apply_json(&current, &content.bytes, limits),
        Kind::Resource(format) => {
            let changes = read(&content.bytes, format, limits, None)?;
            if changes.type_name() != "Parameters" {
                let text = "a patch is Parameters (FHIRPath Patch) or a JSON Patch";
                return Err(Fault::bad(IssueType::Invalid, text));
            }
            patch::apply_fhirpath(&current, &changes)
        }
        Kind::Unnamed | Kind::Form | Kind::Other => {
            return Err(unsupported(
                "a patch is application/json-patch+json, or Parameters in JSON or XML",
            ));
        }
    };
    let patched = patched.map_err(|problems| Fault::unprocessable(problems.0))?;
    if patched.type_id() != ty || patched.id() != Some(&*stored.id) {
        let text = "a patch cannot change the type or the id of a resource";
        return Err(Fault::unprocessable(vec![hilum_fhir::Problem::error(
            IssueType::BusinessRule,
            text,
        )]));
    }
    Ok(patched)
}
