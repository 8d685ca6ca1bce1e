//! Writes values of expressions to places of the message, one after the other.
//!
//! Each expression sees what the ones before it wrote. A place without `[*]` takes the first
//! value; `[*]` takes one value each, or all values as a list. No value clears the place.
//! `meta.name` is a named value beside the message.

mod config;

use std::sync::Arc;

use hilum_component::{
    Build, BuildContext, Built, ComponentSpec, Example, Flow, Halted, Limit, Problem, Rule, Step,
    StepContext, StepExample, Target, TraceLine, Working,
};
use hilum_message::Phi;
use serde_json::Value;

use crate::codes::{self, META, meta_name};
use crate::settings::{Problems, not_evaluated, not_written, read, schema};
use config::Config;

/// Places that one step may write.
const PLACES_MAX: usize = 1_000;

/// What documentation, editor and checks know of the step.
pub(crate) fn spec() -> ComponentSpec {
    ComponentSpec {
        name: "set",
        summary: "writes values of expressions to places of the message",
        schema: schema::<Config>,
        shorthand: None,
        examples: EXAMPLES,
        limits: &[
            Limit {
                name: "places-max",
                value: "1000",
                beyond: "refused when the site is checked: use several steps",
            },
            Limit {
                name: "fuel",
                value: "1000000",
                beyond: "an expression that takes more steps rejects the message",
            },
        ],
        build: Build::Step(build),
    }
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "A constant, a value from elsewhere, a default",
        yaml: "set:\n  MSH-5: \"'EHR'\"\n  MSH-6: PV1-3.4\n  PID-5[1].7: iif(PID-5[1].7.exists(), PID-5[1].7, 'L')\n",
        effect: Some(StepExample {
            format: "hl7v2",
            before: "MSH|^~\\&|PAS|H|||||ADT^A01|1|P|2.5\nPID|1||7||Doe^Jane\nPV1|1|I|W3^301^A^NORTH\n",
            after: "MSH|^~\\&|PAS|H|EHR|NORTH|||ADT^A01|1|P|2.5\nPID|1||7||Doe^Jane^^^^^L\nPV1|1|I|W3^301^A^NORTH\n",
            files: &[],
        }),
    },
    Example {
        title: "A named value for the destinations, and a place that is cleared",
        yaml: "set:\n  meta.patient: PID-3.1\n  PID-19: \"{}\"\n",
        effect: Some(StepExample {
            format: "hl7v2",
            before: "MSH|^~\\&|PAS|H|||||ADT^A01|1|P|2.5\nPID|1||7||Doe^Jane||||||||||||||123-45-6789\n",
            after: "MSH|^~\\&|PAS|H|||||ADT^A01|1|P|2.5\nPID|1||7||Doe^Jane||||||||||||||\n",
            files: &[],
        }),
    },
];

fn build(config: &Value, context: &BuildContext<'_>) -> Built<Arc<dyn Step>> {
    let Config(entries) = read(config)?;
    let mut problems = Problems::default();
    if entries.len() > PLACES_MAX {
        problems.add(Problem::at(
            &[],
            format!("a step sets at most {PLACES_MAX} places"),
        ));
    }
    let mut assignments = Vec::with_capacity(entries.len());
    for (path, expression) in &entries {
        let Value::String(expression) = expression else {
            problems.add(
                Problem::at(&[path], "an expression is text")
                    .hint("write a constant as \"'text'\""),
            );
            continue;
        };
        let rule = problems.keep(context.rule(&[path], expression));
        let place = problems.keep(place(path, context));
        if let (Some(rule), Some(place)) = (rule, place) {
            assignments.push(Assignment { place, rule });
        }
    }
    problems.finish(Some(Arc::new(Set(assignments)) as Arc<dyn Step>))
}

fn place(path: &str, context: &BuildContext<'_>) -> Result<Place, Problem> {
    if path.starts_with(META) {
        return meta_name(path, path).map(Place::Meta);
    }
    let target = context.target(&[path], path)?;
    // What a trace shows as the value before; a place that cannot be read shows none.
    let before = context.rule(&[path], path).ok();
    let list = path.contains("[*]");
    Ok(Place::Message {
        target,
        before,
        list,
    })
}

struct Set(Vec<Assignment>);

struct Assignment {
    place: Place,
    rule: Rule,
}

enum Place {
    Meta(Arc<str>),
    Message {
        target: Target,
        before: Option<Rule>,
        list: bool,
    },
}

impl Step for Set {
    fn apply(&self, message: &mut Working, context: &mut StepContext<'_>) -> Result<Flow, Halted> {
        for Assignment { place, rule } in &self.0 {
            context.spend()?;
            match place {
                Place::Meta(name) => set_meta(message, context, name, rule)?,
                Place::Message {
                    target,
                    before,
                    list,
                } => {
                    set_place(message, context, target, before.as_ref(), *list, rule)?;
                }
            }
        }
        Ok(Flow::Next)
    }
}

fn set_meta(
    message: &mut Working,
    context: &mut StepContext<'_>,
    name: &Arc<str>,
    rule: &Rule,
) -> Result<(), Halted> {
    let value = rule
        .first(&*message.document, context.env)
        .map_err(|text| not_evaluated(&format!("{META}{name}"), &text))?;
    codes::set_meta(message, context, name, value, rule.text());
    Ok(())
}

fn set_place(
    message: &mut Working,
    context: &mut StepContext<'_>,
    target: &Target,
    before: Option<&Rule>,
    list: bool,
    rule: &Rule,
) -> Result<(), Halted> {
    let failed = |text: String| not_evaluated(&target.text, &text);
    let values = if list {
        rule.strings(&*message.document, context.env)
            .map_err(failed)?
    } else {
        let first = rule
            .first(&*message.document, context.env)
            .map_err(failed)?;
        first.into_iter().collect()
    };
    if context.trace.is_some() {
        let show = |values: &[String]| (!values.is_empty()).then(|| Phi::new(values.join("; ")));
        let read = before.and_then(|rule| rule.strings(&*message.document, context.env).ok());
        context.note(|step| TraceLine {
            step: step.to_owned(),
            path: Some(target.text.clone()),
            before: show(&read.unwrap_or_default()),
            after: show(&values),
            note: rule.text().to_owned(),
        });
    }
    message.document.set(target, &values).map_err(not_written)
}
