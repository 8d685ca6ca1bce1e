//! Replaces codes by the rows of a table of the site, or by a ConceptMap.
//!
//! In HL7 v2 a path that ends at a coded field (CE, CWE, CNE, CF) stands for its first three
//! components: code, text and code system are looked up and written together. Any other path
//! stands for a plain code. Each look-up leaves a line in the trace that names table and line.

mod config;
mod tables;
pub(crate) mod v2;

use std::collections::BTreeMap;
use std::sync::Arc;

use hilum_codes::{Coding, Equivalence, ROWS_MAX, Used};
use hilum_component::{
    Build, BuildContext, Built, ComponentSpec, Example, Flow, Halted, Limit, Problem, Rule, Step,
    StepContext, StepExample, TraceLine, Working,
};
use hilum_fhirpath::NodeId;
use hilum_hl7v2::Message;
use hilum_message::{Metadata, Phi};
use serde_json::Value;

use crate::settings::{Problems, not_evaluated, not_written, read, schema};
use crate::units::Signs;
use crate::units::result::{Conversions, Wanted};
use crate::unmapped::{Absent, Unmapped};
use config::{Config, Default};
use tables::{Hit, Rows, Tables};

/// What documentation, editor and checks know of the step.
pub(crate) fn spec() -> ComponentSpec {
    ComponentSpec {
        name: "translate",
        summary: "replaces codes by the rows of a table or by a ConceptMap",
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
            before: "MSH|^~\\&|LIS|H|||||ORU^R01|1|P|2.5\nOBX|1|NM|K^Kalium^L||4.1|mmol/l\nOBX|2|NM|ZZ9^^L||1\n",
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
    Example {
        title: "By a ConceptMap",
        yaml: "translate:\n  field: PID-8\n  map: http://hl7.org/fhir/ConceptMap/cm-administrative-gender-v2\n  code-system: http://hl7.org/fhir/administrative-gender\n",
        effect: Some(StepExample {
            format: "hl7v2",
            before: "MSH|^~\\&|PAS|H|||||ADT^A01|1|P|2.5\nPID|1||7||Doe^Jane|||female\n",
            after: "MSH|^~\\&|PAS|H|||||ADT^A01|1|P|2.5\nPID|1||7||Doe^Jane|||F\n",
            files: &[],
        }),
    },
];

fn build(config: &Value, context: &BuildContext<'_>) -> Built<Arc<dyn Step>> {
    let config: Config = read(config)?;
    let mut problems = Problems::default();
    let field = problems.keep(context.rule(&["field"], config.field.as_str()));
    let tables = Tables::read(&config, context, &mut problems);
    if let Some(unit) = &config.unit {
        problems.keep(v2::is_unit_field(unit.as_str()));
    }
    let units = config.unit.is_some().then(|| Units {
        signs: Signs::of(context, None, &mut problems),
        conversions: Conversions::default(),
        spelled: BTreeMap::new(),
    });
    if units.is_some() && context.format.name() != "hl7v2" {
        problems.add(Problem::at(&["unit"], "units are written in HL7 v2 only"));
    }
    let step = field.zip(tables).map(|(field, tables)| {
        Arc::new(Translate {
            field,
            tables,
            path: config.field.as_str().to_owned(),
            default: config.default,
            unmapped: config.unmapped,
            units,
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
    units: Option<Units>,
    keep_original: bool,
}

/// What is needed to give a result the unit of a row.
struct Units {
    signs: Signs,
    conversions: Conversions,
    spelled: BTreeMap<String, String>,
}

/// What is to be done about one code.
enum Found<'t> {
    Row(&'t Used),
    Mapped(Coding, &'static str),
    Default(Coding),
    Stays,
}

impl Found<'_> {
    /// What is written; `None` where the code stays.
    const fn to(&self) -> Option<&Coding> {
        match self {
            Self::Row(row) => Some(&row.to),
            Self::Mapped(to, _) | Self::Default(to) => Some(to),
            Self::Stays => None,
        }
    }
}

impl Step for Translate {
    fn apply(&self, message: &mut Working, context: &mut StepContext<'_>) -> Result<Flow, Halted> {
        let nodes = self.nodes(message, context)?;
        let rows = self.tables.of(&message.metadata);
        let v2 = message.document.as_any().is::<Message>();
        let units = self.units.as_ref();
        let decimal = units.and_then(|units| units.signs.find(&message.metadata));
        if v2 {
            let places = v2::places(&*message.document, &nodes);
            for place in places {
                context.spend()?;
                let about = (&place.from, &*place.location, &message.metadata);
                let found = self.look_up(rows, about, context)?;
                note(
                    rows.name(),
                    &place.from.code,
                    &place.location,
                    &found,
                    context,
                );
                let Some(message) = message.document.as_any_mut().downcast_mut::<Message>() else {
                    continue;
                };
                let Some(to) = found.to() else {
                    continue;
                };
                place
                    .write(message, to, self.keep_original)
                    .map_err(not_written)?;
                if let (Found::Row(row), Some(units)) = (&found, &self.units)
                    && !row.unit.is_empty()
                {
                    let wanted = Wanted {
                        unit: &row.unit,
                        molar_mass: None,
                        spelled: &units.spelled,
                        decimal,
                    };
                    let written = units
                        .conversions
                        .bring(message, place.index, wanted, context);
                    written.map_err(not_written)?;
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
            let about = (&from, &*location, &message.metadata);
            let found = self.look_up(rows, about, context)?;
            note(rows.name(), &from.code, &location, &found, context);
            if let Some(to) = found.to() {
                let written = message.document.set_node(node, &to.code);
                written.map_err(not_written)?;
            }
        }
        Ok(Flow::Next)
    }

    fn warnings(&self) -> Vec<Problem> {
        self.tables.warnings(&self.path)
    }
}

pub(crate) fn text_of(value: Option<hilum_fhirpath::Scalar<'_>>) -> Option<String> {
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
        rows: Rows<'t>,
        (from, location, metadata): (&Coding, &str, &Metadata),
        context: &mut StepContext<'_>,
    ) -> Result<Found<'t>, Halted> {
        let hit = rows.find(from, context.arrived_ms, metadata);
        let text = match hit {
            Some(Hit::Row(row)) => return Ok(Found::Row(row)),
            Some(Hit::Mapped { to, equivalence }) => return Ok(Found::Mapped(to, equivalence)),
            Some(Hit::Several) => ("several translations of", "are equally good for"),
            None => ("no row of", "has"),
        };
        let absent = Absent {
            table: rows.name(),
            field: &self.path,
            location,
            from,
            finding: "unmapped",
            text,
            has_default: self.default.is_some(),
        };
        self.unmapped.meet(&absent, context)?;
        Ok(self.default.as_ref().map_or(Found::Stays, |default| {
            Found::Default(Coding {
                system: default.system.clone(),
                code: default.code.clone(),
                display: default.display.clone(),
            })
        }))
    }
}

/// The line of a trace that names the table and the line in it.
fn note(
    table: &str,
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
                    Equivalence::Equivalent => format!("{table}:{}", row.line),
                    other => format!("{table}:{} ({})", row.line, other.word()),
                },
            ),
            Found::Mapped(to, equivalence) => {
                (Some(to.code.clone()), format!("{table} ({equivalence})"))
            }
            Found::Default(to) => (Some(to.code.clone()), format!("{table}: default")),
            Found::Stays => (None, format!("{table}: no row")),
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

const _: () = assert!(ROWS_MAX == 1_000_000, "the limit of the spec names it");
