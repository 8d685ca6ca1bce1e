//! Runs the message sequences of the hazard log (`hazards/`) over the real engine, journal, steps,
//! formats and FHIR server, on a simulated disk.
//!
//! Each sequence is played under every order in which its messages may arrive (200 drawn ones where
//! they are many), each time with one thing that goes wrong on the way to a receiver or from a source
//! and one loss of power. Whatever the order, the required facts must be so in the end at every
//! receiver and in the store. Started by `cargo xtask hazards`; it is no part of the product.
//!
//! - [`sequence`], [`message`], [`log`]: what the files say;
//! - [`course`]: from a number to what one run does;
//! - [`node`], [`peers`], [`store`]: the node, and what is at the ends of its channels (the plain
//!   receiver is that of `hilum-testkit`);
//! - [`play`], [`difference`], [`suite`]: a run, what is wrong with it, and all of them.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line program for developers speaks on its terminal"
)]

mod course;
mod difference;
mod log;
mod message;
mod node;
mod peers;
mod play;
mod random;
mod sequence;
mod store;
mod suite;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::course::Shard;

/// Runs the sequences of the hazard log
#[derive(Clone, Debug, Parser)]
#[command(name = "hilum-hazards")]
pub(crate) struct Arguments {
    /// The folder of the log, the site and the sequences
    #[arg(long, default_value = "hazards")]
    pub(crate) folder: PathBuf,
    /// Only sequences whose name contains this
    #[arg(long)]
    pub(crate) sequence: Option<String>,
    /// Only this run of each
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Every retry and every place of a kill for each order, in place of one that is drawn
    #[arg(long)]
    pub(crate) long: bool,
    /// The summary as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// What each receiver has in the end and what it was sent, for a single run
    #[arg(long)]
    pub(crate) show: bool,
    /// Runs at once; as many as there are cores where it is not given
    #[arg(long)]
    pub(crate) threads: Option<usize>,
    /// Only a part of the runs of each sequence: `3/40` is every fortieth, from the third one
    #[arg(long)]
    pub(crate) shard: Option<Shard>,
}

fn main() -> ExitCode {
    match suite::run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
