//! Reading and writing values: nothing is lost, nothing else changes, nothing breaks out.

use hilum_fhirpath::tree::Tree as _;
use hilum_hl7v2::path::Which;
use hilum_hl7v2::{Charset, EditError, Message, Path};
use proptest::prelude::*;

const ADT: &str = "MSH|^~\\&|PAS|HOSP|EHR|HOSP|20260101||ADT^A01^ADT_A01|1|P|2.5.1\r\
                   EVN|A01|20260101\r\
                   PID|1||123^^^HOSP^MR~456^^^SSA^SS||Doe^Jane&Q||19800101|F\r\
                   PV1|1|I|ICU^1^2\r";

fn message() -> Message {
    Message::parse(ADT).unwrap()
}

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

/// Setting `value` at `at` turns the fragment `before` of the message into `after`.
fn check_set(at: &str, value: &str, before: &str, after: &str) {
    let mut message = message();
    message.set(&path(at), value).unwrap();
    let expected = ADT.replacen(before, after, 1);
    assert_eq!(String::from_utf8_lossy(&message.write()), expected, "{at}");
    assert_eq!(message.get(&path(at)).unwrap_or_default(), value, "{at}");
}

#[test]
fn an_edit_changes_only_its_place() {
    check_set("PV1-3.1", "CCU", "ICU^1^2", "CCU^1^2");
    check_set("PV1-3", "CCU", "ICU^1^2", "CCU");
    check_set("PV1-3.5", "x", "ICU^1^2", "ICU^1^2^^x");
    check_set("PV1-3.2.3", "x", "ICU^1^2", "ICU^1&&x^2");
    check_set("PV1-6.2.2", "x", "ICU^1^2\r", "ICU^1^2|||^&x\r");
    check_set("PID-3.1", "999", "|123^", "|999^");
    check_set("PID-3[2].1", "999", "~456^", "~999^");
    check_set("PID-3[4].1", "999", "^SS|", "^SS~~999|");
    check_set("PID-5.2.2", "R", "Jane&Q", "Jane&R");
    check_set("PID-8", "", "|F\r", "|\r");
    check_set("MSH-3", "a|b^c", "|PAS|", "|a\\F\\b\\S\\c|");
    check_set("ZZZ-2", "x\ry", "ICU^1^2\r", "ICU^1^2\rZZZ||x\\X0D\\y\r");
    check_set("PV1-3.1", "a \\ b", "ICU", "a \\E\\ b");
}

#[test]
fn a_star_writes_each_and_nothing_writes_the_first() {
    let mut message = message();
    assert_eq!(message.set(&path("PID-3[*].4"), "X"), Ok(2));
    assert_eq!(message.get_all(&path("PID-3.4")), ["X", "X"]);
    assert_eq!(message.set(&path("PID-3.4"), "Y"), Ok(1));
    assert_eq!(message.get_all(&path("PID-3.4")), ["Y", "X"]);
}

#[test]
fn a_node_is_written_in_its_place() {
    let mut message = message();
    let node = message.parts(&path("PID-3").with_repetition(Which::Nth(2)))[0].node();
    message.set_node(node, "7|8").unwrap();
    assert_eq!(message.get_all(&path("PID-3.1")), ["123", "7|8"]);
    let separators = message.parts(&path("MSH-1"))[0].node();
    assert!(matches!(
        message.set_node(separators, "x"),
        Err(EditError::Separators { .. })
    ));
    assert!(matches!(
        message.set_node(message.root(), "x"),
        Err(EditError::Target { .. })
    ));
}

#[test]
fn deletes_and_inserts_at_every_level() {
    let check = |edit: &dyn Fn(&mut Message), before: &str, after: &str| {
        let mut message = message();
        edit(&mut message);
        assert_eq!(
            String::from_utf8_lossy(&message.write()),
            ADT.replacen(before, after, 1)
        );
    };
    let deletes = [
        ("PID-3[1]", "123^^^HOSP^MR~456", "456"),
        ("PID-3[2]", "~456^^^SSA^SS", ""),
        ("PID-3", "123^^^HOSP^MR~456^^^SSA^SS", ""),
        ("PID-3[*].4", "HOSP^MR~456^^^SSA", "^MR~456^^^"),
        ("PID-5.2.2", "Jane&Q", "Jane&"),
        ("PID-40", "", ""),
        ("EVN", "EVN|A01|20260101\r", ""),
    ];
    for (at, before, after) in deletes {
        check(&|m| assert!(m.delete(&path(at)).is_ok()), before, after);
    }
    let inserts = [
        ("PID-3[1]", "a", "|123^", "|a~123^"),
        ("PID-3[3]", "a", "^SS|", "^SS~a|"),
        ("PV1-3.2", "a", "ICU^1", "ICU^a^1"),
        ("PV1-3.1.1", "a", "ICU^1", "a&ICU^1"),
        ("PV1-3", "a", "|ICU^1", "|a|ICU^1"),
    ];
    for (at, value, before, after) in inserts {
        check(&|m| m.insert(&path(at), value).unwrap(), before, after);
    }
    check(
        &|m| assert_eq!(m.insert_segment(2, "ZPI"), Ok(2)),
        "PID|1",
        "ZPI\rPID|1",
    );
}

