//! Components as small as they can be: a format of `ABC-1=value` lines, a source, a destination
//! and three steps.

use std::any::Any;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use hilum_component::{
    Answer, BoxFuture, Build, BuildContext, Built, ComponentSpec, Delivery, Destination,
    DestinationFactory, Document, DocumentProblem, EditError, Expr, Finding, Flow, Format,
    FormatOptions, Halted, Identity, Intake, Outcome, ParseReject, PeerAnswer, Problem, Registry,
    Rule, SealedAnswer, Secret, Severity, SiteFile, Source, SourceError, SourceFactory, Step,
    StepContext, Stop, SystemName, Target, TraceLine, Verdict, Working,
};
use hilum_fhirpath::{Dialect, NodeId, PathLiteral, Scalar, Tree, Visit};
use hilum_message::{Payload, Phi};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

pub fn registry() -> Registry {
    let spec = |name, summary, schema, shorthand, build| ComponentSpec {
        name,
        summary,
        schema,
        shorthand,
        examples: &[],
        limits: &[],
        build,
    };
    Registry::new([
        spec(
            "lines",
            "NAME=value lines.",
            || serde_json::json!({}),
            None,
            Build::Format(lines),
        ),
        spec(
            "wire",
            "Listens.",
            schema::<WireIn>,
            None,
            Build::Source(wire_in),
        ),
        spec(
            "wire",
            "Sends.",
            schema::<WireOut>,
            None,
            Build::Destination(wire_out),
        ),
        spec(
            "filter",
            "Drops messages.",
            schema::<Filter>,
            Some("if"),
            Build::Step(filter),
        ),
        spec("set", "Writes fields.", set_schema, None, Build::Step(set)),
        spec(
            "translate",
            "Looks codes up.",
            schema::<Translate>,
            None,
            Build::Step(translate),
        ),
        spec(
            "route",
            "Chooses.",
            || serde_json::json!({}),
            None,
            Build::Step(|_, _| Err(vec![])),
        ),
    ])
}

fn schema<T: JsonSchema>() -> Value {
    schemars::SchemaGenerator::default()
        .into_root_schema_for::<T>()
        .to_value()
}

fn read<T: serde::de::DeserializeOwned>(config: &Value) -> Built<T> {
    serde_json::from_value(config.clone()).map_err(|e| vec![Problem::at(&[], e.to_string())])
}

/// A listener.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WireIn {
    /// The system that connects.
    #[serde(default)]
    pub system: Option<SystemName>,
    /// Where to listen.
    pub listen: String,
    /// What tells the messages of those apart that listen at one place.
    #[serde(default)]
    pub path: Option<String>,
    /// How many peers.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100))]
    pub connections: u16,
}

const fn one() -> u16 {
    1
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct WireOut {
    system: SystemName,
    /// Where to listen for a peer that calls.
    #[serde(default)]
    listen: Option<String>,
    #[serde(default)]
    password: Option<Secret>,
    #[serde(default)]
    framing: Framing,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Framing {
    /// With frames.
    #[default]
    Framed,
    /// Without.
    Bare { end: String },
}

struct Nowhere;

impl Source for Nowhere {
    fn open(&mut self) -> BoxFuture<'_, Result<Option<String>, SourceError>> {
        Box::pin(async { Ok(None) })
    }
    fn run<'a>(&'a mut self, _: Intake, _: Stop) -> BoxFuture<'a, Result<(), SourceError>> {
        Box::pin(async { Ok(()) })
    }
}

impl Destination for Nowhere {
    fn send<'a>(&'a self, _: &'a [Delivery]) -> BoxFuture<'a, Vec<Outcome>> {
        Box::pin(async { Vec::new() })
    }
    fn address(&self) -> String {
        String::new()
    }
}

fn wire_in(config: &Value, _: &BuildContext<'_>) -> Built<SourceFactory> {
    read::<WireIn>(config)?;
    Ok(Arc::new(|| Box::new(Nowhere)))
}

