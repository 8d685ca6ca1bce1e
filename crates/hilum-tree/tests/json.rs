//! JSON: read, walked, edited, written.
#![expect(clippy::expect_used, reason = "a test may fail by panic")]

use bytes::Bytes;
use hilum_fhirpath::{NodeId, Scalar, Tree};
use hilum_tree::{Editable, JsonDocument, Limits, ParseError, Path};
use proptest::prelude::*;

fn parse(text: &str) -> JsonDocument {
    JsonDocument::parse(&Bytes::copy_from_slice(text.as_bytes()), &Limits::default()).expect(text)
}

fn values(document: &JsonDocument, names: &[&str]) -> Vec<String> {
    let mut nodes = vec![document.root()];
    for name in names {
        let mut next = Vec::new();
        for node in nodes {
            document.children(node, name, &mut |child| next.push(child));
        }
        nodes = next;
    }
    nodes
        .into_iter()
        .map(|node| format!("{:?}", document.value(node)))
        .collect()
}

fn set(text: &str, path: &str, new: &[&str]) -> String {
    let mut document = parse(text);
    let new: Vec<String> = new.iter().map(|&value| value.to_owned()).collect();
    match document.set(&Path::parse(path).expect(path), &new) {
        Ok(()) => String::from_utf8(document.write().to_vec()).expect("text"),
        Err(error) => error.reason.to_owned(),
    }
}

