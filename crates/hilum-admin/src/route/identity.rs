//! Who belongs together: what is known of a number, and taking a merge back.

use std::sync::Arc;

use bytes::Bytes;
use hilum_access::{Method, Parameter, Permission, Route};
use hilum_component::BoxFuture;
use hilum_engine::{Engine, Held, StateEdit};
use hilum_identity::{
    Cause, Identifier, LinkError, LinkEvent, Memory, Patient, REASSIGNED, UNDO, left_out, linked,
    read, remembered_until, survivor, undo,
};
use hilum_message::MessageId;
use http::StatusCode;
use serde_json::{Value, json};
use smol_str::SmolStr;

use super::operate::{FORCE, REASON, done, old_state, parse, reason, told};
use super::{Admin, ApiError, Call, Entry, Reply};

const NUMBER: Parameter = Parameter {
    name: "number",
    about: "The patient's number (CX-1)",
};
const AUTHORITY: Parameter = Parameter {
    name: "authority",
    about: "Who assigned it, as the file of its system names it",
};
const TYPE: Parameter = Parameter {
    name: "type",
    about: "Its type (table 0203), such as MR",
};

pub(super) fn routes() -> Vec<Entry> {
    vec![
        Entry {
            route: Route {
                name: "patient-links",
                method: Method::Post,
                path: "/api/v1/identity/patient",
                permission: Permission::Content,
                about: "What a patient's number belongs to: its record, the survivor of its merges, \
                        and the events that changed its links. The number is in the body, so that it \
                        is in no URL",
                query: &[],
                body: &[NUMBER, AUTHORITY, TYPE],
            },
            handle: patient,
        },
        Entry {
            route: Route {
                name: "undo-links",
                method: Method::Post,
                path: "/api/v1/identity/events/{event}/undo",
                permission: Permission::Operate,
                about: "Takes a merge, a move or a link back; what it changed is as it was before, also in \
                        the FHIR stores of this node that its channel feeds",
                query: &[],
                body: &[REASON],
            },
            handle: take_back,
        },
        Entry {
            route: Route {
                name: "reassign",
                method: Method::Post,
                path: "/api/v1/messages/{message}/reassign",
                permission: Permission::Operate,
                about: "Gives a message that `match` holds another patient; it goes on if it agrees \
                        with what is known of that one",
                query: &[],
                body: &[NUMBER, AUTHORITY, TYPE, REASON, FORCE],
            },
            handle: reassign,
        },
    ]
}

type Answer = BoxFuture<'static, Result<Reply, ApiError>>;

/// The state as links see it.
struct Links<'a, 'b>(&'a mut StateEdit<'b>);

impl Memory for Links<'_, '_> {
    fn read(&mut self, scope: &str, key: &str) -> Option<Bytes> {
        self.0.get(scope, key)
    }

    fn write(&mut self, scope: &'static str, key: &SmolStr, value: Option<Bytes>) {
        let until = remembered_until(scope, self.0.now_ms).filter(|_| value.is_some());
        self.0.put(scope, key, value, until);
    }
}

/// The patient's number that a request names.
fn identifier(call: &Call) -> Result<Identifier, ApiError> {
    let text = |name| call.text(name).unwrap_or_default();
    let identifier = Identifier::new(text("number"), text("authority"), text("type"));
    if identifier.value.is_empty() {
        return Err(ApiError::bad("number", "say which number"));
    }
    Ok(identifier)
}

fn patient(admin: Arc<Admin>, call: Call) -> Answer {
    Box::pin(async move {
        let identifier = identifier(&call)?;
        let found = admin
            .engine
            .edit_state("looked at", |state| about(&mut Links(state), &identifier))
            .await
            .map_err(told)?
            .map_err(refused)?;
        Ok(Reply::Json(found))
    })
}

fn about(memory: &mut dyn Memory, identifier: &Identifier) -> Result<Value, LinkError> {
    let key = identifier.key();
    let Some(own) = read::<Patient>(memory, &key)? else {
        return Ok(json!({ "known": false }));
    };
    let (now, row) = survivor(memory, &key)?;
    let events: Result<Vec<Value>, LinkError> = own
        .events
        .iter()
        .rev()
        .filter_map(|id| Some((id, read::<LinkEvent>(memory, id).transpose()?)))
        .map(|(id, event)| {
            let event = event?;
            Ok(json!({
                "event": id,
                "code": event.code,
                "at-ms": event.at_ms,
                "by": event.by,
                "reason": event.reason,
                "undone-by": event.undone_by,
            }))
        })
        .collect();
    let others = linked(memory, &key)?;
    Ok(json!({
        "known": true,
        "record": own.id,
        "standing": own.standing(),
        "survivor": (now != key).then(|| one(&now, row.as_deref())),
        "linked": others.iter().filter(|other| **other != now).map(|other| one(other, None)).collect::<Vec<_>>(),
        "events": events?,
    }))
}

