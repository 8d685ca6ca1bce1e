//! Concept maps and value sets in channels.

use hilum_component::{Disposition, Released, ReleasedBy, UnmappedFate};

use crate::channel::{Channel, Files, outcome, problems};

const LAB: &str = r#"{"resourceType":"CodeSystem","url":"http://lab.example/codes","version":"3",
  "status":"active","content":"complete","concept":[
  {"code":"K","display":"Kalium","definition":"In serum",
    "designation":[{"language":"en","value":"Potassium"},{"language":"fr","value":"Potassium sérique"}],
    "property":[{"code":"unit","valueCode":"mmol/L"},{"code":"unit","valueCode":"meq/L"}],
    "concept":[{"code":"K-POC","display":"Kalium POCT"}]},
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

const LOOKUP: &str = "lookup: { field: OBX-3, code-system: 'http://lab.example/codes'";
const SUBSUMES: &str = "subsumes: { field: OBX-3, code-system: 'http://lab.example/codes'";

/// The value beside the message that a step gives.
fn beside(step: &str, obx: &str) -> Option<String> {
    let processed = channel(step).run(&oru(obx));
    assert!(processed.reason.is_none(), "{step}: {:?}", processed.reason);
    let delivery = processed.deliveries.first()?;
    delivery.metadata.get("x").map(str::to_owned)
}

#[test]
fn what_a_code_system_says_of_a_code_is_written() {
    for (settings, expected) in [
        ("", "OBX|1|NM|K^Kalium^L||4"),
        ("language: en", "OBX|1|NM|K^Potassium^L||4"),
        // No name in the language: the one that there is.
        ("language: it", "OBX|1|NM|K^Kalium^L||4"),
        ("to: OBX-15", "OBX|1|NM|K^^L||4||||||||||Kalium"),
        ("property: unit, to: OBX-6", "OBX|1|NM|K^^L||4|mmol/L"),
    ] {
        let comma = if settings.is_empty() { "" } else { ", " };
        let step = format!("{LOOKUP}{comma}{settings} }}");
        let processed = channel(&step).run(&oru("OBX|1|NM|K^^L||4"));
        assert_eq!(outcome(&processed), [oru(expected)], "{settings}");
    }
    for (settings, expected) in [
        ("property: definition", Some("In serum")),
        ("property: child", Some("K-POC")),
        ("property: parent", None),
        ("property: inactive", Some("false")),
        ("property: unit", Some("mmol/L")),
        ("property: unit, separator: ' '", Some("mmol/L meq/L")),
        (
            "property: designation, language: fr",
            Some("Potassium sérique"),
        ),
        (
            "property: designation, separator: '/'",
            Some("Potassium/Potassium sérique"),
        ),
    ] {
        let step = format!("{LOOKUP}, {settings}, to: meta.x }}");
        let found = beside(&step, "OBX|1|NM|K^^L||4");
        assert_eq!(found.as_deref(), expected, "{settings}");
    }
    // Several codes: the first of which something is said, or all of them.
    let two = "OBX|1|NM|GLU^^L\nOBX|2|NM|K-POC^^L\nOBX|3|NM|K^^L";
    let of = |settings: &str| beside(&format!("{LOOKUP}, to: meta.x{settings} }}"), two);
    assert_eq!(of("").as_deref(), Some("Kalium POCT"));
    assert_eq!(of(", separator: ;").as_deref(), Some("Kalium POCT;Kalium"));
    // A code of another system stays as it is, and is nothing that has to be known.
    let other = channel(&format!("{LOOKUP}, unknown: reject }}")).run(&oru("OBX|1|NM|K^^LN"));
    assert_eq!(outcome(&other), [oru("OBX|1|NM|K^^LN")]);
}

#[test]
fn a_code_that_the_system_does_not_have_is_registered() {
    for step in [
        format!("{LOOKUP}, unknown: reject }}"),
        format!("{SUBSUMES}, codes: [K], to: meta.x, unknown: reject }}"),
    ] {
        let processed = channel(&step).run(&oru("OBX|1|NM|ZZ9^^L"));
        let text = "the code system http://lab.example/codes|3 does not have the code ZZ9";
        assert_eq!(outcome(&processed), [format!("rejected: {text} at OBX-3")]);
        assert_eq!(processed.unmapped[0].table, "http://lab.example/codes|3");
    }
    // What is written beside the message before does not stay if there is nothing to say.
    let stale =
        format!("set: {{ meta.x: \"'old'\" }} }}, {{ {SUBSUMES}, codes: [K], to: meta.x }}");
    let processed = channel(&stale).run(&oru("OBX|1|NM|ZZ9^^L"));
    assert_eq!(processed.deliveries[0].metadata.get("x"), None);
    assert_eq!(processed.findings[0].code, "code-unknown");
}

#[test]
fn conditions_go_by_the_hierarchy_and_by_value_sets() {
    let step = format!("{SUBSUMES}, codes: [GLU, K], to: meta.x }}");
    for (obx, expected) in [
        ("OBX|1|NM|K^^L", Some("K")),
        ("OBX|1|NM|K-POC^^L", Some("K")),
        ("OBX|1|NM|TWO^^L", None),
        ("OBX|1|NM|K^^LN", None),
        // The first one of the step, whichever comes first in the message.
        ("OBX|1|NM|K-POC^^L\nOBX|2|NM|GLU^^L", Some("GLU")),
    ] {
        assert_eq!(beside(&step, obx).as_deref(), expected, "{obx}");
        let filtered = format!("{step} }}, {{ filter: \"%meta.x = 'K'\"");
        let processed = channel(&filtered).run(&oru(obx));
        assert_eq!(processed.reason.is_none(), expected == Some("K"), "{obx}");
    }
    let in_set = format!("{IN_SET}, invalid: keep, to: meta.x }}");
    for (obx, expected) in [
        ("OBX|1|NM|K-POC^^L", Some("true")),
        ("OBX|1|NM|K-POC^^L\nOBX|2|NM|GLU^^L", Some("false")),
        ("NTE|1", None),
    ] {
        assert_eq!(beside(&in_set, obx).as_deref(), expected, "{obx}");
    }
    let set = "expand: { value-set: 'http://lab.example/set', to: meta.x";
    assert_eq!(
        beside(&format!("{set} }}"), "NTE|1").as_deref(),
        Some("K,K-POC")
    );
    let found = beside(&format!("{set}, filter: poc, separator: ' ' }}"), "NTE|1");
    assert_eq!(found.as_deref(), Some("K-POC"));
    let filtered = format!("{set} }} }}, {{ filter: \"OBX-3.1.subsetOf(%meta.x.split(','))\"");
    for (obx, goes_on) in [("OBX|1|NM|K-POC^^L", true), ("OBX|1|NM|GLU^^L", false)] {
        let processed = channel(&filtered).run(&oru(obx));
        assert_eq!(processed.reason.is_none(), goes_on, "{obx}");
    }
}

#[test]
fn codings_of_fhir_have_their_systems() {
    let resource = |display: &str| {
        format!(
            "{{\"resourceType\":\"Observation\",\"status\":\"final\",\"code\":{{\"coding\":[\
             {{\"system\":\"http://nobody.example/x\",\"code\":\"K\"}},\
             {{\"system\":\"http://lab.example/codes\",\"code\":\"K\"{display}}}]}}}}"
        )
    };
    let run = |field: &str| {
        let step =
            format!("lookup: {{ field: '{field}', code-system: 'http://lab.example/codes' }}");
        outcome(&Channel::new("fhir", FILES, &step).run(&resource("")))
    };
    let after = resource(",\"display\":\"Kalium\"");
    assert_eq!(run("Observation.code"), [&*after]);
    assert_eq!(run("Observation.code.coding"), [&*after]);
    // A plain code has no text beside it.
    let refused = run("Observation.code.coding[1].code");
    assert!(refused[0].contains("name a place with `to`"), "{refused:?}");
}

#[test]
fn what_these_steps_cannot_do_is_found_when_the_site_is_checked() {
    let check = |step: &str, expected: &str| {
        let found = problems("hl7v2", &Files::of(FILES), step);
        assert_eq!(found, [expected], "{step}");
    };
    check(
        "lookup: { field: OBX-3, code-system: 'http://nobody.example/x' }",
        "code-system: the code system http://nobody.example/x is neither loaded nor shipped",
    );
    check(
        &format!("{LOOKUP}, property: nothing, to: meta.x }}"),
        "property: http://lab.example/codes|3 has no property `nothing`",
    );
    check(
        &format!("{LOOKUP}, property: parent }}"),
        "to: only a display is the text of a code; name a place with `to`",
    );
    check(
        &format!("{LOOKUP}, property: parent, language: de, to: meta.x }}"),
        "language: only displays and designations are in a language",
    );
    check(
        &format!("{LOOKUP}, language: '?' }}"),
        "language: a language is named by a tag such as `de` or `fr-CA`",
    );
    check(
        &format!("{LOOKUP}, to: PID }}"),
        "to: `meta.NAME` is needed, or in HL7 v2 a field of the segment of the code, such as OBX-15",
    );
    check(
        &format!("{SUBSUMES}, codes: [K, ZZ9], to: meta.x }}"),
        "codes.1: http://lab.example/codes|3 does not have the code `ZZ9`",
    );
    let many = vec!["K"; 101].join(", ");
    check(
        &format!("{SUBSUMES}, codes: [{many}], to: meta.x }}"),
        "codes: between 1 and 100 codes are needed",
    );
    check(
        &format!("{SUBSUMES}, codes: [K], to: OBX-15 }}"),
        "to: a value beside the message is needed, `meta.NAME`",
    );
    let set = "expand: { value-set: 'http://lab.example/set', to: meta.x";
    check(
        &format!("{set}, count: 1 }}"),
        "value-set: http://lab.example/set|1 has more than 1 codes",
    );
    check(
        &format!("{set}, count: 10001 }}"),
        "count: between 1 and 10000 codes may be asked for",
    );
    assert!(problems("hl7v2", &Files::of(FILES), &format!("{set}, count: 2 }}")).is_empty());
    let open = problems(
        "hl7v2",
        &Files::of(FILES),
        "expand: { value-set: 'http://hl7.org/fhir/ValueSet/ucum-units', to: meta.x }",
    );
    assert!(open[0].contains("cannot be listed"), "{open:?}");
}
