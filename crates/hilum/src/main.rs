//! The `hilum` command line: arguments, wiring of the components, exit codes.
//!
//! Invariant: this is the only place that prints, that reads the environment, and that knows the
//! list of components; what a command does lives in the crates below.

mod args;
mod command;
mod components;
#[cfg(debug_assertions)]
mod failpoint;
mod fhir;
mod kept;
mod output;
mod packages;
mod plans;
mod stores;
mod terms;

use std::process::ExitCode;

use clap::FromArgMatches;

/// A message is allocated on one thread and freed on another, which glibc's allocator pays for in
/// locks; this one in a tenth less CPU for each message (`cargo xtask bench hub`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let matches = args::command().get_matches();
    let arguments = match args::Arguments::from_arg_matches(&matches) {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    let output = output::Output::new(&arguments);
    match command::run(&arguments, &output) {
        Ok(code) => code.into(),
        Err(error) => {
            output.error(&error);
            if error.is::<command::Unreachable>() {
                return output::Exit::Unreachable.into();
            }
            output::Exit::Failed.into()
        }
    }
}
