//! Rows of single operations, which the benches of the crates measure.
//!
//! `cargo xtask bench hub` runs those benches and hands over what they printed; here each gets its
//! target.

use anyhow::{Context as _, Result, bail};

use super::report::Row;

/// The rows of what was handed over: `tokenise=MEGABYTES-A-SECOND`, `validate=NANOSECONDS`.
pub(super) fn rows(measured: &[String]) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for text in measured {
        let (name, value) = text.split_once('=').context("NAME=VALUE")?;
        let value: f64 = value.parse().with_context(|| format!("read {text}"))?;
        rows.push(match name {
            "tokenise" => Row::new("v2 tokenise and index, per core", value, "MB/s")
                .at_least(500.0)
                .decimals(0),
            "validate" => {
                let what = "structure, data type and table check, per core";
                Row::new(what, 1e9 / value, "msg/s")
                    .at_least(20_000.0)
                    .decimals(0)
            }
            other => bail!("no single operation is called {other}"),
        });
    }
    Ok(rows)
}
