//! XML: read, walked, edited, written.
#![expect(clippy::expect_used, reason = "a test may fail by panic")]

use bytes::Bytes;
use hilum_fhirpath::{Scalar, Tree};
use hilum_tree::{Editable, Limits, ParseError, Path, XmlDocument};
use proptest::prelude::*;

fn parse(text: &str) -> XmlDocument {
    XmlDocument::parse(&Bytes::copy_from_slice(text.as_bytes()), &Limits::default()).expect(text)
}

fn values(document: &XmlDocument, path: &str) -> Vec<String> {
    let found = document.find(&Path::parse(path).expect(path)).into_iter();
    found
        .map(|node| match document.value(node) {
            Some(Scalar::String(text)) => text.into_owned(),
            other => format!("{other:?}"),
        })
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

const TEXT: &str = "<?xml version='1.0'?>\n<!-- top -->\n<v3:doc xmlns:v3='urn:x'>\n  <v3:id root='1.2' extension=\"a&amp;b\"/>\n  <v3:name>Ann &lt;A&gt;<!-- c --> &#x42;</v3:name>\n  <v3:name><![CDATA[<B>]]></v3:name>\n  <v3:p>one <b>two</b> three</v3:p>\n</v3:doc>\n<!-- end -->\n";

#[test]
fn elements_attributes_and_text_have_names() {
    let document = parse(TEXT);
    for (path, expected) in [
        ("doc.id.`@extension`", vec!["a&b"]),
        ("doc.`v3:id`.`@root`", vec!["1.2"]),
        ("doc.name[*]", vec!["Ann <A> B", "<B>"]),
        ("doc.p.b", vec!["two"]),
        ("doc.p.`#text`[*]", vec!["one ", " three"]),
        ("doc.id", vec!["None"]),
        ("doc.`v4:id`", vec![]),
        ("id", vec![]),
    ] {
        assert_eq!(values(&document, path), expected, "{path}");
    }
    for path in ["doc.name[1]", "doc.p.`#text`[1]", "doc.id.`@root`"] {
        let node = document.find(&Path::parse(path).expect(path))[0];
        assert_eq!(document.location(node), path);
    }
}

#[test]
fn an_edit_changes_only_what_was_edited() {
    for (path, new, expected) in [
        (
            "doc.id.`@root`",
            vec!["9'\"<"],
            TEXT.replace("1.2", "9&apos;&quot;&lt;"),
        ),
        (
            "doc.name",
            vec!["X & Y"],
            TEXT.replace("Ann &lt;A&gt;<!-- c --> &#x42;", "X &amp; Y"),
        ),
        (
            "doc.name[*]",
            vec!["p", "q"],
            TEXT.replace("Ann &lt;A&gt;<!-- c --> &#x42;", "p")
                .replace("<![CDATA[<B>]]>", "q"),
        ),
        (
            "doc.name[2]",
            vec!["r"],
            TEXT.replace(
                "</v3:name>\n  <v3:p>",
                "</v3:name>\n  <v3:name>r</v3:name>\n  <v3:p>",
            ),
        ),
        (
            "doc.name[0]",
            vec![],
            TEXT.replace("\n  <v3:name>Ann &lt;A&gt;<!-- c --> &#x42;</v3:name>", ""),
        ),
        ("doc.id.`@root`", vec![], TEXT.replace(" root='1.2'", "")),
        (
            "doc.id.`@extension`",
            vec![],
            TEXT.replace(" extension=\"a&amp;b\"", ""),
        ),
        (
            "doc.id.`@new`",
            vec!["n"],
            TEXT.replace("b\"/>", "b\" new=\"n\"/>"),
        ),
        (
            "doc.id.part.code",
            vec!["c"],
            TEXT.replace(
                "b\"/>",
                "b\"><v3:part><v3:code>c</v3:code></v3:part></v3:id>",
            ),
        ),
        (
            "doc.id.part.`@c`",
            vec!["c"],
            TEXT.replace("b\"/>", "b\"><v3:part c=\"c\"/></v3:id>"),
        ),
        ("doc.p.b", vec!["2"], TEXT.replace("two", "2")),
        ("doc.p.`#text`[1]", vec![" 3"], TEXT.replace(" three", " 3")),
    ] {
        assert_eq!(set(TEXT, path, &new), expected, "{path} {new:?}");
        if !new.is_empty() {
            assert_eq!(values(&parse(&expected), path), new, "{path}");
        }
    }
}

#[test]
fn edits_that_would_lose_something_are_refused() {
    for (path, reason) in [
        ("doc", "it has elements below it"),
        ("other", "a document has one root element"),
        ("doc.name.x", "text stands where elements are needed"),
        ("doc.`a b`", "it is no name of XML"),
        ("doc.x.`#text`", "text is set on its element"),
    ] {
        assert_eq!(set(TEXT, path, &["x"]), reason, "{path}");
    }
    assert_eq!(
        set(TEXT, "doc.name", &["\u{1}"]),
        "the value has a character that XML cannot hold"
    );
    assert_eq!(set(TEXT, "doc", &[]), "this is the whole document");
}

#[test]
fn what_is_no_xml_is_refused_with_its_place() {
    for text in [
        "",
        " ",
        "x",
        "<a>",
        "</a>",
        "<a></b>",
        "<a/><b/>",
        "<a b=c/>",
        "<a b='1'c='2'/>",
        "<a b='<'/>",
        "<1/>",
        "<a",
        "<a b",
        "<a b=",
        "<a b='",
        "<!-- x",
        "<a><![CDATA[x</a>",
        "<![CDATA[x]]><a/>",
        "<!ELEMENT a ANY><a/>",
        "<a/>x",
        "<a></a",
        "< a/>",
    ] {
        let found =
            XmlDocument::parse(&Bytes::copy_from_slice(text.as_bytes()), &Limits::default());
        assert!(
            matches!(found, Err(ParseError::Expected { .. })),
            "{text:?} {found:?}"
        );
    }
    let refused =
        |text: &str| XmlDocument::parse(&text.to_owned().into(), &Limits::default()).err();
    assert_eq!(
        refused("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>"),
        Some(ParseError::Doctype(0))
    );
    assert_eq!(refused("<a>&x;</a>"), Some(ParseError::Entity(3)));
    assert_eq!(refused("<a b='&'/>"), Some(ParseError::Entity(6)));
    assert_eq!(refused("<a>&#0;</a>"), Some(ParseError::Entity(3)));
    assert_eq!(refused("<a b='1' b='2'/>"), Some(ParseError::Repeated(9)));
    assert_eq!(
        refused("<?xml version='1.0' encoding='utf-16'?><a/>"),
        Some(ParseError::Encoding)
    );
}

#[test]
fn a_declared_single_byte_set_is_read_and_written() {
    let text = b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xE9</a>";
    let mut document =
        XmlDocument::parse(&Bytes::from_static(text), &Limits::default()).expect("xml");
    assert_eq!(values(&document, "a"), ["é"]);
    document
        .set(&Path::parse("a").expect("a"), &["ü山".to_owned()])
        .expect("set");
    assert!(document.write().ends_with(b"<a>\xFC&#23665;</a>"));
}

#[test]
fn limits_hold_at_their_edge() {
    let limits = Limits {
        bytes_max: 30,
        depth_max: 3,
        nodes_max: 4,
    };
    let parse = |text: &str| XmlDocument::parse(&text.to_owned().into(), &limits).map(|_| ());
    assert_eq!(parse("<a><a><a/></a></a>"), Ok(()));
    assert_eq!(
        parse("<a><a><a><a/></a></a></a>"),
        Err(ParseError::TooDeep(3))
    );
    assert_eq!(parse("<a><b/><b/><b/></a>"), Ok(()));
    assert_eq!(
        parse("<a><b/><b/><b/><b/></a>"),
        Err(ParseError::TooManyNodes(4))
    );
    assert_eq!(parse(&format!("<a/>{}", " ".repeat(26))), Ok(()));
    assert_eq!(
        parse(&format!("<a/>{}", " ".repeat(27))),
        Err(ParseError::TooLarge(30))
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn nothing_makes_it_panic_and_edits_stay_xml(
        parts in proptest::collection::vec(proptest::sample::select(vec![
            "<a>", "</a>", "<b c='1'>", "</b>", "<d/>", "x", " ", "&amp;", "<!--y-->", "<![CDATA[z]]>", "<?p q?>", "<", ">", "&", "\r\n", "é",
        ]), 0..14),
        value in "[ -~é\n]{0,6}",
        seed in any::<prop::sample::Index>(),
    ) {
        let text = format!("<r>{}</r>", parts.concat());
        let Ok(mut document) = XmlDocument::parse(&text.clone().into(), &Limits::default()) else { return Ok(()) };
        prop_assert_eq!(&document.write()[..], text.as_bytes());
        let mut nodes = vec![document.root()];
        let mut at = 0;
        while at < nodes.len() {
            document.all_children(nodes[at], &mut |child| nodes.push(child));
            at += 1;
        }
        let node = nodes[seed.index(nodes.len())];
        let place = document.location(node);
        if document.set_node(node, &value).is_ok() {
            let again = XmlDocument::parse(&document.write(), &Limits::default());
            prop_assert!(again.is_ok(), "{:?}", document.write());
            if !value.is_empty() && !place.contains("#text") {
                prop_assert_eq!(values(&again.expect("read"), &place), [value]);
            }
        }
        if document.remove(node).is_ok() {
            prop_assert!(XmlDocument::parse(&document.write(), &Limits::default()).is_ok());
        }
    }
}
