//! The UCUM essence: taken unmodified out of a registry package, with provenance and notice.
//!
//! The licence of UCUM lets the table be distributed as it is and not altered, so nothing is
//! encoded here: `hilum-ucum` reads the file itself.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::hex_digest;
use super::packages::{Package, fetch};

const GENERATED: &str = "crates/hilum-ucum/src/generated";
const MEMBER: &str = "ucumvert/vendor/ucum-essence.xml";
const MEMBER_SHA256: &str = "6022a1f4a77d93efa23b941ae50055cb9d3fdcb8bb5db6b85deda004467bb380";

const PACKAGE: Package = Package {
    name: "ucumvert",
    version: "0.3.2",
    registry: "PyPI",
    licence: "MIT; the essence in it under the UCUM License 1.1",
    file: "ucumvert-0.3.2-py3-none-any.whl",
    sha256: "b1c3c5b875843642f52f5f015fc8728ff997ce9c337b64bd25141ae44848bdd0",
    gives: "ucum-essence.xml 2.2",
};

/// Writes the essence, or with `check` proves that the committed one is the recorded one.
pub(crate) fn run(root: &Path, cache: &Path, check: bool) -> Result<()> {
    let path = root.join(GENERATED).join("ucum-essence.xml");
    if check {
        let found = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        if hex_digest(&found) != MEMBER_SHA256 {
            bail!("{GENERATED}/ucum-essence.xml does not have the recorded sha256");
        }
        println!("ucum-essence.xml has its recorded sha256");
        return Ok(());
    }
    fs::create_dir_all(cache)?;
    fetch(cache, &PACKAGE)?;
    let program = "import sys, zipfile; \
        sys.stdout.buffer.write(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]))";
    let output = Command::new("python3")
        .args(["-c", program])
        .arg(cache.join(PACKAGE.file))
        .arg(MEMBER)
        .output()
        .context("run python3 to open the package of the essence")?;
    if !output.status.success() || hex_digest(&output.stdout) != MEMBER_SHA256 {
        bail!("{} does not hold the expected {MEMBER}", PACKAGE.file);
    }
    fs::write(&path, &output.stdout).with_context(|| format!("write {}", path.display()))?;
    println!(
        "wrote {GENERATED}/ucum-essence.xml ({} bytes)",
        output.stdout.len()
    );
    Ok(())
}
