//! Opaque bytes: what hilum passes on without looking inside.
//!
//! The document has two names: `text`, where all bytes are UTF-8, and `base64`. Both can be
//! assigned and replace the whole.

use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hilum_component::{
    Build, ComponentSpec, Document, DocumentProblem, EditError, Example, Format, FormatOptions,
    Identity, Limit, ParseReject, Target,
};
use hilum_fhirpath::{NodeId, Scalar, Tree, Visit};
use hilum_message::Payload;

/// What documentation, editor and checks know of the format.
pub(crate) fn spec() -> ComponentSpec {
    ComponentSpec {
        name: "raw",
        summary: "bytes that are passed on as they are",
        schema: || serde_json::json!({ "type": "object", "additionalProperties": false }),
        shorthand: None,
        examples: &[Example {
            title: "Any file",
            yaml: "format: raw",
            effect: None,
        }],
        limits: &[Limit {
            name: "content",
            value: "opaque",
            beyond: "nothing is identified: order by patient or visit falls back to the channel",
        }],
        build: Build::Format(build),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of the contract")]
fn build(_: &FormatOptions) -> Result<Arc<dyn Format>, String> {
    Ok(Arc::new(Raw))
}

struct Raw;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    Text,
    Base64,
}

impl Format for Raw {
    fn name(&self) -> &'static str {
        "raw"
    }

    fn sniff(&self, _start: &[u8]) -> bool {
        true
    }

    fn parse(&self, payload: &Payload) -> Result<Box<dyn Document>, ParseReject> {
        Ok(Box::new(RawDocument {
            payload: payload.clone(),
            touched: false,
        }))
    }

    fn identify(&self, _document: &dyn Document) -> Identity {
        Identity::default()
    }

    fn target(&self, path: &str) -> Result<Target, String> {
        let name = match path {
            "text" => Name::Text,
            "base64" => Name::Base64,
            _ => return Err("a raw message has only `text` and `base64`".to_owned()),
        };
        Ok(Target {
            text: path.to_owned(),
            compiled: Box::new(name),
        })
    }
}

#[derive(Clone)]
struct RawDocument {
    payload: Payload,
    touched: bool,
}

const ROOT: NodeId = NodeId { hi: 0, lo: 0 };
const TEXT: NodeId = NodeId { hi: 1, lo: 0 };
const BASE64: NodeId = NodeId { hi: 2, lo: 0 };

impl RawDocument {
    fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.payload.as_inline()?).ok()
    }

    fn replace(&mut self, name: Name, value: &str) -> Result<(), EditError> {
        let bytes = match name {
            Name::Text => value.as_bytes().to_vec(),
            Name::Base64 => STANDARD.decode(value).map_err(|_| EditError {
                path: "base64".to_owned(),
                reason: "the value is not base64".to_owned(),
            })?,
        };
        self.payload = Payload::inline(bytes.into());
        self.touched = true;
        Ok(())
    }
}

impl Document for RawDocument {
    fn tree(&self) -> &dyn Tree {
        self
    }

    fn set(&mut self, target: &Target, values: &[String]) -> Result<(), EditError> {
        let refuse = |reason: &str| EditError {
            path: target.text.clone(),
            reason: reason.to_owned(),
        };
        let name = target.compiled.downcast_ref().copied();
        let name = name.ok_or_else(|| refuse("the path belongs to another format"))?;
        match values {
            [] => self.replace(name, ""),
            [value] => self.replace(name, value),
            _ => Err(refuse("several values for one place")),
        }
    }

    fn set_node(&mut self, node: NodeId, value: &str) -> Result<(), EditError> {
        self.replace(
            if node == BASE64 {
                Name::Base64
            } else {
                Name::Text
            },
            value,
        )
    }

    fn delete(&mut self, target: &Target) -> Result<(), EditError> {
        self.set(target, &[])
    }

    fn write(&self) -> Payload {
        self.payload.clone()
    }

    fn touched(&self) -> bool {
        self.touched
    }

    fn problems(&self) -> Vec<DocumentProblem> {
        Vec::new()
    }

    fn boxed_clone(&self) -> Box<dyn Document> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> &dyn Any {
        &self.payload
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self.touched = true;
        &mut self.payload
    }
}

impl Tree for RawDocument {
    fn root(&self) -> NodeId {
        ROOT
    }

    fn children(&self, of: NodeId, name: &str, visit: &mut Visit<'_>) {
        match name {
            "text" if of == ROOT && self.text().is_some() => visit(TEXT),
            "base64" if of == ROOT => visit(BASE64),
            _ => {}
        }
    }

    fn all_children(&self, of: NodeId, visit: &mut Visit<'_>) {
        self.children(of, "text", visit);
        self.children(of, "base64", visit);
    }

    fn name(&self, node: NodeId) -> Cow<'_, str> {
        match node {
            TEXT => "text".into(),
            BASE64 => "base64".into(),
            _ => "".into(),
        }
    }

    fn value(&self, node: NodeId) -> Option<Scalar<'_>> {
        match node {
            TEXT => self.text().map(|text| Scalar::String(text.into())),
            BASE64 => {
                let bytes = self.payload.as_inline()?;
                Some(Scalar::String(STANDARD.encode(bytes).into()))
            }
            _ => None,
        }
    }

    fn location(&self, node: NodeId) -> String {
        self.name(node).into_owned()
    }
}
