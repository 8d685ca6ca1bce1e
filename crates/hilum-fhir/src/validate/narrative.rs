//! Narrative: which markup it may have (FHIR R4 narrative.html), the rules txt-1 and txt-2.

use super::Check;
use crate::problem::{IssueType, Severity};
use crate::resource::Node;
use crate::xml::{Event, Lexer};

/// Elements of XHTML 1.0 chapters 7 to 11 and 15 without forms, frames and scripts.
const ELEMENTS: &[&str] = &[
    "a",
    "abbr",
    "acronym",
    "address",
    "area",
    "b",
    "bdo",
    "big",
    "blockquote",
    "br",
    "caption",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "kbd",
    "li",
    "map",
    "ol",
    "p",
    "pre",
    "q",
    "samp",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "tt",
    "ul",
    "var",
];

/// Elements that a paragraph cannot hold.
const BLOCKS: &[&str] = &[
    "address",
    "blockquote",
    "div",
    "dl",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "ol",
    "p",
    "pre",
    "table",
    "ul",
];

/// Attributes that any element may have.
const ANYWHERE: &[&str] = &[
    "abbr",
    "accesskey",
    "align",
    "axis",
    "cellpadding",
    "cellspacing",
    "char",
    "charoff",
    "class",
    "colspan",
    "dir",
    "headers",
    "id",
    "lang",
    "rowspan",
    "scope",
    "span",
    "style",
    "tabindex",
    "title",
    "valign",
    "width",
    "xml:lang",
    "xml:space",
];

/// Attributes that belong to certain elements.
const OF_ELEMENT: &[(&str, &[&str])] = &[
    (
        "a",
        &[
            "charset", "coords", "href", "hreflang", "name", "rel", "rev", "shape", "type",
        ],
    ),
    ("area", &["alt", "coords", "href", "nohref", "shape"]),
    ("blockquote", &["cite"]),
    ("div", &["xmlns"]),
    (
        "img",
        &[
            "alt", "border", "height", "ismap", "longdesc", "src", "usemap",
        ],
    ),
    ("li", &["value"]),
    ("map", &["name"]),
    ("ol", &["start", "type"]),
    ("pre", &["space"]),
    ("q", &["cite"]),
    ("table", &["border", "frame", "rules", "summary"]),
    ("td", &["height", "nowrap"]),
    ("th", &["height", "nowrap"]),
    ("ul", &["type"]),
];

/// Where a link of a narrative may lead.
const SCHEMES: &[&str] = &["http", "https", "tel", "mailto", "data", "cid", "ftp"];

/// What is wrong with the markup of a narrative.
#[derive(Default)]
struct Markup<'t> {
    faults: Vec<String>,
    has_content: bool,
    anchors: Vec<&'t str>,
    local_links: Vec<&'t str>,
}

impl Check<'_> {
    pub(super) fn narrative(&mut self, node: Node<'_>) {
        let Some(div) = node.child("div") else {
            return;
        };
        let Some(text) = div.text() else {
            return;
        };
        let markup = read(text);
        for fault in markup.faults {
            self.error(IssueType::Invariant, div, fault);
        }
        if !markup.has_content {
            let text = "txt-2: the narrative has neither text nor image";
            self.error(IssueType::Invariant, div, text);
        }
        let dangling = |link: &&str| !link.is_empty() && !markup.anchors.contains(link);
        if markup.local_links.iter().any(dangling) && !self.names_ids(node, &markup.local_links) {
            let text = "a link inside the narrative leads nowhere";
            // A Bundle may be shown as one page, where it leads to another resource.
            let severity = if node.nearest_resource().parent().is_some() {
                Severity::Warning
            } else {
                Severity::Error
            };
            self.report(severity, IssueType::Invariant, div, text);
        }
    }

    /// Links may lead to contained resources and to elements with an id as well.
    fn names_ids(&self, node: Node<'_>, links: &[&str]) -> bool {
        let holder = node.nearest_resource();
        let mut ids = Vec::new();
        gather_ids(holder, &mut ids);
        links.iter().all(|link| ids.contains(link))
    }
}

fn gather_ids<'r>(node: Node<'r>, into: &mut Vec<&'r str>) {
    for child in node.children() {
        if child.name() == "id" {
            into.extend(child.text());
        }
        gather_ids(child, into);
    }
}

fn read(text: &str) -> Markup<'_> {
    let mut markup = Markup::default();
    let mut lexer = Lexer::new(text);
    let mut paragraphs = 0_usize;
    loop {
        match lexer.next() {
            Ok(Event::Start { name, empty }) => {
                if paragraphs > 0 && BLOCKS.contains(&name) {
                    let text = format!("txt-1: element {name} is not allowed inside of p");
                    markup.faults.push(text);
                }
                paragraphs += usize::from(name == "p" && !empty);
                if !ELEMENTS.contains(&name) {
                    markup
                        .faults
                        .push(format!("txt-1: element {} is not allowed", plain(name)));
                }
                markup.has_content |= name == "img";
                for attribute in &lexer.attributes {
                    markup.attribute(name, attribute.name, attribute.raw);
                }
            }
            Ok(Event::Text { raw }) => markup.has_content |= !raw.trim().is_empty(),
            Ok(Event::End { name }) => {
                paragraphs = paragraphs.saturating_sub(usize::from(name == "p"));
            }
            // What reads resources has refused markup that does not end well.
            Ok(Event::Eof) | Err(_) => return markup,
        }
    }
}

impl<'t> Markup<'t> {
    fn attribute(&mut self, element: &str, name: &'t str, raw: &'t str) {
        let own = OF_ELEMENT.iter().find(|(of, _)| *of == element);
        let allowed = ANYWHERE.contains(&name)
            || own.is_some_and(|(_, names)| names.contains(&name))
            || name.starts_with("xmlns");
        if !allowed {
            let text = format!(
                "txt-1: attribute {} is not allowed on {}",
                plain(name),
                plain(element)
            );
            self.faults.push(text);
            return;
        }
        match name {
            "id" | "name" => self.anchors.push(raw),
            "href" => {
                if let Some(local) = raw.strip_prefix('#') {
                    self.local_links.push(local);
                } else if let Some((scheme, _)) = raw.split_once(':')
                    && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
                    && !SCHEMES.contains(&scheme)
                {
                    let text = format!("a link with the scheme {} is not allowed", plain(scheme));
                    self.faults.push(text);
                }
            }
            _ => {}
        }
    }
}

/// A name from the markup, as far as it may be repeated.
fn plain(name: &str) -> &str {
    crate::report::nameable(name)
}
