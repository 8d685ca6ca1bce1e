//! The `hilum` command line: arguments, wiring of the components, exit codes.
//!
//! Invariant: this is the only place that prints, that reads the environment, and that knows the
//! list of components; what a command does lives in the crates below.

mod args;
mod command;
mod components;
mod output;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = args::Arguments::parse();
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
