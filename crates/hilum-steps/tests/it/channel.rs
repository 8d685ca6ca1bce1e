//! The door of these tests: a channel of some steps and the destination `out`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use hilum_component::{
    Acknowledge, Authority, Build, BuildContext, ChannelPlan, ComponentKind, DecimalSign,
    DestinationKind, DestinationPlan, Format, FormatOptions, Incoming, Meter, Millis, Order,
    Problem, ProcessEnvironment, Processed, Registry, Released, ResendPlan, RetryPlan, SendsAs,
    Site, Size, SourceKind, SourcePlan, StateView, StepPlan, Stored, SystemInfo, Terminology,
    TraceLine, UnknownPatient, Unlimited, process,
};
use hilum_fhirpath::NoHost;
use hilum_message::{BlobRange, IndexKey, MessageId, Metadata, Payload, PlanDigest};
use hilum_terminology::{ForSteps, Library, Shipped, Source, Standard};
use serde_json::Value;

use crate::yaml;

/// Files of a site that lies in memory.
#[derive(Default)]
pub(crate) struct Files(pub(crate) BTreeMap<String, Vec<u8>>);

impl Files {
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let own = |(name, text): &(&str, &str)| ((*name).to_owned(), text.as_bytes().to_vec());
        Self(files.iter().map(own).collect())
    }
}

impl Site for Files {
    fn read(&self, path: &str) -> Result<Arc<[u8]>, String> {
        self.0
            .get(path)
            .map(|bytes| bytes.clone().into())
            .ok_or_else(|| format!("no file `{path}`"))
    }
    fn secret(&self, _: &str) -> Result<String, String> {
        Err("no secrets here".to_owned())
    }
    fn system(&self, name: &str) -> Option<Arc<SystemInfo>> {
        let file = self.0.get(&format!("systems/{name}.yaml"))?;
        let file = yaml::parse(std::str::from_utf8(file).ok()?);
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let pairs = |value: &Value| value.as_object().cloned().unwrap_or_default();
        Some(Arc::new(SystemInfo {
            name: name.to_owned(),
            zone: text(&file["zone"]),
            decimal: match text(&file["decimal"]).as_deref() {
                Some("comma") => Some(DecimalSign::Comma),
                Some("point") => Some(DecimalSign::Point),
                _ => None,
            },
            identifiers: list(&file["identifiers"])
                .iter()
                .map(|one| Authority {
                    name: text(&one["authority"]).unwrap_or_default(),
                    oid: text(&one["oid"]),
                    kind: text(&one["type"]),
                    uri: text(&one["uri"]),
                })
                .collect(),
            code_systems: pairs(&file["code-systems"])
                .iter()
                .filter_map(|(name, uri)| Some((name.clone(), text(uri)?)))
                .collect(),
            snapshots: pairs(&file["lists"])
                .iter()
                .filter(|(_, list)| list["says"] == "snapshot")
                .map(|(name, _)| (name.clone(), Vec::new()))
                .collect(),
            deltas: pairs(&file["lists"])
                .iter()
                .filter(|(_, list)| list["says"] != "snapshot")
                .map(|(name, _)| name.clone())
                .collect(),
            group: text(&file["group"]),
            unknown_patient: match text(&file["unknown-patient"]).as_deref() {
                Some("hold") => UnknownPatient::Hold,
                Some("wait") => UnknownPatient::Wait(Millis(600_000)),
                _ => UnknownPatient::Create,
            },
            sends_as: SendsAs {
                application: text(&file["sends-as"]["application"]),
                facility: text(&file["sends-as"]["facility"]),
            },
            ..SystemInfo::default()
        }))
    }
    fn system_names(&self) -> Vec<String> {
        let name = |file: &String| {
            let name = file.strip_prefix("systems/")?.strip_suffix(".yaml")?;
            Some(name.to_owned())
        };
        self.0.keys().filter_map(name).collect()
    }
    fn folder(&self) -> &Path {
        Path::new("")
    }
    fn list(&self, folder: &str) -> Vec<String> {
        let folder = format!("{folder}/");
        let below = |name: &&String| name.starts_with(&folder);
        self.0.keys().filter(below).cloned().collect()
    }
    fn format(&self, name: &str) -> Result<Arc<dyn Format>, String> {
        registry().format(name, &FormatOptions::default())
    }
    fn production(&self) -> bool {
        false
    }
    fn terminology(&self) -> Result<Arc<dyn Terminology>, String> {
        let mut loaded = Library::new();
        for (name, bytes) in &self.0 {
            if name.starts_with("terminology/") {
                let resource = hilum_fhir::json::parse(bytes, &hilum_fhir::Limits::default());
                assert!(loaded.add(resource.expect(name)).expect(name), "{name}");
            }
        }
        let sources: Vec<Arc<dyn Source>> = vec![Arc::new(loaded), Shipped::all(), Standard::r4()];
        let snapshot = hilum_terminology::Terminology::new(sources);
        Ok(Arc::new(ForSteps::new(snapshot, String::new())))
    }
}

