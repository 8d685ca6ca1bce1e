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
fn a_table_spells_units_and_does_not_change_them() {
    let table = "source,code,target,code,status,by,approved-by\n";
    let check = |field: &str, rows: &[&str], silence: &str| -> Vec<_> {
        let channel = format!(
            "channel: a\nfrom: {{ mllp: {{ system: lis, listen: 127.0.0.1:0 }} }}\nformat: hl7v2\n{silence}steps:\n  - translate: {{ field: {field}, table: tables/lab.csv }}\nto: {{ ehr: {{ mllp: {{ system: ehr }} }} }}\n"
        );
        let rows = rows.iter().map(|row| format!("{row},approved,ann,bob\n"));
        let table = table.to_owned() + &rows.collect::<String>();
        let files = [
            ("channels/a.yaml", channel.as_str()),
            ("tables/lab.csv", &table),
        ];
        let found = problems(&files);
        found.into_iter().map(|d| (d.code, d.message)).collect()
    };
    let changed = [
        ",mg/dL,UCUM,mmol/L",
        ",mmol/l,UCUM,mmol/L",
        ",g/dl,UCUM,g/L",
    ];
    let text = "tables/lab.csv gives results another unit without converting them: line 2 (mg/dL to mmol/L), line 4 (g/dl to g/L)";
    assert_eq!(check("OBX-6", &changed, ""), [("W0317", text.to_owned())]);
    assert_eq!(
        check("OBX-6.1", &changed, "silence: { W0317: all empty }\n"),
        []
    );
    let spelled = [
        ",mmol/l,UCUM,mmol/L",
        ",x10^9/L,UCUM,10*9/L",
        ",Stck,UCUM,{count}",
    ];
    assert_eq!(check("OBX-6", &spelled, ""), []);
    assert_eq!(check("OBX-3", &changed, ""), []);
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

#[test]
fn results_that_another_channel_stores_are_matched_before_they_are_converted() {
    let check = |steps: &str, format: &str, between: &str| -> Vec<_> {
        let first = format!(
            "channel: a\nfrom: {{ mllp: {{ system: lis, listen: 127.0.0.1:0 }} }}\nformat: hl7v2\nsteps: [ {steps} ]\nto: {{ out: {{ topic: {between} }} }}\n"
        );
        let next =
            "channel: b\nfrom: { topic: next }\nformat: fhir\nto: { out: { topic: results } }\n";
        let last = format!(
            "channel: c\nfrom: {{ topic: results }}\nformat: {format}\nto: {{ store: {{ fhir: local }} }}\n"
        );
        let mut files = vec![
            ("channels/a.yaml", first.as_str()),
            ("channels/c.yaml", &last),
        ];
        if between == "next" {
            files.push(("channels/b.yaml", next));
        }
        let found = problems(&files);
        let place = |d: &hilum_config::Diagnostic| d.place.as_ref().map(|place| place.file.clone());
        found
            .iter()
            .map(|d| (d.code, d.message.clone(), place(d).unwrap_or_default()))
            .collect()
    };
    let text =
        "results are stored by `store` of the channel `c` without being held against the record";
    let named = ("W0319", text.to_owned(), "channels/a.yaml".to_owned());
    let convert = "{ convert: fhir }";
    for between in ["results", "next"] {
        let found = check(convert, "fhir", between);
        assert_eq!(found.as_slice(), std::slice::from_ref(&named), "{between}");
    }
    assert_eq!(
        check(&format!("{{ match: {{}} }}, {convert}"), "fhir", "results"),
        []
    );
    assert_eq!(
        check(&format!("{{ match: {{}} }}, {convert}"), "fhir", "next"),
        []
    );
}
