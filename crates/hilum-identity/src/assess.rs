//! Holding a message against the record: agrees, is unknown, or contradicts.
//!
//! A message that contradicts what is known is for a person: nothing of it is remembered. One that
//! agrees is remembered in the same commit in which it is accepted.

use std::collections::BTreeSet;

use hilum_message::SourceTime;
use smol_str::SmolStr;

use crate::event::{Act, Event, Level, VisitStatus};
use crate::identifier::Identifier;
use crate::links::{LinkError, Sides, surviving_visit, survivor};
use crate::person::{Likeness, Person};
use crate::record::{CHILDREN_MAX, Memory, Order, Patient, Row, Standing, Unreadable, Visit, read};
use crate::results::OrderChange;

/// What a message is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// It registers people and visits (ADT): what it says of them is what is known from then on.
    Registration,
    /// It asks for something to be done.
    Order,
    /// It tells what came of it.
    Result,
    /// Everything else about a patient.
    #[default]
    Other,
}

/// An order that a message names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderFacts {
    /// Placer and filler number, as far as given.
    pub numbers: Vec<Identifier>,
    /// What the message does to it.
    pub change: OrderChange,
    /// Its results tell that nothing was or will be done (OBR-25 or all OBX-11 are X, D or W).
    pub ended: bool,
}

/// What a message says, in no protocol's words.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// What it is for.
    pub kind: Kind,
    /// Its event, if it changes links or visits.
    pub event: Option<Event>,
    /// Its identifiers and, of an event, those of before.
    pub sides: Sides,
    /// What it says of its patient.
    pub person: Person,
    /// Nobody knows yet who the patient is.
    pub temporary: bool,
    /// One of several born together (PID-24).
    pub multiple_birth: bool,
    /// The mother (PID-21).
    pub mother: Option<Identifier>,
    /// Its orders.
    pub orders: Vec<OrderFacts>,
    /// The orders of which these are children (ORC-8, OBR-29).
    pub parents: Vec<Identifier>,
    /// When it was so; the time of arrival where the source does not say.
    pub as_of: SourceTime,
}

impl Facts {
    /// Numbers of patients are moved (A43).
    fn moves_numbers(&self) -> bool {
        let of_patient =
            |event: Event| event.act == Act::Move && event.levels.contains(&Level::Patient);
        self.event.is_some_and(of_patient)
    }

    /// The number of whom the message is about; where numbers are moved, that of whom they are moved to.
    pub(crate) fn first_patient(&self) -> Option<&Identifier> {
        let to = self.moves_numbers().then(|| self.sides.moved_to());
        let to = to.and_then(|to| to.first().copied());
        to.or(self.sides.patients.first())
    }
}

/// What is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// The patient.
    Patient,
    /// The visit.
    Visit,
    /// The order.
    Order,
}

/// How a message contradicts the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contradiction {
    /// The number is known with another birth date and another name.
    OtherPerson,
    /// The number is known with another birth order: it is that of a twin.
    OtherTwin,
    /// Demographics for a number that was merged into another one.
    DemographicsOfMerged,
    /// The number was deleted as entered by mistake.
    DeletedPatient,
    /// The visit or account is of another patient.
    VisitOfOther,
    /// The order is of another patient.
    OrderOfOther,
    /// A result or an order for a visit that was cancelled.
    CancelledVisit,
    /// A result for an order that was cancelled.
    CancelledOrder,
    /// The links cannot be changed as the message says.
    Links(LinkError),
}

impl Contradiction {
    /// Its stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::OtherPerson => "other-person",
            Self::OtherTwin => "other-twin",
            Self::DemographicsOfMerged => "demographics-of-merged",
            Self::DeletedPatient => "deleted-patient",
            Self::VisitOfOther => "visit-of-other",
            Self::OrderOfOther => "order-of-other",
            Self::CancelledVisit => "cancelled-visit",
            Self::CancelledOrder => "cancelled-order",
            Self::Links(_) => "links",
        }
    }
}

