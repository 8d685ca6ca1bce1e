//! HL7 v2 as a format: what identifies a message, how it is split, answered and changed.
#![expect(clippy::expect_used, reason = "a test may fail by panic")]

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use hilum_component::{
    Answer, AnswerMode, Document, Format, FormatOptions, Identity, Registry, Split, Verdict,
};
use hilum_message::{BlobRange, BlobRef, Cut, MessageId, Payload};
use proptest::prelude::*;

const ADT: &str = include_str!("adt-a01.hl7");

fn format() -> Arc<dyn Format> {
    let registry = Registry::new(hilum_formats::specs());
    registry
        .format("hl7v2", &FormatOptions::default())
        .expect("hl7v2 is registered")
}

fn payload(text: &str) -> Payload {
    Payload::inline(Bytes::from(text.replace('\n', "\r")))
}

fn parse(text: &str) -> Box<dyn Document> {
    format().parse(&payload(text)).expect("a message")
}

fn identify(text: &str) -> Identity {
    format().identify(&*parse(text))
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, Option<String>)> {
    let authority = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    list.iter()
        .map(|(id, by)| ((*id).to_owned(), authority(by)))
        .collect()
}

#[test]
fn identifies_message_patient_visit_and_order() {
    let found = identify(ADT);
    assert_eq!(found.control_id.as_deref(), Some("PAS000017"));
    assert_eq!(found.message_type.as_deref(), Some("ADT^A01"));
    assert_eq!(
        found.sender,
        Some(("PAS".to_owned(), "NORTHWING".to_owned()))
    );
    assert_eq!(
        found.patients,
        pairs(&[("P0017", "PAS"), ("998877", "NAT")])
    );
    assert_eq!(found.visits, pairs(&[("ACC991", "PAS"), ("V55501", "PAS")]));
    let order =
        "MSH|^~\\&|A|B|||||ORM^O01|7|P|2.3\nPID|||1\nORC|NW|P1^OE|F1^^1.2.3\nOBR|1|P1^OE|F2\n";
    assert_eq!(
        identify(order).orders,
        pairs(&[("P1", "OE"), ("F1", "1.2.3"), ("F2", "")])
    );
    assert_eq!(identify("MSH|^~\\&|\n"), Identity::default());
}

#[test]
fn a_merge_names_survivor_and_victim_and_a_newborn_its_mother() {
    let merge = "MSH|^~\\&|A|B|||||ADT^A40^ADT_A39|7|P|2.5\nPID|||S1^^^H\nMRG|V1^^^H||||VV^^^H\n";
    assert_eq!(identify(merge).patients, pairs(&[("S1", "H"), ("V1", "H")]));
    assert_eq!(identify(merge).visits, pairs(&[("VV", "H")]));
    let newborn = format!(
        "MSH|^~\\&|A|B|||||ADT^A01|7|P|2.5\nPID|||C1{}M1^^^H\n",
        "|".repeat(18)
    );
    assert_eq!(
        identify(&newborn).patients,
        pairs(&[("C1", ""), ("M1", "H")])
    );
}

fn answer(text: &str, verdict: Verdict<'_>, commit: bool) -> String {
    let received = payload(text);
    let sealed = format().answer(&Answer {
        received: &received,
        verdict,
        message: MessageId::new(1_700_000_000_000, 99),
        at_ms: 1_700_000_000_123,
        commit,
    });
    let sealed = sealed.expect("v2 has answers");
    String::from_utf8(sealed.for_record().to_vec())
        .expect("text")
        .replace('\r', "\n")
}

#[test]
fn answers_in_the_senders_own_terms() {
    let start = "MSH|^~\\&|EHR|CENTRAL|PAS|NORTHWING|20231114221320.123+0000||ACK^A01^ACK|";
    let found = answer(ADT, Verdict::Accept, false);
    assert!(found.starts_with(start), "{found}");
    assert!(
        found.ends_with("|P|2.5.1||||||UNICODE UTF-8\nMSA|AA|PAS000017\n"),
        "{found}"
    );
    assert_eq!(found, answer(ADT, Verdict::Accept, false));
    let commit = answer(ADT, Verdict::Accept, true);
    assert!(commit.contains("MSA|CA|PAS000017\n") && commit.get(..90) != found.get(..90));
    let error = Verdict::Error {
        code: "101",
        path: Some("OBX[3]-5.2"),
        text: "no | value",
    };
    let found = answer(ADT, error.clone(), false);
    let expected = "MSA|AE|PAS000017|no \\F\\ value\n\
        ERR||OBX^3^5^1^2|101^Required field missing^HL70357|E||||no \\F\\ value\n";
    assert!(found.ends_with(expected), "{found}");
    let early = ADT.replace("|2.5.1|", "|2.3|");
    assert!(
        answer(&early, error, false).ends_with("ERR|OBX^3^5^101&Required field missing&HL70357\n")
    );
    let refuse = Verdict::Refuse {
        code: "step-budget",
        path: None,
        text: "x",
    };
    let found = answer("MSH$%~\\&$A$B$C$D", refuse.clone(), true);
    assert!(found.starts_with("MSH$%~\\&$C$D$A$B$"), "{found}");
    assert!(
        found.ends_with(
            "MSA$CR$$x\nERR$$$207%Application internal error%HL70357$E$step-budget$$$x\n"
        ),
        "{found}"
    );
    assert!(answer("nothing of v2", refuse, false).contains("MSA|AR||x\n"));
}

