//! `hilum verify` and `hilum backup`, on the data folder of a node that does not run.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use hilum_journal::{Cancel, Journal, JournalOptions};
use serde_json::json;

use super::run::lock;
use crate::args::{Backup, Verify};
use crate::output::{Exit, Output};

/// The file that every journal has.
const CONTROL: &str = "control.db";

/// Opens the journal of a folder; after an unclean stop that recovers it first.
fn open(data: &Path) -> anyhow::Result<(std::fs::File, Journal)> {
    if !data.join(CONTROL).is_file() {
        bail!(
            "{} holds no journal: it has no {CONTROL}; name the folder given to `hilum run --data`",
            data.display()
        );
    }
    let lock = lock(data)?;
    let opened = Journal::open(data, &JournalOptions::default(), Arc::new(()));
    let (journal, _recovered) =
        opened.with_context(|| format!("cannot open the journal in {}", data.display()))?;
    Ok((lock, journal))
}

pub(crate) fn verify(arguments: &Verify, output: &Output) -> anyhow::Result<Exit> {
    let (_lock, journal) = open(&arguments.data)?;
    let findings = journal.verify(&Cancel::new())?;
    for finding in &findings {
        if output.json() {
            output.value(&json!({
                "file": &*finding.file, "sequence": finding.sequence, "text": finding.text,
            }))?;
            continue;
        }
        let row = finding.sequence.map(|sequence| format!(", row {sequence}"));
        output.line(format_args!(
            "{}{}: {}",
            finding.file,
            row.unwrap_or_default(),
            finding.text
        ));
    }
    if findings.is_empty() {
        output.note("everything is as it was written");
        return Ok(Exit::Done);
    }
    Ok(Exit::Found)
}

pub(crate) fn backup(arguments: &Backup, output: &Output) -> anyhow::Result<Exit> {
    let to = &arguments.to;
    let used = std::fs::read_dir(to).is_ok_and(|mut inside| inside.next().is_some());
    if used {
        bail!(
            "{} is not empty; choose a folder that is new or empty",
            to.display()
        );
    }
    let (_lock, journal) = open(&arguments.data)?;
    let files = journal
        .backup(to, &Cancel::new())
        .with_context(|| format!("cannot back up to {}", to.display()))?;
    for file in &files {
        if output.json() {
            output.value(&json!({ "file": file }))?;
        } else {
            output.line(file.display());
        }
    }
    Ok(Exit::Done)
}
