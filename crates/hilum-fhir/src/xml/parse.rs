//! From XML to a resource.

use std::borrow::Cow;

use super::XHTML;
use super::lex::{Attribute, Event, Fault, Lexer, attribute_value};
use super::namespace::{Namespace, Namespaces};
use crate::definitions::{Child, Definitions, ElementId, PrimitiveKind};
use crate::lexical;
use crate::limits::Limits;
use crate::problem::{IssueType, Problems};
use crate::report::{Report, Stop, nameable};
use crate::resource::{Builder, Kind, NONE, Node, Resource, definitions};

pub(super) fn parse(bytes: &[u8], limits: &Limits) -> Result<Resource, Problems> {
    let bytes_max = limits.bytes_max.min(u32::MAX as usize / 2);
    if bytes.len() > bytes_max {
        let mut report = Report::new(bytes, limits.problems_max);
        let text = format!("longer than {bytes_max} bytes");
        let stop = report.fatal(IssueType::TooLong, 0, text);
        return report.conclude(Err(stop));
    }
    let text = match decode(bytes) {
        Ok(text) => text,
        Err(at) => {
            let mut report = Report::new(bytes, limits.problems_max);
            let stop = report.fatal(IssueType::Structure, at, "not UTF-8");
            return report.conclude(Err(stop));
        }
    };
    if lexical::has_control(text.as_bytes()) {
        let mut report = Report::new(bytes, limits.problems_max);
        let control = |byte: &u8| lexical::has_control(&[*byte]);
        let at = bytes.iter().position(control).unwrap_or_default();
        let stop = report.fatal(IssueType::Structure, at, "not XML: a control character");
        return report.conclude(Err(stop));
    }
    let mut reader = Reader {
        text,
        lexer: Lexer::new(text),
        limits,
        definitions: definitions(),
        builder: Builder::new(text),
        report: Report::new(text.as_bytes(), limits.problems_max),
        namespaces: Namespaces::default(),
    };
    let answer = reader.document();
    let Reader {
        builder, report, ..
    } = reader;
    report.conclude(answer.map(|()| builder.finish()))
}

/// The text without byte order mark; the place of the first byte that is none. Resources are in
/// UTF-8 (FHIR R4 xml.html).
fn decode(bytes: &[u8]) -> Result<&str, usize> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| error.valid_up_to())
}

struct Reader<'s> {
    text: &'s str,
    lexer: Lexer<'s>,
    limits: &'s Limits,
    definitions: &'static Definitions,
    builder: Builder,
    report: Report<'s>,
    namespaces: Namespaces<'s>,
}

/// An element whose content is being read.
struct Open<'s> {
    tag: &'s str,
    node: u32,
    scope: ElementId,
    depth: usize,
    last: u32,
    /// The element of the last child, for the order.
    order: Option<ElementId>,
}

/// A start tag.
#[derive(Clone, Copy)]
struct Tag<'s> {
    at: usize,
    /// As written.
    name: &'s str,
    local: &'s str,
    empty: bool,
}

impl<'s> Reader<'s> {
    fn stop(&mut self, fault: Fault) -> Stop {
        let text = format!("not XML: {}", fault.text);
        self.report.fatal(IssueType::Structure, fault.at, text)
    }

    fn expected(&mut self, what: &'static str) -> Stop {
        let at = self.lexer.at;
        self.stop(Fault { at, text: what })
    }

