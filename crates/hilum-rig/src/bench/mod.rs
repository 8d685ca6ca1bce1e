//! Load on the hub, measured beside the limit program.
//!
//! Every round runs both, one after the other, with the same messages, senders and sink, each with
//! a fresh folder of data: on a shared machine only the ratio of neighbours means anything. Figures
//! are medians of the rounds. What is measured is what a peer sees, and `/proc` for time and memory.

mod backlog;
mod figures;
mod limit;
mod load;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::program::Program;
use crate::{machine, relay};

use figures::{Figures, Table};
use load::{Shape, Sink};

pub(crate) use backlog::Backlog;
pub(crate) use limit::LimitEngine;

const READY_WITHIN: Duration = Duration::from_secs(30);
const STOP_WITHIN: Duration = Duration::from_secs(40);

/// `hilum-rig hub`
#[derive(Debug, Args)]
pub(crate) struct Hub {
    /// The program
    #[arg(long, value_name = "FILE")]
    hilum: PathBuf,
    /// The site to run
    #[arg(long, value_name = "FOLDER", default_value = "config/examples/relay")]
    site: PathBuf,
    #[command(flatten)]
    load: Shapes,
}

/// `hilum-rig limit`
#[derive(Debug, Args)]
pub(crate) struct Limit {
    #[command(flatten)]
    load: Shapes,
}

/// How much load, how often.
#[derive(Debug, Args)]
struct Shapes {
    /// Senders that each wait for their answer
    #[arg(long, value_delimiter = ',', default_value = "1,8,32")]
    senders: Vec<usize>,
    /// How long one measurement is to take
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// How often each is measured
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Where data and logs go, on the disk that is to be measured
    #[arg(long, value_name = "FOLDER", default_value = "target/rig")]
    work: PathBuf,
}

impl Hub {
    pub(crate) async fn run(self) -> Result<()> {
        announce();
        let mut table = Table::default();
        for round in 1..=self.load.rounds {
            for &senders in &self.load.senders {
                let shape = self.load.shape(senders);
                let mut hilum = Command::new(&self.hilum);
                hilum.arg("run").arg(&self.site);
                let figures = measure("hilum", hilum, &self.load.work, shape).await?;
                println!("round {round}, {senders} senders, hilum: {figures}");
                table.add(senders, "hilum", figures);
                let figures = limit(&self.load.work, shape).await?;
                println!("round {round}, {senders} senders, limit: {figures}");
                table.add(senders, "limit", figures);
            }
        }
        announce();
        println!("{}", table.shown());
        Ok(())
    }
}

impl Limit {
    pub(crate) async fn run(self) -> Result<()> {
        announce();
        let mut table = Table::default();
        for round in 1..=self.load.rounds {
            for &senders in &self.load.senders {
                let shape = self.load.shape(senders);
                let figures = limit(&self.load.work, shape).await?;
                println!("round {round}, {senders} senders: {figures}");
                table.add(senders, "limit", figures);
            }
        }
        println!("{}", table.shown());
        Ok(())
    }
}

impl Shapes {
    fn shape(&self, senders: usize) -> Shape {
        Shape {
            senders,
            seconds: self.seconds,
        }
    }
}

fn announce() {
    println!(
        "machine: {}, load average {}",
        machine::described(),
        machine::load_average()
    );
}

async fn limit(work: &Path, shape: Shape) -> Result<Figures> {
    let mut engine = Command::new(std::env::current_exe().context("find this program")?);
    engine.arg("limit-engine");
    engine.args(["--listen", &relay::listens().to_string()]);
    engine.args(["--forward", &relay::delivers().to_string()]);
    measure("limit", engine, work, shape).await
}

/// Starts a program on an empty folder, measures it under load, and stops it.
async fn measure(name: &str, mut command: Command, work: &Path, shape: Shape) -> Result<Figures> {
    let data = work.join(format!("{name}-data"));
    if data.exists() {
        std::fs::remove_dir_all(&data).with_context(|| format!("empty {}", data.display()))?;
    }
    std::fs::create_dir_all(&data).with_context(|| format!("create {}", data.display()))?;
    let sink = Sink::start(relay::delivers()).await?;
    command.arg("--data").arg(&data);
    let log = work.join(format!("{name}.log"));
    let mut program = Program::start(&mut command, &log, READY_WITHIN)?;
    let figures = load::run(&mut program, &sink, &data, shape).await?;
    program.stop(STOP_WITHIN)?;
    sink.end().await;
    std::fs::remove_dir_all(&data).with_context(|| format!("remove {}", data.display()))?;
    Ok(figures)
}
