//! Rows of single operations, which the benches of the crates measure.
//!
//! `cargo xtask bench` runs those benches and hands over what they printed; here each gets its
//! target.

use anyhow::{Context as _, Result, bail};

use super::report::Row;

/// The rows of what was handed over: `tokenise` and `fhir-json` in megabytes a second,
/// `fhir-validate` and `us-core-validate` in resources a second, `to-fhir` and `to-v2` in messages a
/// second, those that end in `-mb` in megabytes, all others in nanoseconds.
pub(super) fn rows(measured: &[String]) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut scripts = [None, None];
    for text in measured {
        let (name, value) = text.split_once('=').context("NAME=VALUE")?;
        let value: f64 = value.parse().with_context(|| format!("read {text}"))?;
        rows.push(match name {
            "tokenise" => Row::new("v2 tokenise and index, per core", value, "MB/s")
                .at_least(500.0, 1_500.0)
                .decimals(0),
            "validate" => {
                let what = "structure, data type and table check, per core";
                Row::new(what, 1e9 / value, "msg/s")
                    .at_least(20_000.0, 60_000.0)
                    .decimals(0)
            }
            "filter" => {
                let what = "the relay example's filter on a parsed message";
                Row::new(what, value / 1e3, "µs")
                    .at_most(1.0, 0.3)
                    .decimals(2)
            }
            "process" => {
                let what = "the pure path of the relay example, from bytes to what is committed";
                Row::new(what, value / 1e3, "µs").decimals(2)
            }
            "fhir-json" => Row::new("JSON parse with structure check, per core", value, "MB/s")
                .at_least(150.0, 400.0)
                .decimals(0),
            "fhir-validate" => Row::new("base validation, per core", value, "resources/s")
                .at_least(10_000.0, 40_000.0)
                .decimals(0),
            "us-core-validate" => Row::new("US Core validation, per core", value, "resources/s")
                .at_least(3_000.0, 10_000.0)
                .decimals(0),
            "to-fhir" => {
                let what = "v2 to FHIR JSON, a result of 30 observations, per core";
                Row::new(what, value, "msg/s")
                    .at_least(5_000.0, 20_000.0)
                    .decimals(0)
            }
            "to-v2" => {
                let what = "FHIR to v2, the Bundle of that result, per core";
                Row::new(what, value, "msg/s")
                    .at_least(5_000.0, 20_000.0)
                    .decimals(0)
            }
            "maps-mb" => Row::new("the shipped maps, compiled", value, "MB"),
            "convert-mb" => Row::new("resident, most while 1,000 are converted", value, "MB"),
            "us-core-load" => Row::new("validator cold start with US Core", value / 1e9, "s")
                .at_most(0.5, 0.1)
                .decimals(2),
            "script" => {
                scripts[0] = Some(value);
                continue;
            }
            "no-script" => {
                scripts[1] = Some(value);
                continue;
            }
            other => bail!("no single operation is called {other}"),
        });
    }
    if let [Some(with), Some(without)] = scripts {
        let what = "script step (split, map five codes, join)";
        let row = Row::new(what, (with - without) / 1e3, "µs").at_most(40.0, 20.0);
        rows.push(row.note(format!(
            "{:.1} µs for a message with it, {:.1} without",
            with / 1e3,
            without / 1e3
        )));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_costs_what_a_message_without_it_does_not() {
        let measured = ["script=30500", "filter=450", "no-script=10000"].map(str::to_owned);
        let shown: Vec<String> = rows(&measured)
            .unwrap()
            .iter()
            .map(Row::to_string)
            .collect();
        assert!(shown[0].starts_with("the relay example's filter on a parsed message: 0.45 µs"));
        assert!(shown[1].contains("join): 20.5 µs (≤ 40.0, stretch ≤ 20.0: pass"));
    }
}
