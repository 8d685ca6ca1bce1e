//! SIGKILL at random moments under load, and what must hold afterwards.
//!
//! Senders, receiver and record live in this process, which is never killed. Senders behave as
//! real ones do: each waits for its answer, and sends a message again, with the same control id,
//! until it is accepted. At the end everything must have arrived; see [`record`] for what is
//! checked.

mod record;
mod sender;

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use hilum_testkit::mllp::{Behaviour, Keep, Receiver};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::program::Program;
use crate::{machine, relay};

use record::Record;

/// How long a start may take; what is queued must not make it slow.
const READY_WITHIN: Duration = Duration::from_secs(15);
/// How long the rest may take to arrive after the last kill.
const ARRIVE_WITHIN: Duration = Duration::from_secs(60);
const STOP_WITHIN: Duration = Duration::from_secs(40);
/// A life lasts between these, in milliseconds, and the moment of its end is drawn.
const LIFE_MS: std::ops::Range<u64> = 150..1_500;
/// Time for the receiver to notice the connections of a program that was just killed.
const SETTLE: Duration = Duration::from_millis(50);

/// `hilum-rig crash`
#[derive(Debug, Args)]
pub(crate) struct Crash {
    /// The program
    #[arg(long, value_name = "FILE")]
    hilum: PathBuf,
    /// The site to run: the relay example
    #[arg(long, value_name = "FOLDER", default_value = "config/examples/relay")]
    site: PathBuf,
    /// How often it is killed
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// Senders that each wait for their answer
    #[arg(long, default_value_t = 16)]
    senders: u64,
    /// Chooses the moments; the same seed draws the same ones
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Deliveries before a kill that may be made again after it
    #[arg(long, default_value_t = 512)]
    window: usize,
    /// Where data and logs go
    #[arg(long, value_name = "FOLDER", default_value = "target/rig")]
    work: PathBuf,
}

impl Crash {
    pub(crate) async fn run(self) -> Result<()> {
        println!("machine: {}, seed {}", machine::described(), self.seed);
        let data = self.work.join("crash-data");
        if data.exists() {
            std::fs::remove_dir_all(&data).with_context(|| format!("empty {}", data.display()))?;
        }
        std::fs::create_dir_all(&data).with_context(|| format!("create {}", data.display()))?;
        let sink =
            Receiver::start_at(relay::delivers(), Behaviour::default(), Keep::Digests).await?;
        let over = Arc::new(AtomicBool::new(false));
        let accepted = Arc::new(AtomicU64::new(0));
        let mut senders = JoinSet::new();
        let mut program = self.start(&data)?;
        for number in 0..self.senders {
            let sender = sender::Sender::new(number, self.senders, &over, &accepted);
            senders.spawn(sender.run());
        }

        let mut lives = Vec::new();
        let mut drawn = self.seed;
        for round in 1..=self.rounds {
            sleep(Duration::from_millis(draw(&mut drawn, LIFE_MS))).await;
            program.must_run()?;
            program.kill()?;
            sleep(SETTLE).await;
            lives.push(sink.connections());
            let before = accepted.load(Ordering::SeqCst);
            program = self.start(&data)?;
            println!(
                "kill {round} of {}: {before} accepted, {} delivered, ready again after {:?}",
                self.rounds,
                sink.count(),
                program.ready_after
            );
        }
        sleep(Duration::from_millis(draw(&mut drawn, LIFE_MS))).await;
        over.store(true, Ordering::SeqCst);
        let mut record = Record::new(lives, self.window);
        while let Some(sent) = senders.join_next().await {
            record.sent(sent.context("a sender failed")??);
        }
        self.arrived(&mut program, &sink, &record).await?;
        program.stop(STOP_WITHIN)?;
        let findings = record.check(&sink.received());
        println!("{}", findings.summary);
        if findings.broken.is_empty() {
            return Ok(());
        }
        for line in findings.broken.iter().take(20) {
            println!("BROKEN: {line}");
        }
        bail!(
            "{} promises broken; data kept in {}; again with --seed {}",
            findings.broken.len(),
            data.display(),
            self.seed
        )
    }

    fn start(&self, data: &std::path::Path) -> Result<Program> {
        let mut hilum = Command::new(&self.hilum);
        hilum.arg("run").arg(&self.site).arg("--data").arg(data);
        Program::start(&mut hilum, &self.work.join("crash.log"), READY_WITHIN)
    }

    /// Waits until the receiver has as many different messages as were accepted, and no more come.
    async fn arrived(&self, program: &mut Program, sink: &Receiver, record: &Record) -> Result<()> {
        let deadline = Instant::now() + ARRIVE_WITHIN;
        loop {
            program.must_run()?;
            let before = sink.count();
            sleep(Duration::from_millis(300)).await;
            let quiet = sink.count() == before;
            if quiet && record.all_arrived(&sink.control_ids()) {
                return Ok(());
            }
            if Instant::now() > deadline {
                // What is missing is a finding of the record, not of the wait.
                println!("not everything arrived within {ARRIVE_WITHIN:?}");
                return Ok(());
            }
        }
    }
}

/// A number of the range, from a small generator that is the same everywhere.
fn draw(state: &mut u64, range: std::ops::Range<u64>) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    range.start + (*state >> 33) % (range.end - range.start)
}
