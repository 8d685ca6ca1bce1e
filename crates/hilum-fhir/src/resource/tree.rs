//! A resource as expressions see it: elements by name without type, values with FHIR types.

use std::borrow::Cow;

use hilum_fhirpath::{NodeId, Scalar, Tree, Visit};

use super::{Node, Resource};
use crate::definitions::PrimitiveKind;

impl Tree for Resource {
    fn root(&self) -> NodeId {
        NodeId::default()
    }

    fn children(&self, of: NodeId, name: &str, visit: &mut Visit<'_>) {
        if let Some(node) = Node::from_id(self, of) {
            node.children_named(name)
                .for_each(|child| visit(child.id()));
        }
    }

    fn all_children(&self, of: NodeId, visit: &mut Visit<'_>) {
        if let Some(node) = Node::from_id(self, of) {
            node.children().for_each(|child| visit(child.id()));
        }
    }

    fn name(&self, node: NodeId) -> Cow<'_, str> {
        match Node::from_id(self, node) {
            Some(node) if node.index() != 0 => Cow::Borrowed(node.name()),
            _ => Cow::Borrowed(""),
        }
    }

    fn value(&self, node: NodeId) -> Option<Scalar<'_>> {
        let node = Node::from_id(self, node)?;
        let text = node.text()?;
        Some(scalar(node.type_def().primitive()?, text))
    }

    fn type_of(&self, node: NodeId) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
        let node = Node::from_id(self, node)?;
        Some((Cow::Borrowed("FHIR"), Cow::Borrowed(node.type_name())))
    }

    fn location(&self, node: NodeId) -> String {
        Node::from_id(self, node)
            .map(Node::path)
            .unwrap_or_default()
    }
}

/// The value of a primitive (FHIR R4 fhirpath.html#types).
fn scalar(kind: PrimitiveKind, text: &str) -> Scalar<'_> {
    match kind {
        PrimitiveKind::Boolean => Scalar::Boolean(text == "true"),
        PrimitiveKind::Integer | PrimitiveKind::PositiveInt | PrimitiveKind::UnsignedInt => {
            match text.parse() {
                Ok(number) => Scalar::Integer(number),
                Err(_) => Scalar::Decimal(Cow::Borrowed(text)),
            }
        }
        PrimitiveKind::Decimal => Scalar::Decimal(Cow::Borrowed(text)),
        PrimitiveKind::Date => Scalar::Date(Cow::Borrowed(text)),
        PrimitiveKind::DateTime | PrimitiveKind::Instant => Scalar::DateTime(Cow::Borrowed(text)),
        PrimitiveKind::Time => Scalar::Time(Cow::Borrowed(text)),
        PrimitiveKind::Base64Binary
        | PrimitiveKind::Canonical
        | PrimitiveKind::Code
        | PrimitiveKind::Id
        | PrimitiveKind::Markdown
        | PrimitiveKind::Oid
        | PrimitiveKind::String
        | PrimitiveKind::Uri
        | PrimitiveKind::Url
        | PrimitiveKind::Uuid
        | PrimitiveKind::Xhtml => Scalar::String(Cow::Borrowed(text)),
    }
}
