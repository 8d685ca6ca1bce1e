//! What was measured, and the table that is printed and recorded.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hilum_testkit::mllp::Percentiles;

use super::ms;
use super::report::Row;

/// One measurement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figures {
    pub(super) acknowledged_per_s: f64,
    pub(super) delivered_per_s: f64,
    pub(super) drained_after_s: f64,
    pub(super) cpu_s_per_1000: f64,
    pub(super) latency: Percentiles,
    pub(super) idle_mb: f64,
    pub(super) loaded_mb: f64,
    pub(super) ready_after: Duration,
    pub(super) kept_per_byte: f64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.0} acknowledged/s, {:.0} delivered/s, {:.3} CPU s per 1000, {}",
            self.acknowledged_per_s, self.delivered_per_s, self.cpu_s_per_1000, self.latency
        )
    }
}

/// A row of the table: its name, how a value is read and shown, and whether the ratio to the limit
/// says something.
type Line = (&'static str, fn(&Figures) -> f64, usize, bool);

const LINES: [Line; 11] = [
    ("acknowledged/s", |f| f.acknowledged_per_s, 0, true),
    ("delivered/s", |f| f.delivered_per_s, 0, true),
    (
        "queue empty after the end, s",
        |f| f.drained_after_s,
        2,
        false,
    ),
    ("engine CPU s per 1000", |f| f.cpu_s_per_1000, 3, true),
    ("answer p50, ms", |f| ms(f.latency.p50), 2, true),
    ("answer p99, ms", |f| ms(f.latency.p99), 2, true),
    ("answer p99.9, ms", |f| ms(f.latency.p999), 2, true),
    ("resident idle, MB", |f| f.idle_mb, 1, false),
    ("resident loaded, MB", |f| f.loaded_mb, 1, false),
    ("start to ready, ms", |f| ms(f.ready_after), 0, false),
    (
        "bytes kept per byte received",
        |f| f.kept_per_byte,
        2,
        false,
    ),
];

/// All measurements, by senders and program.
#[derive(Debug, Default)]
pub(super) struct Table {
    rounds: BTreeMap<(usize, &'static str), Vec<Figures>>,
}

impl Table {
    pub(super) fn add(&mut self, senders: usize, program: &'static str, figures: Figures) {
        self.rounds
            .entry((senders, program))
            .or_default()
            .push(figures);
    }

    /// The rows of the report that have a target.
    pub(super) fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        let of = |senders, program| self.rounds.get(&(senders, program)).map(Vec::as_slice);
        for &(senders, program) in self.rounds.keys() {
            let (Some(own), Some(limit)) = (of(senders, "hilum"), of(senders, "limit")) else {
                continue;
            };
            if program != "hilum" {
                continue;
            }
            let rate = median(own, |f| f.acknowledged_per_s);
            let share = rate / median(limit, |f| f.acknowledged_per_s);
            let plural = if senders == 1 { "" } else { "s" };
            let senders_text = format!("{senders} sender{plural}");
            let p99 = median(own, |f| ms(f.latency.p99));
            let slower = p99 / median(limit, |f| ms(f.latency.p99));
            let what = format!("share of limit, {senders_text}");
            let share = Row::new(what, share, "").decimals(2);
            let what = format!("acknowledged and delivered per second, {senders_text}");
            let rate = Row::new(what, rate, "/s").decimals(0).note(format!(
                "delivered {:.0}/s, queue empty after {:.2} s",
                median(own, |f| f.delivered_per_s),
                median(own, |f| f.drained_after_s)
            ));
            let what = format!("CPU per 1000 durable, delivered messages, {senders_text}");
            let cpu = Row::new(what, median(own, |f| f.cpu_s_per_1000), "s").decimals(3);
            let what = format!("answer p99 as multiple of limit, {senders_text}");
            let slower = Row::new(what, slower, "x")
                .decimals(2)
                .note(format!("{p99:.2} ms"));
            match senders {
                1 => rows.extend([share.at_least(0.75, 0.95), rate, cpu, slower]),
                8 => rows.extend([share, rate, cpu, slower.at_most(2.0, 1.3)]),
                32 => {
                    let drained = median(own, |f| f.drained_after_s);
                    let loaded = median(own, |f| f.loaded_mb);
                    rows.extend([
                        cpu.at_most(0.10, 0.06),
                        rate.at_least(12_000.0, 18_000.0),
                        share.at_least(0.5, 0.75),
                        Row::new("queue empty after the end, 32 senders", drained, "s")
                            .at_most(1.0, 1.0)
                            .decimals(2),
                        slower,
                        Row::new("resident under load", loaded, "MB").at_most(120.0, 80.0),
                    ]);
                }
                _ => rows.extend([share, rate, cpu, slower]),
            }
        }
        rows
    }

    /// Medians as a Markdown table, with the ratio to the limit where both were measured.
    pub(super) fn shown(&self) -> String {
        let rounds = self.rounds.values().map(Vec::len).max().unwrap_or_default();
        let mut text = format!(
            "The relay example and the limit program in turns, by senders; medians of {rounds} \
             rounds.\n\n| measure |"
        );
        for (senders, program) in self.rounds.keys() {
            text.push_str(&format!(" {program}, {senders} |"));
        }
        text.push_str("\n|---|");
        text.push_str(&"---|".repeat(self.rounds.len()));
        for (name, value, decimals, compares) in LINES {
            text.push_str(&format!("\n| {name} |"));
            for ((senders, program), all) in &self.rounds {
                let own = median(all, value);
                text.push_str(&format!(" {own:.decimals$}"));
                let limit = self.rounds.get(&(*senders, "limit"));
                if let Some(limit) = limit.filter(|_| compares && *program != "limit") {
                    text.push_str(&format!(" ({:.2} of limit)", own / median(limit, value)));
                }
                text.push_str(" |");
            }
        }
        text
    }
}

fn median(all: &[Figures], value: fn(&Figures) -> f64) -> f64 {
    let mut values: Vec<f64> = all.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    // Of an even number, the mean of the two in the middle.
    let middle = |from_half: usize| values.get(from_half).copied().unwrap_or_default();
    let half = values.len() / 2;
    if values.len().is_multiple_of(2) {
        f64::midpoint(middle(half.saturating_sub(1)), middle(half))
    } else {
        middle(half)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(rate: f64) -> Figures {
        Figures {
            acknowledged_per_s: rate,
            delivered_per_s: rate,
            drained_after_s: 0.0,
            cpu_s_per_1000: 0.1,
            latency: Percentiles::default(),
            idle_mb: 1.0,
            loaded_mb: 2.0,
            ready_after: Duration::from_millis(30),
            kept_per_byte: 1.0,
        }
    }

    #[test]
    fn shows_medians_and_their_share_of_the_limit() {
        let mut table = Table::default();
        for rate in [100.0, 900.0, 300.0] {
            table.add(8, "hilum", figures(rate));
            table.add(8, "limit", figures(600.0));
        }
        let text = table.shown();
        assert!(text.contains("| measure | hilum, 8 | limit, 8 |"), "{text}");
        assert!(
            text.contains("| acknowledged/s | 300 (0.50 of limit) | 600 |"),
            "{text}"
        );
    }
}
