//! Looks whether codes are in a value set.
//!
//! In HL7 v2 a path that ends at a coded field (CE, CWE, CNE, CF) stands for its first three
//! components; any other path stands for a plain code. A code of which nobody can tell (its code
//! system is not whole) counts as one that is not in the value set.

mod config;

use std::sync::Arc;

use hilum_codes::Coding;
use hilum_component::{
    Build, BuildContext, Built, CodeSet, ComponentSpec, Example, Flow, Halted, Held, Limit,
    Problem, Rule, Step, StepContext, StepExample, TraceLine, Working,
};
use hilum_fhirpath::NodeId;
use hilum_hl7v2::Message;
use hilum_message::Phi;
use serde_json::Value;

use crate::settings::{Problems, not_evaluated, not_loaded, read, schema};
use crate::systems::Systems;
use crate::translate::{text_of, v2};
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
                beyond: "a ValueSet of the FHIR store changes while messages run; load it",
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

const EXAMPLES: &[Example] = &[Example {
    title: "Only the sexes of FHIR, else the message is rejected",
    yaml: "validate-code:\n  field: PID-8\n  value-set: http://hl7.org/fhir/ValueSet/administrative-gender\n  invalid: reject\n",
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
    let field = problems.keep(context.rule(&["field"], config.field.as_str()));
    let at = |text| Problem::at(&["value-set"], text);
    let terminology = problems.keep(context.site.terminology().map_err(at));
    let set = terminology.and_then(|terminology| {
        let set = terminology.value_set(&config.value_set);
        problems.keep(set.map_err(|error| not_loaded("value-set", &error)))
    });
    let systems = Systems::of(context, config.code_system);
    let step = field.zip(set).map(|(field, set)| {
        Arc::new(ValidateCode {
            field,
            path: config.field.as_str().to_owned(),
            set,
            systems,
            invalid: config.invalid,
        }) as Arc<dyn Step>
    });
    problems.finish(step)
}

struct ValidateCode {
    field: Rule,
    /// The expression of the field, as it was written.
    path: String,
    set: Arc<dyn CodeSet>,
    systems: Systems,
    invalid: Unmapped,
}

impl Step for ValidateCode {
    fn apply(&self, message: &mut Working, context: &mut StepContext<'_>) -> Result<Flow, Halted> {
        for (from, location) in self.codes(message, context)? {
            context.spend()?;
            let system = self.systems.url(&message.metadata, &from.system);
            let held = self.set.holds(system.as_deref(), &from.code);
            context.note(|step| TraceLine {
                step: step.to_owned(),
                path: Some(location.clone()),
                before: Some(Phi::new(from.code.clone())),
                after: None,
                note: format!("{} {}", word(held), self.set.name()),
            });
            if held == Held::In {
                continue;
            }
            let text = match held {
                Held::Unknown => ("nobody can tell whether", "has"),
                Held::In | Held::Out => ("the value set", "does not have"),
            };
            let absent = Absent {
                table: self.set.name(),
                field: &self.path,
                location: &location,
                from: &from,
                finding: "code-invalid",
                text,
                has_default: false,
            };
            self.invalid.meet(&absent, context)?;
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

impl ValidateCode {
    /// The codes of a message, each with its place.
    fn codes(
        &self,
        message: &Working,
        context: &StepContext<'_>,
    ) -> Result<Vec<(Coding, String)>, Halted> {
        let tree = message.document.tree();
        let found = self
            .field
            .expression()
            .evaluate(tree, tree.root(), context.env);
        let found = found.map_err(|error| not_evaluated("field", &error.to_string()))?;
        let nodes: Vec<NodeId> = found.nodes().collect();
        if message.document.as_any().is::<Message>() {
            let places = v2::places(&*message.document, &nodes).into_iter();
            return Ok(places.map(|place| (place.from, place.location)).collect());
        }
        let code = |node: NodeId| {
            let from = Coding {
                code: text_of(tree.value(node))?,
                ..Coding::default()
            };
            Some((from, tree.location(node)))
        };
        Ok(nodes.into_iter().filter_map(code).collect())
    }
}