fn wire_out(config: &Value, context: &BuildContext<'_>) -> Built<DestinationFactory> {
    let config: WireOut = read(config)?;
    let system = context
        .system(&["system"], &config.system.0)
        .map_err(|p| vec![p])?;
    if let Framing::Bare { end } = &config.framing
        && end.len() != 1
    {
        return Err(vec![
            Problem::at(&["framing", "bare", "end"], "the end must be one character")
                .hint("write ;"),
        ]);
    }
    if config.listen.is_none() && !system.addresses.contains_key("wire") {
        let text = format!("the system `{}` has no address for wire", config.system.0);
        return Err(vec![
            Problem::at(&["system"], text).hint("add `addresses: { wire: HOST:PORT }`"),
        ]);
    }
    Ok(Arc::new(|| Arc::new(Nowhere)))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Filter {
    r#if: Expr,
}

struct FilterStep(Rule);

fn filter(config: &Value, context: &BuildContext<'_>) -> Built<Arc<dyn Step>> {
    let config: Filter = read(config)?;
    Ok(Arc::new(FilterStep(
        context
            .rule(&["if"], config.r#if.as_str())
            .map_err(|p| vec![p])?,
    )))
}

impl Step for FilterStep {
    fn apply(&self, message: &mut Working, context: &mut StepContext<'_>) -> Result<Flow, Halted> {
        match self.0.test(&*message.document, context.env) {
            Ok(true) => Ok(Flow::Next),
            Ok(false) => Ok(Flow::Filtered(format!("not {}", self.0.text()))),
            Err(text) => Err(Halted::reject(text)),
        }
    }
}

fn set_schema() -> Value {
    serde_json::json!({
        "type": "object",
        "propertyNames": { "format": "path" },
        "additionalProperties": { "type": "string", "format": "expression" }
    })
}

struct SetStep(Vec<(Target, Rule)>);

fn set(config: &Value, context: &BuildContext<'_>) -> Built<Arc<dyn Step>> {
    let mut rules = Vec::new();
    for (path, text) in config.as_object().unwrap() {
        let target = context.target(&[path], path).map_err(|p| vec![p])?;
        rules.push((
            target,
            context
                .rule(&[path], text.as_str().unwrap())
                .map_err(|p| vec![p])?,
        ));
    }
    Ok(Arc::new(SetStep(rules)))
}

impl Step for SetStep {
    fn apply(&self, message: &mut Working, context: &mut StepContext<'_>) -> Result<Flow, Halted> {
        for (target, rule) in &self.0 {
            let values = rule
                .strings(&*message.document, context.env)
                .map_err(Halted::reject)?;
            message
                .document
                .set(target, &values)
                .map_err(|e| Halted::reject(e.to_string()))?;
        }
        Ok(Flow::Next)
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Translate {
    field: PathTextOf,
    table: SiteFile,
}

type PathTextOf = hilum_component::PathText;

struct TranslateStep(Target, Rule, String, BTreeMap<String, (usize, String)>);

fn translate(config: &Value, context: &BuildContext<'_>) -> Built<Arc<dyn Step>> {
    let config: Translate = read(config)?;
    let bytes = context
        .file(&["table"], config.table.as_str())
        .map_err(|p| vec![p])?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let rows = text.lines().enumerate().filter_map(|(at, line)| {
        let (code, other) = line.split_once(',')?;
        Some((code.to_owned(), (at + 1, other.to_owned())))
    });
    let target = context
        .target(&["field"], config.field.as_str())
        .map_err(|p| vec![p])?;
    let rule = context
        .rule(&["field"], config.field.as_str())
        .map_err(|p| vec![p])?;
    Ok(Arc::new(TranslateStep(
        target,
        rule,
        config.table.0,
        rows.skip(1).collect(),
    )))
}

impl Step for TranslateStep {
    fn warnings(&self) -> Vec<Problem> {
        let empty = self.3.is_empty();
        let warning = || Problem::at(&["table"], "the table has no rows").hint("add some");
        empty.then(warning).into_iter().collect()
    }

    fn apply(&self, message: &mut Working, context: &mut StepContext<'_>) -> Result<Flow, Halted> {
        let Some(code) = self
            .1
            .first(&*message.document, context.env)
            .map_err(Halted::reject)?
        else {
            return Ok(Flow::Next);
        };
        context.get("seen", &code);
        context.put("seen", &code, Some(Bytes::from_static(b"yes")), None);
        let note = match self.3.get(&code) {
            Some((row, other)) => {
                message
                    .document
                    .set(&self.0, std::slice::from_ref(other))
                    .unwrap();
                format!("{}:{row}", self.2)
            }
            None => {
                context.findings.push(Finding {
                    step: context.step.to_owned(),
                    code: "unmapped".into(),
                    path: Some(self.0.text.clone()),
                    severity: Severity::Warning,
                    text: "the code is not in the table".into(),
                });
                "unmapped".to_owned()
            }
        };
        let path = Some(self.0.text.clone());
        let (before, step) = (Some(Phi::new(code)), context.step.to_owned());
        context.note(|_| TraceLine {
            step,
            path,
            before,
            after: None,
            note,
        });
        Ok(Flow::Next)
    }
}

struct Lines;

fn lines(options: &FormatOptions) -> Result<Arc<dyn Format>, String> {
    match options.charset.as_deref() {
        None | Some("UTF-8") => Ok(Arc::new(Lines)),
        Some(other) => Err(format!("no such character set `{other}`")),
    }
}

fn place(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let head = bytes.len() > 4
        && bytes[..3]
            .iter()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        && bytes[3] == b'-';
    let digits = bytes
        .get(4..)?
        .iter()
        .take_while(|b| b.is_ascii_digit())
        .count();
    (head && digits > 0).then_some(4 + digits)
}

impl Dialect for Lines {
    fn name(&self) -> &str {
        "lines"
    }
    fn literal(&self, text: &str) -> Option<(usize, PathLiteral)> {
        let length = place(text)?;
        let name = text[..length].to_owned();
        let (repeats, optional) = (name.starts_with("NTE"), name.starts_with("PV1"));
        Some((
            length,
            PathLiteral {
                compiled: Arc::new(name.clone()),
                text: name,
                repeats,
                optional,
            },
        ))
    }
}

impl Format for Lines {
    fn name(&self) -> &'static str {
        "lines"
    }
    fn sniff(&self, _: &[u8]) -> bool {
        true
    }
    fn parse(&self, payload: &Payload) -> Result<Box<dyn Document>, ParseReject> {
        let reject = |reason: &str| ParseReject {
            format: "lines",
            reason: reason.to_owned(),
        };
        let text = std::str::from_utf8(payload.text()).map_err(|_| reject("not UTF-8"))?;
        let pair = |line: &str| {
            line.split_once('=')
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
        };
        let pairs: Option<Vec<_>> = text.lines().map(pair).collect();
        Ok(Box::new(Doc(
            pairs.ok_or_else(|| reject("a line without ="))?
        )))
    }
    fn identify(&self, document: &dyn Document) -> Identity {
        let doc = document.as_any().downcast_ref::<Doc>().unwrap();
        Identity {
            control_id: doc.get("MSH-10").map(str::to_owned),
            ..Identity::default()
        }
    }
    fn answer(&self, answer: &Answer<'_>) -> Option<SealedAnswer> {
        Some(match answer.verdict {
            Verdict::Accept => SealedAnswer::positive(Bytes::from_static(b"AA")),
            Verdict::Error { .. } => SealedAnswer::negative(Bytes::from_static(b"AE")),
            Verdict::Refuse { .. } => SealedAnswer::negative(Bytes::from_static(b"AR")),
        })
    }
    fn read_answer(&self, bytes: &[u8]) -> Result<PeerAnswer, String> {
        Ok(PeerAnswer {
            code: String::from_utf8_lossy(bytes).into(),
            ..PeerAnswer::default()
        })
    }
    fn dialect(&self) -> Option<&dyn Dialect> {
        Some(self)
    }
    fn target(&self, path: &str) -> Result<Target, String> {
        match place(path) {
            Some(length) if length == path.len() => Ok(Target {
                text: path.to_owned(),
                compiled: Box::new(path.to_owned()),
            }),
            _ => Err("expected a place such as PID-3".to_owned()),
        }
    }
}

#[derive(Clone)]
struct Doc(Vec<(String, String)>);

impl Doc {
    fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

impl Document for Doc {
    fn tree(&self) -> &dyn Tree {
        self
    }
    fn set(&mut self, target: &Target, values: &[String]) -> Result<(), EditError> {
        self.0.retain(|(known, _)| *known != target.text);
        self.0.extend(
            values
                .iter()
                .map(|value| (target.text.clone(), value.clone())),
        );
        Ok(())
    }
    fn set_node(&mut self, node: NodeId, value: &str) -> Result<(), EditError> {
        self.0[node.lo as usize - 1].1 = value.to_owned();
        Ok(())
    }
    fn delete(&mut self, target: &Target) -> Result<(), EditError> {
        self.set(target, &[])
    }
    fn write(&self) -> Payload {
        let lines: Vec<String> = self.0.iter().map(|(k, v)| format!("{k}={v}")).collect();
        Payload::inline(lines.join("\n").into())
    }
    fn touched(&self) -> bool {
        true
    }
    fn problems(&self) -> Vec<DocumentProblem> {
        Vec::new()
    }
    fn boxed_clone(&self) -> Box<dyn Document> {
        Box::new(self.clone())
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

impl Tree for Doc {
    fn root(&self) -> NodeId {
        NodeId::default()
    }
    fn children(&self, of: NodeId, name: &str, visit: &mut Visit<'_>) {
        for (at, (known, _)) in self.0.iter().enumerate().filter(|_| of == self.root()) {
            if known == name {
                visit(NodeId {
                    hi: 0,
                    lo: at as u64 + 1,
                });
            }
        }
    }
    fn all_children(&self, of: NodeId, visit: &mut Visit<'_>) {
        let count = if of == self.root() {
            self.0.len() as u64
        } else {
            0
        };
        (1..=count).for_each(|lo| visit(NodeId { hi: 0, lo }));
    }
    fn name(&self, node: NodeId) -> Cow<'_, str> {
        self.0
            .get((node.lo as usize).wrapping_sub(1))
            .map_or("".into(), |(name, _)| name.into())
    }
    fn value(&self, node: NodeId) -> Option<Scalar<'_>> {
        let (_, value) = self.0.get((node.lo as usize).wrapping_sub(1))?;
        Some(Scalar::String(value.into()))
    }
    fn literal(&self, literal: &PathLiteral, focus: NodeId, visit: &mut Visit<'_>) {
        let _ = focus;
        self.children(self.root(), &literal.text, visit);
    }
    fn location(&self, node: NodeId) -> String {
        self.name(node).into_owned()
    }
}
