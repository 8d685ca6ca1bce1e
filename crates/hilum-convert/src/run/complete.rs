//! What R4 requires and the message does not have: the element with the reason that it is absent
//! (FHIR R4 extension-data-absent-reason), so that a Bundle is valid and invents nothing.

use std::sync::OnceLock;

use hilum_fhir::At;
use hilum_fhir::definitions::{Definitions, ElementDef, ElementId};

use super::{NOTHING, Run};
use crate::finding::{FindingCode, Location};

const ABSENT: &str = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";

/// Elements within each other that are looked at.
const DEPTH_MAX: usize = 40;

/// The elements that a scope must have.
fn required(scope: ElementId) -> &'static [ElementId] {
    static REQUIRED: OnceLock<Vec<Box<[ElementId]>>> = OnceLock::new();
    let all = REQUIRED.get_or_init(|| {
        let of = |def: &ElementDef| {
            let children = def.child_ids();
            children
                .filter(|child| tables().element(*child).min > 0)
                .collect()
        };
        tables().elements().iter().map(of).collect()
    });
    all.get(scope.index()).map_or(&[], |found| found)
}

fn tables() -> &'static Definitions {
    Definitions::r4()
}

impl Run<'_, '_> {
    /// Completes every resource of the Bundle.
    pub(super) fn complete(&mut self) {
        self.look_for_content();
        for at in 1..self.made.len() {
            let Some(made) = self.made.get(at).copied() else {
                continue;
            };
            if !self.has_content(made.node) {
                continue;
            }
            let scope = self
                .draft
                .type_id(made.node)
                .map(|ty| tables().type_def(ty).root);
            if let Some(scope) = scope {
                let place = self.whole(made.segment);
                self.complete_at(made.node, scope, place, 0);
            }
        }
    }

    /// Takes out extensions that have nothing but their URL, inner ones first.
    pub(super) fn prune_extensions(&mut self) {
        if self.extensions.is_empty() {
            return;
        }
        self.look_for_content();
        for (at, url) in std::mem::take(&mut self.extensions).into_iter().rev() {
            let held = self
                .draft
                .children(at)
                .any(|(child, ..)| child != url && self.has_content(child));
            if !held {
                self.draft.remove(at);
            }
        }
    }

    /// Finds out at which elements something is written, or a reference will be.
    fn look_for_content(&mut self) {
        let refers = self.pending_texts();
        let refers_at = |at: At| {
            refers
                .get(at.index())
                .is_some_and(|found| *found != NOTHING)
        };
        self.content = self.draft.content(refers_at);
    }

    /// Whether something stood at an element when it was last looked; what was made since has
    /// something.
    fn has_content(&self, at: At) -> bool {
        self.content.get(at.index()).copied().unwrap_or(true)
    }

    fn complete_at(&mut self, at: At, scope: ElementId, place: Location, depth: usize) {
        if depth > DEPTH_MAX {
            return;
        }
        let mut next = self.draft.first_child(at);
        while let Some(child) = next {
            next = self.draft.next_sibling(child);
            if !self.has_content(child) {
                continue;
            }
            // Two of three elements are primitives, which need nothing.
            let ty = self.draft.type_id(child);
            if ty.is_none_or(|ty| tables().type_def(ty).primitive().is_some()) {
                continue;
            }
            if let Some(of) = self.draft.as_child(child) {
                self.mend(child, of, scope, place);
                self.complete_at(child, of.scope, place, depth + 1);
            }
        }
        for element in required(scope) {
            let own = |(child, of, _)| of == *element && self.has_content(child);
            if self.draft.children(at).any(own) {
                continue;
            }
            let def = tables().element(*element);
            self.finding(FindingCode::RequiredAbsent, place, Some(def.path));
            self.absent(at, *element, def, depth);
        }
    }

    /// Adds a required element with the reason that it is absent, or with its required elements.
    pub(super) fn absent(
        &mut self,
        parent: At,
        element: ElementId,
        def: &ElementDef,
        depth: usize,
    ) {
        // Of a choice, the type that says least.
        let liked = ["CodeableConcept", "dateTime", "string", "Reference"];
        let named = |name: &&str| {
            def.types
                .iter()
                .find(|of| tables().type_def(of.ty).name == *name)
        };
        let Some(of) = liked.iter().find_map(named).or(def.types.first()) else {
            return;
        };
        let child = tables().child_of(element, of.ty);
        let made = if def.is_list() {
            Some(self.draft.append(parent, child))
        } else {
            self.draft.single(parent, child)
        };
        let Some(at) = made else { return };
        let below = required(child.scope);
        if !below.is_empty() && depth < DEPTH_MAX {
            for element in below {
                self.absent(at, *element, tables().element(*element), depth + 1);
            }
            return;
        }
        let extension = tables().child(child.scope, "extension");
        let Some(extension) = extension else { return };
        let extension_at = self.draft.append(at, extension);
        for (name, text) in [("url", ABSENT), ("valueCode", "unknown")] {
            if let Some(child) = tables().child(extension.scope, name)
                && let Some(at) = self.draft.single(extension_at, child)
            {
                let _known = self.draft.set(at, text);
            }
        }
    }
}
