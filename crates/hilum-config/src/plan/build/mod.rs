//! From a checked channel to its plan.

mod destination;
mod marking;
mod senders;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use hilum_component::{
    Acknowledge, Build, BuildContext, ChannelPlan, ComponentKind, Elsewhere, Format, IndexField,
    Order, Problem, ResendPlan, Rule, SourceKind, SourcePlan, StepPlan,
};
use hilum_message::PlanDigest;
use serde_json::Value;

use super::channel::{Checked, step_name};
use super::clinical::MATCH;
use super::digest::Digest;
use super::gather::Gathered;
use super::{alert, summary};
use crate::check::{ORDER_DOMAINS, Piece, clipped};
use crate::diagnostic::{Draft, Report, Within};
use crate::file::{AcknowledgeFile, AlertFile, ChannelFile};
use crate::site::{SiteView, Used};
use crate::yaml::{Node, SourceFile, Span};
pub(crate) use marking::markings;

/// What a step says of a code table of high risk in which rows count that nobody approved.
const UNREVIEWED: &str = "rows count that nobody approved";
/// What it says of a table that writes units and not their values.
const UNCONVERTED: &str = "gives results another unit without converting them";

/// Builds one channel.
pub(super) struct Builder<'b, 'g, V> {
    pub(super) gathered: &'g Gathered,
    pub(super) channel: &'b Checked<'g>,
    /// Systems of which it is said already that nobody knows who assigns their identifiers.
    pub(super) undeclared: &'b BTreeSet<&'g str>,
    /// Makes a view of the site that remembers what is used through it.
    pub(super) make_view: &'b V,
}

/// A piece that was built, and what its configuration depends on.
struct Made<T> {
    part: T,
    digest: PlanDigest,
}

impl<'g, V: Fn() -> SiteView<'g>> Builder<'_, 'g, V> {
    /// The channel's plan; problems of its components are reported even where there is none.
    pub(super) fn build(&self, report: &mut Report) -> Option<ChannelPlan> {
        let format = self.channel.format.as_ref()?;
        let before = report.errors();
        let mut digest = Digest::of("channel");
        digest.text(self.channel.name);
        digest.json(&self.channel.tree.json());
        for asking in self.asking() {
            digest.json(&asking.get("format").map_or(Value::Null, Node::json));
        }
        let source = self.source(format, &mut digest, report);
        let steps = self.steps(format, None, &["steps"], &mut digest, report);
        let made = made_by(&steps, format);
        let destinations = self.destinations(&made, &mut digest, report);
        let alerts = self.alerts(&mut digest, report);
        let marking = self.marking(&**format, &mut digest, report);
        let file = self.channel.file.as_ref()?;
        let rules = self.rules(file, &**format, report);
        if report.errors() > before {
            return None;
        }
        let (accept, order, index) = rules?;
        Some(ChannelPlan {
            name: self.channel.name.into(),
            about: file.about.clone(),
            owner: file.owner.clone(),
            digest: digest.finish(),
            source: source?,
            format: format.clone(),
            acknowledge: acknowledge(file),
            accept,
            order,
            index,
            steps,
            destinations,
            resend: resend(file),
            alerts,
            step_budget: file.step_budget,
            control_id_optional: self.channel.control_id_optional,
            marking: Arc::new(marking),
            senders: self.sender_clocks(),
        })
    }