#[test]
fn answers_of_peers_are_read_in_both_forms_of_err() {
    let read = |text: &str| format().read_answer(text.replace('\n', "\r").as_bytes());
    let late = read("MSH|^~\\&|A|B|C|D|||ACK|1|P|2.5\nMSA|AE|77|bad\nERR||PID^1^3|103^x|W\n")
        .expect("late");
    assert_eq!(
        (late.code.as_str(), late.control_id.as_deref()),
        ("AE", Some("77"))
    );
    assert_eq!(
        (late.error_code.as_deref(), late.severity.as_deref()),
        (Some("103"), Some("W"))
    );
    let early =
        read("MSH|^~\\&|A|B|C|D|||ACK|1|P|2.3\nMSA|AR|77\nERR|PID^1^3^207&x\n").expect("early");
    assert_eq!(early.error_code.as_deref(), Some("207"));
    assert!(read("MSH|^~\\&|A|B\nPID|1\n").is_err() && read("MSH|^~\\&|\nMSA|\n").is_err());
    let own = answer(ADT, Verdict::Accept, false);
    assert_eq!(read(&own).expect("own").code, "AA");
}

#[test]
fn enhanced_mode_is_what_the_header_asks_for() {
    let mode = |text: &str| format().answer_mode(&*parse(text));
    let header = |conditions: &str| format!("MSH|^~\\&|A|B|C|D|||ADT^A01|1|P|2.5|||{conditions}\n");
    assert_eq!(mode(&header("")), AnswerMode::Original);
    assert_eq!(
        mode(&header("AL|ER")),
        AnswerMode::Enhanced {
            commit_on_success: true,
            commit_on_error: true,
            application_on_success: false,
            application_on_error: true,
        }
    );
    assert_eq!(
        mode(&header("|SU")),
        AnswerMode::Enhanced {
            commit_on_success: false,
            commit_on_error: false,
            application_on_success: true,
            application_on_error: false,
        }
    );
}

#[test]
fn an_application_answer_of_enhanced_mode_asks_for_its_receipt() {
    let text = "MSH|^~\\&|A|B|C|D|||ADT^A01|1|P|2.5|||AL|AL||UNICODE UTF-8\n";
    let header = |commit| {
        let answer = answer(text, Verdict::Accept, commit);
        answer.lines().next().unwrap_or_default().to_owned()
    };
    let application = header(false);
    assert!(
        application.ends_with("|P|2.5|||AL|NE||UNICODE UTF-8"),
        "{application}"
    );
    let commit = header(true);
    assert!(commit.ends_with("|P|2.5||||||UNICODE UTF-8"), "{commit}");
}

#[test]
fn batches_and_several_messages_are_split() {
    let split = |text: &str| match format().split(&payload(text)) {
        Split::One => 1,
        Split::Many(ranges, _) => ranges.len(),
    };
    let one = "MSH|^~\\&|A|B|||||ADT^A01|1|P|2.5\nPID|||1\n";
    assert_eq!(split(one), 1);
    assert_eq!(split(&format!("{one}{one}")), 2);
    assert_eq!(
        split(&format!(
            "FHS|^~\\&|A\nBHS|^~\\&|A\n{one}{one}{one}BTS|3\nFTS|1\n"
        )),
        3
    );
    assert_eq!(split(&one.replace("PID|||1", "NTE|||HS SH MSH BHS")), 1);
}

#[test]
fn a_resend_differs_in_nothing_but_its_time() {
    let bytes = |text: &str| {
        let mut out = Vec::new();
        format().resend_bytes(&payload(text), &mut |part| out.extend_from_slice(part));
        out
    };
    let later = ADT.replacen("20260102030405", "20260102040506", 1);
    assert_eq!(bytes(ADT), bytes(&later));
    assert_ne!(
        bytes(ADT),
        bytes(&ADT.replace("A01|20260102030405", "A01|20260102030406"))
    );
    let two = format!("{ADT}{ADT}");
    assert_eq!(bytes(&two), bytes(&format!("{ADT}{later}")));
    assert_eq!(bytes("MSH|^~\\&|A"), b"MSH|^~\\&|A");
}

fn set(text: &str, path: &str, values: &[&str]) -> String {
    let mut document = parse(text);
    let target = format().target(path).expect(path);
    let values: Vec<String> = values.iter().map(|&value| value.to_owned()).collect();
    match document.set(&target, &values) {
        Ok(()) => String::from_utf8(document.write().text().to_vec())
            .expect("text")
            .replace('\r', "\n"),
        Err(error) => error.reason,
    }
}

