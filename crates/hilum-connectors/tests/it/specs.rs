//! What the specs promise: unique names, documented keys, examples that build.

use std::collections::BTreeSet;

use hilum_component::{Build, ComponentKind};
use serde_json::Value;

use crate::registry;

#[test]
fn every_component_is_described() {
    let mut seen = BTreeSet::new();
    for spec in hilum_connectors::specs() {
        assert!(seen.insert((spec.kind(), spec.name)), "{} twice", spec.name);
        assert!(
            !spec.summary.is_empty() && !spec.summary.ends_with('.'),
            "{}",
            spec.name
        );
        assert!(!spec.examples.is_empty(), "{} has no example", spec.name);
        assert!(!spec.limits.is_empty(), "{} names no limit", spec.name);
        let schema = (spec.schema)();
        assert_eq!(
            schema["additionalProperties"],
            Value::Bool(false),
            "{}",
            spec.name
        );
        for (key, property) in schema["properties"].as_object().unwrap() {
            assert!(
                property["description"].is_string(),
                "{}: `{key}` has no help",
                spec.name
            );
            assert_eq!(key, &key.to_lowercase().replace('_', "-"), "{}", spec.name);
        }
        assert_eq!(
            matches!(spec.build, Build::Source(_)),
            spec.kind() == ComponentKind::Source,
            "{}",
            spec.name
        );
        assert!(registry().get(spec.kind(), spec.name).is_some());
    }
}
