//! Load on the hub, measured beside the limit program.
//!
//! Every round runs both, one after the other, with the same messages, senders and sink, each with
//! a fresh folder of data: on a shared machine only the ratio of neighbours means anything. Figures
//! are medians of the rounds. What is measured is what a peer sees, and `/proc` for time and memory.
//!
//! The other rows of the report are measured one after the other, each on a site of its own; a row
//! that fails says why and does not cost the others.

mod convert;
mod document;
mod fhir;
mod figures;
mod limit;
mod load;
mod matched;
mod micro;
mod month;
mod paced;
mod page;
mod report;
mod site;
mod timing;
mod volume;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use tokio::time::Instant;

use crate::program::Program;
use crate::{folder, machine, relay};

use figures::{Figures, Table};
use load::{Shape, Sink};
use report::{Report, Row};

pub(crate) use convert::ConvertBench;
pub(crate) use fhir::FhirBench;
pub(crate) use limit::LimitEngine;

const READY_WITHIN: Duration = Duration::from_secs(30);
const STOP_WITHIN: Duration = Duration::from_secs(40);

/// The rows of the report that can be measured alone.
const ROWS: [(&str, &str); 12] = [
    (
        "relay",
        "1, 8 and 32 senders on the relay example, beside the limit program",
    ),
    (
        "match",
        "what the step `match` costs in the relay, beside it without the step",
    ),
    ("idle", "start and memory of 10 channels"),
    ("fan-out", "one channel to 20 destinations"),
    ("long", "answers over minutes, bytes kept"),
    ("end-to-end", "from sender to receiver at 200/s"),
    ("stat", "urgent messages during catch-up"),
    ("neighbour", "a quiet channel beside a loud one"),
    ("many", "300 channels: start and CPU"),
    ("queued", "a long queue: memory and start"),
    ("large", "memory of a 100 MB message"),
    ("month", "searches and retention over 30 days"),
];

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
    /// Only these rows: relay, match, idle, fan-out, long, end-to-end, stat, neighbour, many, queued,
    /// large, month, micro
    #[arg(long, value_delimiter = ',', value_name = "ROW")]
    only: Vec<String>,
    /// What a step costs in the relay: match, with a million known patients
    #[arg(long, value_name = "STEP", value_parser = ["match"], conflicts_with = "only")]
    with: Option<String>,
    /// How many patients are known then
    #[arg(long, value_name = "COUNT", default_value_t = matched::KNOWN, requires = "with")]
    known: u64,
    /// As much as the targets say: ten minutes, 1 M queued, 10 M searched
    #[arg(long)]
    long: bool,
    /// What single operations take, measured by the benches of the crates
    #[arg(long, value_name = "NAME=VALUE")]
    micro: Vec<String>,
    /// Prints the report as JSON at the end
    #[arg(long)]
    json: bool,
    /// Puts the report into the page of figures
    #[arg(long, conflicts_with = "only")]
    write: bool,
    /// The page of figures
    #[arg(long, value_name = "FILE", default_value = "docs/figures.md")]
    page: PathBuf,
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
    /// How often each is measured beside the limit program
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Where data and logs go, on the disk that is to be measured
    #[arg(long, value_name = "FOLDER", default_value = "target/rig")]
    work: PathBuf,
}

impl Hub {
    pub(crate) async fn run(self) -> Result<()> {
        let known = |name: &String| name == "micro" || ROWS.iter().any(|(row, _)| row == name);
        if let Some(unknown) = self.only.iter().find(|name| !known(name)) {
            let names = ROWS.map(|(name, _)| name).join(", ");
            bail!("no row is called {unknown}; there are {names}, micro");
        }
        let mut report = Report::begin();
        self.say(format_args!("machine: {}", machine::described()));
        for (name, about) in ROWS {
            if !self.wants(name) {
                continue;
            }
            self.say(format_args!("\n{name}: {about}"));
            let begun = Instant::now();
            // One row that cannot be measured does not cost the others.
            let rows = match self.measured(name, &mut report).await {
                Ok(rows) => rows,
                Err(error) => vec![Row::failed(about, &error)],
            };
            for row in &rows {
                self.say(format_args!("  {row}"));
            }
            self.say(format_args!("  in {:.0} s", begun.elapsed().as_secs_f64()));
            report.add(rows);
        }
        if self.wants("micro") {
            report.add(micro::rows(&self.micro)?);
        }
        if self.json {
            println!("{:#}", report.json());
        } else {
            println!("\n{}", report.markdown());
        }
        if self.write {
            let what = match &self.with {
                Some(step) => format!("hub --with {step}"),
                None => "hub".to_owned(),
            };
            page::write(&self.page, &what, &report.markdown())?;
        }
        Ok(())
    }

    fn wants(&self, name: &str) -> bool {
        match &self.with {
            Some(with) => with == name,
            None => self.only.is_empty() || self.only.iter().any(|only| only == name),
        }
    }

    /// Progress, where the output is not to be pasted or parsed.
    fn say(&self, what: std::fmt::Arguments<'_>) {
        if !self.json {
            println!("{what}");
        }
    }

    async fn measured(&self, name: &str, report: &mut Report) -> Result<Vec<Row>> {
        let (hilum, work, seconds) = (&self.hilum, &self.load.work, self.load.seconds);
        match name {
            "relay" => self.relay(report).await,
            "match" => matched::matched(hilum, work, seconds, self.load.rounds, self.known).await,
            "idle" => volume::idle(hilum, work).await,
            "fan-out" => volume::fan_out(hilum, work, seconds).await,
            "long" => volume::long(hilum, work, if self.long { 10.0 } else { 1.0 }).await,
            "end-to-end" => paced::end_to_end(hilum, work, seconds).await,
            "stat" => paced::stat(hilum, work).await,
            "neighbour" => paced::neighbour(hilum, work, seconds).await,
            "many" => volume::many(hilum, work, seconds).await,
            "queued" => {
                let queued = if self.long {
                    volume::MANY_QUEUED
                } else {
                    200_000
                };
                volume::queued(hilum, work, queued).await
            }
            "large" => paced::large(hilum, work).await,
            "month" => {
                let messages = if self.long { 10_000_000 } else { 1_000_000 };
                month::month(work, messages).await
            }
            other => bail!("no row is called {other}"),
        }
    }

    /// The relay example in turns with the limit program.
    async fn relay(&self, report: &mut Report) -> Result<Vec<Row>> {
        let mut table = Table::default();
        for round in 1..=self.load.rounds {
            for &senders in &self.load.senders {
                let shape = self.load.shape(senders);
                let mut hilum = Command::new(&self.hilum);
                hilum.arg("run").arg(&self.site);
                let figures = measure("hilum", hilum, &self.load.work, shape).await?;
                self.say(format_args!(
                    "  round {round}, {senders} senders, hilum: {figures}"
                ));
                table.add(senders, "hilum", figures);
                let figures = limit(&self.load.work, shape).await?;
                self.say(format_args!(
                    "  round {round}, {senders} senders, limit: {figures}"
                ));
                table.add(senders, "limit", figures);
            }
        }
        report.add_beside(table.shown());
        Ok(table.rows())
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
    folder::empty(&data)?;
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

/// A loopback port that the system chooses.
fn nowhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
