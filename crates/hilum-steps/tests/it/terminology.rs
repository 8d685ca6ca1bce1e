//! Concept maps and value sets in channels.

use hilum_component::{Disposition, Released, ReleasedBy, UnmappedFate};

use crate::channel::{Channel, Files, outcome, problems};

const LAB: &str = r#"{"resourceType":"CodeSystem","url":"http://lab.example/codes","version":"3",
  "status":"active","content":"complete","concept":[
  {"code":"K","display":"Kalium","concept":[{"code":"K-POC","display":"Kalium POCT"}]},
  {"code":"GLU"},{"code":"TWO"}]}"#;
const LOINC: &str = r#"{"resourceType":"CodeSystem","url":"http://loinc.org","version":"2.78",
  "status":"active","content":"complete","concept":[{"code":"2823-3","display":"Potassium SerPl"},
  {"code":"2345-7"}]}"#;
const MAP: &str = r#"{"resourceType":"ConceptMap","url":"http://lab.example/map","version":"2",
  "status":"active","group":[{"source":"http://lab.example/codes","target":"http://loinc.org",
  "element":[{"code":"K","target":[{"code":"2823-3","equivalence":"equivalent"},
    {"code":"2345-7","equivalence":"wider"}]},
  {"code":"TWO","target":[{"code":"a","equivalence":"equal"},{"code":"b","equivalence":"equal"}]},
  {"code":"GLU","target":[{"equivalence":"unmatched"}]}]}]}"#;
const SET: &str = r#"{"resourceType":"ValueSet","url":"http://lab.example/set","version":"1",
  "status":"active","compose":{"include":[{"system":"http://lab.example/codes",
  "filter":[{"property":"concept","op":"is-a","value":"K"}]}]}}"#;
const FAR: &str = r#"{"resourceType":"ValueSet","url":"http://lab.example/far","status":"active",
  "compose":{"include":[{"system":"http://nobody.example/codes"}]}}"#;
const SYSTEM: &str = "system: lis\ngroup: labs\nsends-as: { application: LIS }\n\
    code-systems: { L: \"http://lab.example/codes\" }\n";

const FILES: &[(&str, &str)] = &[
    ("terminology/codes.json", LAB),
    ("terminology/loinc.json", LOINC),
    ("terminology/map.json", MAP),
    ("terminology/set.json", SET),
    ("terminology/far.json", FAR),
    ("systems/lis.yaml", SYSTEM),
];

fn oru(obx: &str) -> String {
    format!("MSH|^~\\&|LIS|H|||||ORU^R01|1|P|2.5\nPID|1||7\n{obx}\n")
}

fn channel(step: &str) -> Channel {
    Channel::new(
        "hl7v2",
        FILES,
        &format!("[{{ sender: labs }}, {{ {step} }}]"),
    )
}

const BY_MAP: &str = "translate: { field: OBX-3, map: 'http://lab.example/map'";
const IN_SET: &str = "validate-code: { field: OBX-3, value-set: 'http://lab.example/set'";

#[test]
fn the_best_translation_of_a_map_is_written_with_what_it_is_called_in_v2() {
    let mut by_map = channel(&format!("{BY_MAP}, keep-original: true }}"));
    let processed = by_map.run(&oru("OBX|1|NM|K^Kalium^L||4"));
    let after = oru("OBX|1|NM|2823-3^Potassium SerPl^LN^K^Kalium^L||4");
    assert_eq!(outcome(&processed), [after]);
    let note = by_map.trace.last().map(|line| line.note.clone());
    assert_eq!(
        note.as_deref(),
        Some("http://lab.example/map|2 (equivalent)")
    );
    // A name that nobody knows means the system that the step is set to; without it, none that the
    // map has.
    let fallback = "code-system: 'http://lab.example/codes'";
    for (settings, expected) in [
        (fallback, oru("OBX|1|NM|2823-3^Potassium SerPl^LN")),
        ("unmapped: flag", oru("OBX|1|NM|K^^99X")),
    ] {
        let processed = channel(&format!("{BY_MAP}, {settings} }}")).run(&oru("OBX|1|NM|K^^99X"));
        assert_eq!(outcome(&processed), [expected], "{settings}");
    }
}

