//! Checking every channel, then building those that are good.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hilum_component::{
    ChannelPlan, ComponentKind, FhirStores, Format, FormatOptions, Offsets, Plan, Registry,
    Site as _,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::build::Builder;
use super::digest::Digest;
use super::gather::Gathered;
use super::summary::{self, ChannelSummary, PartSummary, SiteSummary, SystemSummary};
use super::{Opened, Options, alert, clinical, cross, marks};
use crate::check::{Piece, Scope, Use, check, parse_address};
use crate::diagnostic::{Draft, Report};
use crate::file::{ChannelFile, schema_of};
use crate::site::{Folder, SiteView};
use crate::yaml::Node;

/// A channel's file after checking.
pub(super) struct Checked<'g> {
    pub(super) name: &'g str,
    pub(super) path: &'g str,
    pub(super) tree: &'g Node,
    pub(super) value: Value,
    pub(super) format: Option<Arc<dyn Format>>,
    /// Of a channel of replies: the format of the messages that ask.
    pub(super) original: Option<Arc<dyn Format>>,
    pub(super) control_id_optional: bool,
    /// The file as a struct, if nothing is wrong with it.
    pub(super) file: Option<ChannelFile>,
    pub(super) pieces: Vec<Piece>,
    pub(super) uses: Vec<Use>,
    pub(super) destinations: Vec<String>,
    /// Warnings that were silenced.
    pub(super) silenced: RefCell<BTreeSet<String>>,
}

impl Checked<'_> {
    /// The piece of a kind at a place of the file.
    pub(super) fn piece(&self, kind: ComponentKind, at: &[&str]) -> Option<&Piece> {
        self.pieces.get(summary::of_kind(&self.pieces, kind, at)?)
    }

    /// The source.
    pub(super) fn source(&self) -> Option<&Piece> {
        self.piece(ComponentKind::Source, &["from"])
    }

    /// The component of a destination.
    pub(super) fn destination(&self, name: &str) -> Option<&Piece> {
        self.piece(ComponentKind::Destination, &["to", name])
    }
}

/// Checks and builds all channels.
pub(super) fn plan(
    gathered: &Gathered,
    folder: &Folder,
    registry: &Registry,
    options: &Options,
    report: &mut Report,
) -> (Option<Plan>, SiteSummary) {
    let production = gathered.node.as_ref().is_some_and(|node| node.production);
    let fhir = gathered.node.as_ref().and_then(|node| node.fhir.as_ref());
    let fhir = fhir.map(|file| FhirStores {
        tenants: file.tenants.keys().map(|name| name.0.clone()).collect(),
        door: options.fhir.clone(),
    });
    let zone = gathered.node.as_ref().and_then(|node| node.zone.as_deref());
    let opened = Opened::new(&options.terminology);
    let view = || {
        let (secrets, variables) = (options.secrets, &options.variables);
        SiteView::new(folder, &gathered.systems, secrets, variables, production)
            .with_fhir(fhir.clone())
            .with_formats(registry, zone)
            .with_terminology(&opened)
    };
    let schema = schema_of::<ChannelFile>();
    let mut spoken = BTreeMap::new();
    for (name, (_, tree)) in &gathered.channels {
        spoken.insert(name.as_str(), speech(tree, registry, &view(), report));
    }
    let originals = originals(gathered, &spoken);
    let mut channels = Vec::with_capacity(gathered.channels.len());
    for (name, (path, tree)) in &gathered.channels {
        let speech = spoken.remove(name.as_str()).unwrap_or_default();
        let original = originals.get(name.as_str()).cloned();
        let file = (name.as_str(), path.as_str(), tree);
        let checked = checked(file, speech, original, registry, &view(), &schema, report);
        channels.push(checked);
    }
    cross::check(gathered, &channels, report);
    let undeclared = clinical::check(gathered, &channels, registry, report);
    marks::check(gathered, report);
    let site = site_summary(gathered, &channels);
    let mut built = BTreeMap::new();
    for channel in &channels {
        let builder = Builder {
            gathered,
            channel,
            undeclared: &undeclared,
            make_view: &view,
        };
        if let Some(plan) = builder.build(report) {
            clinical::check_stepped(channel, &plan, registry, report);
            clinical::needless_of(channel, report);
            built.insert(plan.name.clone(), Arc::new(plan));
        }
    }
    admin(gathered, report);
    let plan = gathered.node.as_ref().map(|node| Plan {
        digest: plan_digest(gathered, folder, &built),
        site: node.site.0.clone(),
        channels: built,
        stop_within: node.stop_within,
        admin: Some(node.admin.0.clone()),
        keep: node.keep,
        disk_free_below: gathered
            .alerts
            .as_ref()
            .and_then(|(file, _)| alert::disk_free_below(&file.alert)),
        in_flight_max: node.in_flight_max,
    });
    (plan, site)
}

