//! Receivers that hang, reset, answer wrongly or not at all, each behind a channel of its own, all
//! at the same time, beside one that is well.
//!
//! What must hold: each destination says what is the matter; every channel goes on accepting, and
//! the healthy one goes on delivering; when a receiver is well again its channel catches up without
//! a restart, with every promise kept.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use hilum_testkit::mllp::{Behaviour, Keep, Reaction, Receiver};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::site::Site;
use super::{LOOK_EVERY, PATIENCE, READY_WITHIN, STOP_WITHIN, Senders, WINDOW, kept};
use crate::api::Api;
use crate::program::Program;
use crate::promise::Load;
use crate::relay::Mix;

/// How long all are well before and after.
const AROUND: Duration = Duration::from_secs(1);
/// Senders of a channel, and how long each rests after a message.
const SENDERS: u64 = 3;
const REST: Duration = Duration::from_millis(20);
/// Numbers that one channel has.
const SHARE: u64 = 1_000_000;
/// How long nothing may arrive at a healthy receiver while others are not, on a busy machine.
const GAP_MAX: Duration = Duration::from_secs(3);

/// What a receiver does for a while.
enum Fault {
    /// Nothing wrong.
    Well,
    /// This with every message.
    Always(Reaction),
    /// It is gone.
    Down,
    /// A bit of everything.
    Mixed,
}

/// How the program sees it.
struct Seen {
    state: &'static str,
    /// Words of what it says about it.
    trouble: &'static str,
}

const HEALTHY: &str = "well";

/// The channels, what their receivers do, and how the program must see them.
fn trials() -> Vec<(&'static str, Fault, Option<Seen>)> {
    let away = |trouble| {
        Some(Seen {
            state: "suspended",
            trouble,
        })
    };
    let at_fault = |trouble| {
        Some(Seen {
            state: "paused",
            trouble,
        })
    };
    let always = Fault::Always;
    vec![
        (HEALTHY, Fault::Well, None),
        (
            "hangs",
            always(Reaction::Nothing),
            away("did not answer within"),
        ),
        (
            "answers-too-late",
            always(Reaction::Slow(Duration::from_millis(50))),
            away("did not answer within"),
        ),
        (
            "stops-in-an-answer",
            always(Reaction::Raw(b"\x0bMSH|^~\\&|".to_vec())),
            away("did not answer within"),
        ),
        (
            "closes",
            always(Reaction::Close),
            away("closed the connection"),
        ),
        ("resets", always(Reaction::Reset), away("reset")),
        ("is-down", Fault::Down, away("refused")),
        (
            "answers-other-ids",
            always(Reaction::WrongId),
            at_fault("answered another message twice"),
        ),
        (
            "answers-no-hl7",
            always(Reaction::Frame(b"450 no such user".to_vec())),
            at_fault("cannot be read"),
        ),
        ("mixed", Fault::Mixed, None),
    ]
}

/// One channel under trial.
struct Trial {
    name: &'static str,
    fault: Fault,
    seen: Option<Seen>,
    receiver: Receiver,
    senders: Senders,
    /// See [`Senders::end`].
    cuts: Vec<u64>,
}

impl Trial {
    /// The fault begins.
    async fn misbehave(&mut self) {
        let behaviour = match &self.fault {
            Fault::Well => return,
            Fault::Down => {
                self.receiver.down().await;
                self.cuts.push(self.receiver.connections());
                return;
            }
            Fault::Always(reaction) => Behaviour::always(reaction.clone()),
            Fault::Mixed => Behaviour {
                every: vec![
                    (5, Reaction::Reset),
                    (7, Reaction::WrongId),
                    (11, Reaction::Nothing),
                    (13, Reaction::Close),
                ],
                ..Behaviour::default()
            },
        };
        self.receiver.behave(behaviour);
    }

    /// The fault is over.
    async fn mend(&mut self) -> Result<()> {
        self.receiver.behave(Behaviour::default());
        match self.fault {
            Fault::Down => Ok(self.receiver.up().await?),
            Fault::Well | Fault::Always(_) | Fault::Mixed => Ok(()),
        }
    }
}

