//! Gives results of HL7 v2 and Observations of FHIR in other units: value, unit and range together, or
//! none of them.
//!
//! A result keeps its significant digits and its comparator. Units are compared by what they measure
//! (UCUM), where a mole, an equivalent and a count are not the same; amount of substance and mass need
//! the molar mass of the analyte. Where something is missing or does not fit, the result stays as it
//! came, with a finding. Flags (OBX-8) are left alone: a result stays on its side of each limit.

mod config;
mod fhir;
pub(crate) mod result;
mod spelled;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use hilum_component::{
    Build, BuildContext, Built, ComponentSpec, Example, Flow, Halted, Limit, Problem, Step,
    StepContext, StepExample, Working,
};
use hilum_convert::DecimalSign;
use hilum_fhir::Resource;
use hilum_hl7v2::{Message, Segment};
use hilum_message::Metadata;
use hilum_ucum::{Conversion, NoConversion};
use serde_json::Value;

use crate::convert::decimal;
use crate::sender::SENDER;
use crate::settings::{Problems, not_written, read, schema};
use crate::systems::Systems;
use config::Config;
use result::{Conversions, Wanted};

/// A value keeps its meaning under another unit; `None` where one of the two is no unit that is known.
pub(crate) fn keeps(from: &str, to: &str) -> Option<bool> {
    let none = BTreeMap::new();
    let (from, to) = (spelled::ucum(from, &none)?, spelled::ucum(to, &none)?);
    match Conversion::new(&from, &to, None) {
        Ok(conversion) => Some(conversion.is_same()),
        Err(NoConversion::NoUnit(_)) => None,
        Err(_) => Some(false),
    }
}

/// What documentation, editor and checks know of the step.
pub(crate) fn spec() -> ComponentSpec {
    ComponentSpec {
        name: "units",
        summary: "gives results in other units: value, unit and range together",
        schema: schema::<Config>,
        shorthand: None,
        examples: EXAMPLES,
        limits: &[
            Limit {
                name: "digits of a number",
                value: "64",
                beyond: "the result stays as it came, with a finding",
            },
            Limit {
                name: "units with logarithms",
                value: "not converted",
                beyond: "a result in pH or dB stays as it came, with a finding",
            },
        ],
        build: Build::Step(build),
    }
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "Glucose in mg/dL, creatinine in µmol/L, platelets as UCUM writes their unit",
        yaml: "units:\n  results:\n  - { code: GLU, unit: mg/dL, molar-mass: 180.156 }\n  - { code: CREA, unit: umol/L, molar-mass: 113.12 }\n  - { code: PLT, code-system: L, unit: 10*9/L }\n  spelled: { Tsd/ul: 10*3/uL }\n",
        effect: Some(StepExample {
            format: "hl7v2",
            before: "MSH|^~\\&|LIS|H|||||ORU^R01|1|P|2.5\nOBX|1|NM|GLU||5.40|mmol/l|3.9-5.6|N\nOBX|2|NM|CREA||<0.2|mg/dl|0.7-1.2|L\nOBX|3|NM|PLT^^L||250|Tsd/ul|150-400\nOBX|4|NM|GLU||5.4||3.9-5.6\n",
            after: "MSH|^~\\&|LIS|H|||||ORU^R01|1|P|2.5\nOBX|1|NM|GLU||97.3|mg/dL|70.3-101|N\nOBX|2|NM|CREA||<18|umol/L|61.9-106|L\nOBX|3|NM|PLT^^L||250|10*9/L|150-400\nOBX|4|NM|GLU||5.4||3.9-5.6\n",
            files: &[],
        }),
    },
    Example {
        title: "An Observation, as one behind `convert` is",
        yaml: "units:\n  results: [ { code: 14749-6, code-system: LN, unit: mg/dL, molar-mass: 180.156 } ]\n",
        effect: Some(StepExample {
            format: "fhir",
            before: "{\"resourceType\":\"Observation\",\"status\":\"final\",\"code\":{\"coding\":[{\"system\":\"http://loinc.org\",\"code\":\"14749-6\"}]},\"valueQuantity\":{\"value\":5.40,\"unit\":\"mmol/l\",\"system\":\"http://unitsofmeasure.org\",\"code\":\"mmol/L\"},\"referenceRange\":[{\"low\":{\"value\":3.9,\"unit\":\"mmol/l\"},\"high\":{\"value\":5.6,\"unit\":\"mmol/l\"},\"text\":\"3.9-5.6\"}]}",
            after: "{\"resourceType\":\"Observation\",\"status\":\"final\",\"code\":{\"coding\":[{\"system\":\"http://loinc.org\",\"code\":\"14749-6\"}]},\"valueQuantity\":{\"value\":97.3,\"unit\":\"mg/dL\",\"system\":\"http://unitsofmeasure.org\",\"code\":\"mg/dL\"},\"referenceRange\":[{\"low\":{\"value\":70.3,\"unit\":\"mg/dL\",\"system\":\"http://unitsofmeasure.org\",\"code\":\"mg/dL\"},\"high\":{\"value\":101,\"unit\":\"mg/dL\",\"system\":\"http://unitsofmeasure.org\",\"code\":\"mg/dL\"},\"text\":\"70.3-101\"}]}",
            files: &[],
        }),
    },
    Example {
        title: "A laboratory with a decimal comma",
        yaml: "units:\n  results: [ { code: HB, unit: g/L } ]\n  system: lab-north\n",
        effect: Some(StepExample {
            format: "hl7v2",
            before: "MSH|^~\\&|LIS|H|||||ORU^R01|1|P|2.5\nOBX|1|NM|HB||14,2|g/dl|12,0 - 16,0\n",
            after: "MSH|^~\\&|LIS|H|||||ORU^R01|1|P|2.5\nOBX|1|NM|HB||142|g/L|120 - 160\n",
            files: &[(
                "systems/lab-north.yaml",
                "system: lab-north\ndecimal: comma\n",
            )],
        }),
    },
];

