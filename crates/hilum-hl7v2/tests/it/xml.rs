//! Messages in XML: the pairs of Mirth Connect, HAPI's documents, and every sample there and back.

use hilum_hl7v2::structure::DictionaryStructures;
use hilum_hl7v2::{Message, batch, xml};

use crate::shared::{files, shared};

/// Segments without the separators that carry nothing.
fn segments(er7: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(er7)
        .replace("\r\n", "\r")
        .replace('\n', "\r");
    let lines = text.split('\r').filter(|line| !line.is_empty());
    lines
        .map(|line| line.trim_end_matches(['|', '^', '&', '~']).to_owned())
        .collect()
}

#[test]
fn the_pairs_of_mirth_are_read_as_mirth_reads_them() {
    let Some(shared) = shared("pairs of Mirth Connect") else {
        return;
    };
    let root = shared.join("samples/hl7v2/connect-er7-xml");
    let mut pairs = 0;
    for name in [
        "1636",
        "batch",
        "missing-components",
        "missing-fields",
        "missing-subcomponents",
        "repetitions",
        "single-segment",
        "subcomponents",
        "whitespace",
        "",
    ] {
        let name = if name.is_empty() {
            String::new()
        } else {
            format!("{name}-")
        };
        let read = |kind: &str| std::fs::read(root.join(format!("test-hl7-{name}{kind}"))).ok();
        let forward = read("input.xml").zip(read("output.txt"));
        let back = read("output.xml").zip(read("input.txt"));
        let (document, er7) = forward.or(back).unwrap();
        let found = xml::read(&document).unwrap_or_else(|error| panic!("{name}: {error}"));
        // Mirth does not escape a separator that was text; a value must not fall apart.
        let found = String::from_utf8(found).unwrap().replace("\\T\\", "&");
        assert_eq!(segments(found.as_bytes()), segments(&er7), "{name}");
        pairs += 1;
    }
    // The pair of a single field is left out: a field is no message.
    assert_eq!(pairs, 10);
}

#[test]
fn documents_with_outside_references_are_refused() {
    let Some(shared) = shared("attacks by document types") else {
        return;
    };
    let mut refused = 0;
    for file in files(&shared.join("samples/hl7v2/connect-er7-xml"), "xml") {
        let bytes = std::fs::read(&file).unwrap();
        if String::from_utf8_lossy(&bytes).contains("<!DOCTYPE") {
            assert!(xml::read(&bytes).is_err(), "{}", file.display());
            refused += 1;
        }
    }
    assert!(refused > 0);
}

#[test]
fn documents_of_the_standard_encoding_are_read() {
    let Some(shared) = shared("documents of HAPI") else {
        return;
    };
    let mut messages = 0;
    for file in files(&shared.join("samples/hl7v2/hapi"), "xml") {
        let bytes = std::fs::read(&file).unwrap();
        let Ok(er7) = xml::read(&bytes) else { continue };
        let Ok(message) = Message::parse(er7) else {
            continue;
        };
        assert!(message.segment_count() > 0, "{}", file.display());
        messages += 1;
    }
    assert!(messages >= 5, "{messages}");
}

#[test]
fn every_sample_survives_the_way_through_xml() {
    let Some(shared) = shared("samples through XML") else {
        return;
    };
    let structures = DictionaryStructures::new();
    let (mut same, mut total, mut unnamed) = (0, 0, 0);
    for file in files(&shared.join("samples/hl7v2"), "hl7") {
        let bytes = std::fs::read(&file).unwrap();
        for range in &batch::split(&bytes).messages {
            let message = Message::parse(bytes[range.clone()].to_vec()).unwrap();
            let Ok(document) = xml::write(&message, &structures) else {
                unnamed += 1;
                continue;
            };
            let again = xml::read(document.as_bytes())
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let again = Message::parse(again).unwrap();
            let ids = |message: &Message| {
                message
                    .segments()
                    .map(|segment| segment.id().to_ascii_uppercase())
                    .collect::<Vec<_>>()
            };
            assert_eq!(ids(&message), ids(&again), "{}", file.display());
            total += 1;
            let raw = |message: &Message| {
                message
                    .segments()
                    .flat_map(|segment| segments(segment.raw()))
                    .collect::<Vec<_>>()
            };
            same += usize::from(raw(&message) == raw(&again));
        }
    }
    println!("{same} of {total} equal to the byte, {unnamed} without names that XML has");
    assert!(
        total > 800 && same * 100 > total * 90,
        "{same} of {total}, {unnamed}"
    );
}
