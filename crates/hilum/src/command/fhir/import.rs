//! `hilum fhir import`: files of resources, one on each line, into a FHIR server.
//!
//! Each file is an import of its own. Packed ones go out as they are: the server unpacks them. While
//! a folder is imported, a file in it ([`Open`]) says which of its files are done and which job the
//! server has for the next one, so that the same command goes on where it was cut off.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::open::{Open, Seen};
use super::server::{Answer, Server, said};
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
    let mut given = Vec::new();
    for path in &arguments.paths {
        given.push((path.is_dir().then_some(path), gather(path)?));
    }
    let count: usize = given.iter().map(|(_, files)| files.len()).sum();
    if count == 0 {
        bail!("there is no file that ends with .ndjson, .ndjson.gz or .ndjson.zst");
    }
    let server = Server::of(&arguments.node)?;
    let (mut stored, mut refused) = (0, 0);
    for (folder, files) in given {
        let mut open = match folder {
            Some(folder) => Open::of(folder, &server.place(), output)?,
            None => Open::none(),
        };
        for (file, packed) in &files {
            let (good, bad) = one(&server, file, *packed, &mut open, output)?;
            stored += good;
            refused += bad;
        }
        open.end()?;
    }
    if output.json() {
        output.value(&json!({ "done": true, "files": count, "stored": stored,
            "refused": refused }))?;
    } else if count > 1 {
        output.line(format_args!(
            "{stored} resources stored, {refused} lines refused"
        ));
    }
    Ok(if refused > 0 { Exit::Found } else { Exit::Done })
}

type Packed = (PathBuf, Option<&'static str>);

/// The files of a folder by their names; a file that was named is taken whatever it is called.
fn gather(path: &Path) -> anyhow::Result<Vec<Packed>> {
    let mut files = Vec::new();
    let name = path.to_string_lossy();
    let known = ENDINGS.iter().find(|(ending, _)| name.ends_with(ending));
    if !path.is_dir() {
        if !path.exists() {
            bail!("there is no {}", path.display());
        }
        files.push((path.to_owned(), known.and_then(|(_, packed)| *packed)));
        return Ok(files);
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
    Ok(files)
}

/// Imports a file, or goes on with the import that the server has of it; how many resources were
/// stored and lines refused.
fn one(
    server: &Server,
    file: &Path,
    packed: Option<&str>,
    open: &mut Open,
    output: &Output,
) -> anyhow::Result<(u64, u64)> {
    let (status, answer) = match open.seen(file)? {
        Seen::Done { stored, refused } => {
            return told(file, (stored, refused), &[], output);
        }
        Seen::Begun(status) => {
            let answer = ended(server, file, &status, output)?;
            // The server forgets jobs a day after their end, and a restored one never had it.
            if answer.status == StatusCode::NOT_FOUND {
                begin(server, file, packed, open, output)?
            } else {
                (status, answer)
            }
        }
        Seen::Never => begin(server, file, packed, open, output)?,
    };
    if answer.status != StatusCode::OK {
        open.forget(file)?;
        bail!("{}: {}", file.display(), said(&answer));
    }
    let sum = |part: &str| -> u64 {
        let files = answer.body[part].as_array().into_iter().flatten();
        files.filter_map(|file| file["count"].as_u64()).sum()
    };
    let counts = (sum("output"), sum("error"));
    let problems = problems(server, &answer.body)?;
    open.done(file, counts)?;
    server.good(Method::DELETE, &status, &[], String::new())?;
    told(file, counts, &problems, output)
}

/// Sends a file, and waits for the end of its import.
fn begin(
    server: &Server,
    file: &Path,
    packed: Option<&str>,
    open: &mut Open,
    output: &Output,
) -> anyhow::Result<(String, Answer)> {
    let mut headers = vec![("content-type", "application/fhir+ndjson")];
    headers.extend(packed.map(|coding| ("content-encoding", coding)));
    let begun = server.send("/$import", &headers, file)?;
    let at = begun.headers.get("content-location");
    let at = at.and_then(|at| at.to_str().ok()).unwrap_or_default();
    let status = server.path(at)?.to_owned();
    open.begun(file, &status)?;
    let answer = ended(server, file, &status, output)?;
    Ok((status, answer))
}

fn ended(server: &Server, file: &Path, status: &str, output: &Output) -> anyhow::Result<Answer> {
    let watched = std::io::stderr().is_terminal() && !output.json();
    let answer = server.ended(status, |told| {
        if watched {
            output.progress(format_args!("{}: {told}", file.display()));
        }
    })?;
    if watched {
        output.progress("");
    }
    Ok(answer)
}

fn told(
    file: &Path,
    (stored, refused): (u64, u64),
    problems: &[String],
    output: &Output,
) -> anyhow::Result<(u64, u64)> {
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
        for problem in problems {
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
