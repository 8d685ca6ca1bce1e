//! `hilum terminology`: code systems from licensed copies.
//!
//! Loads are made in the data folder, also while a node runs on it: a load that is not whole has
//! another name. What is active is a file there; a node that runs is told to read it.

use std::io::IsTerminal;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use hilum_net::HostPort;
use hilum_terminology::import::{self, Imported, Kind, Seen};
use hilum_terminology::installed::{Folder, Load};
use serde_json::{Value, json};

use super::node::{Remote, Unreachable};
use crate::args::{
    Terminology, TerminologyCommand, TerminologyImport, TerminologyKind, TerminologyLoad,
};
use crate::output::{Exit, Output};

pub(crate) fn run(arguments: &Terminology, output: &Output) -> anyhow::Result<Exit> {
    match &arguments.command {
        TerminologyCommand::Import(arguments) => import(arguments, output),
        TerminologyCommand::List(arguments) => list(&Folder::of(&arguments.data.data), output),
        TerminologyCommand::Activate(arguments) => activate(arguments, output),
        TerminologyCommand::Deactivate(arguments) => deactivate(arguments, output),
        TerminologyCommand::Remove(arguments) => {
            let folder = Folder::of(&arguments.data.data);
            if !folder.discard(&arguments.id)? {
                folder.remove(&arguments.id)?;
            }
            told(
                &json!({ "id": arguments.id, "removed": true }),
                output,
                || format!("{} is removed", arguments.id),
            )?;
            Ok(Exit::Done)
        }
    }
}

const fn kind(of: TerminologyKind) -> Kind {
    match of {
        TerminologyKind::Loinc => Kind::Loinc,
        TerminologyKind::Snomed => Kind::Snomed,
        TerminologyKind::Rxnorm => Kind::Rxnorm,
        TerminologyKind::Icd10cm => Kind::Icd10cm,
        TerminologyKind::Icd10pcs => Kind::Icd10pcs,
        TerminologyKind::Cvx => Kind::Cvx,
        TerminologyKind::Mvx => Kind::Mvx,
        TerminologyKind::Ndc => Kind::Ndc,
        TerminologyKind::Csv => Kind::Csv,
        TerminologyKind::Fhir => Kind::Fhir,
    }
}

fn import(arguments: &TerminologyImport, output: &Output) -> anyhow::Result<Exit> {
    let kind = kind(arguments.kind);
    let folder = Folder::of(&arguments.data.data);
    let fingerprint = import::fingerprint(&arguments.path)?;
    let known = folder.loads()?.into_iter().find(|load| {
        let same = load.kind == kind.name() && load.fingerprint == fingerprint;
        same && of_request(load, arguments)
    });
    let (load, new, resumed) = match known {
        Some(load) => (load, false, 0),
        None => {
            let (load, resumed) = read(arguments, kind, &folder, &fingerprint, output)?;
            (load, true, resumed)
        }
    };
    let value = json!({ "id": load.id, "new": new, "resumed": resumed, "systems": systems(&load),
        "definitions": load.definitions });
    told(&value, output, || {
        let state = if new {
            "is loaded"
        } else {
            "was loaded before"
        };
        format!("{} {state}: {}", load.id, about(&load))
    })?;
    let active = folder.active()?;
    if !arguments.activate {
        if !output.json() && !active.contains(&load.id) {
            let id = &load.id;
            output.note(format_args!(
                "it answers after `hilum terminology activate {id}`"
            ));
        }
        // What is active and has been replaced is read again.
        if !(new && active.contains(&load.id)) {
            return Ok(Exit::Done);
        }
    } else if active.first() != Some(&load.id) {
        folder.activate(&load.id)?;
    } else if !new {
        return Ok(Exit::Done);
    }
    tell_node(&arguments.node.at, output)
}

/// Whether a load is what these arguments would give.
fn of_request(load: &Load, arguments: &TerminologyImport) -> bool {
    let system = load.systems.first();
    let version = system.and_then(|system| system.version.as_deref());
    let named = |named: &str| version.is_some_and(|own| own == named || own.ends_with(named));
    let release = arguments.release.as_deref().is_none_or(|release| {
        let date = release.rsplit('/').next().unwrap_or(release);
        named(date)
    });
    let url = arguments.url.as_deref();
    release && url.is_none_or(|url| system.is_some_and(|system| system.url == url))
}

fn read(
    arguments: &TerminologyImport,
    kind: Kind,
    folder: &Folder,
    fingerprint: &str,
    output: &Output,
) -> anyhow::Result<(Load, usize)> {
    let request = import::Request {
        kind,
        path: &arguments.path,
        version: arguments.release.as_deref(),
        url: arguments.url.as_deref(),
    };
    let mut staging = folder.staging(&request, fingerprint)?;
    if arguments.restart {
        staging.restart()?;
    }
    let resumed = staging.progress();
    if let Some(of) = resumed {
        output.note(format_args!(
            "resuming: {} of {} files read before it was broken off (--restart reads them again)",
            of.files, of.files_total
        ));
    }
    let watched = std::io::stderr().is_terminal() && !output.json();
    let begun = now();
    let mut tell = |seen: &Seen| {
        if watched {
            output.progress(progress(seen, begun.elapsed().as_secs_f64()));
        }
    };
    let imported = import::resume(&request, &mut tell, &mut staging)?;
    if watched {
        output.progress("writing");
    }
    let loaded = jiff::Timestamp::now().to_string();
    let id = Folder::id(kind, &name(arguments), &imported);
    let load = folder.keep(&id, kind, &imported, fingerprint, &loaded)?;
    staging.done()?;
    if watched {
        output.progress("");
    }
    left_out(&imported, output);
    Ok((load, resumed.map_or(0, |of| of.files)))
}