impl std::fmt::Display for Contradiction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::OtherPerson => {
                "the patient's number is known with another birth date and another name"
            }
            Self::OtherTwin => {
                "the patient's number is known with another birth order, which is that of a twin"
            }
            Self::DemographicsOfMerged => {
                "demographics for a patient who was merged into another one"
            }
            Self::DeletedPatient => "the patient's number was deleted as entered by mistake",
            Self::VisitOfOther => "the visit or account is known as that of another patient",
            Self::OrderOfOther => "the order is known as that of another patient",
            Self::CancelledVisit => "the visit was cancelled",
            Self::CancelledOrder => "the order was cancelled before anything was reported for it",
            Self::Links(error) => return write!(f, "links cannot be changed: {error}"),
        })
    }
}

/// Something that goes on, and that a person should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The number was merged; the message is for the survivor.
    Followed,
    /// The visit or account was merged or has another number; the message is for that.
    VisitFollowed,
    /// Name, birth date or sex differ from what is known, not by enough to be another person.
    Differs,
    /// The birth order of a child is another one than before, and no other child's.
    BirthOrder,
    /// The patient was not known before.
    Created,
    /// What it says of the patient or visit is older than what is known.
    Older,
    /// A result came for an order that was cancelled after something had been reported.
    AfterCancel,
}

impl Notice {
    /// Its stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Followed => "merged-identifier",
            Self::VisitFollowed => "merged-visit",
            Self::Differs => "person-differs",
            Self::BirthOrder => "birth-order-changed",
            Self::Created => "unknown-patient",
            Self::Older => "older-than-known",
            Self::AfterCancel => "result-after-cancel",
        }
    }

    /// A sentence without content.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Followed => {
                "the patient's number was merged into another one; the message is for that"
            }
            Self::VisitFollowed => {
                "the visit or account was merged or has another number; the message is for that"
            }
            Self::Differs => "name, birth date or sex differ from what is known of the number",
            Self::BirthOrder => {
                "the birth order differs from what is known of the number, and no other child of the \
                 mother has it"
            }
            Self::Created => "the patient was not known before this message",
            Self::Older => "what it says of the patient or visit is older than what is known",
            Self::AfterCancel => {
                "a result for an order that was cancelled after others were reported"
            }
        }
    }
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assessment {
    /// How it contradicts the record; empty if it does not.
    pub contradictions: Vec<Contradiction>,
    /// What of it is not known.
    pub unknown: Vec<Unknown>,
    /// What a person should know.
    pub notices: Vec<Notice>,
    /// Identifiers of the message that were merged, each with that of the survivor.
    pub followed: Vec<(Identifier, Identifier)>,
    /// Those of its visit and account, likewise.
    pub visits: Vec<(Level, Identifier, Identifier)>,
    /// The keys of the patients that it is about, as they are now.
    pub patients: BTreeSet<SmolStr>,
}

impl Assessment {
    fn notice(&mut self, notice: Notice) {
        if !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
    }

    fn contradicts(&mut self, contradiction: Contradiction) {
        if !self.contradictions.contains(&contradiction) {
            self.contradictions.push(contradiction);
        }
    }

    /// A visit or account is known under another number now.
    fn follows(&mut self, level: Level, identifier: &Identifier, now: &str) {
        if let Some(now) = Identifier::of_key(now).filter(|now| now != identifier) {
            self.notice(Notice::VisitFollowed);
            self.visits.push((level, identifier.clone(), now));
        }
    }

    fn lacks(&mut self, what: Unknown) {
        if !self.unknown.contains(&what) {
            self.unknown.push(what);
        }
    }
}

/// Holds a message against the record. Changes nothing.
pub fn assess(memory: &mut dyn Memory, facts: &Facts) -> Result<Assessment, Unreadable> {
    let mut found = Assessment::default();
    memory.fetch(&asked(facts));
    let outcome = patients(memory, facts, &mut found)
        .and_then(|()| visits(memory, facts, &mut found))
        .and_then(|()| orders(memory, facts, &mut found));
    match outcome {
        Ok(()) => Ok(found),
        Err(LinkError::Unreadable(error)) => Err(error),
        Err(other) => {
            found.contradicts(Contradiction::Links(other));
            Ok(found)
        }
    }
}

