//! The definitions that `hilum-terminology` embeds: those of HL7 Terminology, and those of FHIR R4
//! beside them.
//!
//! `shipped.py` packs both packages into one file, so that the same packages give the same bytes;
//! without the packages only the recorded sha256 is compared.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::hex_digest;
use super::packages::{Package, fetch};

const GENERATED: &str = "crates/hilum-terminology/src/generated";
const MADE: &str = "shipped.bin";
const RECORDED: &str = "shipped.sha256";

/// Newer definitions first.
const PACKAGES: [Package; 2] = [
    Package {
        name: "hl7.terminology.r4",
        version: "7.0.1",
        registry: "npm",
        licence: "CC0-1.0",
        file: "hl7.terminology.r4-7.0.1.tgz",
        sha256: "170c546f761fb51b3355788ca500206f6b772b21c57348c29205de85a6612baa",
        gives: "HL7 Terminology: code systems of v2, v3 and FHIR, value sets, naming systems",
    },
    Package {
        name: "hl7.fhir.r4.examples",
        version: "4.0.1",
        registry: "npm",
        licence: "CC0-1.0",
        file: "hl7.fhir.r4.examples-4.0.1.tgz",
        sha256: "dce87f1b5b9341867033f7d1f544fa1b5232503f6d62813887ac6b8a8b6cb682",
        gives: "the code systems, value sets and concept maps of FHIR R4 itself",
    },
];

/// Writes the table, or with `check` compares it with what the packages give.
pub(crate) fn run(root: &Path, cache: &Path, check: bool) -> Result<()> {
    let generated = root.join(GENERATED);
    let here = |package: &Package| cache.join(package.file).is_file();
    if check && !PACKAGES.iter().all(here) {
        return check_recorded(&generated);
    }
    fs::create_dir_all(cache)?;
    for package in &PACKAGES {
        fetch(cache, package)?;
    }
    let (packed, counts) = make(cache)?;
    let files = [
        ("PROVENANCE.md", provenance(&counts)?.into_bytes()),
        (
            RECORDED,
            format!("{}  {MADE}\n", hex_digest(&packed)).into_bytes(),
        ),
        (MADE, packed),
    ];
    for (name, bytes) in &files {
        let path = generated.join(name);
        if !check {
            fs::create_dir_all(&generated)?;
            fs::write(&path, bytes).with_context(|| format!("write {}", path.display()))?;
            println!("wrote {GENERATED}/{name} ({} bytes)", bytes.len());
        } else if &fs::read(&path).with_context(|| format!("read {}", path.display()))? != bytes {
            bail!("{GENERATED}/{name} is not what the packages give; run `cargo xtask codegen`");
        }
    }
    println!("terminology: {counts}");
    Ok(())
}

fn check_recorded(generated: &Path) -> Result<()> {
    let recorded = fs::read_to_string(generated.join(RECORDED)).context("read shipped.sha256")?;
    let bytes = fs::read(generated.join(MADE)).context("read shipped.bin")?;
    if recorded.trim() != format!("{}  {MADE}", hex_digest(&bytes)) {
        bail!("{GENERATED}/{MADE} does not have the recorded sha256");
    }
    println!(
        "the shipped terminology has its recorded sha256; the packages are not here, they were not \
         re-read"
    );
    Ok(())
}

/// The packed file, and a line of counts.
fn make(cache: &Path) -> Result<(Vec<u8>, String)> {
    let out = cache.join(MADE);
    let output = Command::new("python3")
        .args(["-c", include_str!("shipped.py")])
        .args(PACKAGES.map(|package| cache.join(package.file)))
        .arg(&out)
        .output()
        .context("run python3 to read the packages of terminology")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "reading the packages of terminology failed: {}",
            said.trim()
        );
    }
    let packed = fs::read(&out).with_context(|| format!("read {}", out.display()))?;
    let counts = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok((packed, counts))
}

fn provenance(counts: &str) -> Result<String> {
    let mut text = String::from(
        "# Where the shipped terminology comes from\n\n\
         Made by `cargo xtask codegen` from these packages, and from nothing else:\n\n\
         | Package | Registry | Licence | sha256 | Gives |\n|---|---|---|---|---|\n",
    );
    for package in &PACKAGES {
        writeln!(
            text,
            "| {} {} | {} | {} | `{}` | {} |",
            package.name,
            package.version,
            package.registry,
            package.licence,
            package.sha256,
            package.gives
        )?;
    }
    text.push_str(
        "\nRules:\n\n\
         - Displays, definitions, properties, designations and the hierarchy are kept as they are; \
         narrative, contacts, copyright texts, history and ids of elements are left out.\n\
         - Where both packages have a code system, its version of R4 stands beside the newest one, \
         without definitions. Of a value set the newest version is here alone.\n\
         - Examples of the standard are left out.\n\
         - Definitions are packed in chunks of about 128 kB, so that asking for one unpacks little \
         else (`shipped.py` describes the file).\n\n",
    );
    writeln!(text, "Counts: {counts}.")?;
    Ok(text)
}