pub(crate) fn registry() -> Registry {
    Registry::new(
        hilum_formats::specs()
            .into_iter()
            .chain(hilum_steps::specs()),
    )
}

pub(crate) fn format(name: &str) -> Arc<dyn Format> {
    registry()
        .format(name, &FormatOptions::default())
        .expect(name)
}

/// Makes the steps of a YAML list, or of one step.
pub(crate) fn steps(
    format_name: &str,
    site: &dyn Site,
    text: &str,
) -> Result<Vec<StepPlan>, Vec<Problem>> {
    steps_with(format_name, site, text, None)
}

fn steps_with(
    format_name: &str,
    site: &dyn Site,
    text: &str,
    original: Option<&Arc<dyn Format>>,
) -> Result<Vec<StepPlan>, Vec<Problem>> {
    let format = format(format_name);
    let destinations = ["out".to_owned(), "other".to_owned()];
    let list = match yaml::parse(text) {
        Value::Array(items) => items,
        one => vec![one],
    };
    let mut plans: Vec<StepPlan> = Vec::new();
    for (place, item) in list.iter().enumerate() {
        let Value::Object(item) = item else {
            panic!("a step is a map: {text}")
        };
        let made = plans.iter().rev().find_map(|plan| plan.step.format());
        let context = BuildContext {
            channel: "test",
            destination: None,
            format: made.as_ref().unwrap_or(&format),
            original,
            site,
            sender: None,
            destinations: &destinations,
        };
        let (name, config) = item.iter().next().expect("a step has a name");
        let registry = registry();
        let spec = registry.get(ComponentKind::Step, name).expect(name);
        let config = match (spec.shorthand, config) {
            (_, Value::Object(_)) | (None, _) => config.clone(),
            (Some(key), value) => serde_json::json!({ key: value }),
        };
        let Build::Step(build) = spec.build else {
            panic!("{name} is no step")
        };
        plans.push(StepPlan {
            name: format!("{place} {name}").into(),
            component: name.clone(),
            step: build(&config, &context)?,
        });
    }
    Ok(plans)
}

pub(crate) fn problems(format_name: &str, site: &dyn Site, text: &str) -> Vec<String> {
    let show = |problem: Problem| format!("{}: {}", problem.key.join("."), problem.message);
    steps(format_name, site, text)
        .err()
        .unwrap_or_default()
        .into_iter()
        .map(show)
        .collect()
}

fn channel(format_name: &str, steps: Vec<StepPlan>) -> ChannelPlan {
    let destination = |name: &str| DestinationPlan {
        name: name.into(),
        component: "topic".to_owned(),
        system: None,
        store: false,
        digest: PlanDigest::default(),
        kind: DestinationKind::Topic(name.into()),
        sends: hilum_component::Sends::Message,
        when: None,
        steps: Vec::new(),
        required: false,
        retry: RetryPlan::default(),
        after_reject: None,
        priority: None,
        queue_max: 10,
        queue_bytes_max: Size(10),
        then: None,
        was: None,
        care: hilum_component::Care::default(),
    };
    ChannelPlan {
        name: "test".into(),
        about: None,
        owner: None,
        digest: PlanDigest::default(),
        source: SourcePlan {
            component: "reply".to_owned(),
            system: None,
            digest: PlanDigest::default(),
            kind: SourceKind::Reply(None),
        },
        format: format(format_name),
        acknowledge: Acknowledge::Processed,
        accept: None,
        order: Order::Channel,
        index: Vec::new(),
        steps,
        destinations: vec![destination("out"), destination("other")],
        resend: ResendPlan::default(),
        alerts: Vec::new(),
        step_budget: Millis(250),
        control_id_optional: true,
        marking: std::sync::Arc::default(),
        senders: std::sync::Arc::default(),
    }
}

/// Steps ready to run.
pub(crate) struct Channel {
    plan: ChannelPlan,
    original: Option<Payload>,
    pub(crate) released: Option<Released>,
    /// What the next messages are told beside their content.
    pub(crate) metadata: Metadata,
    /// The random part of their id.
    pub(crate) number: u128,
    pub(crate) trace: Vec<TraceLine>,
    state: Values,
}

