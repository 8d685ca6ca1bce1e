//! The namespaces of elements: which prefixes are declared where.

use super::lex::Attribute;
use super::{FHIR, XHTML};

const SCHEMA_INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// Declarations of the open elements together; each name is looked up among them.
const DECLARED_MAX: usize = 100;

/// The namespaces that mean something in a resource.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Namespace {
    Fhir,
    Xhtml,
    SchemaInstance,
    Other,
}

/// The declarations of the open elements, innermost last.
#[derive(Default)]
pub(super) struct Namespaces<'s>(Vec<Declared<'s>>);

struct Declared<'s> {
    depth: usize,
    prefix: &'s str,
    namespace: Namespace,
}

impl<'s> Namespaces<'s> {
    /// Takes in what the start tag of an element at this depth declares; forgets what elements
    /// declared that are closed by now. Whether there is room for them.
    pub(super) fn enter(&mut self, depth: usize, attributes: &[Attribute<'s>]) -> bool {
        while self.0.last().is_some_and(|last| last.depth >= depth) {
            self.0.pop();
        }
        for attribute in attributes {
            let Some(rest) = attribute.name.strip_prefix("xmlns") else {
                continue;
            };
            let prefix = match rest.strip_prefix(':') {
                Some(prefix) => prefix,
                None if rest.is_empty() => "",
                None => continue,
            };
            let namespace = match attribute.raw {
                FHIR => Namespace::Fhir,
                XHTML => Namespace::Xhtml,
                SCHEMA_INSTANCE => Namespace::SchemaInstance,
                _ => Namespace::Other,
            };
            self.0.push(Declared {
                depth,
                prefix,
                namespace,
            });
        }
        self.0.len() <= DECLARED_MAX
    }

    /// The namespace of a name as it is written.
    pub(super) fn of(&self, name: &str) -> Namespace {
        let prefix = name.split_once(':').map_or("", |(prefix, _)| prefix);
        let same = |declared: &&Declared<'_>| {
            // Comparing empty texts is slow on some processors: they point nowhere.
            match prefix.is_empty() {
                true => declared.prefix.is_empty(),
                false => declared.prefix == prefix,
            }
        };
        let declared = self.0.iter().rev().find(same);
        declared.map_or(Namespace::Other, |declared| declared.namespace)
    }
}