#[test]
fn keeps_terminators_and_oddities_around_an_edit() {
    let text = "\r\nMSH|^~\\&|A\r\n\r\nPID|1\nPV1|1|I\r\nNTE|1";
    let mut message = Message::parse(text).unwrap();
    message.set(&path("PV1-2"), "O").unwrap();
    message.insert_segment(9, "ZZZ").unwrap();
    let expected = text.replace("|I", "|O") + "\r\nZZZ\r\n";
    assert_eq!(String::from_utf8_lossy(&message.write()), expected);
}

#[test]
fn refuses_what_would_damage_the_message() {
    let mut message = message();
    assert!(matches!(
        message.set(&path("MSH-2"), "x"),
        Err(EditError::Separators { .. })
    ));
    assert!(matches!(
        message.delete(&path("MSH")),
        Err(EditError::Header { .. })
    ));
    assert!(matches!(
        message.set(&path("OBX[3]-5"), "x"),
        Err(EditError::Gap { .. })
    ));
    assert!(matches!(
        message.set(&path("OBX[2]"), "x"),
        Err(EditError::Target { .. })
    ));
    assert_eq!(message.insert_segment(1, "A|B"), Err(EditError::SegmentId));
    assert!(!message.is_touched());
    assert_eq!(message.write(), ADT);
}

#[test]
fn writes_in_the_character_set_of_the_message() {
    let text = b"MSH|^~\\&|A|||||||||||||||8859/1\rPID|1||||M\xFCller\r";
    let mut message = Message::parse(text.as_slice()).unwrap();
    message.set(&path("PID-5.2"), "Jörg").unwrap();
    assert!(message.write().ends_with(b"PID|1||||M\xFCller^J\xF6rg\r"));
    let refused = message.set(&path("PID-5.2"), "张");
    assert!(matches!(
        refused,
        Err(EditError::NotInCharset {
            charset: "8859/1",
            ..
        })
    ));
    message.convert_charset(Charset::Utf8).unwrap();
    message.set(&path("PID-5.2"), "张").unwrap();
    let written = message.write();
    assert!(written.ends_with("PID|1||||Müller^张\r".as_bytes()));
    let again = Message::parse(written).unwrap();
    assert_eq!(again.charset(), Charset::Utf8);
    assert_eq!(again.get(&path("MSH-18")).as_deref(), Some("UNICODE UTF-8"));
}

#[test]
fn naming_another_character_set_converts_to_it() {
    let text = b"MSH|^~\\&|A|||||||||||||||8859/1\rPID|1||||M\xFCller\r";
    let mut message = Message::parse(text.as_slice()).unwrap();
    message.set(&path("MSH-18"), "UNICODE UTF-8").unwrap();
    assert!(
        message
            .write()
            .ends_with("|UNICODE UTF-8\rPID|1||||Müller\r".as_bytes())
    );
    assert!(matches!(
        message.set(&path("MSH-18"), "ASCII"),
        Err(EditError::NotInCharset { .. })
    ));
    message.set(&path("MSH-18"), "BIG-5").unwrap_err();
    message.set(&path("PID-5"), "許").unwrap();
    message.set(&path("MSH-18"), "BIG-5").unwrap();
    let written = message.write();
    assert!(written.ends_with(b"|BIG-5\rPID|1||||\xB3\x5C\r"));
    assert_eq!(
        Message::parse(written)
            .unwrap()
            .get(&path("PID-5"))
            .as_deref(),
        Some("許")
    );
    message.set(&path("MSH-18"), "UNICODE UTF-16").unwrap();
    let again = Message::parse(message.write()).unwrap();
    assert_eq!(again.get(&path("PID-5")).as_deref(), Some("許"));
}

