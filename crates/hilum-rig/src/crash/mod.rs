//! SIGKILL at random moments under load, or at named places of the program, and what must hold
//! afterwards.
//!
//! Senders, receiver and record live in this process, which is never killed. At the end everything
//! must have arrived; see [`crate::promise`] for what is checked.

mod trial;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use tokio::time::sleep;

use crate::machine;
use crate::relay::Mix;

use trial::{Keep, Trial};

/// A life lasts between these, in milliseconds, and the moment of its end is drawn.
const LIFE_MS: std::ops::Range<u64> = 150..1_500;
/// How long the load runs before and after the end at a failpoint.
const AROUND: Duration = Duration::from_millis(700);
/// How long the load runs until there is something that retention drops.
const AGES: Duration = Duration::from_millis(3_000);

/// A place at which the program ends itself: its name, how often it is reached before in a first
/// round, and what must be the case for it to be reached at all.
const FAILPOINTS: [(&str, u64, Needs); 10] = [
    ("before-append", 200, Needs::Load),
    ("after-commit", 200, Needs::Load),
    ("after-answer", 200, Needs::Load),
    ("before-send", 200, Needs::Load),
    ("after-send", 200, Needs::Load),
    ("after-settle", 200, Needs::Load),
    ("roll", 2, Needs::Load),
    ("retention", 1, Needs::Age),
    ("blob-write", 5, Needs::Large),
    ("index-write", 20, Needs::Load),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// Nothing but messages.
    Load,
    /// Messages with large attachments.
    Large,
    /// A node that keeps messages for a second, and messages that are older.
    Age,
}

/// `hilum-rig crash`
#[derive(Debug, Args)]
pub(crate) struct Crash {
    /// The program
    #[arg(long, value_name = "FILE")]
    hilum: PathBuf,
    /// The site to run: the relay example
    #[arg(long, value_name = "FOLDER", default_value = "config/examples/relay")]
    site: PathBuf,
    /// How often it is killed; with --failpoints by default once at each
    #[arg(long)]
    rounds: Option<usize>,
    /// Ends at named places of the program instead of at random moments
    #[arg(long)]
    failpoints: bool,
    /// Ends at this place only
    #[arg(long, value_name = "NAME", requires = "failpoints")]
    only: Option<String>,
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
        if self.failpoints {
            self.at_failpoints().await
        } else {
            self.at_random().await
        }
    }

    async fn at_random(&self) -> Result<()> {
        let rounds = self.rounds.unwrap_or(10);
        let mut trial = Trial::begin(self, Mix::Small, Keep::Forever).await?;
        let mut program = trial.start()?;
        let mut drawn = self.seed;
        for round in 1..=rounds {
            sleep(Duration::from_millis(draw(&mut drawn, LIFE_MS))).await;
            program.must_run()?;
            program.kill()?;
            trial.killed().await;
            let before = trial.accepted();
            program = trial.start()?;
            println!(
                "kill {round} of {rounds}: {before} accepted, {} delivered, ready again after {:?}",
                trial.delivered(),
                program.ready_after
            );
        }
        sleep(Duration::from_millis(draw(&mut drawn, LIFE_MS))).await;
        println!("{}", trial.end(program).await?);
        Ok(())
    }

    /// Each place in turn, each with a journal of its own.
    async fn at_failpoints(&self) -> Result<()> {
        let places: Vec<_> = FAILPOINTS
            .into_iter()
            .filter(|(name, ..)| self.only.as_deref().is_none_or(|only| only == *name))
            .collect();
        let rounds = self.rounds.unwrap_or(places.len());
        let mut drawn = self.seed;
        for (round, (name, first, needs)) in (1..=rounds).zip(places.iter().cycle()) {
            // The first time at each as written, later anywhere around it.
            let count = if round <= places.len() {
                *first
            } else {
                draw(&mut drawn, 1..first * 2 + 1)
            };
            let place = format!("{name}:{count}");
            let said = self.at(&place, *needs).await;
            let said = said.with_context(|| format!("ended at {place}"))?;
            println!("round {round} of {rounds}, ended at {place}: {said}");
        }
        Ok(())
    }

    async fn at(&self, place: &str, needs: Needs) -> Result<String> {
        let (mix, keep) = match needs {
            Needs::Load => (Mix::Small, Keep::Forever),
            Needs::Large => (Mix::SomeLarge, Keep::Forever),
            Needs::Age => (Mix::Small, Keep::ForASecond),
        };
        let mut trial = Trial::begin(self, mix, keep).await?;
        if needs == Needs::Age {
            let mut program = trial.start_under("retention:1000000")?;
            sleep(AGES).await;
            program.kill()?;
            trial.killed().await;
        }
        trial.dies_at(place).await?;
        trial.killed().await;
        let program = trial.start()?;
        sleep(AROUND).await;
        trial.end(program).await
    }
}

/// A number of the range, from a small generator that is the same everywhere.
fn draw(state: &mut u64, range: std::ops::Range<u64>) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    range.start + (*state >> 33) % (range.end - range.start)
}
