//! HL7 v2 in its pipe and hat form.
//!
//! Paths are those of the standard (`PID-3[1].4.1`, groups included). Grammar, identification and
//! answers are `hilum_hl7v2`'s; here they are put in the engine's words.

mod answer;
mod document;
mod marks;
mod objects;
mod sent;

use std::sync::Arc;

use hilum_component::{
    Answer, AnswerMode, Build, ComponentSpec, Document, DocumentProblem, Example, Format,
    FormatOptions, Identity, Limit, Marks, Object, Offsets, ParseReject, PeerAnswer, SealedAnswer,
    Sent, Severity, Split, Target, TestPatients,
};
use hilum_fhirpath::Dialect;
use hilum_hl7v2::answer::{AckCondition, builds_on};
use hilum_hl7v2::charset::CharsetName;
use hilum_hl7v2::structure::DictionaryStructures;
use hilum_hl7v2::{Charset, Message, ParseOptions, Path, Structures, V2Dialect, batch, header};
use hilum_message::{Payload, Tokens};

use document::V2Document;

/// What documentation, editor and checks know of the format.
pub(crate) fn spec() -> ComponentSpec {
    ComponentSpec {
        name: "hl7v2",
        summary: "HL7 version 2, pipe and hat form, every version from 2.1",
        schema: || serde_json::json!({ "type": "object", "additionalProperties": false }),
        shorthand: None,
        examples: &[Example {
            title: "A channel of v2 messages",
            yaml: "format: hl7v2",
            effect: None,
        }],
        limits: &[
            Limit {
                name: "bytes-max",
                value: "4GB",
                beyond: "the message is rejected; sources set lower bounds",
            },
            Limit {
                name: "path-number-max",
                value: "9999",
                beyond: "a path with a higher number is refused when the site is checked",
            },
            Limit {
                name: "versions",
                value: "2.1 to 2.8.2",
                beyond: "messages of 2.9 and 2.9.1 are grouped and validated by the dictionary of 2.8.2: no package carries theirs",
            },
        ],
        build: Build::Format(build),
    }
}

fn build(options: &FormatOptions) -> Result<Arc<dyn Format>, String> {
    let charset_default = match options.charset.as_deref().map(Charset::named) {
        None => Charset::LATIN_1,
        Some(CharsetName::Known(charset)) => charset,
        Some(CharsetName::Unknown) => {
            return Err(
                "no such character set: use a name of table 0211, such as 8859/1".to_owned(),
            );
        }
    };
    Ok(Arc::new(Hl7v2 {
        options: ParseOptions { charset_default },
        structures: Arc::new(DictionaryStructures::new()),
        dialect: V2Dialect,
        zone: options.zone.clone(),
    }))
}

struct Hl7v2 {
    options: ParseOptions,
    structures: Arc<dyn Structures>,
    dialect: V2Dialect,
    /// Of times that say no offset.
    zone: Option<Offsets>,
}

fn starts_with(start: &[u8], ids: &[&[u8; 3]]) -> bool {
    let start = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start);
    let blank = start
        .iter()
        .take_while(|b| b.is_ascii_whitespace() || **b == 0x0B)
        .count();
    let line = start.get(blank..).unwrap_or_default();
    ids.iter().any(|id| line.starts_with(*id)) && line.get(3).is_some_and(u8::is_ascii_punctuation)
}

