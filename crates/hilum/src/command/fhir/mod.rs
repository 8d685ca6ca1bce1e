//! `hilum fhir`: resources in files, and in the FHIR server of a node.

mod convert;
mod erase;
mod export;
mod import;
mod open;
mod parameters;
mod server;
mod validate;

pub(super) use server::Server;

use std::path::Path;

use anyhow::Context;
use hilum_fhir::{Limits, Problems, Resource, json, xml};

use crate::args::{Fhir, FhirCommand};
use crate::output::{Exit, Output};

pub(crate) fn run(arguments: &Fhir, output: &Output) -> anyhow::Result<Exit> {
    match &arguments.command {
        FhirCommand::Validate(arguments) => validate::run(arguments, output),
        FhirCommand::Convert(arguments) => convert::run(arguments, output),
        FhirCommand::Export(arguments) => export::run(arguments, output),
        FhirCommand::Import(arguments) => import::run(arguments, output),
        FhirCommand::Erase(arguments) => erase::run(arguments, output),
        FhirCommand::SearchParameters(arguments) => parameters::run(arguments, output),
    }
}

/// Reads a resource in the form that its first character tells.
pub(super) fn read(bytes: &[u8]) -> Result<Resource, Problems> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if first == Some(&b'<') {
        xml::parse(bytes, &Limits::default())
    } else {
        json::parse(bytes, &Limits::default())
    }
}

/// Makes a file that is complete or not there.
fn whole(path: &Path, make: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    make(&part)?;
    std::fs::rename(&part, path).with_context(|| format!("cannot write {}", path.display()))
}
