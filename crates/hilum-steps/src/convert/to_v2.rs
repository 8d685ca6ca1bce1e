//! FHIR to HL7 v2.

use std::sync::Arc;

use hilum_component::{
    BuildContext, Built, Finding, Flow, Format, Halted, Problem, Severity, Step, StepContext,
    TraceLine, Working,
};
use hilum_convert::reverse::{Nothing, ReverseError, Reversed, Sent, V2Settings, to_v2};
use hilum_fhir::Resource;
use hilum_message::Phi;

use super::config::{Config, Report};
use super::rows::{Rows, maps};
use super::{authorities, instant, unmapped, zone};
use crate::settings::Problems;

/// Characters of MSH-10, whose length is 20 up to version 2.6; the last message of the largest Bundle
/// has `-1000` behind it.
const CONTROL_ID_CHARS: usize = 15;

pub(super) fn build(
    config: &Config,
    context: &BuildContext<'_>,
    mut problems: Problems,
) -> Built<Arc<dyn Step>> {
    if context.format.name() != "fhir" {
        let text = format!(
            "messages of the format {} are not converted; this step takes resources of FHIR",
            context.format.name()
        );
        problems.add(Problem::at(&["to"], text));
    }
    if let Some(message) = &config.message {
        let mut parts = message.split(['^', '_']);
        let is_code = |part: &str| {
            part.len() == 3
                && part
                    .bytes()
                    .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        };
        if !(1..=2).contains(&parts.clone().count()) || !parts.all(is_code) {
            let text = format!("`{message}` is not of the form ADT^A08 or ADT");
            problems.add(Problem::at(&["message"], text));
        }
    }
    let format = context.site.format("hl7v2");
    let format = problems.keep(format.map_err(|text| Problem::at(&["to"], text)));
    let maps = maps(config, context, &mut problems);
    let settings = settings(config, context, &mut problems);
    let step = format.zip(maps).map(|(format, maps)| {
        Arc::new(Convert {
            maps,
            format,
            settings,
            report: config.report,
        }) as Arc<dyn Step>
    });
    problems.finish(step)
}

fn settings(config: &Config, context: &BuildContext<'_>, problems: &mut Problems) -> V2Settings {
    let named = config.system.as_ref();
    let system = named.and_then(|name| problems.keep(context.system(&["system"], name)));
    let system = system.as_deref();
    let own = V2Settings::default();
    let set = |text: &Option<String>, default: String| text.clone().unwrap_or(default);
    let of = |text: &Option<String>, other: Option<&Option<String>>| {
        text.clone().or_else(|| other.cloned().flatten())
    };
    V2Settings {
        event: config.message.clone(),
        version: set(&config.version, own.version),
        processing_id: set(&config.processing_id, own.processing_id),
        sending_application: config.sending_application.clone(),
        sending_facility: config.sending_facility.clone(),
        receiving_application: of(
            &config.receiving_application,
            system.map(|system| &system.sends_as.application),
        ),
        receiving_facility: of(
            &config.receiving_facility,
            system.map(|system| &system.sends_as.facility),
        ),
        authorities: authorities(system),
        systems: system
            .map(|system| system.code_systems.clone())
            .unwrap_or_default(),
        zone: zone(config, system, context, problems),
        explain: false,
    }
}

struct Convert {
    maps: Rows,
    format: Arc<dyn Format>,
    settings: V2Settings,
    report: Report,
}

impl Step for Convert {
    fn format(&self) -> Option<Arc<dyn Format>> {
        Some(Arc::clone(&self.format))
    }

    fn apply(&self, message: &mut Working, context: &mut StepContext<'_>) -> Result<Flow, Halted> {
        let Some(resource) = message.document.as_any().downcast_ref::<Resource>() else {
            return Err(Halted::reject("only resources of FHIR are converted"));
        };
        context.spend()?;
        let explained;
        let settings = if context.trace.is_some() {
            explained = V2Settings {
                explain: true,
                ..self.settings.clone()
            };
            &explained
        } else {
            &self.settings
        };
        let (id, at) = (
            control_id(&message.id.to_string()),
            instant(context.arrived_ms),
        );
        let sent = Sent {
            control_id: &id,
            at: &at,
        };
        let made = to_v2(self.maps.maps(), resource, &Nothing, settings, sent);
        let made = made.map_err(|error| refused(&error))?;
        context.spend()?;
        note(&made, context);
        self.report(&made, context);
        self.flow(message, &made)
    }
}

impl Convert {
    /// One message in the place of the resource, or several.
    fn flow(&self, message: &mut Working, made: &Reversed) -> Result<Flow, Halted> {
        let mut documents = Vec::with_capacity(made.messages.len());
        for one in &made.messages {
            let payload = message.document.payload_of(one.write());
            let document = self.format.parse(&payload);
            documents.push(
                document.map_err(|reject| Halted::reject(format!("the message is {reject}")))?,
            );
        }
        let count = documents.len();
        if count < 2 {
            let Some(document) = documents.pop() else {
                return Err(Halted::reject("no message could be made of the resource"));
            };
            message.document = document;
            return Ok(Flow::Next);
        }
        let parts = (0_u64..).zip(documents).map(|(ordinal, document)| {
            let mut metadata = message.metadata.clone();
            metadata.set("split-ordinal", (ordinal + 1).to_string());
            metadata.set("split-count", count.to_string());
            Working {
                id: message.id.derive("convert", ordinal),
                document,
                metadata,
                routes: message.routes.clone(),
            }
        });
        Ok(Flow::Split(parts.collect()))
    }

    fn report(&self, made: &Reversed, context: &mut StepContext<'_>) {
        if self.report == Report::None {
            return;
        }
        let step = context.step.to_owned();
        for finding in &made.findings {
            let code = finding.code.as_str().to_owned();
            context.findings.push(Finding {
                step: step.clone(),
                path: Some(finding.path.clone()),
                severity: Severity::Warning,
                text: finding.detail.clone().unwrap_or_else(|| code.clone()),
                code,
            });
        }
        if self.report == Report::All && !made.unmapped.is_empty() {
            context
                .findings
                .push(unmapped(step, made.unmapped.iter().cloned()));
        }
    }
}

/// The digits of a message's id that differ most, so that MSH-10 leads back to it.
fn control_id(id: &str) -> String {
    let digits: Vec<char> = id.chars().filter(|c| *c != '-').collect();
    let from = digits.len().saturating_sub(CONTROL_ID_CHARS);
    digits.into_iter().skip(from).collect()
}

fn refused(error: &ReverseError) -> Halted {
    match error {
        ReverseError::NoEvent { .. } => {
            Halted::reject(format!("{error} (`message` of the step `convert`)"))
        }
        _ => Halted::reject(error.to_string()),
    }
}

/// A line of the trace for each value.
fn note(made: &Reversed, context: &mut StepContext<'_>) {
    for why in &made.why {
        context.note(|step| TraceLine {
            step: step.to_owned(),
            path: why.source.clone(),
            before: None,
            after: Some(Phi::new(why.value.clone())),
            note: match why.message {
                0 => format!("{} by {}", why.place, why.row),
                number => format!("{} of message {} by {}", why.place, number + 1, why.row),
            },
        });
    }
}
