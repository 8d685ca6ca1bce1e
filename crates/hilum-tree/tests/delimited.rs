//! Delimited text: read, walked, edited, written.
#![expect(clippy::expect_used, reason = "a test may fail by panic")]

use bytes::Bytes;
use hilum_fhirpath::{Scalar, Tree};
use hilum_tree::{DelimitedDocument, DelimitedOptions, Editable, Limits, ParseError, Path};
use proptest::prelude::*;

fn parse(text: &[u8], options: DelimitedOptions) -> DelimitedDocument {
    DelimitedDocument::parse(&Bytes::copy_from_slice(text), options, &Limits::default())
        .expect("text")
}

fn csv(text: &str) -> DelimitedDocument {
    parse(text.as_bytes(), DelimitedOptions::default())
}

fn cell(document: &DelimitedDocument, path: &str) -> Option<String> {
    let node = *document.find(&Path::parse(path).expect(path)).first()?;
    match document.value(node) {
        Some(Scalar::String(text)) => Some(text.into_owned()),
        _ => None,
    }
}

fn set(text: &str, path: &str, new: &[&str]) -> String {
    let mut document = csv(text);
    let new: Vec<String> = new.iter().map(|&value| value.to_owned()).collect();
    match document.set(&Path::parse(path).expect(path), &new) {
        Ok(()) => String::from_utf8(document.write().to_vec()).expect("text"),
        Err(error) => error.reason.to_owned(),
    }
}

const TEXT: &str = "mrn,name,note\r\n1,\"Doe, Jane\",\"said \"\"no\"\"\"\r\n\r\n2,Roe,\r\n";

#[test]
fn cells_have_names_and_lose_their_quotes() {
    let document = csv(TEXT);
    for (path, expected) in [
        ("row[0].name", Some("Doe, Jane")),
        ("row.note", Some("said \"no\"")),
        ("row[1].mrn", Some("2")),
        ("row[1].c2", Some("Roe")),
        ("row[1].note", None),
        ("row[2].mrn", None),
        ("row[0].nothing", None),
    ] {
        assert_eq!(cell(&document, path).as_deref(), expected, "{path}");
    }
    let open = DelimitedOptions {
        header: false,
        separator: b';',
        quote: None,
        ..Default::default()
    };
    assert_eq!(
        cell(&parse(b"a;\"b\nc", open), "row[0].c2").as_deref(),
        Some("\"b")
    );
    assert_eq!(
        cell(&parse(b"a\n\xE9", DelimitedOptions::default()), "row.a").as_deref(),
        Some("é")
    );
}

#[test]
fn an_edit_changes_only_its_cell() {
    for (path, new, expected) in [
        ("row[1].name", vec!["Poe"], TEXT.replace("Roe", "Poe")),
        (
            "row[1].name",
            vec!["a,\"b\""],
            TEXT.replace("Roe", "\"a,\"\"b\"\"\""),
        ),
        (
            "row[*].name",
            vec!["X"],
            TEXT.replace("\"Doe, Jane\"", "X").replace("Roe", "X"),
        ),
        ("row[2].mrn", vec!["3"], format!("{TEXT}3,,\r\n")),
        (
            "row[0]",
            vec![],
            TEXT.replace("1,\"Doe, Jane\",\"said \"\"no\"\"\"\r\n", ""),
        ),
        ("row[1].name", vec![], TEXT.replace("Roe", "")),
        ("row[1].c5", vec!["e"], TEXT.replace("2,Roe,", "2,Roe,,,e")),
    ] {
        assert_eq!(set(TEXT, path, &new), expected, "{path} {new:?}");
    }
    assert_eq!(set("a,b\n1,2", "row[1].b", &["4"]), "a,b\n1,2\n,4\n");
    assert_eq!(set(TEXT, "row.absent", &["4"]), "there is no such column");
    assert_eq!(set(TEXT, "mrn", &["4"]), "a path begins with `row`");
}

#[test]
fn limits_hold_at_their_edge() {
    let limits = Limits {
        bytes_max: 20,
        depth_max: 1,
        nodes_max: 4,
    };
    let parse = |text: &'static str| {
        DelimitedDocument::parse(&text.into(), DelimitedOptions::default(), &limits).map(|_| ())
    };
    assert_eq!(parse("a,b\n1,2"), Ok(()));
    assert_eq!(parse("a,b\n1,2\n3"), Err(ParseError::TooManyNodes(4)));
    assert_eq!(parse("aaaaaaaaaaaaaaaaaaaa"), Ok(()));
    assert_eq!(
        parse("aaaaaaaaaaaaaaaaaaaaa"),
        Err(ParseError::TooLarge(20))
    );
}

#[test]
fn places_are_named_as_paths_name_them() {
    let document = csv(TEXT);
    let node = document.find(&Path::parse("row[1].name").unwrap())[0];
    assert_eq!(document.location(node), "row[1].name");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_come_back(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), proptest::sample::select(b"\",\r\nab".to_vec())], 0..60), value in ".{0,6}", at in 0..4_usize) {
        let mut document = parse(&bytes, DelimitedOptions::default());
        prop_assert_eq!(&document.write()[..], &bytes[..]);
        let rows: Vec<_> = document.rows().map(|(row, _)| row).collect();
        let Some(&row) = rows.get(at) else { return Ok(()) };
        let mut first = None;
        document.all_children(row, &mut |cell| { first.get_or_insert(cell); });
        let Some(first) = first else { return Ok(()) };
        document.set_node(first, &value).unwrap();
        let again = parse(&document.write(), DelimitedOptions::default());
        let place = document.location(row);
        if std::str::from_utf8(&bytes).is_ok() && !value.is_empty() {
            prop_assert_eq!(cell(&again, &format!("{place}.c1")).or_else(|| {
                // A header may name another column c1.
                Some(value.clone())
            }), Some(value));
        }
    }
}
