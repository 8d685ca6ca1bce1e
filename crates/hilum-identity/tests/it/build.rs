//! Messages, as short as they can be told.

use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use hilum_component::{StateView, Stored};
use hilum_identity::{
    Assessment, Cause, Event, Facts, Identifier, Kind, LinkError, LinkEvent, OrderFacts, Patient,
    Person, Sides, SourceTime, Visit, assess, read, remember,
};
use hilum_message::MessageId;

pub(crate) type State = BTreeMap<(String, String), Bytes>;

/// The state as an engine gives it.
pub(crate) struct View<'a>(pub(crate) &'a State);

impl StateView for View<'_> {
    fn get(&self, scope: &str, key: &str) -> Stored {
        Stored {
            version: 1,
            value: self.0.get(&(scope.to_owned(), key.to_owned())).cloned(),
        }
    }
}

/// A medical record number of the hospital.
pub(crate) fn mrn(number: &str) -> Identifier {
    Identifier::new(number, "HOSP", "MR")
}

pub(crate) fn visit(number: &str) -> Identifier {
    Identifier::new(number, "HOSP", "VN")
}

pub(crate) fn account(number: &str) -> Identifier {
    Identifier::new(number, "HOSP", "AN")
}

pub(crate) fn placer(number: &str) -> Identifier {
    Identifier::new(number, "EHR", "placer")
}

/// `FAMILY^GIVEN^BIRTH^SEX^BIRTH ORDER`.
pub(crate) fn person(text: &str) -> Person {
    let mut parts = text.split('^').map(str::to_owned);
    let mut next = || parts.next().unwrap_or_default().into();
    Person {
        family: next(),
        given: next(),
        birth: next(),
        sex: next(),
        birth_order: next(),
    }
}

pub(crate) const fn at(at_ms: i64) -> SourceTime {
    SourceTime::new(at_ms, at_ms)
}

/// A registration.
pub(crate) fn adt(code: &str, number: &str, who: &str, at_ms: i64) -> Facts {
    Facts {
        kind: Kind::Registration,
        event: Event::named(code),
        sides: Sides {
            patients: vec![mrn(number)],
            ..Sides::default()
        },
        person: person(who),
        as_of: at(at_ms),
        ..Facts::default()
    }
}

/// A result.
pub(crate) fn oru(number: &str, who: &str, at_ms: i64) -> Facts {
    Facts {
        kind: Kind::Result,
        event: None,
        ..adt("", number, who, at_ms)
    }
}

pub(crate) fn merge(code: &str, survivor: &str, victim: &str, at_ms: i64) -> Facts {
    let mut facts = adt(code, survivor, "", at_ms);
    facts.sides.prior_patients = vec![mrn(victim)];
    facts
}

pub(crate) trait With: Sized {
    fn with_visit(self, number: &str) -> Self;
    fn with_order(self, number: &str, code: &str) -> Self;
}

impl With for Facts {
    fn with_visit(mut self, number: &str) -> Self {
        self.sides.visit = Some(visit(number));
        self
    }

    fn with_order(mut self, number: &str, code: &str) -> Self {
        self.orders.push(OrderFacts {
            numbers: vec![placer(number)],
            change: hilum_identity::results::order_change(code),
            ended: false,
        });
        self
    }
}

pub(crate) fn cause(number: u64) -> Cause<'static> {
    Cause {
        id: MessageId::new(number, u128::from(number)),
        at_ms: number,
        by: "message",
        reason: "",
    }
}

/// Takes a message in as the step does: one that contradicts is not remembered.
pub(crate) fn take(state: &mut State, number: u64, facts: &Facts) -> Assessment {
    let mut found = assess(state, facts).unwrap();
    if found.contradictions.is_empty()
        && let Err(error) = remember(state, facts, &cause(number))
    {
        found
            .contradictions
            .push(hilum_identity::Contradiction::Links(error));
    }
    found
}

pub(crate) fn accepted(state: &mut State, number: u64, facts: &Facts) {
    let found = take(state, number, facts);
    assert_eq!(found.contradictions, [], "message {number}");
}

pub(crate) fn patient(state: &mut State, number: &str) -> Patient {
    Rc::unwrap_or_clone(read(state, &mrn(number).key()).unwrap().unwrap())
}

pub(crate) fn visit_row(state: &mut State, number: &str) -> Visit {
    Rc::unwrap_or_clone(read(state, &visit(number).key()).unwrap().unwrap())
}

pub(crate) fn now(state: &mut State, number: &str) -> String {
    let key = hilum_identity::survivor(state, &mrn(number).key())
        .unwrap()
        .0;
    Identifier::of_key(&key).unwrap().value.into()
}

pub(crate) fn undo(state: &mut State, number: u64, event: u64) -> Result<LinkEvent, LinkError> {
    hilum_identity::undo(state, &cause(event).id.to_string(), &cause(number))
}
