//! The built-in channel `hilum.subscriptions`: its source is the outbox of every tenant, and each
//! subscription is a destination. What the engine does for any channel it does for this one.
//!
//! An event is accepted once: the step writes its number into the state that the source recalls, in
//! the commit of the message. After a crash the source begins where it had remembered to be and
//! passes over what has such a number.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hilum_component::{
    Acknowledge, AfterReject, AlertRule, Arrival, BoxFuture, ChannelPlan, Delivered, Delivery,
    DeliveryError, Destination, DestinationKind, DestinationPlan, Disposition, Flow, Format,
    Halted, Intake, Millis, Order, Outcome, Peer, Reached, ResendPlan, RetryPlan, SOURCE_SCOPE,
    Sends, Size, Source, SourceError, SourceKind, SourcePlan, Step, StepContext, StepPlan, Stop,
    Working,
};
use hilum_fhir::json::write_node;
use hilum_fhir::{Node, Style};
use hilum_fhir_store::OutboxRow;
use hilum_message::{Metadata, PlanDigest};
use http::Method;

use super::hook::Hook;
use super::keeper;
use super::notification::{Event, Kind, Told};
use super::read::{Status, Subscribed, Way};
use super::status;
use crate::request::Format as Form;
use crate::server::Fhir;
use crate::slot::Slot;
use crate::tenant::Tenant;
use crate::write;

/// The name of the channel.
pub const SUBSCRIPTIONS: &str = "hilum.subscriptions";

/// Events that are read from an outbox at once.
const PAGE: usize = 200;
/// How often the outboxes are looked at although nobody has rung.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long an attempt waits for a client.
const CLIENT_WITHIN: Duration = Duration::from_secs(3);
/// Between two attempts that found no client.
const SOCKET_RETRY: Duration = Duration::from_millis(50);
/// The first look.
const FIRST_AFTER: Duration = Duration::from_millis(50);
/// Between two tries of what failed.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// A queue of which the first has waited so long is told of.
const ALERT_AFTER: Millis = Millis(300_000);
/// Notifications that may wait for one subscription.
const QUEUE_MAX: u64 = 1_000_000;
/// Bytes of them.
const QUEUE_BYTES_MAX: Size = Size(10_000_000_000);

/// Names of values of a message: the destination, and the number of the event.
const TO: &str = "subscription";
const NUMBER: &str = "event";

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
                if !subscribed.status.is_live() {
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
        let make = move || Box::new(Outbox(Arc::clone(&fhir))) as Box<dyn Source>;
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
    let subscriber = Arc::new(Notified {
        slot: Arc::clone(slot),
        subscribed: Arc::clone(subscribed),
        name: name.to_string(),
    });
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
    }
}

/// Sends an event to its subscriber, and notes that it was accepted.
struct Subscriber {
    names: HashSet<Arc<str>>,
}

/// The state that says which event of a subscription was accepted last, as the source recalls it.
fn accepted_key(destination: &str) -> String {
    format!("accepted/{destination}")
}

fn number(bytes: &Bytes) -> u64 {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    text.parse().unwrap_or(0)
}

impl Step for Subscriber {
    fn apply(&self, message: &mut Working, context: &mut StepContext<'_>) -> Result<Flow, Halted> {
        let to = message.metadata.get(TO).unwrap_or_default().to_owned();
        let event = message.metadata.get(NUMBER).unwrap_or_default();
        let event: u64 = event.parse().unwrap_or(0);
        let key = format!("{SUBSCRIPTIONS}/{}", accepted_key(&to));
        let known = context.get(SOURCE_SCOPE, &key);
        // A replay comes with the number of then.
        if known.is_none_or(|known| number(&known) < event) {
            let value = Bytes::from(event.to_string());
            context.put(SOURCE_SCOPE, &key, Some(value), None);
        }
        let Some(name) = self.names.get(&*to) else {
            return Ok(Flow::Filtered("the subscription is not active".to_owned()));
        };
        message.routes = Some(vec![Arc::clone(name)]);
        Ok(Flow::Next)
    }
}

/// The outboxes of a server as a source.
struct Outbox(Arc<Fhir>);

impl Source for Outbox {
    fn open(&mut self) -> BoxFuture<'_, Result<Option<String>, SourceError>> {
        Box::pin(async { Ok(None) })
    }

    fn run<'a>(
        &'a mut self,
        intake: Intake,
        mut stop: Stop,
    ) -> BoxFuture<'a, Result<(), SourceError>> {
        Box::pin(async move {
            // At start those come first who have a peer that waits.
            tokio::time::sleep(FIRST_AFTER).await;
            loop {
                let moved = tokio::select! {
                    moved = self.look(&intake) => moved,
                    () = stop.requested() => return Ok(()),
                };
                let pause = match moved {
                    Looked::More => continue,
                    Looked::Empty => LOOK_EVERY,
                    Looked::Failed => AGAIN_AFTER,
                };
                tokio::select! {
                    () = self.0.hub.woken(), if moved == Looked::Empty => {}
                    () = tokio::time::sleep(pause) => {}
                    () = stop.requested() => return Ok(()),
                }
            }
        })
    }
}

/// What a look into the outboxes came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looked {
    /// There may be more.
    More,
    /// Everything was taken.
    Empty,
    /// Something could not be read or accepted now.
    Failed,
}

