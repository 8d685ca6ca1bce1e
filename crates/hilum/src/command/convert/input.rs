//! Messages and maps from files.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use hilum_hl7v2::batch::{ItemKind, items};
use serde_json::Value;

/// Endings of files with messages that a folder is searched for.
pub(super) const MESSAGES: &[&str] = &["hl7", "txt", "er7", "msg", "oru", "ndjson"];
/// Endings of files with resources that a folder is searched for.
pub(super) const RESOURCES: &[&str] = &["json", "xml", "ndjson"];

/// What a line of .ndjson has to be.
const LINE: &str = "a line is a message as a JSON string, or an object with a string `message`";

/// A message of a file with a name for what is said of it, or why it cannot be read.
pub(super) type Found = (String, anyhow::Result<Vec<u8>>);

/// The messages of a file.
pub(super) fn messages(file: &Path) -> anyhow::Result<Vec<Found>> {
    let mut bytes = read(file)?;
    let name = file.display().to_string();
    if file.extension().is_some_and(|ending| ending == "ndjson") {
        return Ok(lines(&name, &bytes));
    }
    let found: Vec<_> = items(&bytes)
        .filter(|item| item.kind == ItemKind::Message)
        .map(|item| item.range)
        .collect();
    // One that brings a large document is not copied.
    if let [only] = found.as_slice() {
        bytes.truncate(only.end);
        bytes.drain(..only.start);
        return Ok(vec![(name, Ok(bytes))]);
    }
    let numbered = found.into_iter().enumerate();
    Ok(numbered
        .map(|(at, range)| {
            let message = bytes.get(range).unwrap_or_default().to_vec();
            (format!("{name}#{}", at + 1), Ok(message))
        })
        .collect())
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    if file != Path::new("-") {
        return std::fs::read(file).context("cannot be read");
    }
    let mut bytes = Vec::new();
    std::io::stdin()
        .read_to_end(&mut bytes)
        .context("cannot read the standard input")?;
    Ok(bytes)
}

/// The resources of a file, each with a name for what is said of it: one, or one a line.
pub(super) fn resources(file: &Path) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let bytes = read(file)?;
    let name = file.display().to_string();
    let is_lines = file.extension().is_some_and(|ending| ending == "ndjson")
        || file == Path::new("-") && first_line_is_json(&bytes);
    if !is_lines {
        return Ok(vec![(name, bytes)]);
    }
    let lines = bytes.split(|byte| *byte == b'\n').enumerate();
    let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    Ok(lines
        .map(|(at, line)| (format!("{name}:{}", at + 1), line.to_vec()))
        .collect())
}

/// Whether a text has lines of JSON and is not one JSON over several lines.
fn first_line_is_json(bytes: &[u8]) -> bool {
    let mut lines = bytes.trim_ascii().splitn(2, |byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let more = lines.next().is_some();
    more && serde_json::from_slice::<serde::de::IgnoredAny>(first).is_ok()
}

/// A message a line.
fn lines(name: &str, bytes: &[u8]) -> Vec<Found> {
    let lines = bytes.split(|byte| *byte == b'\n').enumerate();
    let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    lines
        .map(|(at, text)| (format!("{name}:{}", at + 1), line(text)))
        .collect()
}

/// A JSON string, or an object with a `message`.
fn line(line: &[u8]) -> anyhow::Result<Vec<u8>> {
    let value: Value = serde_json::from_slice(line)
        .map_err(|error| anyhow!("not JSON (column {}); {LINE}", error.column()))?;
    let text = value.as_str().or_else(|| value.get("message")?.as_str());
    let text = text.with_context(|| format!("not a message; {LINE}"))?;
    // A line feed parts segments where somebody has written it for a person to read.
    let text = if text.contains('\r') {
        text.to_owned()
    } else {
        text.replace('\n', "\r")
    };
    Ok(text.into_bytes())
}

/// The map files of a folder and those below it: the name to show, and the text.
pub(super) fn map_files(folder: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    collect(folder, &mut found)?;
    found.sort();
    if found.is_empty() {
        bail!("there is no map file (*.map) in {}", folder.display());
    }
    Ok(found)
}

fn collect(folder: &Path, found: &mut Vec<(String, String)>) -> anyhow::Result<()> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, found)?;
        } else if path.extension().is_some_and(|ending| ending == "map") {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            found.push((path.display().to_string(), text));
        }
    }
    Ok(())
}