/// The rows that a message is held against, as far as they can be told before any is read.
fn asked(facts: &Facts) -> Vec<(&'static str, SmolStr)> {
    let sides = &facts.sides;
    let patients = sides.patients.iter().map(|one| (Patient::SCOPE, one));
    let visits = sides.account.iter().chain(&sides.visit);
    let visits = visits.map(|one| (Visit::SCOPE, one));
    let orders = facts.orders.iter().flat_map(|order| &order.numbers);
    let orders = orders.chain(&facts.parents).map(|one| (Order::SCOPE, one));
    let all = patients.chain(visits).chain(orders);
    all.map(|(scope, one)| (scope, one.key())).collect()
}

fn patients(
    memory: &mut dyn Memory,
    facts: &Facts,
    found: &mut Assessment,
) -> Result<(), LinkError> {
    let mut known = false;
    let moved = moved(facts);
    for identifier in &facts.sides.patients {
        // What is known of a number that is moved is known of the wrong one.
        if moved.contains(identifier) {
            continue;
        }
        let key = identifier.key();
        let (now, row) = survivor(memory, &key)?;
        let followed = now != key;
        if followed {
            found.notice(Notice::Followed);
            if let Some(now) = Identifier::of_key(&now) {
                found.followed.push((identifier.clone(), now));
            }
            // A message that changes links names merged numbers by right, and what names the survivor
            // too is about that one.
            let relinks = facts.event.is_some_and(Event::relinks);
            let names_it = facts.sides.patients.iter().any(|one| one.key() == now);
            if facts.kind == Kind::Registration && !relinks && !names_it {
                found.contradicts(Contradiction::DemographicsOfMerged);
            }
        }
        found.patients.insert(now);
        let Some(row) = row else {
            continue;
        };
        let standing = row.standing();
        if standing == Standing::Deleted && facts.kind != Kind::Registration {
            found.contradicts(Contradiction::DeletedPatient);
        }
        known |= row.is_known() || !row.events.is_empty();
        // What a merged number says of its person may be what the merge mended.
        if followed || standing == Standing::Temporary || facts.temporary {
            continue;
        }
        let compared = row.person().compare(&facts.person);
        if compared.contradicts() {
            found.contradicts(Contradiction::OtherPerson);
        } else if compared.birth_order == Likeness::Other {
            if is_corrected_order(memory, facts, &key, &row)? {
                found.notice(Notice::BirthOrder);
            } else {
                found.contradicts(Contradiction::OtherTwin);
            }
        } else if compared.differs() && facts.kind != Kind::Registration {
            found.notice(Notice::Differs);
        }
        let newest = row.standing.as_ref().filter(|said| said.registered);
        if facts.kind == Kind::Registration
            && newest.is_some_and(|newest| facts.as_of < newest.as_of)
        {
            found.notice(Notice::Older);
        }
    }
    if !known && !facts.sides.patients.is_empty() {
        found.lacks(Unknown::Patient);
    }
    Ok(())
}

/// The numbers that a message moves to another patient.
fn moved(facts: &Facts) -> Vec<Identifier> {
    if !facts.moves_numbers() || facts.sides.moved_to().is_empty() {
        return Vec::new();
    }
    facts.sides.moved()
}

