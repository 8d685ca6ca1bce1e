use proptest::prelude::*;

use super::*;
use crate::dictionary::Dictionary;

fn message(kind: &str, segments: &str) -> Message {
    let mut text = format!("MSH|^~\\&|A|B|C|D|20260101||{kind}|1|P|2.5.1\r");
    for id in segments.split_whitespace() {
        text.push_str(&format!("{id}|1\r"));
    }
    Message::parse(text.into_bytes()).expect("message")
}

/// `MSH PATIENT_RESULT(PATIENT(PID) ORDER_OBSERVATION(OBR))`; `!` out of order, `?` unknown.
fn render(message: &Message) -> String {
    let structures = DictionaryStructures::new();
    let (grammar, found) = structures.assign(message).expect("structure");
    let mut out = String::new();
    let mut open: Vec<u32> = vec![0];
    for (segment, place) in message.segments().zip(&found.places) {
        let mut chain = vec![place.occurrence];
        while let Some(last) = chain.last().copied().filter(|last| *last != 0) {
            chain.push(
                found
                    .occurrences
                    .get(last as usize)
                    .expect("occurrence")
                    .parent,
            );
        }
        chain.reverse();
        let common = open.iter().zip(&chain).take_while(|(a, b)| a == b).count();
        out.push_str(&")".repeat(open.len() - common));
        for group in chain.iter().skip(common) {
            let occurrence = found.occurrences.get(*group as usize).expect("occurrence");
            let name = &grammar.rule(occurrence.node).expect("rule").name;
            out.push_str(&format!(" {name}[{}](", occurrence.ordinal));
        }
        open = chain;
        let mark = match place.fit {
            Fit::InOrder => "",
            Fit::OutOfOrder => "!",
            Fit::Unknown => "?",
        };
        out.push_str(&format!(" {}{mark}", segment.id()));
    }
    out.push_str(&")".repeat(open.len() - 1));
    out.replace("( ", "(").trim().to_owned()
}

#[test]
fn segments_find_their_groups() {
    let check = |kind: &str, segments: &str, expected: &str| {
        assert_eq!(
            render(&message(kind, segments)),
            expected,
            "{kind} {segments}"
        );
    };
    check(
        "ORU^R01^ORU_R01",
        "PID PV1 ORC OBR NTE OBX NTE OBX OBR OBX SPM",
        "MSH PATIENT_RESULT[1](PATIENT[1](PID VISIT[1](PV1)) \
         ORDER_OBSERVATION[1](ORC OBR NTE OBSERVATION[1](OBX NTE) OBSERVATION[2](OBX)) \
         ORDER_OBSERVATION[2](OBR OBSERVATION[1](OBX) SPECIMEN[1](SPM)))",
    );
    check(
        "ORU^R01",
        "PID OBR OBX PID OBR OBX",
        "MSH PATIENT_RESULT[1](PATIENT[1](PID) ORDER_OBSERVATION[1](OBR OBSERVATION[1](OBX))) \
         PATIENT_RESULT[2](PATIENT[1](PID) ORDER_OBSERVATION[1](OBR OBSERVATION[1](OBX)))",
    );
    check(
        "ADT^A01",
        "EVN PID NK1 PV1 ROL AL1 DG1 PR1 ROL GT1 IN1 IN2 IN1",
        "MSH EVN PID NK1 PV1 ROL AL1 DG1 PROCEDURE[1](PR1 ROL) GT1 INSURANCE[1](IN1 IN2) INSURANCE[2](IN1)",
    );
    check(
        "OML^O21",
        "PID ORC OBR ORC OBR PID ORC OBR OBX",
        "MSH PATIENT[1](PID) ORDER[1](ORC OBSERVATION_REQUEST[1](OBR)) ORDER[2](ORC OBSERVATION_REQUEST[1](OBR \
         PRIOR_RESULT[1](PATIENT_PRIOR[1](PID) ORDER_PRIOR[1](ORC OBR OBSERVATION_PRIOR[1](OBX)))))",
    );
    check(
        "SIU^S12",
        "SCH PID RGS AIS NTE AIP AIP",
        "MSH SCH PATIENT[1](PID) RESOURCES[1](RGS SERVICE[1](AIS NTE) PERSONNEL_RESOURCE[1](AIP) \
         PERSONNEL_RESOURCE[2](AIP))",
    );
}

#[test]
fn disorder_keeps_the_segment_where_it_is_and_finds_its_group() {
    let check = |kind: &str, segments: &str, expected: &str| {
        assert_eq!(
            render(&message(kind, segments)),
            expected,
            "{kind} {segments}"
        );
    };
    // A resource that comes after the one that the structure has behind it.
    check(
        "SIU^S12",
        "SCH PID RGS AIP AIL NTE AIP",
        "MSH SCH PATIENT[1](PID) RESOURCES[1](RGS PERSONNEL_RESOURCE[1](AIP) LOCATION_RESOURCE[1](AIL! NTE!) \
         PERSONNEL_RESOURCE[2](AIP))",
    );
    check("ADT^A01", "EVN PID PV1 NK1 GT1", "MSH EVN PID PV1 NK1! GT1");
    check(
        "ORU^R01",
        "PID OBR OBX PV1 OBX",
        "MSH PATIENT_RESULT[1](PATIENT[1](PID) ORDER_OBSERVATION[1](OBR OBSERVATION[1](OBX)) \
         PATIENT[1](VISIT[1](PV1!)) ORDER_OBSERVATION[1](OBSERVATION[2](OBX)))",
    );
    check(
        "ORU^R01",
        "PID ZPI OBR ZBR OBX ZBX XX9 OBX",
        "MSH PATIENT_RESULT[1](PATIENT[1](PID ZPI?) ORDER_OBSERVATION[1](OBR ZBR? OBSERVATION[1](OBX ZBX? XX9?) \
         OBSERVATION[2](OBX)))",
    );
    // No OBR at all, and one segment too many.
    check(
        "ORU^R01",
        "PID PD1 PD1 OBX",
        "MSH PATIENT_RESULT[1](PATIENT[1](PID PD1 PD1) ORDER_OBSERVATION[1](OBSERVATION[1](OBX)))",
    );
}

