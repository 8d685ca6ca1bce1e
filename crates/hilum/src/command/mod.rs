//! One file a command.

mod check;
mod codes;
mod compare;
mod completions;
mod convert;
mod db;
mod docs;
mod doctor;
mod explain;
mod fhir;
mod gather;
mod history;
mod impact;
mod init;
mod inspect;
mod interface;
mod journal;
mod node;
mod receive;
mod run;
mod schema;
mod send;
mod terminology;
mod test;
mod tls;
mod watch;

pub(crate) use node::Unreachable;

use crate::args::{Arguments, Command};
use crate::output::{Exit, Output};

/// Does what the arguments ask for.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> anyhow::Result<Exit> {
    match &arguments.command {
        Command::Init(arguments) => init::run(arguments, output),
        Command::Run(arguments) => run::run(arguments, output),
        Command::Check(arguments) => check::run(arguments, output),
        Command::Doctor(arguments) => doctor::run(arguments, output),
        Command::Test(arguments) => test::run(arguments, output),
        Command::Inspect(arguments) => inspect::run(arguments, output),
        Command::Convert(arguments) => convert::run(arguments, output),
        Command::Fhir(arguments) => fhir::run(arguments, output),
        Command::Terminology(arguments) => terminology::run(arguments, output),
        Command::Send(arguments) => send::run(arguments, output),
        Command::Receive(arguments) => receive::run(arguments, output),
        Command::Status(arguments) => node::status(arguments, output),
        Command::Messages(arguments) => node::messages(arguments, output),
        Command::Tail(arguments) => node::tail(arguments, output),
        Command::Trace(arguments) => node::trace(arguments, output),
        Command::Replay(arguments) => node::replay(arguments, output),
        Command::Hold(arguments) => node::hold(arguments, output),
        Command::Resume(arguments) => node::resume(arguments, output),
        Command::DeadLetters(arguments) => node::dead_letters(arguments, output),
        Command::Requeue(arguments) => node::requeue(arguments, output),
        Command::Withdraw(arguments) => node::withdraw(arguments, output),
        Command::Critical(arguments) => node::critical(arguments, output),
        Command::Withdrawals(arguments) => node::withdrawals(arguments, output),
        Command::Holds(arguments) => node::holds(arguments, output),
        Command::Release(arguments) => node::release(arguments, output),
        Command::Reassign(arguments) => node::reassign(arguments, output),
        Command::Reject(arguments) => node::reject(arguments, output),
        Command::Reload(arguments) => node::reload(arguments, output),
        Command::Codes(arguments) => codes::run(arguments, output),
        Command::Identity(arguments) => node::identity(arguments, output),
        Command::VerifyInterface(arguments) => interface::run(arguments, output),
        Command::Compare(arguments) => compare::run(arguments, output),
        Command::Db(arguments) => db::run(arguments, output),
        Command::Verify(arguments) => journal::verify(arguments, output),
        Command::Backup(arguments) => journal::backup(arguments, output),
        Command::Explain(arguments) => explain::run(arguments, output),
        Command::Impact(arguments) => impact::run(arguments, output),
        Command::Docs(arguments) => docs::run(arguments, output),
        Command::Schema(arguments) => schema::run(arguments, output),
        Command::Completions(arguments) => completions::run(arguments, output),
    }
}
