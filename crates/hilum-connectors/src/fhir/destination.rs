//! The destination: one request for each message, its answer classified.

use std::sync::Arc;

use hilum_component::{
    BoxFuture, BuildContext, Built, Delivery, DeliveryError, Destination, DestinationFactory,
    Outcome, Problem, Reached,
};
use hilum_message::{Payload, as_of};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::ask::{Once, ask};
use super::config::{DestinationConfig, Interaction};
use super::judge::{Statuses, judge};
use super::peer::{Peer, Place, Server};
use crate::endpoint;
use crate::http::way::status_table;

/// The longest body of a response that is kept.
const REPLY_BYTES_MAX: usize = 10_000_000;
/// Requests under way at once to a server elsewhere.
const REMOTE: u32 = 4;
/// Requests under way at once to a store of this node.
const LOCAL: u32 = 32;
/// Kilobytes of messages under way at once to a store of this node, each of which takes several
/// times its size there; a larger one goes alone.
const LOCAL_KIB: u32 = 32 << 10;

pub(super) fn build(value: &Value, context: &BuildContext<'_>) -> Built<DestinationFactory> {
    let config: DestinationConfig = endpoint::read(value)?;
    let mut problems = Vec::new();
    let server = Server {
        key: "to",
        address: config.to.as_deref(),
        tenant: config.tenant.as_deref(),
        system: config.system.as_ref(),
        shown: (
            config.key.as_ref(),
            config.basic.as_ref(),
            config.bearer.as_ref(),
        ),
        tls: config.tls.as_ref(),
        connect_within: config.connect_within,
    };
    let place = server.place(context, &mut problems);
    let statuses = status_table(&config.status, &mut problems);
    if config.connections == Some(0) {
        let text = "at least one connection is needed";
        problems.push(Problem::at(&["connections"], text));
    }
    let (Some(place), true) = (place, problems.is_empty()) else {
        return Err(problems);
    };
    let within = config.answer_within.duration();
    let statuses = Arc::new(statuses);
    let local = matches!(place, Place::Local { .. });
    let connections = config
        .connections
        .unwrap_or(if local { LOCAL } else { REMOTE });
    let connections = usize::try_from(connections).unwrap_or(1);
    Ok(Arc::new(move || {
        let peer = place.open(connections, within);
        let once = if config.once && peer.is_remote() {
            Once::Tagged
        } else {
            Once::Untagged
        };
        Arc::new(FhirDestination {
            peer,
            interaction: config.interaction,
            once,
            statuses: Arc::clone(&statuses),
            connections,
            room: local.then(|| Semaphore::new(LOCAL_KIB as usize)),
        })
    }))
}

struct FhirDestination {
    peer: Peer,
    interaction: Interaction,
    once: Once,
    statuses: Arc<Statuses>,
    connections: usize,
    /// Kilobytes that may still get under way to a store of this node.
    room: Option<Semaphore>,
}

impl FhirDestination {
    async fn one(&self, delivery: &Delivery) -> Outcome {
        let ask = ask(self.interaction, self.once, delivery)?;
        let _room = match &self.room {
            Some(room) => Some(room.acquire_many(kilobytes(ask.payload.len())).await),
            None => None,
        };
        let answer = self.peer.deliver(&ask, delivery, REPLY_BYTES_MAX).await?;
        judge(self.peer.address(), &self.statuses, answer, ask.batch)
    }
}

/// What a message takes of the room.
fn kilobytes(bytes: u64) -> u32 {
    let kilobytes = u32::try_from(bytes >> 10).unwrap_or(u32::MAX);
    kilobytes.saturating_add(1).min(LOCAL_KIB)
}

impl Destination for FhirDestination {
    fn send<'a>(&'a self, deliveries: &'a [Delivery]) -> BoxFuture<'a, Vec<Outcome>> {
        endpoint::one_by_one(deliveries, |delivery| self.one(delivery))
    }

    fn concurrency(&self) -> usize {
        self.connections
    }

    fn keeps_newest(&self, payload: &Payload) -> bool {
        let is_timed = || {
            let text = std::str::from_utf8(payload.text());
            text.is_ok_and(|text| text.contains(as_of::TIME))
        };
        !self.peer.is_remote() && is_timed()
    }

    fn address(&self) -> String {
        self.peer.address().to_owned()
    }

    fn reach(&self) -> BoxFuture<'_, Option<Result<Reached, DeliveryError>>> {
        Box::pin(async { Some(self.peer.reach().await) })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.peer.close();
        Box::pin(async {})
    }
}
