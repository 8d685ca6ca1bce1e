//! What R4 requires and the message does not have: the element with the reason that it is absent
//! (FHIR R4 extension-data-absent-reason), so that a Bundle is valid and invents nothing.

use hilum_fhir::At;
use hilum_fhir::definitions::{Child, Definitions, ElementDef, ElementId};

use super::{NOTHING, Run};
use crate::finding::{FindingCode, Location};

const ABSENT: &str = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";

/// Elements within each other that are looked at.
const DEPTH_MAX: usize = 40;

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
        let mut content = vec![false; self.draft.node_count()];
        self.mark(self.draft.root(), &refers, &mut content);
        self.content = content;
    }

    fn mark(&self, at: At, refers: &[u32], content: &mut [bool]) -> bool {
        let refers_to = refers.get(at.index()).copied();
        let mut holds =
            self.draft.text(at).is_some() || refers_to.is_some_and(|found| found != NOTHING);
        for (child, ..) in self.draft.children(at) {
            holds |= self.mark(child, refers, content);
        }
        if let Some(own) = content.get_mut(at.index()) {
            *own = holds;
        }
        holds
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
        let children: Vec<(At, Child)> = self
            .draft
            .children(at)
            .map(|(child, element, ty)| (child, tables().child_of(element, ty)))
            .collect();
        let mut there = Vec::with_capacity(children.len());
        for (child, of) in children {
            if self.has_content(child) {
                there.push(of.element);
                if tables().type_def(of.ty).primitive().is_none() {
                    self.mend(child, of, scope, place);
                    self.complete_at(child, of.scope, place, depth + 1);
                }
            }
        }
        for element in tables().children(scope) {
            let def = tables().element(element);
            if def.min == 0 || there.contains(&element) {
                continue;
            }
            self.finding(FindingCode::RequiredAbsent, place, Some(def.path));
            self.absent(at, element, def, depth);
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
        let below: Vec<ElementId> = tables()
            .children(child.scope)
            .filter(|below| tables().element(*below).min > 0)
            .collect();
        if !below.is_empty() && depth < DEPTH_MAX {
            for element in below {
                self.absent(at, element, tables().element(element), depth + 1);
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
