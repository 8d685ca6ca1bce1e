//! Base validation of the resources of a patient's record, one by one, as a server gets them, and the
//! examples of US Core against its profiles.

#![expect(clippy::unwrap_used, reason = "a bench fails aloud")]

use std::path::PathBuf;
use std::process::Command;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use hilum_fhir::package::{self, Guides, GuidesBuilder, PackageLimits};
use hilum_fhir::validate::{Request, Validator};
use hilum_fhir::{Limits, Resource, Style, json};
use hilum_fhirpath::Moment;

fn main() {
    divan::main();
}

const RECORD: &str = "suites/synthea-r4/1363ed76-25b9-dc4f-6de7-6ee133d82db3.json.bz2";
const NOW_MS: i64 = 1_767_225_600_000;

fn shared() -> PathBuf {
    std::env::var_os("HILUM_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    )
}

/// The resources of a Synthea record; a patient where it cannot be had.
fn resources() -> Vec<Resource> {
    let output = Command::new("bzcat").arg(shared().join(RECORD)).output();
    let bytes = output.map(|output| output.stdout).unwrap_or_default();
    let Ok(record) = json::parse(&bytes, &Limits::default()) else {
        let patient = br#"{"resourceType":"Patient","active":true,"birthDate":"1952-02-29"}"#;
        return vec![json::parse(patient, &Limits::default()).unwrap()];
    };
    let entries = record.root().children_named("entry");
    let bodies = entries.filter_map(|entry| entry.child("resource"));
    let read = bodies.map(|node| {
        let mut out = Vec::new();
        json::write_node(node, Style::Compact, &mut out);
        json::parse(&out, &Limits::default()).unwrap()
    });
    read.collect()
}

#[divan::bench]
fn base(bencher: Bencher<'_, '_>) {
    let (resources, validator) = (resources(), Validator::new());
    let request = Request::new(Moment::from_unix_millis(NOW_MS, 0));
    bencher.counter(ItemsCount::new(resources.len())).bench(|| {
        let found = |resource| validator.validate(black_box(resource), &request).len();
        resources.iter().map(found).sum::<usize>()
    });
}

/// The package of US Core; empty where it cannot be had.
fn packed() -> Vec<u8> {
    std::fs::read(shared().join("suites/profiles/us_core_610.tgz")).unwrap_or_default()
}

fn us_core_guides(packed: &[u8]) -> Guides {
    let mut guides = GuidesBuilder::new();
    if !packed.is_empty() {
        guides.add(packed, &PackageLimits::default()).unwrap();
    }
    guides.build()
}

fn us_core() -> (Guides, Vec<Resource>) {
    let packed = packed();
    let mut examples = Vec::new();
    if packed.is_empty() {
        return (us_core_guides(&packed), examples);
    }
    let limits = PackageLimits::default();
    package::read(packed.as_slice(), &limits, &mut |entry| {
        if entry.path.starts_with("example/") {
            examples.extend(entry.resource().ok());
        }
    })
    .unwrap();
    (us_core_guides(&packed), examples)
}

/// The examples of US Core against the profiles that they name.
#[divan::bench]
fn us_core_examples(bencher: Bencher<'_, '_>) {
    let ((guides, examples), validator) = (us_core(), Validator::new());
    let request = Request {
        profiles: &guides.profiles,
        terminology: &guides.codes,
        ..Request::new(Moment::from_unix_millis(NOW_MS, 0))
    };
    bencher.counter(ItemsCount::new(examples.len())).bench(|| {
        let found = |resource| validator.validate(black_box(resource), &request).len();
        examples.iter().map(found).sum::<usize>()
    });
}

/// Unpacking, reading and compiling the package.
#[divan::bench(sample_count = 10)]
fn load_us_core(bencher: Bencher<'_, '_>) {
    let packed = packed();
    bencher.bench(|| us_core_guides(black_box(&packed)));
}

#[divan::bench]
fn make_the_validator() -> Validator {
    Validator::new()
}
