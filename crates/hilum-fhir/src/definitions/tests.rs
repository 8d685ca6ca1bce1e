//! What the tables say about well-known places of the standard.

#![expect(clippy::indexing_slicing, reason = "a test that indexes wrongly fails")]

use super::*;

fn name_of(ty: TypeId) -> &'static str {
    Definitions::r4().type_def(ty).name
}

/// Walks JSON names from a type and says where that leads: the element's path and its type.
fn check(from: &str, names: &[&str], expected: Option<(&str, &str)>) {
    let tables = Definitions::r4();
    let mut scope = tables.type_def(tables.type_named(from).unwrap()).root;
    let mut found = None;
    for name in names {
        found = tables.child(scope, name);
        let Some(child) = found else { break };
        scope = child.scope;
    }
    let found = found.map(|child| (tables.element(child.element).path, name_of(child.ty)));
    assert_eq!(found, expected, "{from} {names:?}");
}

#[test]
fn names_lead_to_elements_and_types() {
    check("Patient", &["name"], Some(("Patient.name", "HumanName")));
    check(
        "Patient",
        &["name", "given"],
        Some(("HumanName.given", "string")),
    );
    check(
        "Observation",
        &["valueQuantity"],
        Some(("Observation.value[x]", "Quantity")),
    );
    check(
        "Observation",
        &["component", "referenceRange", "low"],
        Some(("Observation.referenceRange.low", "Quantity")),
    );
    check(
        "Questionnaire",
        &["item", "item", "item", "linkId"],
        Some(("Questionnaire.item.linkId", "string")),
    );
    check(
        "Bundle",
        &["entry", "resource"],
        Some(("Bundle.entry.resource", "Resource")),
    );
    check(
        "Patient",
        &["contact", "modifierExtension", "valueCodeableConcept"],
        Some(("Extension.value[x]", "CodeableConcept")),
    );
    check("Patient", &["id"], Some(("Patient.id", "id")));
    check("HumanName", &["id"], Some(("HumanName.id", "string")));
    check("Extension", &["url"], Some(("Extension.url", "uri")));
    check(
        "string",
        &["extension", "valueString"],
        Some(("Extension.value[x]", "string")),
    );
    check("Patient", &["value"], None);
    check("Observation", &["value"], None);
    check("Observation", &["valueAddress"], None);
    check("Patient", &["deceased[x]"], None);
    check("string", &["value"], None);
    check("Patient", &[""], None);
}

#[test]
fn every_name_is_found_and_named_back() {
    let tables = Definitions::r4();
    let mut names = 0;
    for (id, def) in tables.types() {
        assert_eq!(tables.type_named(def.name), Some(id));
        assert_eq!(tables.type_at(def.url), Some(id));
        assert_eq!(tables.element(def.root).path, def.name);
        let mut scopes = vec![def.root];
        while let Some(scope) = scopes.pop() {
            for element in tables.children(scope) {
                let known = tables.element(element);
                assert_eq!(known.parent, Some(scope), "{}", known.path);
                assert_eq!(tables.element_at(known.path), Some(element));
                assert!(!known.types.is_empty(), "{}", known.path);
                for ty in &known.types {
                    let child = tables.child(scope, ty.json_name).unwrap();
                    assert_eq!((child.element, child.ty), (element, ty.ty));
                    assert_eq!(child, tables.child_of(element, ty.ty));
                    assert_eq!(tables.json_name(element, ty.ty), ty.json_name);
                    names += 1;
                }
                if known.has_children() {
                    scopes.push(element);
                }
            }
        }
    }
    assert!(names > 8000, "{names}");
}

#[test]
fn types_are_those_of_r4() {
    let tables = Definitions::r4();
    let count = |wanted: fn(&TypeDef) -> bool| tables.types().filter(|(_, t)| wanted(t)).count();
    assert_eq!(count(|ty| ty.primitive().is_some()), 20);
    assert_eq!(count(|ty| ty.is_resource() && !ty.is_abstract), 146);
    let named = |name: &str| tables.type_named(name).unwrap();
    assert!(tables.is_a(named("Patient"), named("DomainResource")));
    assert!(tables.is_a(named("Patient"), named("Resource")));
    assert!(!tables.is_a(named("Bundle"), named("DomainResource")));
    assert!(tables.is_a(named("Age"), named("Quantity")));
    assert!(tables.is_a(named("code"), named("string")));
    assert_eq!(tables.type_named("patient"), None);
    assert!(tables.type_def(tables.known().resource).is_abstract);
}

#[test]
fn elements_stand_in_the_order_of_the_standard() {
    let tables = Definitions::r4();
    let patient = tables.type_def(tables.type_named("Patient").unwrap()).root;
    let names: Vec<_> = tables
        .children(patient)
        .map(|child| tables.element(child).name)
        .collect();
    assert_eq!(
        names.join(" "),
        "id meta implicitRules language text contained extension modifierExtension identifier \
         active name telecom gender birthDate deceased address maritalStatus multipleBirth photo \
         contact communication generalPractitioner managingOrganization link"
    );
}

