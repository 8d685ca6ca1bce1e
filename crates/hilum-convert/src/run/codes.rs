//! Codes: what a table maps them to, and what becomes of those that it does not have.

use super::condition::Scope;
use super::write::Turn;
use super::{Run, Spot};
use crate::finding::FindingCode;
use crate::plan::{CodesInto, CodesUse, Coding};

impl<'m> Run<'_, 'm> {
    /// Looks a code up and writes what it is mapped to.
    pub(super) fn coded(&mut self, turn: &Turn<'_, 'm>, codes: &CodesUse, code: &str) {
        if code.is_empty() {
            return;
        }
        if let Some(spot) = self.target(turn) {
            self.code_at(turn, spot, codes, code, false);
        }
    }

    pub(super) fn code_at(
        &mut self,
        turn: &Turn<'_, 'm>,
        spot: Spot,
        codes: &CodesUse,
        code: &str,
        beside: bool,
    ) {
        let plan = self.plan;
        let Some(table) = plan.codes.get(codes.table as usize) else {
            return;
        };
        let scope = Scope {
            segment: turn.frame.segment,
            value: turn.frame.value,
            own: turn.own,
            target: None,
        };
        let rows = table
            .by_code
            .get(code)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let rows = rows.iter().chain(&table.other);
        let mut rows = rows.filter_map(|row| table.rows.get(*row as usize));
        let row = rows.find(|row| {
            let condition = row.condition.as_ref();
            condition.is_none_or(|condition| self.holds(condition, &scope) == Some(true))
        });
        let Some((row, mapped)) = row.and_then(|row| Some((row, row.code.as_deref()?))) else {
            if row.is_none_or(|row| {
                Some(row.id)
                    == table
                        .other
                        .and_then(|at| table.rows.get(at as usize))
                        .map(|row| row.id)
            }) {
                let place = self.place_of(turn);
                self.finding(FindingCode::UnmappedCode, place, Some(&table.name));
            }
            if !beside {
                self.code_as_it_came(turn, spot, codes, code, table.from.as_deref());
            }
            return;
        };
        let target = (row.system.as_deref(), mapped, row.display.as_deref());
        match codes.into {
            // A map that wrote the code itself wrote what is mapped here.
            CodesInto::Primitive => {
                if beside || self.draft.text(spot.at).is_none() {
                    match self.draft.set(spot.at, mapped) {
                        Ok(()) => self.reason(turn, spot),
                        Err(rule) => self.refuse(turn, rule),
                    }
                }
            }
            CodesInto::Coding(inside) => {
                if beside {
                    for child in [inside.system, inside.code, inside.display] {
                        if let Some(at) = self.draft.child(spot.at, child) {
                            self.draft.remove(at);
                        }
                    }
                }
                self.coding(turn, spot, inside, target);
            }
            CodesInto::Concept { coding, inside } => {
                if !beside {
                    let at = self.draft.append(spot.at, coding);
                    self.coding(turn, Spot { at, ..spot }, inside, target);
                    return;
                }
                let first = self.draft.child(spot.at, coding);
                if let Some(first) = first {
                    // A code of the table's own system need not say so.
                    if let Some(from) = table.from.as_deref()
                        && self.draft.child(first, inside.system).is_none()
                        && let Some(at) = self.draft.single(first, inside.system)
                    {
                        let _known = self.draft.set(at, from);
                    }
                    if self.is_coding(first, inside, target) {
                        return;
                    }
                }
                let at = self.draft.prepend(spot.at, coding);
                self.coding(turn, Spot { at, ..spot }, inside, target);
            }
        }
    }

    pub(super) fn is_coding(
        &self,
        at: hilum_fhir::At,
        inside: Coding,
        target: (Option<&str>, &str, Option<&str>),
    ) -> bool {
        let text = |child| {
            self.draft
                .child(at, child)
                .and_then(|at| self.draft.text(at))
        };
        text(inside.system) == target.0 && text(inside.code) == Some(target.1)
    }

    pub(super) fn coding(
        &mut self,
        turn: &Turn<'_, 'm>,
        spot: Spot,
        inside: Coding,
        target: (Option<&str>, &str, Option<&str>),
    ) {
        let parts = [
            (inside.system, target.0),
            (inside.code, Some(target.1)),
            (inside.display, target.2),
        ];
        for (child, text) in parts {
            let (Some(text), Some(at)) = (text, self.draft.single(spot.at, child)) else {
                continue;
            };
            self.write_known(turn, Spot { at, ..spot }, text);
        }
    }

    /// A code without a row: never dropped where there is room for it with its system.
    pub(super) fn code_as_it_came(
        &mut self,
        turn: &Turn<'_, 'm>,
        spot: Spot,
        codes: &CodesUse,
        code: &str,
        from: Option<&str>,
    ) {
        let target = (from, code, None);
        match codes.into {
            CodesInto::Primitive => {}
            CodesInto::Coding(inside) => self.coding(turn, spot, inside, target),
            CodesInto::Concept { coding, inside } => {
                let at = self.draft.append(spot.at, coding);
                self.coding(turn, Spot { at, ..spot }, inside, target);
            }
        }
    }
}
