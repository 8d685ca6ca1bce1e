//! When someone is told: rules over what the engine counts, evaluated on the injected clock.
//!
//! An alert is a message on the topic [`ALERT_TOPIC`]; mailing or posting it is an ordinary
//! channel. Each alert is raised once when its condition begins to hold and cleared once when it
//! ends, so that a night's trouble is two messages and not two thousand.
//!
//! Alerts carry names, ids and numbers, never content.

mod window;

use std::collections::BTreeSet;
use std::sync::Arc;

use hilum_component::{AlertRule, Millis};
use serde::Serialize;

/// The topic on which alerts are published.
pub const ALERT_TOPIC: &str = "hilum.alerts";

/// What happened, as the body of an alert message says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Alert {
    /// `silence`, `queue-length`, `queue-age`, `queue-full`, `dead-letter`, `given-up`, `halted`,
    /// `disk-full`, `disk-space`, `source-down`, `rejected-later`, `journal-damaged`,
    /// `fhir-job-failed`, `unmapped-codes`, `old-state-held`,
    /// `critical-result`, `withdrawal-untold`.
    pub kind: &'static str,
    /// `raised`, `cleared`, or `event` for what happens once.
    pub state: &'static str,
    /// The site.
    pub site: String,
    /// The channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<Arc<str>>,
    /// Who owns the channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<Arc<str>>,
    /// The message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// A sentence that says what happened and what to do.
    pub text: String,
    /// When, Unix milliseconds.
    pub at_ms: u64,
}

/// What a rule looks at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    /// When the channel's last message came, or when it was started.
    pub(crate) last_message_ms: u64,
    /// The queues of the channel.
    pub(crate) queues: Vec<ObservedQueue>,
}

/// What a rule looks at in a queue.
#[derive(Clone, Debug)]
pub(crate) struct ObservedQueue {
    pub(crate) destination: Arc<str>,
    pub(crate) waiting: u64,
    /// It is at its limit and holds the source.
    pub(crate) full: bool,
    /// When the message of the first delivery arrived.
    pub(crate) oldest_ms: Option<u64>,
}

/// A condition that holds at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) kind: &'static str,
    pub(crate) destination: Option<Arc<str>>,
    pub(crate) text: String,
}

/// Evaluates the rules of one channel. A queue that holds its source is told without a rule.
pub(crate) fn evaluate(rules: &[AlertRule], observed: &Observed, now_ms: u64) -> Vec<Standing> {
    let full = observed.queues.iter().filter(|queue| queue.full);
    let mut standing: Vec<_> = full.map(of_full).collect();
    for rule in rules {
        match rule {
            AlertRule::Silence {
                longer_than,
                during,
            } => {
                let silent = now_ms.saturating_sub(observed.last_message_ms);
                let asked = during
                    .as_ref()
                    .is_none_or(|window| window::holds(window, now_ms));
                if asked && silent > longer_than.0 {
                    standing.push(Standing {
                        kind: "silence",
                        destination: None,
                        text: format!("no message for more than {longer_than}; ask the sender"),
                    });
                }
            }
            AlertRule::Queue {
                destination,
                longer_than,
                older_than,
            } => {
                for queue in &observed.queues {
                    if destination
                        .as_ref()
                        .is_none_or(|name| *name == queue.destination)
                    {
                        standing.extend(of_queue(queue, *longer_than, *older_than, now_ms));
                    }
                }
            }
        }
    }
    standing
}

fn of_full(queue: &ObservedQueue) -> Standing {
    Standing {
        kind: "queue-full",
        destination: Some(Arc::clone(&queue.destination)),
        text: format!(
            "{} deliveries wait, which is the limit: the channel takes no message until the \
             destination takes some",
            queue.waiting
        ),
    }
}

fn of_queue(
    queue: &ObservedQueue,
    longer_than: Option<u64>,
    older_than: Option<Millis>,
    now_ms: u64,
) -> Vec<Standing> {
    let mut standing = Vec::new();
    let mut raise = |kind, text| {
        standing.push(Standing {
            kind,
            destination: Some(Arc::clone(&queue.destination)),
            text,
        });
    };
    if longer_than.is_some_and(|limit| queue.waiting > limit) {
        raise("queue-length", format!("{} deliveries wait", queue.waiting));
    }
    let age = queue
        .oldest_ms
        .map_or(0, |oldest| now_ms.saturating_sub(oldest));
    if let Some(limit) = older_than.filter(|limit| age > limit.0) {
        raise(
            "queue-age",
            format!("the first delivery has waited for more than {limit}"),
        );
    }
    standing
}

/// What an alert of a channel is about: its kind, and the destination if it has one.
pub(crate) type About = (&'static str, Option<Arc<str>>);

/// Remembers what was raised, so that each alert is told once.
#[derive(Debug, Default)]
pub(crate) struct Raised(BTreeSet<(Arc<str>, About)>);

impl Raised {
    /// What is new and what is over, given all that holds for a channel at the moment.
    pub(crate) fn update(
        &mut self,
        channel: &Arc<str>,
        standing: Vec<Standing>,
    ) -> (Vec<Standing>, Vec<About>) {
        let about = |one: &Standing| (one.kind, one.destination.clone());
        let own = self.0.iter().filter(|(name, _)| name == channel);
        let over: Vec<About> = own
            .map(|(_, known)| known.clone())
            .filter(|known| !standing.iter().any(|one| about(one) == *known))
            .collect();
        for known in &over {
            self.0.remove(&(Arc::clone(channel), known.clone()));
        }
        let mut new = standing;
        new.retain(|one| self.0.insert((Arc::clone(channel), about(one))));
        (new, over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_raised_once_and_cleared_once() {
        let rules = [
            AlertRule::Silence {
                longer_than: Millis(1_000),
                during: None,
            },
            AlertRule::Queue {
                destination: None,
                longer_than: Some(10),
                older_than: Some(Millis(500)),
            },
        ];
        let observed = |waiting| Observed {
            last_message_ms: 5_000,
            queues: vec![ObservedQueue {
                destination: "ehr".into(),
                waiting,
                full: waiting > 100,
                oldest_ms: Some(5_900),
            }],
        };
        let kinds = |now, waiting| -> Vec<_> {
            evaluate(&rules, &observed(waiting), now)
                .iter()
                .map(|s| s.kind)
                .collect()
        };
        assert!(kinds(6_000, 10).is_empty());
        assert_eq!(kinds(6_001, 11), ["silence", "queue-length"]);
        assert_eq!(kinds(6_401, 1), ["silence", "queue-age"]);
        let (mut raised, channel) = (Raised::default(), Arc::from("lab"));
        let standing = evaluate(&rules, &observed(11), 6_001);
        assert_eq!(raised.update(&channel, standing.clone()).0.len(), 2);
        assert!(raised.update(&channel, standing).0.is_empty(), "told once");
        let (new, over) = raised.update(&channel, Vec::new());
        assert_eq!((new.len(), over.len()), (0, 2));
    }
}
