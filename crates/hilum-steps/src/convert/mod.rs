//! Makes a FHIR Bundle of a message of HL7 v2, or messages of HL7 v2 of a FHIR resource, by the rows of
//! `hilum-convert` and the site's own.
//!
//! What comes behind the step sees a document of the other format. Ids derive from the message's id
//! and times are its arrival, so that a replay gives the same. A trace has a line for each element or
//! field with the row that wrote it.

mod config;
mod labels;
mod rows;
mod to_fhir;
mod to_v2;

use std::collections::BTreeMap;
use std::sync::Arc;

use hilum_component::{
    Authority, Build, BuildContext, Built, ComponentSpec, Example, Finding, Limit, Problem,
    Severity, Step, StepExample, SystemInfo,
};
use hilum_convert::{DecimalSign, Zone};
use serde_json::Value;

use crate::settings::{Problems, read, schema};
use config::{Config, To};
pub use to_fhir::labelled;

/// Places that one finding names.
const PLACES_MAX: usize = 40;

/// What documentation, editor and checks know of the step.
pub(crate) fn spec() -> ComponentSpec {
    ComponentSpec {
        name: "convert",
        summary: "makes a FHIR Bundle of a message of HL7 v2, or messages of HL7 v2 of FHIR",
        schema: schema::<Config>,
        shorthand: Some("to"),
        examples: EXAMPLES,
        limits: &[
            Limit {
                name: "resources of one message",
                value: "20000",
                beyond: "the others are left out, with a finding",
            },
            Limit {
                name: "large attachments",
                value: "those in base64 stay outside memory",
                beyond: "one in another encoding is left out, with a finding",
            },
            Limit {
                name: "original of a message with a large attachment",
                value: "none",
                beyond: "it is left out, with a finding; the journal has the message as it came",
            },
            Limit {
                name: "segments of one message",
                value: "10000",
                beyond: "the others are left out, with a finding",
            },
            Limit {
                name: "messages of one Bundle",
                value: "1000",
                beyond: "the others are left out, with a finding",
            },
        ],
        build: Build::Step(build),
    }
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "A message as a collection of resources",
        yaml: "convert: { to: fhir, bundle: collection, maps: rows, zone: '+00:00' }",
        effect: Some(StepExample {
            format: "hl7v2",
            before: "MSH|^~\\&|PAS|H|||||ZZZ^Z01|1|P|2.5\n",
            after: "{\"resourceType\":\"Bundle\",\"type\":\"collection\"}",
            files: &[],
        }),
    },
    Example {
        title: "A patient as an update for a system that speaks HL7 v2 alone",
        yaml: "convert: { to: hl7v2, message: ADT^A31, sending-application: HILUM, zone: '+01:00' }",
        effect: Some(StepExample {
            format: "fhir",
            before: "{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"Muster\",\"given\":[\"Ann\"]}],\"gender\":\"female\"}",
            after: "MSH|^~\\&|HILUM||||20231114231320.000+0100||ADT^A31^ADT_A05|000000000000005|P|2.5.1||||||UNICODE UTF-8\nEVN|A31|20231114231320.000+0100\nPID|1||||Muster^Ann|||F\nPV1|1|N\n",
            files: &[],
        }),
    },
];

fn build(config: &Value, context: &BuildContext<'_>) -> Built<Arc<dyn Step>> {
    let config: Config = read(config)?;
    let mut problems = Problems::default();
    for key in config.meant_for_the_other() {
        let text = format!("it is not looked at with `to: {}`", config.to.name());
        problems.add(Problem::at(&[key], text));
    }
    match config.to {
        To::Fhir => to_fhir::build(&config, context, problems),
        To::Hl7v2 => to_v2::build(&config, context, problems),
    }
}

/// The arrival as an instant of FHIR.
fn instant(ms: u64) -> String {
    let stamp = i64::try_from(ms).ok();
    let stamp = stamp.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    stamp
        .map(|stamp| stamp.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
        .unwrap_or_default()
}

/// The assigning authorities of a system, by the names and object identifiers that it writes.
#[must_use]
pub fn authorities(system: Option<&SystemInfo>) -> BTreeMap<String, String> {
    let all = system.map(|system| system.identifiers.as_slice());
    all.unwrap_or_default().iter().flat_map(names).collect()
}

/// The assigning authorities on which the systems of a site agree, for messages of a system that does not
/// declare them. `match` knows an authority by its name, so the store has to take it for one as well,
/// whichever file says what it is. What two files call by one name and declare as two is left out.
#[must_use]
pub fn site_authorities<'s>(
    systems: impl Iterator<Item = &'s SystemInfo>,
) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, Option<String>> = BTreeMap::new();
    for (name, uri) in systems.flat_map(|system| system.identifiers.iter().flat_map(names)) {
        let known = all.entry(name).or_insert_with(|| Some(uri.clone()));
        if known.as_ref() != Some(&uri) {
            *known = None;
        }
    }
    all.into_iter()
        .filter_map(|(name, uri)| Some((name, uri?)))
        .collect()
}

/// What messages call an authority, each with its URI.
fn names(authority: &Authority) -> Vec<(String, String)> {
    let oid = authority.oid.clone();
    let of_oid = || oid.as_ref().map(|oid| format!("urn:oid:{oid}"));
    let Some(uri) = authority.uri.clone().or_else(of_oid) else {
        return Vec::new();
    };
    let names = [Some(authority.name.clone()), oid].into_iter().flatten();
    names.map(|name| (name, uri.clone())).collect()
}

/// How a system writes numbers.
#[must_use]
pub fn decimal(system: Option<&SystemInfo>) -> Option<DecimalSign> {
    Some(match system?.decimal? {
        hilum_component::DecimalSign::Point => DecimalSign::Point,
        hilum_component::DecimalSign::Comma => DecimalSign::Comma,
    })
}

/// The zone of the step, else that of the system, else that of the node.
fn zone(
    config: &Config,
    system: Option<&SystemInfo>,
    context: &BuildContext<'_>,
    problems: &mut Problems,
) -> Option<Arc<dyn Zone>> {
    let zone = config.zone.clone();
    let zone = zone
        .or_else(|| system?.zone.clone())
        .or_else(|| context.site.zone());
    zone.and_then(|name| {
        let zone = crate::zone::named(&name);
        problems.keep(zone.map_err(|text| Problem::at(&["zone"], text)))
    })
}

/// What no row reads, in one finding.
fn unmapped(step: String, places: impl ExactSizeIterator<Item = String>) -> Finding {
    let more = places.len().saturating_sub(PLACES_MAX);
    let places: Vec<String> = places.take(PLACES_MAX).collect();
    let mut text = format!("no row reads {}", places.join(", "));
    if more > 0 {
        text.push_str(&format!(" and {more} places more"));
    }
    Finding {
        step,
        code: "unmapped".to_owned(),
        path: None,
        severity: Severity::Information,
        text,
    }
}
