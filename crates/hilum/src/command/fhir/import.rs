//! `hilum fhir import`: files of resources, one on each line, into a FHIR server.
//!
//! Each file is an import of its own. Packed ones go out as they are: the server unpacks them.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::server::{Server, said};
use crate::args::FhirImport;
use crate::output::{Exit, Output};

/// Endings of files, and how their bytes are packed.
const ENDINGS: &[(&str, Option<&str>)] = &[
    (".ndjson", None),
    (".ndjson.gz", Some("gzip")),
    (".ndjson.zst", Some("zstd")),
];
/// Refused lines of a file that are shown.
const SHOWN_MAX: usize = 20;

pub(super) fn run(arguments: &FhirImport, output: &Output) -> anyhow::Result<Exit> {
    let mut files = Vec::new();
    for path in &arguments.paths {
        gather(path, &mut files)?;
    }
    if files.is_empty() {
        bail!("there is no file that ends with .ndjson, .ndjson.gz or .ndjson.zst");
    }
    let server = Server::of(&arguments.node)?;
    let (mut stored, mut refused) = (0, 0);
    for (file, packed) in &files {
        let (good, bad) = one(&server, file, *packed, output)?;
        stored += good;
        refused += bad;
    }
    if output.json() {
        output.value(
            &json!({ "done": true, "files": files.len(), "stored": stored,
            "refused": refused }),
        )?;
    } else if files.len() > 1 {
        output.line(format_args!(
            "{stored} resources stored, {refused} lines refused"
        ));
    }
    Ok(if refused > 0 { Exit::Found } else { Exit::Done })
}

type Packed = (PathBuf, Option<&'static str>);

/// The files of a folder by their names; a file that was named is taken whatever it is called.
fn gather(path: &Path, files: &mut Vec<Packed>) -> anyhow::Result<()> {
    let name = path.to_string_lossy();
    let known = ENDINGS.iter().find(|(ending, _)| name.ends_with(ending));
    if !path.is_dir() {
        if !path.exists() {
            bail!("there is no {}", path.display());
        }
        files.push((path.to_owned(), known.and_then(|(_, packed)| *packed)));
        return Ok(());
    }
    let entries = std::fs::read_dir(path).with_context(|| format!("cannot read {name}"))?;
    let inside = entries.map(|entry| Ok(entry?.path()));
    let mut inside: Vec<PathBuf> = inside.collect::<std::io::Result<_>>()?;
    inside.sort();
    for one in inside {
        let name = one.to_string_lossy();
        let known = ENDINGS.iter().find(|(ending, _)| name.ends_with(ending));
        if let Some((_, packed)) = known
            && one.is_file()
        {
            files.push((one.clone(), *packed));
        }
    }
    Ok(())
}

/// Imports a file; how many resources were stored and lines refused.
fn one(
    server: &Server,
    file: &Path,
    packed: Option<&str>,
    output: &Output,
) -> anyhow::Result<(u64, u64)> {
    let mut headers = vec![("content-type", "application/fhir+ndjson")];
    headers.extend(packed.map(|coding| ("content-encoding", coding)));
    let begun = server.send("/$import", &headers, file)?;
    let at = begun.headers.get("content-location");
    let at = at.and_then(|at| at.to_str().ok()).unwrap_or_default();
    let status = server.path(at)?.to_owned();
    let watched = std::io::stderr().is_terminal() && !output.json();
    let answer = server.ended(&status, |told| {
        if watched {
            output.progress(format_args!("{}: {told}", file.display()));
        }
    })?;
    if watched {
        output.progress("");
    }
    if answer.status != StatusCode::OK {
        bail!("{}: {}", file.display(), said(&answer));
    }
    let sum = |part: &str| -> u64 {
        let files = answer.body[part].as_array().into_iter().flatten();
        files.filter_map(|file| file["count"].as_u64()).sum()
    };
    let (stored, refused) = (sum("output"), sum("error"));
    let problems = problems(server, &answer.body)?;
    server.good(Method::DELETE, &status, &[], String::new())?;
    if output.json() {
        output.value(
            &json!({ "file": file.display().to_string(), "stored": stored,
            "refused": refused, "problems": problems }),
        )?;
    } else {
        output.line(format_args!(
            "{}: {stored} resources stored, {refused} lines refused",
            file.display()
        ));
        for problem in &problems {
            output.line(format_args!("    {problem}"));
        }
        let more = refused.saturating_sub(problems.len() as u64);
        if more > 0 {
            output.line(format_args!("    and {more} more"));
        }
    }
    Ok((stored, refused))
}

/// Why lines were refused, the first of them.
fn problems(server: &Server, manifest: &Value) -> anyhow::Result<Vec<String>> {
    let mut told = Vec::new();
    let folder = std::env::temp_dir().join(format!("hilum-import-{}", std::process::id()));
    for file in manifest["error"].as_array().into_iter().flatten() {
        if told.len() >= SHOWN_MAX {
            break;
        }
        let url = file["url"].as_str().unwrap_or_default();
        server.fetch(server.path(url)?, &folder)?;
        let lines = std::fs::read_to_string(&folder)?;
        std::fs::remove_file(&folder)?;
        let outcomes = lines
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let texts = outcomes.filter_map(|outcome| {
            let text = outcome.pointer("/issue/0/diagnostics")?;
            text.as_str().map(str::to_owned)
        });
        told.extend(texts.take(SHOWN_MAX - told.len()));
    }
    Ok(told)
}
