//! The bodies of the fuzz targets, as ordinary functions, so that seeds run through them in every
//! test run.
//!
//! Each takes any bytes, and panics only where a promise of this crate is broken.

use bytes::Bytes;
use hilum_fhirpath::{NodeId, Scalar, Tree};

use crate::{
    DelimitedDocument, DelimitedOptions, Editable, JsonDocument, Limits, ParseError, XmlDocument,
};

/// Leaves of one document that are edited.
const LEAVES_MAX: usize = 4;

/// Nodes of one document that are looked at.
const NODES_MAX: usize = 2_000;

/// What would break out of its place if it were not escaped.
const VALUE: &str = "a\"'<&,;|\u{e9}\n]]>";

/// JSON is written as it was read, and stays JSON when it is edited.
pub fn json(bytes: &[u8]) {
    let read = |source: &Bytes| JsonDocument::parse(source, &Limits::default());
    body(bytes, read);
}

/// XML is written as it was read, and stays XML when it is edited.
pub fn xml(bytes: &[u8]) {
    let read = |source: &Bytes| XmlDocument::parse(source, &Limits::default());
    body(bytes, read);
}

/// Delimited text is written as it was read, and stays readable when it is edited.
///
/// The first byte says how it is delimited.
pub fn delimited(bytes: &[u8]) {
    let Some((how, text)) = bytes.split_first() else {
        return;
    };
    let options = DelimitedOptions {
        header: how & 1 == 0,
        separator: if how & 2 == 0 { b',' } else { b'|' },
        quote: (how & 4 == 0).then_some(b'"'),
        ..DelimitedOptions::default()
    };
    let read = |source: &Bytes| DelimitedDocument::parse(source, options, &Limits::default());
    body(text, read);
}

fn body<T: Editable + Clone>(bytes: &[u8], read: impl Fn(&Bytes) -> Result<T, ParseError>) {
    let source = Bytes::copy_from_slice(bytes);
    let Ok(document) = read(&source) else {
        return;
    };
    assert!(document.write() == source, "untouched, it is what was read");
    for leaf in leaves(&document).into_iter().take(LEAVES_MAX) {
        let mut edited = document.clone();
        if edited.set_node(leaf, VALUE).is_ok() {
            let written = edited.write();
            assert!(read(&written).is_ok(), "edited, it can still be read");
        }
    }
}

/// The nodes that have a value, everything about each of them read.
fn leaves(tree: &dyn Tree) -> Vec<NodeId> {
    let mut open = vec![tree.root()];
    let mut found = Vec::new();
    let mut seen = 0;
    while let Some(node) = open.pop() {
        seen += 1;
        if seen > NODES_MAX {
            break;
        }
        let _read = (tree.name(node), tree.location(node), tree.type_of(node));
        if let Some(Scalar::String(_)) = tree.value(node) {
            found.push(node);
        }
        tree.all_children(node, &mut |child| open.push(child));
    }
    found
}
