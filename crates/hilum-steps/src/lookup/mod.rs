//! Writes what a code system says of codes: what people read, other names, properties.
//!
//! Each look-up leaves a line in the trace that names the code system and its version.

mod config;

use std::sync::Arc;

use hilum_component::{
    Build, BuildContext, Built, CodeSystem, ComponentSpec, Example, Fact, Flow, Halted, Limit,
    Problem, Step, StepContext, StepExample, Working,
};
use serde_json::Value;

use crate::codes::{Codes, To, set_meta};
use crate::settings::{Problems, not_loaded, read, schema};
use crate::unmapped::Unmapped;
use config::Config;

/// What documentation, editor and checks know of the step.
pub(crate) fn spec() -> ComponentSpec {
    ComponentSpec {
        name: "lookup",
        summary: "writes what a code system says of codes: display, other names, properties",
        schema: schema::<Config>,
        shorthand: None,
        examples: EXAMPLES,
        limits: &[
            Limit {
                name: "code systems",
                value: "one",
                beyond: "codes of other systems stay as they are; use a step for each system",
            },
            Limit {
                name: "supplements",
                value: "not looked at",
                beyond: "what a CodeSystem of content `supplement` adds is not found",
            },
        ],
        build: Build::Step(build),
    }
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "The text of a code, as its code system has it",
        yaml: "lookup:\n  field: PID-10\n  code-system: http://terminology.hl7.org/CodeSystem/v3-Race\n",
        effect: Some(StepExample {
            format: "hl7v2",
            before: "MSH|^~\\&|PAS|H|||||ADT^A01|1|P|2.5\nPID|1||7||Doe^Jane|||F||2106-3\n",
            after: "MSH|^~\\&|PAS|H|||||ADT^A01|1|P|2.5\nPID|1||7||Doe^Jane|||F||2106-3^White\n",
            files: &[],
        }),
    },
    Example {
        title: "The name in another language, into a field of the same segment",
        yaml: "lookup:\n  field: OBX-8\n  code-system: http://terminology.hl7.org/CodeSystem/v2-0078\n  language: de\n  to: OBX-15\n  unknown: keep\n",
        effect: None,
    },
    Example {
        title: "A property beside the message, for a condition behind it",
        yaml: "lookup:\n  field: PID-10\n  code-system: http://terminology.hl7.org/CodeSystem/v3-Race\n  property: parent\n  to: meta.race-group\n",
        effect: Some(StepExample {
            format: "hl7v2",
            before: "MSH|^~\\&|PAS|H|||||ADT^A01|1|P|2.5\nPID|1||7||Doe^Jane|||F||2108-9\n",
            after: "MSH|^~\\&|PAS|H|||||ADT^A01|1|P|2.5\nPID|1||7||Doe^Jane|||F||2108-9\n",
            files: &[],
        }),
    },
];

fn build(config: &Value, context: &BuildContext<'_>) -> Built<Arc<dyn Step>> {
    let config: Config = read(config)?;
    let mut problems = Problems::default();
    let fact = fact(&config.property);
    let at = |text| Problem::at(&["code-system"], text);
    let terminology = problems.keep(context.site.terminology().map_err(at));
    let system = terminology.and_then(|terminology| {
        let system = terminology.code_system(&config.code_system);
        problems.keep(system.map_err(|error| not_loaded("code-system", &error)))
    });
    if let (Fact::Property(name), Some(system)) = (&fact, &system)
        && !system.has_property(name)
    {
        let text = format!("{} has no property `{name}`", system.name());
        problems.add(Problem::at(&["property"], text).hint(
            "write `display`, `definition`, `designation`, `parent`, `child`, or a property that \
             the code system declares",
        ));
    }
    if config.language.is_some() && !matches!(fact, Fact::Display | Fact::Designations) {
        let text = "only displays and designations are in a language";
        problems.add(Problem::at(&["language"], text));
    }
    if config.language.as_deref().is_some_and(|tag| !is_tag(tag)) {
        let text = "a language is named by a tag such as `de` or `fr-CA`";
        problems.add(Problem::at(&["language"], text));
    }
    if config.to.is_none() && fact != Fact::Display {
        let text = "only a display is the text of a code; name a place with `to`";
        problems.add(Problem::at(&["to"], text));
    }
    let fallback = system.as_ref().map(|system| system.url().to_owned());
    let codes = Codes::of(context, &config.field, fallback, &mut problems);
    let to = problems.keep(To::of(context, config.to.as_ref()));
    let step = codes.zip(system).zip(to).map(|((codes, system), to)| {
        Arc::new(Lookup {
            codes,
            system,
            fact,
            language: config.language,
            to,
            separator: config.separator,
            unknown: config.unknown,
        }) as Arc<dyn Step>
    });
    problems.finish(step)
}

/// What a name means (FHIR R4 codesystem-operation-lookup.html, `property`).
fn fact(name: &str) -> Fact {
    match name {
        "display" => Fact::Display,
        "definition" => Fact::Definition,
        "designation" => Fact::Designations,
        "parent" => Fact::Parents,
        "child" => Fact::Children,
        other => Fact::Property(other.to_owned()),
    }
}

/// A tag of a language (BCP 47 §2.1), as far as it tells names apart.
fn is_tag(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let language = parts.next().unwrap_or_default();
    (2..=8).contains(&language.len())
        && language.bytes().all(|byte| byte.is_ascii_alphabetic())
        && parts.all(|part| {
            (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
}

struct Lookup {
    codes: Codes,
    system: Arc<dyn CodeSystem>,
    fact: Fact,
    language: Option<String>,
    to: To,
    separator: Option<String>,
    unknown: Unmapped,
}

impl Step for Lookup {
    fn apply(&self, message: &mut Working, context: &mut StepContext<'_>) -> Result<Flow, Halted> {
        let mut beside: Vec<String> = Vec::new();
        for one in self.codes.found(message, context)? {
            context.spend()?;
            if !self
                .codes
                .is_in(&one, &*self.system, self.unknown, context)?
            {
                continue;
            }
            let code = &one.from.code;
            let said = self
                .system
                .look_up(code, &self.fact, self.language.as_deref());
            let value = self.joined(said);
            one.note(context, value.clone(), self.system.name().to_owned());
            if let Some(value) = value {
                self.to.write(message, &one, &value)?;
                beside.push(value);
            }
        }
        if let To::Meta(name) = &self.to {
            let value = self.joined(beside);
            set_meta(message, context, name, value, self.system.name());
        }
        Ok(Flow::Next)
    }
}

impl Lookup {
    fn joined(&self, values: Vec<String>) -> Option<String> {
        match &self.separator {
            Some(separator) if !values.is_empty() => Some(values.join(separator)),
            _ => values.into_iter().next(),
        }
    }
}
