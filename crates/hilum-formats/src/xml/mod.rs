//! XML. Paths begin with the root element (`ClinicalDocument.id.`@root``).
//!
//! The type of a message is the name of its root element. Of a CDA document the id, and the
//! patient's identifiers with their roots as authorities, identify it.

use std::sync::Arc;

use hilum_component::{
    Build, ComponentSpec, Document, Example, Format, FormatOptions, Identity, Limit, ParseReject,
    Target,
};
use hilum_fhirpath::{NodeId, Scalar, Tree};
use hilum_message::Payload;
use hilum_tree::{Limits, XmlDocument};

use crate::tree_document::{TreeDocument, target};

/// What documentation, editor and checks know of the format.
pub(crate) fn spec() -> ComponentSpec {
    ComponentSpec {
        name: "xml",
        summary: "XML, kept as written: prefixes, quotes, white space, comments",
        schema: || serde_json::json!({ "type": "object", "additionalProperties": false }),
        shorthand: None,
        examples: &[Example {
            title: "A channel of XML",
            yaml: "format: xml",
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
                name: "document type declarations, entities",
                value: "none",
                beyond: "the message is rejected: nothing is expanded or fetched",
            },
            Limit {
                name: "character sets",
                value: "UTF-8, and single-byte sets that the XML declaration names",
                beyond: "the message is rejected",
            },
        ],
        build: Build::Format(build),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of the contract")]
fn build(_: &FormatOptions) -> Result<Arc<dyn Format>, String> {
    Ok(Arc::new(Xml))
}

struct Xml;

impl Format for Xml {
    fn name(&self) -> &'static str {
        "xml"
    }

    fn sniff(&self, start: &[u8]) -> bool {
        let start = start
            .strip_prefix(b"\xEF\xBB\xBF")
            .unwrap_or(start)
            .trim_ascii_start();
        start.first() == Some(&b'<')
            && start.get(1).is_some_and(|byte| {
                byte.is_ascii_alphabetic() || matches!(byte, b'?' | b'!' | b'_') || *byte >= 0x80
            })
    }

    fn parse(&self, payload: &Payload) -> Result<Box<dyn Document>, ParseReject> {
        TreeDocument::read("xml", payload, |text| {
            XmlDocument::parse(text, &Limits::default())
        })
    }

    fn identify(&self, document: &dyn Document) -> Identity {
        let tree = document.tree();
        let Some(root) = named(tree, tree.root(), None).into_iter().next() else {
            return Identity::default();
        };
        let mut identity = Identity {
            message_type: Some(tree.name(root).into_owned()),
            ..Identity::default()
        };
        if identity.message_type.as_deref() == Some("ClinicalDocument") {
            let ids = named(tree, root, Some("id"));
            let id = ids.first().and_then(|&id| identifier(tree, id));
            identity.control_id = id.map(|(extension, root)| match root {
                Some(root) => format!("{root}^{extension}"),
                None => extension,
            });
            for target in named(tree, root, Some("recordTarget")) {
                for role in named(tree, target, Some("patientRole")) {
                    let ids = named(tree, role, Some("id"));
                    identity
                        .patients
                        .extend(ids.iter().filter_map(|&id| identifier(tree, id)));
                }
            }
        }
        identity
    }

    fn target(&self, path: &str) -> Result<Target, String> {
        target(path)
    }
}

fn named(tree: &dyn Tree, of: NodeId, name: Option<&str>) -> Vec<NodeId> {
    let mut found = Vec::new();
    match name {
        Some(name) => tree.children(of, name, &mut |node| found.push(node)),
        None => tree.all_children(of, &mut |node| found.push(node)),
    }
    found
}

/// An instance identifier of HL7 version 3: the extension in the space of the root, or the root.
fn identifier(tree: &dyn Tree, id: NodeId) -> Option<(String, Option<String>)> {
    let attribute = |name| {
        let node = named(tree, id, Some(name)).into_iter().next()?;
        match tree.value(node) {
            Some(Scalar::String(text)) => Some(text.into_owned()),
            _ => None,
        }
    };
    match (attribute("@extension"), attribute("@root")) {
        (Some(extension), root) => Some((extension, root)),
        (None, Some(root)) => Some((root, None)),
        (None, None) => None,
    }
}