/// Of all files, and of the channels, whose digests tell when something beside the folder changed
/// (a secret, a certificate).
fn plan_digest(
    gathered: &Gathered,
    folder: &Folder,
    channels: &BTreeMap<Arc<str>, Arc<ChannelPlan>>,
) -> hilum_message::PlanDigest {
    let mut digest = Digest::of("plan");
    digest.text(gathered.environment.as_deref().unwrap_or_default());
    for (path, bytes) in folder.snapshot() {
        digest.text(&path);
        digest.bytes(&bytes);
    }
    for channel in channels.values() {
        digest.bytes(&channel.digest.0);
    }
    digest.finish()
}

/// Where the management API listens.
fn admin(gathered: &Gathered, report: &mut Report) {
    let (Some(node), Some(tree)) = (&gathered.node, &gathered.node_tree) else {
        return;
    };
    let at = tree.get("admin").unwrap_or(tree);
    let own = "127.0.0.1:26600";
    loopback("the management API", &node.admin.0, own, at, report);
}

/// What has no users yet stays on the machine.
pub(super) fn loopback(what: &str, address: &str, own: &str, at: &Node, report: &mut Report) {
    let host = parse_address(address).map(|(host, _)| host);
    let host = host.unwrap_or_default();
    let loopback = host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    if !loopback {
        let text = format!("{what} cannot listen on `{address}`");
        let remedy = format!("it knows no users yet and listens on loopback only: {own}");
        report.push(Draft::error("E0121", at.span, text).remedy(remedy));
    }
}

/// Sources of messages that come from other channels.
const INSIDE: [&str; 2] = ["topic", "reply"];

/// The language of a channel's messages.
#[derive(Default)]
struct Speech {
    format: Option<Arc<dyn Format>>,
    control_id_optional: bool,
}

fn speech(tree: &Node, registry: &Registry, site: &SiteView<'_>, report: &mut Report) -> Speech {
    let source = tree.get("from").and_then(|from| from.entries().first());
    let system = source.and_then(|(_, config)| config.get("system")?.text());
    let system = system
        .and_then(|name| site.systems().get(name))
        .map(|system| system.info.clone());
    let charset = tree.get("charset").and_then(Node::text).map(str::to_owned);
    let zone = system.as_ref().and_then(|system| system.zone.clone());
    let zone = zone.or_else(|| site.zone());
    let options = FormatOptions {
        charset: charset.or_else(|| system.as_ref().and_then(|system| system.charset.clone())),
        // Nobody waits for the answer to what comes from inside.
        control_id_optional: source.is_some_and(|(key, _)| INSIDE.contains(&key.text.as_str()))
            || system
                .as_ref()
                .is_some_and(|system| system.control_id_optional),
        zone: zone.as_deref().and_then(offsets),
        settings: serde_json::Map::new(),
    };
    Speech {
        control_id_optional: options.control_id_optional,
        format: format(tree, registry, options, report),
    }
}

/// The offsets of a zone by its name; one that this machine does not know is a problem of its file.
pub(super) fn offsets(name: &str) -> Option<Offsets> {
    let zone = TimeZone::get(name).ok()?;
    Some(Offsets::new(move |local_s| {
        let local = Timestamp::from_second(local_s).ok()?;
        let civil = local.to_zoned(TimeZone::UTC).datetime();
        // Of a time that is there twice the first; of one that is not there the offset before it.
        let zoned = zone.to_ambiguous_zoned(civil).compatible().ok()?;
        Some(zoned.offset().seconds() / 60)
    }))
}

/// The format of the messages that ask, by the channel that gets the replies.
fn originals<'g>(
    gathered: &'g Gathered,
    spoken: &BTreeMap<&str, Speech>,
) -> BTreeMap<&'g str, Arc<dyn Format>> {
    let mut originals = BTreeMap::new();
    for (name, (_, tree)) in &gathered.channels {
        let Some(format) = spoken.get(name.as_str()).and_then(|s| s.format.as_ref()) else {
            continue;
        };
        for (_, node) in tree.get("to").map(Node::entries).unwrap_or_default() {
            if let Some(then) = node.get("then").and_then(Node::text) {
                originals.entry(then).or_insert_with(|| Arc::clone(format));
            }
        }
    }
    originals
}

fn checked<'g>(
    (name, path, tree): (&'g str, &'g str, &'g Node),
    speech: Speech,
    original: Option<Arc<dyn Format>>,
    registry: &Registry,
    site: &SiteView<'_>,
    schema: &Value,
    report: &mut Report,
) -> Checked<'g> {
    let to = tree.get("to").map(Node::entries).unwrap_or_default();
    let destinations: Vec<String> = to.iter().map(|(key, _)| key.text.clone()).collect();
    let scope = Scope {
        registry,
        format: speech.format.as_ref(),
        original: original.as_ref(),
        site,
        destinations: &destinations,
    };
    let before = report.errors();
    let (value, found) = check(scope, schema, tree, report);
    let file = if report.errors() > before {
        None
    } else {
        match serde_json::from_value(value.clone()) {
            Ok(file) => Some(file),
            Err(error) => {
                let text = format!("the file is not understood: {error}");
                report.push(Draft::error("E0118", tree.span, text));
                None
            }
        }
    };
    Checked {
        name,
        path,
        tree,
        value,
        format: speech.format,
        original,
        control_id_optional: speech.control_id_optional,
        file,
        pieces: found.pieces,
        uses: found.uses,
        destinations,
        silenced: RefCell::default(),
    }
}