#[test]
fn places_are_set_once_each_or_as_a_list() {
    let text = "MSH|^~\\&|A|B\nPID|||1^^^X~2^^^X~3^^^X\nOBX|1||a\nOBX|2||b\n";
    for (path, values, expected) in [
        ("PID-3.1", vec!["9"], text.replace("1^^^X", "9^^^X")),
        ("PID-3[2].1", vec!["9"], text.replace("2^^^X", "9^^^X")),
        ("PID-3[*].4", vec!["Y"], text.replace("^X", "^Y")),
        (
            "PID-3[*].1",
            vec!["8", "9"],
            text.replace("1^^^X~2^^^X~3^^^X", "8^^^X~9^^^X"),
        ),
        (
            "OBX[*]-3",
            vec!["c"],
            text.replace("|a", "|c").replace("|b", "|c"),
        ),
        (
            "OBX[*]-3",
            vec!["c", "d"],
            text.replace("|a", "|c").replace("|b", "|d"),
        ),
        ("OBX[2]", vec![], text.replace("OBX|2||b\n", "")),
    ] {
        assert_eq!(set(text, path, &values), expected, "{path} {values:?}");
    }
    assert!(set(text, "PID-3", &["1", "2"]).starts_with("several values"));
    assert!(set(text, "OBX[*]-3", &["1", "2", "3"]).starts_with("as many values"));
}

#[test]
fn a_line_that_is_no_segment_is_named_by_its_number_and_not_by_what_it_says() {
    let text = "MSH|^~\\&|A|B|||20260102||ADT^A01|7|P|2.5\rPID|1\rCanary was here\rAnn\r";
    let document = format()
        .parse(&Payload::inline(text.into()))
        .expect("a message");
    let problems = document.problems();
    let found: Vec<String> = problems
        .iter()
        .map(|problem| format!("{} {}", problem.code, problem.path))
        .collect();
    assert_eq!(
        found,
        [
            "segment-id-invalid segment 3",
            "segment-id-lower-case segment 4"
        ]
    );
}

#[test]
fn attachments_outlive_an_edit_of_their_message() {
    let text = Bytes::from_static(b"MSH|^~\\&|A|B\rOBX|1|ED|PDF||^^^Base64^\r");
    let blob = BlobRef {
        partition: "p".into(),
        name: "b".into(),
    };
    let at = text.len() - 1;
    let cut = Cut {
        at,
        range: BlobRange {
            blob,
            offset: 0,
            length: 1_000_000,
        },
    };
    let payload = Payload::with_cuts(text, vec![cut.clone()]);
    let mut document = format().parse(&payload).expect("a message");
    assert_eq!(document.write(), payload);
    let target = format().target("OBX-3").expect("a path");
    document.set(&target, &["REPORT".to_owned()]).expect("set");
    let written = document.write();
    assert_eq!(written.cuts(), [Cut { at: at + 3, ..cut }]);
    assert_eq!(
        &written.text()[..],
        b"MSH|^~\\&|A|B\rOBX|1|ED|REPORT||^^^Base64^\r"
    );
}

#[test]
fn every_sample_is_written_as_it_was_read() {
    let shared = std::env::var("HILUM_SHARED").map_or_else(
        |_| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let mut folders = vec![shared.join("samples/hl7v2")];
    if !folders.iter().all(|folder| folder.is_dir()) {
        println!("not run: every_sample_is_written_as_it_was_read (no shared material)");
        return;
    }
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "hl7") {
                let payload = Payload::inline(std::fs::read(&path).expect("a file").into());
                let Split::One = format().split(&payload) else {
                    continue;
                };
                let Ok(document) = format().parse(&payload) else {
                    continue;
                };
                assert_eq!(document.write(), payload, "{}", path.display());
                format().identify(&*document);
                read += 1;
            }
        }
    }
    assert!(read > 100, "{read}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn nothing_makes_the_format_panic(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), proptest::sample::select(b"MSHFB|^~\\&\r\nPID3".to_vec())], 0..80), header in any::<bool>()) {
        let mut text = if header { b"MSH|^~\\&|A|B".to_vec() } else { Vec::new() };
        text.extend(bytes);
        let payload = Payload::inline(text.into());
        let format = format();
        format.sniff(payload.text());
        format.split(&payload);
        format.resend_bytes(&payload, &mut |_| ());
        format.read_answer(payload.text()).ok();
        if let Ok(document) = format.parse(&payload) {
            prop_assert_eq!(document.write(), payload.clone());
            format.identify(&*document);
            document.problems();
        }
        let sealed = format.answer(&Answer {
            received: &payload,
            verdict: Verdict::Error { code: "207", path: Some("PID-3"), text: "text" },
            message: MessageId::new(1, 2),
            at_ms: u64::MAX / 1_000_000,
            commit: false,
        });
        prop_assert!(sealed.is_some_and(|sealed| format.read_answer(sealed.for_record()).is_ok()));
    }
}
