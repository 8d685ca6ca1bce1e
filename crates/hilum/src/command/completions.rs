//! `hilum completions`

use crate::args::{self, Completions};
use crate::output::{Exit, Output};

pub(crate) fn run(arguments: &Completions, output: &Output) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut args::command(), "hilum", &mut script);
    output.line(String::from_utf8(script)?.trim_end());
    Ok(Exit::Done)
}
