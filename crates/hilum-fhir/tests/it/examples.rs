//! The examples of R4 keep what they say, in their own form and in the other.

use hilum_fhir::{Limits, Resource, Style, json, xml};

use crate::shared::{files, shared};

const EXAMPLES: &str = "suites/r4-examples-xml-json";

fn written(resource: &Resource, style: Style) -> Vec<u8> {
    let mut out = Vec::new();
    json::write(resource, style, &mut out);
    out
}

fn written_xml(resource: &Resource, style: Style) -> Vec<u8> {
    let mut out = Vec::new();
    xml::write(resource, style, &mut out);
    out
}

#[test]
fn json_examples_are_written_as_they_were_read() {
    let Some(folder) = shared(EXAMPLES, "json_examples_are_written_as_they_were_read") else {
        return;
    };
    let mut count = 0;
    let mut failures = Vec::new();
    for file in files(&folder, ".json") {
        let bytes = std::fs::read(&file).unwrap();
        let resource = match json::parse(&bytes, &Limits::default()) {
            Ok(resource) => resource,
            Err(problems) => {
                failures.push(format!("{}: {problems}", file.display()));
                continue;
            }
        };
        count += 1;
        let compact = written(&resource, Style::Compact);
        if compact != minified(&bytes) {
            failures.push(format!("{}: not the same bytes", file.display()));
        }
        let again = json::parse(&written(&resource, Style::Pretty), &Limits::default()).unwrap();
        assert_eq!(
            written(&again, Style::Compact),
            compact,
            "{}",
            file.display()
        );
        let other = xml::parse(&written_xml(&resource, Style::Pretty), &Limits::default())
            .unwrap_or_else(|problems| panic!("{}: {problems}", file.display()));
        let other = xml::parse(&written_xml(&other, Style::Compact), &Limits::default()).unwrap();
        let same = sorted(&written(&other, Style::Compact)) == sorted(&compact);
        assert!(same, "{}: changed by XML", file.display());
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(count >= 70, "{count}");
}

/// JSON without the white space between its tokens.
fn minified(bytes: &[u8]) -> Vec<u8> {
    let (mut inside, mut escaped) = (false, false);
    let keep = |byte: &&u8| {
        if inside {
            inside = escaped || **byte != b'"';
            escaped = **byte == b'\\' && !escaped;
            return true;
        }
        inside = **byte == b'"';
        !byte.is_ascii_whitespace()
    };
    bytes.iter().filter(keep).copied().collect()
}

/// JSON with its properties in alphabetical order.
fn sorted(bytes: &[u8]) -> String {
    fn sort(value: serde_json::Value) -> serde_json::Value {
        match value {
            serde_json::Value::Object(map) => {
                let mut pairs: Vec<_> = map.into_iter().collect();
                pairs.sort_by(|a, b| a.0.cmp(&b.0));
                let sorted = pairs.into_iter().map(|(key, value)| (key, sort(value)));
                serde_json::Value::Object(sorted.collect())
            }
            serde_json::Value::Array(items) => items.into_iter().map(sort).collect(),
            other => other,
        }
    }
    sort(serde_json::from_slice(bytes).unwrap()).to_string()
}

/// XML without what does not count: white space between elements, the order of attributes, how a
/// character is written.
fn canonical_xml(bytes: &[u8]) -> String {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_reader(bytes);
    reader.config_mut().expand_empty_elements = true;
    let (mut out, mut buffer) = (String::new(), Vec::new());
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer).unwrap() {
            Event::Start(start) => {
                let mut attributes: Vec<String> = start
                    .attributes()
                    .map(|attribute| {
                        let attribute = attribute.unwrap();
                        let value = attribute
                            .normalized_value(quick_xml::XmlVersion::Implicit1_0)
                            .unwrap();
                        format!("{:?}={value:?}", attribute.key)
                    })
                    .filter(|attribute| {
                        !attribute.contains("schemaLocation") && !attribute.contains("xmlns:xsi")
                    })
                    .collect();
                attributes.sort();
                out.push_str(&format!("<{:?} {attributes:?}>", start.name()));
            }
            Event::End(end) => out.push_str(&format!("</{:?}>", end.name())),
            Event::Text(text) if text.trim().is_empty() => {}
            Event::Text(text) => out.push_str(text.trim()),
            Event::GeneralRef(reference) => out.push_str(&format!("&{reference:?};")),
            Event::Eof => return out,
            _ => {}
        }
    }
}

