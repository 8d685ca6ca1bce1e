//! Keys of what has no number of its own and is known by all that it says: the role in which
//! somebody asks for a test is the same role in the next message.

use hilum_fhir::At;
use hilum_fhir::definitions::Definitions;

use super::known::Known;
use super::{Run, narrow};
use crate::plan::KeyDef;
use crate::text::How;
use crate::value::hash;

impl Run<'_, '_> {
    /// Makes known what the rows of the identity know by its content, once the others are known.
    pub(super) fn know_by_content(
        &mut self,
        known: &mut [Option<Known>],
        alive: &[bool],
        refers: &[u32],
    ) {
        for at in 1..known.len() {
            let unknown = known.get(at).is_some_and(Option::is_none);
            if !unknown || alive.get(at) != Some(&true) {
                continue;
            }
            let Some(how) = self.known_by_content(narrow(at)) else {
                continue;
            };
            let Some(node) = self.made.get(at).map(|made| made.node) else {
                continue;
            };
            let mut text = String::new();
            if !self.say(node, refers, known, &mut text) {
                continue;
            }
            let (system, value) = self.derive(node, hash::uuid(&[&text]));
            if let Some(place) = known.get_mut(at) {
                *place = Some(Known { system, value, how });
            }
        }
    }

    /// What a transaction does with a resource that a row knows by its content.
    fn known_by_content(&self, made: u32) -> Option<How> {
        let made = *self.made.get(made as usize)?;
        let ty = self.draft.type_id(made.node)?;
        let rows = self.plan.identity.iter().filter(|row| row.ty == ty);
        let mut rows = rows.filter(|row| matches!(row.key, KeyDef::Content));
        let holds = rows.find(|row| {
            let scope = super::condition::Scope::of_segment(made.segment);
            row.condition
                .as_ref()
                .is_none_or(|test| self.holds(test, &scope) == Some(true))
        });
        holds.map(|row| row.how)
    }

    /// Writes what a resource says, with the keys of what it refers to; false where one of those
    /// is not known, so that the next message could mean another.
    fn say(&self, at: At, refers: &[u32], known: &[Option<Known>], out: &mut String) -> bool {
        if let Some(text) = self.draft.text(at) {
            out.push_str(text);
        }
        if let Some(pending) = self.pending_at(at, refers) {
            let Some(Some(of)) = known.get(pending.made as usize) else {
                return false;
            };
            out.push_str(&of.system);
            out.push('|');
            out.push_str(&of.value);
        }
        for (child, element, ty) in self.draft.children(at) {
            // By name: servers keep the key, and the numbers of the tables may change with a release.
            out.push('\u{1}');
            out.push_str(Definitions::r4().json_name(element, ty));
            out.push('\u{2}');
            if !self.say(child, refers, known, out) {
                return false;
            }
            out.push('\u{3}');
        }
        true
    }
}
