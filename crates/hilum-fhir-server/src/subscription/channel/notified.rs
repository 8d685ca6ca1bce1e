//! The destination of one subscription: one attempt, and what it means for the subscription's
//! status.

use std::sync::Arc;
use std::time::Duration;

use hilum_component::{
    BoxFuture, Delivered, Delivery, DeliveryError, Destination, Outcome, Reached,
};
use hilum_fhir::json::write_node;
use hilum_fhir::{Node, Style};
use http::Method;

use super::outbox::{NUMBER, TENURE};
use crate::slot::Slot;
use crate::subscription::hook::Hook;
use crate::subscription::read::{Status, Subscribed, Way};
use crate::subscription::share::Turn;
use crate::subscription::{keeper, status};
use crate::write;

/// How long an attempt waits for a client.
const CLIENT_WITHIN: Duration = Duration::from_secs(3);

/// How long an attempt waits for the turn of this node.
const TURN_WITHIN: Duration = Duration::from_secs(3);
/// How long an attempt waits for a handshake.
const SHAKEN_WITHIN: Duration = Duration::from_secs(3);
/// The code of an attempt that was not made because of it.
const HANDSHAKE: &str = "handshake";

/// The destination of one subscription.
pub(super) struct Notified {
    slot: Arc<Slot>,
    subscribed: Arc<Subscribed>,
    name: String,
}

impl Destination for Notified {
    fn send<'a>(&'a self, deliveries: &'a [Delivery]) -> BoxFuture<'a, Vec<Outcome>> {
        Box::pin(async move {
            let mut outcomes = Vec::with_capacity(deliveries.len());
            for delivery in deliveries {
                if let Some(outcome) = self.passed(delivery).await {
                    outcomes.push(outcome);
                    continue;
                }
                let outcome = self.one(delivery).await;
                self.note(delivery, &outcome).await;
                outcomes.push(outcome);
            }
            outcomes
        })
    }

    fn address(&self) -> String {
        match &self.subscribed.way {
            Way::Hook(hook) => hook.address(),
            Way::Socket => "websocket".to_owned(),
        }
    }

    fn reach(&self) -> BoxFuture<'_, Option<Result<Reached, DeliveryError>>> {
        Box::pin(async move {
            let Way::Hook(hook) = &self.subscribed.way else {
                return None;
            };
            let connected = hook.connector().connect().await;
            Some(match connected {
                Ok(_) => Ok(Reached::default()),
                Err(error) => Err(DeliveryError::retry(error.code(), error.chain())),
            })
        })
    }
}

impl Notified {
    pub(super) fn new(slot: &Arc<Slot>, subscribed: &Arc<Subscribed>, name: &str) -> Self {
        Self {
            slot: Arc::clone(slot),
            subscribed: Arc::clone(subscribed),
            name: name.to_owned(),
        }
    }

    /// Where several nodes use the store: what becomes of a delivery that this one does not make. One
    /// of a former tenure may have been made by another; whatever came in this one, or is repeated in
    /// this turn, is made.
    async fn passed(&self, delivery: &Delivery) -> Option<Outcome> {
        let tenant = self.slot.now();
        let share = tenant.subscriptions.share()?;
        let arrived = i64::try_from(delivery.arrived_ms).unwrap_or(i64::MAX);
        let tenure = delivery.metadata.get(TENURE);
        let tenure = tenure.and_then(|tenure| tenure.parse::<u64>().ok());
        for look in 0..2 {
            let turn = share.turn();
            let own = |turn: Turn| tenure == Some(turn.tenure) || arrived >= turn.since_ms;
            if turn.is_some_and(own) {
                return None;
            }
            let told = match tenant.store.told(&self.subscribed.id).await {
                Ok(told) => told,
                Err(error) => return Some(Err(DeliveryError::retry("store", error.to_string()))),
            };
            if event(delivery).is_some_and(|event| event <= told) {
                return Some(Ok(Delivered {
                    reply: None,
                    summary: "told by another node".to_owned(),
                }));
            }
            if turn.is_some() {
                return None;
            }
            if look == 0 {
                share.await_turn(TURN_WITHIN).await;
            }
        }
        let text = "another node of the store delivers";
        Some(Err(DeliveryError::retry("another-node", text)))
    }

    async fn one(&self, delivery: &Delivery) -> Outcome {
        let text = delivery.payload.text();
        if !self.shaken().await {
            let text = "the subscription was requested again and its endpoint did not take the \
                        handshake yet";
            return Err(DeliveryError::retry(HANDSHAKE, text));
        }
        match &self.subscribed.way {
            Way::Hook(hook) => self.hook(hook, text, &delivery.id.to_string()).await,
            Way::Socket => self.socket(text).await,
        }
    }

