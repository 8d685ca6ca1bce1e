//! The task that sends what a queue may send, and decides what each outcome means.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hilum_component::{AfterReject, BoxFuture, Class, DeliveryError, Outcome, Stop};

use super::attempt::{Attempt, attempt};
use super::{Outlet, Queue, Target, Trouble, ask, behind_hold, topic};
use crate::alert::Alert;
use crate::lanes::{Entry, Gate};
use crate::stale::OLD_STATE;
use crate::{Core, store};

/// Attempts that are out.
type Sending = BoxFuture<'static, Vec<Ended>>;

/// What one attempt gave.
pub(super) struct Ended {
    pub(super) entry: Entry,
    pub(super) outcome: Outcome,
    pub(super) took_us: u64,
    /// What a rejection means for the successors.
    pub(super) after: AfterReject,
    /// The commit that it caused has settled it already (a hop).
    pub(super) settled: bool,
    /// It is not sent: its receiver has a newer state of all that it tells.
    pub(super) withdrawn: bool,
}

impl Ended {
    pub(super) const fn new(entry: Entry, outcome: Outcome, took_us: u64) -> Self {
        Self {
            entry,
            outcome,
            took_us,
            after: AfterReject::Continue,
            settled: false,
            withdrawn: false,
        }
    }
}

/// Runs a queue until `stop`; then waits for what is out.
pub(crate) async fn drive(core: Arc<Core>, queue: Arc<Queue>, mut stop: Stop) {
    let mut out: FuturesUnordered<Sending> = FuturesUnordered::new();
    loop {
        load(&core, &queue).await;
        if !stop.is_requested() {
            fill(&core, &queue, &mut out);
        } else if out.is_empty() {
            return;
        }
        let again = again(&core, &queue);
        tokio::select! {
            Some(ended) = out.next() => {
                for one in ended {
                    settle(&core, &queue, one).await;
                }
                queue.scope.wake_others(&queue.wake);
            }
            () = queue.wake.notified() => {}
            () = wait(again) => {}
            () = stop.requested(), if !stop.is_requested() => {}
        }
    }
}

/// Reads on in the journal when there is room for more.
async fn load(core: &Core, queue: &Queue) {
    let Some(reading) = queue.scope.lanes().wants_load(queue.id) else {
        return;
    };
    match store::pending(core, queue, reading.after).await {
        Ok((entries, more)) => {
            let mut lanes = queue.scope.lanes();
            let others = lanes.load(queue.id, reading, entries, more);
            // What was committed meanwhile was left in the journal and has woken nobody.
            let again = lanes.wants_load(queue.id).is_some();
            drop(lanes);
            if again {
                queue.wake.notify_one();
            }
            if others {
                queue.scope.wake_others(&queue.wake);
            }
        }
        Err(error) => {
            tracing::error!(channel = %queue.channel, destination = %queue.destination, %error,
                "cannot read on in the journal; trying again in a second");
            tokio::time::sleep(Duration::from_secs(1)).await;
            queue.wake.notify_one();
        }
    }
}

/// When a suspended queue is tried again.
fn again(core: &Core, queue: &Queue) -> Option<Duration> {
    if !matches!(queue.gate(), Gate::Suspended { probing: false }) {
        return None;
    }
    let at_ms = queue.trouble().and_then(|trouble| trouble.again_ms)?;
    Some(Duration::from_millis(at_ms.saturating_sub(core.now_ms())))
}

async fn wait(until: Option<Duration>) {
    match until {
        Some(until) => tokio::time::sleep(until).await,
        None => std::future::pending().await,
    }
}

/// Sends what may be sent.
fn fill(core: &Arc<Core>, queue: &Arc<Queue>, out: &mut FuturesUnordered<Sending>) {
    let target = queue.target();
    let (lanes, batch_max) = match &target.outlet {
        Outlet::Component(destination) => (destination.concurrency(), destination.batch_max()),
        Outlet::Topic(_) | Outlet::DeadLetter => (1, 1),
    };
    while out.len() < lanes {
        let mut batch = Vec::new();
        while batch.len() < batch_max {
            match next(core, queue) {
                Some(entry) if expired(core, &target, &entry) => {
                    out.push(give_up(core, queue, &target, entry));
                }
                Some(entry) => batch.push(entry),
                None => break,
            }
        }
        if batch.is_empty() {
            return;
        }
        queue.figures.attempts.add(batch.len() as u64);
        out.push(send(core, queue, &target, batch));
    }
}

