//! Rows of the report: what was measured, what was aimed at, and whether it was reached.

use std::fmt;

use serde_json::{Value, json};

use crate::machine;

/// What is aimed at.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

/// One line of the report.
#[derive(Debug, Clone)]
pub(super) struct Row {
    measure: String,
    target: Option<Target>,
    outcome: Result<f64, String>,
    unit: &'static str,
    decimals: usize,
    note: String,
}

impl Row {
    pub(super) fn new(measure: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            measure: measure.into(),
            target: None,
            outcome: Ok(value),
            unit,
            decimals: 1,
            note: String::new(),
        }
    }

    /// A measurement that could not be made, and why.
    pub(super) fn failed(measure: &str, error: &anyhow::Error) -> Self {
        Self {
            outcome: Err(format!("{error:#}")),
            ..Self::new(measure, 0.0, "")
        }
    }

    pub(super) fn at_most(mut self, target: f64) -> Self {
        self.target = Some(Target::AtMost(target));
        self
    }

    pub(super) fn at_least(mut self, target: f64) -> Self {
        self.target = Some(Target::AtLeast(target));
        self
    }

    pub(super) const fn decimals(mut self, decimals: usize) -> Self {
        self.decimals = decimals;
        self
    }

    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    fn verdict(&self) -> &'static str {
        match (&self.outcome, self.target) {
            (Err(_), _) => "not measured",
            (Ok(_), None) => "",
            (Ok(value), Some(Target::AtMost(target))) if *value <= target => "pass",
            (Ok(value), Some(Target::AtLeast(target))) if *value >= target => "pass",
            (Ok(_), Some(_)) => "miss",
        }
    }

    fn shown_target(&self) -> String {
        let decimals = self.decimals;
        match self.target {
            None => String::new(),
            Some(Target::AtMost(target)) => format!("≤ {target:.decimals$}"),
            Some(Target::AtLeast(target)) => format!("≥ {target:.decimals$}"),
        }
    }

    fn shown_value(&self) -> String {
        let decimals = self.decimals;
        match &self.outcome {
            Ok(value) if self.unit.is_empty() => format!("{value:.decimals$}"),
            Ok(value) => format!("{value:.decimals$} {}", self.unit),
            Err(_) => "–".to_owned(),
        }
    }

    fn shown_note(&self) -> &str {
        self.outcome.as_ref().err().unwrap_or(&self.note)
    }

    fn json(&self) -> Value {
        let target = match self.target {
            None => Value::Null,
            Some(Target::AtMost(target)) => json!({ "at-most": target }),
            Some(Target::AtLeast(target)) => json!({ "at-least": target }),
        };
        json!({
            "measure": self.measure,
            "target": target,
            "value": self.outcome.as_ref().ok(),
            "unit": self.unit,
            "verdict": self.verdict(),
            "note": self.shown_note(),
        })
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.measure, self.shown_value())?;
        let (target, verdict, note) = (self.shown_target(), self.verdict(), self.shown_note());
        if !target.is_empty() || self.outcome.is_err() {
            write!(f, " ({target} {verdict})")?;
        }
        if !note.is_empty() {
            write!(f, "; {note}")?;
        }
        Ok(())
    }
}

/// All rows, with the machine that they are from.
#[derive(Debug)]
pub(super) struct Report {
    machine: String,
    load_before: String,
    rows: Vec<Row>,
}

impl Report {
    pub(super) fn begin() -> Self {
        Self {
            machine: machine::described(),
            load_before: machine::load_average(),
            rows: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, rows: Vec<Row>) {
        self.rows.extend(rows);
    }

    fn header(&self) -> String {
        format!(
            "{}; load average {} before and {} after",
            self.machine,
            self.load_before,
            machine::load_average()
        )
    }

    /// As Markdown: what the figures depend on, and the rows.
    pub(super) fn markdown(&self) -> String {
        let mut text = format!(
            "{}.\n\n| measure | target | measured | | |\n|---|---|---|---|---|\n",
            self.header()
        );
        for row in &self.rows {
            text.push_str(&format!(
                "| {} | {} | {} | {} | {} |\n",
                row.measure,
                row.shown_target(),
                row.shown_value(),
                row.verdict(),
                row.shown_note()
            ));
        }
        text
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "machine": self.machine,
            "load-average": [self.load_before, machine::load_average()],
            "rows": self.rows.iter().map(Row::json).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_whether_its_target_was_reached() {
        let row = |value| Row::new("p99", value, "ms").at_most(20.0);
        assert_eq!(row(12.34).to_string(), "p99: 12.3 ms (≤ 20.0 pass)");
        assert_eq!(row(25.0).verdict(), "miss");
        let at_least = Row::new("rate", 3.0, "/s").at_least(4.0).note("busy");
        assert_eq!(at_least.to_string(), "rate: 3.0 /s (≥ 4.0 miss); busy");
        let failed = Row::failed("rate", &anyhow::anyhow!("no disk"));
        assert_eq!(failed.verdict(), "not measured");
        assert_eq!(failed.json()["note"], "no disk");
    }
}
