//! Makes several messages of one: one for each segment, group, item or row.
//!
//! What does not repeat goes into each of them. Each new message has the named values
//! `split-ordinal`, from 1, and `split-count`. A message without any such part, or with one, goes
//! on as it is. The message's id (MSH-10) is in every part; `set` may change it.

mod config;
mod parts;
mod resources;

use std::sync::Arc;

use hilum_component::{
    Build, BuildContext, Built, ComponentSpec, Example, Flow, Format, Halted, Limit, Problem, Rule,
    Step, StepContext, StepExample, TraceLine, Working,
};
use hilum_message::Payload;
use serde_json::Value;

use crate::settings::{Problems, not_evaluated, read, schema};
use config::{Config, Keep};

/// What documentation, editor and checks know of the step.
pub(crate) fn spec() -> ComponentSpec {
    ComponentSpec {
        name: "split",
        summary: "makes several messages of one",
        schema: schema::<Config>,
        shorthand: Some("each"),
        examples: EXAMPLES,
        limits: &[
            Limit {
                name: "parts-max",
                value: "10000",
                beyond: "the message is rejected; at most 100000",
            },
            Limit {
                name: "character sets",
                value: "those whose separators are bytes",
                beyond: "parts of a message in UTF-16, UTF-32, Big5 or Shift-JIS become UTF-8",
            },
            Limit {
                name: "attachments",
                value: "stay whole",
                beyond: "a message with a part of more than 256 kB outside memory is rejected",
            },
        ],
        build: Build::Step(build),
    }
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "One message for each observation",
        yaml: "split: OBX",
        effect: Some(StepExample {
            format: "hl7v2",
            before: "MSH|^~\\&|LIS|H|||||ORU^R01|1|P|2.5\nPID|1||7\nOBX|1|NM|A\nOBX|2|NM|B\n",
            after: "MSH|^~\\&|LIS|H|||||ORU^R01|1|P|2.5\nPID|1||7\nOBX|1|NM|A\n---\nMSH|^~\\&|LIS|H|||||ORU^R01|1|P|2.5\nPID|1||7\nOBX|2|NM|B\n",
            files: &[],
        }),
    },
    Example {
        title: "One message for each row, with the header",
        yaml: "split: row",
        effect: Some(StepExample {
            format: "delimited",
            before: "mrn,name\n1,Doe\n2,Roe\n",
            after: "mrn,name\n1,Doe\n---\nmrn,name\n2,Roe\n",
            files: &[],
        }),
    },
    Example {
        title: "The items of an array, each alone",
        yaml: "split: { each: orders, keep: part }",
        effect: Some(StepExample {
            format: "json",
            before: "{\"orders\": [{\"id\": 1}, {\"id\": 2}]}",
            after: "{\"id\": 1}---\n{\"id\": 2}",
            files: &[],
        }),
    },
    Example {
        title: "The resources of a FHIR Bundle, each alone",
        yaml: "split: { each: Bundle.entry.resource, keep: part }",
        effect: Some(StepExample {
            format: "fhir",
            before: "{\"resourceType\":\"Bundle\",\"type\":\"collection\",\"entry\":[{\"resource\":{\"resourceType\":\"Patient\",\"id\":\"a\"}},{\"resource\":{\"resourceType\":\"Patient\",\"id\":\"b\"}}]}",
            after: "{\"resourceType\":\"Patient\",\"id\":\"a\"}---\n{\"resourceType\":\"Patient\",\"id\":\"b\"}",
            files: &[],
        }),
    },
    Example {
        title: "A Bundle for each entry",
        yaml: "split: Bundle.entry",
        effect: Some(StepExample {
            format: "fhir",
            before: "{\"resourceType\":\"Bundle\",\"type\":\"collection\",\"entry\":[{\"resource\":{\"resourceType\":\"Patient\",\"id\":\"a\"}},{\"resource\":{\"resourceType\":\"Patient\",\"id\":\"b\"}}]}",
            after: "{\"resourceType\":\"Bundle\",\"type\":\"collection\",\"entry\":[{\"resource\":{\"resourceType\":\"Patient\",\"id\":\"a\"}}]}---\n{\"resourceType\":\"Bundle\",\"type\":\"collection\",\"entry\":[{\"resource\":{\"resourceType\":\"Patient\",\"id\":\"b\"}}]}",
            files: &[],
        }),
    },
];

fn build(config: &Value, context: &BuildContext<'_>) -> Built<Arc<dyn Step>> {
    let config: Config = read(config)?;
    let mut problems = Problems::default();
    let name = context.format.name();
    if !matches!(name, "hl7v2" | "xml" | "json" | "delimited" | "fhir") {
        problems.add(Problem::at(
            &[],
            format!("messages of the format {name} cannot be split"),
        ));
    }
    if config.keep == Keep::Part && !matches!(name, "json" | "xml" | "fhir") {
        problems.add(Problem::at(
            &["keep"],
            "only items of JSON, elements of XML and resources of FHIR can stand alone",
        ));
    }
    let each = problems.keep(context.rule(&["each"], config.each.as_str()));
    let step = each.map(|each| {
        let format = Arc::clone(context.format);
        Arc::new(Split {
            each,
            keep: config.keep,
            parts_max: config.parts_max,
            format,
        }) as Arc<dyn Step>
    });
    problems.finish(step)
}

struct Split {
    each: Rule,
    keep: Keep,
    parts_max: usize,
    format: Arc<dyn Format>,
}

impl Step for Split {
    fn apply(&self, message: &mut Working, context: &mut StepContext<'_>) -> Result<Flow, Halted> {
        let tree = message.document.tree();
        let found = self
            .each
            .expression()
            .evaluate(tree, tree.root(), context.env)
            .map_err(|error| not_evaluated("each", &error.to_string()))?;
        let nodes: Vec<_> = found.nodes().collect();
        let count = nodes.len();
        context.note(|step| TraceLine {
            step: step.to_owned(),
            path: Some(self.each.text().to_owned()),
            before: None,
            after: None,
            note: format!("{count} parts"),
        });
        if count < 2 && !(count == 1 && self.keep == Keep::Part) {
            return Ok(Flow::Next);
        }
        if count > self.parts_max {
            return Err(Halted::reject(format!(
                "more than {} parts",
                self.parts_max
            )));
        }
        if !message.document.write().cuts().is_empty() {
            return Err(Halted::reject(
                "a message with large attachments cannot be split",
            ));
        }
        let texts = parts::parts(&*message.document, &nodes, self.keep, || context.spend())?;
        let mut messages = Vec::with_capacity(texts.len());
        for (ordinal, text) in (0_u64..).zip(texts) {
            context.spend()?;
            let document = self
                .format
                .parse(&Payload::inline(text.into()))
                .map_err(|reject| Halted::reject(format!("a part is {reject}")))?;
            let mut metadata = message.metadata.clone();
            metadata.set("split-ordinal", (ordinal + 1).to_string());
            metadata.set("split-count", count.to_string());
            messages.push(Working {
                id: message.id.derive("split", ordinal),
                document,
                metadata,
                routes: message.routes.clone(),
            });
        }
        Ok(Flow::Split(messages))
    }
}
