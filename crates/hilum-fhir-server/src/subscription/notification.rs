//! Notifications as the Subscriptions R5 Backport guide writes them for R4: a Bundle of type
//! `history` whose first entry is the status of the subscription as Parameters.
//!
//! The same event gives the same bytes, so a message in the journal is what was sent.

use hilum_fhir_store::{OutboxRow, Stored};
use serde_json::{Value, json};

use super::read::{Content, Subscribed};
use crate::bundle::Bundle;
use crate::tenant::Tenant;
use crate::time::instant;
use crate::write;

/// Where the profiles of the guide are defined.
const PROFILE: &str =
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription-";

/// Why a status is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Handshake,
    Heartbeat,
    Event,
    QueryStatus,
    QueryEvent,
}

impl Kind {
    const fn code(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Heartbeat => "heartbeat",
            Self::Event => "event-notification",
            Self::QueryStatus => "query-status",
            Self::QueryEvent => "query-event",
        }
    }
}

/// One event, with the version that it is about.
pub(super) struct Event {
    number: u64,
    at_ms: i64,
    focus: Option<Stored>,
}

impl Event {
    /// The event of a row of the outbox. What it is about may be gone (an erasure); then it is told
    /// that there was an event.
    pub(super) async fn of(
        tenant: &Tenant,
        row: &OutboxRow,
    ) -> Result<Self, hilum_fhir_store::StoreError> {
        Ok(Self {
            number: row.event,
            at_ms: row.at_ms,
            focus: tenant.store.change(row.seq).await?,
        })
    }

    /// Bytes of the resource.
    pub(super) fn bytes(&self) -> usize {
        let body = self.focus.as_ref().and_then(|focus| focus.body.as_ref());
        body.map_or(0, |body| body.bytes.len())
    }
}

/// What a status says of a subscription.
pub(super) struct Told<'s> {
    pub(super) tenant: &'s Tenant,
    pub(super) id: &'s str,
    pub(super) topic: Option<&'s str>,
    pub(super) status: &'s str,
    pub(super) error: Option<&'s str>,
    /// Events since the subscription began.
    pub(super) events: u64,
}

impl<'s> Told<'s> {
    pub(super) fn of(tenant: &'s Tenant, subscribed: &'s Subscribed, events: u64) -> Self {
        Self {
            tenant,
            id: &subscribed.id,
            topic: subscribed.topic.as_deref(),
            status: subscribed.status.code(),
            error: None,
            events,
        }
    }

    fn url(&self) -> String {
        format!(
            "{}/Subscription/{}",
            self.tenant.subscriptions.base(),
            self.id
        )
    }

    /// The status as Parameters (profile backport-subscription-status-r4).
    pub(super) fn parameters(&self, kind: Kind, events: &[Event], content: Content) -> Vec<u8> {
        let mut parameters =
            vec![json!({"name": "subscription", "valueReference": {"reference": self.url()}})];
        // Who wants nothing in it is not told what it is about either.
        if let Some(topic) = self.topic.filter(|_| content != Content::Empty) {
            parameters.push(json!({"name": "topic", "valueCanonical": topic}));
        }
        parameters.push(json!({"name": "status", "valueCode": self.status}));
        parameters.push(json!({"name": "type", "valueCode": kind.code()}));
        parameters.push(json!({
            "name": "events-since-subscription-start", "valueString": self.events.to_string(),
        }));
        for event in events {
            parameters.push(self.event(event, content));
        }
        if let Some(error) = self.error {
            parameters.push(json!({"name": "error", "valueCodeableConcept": {"text": error}}));
        }
        json!({
            "resourceType": "Parameters",
            "meta": {"profile": [format!("{PROFILE}status-r4")]},
            "parameter": parameters,
        })
        .to_string()
        .into_bytes()
    }

    fn event(&self, event: &Event, content: Content) -> Value {
        let mut parts = vec![
            json!({"name": "event-number", "valueString": event.number.to_string()}),
            json!({"name": "timestamp", "valueInstant": instant(event.at_ms)}),
        ];
        if let (Some(focus), false) = (&event.focus, content == Content::Empty) {
            let reference = self.reference(focus);
            parts.push(json!({"name": "focus", "valueReference": {"reference": reference}}));
        }
        json!({"name": "notification-event", "part": parts})
    }

    fn reference(&self, focus: &Stored) -> String {
        let name = self.tenant.type_name(focus.resource_type);
        format!("{}/{name}/{}", self.tenant.subscriptions.base(), focus.id)
    }

    /// A notification (profile backport-subscription-notification-r4) of a moment.
    pub(super) fn bundle(
        &self,
        kind: Kind,
        events: &[Event],
        content: Content,
        at_ms: i64,
    ) -> Vec<u8> {
        let mut bundle = Bundle::new("history");
        bundle.lead = format!(
            "\"meta\":{{\"profile\":[\"{PROFILE}notification-r4\"]}},\"timestamp\":\"{}\"",
            instant(at_ms)
        )
        .into_bytes();
        let own = self.url();
        bundle.entry(|entry| {
            entry.full_url(&self.uuid(kind, events, at_ms));
            entry.resource(&self.parameters(kind, events, content));
            entry.request("GET", &format!("{own}/$status"));
            entry.response(&[("status", "200")], None);
        });
        if content == Content::Empty {
            return bundle.finish();
        }
        for focus in events.iter().filter_map(|event| event.focus.as_ref()) {
            let url = self.reference(focus);
            let name = self.tenant.type_name(focus.resource_type);
            let local = format!("{name}/{}", focus.id);
            let json = write::spliced(focus);
            bundle.entry(|entry| {
                entry.full_url(&url);
                if let (Some(json), true) = (&json, content == Content::Full) {
                    entry.resource(json);
                }
                match (&json, focus.created) {
                    (None, _) => entry.request("DELETE", &local),
                    (Some(_), true) => entry.request("POST", name),
                    (Some(_), false) => entry.request("PUT", &local),
                }
                let status = match (&json, focus.created) {
                    (None, _) => "204",
                    (Some(_), true) => "201",
                    (Some(_), false) => "200",
                };
                entry.response(&[("status", status)], None);
            });
        }
        bundle.finish()
    }

    /// The same for the same notification.
    fn uuid(&self, kind: Kind, events: &[Event], at_ms: i64) -> String {
        use sha2::Digest as _;
        let first = events.first().map_or(0, |event| event.number);
        let text = format!(
            "{} {} {first} {} {at_ms}",
            self.url(),
            kind.code(),
            events.len()
        );
        let hash = sha2::Sha256::digest(text.as_bytes());
        let hex: String = hash
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        format!(
            "urn:uuid:{}-{}-8{}-8{}-{}",
            part(0, 8),
            part(8, 12),
            part(13, 16),
            part(17, 20),
            part(20, 32)
        )
    }
}
