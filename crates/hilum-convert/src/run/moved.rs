//! Numbers that are moved from one patient to another (A43, HL7 v2.5.1 §3.3.43).
//!
//! With another number of the right one in PID-3, what stands on both sides is moved, else all of MRG-1:
//! whoever has it in the store is replaced. Where there is no other number, the number stays what it is and
//! gets another person (PID-2, before MRG-4). A patient never keeps the number of the person with whom
//! theirs was.

use std::borrow::Cow;

use hilum_fhir::At;
use hilum_fhir::definitions::{Definitions, TypeId};
use hilum_message::as_of;

use super::names::names;
use super::{Made, Run, narrow};
use crate::value::encode;

/// A patient whose numbers are moved.
#[derive(Clone, Debug)]
pub(super) struct Moved {
    made: u32,
    /// The numbers of the person with whom theirs were.
    gives_up: Vec<Number>,
}

/// An identifier with its place.
#[derive(Clone, Debug)]
pub(super) struct Number {
    pub(super) at: At,
    pub(super) system: String,
    pub(super) value: String,
    /// Its type.
    pub(super) kind: String,
}

impl Number {
    pub(super) fn is(&self, other: &Self) -> bool {
        let open = self.system.is_empty() || other.system.is_empty();
        self.value == other.value && (open || self.system == other.system)
    }

    pub(super) fn is_in(&self, all: &[Self]) -> bool {
        all.iter().any(|other| self.is(other))
    }
}

/// What a group with MRG made: the patient of before, the patient of now and, of A43, the person of before.
pub(super) type Both = (u32, u32, Option<u32>);

impl Run<'_, '_> {
    /// Makes of both sides of a move whom the numbers are with now.
    pub(super) fn moved_numbers(&mut self) {
        if self.message.component("MSH", 9, 2).as_deref() != Some("A43") {
            return;
        }
        for (before, now, person) in self.both_sides() {
            self.move_numbers(before, now, person);
        }
    }

    /// The patients of before and now of each group.
    pub(super) fn both_sides(&self) -> Vec<Both> {
        let mut groups: Vec<Both> = Vec::new();
        let mut of_pid = None;
        for (made, at) in self.made.iter().zip(0..) {
            let segment = self.segments.get(made.segment as usize);
            let id = segment.map_or([0; 3], |segment| segment.id);
            if !self.is_patient(made) {
                continue;
            }
            match (&id, groups.last_mut()) {
                (b"PID", _) => of_pid = Some(at),
                (b"MRG", Some((before, _, person @ None))) if self.is_of(*before, made.segment) => {
                    *person = Some(at);
                }
                (b"MRG", _) => groups.extend(of_pid.map(|now| (at, now, None))),
                _ => {}
            }
        }
        groups
    }

    fn is_patient(&self, made: &Made) -> bool {
        let ty = self.draft.type_id(made.node);
        ty.is_some_and(|ty| Definitions::r4().type_def(ty).name == "Patient")
    }

    fn is_of(&self, made: u32, segment: u32) -> bool {
        let made = self.made.get(made as usize);
        made.is_some_and(|made| made.segment == segment)
    }

    fn move_numbers(&mut self, before: u32, now: u32, person: Option<u32>) {
        let (former, own) = (self.identifiers_of(before), self.identifiers_of(now));
        let persons = person.map(|person| self.identifiers_of(person));
        let persons = persons.unwrap_or_default();
        let stays = own.iter().any(|one| one.is_in(&former)) && !self.has_other(before, now);
        if stays {
            self.empty(before, None);
            self.empty(now, Some("link"));
        } else if own.iter().any(|one| one.is_in(&former)) {
            // What is moved is with whoever has it; neither side has the other's.
            let both = own.iter().filter(|one| one.is_in(&former));
            let others = former.iter().filter(|one| !one.is_in(&own));
            for number in both.chain(others) {
                self.draft.remove(number.at);
            }
        }
        let gone = persons.into_iter().filter(|one| !one.is_in(&own));
        let mut gives_up: Vec<Number> = gone.collect();
        let made = if stays { now } else { before };
        if self.settings.taken_back {
            let node = self.node(made);
            for number in gives_up.drain(..) {
                self.add_identifier(node, &number.system, &number.value);
            }
        }
        if let Some(person) = person {
            self.empty(person, None);
        }
        self.moved.push(Moved { made, gives_up });
    }

