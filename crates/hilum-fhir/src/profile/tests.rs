//! The profiles of the standard compile, and mean what they say.

use super::compile::DEPTH_MAX;
use super::set::BASES_MAX;
use super::{DiscriminatorKind, Profiles, ProfilesBuilder, Step, standard};
use crate::{Limits, json};

#[test]
fn every_profile_of_the_standard_compiles() {
    let mut count = 0;
    for url in standard::urls() {
        let profile = Profiles::standard().get(url);
        let profile = profile.unwrap_or_else(|| panic!("{url}"));
        assert_eq!(profile.ignored, 0, "{url}");
        count += 1;
    }
    assert!(count > 400, "{count}");
}

#[test]
fn a_derived_profile_has_what_its_base_says() {
    let url = "http://hl7.org/fhir/StructureDefinition/bp|4.0.1";
    let pressure = Profiles::standard().get(url).unwrap();
    let component = pressure.root.child("component").unwrap();
    assert_eq!(component.min, Some(2));
    let names: Vec<_> = component
        .slices
        .iter()
        .filter_map(|s| s.slice.as_deref())
        .collect();
    assert_eq!(names, ["SystolicBP", "DiastolicBP"]);
    let slicing = component.slicing.as_ref().unwrap();
    assert_eq!(slicing.discriminators[0].kind, DiscriminatorKind::Value);
    let path = ["code", "coding", "code"].map(|name| Step::Child(name.to_owned()));
    assert_eq!(slicing.discriminators[0].path, path);
    // From vital signs.
    let category = pressure.root.child("category").unwrap();
    assert_eq!(category.slices[0].slice.as_deref(), Some("VSCat"));
    let rules: Vec<_> = pressure
        .root
        .rules
        .iter()
        .map(|rule| rule.key.as_str())
        .collect();
    assert_eq!(rules, ["vs-2"]);
}

/// Profiles on Patient: `urn:0` is on the type, each other one on the one before.
fn stack(count: usize, differential: &str) -> Profiles {
    let mut builder = ProfilesBuilder::new();
    // The last one first, so that all others are compiled for its sake.
    for at in (0..count).rev() {
        let base = match at {
            0 => "http://hl7.org/fhir/StructureDefinition/Patient".to_owned(),
            at => format!("urn:{}", at - 1),
        };
        let list = if at == 0 { differential } else { "" };
        let text = format!(
            r#"{{"resourceType":"StructureDefinition","url":"urn:{at}","name":"P","status":"draft",
            "kind":"resource","abstract":false,"type":"Patient","baseDefinition":"{base}",
            "derivation":"constraint","differential":{{"element":[{{"path":"Patient"}}{list}]}}}}"#
        );
        builder.add(json::parse(text.as_bytes(), &Limits::default()).unwrap());
    }
    builder.build()
}

#[test]
fn bases_of_bases_are_followed_so_far() {
    let inherits = |count: usize| {
        let profiles = stack(count, r#",{"path":"Patient.birthDate","min":1}"#);
        let top = profiles.get(&format!("urn:{}", count - 1)).unwrap();
        let child = top.root.child("birthDate");
        child.is_some_and(|child| child.min == Some(1))
    };
    assert!(inherits(BASES_MAX + 1));
    assert!(!inherits(BASES_MAX + 2));
}

#[test]
fn constraints_are_followed_so_deep() {
    let ignored = |segments: usize| {
        let path = format!("Patient{}", ".extension".repeat(segments - 1));
        let profiles = stack(1, &format!(r#",{{"path":"{path}","max":"1"}}"#));
        profiles.get("urn:0").unwrap().ignored
    };
    assert_eq!(ignored(DEPTH_MAX), 0);
    assert_eq!(ignored(DEPTH_MAX + 1), 1);
}
