//! One file a command.

mod check;
mod completions;
mod docs;
mod explain;
mod impact;
mod init;
mod inspect;
mod receive;
mod run;
mod schema;
mod send;
mod test;

use crate::args::{Arguments, Command};
use crate::output::{Exit, Output};

/// Does what the arguments ask for.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> anyhow::Result<Exit> {
    match &arguments.command {
        Command::Init(arguments) => init::run(arguments, output),
        Command::Run(arguments) => run::run(arguments, output),
        Command::Check(arguments) => check::run(arguments, output),
        Command::Test(arguments) => test::run(arguments, output),
        Command::Inspect(arguments) => inspect::run(arguments, output),
        Command::Send(arguments) => send::run(arguments, output),
        Command::Receive(arguments) => receive::run(arguments, output),
        Command::Explain(arguments) => explain::run(arguments, output),
        Command::Impact(arguments) => impact::run(arguments, output),
        Command::Docs(arguments) => docs::run(arguments, output),
        Command::Schema(arguments) => schema::run(arguments, output),
        Command::Completions(arguments) => completions::run(arguments, output),
    }
}
