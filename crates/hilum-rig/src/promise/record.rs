//! The record of what was promised and what came, and the comparison.
//!
//! - *No loss*: every message that was answered AA or CA arrives.
//! - *Order*: of one patient's messages, which one sender sent one after the other, each arrives
//!   first after its predecessor; within one life of the program none arrives after a later one.
//! - *Duplicates*: within one life none arrives again that its receiver had said yes to; after a
//!   kill only deliveries of the window before it may come again.
//! - *Bytes*: what arrives is what the relay must make of what was sent; what the journal holds as
//!   received and as sent is the same ([`super::stored`]).

use std::collections::{BTreeMap, HashMap, HashSet};

use hilum_testkit::mllp::Received;
use sha2::{Digest, Sha256};

use super::Sent;
use crate::relay::{self, Mix};

/// What senders sent and what they were told.
#[derive(Debug)]
pub(crate) struct Record {
    /// Connections that the receiver had had when the program was killed, or when it cut them
    /// itself, one for each time.
    lives: Vec<u64>,
    window: usize,
    mix: Mix,
    sent: BTreeMap<u64, Sent>,
}

/// What the comparison found.
#[derive(Debug)]
pub(crate) struct Findings {
    pub(crate) summary: String,
    pub(crate) broken: Vec<String>,
}

/// One arrival: its place in the receiver's list and the life of the program that made it.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    at: usize,
    life: usize,
    /// The receiver said yes to it.
    accepted: bool,
}

impl Record {
    pub(crate) const fn new(lives: Vec<u64>, window: usize, mix: Mix) -> Self {
        Self {
            lives,
            window,
            mix,
            sent: BTreeMap::new(),
        }
    }

    pub(crate) fn sent(&mut self, all: Vec<Sent>) {
        self.sent
            .extend(all.into_iter().map(|sent| (sent.number, sent)));
    }

    /// How many messages were sent and accepted.
    pub(crate) fn count(&self) -> usize {
        self.sent.len()
    }

    /// By control id, the bytes that were sent for it.
    pub(crate) fn originals(&self) -> HashMap<String, Vec<u8>> {
        let original = |sent: &Sent| {
            let id = relay::control_id(sent.number);
            (id, self.mix.message(sent.patient, sent.number))
        };
        self.sent.values().map(original).collect()
    }

    pub(crate) fn all_arrived(&self, ids: &[String]) -> bool {
        let ids: HashSet<&str> = ids.iter().map(String::as_str).collect();
        self.sent
            .keys()
            .all(|number| ids.contains(relay::control_id(*number).as_str()))
    }

    pub(crate) fn check(&self, received: &[Received]) -> Findings {
        let numbers: HashMap<String, u64> = self
            .sent
            .keys()
            .map(|number| (relay::control_id(*number), *number))
            .collect();
        let mut broken = Vec::new();
        let mut arrivals: BTreeMap<u64, Vec<Arrival>> = BTreeMap::new();
        let mut lengths = vec![0_usize; self.lives.len() + 1];
        for (at, message) in received.iter().enumerate() {
            let life = self.life_of(message.connection);
            if let Some(length) = lengths.get_mut(life) {
                *length = at + 1;
            }
            match numbers.get(&message.control_id) {
                Some(number) => {
                    arrivals.entry(*number).or_default().push(Arrival {
                        at,
                        life,
                        accepted: message.accepted,
                    });
                    self.check_bytes(*number, message, &mut broken);
                }
                None => broken.push(format!(
                    "{} arrived, but was never sent",
                    message.control_id
                )),
            }
        }
        for sent in self.sent.values().filter(|sent| sent.accepted) {
            if !arrivals.contains_key(&sent.number) {
                broken.push(format!(
                    "{} was accepted and is lost",
                    relay::control_id(sent.number)
                ));
            }
        }
        self.check_order(&arrivals, &mut broken);
        let (again, farthest) = self.check_duplicates(&arrivals, &lengths, &mut broken);
        let resent: u32 = self
            .sent
            .values()
            .map(|sent| sent.times.saturating_sub(1))
            .sum();
        let summary = format!(
            "{} messages accepted, {resent} sent again by their senders, {} arrivals, {again} of \
             them again",
            self.sent.len(),
            received.len(),
        );
        let kills = self.lives.len();
        let summary = if kills == 0 {
            summary
        } else {
            format!("{summary} (the farthest {farthest} deliveries before a cut), {kills} cuts")
        };
        Findings { summary, broken }
    }

    fn life_of(&self, connection: u64) -> usize {
        self.lives
            .iter()
            .take_while(|last| connection > **last)
            .count()
    }

    fn check_bytes(&self, number: u64, message: &Received, broken: &mut Vec<String>) {
        let Some(sent) = self.sent.get(&number) else {
            return;
        };
        let expected = relay::relayed(&self.mix.message(sent.patient, number));
        let digest: [u8; 32] = Sha256::digest(&expected).into();
        if message.digest != Some(digest) {
            broken.push(format!(
                "{} arrived with other bytes ({} instead of {})",
                message.control_id,
                message.length,
                expected.len()
            ));
        }
    }

