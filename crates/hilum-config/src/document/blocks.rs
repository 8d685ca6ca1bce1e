//! A document before it has a form.

use std::collections::BTreeSet;

use crate::check::UseKind;
use crate::plan::{ChannelSummary, PartSummary, SiteSummary};
use crate::site::Folder;

/// Rows of a table that are shown.
const ROWS_MAX: usize = 1_000;

/// A part of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// Level from 1, text, and a name to link to.
    Heading(u8, String, String),
    /// Sentences.
    Paragraph(String),
    /// Head and rows.
    Table(Vec<String>, Vec<Vec<String>>),
}

pub(super) fn blocks(site: &SiteSummary, folder: &Folder) -> Vec<Block> {
    let mut out = vec![Block::Heading(1, site.name.clone(), "site".to_owned())];
    paragraph(&mut out, site.about.as_deref());
    if let Some(environment) = &site.environment {
        out.push(Block::Paragraph(format!("Environment: {environment}")));
    }
    systems(site, &mut out);
    for channel in &site.channels {
        self::channel(channel, &mut out);
    }
    tables(site, folder, &mut out);
    out
}

fn paragraph(out: &mut Vec<Block>, text: Option<&str>) {
    out.extend(text.map(|text| Block::Paragraph(text.to_owned())));
}

fn heading(out: &mut Vec<Block>, level: u8, text: &str) {
    let anchor: String = text
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect();
    out.push(Block::Heading(level, text.to_owned(), anchor));
}

fn head(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn systems(site: &SiteSummary, out: &mut Vec<Block>) {
    if site.systems.is_empty() {
        return;
    }
    heading(out, 2, "Systems");
    let rows = site.systems.iter().map(|system| {
        let addresses = system
            .addresses
            .iter()
            .map(|(name, address)| format!("{name} {address}"));
        vec![
            system.name.clone(),
            system.about.clone().unwrap_or_default(),
            system.owner.clone().unwrap_or_default(),
            addresses.collect::<Vec<_>>().join(", "),
            if system.production { "yes" } else { "" }.to_owned(),
        ]
    });
    out.push(Block::Table(
        head(&["System", "What it is", "Owner", "Addresses", "Production"]),
        rows.collect(),
    ));
}

fn channel(channel: &ChannelSummary, out: &mut Vec<Block>) {
    heading(out, 2, &format!("Channel {}", channel.name));
    paragraph(out, channel.about.as_deref());
    let source = channel
        .source
        .as_ref()
        .map(|part| named(part, part.system.as_deref()));
    let mut facts = vec![
        ("Owner", channel.owner.clone().unwrap_or_default()),
        ("From", source.unwrap_or_default()),
        ("Format", channel.format.clone()),
        (
            "Accepts",
            channel
                .accept
                .clone()
                .unwrap_or_else(|| "everything".to_owned()),
        ),
        ("In order by", channel.order.clone()),
    ];
    facts.extend(
        channel
            .index
            .iter()
            .map(|(name, rule)| ("Found by", format!("{name}: {rule}"))),
    );
    let rows = facts.into_iter().filter(|(_, value)| !value.is_empty());
    let rows = rows
        .map(|(name, value)| vec![name.to_owned(), value])
        .collect();
    out.push(Block::Table(head(&["", ""]), rows));
    steps(&channel.steps, 3, out);
    for destination in &channel.destinations {
        heading(out, 3, &format!("To {}", destination.name));
        let mut text = named(destination, destination.system.as_deref());
        if let Some(when) = &destination.when {
            text = format!("{text}, when {when}");
        }
        if let Some(then) = &destination.then {
            text = format!("{text}; the reply goes to the channel {then}");
        }
        out.push(Block::Paragraph(text));
        steps(&destination.steps, 4, out);
    }
}

fn named(part: &PartSummary, system: Option<&str>) -> String {
    let topic = part
        .rules
        .first()
        .filter(|rule| part.component == "topic" && rule.target.is_empty());
    match (system, topic) {
        (Some(system), _) => format!("{system} over {}", part.component),
        (None, Some(rule)) => format!("the topic {}", rule.rule),
        (None, None) => part.component.clone(),
    }
}

fn steps(steps: &[PartSummary], level: u8, out: &mut Vec<Block>) {
    for step in steps {
        heading(out, level, &step.name);
        let rows = step.rules.iter().map(|rule| {
            vec![
                rule.target.clone(),
                rule.rule.clone(),
                rule.sources.join(", "),
                rule.table.clone().unwrap_or_default(),
            ]
        });
        out.push(Block::Table(
            head(&["Target", "Rule", "Reads", "Table"]),
            rows.collect(),
        ));
    }
}

fn tables(site: &SiteSummary, folder: &Folder, out: &mut Vec<Block>) {
    let uses = site.channels.iter().flat_map(|channel| &channel.uses);
    let files: BTreeSet<&str> = uses
        .filter(|used| used.kind == UseKind::File && used.text.ends_with(".csv"))
        .map(|used| used.text.as_str())
        .collect();
    if !files.is_empty() {
        heading(out, 2, "Tables");
    }
    for file in files {
        let Ok(bytes) = folder.read(file) else {
            continue;
        };
        heading(out, 3, file);
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .from_reader(&*bytes);
        let fields =
            |record: &csv::StringRecord| record.iter().map(str::to_owned).collect::<Vec<_>>();
        let names = reader.headers().map(fields).unwrap_or_default();
        let mut records = reader.records().flatten();
        let rows = records
            .by_ref()
            .take(ROWS_MAX)
            .map(|record| fields(&record))
            .collect();
        out.push(Block::Table(names, rows));
        let more = records.count();
        if more > 0 {
            out.push(Block::Paragraph(format!(
                "{more} more rows are in the file."
            )));
        }
    }
}
