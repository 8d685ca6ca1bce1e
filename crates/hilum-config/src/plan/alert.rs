//! Alert rules and the hours in which they hold.

use hilum_component::{AlertRule, Size, Window};
use jiff::tz::TimeZone;

use crate::diagnostic::{Draft, Report};
use crate::file::AlertFile;
use crate::site::ZONE_REMEDY;
use crate::yaml::Node;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const REMEDY: &str = "write days, hours and if need be a zone: `weekdays 07:00-19:00`, `mon-sat 06:00-22:00 Europe/Berlin`";

/// The limit of free space in the rules of the site; with several the largest.
pub(super) fn disk_free_below(files: &[AlertFile]) -> Option<Size> {
    let limits = files
        .iter()
        .filter_map(|file| Some(file.disk.as_ref()?.free_below));
    limits.max_by_key(|limit| limit.0)
}

/// Where a list of rules stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// In a channel's file.
    Channel,
    /// In `alerts.yaml`.
    Site,
}

/// The rules of a list, as the engine evaluates them; `tree` is where they stand.
pub(super) fn rules(
    files: &[AlertFile],
    tree: Option<&Node>,
    zone: Option<&str>,
    of: Of,
    report: &mut Report,
) -> Vec<AlertRule> {
    let items = tree.map(Node::items).unwrap_or_default();
    let mut rules = Vec::with_capacity(files.len());
    for (file, node) in files.iter().zip(items) {
        rules.extend(rule(file, node, zone, of, report));
    }
    rules
}

fn rule(
    file: &AlertFile,
    node: &Node,
    zone: Option<&str>,
    of: Of,
    report: &mut Report,
) -> Option<AlertRule> {
    if file.disk.is_some() {
        if file.no_message_for.is_none() && file.queue.is_none() {
            if of == Of::Channel {
                let text = "the disk is the site's and not the channel's";
                let remedy = "write the rule in alerts.yaml";
                report.push(Draft::error("E0109", node.span, text).remedy(remedy));
            }
        } else {
            one_each(node, report);
        }
        no_hours(node, report);
        return None;
    }
    match (file.no_message_for, &file.queue) {
        (Some(longer_than), None) => {
            let during = match &file.during {
                None => None,
                Some(text) => Some(hours(text, zone, node, report)?),
            };
            Some(AlertRule::Silence {
                longer_than,
                during,
            })
        }
        (None, Some(queue)) => {
            no_hours(node, report);
            if queue.older_than.is_none() && queue.longer_than.is_none() {
                let text = "the rule says nothing about the queue";
                let remedy = "write `older-than: 10m` or `longer-than: 1000`";
                report.push(Draft::error("E0102", node.span, text).remedy(remedy));
            }
            Some(AlertRule::Queue {
                destination: queue
                    .destination
                    .as_ref()
                    .map(|name| name.0.as_str().into()),
                longer_than: queue.longer_than,
                older_than: queue.older_than,
            })
        }
        (Some(_), Some(_)) | (None, None) => {
            one_each(node, report);
            None
        }
    }
}

fn one_each(node: &Node, report: &mut Report) {
    let text = "a rule has either `no-message-for`, `queue` or `disk`";
    let draft = Draft::error("E0109", node.span, text);
    report.push(draft.remedy("write one list item for each rule"));
}

fn no_hours(node: &Node, report: &mut Report) {
    if let Some((key, _)) = node.entry("during") {
        let text = "`during` goes with `no-message-for` only";
        report.push(Draft::error("E0122", key.span, text).remedy("leave it out here"));
    }
}

/// Reads hours whose time zone this machine knows.
fn hours(text: &str, zone: Option<&str>, node: &Node, report: &mut Report) -> Option<Window> {
    let span = node.get("during").map_or(node.span, |value| value.span);
    let Some(window) = window(text, zone) else {
        let text = "these are no hours of the week";
        report.push(Draft::error("E0122", span, text).remedy(REMEDY));
        return None;
    };
    let unknown = window
        .zone
        .as_ref()
        .filter(|zone| TimeZone::get(zone).is_err());
    if let Some(zone) = unknown {
        let text = format!("this machine knows no time zone `{zone}`");
        report.push(Draft::error("E0122", span, text).remedy(ZONE_REMEDY));
        return None;
    }
    Some(window)
}

/// Reads `weekdays 07:00-19:00 Europe/Berlin`.
pub(super) fn window(text: &str, zone: Option<&str>) -> Option<Window> {
    let mut days = [true; 7];
    let mut parts = text.split_whitespace().peekable();
    if parts
        .peek()
        .is_some_and(|part| part.starts_with(|c: char| c.is_ascii_alphabetic()))
    {
        days = week(parts.next()?)?;
    }
    let (from, to) = parts.next()?.split_once('-')?;
    let zone = parts.next().or(zone).map(str::to_owned);
    let named = |zone: &String| {
        zone.chars()
            .all(|c| c.is_ascii_alphanumeric() || "/_+-".contains(c))
    };
    if parts.next().is_some() || !zone.as_ref().is_none_or(named) {
        return None;
    }
    Some(Window {
        days,
        from_minute: minute(from)?,
        to_minute: minute(to)?,
        zone,
    })
}

fn week(text: &str) -> Option<[bool; 7]> {
    let text = text.to_ascii_lowercase();
    let mut days = [false; 7];
    match text.as_str() {
        "daily" | "always" => return Some([true; 7]),
        "weekdays" => return Some([true, true, true, true, true, false, false]),
        "weekends" => return Some([false, false, false, false, false, true, true]),
        _ => {}
    }
    let place = |name: &str| DAYS.iter().position(|day| *day == name);
    for part in text.split(',') {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (place(first)?, place(last)?),
            None => (place(part)?, place(part)?),
        };
        // `fri-mon` passes Sunday.
        let count = (last + 7 - first) % 7;
        for day in first..=first + count {
            *days.get_mut(day % 7)? = true;
        }
    }
    Some(days)
}

fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let read = |part: &str| {
        (part.len() == 2)
            .then(|| part.parse::<u16>().ok())
            .flatten()
    };
    let (hours, minutes) = (read(hours)?, read(minutes)?);
    ((hours < 24 && minutes < 60) || (hours == 24 && minutes == 0)).then(|| hours * 60 + minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_of_the_week_are_read() {
        let shape = |text: &str| {
            window(text, None).map(|window| {
                let days: String = window
                    .days
                    .iter()
                    .map(|day| if *day { 'x' } else { '-' })
                    .collect();
                (days, window.from_minute, window.to_minute, window.zone)
            })
        };
        for (text, want) in [
            ("weekdays 07:00-19:00", Some(("xxxxx--", 420, 1140, None))),
            ("07:00-19:30", Some(("xxxxxxx", 420, 1170, None))),
            (
                "mon,wed,fri-sun 22:00-06:00",
                Some(("x-x-xxx", 1320, 360, None)),
            ),
            (
                "fri-mon 00:00-24:00 Europe/Berlin",
                Some(("x---xxx", 0, 1440, Some("Europe/Berlin"))),
            ),
            ("weekdays", None),
            ("workdays 07:00-19:00", None),
            ("weekdays 7-19", None),
            ("weekdays 07:00-25:00", None),
            ("weekdays 07:00-19:00 Europe/Berlin x", None),
            ("", None),
        ] {
            let want = want
                .map(|(days, from, to, zone)| (days.to_owned(), from, to, zone.map(str::to_owned)));
            assert_eq!(shape(text), want, "{text}");
        }
    }
}