    fn check_order(&self, arrivals: &BTreeMap<u64, Vec<Arrival>>, broken: &mut Vec<String>) {
        // Of each patient: the latest first arrival so far, and the latest arrival in each life.
        let mut firsts: HashMap<u64, (usize, u64)> = HashMap::new();
        let mut in_life: HashMap<(u64, usize), (usize, u64)> = HashMap::new();
        for (number, all) in arrivals {
            let Some(sent) = self.sent.get(number) else {
                continue;
            };
            for (position, arrival) in all.iter().enumerate() {
                let id = relay::control_id(*number);
                let mut overtaken = |before: Option<(usize, u64)>| {
                    if let Some((at, earlier)) = before.filter(|(at, _)| *at > arrival.at) {
                        let earlier = relay::control_id(earlier);
                        broken.push(format!(
                            "{id} arrived before {earlier} ({} < {at})",
                            arrival.at
                        ));
                    }
                };
                if position == 0 {
                    overtaken(firsts.insert(sent.patient, (arrival.at, *number)));
                }
                overtaken(in_life.insert((sent.patient, arrival.life), (arrival.at, *number)));
            }
        }
    }

    /// How many arrived again, and how far before the kill the farthest of them was.
    fn check_duplicates(
        &self,
        arrivals: &BTreeMap<u64, Vec<Arrival>>,
        ends: &[usize],
        broken: &mut Vec<String>,
    ) -> (usize, usize) {
        let mut again = 0;
        let mut farthest = 0;
        for (number, all) in arrivals {
            for pair in all.windows(2) {
                let [first, second] = pair else { continue };
                again += 1;
                let id = relay::control_id(*number);
                if first.life == second.life {
                    if first.accepted {
                        broken.push(format!("{id} came again, though the receiver had said yes"));
                    }
                    continue;
                }
                let end = ends.get(first.life).copied().unwrap_or_default();
                let before = end.saturating_sub(first.at);
                farthest = farthest.max(before);
                if before > self.window {
                    broken.push(format!(
                        "{id} came again, though it had arrived {before} deliveries before the kill"
                    ));
                }
            }
        }
        (again, farthest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(number: u64) -> Sent {
        Sent {
            number,
            patient: 1,
            accepted: true,
            times: 1,
        }
    }

    fn came(number: u64, connection: u64) -> Received {
        let bytes = relay::relayed(&relay::message(1, number));
        Received {
            number: 0,
            connection,
            control_id: relay::control_id(number),
            length: bytes.len(),
            digest: Some(Sha256::digest(&bytes).into()),
            bytes: None,
            accepted: true,
            at: tokio::time::Instant::now(),
        }
    }

    /// Three messages of one patient, one kill after connection 1, a window of two deliveries.
    fn check(received: &[Received], expected: &[&str]) {
        let mut record = Record::new(vec![1], 2, Mix::Small);
        record.sent((1..=3).map(sent).collect());
        let found = record.check(received);
        assert_eq!(found.broken.len(), expected.len(), "{:?}", found.broken);
        for (found, expected) in found.broken.iter().zip(expected) {
            assert!(found.contains(expected), "{found}");
        }
    }

    #[test]
    fn is_content_when_everything_came_in_order() {
        check(&[came(1, 1), came(2, 1), came(3, 2)], &[]);
    }

    #[test]
    fn allows_what_was_under_way_at_the_kill_to_come_again() {
        check(
            &[came(1, 1), came(2, 1), came(1, 2), came(2, 2), came(3, 2)],
            &[],
        );
    }

    #[test]
    fn notices_a_loss() {
        check(&[came(1, 1), came(3, 1)], &["is lost"]);
    }

    #[test]
    fn notices_an_overtaking() {
        let both = ["arrived before", "arrived before"];
        check(&[came(1, 1), came(3, 1), came(2, 1)], &both);
        check(&[came(1, 1), came(3, 1), came(2, 2)], &["arrived before"]);
    }

    #[test]
    fn notices_a_duplicate_without_a_kill_or_from_long_before() {
        check(
            &[came(1, 1), came(1, 1), came(2, 1), came(3, 1)],
            &["had said yes"],
        );
        check(
            &[came(1, 1), came(2, 1), came(3, 1), came(1, 2)],
            &["came again"],
        );
    }

    #[test]
    fn allows_what_the_receiver_did_not_take_to_come_again() {
        let refused = Received {
            accepted: false,
            ..came(1, 1)
        };
        check(&[refused, came(1, 1), came(2, 1), came(3, 1)], &[]);
    }

    #[test]
    fn notices_other_bytes() {
        let mut other = came(2, 1);
        other.digest = Some([0; 32]);
        check(&[came(1, 1), other, came(3, 1)], &["other bytes"]);
    }
}
