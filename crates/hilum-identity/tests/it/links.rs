//! Merging, moving, linking, and taking it back.

use hilum_component::LinkedKeys;
use hilum_identity::{
    CHILDREN_MAX, Cause, Contradiction, Facts, Identifier, Kind, LATE_KEPT, Lanes, LinkError,
    Notice, VisitStatus, left_out, linked, remember,
};
use hilum_message::MessageId;
use proptest::prelude::*;

use crate::build::*;

const JOHN: &str = "Smith^John^19500101^M";
const ANN: &str = "Jones^Ann^19700101^F";

fn two() -> State {
    let mut state = State::new();
    accepted(&mut state, 1, &adt("A01", "1", JOHN, 1));
    accepted(&mut state, 2, &adt("A01", "2", "Smith^Jon^19500101^M", 1));
    state
}

#[test]
fn what_comes_for_a_merged_number_is_for_the_survivor() {
    for code in [
        "A18", "A30", "A34", "A36", "A39", "A40", "A46", "A47", "A48",
    ] {
        let mut state = two();
        let mut message = merge(code, "1", "2", 2);
        message.sides.account = Some(account("N1"));
        message.sides.prior_account = Some(account("N2"));
        accepted(&mut state, 3, &message);
        assert_eq!(now(&mut state, "2"), "1", "{code}");
        let found = take(&mut state, 4, &oru("2", "Smith^Jon^19500101^M", 3));
        assert_eq!(found.contradictions, []);
        assert_eq!(found.notices, [Notice::Followed]);
        assert_eq!(found.followed, [(mrn("2"), mrn("1"))]);
        assert_eq!(found.unknown, []);
        let found = take(&mut state, 5, &adt("A08", "2", "Smith^Jon^19500101^M", 4));
        assert_eq!(found.contradictions, [Contradiction::DemographicsOfMerged]);
        // Both names stay known.
        assert_eq!(patient(&mut state, "1").person().given, "John");
        assert_eq!(patient(&mut state, "2").person().given, "Jon");
        let lane = Lanes.survivor(&View(&state), "patient", "HOSP|2");
        assert_eq!(lane.as_deref(), Some("HOSP|1"));
        assert_eq!(Lanes.survivor(&View(&state), "patient", "HOSP|1"), None);
        assert!(
            take(&mut state, 6, &message).contradictions.is_empty(),
            "twice"
        );
    }
}

#[test]
fn a_merge_can_be_undone_and_then_each_is_who_it_was() {
    let mut state = two();
    accepted(&mut state, 3, &merge("A40", "1", "2", 2));
    undo(&mut state, 4, 3).unwrap();
    assert_eq!(now(&mut state, "2"), "2");
    assert_eq!(patient(&mut state, "2").person().given, "Jon");
    assert_eq!(
        take(&mut state, 5, &oru("2", "Smith^Jon^19500101^M", 3)).notices,
        []
    );
    assert!(matches!(undo(&mut state, 6, 3), Err(LinkError::Undone(_))));
    // What undid it can be undone as well.
    undo(&mut state, 7, 4).unwrap();
    assert_eq!(now(&mut state, "2"), "1");
}

#[test]
fn chains_are_followed_and_circles_are_for_a_person() {
    let mut state = two();
    accepted(&mut state, 3, &adt("A01", "3", JOHN, 1));
    accepted(&mut state, 4, &merge("A40", "2", "3", 2));
    accepted(&mut state, 5, &merge("A40", "1", "2", 3));
    assert_eq!(now(&mut state, "3"), "1");
    let found = take(&mut state, 6, &merge("A40", "3", "1", 4));
    assert_eq!(
        found.contradictions,
        [Contradiction::Links(LinkError::Circle)]
    );
    // The middle one is undone: the others are not touched.
    undo(&mut state, 7, 5).unwrap();
    assert_eq!(now(&mut state, "3"), "2");
    assert_eq!(now(&mut state, "1"), "1");
}

#[test]
fn a_number_that_changes_stays_the_same_record() {
    let mut state = two();
    let id = patient(&mut state, "2").id;
    accepted(&mut state, 3, &merge("A47", "9", "2", 2));
    assert_eq!(patient(&mut state, "9").id, id);
    assert_eq!(now(&mut state, "2"), "9");
}