/// What the messages of a channel have left in the state, and what was cut out of them by the name of
/// its blob.
#[derive(Default)]
struct Values(BTreeMap<(String, String), Bytes>, BTreeMap<String, Bytes>);

impl StateView for Values {
    fn get(&self, scope: &str, key: &str) -> Stored {
        Stored {
            version: 1,
            value: self.0.get(&(scope.to_owned(), key.to_owned())).cloned(),
        }
    }

    fn read_cut(&self, range: &BlobRange, offset: u64, into: &mut [u8]) -> Option<usize> {
        let blob = self.1.get(&*range.blob.name)?;
        let from = usize::try_from(range.offset + offset).ok()?;
        let end = usize::try_from(range.offset + range.length).ok()?;
        let now = blob.get(from..end)?;
        let length = now.len().min(into.len());
        into[..length].copy_from_slice(&now[..length]);
        Some(length)
    }
}

impl Channel {
    pub(crate) fn new(format_name: &str, files: &[(&str, &str)], text: &str) -> Self {
        let steps = steps(format_name, &Files::of(files), text).expect(text);
        Self {
            plan: channel(format_name, steps),
            original: None,
            released: None,
            metadata: Metadata::new(),
            number: 5,
            trace: Vec::new(),
            state: Values::default(),
        }
    }

    /// A channel of replies to a message of HL7 v2.
    pub(crate) fn of_replies(format_name: &str, original: &str, text: &str) -> Self {
        let asking = format("hl7v2");
        let steps = steps_with(format_name, &Files::default(), text, Some(&asking)).expect(text);
        let mut plan = channel(format_name, steps);
        plan.source.kind = SourceKind::Reply(Some(asking));
        Self {
            plan,
            original: Some(Payload::inline(original.replace('\n', "\r").into())),
            released: None,
            metadata: Metadata::new(),
            number: 5,
            trace: Vec::new(),
            state: Values::default(),
        }
    }

    /// A blob that holds what was cut out of messages.
    pub(crate) fn blob(&mut self, name: &str, bytes: impl Into<Bytes>) {
        self.state.1.insert(name.to_owned(), bytes.into());
    }

    pub(crate) fn run(&mut self, message: &str) -> Processed {
        self.run_with(message, &Unlimited)
    }

    pub(crate) fn run_with(&mut self, message: &str, meter: &dyn Meter) -> Processed {
        let text = if self.plan.format.name() == "hl7v2" {
            message.replace('\n', "\r")
        } else {
            message.to_owned()
        };
        self.run_payload(Payload::inline(Bytes::from(text)), meter)
    }

    /// Runs a message whose large content may lie elsewhere.
    pub(crate) fn run_payload(&mut self, payload: Payload, meter: &dyn Meter) -> Processed {
        let at = 1_700_000_000_000;
        let id = MessageId::new(at, self.number);
        let incoming = Incoming {
            original: self.original.clone(),
            released: self.released,
            ..Incoming::new(id, at, payload, self.metadata.clone())
        };
        let mut environment = ProcessEnvironment {
            index_key: &IndexKey::new([0; 16]),
            links: &(),
            state: &self.state,
            meter,
            host: &NoHost,
            trace: Some(&mut self.trace),
        };
        let processed = process(&self.plan, &mut environment, incoming);
        for change in &processed.writes {
            let key = (change.scope.to_string(), change.key.to_string());
            match &change.value {
                Some(value) => drop(self.state.0.insert(key, value.clone())),
                None => drop(self.state.0.remove(&key)),
            }
        }
        processed
    }
}

/// What one message comes out as: its texts for `out`, or the disposition with its reason.
pub(crate) fn outcome(processed: &Processed) -> Vec<String> {
    if let Some(reason) = &processed.reason {
        let path = reason
            .path
            .as_deref()
            .map(|path| format!(" at {path}"))
            .unwrap_or_default();
        return vec![format!(
            "{}: {}{path}",
            processed.disposition.word(),
            reason.text
        )];
    }
    let children = processed.children.iter().flat_map(outcome);
    let own = processed
        .deliveries
        .iter()
        .filter(|delivery| &*delivery.destination == "out");
    own.map(|delivery| text(&delivery.payload))
        .chain(children)
        .collect()
}

fn text(payload: &Payload) -> String {
    String::from_utf8_lossy(payload.text()).replace('\r', "\n")
}

/// Runs one message through steps.
pub(crate) fn run(format_name: &str, steps: &str, message: &str) -> Vec<String> {
    outcome(&Channel::new(format_name, &[], steps).run(message))
}
