//! Whether codes are valid.

use std::sync::Arc;

use hilum_fhir::definitions::Membership;
use hilum_fhir::validate::{ListedCodes, Terminology as _};
use hilum_terminology::{
    Bindings, CODINGS_MAX, Checked, Coding, Engine, Given, Options, Rule, RuleKind, Standard,
    Subsumption, Terminology, UCUM,
};

use crate::model::{SET, SYSTEM, set, terminology};

fn versions() -> Vec<String> {
    let of = |version: &str, codes: &str| {
        format!(
            r#"{{"resourceType":"CodeSystem","url":"{SYSTEM}","version":"{version}","status":"active","content":"complete","caseSensitive":false,"concept":[{codes}]}}"#
        )
    };
    vec![
        of("1.0.0", r#"{"code":"a","display":"Old A"},{"code":"gone"}"#),
        of("1.2.0", r#"{"code":"a","display":"New A"}"#),
        set(&format!(r#"{{"include":[{{"system":"{SYSTEM}"}}]}}"#)),
    ]
}

fn coding(code: &str) -> Coding {
    Coding {
        system: Some(SYSTEM.to_owned()),
        code: Some(code.to_owned()),
        ..Coding::default()
    }
}

fn check(options: &Options, codings: &[Coding]) -> Checked {
    let terminology = terminology(&versions());
    let set = terminology.value_set(SET).unwrap().unwrap();
    let engine = Engine::new(&terminology, options);
    engine.check(&set, Given::Concept, codings).unwrap()
}

#[test]
fn the_newest_version_counts_unless_another_is_named() {
    let plain = Options::default();
    let checked = check(&plain, &[coding("A")]);
    assert!(checked.result);
    assert_eq!(
        (
            checked.version.as_deref(),
            checked.display.as_deref(),
            checked.normalized.as_deref()
        ),
        (Some("1.2.0"), Some("New A"), Some("a"))
    );
    assert!(!check(&plain, &[coding("gone")]).result);
    for (kind, version, expected) in [
        (RuleKind::Default, "1.0.0", Some("1.0.0")),
        (RuleKind::Force, "1.0.x", Some("1.0.0")),
        (RuleKind::Check, "1.0.x", Some("1.0.0")),
    ] {
        let rule = Rule::of(kind, &format!("{SYSTEM}|{version}")).unwrap();
        let options = Options {
            rules: vec![rule],
            ..Options::default()
        };
        let checked = check(&options, &[coding("gone")]);
        assert!(checked.result, "{kind:?}");
        assert_eq!(checked.version.as_deref(), expected);
    }
    let named = Coding {
        version: Some("1.0.0".to_owned()),
        ..coding("gone")
    };
    assert!(check(&plain, &[named]).result);
}

#[test]
fn a_wrong_display_is_told_with_the_right_one() {
    let given = Coding {
        display: Some("Wrong".to_owned()),
        ..coding("a")
    };
    let checked = check(&Options::default(), std::slice::from_ref(&given));
    assert!(!checked.result);
    assert_eq!(
        checked.issues[0].place.as_deref(),
        Some("CodeableConcept.coding[0].display")
    );
    assert!(checked.issues[0].text.contains("'New A'"));
    let lenient = Options {
        lenient_display: true,
        ..Options::default()
    };
    assert!(check(&lenient, &[given]).result);
}

#[test]
fn codings_beyond_the_limit_are_not_looked_at() {
    let mut codings = vec![coding("a"); CODINGS_MAX];
    codings.push(coding("none"));
    assert!(check(&Options::default(), &codings).result);
    codings.swap(0, CODINGS_MAX);
    assert!(!check(&Options::default(), &codings).result);
}

#[test]
fn units_are_codes_of_ucum() {
    let terminology = Terminology::new(vec![Standard::r4()]);
    let options = Options::default();
    let engine = Engine::new(&terminology, &options);
    let system = engine.needed_system(UCUM, None).unwrap();
    assert_eq!(engine.concept(&system, "mg/dL").unwrap().code(), "mg/dL");
    assert!(engine.concept(&system, "milligrams").is_none());
    let of = |a, b| engine.subsumes(&system, a, b).unwrap();
    assert_eq!(of("mg", "mg"), Subsumption::Equivalent);
    assert_eq!(of("mg", "g"), Subsumption::NotSubsumed);
}

#[test]
fn codes_of_the_standard_stand_above_each_other() {
    let terminology = Terminology::new(vec![Standard::r4()]);
    let options = Options::default();
    let engine = Engine::new(&terminology, &options);
    let url = "http://terminology.hl7.org/CodeSystem/condition-clinical";
    let system = engine.needed_system(url, None).unwrap();
    let of = |a, b| engine.subsumes(&system, a, b).unwrap();
    assert_eq!(of("active", "relapse"), Subsumption::Subsumes);
    assert_eq!(of("relapse", "active"), Subsumption::SubsumedBy);
    assert_eq!(of("relapse", "recurrence"), Subsumption::NotSubsumed);
}

#[test]
fn the_validator_asks_the_value_sets_of_a_snapshot_first() {
    let terminology = terminology(&versions());
    let bindings = Bindings::new(&terminology, &terminology, &ListedCodes);
    let of = |set: &str, system: Option<&str>, code: &str| bindings.member(set, system, code);
    assert_eq!(of(SET, Some(SYSTEM), "a"), Membership::In);
    assert_eq!(of(SET, None, "a"), Membership::In);
    assert_eq!(of(SET, Some(SYSTEM), "b"), Membership::Out);
    let gender = "http://hl7.org/fhir/ValueSet/administrative-gender";
    assert_eq!(of(gender, None, "male"), Membership::In);
    assert_eq!(of(gender, None, "m"), Membership::Out);
    assert!(bindings.missing().is_empty());
}

#[test]
fn a_system_that_nobody_knows_decides_nothing() {
    let elsewhere = set(r#"{"include":[{"system":"http://example.org/unknown"}]}"#);
    let terminology = terminology(&[elsewhere]);
    let bindings = Bindings::new(&terminology, &terminology, &ListedCodes);
    let told = bindings.member(SET, Some("http://example.org/unknown"), "a");
    assert_eq!(told, Membership::Unknown);
    let shared = Arc::new(terminology);
    assert!(
        shared
            .system("http://example.org/unknown", None)
            .unwrap()
            .is_none()
    );
}
