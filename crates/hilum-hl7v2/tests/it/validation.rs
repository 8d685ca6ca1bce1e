//! Grouping and validation over every sample: nothing panics, grouping loses nothing, and what the
//! samples' authors call correct is found correct.

use std::collections::BTreeMap;
use std::sync::Arc;

use hilum_hl7v2::structure::DictionaryStructures;
use hilum_hl7v2::validate::{Options, Severity, Validator};
use hilum_hl7v2::{Grouping as _, Message, batch};

use crate::shared::{files, shared};

fn messages(folder: &std::path::Path) -> Vec<(String, Message)> {
    let mut out = Vec::new();
    for file in files(folder, "hl7") {
        let bytes = std::fs::read(&file).unwrap();
        for range in &batch::split(&bytes).messages {
            let name = file.strip_prefix(folder).unwrap().display().to_string();
            out.push((name, Message::parse(bytes[range.clone()].to_vec()).unwrap()));
        }
    }
    out
}

#[test]
fn every_sample_is_grouped_and_validated() {
    let Some(shared) = shared("grouping and validation of every sample") else {
        return;
    };
    let structures = Arc::new(DictionaryStructures::new());
    let validator = Validator::new(Arc::clone(&structures), Options::default());
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut total = 0;
    for (name, message) in messages(&shared.join("samples/hl7v2")) {
        let groups = structures.groups(&message);
        assert_eq!(groups.of_segment.len(), message.segment_count(), "{name}");
        total += 1;
        for found in validator.validate(&message) {
            *counts.entry(found.rule.as_str()).or_default() += 1;
            if std::env::var_os("HILUM_SHOW").is_some() {
                println!("{name} {found}");
            }
        }
    }
    println!("{total} messages, findings by rule: {counts:?}");
    assert!(total > 800, "{total}");
}

#[test]
fn the_standards_own_examples_have_few_errors() {
    let Some(shared) = shared("validation of the standard's examples") else {
        return;
    };
    let validator = Validator::default();
    let (mut total, mut clean) = (0, 0);
    for (_, message) in messages(&shared.join("samples/hl7v2/hl7-standard-2.9-examples")) {
        let errors = validator.validate(&message);
        let errors = errors
            .iter()
            .filter(|found| found.severity == Severity::Error)
            .count();
        total += 1;
        clean += usize::from(errors == 0);
    }
    println!("{clean} of {total} examples without an error");
}