#[expect(
    clippy::disallowed_methods,
    reason = "how fast an import is, for whoever watches; nothing depends on it"
)]
fn now() -> Instant {
    Instant::now()
}

fn left_out(imported: &Imported, output: &Output) {
    for (what, count) in &imported.left_out {
        output.note(format_args!("left out: {count} {what}"));
    }
}

/// What tells loads of one kind apart that are of several systems.
fn name(arguments: &TerminologyImport) -> String {
    if let Some(url) = &arguments.url {
        let (_, rest) = url.split_once("://").unwrap_or(("", url));
        return rest.to_owned();
    }
    let name = arguments
        .path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let endings = [".tgz", ".tar.gz", ".zip", ".ndjson", ".json"];
    let bare = endings.iter().find_map(|ending| name.strip_suffix(ending));
    bare.unwrap_or(&name).to_owned()
}

fn progress(seen: &Seen, seconds: f64) -> String {
    let share = seen.bytes * 100 / seen.bytes_total.max(1);
    let file = Path::new(&seen.file).file_name().unwrap_or_default();
    let file = file.to_string_lossy();
    let rate = seen.bytes as f64 / 1_000_000.0 / seconds.max(0.001);
    format!(
        "{share} %, {} concepts, {rate:.0} MB/s, {file}",
        seen.concepts
    )
}

fn systems(load: &Load) -> Vec<Value> {
    let systems = load.systems.iter();
    systems
        .map(|system| {
            json!({ "url": system.url, "version": system.version, "concepts": system.concepts,
                "bytes": system.bytes })
        })
        .collect()
}

fn about(load: &Load) -> String {
    let mut parts: Vec<String> = load
        .systems
        .iter()
        .map(|system| {
            let version = system.version.as_deref().unwrap_or_default();
            format!("{} {version}, {} concepts", system.url, system.concepts)
        })
        .collect();
    if load.definitions > 0 {
        parts.push(format!("{} definitions", load.definitions));
    }
    parts.join("; ")
}

fn told(value: &Value, output: &Output, line: impl FnOnce() -> String) -> anyhow::Result<()> {
    if output.json() {
        return output.value(value);
    }
    output.line(line());
    Ok(())
}

fn list(folder: &Folder, output: &Output) -> anyhow::Result<Exit> {
    let active = folder.active()?;
    let loads = folder.loads()?;
    for one in folder.unfinished()? {
        let value = json!({ "id": one.id, "unfinished": true, "goes-on": one.goes_on });
        told(&value, output, || {
            let state = if one.goes_on {
                "an import that goes on"
            } else {
                "an import that was broken off; the same command goes on with it"
            };
            format!("{:<32} unfinished  {state}", one.id)
        })?;
    }
    if loads.is_empty() && !output.json() {
        output.line("nothing is loaded; what ships with the program answers");
    }
    for load in &loads {
        let place = active.iter().position(|id| *id == load.id);
        let value = json!({ "id": load.id, "kind": load.kind, "active": place.is_some(),
            "place": place.map(|place| place + 1), "loaded": load.loaded, "systems": systems(load),
            "definitions": load.definitions });
        told(&value, output, || {
            let state = match place {
                Some(place) => format!("active ({})", place + 1),
                None => "loaded".to_owned(),
            };
            format!("{:<32} {state:<11} {}", load.id, about(load))
        })?;
    }
    Ok(Exit::Done)
}

fn activate(arguments: &TerminologyLoad, output: &Output) -> anyhow::Result<Exit> {
    let opened = Folder::of(&arguments.data.data).activate(&arguments.id)?;
    let bytes = opened.bytes();
    told(
        &json!({ "id": arguments.id, "active": true, "memory": bytes }),
        output,
        || {
            format!(
                "{} is active ({} MB in memory)",
                arguments.id,
                bytes / 1_000_000
            )
        },
    )?;
    tell_node(&arguments.node.at, output)
}

fn deactivate(arguments: &TerminologyLoad, output: &Output) -> anyhow::Result<Exit> {
    let was = Folder::of(&arguments.data.data).deactivate(&arguments.id)?;
    told(
        &json!({ "id": arguments.id, "active": false }),
        output,
        || {
            let state = if was {
                "is active no more"
            } else {
                "was not active"
            };
            format!("{} {state}", arguments.id)
        },
    )?;
    if !was {
        return Ok(Exit::Done);
    }
    tell_node(&arguments.node.at, output)
}

/// Has the node that runs read what is active; without one it does so when it starts.
fn tell_node(at: &HostPort, output: &Output) -> anyhow::Result<Exit> {
    match Remote::new(at)?.post("/api/v1/reload", &json!({})) {
        Ok(_) => {
            if !output.json() {
                output.line(format_args!("the node at {at} answers with it"));
            }
            Ok(Exit::Done)
        }
        Err(error) if error.is::<Unreachable>() => {
            if !output.json() {
                output.note(format_args!(
                    "no node runs at {at}; the next one that starts has it"
                ));
            }
            Ok(Exit::Done)
        }
        Err(error) => Err(error).context("the node that runs did not take it"),
    }
}
