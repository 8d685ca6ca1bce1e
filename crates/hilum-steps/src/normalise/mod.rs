//! Brings dates, names and identifiers into one form.
//!
//! | | before | after |
//! |---|---|---|
//! | dates | `01.05.2024`, `2024-05-01T10:20Z`, `1-MAY-2024` | `20240501`, `202405011020+0000`, `20240501` |
//! | dates with `order: mdy` | `05/01/2024` | `20240501` |
//! | names | `  van  den Berg` | `van den Berg` |
//! | names with `name-case: title` | `O'BRIEN` | `O'Brien` |
//! | identifiers with `strip: "-"` | `ab 12-3` | `AB123` |
//!
//! A date that cannot be read, or that no calendar has, stays and is noted as a finding. A path to
//! a whole field of HL7 v2 means its first component, for names the first three.

mod config;
mod rules;

use std::sync::Arc;

use hilum_component::{
    Build, BuildContext, Built, ComponentSpec, Example, Expr, Finding, Flow, Format, Halted, Limit,
    Problem, Rule, Severity, Step, StepContext, StepExample, TraceLine, Working,
};
use hilum_fhirpath::{NodeId, Tree, Value as Scalar};
use hilum_message::Phi;
use serde_json::Value;

use crate::settings::{Problems, not_evaluated, not_written, read, schema};
use config::{Config, NameCase, Order};
use rules::Style;

/// What documentation, editor and checks know of the step.
pub(crate) fn spec() -> ComponentSpec {
    ComponentSpec {
        name: "normalise",
        summary: "brings dates, names and identifiers into one form",
        schema: schema::<Config>,
        shorthand: None,
        examples: EXAMPLES,
        limits: &[
            Limit {
                name: "years",
                value: "1800 to 2200",
                beyond: "the date stays as it is and is noted as a finding",
            },
            Limit {
                name: "two-digit years",
                value: "not read",
                beyond: "the date stays as it is and is noted as a finding",
            },
        ],
        build: Build::Step(build),
    }
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "Dates, names and identifiers of a sender with habits",
        yaml: "normalise:\n  dates: [PID-7]\n  names: [PID-5]\n  name-case: title\n  identifiers: [PID-3.1]\n  strip: \"-\"\n",
        effect: Some(StepExample {
            format: "hl7v2",
            before: "MSH|^~\\&|PAS|H|||||ADT^A01|1|P|2.5\nPID|1||ab 12-3^^^H||DOE ^JANE||01.05.1980\n",
            after: "MSH|^~\\&|PAS|H|||||ADT^A01|1|P|2.5\nPID|1||AB123^^^H||Doe^Jane||19800501\n",
            files: &[],
        }),
    },
    Example {
        title: "Dates with slashes",
        yaml: "normalise: { dates: [row.born], order: dmy }",
        effect: Some(StepExample {
            format: "delimited",
            before: "mrn,born\n1,03/04/1980\n2,1981-05-06\n",
            after: "mrn,born\n1,1980-04-03\n2,1981-05-06\n",
            files: &[],
        }),
    },
];

fn build(config: &Value, context: &BuildContext<'_>) -> Built<Arc<dyn Step>> {
    let config: Config = read(config)?;
    let mut problems = Problems::default();
    let style = if context.format.name() == "hl7v2" {
        Style::Hl7
    } else {
        Style::Iso
    };
    let groups = [
        ("dates", &config.dates, Kind::Date(style, config.order)),
        ("names", &config.names, Kind::Name(config.name_case)),
        (
            "identifiers",
            &config.identifiers,
            Kind::Identifier(config.strip.clone()),
        ),
    ];
    let mut parts = Vec::new();
    for (key, paths, kind) in groups {
        for (place, path) in paths.iter().enumerate() {
            let rule = compile(key, place, path, context);
            parts.extend(problems.keep(rule).map(|rule| (rule, kind.clone())));
        }
    }
    if config.dates.len() + config.names.len() + config.identifiers.len() == 0 {
        problems.add(
            Problem::at(&[], "nothing is to be normalised")
                .hint("write `dates:`, `names:` or `identifiers:`"),
        );
    }
    let format = Arc::clone(context.format);
    problems.finish(Some(Arc::new(Normalise { parts, format }) as Arc<dyn Step>))
}

