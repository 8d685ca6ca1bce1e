//! `hilum db export`

use serde_json::Value;

use crate::args::DbExport;
use crate::command::history::{History, Span, day};
use crate::output::{Exit, Output};

/// Always JSON, one message a line: what reads an export is a program.
pub(super) fn run(arguments: &DbExport, output: &Output) -> anyhow::Result<Exit> {
    let (from_ms, until_ms) = day(&arguments.day)?;
    let history = History::new(arguments.data.as_deref(), &arguments.node.at)?;
    let found = history.list(&Span {
        channel: arguments.channel.clone(),
        from_ms,
        until_ms,
    })?;
    let count = found.len();
    for stored in found {
        let mut row = stored.row;
        if arguments.reveal {
            let bytes = history.bytes(stored.id)?;
            let key = "content";
            // Bytes in another character set than UTF-8 would not survive as text.
            row[key] = match std::str::from_utf8(&bytes) {
                Ok(text) => Value::String(text.to_owned()),
                Err(_) => Value::Null,
            };
            if row[key].is_null() {
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                row["content-hex"] = Value::String(hex);
            }
        }
        output.value(&row)?;
    }
    output.note(format_args!("{count} messages of {}", arguments.day));
    Ok(Exit::Done)
}