#[test]
fn arrays_are_repetitions_and_null_is_absent() {
    let document =
        parse(r#"{"a":[{"b":1},{"b":2.50},null,{"b":null}],"c":true,"d":[["x"],["y"]]}"#);
    assert_eq!(
        values(&document, &["a", "b"]),
        [
            format!("{:?}", Some(Scalar::Integer(1))),
            format!("{:?}", Some(Scalar::Decimal("2.50".into()))),
        ]
    );
    assert_eq!(
        values(&document, &["c"]),
        [format!("{:?}", Some(Scalar::Boolean(true)))]
    );
    assert_eq!(values(&document, &["d", "item"]).len(), 2);
    assert_eq!(values(&parse("[1,2]"), &["item"]).len(), 2);
}

#[test]
fn an_edit_changes_only_what_was_edited() {
    let text =
        "{ \"n\" : 1.50 ,\n  \"list\": [ {\"x\": \"a\"}, {\"x\": \"b\"} ],\n  \"t\": true }\n";
    for (path, new, expected) in [
        ("n", vec!["2.0"], text.replace("1.50", "2.0")),
        ("n", vec!["two"], text.replace("1.50", "\"two\"")),
        ("t", vec!["false"], text.replace("true", "false")),
        (
            "list[1].x",
            vec!["c\"d"],
            text.replace("\"b\"", "\"c\\\"d\""),
        ),
        ("list.x", vec!["z"], text.replace("\"a\"", "\"z\"")),
        (
            "list[*].x",
            vec!["z"],
            text.replace("\"a\"", "\"z\"").replace("\"b\"", "\"z\""),
        ),
        (
            "list[*].x",
            vec!["p", "q"],
            text.replace("\"a\"", "\"p\"").replace("\"b\"", "\"q\""),
        ),
        (
            "list[2].x",
            vec!["c"],
            text.replace("{\"x\": \"b\"}", "{\"x\": \"b\"}, {\"x\":\"c\"}"),
        ),
        (
            "new",
            vec!["v"],
            text.replace("true }", "true,\n  \"new\": \"v\" }"),
        ),
        (
            "o.p[0].q",
            vec!["v"],
            text.replace("true }", "true,\n  \"o\": {\"p\":[{\"q\":\"v\"}]} }"),
        ),
        ("list", vec![], text.replace("{\"x\": \"a\"}, ", "")),
        ("n", vec![], text.replace(" \"n\" : 1.50 ,", "")),
        ("t", vec![], text.replace(",\n  \"t\": true", "")),
        (
            "list[*]",
            vec![],
            text.replace("{\"x\": \"a\"}, {\"x\": \"b\"}", "")
                .replace("[  ]", "[]"),
        ),
    ] {
        assert_eq!(set(text, path, &new), expected, "{path} {new:?}");
    }
}

#[test]
fn lists_grow_shrink_and_appear() {
    for (text, path, new, expected) in [
        ("{}", "a", vec!["x"], r#"{"a":"x"}"#),
        ("{}", "a[*]", vec!["x", "y"], r#"{"a":["x","y"]}"#),
        (
            r#"{"a":["x","y","z"]}"#,
            "a[*]",
            vec!["p"],
            r#"{"a":["p","p","p"]}"#,
        ),
        (
            r#"{"a":["x","y","z"]}"#,
            "a[*]",
            vec!["p", "q"],
            r#"{"a":["p","q"]}"#,
        ),
        (r#"{"a":null}"#, "a.b", vec!["x"], r#"{"a":{"b":"x"}}"#),
        (
            r#"{"resourceType":"Patient"}"#,
            "Patient.id",
            vec!["7"],
            r#"{"resourceType":"Patient","id":"7"}"#,
        ),
        ("[]", "item[0].a", vec!["x"], r#"[{"a":"x"}]"#),
        ("[[1],[2]]", "item[1].item[0]", vec!["3"], "[[1],[3]]"),
    ] {
        assert_eq!(set(text, path, &new), expected, "{text} {path}");
    }
}

#[test]
fn edits_that_would_lose_something_are_refused() {
    for (text, path, new, reason) in [
        (
            r#"{"a":{"b":1}}"#,
            "a",
            vec!["x"],
            "it is an object or a list, not a value",
        ),
        (
            r#"{"a":"x"}"#,
            "a.b",
            vec!["y"],
            "a value stands where an object is needed",
        ),
        (
            r#"{"a":"x"}"#,
            "a[1]",
            vec!["y"],
            "it is a single value, not a list",
        ),
        ("{}", "a[2]", vec!["y"], "the one before it does not exist"),
        (
            "{}",
            "a",
            vec!["y", "z"],
            "several values for one place: write `[*]` to set a list",
        ),
    ] {
        assert_eq!(set(text, path, &new), reason, "{text} {path}");
    }
}

#[test]
fn what_is_no_json_is_refused_with_its_place() {
    for text in [
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\":}",
        "{a:1}",
        "01",
        "1 2",
        "\"\u{1}\"",
        "tru",
        "[1}",
        "\"\\x\"",
        "\"\\u12\"",
        "{\"a\" 1}",
        "nul",
        "-",
        "1.",
        "\"",
    ] {
        let found =
            JsonDocument::parse(&Bytes::copy_from_slice(text.as_bytes()), &Limits::default());
        assert!(
            matches!(found, Err(ParseError::Expected { .. })),
            "{text:?} {found:?}"
        );
    }
    let duplicate = Bytes::from_static(b"{\"a\":1,\"\\u0061\":2}");
    assert_eq!(
        JsonDocument::parse(&duplicate, &Limits::default()).err(),
        Some(ParseError::Repeated(7))
    );
}

#[test]
fn limits_hold_at_their_edge() {
    let limits = Limits {
        bytes_max: 100,
        depth_max: 3,
        nodes_max: 5,
    };
    let parse = |text: String| JsonDocument::parse(&text.into(), &limits).map(|_| ());
    assert_eq!(parse("[[[]]]".into()), Ok(()));
    assert_eq!(parse("[[[[]]]]".into()), Err(ParseError::TooDeep(3)));
    assert_eq!(parse("[1,2,3,4]".into()), Ok(()));
    assert_eq!(
        parse("[1,2,3,4,5]".into()),
        Err(ParseError::TooManyNodes(5))
    );
    assert_eq!(parse(" ".repeat(99) + "1"), Ok(()));
    assert_eq!(parse(" ".repeat(100) + "1"), Err(ParseError::TooLarge(100)));
    let deep = "[".repeat(1_000_000);
    assert!(JsonDocument::parse(&deep.into(), &Limits::default()).is_err());
}

#[test]
fn places_are_named_as_paths_name_them() {
    let document = parse(r#"{"a":[{"b c":[1,2]}],"d":[[1]]}"#);
    for path in ["a[0].`b c`[1]", "d[0].item[0]", "a[0]"] {
        let node = document.find(&Path::parse(path).unwrap())[0];
        assert_eq!(document.location(node), path);
    }
    assert_eq!(document.location(NodeId::default()), "");
}

fn json() -> impl Strategy<Value = String> {
    let blank = "[ \t\r\n]{0,2}";
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?(0|[1-9][0-9]{0,5})(\\.[0-9]{1,4})?([eE][+-]?[0-9]{1,2})?",
        "\"([a-zé 😀]|\\\\n|\\\\u00e9){0,6}\"",
    ];
    leaf.prop_recursive(4, 32, 4, move |inner| {
        prop_oneof![
            (proptest::collection::vec(inner.clone(), 0..4), blank).prop_map(
                |(items, blank)| format!("[{blank}{}{blank}]", items.join(&format!("{blank},")))
            ),
            (proptest::collection::vec(inner, 0..4), blank).prop_map(|(items, blank)| {
                let members: Vec<String> = items
                    .iter()
                    .enumerate()
                    .map(|(at, item)| format!("\"k{at}\"{blank}:{blank}{item}"))
                    .collect();
                format!("{{{blank}{}{blank}}}", members.join(&format!(",{blank}")))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn nothing_makes_it_panic(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), proptest::sample::select(b"{}[]\",:\\u019e.-tfn ".to_vec())], 0..60)) {
        if let Ok(document) = JsonDocument::parse(&bytes.clone().into(), &Limits::default()) {
            prop_assert_eq!(&document.write()[..], &bytes[..]);
        }
    }

    #[test]
    fn what_is_read_is_written_and_edits_stay_json(text in json(), value in ".{0,8}", seed in any::<prop::sample::Index>()) {
        let mut document = parse(&text);
        prop_assert_eq!(&document.write()[..], text.as_bytes());
        let mut nodes = vec![document.root()];
        let mut at = 0;
        while at < nodes.len() {
            let node = nodes[at];
            document.all_children(node, &mut |child| nodes.push(child));
            at += 1;
        }
        let node = nodes[seed.index(nodes.len())];
        if document.set_node(node, &value).is_ok() {
            let written = document.write();
            let again = parse(std::str::from_utf8(&written).unwrap());
            prop_assert_eq!(again.json(again.root()), document.json(document.root()));
        }
        let node = nodes[seed.index(nodes.len())];
        let place = document.location(node);
        if !place.is_empty() {
            document.delete(&Path::parse(&place).unwrap()).unwrap();
            parse(std::str::from_utf8(&document.write()).unwrap());
        }
    }
}
