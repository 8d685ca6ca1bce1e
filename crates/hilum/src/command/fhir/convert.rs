//! `hilum fhir convert`

use anyhow::Context;
use hilum_fhir::{Style, json, xml};

use crate::args::{FhirConvert, FhirForm};
use crate::output::{Exit, Output};

pub(super) fn run(arguments: &FhirConvert, output: &Output) -> anyhow::Result<Exit> {
    let file = &arguments.file;
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let resource = match super::read(&bytes) {
        Ok(resource) => resource,
        Err(problems) => {
            for problem in &problems.0 {
                output.note(format_args!("{}: {problem}", file.display()));
            }
            return Ok(Exit::Found);
        }
    };
    let style = if arguments.compact {
        Style::Compact
    } else {
        Style::Pretty
    };
    let mut written = Vec::new();
    match arguments.to {
        FhirForm::Json => json::write(&resource, style, &mut written),
        FhirForm::Xml => xml::write(&resource, style, &mut written),
    }
    match &arguments.out {
        Some(out) => std::fs::write(out, &written)
            .with_context(|| format!("cannot write {}", out.display()))?,
        None => output.line(String::from_utf8(written)?.trim_end()),
    }
    Ok(Exit::Done)
}
