//! How much of what conversions give conforms to US Core, profile by profile, and what the rest lacks.
//!
//! Nothing is made to conform: what a message does not say is not invented, and no resource of a
//! conversion claims a profile. The claim is made here alone, so that the validator looks.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;

use hilum_convert::{BundleType, Maps, Settings, to_fhir};
use hilum_fhir::package::{self, PackageLimits};
use hilum_fhir::profile::{Profiles, ProfilesBuilder};
use hilum_fhir::validate::{LoadedCodes, Request, Validator};
use hilum_fhir::{Limits, json};
use hilum_fhirpath::Moment;
use serde_json::{Value, json as value};

use crate::kit::as_json;
use crate::samples::{ARRIVED, messages, settings, shared};

const CORE: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-";

/// Reasons that the page lists of each profile.
const REASONS_MAX: usize = 10;

const HEAD: &str = "# US Core

Written by `cargo xtask scores`; do not edit.

Every message of the sample sets (others' test messages, among them many with a single valued field)
is converted with `--profile us-core --country US`, and each resource is held against the profile of
US Core 6.1.0 that applies to it. All of it is valid FHIR R4 (a test of its own). What a message does
not say is not invented: a patient of whom only the number was sent lacks a name. No resource claims
a profile.

An Observation or DiagnosticReport of a laboratory (category) is held against the profiles for
laboratories, the others against those for clinical results and notes. Codes are compared with the
value sets of the package and those that R4 lists; what needs LOINC or SNOMED CT is not.

| Profile | Resources | Valid | |
|---|---:|---:|---:|
";

/// The profile that applies to a resource.
fn profile(resource: &Value) -> Option<&'static str> {
    let laboratory = resource["category"].to_string();
    Some(match resource["resourceType"].as_str()? {
        "AllergyIntolerance" => "allergyintolerance",
        "CareTeam" => "careteam",
        "Condition" => "condition-encounter-diagnosis",
        "Coverage" => "coverage",
        "DiagnosticReport" if laboratory.contains("\"LAB\"") => "diagnosticreport-lab",
        "DiagnosticReport" => "diagnosticreport-note",
        "DocumentReference" => "documentreference",
        "Encounter" => "encounter",
        "Immunization" => "immunization",
        "Location" => "location",
        "MedicationDispense" => "medicationdispense",
        "MedicationRequest" => "medicationrequest",
        "Observation" if laboratory.contains("\"laboratory\"") => "observation-lab",
        "Observation" => "observation-clinical-result",
        "Organization" => "organization",
        "Patient" => "patient",
        "Practitioner" => "practitioner",
        "PractitionerRole" => "practitionerrole",
        "Procedure" => "procedure",
        "Provenance" => "provenance",
        "RelatedPerson" => "relatedperson",
        "ServiceRequest" => "servicerequest",
        "Specimen" => "specimen",
        _ => return None,
    })
}

struct Guide {
    profiles: Profiles,
    codes: LoadedCodes,
}

fn guide(path: &Path) -> Guide {
    let mut profiles = ProfilesBuilder::new();
    let mut codes = LoadedCodes::new();
    let file = File::open(path).unwrap();
    package::read(file, &PackageLimits::default(), &mut |entry| {
        if entry.is_definition()
            && let Ok(resource) = entry.resource()
        {
            codes.add(resource.clone());
            profiles.add(resource);
        }
    })
    .unwrap();
    Guide {
        profiles: profiles.build(),
        codes,
    }
}

/// What was found of one profile.
#[derive(Default)]
struct Found {
    resources: u64,
    valid: u64,
    reasons: BTreeMap<String, u64>,
}

/// Claims for each resource the profile that applies, and gives the profiles by entry.
fn claim(bundle: &mut Value) -> Vec<Option<&'static str>> {
    let entries = bundle.get_mut("entry").and_then(Value::as_array_mut);
    entries
        .into_iter()
        .flatten()
        .map(|entry| {
            let resource = &mut entry["resource"];
            let name = profile(resource)?;
            let meta = resource
                .as_object_mut()?
                .entry("meta")
                .or_insert(value!({}));
            meta["profile"] = value!([format!("{CORE}{name}")]);
            Some(name)
        })
        .collect()
}

