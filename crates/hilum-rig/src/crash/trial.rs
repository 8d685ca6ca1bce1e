//! One journal under load through several lives of the program.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use hilum_testkit::mllp::{Behaviour, Keep as Kept, Receiver};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::Crash;
use crate::folder;
use crate::program::Program;
use crate::promise::{Load, Place, Record, Retention, Sent, compare};
use crate::relay::{self, Mix};

/// How long a start may take; what is queued must not make it slow.
const READY_WITHIN: Duration = Duration::from_secs(15);
/// How long it may take until the program reaches a failpoint.
const DIES_WITHIN: Duration = Duration::from_secs(60);
/// How long the rest may take to arrive after the last kill.
const ARRIVE_WITHIN: Duration = Duration::from_secs(60);
const STOP_WITHIN: Duration = Duration::from_secs(40);
/// Time for the receiver to notice the connections of a program that was just killed.
const SETTLE: Duration = Duration::from_millis(50);
/// Findings that are shown.
const SHOWN: usize = 20;

/// How long the node keeps messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    Forever,
    ForASecond,
}

pub(super) struct Trial<'a> {
    crash: &'a Crash,
    site: PathBuf,
    data: PathBuf,
    log: PathBuf,
    keep: Keep,
    mix: Mix,
    sink: Receiver,
    load: Load,
    senders: JoinSet<Result<Vec<Sent>>>,
    lives: Vec<u64>,
}

impl<'a> Trial<'a> {
    /// An empty journal, a receiver and senders that wait for a program.
    pub(super) async fn begin(crash: &'a Crash, mix: Mix, keep: Keep) -> Result<Self> {
        let home = crash.work.join("crash");
        folder::empty(&home)?;
        let site = home.join("site");
        folder::copy(&crash.site, &site)?;
        if keep == Keep::ForASecond {
            let file = site.join("hilum.yaml");
            let text = std::fs::read_to_string(&file)?;
            std::fs::write(&file, format!("{text}\nkeep: 1s\n"))?;
        }
        let sink =
            Receiver::start_at(relay::delivers(), Behaviour::default(), Kept::Digests).await?;
        let load = Load::new(relay::listens(), mix, crash.senders);
        Ok(Self {
            crash,
            site,
            data: home.join("data"),
            log: crash.work.join("crash.log"),
            keep,
            mix,
            sink,
            senders: load.start(),
            load,
            lives: Vec::new(),
        })
    }

    fn command(&self) -> Command {
        let mut hilum = Command::new(&self.crash.hilum);
        hilum.arg("run").arg(&self.site);
        hilum.arg("--data").arg(&self.data);
        hilum
    }

    pub(super) fn start(&self) -> Result<Program> {
        Program::start(&mut self.command(), &self.log, READY_WITHIN)
    }

    /// Starts the program as the failpoints need it, at one that it will not reach.
    pub(super) fn start_under(&self, place: &str) -> Result<Program> {
        let mut hilum = self.command();
        hilum.env("HILUM_FAILPOINT", place);
        Program::start(&mut hilum, &self.log, READY_WITHIN)
    }

    /// Runs the program until it ends at a failpoint.
    pub(super) async fn dies_at(&self, place: &str) -> Result<()> {
        let mut hilum = self.command();
        hilum.env("HILUM_FAILPOINT", place);
        Program::dies(&mut hilum, &self.log, DIES_WITHIN).await
    }

    /// Notes the end of a life.
    pub(super) async fn killed(&mut self) {
        sleep(SETTLE).await;
        self.lives.push(self.sink.connections());
    }

    pub(super) fn accepted(&self) -> u64 {
        self.load.accepted()
    }

    pub(super) fn delivered(&self) -> u64 {
        self.sink.count()
    }

    /// Ends the load, waits for what is under way, and compares; what was found, in a sentence.
    pub(super) async fn end(mut self, mut program: Program) -> Result<String> {
        self.load.end();
        let lives = std::mem::take(&mut self.lives);
        let mut record = Record::new(lives, self.crash.window, self.mix);
        while let Some(sent) = self.senders.join_next().await {
            record.sent(sent.context("a sender failed")??);
        }
        self.arrived(&mut program, &record).await?;
        let place = Place {
            admin: relay::admin(),
            channel: "relay".to_owned(),
        };
        let retention = match self.keep {
            Keep::Forever => Retention::Off,
            Keep::ForASecond => Retention::On,
        };
        let compared = compare(&place, record.originals(), retention).await?;
        program.stop(STOP_WITHIN)?;
        let mut findings = record.check(&self.sink.received());
        if compared.messages < record.count() && self.keep == Keep::Forever {
            findings.broken.push(format!(
                "the journal has {} messages of {}",
                compared.messages,
                record.count()
            ));
        }
        findings.broken.extend(compared.broken);
        self.sink.down().await;
        if findings.broken.is_empty() {
            return Ok(format!(
                "{}; {} read back with the right bytes",
                findings.summary, compared.messages
            ));
        }
        println!("{}", findings.summary);
        for broken in findings.broken.iter().take(SHOWN) {
            println!("  {broken}");
        }
        bail!(
            "{} promises broken; data kept in {}; again with --seed {}",
            findings.broken.len(),
            self.data.display(),
            self.crash.seed
        )
    }

    /// Waits until the receiver has as many different messages as were accepted, and no more come.
    async fn arrived(&self, program: &mut Program, record: &Record) -> Result<()> {
        let deadline = Instant::now() + ARRIVE_WITHIN;
        loop {
            program.must_run()?;
            let before = self.sink.count();
            sleep(Duration::from_millis(300)).await;
            let quiet = self.sink.count() == before;
            if quiet && record.all_arrived(&self.sink.control_ids()) {
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