#[test]
fn where_only_another_number_of_the_patient_changes_no_record_goes() {
    for code in ["A46", "A48"] {
        let mut state = two();
        let mut message = adt(code, "1", JOHN, 2);
        accepted(&mut state, 3, &message);
        message.sides.prior_patients = vec![mrn("1")];
        accepted(&mut state, 4, &message);
        for number in ["1", "2"] {
            assert_eq!(now(&mut state, number), number, "{code}");
        }
    }
    let found = take(&mut two(), 3, &adt("A47", "1", JOHN, 2));
    let missing = LinkError::Missing("who was merged (MRG-1)");
    assert_eq!(found.contradictions, [Contradiction::Links(missing)]);
}

#[test]
fn of_several_numbers_each_is_given_up_that_names_somebody_else() {
    let of_kind = |number: &str| match number.split_once(':') {
        Some((kind, number)) => Identifier::new(number, "STATE", kind),
        None => mrn(number),
    };
    for (stays, before, gone) in [
        (&["1"][..], &["2", "3"][..], &["2", "3"][..]),
        (&["1"], &["SS:77", "2", "DL:78"], &["2"]),
        (&["1"], &["SS:77"], &["SS:77"]),
        (&["1", "3"], &["3", "2"], &["2"]),
        (&["1"], &["1", "2"], &["2"]),
        (&["2", "1"], &["1"], &["1"]),
        (&["1"], &["1"], &[]),
    ] {
        for code in ["A18", "A40", "A47"] {
            let mut message = merge(code, "1", "2", 2);
            message.sides.patients = stays.iter().map(|one| of_kind(one)).collect();
            message.sides.prior_patients = before.iter().map(|one| of_kind(one)).collect();
            let mut state = two();
            accepted(&mut state, 3, &message);
            for number in before {
                let key = of_kind(number).key();
                let now = hilum_identity::survivor(&mut state, &key).unwrap().0;
                let is_gone = gone.contains(number);
                assert_eq!(now != key, is_gone, "{code} {stays:?} {before:?} {number}");
            }
        }
    }
}

#[test]
fn who_came_to_the_same_place_before_stays_there_when_the_others_are_taken_back() {
    for (numbers, left) in [(["2", "3"], "1"), (["3", "2"], "1")] {
        let mut state = two();
        accepted(&mut state, 3, &merge("A40", "1", "3", 2));
        let mut both = merge("A40", "1", "2", 3);
        both.sides.prior_patients = numbers.map(mrn).to_vec();
        accepted(&mut state, 4, &both);
        undo(&mut state, 5, 4).unwrap();
        assert_eq!(now(&mut state, "2"), "2");
        assert_eq!(now(&mut state, "3"), left);
    }
}

#[test]
fn an_id_says_nothing_of_the_number() {
    let (mut one, mut other) = (State::new(), State::new());
    accepted(&mut one, 1, &adt("A01", "1", JOHN, 1));
    accepted(&mut other, 1, &adt("A01", "2", JOHN, 1));
    assert_eq!(patient(&mut one, "1").id, patient(&mut other, "2").id);
    let mut again = State::new();
    accepted(&mut again, 2, &adt("A01", "1", JOHN, 1));
    assert_ne!(patient(&mut one, "1").id, patient(&mut again, "1").id);
}

#[test]
fn what_can_be_done_in_part_only_is_not_done() {
    let mut state = two();
    accepted(&mut state, 3, &adt("A01", "3", JOHN, 1));
    accepted(&mut state, 4, &merge("A40", "3", "1", 2));
    // 2 could go into 1, and so into 3; 3 itself cannot.
    let mut message = merge("A40", "1", "2", 3);
    message.sides.prior_patients.push(mrn("3"));
    let before = state.clone();
    let found = take(&mut state, 5, &message);
    assert_eq!(
        found.contradictions,
        [Contradiction::Links(LinkError::Circle)]
    );
    assert_eq!(state, before);
}

#[test]
fn observations_beyond_the_limit_go_on_unremembered() {
    use hilum_identity::results::{ObservationKey, Ruling, Status};
    use hilum_identity::{OBSERVATIONS_MAX, Observation, Vouched, report};
    let observation = |n: usize, status| Observation {
        key: ObservationKey {
            code: n.to_string().into(),
            sub: "".into(),
            time: None,
        },
        status,
        value: 1,
    };
    let mut state = State::new();
    let all: Vec<_> = (0..=OBSERVATIONS_MAX)
        .map(|n| observation(n, Status::Final))
        .collect();
    let order = placer("O");
    report(&mut state, &order, &all, at(1), Vouched::No).unwrap();
    let again = [0, OBSERVATIONS_MAX].map(|n| observation(n, Status::Preliminary));
    let next = report(&mut state, &order, &again, at(2), Vouched::No).unwrap();
    assert!(matches!(next[0].ruling, Ruling::Kept(_)));
    assert_eq!(next[1].ruling, Ruling::Legal);
}

