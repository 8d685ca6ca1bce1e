use super::*;
use crate::source::Terminology;

fn shipped() -> Terminology {
    Terminology::new(vec![Shipped::all()])
}

#[test]
fn every_definition_can_be_read() {
    for (kind, at_least) in [
        ("CodeSystem", 1_900),
        ("ValueSet", 3_000),
        ("ConceptMap", 80),
        ("NamingSystem", 660),
    ] {
        let rows = index().all(kind);
        assert!(rows.len() >= at_least, "{kind}: {}", rows.len());
        let resources = index().resources(&rows);
        assert_eq!(resources.len(), rows.len(), "{kind}");
        for resource in &resources {
            assert_eq!(resource.type_name(), kind);
            if kind == "CodeSystem" {
                System::of(resource).unwrap();
            }
            if kind == "ConceptMap" {
                ConceptMap::of(resource).unwrap();
            }
        }
    }
}

#[test]
fn the_newest_version_answers_and_that_of_r4_stands_beside_it() {
    let all = shipped();
    let url = "http://terminology.hl7.org/CodeSystem/v2-0001";
    assert_eq!(all.versions(url).unwrap(), ["2.9", "3.0.0"]);
    let newest = all.system(url, None).unwrap().unwrap();
    assert_eq!(newest.version.as_deref(), Some("3.0.0"));
    let female = newest.find("F").unwrap();
    assert_eq!(female.display(), Some("Female"));
    let older = all.system(url, Some("2.9")).unwrap().unwrap();
    let dutch = older.find("F").unwrap();
    assert!(dutch.names().any(|name| name.language == Some("nl")));
    // FHIR's own systems come from R4, with definitions.
    let gender = all.system("http://hl7.org/fhir/administrative-gender", None);
    let gender = gender.unwrap().unwrap();
    assert_eq!(gender.version.as_deref(), Some("4.0.1"));
    assert!(gender.find("male").unwrap().definition().is_some());
    let set = all.value_set("http://hl7.org/fhir/ValueSet/administrative-gender|4.0.1");
    assert!(set.unwrap().is_some());
    assert!(
        all.system("http://example.org/none", None)
            .unwrap()
            .is_none()
    );
}

#[test]
fn value_sets_are_of_code_systems_that_ship() {
    let all = shipped();
    let rows = index().all("ValueSet");
    let mut lacking = 0;
    for row in &rows {
        let set = all.value_set(&crate::version::joined(
            row.url,
            Some(row.version).filter(|v| !v.is_empty()),
        ));
        let Some(set) = set.unwrap() else {
            continue;
        };
        for part in set.include.iter().chain(&set.exclude) {
            let Some(url) = part.system.as_deref() else {
                continue;
            };
            let known = all.system(url, None).unwrap().is_some();
            let pinned = all.system(url, part.version.as_deref()).unwrap();
            lacking += usize::from(known && pinned.is_none());
        }
    }
    assert_eq!(lacking, 0);
}

#[test]
fn the_hierarchy_of_a_v3_system_is_kept() {
    let url = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
    let system = shipped().system(url, None).unwrap().unwrap();
    let table = system.table().unwrap();
    let (above, below) = (table.find("_ActEncounterCode"), table.find("EMER"));
    assert!(table.is_above(above.unwrap(), below.unwrap()));
}

#[test]
fn names_of_v2_mean_systems() {
    for (name, expected) in [
        ("LN", Some("http://loinc.org")),
        ("ln", Some("http://loinc.org")),
        ("SCT", Some("http://snomed.info/sct")),
        ("I10C", Some("http://hl7.org/fhir/sid/icd-10-cm")),
        ("ICD10CM", Some("http://hl7.org/fhir/sid/icd-10-cm")),
        ("UCUM", Some("http://unitsofmeasure.org")),
        (
            "HL70001",
            Some("http://terminology.hl7.org/CodeSystem/v2-0001"),
        ),
        ("HL79999", None),
        ("HL71", None),
        ("L", None),
        ("99LAB", None),
        ("", None),
    ] {
        assert_eq!(v2_system(name).as_deref(), expected, "{name}");
    }
}

#[test]
fn names_of_v2_are_of_systems_that_are_known() {
    let all = shipped();
    for (url, names) in hilum_fhir::systems::all() {
        // FHIR R4 names the first (terminologies-systems.html), HL7 Terminology by another URL
        // alone; the others are of tables that nobody publishes as code systems any more.
        let unknown = ["ISO4217", "MEDCIN", "SNM"];
        let known = all.preferred_id(url, IdKind::Uri).is_some();
        assert_eq!(known, !unknown.contains(&names[0]), "{names:?}: {url}");
    }
}

#[test]
fn a_system_is_found_by_each_of_its_names() {
    let all = shipped();
    for (id, kind, expected) in [
        ("2.16.840.1.113883.6.1", IdKind::Uri, "http://loinc.org"),
        (
            "urn:oid:2.16.840.1.113883.6.96",
            IdKind::Uri,
            "http://snomed.info/sct",
        ),
        ("http://loinc.org", IdKind::Oid, "2.16.840.1.113883.6.1"),
        ("LN", IdKind::Uri, "http://loinc.org"),
        (
            "HL70001",
            IdKind::Uri,
            "http://terminology.hl7.org/CodeSystem/v2-0001",
        ),
        ("HL70001", IdKind::Oid, "2.16.840.1.113883.12.1"),
        ("2.16.840.1.113883.12.1", IdKind::Other, "HL70001"),
        (
            "2.16.840.1.113883.18.2",
            IdKind::Uri,
            "http://terminology.hl7.org/CodeSystem/v2-0001",
        ),
    ] {
        assert_eq!(
            all.preferred_id(id, kind).as_deref(),
            Some(expected),
            "{id}"
        );
    }
}
