//! JSON. Paths are names of properties (`Patient.name[0].family`), an array is a repetition.
//!
//! A FHIR resource is identified by its type and id; nothing else is known of what JSON means.

use std::sync::Arc;

use hilum_component::{
    Build, ComponentSpec, Document, Example, Format, FormatOptions, Identity, Limit, ParseReject,
    Target,
};
use hilum_message::Payload;
use hilum_tree::{JsonDocument, Limits};

use crate::tree_document::{TreeDocument, target};

/// What documentation, editor and checks know of the format.
pub(crate) fn spec() -> ComponentSpec {
    ComponentSpec {
        name: "json",
        summary: "JSON, kept as written: order, white space, numbers",
        schema: || serde_json::json!({ "type": "object", "additionalProperties": false }),
        shorthand: None,
        examples: &[Example {
            title: "A channel of JSON",
            yaml: "format: json",
            effect: None,
        }],
        limits: &[
            Limit {
                name: "bytes-max",
                value: "256MB",
                beyond: "the message is rejected",
            },
            Limit {
                name: "depth-max",
                value: "256",
                beyond: "the message is rejected",
            },
            Limit {
                name: "nodes-max",
                value: "8000000",
                beyond: "the message is rejected",
            },
            Limit {
                name: "duplicate keys",
                value: "none",
                beyond: "the message is rejected, because readers disagree about them",
            },
        ],
        build: Build::Format(build),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of the contract")]
fn build(_: &FormatOptions) -> Result<Arc<dyn Format>, String> {
    Ok(Arc::new(Json))
}

struct Json;

impl Format for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn sniff(&self, start: &[u8]) -> bool {
        let start = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start);
        matches!(start.trim_ascii_start().first(), Some(b'{' | b'['))
    }

    fn parse(&self, payload: &Payload) -> Result<Box<dyn Document>, ParseReject> {
        TreeDocument::read("json", payload, |text| {
            JsonDocument::parse(text, &Limits::default())
        })
    }

    fn identify(&self, document: &dyn Document) -> Identity {
        let tree = document.tree();
        let kind = tree.type_of(tree.root()).map(|(_, name)| name.into_owned());
        let mut id = None;
        if kind.is_some() {
            tree.children(tree.root(), "id", &mut |node| {
                if let Some(hilum_fhirpath::Scalar::String(text)) = tree.value(node) {
                    id.get_or_insert(text.into_owned());
                }
            });
        }
        Identity {
            control_id: id,
            message_type: kind,
            ..Identity::default()
        }
    }

    fn target(&self, path: &str) -> Result<Target, String> {
        target(path)
    }
}