#[test]
fn twins_are_not_merged() {
    let mut state = State::new();
    accepted(&mut state, 1, &adt("A01", "M", ANN, 1));
    for (number, given, order) in [("B1", "Ben", 2), ("B2", "Tom", 3)] {
        let mut birth = adt("A01", number, &format!("Jones^{given}^20260101^M"), order);
        birth.mother = Some(mrn("M"));
        accepted(&mut state, u64::try_from(order).unwrap(), &birth);
    }
    let found = take(&mut state, 4, &merge("A40", "B1", "B2", 4));
    assert_eq!(
        found.contradictions,
        [Contradiction::Links(LinkError::Twins)]
    );
    // A newborn gets a name.
    accepted(
        &mut state,
        5,
        &adt("A08", "B1", "Miller^Benjamin^20260101^M", 5),
    );
}

#[test]
fn twins_of_one_name_are_told_apart_by_the_order_of_their_birth() {
    let mut state = State::new();
    let boy = |order: &str| format!("Jones^Boy^20260101^M^{order}");
    accepted(&mut state, 1, &adt("A01", "B1", &boy("1"), 1));
    accepted(&mut state, 2, &adt("A01", "B2", &boy("2"), 2));
    let twins = [Contradiction::Links(LinkError::Twins)];
    for (number, code) in [(3, "A40"), (4, "A34"), (5, "A18"), (6, "A24")] {
        let found = take(&mut state, number, &merge(code, "B1", "B2", 3));
        assert_eq!(found.contradictions, twins, "{code}");
    }
    // The one who stays is not known yet; its message says which of the two it is.
    for (number, order, expected) in [(7, "1", &twins[..]), (8, "2", &[]), (9, "2", &[])] {
        let mut a40 = merge("A40", "B9", "B2", 4);
        a40.person = person(&boy(order));
        let found = take(&mut state, number, &a40);
        assert_eq!(found.contradictions, expected, "{order}");
    }
    // A result under the number of the one with the order of the other.
    let other = [Contradiction::OtherTwin];
    for (number, facts, expected) in [
        (10, oru("B1", &boy("2"), 5), &other[..]),
        (11, adt("A08", "B1", &boy("2"), 6), &other),
        (12, oru("B1", &boy(""), 7), &[]),
        (13, oru("B1", &boy("1"), 8), &[]),
    ] {
        let found = take(&mut state, number, &facts);
        assert_eq!(found.contradictions, expected, "message {number}");
    }
}

/// A mother with one child, registered as the first of its birth.
fn mother_and_child() -> State {
    let mut state = State::new();
    accepted(&mut state, 1, &adt("A01", "M", ANN, 1));
    accepted(&mut state, 2, &born("B1", "Boy", "1", 2));
    state
}

fn born(number: &str, given: &str, order: &str, at_ms: i64) -> Facts {
    let who = format!("Jones^{given}^20260101^M^{order}");
    let mut birth = adt("A08", number, &who, at_ms);
    birth.mother = Some(mrn("M"));
    birth
}

#[test]
fn a_birth_order_is_corrected_where_no_other_child_may_have_it() {
    let corrected = born("B1", "Boy", "2", 9);
    let check = |others: &[Facts], message: &Facts, goes_on: bool| {
        let mut state = mother_and_child();
        for (other, number) in others.iter().zip(3..) {
            accepted(&mut state, number, other);
        }
        let found = take(&mut state, 99, message);
        let (held, notices) = match goes_on {
            true => (vec![], vec![Notice::BirthOrder]),
            false => (vec![Contradiction::OtherTwin], vec![]),
        };
        let order = patient(&mut state, "B1").person().birth_order;
        assert_eq!((found.contradictions, found.notices), (held, notices));
        assert_eq!(order, if goes_on { "2" } else { "1" });
    };
    let other = |order| born("B2", "Boy", order, 3);
    check(&[], &corrected, true);
    check(&[other("3")], &corrected, true);
    check(&[other("2")], &corrected, false);
    // It may be the second.
    check(&[other("")], &corrected, false);
    let mut sister = other("2");
    sister.person.birth = "20210101".into();
    check(&[sister], &corrected, true);
    // All else has to be the same, and said by a registration.
    check(&[], &born("B1", "Tom", "2", 9), false);
    let mut of_another = corrected.clone();
    of_another.mother = Some(mrn("N"));
    check(&[], &of_another, false);
    of_another.mother = None;
    check(&[], &of_another, false);
    let mut result = corrected.clone();
    (result.kind, result.event) = (Kind::Result, None);
    check(&[], &result, false);
    // The mother was registered twice and is one.
    let mut of_merged = corrected.clone();
    of_merged.mother = Some(mrn("N"));
    check(&[merge("A40", "M", "N", 4)], &of_merged, true);
}

