//! MLLP: the recorded streams, and the same events however a stream is split.

use hilum_hl7v2::mllp::{
    Commit, Decoder, DecoderOptions, Deviation, Event, SKIPPED_KEPT_MAX, SkipReason, StartByte,
    encode, encode_commit,
};
use hilum_hl7v2::{Message, batch};
use proptest::prelude::*;
use serde_json::Value;

use crate::shared::shared;

/// All events of a stream that comes in pieces of `piece` bytes.
fn decode(stream: &[u8], piece: usize, options: DecoderOptions) -> Vec<Event> {
    let mut decoder = Decoder::new(options);
    let mut events = Vec::new();
    for part in stream.chunks(piece.max(1)) {
        decoder.push(part);
        events.extend(std::iter::from_fn(|| decoder.next_event()));
    }
    events.extend(decoder.finish());
    events
}

fn lenient() -> DecoderOptions {
    DecoderOptions {
        start_byte: StartByte::Optional,
        ..DecoderOptions::default()
    }
}

fn short(event: &Event) -> String {
    match event {
        Event::Frame(frame) => format!("frame {}", frame.bytes.len()),
        Event::Commit(Commit::Ack) => "ack".into(),
        Event::Commit(Commit::Nak) => "nak".into(),
        Event::Skipped(skipped) => {
            let reason = match skipped.reason {
                SkipReason::Unframed => "skipped",
                SkipReason::Unclosed => "unclosed",
                SkipReason::TooLarge => return "too large".into(),
            };
            format!("{reason} {}", skipped.count)
        }
        Event::Deviation(deviation) => deviation.code().into(),
    }
}

fn check(stream: &[u8], expected: &[&str]) {
    check_with(stream, DecoderOptions::default(), expected);
}

fn check_with(stream: &[u8], options: DecoderOptions, expected: &[&str]) {
    for piece in [1, 2, 3, 5, stream.len()] {
        let events: Vec<String> = decode(stream, piece, options).iter().map(short).collect();
        assert_eq!(events, expected, "{stream:?} in pieces of {piece}");
    }
}

#[test]
fn cuts_a_stream_into_frames() {
    check(b"\x0BMSH|a\x1C\r\x0BMSH|bc\x1C\r", &["frame 5", "frame 6"]);
    check(
        b"\x0BMSH|a\x1C\x0BMSH|b\x1C\r",
        &["frame 5", "mllp-no-cr", "frame 5"],
    );
    check(
        b"\x0BMSH|a\x1C\r\n\x0BMSH|b\x1C\r",
        &["frame 5", "mllp-lf-after-frame", "frame 5"],
    );
    check(
        b"\x0BMSH|a\x1C\x1C\r\x0BMSH|b\x1C\r",
        &["frame 5", "mllp-extra-fs", "frame 5"],
    );
    check(b"\x0BMSH|a\x0BMSH|bc\x1C\r", &["unclosed 5", "frame 6"]);
    check(b"\x0BMSH|a\x0Bb\x1Cc\x1C\r", &["frame 9"]);
    check(b"\x0BMSH|a\x1C", &["frame 5", "mllp-no-cr"]);
    check(b"\x0BMSH|a", &["unclosed 5"]);
    check(
        b"xx\x0BMSH|a\x1C\ryy",
        &["skipped 2", "frame 5", "skipped 2"],
    );
    check(b"\x0B\x06\x1C\r\x0B\x15\x1C\r", &["ack", "nak"]);
    check(b"\x0B\x1C\r", &["frame 0"]);
    check(b"MSH|a\x1C\r", &["skipped 7"]);
    check_with(
        b"MSH|a\x1C\rMSx",
        lenient(),
        &["mllp-no-vt", "frame 5", "skipped 3"],
    );
}

#[test]
fn refuses_a_frame_just_over_the_limit() {
    let options = DecoderOptions {
        frame_bytes_max: 8,
        ..DecoderOptions::default()
    };
    check_with(b"\x0BMSH|1234\x1C\r", options, &["frame 8"]);
    check_with(
        b"\x0BMSH|12345\x1C\r\x0Bx\x1C\r",
        options,
        &["too large", "frame 1"],
    );
    check_with(
        b"\x0BMSH|12345\x0BMSH|\x1C\r",
        options,
        &["too large", "frame 4"],
    );
}

#[test]
fn does_not_grow_on_junk() {
    let mut decoder = Decoder::default();
    for _ in 0..1_000 {
        decoder.push(&[b'x'; 4_096]);
        assert_eq!(decoder.next_event(), None);
    }
    assert_eq!(decoder.junk_count(), 4_096_000);
    let events = decoder.finish();
    let [Event::Skipped(skipped)] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(
        (skipped.count, skipped.first.len()),
        (4_096_000, SKIPPED_KEPT_MAX)
    );
}

