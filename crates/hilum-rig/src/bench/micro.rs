//! Rows of single operations, which the benches of the crates measure.
//!
//! `cargo xtask bench hub` runs those benches and hands over what they printed; here each gets its
//! target.

use anyhow::{Context as _, Result};

use super::report::Row;

/// The rows of what was handed over as `NAME=NANOSECONDS` or, with a length, as
/// `NAME=NANOSECONDS/BYTES`.
pub(super) fn rows(measured: &[String]) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for text in measured {
        let (name, value) = text.split_once('=').context("NAME=NANOSECONDS")?;
        let (ns, bytes) = value.split_once('/').unwrap_or((value, "0"));
        let ns: f64 = ns.parse().with_context(|| format!("read {text}"))?;
        let bytes: f64 = bytes.parse().with_context(|| format!("read {text}"))?;
        rows.push(match name {
            "tokenise" => Row::new("v2 tokenise and index, per core", bytes / ns * 1e3, "MB/s")
                .at_least(500.0)
                .decimals(0),
            "validate" => Row::new(
                "structure, data type and table check, per core",
                1e9 / ns,
                "msg/s",
            )
            .at_least(20_000.0)
            .decimals(0),
            "filter" => Row::new("the relay's filter on a parsed message", ns / 1e3, "µs")
                .at_most(1.0)
                .decimals(2),
            "script" => {
                Row::new("script step: split, map five codes, join", ns / 1e3, "µs").at_most(40.0)
            }
            other => Row::new(other.to_owned(), ns / 1e3, "µs").decimals(2),
        });
    }
    Ok(rows)
}
