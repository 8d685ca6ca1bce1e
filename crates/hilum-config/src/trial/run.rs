//! Taking one case through its channel.

use std::collections::BTreeMap;

use bytes::Bytes;
use hilum_component::{
    Incoming, PlannedDelivery, ProcessEnvironment, Processed, StateView, Stored, TraceLine,
    Unlimited, process,
};
use hilum_fhirpath::NoHost;
use hilum_message::{IndexKey, MessageId};

use super::compare::Compare;
use super::coverage::Coverage;
use super::read::Case;
use super::{Difference, TestResult, compare};

/// Values by scope and key.
pub(super) type State = BTreeMap<(String, String), Bytes>;

/// The state before, as the test gives it.
struct Before<'c>(&'c State);

impl StateView for Before<'_> {
    fn get(&self, scope: &str, key: &str) -> Stored {
        let value = self.0.get(&(scope.to_owned(), key.to_owned())).cloned();
        Stored {
            version: u64::from(value.is_some()),
            value,
        }
    }
}

pub(super) fn run(case: &Case, coverage: &mut Coverage) -> TestResult {
    let (state, mut differences) = before(case);
    let (outcome, found) = compared(case, &state, coverage);
    differences.extend(found);
    TestResult {
        file: case.file.clone(),
        line: case.line,
        channel: case.channel.name.to_string(),
        name: case.name.clone(),
        outcome,
        differences,
    }
}

/// The state that the messages before leave, and which of them did not come through.
fn before(case: &Case) -> (State, Vec<Difference>) {
    let (mut state, mut differences) = (case.state.clone(), Vec::new());
    for (earlier, n) in case.before.iter().zip(1_u32..) {
        let mut environment = ProcessEnvironment {
            index_key: &IndexKey::new([0; 16]),
            links: &(),
            state: &Before(&state),
            meter: &Unlimited,
            host: &NoHost,
            trace: None,
        };
        // Ids after that of the message that is tested, which is the same with and without them.
        let id = MessageId::new(earlier.arrived_ms, 1 + u128::from(n));
        let (payload, metadata) = (earlier.payload.clone(), earlier.metadata.clone());
        let incoming = Incoming::new(id, earlier.arrived_ms, payload, metadata);
        let processed = process(&earlier.channel, &mut environment, incoming);
        if !processed.disposition.is_positive() {
            differences.push(Difference {
                place: format!("before {n}"),
                expected: "accepted, filtered or held".to_owned(),
                got: compare::outcome(&processed),
            });
        }
        write(processed, &mut state);
    }
    (state, differences)
}

/// Keeps what a message and those it became write.
fn write(processed: Processed, state: &mut State) {
    for change in processed.writes {
        let key = (change.scope.to_string(), change.key.to_string());
        match change.value {
            Some(value) => drop(state.insert(key, value)),
            None => drop(state.remove(&key)),
        }
    }
    for child in processed.children {
        write(child, state);
    }
}

/// What came of a message and of the replies to it, and what is not as expected.
fn compared(case: &Case, state: &State, coverage: &mut Coverage) -> (String, Vec<Difference>) {
    let mut trace: Vec<TraceLine> = Vec::new();
    let mut environment = ProcessEnvironment {
        index_key: &IndexKey::new([0; 16]),
        links: &(),
        state: &Before(state),
        meter: &Unlimited,
        host: &NoHost,
        trace: Some(&mut trace),
    };
    // The same id each time, so that what derives from it stays the same.
    let id = MessageId::new(case.arrived_ms, 1);
    let (payload, metadata) = (case.payload.clone(), case.metadata.clone());
    let incoming = Incoming {
        original: case.original.clone(),
        ..Incoming::new(id, case.arrived_ms, payload, metadata)
    };
    let processed = process(&case.channel, &mut environment, incoming);
    let deliveries = deliveries(&processed);
    coverage.add(&case.channel, &processed, &deliveries, &trace);
    let mut differences = Compare {
        case,
        state,
        processed: &processed,
        deliveries: &deliveries,
        trace: &trace,
    }
    .all();
    for (destination, reply) in &case.replies {
        let asked = |delivery: &&PlannedDelivery| {
            *delivery.destination == **destination && delivery.dead_letter.is_none()
        };
        let place = format!("then {destination}");
        if deliveries.iter().copied().any(|delivery| asked(&delivery)) {
            let (_, found) = compared(reply, state, coverage);
            differences.extend(found.into_iter().map(|difference| Difference {
                place: format!("{place} {}", difference.place),
                ..difference
            }));
        } else {
            differences.push(Difference {
                place,
                expected: "asked".to_owned(),
                got: format!("not asked; {}", compare::outcome(&processed)),
            });
        }
    }
    (compare::outcome(&processed), differences)
}

/// The deliveries of a message and of those it became.
fn deliveries(processed: &Processed) -> Vec<&PlannedDelivery> {
    let below = processed.children.iter().flat_map(deliveries);
    processed.deliveries.iter().chain(below).collect()
}
