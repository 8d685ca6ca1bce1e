//! `hilum codes impact`: the past messages that another table would have translated otherwise.
//!
//! Old and new plan process the same received bytes as they would have on arrival; their traces say
//! which row of the table stood for which code. Nothing is sent and nothing is stored. State that
//! steps keep begins empty for both, as in `hilum compare`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use hilum_admin::PLANS;
use hilum_codes::{Table, TableOptions, Used, shown};
use hilum_component::{ChannelPlan, Incoming, TraceLine};
use hilum_config::{KeptPlans, Loaded, Options, Secrets, Variables, load, load_kept, render};
use hilum_message::{Metadata, Payload};
use serde::Serialize;

use super::super::check::options;
use super::super::compare::Side;
use super::super::history::{History, Span, Stored};
use super::super::node::Remote;
use super::super::node::show::{text, time};
use super::tables::{Use, used};
use crate::args::CodesImpact;
use crate::components::registry;
use crate::output::{Exit, Output};

/// A message that would have been translated otherwise.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Changed {
    message: String,
    channel: String,
    arrived_ms: u64,
    /// The destinations that have it as it was.
    delivered: Vec<String>,
    changes: Vec<Change>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Change {
    path: String,
    /// The code that came, or its length in brackets.
    code: String,
    old: Option<Target>,
    new: Option<Target>,
}

/// What a table made of a code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Target {
    system: String,
    code: String,
    unit: String,
    /// The line of the table; none for a default.
    line: Option<u64>,
}

impl Target {
    /// Both write the same; which line says so does not matter.
    fn same(&self, other: &Self) -> bool {
        (&self.system, &self.code, &self.unit) == (&other.system, &other.code, &other.unit)
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.code)?;
        for part in [&self.system, &self.unit] {
            if !part.is_empty() {
                write!(f, " {part}")?;
            }
        }
        match self.line {
            Some(line) => write!(f, " (line {line})"),
            None => f.write_str(" (default)"),
        }
    }
}

/// A plan of one channel, and the rows of its table by their lines.
struct Reading {
    side: Side,
    table: String,
    rows: HashMap<u64, Used>,
}

pub(super) fn run(arguments: &CodesImpact, output: &Output) -> anyhow::Result<Exit> {
    let folder = &arguments.site.site;
    let folder = folder
        .canonicalize()
        .with_context(|| format!("there is no folder {}", folder.display()))?;
    let loaded = load(
        &folder,
        &registry(),
        &options(&arguments.site, Secrets::Unread),
    );
    let Some(_) = &loaded.plan else {
        bail!("the site has errors:\n{}", render(&loaded.diagnostics));
    };
    let channels = channels(&loaded, arguments)?;
    let history = History::new(arguments.data.as_deref(), &arguments.node.at)?;
    let (mut all, mut changed, mut unknown) = (0_usize, 0_usize, BTreeSet::new());
    for (channel, used) in &channels {
        let mut new = Reading::new(&loaded, channel, &arguments.table, used)?;
        let mut old = Old::new(arguments, &folder, &loaded, channel, used)?;
        let span = Span {
            channel: Some(channel.clone()),
            from_ms: arguments.when.since.unwrap_or(0),
            until_ms: arguments.when.until.unwrap_or(u64::MAX),
        };
        for stored in history.list(&span)? {
            all += 1;
            let Some(before) = old.of(text(&stored.row, "plan"))? else {
                unknown.insert(text(&stored.row, "plan").to_owned());
                continue;
            };
            let payload = history
                .bytes(stored.id)
                .with_context(|| format!("cannot read message {}", stored.id))?;
            let incoming = || {
                let payload = Payload::inline(payload.clone());
                Incoming::new(stored.id, stored.arrived_ms, payload, Metadata::new())
            };
            let (before, after) = (
                before.translations(incoming()),
                new.translations(incoming()),
            );
            let changes = differences(before, after, arguments.reveal);
            if changes.is_empty() {
                continue;
            }
            changed += 1;
            let found = Changed {
                message: stored.id.to_string(),
                channel: channel.clone(),
                arrived_ms: stored.arrived_ms,
                delivered: delivered(&history, &stored)?,
                changes,
            };
            show(&found, output)?;
        }
    }
    if !unknown.is_empty() {
        let digests: Vec<String> = unknown.into_iter().collect();
        output.note(format_args!(
            "messages of plans that are not kept any more were passed over: {}; name the table of \
             then with --old",
            digests.join(", ")
        ));
    }
    if !output.json() {
        output.line(format_args!(
            "{changed} of {all} messages would have been translated otherwise"
        ));
    }
    Ok(if changed == 0 {
        Exit::Done
    } else {
        Exit::Found
    })
}

