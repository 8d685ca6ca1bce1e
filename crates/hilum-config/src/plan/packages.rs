//! The packages of profiles that a site gives its FHIR server.
//!
//! Whether the files are there is known here; what is in them is said by whoever can read them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{FhirTenant, Options};
use crate::diagnostic::{Draft, Report};
use crate::site::Folder;
use crate::yaml::Node;

/// What is wrong with the packages of a tenant, as whoever reads packages says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageProblem {
    /// The package, by its place in the list; else the profiles that are demanded of this type.
    pub at: Result<usize, String>,
    /// It can be used all the same.
    pub warning: bool,
    /// What is wrong.
    pub text: String,
    /// What to do.
    pub remedy: String,
}

/// Reads the packages of a tenant and looks for the profiles that it demands.
pub type CheckPackages = fn(&[PathBuf], &BTreeMap<String, Vec<String>>) -> Vec<PackageProblem>;

/// The packages of the server, or of a tenant, whose own come behind those of the server.
pub(super) fn packages(
    section: &Node,
    own: Option<(&Node, usize)>,
    tenant: &FhirTenant,
    folder: &Folder,
    options: &Options,
    report: &mut Report,
) {
    let (place, before) = own.unwrap_or((section, 0));
    let listed = place.get("packages").map(Node::items).unwrap_or_default();
    let span = |at: usize| {
        let node = at.checked_sub(before).and_then(|at| listed.get(at));
        node.map_or(place.span, |node| node.span)
    };
    let mut files = Vec::new();
    for (at, path) in tenant.packages.iter().enumerate() {
        match folder.find(path) {
            Ok(file) => files.push(file),
            // Of those of the server it was said there.
            Err(_) if at < before => return,
            Err(error) => {
                let code = if error.outside { "E0115" } else { "E0114" };
                let text = format!("cannot read `{path}`: {}", error.message);
                let remedy = "put the package into the site's folder and name it by its path there";
                report.push(Draft::error(code, span(at), text).remedy(remedy));
            }
        }
    }
    let Some(check) = options
        .packages
        .filter(|_| files.len() == tenant.packages.len())
    else {
        return;
    };
    if own.is_some() && place.get("packages").is_none() && place.get("profiles").is_none() {
        return;
    }
    for problem in check(&files, &tenant.profiles) {
        let at = match &problem.at {
            Ok(at) if *at < before => continue,
            Ok(at) => span(*at),
            Err(ty) => {
                let named = |node: &Node| {
                    let entries = node.get("profiles").map(Node::entries).unwrap_or_default();
                    let found = entries.iter().find(|(key, _)| key.text == *ty);
                    found.map(|(key, _)| key.span)
                };
                match named(place) {
                    Some(span) => span,
                    None => continue,
                }
            }
        };
        let draft = if problem.warning {
            Draft::warning("E0125", at, problem.text)
        } else {
            Draft::error("E0125", at, problem.text)
        };
        report.push(draft.remedy(problem.remedy));
    }
}
