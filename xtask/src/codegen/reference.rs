//! The pages under `docs/reference`: written by the very tests that compare them.
//!
//! They are made from what components, diagnostics and metrics say about themselves, which only
//! the crates of the product know, and this program is built without them.

use anyhow::{Context as _, Result};

use crate::shell;

/// Package, kind of test and test, each of which owns some of the pages.
const OWNERS: [(&str, &[&str], &str); 2] = [
    (
        "hilum-config",
        &["--test", "examples"],
        "the_reference_says_what_the_source_says",
    ),
    (
        "hilum-admin",
        &["--lib"],
        "the_reference_names_every_metric",
    ),
];

/// Writes the pages. They are compared where all tests run, so that nothing is built for it.
pub(super) fn write() -> Result<()> {
    for (package, kind, test) in OWNERS {
        let mut cargo = shell::cargo();
        cargo.args(["test", "--locked", "--profile", "ci", "--quiet"]);
        cargo.args(["-p", package]).args(kind).arg(test);
        cargo.env("HILUM_UPDATE", "1");
        shell::succeed(&mut cargo).with_context(|| format!("the pages that {package} owns"))?;
    }
    Ok(())
}
