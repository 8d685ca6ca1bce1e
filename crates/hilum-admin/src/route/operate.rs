//! What an operator does: pause, resume, repeat, release.

use std::sync::Arc;

use hilum_access::{Method, Parameter, Permission, Route};
use hilum_component::BoxFuture;
use hilum_engine::{Held, OldState, OperateError, PlanChoice, Replay};
use http::StatusCode;
use serde_json::json;

use super::{Admin, ApiError, Call, Entry, Reply};

pub(super) const REASON: Parameter = Parameter {
    name: "reason",
    about: "Why, for the record",
};

pub(super) const FORCE: Parameter = Parameter {
    name: "force",
    about: "`true`: also if a receiver has a newer state of what it tells of, which is else refused \
            with the code `old-state`; needs a reason, which is recorded",
};

const REPLAY: &[Parameter] = &[
    Parameter {
        name: "to",
        about: "Only to these destinations (a list of names), behind all that waits there",
    },
    Parameter {
        name: "plan",
        about: PLAN_ABOUT,
    },
    FORCE,
    REASON,
];

/// What `plan` means wherever a request has it.
pub(super) const PLAN_ABOUT: &str = "`current` (default), `old`: the plan that the message was \
     processed with, or the digest of a kept plan, of which six digits are enough";

/// Which plan a request means.
pub(super) fn plan(text: Option<&str>) -> PlanChoice {
    match text {
        None | Some("current") => PlanChoice::Current,
        Some("old") => PlanChoice::Then,
        Some(digits) => PlanChoice::Digest(digits.to_owned()),
    }
}

pub(super) fn routes() -> Vec<Entry> {
    let post = |name, path, about, body| Route {
        name,
        method: Method::Post,
        path,
        permission: Permission::Operate,
        about,
        query: &[],
        body,
    };
    vec![
        Entry {
            route: post(
                "pause",
                "/api/v1/channels/{channel}/destinations/{destination}/pause",
                "Holds a destination until it is resumed; what comes for it is queued",
                &[REASON],
            ),
            handle: pause,
        },
        Entry {
            route: post(
                "resume",
                "/api/v1/channels/{channel}/destinations/{destination}/resume",
                "Lets a destination go on",
                &[REASON],
            ),
            handle: resume,
        },
        Entry {
            route: post(
                "replay",
                "/api/v1/messages/{message}/replay",
                "Processes a message again, linked to the old one",
                REPLAY,
            ),
            handle: replay,
        },
        Entry {
            route: post(
                "release",
                "/api/v1/messages/{message}/release",
                "Lets a held message go on at its step",
                &[REASON, FORCE],
            ),
            handle: release,
        },
        Entry {
            route: post(
                "reject",
                "/api/v1/messages/{message}/reject",
                "Ends a held message without delivering it",
                &[REASON],
            ),
            handle: reject,
        },
        Entry {
            route: post(
                "requeue",
                "/api/v1/deliveries/{delivery}/requeue",
                "Sends a dead letter again",
                &[REASON, FORCE],
            ),
            handle: requeue,
        },
        Entry {
            route: post(
                "withdraw",
                "/api/v1/deliveries/{delivery}/withdraw",
                "Gives up a delivery or a dead letter; what waits behind it goes on",
                &[REASON],
            ),
            handle: withdraw,
        },
    ]
}

type Answer = BoxFuture<'static, Result<Reply, ApiError>>;

pub(super) fn told(error: OperateError) -> ApiError {
    let (status, code) = match &error {
        OperateError::NotFound(_) => (StatusCode::NOT_FOUND, "not-found"),
        OperateError::Conflict(_) => (StatusCode::CONFLICT, "conflict"),
        OperateError::OldState(_) => (StatusCode::CONFLICT, "old-state"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "journal"),
    };
    let mut text = error.to_string();
    if let Some(source) = std::error::Error::source(&error) {
        text.push_str(&format!(": {source}"));
    }
    ApiError::new(status, code, text)
}

pub(super) fn done() -> Result<Reply, ApiError> {
    Ok(Reply::Json(json!({ "done": true })))
}

pub(super) fn reason(call: &Call) -> String {
    call.text("reason").unwrap_or("no reason given").to_owned()
}

/// What is done if an old state would come back. What is forced has a reason.
pub(super) fn old_state(call: &Call) -> Result<OldState, ApiError> {
    let force = match call.body.get("force") {
        None => false,
        Some(value) => value
            .as_bool()
            .or_else(|| value.as_str()?.parse().ok())
            .ok_or_else(|| ApiError::bad("force", "`force` is `true` or `false`"))?,
    };
    let reason = call
        .text("reason")
        .is_some_and(|text| !text.trim().is_empty());
    match (force, reason) {
        (false, _) => Ok(OldState::Refuse),
        (true, true) => Ok(OldState::Force),
        (true, false) => Err(ApiError::bad("reason", "say why it is forced: `reason`")),
    }
}

pub(super) fn parse<T: std::str::FromStr>(call: &Call, part: &str) -> Result<T, ApiError>
where
    T::Err: std::fmt::Display,
{
    call.part(part)
        .parse()
        .map_err(|error: T::Err| ApiError::bad("id", error.to_string()))
}

fn pause(admin: Arc<Admin>, call: Call) -> Answer {
    Box::pin(async move {
        let (channel, destination) = (call.part("channel"), call.part("destination"));
        admin
            .engine
            .pause(channel, destination, &reason(&call))
            .await
            .map_err(told)?;
        done()
    })
}

fn resume(admin: Arc<Admin>, call: Call) -> Answer {
    Box::pin(async move {
        let (channel, destination) = (call.part("channel"), call.part("destination"));
        admin
            .engine
            .resume(channel, destination, &reason(&call))
            .await
            .map_err(told)?;
        done()
    })
}

fn replay(admin: Arc<Admin>, call: Call) -> Answer {
    Box::pin(async move {
        let message = parse(&call, "message")?;
        let to = call.body.get("to").and_then(serde_json::Value::as_array);
        let only = to
            .into_iter()
            .flatten()
            .filter_map(|name| name.as_str().map(Arc::from))
            .collect();
        let replay = Replay {
            only,
            plan: plan(call.text("plan")),
            old: old_state(&call)?,
            reason: reason(&call),
            values: Vec::new(),
        };
        let new = admin.engine.replay(message, replay).await.map_err(told)?;
        super::json(&new)
    })
}

fn release(admin: Arc<Admin>, call: Call) -> Answer {
    Box::pin(async move {
        let message = parse(&call, "message")?;
        admin
            .engine
            .held(message, Held::Release, &reason(&call), old_state(&call)?)
            .await
            .map_err(told)?;
        done()
    })
}

fn reject(admin: Arc<Admin>, call: Call) -> Answer {
    Box::pin(async move {
        let message = parse(&call, "message")?;
        admin
            .engine
            .held(message, Held::Reject, &reason(&call), OldState::Refuse)
            .await
            .map_err(told)?;
        done()
    })
}

fn requeue(admin: Arc<Admin>, call: Call) -> Answer {
    Box::pin(async move {
        let delivery = parse(&call, "delivery")?;
        admin
            .engine
            .requeue(delivery, &reason(&call), old_state(&call)?)
            .await
            .map_err(told)?;
        done()
    })
}

fn withdraw(admin: Arc<Admin>, call: Call) -> Answer {
    Box::pin(async move {
        let delivery = parse(&call, "delivery")?;
        admin
            .engine
            .withdraw(delivery, &reason(&call))
            .await
            .map_err(told)?;
        done()
    })
}
