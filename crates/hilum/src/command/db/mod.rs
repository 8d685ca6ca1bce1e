//! `hilum db`: what stock SQLite tools must not be used for, and a safe way to look.

mod export;
mod sql;

use std::path::Path;

use anyhow::{Context, bail};
use hilum_journal::{FileSurvey, checkpoint, survey};
use jiff::Timestamp;
use serde_json::json;

use super::journal::{CONTROL, open};
use super::node::show;
use super::run::lock;
use crate::args::{Db, DbCommand, DbReindex};
use crate::output::{Exit, Output};

pub(crate) fn run(arguments: &Db, output: &Output) -> anyhow::Result<Exit> {
    match &arguments.what {
        DbCommand::List(folder) => list(&folder.data, output),
        DbCommand::Sql(arguments) => sql::run(arguments, output),
        DbCommand::Checkpoint(folder) => empty_logs(&folder.data, output),
        DbCommand::Reindex(arguments) => reindex(arguments, output),
        DbCommand::Export(arguments) => export::run(arguments, output),
    }
}

fn is_journal(data: &Path) -> anyhow::Result<()> {
    if !data.join(CONTROL).is_file() {
        bail!(
            "{} holds no journal: it has no {CONTROL}; name the folder given to `hilum run --data`",
            data.display()
        );
    }
    Ok(())
}

fn list(data: &Path, output: &Output) -> anyhow::Result<Exit> {
    is_journal(data)?;
    let files = survey(data)?;
    if output.json() {
        for file in &files {
            output.value(&as_json(file))?;
        }
    } else {
        let titles = [
            "file",
            "size",
            "log",
            "index",
            "blobs",
            "messages",
            "from",
            "to",
            "pending",
            "dead",
            "not indexed",
        ];
        let mut rows = vec![titles.map(str::to_owned).to_vec()];
        rows.extend(files.iter().map(row));
        show::table(&rows, output);
        for file in &files {
            if let Some(trouble) = &file.trouble {
                output.line(output.colored("31", &format!("{}: {trouble}", file.name)));
            }
        }
    }
    let healthy = files.iter().all(|file| file.trouble.is_none());
    Ok(if healthy { Exit::Done } else { Exit::Found })
}

fn row(file: &FileSurvey) -> Vec<String> {
    let size = |bytes: u64| show::size(&bytes.into());
    let mut row = vec![
        file.name.clone(),
        size(file.bytes),
        size(file.log_bytes),
        file.index_bytes.map_or_else(|| "-".to_owned(), size),
        match file.blobs {
            (0, _) => "-".to_owned(),
            (count, bytes) => format!("{count} of {}", size(bytes)),
        },
    ];
    let Some(rows) = &file.rows else { return row };
    let time = |ms: Option<u64>| {
        let time = ms.and_then(|ms| Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok());
        time.map_or_else(
            || "-".to_owned(),
            |time| time.strftime("%F %H:%MZ").to_string(),
        )
    };
    row.extend([
        rows.messages.to_string(),
        time(rows.first_ms),
        time(rows.last_ms),
        rows.pending.to_string(),
        rows.dead.to_string(),
        rows.unindexed.to_string(),
    ]);
    row
}

fn as_json(file: &FileSurvey) -> serde_json::Value {
    let rows = file.rows.as_ref().map(|rows| {
        json!({
            "messages": rows.messages, "first-ms": rows.first_ms, "last-ms": rows.last_ms,
            "pending": rows.pending, "dead-letters": rows.dead, "unindexed": rows.unindexed,
        })
    });
    json!({
        "file": file.name, "bytes": file.bytes, "log-bytes": file.log_bytes,
        "index-bytes": file.index_bytes, "blobs": file.blobs.0, "blob-bytes": file.blobs.1,
        "rows": rows, "trouble": file.trouble,
    })
}

fn empty_logs(data: &Path, output: &Output) -> anyhow::Result<Exit> {
    is_journal(data)?;
    let _lock = lock(data)?;
    for (name, bytes) in checkpoint(data)? {
        if output.json() {
            output.value(&json!({ "file": name, "log-bytes": bytes }))?;
        } else {
            let moved = show::size(&bytes.into());
            output.line(format_args!("{name}: {moved} moved from the log"));
        }
    }
    Ok(Exit::Done)
}

fn reindex(arguments: &DbReindex, output: &Output) -> anyhow::Result<Exit> {
    is_journal(&arguments.folder.data)?;
    let (_lock, journal) = open(&arguments.folder.data)?;
    let done = journal
        .reindex(arguments.partition.as_deref())
        .context("cannot build the index")?;
    if done.is_empty() {
        let wanted = arguments.partition.as_deref().unwrap_or_default();
        bail!("there is no partition {wanted}; `hilum db list` shows them");
    }
    for name in &done {
        if output.json() {
            output.value(&json!({ "file": &**name }))?;
        } else {
            output.line(format_args!("{name}: indexed anew"));
        }
    }
    Ok(Exit::Done)
}
