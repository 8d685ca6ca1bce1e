//! Looks which of some codes the codes of a message are, or are a kind of
//! (FHIR R4 codesystem-operation-subsumes.html).
//!
//! The answer is a value beside the message, so that a `filter`, a `route` and the condition of a
//! destination can go by it.

mod config;

use std::sync::Arc;

use hilum_component::{
    Build, BuildContext, Built, CodeSystem, ComponentSpec, Example, Flow, Halted, Held, Limit,
    Problem, Step, StepContext, StepExample, Working,
};
use serde_json::Value;

use crate::codes::{Codes, meta_name, set_meta};
use crate::settings::{Problems, not_loaded, read, schema};
use crate::unmapped::Unmapped;
use config::Config;

/// Codes that one step may ask about.
const CODES_MAX: usize = 100;

/// What documentation, editor and checks know of the step.
pub(crate) fn spec() -> ComponentSpec {
    ComponentSpec {
        name: "subsumes",
        summary: "looks which of some codes the codes of a message are, or are a kind of",
        schema: schema::<Config>,
        shorthand: None,
        examples: EXAMPLES,
        limits: &[
            Limit {
                name: "codes-max",
                value: "100",
                beyond: "refused when the site is checked: use several steps, or a value set and \
                         `validate-code`",
            },
            Limit {
                name: "code systems",
                value: "one",
                beyond: "codes of other systems are a kind of nothing; use a step for each system",
            },
        ],
        build: Build::Step(build),
    }
}

const EXAMPLES: &[Example] = &[Example {
    title: "Which of two groups a code is of, for a condition such as `%meta.group = '2106-3'`",
    yaml: "subsumes:\n  field: PID-10\n  code-system: http://terminology.hl7.org/CodeSystem/v3-Race\n  codes: [2106-3, 2028-9]\n  to: meta.group\n",
    effect: Some(StepExample {
        format: "hl7v2",
        before: "MSH|^~\\&|PAS|H|||||ADT^A01|1|P|2.5\nPID|1||7||Doe^Jane|||F||2108-9\n",
        after: "MSH|^~\\&|PAS|H|||||ADT^A01|1|P|2.5\nPID|1||7||Doe^Jane|||F||2108-9\n",
        files: &[],
    }),
}];

fn build(config: &Value, context: &BuildContext<'_>) -> Built<Arc<dyn Step>> {
    let config: Config = read(config)?;
    let mut problems = Problems::default();
    let at = |text| Problem::at(&["code-system"], text);
    let terminology = problems.keep(context.site.terminology().map_err(at));
    let system = terminology.and_then(|terminology| {
        let system = terminology.code_system(&config.code_system);
        problems.keep(system.map_err(|error| not_loaded("code-system", &error)))
    });
    if config.codes.is_empty() || config.codes.len() > CODES_MAX {
        let text = format!("between 1 and {CODES_MAX} codes are needed");
        problems.add(Problem::at(&["codes"], text));
    }
    if let Some(system) = &system {
        for (place, code) in config.codes.iter().enumerate() {
            if system.holds(code) != Held::In {
                let text = format!("{} does not have the code `{code}`", system.name());
                problems.add(Problem::at(&["codes", &place.to_string()], text));
            }
        }
    }
    let fallback = system.as_ref().map(|system| system.url().to_owned());
    let codes = Codes::of(context, &config.field, fallback, &mut problems);
    let to = problems.keep(meta_name("to", config.to.as_str()));
    let step = codes.zip(system).zip(to).map(|((codes, system), to)| {
        Arc::new(Subsumes {
            codes,
            system,
            above: config.codes,
            to,
            unknown: config.unknown,
        }) as Arc<dyn Step>
    });
    problems.finish(step)
}

struct Subsumes {
    codes: Codes,
    system: Arc<dyn CodeSystem>,
    above: Vec<String>,
    to: Arc<str>,
    unknown: Unmapped,
}

impl Step for Subsumes {
    fn apply(&self, message: &mut Working, context: &mut StepContext<'_>) -> Result<Flow, Halted> {
        let found = self.codes.found(message, context)?;
        let mut best: Option<usize> = None;
        for one in &found {
            context.spend()?;
            if !self
                .codes
                .is_in(one, &*self.system, self.unknown, context)?
            {
                continue;
            }
            let code = &one.from.code;
            let mut above = self.above.iter();
            let place = above.position(|above| self.system.subsumes(above, code));
            let shown = place.and_then(|place| self.above.get(place)).cloned();
            let word = if shown.is_some() {
                "a kind of it"
            } else {
                "a kind of none"
            };
            one.note(context, shown, format!("{word} in {}", self.system.name()));
            best = match (best, place) {
                (Some(best), Some(place)) => Some(best.min(place)),
                (best, place) => best.or(place),
            };
        }
        let value = best.and_then(|place| self.above.get(place)).cloned();
        set_meta(message, context, &self.to, value, self.system.name());
        Ok(Flow::Next)
    }
}
