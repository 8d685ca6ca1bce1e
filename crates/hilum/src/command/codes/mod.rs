//! `hilum codes`: the code tables of a site and the codes that they lack.

mod impact;
mod sign;
mod suggest;
mod tables;
mod unmapped;

use crate::args::{Codes, CodesCommand};
use crate::output::{Exit, Output};

/// Does what the arguments ask for.
pub(crate) fn run(arguments: &Codes, output: &Output) -> anyhow::Result<Exit> {
    match &arguments.command {
        CodesCommand::Unmapped(arguments) => unmapped::list(arguments, output),
        CodesCommand::Forget(arguments) => unmapped::forget(arguments, output),
        CodesCommand::Suggest(arguments) => suggest::run(arguments, output),
        CodesCommand::Review(arguments) => sign::review(arguments, output),
        CodesCommand::Approve(arguments) => sign::approve(arguments, output),
        CodesCommand::Retire(arguments) => sign::retire(arguments, output),
        CodesCommand::Impact(arguments) => impact::run(arguments, output),
    }
}
