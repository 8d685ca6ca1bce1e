//! From JSON to a resource.

use std::borrow::Cow;

use super::lex::Reader;
use super::primitive::wrong_kind;
use super::text::unescape;
use crate::definitions::{Child, ElementId, PrimitiveKind, TypeId};
use crate::limits::Limits;
use crate::problem::{IssueType, Problems};
use crate::report::{Report, Stop, nameable};
use crate::resource::{Builder, Kind, NONE, Node, Resource, definitions};

const BYTE_ORDER_MARK: &str = "\u{FEFF}";

pub(super) fn parse(bytes: &[u8], limits: &Limits) -> Result<Resource, Problems> {
    let mut report = Report::new(bytes, limits.problems_max);
    // Positions have 32 bits, and what is unescaped is kept behind what was read.
    let bytes_max = limits.bytes_max.min(u32::MAX as usize / 2);
    if bytes.len() > bytes_max {
        let text = format!("longer than {bytes_max} bytes");
        let stop = report.fatal(IssueType::TooLong, 0, text);
        return report.conclude(Err(stop));
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let stop = report.fatal(IssueType::Structure, error.valid_up_to(), "not UTF-8");
            return report.conclude(Err(stop));
        }
    };
    let mut reader = Reader {
        text,
        source: bytes,
        at: if text.starts_with(BYTE_ORDER_MARK) {
            BYTE_ORDER_MARK.len()
        } else {
            0
        },
        limits,
        definitions: definitions(),
        builder: Builder::new(text),
        report,
        seen: Vec::new(),
        ahead: 0,
    };
    let answer = reader.document();
    let Reader {
        builder, report, ..
    } = reader;
    report.conclude(answer.map(|()| builder.finish()))
}

/// A property that an open object has had.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    ResourceType,
    Element {
        element: ElementId,
        ty: TypeId,
        aside: bool,
    },
}

/// What an object is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Resource,
    Element,
}

/// An object whose properties are being read.
struct Open {
    node: u32,
    scope: ElementId,
    form: Form,
    depth: usize,
    /// Its last child so far.
    last: u32,
    /// Where its properties start in [`Reader::seen`].
    seen: usize,
    /// There was a null in one of its arrays.
    nulls: bool,
}

/// A property of an open object.
#[derive(Clone, Copy)]
struct Property<'k> {
    name: &'k str,
    child: Child,
    primitive: Option<PrimitiveKind>,
    /// It is written with `_`: what a primitive has besides its value.
    aside: bool,
}

impl<'s> Reader<'s> {
    fn document(&mut self) -> Result<(), Stop> {
        self.blank();
        if self.peek() != Some(b'{') {
            return Err(self.expected("an object"));
        }
        let start = self.at;
        let Some(ty) = self.resource_type(None)? else {
            return Err(Stop);
        };
        let scope = self.definitions.type_def(ty).root;
        let kind = Kind {
            element: scope,
            ty,
            scope,
        };
        let root = self.push(NONE, NONE, kind, start)?;
        self.object(root, scope, Form::Resource, 1)?;
        self.blank();
        if self.at != self.source.len() {
            return Err(self.expected("the end"));
        }
        Ok(())
    }

    fn push(&mut self, parent: u32, after: u32, kind: Kind, place: usize) -> Result<u32, Stop> {
        if self.builder.len() >= self.limits.nodes_max {
            let text = format!("more than {} elements", self.limits.nodes_max);
            return Err(self.report.fatal(IssueType::TooLong, place, text));
        }
        Ok(self.builder.push(parent, after, kind, place))
    }

    /// The place of a node, and of a property in it that has none.
    pub(super) fn path(&mut self, node: u32, property: &str) -> String {
        let mut path = self
            .builder
            .with_resource(|resource| Node::new(resource, node).path());
        if !property.is_empty() {
            path.push('.');
            path.push_str(property);
        }
        path
    }

    /// Something is wrong with a property; its value is passed over.
    fn refuse(
        &mut self,
        open: &Open,
        name: &str,
        at: usize,
        code: IssueType,
        text: impl Into<Cow<'static, str>>,
    ) -> Result<(), Stop> {
        let name = if name.is_empty() { "" } else { nameable(name) };
        let path = self.path(open.node, name);
        self.report.add(code, at, path, text)?;
        self.skip(self.limits.depth_max.saturating_sub(open.depth))
    }

