//! YAML 1.2 (core schema) as a tree that knows the place of everything in it.
//!
//! Order is kept. Duplicate keys, anchors, aliases and tags are refused, so a small file stays a
//! small tree. Numbers keep their text. Nothing here knows what the keys mean.

mod files;
mod parse;
mod scalar;
mod texts;

pub(crate) use files::{FileId, Files, SourceFile, Span};
pub(crate) use parse::parse;
pub use parse::{DEPTH_MAX, FILE_BYTES_MAX, NODES_MAX};
pub(crate) use scalar::{Scalar, Style, Value};
pub use texts::yaml_texts;

/// A node of a document, with its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Where it stands.
    pub(crate) span: Span,
    /// What it is.
    pub(crate) kind: Kind,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Text, a number, true or false, or nothing.
    Scalar(Scalar),
    /// Items in order.
    List(Vec<Node>),
    /// Keys and values in the order of the file.
    Map(Vec<(Key, Node)>),
}

/// A key of a map; always text, whatever it looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// The text.
    pub(crate) text: String,
    /// Where it stands.
    pub(crate) span: Span,
}

impl Node {
    /// The value under `key`, if this is a map that has it.
    #[must_use]
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|(_, value)| value)
    }

    /// Key and value under `key`.
    #[must_use]
    pub(crate) fn entry(&self, key: &str) -> Option<&(Key, Self)> {
        self.entries().iter().find(|(known, _)| known.text == key)
    }

    /// The entries of a map; none for anything else.
    #[must_use]
    pub(crate) fn entries(&self) -> &[(Key, Self)] {
        match &self.kind {
            Kind::Map(entries) => entries,
            Kind::Scalar(_) | Kind::List(_) => &[],
        }
    }

    /// The items of a list; none for anything else.
    #[must_use]
    pub(crate) fn items(&self) -> &[Self] {
        match &self.kind {
            Kind::List(items) => items,
            Kind::Scalar(_) | Kind::Map(_) => &[],
        }
    }

    /// The scalar, if it is one.
    #[must_use]
    pub(crate) const fn scalar(&self) -> Option<&Scalar> {
        match &self.kind {
            Kind::Scalar(scalar) => Some(scalar),
            Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// The scalar as it was written, if it is one and not null.
    #[must_use]
    pub(crate) fn text(&self) -> Option<&str> {
        self.scalar()
            .filter(|scalar| scalar.value != Value::Null)
            .map(|scalar| scalar.text.as_str())
    }

    /// Nothing was written, or `null`.
    #[must_use]
    pub(crate) fn is_null(&self) -> bool {
        self.scalar()
            .is_some_and(|scalar| scalar.value == Value::Null)
    }

    /// A place lies in this node; an overlay puts parts of several files together.
    pub(crate) fn has(&self, place: Span) -> bool {
        let is_below = |(key, value): &(Key, Self)| place.is_within(key.span) || value.has(place);
        place.is_within(self.span)
            || self.entries().iter().any(is_below)
            || self.items().iter().any(|item| item.has(place))
    }

    /// The node at the end of a path of keys and list indexes, and the place of the last part that
    /// is there.
    #[must_use]
    pub(crate) fn find<'n>(&'n self, path: &[String]) -> (Option<&'n Self>, Span) {
        let mut node = self;
        let mut span = self.span;
        for part in path {
            let next = match &node.kind {
                Kind::Map(entries) => {
                    entries
                        .iter()
                        .find(|(key, _)| key.text == *part)
                        .map(|entry| {
                            span = entry.0.span;
                            &entry.1
                        })
                }
                Kind::List(items) => part.parse::<usize>().ok().and_then(|at| items.get(at)),
                Kind::Scalar(_) => None,
            };
            let Some(next) = next else {
                return (None, span);
            };
            if !next.is_null() {
                span = next.span;
            }
            node = next;
        }
        (Some(node), span)
    }

    /// The place of a range of bytes of this scalar's text, where text and file agree.
    #[must_use]
    pub(crate) fn part(&self, range: &std::ops::Range<usize>) -> Span {
        let Some(start) = self.scalar().and_then(|scalar| scalar.verbatim_at) else {
            return self.span;
        };
        let at = |offset: usize| {
            u32::try_from(offset).map_or(self.span.end, |o| start.saturating_add(o))
        };
        Span {
            file: self.span.file,
            start: at(range.start).min(self.span.end),
            end: at(range.end).min(self.span.end),
        }
    }

    /// The tree as JSON; numbers beyond what JSON carries stay text.
    #[must_use]
    pub(crate) fn json(&self) -> serde_json::Value {
        match &self.kind {
            Kind::Scalar(scalar) => scalar.json(),
            Kind::List(items) => items.iter().map(Self::json).collect(),
            Kind::Map(entries) => serde_json::Value::Object(
                entries
                    .iter()
                    .map(|(key, value)| (key.text.clone(), value.json()))
                    .collect(),
            ),
        }
    }
}
