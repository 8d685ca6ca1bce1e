//! From a sender to a receiver: when each message left and when it came.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use hilum_testkit::messages::field;
use hilum_testkit::mllp::{MessageOf, Percentiles, Receiver};
use tokio::time::{Instant, sleep};

const ARRIVE_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// When messages were sent, by control id.
#[derive(Debug, Clone, Default)]
pub(super) struct Departures(Arc<Mutex<HashMap<String, Instant>>>);

impl Departures {
    /// Notes the time of every message that is made, which is right before it is sent.
    pub(super) fn noted(&self, make: impl Fn(u64) -> Vec<u8> + Send + Sync + 'static) -> MessageOf {
        let departures = self.clone();
        Arc::new(move |number| {
            let message = make(number);
            let id = String::from_utf8_lossy(field(&message, 10)).into_owned();
            departures
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(id, Instant::now());
            message
        })
    }

    /// From sending to the first arrival, once all have come.
    pub(super) async fn until_arrival(&self, sink: &Receiver) -> Result<Percentiles> {
        let deadline = Instant::now() + ARRIVE_WITHIN;
        loop {
            let times = self.times(sink);
            if let Some(times) = times {
                return Ok(Percentiles::of(times));
            }
            if Instant::now() > deadline {
                bail!("not everything arrived within {ARRIVE_WITHIN:?}");
            }
            sleep(LOOK_EVERY).await;
        }
    }

    fn times(&self, sink: &Receiver) -> Option<Vec<Duration>> {
        let departures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if (sink.count() as usize) < departures.len() {
            return None;
        }
        let mut arrivals: HashMap<String, Instant> = HashMap::new();
        for message in sink.received() {
            arrivals.entry(message.control_id).or_insert(message.at);
        }
        departures
            .iter()
            .map(|(id, left)| Some(arrivals.get(id)?.saturating_duration_since(*left)))
            .collect()
    }
}