    /// Reads the properties of an object, which is next, into a node.
    fn object(
        &mut self,
        node: u32,
        scope: ElementId,
        form: Form,
        depth: usize,
    ) -> Result<(), Stop> {
        if depth > self.limits.depth_max {
            return Err(self.too_deep());
        }
        let start = self.at;
        self.at += 1;
        self.blank();
        if self.peek() == Some(b'}') {
            self.at += 1;
            let path = self.path(node, "");
            return self
                .report
                .add(IssueType::Structure, start, path, "an empty object");
        }
        let mut open = Open {
            node,
            scope,
            form,
            depth,
            last: NONE,
            seen: self.seen.len(),
            nulls: false,
        };
        loop {
            self.blank();
            if self.peek() != Some(b'"') {
                return Err(self.expected("a property in quotes"));
            }
            let at = self.at;
            let key = self.string()?;
            self.take(b':', "`:`")?;
            self.blank();
            let name = if key.plain {
                Cow::Borrowed(key.raw)
            } else {
                Cow::Owned(unescape(key.raw).unwrap_or_default())
            };
            self.property(&mut open, &name, at)?;
            if !self.another(b'}')? {
                break;
            }
        }
        self.seen.truncate(open.seen);
        if open.nulls {
            self.check_nulls(&open)?;
        }
        Ok(())
    }

    /// A null in an array needs its counterpart.
    fn check_nulls(&mut self, open: &Open) -> Result<(), Stop> {
        let empty: Vec<(u32, usize)> = self
            .builder
            .children(open.node)
            .filter(|(_, entry)| entry.is_empty())
            .map(|(index, entry)| (index, entry.start as usize))
            .collect();
        for (index, at) in empty {
            let path = self.path(index, "");
            let text = "null without a value or an extension in its place";
            self.report.add(IssueType::Structure, at, path, text)?;
        }
        Ok(())
    }