/// How numbers of a message are written, by who sent it.
#[derive(Debug, Default)]
pub(crate) struct Signs {
    fixed: Option<DecimalSign>,
    by_sender: BTreeMap<String, DecimalSign>,
    /// That of the system that the channel's source names.
    own: Option<DecimalSign>,
}

impl Signs {
    /// Those of a system that is named, else of the systems that may send: the one that the step `sender`
    /// recognised, else the one that the channel's source names.
    pub(crate) fn of(
        context: &BuildContext<'_>,
        named: Option<&str>,
        problems: &mut Problems,
    ) -> Self {
        if let Some(name) = named {
            let system = problems.keep(context.system(&["system"], name));
            return Self {
                fixed: decimal(system.as_deref()),
                ..Self::default()
            };
        }
        let names = context.site.system_names().into_iter();
        let by_sender = names.filter_map(|name| {
            let sign = decimal(context.site.system(&name).as_deref())?;
            Some((name, sign))
        });
        let own = context.sender.and_then(|name| context.site.system(name));
        Self {
            fixed: None,
            by_sender: by_sender.collect(),
            own: decimal(own.as_deref()),
        }
    }

    pub(crate) fn find(&self, metadata: &Metadata) -> Option<DecimalSign> {
        let sent = || match metadata.get(SENDER) {
            Some(sender) => self.by_sender.get(sender).copied(),
            None => self.own,
        };
        self.fixed.or_else(sent)
    }
}

