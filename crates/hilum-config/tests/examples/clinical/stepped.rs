//! What is withheld of a result as the steps before leave it.

use super::{problems, said};

const RESULT: &str = "OBX-11 C (corrected), OBX-11 D (deleted), OBX-11 W (of the wrong patient), OBX-11 X (cancelled)";

fn withheld(whom: &str, list: &str) -> Vec<(&'static str, String)> {
    let text = format!("a final result {whom}, but not what takes it back: {list}");
    vec![("W0315", text)]
}

#[test]
fn a_status_that_a_step_has_written_elsewhere_is_known() {
    let noted = "{ set: { meta.status: OBX-11 } }";
    for steps in [
        format!("{noted}, {{ filter: \"%meta.status = 'F'\" }}"),
        "{ set: { ZRE-1: OBX-11 } }, { filter: \"ZRE-1 = 'F'\" }".to_owned(),
        format!("{noted}, {{ filter: \"%meta.status = 'F' and OBX-3.1 = '718-7'\" }}"),
        format!("{noted}, {{ filter: {{ unless: \"(%meta.status = 'F').not()\" }} }}"),
        "{ script: { code: \"function transform(msg) { msg.setMeta('status', msg.get('OBX-11')); }\" } }, { filter: \"%meta.status = 'F'\" }".to_owned(),
    ] {
        let found = said(&format!("steps: [ {steps} ]\n"));
        assert_eq!(found, withheld("goes on", RESULT), "{steps}");
    }
    let when = "to:\n  ehr: { mllp: { system: ehr }, when: \"%meta.status = 'F'\" }\n";
    let found = said(&format!("steps: [ {noted} ]\n{when}"));
    assert_eq!(found, withheld("reaches `ehr`", RESULT));
    let own = format!(
        "to:\n  ehr: {{ mllp: {{ system: ehr }}, steps: [ {noted}, {{ filter: \"%meta.status = 'F'\" }} ] }}\n"
    );
    assert_eq!(said(&own), withheld("reaches `ehr`", RESULT));
    let route = "{ route: { to: { ehr: \"%meta.status = 'F'\" }, default: [] } }";
    let found = said(&format!("steps: [ {noted}, {route} ]\n"));
    assert_eq!(found, withheld("reaches `ehr`", RESULT));
    // Behind the conversion too.
    let found = said(&format!(
        "silence: {{ W0319: a test }}\nsteps: [ {noted}, {{ convert: fhir }}, {{ filter: \"%meta.status = 'F'\" }} ]\nto: {{ store: {{ fhir: local }} }}\n"
    ));
    assert_eq!(found, withheld("goes on", RESULT));
}

#[test]
fn what_withholds_no_correction_behind_a_step_is_left_alone() {
    for steps in [
        "{ set: { meta.status: OBX-11 } }, { filter: \"(%meta.status = 'P').not()\" }",
        "{ set: { meta.code: OBX-3.1 } }, { filter: \"%meta.code = 'K'\" }",
        "{ script: { code: \"function transform(msg) { return msg.get('OBX-11') !== 'P'; }\" } }",
        "{ script: { code: \"function transform(msg) { return msg.get('MSH-9.1') === 'ADT'; }\" } }",
    ] {
        assert_eq!(said(&format!("steps: [ {steps} ]\n")), [], "{steps}");
    }
    let noted = "silence: { W0315: first reports only }\nsteps: [ { set: { meta.status: OBX-11 } }, { filter: \"%meta.status = 'F'\" } ]\n";
    assert_eq!(said(noted), []);
}

#[test]
fn a_script_that_drops_what_takes_a_result_back_is_named() {
    let drops =
        "{ script: { code: \"function transform(msg) { return msg.get('OBX-11') === 'F'; }\" } }";
    let splits = "{ script: { code: \"function transform(msg) { return msg.get('OBX-11') === 'F' ? [msg] : []; }\" } }";
    for script in [drops, splits] {
        let found = said(&format!("steps: [ {script} ]\n"));
        assert_eq!(found, withheld("goes on", RESULT), "{script}");
        let own = format!("to:\n  ehr: {{ mllp: {{ system: ehr }}, steps: [ {script} ] }}\n");
        assert_eq!(said(&own), withheld("reaches `ehr`", RESULT), "{script}");
    }
    // What it rejects is a dead letter, which somebody sees.
    let rejects = "{ script: { code: \"function transform(msg) { if (msg.get('OBX-11') !== 'F') { msg.reject('status'); } }\" } }";
    assert_eq!(said(&format!("steps: [ {rejects} ]\n")), []);
}

#[test]
fn a_step_that_stops_the_synthetic_result_hides_nothing_behind_it() {
    let table = "source,code,target,code\nL,718-7,L,HB\n";
    let fails = "{ script: { code: \"function transform(msg) { throw new Error('none'); }\" } }";
    let endless = "{ script: { code: \"function transform(msg) { for (;;) {} }\" } }";
    let rejects = "{ translate: { field: OBX-3, table: tables/tests.csv, unmapped: reject } }";
    for step in [fails, endless, rejects] {
        let channel = format!(
            "channel: a\nfrom: {{ mllp: {{ system: lis, listen: 127.0.0.1:0 }} }}\nformat: hl7v2\nsteps: [ {step}, {{ set: {{ meta.status: OBX-11 }} }}, {{ filter: \"%meta.status = 'F'\" }} ]\nto: {{ ehr: {{ mllp: {{ system: ehr }} }} }}\n"
        );
        let files = [
            ("channels/a.yaml", channel.as_str()),
            ("tables/tests.csv", table),
        ];
        let found = problems(&files);
        let found: Vec<_> = found.into_iter().map(|d| (d.code, d.message)).collect();
        assert_eq!(found, withheld("goes on", RESULT), "{step}");
    }
}
