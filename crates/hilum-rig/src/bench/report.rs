//! Rows of the report: what was measured, what was aimed at, and whether it was reached.

use std::fmt;

use serde_json::{Value, json};

use crate::machine;

/// What is aimed at, and what would be better still.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    AtMost { target: f64, stretch: f64 },
    AtLeast { target: f64, stretch: f64 },
}

const RATIO_MAX: f64 = 100.0;

/// How a value stands to its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Stretch,
    Pass,
    Miss,
}

impl Target {
    /// How many times as good as the target a value is: 1 reaches it, and more than
    /// [`RATIO_MAX`] says nothing.
    fn ratio(self, value: f64) -> f64 {
        let ratio = match self {
            Self::AtMost { target, .. } => target / value.max(f64::MIN_POSITIVE),
            Self::AtLeast { target, .. } => value / target,
        };
        ratio.min(RATIO_MAX)
    }

    fn verdict(self, value: f64) -> Verdict {
        let reaches = |aim: f64| match self {
            Self::AtMost { .. } => value <= aim,
            Self::AtLeast { .. } => value >= aim,
        };
        let (Self::AtMost { target, stretch } | Self::AtLeast { target, stretch }) = self;
        match (reaches(target), reaches(stretch)) {
            (_, true) => Verdict::Stretch,
            (true, false) => Verdict::Pass,
            (false, false) => Verdict::Miss,
        }
    }
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Stretch => "stretch",
            Self::Pass => "pass",
            Self::Miss => "**miss**",
        }
    }
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

    pub(super) const fn at_most(mut self, target: f64, stretch: f64) -> Self {
        self.target = Some(Target::AtMost { target, stretch });
        self
    }

    pub(super) const fn at_least(mut self, target: f64, stretch: f64) -> Self {
        self.target = Some(Target::AtLeast { target, stretch });
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
            (Ok(value), Some(target)) => target.verdict(*value).word(),
        }
    }

    fn ratio(&self) -> Option<f64> {
        let value = self.outcome.as_ref().ok()?;
        self.target.map(|target| target.ratio(*value))
    }

    /// Target and stretch, as they are shown.
    fn aims(&self) -> [String; 2] {
        let shown = |sign: &str, aim: f64| {
            // An aim below what the row shows would read as nothing.
            let decimals = if aim < 10.0 {
                self.decimals.max(1)
            } else {
                self.decimals
            };
            format!("{sign} {aim:.decimals$}")
        };
        match self.target {
            None => Default::default(),
            Some(Target::AtMost { target, stretch }) => [shown("≤", target), shown("≤", stretch)],
            Some(Target::AtLeast { target, stretch }) => [shown("≥", target), shown("≥", stretch)],
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
            Some(Target::AtMost { target, stretch }) => {
                json!({ "at-most": target, "stretch": stretch })
            }
            Some(Target::AtLeast { target, stretch }) => {
                json!({ "at-least": target, "stretch": stretch })
            }
        };
        json!({
            "measure": self.measure,
            "target": target,
            "value": self.outcome.as_ref().ok(),
            "unit": self.unit,
            "ratio": self.ratio(),
            "verdict": self.verdict().trim_matches('*'),
            "note": self.shown_note(),
        })
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.measure, self.shown_value())?;
        let ([target, stretch], verdict, note) = (self.aims(), self.verdict(), self.shown_note());
        if let Some(ratio) = self.ratio() {
            write!(
                f,
                " ({target}, stretch {stretch}: {verdict}, {ratio:.2} of it)"
            )?;
        } else if !verdict.is_empty() {
            write!(f, " ({verdict})")?;
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
    date: String,
    load_before: String,
    rows: Vec<Row>,
    /// A table beside the rows.
    beside: String,
}

impl Report {
    pub(super) fn begin() -> Self {
        Self {
            machine: machine::described(),
            date: machine::date(),
            load_before: machine::load_average(),
            rows: Vec::new(),
            beside: String::new(),
        }
    }

    pub(super) fn add(&mut self, rows: Vec<Row>) {
        self.rows.extend(rows);
    }

    /// A table of its own that goes below the rows.
    pub(super) fn add_beside(&mut self, table: String) {
        self.beside = table;
    }

    /// As Markdown: what the figures depend on, and the rows.
    pub(super) fn markdown(&self) -> String {
        let mut text = format!(
            "{}, {}; load average {} before and {} after. The ratio says how many times as good as \
             the target a value is.\n\n\
             | measure | target | stretch | measured | ratio | | |\n|---|---|---|---|---|---|---|\n",
            self.date,
            self.machine,
            self.load_before,
            machine::load_average()
        );
        for row in &self.rows {
            let [target, stretch] = row.aims();
            let ratio = row.ratio().map(|ratio| format!("{ratio:.2}"));
            text.push_str(&format!(
                "| {} | {target} | {stretch} | {} | {} | {} | {} |\n",
                row.measure,
                row.shown_value(),
                ratio.unwrap_or_default(),
                row.verdict(),
                row.shown_note().replace(['\n', '|'], " ")
            ));
        }
        if !self.beside.is_empty() {
            text.push_str(&format!("\n{}\n", self.beside));
        }
        text
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "machine": self.machine,
            "date": self.date,
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
        let row = |value| Row::new("p99", value, "ms").at_most(20.0, 8.0);
        assert_eq!(
            row(12.5).to_string(),
            "p99: 12.5 ms (≤ 20.0, stretch ≤ 8.0: pass, 1.60 of it)"
        );
        assert_eq!(row(25.0).verdict(), "**miss**");
        assert_eq!(row(8.0).verdict(), "stretch");
        assert_eq!(row(0.0).ratio(), Some(RATIO_MAX));
        let at_least = Row::new("rate", 3.0, "/s").at_least(4.0, 9.0).note("busy");
        assert_eq!(
            at_least.to_string(),
            "rate: 3.0 /s (≥ 4.0, stretch ≥ 9.0: **miss**, 0.75 of it); busy"
        );
        let plain = Row::new("bytes", 1.0, "");
        assert_eq!(plain.to_string(), "bytes: 1.0");
        let failed = Row::failed("rate", &anyhow::anyhow!("no disk"));
        assert_eq!(failed.to_string(), "rate: – (not measured); no disk");
        assert_eq!(failed.json()["note"], "no disk");
    }
}
