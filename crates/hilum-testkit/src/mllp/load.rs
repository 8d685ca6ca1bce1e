//! Load over several connections, each waiting for its answers, with what it saw.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::Client;
use crate::messages::field;

/// Makes the message of a number; numbers count from 0.
pub type MessageOf = Arc<dyn Fn(u64) -> Vec<u8> + Send + Sync>;

/// What to send.
#[derive(Clone)]
pub struct Load {
    /// Where to.
    pub address: SocketAddr,
    /// Connections that send at the same time, each one message at a time.
    pub connections: usize,
    /// Messages in all.
    pub count: u64,
    /// Messages a second in all; as fast as answers come without it.
    pub rate: Option<f64>,
    /// How long to wait for an answer before the connection is given up.
    pub answer_within: Duration,
    /// Makes the messages.
    pub message: MessageOf,
}

/// What came back.
#[derive(Clone, Debug, Default)]
pub struct LoadReport {
    /// Answers by MSA-1.
    pub answers: BTreeMap<String, u64>,
    /// Numbers of the messages that were answered AA or CA.
    pub acknowledged: Vec<u64>,
    /// Numbers of the messages that got another answer or none.
    pub failed: Vec<u64>,
    /// From the first message to the last answer.
    pub elapsed: Duration,
    /// From sending to the answer.
    pub latency: Percentiles,
}

impl LoadReport {
    /// Positive answers a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.acknowledged.len() as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// The spread of a measured time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Percentiles {
    /// How many there were.
    pub count: usize,
    /// Half were faster.
    pub p50: Duration,
    /// 90 of 100 were faster.
    pub p90: Duration,
    /// 99 of 100 were faster.
    pub p99: Duration,
    /// 999 of 1000 were faster.
    pub p999: Duration,
    /// The slowest.
    pub max: Duration,
}

impl Percentiles {
    /// Of these times, in any order.
    #[must_use]
    pub fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |per_mille: usize| {
            let rank = (times.len() * per_mille).div_ceil(1000).saturating_sub(1);
            times.get(rank).copied().unwrap_or_default()
        };
        Self {
            count: times.len(),
            p50: at(500),
            p90: at(900),
            p99: at(990),
            p999: at(999),
            max: at(1000),
        }
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        write!(
            f,
            "p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, max {:.2} ms",
            ms(self.p50),
            ms(self.p90),
            ms(self.p99),
            ms(self.p999),
            ms(self.max)
        )
    }
}

impl fmt::Debug for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Load({} to {} over {})",
            self.count, self.address, self.connections
        )
    }
}

/// What one connection saw.
#[derive(Default)]
struct Share {
    answers: BTreeMap<String, u64>,
    acknowledged: Vec<u64>,
    failed: Vec<u64>,
    times: Vec<Duration>,
}

impl Load {
    /// This many messages over this many connections, as fast as answers come.
    #[must_use]
    pub fn new(address: SocketAddr, connections: usize, count: u64, message: MessageOf) -> Self {
        Self {
            address,
            connections,
            count,
            rate: None,
            answer_within: Duration::from_secs(30),
            message,
        }
    }

    /// Sends everything; a lost connection is opened again for the next message. The error is
    /// that no connection could be made at the beginning.
    pub async fn run(&self) -> io::Result<LoadReport> {
        let mut clients = Vec::new();
        for _ in 0..self.connections.max(1) {
            clients.push(Client::connect(self.address).await?);
        }
        let next = Arc::new(AtomicU64::new(0));
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for client in clients {
            tasks.spawn(self.clone().share(client, Arc::clone(&next), start));
        }
        let (mut report, mut times) = (LoadReport::default(), Vec::new());
        while let Some(share) = tasks.join_next().await {
            let share = share.map_err(io::Error::other)?;
            for (code, count) in share.answers {
                *report.answers.entry(code).or_default() += count;
            }
            report.acknowledged.extend(share.acknowledged);
            report.failed.extend(share.failed);
            times.extend(share.times);
        }
        report.elapsed = start.elapsed();
        report.acknowledged.sort_unstable();
        report.failed.sort_unstable();
        report.latency = Percentiles::of(times);
        Ok(report)
    }

    async fn share(self, client: Client, next: Arc<AtomicU64>, start: Instant) -> Share {
        let mut share = Share::default();
        let mut open = Some(client);
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= self.count {
                return share;
            }
            if let Some(rate) = self.rate {
                sleep_until(start + Duration::from_secs_f64(number as f64 / rate)).await;
            }
            let message = (self.message)(number);
            let sent = Instant::now();
            match self.one(&mut open, &message).await {
                Some(answer) => {
                    share.times.push(sent.elapsed());
                    let (code, id) = verdict(&answer);
                    let right = matches!(code.as_str(), "AA" | "CA") && id == field(&message, 10);
                    if right {
                        &mut share.acknowledged
                    } else {
                        &mut share.failed
                    }
                    .push(number);
                    *share.answers.entry(code).or_default() += 1;
                }
                None => {
                    open = None;
                    share.failed.push(number);
                }
            }
        }
    }

    async fn one(&self, open: &mut Option<Client>, message: &[u8]) -> Option<bytes::Bytes> {
        if open.is_none() {
            *open = Client::connect(self.address).await.ok();
        }
        let client = open.as_mut()?;
        timeout(self.answer_within, client.exchange(message))
            .await
            .ok()?
            .ok()
    }
}

/// MSA-1 and MSA-2 of an answer.
fn verdict(answer: &[u8]) -> (String, Vec<u8>) {
    let msa = answer
        .split(|&byte| byte == b'\r')
        .find(|line| line.starts_with(b"MSA"));
    let mut fields = msa.unwrap_or_default().split(|&byte| byte == b'|').skip(1);
    let code = String::from_utf8_lossy(fields.next().unwrap_or(b"none")).into_owned();
    (code, fields.next().unwrap_or_default().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_a_hundred_times() {
        let found = Percentiles::of((1..=100).rev().map(Duration::from_millis).collect());
        assert_eq!(found.p50, Duration::from_millis(50));
        assert_eq!(found.p99, Duration::from_millis(99));
        assert_eq!(found.max, Duration::from_millis(100));
        assert_eq!(Percentiles::of(Vec::new()), Percentiles::default());
    }
}
