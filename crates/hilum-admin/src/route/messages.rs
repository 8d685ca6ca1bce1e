//! Messages: what became of them, and their content where it is asked for.

use std::sync::Arc;
use std::time::Duration;

use hilum_access::{Parameter, Permission, Route};
use hilum_component::BoxFuture;
use hilum_engine::OperateError;
use hilum_journal::{
    DeliveryState, Disposition, JournalError, MessageFinding, MessageTrace, Outcome, Severity,
    StoredAttempt, StoredDelivery, StoredMessage,
};
use hilum_message::{DeliveryId, MessageId, Payload};
use serde_json::{Value, json};

use super::{Admin, ApiError, Call, Entry, Reply};

/// Bytes of a message that are given out at once.
const CONTENT_BYTES_MAX: u64 = 64_000_000;

/// Entries of a list that are given out at once.
const LIST_MAX: usize = 1_000;

/// How long a question waits for the ends of deliveries to be written.
const SETTLED_WITHIN: Duration = Duration::from_secs(1);

const LIMIT: Parameter = Parameter {
    name: "limit",
    about: "How many at most, up to 1,000; 100 unless given",
};

pub(super) fn routes() -> Vec<Entry> {
    vec![
        Entry {
            route: Route::get(
                "trace",
                "/api/v1/messages/{message}",
                Permission::Find,
                "What became of a message: its rows, deliveries and attempts",
            ),
            handle: trace,
        },
        Entry {
            route: Route::get(
                "received",
                "/api/v1/messages/{message}/received",
                Permission::Content,
                "The bytes exactly as received",
            ),
            handle: received,
        },
        Entry {
            route: Route::get(
                "sent",
                "/api/v1/deliveries/{delivery}/sent",
                Permission::Content,
                "The bytes of a delivery exactly as its destination gets them",
            ),
            handle: sent,
        },
        Entry {
            route: Route::get(
                "holds",
                "/api/v1/holds",
                Permission::Find,
                "Held messages, oldest first",
            ),
            handle: holds,
        },
        Entry {
            route: Route {
                query: &[LIMIT],
                ..Route::get(
                    "dead-letters",
                    "/api/v1/channels/{channel}/destinations/{destination}/dead-letters",
                    Permission::Find,
                    "Dead letters of a destination, oldest first",
                )
            },
            handle: dead_letters,
        },
    ]
}

type Answer = BoxFuture<'static, Result<Reply, ApiError>>;

pub(super) fn journal(error: JournalError) -> ApiError {
    match error {
        JournalError::NotFound { .. } => ApiError::missing("not-found", error.to_string()),
        other => super::operate::told(OperateError::Journal(other)),
    }
}

pub(super) fn id(call: &Call) -> Result<MessageId, ApiError> {
    call.part("message")
        .parse()
        .map_err(|error: hilum_message::ParseIdError| ApiError::bad("id", error.to_string()))
}

/// Waits for the ends of deliveries that the journal has been handed but not written, so that what
/// is found agrees with what `status` counted before. A journal that cannot write is read as it is.
pub(super) async fn settled(admin: &Admin) {
    drop(tokio::time::timeout(SETTLED_WITHIN, admin.engine.journal().flush()).await);
}

fn trace(admin: Arc<Admin>, call: Call) -> Answer {
    Box::pin(async move {
        settled(&admin).await;
        let trace = admin
            .engine
            .journal()
            .trace(id(&call)?)
            .await
            .map_err(journal)?;
        Ok(Reply::Json(trace_json(&trace)))
    })
}

fn received(admin: Arc<Admin>, call: Call) -> Answer {
    Box::pin(async move {
        let message = id(&call)?;
        let (_, payload) = admin
            .engine
            .journal()
            .received(message)
            .await
            .map_err(journal)?;
        whole(&admin, payload).await
    })
}

fn sent(admin: Arc<Admin>, call: Call) -> Answer {
    Box::pin(async move {
        let id: DeliveryId = call
            .part("delivery")
            .parse()
            .map_err(|error: hilum_message::ParseIdError| ApiError::bad("id", error.to_string()))?;
        let trace = admin.engine.journal().trace(id.message).await;
        let trace = trace.map_err(journal)?;
        let known = trace
            .deliveries
            .iter()
            .map(|(stored, _)| stored.delivery.delivery);
        let delivery = known.into_iter().find(|delivery| delivery.id == id);
        let Some(delivery) = delivery else {
            let text = format!("there is no delivery {id}");
            return Err(ApiError::missing("not-found", text));
        };
        let payload = admin.engine.journal().body(delivery).await;
        let (_, payload) = payload.map_err(journal)?;
        whole(&admin, payload).await
    })
}

