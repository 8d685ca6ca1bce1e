//! What the checks say about small resources.

use hilum_fhirpath::Moment;

use super::{Request, Validator};
use crate::definitions::Definitions;
use crate::{Limits, json};

/// Checks a resource and compares the errors, each as `place: text`.
pub(super) fn check(text: &str, expected: &[&str]) {
    let resource = json::parse(text.as_bytes(), &Limits::default()).unwrap();
    let request = Request::new(Moment::from_unix_millis(0, 0));
    let found = Validator::new().validate(&resource, &request);
    let errors = found.iter().filter(|problem| problem.is_error());
    let errors: Vec<String> = errors
        .map(|p| {
            format!(
                "{}: {}",
                p.expression.as_deref().unwrap_or_default(),
                p.text
            )
        })
        .collect();
    assert_eq!(errors, expected, "{text}");
}

#[test]
fn every_rule_of_the_standard_compiles() {
    let plan = super::plan::Plan::new(Definitions::r4());
    assert_eq!(plan.broken(), ["txt-1", "txt-2"]);
}

#[test]
fn required_elements_are_missed() {
    check(
        r#"{"resourceType":"Observation","code":{"text":"x"}}"#,
        &["Observation: Observation.status is required"],
    );
    check(
        r#"{"resourceType":"Questionnaire","status":"draft","item":[{"linkId":"1","type":"group",
            "item":[{"type":"string"}]}]}"#,
        &["Questionnaire.item[0].item[0]: Questionnaire.item.linkId is required"],
    );
}

#[test]
fn codes_are_held_against_required_value_sets() {
    check(
        r#"{"resourceType":"Patient","gender":"f","maritalStatus":{"coding":[{"code":"zz"}]}}"#,
        &[
            "Patient.gender: not a code of the value set http://hl7.org/fhir/ValueSet/administrative-gender",
        ],
    );
}

#[test]
fn rules_are_tested_where_they_stand() {
    check(
        r#"{"resourceType":"Patient","contact":[{"gender":"male"}]}"#,
        &[
            "Patient.contact[0]: pat-1: SHALL at least contain a contact's details or a reference to an organization",
        ],
    );
    check(
        r##"{"resourceType":"Patient","managingOrganization":{"reference":"#o"},
            "contained":[{"resourceType":"Organization","id":"p"}]}"##,
        &[
            "Patient: dom-3: If the resource is contained in another resource, it SHALL be referred to from elsewhere in the resource or SHALL refer to the containing resource",
            "Patient.managingOrganization: ref-1: SHALL have a contained resource if a local reference is provided",
            "Patient.contained[0]: org-1: The organization SHALL at least have a name or an identifier, and possibly more than one",
        ],
    );
}

#[test]
fn references_point_at_what_they_may() {
    check(
        r#"{"resourceType":"Patient","managingOrganization":{"reference":"Patient/1"}}"#,
        &["Patient.managingOrganization: a reference to Patient is not allowed here"],
    );
}

#[test]
fn resources_that_refer_to_each_other_are_judged_in_bounded_time() {
    let profile = r#"{"resourceType":"StructureDefinition","url":"urn:circle","type":"Patient",
        "kind":"resource","derivation":"constraint","differential":{"element":[
        {"path":"Patient.link.other","type":[{"code":"Reference","targetProfile":["urn:circle"]}]}]}}"#;
    let mut profiles = crate::profile::ProfilesBuilder::new();
    profiles.add(json::parse(profile.as_bytes(), &Limits::default()).unwrap());
    let links: Vec<String> = (0..20)
        .map(|at| format!(r#"{{"other":{{"reference":"urn:p:{at}"}},"type":"refer"}}"#))
        .collect();
    let entries: Vec<String> = (0..20)
        .map(|at| {
            format!(
                r#"{{"fullUrl":"urn:p:{at}","resource":{{"resourceType":"Patient","meta":
                {{"profile":["urn:circle"]}},"link":[{}]}}}}"#,
                links.join(",")
            )
        })
        .collect();
    let entries = entries.join(",");
    let bundle = format!(r#"{{"resourceType":"Bundle","type":"collection","entry":[{entries}]}}"#);
    let bundle = json::parse(bundle.as_bytes(), &Limits::default()).unwrap();
    let request = Request {
        profiles: &profiles.build(),
        ..Request::new(Moment::from_unix_millis(0, 0))
    };
    // 20 links at each of 12 levels would not end.
    let found = Validator::new().validate(&bundle, &request);
    assert!(!found.iter().any(crate::Problem::is_error), "{found:?}");
}

#[test]
fn validation_ends_at_its_limit_of_problems() {
    let entry = r#"{"fullUrl":"urn:x:1","resource":{"resourceType":"Observation"}}"#;
    let entries = [entry; 40].join(",");
    let bundle = format!(r#"{{"resourceType":"Bundle","type":"collection","entry":[{entries}]}}"#);
    let bundle = json::parse(bundle.as_bytes(), &Limits::default()).unwrap();
    let count = |problems_max: usize| {
        let request = Request {
            problems_max,
            ..Request::new(Moment::from_unix_millis(0, 0))
        };
        Validator::new().validate(&bundle, &request).len()
    };
    assert_eq!(count(30), 30);
    assert_eq!(count(31), 31);
}

#[test]
fn narrative_has_harmless_markup() {
    check(
        r#"{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><script>x</script><p onclick=\"x\">a</p><a href=\"javascript:x\">b</a></div>"}}"#,
        &[
            "Patient.text.div: txt-1: element script is not allowed",
            "Patient.text.div: txt-1: attribute onclick is not allowed on p",
            "Patient.text.div: a link with the scheme javascript is not allowed",
        ],
    );
}
