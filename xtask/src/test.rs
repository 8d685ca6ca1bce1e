//! `cargo xtask test`: `setup`, then `ci`. The one command that a fresh machine needs.
//!
//! The last line says `N passed, M failed`. With `CI=true` the shared test material must be there,
//! because tests that read it pass without it and would prove nothing.

use anyhow::{Result, bail};

use crate::{ci, setup, shell};

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    setup::run(&[])?;
    let demanded = std::env::var("CI").is_ok_and(|value| value == "true");
    match shell::shared() {
        Some(folder) => println!("shared test material: {}", folder.display()),
        None if demanded => {
            bail!("no shared test material: set HILUM_SHARED to its folder (CI=true demands it)")
        }
        None => println!("no shared test material (HILUM_SHARED): tests that read it do not run"),
    }
    ci::run(arguments)
}
