//! `hilum check`

use std::path::Path;

use anyhow::Context;
use hilum_component::{FhirDoor, Registry};
use hilum_config::{
    Loaded, OpenTerminology, Options, Secrets, Variables, load, load_all, render, summary,
};
use serde_json::json;

use crate::args::{Check, SiteArgs};
use crate::components::registry;
use crate::output::{Exit, Output};

/// How a site is loaded from the command line.
pub(crate) fn options(site: &SiteArgs, secrets: Secrets) -> Options {
    Options {
        environment: site.environment.clone(),
        secrets,
        variables: Variables::Process,
        resource_types: crate::fhir::resource_types(),
        packages: Some(crate::packages::check),
        terminology: crate::terms::of_environment(),
        ..Options::default()
    }
}

/// Loads a site and shows what is wrong with it.
pub(crate) fn load_site(
    site: &SiteArgs,
    secrets: Secrets,
    output: &Output,
) -> anyhow::Result<Loaded> {
    show(site, &options(site, secrets), output, load)
}

/// The same with the code systems of a data folder.
pub(crate) fn load_site_with(
    site: &SiteArgs,
    secrets: Secrets,
    data: Option<&Path>,
    output: &Output,
) -> anyhow::Result<Loaded> {
    let options = Options {
        terminology: crate::terms::of_folder(data),
        ..options(site, secrets)
    };
    show(site, &options, output, load)
}

/// Loads a site that is to run, whose components reach the FHIR stores by this door and see these
/// code systems.
pub(crate) fn load_with(
    site: &SiteArgs,
    secrets: Secrets,
    (fhir, terminology): (FhirDoor, OpenTerminology),
    output: &Output,
) -> anyhow::Result<Loaded> {
    let options = Options {
        fhir,
        terminology,
        ..options(site, secrets)
    };
    show(site, &options, output, load)
}

/// Loads a site by `load` and shows what is wrong with it.
fn show(
    site: &SiteArgs,
    options: &Options,
    output: &Output,
    load: impl FnOnce(&Path, &Registry, &Options) -> Loaded,
) -> anyhow::Result<Loaded> {
    let folder = site
        .site
        .canonicalize()
        .with_context(|| format!("there is no folder {}", site.site.display()))?;
    let loaded = load(&folder, &registry(), options);
    if !loaded.diagnostics.is_empty() && !output.json() {
        output.note(render(&loaded.diagnostics));
    }
    Ok(loaded)
}

pub(crate) fn run(arguments: &Check, output: &Output) -> anyhow::Result<Exit> {
    let secrets = if arguments.no_secrets {
        Secrets::Unread
    } else {
        Secrets::Required
    };
    let options = Options {
        terminology: crate::terms::of_folder(arguments.data.as_deref()),
        ..options(&arguments.site, secrets)
    };
    let loaded = show(&arguments.site, &options, output, load_all)?;
    if output.json() {
        output.value(&json!({
            "plan": loaded.plan.as_ref().map(|plan| plan.digest.to_string()),
            "files": loaded.files,
            "diagnostics": loaded.diagnostics,
        }))?;
    } else {
        output.line(summary(&loaded.diagnostics, loaded.files));
    }
    Ok(if loaded.errors() == 0 {
        Exit::Done
    } else {
        Exit::Found
    })
}
