//! Concept maps from ConceptMap resources.

use hilum_fhir::{Node, Resource};

use super::{ConceptMap, Element, Equivalence, Group, Other, Target, Unmapped};
use crate::system::{ReadError, Standing};

fn text(node: Node<'_>, name: &str) -> Option<Box<str>> {
    node.child_text(name).map(Into::into)
}

impl ConceptMap {
    /// Reads a ConceptMap.
    pub fn of(resource: &Resource) -> Result<Self, ReadError> {
        let root = resource.root();
        let groups = root.children_named("group").map(Group::of);
        Ok(Self {
            url: text(root, "url"),
            version: text(root, "version"),
            standing: Standing::of(root),
            // Both are choices of `uri` and `canonical`.
            source: text(root, "source"),
            target: text(root, "target"),
            groups: groups.collect::<Result<_, _>>()?,
        })
    }
}

impl Group {
    fn of(node: Node<'_>) -> Result<Self, ReadError> {
        let elements = node.children_named("element").map(Element::of);
        let elements: Vec<Option<Element>> = elements.collect::<Result<_, _>>()?;
        let unmapped = node
            .child("unmapped")
            .map(|of| match of.child_text("mode") {
                Some("provided") => Ok(Unmapped::Provided),
                Some("fixed") => Ok(Unmapped::Fixed(text(of, "code"), text(of, "display"))),
                Some("other-map") => text(of, "url")
                    .map(Unmapped::Other)
                    .ok_or(ReadError::Missing("ConceptMap.group.unmapped", "url")),
                other => Err(ReadError::Value(
                    "ConceptMap.group.unmapped.mode",
                    other.unwrap_or_default().to_owned(),
                )),
            });
        let mut group = Self {
            source: text(node, "source"),
            source_version: text(node, "sourceVersion"),
            target: text(node, "target"),
            target_version: text(node, "targetVersion"),
            elements: elements.into_iter().flatten().collect(),
            unmapped: unmapped.transpose()?,
            ..Self::default()
        };
        group.index();
        Ok(group)
    }
}

impl Element {
    fn of(node: Node<'_>) -> Result<Option<Self>, ReadError> {
        let Some(code) = text(node, "code") else {
            return Ok(None);
        };
        let targets = node.children_named("target").map(Target::of);
        Ok(Some(Self {
            code,
            display: text(node, "display"),
            targets: targets.collect::<Result<_, _>>()?,
        }))
    }
}

impl Target {
    fn of(node: Node<'_>) -> Result<Self, ReadError> {
        let equivalence = node.child_text("equivalence").unwrap_or("relatedto");
        let place = "ConceptMap.group.element.target.equivalence";
        let known = Equivalence::of(equivalence)
            .ok_or_else(|| ReadError::Value(place, equivalence.to_owned()))?;
        let others = |name| node.children_named(name).filter_map(Other::of).collect();
        Ok(Self {
            code: text(node, "code"),
            display: text(node, "display"),
            equivalence: known,
            comment: text(node, "comment"),
            depends_on: others("dependsOn"),
            product: others("product"),
        })
    }
}

impl Other {
    fn of(node: Node<'_>) -> Option<Self> {
        Some(Self {
            property: text(node, "property")?,
            system: text(node, "system"),
            value: text(node, "value")?,
            display: text(node, "display"),
        })
    }
}