    /// The channels that hand their replies over to this one.
    fn asking(&self) -> impl Iterator<Item = &'g Node> {
        let name = self.channel.name;
        let asks = move |tree: &&Node| {
            let to = tree.get("to").map(Node::entries).unwrap_or_default();
            to.iter()
                .any(|(_, node)| node.get("then").and_then(Node::text) == Some(name))
        };
        let trees = self.gathered.channels.values().map(|(_, tree)| tree);
        trees.filter(asks)
    }

    /// The system that the channel's source names.
    fn sender(&self) -> Option<&str> {
        let (_, source) = self.channel.tree.get("from")?.entries().first()?;
        source.get("system")?.text()
    }

    fn context<'c>(
        &'c self,
        format: &'c Arc<dyn Format>,
        destination: Option<&'c str>,
        site: &'c SiteView<'g>,
    ) -> BuildContext<'c> {
        BuildContext {
            channel: self.channel.name,
            destination,
            format,
            original: self.channel.original.as_ref(),
            site,
            sender: self.sender(),
            destinations: &self.channel.destinations,
        }
    }

    /// Builds a piece with `build`, which gets its configuration; adds what it depends on to the
    /// channel's digest and gives a digest of its own.
    fn make<T>(
        &self,
        piece: &Piece,
        channel: &mut Digest,
        report: &mut Report,
        build: impl FnOnce(&SiteView<'g>) -> Result<T, Vec<Problem>>,
    ) -> Option<Made<T>> {
        if !piece.clean {
            return None;
        }
        let view = (self.make_view)();
        match build(&view) {
            Ok(part) => {
                // What the schema names is used even where the component reads it only later.
                for used in self
                    .channel
                    .uses
                    .iter()
                    .filter(|used| used.at.starts_with(&piece.at))
                {
                    view.note(used);
                }
                let mut own = Digest::of(&piece.name);
                own.json(&piece.config);
                let used = view.used();
                self.depend(&used, &mut own);
                self.depend(&used, channel);
                Some(Made {
                    part,
                    digest: own.finish(),
                })
            }
            Err(problems) => {
                let problems = problems.into_iter();
                let own = problems.filter(|problem| !self.follows(piece, problem));
                report.extend(own.map(|problem| self.place(piece, problem)));
                None
            }
        }
    }

    /// A component misses in a system's file what could not be read there, or who assigns its identifiers: the
    /// one error is reported already.
    fn follows(&self, piece: &Piece, problem: &Problem) -> bool {
        let (name, key) = match problem.elsewhere.as_deref() {
            Some(Elsewhere::System(name)) => (Some(name.as_str()), problem.key.first()),
            Some(Elsewhere::File { .. }) => (None, None),
            // It says of the system that is named here what it lacks, and not under which key.
            None if problem.key == ["system"] => {
                (piece.config.get("system").and_then(Value::as_str), None)
            }
            None => (None, None),
        };
        if key.is_some_and(|key| key == "identifiers")
            && name.is_some_and(|name| self.undeclared.contains(name))
        {
            return true;
        }
        let Some(system) = name.and_then(|name| self.gathered.systems.get(name)) else {
            return false;
        };
        match key {
            Some(key) => system.unread.contains(key),
            None => !system.unread.is_empty(),
        }
    }

    /// A component's problem, with its place in the file of the channel or of the system.
    fn place(&self, piece: &Piece, problem: Problem) -> Draft {
        let system = match problem.elsewhere.as_deref() {
            Some(Elsewhere::System(name)) => self.gathered.systems.get(name),
            Some(Elsewhere::File { .. }) | None => None,
        };
        let span = match system {
            Some(system) => system.tree.find(&problem.key).1,
            None => span_of(piece, &problem),
        };
        let code = if problem.message.starts_with("not an expression") {
            "E0112"
        } else {
            "E0118"
        };
        let draft = if problem.secret {
            Draft::clear_secret(span)
        } else {
            Draft::error(code, span, clipped_message(&problem.message))
        };
        let draft = match system {
            Some(_) => draft.related(piece.name_span, "needed here"),
            None => draft,
        };
        let within = match problem.elsewhere.as_deref() {
            Some(Elsewhere::File { path, range }) => self.within(path, range),
            Some(Elsewhere::System(_)) | None => None,
        };
        let draft = match within {
            Some(within) => draft.within(within),
            None => draft,
        };
        draft.maybe_remedy(problem.hint)
    }

    /// A place in a file that a component has read.
    fn within(&self, path: &str, range: &Range<usize>) -> Option<Within> {
        let bytes = (self.make_view)().read_file(path).ok()?;
        let text = std::str::from_utf8(&bytes).ok()?;
        Some(Within {
            file: SourceFile::new(path, text),
            range: u32::try_from(range.start).ok()?..u32::try_from(range.end).ok()?,
        })
    }

    fn depend(&self, used: &Used, digest: &mut Digest) {
        for name in &used.systems {
            digest.text(name);
            if let Some(system) = self.gathered.systems.get(name) {
                digest.json(&system.data);
            }
        }
        for (path, bytes) in &used.files {
            digest.text(path);
            digest.bytes(bytes);
        }
        for reference in &used.secrets {
            digest.text(reference);
        }
        for (path, stamp) in &used.stamps {
            digest.text(path);
            digest.text(stamp);
        }
    }

    fn source(
        &self,
        format: &Arc<dyn Format>,
        digest: &mut Digest,
        report: &mut Report,
    ) -> Option<SourcePlan> {
        let Some(piece) = self.channel.source() else {
            if self.channel.tree.get("from").is_none() {
                let remedy = "write `from: { COMPONENT: … }`, or `from: { reply: {} }` for a channel that `then` names";
                let text = "the channel has no source";
                let span = self
                    .channel
                    .tree
                    .entries()
                    .first()
                    .map_or(self.channel.tree.span, |(key, _)| key.span);
                report.push(Draft::error("E0102", span, text).remedy(remedy));
            }
            return None;
        };
        let made = self.make(piece, digest, report, |view| {
            match piece.spec.as_ref().map(|spec| spec.build) {
                Some(Build::Source(build)) => {
                    build(&piece.config, &self.context(format, None, view))
                        .map(SourceKind::Component)
                }
                _ => Ok(match piece.config.as_str() {
                    Some(topic) => SourceKind::Topic(topic.into()),
                    None => SourceKind::Reply(self.channel.original.clone()),
                }),
            }
        })?;
        Some(SourcePlan {
            component: piece.name.clone(),
            system: summary::system(&piece.config),
            digest: made.digest,
            kind: made.part,
        })
    }

    fn steps(
        &self,
        format: &Arc<dyn Format>,
        destination: Option<&str>,
        at: &[&str],
        digest: &mut Digest,
        report: &mut Report,
    ) -> Vec<StepPlan> {
        let count = destination
            .map_or(Some(self.channel.tree), |name| {
                self.channel.tree.get("to")?.get(name)
            })
            .and_then(|node| node.get("steps"))
            .map_or(0, |steps| steps.items().len());
        let mut steps: Vec<StepPlan> = Vec::with_capacity(count);
        for place in 0..count {
            let format = &made_by(&steps, format);
            let number = place.to_string();
            let path: Vec<&str> = at.iter().copied().chain([number.as_str()]).collect();
            let Some(piece) = self.channel.piece(ComponentKind::Step, &path) else {
                continue;
            };
            let made = self.make(piece, digest, report, |view| {
                match piece.spec.as_ref().map(|spec| spec.build) {
                    Some(Build::Step(build)) => {
                        build(&piece.config, &self.context(format, destination, view))
                    }
                    _ => Err(vec![Problem::at(
                        &[],
                        format!("`{}` is no step", piece.name),
                    )]),
                }
            });
            for warning in made.iter().flat_map(|made| made.part.warnings()) {
                let span = span_of(piece, &warning);
                let code = match &warning.message {
                    text if text.contains(UNREVIEWED) => "W0318",
                    text if text.contains(UNCONVERTED) => "W0317",
                    _ => "W0313",
                };
                if self.channel.silences(code) || self.is_told(piece, report) {
                    continue;
                }
                let draft = Draft::warning(code, span, clipped_message(&warning.message));
                report.push(draft.maybe_remedy(warning.hint));
            }
            steps.extend(made.map(|made| StepPlan {
                name: step_name(place, piece).into(),
                component: piece.name.clone(),
                step: made.part,
            }));
        }
        steps
    }

    /// The source names no system, which is said there: `match` lacks nothing else.
    fn is_told(&self, piece: &Piece, report: &Report) -> bool {
        let source = self.channel.source();
        piece.name == MATCH && source.is_some_and(|source| report.has("W0303", source.name_span))
    }

    /// The channel's rules and those of the site; read by themselves, so that they are checked
    /// even where something else is wrong with the file.
    fn alerts(&self, digest: &mut Digest, report: &mut Report) -> Vec<hilum_component::AlertRule> {
        let zone = self
            .gathered
            .node
            .as_ref()
            .and_then(|node| node.zone.as_deref());
        let own = self.channel.value.get("alert").cloned();
        let own: Vec<AlertFile> = own
            .and_then(|value| serde_json::from_value(value).ok())
            .unwrap_or_default();
        let mut rules = alert::rules(
            &own,
            self.channel.tree.get("alert"),
            zone,
            alert::Of::Channel,
            report,
        );
        if let Some((shared, tree)) = &self.gathered.alerts {
            rules.extend(alert::rules(
                &shared.alert,
                tree.get("alert"),
                zone,
                alert::Of::Site,
                report,
            ));
            digest.json(&tree.json());
        }
        digest.text(zone.unwrap_or_default());
        rules
    }

    fn rules(
        &self,
        file: &ChannelFile,
        format: &dyn Format,
        report: &mut Report,
    ) -> Option<(Option<Rule>, Order, Vec<IndexField>)> {
        let span = |key: &str| {
            self.channel
                .tree
                .get(key)
                .map_or(self.channel.tree.span, |node| node.span)
        };
        let accept = match &file.accept {
            Some(text) => Some(self.compile(text.as_str(), format, span("accept"), report)?),
            None => None,
        };
        let order = match file.order.0.as_str() {
            "channel" => Order::Channel,
            domain if ORDER_DOMAINS.contains(&domain) => Order::Domain(domain.to_owned()),
            text => Order::Rule(self.compile(text, format, span("order"), report)?),
        };
        let mut index = Vec::with_capacity(file.index.len());
        for (name, text) in &file.index {
            let text = text.as_str().unwrap_or_default();
            let rule = self.compile(text, format, span("index"), report)?;
            index.push(IndexField {
                name: name.as_str().into(),
                rule,
            });
        }
        Some((accept, order, index))
    }

    fn compile(
        &self,
        text: &str,
        format: &dyn Format,
        span: Span,
        report: &mut Report,
    ) -> Option<Rule> {
        match Rule::of_reply(text, format.dialect(), self.channel.original.as_deref()) {
            Ok(rule) => Some(rule),
            Err(error) => {
                let text = format!("not an expression: {}", error.message);
                report.push(Draft::error("E0112", span, text).maybe_remedy(error.hint));
                None
            }
        }
    }
}

