//! What an event says, as changes of links.

use std::collections::BTreeSet;
use std::rc::Rc;

use smol_str::SmolStr;

use super::change::{Ids, make, patient_of, record, visit_of};
use super::twins::born_together;
use super::{Cause, LinkError, Sides, surviving_visit, survivor};
use crate::event::{Act, Event, Level};
use crate::identifier::Identifier;
use crate::record::{LinkChange, LinkEvent, Memory, Patient, Visit, read, write};
use crate::told::join;

/// Does what an event says. Gives the event's row, which is written as well; `None` if nothing was
/// to be changed (the same event came before).
pub fn apply(
    memory: &mut dyn Memory,
    event: Event,
    sides: &Sides,
    cause: &Cause<'_>,
) -> Result<Option<LinkEvent>, LinkError> {
    let mut changes = Changes {
        memory,
        made: Vec::new(),
        ids: Ids::of(cause.id),
    };
    for level in event.levels {
        match (event.act, level) {
            // The number of another hospital or an older one changes, and the patient's own stays.
            (Act::Change, Level::Patient)
                if sides.prior_patients.is_empty() && matches!(event.code, "A46" | "A48") => {}
            (Act::Merge | Act::Change, Level::Patient) => {
                changes.patients(event.act, sides)?;
            }
            (Act::Merge | Act::Change, Level::Account) => {
                let (prior, now) = (&sides.prior_account, &sides.account);
                changes.visits(event.act, (prior, now), "PID-18 and MRG-3", sides)?;
            }
            (Act::Merge | Act::Change, Level::Visit) => {
                let (prior, now) = (&sides.prior_visit, &sides.visit);
                changes.visits(event.act, (prior, now), "PV1-19 and MRG-5", sides)?;
            }
            (Act::Merge | Act::Change, Level::AlternateVisit) => {
                let (prior, now) = (&sides.prior_alternate_visit, &sides.alternate_visit);
                changes.visits(event.act, (prior, now), "PV1-50 and MRG-6", sides)?;
            }
            (Act::Move, Level::Patient) => changes.move_identifiers(sides)?,
            (Act::Move, Level::Account) => changes.move_account(sides)?,
            (Act::Move, _) => changes.move_visit(sides)?,
            (Act::Link | Act::Unlink, _) => changes.link(event.act == Act::Link, sides)?,
            (Act::Visit(_) | Act::Within | Act::DeletePerson | Act::Person, _) => {}
        }
    }
    let made = changes.made;
    if made.is_empty() {
        return Ok(None);
    }
    Ok(Some(record(memory, event.code, cause, made)?))
}

struct Changes<'a> {
    memory: &'a mut dyn Memory,
    made: Vec<LinkChange>,
    ids: Ids,
}

