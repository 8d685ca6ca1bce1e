//! Value sets from ValueSet resources (FHIR R4 valueset.html).

use std::collections::HashMap;
use std::sync::Arc;

use hilum_fhir::{Node, Resource};

use super::{Chosen, ChosenName, Filter, Listed, Part, ValueSet};
use crate::names;
use crate::system::{Standing, extension_value, kept_extensions};

/// Levels of a stored expansion.
const LEVELS_MAX: usize = 64;

fn text(node: Node<'_>, name: &str) -> Option<Box<str>> {
    node.child_text(name).map(Into::into)
}

impl ValueSet {
    /// Reads a ValueSet.
    #[must_use]
    pub fn of(resource: Arc<Resource>) -> Self {
        let mut set = Self::node(resource.root());
        set.resource = Some(resource);
        set
    }

    fn node(root: Node<'_>) -> Self {
        let compose = root.child("compose");
        let parts = |name: &str| {
            let parts = compose.into_iter().flat_map(|of| of.children_named(name));
            parts.map(Part::of).collect::<Vec<_>>()
        };
        let mut expansion = None;
        let mut expansion_is_partial = false;
        if let Some(stored) = root.child("expansion") {
            let mut listed = Vec::new();
            gather(stored, &mut listed, LEVELS_MAX);
            let total = stored
                .child_text("total")
                .and_then(|text| text.parse().ok());
            expansion_is_partial = total.is_some_and(|total: usize| total > listed.len());
            expansion = Some(listed);
        }
        let contained = root.children_named("contained");
        let contained = contained.filter(|inner| inner.type_name() == "ValueSet");
        let contained = contained.filter_map(|inner| {
            let id: Box<str> = inner.child_text("id")?.into();
            Some((id, Arc::new(Self::node(inner))))
        });
        Self {
            url: text(root, "url"),
            version: text(root, "version"),
            language: text(root, "language"),
            standing: Standing::of(root),
            is_composed: compose.is_some(),
            inactive: compose
                .and_then(|of| of.child_text("inactive"))
                .map(|text| text == "true"),
            include: parts("include"),
            exclude: parts("exclude"),
            expansion,
            expansion_is_partial,
            supplements: root
                .children_named("extension")
                .filter(|one| one.child_text("url") == Some(names::VALUESET_SUPPLEMENT))
                .filter_map(|one| text(one, "value"))
                .collect(),
            parameters: compose.map(parameters).unwrap_or_default(),
            contained: contained.collect::<HashMap<_, _>>(),
            resource: None,
        }
    }
}

/// How a value set wants to be expanded.
fn parameters(compose: Node<'_>) -> Vec<(Box<str>, Box<str>)> {
    let all = compose.children_named("extension");
    let all = all.filter(|one| {
        let url = one.child_text("url").unwrap_or_default();
        names::EXPANSION_PARAMETERS.contains(&url)
    });
    all.filter_map(|one| {
        Some((
            extension_value(one, "name")?.into(),
            extension_value(one, "value")?.into(),
        ))
    })
    .collect()
}

impl Part {
    fn of(node: Node<'_>) -> Self {
        let filters = node.children_named("filter").map(|filter| {
            let part = |name| filter.child_text(name);
            Filter::new(
                part("property").unwrap_or_default(),
                part("op").unwrap_or_default(),
                part("value").filter(|value| !value.is_empty()),
            )
        });
        let value_sets = node.children_named("valueSet");
        let mut part = Self {
            system: text(node, "system"),
            version: text(node, "version"),
            concepts: node
                .children_named("concept")
                .filter_map(Chosen::of)
                .collect(),
            by_code: Vec::new(),
            filters: filters.collect(),
            value_sets: value_sets
                .filter_map(|of| of.text().map(Into::into))
                .collect(),
        };
        part.index();
        part
    }
}

impl Chosen {
    fn of(node: Node<'_>) -> Option<Self> {
        let said = names::VALUESET_PROPERTIES
            .iter()
            .filter_map(|(url, name, kind)| {
                Some((*name, *kind, Box::from(extension_value(node, url)?)))
            });
        let standing = extension_value(node, names::STANDARDS_STATUS);
        let standing = standing.filter(|status| matches!(*status, "deprecated" | "withdrawn"));
        let marked = extension_value(node, names::VALUESET_DEPRECATED) == Some("true");
        let kept = kept_extensions(node, &names::KEPT_OF_VALUE_SETS);
        Some(Self {
            code: text(node, "code")?,
            display: text(node, "display"),
            designations: node
                .children_named("designation")
                .filter_map(ChosenName::of)
                .collect(),
            said: said.collect(),
            extensions: kept.map(Into::into),
            discouraged: standing.or(marked.then_some("deprecated")).map(Into::into),
        })
    }
}

impl ChosenName {
    fn of(node: Node<'_>) -> Option<Self> {
        let usage = node
            .child("use")
            .map(|of| ["system", "code", "display"].map(|name| text(of, name).unwrap_or_default()));
        Some(Self {
            language: text(node, "language"),
            usage,
            value: text(node, "value")?,
            extensions: kept_extensions(node, &names::KEPT_OF_DESIGNATIONS).map(Into::into),
        })
    }
}

fn gather(node: Node<'_>, into: &mut Vec<Listed>, levels: usize) {
    if levels == 0 {
        return;
    }
    for entry in node.children_named("contains") {
        if let Some(code) = text(entry, "code") {
            into.push(Listed {
                system: text(entry, "system"),
                version: text(entry, "version"),
                code,
                display: text(entry, "display"),
                is_abstract: entry.child_text("abstract") == Some("true"),
                is_inactive: entry.child_text("inactive") == Some("true"),
            });
        }
        gather(entry, into, levels - 1);
    }
}
