//! Lets only some messages through.
//!
//! The others end here, are recorded as filtered with the reason, and are answered positively. A
//! condition that cannot be evaluated rejects the message; one that ends empty does not hold.

mod config;

use std::sync::Arc;

use hilum_component::{
    Build, BuildContext, Built, ComponentSpec, Example, Flow, Halted, Limit, Problem, Rule, Step,
    StepContext, StepExample, Working,
};
use serde_json::Value;

use crate::settings::{Problems, not_evaluated, read, schema};
use config::Config;

/// What documentation, editor and checks know of the step.
pub(crate) fn spec() -> ComponentSpec {
    ComponentSpec {
        name: "filter",
        summary: "lets only messages through for which a condition holds",
        schema: schema::<Config>,
        shorthand: Some("if"),
        examples: EXAMPLES,
        limits: &[Limit {
            name: "fuel",
            value: "1000000",
            beyond: "an expression that takes more steps rejects the message",
        }],
        build: Build::Step(build),
    }
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "Only patients with a location",
        yaml: "filter: PV1-3.1.exists()",
        effect: Some(StepExample {
            format: "hl7v2",
            before: "MSH|^~\\&|PAS|H|||||ADT^A01|1|P|2.5\nPV1|1|I|W3^301^A\n",
            after: "MSH|^~\\&|PAS|H|||||ADT^A01|1|P|2.5\nPV1|1|I|W3^301^A\n",
            files: &[],
        }),
    },
    Example {
        title: "Everything but test patients",
        yaml: "filter:\n  unless: PID-5.1 = 'ZZTEST'\n  reason: test patient\n",
        effect: Some(StepExample {
            format: "hl7v2",
            before: "MSH|^~\\&|PAS|H|||||ADT^A01|1|P|2.5\nPID|1||7||ZZTEST^A\n",
            after: "",
            files: &[],
        }),
    },
];

fn build(config: &Value, context: &BuildContext<'_>) -> Built<Arc<dyn Step>> {
    let config: Config = read(config)?;
    let mut problems = Problems::default();
    if config.holds.is_none() && config.unless.is_none() {
        problems.add(
            Problem::at(&[], "a filter needs a condition").hint("write `if:`, `unless:` or both"),
        );
    }
    let mut rule = |key: &str, text: Option<hilum_component::Expr>| {
        problems
            .keep(
                text.map(|text| context.rule(&[key], text.as_str()))
                    .transpose(),
            )
            .flatten()
    };
    let filter = Filter {
        holds: rule("if", config.holds),
        unless: rule("unless", config.unless),
        reason: config.reason,
    };
    problems.finish(Some(Arc::new(filter) as Arc<dyn Step>))
}

struct Filter {
    holds: Option<Rule>,
    unless: Option<Rule>,
    reason: Option<String>,
}

impl Filter {
    /// Why the message does not go on; `None` if it does.
    fn against(
        &self,
        message: &Working,
        context: &StepContext<'_>,
    ) -> Result<Option<String>, Halted> {
        let test = |key: &str, rule: &Rule| {
            rule.test(&*message.document, context.env)
                .map_err(|text| not_evaluated(key, &text))
        };
        if let Some(rule) = &self.holds
            && !test("if", rule)?
        {
            return Ok(Some(format!("not {}", rule.text())));
        }
        if let Some(rule) = &self.unless
            && test("unless", rule)?
        {
            return Ok(Some(rule.text().to_owned()));
        }
        Ok(None)
    }
}

impl Step for Filter {
    fn apply(&self, message: &mut Working, context: &mut StepContext<'_>) -> Result<Flow, Halted> {
        Ok(match self.against(message, context)? {
            None => Flow::Next,
            Some(condition) => Flow::Filtered(self.reason.clone().unwrap_or(condition)),
        })
    }
}
