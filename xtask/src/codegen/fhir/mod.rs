//! The tables of FHIR R4 that `hilum-fhir` embeds, made from the examples package of the standard.
//!
//! The package holds the definitions as resources. `tables.py` reads them and writes the table, so
//! that the same package gives the same bytes; without the package only the recorded sha256 is
//! compared.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::hex_digest;
use super::packages::{Package, fetch};

const GENERATED: &str = "crates/hilum-fhir/src/generated";

/// What the program writes.
const MADE: [&str; 4] = [
    "r4.bin",
    "r4-profiles.ndjson",
    "r4-base.bin",
    "r4-systems.bin",
];
const RECORDED: &str = "r4.sha256";

const PACKAGE: Package = Package {
    name: "hl7.fhir.r4.examples",
    version: "4.0.1",
    registry: "npm",
    licence: "CC0-1.0",
    file: "hl7.fhir.r4.examples-4.0.1.tgz",
    sha256: "dce87f1b5b9341867033f7d1f544fa1b5232503f6d62813887ac6b8a8b6cb682",
    gives: "the definitions of FHIR R4 as resources",
};

/// Writes the tables, or with `check` compares them with what the package gives.
pub(crate) fn run(root: &Path, cache: &Path, check: bool) -> Result<()> {
    let generated = root.join(GENERATED);
    if check && !cache.join(PACKAGE.file).is_file() {
        return check_recorded(&generated);
    }
    fs::create_dir_all(cache)?;
    fetch(cache, &PACKAGE)?;
    let (made, counts) = make(&cache.join(PACKAGE.file), &cache.join("fhir"))?;
    let mut files = vec![("PROVENANCE.md", provenance(&counts)?.into_bytes())];
    let mut recorded = String::new();
    for (name, bytes) in made {
        writeln!(recorded, "{}  {name}", hex_digest(&bytes))?;
        files.push((name, bytes));
    }
    files.push((RECORDED, recorded.into_bytes()));
    for (name, bytes) in &files {
        let path = generated.join(name);
        if !check {
            fs::create_dir_all(&generated)?;
            fs::write(&path, bytes).with_context(|| format!("write {}", path.display()))?;
            println!("wrote {GENERATED}/{name} ({} bytes)", bytes.len());
        } else if &fs::read(&path).with_context(|| format!("read {}", path.display()))? != bytes {
            bail!("{GENERATED}/{name} is not what the package gives; run `cargo xtask codegen`");
        }
    }
    println!("FHIR R4: {counts}");
    Ok(())
}

fn check_recorded(generated: &Path) -> Result<()> {
    let recorded = fs::read_to_string(generated.join(RECORDED)).context("read r4.sha256")?;
    for name in MADE {
        let bytes = fs::read(generated.join(name)).with_context(|| format!("read {name}"))?;
        let line = format!("{}  {name}", hex_digest(&bytes));
        if !recorded.lines().any(|known| known == line) {
            bail!("{GENERATED}/{name} does not have the recorded sha256");
        }
    }
    println!(
        "the tables of FHIR have their recorded sha256; the package is not here, it was not re-read"
    );
    Ok(())
}

type Made = (&'static str, Vec<u8>);

/// The files by name, and a line of counts.
fn make(package: &Path, folder: &Path) -> Result<(Vec<Made>, String)> {
    let program = concat!(include_str!("terms.py"), "\n\n", include_str!("tables.py"));
    fs::create_dir_all(folder)?;
    let output = Command::new("python3")
        .args(["-c", program])
        .args([package, folder])
        .output()
        .context("run python3 to read the package of FHIR R4")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("reading {} failed: {}", PACKAGE.file, said.trim());
    }
    let mut made = Vec::new();
    for name in MADE {
        let path = folder.join(name);
        made.push((
            name,
            fs::read(&path).with_context(|| format!("read {}", path.display()))?,
        ));
    }
    let counts = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok((made, counts))
}

fn provenance(counts: &str) -> Result<String> {
    let mut text = String::from(
        "# Where the tables of R4 come from\n\n\
         Made by `cargo xtask codegen` from this package, and from nothing else:\n\n\
         | Package | Registry | Licence | sha256 | Gives |\n|---|---|---|---|---|\n",
    );
    writeln!(
        text,
        "| {} {} | {} | {} | `{}` | {} |\n",
        PACKAGE.name,
        PACKAGE.version,
        PACKAGE.registry,
        PACKAGE.licence,
        PACKAGE.sha256,
        PACKAGE.gives
    )?;
    text.push_str(
        "Rules:\n\n\
         - Elements are those of the snapshots of primitives, data types and resources; logical models \
         are left out. The value of a primitive is not an element.\n\
         - A rule stands at the element that states it. What a data type says of itself stands at its \
         root and is not repeated where the type is used.\n\
         - Value sets are those of required and extensible bindings. Codes are listed as far as the \
         package has the code systems whole; systems whose codes it lacks are named, so that a code \
         of theirs is neither right nor wrong.\n\
         - Three mistakes of 4.0.1 that the standard has corrected since are corrected (`ERRATA`).\n\
         - Profiles (extensions among them) are in the second file with their own differential, \
         without texts and mappings.\n\
         - The third file has the elements of the snapshots of those types whole, with texts and mappings, \
         deflated; snapshots of profiles are made on top of them.\n\
         - The fourth file has the codes of every code system that the package has whole, with the codes \
         below each, without texts; deflated.\n\
         - A search parameter stands once per type, its expression cut to the alternatives of that \
         type. Those of extensions and examples are left out, and those without an expression but \
         `_text` and `_content`.\n\n",
    );
    writeln!(text, "Counts: {counts}.")?;
    Ok(text)
}