fn compile(
    key: &str,
    place: usize,
    path: &Expr,
    context: &BuildContext<'_>,
) -> Result<Rule, Problem> {
    context.rule(&[key, &place.to_string()], path.as_str())
}

struct Normalise {
    parts: Vec<(Rule, Kind)>,
    format: Arc<dyn Format>,
}

#[derive(Clone)]
enum Kind {
    Date(Style, Option<Order>),
    Name(NameCase),
    Identifier(String),
}

impl Kind {
    fn apply(&self, text: &str) -> Option<String> {
        match self {
            Self::Date(style, order) => rules::date(text, *style, *order),
            Self::Name(case) => Some(rules::name(text, *case)),
            Self::Identifier(strip) => Some(rules::identifier(text, strip)),
        }
    }

    /// Components of a whole field that the rule is about.
    const fn components(&self) -> &'static [&'static str] {
        match self {
            Self::Name(_) => &["1", "2", "3"],
            Self::Date(..) | Self::Identifier(_) => &["1"],
        }
    }
}

impl Step for Normalise {
    fn apply(&self, message: &mut Working, context: &mut StepContext<'_>) -> Result<Flow, Halted> {
        for (rule, kind) in &self.parts {
            // Places are noted before the first is written: nodes may not outlive an edit.
            let values = values(rule, kind, message, context)?;
            for (location, before) in values {
                context.spend()?;
                self.one(message, context, kind, location, before)?;
            }
        }
        Ok(Flow::Next)
    }
}

/// Places and texts of all values that a rule selects.
fn values(
    rule: &Rule,
    kind: &Kind,
    message: &Working,
    context: &StepContext<'_>,
) -> Result<Vec<(String, String)>, Halted> {
    let tree = message.document.tree();
    let found = rule
        .expression()
        .evaluate(tree, tree.root(), context.env)
        .map_err(|error| not_evaluated(rule.text(), &error.to_string()))?;
    Ok(found
        .nodes()
        .flat_map(|node| leaves(tree, node, kind))
        .collect())
}

/// Places and texts of the values that a node stands for.
fn leaves(tree: &dyn Tree, node: NodeId, kind: &Kind) -> Vec<(String, String)> {
    let leaf = |node| {
        let text = Scalar::from_scalar(tree.value(node)?)
            .into_text()
            .into_owned();
        (!text.is_empty() && text != "\"\"").then(|| (tree.location(node), text))
    };
    if tree.value(node).is_some() {
        return leaf(node).into_iter().collect();
    }
    let mut found = Vec::new();
    for name in kind.components() {
        tree.children(node, name, &mut |child| found.extend(leaf(child)));
    }
    found
}

impl Normalise {
    fn one(
        &self,
        message: &mut Working,
        context: &mut StepContext<'_>,
        kind: &Kind,
        location: String,
        before: String,
    ) -> Result<(), Halted> {
        let Some(after) = kind.apply(&before) else {
            context.findings.push(Finding {
                step: context.step.to_owned(),
                code: "date-not-read".to_owned(),
                path: Some(location),
                severity: Severity::Warning,
                text: "not a date of a known form, left as it is".to_owned(),
            });
            return Ok(());
        };
        if after == before {
            return Ok(());
        }
        let target = self.format.target(&location).map_err(Halted::reject)?;
        message
            .document
            .set(&target, std::slice::from_ref(&after))
            .map_err(not_written)?;
        context.note(|step| TraceLine {
            step: step.to_owned(),
            path: Some(location),
            before: Some(Phi::new(before)),
            after: Some(Phi::new(after)),
            note: String::new(),
        });
        Ok(())
    }
}
