//! Makes a FHIR Bundle of a message of HL7 v2, by the rows of `hilum-convert` and the site's own.
//!
//! What comes behind the step sees a document of FHIR. Ids in the Bundle derive from the message's
//! id and times are its arrival, so that a replay gives the same Bundle. A trace has a line for each
//! element with the row that wrote it.

mod config;

use std::collections::BTreeMap;
use std::sync::Arc;

use hilum_component::{
    Build, BuildContext, Built, ComponentSpec, Document, Example, Finding, Flow, Format, Halted,
    Limit, Problem, Severity, Step, StepContext, StepExample, SystemInfo, TraceLine, Working,
};
use hilum_convert::{Arrived, BundleType, Converted, FindingCode, Maps, Settings, Zone, to_fhir};
use hilum_fhir::{Resource, Style, json};
use hilum_hl7v2::Message;
use hilum_message::{Payload, Phi};
use serde_json::Value;

use crate::sender::SENDER;
use crate::settings::{Problems, read, schema};
use crate::zone;
use config::{Bundle, Config, Original, Report, To};

/// Places that one finding names.
const PLACES_MAX: usize = 40;

/// What documentation, editor and checks know of the step.
pub(crate) fn spec() -> ComponentSpec {
    ComponentSpec {
        name: "convert",
        summary: "makes a FHIR Bundle of a message of HL7 v2",
        schema: schema::<Config>,
        shorthand: Some("to"),
        examples: EXAMPLES,
        limits: &[
            Limit {
                name: "resources of one message",
                value: "20000",
                beyond: "the others are left out, with a finding",
            },
            Limit {
                name: "large attachments",
                value: "those in base64 stay outside memory",
                beyond: "one in another encoding is left out, with a finding",
            },
        ],
        build: Build::Step(build),
    }
}

const EXAMPLES: &[Example] = &[Example {
    title: "A message as a collection of resources",
    yaml: "convert: { to: fhir, bundle: collection, maps: rows, zone: '+00:00' }",
    effect: Some(StepExample {
        format: "hl7v2",
        before: "MSH|^~\\&|PAS|H|||||ZZZ^Z01|1|P|2.5\n",
        after: "{\"resourceType\":\"Bundle\",\"type\":\"collection\"}",
        files: &[],
    }),
}];

