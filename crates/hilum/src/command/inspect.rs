//! `hilum inspect`

use anyhow::Context;
use hilum_hl7v2::{Inspected, Inspection, ParseOptions, inspect};

use crate::args::Inspect;
use crate::output::{Exit, Output};

pub(crate) fn run(arguments: &Inspect, output: &Output) -> anyhow::Result<Exit> {
    for file in &arguments.files {
        let bytes =
            std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let seen = inspect(bytes, &ParseOptions::default());
        if output.json() {
            output.line(seen.to_json());
        } else {
            output.line(format_args!("{}: {}", file.display(), heading(&seen)));
            for message in &seen.messages {
                show(message, output);
            }
        }
    }
    Ok(Exit::Done)
}

fn heading(seen: &Inspection) -> String {
    let mut text = seen.status.as_str().to_owned();
    if let Some(reason) = &seen.reason {
        text.push_str(&format!(", {reason}"));
    }
    if seen.messages.len() > 1 {
        text.push_str(&format!(", {} messages", seen.messages.len()));
    }
    text
}

fn show(message: &Inspected, output: &Output) {
    output.line(format_args!(
        "  {}  {}  version {}  {} segments",
        message.control_id.as_deref().unwrap_or("(no control id)"),
        message.message_type.as_deref().unwrap_or("(no type)"),
        message.version.as_deref().unwrap_or("not said"),
        message.segments,
    ));
    for warning in &message.warnings {
        output.line(format_args!(
            "    {}: {}",
            warning.code.as_str(),
            warning.text
        ));
    }
}
