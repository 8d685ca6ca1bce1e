//! HL7 v2 to FHIR.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use hilum_component::{
    BuildContext, Built, Document, Finding, Flow, Format, Halted, Problem, SECURITY, Severity,
    Step, StepContext, SystemInfo, TEST, TraceLine, Working,
};
use hilum_convert::{Arrived, BundleType, Converted, FindingCode, Outside, Settings, to_fhir};
use hilum_fhir::{EditError, Resource, Style, json};
use hilum_hl7v2::Message;
use hilum_message::{Metadata, Payload, Phi, Tokens};

use super::config::{Attachments, Bundle, Config, Original, Report};
use super::labels::{TEST_DATA, label};
use super::rows::{Rows, maps};
use super::{authorities, decimal, instant, site_authorities, unmapped, zone};
use crate::matching::TAKEN_BACK;
use crate::sender::SENDER;
use crate::settings::Problems;

pub(super) fn build(
    config: &Config,
    context: &BuildContext<'_>,
    mut problems: Problems,
) -> Built<Arc<dyn Step>> {
    if context.format.name() != "hl7v2" {
        problems.add(Problem::at(
            &["to"],
            format!(
                "messages of the format {} are not converted",
                context.format.name()
            ),
        ));
    }
    let format = context.site.format("fhir");
    let format = problems.keep(format.map_err(|text| Problem::at(&["to"], text)));
    let empty = Payload::inline(r#"{"resourceType":"Bundle","type":"collection"}"#.into());
    let empty = format.as_ref().and_then(|format| {
        let document = format.parse(&empty);
        problems.keep(document.map_err(|reject| Problem::at(&["to"], reject.to_string())))
    });
    let maps = maps(config, context, &mut problems);
    let systems = systems(config, context, &mut problems);
    let own = context.sender.and_then(|name| context.site.system(name));
    let base = settings(config, own.as_deref(), context, &mut problems);
    let parts = format.zip(empty).zip(maps);
    let step = parts.map(|((format, empty), maps)| {
        Arc::new(Convert {
            maps,
            format,
            empty,
            base,
            systems,
            fixed: config.system.clone(),
            report: config.report,
        }) as Arc<dyn Step>
    });
    problems.finish(step)
}

/// The settings of each system that may have sent a message.
fn systems(
    config: &Config,
    context: &BuildContext<'_>,
    problems: &mut Problems,
) -> BTreeMap<String, Settings> {
    let mut found = BTreeMap::new();
    if let Some(name) = &config.system {
        let system = problems.keep(context.system(&["system"], name));
        if let Some(system) = system {
            found.insert(
                name.clone(),
                settings(config, Some(&system), context, problems),
            );
        }
        return found;
    }
    for name in context.site.system_names() {
        let system = context.site.system(&name);
        if let Some(system) = system.filter(|system| system.group.is_some()) {
            found.insert(name, settings(config, Some(&system), context, problems));
        }
    }
    found
}

fn settings(
    config: &Config,
    system: Option<&SystemInfo>,
    context: &BuildContext<'_>,
    problems: &mut Problems,
) -> Settings {
    let all = context.site.system_names();
    let all: Vec<_> = all
        .iter()
        .filter_map(|name| context.site.system(name))
        .collect();
    let mut own = site_authorities(all.iter().map(Arc::as_ref));
    own.extend(authorities(system));
    let zone = zone(config, system, context, problems);
    Settings {
        zone,
        decimal: decimal(system),
        country: config.country.clone(),
        profile: config.profile.clone(),
        software: None,
        authorities: own,
        systems: system
            .map(|system| system.code_systems.clone())
            .unwrap_or_default(),
        bundle: match config.bundle.unwrap_or_default() {
            Bundle::Transaction => BundleType::Transaction,
            Bundle::Message => BundleType::Message,
            Bundle::Collection => BundleType::Collection,
        },
        original: match config.original.unwrap_or_default() {
            Original::None => hilum_convert::Original::None,
            Original::Binary => hilum_convert::Original::Binary,
            Original::DocumentReference => hilum_convert::Original::DocumentReference,
        },
        attachments: match config.attachments.unwrap_or_default() {
            Attachments::Inline => hilum_convert::Attachments::Inline,
            Attachments::Binary => hilum_convert::Attachments::Binary,
        },
        snapshots: system
            .map(|system| system.snapshots.clone())
            .unwrap_or_default(),
        system: system.map(|system| system.name.clone()).unwrap_or_default(),
        // Only the stores of this node know what to do with it.
        as_of: context.site.fhir().is_some(),
        outside: BTreeMap::new(),
        taken_back: false,
        explain: false,
    }
}

struct Convert {
    maps: Rows,
    format: Arc<dyn Format>,
    /// A Bundle without content, to be filled.
    empty: Box<dyn Document>,
    base: Settings,
    systems: BTreeMap<String, Settings>,
    fixed: Option<String>,
    report: Report,
}

impl Step for Convert {
    fn format(&self) -> Option<Arc<dyn Format>> {
        Some(Arc::clone(&self.format))
    }

    fn apply(&self, message: &mut Working, context: &mut StepContext<'_>) -> Result<Flow, Halted> {
        let Some(v2) = message.document.as_any().downcast_ref::<Message>() else {
            return Err(Halted::reject("only messages of HL7 v2 are converted"));
        };
        context.spend()?;
        let sender = self
            .fixed
            .as_deref()
            .or_else(|| message.metadata.get(SENDER));
        let settings = sender
            .and_then(|name| self.systems.get(name))
            .unwrap_or(&self.base);
        let is_whole = message.document.write().cuts().is_empty();
        let is_left_out = !is_whole && settings.original != hilum_convert::Original::None;
        let mut settings = Cow::Borrowed(settings);
        if context.trace.is_some() {
            settings.to_mut().explain = true;
        }
        if is_left_out {
            settings.to_mut().original = hilum_convert::Original::None;
        }
        if message.metadata.get(TAKEN_BACK).is_some() {
            settings.to_mut().taken_back = true;
        }
        if let Some(tokens) = message.document.tokens() {
            settings.to_mut().outside = outside(tokens, &v2.write(), context)?;
        }
        let (id, at) = (message.id.to_string(), instant(context.arrived_ms));
        let arrived = Arrived { id: &id, at: &at };
        let converted = to_fhir(self.maps.maps(), v2, &settings, &arrived);
        context.spend()?;
        self.note(&converted, context);
        if is_left_out && self.report != Report::None {
            context.findings.push(original_left_out(context.step));
        }
        self.report(&converted, context);
        let bundle = labelled(converted.bundle, &message.metadata)
            .map_err(|error| Halted::reject(error.to_string()))?;
        message.document = self.document(&*message.document, is_whole, bundle)?;
        Ok(Flow::Next)
    }
}

/// What is said of each document outside memory. One that is no base64, or cannot be read, is left out:
/// it has no hash in memory either.
fn outside(
    tokens: &Tokens,
    text: &[u8],
    context: &StepContext<'_>,
) -> Result<BTreeMap<String, Outside>, Halted> {
    let mut found = BTreeMap::new();
    for token in tokens.find(text) {
        context.spend()?;
        let name = text.get(token.at..token.at + token.length);
        let name = name.and_then(|name| std::str::from_utf8(name).ok());
        let Some((name, range)) = name.zip(tokens.ranges().get(token.index)) else {
            continue;
        };
        let mut offset = 0;
        let read = |into: &mut [u8]| {
            let length = context.read_cut(range, offset, into)?;
            offset += length as u64;
            Some(length)
        };
        found.extend(Outside::read(read).map(|outside| (name.to_owned(), outside)));
    }
    Ok(found)
}

/// The Bundle with the labels of its message, and that of a message about a test patient, as its
/// metadata have them.
///
/// # Errors
/// If a resource becomes too large.
pub fn labelled(bundle: Resource, metadata: &Metadata) -> Result<Resource, EditError> {
    let labels = metadata
        .get(SECURITY)
        .unwrap_or_default()
        .split_whitespace();
    let test = metadata.get(TEST).map(|_| TEST_DATA);
    let labels: Vec<&str> = labels.chain(test).collect();
    if labels.is_empty() {
        return Ok(bundle);
    }
    label(&bundle, &labels)
}

impl Convert {
    /// The Bundle as a document; large attachments stay outside memory.
    fn document(
        &self,
        v2: &dyn Document,
        is_whole: bool,
        bundle: Resource,
    ) -> Result<Box<dyn Document>, Halted> {
        if is_whole {
            let mut document = self.empty.boxed_clone();
            if let Some(resource) = document.as_any_mut().downcast_mut::<Resource>() {
                *resource = bundle;
                return Ok(document);
            }
        }
        let mut text = Vec::new();
        json::write(&bundle, Style::Compact, &mut text);
        let payload = v2.payload_of(text.into());
        self.format
            .parse(&payload)
            .map_err(|reject| Halted::reject(format!("the Bundle is {reject}")))
    }

    /// A line of the trace for each element.
    fn note(&self, converted: &Converted, context: &mut StepContext<'_>) {
        for reason in &converted.reasons {
            context.note(|step| TraceLine {
                step: step.to_owned(),
                path: reason.source.map(|place| place.to_string()),
                before: None,
                after: Some(Phi::new(reason.value.clone())),
                note: format!("{} by {}:{}", reason.element, reason.file, reason.line),
            });
        }
    }

    fn report(&self, converted: &Converted, context: &mut StepContext<'_>) {
        if self.report == Report::None {
            return;
        }
        let step = context.step.to_owned();
        for finding in &converted.findings {
            // What FHIR wants and the message does not have is no fault of the message.
            let severity = match finding.code {
                FindingCode::RequiredAbsent | FindingCode::ExplicitNull => Severity::Information,
                _ => Severity::Warning,
            };
            context.findings.push(Finding {
                step: step.clone(),
                code: finding.code.as_str().to_owned(),
                path: Some(finding.place.to_string()),
                severity,
                text: finding
                    .detail
                    .clone()
                    .unwrap_or_else(|| finding.code.as_str().to_owned()),
            });
        }
        if self.report == Report::All && !converted.unmapped.is_empty() {
            let places = converted.unmapped.iter().map(ToString::to_string);
            context.findings.push(unmapped(step, places));
        }
    }
}

/// What is said where the message as it came cannot stand in the Bundle: its large documents lie
/// outside memory, and base64 of the text that is left would be another message than the one that
/// came.
fn original_left_out(step: &str) -> Finding {
    Finding {
        step: step.to_owned(),
        code: "original-left-out".to_owned(),
        path: Some("MSH".to_owned()),
        severity: Severity::Warning,
        text: "the message has a large document, so `original` is not in the Bundle; the journal keeps \
               the message as it came"
            .to_owned(),
    }
}