fn one(key: &str, row: Option<&Patient>) -> Value {
    let identifier = Identifier::of_key(key).unwrap_or_default();
    json!({
        "number": identifier.value,
        "authority": identifier.authority,
        "type": identifier.kind,
        "record": row.map(|row| &row.id),
    })
}

fn reassign(admin: Arc<Admin>, call: Call) -> Answer {
    Box::pin(async move {
        let message = parse(&call, "message")?;
        let patient = identifier(&call)?;
        let values = vec![(REASSIGNED.to_owned(), patient.key().into())];
        admin
            .engine
            .held(
                message,
                Held::Retry(values),
                &reason(&call),
                old_state(&call)?,
            )
            .await
            .map_err(told)?;
        done()
    })
}

fn take_back(admin: Arc<Admin>, call: Call) -> Answer {
    Box::pin(async move {
        let event = call.part("event");
        let reason = call.text("reason").unwrap_or("no reason given");
        let engine = &admin.engine;
        let tried = engine.edit_state("looked at", |state| {
            tried(state, event).map(|()| String::new())
        });
        let by = match tried.await.map_err(told)? {
            Err(Tried::Would(by)) => by,
            Err(Tried::Refused(error @ LinkError::Undone(_))) => {
                // It may have been interrupted.
                tell_late(engine, event, reason).await?;
                return Err(refused(error));
            }
            Err(Tried::Refused(error)) => return Err(refused(error)),
            Ok(_) => String::new(),
        };
        if let Ok(message) = by.parse::<MessageId>() {
            // The stores hear of it as they heard of the event: by a message of its channel.
            let values = vec![(UNDO.to_owned(), format!("{event} {reason}"))];
            let again = engine.again_for_stores(message, values, reason).await;
            let again = again.map_err(told)?;
            let undone = engine
                .edit_state("looked at", |state| {
                    let row = read::<LinkEvent>(&mut Links(state), &event.into())?;
                    Ok::<_, LinkError>(row.and_then(|row| row.undone_by.clone()))
                })
                .await
                .map_err(told)?
                .map_err(refused)?;
            if let Some(by) = undone {
                let message = again.and_then(|again| again.message);
                let late = tell_late(engine, event, reason).await?;
                let answer = json!({ "event": by, "message": message, "late": late });
                return Ok(Reply::Json(answer));
            }
        }
        let undone = engine
            .edit_state(
                &format!("links of event {event} undone: {reason}"),
                |state| {
                    let cause = cause(state, reason);
                    undo(&mut Links(state), event, &cause).map(|_| cause.id)
                },
            )
            .await
            .map_err(told)?
            .map_err(refused)?;
        Ok(Reply::Json(json!({ "event": undone.to_string() })))
    })
}

/// Tells the stores of this node what came late for visits that were merged, which nobody was told: the merge
/// was taken back. Gives the messages that tell it.
async fn tell_late(engine: &Engine, event: &str, reason: &str) -> Result<Vec<String>, ApiError> {
    let late = engine.edit_state("looked at", |state| left_out(&mut Links(state), event));
    let late = late.await.map_err(told)?.map_err(refused)?;
    let mut telling = Vec::new();
    for message in late {
        let again = engine.again_for_stores(message, Vec::new(), reason).await;
        telling.extend(again.map_err(told)?.and_then(|again| again.message));
    }
    Ok(telling)
}

/// What would come of taking an event back.
enum Tried {
    /// It would be done; who or which message the event is of.
    Would(String),
    Refused(LinkError),
}

/// Takes an event back and fails, so that nothing is written.
fn tried(state: &mut StateEdit<'_>, event: &str) -> Result<(), Tried> {
    let by = read::<LinkEvent>(&mut Links(state), &event.into())
        .map_err(|error| Tried::Refused(error.into()))?
        .map_or_else(String::new, |row| row.by.clone());
    let cause = cause(state, "");
    undo(&mut Links(state), event, &cause).map_err(Tried::Refused)?;
    Err(Tried::Would(by))
}

fn cause<'r>(state: &StateEdit<'_>, reason: &'r str) -> Cause<'r> {
    Cause {
        id: state.id,
        at_ms: state.now_ms,
        by: "an operator",
        reason,
    }
}

fn refused(error: LinkError) -> ApiError {
    match error {
        LinkError::NoEvent => ApiError::missing("not-found", error.to_string()),
        other => ApiError::new(StatusCode::CONFLICT, "conflict", other.to_string()),
    }
}
