//! Reads messages in XML, in the standard's encoding or in the flat one of Mirth Connect.
//!
//! Standard: groups, components named by data type (`CX.4`). Mirth: `HL7Message` as root, no groups, parts named by
//! position (`PID.3.1`), always with a component. In both the last number of a name is the position,
//! so that one reader serves both; prefixes and name spaces are not looked at.

use super::element::{Element, XmlError};
use super::write::is_escape;
use crate::charset::Charset;
use crate::delimiters::Delimiters;
use crate::escape;

/// The highest position of a field, component or subcomponent.
pub const XML_POSITION_MAX: usize = 1_024;

/// A message in XML as ER7, in UTF-8, with segments ended by CR.
///
/// A batch in one document gives its segments in order, a lone segment itself. An empty element keeps
/// its place.
pub fn read(xml: &[u8]) -> Result<Vec<u8>, XmlError> {
    let root = Element::parse(xml)?;
    let mut reader = Reader {
        delimiters: Delimiters::default(),
        out: Vec::new(),
    };
    if is_segment(&root) && !root.children.is_empty() {
        reader.segment(&root)?;
    } else {
        reader.group(&root)?;
    }
    if reader.out.is_empty() {
        return Err(XmlError::Content(
            "the document holds no segment".to_owned(),
        ));
    }
    Ok(reader.out)
}

struct Reader {
    delimiters: Delimiters,
    out: Vec<u8>,
}

/// A segment: letters and digits, no point as groups have, and only its own fields inside.
fn is_segment(element: &Element) -> bool {
    let name = element.name.as_bytes();
    let id = (2..=8).contains(&name.len()) && name.iter().all(u8::is_ascii_alphanumeric);
    let own = |child: &Element| {
        child
            .name
            .strip_prefix(&element.name)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    id && element.children.iter().all(own)
}

/// The position that a name ends in.
fn position(element: &Element) -> Result<usize, XmlError> {
    let number = element
        .name
        .rsplit_once('.')
        .and_then(|(_, number)| number.parse().ok());
    number
        .filter(|number| (1..=XML_POSITION_MAX).contains(number))
        .ok_or_else(|| {
            XmlError::Content(format!(
                "element {} names no position",
                shown(&element.name)
            ))
        })
}

/// A name of XML is ASCII here or is not shown.
fn shown(name: &str) -> &str {
    if name.len() <= 40 && name.is_ascii() {
        name
    } else {
        "with another name"
    }
}

impl Reader {
    fn group(&mut self, element: &Element) -> Result<(), XmlError> {
        for child in &element.children {
            if is_segment(child) {
                self.segment(child)?;
            } else {
                self.group(child)?;
            }
        }
        Ok(())
    }

    fn segment(&mut self, element: &Element) -> Result<(), XmlError> {
        let header = matches!(element.name.as_str(), "MSH" | "FHS" | "BHS");
        let mut fields: Vec<Vec<u8>> = Vec::new();
        if header {
            self.separators(element);
        }
        let mut last = 0;
        for child in &element.children {
            let number = position(child)?;
            let value = if header && number == 2 {
                text_of(child).into_bytes()
            } else {
                self.repetition(child)?
            };
            let again = number == last;
            if fields.len() < number {
                fields.resize(number, Vec::new());
            }
            if let Some(slot) = fields.get_mut(number.saturating_sub(1)) {
                if again {
                    slot.push(self.delimiters.repetition);
                } else {
                    slot.clear();
                }
                slot.extend(value);
            }
            last = number;
        }
        if header && !fields.is_empty() {
            // MSH-1 is the separator itself.
            fields.remove(0);
        }
        self.out.extend(element.name.as_bytes());
        for field in &fields {
            self.out.push(self.delimiters.field);
            self.out.extend(field);
        }
        self.out.push(b'\r');
        Ok(())
    }

    /// MSH-1 and MSH-2 as the document has them, where they can be used.
    fn separators(&mut self, element: &Element) {
        let text = |number: &str| {
            let wanted = format!("{}.{number}", element.name);
            element
                .children
                .iter()
                .find(|child| child.name == wanted)
                .map(text_of)
        };
        let field = text("1")
            .and_then(|text| text.bytes().next())
            .filter(|byte| Delimiters::usable(*byte));
        let encoding = text("2").unwrap_or_default();
        let standard = Delimiters::default();
        self.delimiters = Delimiters::read(field.unwrap_or(standard.field), encoding.as_bytes()).0;
    }

    fn repetition(&self, element: &Element) -> Result<Vec<u8>, XmlError> {
        let component = |inner: &Element| -> Result<Vec<u8>, XmlError> {
            self.divided(inner, self.delimiters.subcomponent, |deepest| {
                self.leaf(deepest)
            })
        };
        self.divided(element, self.delimiters.component, component)
    }

    /// The children by position, or the text where there are none.
    fn divided(
        &self,
        element: &Element,
        separator: u8,
        part: impl Fn(&Element) -> Result<Vec<u8>, XmlError>,
    ) -> Result<Vec<u8>, XmlError> {
        let is_part = |child: &&Element| child.name != "escape";
        if element.children.iter().find(is_part).is_none() {
            return self.leaf(element);
        }
        let mut parts: Vec<Vec<u8>> = Vec::new();
        for child in element.children.iter().filter(is_part) {
            let number = position(child)?;
            if parts.len() < number {
                parts.resize(number, Vec::new());
            }
            if let Some(slot) = parts.get_mut(number.saturating_sub(1)) {
                *slot = part(child)?;
            }
        }
        Ok(parts.join(&separator))
    }

    /// Text with `<escape V="..."/>` in it; deeper elements have no place in ER7.
    fn leaf(&self, element: &Element) -> Result<Vec<u8>, XmlError> {
        let mut out = Vec::new();
        let mut from = 0;
        for child in &element.children {
            let body = child
                .attribute("V")
                .filter(|body| child.name == "escape" && is_escape(body));
            let Some(body) = body else {
                let name = shown(&child.name);
                return Err(XmlError::Content(format!(
                    "element {name} lies deeper than a subcomponent"
                )));
            };
            self.append(
                &mut out,
                element.text.get(from..child.at).unwrap_or_default(),
            )?;
            out.push(self.delimiters.escape);
            out.extend(body.as_bytes());
            out.push(self.delimiters.escape);
            from = child.at;
        }
        self.append(&mut out, element.text.get(from..).unwrap_or_default())?;
        Ok(out)
    }

    fn append(&self, out: &mut Vec<u8>, text: &str) -> Result<(), XmlError> {
        let bytes = escape::escape(text, &self.delimiters, Charset::Utf8);
        out.extend(bytes.map_err(|_| XmlError::Encoding)?);
        Ok(())
    }
}

fn text_of(element: &Element) -> String {
    element.text.trim().to_owned()
}
