//! From test files to cases that can be run.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use hilum_component::{ChannelPlan, DestinationPlan, Format, Plan, Registry, Rule, Sends};
use hilum_message::{Metadata, Payload};
use serde_json::Value;

use crate::check::{Scope, check, clipped};
use crate::diagnostic::{Draft, Report, did_you_mean};
use crate::file::{EXPECT_KEYS, ExpectFile, Free, TestFile, schema_of};
use crate::plan::{Options, made_by, read_text};
use crate::site::{Folder, SiteView};
use crate::yaml::{Files, Kind, Node, Style, parse};

/// When a message arrives unless the test says otherwise: 2026-01-01T12:00:00Z.
const ARRIVED_MS: u64 = 1_767_268_800_000;

/// The tests of a site.
pub(super) struct Tests {
    pub(super) files: Files,
    pub(super) cases: Vec<Case>,
}

/// One test.
pub(super) struct Case {
    pub(super) file: String,
    pub(super) line: u32,
    pub(super) name: String,
    pub(super) channel: Arc<ChannelPlan>,
    pub(super) payload: Payload,
    pub(super) metadata: Metadata,
    pub(super) state: BTreeMap<(String, String), Bytes>,
    pub(super) before: Vec<Earlier>,
    pub(super) arrived_ms: u64,
    pub(super) expect: ExpectFile,
    pub(super) destinations: Vec<(String, Wanted)>,
    /// Of a reply: the message that asked.
    pub(super) original: Option<Payload>,
    /// The replies of destinations, as cases of the channels that get them.
    pub(super) replies: Vec<(String, Self)>,
}

/// A message that came before the one that is tested.
pub(super) struct Earlier {
    pub(super) channel: Arc<ChannelPlan>,
    pub(super) payload: Payload,
    pub(super) metadata: Metadata,
    pub(super) arrived_ms: u64,
}

/// What a destination is to get.
pub(super) enum Wanted {
    Delivered,
    NotDelivered,
    DeadLetter,
    /// For each message, paths and values, in the format that the destination's steps make.
    Messages(Arc<dyn Format>, Vec<Vec<Field>>),
}

/// A path and the value that is expected there.
pub(super) struct Field {
    pub(super) path: String,
    pub(super) rule: Rule,
    pub(super) value: Node,
}

struct Reader<'a> {
    folder: &'a Folder,
    plan: &'a Plan,
    scope: Scope<'a>,
    report: &'a mut Report,
}

/// Reads the test files of all channels.
pub(super) fn tests(
    folder: &Folder,
    plan: &Plan,
    registry: &Registry,
    options: &Options,
    report: &mut Report,
) -> Tests {
    let systems = BTreeMap::new();
    let site = SiteView::new(folder, &systems, options.secrets, &options.variables, false);
    let scope = Scope {
        registry,
        format: None,
        original: None,
        site: &site,
        destinations: &[],
    };
    let mut files = Files::default();
    let mut cases = Vec::new();
    let all = folder.list("channels");
    for path in all.iter().filter(|path| path.ends_with(".test.yaml")) {
        let Some(id) = read_text(folder, path, &mut files, report) else {
            continue;
        };
        let parsed = parse(&files, id);
        report.extend(parsed.problems);
        let stem = path
            .rsplit('/')
            .next()
            .and_then(|name| name.strip_suffix(".test.yaml"));
        let name = stem.unwrap_or_default();
        let Some(channel) = plan.channels.get(name) else {
            let span = crate::yaml::Span {
                file: id,
                start: 0,
                end: 0,
            };
            let text = format!("there is no channel `{}` beside this file", clipped(name));
            let known = plan.channels.keys().map(|name| &**name);
            let remedy = did_you_mean(name, "known channels", known);
            report.push(Draft::error("E0301", span, text).maybe_remedy(remedy));
            continue;
        };
        let mut reader = Reader {
            folder,
            plan,
            scope,
            report,
        };
        for node in &parsed.documents {
            let line = files
                .get(id)
                .map_or(0, |file| file.position(node.span.start).0);
            cases.extend(reader.case(path, line, node, channel));
        }
    }
    Tests { files, cases }
}