/// The format that a channel names, with its settings.
fn format(
    tree: &Node,
    registry: &Registry,
    mut options: FormatOptions,
    report: &mut Report,
) -> Option<Arc<dyn Format>> {
    let written = tree.get("format")?;
    let name = match written.entries().first() {
        Some((key, settings)) => {
            options.settings = settings.json().as_object().cloned().unwrap_or_default();
            key.text.as_str()
        }
        None => written.text()?,
    };
    registry.get(ComponentKind::Format, name)?;
    match registry.format(name, &options) {
        Ok(format) => Some(format),
        Err(message) => {
            let charset = tree
                .get("charset")
                .filter(|_| message.contains("charset") || message.contains("character set"));
            report.push(Draft::error(
                "E0118",
                charset.unwrap_or(written).span,
                message,
            ));
            None
        }
    }
}

fn site_summary(gathered: &Gathered, channels: &[Checked<'_>]) -> SiteSummary {
    let systems = gathered.systems.iter().map(|(name, system)| SystemSummary {
        name: name.clone(),
        file: system.file.clone(),
        about: system.info.about.clone(),
        owner: system.info.owner.clone(),
        production: system.info.production,
        group: system.info.group.clone(),
        addresses: system.info.addresses.clone(),
        certificates: {
            let mut found = Vec::new();
            for settings in system.info.settings.values() {
                summary::certificates(settings, &mut found);
            }
            found
        },
    });
    SiteSummary {
        name: gathered
            .node
            .as_ref()
            .map(|node| node.site.0.clone())
            .unwrap_or_default(),
        about: gathered.node.as_ref().and_then(|node| node.about.clone()),
        environment: gathered.environment.clone(),
        systems: systems.collect(),
        channels: channels.iter().map(channel_summary).collect(),
    }
}

fn channel_summary(channel: &Checked<'_>) -> ChannelSummary {
    let text = |key: &str| {
        channel
            .tree
            .get(key)
            .and_then(Node::text)
            .map(str::to_owned)
    };
    let index = channel
        .tree
        .get("index")
        .map(Node::entries)
        .unwrap_or_default();
    let index = index.iter().map(|(key, value)| {
        (
            key.text.clone(),
            value.text().unwrap_or_default().to_owned(),
        )
    });
    let destinations = channel
        .tree
        .get("to")
        .map(Node::entries)
        .unwrap_or_default();
    let destinations = destinations.iter().map(|(key, node)| {
        let piece = channel.destination(&key.text);
        let part = piece.map(|piece| summary::part(&key.text, piece, &channel.uses));
        let own = |name: &str| node.get(name).and_then(Node::text).map(str::to_owned);
        PartSummary {
            name: key.text.clone(),
            when: own("when"),
            then: own("then"),
            steps: step_summaries(channel, &["to", &key.text, "steps"]),
            ..part.unwrap_or_default()
        }
    });
    ChannelSummary {
        name: channel.name.to_owned(),
        file: channel.path.to_owned(),
        about: text("about"),
        owner: text("owner"),
        format: text("format")
            .or_else(|| {
                Some(
                    channel
                        .tree
                        .get("format")?
                        .entries()
                        .first()?
                        .0
                        .text
                        .clone(),
                )
            })
            .unwrap_or_default(),
        accept: text("accept"),
        order: text("order").unwrap_or_else(|| "patient".to_owned()),
        index: index.collect(),
        source: channel
            .source()
            .map(|piece| summary::part("from", piece, &channel.uses)),
        steps: step_summaries(channel, &["steps"]),
        destinations: destinations.collect(),
        uses: channel.uses.clone(),
    }
}

fn step_summaries(channel: &Checked<'_>, at: &[&str]) -> Vec<PartSummary> {
    let below = |piece: &&Piece| {
        piece.kind == ComponentKind::Step
            && piece.at.len() == at.len() + 1
            && piece.at.iter().zip(at).all(|(part, want)| part == want)
    };
    let pieces = channel.pieces.iter().filter(below).enumerate();
    pieces
        .map(|(place, piece)| summary::part(&step_name(place, piece), piece, &channel.uses))
        .collect()
}

/// What findings, traces and coverage call a step.
pub(super) fn step_name(place: usize, piece: &Piece) -> String {
    format!("{} {}", place + 1, piece.name)
}
