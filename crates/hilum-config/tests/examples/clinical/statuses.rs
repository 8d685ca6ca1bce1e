//! Conditions on OBX-11, OBR-25 and ORC-1 that withhold what takes a result back.

use super::{problems, said};

#[test]
fn whatever_takes_a_final_result_back_is_named_where_it_is_withheld() {
    // Table 0085 alone; the condition does not look at the other two.
    let all = "a final result goes on, but not what takes it back: OBX-11 C (corrected), OBX-11 D \
               (deleted), OBX-11 W (of the wrong patient), OBX-11 X (cancelled)";
    for condition in [
        "OBX-11 = 'F'",
        "OBX[1]-11 = 'F'",
        "OBX-11.exists($this = 'F')",
        "OBX-11.exists($this in ('F' | 'P'))",
        "'F' in OBX-11",
        "OBX.`11` = 'F'",
        "OBX-11.lower() = 'f'",
        "OBX-11.matches('^[FP]$')",
        "(OBX-11 = 'C' or OBX-11 = 'D' or OBX-11 = 'W' or OBX-11 = 'X').not()",
        "MSH-9.1 = 'ORU' and OBX-11 = 'F' and PID-3[1].4.1 = 'NORTH'",
        "OBX-11 = 'F' or MSH-9.1 = 'ADT'",
    ] {
        let found = said(&format!("steps:\n  - filter: \"{condition}\"\n"));
        assert_eq!(found, [("W0315", all.to_owned())], "{condition}");
    }
    let found = said("steps:\n  - filter: { unless: \"OBX-11 = 'W' or OBX-11 = 'D'\" }\n");
    assert!(
        found[0]
            .1
            .ends_with(": OBX-11 D (deleted), OBX-11 W (of the wrong patient)")
    );
}

#[test]
fn each_place_of_a_status_is_tried_and_each_kind_of_condition() {
    let ends = |keys: &str, expected: &str| {
        let found = said(keys);
        let [(code, text)] = found.as_slice() else {
            panic!("{keys}: {found:?}")
        };
        assert_eq!(*code, "W0315");
        assert!(text.ends_with(expected), "{keys}: {text}");
    };
    ends(
        "accept: OBR-25 = 'F'\n",
        "OBR-25 C (corrected), OBR-25 X (cancelled)",
    );
    ends(
        "steps: [ { filter: \"ORC-1 = 'RE'\" } ]\n",
        "ORC-1 CA (cancelled), ORC-1 OC (cancelled), ORC-1 CR (cancelled)",
    );
    let to = "to:\n  ehr: { mllp: { system: ehr }, when: \"OBX-11 in ('F' | 'C' | 'D' | 'X')\" }\n";
    ends(
        to,
        "reaches `ehr`, but not what takes it back: OBX-11 W (of the wrong patient)",
    );
    ends(
        "steps:\n  - route: { to: { ehr: \"OBX-11 = 'F'\" }, default: [ehr] }\n",
        "OBX-11 X (cancelled)",
    );
    let own = "to:\n  ehr: { mllp: { system: ehr }, steps: [ { filter: \"OBX-11 = 'F'\" } ] }\n";
    ends(own, "OBX-11 X (cancelled)");
}

#[test]
fn a_condition_that_withholds_no_correction_is_left_alone() {
    for condition in [
        "(OBX-11 = 'P').not()",
        "OBX-11 in ('F' | 'C' | 'D' | 'W' | 'X')",
        "OBX-11 = 'P'",
        "OBX-3.1 = 'K'",
        "MSH-9.1 = 'ORU'",
        "%meta.x = 'F'",
    ] {
        let found = said(&format!("steps:\n  - filter: \"{condition}\"\n"));
        assert_eq!(found, [], "{condition}");
    }
}

#[test]
fn a_warning_is_silenced_with_a_reason_only() {
    let steps = "steps: [ { filter: \"OBX-11 = 'F'\" } ]\n";
    assert_eq!(
        said(&format!(
            "{steps}silence: {{ W0315: first reports only }}\n"
        )),
        []
    );
    for reason in ["''", "true", "yes", "1", "'-'"] {
        let found = said(&format!("{steps}silence: {{ W0315: {reason} }}\n"));
        let text = "a warning is silenced without a reason".to_owned();
        assert_eq!(found, [("E0105", text)], "{reason}");
    }
    let found = said("silence: { W0315: first reports only }\n");
    let text = "`W0315` silences nothing here".to_owned();
    assert_eq!(found, [("W0312", text)]);
    let found = said("silence: { W0308: because }\n");
    assert_eq!(found, [("E0104", "`W0308` cannot be silenced".to_owned())]);
}

#[test]
fn a_condition_in_another_language_is_told_what_to_write() {
    let remedy = |condition: &str| {
        let channel = format!(
            "channel: a\nfrom: {{ mllp: {{ system: lis, listen: 127.0.0.1:0 }} }}\nformat: hl7v2\nsteps: [ {{ filter: \"{condition}\" }} ]\nto: {{ ehr: {{ mllp: {{ system: ehr }} }} }}\n"
        );
        let found = problems(&[("channels/a.yaml", &channel)]);
        let found = found.into_iter().filter(|d| d.code != "W0305");
        let found: Vec<_> = found.map(|d| (d.code, d.remedy.unwrap())).collect();
        found
    };
    let list = "several values are written `('A' | 'B')`";
    for condition in [
        "OBX-11 in ['F']",
        "OBX-11 in [F, C]",
        "OBX-11 in ('F', 'C')",
    ] {
        assert_eq!(remedy(condition), [("E0112", list.to_owned())]);
    }
    let call = "`in` is an operator: write ` in ('A' | 'B')`";
    assert_eq!(remedy("OBX-11.in('F', 'C')"), [("E0112", call.to_owned())]);
    let capitals = "operators are written small: `or`";
    let condition = "OBX-11 = 'F' OR OBX-11 = 'C'";
    assert_eq!(remedy(condition), [("E0112", capitals.to_owned())]);
    let meant = "did you mean `OBX-11.1`?";
    assert_eq!(remedy("OBX.11.1 = 'F'"), [("E0112", meant.to_owned())]);
    let text = |word: &str| format!("a text constant is written '{word}'");
    assert_eq!(remedy("OBX-11 = F"), [("W0309", text("F"))]);
    assert_eq!(
        remedy("OBX-11 in (F | C)"),
        [("W0309", text("F")), ("W0309", text("C"))]
    );
    assert_eq!(remedy("MSH-9.1 = ORU"), [("W0309", text("ORU"))]);
}
