//! How messages, deliveries and times look in text.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::output::Output;

/// A text of an object; empty if there is none.
pub(crate) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

/// A point in time, in the zone of whoever reads; with the day if it is not today.
pub(crate) fn time(ms: &Value) -> String {
    let zoned = ms
        .as_i64()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok())
        .map(|time| time.to_zoned(TimeZone::system()));
    let Some(zoned) = zoned else {
        return "-".to_owned();
    };
    let clock = format!(
        "{:02}:{:02}:{:02}.{:03}",
        zoned.hour(),
        zoned.minute(),
        zoned.second(),
        zoned.millisecond()
    );
    if zoned.date() == jiff::Zoned::now().date() {
        clock
    } else {
        format!("{} {clock}", zoned.date())
    }
}

/// A number of bytes.
pub(crate) fn size(bytes: &Value) -> String {
    match bytes.as_u64().unwrap_or_default() {
        bytes if bytes < 1_000 => format!("{bytes} B"),
        bytes if bytes < 1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        bytes => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// A state, green where it is well and red where somebody has to look.
pub(crate) fn state(word: &str, output: &Output) -> String {
    match word {
        "accepted" | "delivered" | "open" => output.colored("32", word),
        "rejected" | "error" | "dead-letter" | "paused" | "halt" | "failed" => {
            output.colored("31", word)
        }
        "suspended" | "held" | "warning" | "pending" | "retry" | "waiting" => {
            output.colored("33", word)
        }
        _ => word.to_owned(),
    }
}

/// A message on one line.
pub(crate) fn message(row: &Value, output: &Output) -> String {
    let mut line = format!(
        "{}  {}  {}  {}  {}  {}  {}",
        time(&row["arrived-ms"]),
        text(row, "message"),
        text(row, "channel"),
        row["type"].as_str().unwrap_or("(no type)"),
        row["control-id"].as_str().unwrap_or("(no control id)"),
        size(&row["bytes"]),
        state(text(row, "disposition"), output),
    );
    if let Some(reason) = row["reason"].as_str() {
        line.push_str(&format!("  {reason}"));
    }
    line
}

/// Columns side by side, as wide as they must be; colours do not count.
pub(crate) fn table(rows: &[Vec<String>], output: &Output) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|at| {
            let cells = rows.iter().filter_map(|row| row.get(at));
            cells.map(|cell| width(cell)).max().unwrap_or_default()
        })
        .collect();
    for row in rows {
        let mut line = String::new();
        for (cell, wide) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(wide.saturating_sub(width(cell)) + 2));
        }
        output.line(line.trim_end());
    }
}

/// Characters that are seen.
fn width(cell: &str) -> usize {
    let mut inside = false;
    cell.chars()
        .filter(|&c| {
            let hidden = inside || c == '\u{1b}';
            inside = hidden && c != 'm';
            !hidden
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_take_no_width() {
        assert_eq!(width("\u{1b}[31mpaused\u{1b}[0m"), 6);
        assert_eq!(width("grün"), 4);
    }
}
