//! A long queue: what it costs in memory, and how long a start with it takes after a kill.
//!
//! Nobody listens at the other end, so that everything that is sent waits.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::Args;

use super::{READY_WITHIN, STOP_WITHIN, announce, load};
use crate::program::Program;

/// `hilum-rig backlog`
#[derive(Debug, Args)]
pub(crate) struct Backlog {
    /// The program
    #[arg(long, value_name = "FILE")]
    hilum: PathBuf,
    /// The site to run
    #[arg(long, value_name = "FOLDER", default_value = "config/examples/relay")]
    site: PathBuf,
    /// Messages that wait; the queue must be longer than that (`queue-max`)
    #[arg(long, default_value_t = 999_000)]
    queued: u64,
    /// Senders that each wait for their answer
    #[arg(long, default_value_t = 32)]
    senders: usize,
    /// Where data and logs go
    #[arg(long, value_name = "FOLDER", default_value = "target/rig")]
    work: PathBuf,
}

impl Backlog {
    pub(crate) async fn run(self) -> Result<()> {
        announce();
        let data = self.work.join("backlog-data");
        if data.exists() {
            std::fs::remove_dir_all(&data).with_context(|| format!("empty {}", data.display()))?;
        }
        std::fs::create_dir_all(&data).with_context(|| format!("create {}", data.display()))?;
        let mut program = self.start(&data)?;
        let idle_mb = program.resident_mb()?;
        load::send(self.senders, 0, self.queued).await?;
        let queued_mb = program.resident_mb()?;
        program.kill()?;
        let mut program = self.start(&data)?;
        let (ready_s, started_mb) = (program.ready_after.as_secs_f64(), program.resident_mb()?);
        program.stop(STOP_WITHIN)?;
        println!(
            "{} queued: resident {idle_mb:.0} MB idle, {queued_mb:.0} MB queued; after a kill \
             ready in {ready_s:.2} s with {started_mb:.0} MB",
            self.queued
        );
        std::fs::remove_dir_all(&data).with_context(|| format!("remove {}", data.display()))
    }

    fn start(&self, data: &std::path::Path) -> Result<Program> {
        let mut hilum = Command::new(&self.hilum);
        hilum.arg("run").arg(&self.site).arg("--data").arg(data);
        Program::start(&mut hilum, &self.work.join("backlog.log"), READY_WITHIN)
    }
}
