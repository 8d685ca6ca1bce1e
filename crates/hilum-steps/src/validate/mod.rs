//! Holds messages of HL7 v2 against a conformance profile, or against the dictionary of their
//! version. What is not as it should be is noted as findings; with `level: reject` the first
//! error also rejects the message.

mod config;

use std::sync::Arc;

use hilum_component::{
    Build, BuildContext, Built, ComponentSpec, Example, Finding, Flow, Halted, Limit, Problem,
    Severity, SiteFile, Step, StepContext, StepExample, Working,
};
use hilum_hl7v2::Message;
use hilum_hl7v2::profile::{Profile, ProfileFiles};
use hilum_hl7v2::structure::DictionaryStructures;
use hilum_hl7v2::validate::{self, Options, Rule, Validator};
use serde_json::Value;

use crate::settings::{Problems, read, schema};
use config::{Config, Level};

/// Parts of a profile that are named one by one when they cannot be checked.
const WARNINGS_MAX: usize = 20;

/// What documentation, editor and checks know of the step.
pub(crate) fn spec() -> ComponentSpec {
    ComponentSpec {
        name: "validate",
        summary: "holds messages against a conformance profile or the standard",
        schema: schema::<Config>,
        shorthand: Some("profile"),
        examples: EXAMPLES,
        limits: &[
            Limit {
                name: "findings-max",
                value: "100",
                beyond: "further findings of a message are not listed; at most 1000",
            },
            Limit {
                name: "plug-ins, co-constraints, slicings",
                value: "not checked",
                beyond: "a profile that has them is checked without them; `hilum check` names them",
            },
        ],
        build: Build::Step(build),
    }
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "Against the standard, noting what is wrong",
        yaml: "validate: { level: warn }",
        effect: Some(StepExample {
            format: "hl7v2",
            before: "MSH|^~\\&|PAS|H|||20260105||ADT^A01^ADT_A01|1|P|2.5\nPID|1||7||Doe^Jane\n",
            after: "MSH|^~\\&|PAS|H|||20260105||ADT^A01^ADT_A01|1|P|2.5\nPID|1||7||Doe^Jane\n",
            files: &[],
        }),
    },
    Example {
        title: "A message without its required segments is rejected",
        yaml: "validate: { level: reject }",
        effect: Some(StepExample {
            format: "hl7v2",
            before: "MSH|^~\\&|PAS|H|||20260105||ADT^A01^ADT_A01|1|P|2.5\nPID|1||7||Doe^Jane\n",
            after: "",
            files: &[],
        }),
    },
];

fn build(config: &Value, context: &BuildContext<'_>) -> Built<Arc<dyn Step>> {
    let config: Config = read(config)?;
    let mut problems = Problems::default();
    if context.format.name() != "hl7v2" {
        problems.add(Problem::at(&[], "only messages of HL7 v2 can be validated"));
    }
    let mut file = |key: &str, file: &Option<SiteFile>| {
        let file = file.as_ref()?;
        problems.keep(context.file(&[key], file.as_str()))
    };
    let profile = file("profile", &config.profile);
    let constraints = file("constraints", &config.constraints);
    let value_sets = file("value-sets", &config.value_sets);
    let bindings = file("bindings", &config.bindings);
    let findings_max = config.findings_max;
    let against = match (profile, &config.profile) {
        (Some(profile), _) => {
            let files = ProfileFiles {
                profile: &profile,
                constraints: constraints.as_deref(),
                value_sets: value_sets.as_deref(),
                bindings: bindings.as_deref(),
                ..ProfileFiles::default()
            };
            let loaded = Profile::load(&files)
                .map_err(|error| Problem::at(&["profile"], format!("not a profile: {error}")));
            problems
                .keep(loaded)
                .map(|profile| Against::Profile(Box::new(profile), findings_max))
        }
        (None, Some(_)) => None,
        (None, None) => {
            if config.constraints.is_some()
                || config.value_sets.is_some()
                || config.bindings.is_some()
            {
                problems.add(Problem::at(&[], "these files belong to a `profile`"));
            }
            let structures = Arc::new(DictionaryStructures::new());
            let options = Options {
                findings_max,
                ..Options::default()
            };
            Some(Against::Standard(Validator::new(structures, options)))
        }
    };
    let level = config.level;
    problems.finish(against.map(|against| Arc::new(Validate { against, level }) as Arc<dyn Step>))
}

struct Validate {
    against: Against,
    level: Level,
}

enum Against {
    Profile(Box<Profile>, usize),
    Standard(Validator),
}

impl Step for Validate {
    fn warnings(&self) -> Vec<Problem> {
        let Against::Profile(profile, _) = &self.against else {
            return Vec::new();
        };
        let warnings = profile.warnings();
        let mut found: Vec<Problem> = warnings
            .iter()
            .take(WARNINGS_MAX)
            .map(|text| Problem::at(&["profile"], text))
            .collect();
        if let Some(more) = warnings.len().checked_sub(WARNINGS_MAX).filter(|n| *n > 0) {
            let text = format!("{more} more parts of the profile are not checked");
            found.push(Problem::at(&["profile"], text));
        }
        found
    }

    fn apply(&self, message: &mut Working, context: &mut StepContext<'_>) -> Result<Flow, Halted> {
        let Some(parsed) = message.document.as_any().downcast_ref::<Message>() else {
            return Err(Halted::reject("only messages of HL7 v2 can be validated"));
        };
        let found = match &self.against {
            Against::Profile(profile, findings_max) => {
                profile.validate_up_to(parsed, *findings_max)
            }
            Against::Standard(validator) => validator.validate(parsed),
        };
        context.spend()?;
        let error = found
            .iter()
            .find(|finding| finding.severity == validate::Severity::Error);
        let rejected = error
            .filter(|_| self.level == Level::Reject)
            .map(|error| Halted::Reject {
                code: condition(error.rule).to_owned(),
                path: Some(error.path.clone()),
                text: error.text.to_string(),
            });
        context
            .findings
            .extend(found.into_iter().map(|finding| Finding {
                step: context.step.to_owned(),
                code: finding.rule.as_str().to_owned(),
                path: Some(finding.path),
                severity: severity(finding.severity),
                text: finding.text.into_owned(),
            }));
        rejected.map_or(Ok(Flow::Next), Err)
    }
}

const fn severity(severity: validate::Severity) -> Severity {
    match severity {
        validate::Severity::Info => Severity::Information,
        validate::Severity::Warning => Severity::Warning,
        validate::Severity::Error => Severity::Error,
    }
}

/// The code of table 0357 that an answer gives for a broken rule.
const fn condition(rule: Rule) -> &'static str {
    match rule {
        Rule::StructureUnknown => "200",
        Rule::SegmentMissing
        | Rule::SegmentExcess
        | Rule::SegmentOrder
        | Rule::SegmentUnexpected
        | Rule::SegmentNotSupported
        | Rule::GroupMissing
        | Rule::GroupExcess => "100",
        Rule::FieldMissing | Rule::ComponentMissing => "101",
        Rule::DataType => "102",
        Rule::Table | Rule::ValueSet => "103",
        Rule::Length => "104",
        // Rules of a profile and rules to come have no code of their own.
        _ => "207",
    }
}
