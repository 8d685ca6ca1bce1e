//! The profiles of the standard compile, and mean what they say.

use super::{DiscriminatorKind, Profiles, Step, standard};

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