    /// Waits a little while the subscription waits for its handshake; false if it still does.
    async fn shaken(&self) -> bool {
        let waits = || {
            let tenant = self.slot.now();
            let active = tenant.subscriptions.active();
            let known = active.get(&self.subscribed.id);
            known.is_some_and(|known| known.status == Status::Requested)
        };
        let mut changes = self.slot.now().subscriptions.hub().changes();
        let changed = changes.wait_for(|_| !waits());
        matches!(
            tokio::time::timeout(SHAKEN_WITHIN, changed).await,
            Ok(Ok(_))
        )
    }

    /// FHIR R4 subscription.html#websockets: a ping alone; else the notification.
    async fn socket(&self, bundle: &[u8]) -> Outcome {
        let subscribed = &self.subscribed;
        let text = match &subscribed.topic {
            None => format!("ping {}", subscribed.id),
            Some(_) => {
                let (_, bytes) = keeper::content(subscribed.payload.as_ref(), bundle.to_vec())?;
                String::from_utf8_lossy(&bytes).into_owned()
            }
        };
        let tenant = self.slot.now();
        let sockets = &tenant.subscriptions.hub().sockets;
        sockets.somebody(&self.name, CLIENT_WITHIN).await;
        if sockets.send(&self.name, &text).await {
            return Ok(Delivered {
                reply: None,
                summary: "written".to_owned(),
            });
        }
        Err(DeliveryError::retry("no-client", "no client is connected"))
    }

    async fn hook(&self, hook: &Hook, bundle: &[u8], delivery: &str) -> Outcome {
        let subscribed = &self.subscribed;
        let sent = match (&subscribed.topic, &subscribed.payload) {
            (Some(_), payload) => {
                let content = keeper::content(payload.as_ref(), bundle.to_vec())?;
                hook.send(Method::POST, None, Some(content), Some(delivery))
                    .await?
            }
            // FHIR R4 subscription.html#rest-hook: a call alone, or an update of the resource.
            (None, None) => hook.send(Method::POST, None, None, Some(delivery)).await?,
            (None, Some(payload)) => {
                let Some((below, json)) = focus(bundle) else {
                    let text = "the notification holds no resource";
                    return Err(DeliveryError::reject("no-focus", text));
                };
                let content = keeper::content(Some(payload), json)?;
                hook.send(Method::PUT, Some(&below), Some(content), Some(delivery))
                    .await?
            }
        };
        Ok(Delivered {
            reply: None,
            summary: sent.as_u16().to_string(),
        })
    }

    /// What an attempt means for the state of the subscription.
    async fn note(&self, delivery: &Delivery, outcome: &Outcome) {
        let tenant = self.slot.now();
        let subscriptions = &tenant.subscriptions;
        let known = subscriptions.active();
        let Some(known) = known.get(&self.subscribed.id) else {
            return;
        };
        match outcome {
            Ok(_) => {
                if let (Some(share), Some(event)) = (subscriptions.share(), event(delivery)) {
                    share.note(&known.id, event);
                }
                subscriptions.hub().sent(&self.name, subscriptions.now_ms());
                if known.status == Status::Error {
                    let (from, to) = ([Status::Error], Status::Active);
                    status::change_or_log(&self.slot, &known.id, &from, to, None).await;
                }
            }
            Err(error) => {
                let many = delivery.attempt >= subscriptions.options().failures_max;
                let away = matches!(known.way, Way::Hook(_));
                if known.status == Status::Active && many && away {
                    let text = format!(
                        "notifications fail and are tried on: {error}, {} times",
                        delivery.attempt
                    );
                    let (from, to) = ([Status::Active], Status::Error);
                    status::change_or_log(&self.slot, &known.id, &from, to, Some(&text)).await;
                }
            }
        }
    }
}

/// The number of the last event that a delivery tells.
fn event(delivery: &Delivery) -> Option<u64> {
    delivery.metadata.get(NUMBER)?.parse().ok()
}

/// The resource that a notification is about: its place below an endpoint, and its JSON.
fn focus(bundle: &[u8]) -> Option<(String, Vec<u8>)> {
    let bundle = write::trusted(bundle).ok()?;
    let entry = bundle.root().children_named("entry").nth(1)?;
    let resource: Node<'_> = entry.child("resource")?;
    let below = format!("{}/{}", resource.type_name(), resource.child_text("id")?);
    let mut json = Vec::with_capacity(1_024);
    write_node(resource, Style::Compact, &mut json);
    Some((below, json))
}
