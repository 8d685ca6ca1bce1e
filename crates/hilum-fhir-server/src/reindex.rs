//! The work of finding old resources by new search parameters.
//!
//! The store keeps how far it is and writes each step in one commit, so that it goes on after a
//! stop or a crash where it was. Here it is driven: step by step, as long again at rest as at work,
//! for as long as the server serves.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hilum_access::{Method, Permission};
use hilum_component::{BoxFuture, Stop};
use hilum_fhir::IssueType;
use hilum_fhir_store::{IndexRow, ParamKey, Progress, StoreError, Stored};
use http::{StatusCode, header};
use serde_json::json;
use tokio::time::Instant;

use crate::call::{Answer, Call, Reply};
use crate::fault::Fault;
use crate::route::{Claim, Entry, entry};
use crate::slot::Slot;
use crate::tenant::Tenant;
use crate::write;

/// The shortest rest between two steps.
const REST_MIN: Duration = Duration::from_millis(2);
/// Until a step is tried again that failed.
const AGAIN: Duration = Duration::from_secs(5);

impl Slot {
    /// Does the steps that there are until the server stops.
    pub(crate) async fn keep_indexed(self: Arc<Self>, step_max: usize, mut stop: Stop) {
        let mut runs = false;
        loop {
            let begun = Instant::now();
            let rest = match self.step(step_max, &mut runs).await {
                Ok(()) if runs => begun.elapsed().max(REST_MIN),
                Ok(()) => {
                    tokio::select! {
                        () = self.wake.notified() => continue,
                        () = stop.requested() => return,
                    }
                }
                Err(StoreError::Closed) => return,
                Err(error) => {
                    tracing::warn!(%error, "a step of a reindex failed; it is tried again");
                    AGAIN
                }
            };
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = stop.requested() => return,
            }
        }
    }

    async fn step(&self, step_max: usize, runs: &mut bool) -> Result<(), StoreError> {
        let tenant = self.now();
        let rows_of = |stored: &Stored| rows_of(&tenant, stored);
        let progress = tenant.store.reindex(step_max, &rows_of).await?;
        let Some(progress) = progress else {
            *runs = false;
            return Ok(());
        };
        let shown = &tenant.table.progress;
        shown.done.store(progress.done, Ordering::Relaxed);
        shown.total.store(progress.total, Ordering::Relaxed);
        if !progress.finished {
            *runs = true;
        } else if std::mem::take(runs) {
            self.ended(&tenant, &progress).await?;
        }
        Ok(())
    }

    /// Counts what the parameters find and lets searches use them.
    async fn ended(&self, tenant: &Tenant, progress: &Progress) -> Result<(), StoreError> {
        let custom = tenant.table.custom();
        let mut params: Vec<ParamKey> = custom.iter().map(|(_, param, _)| param.key).collect();
        if progress.whole {
            let types = tenant.table.all();
            let all = types.into_iter().flat_map(|ty| tenant.table.params(ty));
            params.extend(all.map(|param| param.key));
            params.sort_unstable();
            params.dedup();
        }
        let mut counted = tenant.store.counted(params).await?;
        counted.retain(|one| {
            one.resources > 0
                || one.found > 0
                || custom.iter().any(|(_, param, _)| param.key == one.param)
        });
        let wrong = counted.iter().filter(|one| one.resources != one.found);
        let wrong = wrong.count();
        if wrong > 0 {
            tracing::error!(
                parameters = wrong,
                "search parameters do not find what they should; the index is damaged"
            );
        }
        tracing::info!(
            tenant = tenant.name,
            resources = progress.done,
            parameters = counted.len(),
            "a reindex has ended"
        );
        self.set_counted(counted);
        self.refresh().await
    }
}

fn rows_of(tenant: &Tenant, stored: &Stored) -> Vec<IndexRow> {
    let resource = write::spliced(stored).map(|json| write::trusted(&json));
    match resource {
        Some(Ok(resource)) => tenant.rows(&resource),
        Some(Err(_)) | None => {
            tracing::error!(pk = stored.pk.0, "a stored resource cannot be read");
            Vec::new()
        }
    }
}

pub(crate) fn routes() -> [Entry; 2] {
    [
        entry(
            "reindex-progress",
            Method::Get,
            "/$reindex",
            Permission::FhirDescribe,
            "How far the index is, and what search parameters find",
            Claim::Beside,
            show,
        ),
        entry(
            "reindex",
            Method::Post,
            "/$reindex",
            Permission::FhirReindex,
            "Indexes every resource again",
            Claim::Beside,
            begin,
        ),
    ]
}

fn show(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        call.knows_only(&[])?;
        let progress = call.tenant.store.reindexing().await?;
        Ok(Reply::json(told(&call, progress)?))
    })
}

fn begin(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        call.knows_only(&[])?;
        let store = &call.tenant.store;
        if let Some(runs) = store.reindexing().await?.filter(|one| !one.finished) {
            let text = format!("a reindex runs already: {runs}");
            return Err(Fault::new(StatusCode::CONFLICT, IssueType::Conflict, text));
        }
        let slot = call.slot()?;
        let progress = store.begin_reindex().await?;
        slot.wake.notify_one();
        let reply = Reply::new(StatusCode::ACCEPTED, Answer::Json(told(&call, progress)?));
        Ok(reply.with(header::CONTENT_LOCATION, &format!("{}/$reindex", call.base)))
    })
}

/// Parameters with the state, and for each search parameter what it was found to find.
fn told(call: &Call, progress: Option<Progress>) -> Result<Vec<u8>, Fault> {
    let state = match progress {
        None => "idle",
        Some(progress) if progress.finished => "finished",
        Some(_) => "running",
    };
    let mut list = vec![json!({"name": "state", "valueCode": state})];
    if let Some(progress) = progress {
        list.push(json!({"name": "done", "valueInteger": progress.done}));
        list.push(json!({"name": "total", "valueInteger": progress.total}));
    }
    let table = &call.tenant.table;
    let slot = call.slot()?;
    let counted = slot.counted();
    let mut push = |base: &str, code: &str, url: &str, complete: bool, key: ParamKey| {
        let state = if complete { "ready" } else { "building" };
        let mut parts = vec![
            json!({"name": "code", "valueCode": code}),
            json!({"name": "base", "valueCode": base}),
            json!({"name": "state", "valueCode": state}),
        ];
        if !url.is_empty() {
            parts.push(json!({"name": "definition", "valueUri": url}));
        }
        if let Some(counted) = counted.iter().find(|one| one.param == key) {
            parts.push(json!({"name": "resources", "valueInteger": counted.resources}));
            parts.push(json!({"name": "found", "valueInteger": counted.found}));
        }
        list.push(json!({"name": "searchParameter", "part": parts}));
    };
    for (ty, param, complete) in table.custom() {
        push(
            table.name(ty),
            &param.def.code,
            &param.def.url,
            complete,
            param.key,
        );
    }
    let custom: Vec<ParamKey> = table.custom().iter().map(|(_, own, _)| own.key).collect();
    for ty in table.all() {
        for param in table.params(ty) {
            let shown = custom.contains(&param.key);
            if !shown && counted.iter().any(|one| one.param == param.key) {
                push(
                    table.name(ty),
                    &param.def.code,
                    &param.def.url,
                    true,
                    param.key,
                );
            }
        }
    }
    let answer = json!({"resourceType": "Parameters", "parameter": list});
    serde_json::to_vec(&answer).map_err(|_| Fault::failed("the answer cannot be written"))
}
