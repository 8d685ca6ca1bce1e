//! The text of a resource, for full-text searches (FHIR R4 search.html#text).

use std::borrow::Cow;

use crate::definitions::PrimitiveKind;
use crate::resource::Resource;

/// The text of the narrative, for `_text`: its tags gone.
#[must_use]
pub fn narrative_text(resource: &Resource) -> String {
    let root = resource.root();
    let div = root.child("text").and_then(|text| text.child_text("div"));
    div.map(crate::xhtml::text).unwrap_or_default()
}

/// Every text of the resource that people read, for `_content`.
#[must_use]
pub fn content_text(resource: &Resource) -> String {
    let mut content = String::new();
    for node in resource.nodes() {
        let (Some(text), Some(kind)) = (node.text(), node.type_def().primitive()) else {
            continue;
        };
        let text = match kind {
            PrimitiveKind::String
            | PrimitiveKind::Markdown
            | PrimitiveKind::Code
            | PrimitiveKind::Id
            | PrimitiveKind::Date
            | PrimitiveKind::DateTime
            | PrimitiveKind::Decimal
            | PrimitiveKind::Integer
            | PrimitiveKind::PositiveInt
            | PrimitiveKind::UnsignedInt => Cow::Borrowed(text),
            PrimitiveKind::Xhtml => Cow::Owned(crate::xhtml::text(text)),
            PrimitiveKind::Base64Binary
            | PrimitiveKind::Boolean
            | PrimitiveKind::Canonical
            | PrimitiveKind::Instant
            | PrimitiveKind::Oid
            | PrimitiveKind::Time
            | PrimitiveKind::Uri
            | PrimitiveKind::Url
            | PrimitiveKind::Uuid => continue,
        };
        if !content.is_empty() {
            content.push(' ');
        }
        content.push_str(&text);
    }
    content
}