#[test]
fn a_birth_order_is_for_a_person_where_a_mother_has_more_children_than_are_remembered() {
    for (count, goes_on) in [(CHILDREN_MAX - 1, true), (CHILDREN_MAX, false)] {
        let mut state = mother_and_child();
        for number in 1..count {
            let mut child = born(&format!("C{number}"), "Boy", "", 3);
            child.person.birth = "19990101".into();
            accepted(&mut state, u64::try_from(number).unwrap() + 2, &child);
        }
        let found = take(&mut state, 999, &born("B1", "Boy", "2", 9));
        assert_eq!(found.contradictions.is_empty(), goes_on, "{count}");
        assert_eq!(patient(&mut state, "M").children.len(), count);
    }
}

#[test]
fn linked_records_both_stay_in_use() {
    let mut state = two();
    accepted(&mut state, 3, &merge("A24", "1", "2", 2));
    let all = linked(&mut state, &mrn("2").key()).unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(now(&mut state, "2"), "2");
    accepted(&mut state, 4, &adt("A08", "2", "Smith^Jon^19500101^M", 3));
    accepted(&mut state, 5, &merge("A37", "1", "2", 4));
    assert_eq!(linked(&mut state, &mrn("2").key()).unwrap().len(), 1);
}

#[test]
fn visits_and_accounts_are_merged_and_moved() {
    let mut state = two();
    accepted(&mut state, 3, &adt("A01", "1", JOHN, 2).with_visit("V1"));
    accepted(&mut state, 4, &adt("A01", "1", JOHN, 2).with_visit("V2"));
    let mut a42 = adt("A42", "1", "", 3).with_visit("V1");
    a42.sides.prior_visit = Some(visit("V2"));
    accepted(&mut state, 5, &a42);
    let surviving = |state: &mut State, number: &str| {
        hilum_identity::surviving_visit(state, &visit(number).key())
            .unwrap()
            .0
    };
    assert_eq!(surviving(&mut state, "V2"), visit("V1").key());
    undo(&mut state, 6, 5).unwrap();
    assert_eq!(surviving(&mut state, "V2"), visit("V2").key());

    // V2 was of patient 2 all the time.
    let mut a45 = adt("A45", "2", "", 4).with_visit("V2");
    a45.sides.prior_patients = vec![mrn("1")];
    a45.sides.prior_visit = Some(visit("V2"));
    accepted(&mut state, 7, &a45);
    accepted(
        &mut state,
        8,
        &oru("2", "Smith^Jon^19500101^M", 5).with_visit("V2"),
    );
    let found = take(&mut state, 9, &oru("1", JOHN, 5).with_visit("V2"));
    assert_eq!(found.contradictions, [Contradiction::VisitOfOther]);
    undo(&mut state, 10, 7).unwrap();
    accepted(&mut state, 11, &oru("1", JOHN, 5).with_visit("V2"));

    let mut a44 = adt("A44", "2", "", 6);
    a44.sides.account = Some(account("N1"));
    a44.sides.prior_account = Some(account("N1"));
    a44.sides.prior_patients = vec![mrn("1")];
    accepted(&mut state, 12, &a44);
    let mut message = oru("1", JOHN, 7);
    message.sides.account = Some(account("N1"));
    let found = take(&mut state, 13, &message);
    assert_eq!(found.contradictions, [Contradiction::VisitOfOther]);
}