#[test]
fn splits_after_decoding_where_characters_hide_separators() {
    // The second byte of the first character is a backslash, of the second a vertical bar.
    let text = b"MSH|^~\\&|A|||||||||||||||BIG-5\rPID|1||||\xB3\x5C^\xA4\x7C|x\rPV1|1|\xB3\x5C\r";
    let mut message = Message::parse(text.as_slice()).unwrap();
    assert_eq!(message.write(), text.as_slice());
    assert_eq!(message.get(&path("PID-5.1")).as_deref(), Some("許"));
    assert_eq!(message.get(&path("PID-6")).as_deref(), Some("x"));
    message.set(&path("PID-6"), "許").unwrap();
    let written = message.write();
    assert!(written.ends_with(b"\xB3\x5C^\xA4\x7C|\xB3\x5C\rPV1|1|\xB3\x5C\r"));
    assert!(matches!(
        message.set(&path("PID-6"), "😀"),
        Err(EditError::NotInCharset { .. })
    ));
}

#[test]
fn reads_utf_16_and_writes_it_back() {
    let text = "\u{FEFF}MSH|^~\\&|A\rPID|1||||Müller\r";
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut message = Message::parse(bytes.clone()).unwrap();
    assert_eq!(message.write(), bytes);
    message.set(&path("PID-5.2"), "张").unwrap();
    let expected = text.replace("Müller", "Müller^张");
    let expected: Vec<u8> = expected.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(message.write(), expected);
}

#[test]
fn copies_parts_between_messages_with_other_separators() {
    let from = Message::parse("MSH$%*?@$A\rPID$1$$12%%%HOSP@1%MR*3\rNTE$1$$a?F?b|c\r").unwrap();
    let mut to = message();
    let part = |text: &str| from.parts(&path(text)).remove(0);
    to.set_part(&path("PID-3[1]"), part("PID-3")).unwrap();
    to.set_part(&path("PV1-3.1"), part("NTE-3")).unwrap();
    let written = to.write();
    let written = String::from_utf8_lossy(&written);
    assert!(written.contains("PID|1||12^^^HOSP&1^MR~456"), "{written}");
    assert!(written.contains("|a$b\\F\\c^1^2\r"), "{written}");
}

fn places() -> impl Strategy<Value = String> {
    let numbers = (1_u32..6, 0_u32..4, 1_u32..4, 0_u32..3);
    let segment = prop::sample::select(vec!["PID", "PV1", "NTE", "`ZLONG`"]);
    (segment, numbers).prop_map(|(segment, (field, repetition, component, sub))| {
        let repetition = if repetition == 0 {
            String::new()
        } else {
            format!("[{repetition}]")
        };
        let sub = if sub == 0 {
            String::new()
        } else {
            format!(".{sub}")
        };
        format!("{segment}-{field}{repetition}.{component}{sub}")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_set_is_read_back_and_nothing_else_moves(
        at in places(),
        value in "(?s)[\\PC|^~\\\\&\r\n\t\u{b}\u{1c}\u{0}\"]{1,12}",
        odd in any::<bool>(),
    ) {
        let text = if odd { ADT.replace("|", "$").replace("^~\\&", "&^%#") } else { ADT.into() };
        let mut message = Message::parse(text.clone()).unwrap();
        let at = path(&at);
        message.set(&at, &value).unwrap();
        let written = message.write();
        let again = Message::parse(written.clone()).unwrap();
        prop_assert_eq!(again.get(&at), Some(value.clone().into()));
        prop_assert_eq!(again.write(), written);
        let segments = if at.segment() == "PID" || at.segment() == "PV1" { 4 } else { 5 };
        prop_assert_eq!(again.segment_count(), segments);
        for segment in message.segments().filter(|segment| !segment.has_id(at.segment())) {
            prop_assert_eq!(segment.raw(), again.segment(segment.index()).unwrap().raw());
        }
    }

    #[test]
    fn what_is_parsed_is_written_back(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut text = b"MSH|^~\\&|".to_vec();
        text.extend_from_slice(&bytes);
        if let Ok(message) = Message::parse(text.clone()) {
            prop_assert_eq!(message.write(), text);
        }
        if let Ok(message) = Message::parse(bytes.clone()) {
            prop_assert_eq!(message.write(), bytes);
        }
    }

    #[test]
    fn random_structure_never_panics(
        text in "MSH\\|[\\^~&|\\\\#]{0,6}([A-Z0-9]{0,4}[|^~&\\\\\r\n a-z\"]{0,8}){0,30}",
        at in places(),
    ) {
        let mut message = Message::parse(text.clone()).unwrap();
        prop_assert_eq!(message.write(), text);
        message.set(&path(&at), "x|y").unwrap();
        prop_assert_eq!(message.get(&path(&at)), Some("x|y".into()));
        message.delete(&path(&at)).unwrap();
        message.insert(&path(&at), "z").unwrap();
        prop_assert_eq!(message.get(&path(&at)), Some("z".into()));
    }
}
