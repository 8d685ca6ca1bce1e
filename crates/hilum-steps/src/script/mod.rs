//! Runs a function of JavaScript on each message: the way out where rows and expressions end.
//!
//! The function sees the message and what is known beside it ([`DECLARATIONS`]), in a world
//! without input, output, clock, chance or code from text, whose objects cannot be changed. Time
//! is the arrival, `Math.random` derives from the message id, and nothing survives a call.

mod absent;
mod config;
mod host;
mod realm;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hilum_component::{
    Build, BuildContext, Built, ComponentSpec, Example, Finding, Flow, Format, Halted, Limit,
    Problem, Severity, Step, StepContext, StepExample, Working,
};
use serde_json::Value;

use crate::settings::{Problems, read, schema};
use absent::Absent;
use config::Config;
use host::{Call, Held};
use realm::{Ended, Source};

/// The types that editors know scripts by.
pub const DECLARATIONS: &str = include_str!("hilum.d.ts");

/// What documentation, editor and checks know of the step.
pub(crate) fn spec() -> ComponentSpec {
    ComponentSpec {
        name: "script",
        summary: "runs a function of JavaScript on each message",
        schema: schema::<Config>,
        shorthand: Some("file"),
        examples: EXAMPLES,
        limits: &[
            Limit {
                name: "operations-max",
                value: "about 20 million",
                beyond: "the message is rejected with step-budget",
            },
            Limit {
                name: "memory-max",
                value: "64MB for each thread",
                beyond: "the message is rejected",
            },
            Limit {
                name: "stack-max",
                value: "512kB",
                beyond: "the message is rejected",
            },
            Limit {
                name: "copies-max",
                value: "10000",
                beyond: "the script gets an error",
            },
            Limit {
                name: "files",
                value: "one for each script",
                beyond: "there is no import; built-in objects cannot be changed",
            },
        ],
        build: Build::Step(build),
    }
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "A file of the site",
        yaml: "script: scripts/join-names.js",
        effect: Some(StepExample {
            format: "hl7v2",
            before: "MSH|^~\\&|PAS|H|||||ADT^A01|1|P|2.5\nPID|1||7||Doe^Jane\n",
            after: "MSH|^~\\&|PAS|H|||||ADT^A01|1|P|2.5\nPID|1||7||DOE^Jane\n",
            files: &[(
                "scripts/join-names.js",
                "export default function (msg) {\n  msg.set('PID-5.1', msg.get('PID-5.1').toUpperCase());\n}\n",
            )],
        }),
    },
    Example {
        title: "One message for each observation, in place",
        yaml: "script:\n  code: |\n    function transform(msg) {\n      return msg.segments('OBX').map((obx, at, all) => {\n        const one = msg.copy();\n        one.segments('OBX').reverse().forEach((other) => {\n          if (other.path !== obx.path) other.delete();\n        });\n        return one;\n      });\n    }\n",
        effect: Some(StepExample {
            format: "hl7v2",
            before: "MSH|^~\\&|LIS|H|||||ORU^R01|1|P|2.5\nOBX|1|NM|A\nOBX|2|NM|B\n",
            after: "MSH|^~\\&|LIS|H|||||ORU^R01|1|P|2.5\nOBX|1|NM|A\n---\nMSH|^~\\&|LIS|H|||||ORU^R01|1|P|2.5\nOBX|2|NM|B\n",
            files: &[],
        }),
    },
];

/// Numbers scripts, so that threads know which they have compiled.
static NEXT: AtomicU64 = AtomicU64::new(0);

fn build(config: &Value, context: &BuildContext<'_>) -> Built<Arc<dyn Step>> {
    let config: Config = read(config)?;
    let mut problems = Problems::default();
    let (key, name, text) = match (&config.file, config.code) {
        (Some(file), None) => {
            let bytes = problems.keep(context.file(&["file"], file.as_str()));
            let text = bytes.and_then(|bytes| match String::from_utf8(bytes.to_vec()) {
                Ok(text) => Some(text),
                Err(_) => problems.keep(Err(Problem::at(&["file"], "the script is not UTF-8"))),
            });
            ("file", file.as_str().to_owned(), text)
        }
        (None, Some(code)) => ("code", "script".to_owned(), Some(code)),
        _ => {
            problems.add(Problem::at(&[], "a script needs either `file` or `code`"));
            ("code", String::new(), None)
        }
    };
    let step = text.and_then(|text| {
        let source = Source {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            name,
            text,
        };
        if let Err(text) = realm::check(&source) {
            problems.add(Problem::at(&[key], format!("{}: {text}", source.name)));
            return None;
        }
        Some(Arc::new(Script {
            source,
            format: Arc::clone(context.format),
            original: context.original.cloned(),
        }) as Arc<dyn Step>)
    });
    problems.finish(step)
}

