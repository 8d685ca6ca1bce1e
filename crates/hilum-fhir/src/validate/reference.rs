//! References: their form, what they may point at, and what they point at inside the resource.

use super::{Check, Target};
use crate::definitions::{Definitions, TypeId};
use crate::problem::IssueType;
use crate::resource::Node;

fn split_version(text: &str) -> (&str, Option<&str>) {
    match text.split_once("/_history/") {
        Some((target, version)) => (target, Some(version)),
        None => (text, None),
    }
}

/// The type that `Type/id` names.
pub(super) fn relative(text: &str) -> Option<TypeId> {
    let (ty, _) = text.split_once('/')?;
    let tables = Definitions::r4();
    let ty = tables.type_named(ty)?;
    tables.type_def(ty).is_resource().then_some(ty)
}

/// The type that a literal reference names, in whatever form.
pub(super) fn named_type(text: &str) -> Option<TypeId> {
    let (text, _) = split_version(text);
    let (rest, _) = text.rsplit_once('/')?;
    let ty = rest.rsplit('/').next()?;
    let tables = Definitions::r4();
    let ty = tables.type_named(ty)?;
    tables.type_def(ty).is_resource().then_some(ty)
}

impl Check<'_> {
    /// Checks a Reference. That a contained resource exists is the rule ref-1.
    pub(super) fn reference(&mut self, node: Node<'_>) {
        let Some(text) = node.child_text("reference") else {
            return;
        };
        let allowed = node
            .element()
            .types
            .iter()
            .filter(|one| one.ty == node.type_id());
        let allowed: Vec<TypeId> = allowed
            .flat_map(|one| one.targets.iter().copied())
            .collect();
        let found = self.target(node, text);
        if let Some((ty, true)) = found
            && let Some(named) = named_type(text)
            && named != ty
        {
            let found = Definitions::r4().type_def(ty).name;
            let text = format!("the reference names another type than its target, {found}");
            self.error(IssueType::Structure, node, text);
        }
        if let Some((ty, _)) = found
            && !allowed.is_empty()
            && !allowed.iter().any(|one| Definitions::r4().is_a(ty, *one))
        {
            let found = Definitions::r4().type_def(ty).name;
            let text = format!("a reference to {found} is not allowed here");
            self.error(IssueType::Structure, node, text);
        }
        self.stated_type(node, found.map(|(ty, _)| ty));
    }

    /// The entry whose `urn:uuid:` is the id of a relative reference: such a reference is not
    /// resolved, but it tells what its author had in mind.
    fn by_bare_id<'r>(&self, from: Node<'r>, text: &str) -> Option<Node<'r>> {
        relative(text)?;
        let (_, id) = text.split_once('/')?;
        let found = self.entries.of_bundle(from, &format!("urn:uuid:{id}"));
        found.first().copied()
    }

    /// The type of what a reference points at, and whether the target itself was seen.
    fn target(&mut self, node: Node<'_>, text: &str) -> Option<(TypeId, bool)> {
        if let Some(target) = self.entries.inside(node, text) {
            return Some((target.type_id(), true));
        }
        if text.starts_with('#') {
            return None;
        }
        if let Some(other) = self.by_bare_id(node, text) {
            return Some((other.type_id(), true));
        }
        match self.request.resolver.target(text) {
            Target::Found(ty) => Some((ty, true)),
            Target::Missing => {
                self.error(IssueType::NotFound, node, "the reference leads nowhere");
                named_type(text).map(|ty| (ty, false))
            }
            Target::Unknown => named_type(text).map(|ty| (ty, false)),
        }
    }

    /// `Reference.type` has to agree with the target.
    fn stated_type(&mut self, node: Node<'_>, found: Option<TypeId>) {
        let stated = node
            .child_text("type")
            .and_then(|name| Definitions::r4().type_named(name));
        if let (Some(stated), Some(found)) = (stated, found)
            && stated != found
        {
            let text = "Reference.type is not the type of the target";
            self.error(IssueType::Structure, node, text);
        }
    }
}