fn next(core: &Core, queue: &Queue) -> Option<Entry> {
    let due = again(core, queue).is_some_and(|wait| wait.is_zero());
    let mut lanes = queue.scope.lanes();
    if due {
        lanes.probe(queue.id)
    } else {
        lanes.next(queue.id)
    }
}

fn send(core: &Arc<Core>, queue: &Arc<Queue>, target: &Target, batch: Vec<Entry>) -> Sending {
    let (core, queue, target) = (Arc::clone(core), Arc::clone(queue), target.clone());
    Box::pin(async move {
        let (batch, overtaken) = behind_hold::look(&core, &queue, &target, batch).await;
        let mut ended = match &target.outlet {
            _ if batch.is_empty() => Vec::new(),
            Outlet::Component(destination) => {
                let work = Attempt {
                    core: &core,
                    queue: &queue,
                    destination: &**destination,
                };
                let mut ended = attempt(work, batch).await;
                if let Some(then) = &target.plan.then {
                    for one in &mut ended {
                        ask::hand_over(&core, &queue, then, one).await;
                    }
                }
                ended
            }
            Outlet::Topic(name) => topic::publish(&core, &queue, name, batch).await,
            Outlet::DeadLetter => batch.into_iter().map(removed).collect(),
        };
        ended.extend(overtaken);
        for one in &mut ended {
            let is_rejected = |error: &DeliveryError| error.class == Class::Reject;
            // Whoever is kept for its old state is behind what is newer: nobody waits for it.
            if one
                .outcome
                .as_ref()
                .is_err_and(|error| is_rejected(error) && error.code != OLD_STATE)
            {
                one.after = store::after_reject(&core, &queue, &target, &one.entry).await;
            }
        }
        ended
    })
}

fn removed(entry: Entry) -> Ended {
    let text = "the destination was removed and its queue is to become dead letters";
    Ended::new(
        entry,
        Err(DeliveryError::reject("destination-removed", text)),
        0,
    )
}

fn expired(core: &Core, target: &Target, entry: &Entry) -> bool {
    let age = core.now_ms().saturating_sub(entry.arrived_ms);
    target
        .plan
        .retry
        .give_up_after
        .is_some_and(|limit| age > limit.0)
}

/// A delivery that is older than `give-up-after` becomes a dead letter, and someone is told.
fn give_up(core: &Arc<Core>, queue: &Arc<Queue>, target: &Target, entry: Entry) -> Sending {
    let (core, queue, target) = (Arc::clone(core), Arc::clone(queue), target.clone());
    Box::pin(async move {
        let error = DeliveryError::reject("given-up", "not delivered within give-up-after");
        let mut ended = Ended::new(entry, Err(error), 0);
        ended.after = store::after_reject(&core, &queue, &target, &ended.entry).await;
        vec![ended]
    })
}

/// What an outcome means for the delivery, its successors and its destination.
async fn settle(core: &Arc<Core>, queue: &Arc<Queue>, ended: Ended) {
    let Ended {
        entry,
        outcome,
        took_us,
        after,
        settled,
        withdrawn,
    } = ended;
    queue.figures.attempt.observe_us(took_us);
    let recorded = match (&outcome, withdrawn) {
        _ if settled => Ok(()),
        (Err(error), true) => store::record_withdrawn(core, &entry, error).await,
        _ => store::record(core, &entry, &outcome, took_us).await,
    };
    if let Err(error) = recorded {
        // The peer may have it already: after a restart it would be sent again, which a peer
        // must be able to bear.
        tracing::error!(channel = %queue.channel, destination = %queue.destination,
            message_id = %entry.id.message, %error, "the outcome of a delivery could not be recorded");
    }
    match outcome {
        Ok(_) => settle_delivered(core, queue, &entry),
        Err(error) => match error.class {
            Class::Retry => settle_retry(core, queue, &entry, &error),
            Class::Reject if withdrawn => behind_hold::settle(queue, &entry, &error),
            Class::Reject => settle_reject(core, queue, &entry, &error, after),
            Class::Halt => settle_halt(core, queue, &entry, &error),
        },
    }
}