impl Reader<'_> {
    fn case(
        &mut self,
        file: &str,
        line: u32,
        node: &Node,
        channel: &Arc<ChannelPlan>,
    ) -> Option<Case> {
        let before = self.report.errors();
        let (value, _) = check(self.scope, &schema_of::<TestFile>(), node, self.report);
        let destinations = self.destinations(node.get("expect")?, channel);
        let payload = self.payload(node, channel);
        let original = node.get("original").map(|node| self.message(node));
        let arrived_ms = self.arrived(node, ARRIVED_MS);
        let earlier = self.earlier(node, channel, arrived_ms.unwrap_or(ARRIVED_MS));
        if self.report.errors() > before {
            return None;
        }
        let test: TestFile = match serde_json::from_value(value) {
            Ok(read) => read,
            Err(error) => {
                self.report.push(Draft::error(
                    "E0301",
                    node.span,
                    format!("the test is not understood: {error}"),
                ));
                return None;
            }
        };
        let state = test.state.iter().flat_map(|(scope, keys)| {
            let keys = keys.as_object().into_iter().flatten();
            keys.map(move |(key, value)| ((scope.clone(), key.clone()), Bytes::from(text(value))))
        });
        let mut case = Case {
            file: file.to_owned(),
            line,
            name: test.test.clone(),
            channel: channel.clone(),
            payload: payload?,
            metadata: named(&test.metadata),
            state: state.collect(),
            before: earlier
                .into_iter()
                .zip(&test.before)
                .map(|(message, file)| Earlier {
                    metadata: named(&file.metadata),
                    ..message
                })
                .collect(),
            arrived_ms: arrived_ms?,
            expect: test.expect,
            destinations,
            original: original.flatten(),
            replies: Vec::new(),
        };
        case.replies = self.replies(node, &case);
        (self.report.errors() == before).then_some(case)
    }

    /// The replies that a test gives, as cases of the channels that get them.
    fn replies(&mut self, node: &Node, asking: &Case) -> Vec<(String, Case)> {
        let then = node.get("expect").and_then(|expect| expect.get("then"));
        let replies = node.get("replies").map(Node::entries).unwrap_or_default();
        for (key, _) in then.map(Node::entries).unwrap_or_default() {
            if !replies.iter().any(|(reply, _)| reply.text == key.text) {
                let text = format!("the test gives no reply of `{}`", clipped(&key.text));
                let remedy = format!("write `replies: {{ {}: FILE }}`", clipped(&key.text));
                self.report
                    .push(Draft::error("E0301", key.span, text).remedy(remedy));
            }
        }
        let mut cases = Vec::with_capacity(replies.len());
        for (key, reply) in replies {
            let mut destinations = asking.channel.destinations.iter();
            let asked = destinations.find(|destination| *destination.name == *key.text);
            let channel =
                asked.and_then(|destination| self.plan.channels.get(destination.then.as_ref()?));
            let Some(channel) = channel else {
                let text = format!("`{}` hands over no reply", clipped(&key.text));
                let remedy = "name a destination with `then:`";
                self.report
                    .push(Draft::error("E0301", key.span, text).remedy(remedy));
                continue;
            };
            let wanted = then.and_then(|then| then.get(&key.text));
            let destinations = wanted.map(|wanted| self.destinations(wanted, channel));
            let expect = asking.expect.then.get(&key.text).cloned();
            let Some(payload) = self.message(reply) else {
                continue;
            };
            let case = Case {
                file: asking.file.clone(),
                line: asking.line,
                name: asking.name.clone(),
                channel: Arc::clone(channel),
                payload,
                metadata: asking.metadata.clone(),
                state: asking.state.clone(),
                before: Vec::new(),
                arrived_ms: asking.arrived_ms,
                // It was checked with the file.
                expect: expect
                    .and_then(|expect| serde_json::from_value(expect).ok())
                    .unwrap_or_default(),
                destinations: destinations.unwrap_or_default(),
                original: Some(asking.payload.clone()),
                replies: Vec::new(),
            };
            cases.push((key.text.clone(), case));
        }
        cases
    }

    /// The messages that came before; their named values follow when the test is read.
    fn earlier(&mut self, node: &Node, own: &Arc<ChannelPlan>, arrived_ms: u64) -> Vec<Earlier> {
        let Some(Kind::List(items)) = node.get("before").map(|before| &before.kind) else {
            return Vec::new();
        };
        let mut all = Vec::with_capacity(items.len());
        for item in items {
            let named = item.get("channel");
            let channel = match named.and_then(Node::text) {
                None => own,
                Some(name) => match self.plan.channels.get(name) {
                    Some(channel) => channel,
                    None => {
                        let text = format!("there is no channel `{}`", clipped(name));
                        let known = self.plan.channels.keys().map(|name| &**name);
                        let remedy = did_you_mean(name, "known channels", known);
                        let span = named.map_or(item.span, |named| named.span);
                        self.report
                            .push(Draft::error("E0301", span, text).maybe_remedy(remedy));
                        continue;
                    }
                },
            };
            let payload = self.payload(item, channel);
            let arrived_ms = self.arrived(item, arrived_ms);
            all.extend(
                payload
                    .zip(arrived_ms)
                    .map(|(payload, arrived_ms)| Earlier {
                        channel: Arc::clone(channel),
                        payload,
                        metadata: Metadata::new(),
                        arrived_ms,
                    }),
            );
        }
        all
    }

    /// The message, with what `set:` writes.
    fn payload(&mut self, node: &Node, channel: &ChannelPlan) -> Option<Payload> {
        let send = node.get("send")?;
        let payload = self.message(send)?;
        self.edited(node, send, channel, payload)
    }

    /// A message: a file of the site, or the text itself.
    fn message(&mut self, send: &Node) -> Option<Payload> {
        let scalar = send.scalar()?;
        let inline = scalar.style == Style::Block || scalar.text.contains('\n');
        let bytes = if inline {
            Bytes::from(scalar.text.trim_end_matches('\n').to_owned())
        } else {
            match self.scope.site.read_file(&scalar.text) {
                Ok(bytes) => Bytes::copy_from_slice(&bytes),
                Err(error) => {
                    let text = format!("cannot read `{}`: {error}", clipped(&scalar.text));
                    let remedy = "name a file of the site, such as samples/a01.hl7, or write the message as a block (`|`)";
                    let near = did_you_mean(
                        &scalar.text,
                        "",
                        self.folder.list("samples").iter().map(String::as_str),
                    );
                    let near = near.filter(|near| near.starts_with("did"));
                    self.report.push(
                        Draft::error("E0301", send.span, text)
                            .remedy(remedy)
                            .maybe_remedy(near),
                    );
                    return None;
                }
            }
        };
        Some(Payload::inline(bytes))
    }

    fn edited(
        &mut self,
        node: &Node,
        send: &Node,
        channel: &ChannelPlan,
        payload: Payload,
    ) -> Option<Payload> {
        let set = node.get("set").map(Node::entries).unwrap_or_default();
        if set.is_empty() {
            return Some(payload);
        }
        let mut document = match channel.format.parse(&payload) {
            Ok(document) => document,
            Err(reject) => {
                self.report.push(Draft::error(
                    "E0301",
                    send.span,
                    format!("`set:` cannot change it: {reject}"),
                ));
                return None;
            }
        };
        for (key, value) in set {
            let values: Vec<String> = match &value.kind {
                Kind::List(items) => items
                    .iter()
                    .filter_map(|item| item.text().map(str::to_owned))
                    .collect(),
                Kind::Scalar(_) | Kind::Map(_) => {
                    value.text().map(str::to_owned).into_iter().collect()
                }
            };
            let written = channel.format.target(&key.text).and_then(|target| {
                document
                    .set(&target, &values)
                    .map_err(|error| error.to_string())
            });
            if let Err(text) = written {
                self.report.push(Draft::error("E0113", key.span, text));
            }
        }
        Some(document.write())
    }

    fn arrived(&mut self, node: &Node, default_ms: u64) -> Option<u64> {
        let Some((at, text)) = node.get("at").and_then(|at| Some((at, at.text()?))) else {
            return Some(default_ms);
        };
        let read = text.parse::<jiff::Timestamp>().ok();
        let read = read.and_then(|time| u64::try_from(time.as_millisecond()).ok());
        if read.is_none() {
            let text = format!("`{}` is no time", clipped(text));
            self.report
                .push(Draft::error("E0301", at.span, text).remedy("write 2026-03-01T08:00:00Z"));
        }
        read
    }

    fn destinations(&mut self, expect: &Node, channel: &ChannelPlan) -> Vec<(String, Wanted)> {
        let mut found = Vec::new();
        for (key, value) in expect.entries() {
            if EXPECT_KEYS.contains(&key.text.as_str()) {
                continue;
            }
            let mut all = channel.destinations.iter();
            let Some(destination) = all.find(|destination| *destination.name == *key.text) else {
                let names = channel.destinations.iter().map(|known| &*known.name);
                let text = format!(
                    "no such destination `{}` in the channel {}",
                    clipped(&key.text),
                    channel.name
                );
                let known = names.chain(EXPECT_KEYS);
                let remedy = did_you_mean(&key.text, "known keys", known);
                self.report
                    .push(Draft::error("E0203", key.span, text).maybe_remedy(remedy));
                continue;
            };
            let format = sent_in(channel, destination);
            let wanted = match (&value.kind, value.text()) {
                (_, Some("delivered")) => Some(Wanted::Delivered),
                (_, Some("not-delivered")) => Some(Wanted::NotDelivered),
                (_, Some("dead-letter")) => Some(Wanted::DeadLetter),
                (Kind::Map(_), _) => {
                    let fields = vec![self.fields(value, &*format)];
                    Some(Wanted::Messages(format, fields))
                }
                (Kind::List(items), _) => {
                    let fields = items.iter().map(|item| self.fields(item, &*format));
                    let fields = fields.collect();
                    Some(Wanted::Messages(format, fields))
                }
                (Kind::Scalar(_), _) => None,
            };
            match wanted {
                Some(wanted) => found.push((key.text.clone(), wanted)),
                None => {
                    let text = "this says nothing about a delivery";
                    let remedy = "write delivered, not-delivered, dead-letter, or paths and values";
                    self.report
                        .push(Draft::error("E0104", value.span, text).remedy(remedy));
                }
            }
        }
        found
    }

    fn fields(&mut self, node: &Node, format: &dyn Format) -> Vec<Field> {
        let mut fields = Vec::new();
        for (key, value) in node.entries() {
            match Rule::compile(&key.text, format.dialect()) {
                Ok(rule) => fields.push(Field {
                    path: key.text.clone(),
                    rule,
                    value: value.clone(),
                }),
                Err(error) => {
                    let text = format!("not an expression: {}", error.message);
                    self.report
                        .push(Draft::error("E0112", key.span, text).maybe_remedy(error.hint));
                }
            }
        }
        fields
    }
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// Named values as a source gives them.
fn named(values: &Free) -> Metadata {
    values
        .iter()
        .map(|(name, value)| (name.as_str(), text(value)))
        .collect()
}

/// The format of what a destination gets, behind the steps of the channel and its own.
fn sent_in(channel: &ChannelPlan, destination: &DestinationPlan) -> Arc<dyn Format> {
    let taken = match destination.sends {
        Sends::Message => made_by(&channel.steps, &channel.format),
        Sends::ApplicationAnswer => Arc::clone(&channel.format),
    };
    made_by(&destination.steps, &taken)
}
