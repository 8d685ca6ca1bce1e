//! Packages made by hand, whole and broken.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{GuidesBuilder, PackageError, PackageLimits, read};

fn file(path: &str, content: &[u8]) -> Vec<u8> {
    let mut header = vec![0_u8; 512];
    header[..path.len()].copy_from_slice(path.as_bytes());
    header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    header[156] = b'0';
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    header.extend_from_slice(content);
    header.resize(header.len().div_ceil(512) * 512, 0);
    header
}

fn packed(tar: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(tar).unwrap();
    encoder.finish().unwrap()
}

fn paths(package: &[u8], limits: &PackageLimits) -> Result<Vec<String>, PackageError> {
    let mut found = Vec::new();
    read(package, limits, &mut |entry| {
        found.push(format!("{} {}", entry.path, entry.bytes.len()));
    })?;
    Ok(found)
}

fn two() -> Vec<u8> {
    let mut tar = file("package/package.json", b"{}");
    tar.extend(file("package/Patient-a.json", &[b' '; 600]));
    tar.extend([0; 1024]);
    tar
}

#[test]
fn files_come_one_after_the_other() {
    let found = paths(&packed(&two()), &PackageLimits::default()).unwrap();
    assert_eq!(found, ["package.json 2", "Patient-a.json 600"]);
}

#[test]
fn every_limit_holds_just_above_it() {
    let package = packed(&two());
    let check = |limits: PackageLimits, expected: &str| {
        let error = paths(&package, &limits).unwrap_err().to_string();
        assert_eq!(error, expected);
    };
    let all = PackageLimits::default();
    let exact = PackageLimits {
        bytes_max: package.len() as u64,
        unpacked_bytes_max: two().len() as u64,
        entries_max: 2,
        entry_bytes_max: 600,
    };
    assert_eq!(paths(&package, &exact).unwrap().len(), 2);
    let bytes_max = exact.bytes_max - 1;
    check(
        PackageLimits { bytes_max, ..all },
        &format!("the package has more than {bytes_max} bytes"),
    );
    check(
        PackageLimits {
            unpacked_bytes_max: 1000,
            ..all
        },
        "the package unpacks to more than 1000 bytes",
    );
    check(
        PackageLimits {
            entries_max: 1,
            ..all
        },
        "the package has more than 1 files",
    );
    check(
        PackageLimits {
            entry_bytes_max: 599,
            ..all
        },
        "a file of the package has more than 599 bytes",
    );
}

#[test]
fn broken_packages_are_refused() {
    let limits = PackageLimits::default();
    let whole = two();
    for cut in [100, 513, 1500] {
        assert!(paths(&packed(&whole[..cut]), &limits).is_err(), "{cut}");
    }
    let package = packed(&whole);
    assert!(paths(&package[..package.len() - 9], &limits).is_err());
    assert!(paths(b"no gzip", &limits).is_err());
    let mut wrong = whole;
    wrong[0] ^= 1;
    assert!(matches!(
        paths(&packed(&wrong), &limits),
        Err(PackageError::Tar(_))
    ));
}

#[test]
fn a_profile_that_cannot_be_used_is_named_with_its_place() {
    let profile = |name: &str, ty: &str, base: &str| {
        let text = format!(
            r#"{{"resourceType":"StructureDefinition","url":"urn:{name}","name":"P","status":"draft",
            "kind":"resource","abstract":false,"type":"{ty}","derivation":"constraint",
            "baseDefinition":"{base}","differential":{{"element":[{{"path":"{ty}"}}]}}}}"#
        );
        file(&format!("package/{name}.json"), text.as_bytes())
    };
    let patient = "http://hl7.org/fhir/StructureDefinition/Patient";
    let mut tar = file(
        "package/package.json",
        br#"{"name":"a.guide","version":"1.0.0","fhirVersions":["4.0.1"]}"#,
    );
    tar.extend(profile("good", "Patient", patient));
    tar.extend(profile("alone", "Patient", "urn:absent"));
    tar.extend(profile("round", "Patient", "urn:round"));
    tar.extend(profile("new", "Transport", patient));
    tar.extend([0; 1024]);
    let mut guides = GuidesBuilder::new();
    guides
        .add(packed(&tar).as_slice(), &PackageLimits::default())
        .unwrap();
    let guides = guides.build();
    let faults: Vec<String> = guides.faults().iter().map(ToString::to_string).collect();
    assert_eq!(
        faults,
        [
            "urn:alone (a.guide, alone.json) is built on urn:absent, which no package has",
            "urn:round (a.guide, round.json) is built on itself, or on too many others",
            "urn:new (a.guide, new.json) is for the type Transport, which FHIR R4 does not have",
        ]
    );
    let urls: Vec<&str> = guides.profiles.added().map(|p| p.url.as_str()).collect();
    assert!(urls.contains(&"urn:good"), "{urls:?}");
}