struct Script {
    source: Source,
    format: Arc<dyn Format>,
    /// Where replies are worked on: the format of the messages that ask.
    original: Option<Arc<dyn Format>>,
}

impl Step for Script {
    fn apply(&self, message: &mut Working, context: &mut StepContext<'_>) -> Result<Flow, Halted> {
        let held = Held {
            format: Arc::clone(&self.format),
            document: std::mem::replace(&mut message.document, Box::new(Absent)),
            metadata: std::mem::take(&mut message.metadata),
        };
        let mut messages = vec![held];
        let original = self.original.as_ref().zip(context.original);
        let original = original.map(|(format, document)| {
            let metadata = messages.iter().map(|held| held.metadata.clone()).next();
            messages.push(Held {
                format: Arc::clone(format),
                document: document.boxed_clone(),
                metadata: metadata.unwrap_or_default(),
            });
            messages.len() - 1
        });
        let call = Call {
            channel: context.channel.to_owned(),
            id: message.id,
            arrived_ms: context.arrived_ms,
            messages,
            original,
            flags: Vec::new(),
        };
        let (ended, call) =
            realm::run(&self.source, call, seed(message)).map_err(Halted::reject)?;
        context.spend()?;
        for (code, path) in call.flags {
            context.findings.push(Finding {
                step: context.step.to_owned(),
                code: plain(&code).unwrap_or_else(|| "script".to_owned()),
                path: (!path.is_empty() && path.len() <= PATH_MAX).then_some(path),
                severity: Severity::Warning,
                text: "flagged by the script".to_owned(),
            });
        }
        let mut messages: Vec<Option<Held>> = call.messages.into_iter().map(Some).collect();
        self.follow(ended, &mut messages, message)
    }
}

/// Bytes of a path in a finding.
const PATH_MAX: usize = 200;

impl Script {
    fn follow(
        &self,
        ended: Ended,
        messages: &mut [Option<Held>],
        message: &mut Working,
    ) -> Result<Flow, Halted> {
        match ended {
            Ended::Next(place) => {
                if let Some(held) = messages.get_mut(place).and_then(Option::take) {
                    message.document = held.document;
                    message.metadata = held.metadata;
                }
                Ok(Flow::Next)
            }
            Ended::Filtered => Ok(Flow::Filtered(format!(
                "{} returned false",
                self.source.name
            ))),
            Ended::Split(places) => {
                let mut parts = Vec::with_capacity(places.len());
                for (ordinal, &place) in places.iter().enumerate() {
                    let again = places.iter().skip(ordinal + 1).any(|later| *later == place);
                    let slot = messages.get_mut(place);
                    let held = slot.and_then(|slot| {
                        if again {
                            slot.as_ref().map(Held::copied)
                        } else {
                            slot.take()
                        }
                    });
                    let Some(held) = held else { continue };
                    parts.push(Working {
                        id: message.id.derive("split", ordinal as u64),
                        document: held.document,
                        metadata: held.metadata,
                        routes: message.routes.clone(),
                    });
                }
                Ok(Flow::Split(parts))
            }
            Ended::Reject(code) => Err(Halted::Reject {
                code: "207".to_owned(),
                path: None,
                text: match plain(&code) {
                    Some(code) => format!("rejected by {}: {code}", self.source.name),
                    None => format!("rejected by {}", self.source.name),
                },
            }),
            Ended::Threw(kind, line) => {
                let place = line.map(|line| format!(":{line}")).unwrap_or_default();
                Err(Halted::reject(format!(
                    "{kind} in {}{place}",
                    self.source.name
                )))
            }
            Ended::Interrupted => Err(Halted::Budget),
        }
    }
}

/// A code that a script gives, if it is one: anything else may be content.
fn plain(code: &str) -> Option<String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let digits = code.chars().filter(char::is_ascii_digit).count();
    (!code.is_empty() && code.len() <= 60 && digits <= 4 && code.chars().all(fits))
        .then(|| code.to_owned())
}

/// Four bytes of the message id that differ between messages of one millisecond.
fn seed(message: &Working) -> u32 {
    let text = message.id.to_string();
    text.bytes().fold(0x811C_9DC5, |hash: u32, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

const _: () = assert!(host::COPIES_MAX == 10_000, "the limit of the spec names it");
const _: () = assert!(
    realm::MEMORY_MAX == 64_000_000,
    "the limit of the spec names it"
);
const _: () = assert!(
    realm::STACK_MAX == 512_000,
    "the limit of the spec names it"
);
