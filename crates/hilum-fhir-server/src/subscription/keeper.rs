//! What subscriptions need beside their events: handshakes, heartbeats, ends, and an outbox that does
//! not grow for ever.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hilum_component::{Class, Stop};
use http::{HeaderValue, Method};

use super::notification::{Kind, Told};
use super::read::{BROKEN, Payload, REFUSED, Status, Subscribed, Way};
use super::share;
use super::status::change_or_log;
use crate::request::Format;
use crate::server::Fhir;
use crate::slot::Slot;
use crate::tenant::Tenant;
use crate::write;

/// How often the clock is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Looks between two trimmings of the outbox.
const TRIM_EVERY: u32 = 120;
/// Attempts of a handshake, and the time between them.
const HANDSHAKES: u32 = 3;
const BETWEEN_HANDSHAKES: Duration = Duration::from_secs(2);

/// Looks after the subscriptions of a server until `stop`.
pub(crate) async fn keep(fhir: Arc<Fhir>, mut stop: Stop) {
    let mut work = tokio::task::JoinSet::new();
    let mut busy = std::collections::HashSet::new();
    let mut looks = 0_u32;
    let mut sharing = tokio::task::JoinSet::new();
    for slot in fhir.tenants.values() {
        sharing.spawn(share::follow(Arc::clone(slot), stop.clone()));
    }
    loop {
        for slot in fhir.tenants.values() {
            let tenant = slot.now();
            let broken = tenant.subscriptions.take_broken();
            if !tenant.subscriptions.delivers() {
                continue;
            }
            for (id, reason) in broken {
                let slot = Arc::clone(slot);
                work.spawn(async move {
                    let text = format!("{BROKEN}: {reason}");
                    let from = [Status::Requested, Status::Active, Status::Error];
                    change_or_log(&slot, &id, &from, Status::Refused, Some(&text)).await;
                    // No destination has this name.
                    format!("broken:{id}")
                });
            }
            for subscribed in tenant.subscriptions.active().all() {
                let name = tenant.destination(&subscribed.id);
                if busy.contains(&name) {
                    continue;
                }
                if let Some(chore) = chore(&tenant, subscribed, &name) {
                    busy.insert(name.clone());
                    let (slot, subscribed) = (Arc::clone(slot), Arc::clone(subscribed));
                    work.spawn(async move {
                        chore.done(&slot, &subscribed, &name).await;
                        name
                    });
                }
            }
            if looks % TRIM_EVERY == TRIM_EVERY - 1 {
                tenant.trim_events().await;
            }
        }
        looks = looks.wrapping_add(1);
        tokio::select! {
            () = stop.requested() => {
                fhir.hub.sockets.close();
                while sharing.join_next().await.is_some() {}
                return;
            }
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = fhir.hub.chore() => {}
            Some(done) = work.join_next(), if !work.is_empty() => {
                match done {
                    Ok(name) => drop(busy.remove(&name)),
                    // A panic was reported where it happened; what it worked on is looked at again.
                    Err(_) => busy.clear(),
                }
            }
        }
    }
}

/// What is to be done for a subscription.
#[derive(Clone, Copy, Debug)]
enum Chore {
    Handshake,
    Heartbeat,
    End,
}

fn chore(tenant: &Tenant, subscribed: &Subscribed, name: &str) -> Option<Chore> {
    let now_ms = tenant.subscriptions.now_ms();
    if subscribed.end_ms.is_some_and(|end| end <= now_ms) {
        return Some(Chore::End);
    }
    match subscribed.status {
        Status::Requested => return Some(Chore::Handshake),
        Status::Error | Status::Refused | Status::Off => return None,
        Status::Active => {}
    }
    let period = i64::try_from(subscribed.heartbeat?.as_millis()).unwrap_or(i64::MAX);
    let hub = tenant.subscriptions.hub();
    let Some(last) = hub.last_sent(name) else {
        // The first period begins now.
        hub.sent(name, now_ms);
        return None;
    };
    (now_ms.saturating_sub(last) >= period).then_some(Chore::Heartbeat)
}

