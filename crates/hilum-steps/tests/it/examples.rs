//! Every example of every step does what it says.

use hilum_component::ComponentKind;

use crate::channel::{Channel, outcome, registry};

#[test]
fn every_example_does_what_it_says() {
    for spec in registry().of_kind(ComponentKind::Step) {
        let shown = spec
            .examples
            .iter()
            .filter(|example| example.effect.is_some())
            .count();
        assert!(shown > 0, "{} shows nothing before and after", spec.name);
        for example in spec.examples {
            let Some(effect) = &example.effect else {
                continue;
            };
            let mut channel = Channel::new(effect.format, effect.files, example.yaml);
            let processed = channel.run(effect.before);
            if effect.after.is_empty() {
                assert!(
                    processed.reason.is_some(),
                    "{}: {}",
                    spec.name,
                    example.title
                );
                continue;
            }
            let found = outcome(&processed).join("---\n");
            assert_eq!(found, effect.after, "{}: {}", spec.name, example.title);
        }
    }
}

#[test]
fn every_step_has_a_schema_with_descriptions() {
    for spec in registry().of_kind(ComponentKind::Step) {
        let schema = (spec.schema)();
        assert!(schema.get("description").is_some(), "{}", spec.name);
        let properties = schema.get("properties").and_then(|found| found.as_object());
        for (name, property) in properties.into_iter().flatten() {
            assert!(
                property.get("description").is_some(),
                "{} {name}",
                spec.name
            );
        }
        assert!(!spec.limits.is_empty(), "{}", spec.name);
    }
}
