//! What the steps of a stored message do, computed again from the bytes as received.
//!
//! Both routes answer alike; the first masks what was in the message:
//!
//! ```json
//! { "message": "…", "channel": "lab", "recorded-plan": "3f…", "used-plan": "3f…",
//!   "same-plan": true, "reads-state": false, "disposition": "accepted", "reason": null,
//!   "destinations": ["ehr"], "children": 0,
//!   "findings": [{ "step": "…", "code": "…", "path": "…", "severity": "warning", "text": "…" }],
//!   "steps": [{ "step": "1 translate", "message": "…", "outcome": "next", "text": null,
//!     "parts": null, "cut": false, "findings": [],
//!     "changes": [{ "path": "OBX[1]-3.1", "before": "(1)", "after": "(6)",
//!                   "note": "tables/local-to-loinc.csv:41" }] }] }
//! ```
//!
//! `outcome` is `next`, `filtered`, `split`, `rejected`, `held` or `budget`. A masked value is its
//! number of characters in brackets; `before` or `after` is null where nothing was there. A line
//! without `path` is a remark. With `same-plan: false` the plan, or the program that reads it, is
//! another than then; with `reads-state: true` a step reads state, of which only today's is known.

use std::sync::Arc;

use hilum_access::{Parameter, Permission, Route};
use hilum_component::{BoxFuture, Finding, Halted, Severity, StepOutcome, StepTrace, TraceLine};
use hilum_engine::Recomputed;
use hilum_message::Phi;
use serde_json::{Value, json};

use super::operate::{PLAN_ABOUT, plan, told};
use super::{Admin, ApiError, Call, Entry, Reply};

const PLAN: Parameter = Parameter {
    name: "plan",
    about: PLAN_ABOUT,
};

pub(super) fn routes() -> Vec<Entry> {
    let get = |name, path, permission, about| Route {
        query: &[PLAN],
        ..Route::get(name, path, permission, about)
    };
    vec![
        Entry {
            route: get(
                "steps",
                "/api/v1/messages/{message}/steps",
                Permission::Find,
                "What each step does to a message, values masked; `plan=old` unless given",
            ),
            handle: masked,
        },
        Entry {
            route: get(
                "steps-content",
                "/api/v1/messages/{message}/steps/content",
                Permission::Content,
                "What each step does to a message, with the values; `plan=old` unless given",
            ),
            handle: revealed,
        },
    ]
}

type Answer = BoxFuture<'static, Result<Reply, ApiError>>;

/// How values of a message are shown.
type Show = fn(&Phi<String>) -> String;

fn masked(admin: Arc<Admin>, call: Call) -> Answer {
    steps(admin, call, |value| {
        format!("({})", value.reveal().chars().count())
    })
}

fn revealed(admin: Arc<Admin>, call: Call) -> Answer {
    steps(admin, call, |value| value.reveal().clone())
}

fn steps(admin: Arc<Admin>, call: Call, show: Show) -> Answer {
    Box::pin(async move {
        let message = super::messages::id(&call)?;
        let choice = plan(Some(call.query("plan").unwrap_or("old")));
        let found = admin.engine.recompute(message, &choice).await;
        Ok(Reply::Json(of(&found.map_err(told)?, show)))
    })
}

fn of(found: &Recomputed, show: Show) -> Value {
    json!({
        "message": found.message.to_string(),
        "channel": &*found.channel,
        "recorded-plan": found.recorded.to_string(),
        "used-plan": found.used.to_string(),
        "same-plan": found.recorded == found.used,
        "reads-state": found.reads_state,
        "disposition": found.disposition.word(),
        "reason": found.reason.as_ref().map(|reason| json!({
            "step": reason.step,
            "code": reason.code,
            "path": reason.path,
            "text": reason.text,
        })),
        "destinations": found.destinations.iter().map(|name| &**name).collect::<Vec<_>>(),
        "children": found.children,
        "findings": found.findings.iter().map(finding).collect::<Vec<_>>(),
        "steps": found.steps.iter().map(|step| of_step(step, show)).collect::<Vec<_>>(),
    })
}

fn of_step(step: &StepTrace, show: Show) -> Value {
    let (outcome, text, parts) = match &step.outcome {
        StepOutcome::Next => ("next", None, None),
        StepOutcome::Filtered(reason) => ("filtered", Some(reason.as_str()), None),
        StepOutcome::Split(parts) => ("split", None, Some(*parts)),
        StepOutcome::Halted(Halted::Reject { text, .. }) => ("rejected", Some(text.as_str()), None),
        StepOutcome::Halted(Halted::Hold { reason, .. }) => ("held", Some(reason.as_str()), None),
        StepOutcome::Halted(Halted::Budget) => ("budget", None, None),
    };
    json!({
        "step": step.step,
        "message": step.message.to_string(),
        "outcome": outcome,
        "text": text,
        "parts": parts,
        "cut": step.cut,
        "findings": step.findings.iter().map(finding).collect::<Vec<_>>(),
        "changes": step.lines.iter().map(|line| of_line(line, show)).collect::<Vec<_>>(),
    })
}

fn of_line(line: &TraceLine, show: Show) -> Value {
    json!({
        "path": line.path,
        "before": line.before.as_ref().map(show),
        "after": line.after.as_ref().map(show),
        "note": line.note,
    })
}

fn finding(finding: &Finding) -> Value {
    let severity = match finding.severity {
        Severity::Information => "information",
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    json!({
        "step": finding.step,
        "code": finding.code,
        "path": finding.path,
        "severity": severity,
        "text": finding.text,
    })
}
