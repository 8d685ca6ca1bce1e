//! Publishing alerts, and watching for what raises them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hilum_component::{AlertRule, Arrival, ChannelPlan, Peer, Stop};
use tokio::sync::mpsc;

use crate::alert::{ALERT_TOPIC, Alert, Observed, ObservedQueue, Raised, Standing, evaluate};
use crate::channel::{Channel, Origin, take_in};
use crate::runtime::Core;
use crate::store;

/// How often the rules are evaluated.
const EVERY: Duration = Duration::from_secs(1);

/// Hands each alert to the channels that subscribe to [`ALERT_TOPIC`].
pub(super) async fn publish(core: Arc<Core>, mut alerts: mpsc::Receiver<Alert>, mut stop: Stop) {
    loop {
        let alert = tokio::select! {
            biased;
            alert = alerts.recv() => alert,
            () = stop.requested() => None,
        };
        let Some(alert) = alert else { return };
        hand_over(&core, &alert).await;
    }
}

/// Whether somebody is told of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// A channel has it durably, or none subscribes: it is in the log in any case.
    Yes,
    /// Channels subscribe, and none took it.
    No,
}

/// Hands an alert to the channels that subscribe to [`ALERT_TOPIC`].
pub(crate) async fn hand_over(core: &Arc<Core>, alert: &Alert) -> Told {
    tracing::warn!(kind = alert.kind, state = alert.state, channel = alert.channel.as_deref(),
        destination = alert.destination.as_deref(), text = %alert.text, "alert");
    let body = match serde_json::to_vec(alert) {
        Ok(body) => body,
        Err(error) => {
            tracing::error!(%error, "an alert cannot be written as JSON");
            return Told::Yes;
        }
    };
    let (mut asked, mut took) = (false, false);
    for channel in core.subscribers(ALERT_TOPIC) {
        // An alert about the channel that carries alerts would raise itself for ever.
        if alert.channel.as_ref() == Some(&channel.name) {
            continue;
        }
        asked = true;
        if let Some(destination) = core.full_queue(&channel.name) {
            tracing::error!(channel = %channel.name, %destination,
                "an alert was not handed over: the queue is full");
            continue;
        }
        let peer = Peer::inside(Arc::from("hilum"));
        let arrival = Arrival::new(body.clone().into(), peer);
        let taken = take_in(core, &channel, arrival, Origin::Source).await;
        took |= taken.reply.disposition.is_positive();
        channel.figures.disposed(taken.reply.disposition);
    }
    if asked && !took { Told::No } else { Told::Yes }
}

/// Hands alerts over, as far as each finds somebody.
pub(crate) async fn hand_over_all(core: &Arc<Core>, alerts: &[Alert]) -> Told {
    for alert in alerts {
        if Box::pin(hand_over(core, alert)).await == Told::No {
            return Told::No;
        }
    }
    Told::Yes
}

/// Evaluates the rules of every channel, and watches the disk.
pub(super) async fn watch(core: Arc<Core>, mut stop: Stop) {
    let mut raised = Raised::default();
    let (mut was_full, mut was_low) = (false, false);
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.requested() => return,
        }
        for channel in core.channels() {
            if let Some(count) = core.codes.news(&channel.name, core.now_ms()) {
                core.publish_alert(alert(
                    &core,
                    &channel,
                    &unmapped(&channel.name, count),
                    "event",
                ));
            }
            let plan = channel.plan();
            let observed = observe(&core, &channel, &plan);
            let standing = evaluate(&plan.alerts, &observed, core.now_ms());
            let (new, over) = raised.update(&channel.name, standing);
            for standing in new {
                core.publish_alert(alert(&core, &channel, &standing, "raised"));
            }
            for (kind, destination) in over {
                let standing = Standing {
                    kind,
                    destination,
                    text: "over".to_owned(),
                };
                core.publish_alert(alert(&core, &channel, &standing, "cleared"));
            }
        }
        let full = core.disk_full.load(Ordering::Relaxed);
        if full != was_full {
            was_full = full;
            core.publish_alert(disk(&core, full));
        }
        let low = is_low(&core, was_low);
        if low != was_low {
            was_low = low;
            core.publish_alert(space(&core, low));
        }
    }
}

/// Codes came that no table has.
fn unmapped(channel: &str, count: u64) -> Standing {
    let codes = if count == 1 { "code" } else { "codes" };
    Standing {
        kind: "unmapped-codes",
        destination: None,
        text: format!(
            "{count} new {codes} came that no table has; `hilum codes unmapped --channel {channel}` \
             lists them"
        ),
    }
}

fn observe(core: &Core, channel: &Channel, plan: &ChannelPlan) -> Observed {
    // Looking for the oldest delivery costs something, so it is done only where a rule asks.
    let ages = plan.alerts.iter().any(|rule| match rule {
        AlertRule::Queue { older_than, .. } => older_than.is_some(),
        AlertRule::Silence { .. } => false,
    });
    let last = channel.figures.last_ms.load(Ordering::Relaxed);
    let mut queues = Vec::new();
    for queue in core.queues_of(&channel.name) {
        queues.push(ObservedQueue {
            destination: Arc::clone(&queue.destination),
            waiting: queue.fill.messages(),
            full: queue.fill.is_full(),
            oldest_ms: ages.then(|| store::oldest_ms(&queue)).flatten(),
        });
    }
    Observed {
        last_message_ms: last.max(channel.started_ms),
        queues,
    }
}

fn alert(core: &Core, channel: &Channel, standing: &Standing, state: &'static str) -> Alert {
    Alert {
        kind: standing.kind,
        state,
        site: core.site(),
        channel: Some(Arc::clone(&channel.name)),
        owner: core.owner(&channel.name),
        destination: standing.destination.clone(),
        message: None,
        text: standing.text.clone(),
        at_ms: core.now_ms(),
    }
}

/// Less is free than the plan asks for; over again only with a tenth more, so that a disk at the
/// limit is not told about all day.
fn is_low(core: &Core, was_low: bool) -> bool {
    let (Some(limit), Some(free)) = (core.plan().disk_free_below, core.space.free()) else {
        return false;
    };
    let enough = if was_low {
        limit.0.saturating_add(limit.0 / 10)
    } else {
        limit.0
    };
    free < enough
}

fn space(core: &Core, low: bool) -> Alert {
    let free = core.space.free().unwrap_or_default();
    Alert {
        kind: "disk-space",
        text: if low {
            format!("{free} bytes are left on the disk of the journal; make room or lower `keep`")
        } else {
            format!("{free} bytes are free again on the disk of the journal")
        },
        ..disk(core, low)
    }
}

fn disk(core: &Core, full: bool) -> Alert {
    Alert {
        kind: "disk-full",
        state: if full { "raised" } else { "cleared" },
        site: core.site(),
        channel: None,
        owner: None,
        destination: None,
        message: None,
        text: if full {
            "the disk of the journal is full: nothing is accepted until there is space".to_owned()
        } else {
            "there is space again: messages are accepted".to_owned()
        },
        at_ms: core.now_ms(),
    }
}