/// A problem without the places of its lists and without the name of the profile.
fn reason(expression: &str, text: &str) -> String {
    let place = expression
        .split_once(".resource")
        .map_or("", |(_, rest)| rest);
    let mut plain = String::new();
    for part in place.split('[') {
        plain.push_str(part.split_once(']').map_or(part, |(_, rest)| rest));
    }
    let text = text.split(" (profile ").next().unwrap_or(text);
    let text = text.split(" `").next().unwrap_or(text);
    let place = plain.trim_start_matches('.');
    if place.is_empty() {
        text.to_owned()
    } else {
        format!("{place}: {text}")
    }
}

#[test]
fn what_conforms_to_us_core_suite() {
    let (Some(folder), Some(package)) = (
        shared("samples/hl7v2", "US Core"),
        shared("suites/profiles/us_core_610.tgz", "US Core"),
    ) else {
        return;
    };
    let guide = guide(&package);
    let validator = Validator::new();
    let request = Request {
        profiles: &guide.profiles,
        terminology: &guide.codes,
        ..Request::new(Moment::from_unix_millis(1_767_323_045_678, 0))
    };
    let settings = Settings {
        profile: Some("us-core".to_owned()),
        country: Some("US".to_owned()),
        bundle: BundleType::Collection,
        ..settings()
    };
    let maps = Maps::shipped().unwrap();
    let mut found: BTreeMap<&str, Found> = BTreeMap::new();
    for (path, message) in messages(&folder) {
        let bundle = to_fhir(maps, &message, &settings, &ARRIVED).bundle;
        let plain = Request::new(request.now);
        let errors = validator.validate(&bundle, &plain);
        let error = errors.iter().find(|problem| problem.is_error());
        assert!(error.is_none(), "{}: {error:?}", path.display());
        let mut bundle = as_json(&bundle);
        let claimed = claim(&mut bundle);
        let text = bundle.to_string();
        let bundle = json::parse(text.as_bytes(), &Limits::default());
        let bundle = bundle.unwrap_or_else(|problems| panic!("{}: {problems:?}", path.display()));
        let mut wrong: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for problem in validator.validate(&bundle, &request) {
            let expression = problem.expression.clone().unwrap_or_default();
            let at = expression.strip_prefix("Bundle.entry[");
            let at = at.and_then(|rest| rest.split_once(']')?.0.parse().ok());
            if let Some(at) = at.filter(|_| problem.is_error()) {
                let reasons = wrong.entry(at).or_default();
                let reason = reason(&expression, &problem.text);
                if !reasons.contains(&reason) {
                    reasons.push(reason);
                }
            }
        }
        for (at, profile) in claimed.into_iter().enumerate() {
            let Some(profile) = profile else { continue };
            let found = found.entry(profile).or_default();
            found.resources += 1;
            match wrong.remove(&at) {
                None => found.valid += 1,
                Some(reasons) => {
                    for reason in reasons {
                        *found.reasons.entry(reason).or_default() += 1;
                    }
                }
            }
        }
    }
    let page = page(&found);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/scores/us-core.md");
    if std::env::var_os("HILUM_SCORES").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let known = std::fs::read_to_string(path).unwrap_or_default();
    assert!(known == page, "stale; run `cargo xtask scores`\n{page}");
}

fn page(found: &BTreeMap<&str, Found>) -> String {
    let share = |valid: u64, all: u64| format!("{:.1} %", valid as f64 * 100.0 / all as f64);
    let mut page = String::from(HEAD);
    let (mut resources, mut valid) = (0, 0);
    for (name, of) in found {
        resources += of.resources;
        valid += of.valid;
        let share = share(of.valid, of.resources);
        let _ok = writeln!(
            page,
            "| us-core-{name} | {} | {} | {share} |",
            of.resources, of.valid
        );
    }
    let all = share(valid, resources);
    let _ok = writeln!(page, "| all | {resources} | {valid} | {all} |");
    page.push_str(
        "\n## What the rest lacks\n\nThe most frequent reasons; a resource may have several.\n",
    );
    for (name, of) in found {
        if of.reasons.is_empty() {
            continue;
        }
        let _ok = writeln!(
            page,
            "\n### us-core-{name}\n\n| Resources | Reason |\n|---:|---|"
        );
        let mut reasons: Vec<_> = of.reasons.iter().collect();
        reasons.sort_by_key(|(reason, count)| (std::cmp::Reverse(**count), (*reason).clone()));
        for (reason, count) in reasons.into_iter().take(REASONS_MAX) {
            let _ok = writeln!(page, "| {count} | {} |", reason.replace('|', "\\|"));
        }
    }
    page
}