impl Outbox {
    async fn look(&self, intake: &Intake) -> Looked {
        let mut looked = Looked::Empty;
        for slot in self.0.tenants.values() {
            match page(&slot.now(), intake).await {
                Looked::Empty => {}
                Looked::More if looked == Looked::Empty => looked = Looked::More,
                Looked::More => {}
                Looked::Failed => looked = Looked::Failed,
            }
        }
        looked
    }
}

/// Accepts what is next in the outbox of a tenant. Events of one subscription are accepted one
/// after the other, those of several beside each other.
async fn page(tenant: &Arc<Tenant>, intake: &Intake) -> Looked {
    let place = format!("outbox/{}", tenant.name);
    let from = intake.recall(&place).await;
    let from = from.map_or(0, |bytes| i64::try_from(number(&bytes)).unwrap_or(0));
    tenant.subscriptions.accepted(from);
    let rows = match tenant.store.outbox(from, PAGE).await {
        Ok(rows) => rows,
        Err(error) => {
            tracing::error!(tenant = %tenant.name, %error, "the outbox cannot be read; it is read again");
            return Looked::Failed;
        }
    };
    let Some(last) = rows.last().map(|row| row.number) else {
        return Looked::Empty;
    };
    // Whoever has an event here was active before it: its destination is there now, or soon.
    tenant.subscriptions.hub().up_to_date().await;
    let mut lines: Vec<(String, Vec<OutboxRow>)> = Vec::new();
    for row in rows {
        match lines.iter_mut().find(|(topic, _)| *topic == row.topic) {
            Some((_, line)) => line.push(row),
            None => lines.push((row.topic.clone(), vec![row])),
        }
    }
    let mut work = tokio::task::JoinSet::new();
    for (topic, rows) in lines {
        let (tenant, intake) = (Arc::clone(tenant), intake.clone());
        work.spawn(async move { line(&tenant, &intake, &topic, &rows).await });
    }
    let mut all = true;
    while let Some(done) = work.join_next().await {
        all &= done.unwrap_or(false);
    }
    if !all {
        return Looked::Failed;
    }
    let value = Bytes::from(last.to_string());
    if let Err(error) = intake.remember(&place, value).await {
        tracing::error!(%error, "the place in the outbox cannot be remembered; its events are passed over");
        return Looked::Failed;
    }
    tenant.subscriptions.accepted(last);
    Looked::More
}

/// Accepts events of one subscription; false if one could not be.
async fn line(tenant: &Arc<Tenant>, intake: &Intake, id: &str, rows: &[OutboxRow]) -> bool {
    let active = tenant.subscriptions.active();
    let Some(subscribed) = active.get(id) else {
        // It was switched off or deleted meanwhile.
        return true;
    };
    let to = tenant.destination(id);
    let known = intake.recall(&accepted_key(&to)).await;
    let known = known.map_or(0, |bytes| number(&bytes));
    for row in rows.iter().filter(|row| row.event > known) {
        let event = match Event::of(tenant, row).await {
            Ok(event) => event,
            Err(error) => {
                tracing::error!(subscription = %id, %error, "an event cannot be read; it is read again");
                return false;
            }
        };
        let told = Told {
            // It would not be sent if it were not.
            status: Status::Active.code(),
            ..Told::of(tenant, subscribed, row.event)
        };
        let json = told.bundle(Kind::Event, &[event], subscribed.content, row.at_ms);
        let mut metadata = Metadata::new();
        metadata.set(TO, to.as_str());
        metadata.set(NUMBER, row.event.to_string());
        let peer = Peer::inside(Arc::from("outbox"));
        let arrival = Arrival {
            metadata,
            ..Arrival::new(json.into(), peer)
        };
        let reply = intake.take(arrival).await;
        if reply.disposition == Disposition::Failed {
            return false;
        }
    }
    true
}

/// The destination of one subscription.
struct Notified {
    slot: Arc<Slot>,
    subscribed: Arc<Subscribed>,
    name: String,
}

impl Destination for Notified {
    fn send<'a>(&'a self, deliveries: &'a [Delivery]) -> BoxFuture<'a, Vec<Outcome>> {
        Box::pin(async move {
            let mut outcomes = Vec::with_capacity(deliveries.len());
            for delivery in deliveries {
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
    async fn one(&self, delivery: &Delivery) -> Outcome {
        let text = delivery.payload.text();
        match &self.subscribed.way {
            Way::Hook(hook) => self.hook(hook, text, &delivery.id.to_string()).await,
            Way::Socket => self.socket(text).await,
        }
    }

    /// FHIR R4 subscription.html#websockets: a ping alone; else the notification.
    async fn socket(&self, bundle: &[u8]) -> Outcome {
        let subscribed = &self.subscribed;
        let text = match &subscribed.topic {
            None => format!("ping {}", subscribed.id),
            Some(_) => {
                let format = subscribed.payload.unwrap_or(Form::Json);
                let (_, bytes) = keeper::content(format, bundle.to_vec())?;
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
        let sent = match (&subscribed.topic, subscribed.payload) {
            (Some(_), format) => {
                let content = keeper::content(format.unwrap_or(Form::Json), bundle.to_vec())?;
                hook.send(Method::POST, None, Some(content), Some(delivery))
                    .await?
            }
            // FHIR R4 subscription.html#rest-hook: a call alone, or an update of the resource.
            (None, None) => hook.send(Method::POST, None, None, Some(delivery)).await?,
            (None, Some(format)) => {
                let Some((below, json)) = focus(bundle) else {
                    let text = "the notification holds no resource";
                    return Err(DeliveryError::reject("no-focus", text));
                };
                let content = keeper::content(format, json)?;
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