#[test]
fn xml_examples_are_written_as_they_were_read_and_pairs_become_each_other() {
    let test = "xml_examples_are_written_as_they_were_read_and_pairs_become_each_other";
    let Some(folder) = shared(EXAMPLES, test) else {
        return;
    };
    let (mut count, mut pairs) = (0, 0);
    for file in files(&folder, ".xml") {
        let place = file.display();
        let bytes = std::fs::read(&file).unwrap();
        let resource = xml::parse(&bytes, &Limits::default())
            .unwrap_or_else(|problems| panic!("{place}: {problems:?}"));
        count += 1;
        for style in [Style::Compact, Style::Pretty] {
            let again = written_xml(&resource, style);
            assert_eq!(canonical_xml(&again), canonical_xml(&bytes), "{place}");
        }
        let there = written(&resource, Style::Compact);
        let back = json::parse(&there, &Limits::default()).unwrap();
        let back = written_xml(&back, Style::Compact);
        assert_eq!(canonical_xml(&back), canonical_xml(&bytes), "{place}");

        let Ok(counterpart) = std::fs::read(file.with_extension("json")) else {
            continue;
        };
        pairs += 1;
        let counterpart = json::parse(&counterpart, &Limits::default()).unwrap();
        let expected = written(&counterpart, Style::Compact);
        assert_eq!(
            without_narrative(&there),
            without_narrative(&expected),
            "{place}"
        );
        let counterpart = written_xml(&counterpart, Style::Compact);
        let counterpart = xml::parse(&counterpart, &Limits::default()).unwrap();
        let counterpart = written(&counterpart, Style::Compact);
        assert_eq!(
            without_narrative(&counterpart),
            without_narrative(&there),
            "{place}"
        );
    }
    assert_eq!((count, pairs), (10, 5));
}

/// The text of a narrative is wrapped and escaped in its own ways in the two forms of an example,
/// and the Observation has an extension in XML only.
fn without_narrative(bytes: &[u8]) -> String {
    let mut value: serde_json::Value = serde_json::from_slice(bytes).unwrap();
    if let Some(div) = value.pointer_mut("/text/div") {
        *div = serde_json::Value::Null;
    }
    if let Some(object) = value.as_object_mut() {
        object.remove("extension");
    }
    sorted(value.to_string().as_bytes())
}

#[test]
fn synthea_records_are_written_as_they_were_read() {
    let test = "synthea_records_are_written_as_they_were_read";
    let Some(folder) = shared("suites/synthea-r4", test) else {
        return;
    };
    // A few of the smaller ones: all of them take minutes without optimisation.
    let mut records = files(&folder, ".bz2");
    records.sort_by_key(|record| std::fs::metadata(record).unwrap().len());
    for file in records.iter().take(6) {
        let unpacked = std::process::Command::new("bzcat").arg(file).output();
        let Ok(unpacked) = unpacked else {
            println!("not run: {test} (no bzcat)");
            return;
        };
        let bytes = unpacked.stdout;
        let resource = json::parse(&bytes, &Limits::default())
            .unwrap_or_else(|problems| panic!("{}: {problems}", file.display()));
        let compact = written(&resource, Style::Compact);
        assert!(compact == minified(&bytes), "{}", file.display());
        let other = written_xml(&resource, Style::Compact);
        let other = xml::parse(&other, &Limits::default()).unwrap();
        assert_eq!(other.node_count(), resource.node_count());
    }
}