#[test]
fn an_account_takes_its_visits_with_it_and_brings_them_back() {
    let mut state = two();
    let in_account = |code: &str, number: &str| {
        let who = if number == "1" {
            JOHN
        } else {
            "Smith^Jon^19500101^M"
        };
        let mut facts = adt(code, number, who, 3).with_visit("V1");
        facts.sides.account = Some(account("N1"));
        facts
    };
    accepted(&mut state, 3, &in_account("A01", "1"));
    let mut a44 = adt("A44", "2", "", 6);
    a44.sides.account = Some(account("N1"));
    a44.sides.prior_account = Some(account("N1"));
    a44.sides.prior_patients = vec![mrn("1")];
    accepted(&mut state, 4, &a44);
    // Without its account the visit is known too.
    let of_visit = |number: &str, who: &str| oru(number, who, 7).with_visit("V1");
    let found = take(&mut state, 5, &of_visit("1", JOHN));
    assert_eq!(found.contradictions, [Contradiction::VisitOfOther]);
    accepted(&mut state, 6, &of_visit("2", "Smith^Jon^19500101^M"));
    undo(&mut state, 7, 4).unwrap();
    accepted(&mut state, 8, &of_visit("1", JOHN));
    let found = take(&mut state, 9, &in_account("A02", "2"));
    assert_eq!(found.contradictions, [Contradiction::VisitOfOther]);
}

#[test]
fn what_was_said_of_a_merged_visit_before_is_not_said_of_the_one_that_stays() {
    let stay =
        |code: &str, number: &str, at_ms: i64| adt(code, "1", JOHN, at_ms).with_visit(number);
    let mut merge = stay("A42", "V1", 5);
    merge.sides.prior_patients = vec![mrn("1")];
    merge.sides.prior_visit = Some(visit("V2"));
    let story = [stay("A01", "V1", 1), stay("A03", "V2", 4), merge];
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let mut state = State::new();
        for (step, number) in order.into_iter().zip(1..) {
            accepted(&mut state, number, &story[step]);
        }
        assert_eq!(
            visit_row(&mut state, "V1").status,
            VisitStatus::Open,
            "{order:?}"
        );
        // Since then it is one visit, whatever somebody calls it.
        let found = take(&mut state, 9, &stay("A03", "V2", 6));
        assert_eq!(found.visits.len(), 1);
        assert_eq!(visit_row(&mut state, "V1").status, VisitStatus::Finished);
    }
}

#[test]
fn what_came_late_for_a_merged_visit_is_named_when_the_merge_is_taken_back() {
    let stay =
        |code: &str, number: &str, at_ms: i64| adt(code, "1", JOHN, at_ms).with_visit(number);
    let mut merge = stay("A42", "V1", 5);
    merge.sides.prior_patients = vec![mrn("1")];
    merge.sides.prior_visit = Some(visit("V2"));
    let mut state = State::new();
    accepted(&mut state, 1, &stay("A01", "V1", 1));
    accepted(&mut state, 2, &merge);
    let event = cause(2).id.to_string();
    for number in 0..LATE_KEPT as u64 + 1 {
        let by = MessageId::new(number, 1).to_string();
        let of = Cause {
            by: &by,
            ..cause(10 + number)
        };
        remember(&mut state, &stay("A01", "V2", 2), &of).unwrap();
    }
    // What came after the merge is about the one that stays, and so is a result.
    accepted(&mut state, 3, &stay("A02", "V2", 7));
    accepted(&mut state, 4, &oru("1", JOHN, 3).with_visit("V2"));
    assert_eq!(left_out(&mut state, &event).unwrap(), []);
    undo(&mut state, 5, 2).unwrap();
    assert_eq!(left_out(&mut state, &event).unwrap().len(), LATE_KEPT);
}

#[test]
fn an_event_that_lacks_a_side_is_for_a_person() {
    let mut state = two();
    for (code, lacks) in [
        ("A40", "MRG-1"),
        ("A41", "MRG-3"),
        ("A42", "MRG-5"),
        ("A45", "MRG-5"),
    ] {
        let found = take(&mut state, 3, &adt(code, "1", "", 2));
        let [Contradiction::Links(error)] = &found.contradictions[..] else {
            panic!("{code}: {found:?}");
        };
        assert!(error.to_string().contains(lacks), "{code}: {error}");
    }
}

/// A move of numbers (A43): those of now, those of before.
fn moved(now: &[&str], before: &[&str]) -> Facts {
    let mut facts = adt("A43", "1", JOHN, 3);
    facts.sides.patients = now.iter().map(|number| mrn(number)).collect();
    facts.sides.prior_patients = before.iter().map(|number| mrn(number)).collect();
    facts
}

