//! The bodies of the fuzz targets, as ordinary functions, so that seeds run through them in every
//! test run.
//!
//! Each takes any bytes, and panics only where a promise of this crate is broken.

use std::sync::Arc;

use hilum_fhir::{Limits, Resource, Style, json};
use hilum_hl7v2::Message;

use crate::reverse::{Nothing, Sent, V2Settings, to_v2};
use crate::{Arrived, BundleType, FixedZone, Maps, Original, Settings, to_fhir};

/// A message to FHIR, and what became of it back: its Bundle is read again as it was written, the
/// same message gives the same Bundle, and the messages that are made of it are well formed.
pub fn there(bytes: &[u8]) {
    let (Ok(message), Ok(maps)) = (Message::parse(bytes.to_vec()), Maps::shipped()) else {
        return;
    };
    let settings = Settings {
        zone: Some(Arc::new(FixedZone(60))),
        country: Some("US".to_owned()),
        profile: Some("us-core".to_owned()),
        bundle: BundleType::Transaction,
        original: Original::Binary,
        explain: true,
        ..Settings::default()
    };
    let arrived = Arrived {
        id: "00000000-0000-4000-8000-000000000001",
        at: "2026-01-02T03:04:05.678Z",
    };
    let made = to_fhir(maps, &message, &settings, &arrived);
    let text = written(&made.bundle);
    let again = to_fhir(maps, &message, &settings, &arrived);
    assert!(
        text == written(&again.bundle),
        "the same message gives the same Bundle"
    );
    let read = json::parse(&text, &Limits::default());
    assert!(
        read.is_ok_and(|read| written(&read) == text),
        "a Bundle is read as it was written"
    );
    messages(maps, &made.bundle);
}

/// A resource to HL7 v2, as every kind of message: each is well formed.
pub fn back(bytes: &[u8]) {
    let read = json::parse(bytes, &Limits::default());
    let (Ok(resource), Ok(maps)) = (read, Maps::shipped()) else {
        return;
    };
    messages(maps, &resource);
}

/// A map file of a site: a mistake in it is told, with its place in the file.
pub fn map_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Err(problems) = Maps::with_site(&[("maps/own.map", text)]) else {
        return;
    };
    let lines = text.lines().count().saturating_add(1);
    for problem in problems.0 {
        assert_eq!(
            problem.file, "maps/own.map",
            "only the site's file has mistakes"
        );
        assert!(
            problem.spot.line as usize <= lines,
            "a mistake lies in the file"
        );
    }
}

fn written(resource: &Resource) -> Vec<u8> {
    let mut text = Vec::new();
    json::write(resource, Style::Compact, &mut text);
    text
}

/// What the Bundle itself says, and one of each kind.
const EVENTS: [Option<&str>; 9] = [
    None,
    Some("ADT"),
    Some("ADT^A08"),
    Some("ORU^R01"),
    Some("OML^O21"),
    Some("ORM^O01"),
    Some("MDM^T02"),
    Some("SIU^S12"),
    Some("VXU^V04"),
];

fn messages(maps: &Maps, resource: &Resource) {
    for event in EVENTS {
        let settings = V2Settings {
            event: event.map(str::to_owned),
            zone: Some(Arc::new(FixedZone(-330))),
            explain: true,
            ..V2Settings::default()
        };
        let sent = Sent {
            control_id: "1",
            at: "2026-01-02T03:04:05.678Z",
        };
        let Ok(made) = to_v2(maps, resource, &Nothing, &settings, sent) else {
            continue;
        };
        for message in &made.messages {
            let again = Message::parse(message.write());
            assert!(
                again.is_ok_and(|again| again.warnings().is_empty()),
                "a message that was made is well formed"
            );
            assert_eq!(
                message
                    .field("MSH", 10)
                    .as_deref()
                    .map(|id| id.starts_with('1')),
                Some(true),
                "nothing breaks out of its place"
            );
        }
        for why in &made.why {
            assert!(!why.value.is_empty(), "a value that was written is there");
        }
    }
}
