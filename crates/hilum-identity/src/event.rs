//! What the events of table 0003 do to patients, accounts and visits.
//!
//! One row each, after HL7 v2.5.1 §3.3 and §3.6; which fields name the two sides is for whoever reads
//! the message.

/// What an event does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The record of the MRG segment goes up in the other one and is used no more.
    Merge,
    /// The identifier of the MRG segment is replaced by another one of the same record.
    Change,
    /// What the event names belongs to another owner from now on.
    Move,
    /// Both records are of one person; both stay in use.
    Link,
    /// They are not.
    Unlink,
    /// A visit begins, is planned, goes on or ends.
    Visit(VisitStatus),
    /// A visit is told of without a change of what it is: a transfer, a change of a doctor, and what
    /// takes such a thing back.
    Within,
    /// The person was entered by mistake.
    DeletePerson,
    /// Nothing but what the message says of the person.
    Person,
}

/// What a visit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VisitStatus {
    /// It is to come.
    Planned,
    /// The patient is there.
    Open,
    /// It has ended.
    Finished,
    /// It was taken back.
    Cancelled,
    /// It was entered by mistake.
    Deleted,
}

/// What a merge, a change or a move is about.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// The person or patient: PID-3 and PID-2, before MRG-1 and MRG-4.
    Patient,
    /// The account: PID-18, before MRG-3.
    Account,
    /// The visit: PV1-19, before MRG-5.
    Visit,
    /// The other number of the visit: PV1-50, before MRG-6.
    AlternateVisit,
}

/// An event of table 0003.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its code.
    pub code: &'static str,
    /// What it does.
    pub act: Act,
    /// To what.
    pub levels: &'static [Level],
}

const PATIENT: &[Level] = &[Level::Patient];
const ACCOUNT: &[Level] = &[Level::Account];
const VISIT: &[Level] = &[Level::Visit];

const fn event(code: &'static str, act: Act, levels: &'static [Level]) -> Event {
    Event { code, act, levels }
}

/// The events that change links or visits, by code.
pub const EVENTS: &[Event] = &[
    event("A01", Act::Visit(VisitStatus::Open), VISIT),
    event("A02", Act::Within, VISIT),
    event("A03", Act::Visit(VisitStatus::Finished), VISIT),
    event("A04", Act::Visit(VisitStatus::Open), VISIT),
    event("A05", Act::Visit(VisitStatus::Planned), VISIT),
    event("A06", Act::Visit(VisitStatus::Open), VISIT),
    event("A07", Act::Visit(VisitStatus::Open), VISIT),
    event("A08", Act::Within, VISIT),
    event("A09", Act::Within, VISIT),
    event("A10", Act::Within, VISIT),
    event("A11", Act::Visit(VisitStatus::Cancelled), VISIT),
    event("A12", Act::Within, VISIT),
    event("A13", Act::Visit(VisitStatus::Open), VISIT),
    event("A14", Act::Visit(VisitStatus::Planned), VISIT),
    event("A15", Act::Within, VISIT),
    event("A16", Act::Within, VISIT),
    event("A18", Act::Merge, PATIENT),
    event("A21", Act::Within, VISIT),
    event("A22", Act::Within, VISIT),
    event("A23", Act::Visit(VisitStatus::Deleted), VISIT),
    event("A24", Act::Link, PATIENT),
    event("A25", Act::Within, VISIT),
    event("A26", Act::Within, VISIT),
    event("A27", Act::Visit(VisitStatus::Cancelled), VISIT),
    event("A28", Act::Person, PATIENT),
    event("A29", Act::DeletePerson, PATIENT),
    event("A30", Act::Merge, PATIENT),
    event("A31", Act::Person, PATIENT),
    event("A32", Act::Within, VISIT),
    event("A33", Act::Within, VISIT),
    event("A34", Act::Merge, PATIENT),
    event("A35", Act::Merge, ACCOUNT),
    event("A36", Act::Merge, &[Level::Patient, Level::Account]),
    event("A37", Act::Unlink, PATIENT),
    event("A38", Act::Visit(VisitStatus::Cancelled), VISIT),
    event("A39", Act::Merge, PATIENT),
    event("A40", Act::Merge, PATIENT),
    event("A41", Act::Merge, ACCOUNT),
    event("A42", Act::Merge, VISIT),
    event("A43", Act::Move, PATIENT),
    event("A44", Act::Move, ACCOUNT),
    event("A45", Act::Move, VISIT),
    event("A46", Act::Change, PATIENT),
    event("A47", Act::Change, PATIENT),
    event("A48", Act::Change, PATIENT),
    event("A49", Act::Change, ACCOUNT),
    event("A50", Act::Change, VISIT),
    event("A51", Act::Change, &[Level::AlternateVisit]),
    event("A52", Act::Within, VISIT),
    event("A53", Act::Within, VISIT),
    event("A54", Act::Within, VISIT),
    event("A55", Act::Within, VISIT),
    event("A60", Act::Person, PATIENT),
];

impl Event {
    /// The event with a code; `None` for those that change neither links nor visits.
    #[must_use]
    pub fn named(code: &str) -> Option<Self> {
        EVENTS.iter().find(|event| event.code == code).copied()
    }

    /// It changes which identifiers belong together.
    #[must_use]
    pub const fn relinks(self) -> bool {
        matches!(
            self.act,
            Act::Merge | Act::Change | Act::Move | Act::Link | Act::Unlink
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_of_the_contract_has_one_row() {
        let named = [
            "A11", "A12", "A13", "A18", "A23", "A24", "A25", "A26", "A27", "A29", "A30", "A32",
            "A33", "A34", "A35", "A36", "A37", "A38", "A39", "A40", "A41", "A42", "A43", "A44",
            "A45", "A46", "A47", "A48", "A49", "A50", "A51", "A52", "A53", "A54", "A55", "A60",
        ];
        for code in named {
            assert!(Event::named(code).is_some(), "{code}");
        }
        assert!(EVENTS.windows(2).all(|two| two[0].code < two[1].code));
    }
}