#[test]
fn a_code_without_a_clear_translation_is_never_dropped() {
    for (code, text) in [
        ("ZZ9", "no row of http://lab.example/map|2 has the code ZZ9"),
        ("GLU", "no row of http://lab.example/map|2 has the code GLU"),
        (
            "TWO",
            "several translations of http://lab.example/map|2 are equally good for the code TWO",
        ),
    ] {
        let obx = format!("OBX|1|NM|{code}^^L");
        let processed = channel(&format!("{BY_MAP} }}")).run(&oru(&obx));
        assert_eq!(outcome(&processed), [oru(&obx)]);
        assert_eq!(processed.findings[0].text, text);
        let registered = &processed.unmapped[0];
        assert_eq!(
            (&*registered.table, &*registered.code, registered.fate),
            ("http://lab.example/map|2", code, UnmappedFate::Flagged)
        );
        let rejected = channel(&format!("{BY_MAP}, unmapped: reject }}")).run(&oru(&obx));
        assert_eq!(rejected.disposition, Disposition::Rejected);
    }
}

#[test]
fn a_code_is_in_the_value_set_or_the_step_does_what_it_is_set_to() {
    let run = |policy: &str, obx: &str| {
        channel(&format!("{IN_SET}, invalid: {policy} }}")).run(&oru(obx))
    };
    for good in ["OBX|1|NM|K^Kalium^L", "OBX|1|NM|K-POC^^L"] {
        let processed = run("reject", good);
        assert_eq!(outcome(&processed), [oru(good)]);
        assert!(processed.unmapped.is_empty());
    }
    let wrong = "OBX|1|NM|K^^L\nOBX|2|NM|GLU^^L";
    let text = "the value set http://lab.example/set|1 does not have the code GLU";
    let flagged = run("flag", wrong);
    assert_eq!(outcome(&flagged), [oru(wrong)]);
    let finding = &flagged.findings[0];
    assert_eq!((&*finding.code, &*finding.text), ("code-invalid", text));
    assert!(run("keep", wrong).findings.is_empty());
    assert_eq!(run("keep", wrong).unmapped[0].fate, UnmappedFate::Kept);
    assert_eq!(
        outcome(&run("reject", wrong)),
        [format!("rejected: {text} at OBX[2]-3")]
    );
    let held = run("hold", wrong);
    assert_eq!(held.disposition, Disposition::Held);
    assert_eq!(held.unmapped[0].fate, UnmappedFate::Held);
    assert!(held.deliveries.is_empty());
    // Released it goes on with a finding, and is not counted twice.
    let mut released = channel(&format!("{IN_SET}, invalid: hold }}"));
    released.released = Some(Released {
        step: 1,
        by: ReleasedBy::Decision,
    });
    let released = released.run(&oru(wrong));
    assert_eq!(outcome(&released), [oru(wrong)]);
    assert_eq!((released.findings.len(), released.unmapped.len()), (1, 0));
    // The same code of another system is another code.
    assert_eq!(run("flag", "OBX|1|NM|K^^LN").findings.len(), 1);
}

#[test]
fn what_is_not_loaded_is_found_when_the_site_is_checked() {
    let check = |step: &str, expected: &str| {
        assert_eq!(
            problems("hl7v2", &Files::of(FILES), step),
            [expected],
            "{step}"
        );
    };
    check(
        "translate: { field: OBX-3, map: 'http://lab.example/other' }",
        "map: the concept map http://lab.example/other is neither loaded nor shipped",
    );
    check(
        "translate: { field: OBX-3, map: 'http://lab.example/map|1' }",
        "map: the concept map http://lab.example/map|1 is neither loaded nor shipped",
    );
    check(
        "validate-code: { field: OBX-3, value-set: 'http://lab.example/far' }",
        "value-set: the code system http://nobody.example/codes, which http://lab.example/far \
         needs, is neither loaded nor shipped",
    );
    check(
        "translate: { field: OBX-3, map: 'http://lab.example/map', unit: OBX-6 }",
        "unit: belongs to a table, not to a `map`",
    );
}