#[test]
fn a_large_body_can_be_taken_out_as_it_comes() {
    let mut decoder = Decoder::default();
    let mut taken = Vec::new();
    decoder.push(b"\x0BMSH|");
    for _ in 0..100 {
        decoder.push(&[b'A'; 1_000]);
        assert_eq!(decoder.next_event(), None);
        taken.extend_from_slice(&decoder.take_partial());
    }
    decoder.push(b"|end\x1C");
    assert_eq!(decoder.next_event(), None);
    assert!(decoder.awaiting_end());
    let Some(Event::Frame(frame)) = decoder.end_now() else {
        panic!("no frame")
    };
    assert_eq!(
        (frame.taken, frame.bytes.as_ref()),
        (100_004, b"|end".as_slice())
    );
    assert_eq!(taken.len(), 100_004);
    assert_eq!(
        decoder.next_event(),
        Some(Event::Deviation(Deviation::NoCr))
    );
    decoder.push(b"\r\x0B\x06\x1C\r");
    assert_eq!(decoder.next_event(), Some(Event::Commit(Commit::Ack)));
}

#[test]
fn content_that_would_end_its_frame_is_not_framed() {
    assert_eq!(encode(b"a\x1Cb").map_err(|e| e.0), Err(1));
    check(&encode(b"MSH|").unwrap(), &["frame 4"]);
    check(&encode_commit(Commit::Nak), &["nak"]);
}

/// Checks one recorded stream against what is expected of it.
fn check_stream(name: &str, stream: &[u8], options: DecoderOptions, expected: &Value) {
    let events = decode(stream, stream.len(), options);
    let frames: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Frame(frame) => Some(frame),
            _ => None,
        })
        .collect();
    let messages: Vec<_> = frames
        .iter()
        .flat_map(|frame| batch::split(&frame.bytes).messages)
        .collect();
    let commits = events
        .iter()
        .filter(|event| matches!(event, Event::Commit(_)))
        .count();
    let odd = events
        .iter()
        .any(|e| matches!(e, Event::Deviation(_) | Event::Skipped(_)))
        || messages.len() > frames.len();
    let status = match (frames.len() + commits, odd) {
        (0, _) => "reject",
        (_, true) => "ok-with-warning",
        (_, false) => "ok",
    };
    assert_eq!(status, expected["parse"], "{name}");
    if let Some(count) = expected["frames"].as_u64() {
        assert_eq!(frames.len() as u64, count, "{name}");
    }
    if let Some(count) = expected["messages"].as_u64() {
        assert_eq!(messages.len() as u64, count, "{name}");
    }
    if let Some(ids) = expected["control_ids"].as_array() {
        let found: Vec<Value> = frames
            .iter()
            .map(|f| {
                Message::parse(f.bytes.clone())
                    .unwrap()
                    .field("MSH", 10)
                    .unwrap()
                    .into()
            })
            .collect();
        assert_eq!(&found, ids, "{name}");
    }
    if let Some(kind) = expected["kind"].as_str() {
        let commit = if kind.contains("negative") {
            Commit::Nak
        } else {
            Commit::Ack
        };
        assert_eq!(events, [Event::Commit(commit)], "{name}");
    }
    for piece in [1, 7, 100] {
        assert_eq!(
            decode(stream, piece, options),
            events,
            "{name} in pieces of {piece}"
        );
    }
}

#[test]
fn recorded_streams_behave_as_expected() {
    let Some(shared) = shared("mllp streams") else {
        return;
    };
    let folder = shared.join("samples/hl7v2/mllp-streams");
    let expected: Value =
        serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap();
    for (name, expected) in expected.as_object().unwrap() {
        let stream = std::fs::read(folder.join(name)).unwrap();
        match expected.get("default") {
            Some(strict) => {
                check_stream(name, &stream, DecoderOptions::default(), strict);
                check_stream(name, &stream, lenient(), &expected["lenient"]);
            }
            None => check_stream(name, &stream, DecoderOptions::default(), expected),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_split_gives_the_same_events(
        stream in prop::collection::vec(
            prop::sample::select(b"\x0B\x1C\r\nMSHFBx\x06\x15|".to_vec()), 0..60),
        cuts in prop::collection::vec(1_usize..8, 0..40),
        lax in any::<bool>(),
    ) {
        let mut options = if lax { lenient() } else { DecoderOptions::default() };
        options.frame_bytes_max = 12;
        let whole = decode(&stream, stream.len(), options);
        let mut decoder = Decoder::new(options);
        let mut events = Vec::new();
        let mut rest = stream.as_slice();
        for cut in cuts.into_iter().chain([usize::MAX]) {
            let (part, tail) = rest.split_at(cut.min(rest.len()));
            decoder.push(part);
            events.extend(std::iter::from_fn(|| decoder.next_event()));
            rest = tail;
        }
        events.extend(decoder.finish());
        prop_assert_eq!(events, whole);
    }
}
