//! Differences of many messages, put together by place and cause.

use std::collections::BTreeMap;

use hilum_message::{MessageId, Phi};
use serde_json::{Value, json};

use super::diff::{Difference, Key, Kind};
use crate::output::Output;

/// Groups that are kept apart; what comes after is only counted.
const GROUPS_MAX: usize = 10_000;

/// What was compared.
pub(super) struct Heading<'h> {
    pub(super) channel: &'h str,
    pub(super) day: &'h str,
    pub(super) messages: usize,
    pub(super) plans: [String; 2],
}

/// Differences that belong together.
struct Group {
    messages: u64,
    places: u64,
    last: MessageId,
    example: MessageId,
    at: String,
    before: Option<Phi<String>>,
    after: Option<Phi<String>>,
}

/// All of them.
#[derive(Default)]
pub(super) struct Groups {
    groups: BTreeMap<Key, Group>,
    differing: u64,
    left_out: u64,
}

impl Groups {
    pub(super) fn add(&mut self, message: MessageId, differences: Vec<Difference>) {
        self.differing += u64::from(!differences.is_empty());
        for difference in differences {
            if let Some(group) = self.groups.get_mut(&difference.key) {
                group.places += 1;
                group.messages += u64::from(group.last != message);
                group.last = message;
            } else if self.groups.len() < GROUPS_MAX {
                let group = Group {
                    messages: 1,
                    places: 1,
                    last: message,
                    example: message,
                    at: difference.at,
                    before: difference.before,
                    after: difference.after,
                };
                self.groups.insert(difference.key, group);
            } else {
                self.left_out += 1;
            }
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.differing == 0
    }

    pub(super) fn show(
        &self,
        heading: &Heading<'_>,
        reveal: bool,
        output: &Output,
    ) -> anyhow::Result<()> {
        if output.json() {
            return output.value(&self.as_json(heading, reveal));
        }
        let plural = |count: u64| if count == 1 { "" } else { "s" };
        for (key, group) in &self.groups {
            let places = if group.places > group.messages {
                format!(" ({} places)", group.places)
            } else {
                String::new()
            };
            let what = output.colored("33", words(key.kind));
            output.line(format_args!(
                "{what}  {}  in {} message{}{places}",
                key.place,
                group.messages,
                plural(group.messages)
            ));
            let [a, b] = &key.cause;
            output.line(format_args!("    A: {a}"));
            output.line(format_args!("    B: {b}"));
            output.line(format_args!("    for example {}", example(group, reveal)));
        }
        if self.left_out > 0 {
            output.line(format_args!("{} more differences", self.left_out));
        }
        output.line(format_args!(
            "{}, {}: {} of {} messages differ (A is plan {}, B is plan {})",
            heading.channel,
            heading.day,
            self.differing,
            heading.messages,
            heading.plans[0],
            heading.plans[1]
        ));
        Ok(())
    }

    fn as_json(&self, heading: &Heading<'_>, reveal: bool) -> Value {
        let value = |value: &Option<Phi<String>>| value.as_ref().map(|value| told(value, reveal));
        let groups = self.groups.iter().map(|(key, group)| {
            json!({
                "kind": key.kind, "place": key.place,
                "cause": { "a": key.cause[0], "b": key.cause[1] },
                "messages": group.messages, "places": group.places,
                "example": {
                    "message": group.example.to_string(), "at": group.at,
                    "a": value(&group.before), "b": value(&group.after),
                },
            })
        });
        json!({
            "channel": heading.channel, "day": heading.day, "messages": heading.messages,
            "differing": self.differing, "plans": heading.plans,
            "groups": groups.collect::<Vec<_>>(), "left-out": self.left_out,
        })
    }
}

fn example(group: &Group, reveal: bool) -> String {
    let mut text = format!("{}  {}", group.example, group.at);
    if group.before.is_some() || group.after.is_some() {
        let side = |value: &Option<Phi<String>>| {
            value
                .as_ref()
                .map_or_else(|| "nothing".to_owned(), |value| told(value, reveal))
        };
        let (before, after) = (side(&group.before), side(&group.after));
        text.push_str(&format!("  {before} → {after}"));
    }
    text
}

/// A value, or how long it is.
fn told(value: &Phi<String>, reveal: bool) -> String {
    if reveal {
        return value.reveal().replace(['\r', '\n'], "⏎");
    }
    format!("({} characters)", value.reveal().chars().count())
}

const fn words(kind: Kind) -> &'static str {
    match kind {
        Kind::Disposition => "decided otherwise",
        Kind::Answer => "answered otherwise",
        Kind::DestinationAppeared => "destination appeared",
        Kind::DestinationVanished => "destination vanished",
        Kind::FieldChanged => "field changed",
        Kind::FindingAppeared => "finding appeared",
        Kind::FindingVanished => "finding vanished",
    }
}
