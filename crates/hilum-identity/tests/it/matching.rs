//! Agrees, is unknown, contradicts.

use hilum_identity::{Contradiction, Notice, Unknown, VisitStatus};

use crate::build::*;

const JOHN: &str = "Smith^John^19500101^M";
const ANN: &str = "Jones^Ann^19700101^F";

#[test]
fn a_result_of_another_person_under_a_known_number_is_for_a_person_to_decide() {
    let mut state = State::new();
    accepted(&mut state, 1, &adt("A01", "1", JOHN, 1));
    let before = state.clone();
    let found = take(&mut state, 2, &oru("1", ANN, 2));
    assert_eq!(found.contradictions, [Contradiction::OtherPerson]);
    assert_eq!(state, before);
    accepted(&mut state, 3, &oru("1", "SMITH^J^19500101^M", 3));
    // So is an admission: somebody chose the wrong record.
    let found = take(&mut state, 4, &adt("A01", "1", ANN, 4));
    assert_eq!(found.contradictions, [Contradiction::OtherPerson]);
}

#[test]
fn what_is_not_known_is_said_and_what_a_result_said_gives_way_to_a_registration() {
    let mut state = State::new();
    let found = take(
        &mut state,
        1,
        &oru("1", JOHN, 9).with_visit("V").with_order("O", ""),
    );
    let unknown = [Unknown::Patient, Unknown::Visit, Unknown::Order];
    assert_eq!(found.unknown, unknown);
    // Older than the result, and more than it.
    accepted(&mut state, 2, &adt("A01", "1", "Smith^Jon^19500101^M", 1));
    assert_eq!(patient(&mut state, "1").person().given, "Jon");
    assert_eq!(take(&mut state, 3, &oru("1", JOHN, 10)).unknown, []);
}

#[test]
fn orders_and_visits_stay_with_their_patient() {
    let mut state = State::new();
    accepted(&mut state, 1, &adt("A01", "1", JOHN, 1).with_visit("V1"));
    accepted(&mut state, 2, &adt("A01", "2", ANN, 1));
    let mut order = oru("1", JOHN, 2).with_order("O1", "NW");
    order.kind = hilum_identity::Kind::Order;
    accepted(&mut state, 3, &order);
    let found = take(&mut state, 4, &oru("2", ANN, 3).with_order("O1", ""));
    assert_eq!(found.contradictions, [Contradiction::OrderOfOther]);
    let found = take(&mut state, 5, &oru("2", ANN, 3).with_visit("V1"));
    assert_eq!(found.contradictions, [Contradiction::VisitOfOther]);
    accepted(
        &mut state,
        6,
        &oru("1", JOHN, 3).with_order("O1", "").with_visit("V1"),
    );
}

#[test]
fn a_result_for_a_cancelled_order_or_visit_waits_unless_something_was_reported_before() {
    let mut state = State::new();
    accepted(&mut state, 1, &adt("A01", "1", JOHN, 1).with_visit("V1"));
    for (order, reported) in [("O1", false), ("O2", true)] {
        let mut message = oru("1", JOHN, 2).with_order(order, "NW");
        message.kind = hilum_identity::Kind::Order;
        accepted(&mut state, 2, &message);
        if reported {
            accepted(&mut state, 3, &oru("1", JOHN, 3).with_order(order, ""));
        }
        let mut message = oru("1", JOHN, 4).with_order(order, "CA");
        message.kind = hilum_identity::Kind::Order;
        accepted(&mut state, 4, &message);
    }
    let found = take(&mut state, 5, &oru("1", JOHN, 5).with_order("O1", ""));
    assert_eq!(found.contradictions, [Contradiction::CancelledOrder]);
    let found = take(&mut state, 6, &oru("1", JOHN, 5).with_order("O2", ""));
    assert_eq!(found.contradictions, []);
    assert_eq!(found.notices, [Notice::AfterCancel]);
    // That nothing will come is no result.
    let mut message = oru("1", JOHN, 6).with_order("O1", "");
    message.orders[0].ended = true;
    accepted(&mut state, 7, &message);

    accepted(&mut state, 8, &adt("A11", "1", JOHN, 7).with_visit("V1"));
    let found = take(&mut state, 9, &oru("1", JOHN, 8).with_visit("V1"));
    assert_eq!(found.contradictions, [Contradiction::CancelledVisit]);
    // A discharge is no cancellation, and a cancelled discharge opens the visit again.
    accepted(&mut state, 10, &adt("A01", "1", JOHN, 9).with_visit("V2"));
    accepted(&mut state, 11, &adt("A03", "1", JOHN, 10).with_visit("V2"));
    accepted(&mut state, 12, &oru("1", JOHN, 11).with_visit("V2"));
    accepted(&mut state, 13, &adt("A13", "1", JOHN, 12).with_visit("V2"));
    assert_eq!(visit_row(&mut state, "V2").status, VisitStatus::Open);
}

#[test]
fn a_temporary_patient_becomes_somebody() {
    let mut state = State::new();
    let mut unknown = adt("A01", "T1", "Unknown^Male^19000101^M", 1);
    unknown.temporary = true;
    accepted(&mut state, 1, &unknown);
    accepted(&mut state, 2, &oru("T1", "Unknown^Male^19000101^M", 2));
    accepted(&mut state, 3, &adt("A08", "T1", ANN, 3));
    assert_eq!(patient(&mut state, "T1").person(), person(ANN));
    let found = take(&mut state, 4, &oru("T1", JOHN, 4));
    assert_eq!(found.contradictions, [Contradiction::OtherPerson]);
}

#[test]
fn a_number_that_was_entered_by_mistake_takes_no_results() {
    let mut state = State::new();
    accepted(&mut state, 1, &adt("A28", "1", JOHN, 1));
    accepted(&mut state, 2, &adt("A29", "1", JOHN, 2));
    let found = take(&mut state, 3, &oru("1", JOHN, 3));
    assert_eq!(found.contradictions, [Contradiction::DeletedPatient]);
    accepted(&mut state, 4, &adt("A28", "1", JOHN, 4));
    accepted(&mut state, 5, &oru("1", JOHN, 5));
}
