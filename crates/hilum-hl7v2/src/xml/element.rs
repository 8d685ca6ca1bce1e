//! A small tree of XML elements, for profiles and for messages in XML.
//!
//! No document type, no entities but the five of XML and character references, no namespaces beyond
//! ignoring prefixes, no comments or instructions. Bytes, depth and number of elements are bounded.

use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;

/// Bytes of a document that is read.
pub const XML_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Nesting of elements.
pub const XML_DEPTH_MAX: usize = 64;
/// Elements of a document.
pub const XML_ELEMENTS_MAX: usize = 2_000_000;

/// Why XML cannot be read. Texts hold no content of the document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum XmlError {
    /// Not well formed.
    #[error("the document is not well-formed XML at byte {0}")]
    Malformed(u64),
    /// Holds a document type definition.
    #[error("the document has a document type, which is refused")]
    DocumentType,
    /// Holds a reference to an entity that it would have to define.
    #[error("the document refers to an entity that is not one of XML's own")]
    Entity,
    /// Not UTF-8.
    #[error("the document is not UTF-8")]
    Encoding,
    /// Larger than [`XML_BYTES_MAX`], deeper than [`XML_DEPTH_MAX`] or more than [`XML_ELEMENTS_MAX`].
    #[error("the document exceeds the limit of {0}")]
    Limit(&'static str),
    /// No root element.
    #[error("the document has no root element")]
    Empty,
    /// The root is not what it is to be.
    #[error("the root element is not {0}")]
    Root(&'static str),
    /// An attribute or element is missing or unreadable.
    #[error("{0}")]
    Content(String),
}

/// An element without its prefix.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) children: Vec<Element>,
    /// All text directly in it.
    pub(crate) text: String,
    /// How much of its parent's text stands before it.
    pub(crate) at: usize,
}

impl Element {
    /// Reads a document and gives its root.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        if bytes.len() > XML_BYTES_MAX {
            return Err(XmlError::Limit("bytes"));
        }
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let text = std::str::from_utf8(bytes).map_err(|_| XmlError::Encoding)?;
        let mut reader = Reader::from_str(text);
        let mut open: Vec<Self> = Vec::new();
        let mut count: usize = 0;
        loop {
            let event = reader
                .read_event()
                .map_err(|_| XmlError::Malformed(reader.error_position()))?;
            let before = open.last().map_or(0, |parent| parent.text.len());
            match event {
                Event::Start(start) => {
                    count = count.saturating_add(1);
                    check(open.len(), count)?;
                    open.push(Self::begin(&start, before, reader.buffer_position())?);
                }
                Event::Empty(start) => {
                    count = count.saturating_add(1);
                    check(open.len(), count)?;
                    let element = Self::begin(&start, before, reader.buffer_position())?;
                    match open.last_mut() {
                        Some(parent) => parent.children.push(element),
                        None => return Ok(element),
                    }
                }
                Event::End(_) => {
                    let Some(element) = open.pop() else {
                        return Err(XmlError::Malformed(reader.buffer_position()));
                    };
                    match open.last_mut() {
                        Some(parent) => parent.children.push(element),
                        None => return Ok(element),
                    }
                }
                Event::Text(text) => append(&mut open, &text.xml10_content()),
                Event::CData(text) => append(&mut open, &text.xml10_content()),
                Event::GeneralRef(reference) => {
                    let mut buffer = [0; 4];
                    append(&mut open, resolve(&reference)?.encode_utf8(&mut buffer));
                }
                Event::DocType(_) => return Err(XmlError::DocumentType),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
                Event::Eof if open.is_empty() => return Err(XmlError::Empty),
                Event::Eof => return Err(XmlError::Malformed(reader.buffer_position())),
            }
        }
    }

    fn begin(start: &BytesStart<'_>, before: usize, at: u64) -> Result<Self, XmlError> {
        let mut element = Self {
            name: local(start.name().0).to_owned(),
            at: before,
            ..Self::default()
        };
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|_| XmlError::Malformed(at))?;
            let value = attribute.normalized_value(XmlVersion::Explicit1_0);
            let value = value.map_err(|_| XmlError::Entity)?.into_owned();
            element.attributes.push((attribute.key.0.to_owned(), value));
        }
        Ok(element)
    }

    /// An attribute that has a value.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(key, _)| key == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// An attribute that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, XmlError> {
        let missing = || XmlError::Content(format!("element {} lacks attribute {name}", self.name));
        self.attribute(name).ok_or_else(missing)
    }

    /// The first child of a name.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All children of a name.
    pub(crate) fn children_named<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Self> {
        self.children.iter().filter(move |child| child.name == name)
    }
}

/// The name without its prefix.
fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

fn check(depth: usize, count: usize) -> Result<(), XmlError> {
    if depth >= XML_DEPTH_MAX {
        return Err(XmlError::Limit("depth"));
    }
    if count > XML_ELEMENTS_MAX {
        return Err(XmlError::Limit("elements"));
    }
    Ok(())
}

fn append(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

fn resolve(reference: &BytesRef<'_>) -> Result<char, XmlError> {
    if let Some(letter) = reference.resolve_char_ref().map_err(|_| XmlError::Entity)? {
        return Ok(letter);
    }
    match &**reference {
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "amp" => Ok('&'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => Err(XmlError::Entity),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_elements_attributes_and_text() {
        let text = "<?xml version=\"1.0\"?><!-- c --><h:a x=\"1 &lt; 2\"><b/>t&amp;&#65;<![CDATA[<c>]]></h:a>";
        let root = Element::parse(text.as_bytes()).expect("document");
        assert_eq!(
            (root.name.as_str(), root.attribute("x"), root.text.as_str()),
            ("a", Some("1 < 2"), "t&A<c>")
        );
        assert_eq!((root.children.len(), root.child("b").is_some()), (1, true));
    }

    #[test]
    fn refuses_what_is_not_plain_xml() {
        let check = |text: &str, expected: fn(&XmlError) -> bool| {
            let error = Element::parse(text.as_bytes()).expect_err("refused");
            assert!(expected(&error), "{text} {error:?}");
        };
        check("<!DOCTYPE a [<!ENTITY e \"x\">]><a>&e;</a>", |error| {
            *error == XmlError::DocumentType
        });
        check("<a>&e;</a>", |error| *error == XmlError::Entity);
        check("<a x=\"&e;\"/>", |error| *error == XmlError::Entity);
        check("", |error| *error == XmlError::Empty);
        check("<a><b></a>", |error| {
            matches!(error, XmlError::Malformed(_))
        });
        check("<a>", |error| matches!(error, XmlError::Malformed(_)));
        let deep = "<a>".repeat(XML_DEPTH_MAX + 1);
        check(&deep, |error| *error == XmlError::Limit("depth"));
        assert!(Element::parse(b"<a>\xFF</a>").is_err());
    }
}
