//! Drives a hilum that runs as a process of its own, from outside, as a hospital's systems do.
//!
//! - [`bench`]: load, measured beside the limit program on the same machine;
//! - [`crash`]: kills at random moments under load, and an independent record of what was promised;
//! - [`faults`]: peers that misbehave and a disk that fills up, while the program runs on;
//! - [`hospitals`]: hundreds of channels, a reload, a kill, and searches;
//! - [`demo`]: a hospital of simulated systems around it.
//!
//! Started by `cargo xtask bench`, `crash` and `demo`, which build what is needed. It knows the
//! program by its command line, its ports and `/proc` alone: a promise is checked against what a
//! peer can see. It is no part of the product.
#![expect(
    clippy::print_stdout,
    reason = "a command line program for developers speaks on its terminal"
)]

mod api;
mod bench;
mod crash;
mod demo;
mod faults;
mod folder;
mod hospitals;
mod machine;
mod program;
mod promise;
mod relay;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "hilum-rig", about = "Drives a running hilum from outside")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Load on the relay example, rounds interleaved with the limit program
    Hub(bench::Hub),
    /// Load on the FHIR server, beside SQLite with the same rows
    Fhir(bench::FhirBench),
    /// Conversion into the store, and questions about codes
    Convert(bench::ConvertBench),
    /// The limit program under the same load
    Limit(bench::Limit),
    /// The limit program itself: MLLP, one SQLite group commit, one forward
    LimitEngine(bench::LimitEngine),
    /// Kills at random moments under load, and checks what was promised
    Crash(crash::Crash),
    /// Peers that misbehave and a disk that fills up, and checks what was promised
    Faults(faults::Faults),
    /// Hundreds of channels: start, reload, kill, search
    Hospitals(hospitals::Run),
    /// A hospital of simulated systems around it
    Demo(demo::Demo),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| match arguments.command {
            Command::Hub(hub) => runtime.block_on(hub.run()),
            Command::Fhir(fhir) => runtime.block_on(fhir.run()),
            Command::Convert(convert) => runtime.block_on(convert.run()),
            Command::Limit(limit) => runtime.block_on(limit.run()),
            Command::LimitEngine(engine) => runtime.block_on(engine.run()),
            Command::Crash(crash) => runtime.block_on(crash.run()),
            Command::Faults(faults) => runtime.block_on(faults.run()),
            Command::Hospitals(hospitals) => runtime.block_on(hospitals.run()),
            Command::Demo(demo) => runtime.block_on(demo.run()),
        });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
