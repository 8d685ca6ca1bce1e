//! What concerns several parts of a site at once: ports, answers, production, unused systems.

use std::collections::{BTreeMap, BTreeSet};

use hilum_component::ComponentKind;
use serde_json::Value;

use super::channel::Checked;
use super::gather::Gathered;
use super::handover;
use crate::check::{Piece, UseKind, kind_word, parse_address};
use crate::diagnostic::{Draft, Report};
use crate::yaml::{Node, Span};

/// Steps that mean nothing among a destination's own: `route` chooses between destinations, and a
/// message that waits must do so before it is delivered anywhere.
const NOT_FOR_DESTINATIONS: [(&str, &str); 2] = [
    (
        "route",
        "`route` chooses between destinations: put it among the channel's steps, or use `when:`",
    ),
    (
        "hold",
        "a message waits before it is delivered anywhere: put the step among the channel's steps",
    ),
];

pub(super) fn check(gathered: &Gathered, channels: &[Checked<'_>], report: &mut Report) {
    listeners(gathered, channels, report);
    handover::check(channels, report);
    for channel in channels {
        destinations(channel, channels, report);
        answers(channel, report);
        systems(gathered, channel, report);
    }
    unused(gathered, channels, report);
}

/// Two of those that listen, sources or destinations, cannot have one port, unless they tell their
/// messages apart by a `path`.
fn listeners(gathered: &Gathered, channels: &[Checked<'_>], report: &mut Report) {
    let mut known: Vec<(String, u16, Span, Option<Shared<'_>>)> = Vec::new();
    if let (Some(node), Some(tree)) = (&gathered.node, &gathered.node_tree) {
        let written = tree.get("admin").or_else(|| tree.get("site"));
        let (host, port) = parse_address(&node.admin.0).unwrap_or_default();
        known.extend(written.map(|written| (host.to_owned(), port, written.span, None)));
        if let (Some(fhir), Some(section)) = (&node.fhir, tree.get("fhir")) {
            let at = section.get("listen").unwrap_or(section);
            let (host, port) = parse_address(&fhir.listen.0).unwrap_or_default();
            if port > 0 && known.iter().any(|(h, p, _, _)| h == host && *p == port) {
                let text = format!("the port {port} is taken");
                let draft = Draft::error("E0202", at.span, text);
                report.push(draft.remedy("the management API has it; choose another"));
            }
            known.push((host.to_owned(), port, at.span, None));
        }
    }
    let pieces = channels.iter().flat_map(|channel| &channel.pieces);
    for piece in pieces.filter(|piece| piece.kind != ComponentKind::Step) {
        let Some(node) = piece.node.get("listen") else {
            continue;
        };
        let Some((host, port)) = node.text().and_then(listener).filter(|(_, port)| *port > 0)
        else {
            continue;
        };
        let any = |host: &str| matches!(host, "0.0.0.0" | "::");
        let own = Shared::of(piece);
        let clash = known.iter().find(|(h, p, _, other)| {
            let beside = h == host
                && own
                    .zip(*other)
                    .is_some_and(|(own, other)| own.beside(&other));
            *p == port && (h == host || any(h) || any(host)) && !beside
        });
        match clash {
            Some((_, _, first, _)) => {
                let text = format!("the port {port} is taken");
                let draft =
                    Draft::error("E0202", node.span, text).related(*first, "by this listener");
                report.push(draft.remedy(
                    "choose another port, or let one channel route to several destinations",
                ));
            }
            None => known.push((host.to_owned(), port, node.span, own)),
        }
    }
}

/// A listener that others of its component may share, each at its own path.
#[derive(Clone, Copy)]
struct Shared<'p> {
    component: &'p str,
    path: Option<&'p str>,
}

impl<'p> Shared<'p> {
    fn of(piece: &'p Piece) -> Option<Self> {
        let schema = (piece.spec.as_ref()?.schema)();
        schema.get("properties")?.get("path")?;
        Some(Self {
            component: &piece.name,
            path: piece.node.get("path").and_then(Node::text),
        })
    }

    /// One that names no path has the component's own, which another may have written out; then
    /// the listener says so when it opens.
    fn beside(&self, other: &Self) -> bool {
        self.component == other.component && self.path != other.path
    }
}

/// Host and port of a listener; a port alone listens on loopback.
fn listener(text: &str) -> Option<(&str, u16)> {
    parse_address(text).or_else(|| Some(("127.0.0.1", text.parse().ok()?)))
}

fn destinations(channel: &Checked<'_>, channels: &[Checked<'_>], report: &mut Report) {
    let to = channel
        .tree
        .get("to")
        .map(Node::entries)
        .unwrap_or_default();
    if to.is_empty() {
        let span = channel
            .tree
            .entries()
            .first()
            .map_or(channel.tree.span, |(key, _)| key.span);
        let text = "the channel has no destination: its messages are kept and go nowhere";
        report.push(
            Draft::warning("W0311", span, text).remedy("write `to: { NAME: { COMPONENT: … } }`"),
        );
    }
    let mut taken: BTreeMap<&str, Span> = BTreeMap::new();
    for (key, node) in to {
        if crate::file::EXPECT_KEYS.contains(&key.text.as_str()) {
            let text = format!("`{}` cannot be the name of a destination", key.text);
            let remedy = "the word has a meaning in tests; choose another";
            report.push(Draft::error("E0119", key.span, text).remedy(remedy));
        }
        if let Some(then) = node.get("then") {
            handover::named(then, channels, report);
        }
        if let Some((was, name)) = node.get("was").and_then(|was| Some((was, was.text()?))) {
            let here = to
                .iter()
                .find(|(other, _)| other.text == name)
                .map(|(other, _)| other.span);
            if let Some(other) = here.or_else(|| taken.get(name).copied()) {
                let text = format!("the queue of `{name}` cannot be taken over");
                let remedy = "`was:` names a destination that is no longer there, and only once";
                report.push(
                    Draft::error("E0212", was.span, text)
                        .related(other, "it is used here")
                        .remedy(remedy),
                );
            }
            taken.insert(name, was.span);
        }
        own_steps(node, report);
        application_answers(node, report);
        retry(node, report);
        if node.get("required").and_then(Node::text) == Some("true") && node.get("steps").is_none()
        {
            let span = node
                .entry("required")
                .map_or(node.span, |(key, _)| key.span);
            let text = "`required` has no effect on a destination without steps of its own";
            report.push(
                Draft::warning("W0312", span, text)
                    .remedy("leave it out; `acknowledge: delivered` waits for delivery"),
            );
        }
    }
}

fn own_steps(destination: &Node, report: &mut Report) {
    let steps = destination
        .get("steps")
        .map(Node::items)
        .unwrap_or_default();
    for (key, _) in steps.iter().flat_map(Node::entries) {
        let known = NOT_FOR_DESTINATIONS
            .iter()
            .find(|(name, _)| *name == key.text);
        if let Some((name, remedy)) = known {
            let text = format!("the step `{name}` cannot stand among a destination's own steps");
            report.push(Draft::error("E0213", key.span, text).remedy(*remedy));
        }
    }
}

/// An answer goes as it is to whoever asked for it.
fn application_answers(destination: &Node, report: &mut Report) {
    let sends = destination.get("sends").and_then(Node::text);
    if sends != Some("application-answer") {
        return;
    }
    for key in ["when", "steps", "required", "then", "priority"] {
        if let Some((written, _)) = destination.entry(key) {
            let text = format!("`{key}` has no effect on application answers");
            let remedy = "leave it out, or write a destination of its own for messages";
            report.push(Draft::warning("W0312", written.span, text).remedy(remedy));
        }
    }
}

fn retry(destination: &Node, report: &mut Report) {
    let delay = |key: &str| {
        let node = destination.get("retry")?.get(key)?;
        Some((
            hilum_component::Millis::parse(node.text()?).ok()?,
            node.span,
        ))
    };
    if let (Some((first, _)), Some((longest, span))) = (delay("first"), delay("longest"))
        && first > longest
    {
        let text = format!("the longest delay is shorter than the first, {first}");
        report.push(Draft::error("E0124", span, text).remedy(format!("write at least {first}")));
    }
}

fn answers(channel: &Checked<'_>, report: &mut Report) {
    let delivered = channel
        .tree
        .get("acknowledge")
        .filter(|node| node.text() == Some("delivered"));
    let after = channel.tree.entry("answer-after");
    match (delivered, after) {
        (Some(node), None) => {
            let text =
                "`acknowledge: delivered` does not say which destinations the answer waits for";
            let remedy = format!(
                "write `answer-after: [{}]`",
                channel.destinations.join(", ")
            );
            report.push(Draft::error("E0123", node.span, text).remedy(remedy));
        }
        (None, Some((key, _))) => {
            let text = "the answer does not wait for destinations";
            report.push(
                Draft::error("E0123", key.span, text)
                    .remedy("write `acknowledge: delivered`, or leave it out"),
            );
        }
        (Some(_), Some(_)) | (None, None) => {}
    }
}

/// The step that recognises which system of a group sent a message.
pub(super) const SENDER: &str = "sender";

/// Every piece that talks to a peer names its system, and a test node keeps off production.
fn systems(gathered: &Gathered, channel: &Checked<'_>, report: &mut Report) {
    let production = gathered.node.as_ref().is_none_or(|node| node.production);
    for piece in channel
        .pieces
        .iter()
        .filter(|piece| piece.kind != ComponentKind::Step)
    {
        let offers = piece.spec.as_ref().is_some_and(|spec| {
            let schema = (spec.schema)();
            let required = schema.get("required").and_then(Value::as_array);
            schema
                .get("properties")
                .is_some_and(|known| known.get("system").is_some())
                && required.is_none_or(|keys| !keys.contains(&Value::from("system")))
        });
        // A folder may belong to nobody, unless messages about patients come from it: whose numbers
        // they have is said in the file of a system. A store of the node is no other system.
        let asks = piece.kind == ComponentKind::Source && speaks_v2(channel);
        let named = ["system", "folder"]
            .iter()
            .any(|key| piece.node.get(key).is_some() && !(asks && *key == "folder"))
            || ["to", "from"]
                .iter()
                .any(|key| piece.config.get(key).is_some_and(|value| value == "local"));
        // Several systems send, and a step tells which; or a step names the one that does.
        let tells = |piece: &Piece| {
            let names = asks && piece.config.get("system").is_some();
            piece.kind == ComponentKind::Step && (piece.name == SENDER || names)
        };
        let told = piece.kind == ComponentKind::Source && channel.pieces.iter().any(tells);
        if offers && !named && !told {
            let mut text = format!("this {} names no system", kind_word(piece.kind));
            if asks {
                text += ", so nobody knows who assigns the identifiers of its messages";
            }
            let remedy = format!(
                "write `system: NAME` below `{}`, so that its owner, habits and `hilum impact` are known",
                piece.name
            );
            report.push(Draft::warning("W0303", piece.name_span, text).remedy(remedy));
        }
        // Who listens is called, it does not reach out.
        if !production && piece.node.get("listen").is_none() {
            reach(gathered, piece, report);
        }
    }
}

/// The messages of the channel are of HL7 v2.
fn speaks_v2(channel: &Checked<'_>) -> bool {
    let format = channel.format.as_deref();
    format.is_some_and(|format| format.name() == "hl7v2")
}

fn reach(gathered: &Gathered, piece: &Piece, report: &mut Report) {
    let remedy = "lay a test system over it in `environments/`, or run this on a node with `production: true`";
    let name = piece
        .node
        .get("system")
        .and_then(|node| Some((node, node.text()?)));
    if let Some((node, system)) =
        name.and_then(|(node, name)| Some((node, gathered.systems.get(name)?)))
    {
        let marked = system
            .info
            .addresses
            .values()
            .find(|address| gathered.production.contains(*address));
        if system.info.production || marked.is_some() {
            let text = format!(
                "a node that is not in production cannot reach `{}`",
                system.info.name
            );
            let draft = Draft::error("E0208", node.span, text);
            report.push(
                draft
                    .related(system.span, "the system is in production")
                    .remedy(remedy),
            );
        }
    }
    for (key, value) in piece.config.as_object().into_iter().flatten() {
        let address = value
            .as_str()
            .filter(|text| gathered.production.contains(*text));
        if let (Some(address), Some(node)) = (address, piece.node.get(key)) {
            let text = format!("a node that is not in production cannot reach `{address}`");
            report.push(Draft::error("E0208", node.span, text).remedy(remedy));
        }
    }
}

/// Systems that no channel names, which is known only where every channel is understood.
fn unused(gathered: &Gathered, channels: &[Checked<'_>], report: &mut Report) {
    if report.errors() > 0 {
        return;
    }
    let used: BTreeSet<&str> = channels
        .iter()
        .flat_map(|channel| &channel.uses)
        .filter(|used| used.kind == UseKind::System)
        .map(|used| used.text.as_str())
        .chain(
            channels
                .iter()
                .flat_map(|channel| &channel.pieces)
                .filter_map(|piece| piece.config.get("system").and_then(Value::as_str)),
        )
        .collect();
    for (name, system) in gathered
        .systems
        .iter()
        .filter(|(name, _)| !used.contains(name.as_str()))
    {
        let text = format!("no channel uses the system `{name}`");
        report.push(Draft::warning("W0308", system.span, text));
    }
}