    /// Reads the value of a property, which is next.
    fn property(&mut self, open: &mut Open, key: &str, at: usize) -> Result<(), Stop> {
        if key == "resourceType" && open.form == Form::Resource {
            if self.had(open).contains(&Seen::ResourceType) {
                return self.refuse(open, key, at, IssueType::Structure, "a property twice");
            }
            self.seen.push(Seen::ResourceType);
            return self.skip(0);
        }
        let (name, aside) = match key.strip_prefix('_') {
            Some(name) => (name, true),
            None => (key, false),
        };
        let known = self.definitions.child(open.scope, name);
        let primitive = known.and_then(|c| self.definitions.type_def(c.ty).primitive());
        // What is an attribute in XML has nothing but a value.
        let attribute = known.is_some_and(|c| self.definitions.element(c.element).xml_attribute);
        let (Some(child), true) = (known, !aside || (primitive.is_some() && !attribute)) else {
            let text = format!("unknown property `{}`", nameable(key));
            return self.refuse(open, "", at, IssueType::Structure, text);
        };
        let property = Property {
            name,
            child,
            primitive,
            aside,
        };
        let Some(paired) = self.unseen(open, property, at)? else {
            return Ok(());
        };
        let def = self.definitions.element(child.element);
        // The nodes that its counterpart made.
        let first = paired.then(|| {
            let mut children = self.builder.children(open.node);
            children
                .find(|(_, entry)| entry.element == child.element)
                .map(|(index, _)| index)
        });
        let first = first.flatten();
        match (def.is_list(), self.peek()) {
            (true, Some(b'[')) => self.array(open, property, first),
            (false, Some(b'[')) => {
                let text = "one value expected, not an array";
                self.refuse(open, name, at, IssueType::Structure, text)
            }
            (true, Some(b'{' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n')) => {
                let text = "an array expected, not one value";
                self.refuse(open, name, at, IssueType::Structure, text)
            }
            (false, Some(b'n')) => {
                self.refuse(open, name, at, IssueType::Structure, "null is not allowed")
            }
            (_, Some(_)) => {
                let after = open.last;
                self.item(open, property, first, after).map(|_| ())
            }
            (_, None) => Err(self.expected("a value")),
        }
    }

    fn had(&self, open: &Open) -> &[Seen] {
        self.seen.get(open.seen..).unwrap_or_default()
    }

    /// Notes a property. `Some` says whether it has a counterpart, with or without `_`; `None` is
    /// for one that cannot be there, which is reported and passed over.
    fn unseen(
        &mut self,
        open: &Open,
        property: Property<'_>,
        at: usize,
    ) -> Result<Option<bool>, Stop> {
        let Child { element, ty, .. } = property.child;
        let aside = property.aside;
        let mut paired = false;
        let mut fault = None;
        for seen in self.had(open) {
            match seen {
                Seen::Element {
                    element: own,
                    ty: own_ty,
                    aside: own_aside,
                } if *own == element => {
                    if *own_ty != ty {
                        fault = Some("only one of the types of a choice is allowed");
                    } else if *own_aside == aside {
                        fault = Some("a property twice");
                    } else {
                        paired = true;
                    }
                }
                Seen::Element { .. } | Seen::ResourceType => {}
            }
        }
        if let Some(text) = fault {
            self.refuse(open, property.name, at, IssueType::Structure, text)?;
            return Ok(None);
        }
        self.seen.push(Seen::Element { element, ty, aside });
        Ok(Some(paired))
    }

    /// Reads an array, which is next, into nodes: those that the counterpart made, then new ones.
    fn array(
        &mut self,
        open: &mut Open,
        property: Property<'_>,
        first: Option<u32>,
    ) -> Result<(), Stop> {
        let start = self.at;
        self.at += 1;
        self.blank();
        if self.peek() == Some(b']') {
            self.at += 1;
            let path = self.path(open.node, property.name);
            return self
                .report
                .add(IssueType::Structure, start, path, "an empty array");
        }
        let mut existing = first;
        let mut after = open.last;
        loop {
            self.blank();
            if let Some(node) = self.item(open, property, existing, after)? {
                after = node;
                let next = self.builder.entry(node).map_or(NONE, |entry| entry.next);
                let same = |entry: &crate::resource::Entry| entry.element == property.child.element;
                existing = existing
                    .and(Some(next))
                    .filter(|next| self.builder.entry(*next).is_some_and(same));
            }
            if !self.another(b']')? {
                return Ok(());
            }
        }
    }

    /// Reads one value, which is next, into a node: an existing one, or a new one behind `after`.
    fn item(
        &mut self,
        open: &mut Open,
        property: Property<'_>,
        existing: Option<u32>,
        after: u32,
    ) -> Result<Option<u32>, Stop> {
        let Property { child, aside, .. } = property;
        let wrong = match (property.primitive, self.peek()) {
            (Some(_), Some(b'n')) => None,
            (None, Some(b'{')) => None,
            (None, Some(_)) => Some("an object expected"),
            (Some(_), Some(b'{')) if aside => None,
            (Some(_), Some(_)) if aside => Some("an object expected"),
            (Some(kind), Some(byte)) => wrong_kind(kind, byte),
            (_, None) => return Err(self.expected("a value")),
        };
        if let Some(text) = wrong {
            if !matches!(
                self.peek(),
                Some(b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n')
            ) {
                return Err(self.expected("a value"));
            }
            let at = self.at;
            self.refuse(open, property.name, at, IssueType::Structure, text)?;
            return Ok(None);
        }
        let kind = if property.primitive.is_none() && child.ty == self.definitions.known().resource
        {
            let place = Some((open.node, property.name));
            let Some(ty) = self.resource_type(place)? else {
                self.skip(self.limits.depth_max.saturating_sub(open.depth))?;
                return Ok(None);
            };
            let scope = self.definitions.type_def(ty).root;
            Kind {
                element: child.element,
                ty,
                scope,
            }
        } else {
            Kind {
                element: child.element,
                ty: child.ty,
                scope: child.scope,
            }
        };
        let node = match existing {
            Some(node) => node,
            None => {
                let node = self.push(open.node, after, kind, self.at)?;
                if after == open.last {
                    open.last = node;
                }
                node
            }
        };
        match property.primitive {
            Some(_) if self.peek() == Some(b'n') => {
                open.nulls = true;
                self.word()?;
            }
            Some(primitive) if !aside => self.primitive(node, primitive)?,
            Some(_) => self.object(node, kind.scope, Form::Element, open.depth + 1)?,
            None => {
                let form = if kind.ty == child.ty {
                    Form::Element
                } else {
                    Form::Resource
                };
                self.object(node, kind.scope, form, open.depth + 1)?;
            }
        }
        Ok(Some(node))
    }
}