/// The format of messages behind these steps.
pub(crate) fn made_by(steps: &[StepPlan], format: &Arc<dyn Format>) -> Arc<dyn Format> {
    let made = steps.iter().rev().find_map(|plan| plan.step.format());
    made.unwrap_or_else(|| Arc::clone(format))
}

/// The place of a component's problem in the file.
fn span_of(piece: &Piece, problem: &Problem) -> Span {
    let (node, found) = piece.node.find(&problem.key);
    match (node, &problem.span) {
        (Some(node), Some(range)) => node.part(range),
        _ if problem.key.is_empty() || found == piece.node.span => piece.name_span,
        (Some(node), None) if node.scalar().is_none() => {
            key_of(piece, &problem.key).unwrap_or(found)
        }
        _ => found,
    }
}

fn key_of(piece: &Piece, path: &[String]) -> Option<Span> {
    let (last, above) = path.split_last()?;
    let parent: &Node = piece.node.find(above).0?;
    Some(parent.entry(last)?.0.span)
}

fn clipped_message(message: &str) -> String {
    if message.chars().count() > 400 {
        clipped(message)
    } else {
        message.to_owned()
    }
}

fn acknowledge(file: &ChannelFile) -> Acknowledge {
    match file.acknowledge {
        AcknowledgeFile::Processed => Acknowledge::Processed,
        AcknowledgeFile::Received => Acknowledge::Received,
        AcknowledgeFile::Delivered => Acknowledge::Delivered {
            after: file
                .answer_after
                .iter()
                .map(|name| name.0.as_str().into())
                .collect(),
            within: file.answer_within(),
        },
    }
}

fn resend(file: &ChannelFile) -> ResendPlan {
    let default = ResendPlan::default();
    ResendPlan {
        within: file.resend.within.unwrap_or(default.within),
        max: file.resend.max.map_or(default.max, |max| max as usize),
    }
}
