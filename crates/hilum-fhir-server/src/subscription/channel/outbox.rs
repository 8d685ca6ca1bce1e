//! The source of the channel: the outboxes of a server.
//!
//! An event is accepted once: the number of the last one of a subscription is written in the commit
//! of the message that tells it. After a crash the source begins where it had remembered to be and
//! passes over what has such a number. Where several nodes use a store, the one that delivers begins
//! behind what was told (`share`).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hilum_component::{Arrival, BoxFuture, Disposition, Intake, Peer, Source, SourceError, Stop};
use hilum_fhir_store::{OutboxRow, StoreError};
use hilum_message::Metadata;

use super::TO;
use crate::server::Fhir;
use crate::subscription::notification::{Event, Kind, Told};
use crate::subscription::read::{Content, Status, Subscribed};
use crate::subscription::share::Share;
use crate::tenant::Tenant;

/// Events that are read from an outbox at once.
const PAGE: usize = 200;
/// How often the outboxes are looked at although nobody has rung.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The first look.
const FIRST_AFTER: Duration = Duration::from_millis(50);
/// Between two tries of what failed.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Bytes of resources from which on no further event is put into a notification.
const TOGETHER_BYTES: usize = 1_000_000;

/// The name of the value of a message that says the number of its last event.
pub(super) const NUMBER: &str = "event";

/// The name of the value that says in which tenure of the node that was.
pub(super) const TENURE: &str = "tenure";

/// The outboxes of a server as a source.
pub(super) struct Outbox(Arc<Fhir>);

impl Outbox {
    pub(super) fn new(fhir: &Arc<Fhir>) -> Self {
        Self(Arc::clone(fhir))
    }
}

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
    // Where several nodes use the store, the place is in it.
    let shared = tenant.subscriptions.share();
    let shared = shared.map(|share| (share, share.turn()));
    let from = match shared {
        None => {
            let from = intake.recall(&place).await;
            from.map_or(0, |bytes| i64::try_from(number(&bytes)).unwrap_or(0))
        }
        Some((_, Some(turn))) => turn.place,
        Some((_, None)) => return Looked::Empty,
    };
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
    if let Some((share, Some(turn))) = shared {
        share.advance(turn, last);
        tenant.subscriptions.accepted(last);
        return Looked::More;
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
    // The state that says which event of a subscription was accepted last.
    let key: Arc<str> = format!("accepted/{to}").into();
    let known = intake.recall(&key).await;
    let known = known.map_or(0, |bytes| number(&bytes));
    // Or told, by another node.
    let told = match tenant.store.told(id).await {
        Ok(told) => told,
        Err(error) => {
            tracing::error!(subscription = %id, %error, "an event cannot be read; it is read again");
            return false;
        }
    };
    let known = known.max(told);
    let mut rows: &[OutboxRow] = rows;
    while let Some((first, rest)) = rows.split_first() {
        if first.event <= known {
            rows = rest;
            continue;
        }
        let together = match together(tenant, subscribed, rows).await {
            Ok(together) => together,
            Err(error) => {
                tracing::error!(subscription = %id, %error, "an event cannot be read; it is read again");
                return false;
            }
        };
        let Together {
            events,
            last,
            at_ms,
        } = together;
        rows = rows.get(events.len()..).unwrap_or_default();
        let told = Told {
            // It would not be sent if it were not.
            status: Status::Active.code(),
            ..Told::of(tenant, subscribed, last)
        };
        let json = told.bundle(Kind::Event, &events, subscribed.content, at_ms);
        let last = last.to_string();
        let mut metadata = Metadata::new();
        metadata.set(TO, to.as_str());
        metadata.set(NUMBER, last.as_str());
        if let Some(turn) = tenant.subscriptions.share().and_then(Share::turn) {
            metadata.set(TENURE, turn.tenure.to_string());
        }
        let peer = Peer::inside(Arc::from("outbox"));
        let arrival = Arrival {
            metadata,
            remembers: Some((Arc::clone(&key), last.into())),
            ..Arrival::new(json.into(), peer)
        };
        let reply = intake.take(arrival).await;
        if reply.disposition == Disposition::Failed {
            return false;
        }
    }
    true
}

/// Events that go into one notification.
struct Together {
    events: Vec<Event>,
    /// The number and the time of the last one.
    last: u64,
    at_ms: i64,
}

/// As many of the events that are there as the subscriber takes at once. Nothing waits for more.
async fn together(
    tenant: &Tenant,
    subscribed: &Subscribed,
    rows: &[OutboxRow],
) -> Result<Together, StoreError> {
    let mut all = Together {
        events: Vec::new(),
        last: 0,
        at_ms: 0,
    };
    let mut bytes = 0;
    for row in rows.iter().take(subscribed.together_max) {
        let event = Event::of(tenant, row).await?;
        if subscribed.content == Content::Full {
            bytes += event.bytes();
        }
        (all.last, all.at_ms) = (row.event, row.at_ms);
        all.events.push(event);
        if bytes >= TOGETHER_BYTES {
            break;
        }
    }
    Ok(all)
}

fn number(bytes: &Bytes) -> u64 {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    text.parse().unwrap_or(0)
}
