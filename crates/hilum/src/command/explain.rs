//! `hilum explain`

use anyhow::bail;
use hilum_config::{explain, explanations};

use crate::args::Explain;
use crate::output::{Exit, Output};

pub(crate) fn run(arguments: &Explain, output: &Output) -> anyhow::Result<Exit> {
    let Some(code) = &arguments.code else {
        for known in explanations() {
            if output.json() {
                output.value(known)?;
            } else {
                output.line(format_args!("{}  {}", known.code, known.title));
            }
        }
        return Ok(Exit::Done);
    };
    let Some(known) = explain(&code.to_ascii_uppercase()) else {
        bail!("there is no code {code}; `hilum explain` lists all");
    };
    if output.json() {
        output.value(known)?;
        return Ok(Exit::Done);
    }
    output.line(format_args!(
        "{}: {}\n\n{}",
        known.code, known.title, known.text
    ));
    for (title, text) in [("wrong", known.wrong), ("right", known.right)] {
        if !text.is_empty() {
            output.line(format_args!("\n{title}:"));
            text.lines()
                .for_each(|line| output.line(format_args!("    {line}")));
        }
    }
    Ok(Exit::Done)
}