/// Whether a registration corrects the birth order of its child, and is not about another one: all else
/// is the same, and no other child of that mother and day has the order or may have it.
fn is_corrected_order(
    memory: &mut dyn Memory,
    facts: &Facts,
    key: &SmolStr,
    row: &Patient,
) -> Result<bool, LinkError> {
    let compared = row.person().compare(&facts.person);
    let same = [compared.name, compared.birth, compared.sex];
    let (Some(said), Some(known)) = (&facts.mother, &row.mother) else {
        return Ok(false);
    };
    if facts.kind != Kind::Registration || same != [Likeness::Same; 3] {
        return Ok(false);
    }
    let (mother, of_mother) = survivor(memory, &known.value)?;
    let Some(of_mother) = of_mother.filter(|row| row.children.contains(key)) else {
        return Ok(false);
    };
    if survivor(memory, &said.key())?.0 != mother || of_mother.children.len() >= CHILDREN_MAX {
        return Ok(false);
    }
    for child in &of_mother.children {
        let (now, other) = survivor(memory, child)?;
        let Some(other) = other.filter(|other| now != *key && other.is_known()) else {
            continue;
        };
        let compared = other.person().compare(&facts.person);
        let may_have_it = matches!(compared.birth_order, Likeness::Same | Likeness::Unsaid);
        if compared.birth != Likeness::Other && may_have_it && other.standing() != Standing::Deleted
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The patients of a row and those of the message have none in common.
fn of_others(
    memory: &mut dyn Memory,
    owners: &BTreeSet<SmolStr>,
    found: &Assessment,
) -> Result<bool, LinkError> {
    if owners.is_empty() || found.patients.is_empty() {
        return Ok(false);
    }
    for owner in owners {
        let (now, row) = survivor(memory, owner)?;
        let mut links = row.iter().flat_map(|row| &row.links);
        if found.patients.contains(&now) || links.any(|link| found.patients.contains(link)) {
            return Ok(false);
        }
    }
    // Numbers of different authorities say nothing about each other.
    let authority = |key: &SmolStr| Identifier::of_key(key).map(|one| (one.authority, one.kind));
    let named: BTreeSet<_> = found.patients.iter().filter_map(authority).collect();
    Ok(owners
        .iter()
        .filter_map(authority)
        .any(|one| named.contains(&one)))
}

/// The visit was merged into another one after what is said of it.
pub(crate) fn is_given_up(memory: &mut dyn Memory, facts: &Facts) -> Result<bool, Unreadable> {
    let Some(visit) = &facts.sides.visit else {
        return Ok(false);
    };
    let row = read::<Visit>(memory, &visit.key())?;
    Ok(row.is_some_and(|row| row.was_given_up(facts.as_of)))
}

fn visits(memory: &mut dyn Memory, facts: &Facts, found: &mut Assessment) -> Result<(), LinkError> {
    if facts.event.is_some_and(Event::relinks) {
        return Ok(());
    }
    let sides = &facts.sides;
    // A registration of what was given up since is not one of what stays.
    let over = facts.kind == Kind::Registration && is_given_up(memory, facts)?;
    if let Some(alternate) = sides.alternate_visit.as_ref().filter(|_| !over) {
        let now = surviving_visit(memory, &alternate.key())?.0;
        found.follows(Level::AlternateVisit, alternate, &now);
    }
    for (identifier, level) in [
        (&sides.account, Level::Account),
        (&sides.visit, Level::Visit),
    ] {
        let Some(identifier) = identifier else {
            continue;
        };
        let is_visit = level == Level::Visit;
        let (now, row) = surviving_visit(memory, &identifier.key())?;
        if !(is_visit && over) {
            found.follows(level, identifier, &now);
        }
        let Some(row) = row else {
            if is_visit {
                found.lacks(Unknown::Visit);
            }
            continue;
        };
        if of_others(memory, &row.patients, found)? {
            found.contradicts(Contradiction::VisitOfOther);
        }
        let gone = matches!(row.status, VisitStatus::Cancelled | VisitStatus::Deleted);
        if gone && is_visit && matches!(facts.kind, Kind::Result | Kind::Order) {
            found.contradicts(Contradiction::CancelledVisit);
        }
        let moves = matches!(facts.event.map(|event| event.act), Some(Act::Visit(_)));
        if is_visit && moves && facts.as_of < row.as_of {
            found.notice(Notice::Older);
        }
    }
    Ok(())
}

fn orders(memory: &mut dyn Memory, facts: &Facts, found: &mut Assessment) -> Result<(), LinkError> {
    for order in &facts.orders {
        let mut known = false;
        for number in &order.numbers {
            let Some(row) = read::<Order>(memory, &number.key())? else {
                continue;
            };
            known = true;
            if of_others(memory, &row.patients, found)? {
                found.contradicts(Contradiction::OrderOfOther);
            }
            if row.cancelled && facts.kind == Kind::Result && !order.ended {
                if row.reported {
                    found.notice(Notice::AfterCancel);
                } else {
                    found.contradicts(Contradiction::CancelledOrder);
                }
            }
        }
        if !known && !order.numbers.is_empty() && facts.kind == Kind::Result {
            found.lacks(Unknown::Order);
        }
    }
    // A child is of the same patient as its parent, which the message does not change.
    for parent in &facts.parents {
        if let Some(row) = read::<Order>(memory, &parent.key())?
            && of_others(memory, &row.patients, found)?
        {
            found.contradicts(Contradiction::OrderOfOther);
        }
    }
    Ok(())
}
