//! `hilum verify` and `hilum backup`: of a running node over its management API, of a data folder
//! without one by itself. What a FHIR server keeps in a database only its node knows of.

use std::io::{IsTerminal, stderr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use hilum_admin::{back_up, verify as compared};
use hilum_journal::{Cancel, Journal, JournalOptions};
use hilum_net::HostPort;
use serde_json::{Value, json};

use super::node::Remote;
use super::run::{LOCK, lock};
use crate::args::{Backup, Verify};
use crate::output::{Exit, Output};

/// The file that every journal has.
pub(super) const CONTROL: &str = "control.db";
/// How often a node is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// Opens the journal of a folder; after an unclean stop that recovers it first.
pub(super) fn open(data: &Path) -> anyhow::Result<(std::fs::File, Journal)> {
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

/// The node to ask: where no folder is named, or one that a node runs on.
pub(super) fn node<'a>(
    data: Option<&Path>,
    at: &'a HostPort,
) -> anyhow::Result<Option<Remote<'a>>> {
    let Some(data) = data else {
        return Ok(Some(Remote::new(at)?));
    };
    let locked = std::fs::File::open(data.join(LOCK)).is_ok_and(|file| {
        matches!(
            file.try_lock_shared(),
            Err(std::fs::TryLockError::WouldBlock)
        )
    });
    if !locked {
        return Ok(None);
    }
    let remote = Remote::new(at)?;
    let own = remote
        .get("/api/v1/journal")
        .with_context(|| format!("a node runs on {}, and is asked for this", data.display()))?;
    let folder = Path::new(own["folder"].as_str().unwrap_or_default());
    if folder.canonicalize().ok() != data.canonicalize().ok() {
        bail!(
            "a node runs on {}, but the one at {at} runs on {}; name the right one with --at",
            data.display(),
            folder.display()
        );
    }
    Ok(Some(remote))
}

pub(crate) fn verify(arguments: &Verify, output: &Output) -> anyhow::Result<Exit> {
    let data = arguments.data.as_deref();
    let findings: Vec<Value> = match (node(data, &arguments.node.at)?, data) {
        (Some(remote), _) => {
            remote.post("/api/v1/verify", &json!({}))?;
            let ended = watch(&remote, "verified", output)?;
            ended["findings"].as_array().cloned().unwrap_or_default()
        }
        (None, Some(data)) => {
            let (_lock, journal) = open(data)?;
            let tell = |done, of| progress("verified", done, of, output);
            let stores = crate::stores::in_folder(data);
            let findings = compared(&journal, &stores, &Cancel::new(), &tell)?;
            let shown = findings.iter().map(|finding| {
                json!({
                    "file": &*finding.file, "sequence": finding.sequence, "text": finding.text,
                })
            });
            shown.collect()
        }
        (None, None) => bail!("name a data folder, or a node with --at"),
    };
    clear(output);
    for finding in &findings {
        if output.json() {
            output.value(finding)?;
            continue;
        }
        let row = finding["sequence"].as_u64();
        let row = row.map(|sequence| format!(", row {sequence}"));
        output.line(format_args!(
            "{}{}: {}",
            finding["file"].as_str().unwrap_or_default(),
            row.unwrap_or_default(),
            finding["text"].as_str().unwrap_or_default()
        ));
    }
    if findings.is_empty() {
        output.note("everything is as it was written");
        return Ok(Exit::Done);
    }
    Ok(Exit::Found)
}

pub(crate) fn backup(arguments: &Backup, output: &Output) -> anyhow::Result<Exit> {
    let to = std::path::absolute(&arguments.to)
        .with_context(|| format!("cannot name {}", arguments.to.display()))?;
    let data = arguments.data.as_deref();
    let made: Value = match (node(data, &arguments.node.at)?, data) {
        (Some(remote), _) => {
            remote.post("/api/v1/backup", &json!({ "to": to }))?;
            watch(&remote, "copied", output)?
        }
        (None, Some(data)) => {
            let used = std::fs::read_dir(&to).is_ok_and(|mut inside| inside.next().is_some());
            if used {
                let to = to.display();
                bail!("{to} is not empty; choose a folder that is new or empty");
            }
            let (_lock, journal) = open(data)?;
            let tell = |done, of| progress("copied", done, of, output);
            let stores = crate::stores::in_folder(data);
            let made = back_up(&journal, &stores, &to, &Cancel::new(), &tell)
                .with_context(|| format!("cannot back up to {}", to.display()))?;
            json!({ "files": made.files })
        }
        (None, None) => bail!("name a data folder, or a node with --at"),
    };
    clear(output);
    for file in made["files"].as_array().into_iter().flatten() {
        if output.json() {
            output.value(&json!({ "file": file }))?;
        } else {
            output.line(file.as_str().unwrap_or_default());
        }
    }
    for other in made["elsewhere"].as_array().into_iter().flatten() {
        let text = |name: &str| other[name].as_str().unwrap_or_default();
        if output.json() {
            output.value(&json!({ "not-copied": text("store"), "remedy": text("remedy") }))?;
            continue;
        }
        output.note(format_args!(
            "not in the backup: the FHIR store {}; {}",
            text("store"),
            text("remedy")
        ));
    }
    Ok(Exit::Done)
}

/// Waits for what a node does; Ctrl-C ends it there too.
fn watch(remote: &Remote<'_>, done: &str, output: &Output) -> anyhow::Result<Value> {
    loop {
        let job = remote.get("/api/v1/care")?;
        match job["state"].as_str() {
            Some("running") => {}
            Some("done") => return Ok(job["result"].clone()),
            _ => bail!("{}", job["error"].as_str().unwrap_or("the node gave it up")),
        }
        let count = |name: &str| job[name].as_u64().unwrap_or_default();
        let (ready, of) = (count("files-done"), count("files"));
        progress(
            done,
            usize::try_from(ready).unwrap_or_default(),
            usize::try_from(of).unwrap_or_default(),
            output,
        );
        if remote.interrupted_within(ASK_EVERY)? {
            remote.post("/api/v1/care/cancel", &json!({}))?;
            bail!("interrupted; the node was told to stop it");
        }
    }
}

fn progress(what: &str, done: usize, of: usize, output: &Output) {
    if stderr().is_terminal() && !output.json() {
        output.progress(format_args!("{done} of {of} files {what}"));
    }
}

fn clear(output: &Output) {
    if stderr().is_terminal() && !output.json() {
        output.progress("");
    }
}
