//! Replaces codes by the rows of a table of the site.
//!
//! In HL7 v2 a path that ends at a coded field (CE, CWE, CNE, CF) stands for its first three
//! components: code, text and code system are looked up and written together. Any other path
//! stands for a plain code. Each look-up leaves a line in the trace that names table and line.

mod config;
mod tables;
mod v2;

use std::sync::Arc;

use hilum_codes::{Coding, Equivalence, ROWS_MAX, Used, shown};
use hilum_component::{
    Build, BuildContext, Built, ComponentSpec, Example, Finding, Flow, Halted, Limit, Problem,
    Rule, Severity, Step, StepContext, StepExample, TraceLine, UnmappedCode, UnmappedFate, Working,
};
use hilum_fhirpath::NodeId;
use hilum_hl7v2::Message;
use hilum_message::Phi;
use serde_json::Value;

use crate::sender::SENDER;
use crate::settings::{Problems, not_evaluated, not_written, read, schema};
use config::{Config, Default, Unmapped};
use tables::{Named, Tables};

/// What documentation, editor and checks know of the step.
pub(crate) fn spec() -> ComponentSpec {
    ComponentSpec {
        name: "translate",
        summary: "replaces codes by the rows of a table",
        schema: schema::<Config>,
        shorthand: None,
        examples: EXAMPLES,
        limits: &[
            Limit {
                name: "rows-max",
                value: "1000000",
                beyond: "the table is refused when the site is checked",
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

const TABLE: &str = "source,code,display,target,code,display,unit,status,by,on,note\n\
    L,K,Kalium,LN,2823-3,Potassium,mmol/L,active,ann,2026-01-05,\n\
    L,NA,Natrium,LN,2951-2,Sodium,mmol/L,active,ann,2026-01-05,\n";

const EXAMPLES: &[Example] = &[
    Example {
        title: "Local codes to LOINC, with the unit of the row",
        yaml: "translate:\n  field: OBX-3\n  table: tables/local-to-loinc.csv\n  unit: OBX-6\n",
        effect: Some(StepExample {
            format: "hl7v2",
            before: "MSH|^~\\&|LIS|H|||||ORU^R01|1|P|2.5\nOBX|1|NM|K^Kalium^L||4.1|mmol\nOBX|2|NM|ZZ9^^L||1\n",
            after: "MSH|^~\\&|LIS|H|||||ORU^R01|1|P|2.5\nOBX|1|NM|2823-3^Potassium^LN||4.1|mmol/L\nOBX|2|NM|ZZ9^^L||1\n",
            files: &[("tables/local-to-loinc.csv", TABLE)],
        }),
    },
    Example {
        title: "Several laboratories, each with a table of its own",
        yaml: "translate:\n  field: OBX-3\n  tables: tables/labs\n  group: labs\n",
        effect: Some(StepExample {
            format: "hl7v2",
            before: "MSH|^~\\&|NLAB|H|||||ORU^R01|1|P|2.5\nOBX|1|NM|K^Kalium^L||4.1\n",
            after: "MSH|^~\\&|NLAB|H|||||ORU^R01|1|P|2.5\nOBX|1|NM|K^Kalium^L||4.1\n",
            files: &[
                ("systems/lab-north.yaml", "system: lab-north\ngroup: labs\n"),
                ("tables/labs/lab-north.csv", TABLE),
            ],
        }),
    },
    Example {
        title: "A plain code, with a default for everything else",
        yaml: "translate:\n  field: PID-8\n  table: tables/sex.csv\n  unmapped: keep\n  default: { code: U }\n",
        effect: Some(StepExample {
            format: "hl7v2",
            before: "MSH|^~\\&|PAS|H|||||ADT^A01|1|P|2.5\nPID|1||7||Doe^Jane|||W\n",
            after: "MSH|^~\\&|PAS|H|||||ADT^A01|1|P|2.5\nPID|1||7||Doe^Jane|||F\n",
            files: &[("tables/sex.csv", "code,target,code\nW,,F\nM,,M\n")],
        }),
    },
];

fn build(config: &Value, context: &BuildContext<'_>) -> Built<Arc<dyn Step>> {
    let config: Config = read(config)?;
    let mut problems = Problems::default();
    let field = problems.keep(context.rule(&["field"], config.field.as_str()));
    let tables = Tables::read(&config, context, &mut problems);
    let unit = problems
        .keep(
            config
                .unit
                .map(|unit| v2::unit_field(unit.as_str()))
                .transpose(),
        )
        .flatten();
    if unit.is_some() && context.format.name() != "hl7v2" {
        problems.add(Problem::at(&["unit"], "units are written in HL7 v2 only"));
    }
    let step = field.zip(tables).map(|(field, tables)| {
        Arc::new(Translate {
            field,
            tables,
            path: config.field.as_str().to_owned(),
            default: config.default,
            unmapped: config.unmapped,
            unit,
            keep_original: config.keep_original,
        }) as Arc<dyn Step>
    });
    problems.finish(step)
}

struct Translate {
    field: Rule,
    tables: Tables,
    /// The expression of the field, as it was written.
    path: String,
    default: Option<Default>,
    unmapped: Unmapped,
    unit: Option<u32>,
    keep_original: bool,
}

/// What is to be done about one code.
enum Found<'t> {
    Row(&'t Used),
    Default(Coding),
    Stays,
}

impl Step for Translate {
    fn apply(&self, message: &mut Working, context: &mut StepContext<'_>) -> Result<Flow, Halted> {
        let nodes = self.nodes(message, context)?;
        let table = self.tables.of(message.metadata.get(SENDER));
        let v2 = message.document.as_any().is::<Message>();
        if v2 {
            let places = v2::places(&*message.document, &nodes);
            for place in places {
                context.spend()?;
                let found = self.look_up(table, &place.from, &place.location, context)?;
                note(table, &place.from.code, &place.location, &found, context);
                let Some(message) = message.document.as_any_mut().downcast_mut::<Message>() else {
                    continue;
                };
                match found {
                    Found::Row(row) => {
                        place
                            .write(message, &row.to, self.keep_original)
                            .map_err(not_written)?;
                        if let Some(unit) = self.unit.filter(|_| !row.unit.is_empty()) {
                            place
                                .write_unit(message, unit, &row.unit)
                                .map_err(not_written)?;
                        }
                    }
                    Found::Default(to) => {
                        place
                            .write(message, &to, self.keep_original)
                            .map_err(not_written)?;
                    }
                    Found::Stays => {}
                }
            }
            return Ok(Flow::Next);
        }
        for node in nodes {
            context.spend()?;
            let tree = message.document.tree();
            let Some(code) = text_of(tree.value(node)) else {
                continue;
            };
            let location = tree.location(node);
            let from = Coding {
                code,
                ..Coding::default()
            };
            let found = self.look_up(table, &from, &location, context)?;
            note(table, &from.code, &location, &found, context);
            let to = match &found {
                Found::Row(row) => &row.to.code,
                Found::Default(to) => &to.code,
                Found::Stays => continue,
            };
            message.document.set_node(node, to).map_err(not_written)?;
        }
        Ok(Flow::Next)
    }

    fn warnings(&self) -> Vec<Problem> {
        self.tables.warnings()
    }
}

fn text_of(value: Option<hilum_fhirpath::Scalar<'_>>) -> Option<String> {
    let text = hilum_fhirpath::Value::from_scalar(value?)
        .into_text()
        .into_owned();
    (!text.is_empty()).then_some(text)
}

impl Translate {
    fn nodes(&self, message: &Working, context: &StepContext<'_>) -> Result<Vec<NodeId>, Halted> {
        let tree = message.document.tree();
        let found = self
            .field
            .expression()
            .evaluate(tree, tree.root(), context.env);
        let found = found.map_err(|error| not_evaluated("field", &error.to_string()))?;
        Ok(found.nodes().collect())
    }

    fn look_up<'t>(
        &self,
        table: &'t Named,
        from: &Coding,
        location: &str,
        context: &mut StepContext<'_>,
    ) -> Result<Found<'t>, Halted> {
        let row = table.find(from, context.arrived_ms);
        if let Some(row) = row {
            return Ok(Found::Row(row));
        }
        self.register(table, from, context);
        let text = format!("no row of {} has {}", table.name, told(&from.code));
        match self.unmapped {
            Unmapped::Keep => {}
            Unmapped::Flag => context.findings.push(Finding {
                step: context.step.to_owned(),
                code: "unmapped".to_owned(),
                path: Some(location.to_owned()),
                severity: Severity::Warning,
                text,
            }),
            Unmapped::Reject => {
                return Err(Halted::Reject {
                    code: "103".to_owned(),
                    path: Some(location.to_owned()),
                    text,
                });
            }
        }
        Ok(self.default.as_ref().map_or(Found::Stays, |default| {
            Found::Default(Coding {
                system: default.system.clone(),
                code: default.code.clone(),
                display: default.display.clone(),
            })
        }))
    }

    /// What the register is told of a code that no row has: never more than may be shown.
    fn register(&self, table: &Named, from: &Coding, context: &mut StepContext<'_>) {
        let fate = match (self.unmapped, &self.default) {
            (Unmapped::Reject, _) => UnmappedFate::Rejected,
            (_, Some(_)) => UnmappedFate::Defaulted,
            (Unmapped::Flag, None) => UnmappedFate::Flagged,
            (Unmapped::Keep, None) => UnmappedFate::Kept,
        };
        let code = shown(&from.code);
        context.unmapped(UnmappedCode {
            table: table.name.clone(),
            field: self.path.clone(),
            system: shown_system(&from.system),
            code: code.map_or_else(|| format!("({})", from.code.chars().count()), str::to_owned),
            display: code
                .map(|_| from.display.chars().take(DISPLAY_MAX).collect())
                .unwrap_or_default(),
            fate,
            count: 1,
        });
    }
}

/// The line of a trace that names the table and the line in it.
fn note(
    table: &Named,
    before: &str,
    location: &str,
    found: &Found<'_>,
    context: &mut StepContext<'_>,
) {
    context.note(|step| {
        let (after, note) = match found {
            Found::Row(row) => (
                Some(row.to.code.clone()),
                match row.equivalence {
                    Equivalence::Equivalent => format!("{}:{}", table.name, row.line),
                    other => format!("{}:{} ({})", table.name, row.line, other.word()),
                },
            ),
            Found::Default(to) => (Some(to.code.clone()), format!("{}: default", table.name)),
            Found::Stays => (None, format!("{}: no row", table.name)),
        };
        TraceLine {
            step: step.to_owned(),
            path: Some(location.to_owned()),
            before: Some(Phi::new(before.to_owned())),
            after: after.map(Phi::new),
            note,
        }
    });
}

/// A code as a finding may show it: what does not look like a code is only counted.
fn told(code: &str) -> String {
    shown(code).map_or_else(
        || format!("a code of {} characters", code.chars().count()),
        |code| format!("the code {code}"),
    )
}

/// Characters of the text of an unmapped code that are kept.
const DISPLAY_MAX: usize = 80;
/// Characters of a code system, which may be an address.
const SYSTEM_MAX: usize = 80;

/// A code system as the register may show it: a name or an address, else only its length.
fn shown_system(system: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/#+%".contains(c);
    if system.len() <= SYSTEM_MAX && system.chars().all(plain) {
        system.to_owned()
    } else {
        format!("({})", system.chars().count())
    }
}

const _: () = assert!(ROWS_MAX == 1_000_000, "the limit of the spec names it");
