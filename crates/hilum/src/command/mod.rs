//! One file a command.

mod check;
mod completions;
mod run;

use crate::args::{Arguments, Command};
use crate::output::{Exit, Output};

/// Does what the arguments ask for.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> anyhow::Result<Exit> {
    match &arguments.command {
        Command::Run(arguments) => run::run(arguments, output),
        Command::Check(arguments) => check::run(arguments, output),
        Command::Completions(arguments) => completions::run(arguments, output),
    }
}
