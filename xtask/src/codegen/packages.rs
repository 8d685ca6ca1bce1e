//! The packages that the dictionary is made from: fetched, checked, read into one shape.
//!
//! Fetching goes through `pip` and `npm`, once; a file whose sha256 differs is refused. Reading the
//! packages' own formats is the work of `read_packages.py`; nothing is judged here.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::hex_digest;

pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) registry: &'static str,
    pub(crate) licence: &'static str,
    pub(crate) file: &'static str,
    pub(crate) sha256: &'static str,
    pub(crate) gives: &'static str,
}

pub(crate) const PACKAGES: [Package; 3] = [
    Package {
        name: "hl7apy",
        version: "1.3.5",
        registry: "PyPI",
        licence: "MIT",
        file: "hl7apy-1.3.5-py2.py3-none-any.whl",
        sha256: "c8b80ff5ad020bf9c1e68a6395cf45cb78db621f65569d1798c46eb1b657e27b",
        gives: "the base: structures with groups, segments, fields, data types, table codes",
    },
    Package {
        name: "hl7types",
        version: "0.9.5",
        registry: "PyPI",
        licence: "MIT",
        file: "hl7types-0.9.5-py3-none-any.whl",
        sha256: "305b5bd7353200ba4d72a112c0ab85165d4f6ec6815318d0c5fbc38aa4aa858f",
        gives: "events that share a structure, conditional fields, names of 2.8 and later",
    },
    Package {
        name: "hl7-dictionary",
        version: "1.0.1",
        registry: "npm",
        licence: "MIT",
        file: "hl7-dictionary-1.0.1.tgz",
        sha256: "a23751c26d83a897fe5734ca198555c13c0d306d78b5578b103f0d63198182ef",
        gives: "lengths, optionality, names, the texts of table codes",
    },
];

/// One field or component as a package states it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RawField(
    /// position
    pub(crate) u16,
    /// name
    pub(crate) String,
    /// data type
    pub(crate) String,
    /// table
    pub(crate) Option<u16>,
    /// min
    pub(crate) i32,
    /// max, -1 unbounded
    pub(crate) i32,
    /// length
    pub(crate) Option<u32>,
    /// optionality letter
    pub(crate) Option<String>,
);

/// A structure node: a segment, or a group with children.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum RawNode {
    Group(String, i32, i32, String, Vec<RawNode>),
    Segment(String, i32, i32),
}

#[derive(Debug, Deserialize)]
pub(crate) struct ApyVersion {
    pub(crate) structures: BTreeMap<String, Vec<RawNode>>,
    pub(crate) segments: BTreeMap<String, Vec<RawField>>,
    pub(crate) types: BTreeMap<String, Vec<RawField>>,
    pub(crate) tables: BTreeMap<u16, (String, Vec<String>)>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TypesVersion {
    pub(crate) aliases: BTreeMap<String, String>,
    pub(crate) segments: BTreeMap<String, Vec<RawField>>,
    pub(crate) types: BTreeMap<String, Vec<RawField>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DictVersion {
    pub(crate) structures: BTreeMap<String, (String, Vec<RawNode>)>,
    pub(crate) segments: BTreeMap<String, (String, Vec<RawField>)>,
    pub(crate) types: BTreeMap<String, (String, Vec<RawField>)>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Dict {
    pub(crate) versions: BTreeMap<String, DictVersion>,
    pub(crate) tables: BTreeMap<u16, (String, BTreeMap<String, String>)>,
}

/// Everything the packages say, unjudged.
#[derive(Debug, Deserialize)]
pub(crate) struct Sources {
    pub(crate) hl7apy: BTreeMap<String, ApyVersion>,
    pub(crate) hl7types: BTreeMap<String, TypesVersion>,
    pub(crate) hl7_dictionary: Dict,
}

pub(crate) fn all_present(cache: &Path) -> bool {
    PACKAGES
        .iter()
        .all(|package| cache.join(package.file).is_file())
}

pub(crate) fn read(cache: &Path) -> Result<Sources> {
    fs::create_dir_all(cache)?;
    for package in &PACKAGES {
        fetch(cache, package)?;
    }
    let files = PACKAGES.map(|package| package.file);
    let output = Command::new("python3")
        .args(["-c", include_str!("read_packages.py")])
        .arg(cache)
        .args(files)
        .output()
        .context("run python3 to read the packages")?;
    if !output.status.success() {
        bail!(
            "reading the packages failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    serde_json::from_slice(&output.stdout).context("decode what was read from the packages")
}

pub(crate) fn fetch(cache: &Path, package: &Package) -> Result<()> {
    let path = cache.join(package.file);
    if !path.is_file() {
        let status = match package.registry {
            "npm" => Command::new("npm")
                .args(["pack", "--silent", "--pack-destination"])
                .arg(cache)
                .arg(format!("{}@{}", package.name, package.version))
                .status(),
            _ => Command::new("python3")
                .args([
                    "-m",
                    "pip",
                    "download",
                    "--quiet",
                    "--no-deps",
                    "--only-binary=:all:",
                ])
                .arg("--dest")
                .arg(cache)
                .arg(format!("{}=={}", package.name, package.version))
                .status(),
        };
        let status = status.with_context(|| format!("fetch {}", package.name))?;
        if !status.success() {
            bail!(
                "fetching {} {} from {} failed",
                package.name,
                package.version,
                package.registry
            );
        }
    }
    let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    if hex_digest(&bytes) != package.sha256 {
        bail!("{} does not have the expected sha256", path.display());
    }
    Ok(())
}
