//! FHIR R4 resources in JSON or XML, told apart by their first character.
//!
//! Paths are FHIRPath (`Patient.name[0].family`). A resource is read strictly: what breaks the
//! structure of its type is rejected, with the place and the rule. Its answers are
//! OperationOutcomes in the form of the message.
//!
//! It does not validate beyond structure, and knows no server.

mod answer;
mod document;
mod identity;
mod marks;
mod place;

use std::sync::Arc;

use hilum_component::{
    Answer, Build, ComponentSpec, Document, Example, Format, FormatOptions, Identity, Limit, Marks,
    ParseReject, PeerAnswer, SealedAnswer, Target, TestPatients,
};
use hilum_fhir::{Limits, Problems, Resource, json, xml};
use hilum_message::{Payload, Tokens};

use document::FhirDocument;
use place::Place;

/// What documentation, editor and checks know of the format.
pub(crate) fn spec() -> ComponentSpec {
    ComponentSpec {
        name: "fhir",
        summary: "FHIR R4 resources, in JSON or XML, read strictly",
        schema: || serde_json::json!({ "type": "object", "additionalProperties": false }),
        shorthand: None,
        examples: &[Example {
            title: "A channel of resources",
            yaml: "format: fhir",
            effect: None,
        }],
        limits: &[
            Limit {
                name: "bytes-max",
                value: "50MB, without attachments",
                beyond: "the message is rejected",
            },
            Limit {
                name: "depth-max",
                value: "100",
                beyond: "the message is rejected",
            },
            Limit {
                name: "nodes-max",
                value: "5000000",
                beyond: "the message is rejected",
            },
            Limit {
                name: "versions",
                value: "R4 (4.0.1)",
                beyond: "an element that R4 does not have is a fault of the message",
            },
            Limit {
                name: "changes",
                value: "of values, by path; the structure of the type is kept",
                beyond: "a resource that was changed is written anew, without white space",
            },
        ],
        build: Build::Format(build),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of the contract")]
fn build(_: &FormatOptions) -> Result<Arc<dyn Format>, String> {
    Ok(Arc::new(Fhir))
}

/// The two forms of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Xml,
}

impl Form {
    /// The form of a text; what is neither is read as JSON, which says what is wrong with it.
    fn of(text: &[u8]) -> Self {
        match text.trim_ascii_start().first() {
            Some(b'<') => Self::Xml,
            Some(_) | None => Self::Json,
        }
    }

    fn parse(self, text: &[u8]) -> Result<Resource, Problems> {
        match self {
            Self::Json => json::parse(text, &Limits::default()),
            Self::Xml => xml::parse(text, &Limits::default()),
        }
    }
}

/// The text without the mark that some senders put before it.
fn unmarked(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text)
}

struct Fhir;

impl Format for Fhir {
    fn name(&self) -> &'static str {
        "fhir"
    }

    /// JSON that names a resource type, or XML in the namespace of FHIR.
    fn sniff(&self, start: &[u8]) -> bool {
        let start = unmarked(start).trim_ascii_start();
        let sign: &[u8] = match start.first() {
            Some(b'{') => b"\"resourceType\"",
            Some(b'<') => b"http://hl7.org/fhir",
            Some(_) | None => return false,
        };
        memchr::memmem::find(start, sign).is_some()
    }

    fn parse(&self, payload: &Payload) -> Result<Box<dyn Document>, ParseReject> {
        let (text, attachments) = Tokens::embed(payload);
        let text = unmarked(&text);
        let form = Form::of(text);
        let resource = form.parse(text).map_err(|problems| ParseReject {
            format: "fhir",
            reason: problems.to_string(),
        })?;
        Ok(Box::new(FhirDocument::new(
            resource,
            form,
            payload.clone(),
            attachments,
        )))
    }

    fn identify(&self, document: &dyn Document) -> Identity {
        let resource = document.as_any().downcast_ref::<Resource>();
        resource.map(identity::of).unwrap_or_default()
    }

    fn marks(&self, document: &dyn Document, _test_patients: &[TestPatients]) -> Marks {
        let resource = document.as_any().downcast_ref::<Resource>();
        resource.map(marks::of).unwrap_or_default()
    }

    /// The id of a resource names what the message is about and comes again with every change;
    /// only a Bundle is a message of its own.
    fn control_id_names_message(&self, identity: &Identity) -> bool {
        identity.control_id.is_some() && identity.message_type.as_deref() == Some("Bundle")
    }

    fn answer(&self, answer: &Answer<'_>) -> Option<SealedAnswer> {
        Some(answer::build(answer))
    }

    fn read_answer(&self, bytes: &[u8]) -> Result<PeerAnswer, String> {
        answer::read(bytes)
    }

    fn target(&self, path: &str) -> Result<Target, String> {
        let compiled = Place::parse(path)?;
        Ok(Target {
            text: path.to_owned(),
            compiled: Box::new(compiled),
        })
    }

    /// Attributes of XML may stand in single quotes.
    fn ends_attachment(&self, byte: u8) -> bool {
        matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'\r' | b'\n')
    }
}
