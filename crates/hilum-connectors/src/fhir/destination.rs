//! The destination: one request for each message, its answer classified.

use std::sync::Arc;

use hilum_component::{
    BoxFuture, BuildContext, Built, Delivery, DeliveryError, Destination, DestinationFactory,
    Outcome, Problem, Reached,
};
use serde_json::Value;

use super::ask::{Once, ask};
use super::config::{DestinationConfig, Interaction};
use super::judge::{Statuses, judge};
use super::peer::{Peer, Server};
use crate::endpoint;
use crate::http::way::status_table;

/// The longest body of a response that is kept.
const REPLY_BYTES_MAX: usize = 10_000_000;

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
    if config.connections == 0 {
        let text = "at least one connection is needed";
        problems.push(Problem::at(&["connections"], text));
    }
    let (Some(place), true) = (place, problems.is_empty()) else {
        return Err(problems);
    };
    let connections = usize::try_from(config.connections).unwrap_or(1);
    let within = config.answer_within.duration();
    let statuses = Arc::new(statuses);
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
        })
    }))
}

struct FhirDestination {
    peer: Peer,
    interaction: Interaction,
    once: Once,
    statuses: Arc<Statuses>,
    connections: usize,
}

impl FhirDestination {
    async fn one(&self, delivery: &Delivery) -> Outcome {
        let ask = ask(self.interaction, self.once, delivery)?;
        let answer = self.peer.deliver(&ask, delivery, REPLY_BYTES_MAX).await?;
        judge(self.peer.address(), &self.statuses, answer, ask.batch)
    }
}

impl Destination for FhirDestination {
    fn send<'a>(&'a self, deliveries: &'a [Delivery]) -> BoxFuture<'a, Vec<Outcome>> {
        endpoint::one_by_one(deliveries, |delivery| self.one(delivery))
    }

    fn concurrency(&self) -> usize {
        self.connections
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