/// The channels that use the table, and how.
fn channels(loaded: &Loaded, arguments: &CodesImpact) -> anyhow::Result<BTreeMap<String, Use>> {
    let all = used(&loaded.site);
    let mut found = BTreeMap::new();
    for (table, used) in &all {
        let wanted = arguments.channel.as_ref();
        if *table == arguments.table && wanted.is_none_or(|name| *name == used.channel) {
            found.insert(used.channel.clone(), used.clone());
        }
    }
    if found.is_empty() {
        let known: BTreeSet<&str> = all.iter().map(|(table, _)| table.as_str()).collect();
        let known: Vec<&str> = known.into_iter().collect();
        bail!(
            "no such channel uses {}; tables in use: {}",
            arguments.table,
            known.join(", ")
        );
    }
    Ok(found)
}

impl Reading {
    fn new(loaded: &Loaded, channel: &str, table: &str, used: &Use) -> anyhow::Result<Self> {
        let plan = loaded.plan.as_ref();
        let plan: Arc<ChannelPlan> = plan
            .and_then(|plan| plan.channels.get(channel).cloned())
            .with_context(|| format!("there is no channel {channel}"))?;
        let options = TableOptions {
            reverse: used.reverse,
            ..TableOptions::default()
        };
        // A plan that was understood has a good table, if it has it at all.
        let rows = loaded
            .snapshot
            .get(table)
            .and_then(|bytes| Table::read(bytes, options).ok());
        Ok(Self {
            side: Side::new(plan),
            table: table.to_owned(),
            rows: rows
                .iter()
                .flat_map(Table::rows)
                .map(|row| (row.line, row.clone()))
                .collect(),
        })
    }

    /// What the table made of each code of a message, by the place of the code.
    fn translations(&mut self, incoming: Incoming) -> BTreeMap<(String, usize), Translated> {
        let seen = self.side.process(incoming);
        let mut found = BTreeMap::new();
        let mut times: HashMap<String, usize> = HashMap::new();
        for line in &seen.lines {
            let Some(rest) = line
                .note
                .strip_prefix(&self.table)
                .and_then(|rest| rest.strip_prefix(':'))
            else {
                continue;
            };
            let path = line.path.clone().unwrap_or_default();
            let nth = times.entry(path.clone()).or_default();
            *nth += 1;
            found.insert((path, *nth), self.translated(line, rest));
        }
        found
    }

    fn translated(&self, line: &TraceLine, rest: &str) -> Translated {
        let row = rest.split(' ').next().and_then(|line| line.parse().ok());
        let row: Option<&Used> = row.and_then(|line: u64| self.rows.get(&line));
        let target = line.after.as_ref().map(|after| Target {
            system: row.map(|row| row.to.system.clone()).unwrap_or_default(),
            code: after.reveal().clone(),
            unit: row.map(|row| row.unit.clone()).unwrap_or_default(),
            line: row.map(|row| row.line),
        });
        Translated {
            from: line
                .before
                .as_ref()
                .map(|before| before.reveal().clone())
                .unwrap_or_default(),
            target,
        }
    }
}

struct Translated {
    from: String,
    target: Option<Target>,
}

/// The plans that messages had.
enum Old<'a> {
    /// One table for all.
    Table(Box<Reading>),
    /// Each message has the plan that its row names.
    Kept {
        plans: KeptPlans,
        data: PathBuf,
        folder: &'a Path,
        channel: &'a str,
        table: &'a str,
        used: &'a Use,
        read: HashMap<String, Option<Reading>>,
    },
}

