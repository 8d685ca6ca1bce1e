//! The bodies of the fuzz targets, as ordinary functions, so that the seed corpus runs through
//! them in every test run.
//!
//! Each takes any bytes, and panics only where a promise of this crate is broken.

use hilum_fhirpath::{Env, Expression, Moment, Options, Tree};

use crate::answer::{AckCode, Answer, answer, read_answer};
use crate::batch;
use crate::header::resend_bytes;
use crate::message::{Message, ParseOptions};
use crate::mllp::{Decoder, DecoderOptions, Event, StartByte};
use crate::path::{Path, V2Dialect};
use crate::profile::{Profile, ProfileFiles};
use crate::structure::DictionaryStructures;
use crate::xml;

/// The clock and the work of expressions that are fuzzed.
const FUZZ_NOW_MS: i64 = 1_767_225_600_000;
const FUZZ_FUEL: u64 = 20_000;

/// Everything that is read from a message, and that it is written back.
pub fn parse(bytes: &[u8]) {
    let split = batch::split(bytes);
    let covered: usize = batch::items(bytes).map(|item| item.range.len()).sum();
    assert_eq!(covered, bytes.len(), "the stretches of a payload cover it");
    for range in split.messages {
        let text = bytes.get(range).unwrap_or_default();
        let Ok(message) = Message::parse(text.to_vec()) else {
            continue;
        };
        assert_eq!(
            message.write(),
            text,
            "an untouched message is written as received"
        );
        for segment in message.segments() {
            for part in segment.fields().flat_map(|field| field.children()) {
                let _read = (part.text(), part.location(), part.is_blank());
            }
        }
        let _read = (message.findings(), message.identify());
        let said = Answer {
            code: AckCode::Ae,
            control_id: "1",
            at_ms: 0,
            text: Some("x"),
            errors: &[],
        };
        let read = read_answer(answer(text, &said));
        assert!(
            read.is_ok_and(|read| read.known == Some(AckCode::Ae)),
            "our answers can be read"
        );
    }
    let mut same = 0_usize;
    resend_bytes(bytes, &mut |part| same = same.saturating_add(part.len()));
    assert!(same <= bytes.len(), "parts of the payload");
    let _read = crate::inspect::inspect(bytes.to_vec(), &ParseOptions::default());
}

/// What is set is read back, and nothing breaks out of its place.
///
/// The first line of the input is the value, the rest the message.
pub fn edit(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let value = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned();
    let text = bytes.get(end.saturating_add(1)..).unwrap_or_default();
    let Ok(mut message) = Message::parse(text.to_vec()) else {
        return;
    };
    for place in [
        "PID-5[2].1.2",
        "PID-3[1]",
        "ZZZ-3[1].1",
        "OBX[1]-5[1]",
        "MSH-10[1]",
    ] {
        let Ok(path) = Path::parse(place) else {
            continue;
        };
        if message.set(&path, &value).is_err() {
            continue;
        }
        let count = message.segment_count();
        let read = message.get(&path).unwrap_or_default();
        // Reading goes on to the next occurrence where the first was emptied.
        assert!(
            value.is_empty() || read == value,
            "what is set is read back"
        );
        let _written = message.write();
        assert_eq!(message.segment_count(), count, "a value is no segment");
    }
    for place in ["PID-5[1]", "PID-3[*].1", "ZZZ"] {
        if let Ok(path) = Path::parse(place) {
            assert!(message.delete(&path).is_ok(), "these can be deleted");
        }
    }
}

/// The same events however a stream is split.
///
/// The first byte says how long the pieces are.
pub fn mllp(bytes: &[u8]) {
    let Some((size, stream)) = bytes.split_first() else {
        return;
    };
    let start_byte = if *size >= 128 {
        StartByte::Optional
    } else {
        StartByte::Required
    };
    let options = DecoderOptions {
        frame_bytes_max: 64,
        start_byte,
    };
    let piece = usize::from(size & 0x7F).max(1);
    assert_eq!(
        decode(stream, piece, options),
        decode(stream, stream.len().max(1), options)
    );
}

fn decode(stream: &[u8], piece: usize, options: DecoderOptions) -> Vec<Event> {
    let mut decoder = Decoder::new(options);
    let mut events = Vec::new();
    for part in stream.chunks(piece) {
        decoder.push(part);
        events.extend(std::iter::from_fn(|| decoder.next_event()));
    }
    events.extend(decoder.finish());
    events
}

/// A path is read as it is written.
pub fn path(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(path) = Path::parse(&text) {
        assert_eq!(
            Path::parse(&path.to_string()).as_ref(),
            Ok(&path),
            "a path is read back"
        );
    }
}

/// An expression ends, whatever it says and of whatever message.
///
/// The input is the expression and the message, with a zero byte between them.
pub fn expression(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let text = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let options = Options {
        dialect: Some(&V2Dialect),
        ..Options::default()
    };
    let Ok(compiled) = Expression::compile(&text, &options) else {
        return;
    };
    let Ok(message) = Message::parse(parts.next().unwrap_or_default().to_vec()) else {
        return;
    };
    let env = Env::new(Moment::from_unix_millis(FUZZ_NOW_MS, 0)).with_fuel(FUZZ_FUEL);
    if let Ok(found) = compiled.evaluate(&message, message.root(), &env) {
        for item in found.items() {
            let _read = item.text();
        }
    }
}

/// What is read from XML can be written as XML and read again.
pub fn xml_document(bytes: &[u8]) {
    let Ok(er7) = xml::read(bytes) else {
        return;
    };
    let Ok(message) = Message::parse(er7) else {
        return;
    };
    if let Ok(document) = xml::write(&message, &DictionaryStructures::new()) {
        assert!(
            xml::read(document.as_bytes()).is_ok(),
            "our own documents can be read"
        );
    }
}

/// A profile is read, or refused, and messages can be held against it.
///
/// The input is profile, constraints, value sets and bindings, with a zero byte between them.
pub fn profile(bytes: &[u8]) {
    let mut files = bytes.split(|byte| *byte == 0);
    let main = files.next().unwrap_or_default();
    let mut next = || files.next().filter(|file| !file.is_empty());
    let files = ProfileFiles {
        profile: main,
        constraints: next(),
        value_sets: next(),
        bindings: next(),
        ..ProfileFiles::default()
    };
    let Ok(profile) = Profile::load(&files) else {
        return;
    };
    let _read = (
        profile.name(),
        profile.warnings(),
        profile.messages().count(),
    );
    for (code, event, structure) in profile.messages() {
        let text = format!(
            "MSH|^~\\&|A^1.2^ISO|B|C|D|2026||{code}^{event}^{structure}|1|P|2.5.1\rPID|1||7^^^H&1&ISO^MR~8||Doe^Jane\r\
             OBR|1||F1|L^x^LN\rOBX|1|NM|a^b^LN||5|mg\rOBX|2|CWE|||x^y^z\r"
        );
        if let Ok(message) = Message::parse(text) {
            let _findings = profile.validate(&message);
        }
    }
}