impl Format for Hl7v2 {
    fn name(&self) -> &'static str {
        "hl7v2"
    }

    fn sniff(&self, start: &[u8]) -> bool {
        starts_with(start, &[b"MSH", b"FHS", b"BHS"])
    }

    fn parse(&self, payload: &Payload) -> Result<Box<dyn Document>, ParseReject> {
        let (text, attachments) = Tokens::embed(payload);
        let mut message =
            Message::parse_with(text, &self.options).map_err(|reject| ParseReject {
                format: "hl7v2",
                reason: reject.to_string(),
            })?;
        message.set_structures(Arc::clone(&self.structures));
        Ok(Box::new(V2Document::new(
            message,
            payload.clone(),
            attachments,
        )))
    }

    fn split(&self, payload: &Payload) -> Split {
        let text = payload.text();
        if batch::is_single(text) {
            return Split::One;
        }
        let found = batch::split(text);
        let whole = |range: &std::ops::Range<usize>| *range == (0..text.len());
        if found.messages.is_empty() || found.messages.iter().all(whole) {
            return Split::One;
        }
        let problems = found
            .warnings
            .into_iter()
            .map(|(message, warning)| DocumentProblem {
                code: warning.code.as_str().to_owned(),
                path: format!("message[{}]", message + 1),
                severity: Severity::Warning,
                text: warning.text.into_owned(),
            });
        Split::Many(found.messages, problems.collect())
    }

    fn identify(&self, document: &dyn Document) -> Identity {
        let Some(message) = document.as_any().downcast_ref::<Message>() else {
            return Identity::default();
        };
        let found = message.identify();
        Identity {
            control_id: found.control_id,
            message_type: found.message_type,
            sender: found.sender,
            patients: found.patients,
            visits: found.visits,
            orders: found.orders,
        }
    }

    fn objects(&self, document: &dyn Document, arrived_ms: u64) -> Vec<Object> {
        let message = document.as_any().downcast_ref::<Message>();
        let zone = self.zone.as_ref();
        message.map_or_else(Vec::new, |message| {
            objects::objects(message, arrived_ms, zone)
        })
    }

    fn marks(&self, document: &dyn Document, test_patients: &[TestPatients]) -> Marks {
        let message = document.as_any().downcast_ref::<Message>();
        message.map_or_else(Marks::default, |message| marks::of(message, test_patients))
    }

    fn sent(
        &self,
        document: &dyn Document,
        received_ms: u64,
        zone: Option<&Offsets>,
    ) -> Option<Sent> {
        let message = document.as_any().downcast_ref::<Message>()?;
        let behind_ms = sent::behind_ms(&message.component("MSH", 7, 1)?, received_ms, zone)?;
        Some(Sent {
            path: "MSH-7",
            behind_ms,
        })
    }

    fn resend_bytes(&self, payload: &Payload, sink: &mut dyn FnMut(&[u8])) {
        header::resend_bytes(payload.text(), sink);
        for cut in payload.cuts() {
            sink(&cut.range.length.to_le_bytes());
        }
    }

    fn answer(&self, answer: &Answer<'_>) -> Option<SealedAnswer> {
        Some(answer::build(answer))
    }

    fn answer_mode(&self, document: &dyn Document) -> AnswerMode {
        let Some(message) = document.as_any().downcast_ref::<Message>() else {
            return AnswerMode::Original;
        };
        let (commit, application) = message.ack_conditions();
        if commit.is_none() && application.is_none() {
            return AnswerMode::Original;
        }
        AnswerMode::Enhanced {
            commit_on_success: commit.is_some_and(AckCondition::on_success),
            commit_on_error: commit.is_some_and(AckCondition::on_error),
            application_on_success: application.is_some_and(AckCondition::on_success),
            application_on_error: application.is_some_and(AckCondition::on_error),
        }
    }

    fn read_answer(&self, bytes: &[u8]) -> Result<PeerAnswer, String> {
        answer::read(bytes)
    }

    fn successors_depend(&self, identity: &Identity) -> bool {
        identity.message_type.as_deref().is_some_and(builds_on)
    }

    fn dialect(&self) -> Option<&dyn Dialect> {
        Some(&self.dialect)
    }

    fn target(&self, path: &str) -> Result<Target, String> {
        let compiled = Path::parse(path).map_err(|error| error.to_string())?;
        Ok(Target {
            text: path.to_owned(),
            compiled: Box::new(compiled),
        })
    }
}
