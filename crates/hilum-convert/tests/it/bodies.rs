//! The bodies of the fuzz targets over the corpus, and over messages, Bundles and rows that are
//! damaged at random.

use hilum_convert::fuzz_bodies;
use hilum_convert::{Arrived, Maps, Settings, to_fhir};
use hilum_hl7v2::Message;
use proptest::prelude::*;
use serde_json::Value;

use crate::kit::as_json;

const MESSAGES: &[&str] = &[
    include_str!("../../../../corpus/hl7v2/adt-a40-merge.hl7"),
    include_str!("../../../../corpus/hl7v2/mdm-t02-document.hl7"),
    include_str!("../../../../corpus/hl7v2/orm-o01-order.hl7"),
    include_str!("../../../../corpus/hl7v2/oru-r01-critical-potassium.hl7"),
    include_str!("../../../../corpus/hl7v2/siu-s12-appointment.hl7"),
    include_str!("../../../../corpus/hl7v2/vxu-v04-immunisation.hl7"),
];

/// What values and elements are replaced by.
const TEXTS: &[&str] = &[
    "",
    "|",
    "^~\\&",
    "\\X0D\\",
    "\r",
    "a\nb",
    "\u{0}",
    "\u{7f}\u{85}",
    "é😀",
    "2026-02-30T25:61:61+99:99",
    "99999999999999999999999999999999999999999999e999",
    "urn:oid:",
    "#",
    "Patient/",
    "hilumAttachment0Q00Z",
    "OBR",
];

/// Rows with everything that rows can have.
const ROWS: &str = "map PID -> Patient\n\
    ~ PID-8  gender  %country = 'US' and not (PID-3.count() > 1 or PID-5.1.matches('^a'))  codes AdministrativeSex\n\
    + PID-5  name  PID-5.exists()  XPN -> HumanName\n\
    map Patient -> PID\n\
    + identifier.where(system = 'a' or (value.startsWith('b') and type.exists())).value  PID-2  %target.empty()\n\
    + back(Observation.subject)[0].code  PID-35  -  CodeableConcept -> CWE, codes Religion\n\
    message Patient -> ORU_R01\n\
    + MSH  all(MessageHeader)[0] or -  -  MessageHeader -> MSH\n";

#[test]
fn the_corpus_keeps_every_promise() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../corpus/hl7v2");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        fuzz_bodies::there(&std::fs::read(entry.unwrap().path()).unwrap());
        files += 1;
    }
    assert!(files > 20, "{files}");
}

/// The Bundle of a message of the corpus.
fn bundle(at: usize) -> Value {
    let message = MESSAGES[at % MESSAGES.len()].as_bytes().to_vec();
    let arrived = Arrived {
        id: "00000000-0000-4000-8000-000000000001",
        at: "2026-01-02T03:04:05.678Z",
    };
    let message = Message::parse(message).unwrap();
    let maps = Maps::shipped().unwrap();
    as_json(&to_fhir(maps, &message, &Settings::default(), &arrived).bundle)
}

/// All values in a value, itself among them.
fn count(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
        Value::Object(members) => 1 + members.values().map(count).sum::<usize>(),
        _ => 1,
    }
}

/// Changes the value with this number.
fn change(value: &mut Value, at: &mut usize, how: &mut dyn FnMut(&mut Value)) {
    if *at == 0 {
        how(value);
        *at = usize::MAX;
        return;
    }
    *at -= 1;
    let mut each = |inner: &mut Value| {
        if *at != usize::MAX {
            change(inner, at, how);
        }
    };
    match value {
        Value::Array(items) => items.iter_mut().for_each(&mut each),
        Value::Object(members) => members.values_mut().for_each(&mut each),
        _ => {}
    }
}

fn damage(value: &mut Value, at: usize, kind: usize, text: &str, other: &Value) {
    let mut at = at % count(value);
    change(value, &mut at, &mut |value| match (kind % 5, &mut *value) {
        (0, Value::Object(members)) => {
            let name = members
                .keys()
                .nth(text.len() % members.len().max(1))
                .cloned();
            members.remove(&name.unwrap_or_default());
        }
        (1, Value::Array(items)) => {
            let again = items.clone();
            items.extend(again);
        }
        (2, Value::Array(items)) => items.reverse(),
        (3, Value::Object(_)) => *value = other.clone(),
        (_, Value::String(own)) => text.clone_into(own),
        _ => {}
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever parses as a message is converted, and its Bundle back.
    #[test]
    fn damaged_messages_keep_every_promise(
        seed in 0..MESSAGES.len(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..TEXTS.len(), any::<prop::sample::Index>()), 0..8),
    ) {
        let mut text = MESSAGES[seed].as_bytes().to_vec();
        for (at, insert, length) in cuts {
            // The header stays, so that it is a message.
            let start = 9 + at.index(text.len().saturating_sub(9).max(1));
            let end = (start + length.index(12)).min(text.len());
            let start = start.min(end);
            text.splice(start..end, TEXTS[insert].bytes());
        }
        fuzz_bodies::there(&text);
    }

    /// Any bytes behind a header are.
    #[test]
    fn any_bytes_behind_a_header_keep_every_promise(
        event in "(ADT\\^A0[1-8]|ORU\\^R01|OML\\^O21|SIU\\^S12|VXU\\^V04|MDM\\^T02|[A-Z]{3}\\^[A-Z][0-9]{2})",
        segments in prop::collection::vec("(PID|PV1|OBR|OBX|ORC|SCH|RXA|TXA|AIS|NK1|IN1|SPM|ZZ1|[A-Z]{3})\\|[0-9A-Za-z|^~\\\\&\" .+-]{0,80}", 0..8),
        tail in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut text = format!("MSH|^~\\&|A|B|C|D|20260102||{event}|1|P|2.5.1\r{}\r", segments.join("\r")).into_bytes();
        text.extend(tail);
        fuzz_bodies::there(&text);
    }

    /// Whatever is a resource is converted back, as every kind of message.
    #[test]
    fn damaged_bundles_keep_every_promise(
        seed in 0..MESSAGES.len(),
        other in 0..MESSAGES.len(),
        changes in prop::collection::vec((any::<usize>(), 0..5_usize, 0..TEXTS.len()), 0..8),
    ) {
        let mut value = bundle(seed);
        let other = bundle(other);
        for (at, kind, text) in changes {
            damage(&mut value, at, kind, TEXTS[text], &other);
        }
        fuzz_bodies::back(&serde_json::to_vec(&value).unwrap());
    }
}

proptest! {
    // Each compiles all rows.
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn damaged_rows_are_told_with_their_place(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..TEXTS.len(), 0..12_usize), 1..4),
    ) {
        let mut text: Vec<char> = ROWS.chars().collect();
        for (at, insert, length) in cuts {
            let start = at.index(text.len().max(1));
            let end = (start + length).min(text.len());
            text.splice(start..end, TEXTS[insert].chars());
        }
        let text: String = text.into_iter().collect();
        fuzz_bodies::map_file(text.as_bytes());
    }
}
