//! Merging, moving, linking and taking it back: only links change, never a record.

mod apply;
mod change;
mod follow;
mod twins;
mod undo;

use hilum_message::MessageId;
use hilum_message::numbers::names_nobody;
use smol_str::SmolStr;

use crate::identifier::Identifier;
use crate::record::Unreadable;

pub use apply::apply;
pub(crate) use change::{Ids, patient_of, visit_of};
pub use follow::{Lanes, linked, surviving_visit, survivor};
pub(crate) use twins::joins_twins;
pub use undo::{left_out, undo};

/// Merges that are followed one after the other.
pub const CHAIN_MAX: usize = 64;

/// Why links were not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// A row cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The survivor has already been merged into the victim.
    #[error("the record that is to stay was merged into the one that is to go; undo that first")]
    Circle,
    /// Two of one birth.
    #[error(
        "the two were born together and have names or birth orders of their own: twins are not merged"
    )]
    Twins,
    /// The message lacks one of the two sides.
    #[error("the message does not say {0}")]
    Missing(&'static str),
    /// Merges follow each other too often.
    #[error("more than {CHAIN_MAX} merges lead from one record to the next")]
    Chain,
    /// There is no such event.
    #[error("there is no such event")]
    NoEvent,
    /// It was undone before.
    #[error("the event {0} has already undone it")]
    Undone(SmolStr),
    /// Something was changed again since.
    #[error("a later event changed the same link; undo that first")]
    Later,
}

/// The two sides of an event that changes links, as its message names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sides {
    /// PID-3 and PID-2; of a link, those of the first PID.
    pub patients: Vec<Identifier>,
    /// MRG-1 and MRG-4; of a link, those of the second PID.
    pub prior_patients: Vec<Identifier>,
    /// Of a move of numbers (A43): the person whose they are (PID-2).
    pub person: Option<Identifier>,
    /// Of a move of numbers: the person with whom they were (MRG-4).
    pub prior_person: Option<Identifier>,
    /// PID-18.
    pub account: Option<Identifier>,
    /// MRG-3.
    pub prior_account: Option<Identifier>,
    /// PV1-19.
    pub visit: Option<Identifier>,
    /// MRG-5.
    pub prior_visit: Option<Identifier>,
    /// PV1-50.
    pub alternate_visit: Option<Identifier>,
    /// MRG-6.
    pub prior_alternate_visit: Option<Identifier>,
}

impl Sides {
    /// The numbers that a merge gives up (MRG-1). Of several, those that name nobody do not count (social
    /// security, driver's licence), and those that whoever stays has as well. Where they have them all,
    /// each is given up that is not the one into which it would go.
    #[must_use]
    pub fn given_up(&self) -> Vec<&Identifier> {
        let mut all: Vec<_> = self.prior_patients.iter().collect();
        if all.iter().any(|one| !names_nobody(&one.kind)) {
            all.retain(|one| !names_nobody(&one.kind));
        }
        if all.iter().any(|one| !self.patients.contains(one)) {
            all.retain(|one| !self.patients.contains(one));
            return all;
        }
        all.retain(|one| self.takes(one).is_none_or(|into| into != *one));
        all
    }

    /// The number of whoever stays that a number of before goes into: that of the same authority and type,
    /// else the first.
    #[must_use]
    pub fn takes(&self, former: &Identifier) -> Option<&Identifier> {
        let same =
            |other: &&Identifier| other.authority == former.authority && other.kind == former.kind;
        let mut patients = self.patients.iter();
        patients.find(same).or(self.patients.first())
    }

    /// The numbers that a move of numbers (A43) is about: those that stand on both sides; if none does,
    /// each of before, which is another one now (HL7 v2.5.1 §3.3.43). The type of a number, which one
    /// side may leave out, does not tell it from another.
    #[must_use]
    pub fn moved(&self) -> Vec<Identifier> {
        let is_in = |all: &[Identifier], one: &Identifier| {
            all.iter().any(|other| other.lane() == one.lane())
        };
        let before = self.prior_patients.iter();
        let mut moved: Vec<_> = before
            .filter(|one| is_in(&self.patients, one))
            .cloned()
            .collect();
        if moved.is_empty() {
            return self.prior_patients.clone();
        }
        let now = self.patients.iter();
        let now: Vec<_> = now.filter(|one| is_in(&moved, one)).cloned().collect();
        moved.extend(
            now.into_iter()
                .filter(|one| !self.prior_patients.contains(one)),
        );
        moved
    }

    /// The numbers of the patient to whom others are moved; none where a number stays what it is and
    /// only its person is another one.
    #[must_use]
    pub fn moved_to(&self) -> Vec<&Identifier> {
        let moved = self.moved();
        let is_moved = |one: &&Identifier| moved.iter().any(|other| other.lane() == one.lane());
        self.patients.iter().filter(|one| !is_moved(one)).collect()
    }
}

/// Who changes links, when and why.
#[derive(Clone, Debug)]
pub struct Cause<'a> {
    /// The id of the event, from which ids of new records derive as well.
    pub id: MessageId,
    /// When, Unix milliseconds.
    pub at_ms: u64,
    /// The message or the person.
    pub by: &'a str,
    /// Why.
    pub reason: &'a str,
}
