//! From a message that came through the steps to its deliveries.

use hilum_message::OrderKey;

use super::run::{Ran, Runner};
use super::{Disposition, PlannedDelivery, Reason};
use crate::marks::{CRITICAL, CRITICAL_PRIORITY, FIRST_RECEIVED, TEST};
use crate::{
    AfterReject, DestinationPlan, Finding, Identity, Sends, Severity, TestMessages, TraceLine,
    Working,
};

/// Plans the deliveries of one message; the error is a failure that fails the whole message.
pub(super) fn plan_all(
    runner: &mut Runner<'_, '_>,
    message: Working,
    identity: &Identity,
    keys: &[OrderKey],
) -> Result<Vec<PlannedDelivery>, (Disposition, Reason)> {
    let plan = runner.plan;
    let mut deliveries = Vec::with_capacity(plan.destinations.len());
    let mut written = None;
    for destination in &plan.destinations {
        if !routed(runner, destination, &message)? {
            continue;
        }
        if stopped(runner, destination, &message) {
            continue;
        }
        let payload = written
            .get_or_insert_with(|| message.document.write())
            .clone();
        let base = PlannedDelivery {
            destination: destination.name.clone(),
            payload,
            metadata: message.metadata.clone(),
            keys: keys.to_vec(),
            priority: priority(runner, destination, &message)?,
            after_reject: after_reject(runner, destination, identity),
            dead_letter: None,
            critical: critical(runner, destination, &message),
        };
        if destination.steps.is_empty() {
            deliveries.push(base);
        } else {
            own_steps(runner, destination, &message, base, &mut deliveries)?;
        }
    }
    Ok(deliveries)
}

fn routed(
    runner: &Runner<'_, '_>,
    destination: &DestinationPlan,
    message: &Working,
) -> Result<bool, (Disposition, Reason)> {
    // An answer goes back there, not the message.
    if destination.sends == Sends::ApplicationAnswer {
        return Ok(false);
    }
    if message
        .routes
        .as_ref()
        .is_some_and(|routes| !routes.contains(&destination.name))
    {
        return Ok(false);
    }
    let Some(when) = &destination.when else {
        return Ok(true);
    };
    runner
        .with_env(&message.metadata, |env| when.test(&*message.document, env))
        .map_err(|text| failed(&format!("{}/when", destination.name), text))
}

/// The code of the finding about a message that is not delivered because it is about a test patient.
pub(super) const TEST_PATIENT: &str = "test-patient";

/// A message about a test patient never reaches what is used for care.
fn stopped(runner: &mut Runner<'_, '_>, destination: &DestinationPlan, message: &Working) -> bool {
    let Some(path) = message.metadata.get(TEST) else {
        return false;
    };
    if destination.care.test_messages == TestMessages::Deliver {
        return false;
    }
    let text = format!(
        "not delivered to `{}`, which is in production: {path} says that this is a test",
        destination.name
    );
    if let Some(trace) = runner.trace.as_deref_mut() {
        trace.push(TraceLine {
            step: destination.name.to_string(),
            path: Some(path.to_owned()),
            before: None,
            after: None,
            note: text.clone(),
        });
    }
    runner.findings.push(Finding {
        step: destination.name.to_string(),
        code: TEST_PATIENT.to_owned(),
        path: Some(path.to_owned()),
        severity: Severity::Warning,
        text,
    });
    true
}

/// Until when the receiver must have acknowledged a critical result, Unix milliseconds.
fn critical(
    runner: &Runner<'_, '_>,
    destination: &DestinationPlan,
    message: &Working,
) -> Option<u64> {
    message.metadata.get(CRITICAL)?;
    let within = destination.care.critical_within?;
    let first = message.metadata.get(FIRST_RECEIVED);
    let first = first.and_then(|text| text.parse().ok());
    Some(first.unwrap_or(runner.arrived_ms).saturating_add(within.0))
}

fn priority(
    runner: &Runner<'_, '_>,
    destination: &DestinationPlan,
    message: &Working,
) -> Result<i16, (Disposition, Reason)> {
    let Some(rule) = &destination.priority else {
        // A critical result passes what waits of others, never what came before it of its own keys.
        let critical = message.metadata.get(CRITICAL).is_some();
        return Ok(if critical { CRITICAL_PRIORITY } else { 0 });
    };
    let value = runner
        .with_env(&message.metadata, |env| rule.first(&*message.document, env))
        .map_err(|text| failed(&format!("{}/priority", destination.name), text))?;
    Ok(value.and_then(|text| text.parse().ok()).unwrap_or(0))
}

fn failed(step: &str, text: String) -> (Disposition, Reason) {
    (Disposition::Rejected, Reason::new(step, "207", None, text))
}

fn after_reject(
    runner: &Runner<'_, '_>,
    destination: &DestinationPlan,
    identity: &Identity,
) -> AfterReject {
    destination.after_reject.unwrap_or_else(|| {
        if runner.plan.format.successors_depend(identity) {
            AfterReject::HoldKey
        } else {
            AfterReject::Continue
        }
    })
}

/// Runs a destination's own steps on a copy of the message.
fn own_steps(
    runner: &mut Runner<'_, '_>,
    destination: &DestinationPlan,
    message: &Working,
    base: PlannedDelivery,
    deliveries: &mut Vec<PlannedDelivery>,
) -> Result<(), (Disposition, Reason)> {
    let copy = Working {
        id: message.id,
        document: message.document.boxed_clone(),
        metadata: message.metadata.clone(),
        routes: None,
    };
    match runner.steps(&destination.steps, &destination.name, None, copy) {
        Ran::Through(messages) => {
            deliveries.extend(messages.into_iter().map(|message| PlannedDelivery {
                payload: message.document.write(),
                metadata: message.metadata,
                ..base.clone()
            }))
        }
        Ran::Filtered(_) => {}
        Ran::Rejected(reason) if destination.required => {
            return Err((Disposition::Rejected, reason));
        }
        Ran::Rejected(reason) | Ran::Held(reason, _) => {
            deliveries.push(PlannedDelivery {
                dead_letter: Some(reason),
                ..base
            });
        }
    }
    Ok(())
}
