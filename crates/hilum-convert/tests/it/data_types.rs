//! Values of data types through the shipped maps: a field of v2 in, elements of FHIR out.
//!
//! A value stands in a field of a Z segment that a map of the test carries to an element; the rest
//! is what ships.

use std::sync::Arc;

use hilum_convert::{Arrived, FixedZone, Maps, Settings, to_fhir};
use hilum_fhir::{Style, json};
use hilum_hl7v2::Message;

/// Where a value is carried: the type of the resource, the element, the map.
type Way<'t> = [&'t str; 3];

/// The shipped maps of types and codes, and one Z segment per way, named by its number.
fn maps(ways: &[Way<'_>]) -> Maps {
    let mut rows = String::new();
    let mut message = "message ADT_A01  ours\n".to_owned();
    for (at, [of, target, map]) in ways.iter().enumerate() {
        let z = segment(at);
        rows += &format!("map {z} -> {of}  ours\n{z}-1  {target}  -  {map}\n\n");
        message += &format!("{z}  {of}  -  {z} -> {of}\n");
    }
    rows += &message;
    let shipped = Maps::shipped_files().iter().copied();
    let shipped = shipped.filter(|(name, _)| name.contains("types/") || name.contains("codes/"));
    let files: Vec<(&str, &str)> = shipped.chain([("test.map", rows.as_str())]).collect();
    Maps::of_files(&files).expect("maps that are right")
}

fn segment(at: usize) -> String {
    format!("Z{at:02}")
}

/// The Bundle of a message with a value in the segment of a way.
fn bundle(maps: &Maps, way: usize, value: &str) -> String {
    let message = format!(
        "MSH|^~\\&|A|B|C|D|20260102030405||ADT^A01^ADT_A01|1|P|2.5.1\rPID|1\r{}|{value}\r",
        segment(way)
    );
    let message = Message::parse(message.into_bytes()).expect("a message");
    let settings = Settings {
        zone: Some(Arc::new(FixedZone(0))),
        country: Some("US".to_owned()),
        ..Settings::default()
    };
    let arrived = Arrived {
        id: "00000000-0000-4000-8000-000000000001",
        at: "2026-01-02T03:04:05.678Z",
    };
    let mut out = Vec::new();
    let converted = to_fhir(maps, &message, &settings, &arrived);
    json::write(&converted.bundle, Style::Compact, &mut out);
    String::from_utf8(out).expect("text")
}

/// `data_types.tsv`: a resource type, the element that the value is carried to, the map, the value, and
/// what the Bundle must hold.
#[test]
fn values_of_data_types_become_elements() {
    let mut ways: Vec<Way<'_>> = Vec::new();
    let mut cases = Vec::new();
    for line in include_str!("data_types.tsv").lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [of, target, map, value, expected @ ..] = columns.as_slice() else {
            panic!("a line without its columns: {line}");
        };
        let way = [*of, *target, *map];
        let known = ways.iter().position(|known| *known == way);
        let at = known.unwrap_or(ways.len());
        if known.is_none() {
            ways.push(way);
        }
        cases.push((at, *value, expected.to_vec()));
    }
    let maps = maps(&ways);
    let mut wrong = Vec::new();
    let mut count = 0;
    for (way, value, expected) in cases {
        let found = bundle(&maps, way, value);
        for part in expected {
            count += 1;
            if !found.contains(part) {
                wrong.push(format!("{:?} of {value}: {part}\n{found}", ways.get(way)));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(count > 90, "{count}");
}

#[test]
fn a_code_without_a_row_writes_no_code_element() {
    let maps = maps(&[["Patient", "gender", "codes AdministrativeSex"]]);
    let found = bundle(&maps, 0, "X");
    assert!(!found.contains("\"gender\""), "{found}");
    let found = bundle(&maps, 0, "f");
    assert!(found.contains("\"gender\":\"female\""), "{found}");
}
