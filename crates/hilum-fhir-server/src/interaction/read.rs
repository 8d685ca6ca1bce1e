//! read and vread (FHIR R4 http.html#read, #vread).
//!
//! The stored bytes are given as they are, with version and time put in: nothing is parsed unless
//! another form or a part was asked for.

use hilum_component::BoxFuture;
use hilum_fhir::IssueType;
use hilum_fhir_store::Stored;
use http::{StatusCode, header};

use super::{id_of, type_of};
use crate::call::{Answer, Call, Reply};
use crate::fault::Fault;
use crate::search::View;
use crate::time::http_date;
use crate::write;

pub(super) fn current(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        let view = view(&call)?;
        let (_, stored_type) = type_of(&call)?;
        let id = id_of(&call)?;
        let stored = call.tenant.store.read_apart(stored_type, id).await?;
        let stored = match (stored, call.moment) {
            (Some(later), Some(moment)) if later.seq > moment => {
                let versions = call.tenant.store.versions_at(vec![later.pk], moment);
                versions.await?.pop()
            }
            (stored, _) => stored,
        };
        let stored = stored.ok_or_else(missing)?;
        given(&call, stored, &view).await
    })
}

pub(super) fn version(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        let view = view(&call)?;
        let (_, stored_type) = type_of(&call)?;
        let id = id_of(&call)?;
        let number = call.part("version").parse::<u32>().map_err(|_| {
            Fault::missing(
                IssueType::NotFound,
                "there is no such version: versions are numbers",
            )
        })?;
        let stored = call
            .tenant
            .store
            .vread_apart(stored_type, id, number)
            .await?;
        let stored = stored
            .ok_or_else(|| Fault::missing(IssueType::NotFound, "there is no such version"))?;
        given(&call, stored, &view).await
    })
}

pub(super) fn missing() -> Fault {
    Fault::missing(IssueType::NotFound, "there is no such resource")
}

/// The part of a resource that a read asks for.
fn view(call: &Call) -> Result<View, Fault> {
    if call.query.is_empty() {
        return Ok(View::Full);
    }
    call.knows_only(&["_summary", "_elements"])?;
    let (ty, _) = type_of(call)?;
    let pairs = &call.query;
    let search = crate::search::parse(
        call.reading(&crate::search::Known::default()),
        Some(ty),
        pairs,
    )?;
    if search.view == View::Count {
        let text = "`_summary=count` counts the matches of a search; this is a read";
        return Err(Fault::bad(IssueType::Value, text));
    }
    Ok(search.view)
}

/// A version, unless the client has it already.
async fn given(call: &Call, stored: Stored, view: &View) -> Result<Reply, Fault> {
    let conditions = &call.conditions;
    if stored.is_erased() {
        return Err(Fault::erased());
    }
    let version = u64::from(stored.version);
    let Some(body) = &stored.body else {
        return Err(Fault::gone(version));
    };
    let updated_ms = stored.updated_ms;
    let unchanged = match (&conditions.if_none_match, conditions.if_modified_since) {
        (Some(tags), _) => tags.holds(version),
        // HTTP dates have seconds only.
        (None, Some(since)) => stored.updated_ms / 1000 <= since / 1000,
        (None, None) => false,
    };
    let reply = if unchanged {
        Reply::new(StatusCode::NOT_MODIFIED, Answer::None)
    } else {
        match (body.apart.is_empty(), view) {
            (true, _) => Reply::json(write::viewed(&stored, view)?.unwrap_or_default()),
            (false, View::Full) => {
                let store = call.tenant.store.clone();
                let large = write::Large { store, stored };
                Reply::new(StatusCode::OK, Answer::Apart(Box::new(large)))
            }
            (false, _) => {
                let stored = call.tenant.store.whole(stored).await?;
                Reply::json(write::viewed(&stored, view)?.unwrap_or_default())
            }
        }
    };
    Ok(reply
        .with(header::ETAG, &format!("W/\"{version}\""))
        .with(header::LAST_MODIFIED, &http_date(updated_ms)))
}