    /// The identifiers of a patient.
    pub(super) fn identifiers_of(&self, made: u32) -> Vec<Number> {
        let names = names();
        let of = |ty: TypeId| ty == names.identifier;
        let mut numbers = Vec::new();
        for (at, _, ty) in self.draft.children(self.node(made)) {
            let text = |child| {
                let at = self.draft.child(at, child)?;
                self.draft.text(at).map(str::to_owned)
            };
            if let Some(value) = text(names.value).filter(|_| of(ty)) {
                let system = text(names.system).unwrap_or_default();
                let coding = self.draft.child(at, names.kind);
                let coding = coding.and_then(|kind| self.draft.child(kind, names.coding));
                let code = coding.and_then(|coding| self.draft.child(coding, names.code));
                let kind = code.and_then(|code| self.draft.text(code));
                numbers.push(Number {
                    at,
                    system,
                    value,
                    kind: kind.unwrap_or_default().to_owned(),
                });
            }
        }
        numbers
    }

    /// Whether PID-3 has a number that is not one of those of before.
    fn has_other(&self, before: u32, now: u32) -> bool {
        let mut former = self.numbers_in(before, 1);
        if former.is_empty() {
            former = self.numbers_in(before, 4);
        }
        let is_former = |(value, authority): &(String, Option<String>)| {
            former.iter().any(|(other, by)| {
                let open = by.is_none() || authority.is_none();
                value == other && (open || by == authority)
            })
        };
        !self.numbers_in(now, 3).iter().all(is_former)
    }

    /// The numbers in a field of the segment that made a resource, each with its authority.
    pub(super) fn numbers_in(&self, made: u32, field: u32) -> Vec<(String, Option<String>)> {
        let segment = self.made.get(made as usize).map(|made| made.segment);
        let field = segment.and_then(|segment| self.field(segment, field));
        let each = field.into_iter().flat_map(|field| field.children());
        let each = each.filter_map(|part| {
            let authority = part.said(&[4, 1]).or_else(|| part.said(&[4, 2]));
            let authority = authority.map(Cow::into_owned);
            Some((part.said(&[1])?.into_owned(), authority))
        });
        each.collect()
    }

    /// Takes an element out of a resource; all of them if none is named, and it comes to nothing.
    pub(super) fn empty(&mut self, made: u32, name: Option<&str>) {
        let tables = Definitions::r4();
        let children = self.draft.children(self.node(made));
        let named = children.filter(|(_, element, _)| {
            name.is_none_or(|name| tables.element(*element).name == name)
        });
        let gone: Vec<At> = named.map(|(at, ..)| at).collect();
        for at in gone {
            self.draft.remove(at);
        }
    }

    /// What is said of the entry of a patient whose numbers are moved.
    pub(super) fn moves_numbers(
        &self,
        at: usize,
        same: &[Option<u32>],
    ) -> Vec<(&'static str, String)> {
        let is_here =
            |moved: &&Moved| same.get(moved.made as usize).copied().flatten() == Some(narrow(at));
        let mut said = Vec::new();
        let Some(moved) = self.moved.iter().find(is_here) else {
            return said;
        };
        if !self.settings.taken_back {
            said.push((as_of::MOVES, as_of::WITH_NUMBERS.to_owned()));
        }
        let gone = moved.gives_up.iter();
        let names = written(gone.map(|one| (&*one.system, &*one.value)));
        if !names.is_empty() {
            said.push((as_of::GIVES_UP, names));
        }
        said
    }
}

/// Systems and values as the extensions of a request name them.
pub(super) fn written<'n>(numbers: impl Iterator<Item = (&'n str, &'n str)>) -> String {
    let mut names = String::new();
    for (system, value) in numbers {
        if !names.is_empty() {
            names.push(' ');
        }
        encode::percent(system, &mut names);
        names.push('|');
        encode::percent(value, &mut names);
    }
    names
}
