//! The built-in channel `hilum.subscriptions`: its source is the outbox of every tenant, and each
//! subscription is a destination. What the engine does for any channel it does for this one.
//!
//! Here is its plan; `outbox` is the source, `notified` a destination.

mod notified;
mod outbox;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use hilum_component::{
    Acknowledge, AfterReject, AlertRule, ChannelPlan, Destination, DestinationKind,
    DestinationPlan, Flow, Format, Halted, Millis, Order, ResendPlan, RetryPlan, Sends, Size,
    Source, SourceKind, SourcePlan, Step, StepContext, StepPlan, Working,
};
use hilum_message::PlanDigest;

use super::read::{Subscribed, Way};
use crate::server::Fhir;
use crate::slot::Slot;
use crate::tenant::Tenant;
use notified::Notified;
use outbox::Outbox;

/// The name of the channel.
pub const SUBSCRIPTIONS: &str = "hilum.subscriptions";

/// Between two attempts that found no client.
const SOCKET_RETRY: Duration = Duration::from_millis(50);
/// A queue of which the first has waited so long is told of.
const ALERT_AFTER: Millis = Millis(300_000);
/// Notifications that may wait for one subscription.
const QUEUE_MAX: u64 = 1_000_000;
/// Bytes of them.
const QUEUE_BYTES_MAX: Size = Size(10_000_000_000);

/// The name of the value of a message that says its destination.
const TO: &str = "subscription";

impl Tenant {
    /// The destination of a subscription; no id has a colon.
    pub(super) fn destination(&self, id: &str) -> String {
        if self.name.is_empty() {
            id.to_owned()
        } else {
            format!("{}:{id}", self.name)
        }
    }
}

impl Fhir {
    /// The channel as of now, and the change up to which it is: [`Fhir::subscriptions_applied`] is to
    /// be told when the engine has it. `format` is that of FHIR; `gone` names destinations whose
    /// queues become dead letters.
    pub fn subscriptions(
        self: &Arc<Self>,
        format: &Arc<dyn Format>,
        gone: &[Arc<str>],
    ) -> (ChannelPlan, u64) {
        use sha2::Digest as _;
        let change = *self.hub.changes().borrow();
        let mut destinations = Vec::new();
        let mut names: HashSet<Arc<str>> = HashSet::new();
        let mut digest = sha2::Sha256::new();
        for slot in self.tenants.values() {
            let tenant = slot.now();
            for subscribed in tenant.subscriptions.active().all() {
                if !subscribed.is_live() {
                    continue;
                }
                let name: Arc<str> = tenant.destination(&subscribed.id).into();
                digest.update(name.as_bytes());
                digest.update(subscribed.digest);
                names.insert(Arc::clone(&name));
                destinations.push(destination(slot, subscribed, name));
            }
        }
        for name in gone.iter().filter(|name| !names.contains(&**name)) {
            digest.update(name.as_bytes());
            let kind = DestinationKind::DeadLetter;
            destinations.push(planned(
                Arc::clone(name),
                kind,
                [0; 32],
                &RetryPlan::default(),
            ));
        }
        let fhir = Arc::clone(self);
        let make = move || Box::new(Outbox::new(&fhir)) as Box<dyn Source>;
        let plan = ChannelPlan {
            name: SUBSCRIPTIONS.into(),
            about: Some("Notifications of FHIR subscriptions".to_owned()),
            owner: None,
            digest: PlanDigest(digest.finalize().into()),
            source: SourcePlan {
                component: "fhir-outbox".to_owned(),
                system: None,
                digest: PlanDigest([0; 32]),
                kind: SourceKind::Component(Arc::new(make)),
            },
            format: Arc::clone(format),
            acknowledge: Acknowledge::Processed,
            accept: None,
            order: Order::Channel,
            index: Vec::new(),
            steps: vec![StepPlan {
                name: "1 subscriber".into(),
                component: "subscriber".to_owned(),
                step: Arc::new(Subscriber { names }),
            }],
            destinations,
            resend: ResendPlan {
                within: Millis(0),
                max: 0,
            },
            alerts: vec![AlertRule::Queue {
                destination: None,
                longer_than: None,
                older_than: Some(ALERT_AFTER),
            }],
            step_budget: Millis(250),
            control_id_optional: true,
            marking: Arc::default(),
            senders: Arc::default(),
        };
        (plan, change)
    }

    /// The engine runs the channel as of a change.
    pub fn subscriptions_applied(&self, change: u64) {
        self.hub.apply(change);
    }

    /// Tells when the channel has changed.
    #[must_use]
    pub fn subscriptions_changes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.hub.changes()
    }
}

fn destination(slot: &Arc<Slot>, subscribed: &Arc<Subscribed>, name: Arc<str>) -> DestinationPlan {
    let tenant = slot.now();
    let options = tenant.subscriptions.options();
    let millis =
        |duration: Duration| Millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
    let (first, longest) = match subscribed.way {
        Way::Hook(_) => (options.retry_first, options.retry_longest),
        // An attempt waits for a client by itself, and who connects shall not wait.
        Way::Socket => (SOCKET_RETRY, SOCKET_RETRY),
    };
    let retry = RetryPlan {
        first: millis(first),
        longest: millis(longest),
        give_up_after: Some(millis(options.give_up_after)),
    };
    let subscriber = Arc::new(Notified::new(slot, subscribed, &name));
    let make = move || Arc::clone(&subscriber) as Arc<dyn Destination>;
    let kind = DestinationKind::Component(Arc::new(make));
    planned(name, kind, subscribed.digest, &retry)
}

fn planned(
    name: Arc<str>,
    kind: DestinationKind,
    digest: [u8; 32],
    retry: &RetryPlan,
) -> DestinationPlan {
    DestinationPlan {
        name,
        component: "subscription".to_owned(),
        system: None,
        store: false,
        digest: PlanDigest(digest),
        kind,
        sends: Sends::Message,
        when: None,
        steps: Vec::new(),
        required: false,
        retry: *retry,
        after_reject: Some(AfterReject::Continue),
        priority: None,
        queue_max: QUEUE_MAX,
        queue_bytes_max: QUEUE_BYTES_MAX,
        then: None,
        was: None,
        care: hilum_component::Care::default(),
    }
}

/// Sends a notification to its subscriber.
struct Subscriber {
    names: HashSet<Arc<str>>,
}

impl Step for Subscriber {
    fn apply(&self, message: &mut Working, _: &mut StepContext<'_>) -> Result<Flow, Halted> {
        let to = message.metadata.get(TO).unwrap_or_default();
        let Some(name) = self.names.get(to) else {
            return Ok(Flow::Filtered("the subscription is not active".to_owned()));
        };
        message.routes = Some(vec![Arc::clone(name)]);
        Ok(Flow::Next)
    }
}
