//! Numbers without their authority, units without their values, tables that nobody reviewed, results that
//! nobody holds against the record.

use super::{problems, said};

#[test]
fn a_bare_number_of_a_patient_decides_nothing() {
    let when = |condition: &str| {
        said(&format!(
            "to:\n  ehr: {{ mllp: {{ system: ehr }}, when: \"{condition}\" }}\n"
        ))
    };
    let (alone, apart) = (
        "a patient's number decides without the authority that assigned it",
        "a patient's number and an authority decide, and may be of two identifiers",
    );
    for (condition, text) in [
        ("PID-3[1].1 = '4711'", alone),
        ("PID-3.1.startsWith('9')", alone),
        ("PID-3.1.matches('^9')", alone),
        ("PID-3.exists($this = '1')", alone),
        ("PID-3.exists($this.`1` = '4711')", alone),
        ("PID-3[1].1 = '4711' or PID-3[1].4.1 = 'STE'", alone),
        ("MSH-9.1 = 'ORU' and PID-3[1].1 = '4711'", alone),
        (
            "PID-3.1.exists($this = '4711') and PID-3.4.exists($this = 'STE')",
            apart,
        ),
        (
            "PID-3.1.exists($this = '4711') and PID-3.4.2.exists($this = '1.2.3')",
            apart,
        ),
    ] {
        let found = when(condition);
        assert_eq!(found, [("W0316", text.to_owned())], "{condition}");
    }
    for condition in [
        "PID-3[1].1 = '4711' and PID-3[1].4.1 = 'STE'",
        "PID-3[1].1 = '4711' and PID-3[1].4.2 = '1.2.3'",
        "PID-3.exists($this.`1` = '4711' and $this.`4`.`1` = 'STE')",
        "PID-3.exists($this.`1`.startsWith('9') and $this.`4`.`2` = '1.2.3')",
        "PID-3.where($this.`4`.`1` = 'STE').`1`.exists($this = '4711')",
        "PID-3.1.exists()",
        "PID-5.1 = 'DOE'",
    ] {
        assert_eq!(when(condition), [], "{condition}");
    }
}

#[test]
fn a_unit_is_not_set_without_value_and_bounds() {
    let set = |places: &str| said(&format!("steps: [ {{ set: {{ {places} }} }} ]\n"));
    let found = set("OBX-6: \"'mg/dL'\"");
    let text = "a unit is set without the value (OBX-5) and the bounds (OBX-7)".to_owned();
    assert_eq!(found, [("W0317", text)]);
    let found = set("OBX-6.1: \"'mg/dL'\", OBX-5: OBX-5");
    assert_eq!(
        found,
        [(
            "W0317",
            "a unit is set without the bounds (OBX-7)".to_owned()
        )]
    );
    assert_eq!(set("OBX-6: OBX-6, OBX-5: OBX-5, OBX-7: OBX-7"), []);
    assert_eq!(set("OBX-16: OBX-15"), []);
}

#[test]
fn a_table_of_high_risk_has_no_row_that_nobody_reviewed() {
    let channel = "channel: a\nfrom: { mllp: { system: lis, listen: 127.0.0.1:0 } }\nformat: hl7v2\nsteps:\n  - translate: { field: OBX-3, table: tables/blood-groups.csv }\nto: { ehr: { mllp: { system: ehr } } }\n";
    let check = |channel: &str, table: &str| -> Vec<_> {
        let files = [
            ("channels/a.yaml", channel),
            ("tables/blood-groups.csv", table),
        ];
        problems(&files)
            .into_iter()
            .map(|d| (d.code, d.message))
            .collect()
    };
    let open = "source,code,target,code\nL,AP,L,A pos\n";
    let text = "tables/blood-groups.csv is about blood groups, and rows count that nobody approved: line 2";
    assert_eq!(check(channel, open), [("W0318", text.to_owned())]);
    let silenced = format!("{channel}silence: {{ W0318: a table of a test site }}\n");
    assert_eq!(check(&silenced, open), []);
    let reviewed = "source,code,target,code,status,by,approved-by\nL,AP,L,A pos,approved,ann,bob\n";
    assert_eq!(check(channel, reviewed), []);
}

#[test]
fn results_are_not_stored_without_being_matched() {
    let store = "to:\n  store: { fhir: local, steps: [ { convert: fhir } ] }\n";
    let text = "results are stored by `store` without being held against the record".to_owned();
    for keys in [
        "",
        "accept: MSH-9.1 in ('ORU' | 'ADT')\n",
        "accept: MSH-9.1 = 'OUL'\n",
    ] {
        assert_eq!(
            said(&format!("{keys}{store}")),
            [("W0319", text.clone())],
            "{keys}"
        );
    }
    assert_eq!(said(&format!("steps: [ {{ match: {{}} }} ]\n{store}")), []);
    assert_eq!(said(&format!("accept: MSH-9.1 = 'ADT'\n{store}")), []);
    assert_eq!(
        said(&format!("silence: {{ W0319: no record }}\n{store}")),
        []
    );
    assert_eq!(said("to: { ehr: { mllp: { system: ehr } } }\n"), []);
}
