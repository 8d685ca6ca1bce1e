//! Codes: looked up in a table, written to a code, a Coding or a CodeableConcept.

use hilum_fhir::At;
use hilum_fhir::definitions::Child;
use hilum_fhir::systems::V2_TABLE;

use super::condition::Scope;
use super::write::Turn;
use super::{Run, Spot};
use crate::finding::FindingCode;
use crate::plan::{CodeTable, CodeTarget, CodesInto, CodesUse, Coding};

/// System, code and display.
type Written<'t> = (Option<&'t str>, &'t str, Option<&'t str>);

/// What a table says about a code.
enum Found<'p> {
    /// What it is mapped to.
    Mapped(&'p CodeTarget, &'p str),
    /// That it has no counterpart.
    Known,
    /// Nothing.
    Unknown,
}

impl<'p, 'm> Run<'p, 'm> {
    /// Looks a code up and writes what it is mapped to.
    pub(super) fn coded(&mut self, turn: &Turn<'_, 'm>, codes: &CodesUse, code: &str) {
        if code.is_empty() {
            return;
        }
        if let Some(spot) = self.target(turn) {
            self.code_at(turn, spot, codes, code, false);
        }
    }

    /// `beside`: a map has written the code as it came.
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
        match codes.into {
            CodesInto::Coding(inside) if beside => self.beside_coding(turn, spot, table, inside),
            CodesInto::Concept { coding, inside } if beside => {
                let first = self.draft.child(spot.at, coding);
                match self.own_coding(spot.at, coding, inside, table) {
                    Some(own) => {
                        let Some(to) = self.of_table(turn, own, table, inside) else {
                            return;
                        };
                        let at = if first == Some(own) {
                            self.draft.prepend(spot.at, coding)
                        } else {
                            self.draft.append(spot.at, coding)
                        };
                        self.coding(turn, Spot { at, ..spot }, inside, to);
                    }
                    // A code of a system that only the sender knows wants a map; one of another
                    // standard does not.
                    None if first.is_some_and(|first| self.is_local(first, inside)) => {
                        self.no_row(turn, table);
                    }
                    None => {}
                }
            }
            CodesInto::Primitive => match self.look_up(turn, table, code) {
                // A map that wrote the code itself wrote what is mapped here.
                Found::Mapped(_, mapped) => {
                    if beside || self.draft.text(spot.at).is_none() {
                        match self.draft.set(spot.at, mapped) {
                            Ok(()) => self.reason(turn, spot),
                            Err(rule) => self.refuse(turn, rule),
                        }
                    }
                }
                Found::Known => {}
                Found::Unknown => self.no_row(turn, table),
            },
            CodesInto::Coding(inside) => {
                let to = self.alone(turn, table, code);
                self.coding(turn, spot, inside, to);
            }
            CodesInto::Concept { coding, inside } => {
                let to = self.alone(turn, table, code);
                let at = self.draft.append(spot.at, coding);
                self.coding(turn, Spot { at, ..spot }, inside, to);
            }
        }
    }

    /// What a code is written as where nothing else is: a code without a row is never dropped
    /// where there is room for it with its system.
    fn alone<'t>(&mut self, turn: &Turn<'_, 'm>, table: &'t CodeTable, code: &'t str) -> Written<'t>
    where
        'p: 't,
    {
        match self.look_up(turn, table, code) {
            Found::Mapped(row, mapped) => return written(row, mapped),
            Found::Known => {}
            Found::Unknown => self.no_row(turn, table),
        }
        (table.from.as_deref(), code, None)
    }

    /// A Coding that a map has written becomes what it is mapped to.
    fn beside_coding(
        &mut self,
        turn: &Turn<'_, 'm>,
        spot: Spot,
        table: &'p CodeTable,
        inside: Coding,
    ) {
        if !self.may_be_of(spot.at, inside, table) {
            if self.is_local(spot.at, inside) {
                self.no_row(turn, table);
            }
            return;
        }
        let Some(to) = self.of_table(turn, spot.at, table, inside) else {
            return;
        };
        for child in [inside.system, inside.code, inside.display] {
            if let Some(at) = self.draft.child(spot.at, child) {
                self.draft.remove(at);
            }
        }
        self.coding(turn, spot, inside, to);
    }

    /// What a coding of the table's own system is mapped to; `None` where it is that already. A
    /// code of the table need not name the table's system.
    fn of_table(
        &mut self,
        turn: &Turn<'_, 'm>,
        at: At,
        table: &'p CodeTable,
        inside: Coding,
    ) -> Option<Written<'p>> {
        let code = self.draft.child(at, inside.code)?;
        match self.look_up(turn, table, self.draft.text(code)?) {
            Found::Mapped(row, mapped) => {
                self.name_system(at, table, inside);
                let to = written(row, mapped);
                (!self.is_coding(at, inside, to)).then_some(to)
            }
            Found::Known => {
                self.name_system(at, table, inside);
                None
            }
            Found::Unknown => {
                self.no_row(turn, table);
                None
            }
        }
    }

    fn look_up<'t>(&self, turn: &Turn<'_, 'm>, table: &'t CodeTable, code: &str) -> Found<'t> {
        let scope = Scope {
            segment: turn.frame.segment,
            value: turn.frame.value,
            own: turn.own,
            target: None,
        };
        let row = table.rows_of(code).find(|row| {
            let condition = row.condition.as_ref();
            condition.is_none_or(|condition| self.holds(condition, &scope) == Some(true))
        });
        let other = || table.rows.get(table.other? as usize);
        match (row, row.or_else(other)) {
            (_, Some(found)) if found.code.is_some() => match found.code.as_deref() {
                Some(code) => Found::Mapped(found, code),
                None => Found::Known,
            },
            (Some(_), _) => Found::Known,
            (None, _) => Found::Unknown,
        }
    }

    fn no_row(&mut self, turn: &Turn<'_, 'm>, table: &CodeTable) {
        let place = self.place_of(turn);
        self.finding(FindingCode::UnmappedCode, place, Some(&table.name));
    }

    fn part(&self, coding: At, child: Child) -> Option<&str> {
        let at = self.draft.child(coding, child)?;
        self.draft.text(at)
    }

    /// The first coding that may be of the table.
    fn own_coding(&self, of: At, coding: Child, inside: Coding, table: &CodeTable) -> Option<At> {
        let all = self.draft.children(of);
        let mut all = all.filter(|(_, element, _)| *element == coding.element);
        let own = all.find(|(at, ..)| self.may_be_of(*at, inside, table));
        own.map(|(at, ..)| at)
    }

    /// Whether a coding names the table's system, or none. A table without a system is for all; one
    /// of a site also for names that only the sender knows (`L`, `99LAB`), an HL7 table is not: the
    /// letters of table 0078 mean something else in a table of the sender.
    fn may_be_of(&self, at: At, inside: Coding, table: &CodeTable) -> bool {
        let (Some(system), Some(from)) = (self.part(at, inside.system), table.from.as_deref())
        else {
            return true;
        };
        let of_site = !from.starts_with(V2_TABLE);
        system == from || (of_site && self.is_local(at, inside))
    }

    fn is_local(&self, at: At, inside: Coding) -> bool {
        let system = self.part(at, inside.system);
        system.is_some_and(|system| system.starts_with("urn:id:"))
    }

    fn name_system(&mut self, at: At, table: &CodeTable, inside: Coding) {
        if let Some(from) = table.from.as_deref()
            && self.draft.child(at, inside.system).is_none()
            && let Some(at) = self.draft.single(at, inside.system)
        {
            let _known = self.draft.set(at, from);
        }
    }

    fn is_coding(&self, at: At, inside: Coding, to: Written<'_>) -> bool {
        self.part(at, inside.system) == to.0 && self.part(at, inside.code) == Some(to.1)
    }

    fn coding(&mut self, turn: &Turn<'_, 'm>, spot: Spot, inside: Coding, to: Written<'_>) {
        let parts = [
            (inside.system, to.0),
            (inside.code, Some(to.1)),
            (inside.display, to.2),
        ];
        for (child, text) in parts {
            let (Some(text), Some(at)) = (text, self.draft.single(spot.at, child)) else {
                continue;
            };
            self.write_known(turn, Spot { at, ..spot }, text);
        }
    }
}

fn written<'t>(row: &'t CodeTarget, mapped: &'t str) -> Written<'t> {
    (row.system.as_deref(), mapped, row.display.as_deref())
}