fn build(config: &Value, context: &BuildContext<'_>) -> Built<Arc<dyn Step>> {
    let config: Config = read(config)?;
    let To::Fhir = config.to;
    let mut problems = Problems::default();
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
    let maps = maps(&config, context, &mut problems);
    let systems = systems(&config, context, &mut problems);
    let base = settings(&config, None, context, &mut problems);
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

/// The maps of the step: those of hilum, or with the site's files over them.
#[derive(Debug)]
enum Rows {
    Shipped(&'static Maps),
    Own(Box<Maps>),
}

impl Rows {
    const fn maps(&self) -> &Maps {
        match self {
            Self::Shipped(maps) => maps,
            Self::Own(maps) => maps,
        }
    }
}

fn maps(config: &Config, context: &BuildContext<'_>, problems: &mut Problems) -> Option<Rows> {
    let names = context.site.list(&config.maps);
    let names = names.iter().filter(|name| name.ends_with(".map"));
    let mut texts: Vec<(String, String)> = Vec::new();
    for name in names {
        let bytes = problems.keep(context.file(&["maps"], name))?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => texts.push((name.clone(), text.to_owned())),
            Err(_) => problems.add(Problem::at(&["maps"], format!("{name} is not UTF-8"))),
        }
    }
    let made = if texts.is_empty() {
        Maps::shipped().map(Rows::Shipped)
    } else {
        let read: Vec<(&str, &str)> = texts
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        Maps::with_site(&read).map(|maps| Rows::Own(Box::new(maps)))
    };
    match made {
        Ok(rows) => Some(rows),
        Err(found) => {
            for found in found.0 {
                problems.add(problem(&found, &texts));
            }
            None
        }
    }
}

/// A mistake in a map file, with its place there.
fn problem(found: &hilum_convert::Problem, texts: &[(String, String)]) -> Problem {
    let text = texts.iter().find(|(name, _)| *name == found.file);
    let Some((_, text)) = text else {
        return Problem::at(&["maps"], found.to_string());
    };
    let shown = if found.text.is_empty() {
        found.reason.clone()
    } else {
        format!("{}: `{}`", found.reason, found.text)
    };
    let line = found.spot.line.saturating_sub(1) as usize;
    let above: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let below = text.get(above..).unwrap_or_default();
    let before = below
        .chars()
        .take(found.spot.column.saturating_sub(1) as usize);
    let start = above + before.map(char::len_utf8).sum::<usize>();
    let rest = text.get(start..).unwrap_or_default();
    let end = start + standing(rest, &found.text).unwrap_or(0);
    let problem = Problem::at(&["maps"], shown).in_file(&*found.file, start..end);
    match &found.remedy {
        Some(remedy) => problem.hint(remedy),
        None => problem,
    }
}

/// The bytes that a text takes in front of a line, whatever blanks stand between its words.
fn standing(line: &str, text: &str) -> Option<usize> {
    let mut rest = line;
    for word in text.split_whitespace() {
        rest = rest.trim_start_matches([' ', '\t']).strip_prefix(word)?;
    }
    Some(line.len() - rest.len())
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
    let mut authorities = BTreeMap::new();
    for authority in system
        .map(|system| system.identifiers.as_slice())
        .unwrap_or_default()
    {
        let oid = authority.oid.as_deref();
        let uri = authority
            .uri
            .clone()
            .or_else(|| oid.map(|oid| format!("urn:oid:{oid}")));
        if let Some(uri) = uri {
            authorities.insert(authority.name.clone(), uri.clone());
            authorities.extend(oid.map(|oid| (oid.to_owned(), uri)));
        }
    }
    let zone = config.zone.clone();
    let zone = zone
        .or_else(|| system?.zone.clone())
        .or_else(|| context.site.zone());
    let zone: Option<Arc<dyn Zone>> = zone.and_then(|name| {
        let zone = zone::named(&name);
        problems.keep(zone.map_err(|text| Problem::at(&["zone"], text)))
    });
    Settings {
        zone,
        country: config.country.clone(),
        profile: config.profile.clone(),
        software: None,
        authorities,
        systems: system
            .map(|system| system.code_systems.clone())
            .unwrap_or_default(),
        bundle: match config.bundle {
            Bundle::Transaction => BundleType::Transaction,
            Bundle::Message => BundleType::Message,
            Bundle::Collection => BundleType::Collection,
        },
        original: match config.original {
            Original::None => hilum_convert::Original::None,
            Original::Binary => hilum_convert::Original::Binary,
            Original::DocumentReference => hilum_convert::Original::DocumentReference,
        },
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
        let explained;
        let settings = if context.trace.is_some() {
            explained = Settings {
                explain: true,
                ..settings.clone()
            };
            &explained
        } else {
            settings
        };
        let (id, at) = (message.id.to_string(), instant(context.arrived_ms));
        let arrived = Arrived { id: &id, at: &at };
        let converted = to_fhir(self.maps.maps(), v2, settings, &arrived);
        context.spend()?;
        self.note(&converted, context);
        self.report(&converted, context);
        message.document = self.document(&*message.document, converted.bundle)?;
        Ok(Flow::Next)
    }
}

impl Convert {
    /// The Bundle as a document; large attachments stay outside memory.
    fn document(&self, v2: &dyn Document, bundle: Resource) -> Result<Box<dyn Document>, Halted> {
        if v2.write().cuts().is_empty() {
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
        if self.report == Report::Values || converted.unmapped.is_empty() {
            return;
        }
        let places = converted
            .unmapped
            .iter()
            .take(PLACES_MAX)
            .map(ToString::to_string);
        let mut text = format!("no row reads {}", places.collect::<Vec<_>>().join(", "));
        if converted.unmapped.len() > PLACES_MAX {
            text.push_str(&format!(
                " and {} places more",
                converted.unmapped.len() - PLACES_MAX
            ));
        }
        context.findings.push(Finding {
            step,
            code: "unmapped".to_owned(),
            path: None,
            severity: Severity::Information,
            text,
        });
    }
}

/// The arrival as an instant of FHIR.
fn instant(ms: u64) -> String {
    let stamp = i64::try_from(ms).ok();
    let stamp = stamp.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    stamp
        .map(|stamp| stamp.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
        .unwrap_or_default()
}