    fn next(&mut self) -> Result<Event<'s>, Stop> {
        self.lexer.next().map_err(|fault| self.stop(fault))
    }

    fn path(&mut self, node: u32, name: &str) -> String {
        let mut path = self
            .builder
            .with_resource(|resource| Node::new(resource, node).path());
        if !name.is_empty() {
            path.push('.');
            path.push_str(nameable(name));
        }
        path
    }

    fn add(
        &mut self,
        (node, name): (u32, &str),
        at: usize,
        code: IssueType,
        text: impl Into<Cow<'static, str>>,
    ) -> Result<(), Stop> {
        let path = self.path(node, name);
        self.report.add(code, at, path, text)
    }

    fn document(&mut self) -> Result<(), Stop> {
        if let Err(fault) = self.lexer.declaration() {
            return Err(self.stop(fault));
        }
        let tag = loop {
            let event = self.next()?;
            let at = self.lexer.began;
            match event {
                Event::Text { raw } if is_blank(raw) => {}
                Event::Start { name, empty } => break self.tag(at, name, empty, 1)?,
                _ => return Err(self.expected("an element expected")),
            }
        };
        let Some(kind) = self.resource_kind(tag, None)? else {
            return Err(Stop);
        };
        let root = self.push(NONE, NONE, kind, tag.at)?;
        self.content(tag, root, kind, 1)?;
        loop {
            match self.next()? {
                Event::Text { raw } if is_blank(raw) => {}
                Event::Eof => return Ok(()),
                _ => return Err(self.expected("the end expected")),
            }
        }
    }

    fn push(&mut self, parent: u32, after: u32, kind: Kind, place: usize) -> Result<u32, Stop> {
        if self.builder.len() >= self.limits.nodes_max {
            let text = format!("more than {} elements", self.limits.nodes_max);
            return Err(self.report.fatal(IssueType::TooLong, place, text));
        }
        Ok(self.builder.push(parent, after, kind, place))
    }

    /// Takes in the namespaces of the start tag that was just read.
    fn tag(
        &mut self,
        at: usize,
        name: &'s str,
        empty: bool,
        depth: usize,
    ) -> Result<Tag<'s>, Stop> {
        if depth > self.limits.depth_max {
            let text = format!("nested deeper than {} levels", self.limits.depth_max);
            return Err(self.report.fatal(IssueType::TooLong, at, text));
        }
        if !self.namespaces.enter(depth, &self.lexer.attributes) {
            let text = "more than 100 namespaces within each other";
            return Err(self.report.fatal(IssueType::TooLong, at, text));
        }
        let local = name.split_once(':').map_or(name, |(_, local)| local);
        Ok(Tag {
            at,
            name,
            local,
            empty,
        })
    }

    /// What the tag of a resource stands for, where there is such a type; reports it otherwise.
    fn resource_kind(
        &mut self,
        tag: Tag<'s>,
        place: Option<(u32, &str, ElementId)>,
    ) -> Result<Option<Kind>, Stop> {
        let ty = self.definitions.type_named(tag.local).filter(|ty| {
            let def = self.definitions.type_def(*ty);
            def.is_resource() && !def.is_abstract
        });
        let own = self.namespaces.of(tag.name) == Namespace::Fhir;
        let (Some(ty), true) = (ty, own) else {
            let (code, text) = if own {
                let text = format!("there is no resource type `{}`", nameable(tag.local));
                (IssueType::Value, Cow::Owned(text))
            } else {
                let text = "not in the namespace http://hl7.org/fhir";
                (IssueType::Structure, Cow::Borrowed(text))
            };
            let path = place.map(|(node, name, _)| self.path(node, name));
            let path = path.unwrap_or_default();
            self.report.add(code, tag.at, path, text)?;
            return Ok(None);
        };
        let scope = self.definitions.type_def(ty).root;
        Ok(Some(Kind {
            element: place.map_or(scope, |(_, _, element)| element),
            ty,
            scope,
        }))
    }

    /// Reads attributes and content of the tag that was just read, up to its end tag.
    fn content(&mut self, tag: Tag<'s>, node: u32, kind: Kind, depth: usize) -> Result<(), Stop> {
        let primitive = self.definitions.type_def(kind.ty).primitive();
        let mut open = Open {
            tag: tag.name,
            node,
            scope: kind.scope,
            depth,
            last: NONE,
            order: None,
        };
        let attributes = std::mem::take(&mut self.lexer.attributes);
        for attribute in &attributes {
            self.attribute(&mut open, *attribute, primitive)?;
        }
        self.lexer.attributes = attributes;
        if !tag.empty {
            self.children(&mut open)?;
        }
        // A resource may be empty, as `{"resourceType":"Patient"}` is.
        let resource = self.definitions.type_def(kind.ty).is_resource();
        let empty = crate::resource::Entry::is_empty;
        if !resource && self.builder.entry(node).is_some_and(empty) {
            self.add((node, ""), tag.at, IssueType::Structure, "an empty element")?;
        }
        Ok(())
    }

    fn attribute(
        &mut self,
        open: &mut Open<'s>,
        attribute: Attribute<'s>,
        primitive: Option<PrimitiveKind>,
    ) -> Result<(), Stop> {
        let Attribute { name, at, .. } = attribute;
        if name == "xmlns" || name.starts_with("xmlns:") {
            return Ok(());
        }
        if name.contains(':') {
            if self.namespaces.of(name) == Namespace::SchemaInstance {
                return Ok(());
            }
            return self.add(
                (open.node, ""),
                at,
                IssueType::Structure,
                "unknown attribute",
            );
        }
        if let (Some(kind), "value") = (primitive, name) {
            return self.value(open.node, kind, attribute);
        }
        let known = self.definitions.child(open.scope, name);
        let known = known.filter(|c| self.definitions.element(c.element).xml_attribute);
        let (Some(child), Some(kind)) = (
            known,
            known.and_then(|c| self.definitions.type_def(c.ty).primitive()),
        ) else {
            let text = format!("unknown attribute `{}`", nameable(name));
            return self.add((open.node, ""), at, IssueType::Structure, text);
        };
        let node = self.push(open.node, open.last, kind_of(&child), at)?;
        open.last = node;
        self.value(node, kind, attribute)
    }

    fn value(
        &mut self,
        node: u32,
        kind: PrimitiveKind,
        attribute: Attribute<'s>,
    ) -> Result<(), Stop> {
        let value = attribute_value(attribute.raw);
        match &value {
            Cow::Borrowed(raw) => {
                let end = attribute.at + raw.len();
                self.builder
                    .set_span(node, attribute.at, end, is_plain(raw));
            }
            Cow::Owned(text) => self.builder.set_text(node, text),
        }
        match lexical::fault(kind, &value) {
            Some(text) => self.add((node, ""), attribute.at, IssueType::Value, text),
            None => Ok(()),
        }
    }

    /// Reads child elements up to the end tag.
    fn children(&mut self, open: &mut Open<'s>) -> Result<(), Stop> {
        loop {
            let event = self.next()?;
            let at = self.lexer.began;
            match event {
                Event::Text { raw } if is_blank(raw) => {}
                Event::Text { .. } => {
                    let text = "text between elements";
                    self.add((open.node, ""), at, IssueType::Structure, text)?;
                }
                Event::Start { name, empty } => {
                    let tag = self.tag(at, name, empty, open.depth + 1)?;
                    self.child(open, tag)?;
                }
                Event::End { name } if name == open.tag => return Ok(()),
                Event::End { .. } | Event::Eof => {
                    return Err(self.expected("the end tag of the open element expected"));
                }
            }
        }
    }

    fn child(&mut self, open: &mut Open<'s>, tag: Tag<'s>) -> Result<(), Stop> {
        let Some(child) = self.known_child(open, tag)? else {
            return self.skip(tag);
        };
        let def = self.definitions.element(child.element);
        match open.order {
            Some(before) if before > child.element => {
                let text = "an element out of the order of the standard";
                self.add((open.node, tag.local), tag.at, IssueType::Structure, text)?;
            }
            Some(before) if before == child.element && !def.is_list() => {
                let text = "one value expected, not several";
                self.add((open.node, tag.local), tag.at, IssueType::Structure, text)?;
            }
            _ => {}
        }
        open.order = open.order.max(Some(child.element));
        let primitive = self.definitions.type_def(child.ty).primitive();
        if primitive == Some(PrimitiveKind::Xhtml) {
            let node = self.push(open.node, open.last, kind_of(&child), tag.at)?;
            open.last = node;
            return self.narrative(node, tag);
        }
        if child.ty == self.definitions.known().resource {
            return self.inner(open, tag, &child);
        }
        let node = self.push(open.node, open.last, kind_of(&child), tag.at)?;
        open.last = node;
        self.content(tag, node, kind_of(&child), open.depth + 1)
    }

    /// What the tag of a child stands for; reports one that stands for nothing.
    fn known_child(&mut self, open: &Open<'s>, tag: Tag<'s>) -> Result<Option<Child>, Stop> {
        let known = self.definitions.child(open.scope, tag.local);
        let namespace = self.namespaces.of(tag.name);
        let known = known.filter(|child| {
            let xhtml = self.definitions.type_def(child.ty).primitive();
            let own = if xhtml == Some(PrimitiveKind::Xhtml) {
                Namespace::Xhtml
            } else {
                Namespace::Fhir
            };
            namespace == own && !self.definitions.element(child.element).xml_attribute
        });
        if known.is_none() {
            let text = if namespace == Namespace::Fhir {
                format!("unknown element `{}`", nameable(tag.local))
            } else {
                format!("unknown element `{}` of its namespace", nameable(tag.local))
            };
            self.add((open.node, ""), tag.at, IssueType::Structure, text)?;
        }
        Ok(known)
    }

    /// Reads an element that holds a resource.
    fn inner(&mut self, open: &mut Open<'s>, outer: Tag<'s>, child: &Child) -> Result<(), Stop> {
        let depth = open.depth + 1;
        let (mut found, mut inside) = (false, !outer.empty);
        while inside {
            let event = self.next()?;
            let at = self.lexer.began;
            match event {
                Event::Text { raw } if is_blank(raw) => {}
                Event::Start { name, empty } if !found => {
                    found = true;
                    let tag = self.tag(at, name, empty, depth + 1)?;
                    let place = Some((open.node, outer.local, child.element));
                    match self.resource_kind(tag, place)? {
                        Some(kind) => {
                            let node = self.push(open.node, open.last, kind, outer.at)?;
                            open.last = node;
                            self.content(tag, node, kind, depth + 1)?;
                        }
                        None => self.skip(tag)?,
                    }
                }
                Event::Start { name, empty } => {
                    let tag = self.tag(at, name, empty, depth + 1)?;
                    let text = "more than one resource";
                    self.add((open.node, outer.local), at, IssueType::Structure, text)?;
                    self.skip(tag)?;
                }
                Event::End { name } if name == outer.name => inside = false,
                _ => return Err(self.expected("the end tag of the open element expected")),
            }
        }
        if !found {
            let text = "a resource expected";
            self.add(
                (open.node, outer.local),
                outer.at,
                IssueType::Structure,
                text,
            )?;
        }
        Ok(())
    }

    /// Passes over the rest of an element.
    fn skip(&mut self, tag: Tag<'s>) -> Result<(), Stop> {
        if tag.empty {
            return Ok(());
        }
        let mut open = vec![tag.name];
        while let Some(innermost) = open.last() {
            match self.lexer.next() {
                Ok(Event::Start { name, empty: false }) => open.push(name),
                Ok(Event::End { name }) if name == *innermost => {
                    open.pop();
                }
                Ok(Event::Start { .. } | Event::Text { .. }) => {}
                Ok(Event::End { .. } | Event::Eof) => {
                    return Err(self.expected("the end tag of the open element expected"));
                }
                Err(fault) => return Err(self.stop(fault)),
            }
        }
        Ok(())
    }

    /// Takes a `div` as it is written.
    fn narrative(&mut self, node: u32, tag: Tag<'s>) -> Result<(), Stop> {
        let own = self.lexer.attributes.iter().any(|a| a.name == "xmlns");
        self.skip(tag)?;
        let end = self.lexer.at;
        let raw = self.text.get(tag.at..end).unwrap_or_default();
        if tag.name != tag.local {
            let text = "XHTML with a prefix is not supported: declare its namespace on the `div`";
            return self.add((node, ""), tag.at, IssueType::NotSupported, text);
        }
        if own {
            self.builder.set_span(node, tag.at, end, is_plain(raw));
            return Ok(());
        }
        // The namespace was declared further out; the text has to say it itself.
        let rest = raw.strip_prefix("<div").unwrap_or_default();
        let whole = format!("<div xmlns=\"{XHTML}\"{rest}");
        self.builder.set_text(node, &whole);
        Ok(())
    }
}

const fn kind_of(child: &Child) -> Kind {
    Kind {
        element: child.element,
        ty: child.ty,
        scope: child.scope,
    }
}

/// The text stands in a string of JSON as it is.
fn is_plain(text: &str) -> bool {
    !text
        .bytes()
        .any(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1F))
}

/// White space between elements, of which XML knows four characters.
fn is_blank(text: &str) -> bool {
    let blank = |byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    text.bytes().all(blank)
}
