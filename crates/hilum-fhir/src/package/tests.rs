//! Packages made by hand, whole and broken.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{PackageError, PackageLimits, read};

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
