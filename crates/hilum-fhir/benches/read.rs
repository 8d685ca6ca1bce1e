//! Reading and writing, structure check included, and what searches find: a patient's record as one Bundle, where the
//! shared material is there, and an Observation.

#![expect(clippy::unwrap_used, reason = "a bench fails aloud")]

use std::path::PathBuf;
use std::process::Command;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use hilum_fhir::search::{ParamSet, extract};
use hilum_fhir::{Limits, Style, json, xml};

fn main() {
    divan::main();
}

const RECORD: &str = "suites/synthea-r4/1363ed76-25b9-dc4f-6de7-6ee133d82db3.json.bz2";

const OBSERVATION: &str = r#"{"resourceType":"Observation","id":"b1f4e5","meta":{"profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-observation-lab"]},
"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory","display":"laboratory"}]}],
"code":{"coding":[{"system":"http://loinc.org","code":"2093-3","display":"Total Cholesterol"}],"text":"Total Cholesterol"},
"subject":{"reference":"Patient/1363ed76"},"encounter":{"reference":"Encounter/0f2d"},"effectiveDateTime":"2014-02-28T03:41:15-05:00","issued":"2014-02-28T03:41:15.120-05:00",
"valueQuantity":{"value":177.50,"unit":"mg/dL","system":"http://unitsofmeasure.org","code":"mg/dL"}}"#;

/// A Synthea record; the Observation where it cannot be had.
fn record() -> Vec<u8> {
    let root = std::env::var_os("HILUM_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let output = Command::new("bzcat").arg(root.join(RECORD)).output();
    match output {
        Ok(output) if output.status.success() && !output.stdout.is_empty() => output.stdout,
        _ => OBSERVATION.as_bytes().to_vec(),
    }
}

fn parse_json(bencher: Bencher<'_, '_>, bytes: &[u8]) {
    bencher
        .counter(BytesCount::new(bytes.len()))
        .bench(|| json::parse(black_box(bytes), &Limits::default()).unwrap());
}

#[divan::bench]
fn parse_json_record(bencher: Bencher<'_, '_>) {
    parse_json(bencher, &record());
}

#[divan::bench]
fn parse_json_compact_record(bencher: Bencher<'_, '_>) {
    let resource = json::parse(&record(), &Limits::default()).unwrap();
    let mut bytes = Vec::new();
    json::write(&resource, Style::Compact, &mut bytes);
    parse_json(bencher, &bytes);
}

#[divan::bench]
fn parse_json_observation(bencher: Bencher<'_, '_>) {
    parse_json(bencher, OBSERVATION.as_bytes());
}

#[divan::bench]
fn write_json_record(bencher: Bencher<'_, '_>) {
    let resource = json::parse(&record(), &Limits::default()).unwrap();
    let mut out = Vec::new();
    json::write(&resource, Style::Compact, &mut out);
    bencher.counter(BytesCount::new(out.len())).bench_local(|| {
        out.clear();
        json::write(black_box(&resource), Style::Compact, &mut out);
    });
}

#[divan::bench]
fn parse_xml_record(bencher: Bencher<'_, '_>) {
    let resource = json::parse(&record(), &Limits::default()).unwrap();
    let mut bytes = Vec::new();
    xml::write(&resource, Style::Compact, &mut bytes);
    bencher
        .counter(BytesCount::new(bytes.len()))
        .bench(|| xml::parse(black_box(&bytes), &Limits::default()).unwrap());
}

#[divan::bench]
fn extract_observation(bencher: Bencher<'_, '_>) {
    let resource = json::parse(OBSERVATION.as_bytes(), &Limits::default()).unwrap();
    let params = ParamSet::r4();
    bencher.bench(|| extract(black_box(&resource), &params).values.len());
}
