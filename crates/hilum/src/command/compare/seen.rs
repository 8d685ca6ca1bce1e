//! One plan of a comparison, with the state that its steps keep.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hilum_component::{
    ChannelPlan, Incoming, Meter, ProcessEnvironment, Processed, StateView, Stored, TraceLine,
    process,
};
use hilum_fhirpath::NoHost;
use hilum_message::IndexKey;
use tokio::time::Instant;

/// How long the steps of one message may take; far more than a node grants, so that a slow machine
/// makes no difference.
const STEPS_WITHIN: Duration = Duration::from_secs(10);

/// A plan and its state.
pub(in crate::command) struct Side {
    plan: Arc<ChannelPlan>,
    state: State,
}

/// What a plan made of a message.
pub(in crate::command) struct Seen {
    pub(in crate::command) processed: Processed,
    pub(in crate::command) lines: Vec<TraceLine>,
}

impl Side {
    pub(in crate::command) fn new(plan: Arc<ChannelPlan>) -> Self {
        Self {
            plan,
            state: State::default(),
        }
    }

    pub(in crate::command) fn plan(&self) -> &ChannelPlan {
        &self.plan
    }

    pub(in crate::command) fn process(&mut self, incoming: Incoming) -> Seen {
        self.state.now_ms = incoming.arrived_ms;
        let mut lines = Vec::new();
        let mut environment = ProcessEnvironment {
            index_key: &IndexKey::new([0; 16]),
            links: &(),
            state: &self.state,
            meter: &Until(Instant::now() + STEPS_WITHIN),
            host: &NoHost,
            trace: Some(&mut lines),
        };
        let processed = process(&self.plan, &mut environment, incoming);
        self.state.keep(&processed);
        Seen { processed, lines }
    }
}

struct Until(Instant);

impl Meter for Until {
    fn exhausted(&self) -> bool {
        Instant::now() >= self.0
    }
}

/// The state after the messages so far.
#[derive(Default)]
struct State {
    values: BTreeMap<(String, String), (Bytes, u64, Option<u64>)>,
    version: u64,
    now_ms: u64,
}

impl State {
    fn keep(&mut self, processed: &Processed) {
        for change in &processed.writes {
            self.version += 1;
            let key = (change.scope.to_string(), change.key.to_string());
            match &change.value {
                Some(value) => {
                    let kept = (value.clone(), self.version, change.expires_ms);
                    self.values.insert(key, kept);
                }
                None => drop(self.values.remove(&key)),
            }
        }
        processed.children.iter().for_each(|child| self.keep(child));
    }
}

impl StateView for State {
    fn get(&self, scope: &str, key: &str) -> Stored {
        let found = self.values.get(&(scope.to_owned(), key.to_owned()));
        let good = found.filter(|(.., expires)| expires.is_none_or(|at| at > self.now_ms));
        Stored {
            version: good.map_or(0, |(_, version, _)| *version),
            value: good.map(|(value, ..)| value.clone()),
        }
    }
}