pub(super) async fn run(hilum: &Path, home: &Path, lasting: Duration) -> Result<()> {
    let mut receivers = Vec::new();
    for (name, fault, seen) in trials() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let receiver = Receiver::start_at(any, Behaviour::default(), Keep::Digests).await?;
        receivers.push((name, fault, seen, receiver));
    }
    let relays: Vec<(&str, SocketAddr)> = receivers
        .iter()
        .map(|(name, _, _, receiver)| (*name, receiver.address()))
        .collect();
    crate::folder::empty(home)?;
    let site = Site::write(&home.join("site"), &relays)?;
    let mut command = Command::new(hilum);
    command.arg("run").arg(&site.folder);
    command.arg("--data").arg(home.join("data"));
    let mut program = Program::start(&mut command, &home.join("hilum.log"), READY_WITHIN)?;
    let mut trials = Vec::new();
    for (at, (name, fault, seen, receiver)) in (0_u64..).zip(receivers) {
        let mut load = Load::new(site.listens(name)?, Mix::Small, SENDERS);
        (load.first, load.rest) = (at * SHARE, REST);
        trials.push(Trial {
            name,
            fault,
            seen,
            receiver,
            senders: Senders::start(load),
            cuts: Vec::new(),
        });
    }
    sleep(AROUND).await;
    during(&mut program, &site, &mut trials, lasting).await?;
    for trial in &mut trials {
        trial.mend().await?;
    }
    resume(&site, &trials).await?;
    sleep(AROUND).await;
    after(&mut program, &site, trials).await?;
    program.stop(STOP_WITHIN)?;
    std::fs::remove_dir_all(home).with_context(|| format!("remove {}", home.display()))
}

/// While the receivers misbehave: all channels go on accepting, the healthy one delivers, and the
/// program says what is the matter.
async fn during(
    program: &mut Program,
    site: &Site,
    trials: &mut [Trial],
    lasting: Duration,
) -> Result<()> {
    for trial in &mut *trials {
        trial.misbehave().await;
    }
    let accepted: Vec<u64> = trials.iter().map(|t| t.senders.load.accepted()).collect();
    sleep(lasting).await;
    program.must_run()?;
    let mut api = Api::new(site.admin);
    for trial in &*trials {
        if let Some(seen) = &trial.seen {
            says(&mut api, trial.name, seen).await?;
        }
    }
    for (trial, before) in trials.iter().zip(accepted) {
        let more = trial.senders.load.accepted() - before;
        ensure!(
            more > SENDERS,
            "{} accepted only {more} messages while its receiver was not well",
            trial.name
        );
    }
    Ok(())
}

/// Waits until the program says of a destination what is expected.
async fn says(api: &mut Api, channel: &str, seen: &Seen) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = api.get("/api/v1/status").await?;
        let found = destination(&status, channel).context("the channel in the status")?;
        let trouble = found["trouble"].as_str().unwrap_or_default();
        if found["state"] == seen.state && trouble.contains(seen.trouble) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!(
                "{channel} is {} ({trouble:?}) instead of {} ({})",
                found["state"],
                seen.state,
                seen.trouble
            );
        }
        sleep(LOOK_EVERY).await;
    }
}

fn destination<'a>(status: &'a Value, channel: &str) -> Option<&'a Value> {
    let channels = status["channels"].as_array()?;
    let found = channels.iter().find(|one| one["name"] == channel)?;
    found["destinations"].as_array()?.first()
}

/// What an operator does once a peer that was at fault is mended.
async fn resume(site: &Site, trials: &[Trial]) -> Result<()> {
    let mut api = Api::new(site.admin);
    for trial in trials {
        // A bit of everything may hold two wrong ids in a row.
        let mixed = matches!(trial.fault, Fault::Mixed);
        if mixed
            || trial
                .seen
                .as_ref()
                .is_some_and(|seen| seen.state == "paused")
        {
            let name = trial.name;
            let path = format!("/api/v1/channels/{name}/destinations/receiver/resume");
            api.post(&path).await?;
        }
    }
    Ok(())
}

/// Everything arrives, and every promise was kept.
async fn after(program: &mut Program, site: &Site, trials: Vec<Trial>) -> Result<()> {
    let mut ended = Vec::new();
    for trial in trials {
        let record = trial.senders.end(Mix::Small, trial.cuts).await?;
        ended.push((trial.name, trial.fault, trial.receiver, record));
    }
    for (name, fault, receiver, record) in ended {
        let summary = kept(program, &site.place(name), &record, &receiver).await?;
        println!("{name}: {summary}");
        if !matches!(fault, Fault::Mixed) {
            let again = came_again(&receiver);
            ensure!(
                again <= WINDOW,
                "{name}: {again} messages came more than once, more than were under way"
            );
        }
        if matches!(fault, Fault::Well) {
            let gap = longest_gap(&receiver);
            println!("  at most {gap:.0?} between two arrivals");
            ensure!(
                gap <= GAP_MAX,
                "nothing arrived at a healthy receiver for {gap:.1?} while others were not well"
            );
        }
    }
    Ok(())
}

/// Messages that arrived more than once.
fn came_again(receiver: &Receiver) -> usize {
    let mut times: HashMap<String, u32> = HashMap::new();
    for id in receiver.control_ids() {
        *times.entry(id).or_default() += 1;
    }
    times.values().filter(|times| **times > 1).count()
}

fn longest_gap(receiver: &Receiver) -> Duration {
    let received = receiver.received();
    let gaps = received.iter().zip(received.iter().skip(1));
    gaps.map(|(one, next)| next.at.saturating_duration_since(one.at))
        .max()
        .unwrap_or(Duration::MAX)
}