impl Changes<'_> {
    fn make(&mut self, change: LinkChange) -> Result<(), LinkError> {
        make(self.memory, &change, &mut self.ids)?;
        self.made.push(change);
        Ok(())
    }

    /// Each identifier that is given up goes into that of the same authority and type, else into the first.
    fn patients(&mut self, act: Act, sides: &Sides) -> Result<(), LinkError> {
        if sides.prior_patients.is_empty() {
            return Err(LinkError::Missing("who was merged (MRG-1)"));
        }
        for victim in sides.given_up() {
            let Some(into) = sides.takes(victim) else {
                return Err(LinkError::Missing("into whom it was merged (PID-3)"));
            };
            self.patient(act, &victim.key(), &into.key())?;
        }
        Ok(())
    }

    fn patient(&mut self, act: Act, victim: &SmolStr, into: &SmolStr) -> Result<(), LinkError> {
        if victim == into {
            return Ok(());
        }
        let (into, survivor_row) = survivor(self.memory, into)?;
        if into == *victim {
            return Err(LinkError::Circle);
        }
        let row: Option<Rc<Patient>> = read(self.memory, victim)?;
        let before = row.as_ref().and_then(|row| row.into.clone());
        if let Some(before) = &before {
            // It has come to the same place already.
            if survivor(self.memory, before)?.0 == into {
                return Ok(());
            }
        }
        if let (Some(one), Some(other)) = (&row, &survivor_row)
            && born_together(one, other)
        {
            return Err(LinkError::Twins);
        }
        // The survivor gets a row too, under the id of the one whose number it takes over.
        let own = match survivor_row {
            Some(own) => Patient::clone(&own),
            None => {
                let mut own = patient_of(self.memory, &into, &mut self.ids)?;
                if act == Act::Change
                    && let Some(row) = &row
                {
                    own.id.clone_from(&row.id);
                }
                own
            }
        };
        write(self.memory, &into, own);
        self.make(LinkChange::PatientInto {
            key: victim.clone(),
            before,
            after: Some(into),
        })
    }

    fn visits(
        &mut self,
        act: Act,
        (prior, now): (&Option<Identifier>, &Option<Identifier>),
        fields: &'static str,
        sides: &Sides,
    ) -> Result<(), LinkError> {
        let (Some(prior), Some(now)) = (prior, now) else {
            return Err(LinkError::Missing(fields));
        };
        let (victim, into) = (prior.key(), now.key());
        if victim == into {
            return Ok(());
        }
        let (into, row) = surviving_visit(self.memory, &into)?;
        if into == *victim {
            return Err(LinkError::Circle);
        }
        let old: Option<Rc<Visit>> = read(self.memory, &victim)?;
        let before = old.as_ref().and_then(|row| row.into.clone());
        if before.as_ref() == Some(&into) {
            return Ok(());
        }
        if let (Some(row), Some(old)) = (&row, &old)
            && act != Act::Merge
        {
            // What came first under its new number is said of the same visit.
            let told = join::<Visit>(&row.told, &old.told)?;
            let row = Visit {
                told,
                ..Visit::clone(row)
            };
            write(self.memory, &into, row);
        }
        if row.is_none() {
            let mut row = visit_of(self.memory, &into, &mut self.ids)?;
            if let Some(old) = &old {
                row.patients.clone_from(&old.patients);
            }
            // Under another number it is what it was; what was merged says nothing of what stays.
            if let Some(old) = old.as_ref().filter(|_| act != Act::Merge) {
                row.status = old.status;
                row.as_of = old.as_of;
                row.told.clone_from(&old.told);
            }
            if row.patients.is_empty() {
                row.patients = sides.patients.iter().map(Identifier::key).collect();
            }
            write(self.memory, &into, row);
        }
        self.make(LinkChange::VisitInto {
            key: victim,
            before,
            after: Some(into),
        })
    }

    /// A43: numbers were with the wrong person, and so was what is under them. With another number of
    /// the right one in PID-3 they are replaced by that; else each stays what it is, with another person
    /// (PID-2, before MRG-4).
    fn move_identifiers(&mut self, sides: &Sides) -> Result<(), LinkError> {
        let (moved, to) = (sides.moved(), sides.moved_to());
        if moved.is_empty() {
            return Err(LinkError::Missing("which number is moved (MRG-1)"));
        }
        let Some(first) = to.first() else {
            return self.other_person(&moved, sides);
        };
        for one in &moved {
            let same =
                |other: &&&Identifier| other.authority == one.authority && other.kind == one.kind;
            let into = to.iter().find(same).unwrap_or(first);
            self.patient(Act::Move, &one.key(), &into.key())?;
        }
        let from = sides.prior_patients.iter();
        for other in from.filter(|one| !moved.contains(one)) {
            for one in &moved {
                self.set_link(&one.key(), &other.key(), false)?;
            }
        }
        Ok(())
    }

    /// Numbers that stay what they are have another person.
    fn other_person(&mut self, moved: &[Identifier], sides: &Sides) -> Result<(), LinkError> {
        let before = sides.prior_person.as_ref();
        let is_other = |now: &&Identifier| before.is_none_or(|one| one.lane() != now.lane());
        let Some(now) = sides.person.as_ref().filter(is_other) else {
            return Err(LinkError::Missing(
                "to whom the number is moved (another number in PID-3, or another person in PID-2 than in \
                 MRG-4)",
            ));
        };
        for one in moved {
            if let Some(before) = before {
                self.set_link(&one.key(), &before.key(), false)?;
            }
            self.set_link(&one.key(), &now.key(), true)?;
        }
        Ok(())
    }

    /// A44: an account (PID-18, before MRG-3) was with the wrong patient.
    fn move_account(&mut self, sides: &Sides) -> Result<(), LinkError> {
        let account = sides.prior_account.as_ref().or(sides.account.as_ref());
        let Some(account) = account else {
            return Err(LinkError::Missing("which account is moved (MRG-3)"));
        };
        let key = account.key();
        self.give(&key, sides)?;
        // What was in it was with the wrong patient too.
        let (_, row) = surviving_visit(self.memory, &key)?;
        for visit in row.iter().flat_map(|row| &row.visits) {
            let visit = surviving_visit(self.memory, visit)?.0;
            self.give(&visit, sides)?;
        }
        if let (Some(now), Some(before)) = (&sides.account, &sides.prior_account)
            && now != before
        {
            let (now, before) = (Some(now.clone()), Some(before.clone()));
            self.visits(Act::Move, (&before, &now), "PID-18 and MRG-3", sides)?;
        }
        Ok(())
    }

    /// A45: a visit (PV1-19, before MRG-5) was with the wrong account or patient.
    fn move_visit(&mut self, sides: &Sides) -> Result<(), LinkError> {
        let visit = sides.prior_visit.as_ref().or(sides.visit.as_ref());
        let Some(visit) = visit else {
            return Err(LinkError::Missing("which visit is moved (MRG-5)"));
        };
        let key = visit.key();
        self.give(&key, sides)?;
        if let Some(account) = &sides.account {
            let row = visit_of(self.memory, &key, &mut self.ids)?;
            let after = Some(account.key());
            if row.account != after {
                self.make(LinkChange::AccountOf {
                    key: key.clone(),
                    before: row.account,
                    after,
                })?;
            }
        }
        if let (Some(now), Some(before)) = (&sides.visit, &sides.prior_visit)
            && now != before
        {
            let (now, before) = (Some(now.clone()), Some(before.clone()));
            self.visits(Act::Move, (&before, &now), "PV1-19 and MRG-5", sides)?;
        }
        Ok(())
    }

    /// A visit or account belongs to the patient of PID-3.
    fn give(&mut self, key: &SmolStr, sides: &Sides) -> Result<(), LinkError> {
        let after: BTreeSet<SmolStr> = sides.patients.iter().map(Identifier::key).collect();
        if after.is_empty() {
            return Err(LinkError::Missing("to whom it is moved (PID-3)"));
        }
        let row = visit_of(self.memory, key, &mut self.ids)?;
        if row.patients == after {
            return Ok(());
        }
        let before = row.patients.clone();
        write(self.memory, key, row);
        self.make(LinkChange::VisitOf {
            key: key.clone(),
            before,
            after,
        })
    }

    /// A24 and A37.
    fn link(&mut self, linked: bool, sides: &Sides) -> Result<(), LinkError> {
        let (Some(one), Some(other)) = (sides.patients.first(), sides.prior_patients.first())
        else {
            return Err(LinkError::Missing("both patients (PID-3 twice)"));
        };
        let (one, other) = (one.key(), other.key());
        if linked
            && let Some(first) = read::<Patient>(self.memory, &one)?
            && let Some(second) = read::<Patient>(self.memory, &other)?
            && !first.links.contains(&other)
            && born_together(&first, &second)
        {
            return Err(LinkError::Twins);
        }
        self.set_link(&one, &other, linked)
    }

    fn set_link(&mut self, key: &SmolStr, other: &SmolStr, linked: bool) -> Result<(), LinkError> {
        let row = patient_of(self.memory, key, &mut self.ids)?;
        if key == other || row.links.contains(other) == linked {
            return Ok(());
        }
        self.make(LinkChange::Linked {
            key: key.clone(),
            other: other.clone(),
            linked,
        })
    }
}