impl<'a> Old<'a> {
    fn new(
        arguments: &'a CodesImpact,
        folder: &'a Path,
        loaded: &Loaded,
        channel: &'a str,
        used: &'a Use,
    ) -> anyhow::Result<Self> {
        let table = &arguments.table;
        if let Some(file) = &arguments.old {
            let bytes =
                fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            let mut files = loaded.snapshot.clone();
            files.insert(table.clone(), bytes.into());
            let options = options(&arguments.site, Secrets::Unread);
            let then = load_kept(folder, files, &registry(), &options);
            if then.plan.is_none() {
                let told = render(&then.diagnostics);
                bail!("the site with {} has errors:\n{told}", file.display());
            }
            let reading = Reading::new(&then, channel, table, used)?;
            return Ok(Self::Table(Box::new(reading)));
        }
        let data = match &arguments.data {
            Some(data) => data.clone(),
            None => {
                let journal = Remote::new(&arguments.node.at)?.get("/api/v1/journal")?;
                PathBuf::from(text(&journal, "folder"))
            }
        };
        let plans = KeptPlans::open(&data.join(PLANS))
            .with_context(|| format!("cannot read the kept plans in {}", data.display()))?;
        Ok(Self::Kept {
            plans,
            data,
            folder,
            channel,
            table,
            used,
            read: HashMap::new(),
        })
    }

    /// The plan of a message; none if it is not kept, or is not understood any more.
    fn of(&mut self, digest: &str) -> anyhow::Result<Option<&mut Reading>> {
        match self {
            Self::Table(reading) => Ok(Some(reading)),
            Self::Kept {
                plans,
                data,
                folder,
                channel,
                table,
                used,
                read,
            } => {
                if !read.contains_key(digest) {
                    let kept = plans.find(channel, digest)?;
                    let reading = kept.and_then(|kept| {
                        let options = Options {
                            environment: kept.environment,
                            secrets: Secrets::Unread,
                            variables: Variables::Process,
                            terminology: crate::terms::of_folder(Some(data)),
                            ..Options::default()
                        };
                        let loaded = load_kept(folder, kept.files, &registry(), &options);
                        Reading::new(&loaded, channel, table, used).ok()
                    });
                    read.insert(digest.to_owned(), reading);
                }
                Ok(read.get_mut(digest).and_then(Option::as_mut))
            }
        }
    }
}

type Translations = BTreeMap<(String, usize), Translated>;

fn differences(mut old: Translations, new: Translations, reveal: bool) -> Vec<Change> {
    let mut changes = Vec::new();
    let change = |path: String, from: &str, old: Option<Target>, new: Option<Target>| Change {
        path,
        code: match shown(from) {
            Some(code) => code.to_owned(),
            None if reveal => from.to_owned(),
            None => format!("({})", from.chars().count()),
        },
        old,
        new,
    };
    for ((path, nth), after) in new {
        let before = old.remove(&(path.clone(), nth));
        let before = before.and_then(|before| before.target);
        let same = match (&before, &after.target) {
            (Some(before), Some(after)) => before.same(after),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !same {
            changes.push(change(path, &after.from, before, after.target));
        }
    }
    for ((path, _), before) in old {
        if before.target.is_some() {
            changes.push(change(path, &before.from, before.target, None));
        }
    }
    changes
}

/// The destinations that have a message.
fn delivered(history: &History<'_>, stored: &Stored) -> anyhow::Result<Vec<String>> {
    let deliveries = history.deliveries(stored.id)?;
    let mut names: Vec<String> = deliveries
        .iter()
        .filter(|delivery| text(delivery, "state") == "delivered")
        .map(|delivery| text(delivery, "destination").to_owned())
        .collect();
    names.dedup();
    Ok(names)
}

fn show(found: &Changed, output: &Output) -> anyhow::Result<()> {
    if output.json() {
        return output.value(found);
    }
    let names = if found.delivered.is_empty() {
        "delivered to nobody".to_owned()
    } else {
        format!("delivered to {}", found.delivered.join(", "))
    };
    output.line(format_args!(
        "{}  {}  {}  {names}",
        time(&found.arrived_ms.into()),
        found.message,
        found.channel
    ));
    for change in &found.changes {
        let told = |target: &Option<Target>| {
            target
                .as_ref()
                .map_or_else(|| "no row".to_owned(), Target::to_string)
        };
        output.line(format_args!(
            "    {}  {}: {} -> {}",
            change.path,
            change.code,
            told(&change.old),
            told(&change.new)
        ));
    }
    Ok(())
}
