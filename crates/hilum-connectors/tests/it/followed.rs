//! What is asked of the changes of a store of the node.

use hilum_component::FhirStores;
use hilum_component::conformance::FakeSite;
use serde_json::json;

use crate::source_factory;

#[test]
fn criteria_that_look_beyond_a_changed_resource_are_refused_where_they_stand() {
    let store = FakeSite {
        fhir: Some(FhirStores::default()),
        ..FakeSite::default()
    };
    for (query, part, told) in [
        (
            "status=final&subject:Patient.name=a",
            "subject:Patient.name",
            "chain",
        ),
        ("patient.name=a", "patient.name", "chain"),
        (
            "_has:Provenance:target:agent=x",
            "_has:Provenance:target:agent",
            "_has",
        ),
        ("code:in=http://v&status=final", "code:in", "value set"),
        ("code%3Anot-in=http://v", "code%3Anot-in", "value set"),
        ("_list=7", "_list", "list"),
        ("a=b&_content=word", "_content", "words"),
        ("_include=Observation:subject", "_include", "result"),
    ] {
        let config = json!({ "from": "local", "types": ["Observation"], "query": query });
        let problems = source_factory("fhir", &config, &store).err().unwrap();
        let [problem] = &problems[..] else {
            panic!("{query}: {problems:?}");
        };
        let at = query.get(problem.span.clone().unwrap()).unwrap();
        assert_eq!((at, &problem.key[..]), (part, &["query".to_owned()][..]));
        assert!(problem.message.contains(told), "{problem:?}");
        assert!(problem.hint.is_some(), "{problem:?}");
        // A server elsewhere is asked by a search.
        let elsewhere =
            json!({ "from": "http://127.0.0.1:1/fhir", "types": ["Observation"], "query": query });
        assert!(
            source_factory("fhir", &elsewhere, &store).is_ok(),
            "{query}"
        );
    }
    let plain = "subject:identifier=urn:mrn%7C7&date=ge2026-01-01&subject:Patient=Patient/7";
    let config = json!({ "from": "local", "types": ["Observation"], "query": plain });
    assert!(source_factory("fhir", &config, &store).is_ok());
}
