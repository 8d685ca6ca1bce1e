//! Large values cut out while a message streams in, and put back when it is written.

use hilum_hl7v2::cut::{Cutter, Skeleton};
use hilum_hl7v2::message::WritePiece;
use hilum_hl7v2::{Charset, EditError, Message, ParseOptions, Path};
use proptest::prelude::*;

/// Cuts what comes in pieces of `piece` bytes: the skeleton, and all that was cut out.
fn cut(message: &[u8], attachment_min: usize, piece: usize) -> (Skeleton, Vec<u8>) {
    let mut cutter = Cutter::new(attachment_min);
    let mut blob = Vec::new();
    for part in message.chunks(piece.max(1)) {
        cutter.push(part, &mut |bytes| blob.extend_from_slice(bytes));
    }
    let skeleton = cutter.finish(&mut |bytes| blob.extend_from_slice(bytes));
    (skeleton, blob)
}

fn parse(skeleton: &Skeleton) -> Message {
    let options = ParseOptions::default();
    Message::parse_skeleton(skeleton.bytes.clone(), &skeleton.cuts, &options).unwrap()
}

/// The message with its attachments back in place.
fn joined(message: &Message, skeleton: &Skeleton, blob: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in message.write_pieces() {
        match piece {
            WritePiece::Inline(bytes) => out.extend_from_slice(&bytes),
            WritePiece::Cut(n) => {
                let before: u64 = skeleton.cuts[..n].iter().map(|cut| cut.length).sum();
                let length = skeleton.cuts[n].length;
                let range =
                    usize::try_from(before).unwrap()..usize::try_from(before + length).unwrap();
                out.extend_from_slice(&blob[range]);
            }
        }
    }
    out
}

fn report(first: &str, second: &str) -> String {
    format!(
        "MSH|^~\\&|LAB||||||ORU^R01|1|P|2.5.1\rOBX|1|ED|PDF||^AP^PDF^Base64^{first}||||||F\r\
         OBX|2|TX|T||{second}\rNTE|1||end\r"
    )
}

#[test]
fn only_runs_longer_than_the_limit_are_cut() {
    let (long, short) = ("A".repeat(101), "B".repeat(100));
    for piece in [1, 7, 10_000] {
        let text = report(&long, &short);
        let (skeleton, blob) = cut(text.as_bytes(), 100, piece);
        assert_eq!(skeleton.cuts.len(), 1, "in pieces of {piece}");
        assert_eq!(blob, long.as_bytes());
        let message = parse(&skeleton);
        let get = |path: &str| message.get(&Path::parse(path).unwrap());
        assert_eq!(
            get("OBX[1]-5.5").as_deref(),
            Some("attachment of 101 bytes")
        );
        assert_eq!(get("OBX[2]-5").as_deref(), Some(short.as_str()));
        assert_eq!(joined(&message, &skeleton, &blob), text.as_bytes());
    }
}

#[test]
fn wrapped_lines_belong_to_the_value_and_segments_do_not() {
    let wrapped = "A".repeat(60) + "\n" + &"A".repeat(60);
    let escaped = "B".repeat(60) + "\\.br\\" + &"B".repeat(60);
    let text = report(&wrapped, &escaped).replace("\rNTE", "\nNTE");
    for piece in [1, 3, 10_000] {
        let (skeleton, blob) = cut(text.as_bytes(), 100, piece);
        assert_eq!(
            blob,
            (wrapped.clone() + &escaped).as_bytes(),
            "in pieces of {piece}"
        );
        let message = parse(&skeleton);
        assert_eq!(message.segment_count(), 4);
        assert_eq!(joined(&message, &skeleton, &blob), text.as_bytes());
    }
    let lines = text.replace('\r', "\n");
    let (skeleton, blob) = cut(lines.as_bytes(), 100, 7);
    assert_eq!(blob, escaped.as_bytes(), "LF ends segments here");
    assert_eq!(
        joined(&parse(&skeleton), &skeleton, &blob),
        lines.as_bytes()
    );
}