fn settle_delivered(core: &Core, queue: &Queue, entry: &Entry) {
    queue.scope.lanes().delivered(entry.place, entry.id.ordinal);
    queue.figures.delivered.add(1);
    queue.fill.sub(1, entry.bytes);
    let took_ms = core.now_ms().saturating_sub(entry.arrived_ms);
    queue.figures.delivery.observe_us(took_ms * 1_000);
    if queue.trouble().is_some() {
        queue.set_trouble(None);
        tracing::info!(channel = %queue.channel, destination = %queue.destination, "delivers again");
    }
    queue.tell(entry.id, true);
}

fn settle_retry(core: &Core, queue: &Queue, entry: &Entry, error: &DeliveryError) {
    queue.figures.retried.add(1);
    let plan = queue.target().plan;
    let before = queue.trouble();
    let failures = before.as_ref().map_or(0, |trouble| trouble.failures) + 1;
    let delay = (plan.retry.first.0 << (failures - 1).min(20)).min(plan.retry.longest.0);
    if before.is_none() {
        tracing::warn!(channel = %queue.channel, destination = %queue.destination, %error,
            code = error.code, "the destination is away; it is tried again by itself");
    }
    let now = core.now_ms();
    queue.set_trouble(Some(Trouble {
        since_ms: before.map_or(now, |trouble| trouble.since_ms),
        again_ms: Some(now + delay),
        failures,
        code: error.code.to_owned(),
        text: error.to_string(),
        hint: error.hint.clone(),
    }));
    queue.scope.lanes().retry(entry.place, entry.id.ordinal);
}

fn settle_reject(
    core: &Arc<Core>,
    queue: &Queue,
    entry: &Entry,
    error: &DeliveryError,
    after: AfterReject,
) {
    queue
        .scope
        .lanes()
        .rejected(entry.place, entry.id.ordinal, after);
    queue.figures.dead.add(1);
    queue.fill.sub(1, entry.bytes);
    queue.set_trouble(None);
    tracing::warn!(channel = %queue.channel, destination = %queue.destination,
        message_id = %entry.id.message, code = error.code, %error, "a delivery became a dead letter");
    let kind = if error.code == "given-up" {
        "given-up"
    } else {
        "dead-letter"
    };
    let text = format!("{error}; see it with `hilum trace {}`", entry.id.message);
    core.publish_alert(alert(core, queue, kind, Some(entry), text));
    queue.tell(entry.id, false);
}

fn settle_halt(core: &Arc<Core>, queue: &Queue, entry: &Entry, error: &DeliveryError) {
    queue.set_trouble(Some(Trouble {
        since_ms: core.now_ms(),
        again_ms: None,
        failures: 1,
        code: error.code.to_owned(),
        text: error.to_string(),
        hint: error.hint.clone(),
    }));
    queue.scope.lanes().halt(entry.place, entry.id.ordinal);
    tracing::error!(channel = %queue.channel, destination = %queue.destination, code = error.code,
        %error, "the destination is at fault and was paused; resume it when it is mended");
    let text = format!(
        "{error}; resume with `hilum resume {} {}`",
        queue.channel, queue.destination
    );
    core.publish_alert(alert(core, queue, "halted", Some(entry), text));
}

fn alert(
    core: &Core,
    queue: &Queue,
    kind: &'static str,
    entry: Option<&Entry>,
    text: String,
) -> Alert {
    Alert {
        kind,
        state: "event",
        site: core.site(),
        channel: Some(Arc::clone(&queue.channel)),
        owner: core.owner(&queue.channel),
        destination: Some(Arc::clone(&queue.destination)),
        message: entry.map(|entry| entry.id.message.to_string()),
        text,
        at_ms: core.now_ms(),
    }
}