/// All bytes of a payload.
async fn whole(admin: &Admin, payload: Payload) -> Result<Reply, ApiError> {
    let engine = Arc::clone(&admin.engine);
    let whole =
        tokio::task::spawn_blocking(move || engine.journal().whole(&payload, CONTENT_BYTES_MAX));
    let bytes = whole
        .await
        .map_err(|error| ApiError::failed("read", error.to_string()))?;
    Ok(Reply::Bytes(bytes.map_err(journal)?))
}

fn holds(admin: Arc<Admin>, _call: Call) -> Answer {
    Box::pin(async move {
        let rows = admin.engine.journal().holds().await.map_err(journal)?;
        Ok(Reply::Json(Value::Array(
            rows.iter().map(message_json).collect(),
        )))
    })
}

fn dead_letters(admin: Arc<Admin>, call: Call) -> Answer {
    Box::pin(async move {
        let limit = call.query("limit").map_or(Ok(100), str::parse::<usize>);
        let limit = limit
            .map_err(|_| ApiError::bad("limit", "limit is no number"))?
            .min(LIST_MAX);
        let (channel, destination) = (
            Arc::from(call.part("channel")),
            Arc::from(call.part("destination")),
        );
        settled(&admin).await;
        let found = admin
            .engine
            .journal()
            .dead_letters(channel, destination, None, limit)
            .await;
        let found = found.map_err(journal)?;
        Ok(Reply::Json(Value::Array(
            found.iter().map(delivery_json).collect(),
        )))
    })
}

/// Everything that is known of a message, without its content.
#[must_use]
pub fn trace_json(trace: &MessageTrace) -> Value {
    let deliveries = trace.deliveries.iter().map(|(delivery, attempts)| {
        let mut value = delivery_json(delivery);
        value["attempts"] = Value::Array(attempts.iter().map(attempt_json).collect());
        value
    });
    json!({
        "rows": trace.rows.iter().map(message_json).collect::<Vec<_>>(),
        "deliveries": deliveries.collect::<Vec<_>>(),
        "related": trace.related.iter().map(message_json).collect::<Vec<_>>(),
        "related-truncated": trace.related_truncated,
    })
}

/// The words of the API, the same wherever they are read or written.
const fn disposition(disposition: Disposition) -> &'static str {
    match disposition {
        Disposition::Accepted => "accepted",
        Disposition::Filtered => "filtered",
        Disposition::Refused => "refused",
        Disposition::Rejected => "rejected",
        Disposition::Held => "held",
        Disposition::Received => "received",
        Disposition::Suppressed => "suppressed",
        Disposition::BatchOpen => "batch-open",
        Disposition::BatchClosed => "batch-closed",
    }
}

const fn state(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Pending => "pending",
        DeliveryState::Delivered => "delivered",
        DeliveryState::DeadLetter => "dead-letter",
        DeliveryState::Withdrawn => "withdrawn",
        DeliveryState::Pinned => "pinned",
    }
}

const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Delivered => "delivered",
        Outcome::DeadLetter => "dead-letter",
        Outcome::Withdrawn => "withdrawn",
        Outcome::Retry => "retry",
        Outcome::Halt => "halt",
    }
}

/// A message as the API shows it: what is known of it, without its content.
#[must_use]
pub fn message_json(row: &StoredMessage) -> Value {
    json!({
        "message": row.message.to_string(),
        "sequence": row.sequence,
        "channel": &*row.channel,
        "arrived-ms": row.arrived_ms,
        "committed-ms": row.committed_ms,
        "disposition": disposition(row.disposition),
        "reason": row.reason.as_deref(),
        "type": row.kind.as_deref(),
        "control-id": row.control_id.as_deref(),
        "plan": row.plan.to_string(),
        "peer": row.peer.as_deref(),
        "bytes": row.bytes,
        "parent": row.parent.map(|(parent, _)| parent.to_string()),
        "part": row.parent.map(|(_, part)| part),
        "from": row.replay_of.map(|from| from.to_string()),
        "findings": row.findings.iter().map(finding_json).collect::<Vec<_>>(),
        "held-until-ms": row.hold.as_ref().and_then(|hold| hold.until_ms),
    })
}

fn finding_json(finding: &MessageFinding) -> Value {
    json!({
        "severity": severity(finding.severity),
        "step": &*finding.step,
        "code": &*finding.code,
        "path": finding.path.as_deref(),
    })
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Information => "information",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

fn delivery_json(stored: &StoredDelivery) -> Value {
    let delivery = &stored.delivery;
    json!({
        "delivery": delivery.delivery.id.to_string(),
        "channel": &*delivery.channel,
        "destination": &*delivery.destination,
        "state": state(stored.state),
        "reason": stored.reason.as_deref(),
        "bytes": delivery.bytes,
        "priority": delivery.priority,
    })
}

fn attempt_json(attempt: &StoredAttempt) -> Value {
    json!({
        "attempt": attempt.number,
        "started-ms": attempt.started_ms,
        "duration-ms": attempt.duration_ms,
        "outcome": outcome(attempt.outcome),
        "reason": attempt.reason.as_deref(),
    })
}