#[test]
fn elements_carry_what_the_standard_says() {
    let tables = Definitions::r4();
    let at = |path: &str| tables.element(tables.element_at(path).unwrap());
    let gender = at("Patient.gender");
    let binding = gender.binding.as_ref().unwrap();
    assert_eq!((gender.min, gender.max), (0, 1));
    assert_eq!(binding.strength, BindingStrength::Required);
    let set = tables.value_set(binding.value_set).unwrap();
    assert!(set.is_enumerated());
    assert_eq!(set.contains(None, "female"), Membership::In);
    assert_eq!(set.contains(None, "f"), Membership::Out);
    let system = "http://hl7.org/fhir/administrative-gender";
    assert_eq!(set.display(system, "other"), Some("Other"));
    assert_eq!(set.contains(Some("urn:x"), "female"), Membership::Out);

    let practitioners = &at("Patient.generalPractitioner");
    assert_eq!(practitioners.max, u32::MAX);
    let targets: Vec<_> = practitioners.types[0]
        .targets
        .iter()
        .map(|ty| name_of(*ty))
        .collect();
    assert_eq!(
        targets,
        ["Organization", "Practitioner", "PractitionerRole"]
    );

    let rules = |path: &str| {
        let keys = at(path)
            .invariants
            .iter()
            .map(|id| tables.invariant(*id).key);
        keys.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(rules("Patient.contact"), "pat-1");
    assert_eq!(rules("Patient"), "dom-2 dom-3 dom-4 dom-5 dom-6");
    assert_eq!(rules("Extension"), "ele-1 ext-1");
    assert_eq!(rules("Patient.name"), "");
    assert!(at("Patient.active").is_summary && at("Patient.active").is_modifier);
    assert!(at("Extension.url").xml_attribute && !at("Patient.id").xml_attribute);
    let mime = tables.value_set("http://hl7.org/fhir/ValueSet/mimetypes|4.0.1");
    let mime = mime
        .unwrap()
        .contains(Some("urn:ietf:bcp:13"), "text/plain");
    assert_eq!(mime, Membership::Unknown);
}

#[test]
fn search_parameters_are_cut_to_their_type() {
    let tables = Definitions::r4();
    let find = |ty: &str, code: &str| {
        let mut params = tables.search_params(tables.type_named(ty).unwrap());
        params.find(|param| param.code == code)
    };
    assert_eq!(
        find("Observation", "code").unwrap().expression,
        "Observation.code"
    );
    assert_eq!(
        find("AllergyIntolerance", "code").unwrap().expression,
        "AllergyIntolerance.code | AllergyIntolerance.reaction.substance"
    );
    let composite = find("Observation", "code-value-quantity").unwrap();
    assert_eq!(composite.kind, SearchParamKind::Composite);
    let parts: Vec<_> = composite
        .components
        .iter()
        .map(|part| {
            let param = &tables.all_search_params()[part.param.index()];
            (param.code, part.expression)
        })
        .collect();
    assert_eq!(
        parts,
        [("code", "code"), ("value-quantity", "value.as(Quantity)")]
    );
    assert!(find("Patient", "_lastUpdated").is_some());
    assert!(find("Patient", "_text").is_some() && find("Bundle", "_text").is_none());
    assert!(find("Patient", "phonetic").unwrap().phonetic);
    assert_eq!(
        find("Patient", "animal-species").map(|param| param.code),
        None
    );
    for (at, param) in tables.all_search_params().iter().enumerate() {
        assert_eq!(param.id.index(), at);
    }
}

#[test]
fn compartments_and_operations_are_listed() {
    let tables = Definitions::r4();
    let names: Vec<_> = tables
        .compartments()
        .iter()
        .map(|c| name_of(c.resource))
        .collect();
    assert_eq!(
        names,
        [
            "Device",
            "Encounter",
            "Patient",
            "Practitioner",
            "RelatedPerson"
        ]
    );
    let patient = &tables.compartments()[2];
    let observation = tables.type_named("Observation").unwrap();
    let member = patient.members.iter().find(|m| m.resource == observation);
    assert_eq!(member.unwrap().params, ["subject", "performer"]);
    let everything = tables
        .operations()
        .iter()
        .find(|op| op.url.ends_with("Patient-everything"));
    assert!(everything.is_some_and(|op| op.instance && op.on_type && !op.system));
}

#[test]
fn broken_tables_are_refused() {
    assert!(decode::decode(b"HLF1").is_none());
    assert!(decode::decode(b"").is_none());
    assert!(decode::decode(b"HLF1\x01\x00\x01").is_none());
}
