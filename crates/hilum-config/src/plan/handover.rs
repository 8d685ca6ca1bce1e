//! Where channels hand over to others: topics, questions and their replies, circles of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::channel::Checked;
use crate::check::Piece;
use crate::diagnostic::{Draft, Report, did_you_mean};
use crate::yaml::{Node, Span};

/// The topic on which the engine publishes alerts.
const ALERTS_TOPIC: &str = "hilum.alerts";

pub(super) fn check(channels: &[Checked<'_>], report: &mut Report) {
    topics(channels, report);
    questions(channels, report);
}

/// A topic or a channel that hands over to another.
struct Edge {
    to: String,
    span: Span,
}

/// Each topic has publishers and subscribers.
fn topics(channels: &[Checked<'_>], report: &mut Report) {
    let mut subscribers: BTreeMap<String, Vec<(&str, Span)>> = BTreeMap::new();
    let mut publishers: BTreeMap<String, Vec<(&str, Span)>> = BTreeMap::new();
    for channel in channels {
        if let Some((topic, span)) = channel.source().and_then(topic) {
            subscribers
                .entry(topic)
                .or_default()
                .push((channel.name, span));
        }
        let sent = channel
            .destinations
            .iter()
            .filter_map(|name| topic(channel.destination(name)?));
        for (topic, span) in sent {
            publishers
                .entry(topic)
                .or_default()
                .push((channel.name, span));
        }
    }
    for (topic, places) in &publishers {
        if topic == ALERTS_TOPIC {
            for (_, span) in places {
                let text = format!("`{ALERTS_TOPIC}` belongs to the engine");
                report.push(
                    Draft::error("E0206", *span, text).remedy("publish on a topic of your own"),
                );
            }
        } else if !subscribers.contains_key(topic) {
            for (_, span) in places {
                let text = format!("no channel subscribes to the topic `{topic}`");
                let known = subscribers.keys().map(String::as_str);
                let remedy = did_you_mean(topic, "topics with subscribers", known);
                report.push(Draft::warning("W0301", *span, text).maybe_remedy(remedy));
            }
        }
    }
    for (topic, places) in subscribers
        .iter()
        .filter(|(t, _)| *t != ALERTS_TOPIC && !publishers.contains_key(*t))
    {
        for (_, span) in places {
            let text = format!("no channel publishes on the topic `{topic}`");
            let remedy = did_you_mean(
                topic,
                "topics with publishers",
                publishers.keys().map(String::as_str),
            );
            report.push(Draft::warning("W0302", *span, text).maybe_remedy(remedy));
        }
    }
    cycles(channels, &subscribers, report);
}

fn topic(piece: &Piece) -> Option<(String, Span)> {
    let built_in = piece.name == "topic" && piece.spec.is_none();
    built_in
        .then(|| Some((piece.config.as_str()?.to_owned(), piece.node.span)))
        .flatten()
}

/// A message that comes back to a channel would go round until the hop limit stops it.
fn cycles(
    channels: &[Checked<'_>],
    subscribers: &BTreeMap<String, Vec<(&str, Span)>>,
    report: &mut Report,
) {
    let mut edges: BTreeMap<&str, Vec<Edge>> = BTreeMap::new();
    for channel in channels {
        let own = edges.entry(channel.name).or_default();
        for name in &channel.destinations {
            if let Some((topic, span)) = channel.destination(name).and_then(topic) {
                let heard = subscribers
                    .get(&topic)
                    .map(Vec::as_slice)
                    .unwrap_or_default();
                own.extend(heard.iter().map(|(to, _)| Edge {
                    to: (*to).to_owned(),
                    span,
                }));
            }
            let then = channel
                .tree
                .get("to")
                .and_then(|to| to.get(name)?.get("then"));
            if let Some((node, to)) = then.and_then(|node| Some((node, node.text()?))) {
                own.push(Edge {
                    to: to.to_owned(),
                    span: node.span,
                });
            }
        }
    }
    let mut done = BTreeSet::new();
    for start in edges.keys() {
        let mut path = vec![((*start).to_owned(), None)];
        round(&edges, &mut path, &mut done, report);
    }
}

fn round(
    edges: &BTreeMap<&str, Vec<Edge>>,
    path: &mut Vec<(String, Option<Span>)>,
    done: &mut BTreeSet<String>,
    report: &mut Report,
) {
    let Some((here, _)) = path.last().cloned() else {
        return;
    };
    // Channels are at most as many as files, but a chain of thousands must not exhaust the stack.
    if done.contains(&here) || path.len() > 512 {
        return;
    }
    for edge in edges.get(here.as_str()).into_iter().flatten() {
        if let Some(at) = path.iter().position(|(name, _)| *name == edge.to) {
            let names: Vec<&str> = path
                .iter()
                .skip(at)
                .map(|(name, _)| name.as_str())
                .collect();
            let text = format!(
                "messages would go round: {} -> {}",
                names.join(" -> "),
                edge.to
            );
            let mut draft = Draft::error("E0206", edge.span, text);
            for (_, span) in path.iter().skip(at + 1) {
                draft = span
                    .iter()
                    .fold(draft, |draft, span| draft.related(*span, "by way of this"));
            }
            report.push(draft.remedy("let one of the channels hand over under another topic"));
            continue;
        }
        path.push((edge.to.clone(), Some(edge.span)));
        round(edges, path, done, report);
        path.pop();
    }
    done.insert(here);
}

/// `then:` names a channel of replies.
pub(super) fn named(then: &Node, channels: &[Checked<'_>], report: &mut Report) {
    let Some(name) = then.text() else { return };
    let Some(other) = channels.iter().find(|channel| channel.name == name) else {
        let text = format!("no such channel `{name}`");
        let remedy = did_you_mean(
            name,
            "known channels",
            channels.iter().map(|channel| channel.name),
        );
        report.push(Draft::error("E0204", then.span, text).maybe_remedy(remedy));
        return;
    };
    if let Some(source) = other.source().filter(|source| source.name != "reply") {
        let text = format!("the channel `{name}` takes no replies");
        let draft = Draft::error("E0207", then.span, text).related(source.name_span, "its source");
        report.push(draft.remedy("let its source be `from: { reply: {} }`"));
    }
}

/// Those who ask one channel speak one language, and somebody asks each channel of replies.
fn questions(channels: &[Checked<'_>], report: &mut Report) {
    let mut first: BTreeMap<&str, (serde_json::Value, Span)> = BTreeMap::new();
    for channel in channels {
        let format = channel.tree.get("format").map_or(Value::Null, Node::json);
        let to = channel.tree.get("to").map(Node::entries);
        for (key, node) in to.unwrap_or_default() {
            let Some((then, name)) = node.get("then").and_then(|then| Some((then, then.text()?)))
            else {
                continue;
            };
            if channel.destination(&key.text).and_then(topic).is_some() {
                let text = "a topic gives no reply";
                let remedy = "let the channel that subscribes ask";
                report.push(Draft::error("E0214", then.span, text).remedy(remedy));
            }
            let (known, span) = first
                .entry(name)
                .or_insert_with(|| (format.clone(), then.span));
            if *known != format {
                let text = format!("the channel `{name}` gets replies to messages of two formats");
                let remedy = "`%original` has one format: hand over to a channel of its own";
                let draft = Draft::error("E0214", then.span, text).related(*span, "asked here too");
                report.push(draft.remedy(remedy));
            }
        }
    }
    for channel in channels.iter().filter(|c| !first.contains_key(c.name)) {
        let reply = |piece: &&Piece| piece.name == "reply" && piece.spec.is_none();
        if let Some(source) = channel.source().filter(reply) {
            let text = format!("no channel hands replies over to `{}`", channel.name);
            let remedy = format!(
                "write `then: {}` beside the destination that is asked",
                channel.name
            );
            report.push(Draft::warning("W0302", source.name_span, text).remedy(remedy));
        }
    }
}
