//! Answers, built and read.

use hilum_hl7v2::answer::{
    AckCode, AckSeverity, Answer, AnswerError, AnswerErrorEntry, Identifier, answer, read_answer,
};
use hilum_hl7v2::header::resend_bytes;
use hilum_hl7v2::{Message, Path};

const NOW: u64 = 1_767_225_599_999;

fn oru(version: &str) -> Vec<u8> {
    let text =
        format!("MSH|^~\\&|LAB|HOSP|EHR|CLINIC|20250102||ORU^R01^ORU_R01|M\\S\\1|P|{version}\r");
    text.into_bytes()
}

/// The answer without its header.
fn check(version: &str, code: AckCode, errors: &[AnswerErrorEntry<'_>], expected: &str) {
    let said = Answer {
        code,
        control_id: "A1",
        at_ms: NOW,
        text: None,
        errors,
    };
    let built = answer(&oru(version), &said);
    let text = String::from_utf8(built.to_vec()).unwrap();
    assert_eq!(text.split_once('\r').unwrap().1, expected, "{version}");
}

#[test]
fn the_header_is_turned_around_in_the_peers_terms() {
    let said = Answer {
        code: AckCode::Aa,
        control_id: "A1",
        at_ms: NOW,
        text: None,
        errors: &[],
    };
    let built = answer(&oru("2.5.1"), &said);
    let expected = "MSH|^~\\&|EHR|CLINIC|LAB|HOSP|20251231235959.999+0000||ACK^R01^ACK|A1|P|2.5.1\r\
                    MSA|AA|M\\S\\1\r";
    assert_eq!(built, expected);
    let built = answer(b"MSH$%*?$A$B$$$1$$ADT%A01$7\nPID$1\n", &said);
    let expected = "MSH$%*?$$$A$B$20251231235959.999+0000$$ACK%A01%ACK$A1$P$2.5.1\rMSA$AA$7\r";
    assert_eq!(built, expected);
}

#[test]
fn errors_follow_the_version() {
    let path = Path::parse("PID-3[2].4").unwrap();
    let error = |code| AnswerErrorEntry {
        code,
        location: Some(&path),
        severity: AckSeverity::Error,
        text: "no id | none",
    };
    check("2.5.1", AckCode::Aa, &[], "MSA|AA|M\\S\\1\r");
    check(
        "2.5.1",
        AckCode::Ae,
        &[error("101")],
        "MSA|AE|M\\S\\1|no id \\F\\ none\rERR||PID^1^3^2^4|101^Required field missing^HL70357|E||||no id \\F\\ none\r",
    );
    check(
        "2.3",
        AckCode::Ar,
        &[error("101")],
        "MSA|AR|M\\S\\1|no id \\F\\ none\rERR|PID^1^3^101&Required field missing&HL70357\r",
    );
    check(
        "2.8",
        AckCode::Cr,
        &[error("step-budget")],
        "MSA|CR|M\\S\\1\rERR||PID^1^3^2^4|207^Application internal error^HL70357|E|step-budget|||no id \\F\\ none\r",
    );
}

#[test]
fn answers_in_the_character_set_of_the_peer() {
    let text = b"MSH|^~\\&|L\xE4b|||||||7||2.3||||||8859/1\r";
    let said = Answer {
        code: AckCode::Ae,
        control_id: "A1",
        at_ms: 0,
        text: Some("für 张"),
        errors: &[],
    };
    let built = answer(text, &said);
    assert!(built.starts_with(b"MSH|^~\\&|||L\xE4b||"));
    assert!(built.ends_with(b"|2.3||||||8859/1\rMSA|AE|7|f?r ?\r"));
}

#[test]
fn bytes_that_are_no_message_are_answered_too() {
    let errors = [AnswerErrorEntry {
        code: "207",
        location: None,
        severity: AckSeverity::Error,
        text: "no MSH",
    }];
    let said = Answer {
        code: AckCode::Ar,
        control_id: "A1",
        at_ms: 0,
        text: None,
        errors: &errors,
    };
    let built = answer(b"hello", &said);
    let expected = "MSH|^~\\&|||||19700101000000.000+0000||ACK|A1|P|2.5.1\rMSA|AR||no MSH\r\
                    ERR|||207^Application internal error^HL70357|E||||no MSH\r";
    assert_eq!(built, expected);
}

#[test]
fn what_we_answer_we_can_read() {
    let path = Path::parse("OBX[2]-5").unwrap();
    for version in ["2.2", "2.4", "2.5.1", "2.8.2"] {
        let errors = [AnswerErrorEntry {
            code: "103",
            location: Some(&path),
            severity: AckSeverity::Warning,
            text: "not in table",
        }];
        let said = Answer {
            code: AckCode::Ae,
            control_id: "A",
            at_ms: 0,
            text: None,
            errors: &errors,
        };
        let read = read_answer(answer(&oru(version), &said)).unwrap();
        assert_eq!(read.known, Some(AckCode::Ae));
        assert_eq!(read.control_id.as_deref(), Some("M^1"));
        assert_eq!(read.error_code.as_deref(), Some("103"));
        assert_eq!(read.text.as_deref(), Some("not in table"));
        let location = read.error_location.unwrap();
        assert!(location.starts_with("OBX[2]-5"), "{location}");
    }
}

#[test]
fn tells_what_is_no_answer() {
    let read = |text: &'static str| read_answer(text).map(|found| found.code);
    assert!(matches!(read("hello"), Err(AnswerError::Rejected(_))));
    assert_eq!(read("MSH|^~\\&|\r"), Err(AnswerError::NoMsa));
    assert_eq!(read("MSH|^~\\&|\rMSA||1\r"), Err(AnswerError::NoCode));
    assert_eq!(read("MSH|^~\\&|\rMSA|XX|1"), Ok("XX".into()));
}

#[test]
fn identifies_message_patients_and_orders() {
    let text = "MSH|^~\\&|LAB|^1.2^ISO|EHR||2025||ADT^A40^ADT_A39|77|P|2.5.1|||al|NE\r\
                PID|1||12^^^HOSP&1.2.3&ISO^MR~13^^^&9.9&ISO~\"\"\rMRG|99^^^HOSP\r\
                PID|2|44\rPV1|1|I|||||||||||||||||V1^^^HOSP\r\
                ORC|NW|P1^EHR|F1^LAB\rOBR|1|P1^EHR|F1^LAB\r";
    let message = Message::parse(text).unwrap();
    let identity = message.identify();
    assert_eq!(identity.control_id.as_deref(), Some("77"));
    assert_eq!(identity.message_type.as_deref(), Some("ADT^A40"));
    assert_eq!(identity.sender, Some(("LAB".into(), "1.2".into())));
    let (commit, application) = message.ack_conditions();
    assert_eq!(commit.map(|condition| condition.on_error()), Some(true));
    assert_eq!(
        application.map(|condition| condition.on_error()),
        Some(false)
    );
    let shown = |ids: &[Identifier]| {
        let show = |(id, by): &Identifier| format!("{id}@{}", by.as_deref().unwrap_or("-"));
        ids.iter().map(show).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(shown(&identity.patients), "12@HOSP 13@9.9 99@HOSP 44@-");
    assert_eq!(shown(&identity.visits), "V1@HOSP");
    assert_eq!(shown(&identity.orders), "P1@EHR F1@LAB");
}

#[test]
fn a_resend_differs_in_nothing_but_its_time() {
    let same = |text: &[u8]| {
        let mut out = Vec::new();
        resend_bytes(text, &mut |part| out.extend_from_slice(part));
        out
    };
    let at = |time: &str| {
        format!("\x0BMSH|^~\\&|A|B|C|D|{time}||ADT^A01|1\rPID|1|2|3|4|5|6|7\r").into_bytes()
    };
    let (first, second) = (at("20250101"), at("20250102030405"));
    assert_eq!(same(&first), same(&second));
    assert_eq!(same(&first), at(""));
    let batch = |time| [b"BHS|^~\\&|||||1\r".to_vec(), at(time), at(time)].concat();
    assert_eq!(same(&batch("2025")), same(&batch("2026")));
    assert_eq!(
        same(b"MSH|^~\\&|A\rPID|7|2|3|4|5|6|7"),
        b"MSH|^~\\&|A\rPID|7|2|3|4|5|6|7"
    );
}
