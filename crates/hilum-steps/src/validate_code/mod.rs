//! Looks whether codes are in a value set.
//!
//! A code of which nobody can tell (its code system is not whole) counts as one that is not in the
//! value set.

mod config;

use std::sync::Arc;

use hilum_component::{
    Build, BuildContext, Built, CodeSet, ComponentSpec, Example, Flow, Halted, Held, Limit,
    Problem, Step, StepContext, StepExample, Working,
};
use serde_json::Value;

use crate::codes::{Codes, meta_name, set_meta};
use crate::settings::{Problems, not_loaded, read, schema};
use crate::unmapped::{Absent, Unmapped};
use config::Config;

/// What documentation, editor and checks know of the step.
pub(crate) fn spec() -> ComponentSpec {
    ComponentSpec {
        name: "validate-code",
        summary: "looks whether codes are in a value set",
        schema: schema::<Config>,
        shorthand: None,
        examples: EXAMPLES,
        limits: &[
            Limit {
                name: "stored value sets",
                value: "not looked at",
                beyond: "a ValueSet of the FHIR store changes while messages run; take it over with \
                         `hilum fhir export` and `hilum terminology import fhir`",
            },
            Limit {
                name: "alternate codes",
                value: "not looked up",
                beyond: "of a coded field only components 1 and 3 are looked at",
            },
        ],
        build: Build::Step(build),
    }
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "Only the sexes of FHIR, else the message is rejected",
        yaml: "validate-code:\n  field: PID-8\n  value-set: http://hl7.org/fhir/ValueSet/administrative-gender\n  invalid: reject\n",
        effect: Some(StepExample {
            format: "hl7v2",
            before: "MSH|^~\\&|PAS|H|||||ADT^A01|1|P|2.5\nPID|1||7||Doe^Jane|||female\n",
            after: "MSH|^~\\&|PAS|H|||||ADT^A01|1|P|2.5\nPID|1||7||Doe^Jane|||female\n",
            files: &[],
        }),
    },
    Example {
        title: "Whether all codes are in the set, for a condition behind it",
        yaml: "validate-code:\n  field: PID-8\n  value-set: http://hl7.org/fhir/ValueSet/administrative-gender\n  invalid: keep\n  to: meta.sex-known\n",
        effect: Some(StepExample {
            format: "hl7v2",
            before: "MSH|^~\\&|PAS|H|||||ADT^A01|1|P|2.5\nPID|1||7||Doe^Jane|||W\n",
            after: "MSH|^~\\&|PAS|H|||||ADT^A01|1|P|2.5\nPID|1||7||Doe^Jane|||W\n",
            files: &[],
        }),
    },
];

fn build(config: &Value, context: &BuildContext<'_>) -> Built<Arc<dyn Step>> {
    let config: Config = read(config)?;
    let mut problems = Problems::default();
    let codes = Codes::of(context, &config.field, config.code_system, &mut problems);
    let at = |text| Problem::at(&["value-set"], text);
    let terminology = problems.keep(context.site.terminology().map_err(at));
    let set = terminology.and_then(|terminology| {
        let set = terminology.value_set(&config.value_set);
        problems.keep(set.map_err(|error| not_loaded("value-set", &error)))
    });
    let to = config.to.map(|to| meta_name("to", to.as_str())).transpose();
    let to = problems.keep(to);
    let step = codes.zip(set).zip(to).map(|((codes, set), to)| {
        Arc::new(ValidateCode {
            codes,
            set,
            invalid: config.invalid,
            to,
        }) as Arc<dyn Step>
    });
    problems.finish(step)
}

struct ValidateCode {
    codes: Codes,
    set: Arc<dyn CodeSet>,
    invalid: Unmapped,
    to: Option<Arc<str>>,
}

impl Step for ValidateCode {
    fn apply(&self, message: &mut Working, context: &mut StepContext<'_>) -> Result<Flow, Halted> {
        let found = self.codes.found(message, context)?;
        let mut all_in = true;
        for one in &found {
            context.spend()?;
            let held = self.set.holds(one.url.as_deref(), &one.from.code);
            one.note(context, None, format!("{} {}", word(held), self.set.name()));
            if held == Held::In {
                continue;
            }
            all_in = false;
            let text = match held {
                Held::Unknown => ("nobody can tell whether", "has"),
                Held::In | Held::Out => ("the value set", "does not have"),
            };
            let absent = Absent {
                table: self.set.name(),
                field: &self.codes.path,
                location: &one.location,
                from: &one.from,
                finding: "code-invalid",
                text,
                has_default: false,
            };
            self.invalid.meet(&absent, context)?;
        }
        if let Some(to) = &self.to {
            // Where there is no code there is nothing to tell.
            let value = (!found.is_empty()).then(|| all_in.to_string());
            set_meta(message, context, to, value, self.set.name());
        }
        Ok(Flow::Next)
    }
}

const fn word(held: Held) -> &'static str {
    match held {
        Held::In => "in",
        Held::Out => "not in",
        Held::Unknown => "perhaps in",
    }
}
