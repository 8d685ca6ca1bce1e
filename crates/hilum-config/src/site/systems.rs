//! `systems/*.yaml` to what components see of a system.

use std::collections::BTreeSet;
use std::sync::Arc;

use hilum_component::{AnswerTable, Authority, DecimalSign, SendsAs, SystemInfo, UnknownPatient};
use jiff::tz::TimeZone;
use serde_json::Value;

use super::view::SecretState;
use crate::check::{Scope, check};
use crate::diagnostic::{Draft, Report, closest};
use crate::file::{
    ControlIdFile, DecimalFile, IdentifierFile, ListSays, ListsFile, SystemFile,
    UnknownPatientFile, schema_of,
};
use crate::yaml::{Kind, Node, Span, Value as Meaning};

/// Keys below `settings` that hold secrets, whatever the technology.
const SECRET_KEYS: [&str; 8] = [
    "password",
    "secret",
    "token",
    "api-key",
    "key-password",
    "passphrase",
    "client-secret",
    "bearer",
];

/// What to do about a time zone that is not known.
pub(crate) const ZONE_REMEDY: &str = "write it as in the IANA time zone database, such as \
    `Europe/Berlin`; if it is right, install the system's time zone data (`tzdata`)";

/// A system of the site.
#[derive(Clone, Debug)]
pub(crate) struct System {
    /// What components see.
    pub(crate) info: Arc<SystemInfo>,
    /// Its file.
    pub(crate) file: String,
    /// The place of its name.
    pub(crate) span: Span,
    /// Its file with the overlay, for the places of problems.
    pub(crate) tree: Node,
    /// All of its file, overlay included, for digests and documents.
    pub(crate) data: Value,
    /// Keys of which the file says something that could not be read, misspelt ones as what they are
    /// close to; what is missing there is no problem of its own.
    pub(crate) unread: BTreeSet<String>,
}

/// Reads a system; what is wrong is reported, what can be read is given nevertheless, so that
/// channels that name it are not blamed too.
pub(crate) fn read_system(
    scope: Scope<'_>,
    node: &Node,
    file: &str,
    report: &mut Report,
) -> System {
    let mut own = Report::default();
    let schema = schema_of::<SystemFile>();
    let (data, _) = check(scope, &schema, node, &mut own);
    if let Some(settings) = node.get("settings") {
        secrets(scope, settings, &mut own);
    }
    if let Some((node, zone)) = node.get("zone").and_then(|node| Some((node, node.text()?))) {
        zone_known(node, zone, &mut own);
    }
    if let Some(node) = node.get("lists") {
        lists(node, &mut own);
    }
    let unread = unread(node, &schema, &own);
    report.absorb(own);
    let mut good = data.clone();
    if let Some(keys) = good.as_object_mut() {
        keys.retain(|key, _| !unread.contains(key));
    }
    let read = serde_json::from_value::<SystemFile>(good).ok();
    let name = node
        .get("system")
        .and_then(Node::text)
        .unwrap_or_default()
        .to_owned();
    let info = read.map_or_else(
        || SystemInfo {
            name: name.clone(),
            ..SystemInfo::default()
        },
        info,
    );
    let span = node
        .entry("system")
        .map_or(node.span, |(_, value)| value.span);
    System {
        info: Arc::new(info),
        file: file.to_owned(),
        span,
        tree: node.clone(),
        data,
        unread,
    }
}

/// The keys of a system in which there are errors, and what those that nobody knows are close to.
fn unread(node: &Node, schema: &Value, report: &Report) -> BTreeSet<String> {
    let known = || schema.get("properties").and_then(Value::as_object);
    let mut unread = BTreeSet::new();
    for (key, value) in node.entries() {
        let is_wrong = |span: Span| span.is_within(key.span) || value.has(span);
        if !report.error_spans().any(is_wrong) {
            continue;
        }
        let mut names = known().into_iter().flat_map(|known| known.keys());
        if !names.any(|name| *name == key.text) {
            let names = known().into_iter().flat_map(|known| known.keys());
            unread.extend(closest(&key.text, names.map(String::as_str)).map(str::to_owned));
        }
        unread.insert(key.text.clone());
    }
    unread
}

fn info(file: SystemFile) -> SystemInfo {
    let text = |(key, value): (String, Value)| Some((key, value.as_str()?.to_owned()));
    SystemInfo {
        name: file.system.0,
        about: file.about,
        owner: file.owner,
        production: file.production,
        addresses: file.addresses.into_iter().filter_map(text).collect(),
        settings: file.settings,
        answers: AnswerTable { rows: file.answers },
        control_id_optional: file.control_id == ControlIdFile::Optional,
        charset: file.charset,
        group: file.group.map(|group| group.0),
        sends_as: file.sends_as.map_or_else(SendsAs::default, |own| SendsAs {
            application: own.application,
            facility: own.facility,
        }),
        zone: file.zone,
        clock_skew: Some(file.clock_skew),
        decimal: file.decimal.map(|sign| match sign {
            DecimalFile::Point => DecimalSign::Point,
            DecimalFile::Comma => DecimalSign::Comma,
        }),
        identifiers: file.identifiers.into_iter().map(authority).collect(),
        code_systems: file.code_systems,
        deltas: declared(file.lists.clone())
            .filter(|(_, says, _)| *says != ListSays::Snapshot)
            .map(|(name, ..)| name)
            .collect(),
        snapshots: declared(file.lists)
            .filter(|(_, says, _)| *says == ListSays::Snapshot)
            .map(|(name, _, empty_in)| (name, empty_in))
            .collect(),
        unknown_patient: match file.unknown_patient {
            UnknownPatientFile::Create => UnknownPatient::Create,
            UnknownPatientFile::Hold => UnknownPatient::Hold,
            UnknownPatientFile::Wait => UnknownPatient::Wait(file.unknown_patient_wait),
        },
    }
}