impl Chore {
    async fn done(self, slot: &Arc<Slot>, subscribed: &Subscribed, name: &str) {
        let tenant = &*slot.now();
        match self {
            Self::End => {
                let from = [Status::Requested, Status::Active, Status::Error];
                change_or_log(slot, &subscribed.id, &from, Status::Off, None).await;
            }
            Self::Handshake => handshake(slot, subscribed, name).await,
            Self::Heartbeat => {
                // What it tells is told by the next one as well, so it is not kept or repeated.
                if let Err(error) = say(tenant, subscribed, Kind::Heartbeat).await {
                    tracing::debug!(subscription = %subscribed.id, code = error.code,
                        "a heartbeat did not arrive");
                }
                let hub = tenant.subscriptions.hub();
                hub.sent(name, tenant.subscriptions.now_ms());
            }
        }
    }
}

async fn handshake(slot: &Arc<Slot>, subscribed: &Subscribed, name: &str) {
    let tenant = &*slot.now();
    let mut refused = String::new();
    for attempt in 1..=HANDSHAKES {
        match say(tenant, subscribed, Kind::Handshake).await {
            Ok(()) => {
                tenant
                    .subscriptions
                    .hub()
                    .sent(name, tenant.subscriptions.now_ms());
                let (from, to) = ([Status::Requested], Status::Active);
                return change_or_log(slot, &subscribed.id, &from, to, None).await;
            }
            Err(error) => {
                refused = format!("{REFUSED}: {error}");
                if error.class == Class::Reject || attempt == HANDSHAKES {
                    break;
                }
                tokio::time::sleep(BETWEEN_HANDSHAKES).await;
            }
        }
    }
    // One that never was active has no events to lose: it rests until it is requested again. What
    // waits for another one is tried on.
    let (to, text) = if subscribed.held {
        (
            Status::Error,
            format!("notifications fail and are tried on: {refused}"),
        )
    } else {
        (Status::Refused, refused)
    };
    change_or_log(slot, &subscribed.id, &[Status::Requested], to, Some(&text)).await;
}

/// Sends a notification without events, once.
async fn say(
    tenant: &Tenant,
    subscribed: &Subscribed,
    kind: Kind,
) -> Result<(), hilum_component::DeliveryError> {
    let failed = |_| {
        let text = "the events of the subscription cannot be counted";
        hilum_component::DeliveryError::retry("store", text)
    };
    let events = tenant
        .store
        .last_event(&subscribed.id)
        .await
        .map_err(failed)?;
    let told = Told {
        status: match kind {
            // It is active when the handshake was taken.
            Kind::Handshake => Status::Requested.code(),
            _ => subscribed.status.code(),
        },
        ..Told::of(tenant, subscribed, events)
    };
    let now_ms = tenant.subscriptions.now_ms();
    let bundle = told.bundle(kind, &[], subscribed.content, now_ms);
    let (media, bytes) = content(subscribed.payload.as_ref(), bundle)?;
    match &subscribed.way {
        Way::Hook(hook) => hook
            .send(Method::POST, None, Some((media, bytes)), None)
            .await
            .map(drop),
        Way::Socket => {
            let text = String::from_utf8_lossy(&bytes);
            let name = tenant.destination(&subscribed.id);
            // Who is not connected is told when it comes.
            tenant.subscriptions.hub().sockets.send(&name, &text).await;
            Ok(())
        }
    }
}

/// A notification in the form that the subscriber wants, with its media type.
pub(super) fn content(
    payload: Option<&Payload>,
    json: Vec<u8>,
) -> Result<(HeaderValue, Bytes), hilum_component::DeliveryError> {
    let payload = payload.cloned().unwrap_or_default();
    let bytes = match payload.format {
        Format::Json => json.into(),
        Format::Xml => {
            let xml = write::converted(&json, Format::Xml, false).map_err(|_| {
                let text = "the notification cannot be written as XML";
                hilum_component::DeliveryError::reject("hook-form", text)
            })?;
            xml.into()
        }
    };
    Ok((payload.media, bytes))
}