#[test]
fn a_number_that_is_moved_is_the_one_that_stands_on_both_sides() {
    for (now_all, before, gone) in [
        (&["1", "9"][..], &["2", "9"][..], &["9"][..]),
        (&["9", "1"], &["9"], &["9"]),
        (&["1"], &["8", "9"], &["8", "9"]),
        (&["1", "8", "9"], &["8", "9"], &["8", "9"]),
    ] {
        let mut state = two();
        // The number was registered as somebody else's.
        accepted(
            &mut state,
            3,
            &adt("A01", "9", "Petra^Schmidt^19510203^F", 1),
        );
        accepted(&mut state, 4, &moved(now_all, before));
        for number in ["1", "2", "8", "9"] {
            let expected = if gone.contains(&number) { "1" } else { number };
            assert_eq!(now(&mut state, number), expected, "{now_all:?} {before:?}");
        }
        accepted(&mut state, 5, &oru("9", JOHN, 5));
        undo(&mut state, 6, 4).unwrap();
        assert_eq!(now(&mut state, "9"), "9");
        accepted(&mut state, 7, &oru("9", "Petra^Schmidt^19510203^F", 6));
    }
}

#[test]
fn a_number_that_stays_gets_another_person_and_gives_it_back() {
    let person = |number: &str| Some(Identifier::new(number, "EPI", "PI"));
    let mut state = two();
    let mut a43 = moved(&["1"], &["1"]);
    let found = take(&mut state, 3, &a43);
    let [Contradiction::Links(error)] = &found.contradictions[..] else {
        panic!("{found:?}");
    };
    assert!(error.to_string().contains("to whom"), "{error}");
    (a43.sides.person, a43.sides.prior_person) = (person("E2"), person("E1"));
    accepted(&mut state, 4, &a43);
    let links = |state: &mut State| linked(state, &mrn("1").key()).unwrap().len();
    assert_eq!((&*now(&mut state, "1"), links(&mut state)), ("1", 2));
    undo(&mut state, 5, 4).unwrap();
    assert_eq!(links(&mut state), 1);
    a43.sides.prior_person = person("E2");
    assert_eq!(take(&mut state, 6, &a43).contradictions.len(), 1);
}

#[test]
fn a_registration_that_names_the_survivor_too_is_about_the_survivor() {
    let mut state = two();
    accepted(&mut state, 3, &merge("A40", "1", "2", 2));
    let mut change = adt("A08", "1", JOHN, 4);
    change.sides.patients.push(mrn("2"));
    accepted(&mut state, 4, &change);
    let found = take(&mut state, 5, &adt("A08", "2", JOHN, 5));
    assert_eq!(found.contradictions, [Contradiction::DemographicsOfMerged]);
}

proptest! {
    /// Whatever is merged, moved and linked, each number leads to one record, and taking all of it
    /// back leads to where it began.
    #[test]
    fn all_of_it_can_be_undone(
        events in prop::collection::vec((0_usize..5, 0_u8..6, 0_u8..6), 0..24),
    ) {
        let mut state = State::new();
        for number in 0..6_u8 {
            let name = format!("Smith^John^195001{:02}^M", 1);
            accepted(&mut state, 100 + u64::from(number), &adt("A01", &number.to_string(), &name, 1));
        }
        let links = |state: &mut State| -> Vec<_> {
            (0..6_u8).map(|number| {
                let row = patient(state, &number.to_string());
                (row.into, row.links, row.name)
            }).collect()
        };
        let first = links(&mut state);
        let mut done = Vec::new();
        for (at, (code, one, other)) in events.iter().enumerate() {
            let code = ["A40", "A47", "A24", "A37", "A30"][*code];
            let number = 1000 + at as u64;
            let message = merge(code, &one.to_string(), &other.to_string(), 2);
            let before = state.clone();
            if take(&mut state, number, &message).contradictions.is_empty()
                && state.keys().any(|(_, key)| *key == cause(number).id.to_string()) {
                done.push(number);
            } else {
                prop_assert_eq!(links(&mut state), links(&mut before.clone()));
            }
            for number in 0..6_u8 {
                now(&mut state, &number.to_string());
            }
        }
        for (at, number) in done.iter().rev().enumerate() {
            prop_assert!(undo(&mut state, 5000 + at as u64, *number).is_ok());
        }
        prop_assert_eq!(links(&mut state), first);
    }
}
