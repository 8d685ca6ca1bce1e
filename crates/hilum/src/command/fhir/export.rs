//! `hilum fhir export`: everything of a FHIR server into a folder.
//!
//! A file of the folder is complete or not there: it is written under another name, synced, and
//! renamed. Which job the folder is of stands in it until all files are there, so that the same
//! command goes on where it was broken off.

use std::io::IsTerminal;
use std::path::Path;

use anyhow::{Context, bail};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::server::{Server, said};
use super::whole;
use crate::args::FhirExport;
use crate::command::node::part;
use crate::output::{Exit, Output};

/// Names the job that the folder is of.
const OPEN: &str = ".export.json";
/// What was exported, as the server tells it.
const MANIFEST: &str = "manifest.json";

pub(super) fn run(arguments: &FhirExport, output: &Output) -> anyhow::Result<Exit> {
    let folder = &arguments.to;
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    if folder.join(MANIFEST).exists() {
        bail!(
            "{} holds an export already; name another folder",
            folder.display()
        );
    }
    let server = Server::of(&arguments.node)?;
    let asked = path(arguments);
    let status = match open(folder, &asked)? {
        Some(status) => status,
        None => begin(&server, &asked, folder)?,
    };
    let watched = std::io::stderr().is_terminal() && !output.json();
    let answer = server.ended(&status, |told| {
        if watched {
            output.progress(told);
        }
    })?;
    if watched {
        output.progress("");
    }
    if answer.status != StatusCode::OK {
        forget(folder)?;
        bail!("{}", said(&answer));
    }
    let files = fetch_all(&server, &answer.body, folder, output)?;
    let manifest = folder.join(MANIFEST);
    let text = serde_json::to_string_pretty(&answer.body)?;
    whole(&manifest, |part| Ok(std::fs::write(part, &text)?))?;
    forget(folder)?;
    // Its files are here now.
    server.good(Method::DELETE, &status, &[], String::new())?;
    let resources: u64 = files.iter().map(|(_, count)| count).sum();
    let (time, count) = (&answer.body["transactionTime"], files.len());
    if output.json() {
        output.value(
            &json!({ "done": true, "files": count, "resources": resources,
            "transaction-time": time }),
        )?;
    } else {
        let time = time.as_str().unwrap_or_default();
        output.line(format_args!(
            "{resources} resources in {count} files below {}; next time: --since {time}",
            folder.display()
        ));
    }
    Ok(Exit::Done)
}

/// What is asked for, below the tenant.
fn path(arguments: &FhirExport) -> String {
    let level = match (&arguments.group, arguments.patients) {
        (Some(group), _) => format!("/Group/{}", part(group)),
        (None, true) => "/Patient".to_owned(),
        (None, false) => String::new(),
    };
    let types = (!arguments.types.is_empty()).then(|| arguments.types.join(","));
    let filters = arguments
        .type_filter
        .iter()
        .map(|filter| ("_typeFilter", filter.clone()));
    let named = [("_type", types), ("_since", arguments.since.clone())];
    let named = named
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    let query: Vec<String> = named
        .chain(filters)
        .map(|(name, value)| format!("{name}={}", part(&value)))
        .collect();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{level}/$export{mark}{}", query.join("&"))
}

/// The job that was begun for a folder.
fn open(folder: &Path, asked: &str) -> anyhow::Result<Option<String>> {
    let Ok(text) = std::fs::read_to_string(folder.join(OPEN)) else {
        return Ok(None);
    };
    let known: Value = serde_json::from_str(&text).unwrap_or_default();
    if known["asked"] != asked {
        bail!(
            "{} is the folder of another export that was broken off; name another one",
            folder.display()
        );
    }
    Ok(known["status"].as_str().map(str::to_owned))
}

fn begin(server: &Server, asked: &str, folder: &Path) -> anyhow::Result<String> {
    let headers = [("prefer", "respond-async")];
    let answer = server.good(Method::GET, asked, &headers, String::new())?;
    let at = answer.headers.get("content-location");
    let at = at.and_then(|at| at.to_str().ok()).unwrap_or_default();
    let status = server.path(at)?.to_owned();
    let text = json!({ "asked": asked, "status": status }).to_string();
    whole(&folder.join(OPEN), |part| Ok(std::fs::write(part, &text)?))?;
    Ok(status)
}

fn forget(folder: &Path) -> anyhow::Result<()> {
    let open = folder.join(OPEN);
    std::fs::remove_file(&open).with_context(|| format!("cannot remove {}", open.display()))
}

/// Fetches the files that are not there yet; their names, and how many lines they have.
fn fetch_all(
    server: &Server,
    manifest: &Value,
    folder: &Path,
    output: &Output,
) -> anyhow::Result<Vec<(String, u64)>> {
    let mut files = Vec::new();
    for kind in ["output", "deleted", "error"] {
        for file in manifest[kind].as_array().into_iter().flatten() {
            let url = server.path(file["url"].as_str().unwrap_or_default())?;
            let name = url.rsplit('/').next().unwrap_or_default();
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
                bail!("the server named a file that cannot be written");
            }
            let count = file["count"].as_u64().unwrap_or_default();
            let path = folder.join(name);
            if !path.exists() {
                whole(&path, |part| {
                    let lines = server.fetch(url, part)?;
                    if lines != count {
                        bail!("{name} has {lines} lines instead of {count}");
                    }
                    Ok(())
                })?;
            }
            if output.json() {
                output.value(&json!({ "file": name, "part": kind, "resources": count }))?;
            } else {
                output.line(format_args!("{name}  {count}"));
            }
            files.push((name.to_owned(), if kind == "output" { count } else { 0 }));
        }
    }
    Ok(files)
}
