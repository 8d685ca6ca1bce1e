//! What `hilum check` says about the FHIR packages of a site.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use hilum_config::PackageProblem;
use hilum_fhir::package::{Guides, GuidesBuilder, PackageError, PackageLimits};

/// Profiles that cannot be used, or packages that are missing, that are named one by one.
const NAMED_MAX: usize = 3;

/// Reads packages and looks for the profiles that are demanded.
pub(crate) fn check(
    files: &[PathBuf],
    demanded: &BTreeMap<String, Vec<String>>,
) -> Vec<PackageProblem> {
    let mut problems = Vec::new();
    let mut guides = GuidesBuilder::new();
    for (at, file) in files.iter().enumerate() {
        let opened = File::open(file).map_err(|error| PackageError::Read(error).into());
        let added = opened.and_then(|file| guides.add(file, &PackageLimits::default()).map(drop));
        if let Err(error) = added {
            let error = anyhow::Error::new(error);
            problems.push(PackageProblem {
                at: Ok(at),
                warning: false,
                text: format!("the FHIR package cannot be used: {error:#}"),
                remedy: "fetch it again from the registry of FHIR packages, for R4".to_owned(),
            });
        }
    }
    if !problems.is_empty() {
        return problems;
    }
    let guides = guides.build();
    let faults = guides.faults();
    if let Some(first) = faults.first() {
        problems.push(PackageProblem {
            at: Ok(files.len().saturating_sub(1)),
            warning: false,
            text: format!("{} profiles cannot be used, such as {first}", faults.len()),
            remedy: "add the package that has what they are built on to `packages`".to_owned(),
        });
    }
    for (at, guide) in guides.guides.iter().enumerate() {
        let missing = guides.missing().filter(|(own, ..)| own.name == guide.name);
        let names: Vec<String> = missing
            .map(|(_, name, version)| format!("{name} {version}"))
            .collect();
        if names.is_empty() {
            continue;
        }
        let named = names.iter().take(NAMED_MAX);
        let named: Vec<&str> = named.map(String::as_str).collect();
        let more = match names.len().saturating_sub(NAMED_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        problems.push(PackageProblem {
            at: Ok(at),
            warning: true,
            text: format!(
                "{} needs {}{more}, which are not among the packages; what they define is not \
                 checked",
                guide.name,
                named.join(", ")
            ),
            remedy: "add those whose value sets and profiles matter to you".to_owned(),
        });
    }
    unknown(&guides, demanded, &mut problems);
    problems
}

/// Profiles that are demanded and that nobody has, or that are for something else.
fn unknown(
    guides: &Guides,
    demanded: &BTreeMap<String, Vec<String>>,
    problems: &mut Vec<PackageProblem>,
) {
    for (ty, profiles) in demanded {
        for url in profiles {
            let known = guides.profiles.get(url);
            let text = match known {
                Some(profile)
                    if hilum_fhir::definitions::Definitions::r4()
                        .type_def(profile.ty)
                        .name
                        != ty =>
                {
                    format!("the profile {url} is not for resources of the type {ty}")
                }
                Some(_) => continue,
                None => format!("the profile {url} is in none of the packages"),
            };
            problems.push(PackageProblem {
                at: Err(ty.clone()),
                warning: false,
                text,
                remedy: "add its package to `packages`, or mend the URL".to_owned(),
            });
        }
    }
}
