//! Which steps, destinations and table rows the tests reached.

use std::collections::{BTreeMap, BTreeSet};

use hilum_component::{ChannelPlan, Plan, PlannedDelivery, Processed, TraceLine};
use serde::Serialize;

use crate::check::UseKind;
use crate::plan::SiteSummary;
use crate::site::Folder;

/// What was reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Coverage {
    /// By channel.
    pub channels: BTreeMap<String, ChannelCoverage>,
    /// By the path of the table.
    pub tables: BTreeMap<String, TableCoverage>,
}

/// How often each part of a channel was reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ChannelCoverage {
    /// Messages that tests sent.
    pub messages: u64,
    /// By the name of the step; a destination's own begin with its name and `/`.
    pub steps: BTreeMap<String, u64>,
    /// By the name of the destination.
    pub destinations: BTreeMap<String, u64>,
}

/// Which rows of a table were used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TableCoverage {
    /// Its rows by their line; the first line is the heading.
    pub rows: BTreeSet<u64>,
    /// The rows that were used.
    pub used: BTreeSet<u64>,
}

impl Coverage {
    /// Nothing reached yet of a plan.
    pub(super) fn of(plan: &Plan, site: &SiteSummary, folder: &Folder) -> Self {
        let mut coverage = Self::default();
        for channel in plan.channels.values() {
            let mut own = ChannelCoverage::default();
            own.steps
                .extend(channel.steps.iter().map(|step| (step.name.to_string(), 0)));
            for destination in &channel.destinations {
                own.destinations.insert(destination.name.to_string(), 0);
                let steps = destination.steps.iter();
                own.steps
                    .extend(steps.map(|step| (format!("{}/{}", destination.name, step.name), 0)));
            }
            coverage.channels.insert(channel.name.to_string(), own);
        }
        let files = site.channels.iter().flat_map(|channel| &channel.uses);
        for used in files.filter(|used| used.kind == UseKind::File && used.text.ends_with(".csv")) {
            let Ok(bytes) = folder.read(&used.text) else {
                continue;
            };
            let text = String::from_utf8_lossy(&bytes);
            let lines = text
                .lines()
                .zip(1..)
                .skip(1)
                .filter(|(line, _)| !line.trim().is_empty());
            let table = TableCoverage {
                rows: lines.map(|(_, at)| at).collect(),
                used: BTreeSet::new(),
            };
            coverage.tables.insert(used.text.clone(), table);
        }
        coverage
    }

    /// Adds what one message reached.
    pub(super) fn add(
        &mut self,
        channel: &ChannelPlan,
        processed: &Processed,
        deliveries: &[&PlannedDelivery],
        trace: &[TraceLine],
    ) {
        for line in trace {
            self.row(&line.note);
        }
        let Some(own) = self.channels.get_mut(&*channel.name) else {
            return;
        };
        own.messages += 1;
        let mut hit = |step: String| *own.steps.entry(step).or_default() += 1;
        let last = processed.reason.as_ref().map(|reason| reason.step.as_str());
        // A message that ended in a stage before the steps reached none of them.
        let ended = last.map(|last| channel.steps.iter().position(|step| *step.name == *last));
        let through = match ended {
            None => channel.steps.len(),
            Some(Some(place)) => place + 1,
            Some(None) if last.is_some_and(|last| last.contains('/')) => channel.steps.len(),
            Some(None) => 0,
        };
        channel
            .steps
            .iter()
            .take(through)
            .for_each(|step| hit(step.name.to_string()));
        for delivery in deliveries {
            let plan = channel
                .destinations
                .iter()
                .find(|plan| plan.name == delivery.destination);
            let failed = delivery
                .dead_letter
                .as_ref()
                .map(|reason| reason.step.as_str());
            for step in plan.into_iter().flat_map(|plan| &plan.steps) {
                let name = format!("{}/{}", delivery.destination, step.name);
                let here = failed == Some(name.as_str());
                hit(name);
                if here {
                    break;
                }
            }
        }
        for delivery in deliveries {
            *own.destinations
                .entry(delivery.destination.to_string())
                .or_default() += 1;
        }
    }

    /// A row of a table that a trace names: `tables/local-to-loinc.csv:41`.
    fn row(&mut self, note: &str) {
        for word in note.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',')) {
            let Some((path, row)) = word.rsplit_once(':') else {
                continue;
            };
            if let (Some(table), Ok(row)) = (self.tables.get_mut(path), row.parse()) {
                table.used.insert(row);
            }
        }
    }
}