/// The lists that the file says something of, by their segments.
fn declared(lists: ListsFile) -> impl Iterator<Item = (String, ListSays, Vec<String>)> {
    let all = [
        ("AL1", lists.al1),
        ("NK1", lists.nk1),
        ("DG1", lists.dg1),
        ("PR1", lists.pr1),
        ("OBX", lists.obx),
        ("IN1", lists.in1),
        ("GT1", lists.gt1),
    ];
    let said = all.into_iter();
    said.filter_map(|(name, list)| Some((name.to_owned(), list.says?, list.empty_in)))
}

/// Lists of segments that have no action code (HL7 v2.9 chapters 3 and 6).
const WITHOUT_ACTIONS: [&str; 2] = ["NK1", "GT1"];

/// `empty-in` is of a snapshot, and names types of messages.
fn lists(node: &Node, report: &mut Report) {
    let Kind::Map(lists) = &node.kind else { return };
    for (name, list) in lists {
        if let Some(says) = list
            .get("says")
            .filter(|says| says.text() == Some("actions"))
            && WITHOUT_ACTIONS.contains(&name.text.as_str())
        {
            let text = format!("{} has no action code", name.text);
            let remedy =
                "write `says: snapshot` if each message has the whole list, else leave it out";
            report.push(Draft::error("E0129", says.span, text).remedy(remedy));
        }
        let Some(empty) = list.get("empty-in") else {
            continue;
        };
        if list.get("says").and_then(Node::text) != Some("snapshot") {
            let text = "`empty-in` is of a list that is a snapshot";
            let remedy = "write `says: snapshot`, or leave `empty-in` out";
            report.push(Draft::error("E0129", empty.span, text).remedy(remedy));
        }
        let Kind::List(types) = &empty.kind else {
            continue;
        };
        for one in types {
            let text = one.text().unwrap_or_default();
            let is_part = |part: &str| {
                part.len() == 3 && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
            };
            let is_type = text
                .split_once('^')
                .is_some_and(|(code, event)| is_part(code) && is_part(event));
            if !is_type {
                let text = "this is no type of messages";
                let remedy = "write code and event as MSH-9 has them, such as `ADT^A08`";
                report.push(Draft::error("E0129", one.span, text).remedy(remedy));
            }
        }
    }
}

fn authority(file: IdentifierFile) -> Authority {
    Authority {
        name: file.authority,
        oid: file.oid,
        uri: file.uri,
        kind: file.kind,
    }
}

/// The time zone is one that this machine knows.
fn zone_known(node: &Node, zone: &str, report: &mut Report) {
    if TimeZone::get(zone).is_err() {
        let text = format!("this machine knows no time zone `{zone}`");
        report.push(Draft::error("E0126", node.span, text).remedy(ZONE_REMEDY));
    }
}

/// Values of keys that hold secrets must be references.
fn secrets(scope: Scope<'_>, node: &Node, report: &mut Report) {
    match &node.kind {
        Kind::Map(entries) => {
            for (key, value) in entries {
                match value.text() {
                    Some(text) if SECRET_KEYS.contains(&key.text.as_str()) => {
                        secret(scope, value, text, report);
                    }
                    _ => secrets(scope, value, report),
                }
            }
        }
        Kind::List(items) => items.iter().for_each(|item| secrets(scope, item, report)),
        Kind::Scalar(_) => {}
    }
}

fn secret(scope: Scope<'_>, node: &Node, text: &str, report: &mut Report) {
    if node
        .scalar()
        .is_some_and(|scalar| matches!(scalar.value, Meaning::Boolean(_)))
    {
        return;
    }
    match scope.site.secret_state(text) {
        SecretState::Present => {}
        SecretState::Literal => report.push(Draft::clear_secret(node.span)),
        SecretState::Absent(reason) => report.push(Draft::absent_secret(node.span, text, &reason)),
    }
}

/// Addresses that a file of the folder marks as production, whatever an overlay says of their
/// system.
pub(crate) fn production_addresses<'n>(nodes: impl Iterator<Item = &'n Node>) -> BTreeSet<String> {
    let marked = nodes.filter(|node| node.get("production").and_then(Node::text) == Some("true"));
    marked
        .filter_map(|node| node.get("addresses"))
        .flat_map(Node::entries)
        .filter_map(|(_, value)| value.text().map(str::to_owned))
        .collect()
}
