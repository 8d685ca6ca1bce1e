//! From a message that came through the steps to its deliveries.

use hilum_message::OrderKey;

use super::run::{Ran, Runner};
use super::{Disposition, PlannedDelivery, Reason};
use crate::{AfterReject, DestinationPlan, Identity, Sends, Working};

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

fn priority(
    runner: &Runner<'_, '_>,
    destination: &DestinationPlan,
    message: &Working,
) -> Result<i16, (Disposition, Reason)> {
    let Some(rule) = &destination.priority else {
        return Ok(0);
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
