//! Writes the codes of a value set beside the message, for conditions and for scripts that want them
//! all (FHIR R4 valueset-operation-expand.html).
//!
//! They are listed once, when the plan is made; a value set that cannot be listed whole is refused
//! then. Whether one code is in a value set is asked by `validate-code`, which lists nothing.

mod config;

use std::sync::Arc;

use hilum_component::{
    Build, BuildContext, Built, ComponentSpec, Example, Flow, Halted, Limit, NotListed, Problem,
    Step, StepContext, StepExample, Working,
};
use serde_json::Value;

use crate::codes::{meta_name, set_meta};
use crate::settings::{Problems, not_loaded, read, schema};
use config::Config;

/// Codes of a value set, unless the step says otherwise.
const COUNT: usize = 1_000;
/// Codes that a step may ask for.
const COUNT_MAX: usize = 10_000;

/// What documentation, editor and checks know of the step.
pub(crate) fn spec() -> ComponentSpec {
    ComponentSpec {
        name: "expand",
        summary: "writes the codes of a value set beside the message",
        schema: schema::<Config>,
        shorthand: None,
        examples: EXAMPLES,
        limits: &[
            Limit {
                name: "count",
                value: "1000, at most 10000",
                beyond: "a value set with more codes is refused when the site is checked: narrow \
                         it with `filter`, or ask with `validate-code`",
            },
            Limit {
                name: "code systems",
                value: "codes alone are written",
                beyond: "the same code of two systems is written once",
            },
        ],
        build: Build::Step(build),
    }
}

const EXAMPLES: &[Example] = &[Example {
    title: "The codes of FHIR, for a condition such as `PID-8.subsetOf(%meta.sexes.split(','))`",
    yaml: "expand:\n  value-set: http://hl7.org/fhir/ValueSet/administrative-gender\n  to: meta.sexes\n",
    effect: Some(StepExample {
        format: "hl7v2",
        before: "MSH|^~\\&|PAS|H|||||ADT^A01|1|P|2.5\nPID|1||7||Doe^Jane|||female\n",
        after: "MSH|^~\\&|PAS|H|||||ADT^A01|1|P|2.5\nPID|1||7||Doe^Jane|||female\n",
        files: &[],
    }),
}];

fn build(config: &Value, context: &BuildContext<'_>) -> Built<Arc<dyn Step>> {
    let config: Config = read(config)?;
    let mut problems = Problems::default();
    if config.count == 0 || config.count > COUNT_MAX {
        let text = format!("between 1 and {COUNT_MAX} codes may be asked for");
        return Err(vec![Problem::at(&["count"], text)]);
    }
    let at = |text| Problem::at(&["value-set"], text);
    let terminology = problems.keep(context.site.terminology().map_err(at));
    let codes = terminology.and_then(|terminology| {
        let filter = config.filter.as_deref();
        let codes = terminology.codes(&config.value_set, filter, config.count);
        problems.keep(codes.map_err(|error| refused(&error)))
    });
    let to = problems.keep(meta_name("to", config.to.as_str()));
    let step = codes.zip(to).map(|(codes, to)| {
        Arc::new(Expand {
            note: format!("{} codes of {}", codes.len(), config.value_set),
            codes: codes.join(&config.separator),
            to,
        }) as Arc<dyn Step>
    });
    problems.finish(step)
}

fn refused(error: &NotListed) -> Problem {
    match error {
        NotListed::NotLoaded(error) => not_loaded("value-set", error),
        NotListed::TooMany { .. } => Problem::at(&["value-set"], error.to_string())
            .hint("narrow it with `filter`, raise `count`, or ask with `validate-code`"),
        _ => Problem::at(&["value-set"], error.to_string())
            .hint("ask with `validate-code` whether a code is in it"),
    }
}

struct Expand {
    codes: String,
    to: Arc<str>,
    note: String,
}

impl Step for Expand {
    fn apply(&self, message: &mut Working, context: &mut StepContext<'_>) -> Result<Flow, Halted> {
        let codes = (!self.codes.is_empty()).then(|| self.codes.clone());
        set_meta(message, context, &self.to, codes, &self.note);
        Ok(Flow::Next)
    }
}