fn build(config: &Value, context: &BuildContext<'_>) -> Built<Arc<dyn Step>> {
    let config: Config = read(config)?;
    let mut problems = Problems::default();
    if !matches!(context.format.name(), "hl7v2" | "fhir") {
        let text = "units are converted in messages of HL7 v2 and in FHIR only";
        problems.add(Problem::at(&[], text));
    }
    let signs = Signs::of(context, config.system.as_deref(), &mut problems);
    for (written, code) in &config.spelled {
        if !hilum_ucum::is_unit(code) {
            let text = format!("`{code}` is no code of UCUM");
            problems.add(Problem::at(&["spelled", written], text));
        }
    }
    let mut rows: HashMap<String, Vec<Row>> = HashMap::new();
    for (at, row) in config.results.into_iter().enumerate() {
        let at = at.to_string();
        let molar_mass = row.molar_mass.map(|mass| mass.text());
        // From the unit to itself: both must be right.
        let key = match Conversion::new(&row.unit, &row.unit, None) {
            Err(NoConversion::NoUnit(_)) => Some(("unit", "it is no code of UCUM")),
            Err(NoConversion::Logarithmic) => Some(("unit", "it is logarithmic")),
            _ => None,
        };
        let mass = molar_mass.as_deref();
        let mass = mass.is_some_and(|mass| Conversion::new("mol", "g", Some(mass)).is_err());
        let key = key.or(mass.then_some(("molar-mass", "it is no number above zero")));
        if let Some((key, text)) = key {
            problems.add(Problem::at(&["results", &at, key], text));
        }
        let same = rows.entry(row.code).or_default();
        if same.iter().any(|other| other.system == row.code_system) {
            let text = "an earlier row is of the same code";
            problems.add(Problem::at(&["results", &at, "code"], text));
        }
        same.push(Row {
            system: row.code_system,
            unit: row.unit,
            molar_mass,
        });
    }
    problems.finish(Some(Arc::new(Units {
        rows,
        spelled: config.spelled,
        signs,
        systems: Systems::of(context, None),
        conversions: Conversions::default(),
    }) as Arc<dyn Step>))
}

/// What is wanted of a result.
struct Row {
    system: Option<String>,
    unit: String,
    molar_mass: Option<String>,
}

struct Units {
    /// By the code of the result.
    rows: HashMap<String, Vec<Row>>,
    spelled: BTreeMap<String, String>,
    signs: Signs,
    /// The URLs of the code systems that rows name.
    systems: Systems,
    conversions: Conversions,
}

impl Units {
    fn row(&self, segment: &Segment<'_>) -> Option<&Row> {
        let code = segment.field(3)?.nth(1)?;
        let of = |code_at, system_at| {
            let text = |n| code.nth(n).map(|part| part.text()).unwrap_or_default();
            let rows = self.rows.get(text(code_at).trim())?;
            let named = text(system_at);
            let own = rows
                .iter()
                .find(|row| row.system.as_deref() == Some(named.trim()));
            own.or_else(|| rows.iter().find(|row| row.system.is_none()))
        };
        of(1, 3).or_else(|| of(4, 6))
    }
}

impl Step for Units {
    fn apply(&self, message: &mut Working, context: &mut StepContext<'_>) -> Result<Flow, Halted> {
        if let Some(resource) = message.document.as_any().downcast_ref::<Resource>() {
            let changed = self.observations(resource, &message.metadata, context)?;
            let any = message.document.as_any_mut();
            if let Some((changed, place)) = changed.zip(any.downcast_mut::<Resource>()) {
                *place = changed;
            }
            return Ok(Flow::Next);
        }
        let decimal = self.signs.find(&message.metadata);
        let Some(v2) = message.document.as_any_mut().downcast_mut::<Message>() else {
            return Err(Halted::reject(
                "units are converted in messages of HL7 v2 and in FHIR only",
            ));
        };
        for index in 0..v2.segment_count() {
            let Some(segment) = v2.segment(index).filter(|segment| segment.has_id("OBX")) else {
                continue;
            };
            context.spend()?;
            let Some(row) = self.row(&segment) else {
                continue;
            };
            let wanted = Wanted {
                unit: &row.unit,
                molar_mass: row.molar_mass.as_deref(),
                spelled: &self.spelled,
                decimal,
            };
            self.conversions
                .bring(v2, index, wanted, context)
                .map_err(not_written)?;
        }
        Ok(Flow::Next)
    }
}
