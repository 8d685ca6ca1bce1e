//! What these tests share.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hilum_convert::{Arrived, BundleType, Converted, FixedZone, Maps, Settings, to_fhir};
use hilum_fhir::{Limits, Resource, Style, json, xml};
use hilum_hl7v2::Message;
use serde_json::Value;

/// A folder or file of the shared material; says so where there is none.
pub(crate) fn shared(place: &str, test: &str) -> Option<PathBuf> {
    let fixed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    let root = std::env::var_os("HILUM_SHARED").map_or_else(|| fixed.into(), PathBuf::from);
    let path = root.join(place);
    if path.exists() {
        return Some(path);
    }
    println!("not run: {test} (no shared material)");
    None
}

/// Resources as JSON values.
pub(crate) fn as_json(resource: &Resource) -> Value {
    let mut text = Vec::new();
    json::write(resource, Style::Compact, &mut text);
    serde_json::from_slice(&text).unwrap()
}

/// A bundle from a file of JSON or XML, whatever its name ends with.
pub(crate) fn read_as_json(path: &Path) -> Value {
    let text = std::fs::read(path).unwrap();
    if text.trim_ascii_start().starts_with(b"<") {
        return as_json(&xml::parse(&text, &Limits::default()).unwrap());
    }
    serde_json::from_slice(&text).unwrap()
}

/// The bundle of a message, as a FHIR message, in UTC.
pub(crate) fn bundle_of(message: &[u8]) -> Value {
    let settings = Settings {
        zone: Some(Arc::new(FixedZone(0))),
        country: Some("US".to_owned()),
        bundle: BundleType::Message,
        ..Settings::default()
    };
    let arrived = Arrived {
        id: "01890a5d-ac96-774b-bcce-b302099a8057",
        at: "2026-01-05T08:00:00Z",
    };
    let message = Message::parse(message.to_vec()).unwrap();
    as_json(&to_fhir(Maps::shipped().unwrap(), &message, &settings, &arrived).bundle)
}

/// What a message becomes with the rows that are brought along, in UTC.
pub(crate) fn converted(text: String) -> Converted {
    let settings = Settings {
        zone: Some(Arc::new(FixedZone(0))),
        ..Settings::default()
    };
    let arrived = Arrived {
        id: "00000000-0000-4000-8000-000000000001",
        at: "2026-01-02T03:04:05Z",
    };
    let message = Message::parse(text).unwrap();
    to_fhir(Maps::shipped().unwrap(), &message, &settings, &arrived)
}