#[test]
fn a_message_without_a_known_structure_has_no_groups() {
    let groups = DictionaryStructures::new().groups(&message("ZZZ^Z99", "PID ZZ1"));
    assert_eq!((groups.groups.len(), groups.of_segment), (0, vec![None; 3]));
}

#[test]
fn technical_groups_are_not_named_in_paths() {
    let message = message("ORM^O01", "PID ORC OBR OBX");
    let groups = DictionaryStructures::new().groups(&message);
    let names: Vec<_> = groups
        .groups
        .iter()
        .map(|group| group.name.as_str())
        .collect();
    assert_eq!(names, ["PATIENT", "ORDER", "ORDER_DETAIL", "OBSERVATION"]);
    assert_eq!(
        groups.of_segment,
        [None, Some(0), Some(1), Some(2), Some(3)]
    );
}

#[test]
fn a_missing_segment_goes_where_the_structure_has_it() {
    let check =
        |kind: &str, segments: &str, groups: &[(&str, u32)], id: &str, expected: Option<usize>| {
            let steps: Vec<_> = groups
                .iter()
                .map(|(name, index)| GroupStep {
                    name: (*name).to_owned(),
                    index: Some(*index),
                })
                .collect();
            let found = DictionaryStructures::new().place(&message(kind, segments), &steps, id);
            assert_eq!(found, expected, "{kind} {segments} {groups:?} {id}");
        };
    check("ADT^A01", "EVN PID PV1 DG1", &[], "NK1", Some(3));
    check("ADT^A01", "EVN PID PV1 ZZZ DG1", &[], "AL1", Some(4));
    check("ADT^A01", "PID PV1", &[], "EVN", Some(1));
    check(
        "ADT^A01",
        "EVN PID PV1 PR1 GT1 IN1 ACC",
        &[("INSURANCE", 1)],
        "IN2",
        Some(7),
    );
    check("ORU^R01", "PID OBR OBX", &[], "PV1", Some(2));
    check(
        "ORU^R01",
        "PID OBR OBX OBR OBX",
        &[("PATIENT_RESULT", 1), ("ORDER_OBSERVATION", 2)],
        "ORC",
        Some(4),
    );
    check(
        "ORU^R01",
        "PID OBR OBX OBR OBX",
        &[("ORDER_OBSERVATION", 1)],
        "NTE",
        Some(3),
    );
    check(
        "ORU^R01",
        "PID OBR OBX",
        &[("ORDER_OBSERVATION", 1)],
        "PV1",
        Some(2),
    );
    check("ORU^R01", "", &[], "PID", Some(1));
    check("ORU^R01", "PID OBR", &[], "ZZ1", None);
    check("ZZZ^Z99", "PID OBR", &[], "PV1", None);
}

#[test]
fn a_structure_of_every_kind_takes_its_own_segments_in_order() {
    let structures = DictionaryStructures::new();
    for version in Dictionary::get().versions() {
        for structure in version.structures() {
            let grammar = structures.grammar(version, structure);
            let keys: Vec<u32> = (0..grammar.len())
                .filter_map(|at| grammar.rule(at))
                .map(|rule| rule.key)
                .filter(|key| *key != 0)
                .collect();
            let found = assign(&grammar, keys.iter().copied());
            assert_eq!(found.places.len(), keys.len());
            let known = found
                .places
                .iter()
                .filter(|place| place.fit != Fit::Unknown)
                .count();
            assert_eq!(known, keys.len(), "{} {}", version.name(), structure.id());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_segment_keeps_exactly_one_place_in_order(
        kind in prop::sample::select(vec!["ORU^R01", "ADT^A01", "OML^O21", "SIU^S12", "ORM^O01", "RDE^O11", "ADT^A40"]),
        ids in prop::collection::vec(
            prop::sample::select(vec![
                "PID", "PV1", "ORC", "OBR", "OBX", "NTE", "ZZ1", "SPM", "IN1", "AIP", "AIL", "RGS", "RXE", "MRG", "x9", "MSH",
            ]),
            0..40,
        ),
    ) {
        let message = message(kind, &ids.join(" "));
        let structures = DictionaryStructures::new();
        let (grammar, found) = structures.assign(&message).expect("structure");
        prop_assert_eq!(found.places.len(), message.segment_count());
        for (place, segment) in found.places.iter().zip(message.segments()) {
            let occurrence = found.occurrences.get(place.occurrence as usize).expect("occurrence");
            match place.node {
                Some(node) => {
                    let rule = grammar.rule(node).expect("rule");
                    prop_assert!(segment.has_id(&rule.name));
                    prop_assert_eq!(rule.parent, occurrence.node);
                }
                None => prop_assert_eq!(place.fit, Fit::Unknown),
            }
        }
        for (number, occurrence) in found.occurrences.iter().enumerate().skip(1) {
            prop_assert!((occurrence.parent as usize) < number);
            let parent = found.occurrences.get(occurrence.parent as usize).expect("parent");
            prop_assert_eq!(grammar.rule(occurrence.node).expect("rule").parent, parent.node);
        }
        let groups = structures.groups(&message);
        prop_assert_eq!(groups.of_segment.len(), message.segment_count());
    }
}
