//! What a change of one system touches.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::check::UseKind;
use crate::plan::{ChannelSummary, PartSummary, SiteSummary, SystemSummary};

/// What a change of one system touches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Impact {
    /// The system.
    pub system: String,
    /// Its owner and those of the channels.
    pub owners: BTreeSet<String>,
    /// The channels, those that talk to the system first.
    pub channels: Vec<ImpactChannel>,
}

/// A channel that a change touches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ImpactChannel {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: String,
    /// Who owns it.
    pub owner: Option<String>,
    /// What the system is to it.
    pub roles: Vec<Role>,
    /// The places of messages that it reads or writes.
    pub fields: BTreeSet<String>,
    /// The tables and other files that it uses.
    pub tables: BTreeSet<String>,
}

/// What a system is to a channel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It sends what the channel takes.
    Sends,
    /// It receives under the name of this destination.
    Receives(String),
    /// A step uses it.
    Used,
    /// Its messages come by way of this channel.
    Through(String),
}

/// What a change of `system` touches; none if the site has no such system.
#[must_use]
pub fn impact(site: &SiteSummary, system: &str) -> Option<Impact> {
    let own = site.systems.iter().find(|known| known.name == system)?;
    let mut roles: BTreeMap<&str, Vec<Role>> = BTreeMap::new();
    let mut ahead: Vec<&ChannelSummary> = Vec::new();
    for channel in &site.channels {
        let found = direct(channel, own);
        if found.contains(&Role::Sends) {
            ahead.push(channel);
        }
        if !found.is_empty() {
            roles.insert(&channel.name, found);
        }
    }
    // What the system sends goes on to whoever hears of it.
    while let Some(channel) = ahead.pop() {
        for next in heard(site, channel) {
            let role = Role::Through(channel.name.clone());
            let known = roles.entry(&next.name).or_default();
            if known.is_empty() {
                ahead.push(next);
            }
            if !known.contains(&role) {
                known.push(role);
            }
        }
    }
    let mut channels: Vec<ImpactChannel> = site
        .channels
        .iter()
        .filter_map(|channel| Some(touched(channel, roles.remove(channel.name.as_str())?)))
        .collect();
    channels.sort_by_key(|channel| {
        channel
            .roles
            .iter()
            .all(|role| matches!(role, Role::Through(_)))
    });
    let owners = channels
        .iter()
        .filter_map(|channel| channel.owner.clone())
        .chain(own.owner.clone())
        .collect();
    Some(Impact {
        system: system.to_owned(),
        owners,
        channels,
    })
}

fn direct(channel: &ChannelSummary, own: &SystemSummary) -> Vec<Role> {
    let mut roles = Vec::new();
    let is = |part: &PartSummary| part.system.as_deref() == Some(&own.name);
    // One of several that send, whom the step `sender` tells apart.
    let of_group = |part: &PartSummary| {
        let rule = part.rules.iter().find(|rule| rule.target == "group");
        part.component == "sender"
            && rule.is_some_and(|rule| own.group.as_ref() == Some(&rule.rule))
    };
    if channel.source.as_ref().is_some_and(is) || channel.steps.iter().any(of_group) {
        roles.push(Role::Sends);
    }
    let to = channel.destinations.iter().filter(|part| is(part));
    roles.extend(to.map(|part| Role::Receives(part.name.clone())));
    let used = channel
        .uses
        .iter()
        .any(|used| used.kind == UseKind::System && used.text == own.name);
    if roles.is_empty() && used {
        roles.push(Role::Used);
    }
    roles
}

/// The channels that get what a channel publishes or hands over.
fn heard<'s>(site: &'s SiteSummary, channel: &ChannelSummary) -> Vec<&'s ChannelSummary> {
    let topic = |part: &PartSummary| {
        let rule = part.rules.first().filter(|_| part.component == "topic")?;
        Some(rule.rule.clone())
    };
    let sent: BTreeSet<String> = channel.destinations.iter().filter_map(topic).collect();
    let then: BTreeSet<&str> = channel
        .destinations
        .iter()
        .filter_map(|part| part.then.as_deref())
        .collect();
    let hears = |other: &&ChannelSummary| {
        let own = other.source.as_ref().and_then(topic);
        own.is_some_and(|topic| sent.contains(&topic)) || then.contains(other.name.as_str())
    };
    site.channels.iter().filter(hears).collect()
}

fn touched(channel: &ChannelSummary, roles: Vec<Role>) -> ImpactChannel {
    let tables = channel
        .uses
        .iter()
        .filter(|used| used.kind == UseKind::File);
    ImpactChannel {
        name: channel.name.clone(),
        file: channel.file.clone(),
        owner: channel.owner.clone(),
        roles,
        fields: channel
            .uses
            .iter()
            .flat_map(|used| used.paths.clone())
            .collect(),
        tables: tables.map(|used| used.text.clone()).collect(),
    }
}
