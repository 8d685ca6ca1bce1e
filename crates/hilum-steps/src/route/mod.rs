//! Chooses the destinations of a message.
//!
//! With `to`, each named destination gets the message if its condition holds; those that are not
//! named get nothing. With `by`, the values of an expression are names of destinations. Where
//! nothing is chosen, `default` is; without one the message ends here, recorded as filtered. A
//! destination's own `when` still applies.

mod config;

use std::sync::Arc;

use hilum_component::{
    Build, BuildContext, Built, ComponentSpec, Example, Finding, Flow, Halted, Limit, Problem,
    Rule, Severity, Step, StepContext, StepExample, TraceLine, Working,
};
use serde_json::Value;

use crate::settings::{Problems, not_evaluated, read, schema};
use config::Config;

/// What documentation, editor and checks know of the step.
pub(crate) fn spec() -> ComponentSpec {
    ComponentSpec {
        name: "route",
        summary: "chooses the destinations of a message",
        schema: schema::<Config>,
        shorthand: None,
        examples: EXAMPLES,
        limits: &[Limit {
            name: "names",
            value: "the channel's destinations",
            beyond: "another name in `to` or `default` is refused when the site is checked; one that `by` gives is a finding",
        }],
        build: Build::Step(build),
    }
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "By condition",
        yaml: "route:\n  to:\n    out: MSH-9.1 = 'ADT'\n    other: MSH-11 = 'T'\n",
        effect: Some(StepExample {
            format: "hl7v2",
            before: "MSH|^~\\&|PAS|H|||||ADT^A01|1|P|2.5\n",
            after: "MSH|^~\\&|PAS|H|||||ADT^A01|1|P|2.5\n",
            files: &[],
        }),
    },
    Example {
        title: "By a name in the message",
        yaml: "route:\n  by: MSH-6\n  default: [other]\n",
        effect: Some(StepExample {
            format: "hl7v2",
            before: "MSH|^~\\&|PAS|H||out|||ADT^A01|1|P|2.5\n",
            after: "MSH|^~\\&|PAS|H||out|||ADT^A01|1|P|2.5\n",
            files: &[],
        }),
    },
];

fn build(config: &Value, context: &BuildContext<'_>) -> Built<Arc<dyn Step>> {
    let config: Config = read(config)?;
    let mut problems = Problems::default();
    let to = config.to.unwrap_or_default();
    if to.is_empty() == config.by.is_none() {
        problems.add(Problem::at(&[], "a route needs either `to` or `by`"));
    }
    let mut conditions = Vec::with_capacity(to.len());
    for (name, condition) in &to {
        let name = problems.keep(destination(&["to", name], name, context));
        let Value::String(text) = condition else {
            problems.add(Problem::at(&["to"], "a condition is an expression"));
            continue;
        };
        let key = name.as_deref().unwrap_or_default();
        let rule = problems.keep(context.rule(&["to", key], text));
        conditions.extend(name.zip(rule));
    }
    let mut default = Vec::new();
    for (place, name) in config.default.iter().flatten().enumerate() {
        default.extend(problems.keep(destination(&["default", &place.to_string()], name, context)));
    }
    let by = problems
        .keep(
            config
                .by
                .map(|by| context.rule(&["by"], by.as_str()))
                .transpose(),
        )
        .flatten();
    let known = context
        .destinations
        .iter()
        .map(|name| name.as_str().into())
        .collect();
    problems.finish(Some(Arc::new(Route {
        conditions,
        by,
        default,
        known,
    }) as Arc<dyn Step>))
}

/// A name that the channel has, or what it may have meant.
fn destination(key: &[&str], name: &str, context: &BuildContext<'_>) -> Result<Arc<str>, Problem> {
    if context.destinations.iter().any(|known| known == name) {
        return Ok(name.into());
    }
    let near = context
        .destinations
        .iter()
        .map(|known| (distance(known, name), known))
        .filter(|(distance, known)| *distance <= known.chars().count().div_ceil(3))
        .min();
    let problem = Problem::at(key, format!("no such destination `{name}`"));
    Err(match near {
        Some((_, known)) => problem.hint(format!("did you mean `{known}`?")),
        None => problem.hint(format!(
            "the channel has {}",
            context.destinations.join(", ")
        )),
    })
}

/// Letters to insert, remove or exchange to get from one name to the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (y, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let above = *cell;
            left = (above + 1)
                .min(left + 1)
                .min(diagonal + usize::from(x != *y));
            diagonal = above;
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

struct Route {
    conditions: Vec<(Arc<str>, Rule)>,
    by: Option<Rule>,
    default: Vec<Arc<str>>,
    known: Vec<Arc<str>>,
}

impl Step for Route {
    fn apply(&self, message: &mut Working, context: &mut StepContext<'_>) -> Result<Flow, Halted> {
        let mut chosen = Vec::new();
        for (name, rule) in &self.conditions {
            let holds = rule
                .test(&*message.document, context.env)
                .map_err(|text| not_evaluated(&format!("to.{name}"), &text))?;
            if holds {
                chosen.push(Arc::clone(name));
            }
        }
        if let Some(by) = &self.by {
            let values = by
                .strings(&*message.document, context.env)
                .map_err(|text| not_evaluated("by", &text))?;
            for value in values {
                match self.known.iter().find(|known| ***known == *value) {
                    Some(known) if chosen.contains(known) => {}
                    Some(known) => chosen.push(Arc::clone(known)),
                    None => context.findings.push(Finding {
                        step: context.step.to_owned(),
                        code: "no-such-destination".to_owned(),
                        path: None,
                        severity: Severity::Warning,
                        text: format!("{} names no destination of the channel", by.text()),
                    }),
                }
            }
        }
        if chosen.is_empty() {
            chosen.clone_from(&self.default);
        }
        context.note(|step| TraceLine {
            step: step.to_owned(),
            path: None,
            before: None,
            after: None,
            note: if chosen.is_empty() {
                "nowhere".to_owned()
            } else {
                format!("to {}", chosen.join(", "))
            },
        });
        if chosen.is_empty() {
            return Ok(Flow::Filtered("no destination was chosen".to_owned()));
        }
        message.routes = Some(chosen);
        Ok(Flow::Next)
    }
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn names_are_near_by_the_letters_that_differ() {
        for (a, b, expected) in [
            ("ehr", "ehrr", 1),
            ("ehr", "ehr", 0),
            ("lab", "bal", 2),
            ("", "ab", 2),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }
}
