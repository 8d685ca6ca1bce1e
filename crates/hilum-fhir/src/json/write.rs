//! From a resource to JSON.

use std::sync::OnceLock;

use super::super::resource::{Node, Resource};
use crate::definitions::{Definitions, ElementDef, PrimitiveKind};

/// White space of what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Style {
    /// None.
    #[default]
    Compact,
    /// A line for each value, indented by two blanks.
    Pretty,
}

/// What of a resource is written, and with which values.
pub trait Selection {
    /// Whether an element is written, with all its repetitions; asked for the first of them.
    fn keeps(&self, _node: Node<'_>) -> bool {
        true
    }

    /// The text that is written instead of the primitive's own; for primitives that JSON writes
    /// as strings.
    fn value(&self, _node: Node<'_>) -> Option<&str> {
        None
    }
}

/// Writes a resource.
pub fn write(resource: &Resource, style: Style, out: &mut Vec<u8>) {
    write_node(resource.root(), style, out);
}

/// Writes a resource or element with its children as an object.
pub fn write_node(node: Node<'_>, style: Style, out: &mut Vec<u8>) {
    let mut writer = Writer {
        out,
        style,
        depth: 0,
        selection: None,
    };
    writer.object(node);
}

/// Writes what is selected of a resource or element as an object.
pub fn write_selected(node: Node<'_>, selection: &dyn Selection, style: Style, out: &mut Vec<u8>) {
    let mut writer = Writer {
        out,
        style,
        depth: 0,
        selection: Some(selection),
    };
    writer.object(node);
}

/// By the number of an element its key as it stands behind a comma; nothing for a choice, whose type
/// is in its name.
fn keys() -> &'static [Box<str>] {
    static KEYS: OnceLock<Vec<Box<str>>> = OnceLock::new();
    KEYS.get_or_init(|| {
        let key = |def: &ElementDef| match def.choice {
            true => Box::default(),
            false => format!(",\"{}\":", def.name).into(),
        };
        Definitions::r4().elements().iter().map(key).collect()
    })
}

struct Writer<'o> {
    out: &'o mut Vec<u8>,
    style: Style,
    depth: usize,
    selection: Option<&'o dyn Selection>,
}

impl Writer<'_> {
    fn line(&mut self) {
        if self.style == Style::Pretty {
            self.out.push(b'\n');
            self.out.extend(std::iter::repeat_n(b' ', self.depth * 2));
        }
    }

    fn open(&mut self, bracket: u8) {
        self.out.push(bracket);
        self.depth += 1;
    }

    fn close(&mut self, bracket: u8) {
        self.depth -= 1;
        self.line();
        self.out.push(bracket);
    }

    /// The key of an element, written as one piece where the element alone tells it: a Bundle has
    /// thousands.
    fn key_of(&mut self, first: &mut bool, head: Node<'_>) {
        let whole = (self.style == Style::Compact)
            .then(|| keys().get(head.element_id().index()))
            .flatten()
            .filter(|key| !key.is_empty());
        let Some(key) = whole else {
            return self.key(first, false, head.json_name());
        };
        // Each stands behind a comma, which the first leaves out.
        let from = usize::from(std::mem::take(first));
        self.out
            .extend_from_slice(key.as_bytes().get(from..).unwrap_or_default());
    }

    fn key(&mut self, first: &mut bool, aside: bool, name: &str) {
        if !std::mem::take(first) {
            self.out.push(b',');
        }
        self.line();
        self.out.reserve(name.len() + 8);
        self.out
            .extend_from_slice(if aside { b"\"_" } else { b"\"" });
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(match self.style {
            Style::Compact => b"\":",
            Style::Pretty => b"\": ",
        });
    }

    fn object(&mut self, node: Node<'_>) {
        self.open(b'{');
        let mut first = true;
        // A primitive has its type's name only.
        if node.is_resource() {
            self.key(&mut first, false, "resourceType");
            write_string(node.type_name(), self.out);
        }
        let mut child = node.children_head();
        while let Some(head) = child {
            child = self.property(head, &mut first);
        }
        self.close(b'}');
    }

    /// Writes the repetitions that start here; gives the sibling behind them.
    fn property<'r>(&mut self, head: Node<'r>, first: &mut bool) -> Option<Node<'r>> {
        let element = head.element_id();
        let same = |node: &Node<'r>| node.element_id() == element;
        let next = |node: &Node<'r>| node.next_sibling().filter(same);
        let items = || std::iter::successors(Some(head), next);
        let mut behind = head.next_sibling();
        while let Some(node) = behind.filter(same) {
            behind = node.next_sibling();
        }
        if self
            .selection
            .is_some_and(|selection| !selection.keeps(head))
        {
            return behind;
        }
        let list = head.element().is_list();
        let Some(kind) = head.type_def().primitive() else {
            self.key_of(first, head);
            if list {
                self.list(items(), |writer, item| writer.object(item));
            } else {
                self.object(head);
            }
            return behind;
        };
        if !list {
            if head.text().is_some() {
                self.key_of(first, head);
                self.value(head, kind);
            }
            if head.has_children() {
                self.key(first, true, head.json_name());
                self.object(head);
            }
            return behind;
        }
        if items().any(|item| item.text().is_some()) {
            self.key_of(first, head);
            self.list(items(), |writer, item| writer.value(item, kind));
        }
        if items().any(|item| item.has_children()) {
            self.key(first, true, head.json_name());
            self.list(items(), |writer, item| {
                if item.has_children() {
                    writer.object(item);
                } else {
                    writer.out.extend_from_slice(b"null");
                }
            });
        }
        behind
    }

    fn list<'r>(
        &mut self,
        items: impl Iterator<Item = Node<'r>>,
        mut write: impl FnMut(&mut Self, Node<'r>),
    ) {
        self.open(b'[');
        for (at, item) in items.enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            self.line();
            write(self, item);
        }
        self.close(b']');
    }

    fn value(&mut self, node: Node<'_>, kind: PrimitiveKind) {
        if let Some(text) = self.selection.and_then(|selection| selection.value(node)) {
            write_string(text, self.out);
            return;
        }
        let Some(text) = node.text() else {
            self.out.extend_from_slice(b"null");
            return;
        };
        let bare = matches!(
            kind,
            PrimitiveKind::Boolean
                | PrimitiveKind::Integer
                | PrimitiveKind::UnsignedInt
                | PrimitiveKind::PositiveInt
                | PrimitiveKind::Decimal
        );
        if bare {
            self.out.extend_from_slice(text.as_bytes());
        } else if node.is_plain() {
            self.out.reserve(text.len() + 2);
            self.out.push(b'"');
            self.out.extend_from_slice(text.as_bytes());
            self.out.push(b'"');
        } else {
            write_string(text, self.out);
        }
    }
}

/// Writes a text as a string of JSON.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let plain = |byte: &u8| !matches!(byte, b'"' | b'\\' | 0..=0x1F);
        let run = rest.iter().take_while(|byte| plain(byte)).count();
        let (head, tail) = rest.split_at(run);
        out.extend_from_slice(head);
        let Some((special, behind)) = tail.split_first() else {
            break;
        };
        match special {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => out.extend_from_slice(format!("\\u{control:04x}").as_bytes()),
        }
        rest = behind;
    }
    out.push(b'"');
}