#[test]
fn cuts_stay_in_place_through_edits_around_them() {
    let text = report(&"A".repeat(200), &"B".repeat(200));
    let (skeleton, blob) = cut(text.as_bytes(), 100, 64);
    let check = |edit: &dyn Fn(&mut Message), expected: String| {
        let mut message = parse(&skeleton);
        edit(&mut message);
        let joined = joined(&message, &skeleton, &blob);
        assert_eq!(String::from_utf8_lossy(&joined), expected);
    };
    let path = |text: &str| Path::parse(text).unwrap();
    let (a, b) = ("A".repeat(200), "B".repeat(200));
    check(
        &|m| assert_eq!(m.set(&path("OBX[1]-5.2"), "XX"), Ok(1)),
        text.replace("AP^", "XX^"),
    );
    check(
        &|m| assert_eq!(m.set(&path("OBX[1]-11"), "C"), Ok(1)),
        text.replace("||F", "||C"),
    );
    check(
        &|m| assert_eq!(m.set(&path("OBX[1]-5.5"), "x"), Ok(1)),
        report("x", &b),
    );
    check(
        &|m| assert_eq!(m.set(&path("OBX[2]-7"), "x"), Ok(1)),
        report(&a, &(b.clone() + "||x")),
    );
    check(
        &|m| assert_eq!(m.delete(&path("OBX[2]-5")), Ok(1)),
        report(&a, ""),
    );
    check(&|m| assert_eq!(m.delete(&path("OBX[2]")), Ok(1)), {
        text.replace(&format!("OBX|2|TX|T||{b}\r"), "")
    });
    check(
        &|m| assert_eq!(m.insert(&path("OBX[2]-5[1]"), "x"), Ok(())),
        report(&a, &format!("x~{b}")),
    );
    check(
        &|m| assert_eq!(m.set(&path("MSH-3"), "RIS"), Ok(1)),
        text.replace("LAB", "RIS"),
    );
    check(
        &|m| assert_eq!(m.convert_charset(Charset::LATIN_1), Ok(())),
        text.replace("|2.5.1\r", "|2.5.1||||||8859/1\r"),
    );
    check(
        &|m| {
            let copy = m.clone();
            let part = copy.parts(&path("OBX[1]-5")).remove(0);
            assert_eq!(m.set_part(&path("OBX[2]-5"), part), Ok(1));
        },
        report(&a, &format!("^AP^PDF^Base64^{a}")),
    );
    let other = parse(&skeleton);
    let refused =
        parse(&skeleton).set_part(&path("OBX[2]-5"), other.parts(&path("OBX[1]-5")).remove(0));
    assert!(matches!(refused, Err(EditError::Attachment { .. })));
}

#[test]
fn a_huge_value_is_not_held_in_memory() {
    let mut cutter = Cutter::new(256 << 10);
    let mut length = 0_u64;
    let mut out = |bytes: &[u8]| length += bytes.len() as u64;
    cutter.push(b"MSH|^~\\&|LAB\rOBX|1|ED|PDF||^AP^PDF^Base64^", &mut out);
    for _ in 0..1_000 {
        cutter.push(&[b'A'; 65_536], &mut out);
        assert!(cutter.held() < 400 << 10);
    }
    cutter.push(b"|||F\r", &mut out);
    let skeleton = cutter.finish(&mut out);
    assert_eq!(length, 65_536_000);
    assert!(skeleton.bytes.ends_with(b"Base64^|||F\r"));
}

#[test]
fn characters_before_a_cut_may_be_of_any_set() {
    let big5 = b"MSH|^~\\&|A|||||||||||||||BIG-5\rOBX|1|ED|\xB3\x5C||^^^^".to_vec();
    let text = [big5, vec![b'A'; 200], b"|\xB3\x5C\r".to_vec()].concat();
    let (skeleton, blob) = cut(&text, 100, 11);
    let mut message = parse(&skeleton);
    assert_eq!(joined(&message, &skeleton, &blob), text);
    let path = |text: &str| Path::parse(text).unwrap();
    assert_eq!(message.get(&path("OBX-3")).as_deref(), Some("許"));
    assert_eq!(
        message.get(&path("OBX-5.5")).as_deref(),
        Some("attachment of 200 bytes")
    );
    message.set(&path("OBX-3"), "許許").unwrap();
    let expected = String::from_utf8_lossy(&text).replacen('\u{FFFD}', "X", 0);
    let joined = joined(&message, &skeleton, &blob);
    assert_eq!(joined.len(), text.len() + 2, "{}", expected.len());
    assert!(joined.ends_with(&[&[b'A'; 200][..], b"|\xB3\x5C\r"].concat()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn cutting_loses_nothing_however_the_stream_is_split(
        body in "([A-Z]{3}\\|)?[A-C|^~&\\\\\r\n]{0,20}([A-C\n\\\\]{0,30}[|^\r\n]{0,2}){0,8}",
        piece in 1_usize..20,
    ) {
        let text = format!("MSH|^~\\&|LAB\r{body}");
        let (skeleton, blob) = cut(text.as_bytes(), 8, piece);
        let (whole, same) = cut(text.as_bytes(), 8, text.len());
        prop_assert_eq!(&skeleton, &whole);
        prop_assert_eq!(&blob, &same);
        let message = parse(&skeleton);
        prop_assert_eq!(joined(&message, &skeleton, &blob), text.clone().into_bytes());
        let plain = Message::parse(text).unwrap();
        prop_assert_eq!(message.segment_count(), plain.segment_count());
    }
}
