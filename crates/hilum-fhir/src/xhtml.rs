//! Narrative (FHIR R4 narrative.html): one well-formed `div` of XHTML, kept verbatim.
//!
//! Whether its elements and attributes are allowed is an invariant, which the validator checks.

use crate::lexical::has_control;
use crate::xml::{Event, Lexer, XHTML, attribute_value};

/// Why a text is no narrative; `None` if it is.
pub(crate) fn fault(text: &str) -> Option<&'static str> {
    if has_control(text.as_bytes()) {
        return Some("a control character");
    }
    let mut lexer = Lexer::new(text);
    let first = text.starts_with("<div").then(|| lexer.next());
    let Some(Ok(Event::Start { name: "div", empty })) = first else {
        return Some("not a `div` of XHTML");
    };
    let namespace = lexer.attributes.iter().find(|a| a.name == "xmlns");
    if namespace.is_none_or(|a| a.raw != XHTML) {
        return Some("a `div` without the namespace of XHTML");
    }
    let mut open = if empty { Vec::new() } else { vec!["div"] };
    while !open.is_empty() {
        match lexer.next() {
            Ok(Event::Start { name, empty: false }) => open.push(name),
            Ok(Event::End { name }) => {
                if open.pop() != Some(name) {
                    return Some("XHTML whose tags do not match");
                }
            }
            Ok(Event::Start { .. } | Event::Text { .. }) => {}
            Ok(Event::Eof) => return Some("XHTML that does not end"),
            Err(fault) => return Some(fault.text),
        }
    }
    // Not even a comment may follow: in XML it would stand outside.
    (lexer.at < text.len()).then_some("more than a `div`")
}

/// The text between the tags, white space between its parts.
pub(crate) fn text(xhtml: &str) -> String {
    let mut lexer = Lexer::new(xhtml);
    let mut words = String::new();
    loop {
        match lexer.next() {
            Ok(Event::Text { raw }) => {
                for word in attribute_value(raw).split_whitespace() {
                    if !words.is_empty() {
                        words.push(' ');
                    }
                    words.push_str(word);
                }
            }
            Ok(Event::Start { .. } | Event::End { .. }) => {}
            Ok(Event::Eof) | Err(_) => return words,
        }
    }
}
