//! Values of primitives: their kind in JSON and their lexical form.

use super::lex::{Reader, Text};
use super::text::unescape;
use crate::definitions::PrimitiveKind;
use crate::lexical;
use crate::problem::IssueType;
use crate::report::Stop;

impl Reader<'_> {
    /// Reads the value of a primitive, which is next and of the right kind.
    pub(super) fn primitive(&mut self, node: u32, kind: PrimitiveKind) -> Result<(), Stop> {
        let at = self.at;
        let fault = if self.peek() == Some(b'"') {
            let Text { raw, start, plain } = self.string()?;
            if plain {
                let end = start + raw.len();
                self.builder.set_span(node, start, end, true);
                lexical::fault(kind, raw)
            } else if let Some(text) = unescape(raw) {
                self.builder.set_text(node, &text);
                lexical::fault(kind, &text)
            } else {
                Some("half of a surrogate pair")
            }
        } else {
            let start = match kind {
                PrimitiveKind::Boolean => self.word()?,
                _ => self.number()?,
            };
            self.builder.set_span(node, start, self.at, true);
            match kind {
                PrimitiveKind::Boolean | PrimitiveKind::Decimal => None,
                _ => lexical::fault(kind, self.text.get(start..self.at).unwrap_or_default()),
            }
        };
        match fault {
            None => Ok(()),
            Some(text) => {
                let path = self.path(node, "");
                self.report.add(IssueType::Value, at, path, text)
            }
        }
    }
}

/// Why a value that starts so cannot be of this kind (FHIR R4 json.html#primitive).
pub(super) fn wrong_kind(kind: PrimitiveKind, first: u8) -> Option<&'static str> {
    let (right, text) = match kind {
        PrimitiveKind::Boolean => (matches!(first, b't' | b'f'), "true or false expected"),
        PrimitiveKind::Integer
        | PrimitiveKind::UnsignedInt
        | PrimitiveKind::PositiveInt
        | PrimitiveKind::Decimal => (matches!(first, b'-' | b'0'..=b'9'), "a number expected"),
        PrimitiveKind::String
        | PrimitiveKind::Code
        | PrimitiveKind::Id
        | PrimitiveKind::Markdown
        | PrimitiveKind::Uri
        | PrimitiveKind::Url
        | PrimitiveKind::Canonical
        | PrimitiveKind::Oid
        | PrimitiveKind::Uuid
        | PrimitiveKind::Date
        | PrimitiveKind::DateTime
        | PrimitiveKind::Instant
        | PrimitiveKind::Time
        | PrimitiveKind::Base64Binary
        | PrimitiveKind::Xhtml => (first == b'"', "a string expected"),
    };
    (!right).then_some(text)
}
