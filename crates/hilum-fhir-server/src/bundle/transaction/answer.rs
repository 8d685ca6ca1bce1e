//! What a transaction answers, once it is written.
//!
//! What it reads is what was there at its own moment: by id the version of then, whatever others wrote
//! since; for searches others are kept from writing, for a bounded time.

use std::collections::HashMap;

use hilum_fhir::{IssueType, Resource};
use hilum_fhir_store::{Body, Committed, Stored, Written};
use http::StatusCode;
use tokio::time::{Instant, timeout_at};

use super::Plan;
use super::timed::Became;
use crate::bundle::batch;
use crate::bundle::read::Item;
use crate::bundle::writer::Bundle;
use crate::call::{Answer, Call, Reply};
use crate::fault::Fault;
use crate::request::Return;
use crate::slot::Alone;
use crate::take::Taken;
use crate::time::instant;
use crate::write;

pub(super) async fn respond(
    call: &Call,
    bundle: &Resource,
    items: &[Item],
    plans: &[Plan],
    taken: &HashMap<usize, Became>,
    bodies: &[(usize, Option<Body>)],
    (committed, alone): (&Committed, Option<Alone>),
) -> Result<Reply, Fault> {
    let until = Instant::now() + call.fhir.limits.transaction_searches_within;
    let mut written: HashMap<usize, (&Written, Option<&Body>)> = HashMap::new();
    for (written_now, (at, body)) in committed.written.iter().zip(bodies) {
        written.insert(*at, (written_now, body.as_ref()));
    }
    let mut answer = Bundle::new("transaction-response");
    let reading = Call {
        moment: Some(committed.seq),
        ..call.clone()
    };
    for (item, plan) in items.iter().zip(plans) {
        match plan {
            Plan::Read => {
                let one = batch::one(&reading, bundle, item);
                let result = match &alone {
                    None => one.await,
                    // The clock of the timeout counts whole milliseconds.
                    Some(_) if Instant::now() >= until => Err(too_long()),
                    Some(_) => timeout_at(until, one)
                        .await
                        .unwrap_or_else(|_| Err(too_long())),
                };
                batch::add(&mut answer, &result);
            }
            Plan::Delete(_) => {
                let status = batch::status(StatusCode::NO_CONTENT);
                let version = written.get(&item.at).map_or(0, |(now, _)| now.version);
                let etag = format!("W/\"{version}\"");
                let mut members = vec![("status", status.as_str())];
                members.extend((version > 0).then_some(("etag", etag.as_str())));
                answer.entry(|entry| entry.response(&members, None));
            }
            Plan::There(found) => stored(call, &mut answer, found, StatusCode::OK, None),
            Plan::Write(write) => {
                let Some((now, body)) = written.get(&item.at) else {
                    continue;
                };
                let as_stored = Stored {
                    pk: now.pk,
                    resource_type: write.resource_type,
                    id: write.id.as_str().into(),
                    version: now.version,
                    seq: now.seq,
                    updated_ms: now.updated_ms,
                    created: now.created,
                    body: body.cloned(),
                };
                let status = if now.created {
                    StatusCode::CREATED
                } else {
                    StatusCode::OK
                };
                stored(
                    call,
                    &mut answer,
                    &as_stored,
                    status,
                    taken.get(&item.at).map(Became::taken),
                );
            }
        }
    }
    Ok(Reply::new(StatusCode::OK, Answer::Json(answer.finish())))
}

fn too_long() -> Fault {
    let text = "the searches of the transaction take longer than `transaction_searches_within` \
                allows; what it writes is stored, so ask once more";
    Fault::new(StatusCode::UNPROCESSABLE_ENTITY, IssueType::TooCostly, text)
}

/// The answer about a resource that is stored.
fn stored(
    call: &Call,
    answer: &mut Bundle,
    stored: &Stored,
    status: StatusCode,
    taken: Option<&Taken>,
) {
    let name = call.tenant.type_name(stored.resource_type);
    let location = format!(
        "{}/{name}/{}/_history/{}",
        call.base, stored.id, stored.version
    );
    let (status, etag) = (batch::status(status), format!("W/\"{}\"", stored.version));
    let modified = instant(stored.updated_ms);
    let outcome = (call.prefer.returns == Some(Return::Outcome)).then(|| {
        let warnings = taken.map(|taken| taken.warnings.as_slice());
        hilum_fhir::operation_outcome_json(warnings.unwrap_or_default())
    });
    answer.entry(|entry| {
        if call.prefer.returns == Some(Return::Representation)
            && let Some(json) = write::spliced(stored)
        {
            entry.resource(&json);
        }
        let members = [
            ("status", status.as_str()),
            ("location", location.as_str()),
            ("etag", etag.as_str()),
            ("lastModified", modified.as_str()),
        ];
        entry.response(&members, outcome.as_deref());
    });
}
