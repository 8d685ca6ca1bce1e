//! What is refused, where, and at which limit.

use hilum_fhir::{Limits, Problems, Resource, Severity, Style, json, xml};

fn refused(read: Result<Resource, Problems>, text: &str) -> Vec<String> {
    let problems = read.err().unwrap_or_else(|| panic!("accepted: {text}"));
    let line = |problem: &hilum_fhir::Problem| {
        let place = problem.expression.as_deref().unwrap_or_default();
        format!("{place}: {}", problem.text)
    };
    problems.0.iter().map(line).collect()
}

/// What is wrong with a Patient that has these properties.
fn check(properties: &str, expected: &[&str]) {
    let text = format!(r#"{{"resourceType":"Patient",{properties}}}"#);
    let found = refused(json::parse(text.as_bytes(), &Limits::default()), &text);
    assert_eq!(found, expected, "{text}");
}

#[test]
fn json_is_read_strictly() {
    check(r#""nam":[]"#, &["Patient: unknown property `nam`"]);
    check(
        r#""Rosa Example":1"#,
        &["Patient: unknown property `(a name that is none)`"],
    );
    check(
        r#""_name":[{"id":"a"}]"#,
        &["Patient: unknown property `_name`"],
    );
    check(
        r#""active":true,"active":true"#,
        &["Patient.active: a property twice"],
    );
    check(
        r#""\u0061ctive":true,"active":true"#,
        &["Patient.active: a property twice"],
    );
    check(
        r#""resourceType":"Patient""#,
        &["Patient.resourceType: a property twice"],
    );
    check(
        r#""active":"true""#,
        &["Patient.active: true or false expected"],
    );
    check(
        r#""birthDate":2000"#,
        &["Patient.birthDate: a string expected"],
    );
    check(
        r#""multipleBirthInteger":"2""#,
        &["Patient.multipleBirthInteger: a number expected"],
    );
    check(
        r#""multipleBirthInteger":2.0"#,
        &["Patient.multipleBirth: not a whole number of 32 bits"],
    );
    check(
        r#""active":[true]"#,
        &["Patient.active: one value expected, not an array"],
    );
    check(
        r#""name":{"text":"x"}"#,
        &["Patient.name: an array expected, not one value"],
    );
    check(r#""name":["x"]"#, &["Patient.name: an object expected"]);
    check(r#""name":[null]"#, &["Patient.name: an object expected"]);
    check(r#""name":[[{}]]"#, &["Patient.name: an object expected"]);
    check(r#""name":[]"#, &["Patient.name: an empty array"]);
    check(r#""name":[{}]"#, &["Patient.name[0]: an empty object"]);
    check(r#""active":null"#, &["Patient.active: null is not allowed"]);
}

#[test]
fn values_and_their_company_are_read_strictly() {
    check(
        r#""id":"""#,
        &["Patient.id: not an id: 1 to 64 letters, digits, `-` and `.`"],
    );
    check(r#""name":[{"text":""}]"#, &["Patient.name[0].text: empty"]);
    check(
        r#""name":[{"text":"\ud800"}]"#,
        &["Patient.name[0].text: half of a surrogate pair"],
    );
    check(
        r#""name":[{"text":"\u0001"}]"#,
        &["Patient.name[0].text: a control character"],
    );
    check(
        r#""deceasedBoolean":true,"deceasedDateTime":"2000""#,
        &["Patient.deceasedDateTime: only one of the types of a choice is allowed"],
    );
    check(
        r#""_birthDate":"x""#,
        &["Patient.birthDate: an object expected"],
    );
    check(
        r#""_birthDate":{"value":"2000"}"#,
        &["Patient.birthDate: unknown property `value`"],
    );
    check(
        r#""name":[{"given":["a",null]}]"#,
        &["Patient.name[0].given[1]: null without a value or an extension in its place"],
    );
    check(
        r#""name":[{"given":["a"],"_given":[null,null]}]"#,
        &["Patient.name[0].given[1]: null without a value or an extension in its place"],
    );
    check(
        r#""contained":[{"id":"x"}]"#,
        &["Patient.contained: a resource needs a resourceType"],
    );
    check(
        r#""contained":[{"resourceType":"DomainResource"}]"#,
        &["Patient.contained: there is no resource type `DomainResource`"],
    );
    check(
        r#""contained":[{"resourceType":1}]"#,
        &["Patient.contained: resourceType is not a string"],
    );
    check(
        r#""text":{"status":"generated","div":"<div>x</div>"}"#,
        &["Patient.text.div: a `div` without the namespace of XHTML"],
    );
    check(
        r#""name":[{"id":"x","_id":{"id":"y"}}]"#,
        &["Patient.name[0]: unknown property `_id`"],
    );
    check(
        r#""gender":" male","birthDate":"2000-13","x":[{"y":1}]"#,
        &[
            "Patient.gender: not a code: outer or doubled white space",
            "Patient.birthDate: not a date (YYYY, YYYY-MM or YYYY-MM-DD)",
            "Patient: unknown property `x`",
        ],
    );
}

#[test]
fn what_is_no_json_or_no_resource_is_fatal_with_its_place() {
    for (text, line, column) in [
        ("", 1, 1),
        ("[]", 1, 1),
        (r#"{"resourceType":"Patient""#, 1, 26),
        ("{\"resourceType\":\"Patient\",\n\"id\":\"é\",}", 2, 10),
        (r#"{"resourceType":"Patient"} x"#, 1, 28),
        (r#"{"resourceType":"Patient","id":'x'}"#, 1, 32),
        (r#"{"resourceType":"Patient","active":tru}"#, 1, 36),
        ("{\"resourceType\":\"Patient\",\"id\":\"\n\"}", 1, 33),
        (r#"{"resourceType":"Patient","id":"\x"}"#, 1, 34),
        (r#"{"resourceType":"Patient",/* no */"id":"x"}"#, 1, 27),
    ] {
        let problems = json::parse(text.as_bytes(), &Limits::default()).unwrap_err();
        let last = problems.0.last().unwrap();
        let position = last.position.map(|at| (at.line, at.column));
        assert_eq!(position, Some((line, column)), "{text}: {problems}");
        assert_eq!(last.severity, Severity::Fatal);
    }
    let unknown = json::parse(br#"{"resourceType":"Pat"}"#, &Limits::default()).unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "line 1 column 22: : there is no resource type `Pat`"
    );
    assert!(
        json::parse(
            b"{\"resourceType\":\"Patient\",\"id\":\"\xff\"}",
            &Limits::default()
        )
        .is_err()
    );
}

#[test]
fn values_and_extensions_of_primitives_find_each_other_in_any_order() {
    for (text, compact) in [
        (
            r#"{"resourceType":"Patient","name":[{"_given":[null,{"id":"b"},{"id":"c"}],"family":"F","given":["a",null]}]}"#,
            r#"{"resourceType":"Patient","name":[{"given":["a",null,null],"_given":[null,{"id":"b"},{"id":"c"}],"family":"F"}]}"#,
        ),
        (
            r#"{"resourceType":"Patient","_birthDate":{"id":"x"},"active":true,"birthDate":"2000"}"#,
            r#"{"resourceType":"Patient","birthDate":"2000","_birthDate":{"id":"x"},"active":true}"#,
        ),
        (
            r#"{"id":"x","active":true,"contained":[{"id":"y","resourceType":"Basic","code":{"text":"c"}}],"resourceType":"Patient"}"#,
            r#"{"resourceType":"Patient","id":"x","active":true,"contained":[{"resourceType":"Basic","id":"y","code":{"text":"c"}}]}"#,
        ),
    ] {
        let resource = json::parse(text.as_bytes(), &Limits::default()).unwrap();
        let mut out = Vec::new();
        json::write(&resource, Style::Compact, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), compact);
    }
}

#[test]
fn narrative_is_one_well_formed_div() {
    for (div, fault) in [
        (
            "<!-- x --><div xmlns='http://www.w3.org/1999/xhtml'/>",
            "not a `div` of XHTML",
        ),
        (
            "<div xmlns='http://www.w3.org/1999/xhtml'/><!-- x -->",
            "more than a `div`",
        ),
        (
            "<div xmlns='http://www.w3.org/1999/xhtml'>\\u0001</div>",
            "a control character",
        ),
        (
            "<div xmlns='http://www.w3.org/1999/xhtml'><b></div>",
            "XHTML whose tags do not match",
        ),
    ] {
        let text = format!(r#""text":{{"status":"generated","div":"{div}"}}"#);
        check(&text, &[&format!("Patient.text.div: {fault}")]);
    }
}

/// What is wrong with a Patient of XML that has this content.
fn check_xml(content: &str, expected: &[&str]) {
    let text = format!(r#"<Patient xmlns="http://hl7.org/fhir">{content}</Patient>"#);
    let found = refused(xml::parse(text.as_bytes(), &Limits::default()), &text);
    assert_eq!(found, expected, "{text}");
}

#[test]
fn xml_is_read_strictly() {
    check_xml("<nam/>", &["Patient: unknown element `nam`"]);
    check_xml("text", &["Patient: text between elements"]);
    check_xml("<active/>", &["Patient.active: an empty element"]);
    check_xml(
        "<active value='yes'/>",
        &["Patient.active: not true or false"],
    );
    check_xml(
        "<active value='true' x='1'/>",
        &["Patient.active: unknown attribute `x`"],
    );
    check_xml(
        "<gender value='male'/><active value='true'/>",
        &["Patient.active: an element out of the order of the standard"],
    );
    check_xml(
        "<active value='true'/><active value='true'/>",
        &["Patient.active: one value expected, not several"],
    );
    check_xml("<contained/>", &["Patient.contained: a resource expected"]);
    check_xml(
        "<contained><Pat/></contained>",
        &["Patient.contained: there is no resource type `Pat`"],
    );
    check_xml(
        "<contained><Basic/><Basic/></contained>",
        &["Patient.contained: more than one resource"],
    );
    check_xml(
        "<active xmlns='http://other' value='true'/>",
        &["Patient: unknown element `active` of its namespace"],
    );
    check_xml(
        "<xi:include xmlns:xi='http://www.w3.org/2001/XInclude' href='file:///etc/passwd'/>",
        &["Patient: unknown element `include` of its namespace"],
    );
}

#[test]
fn what_xml_could_fetch_or_expand_is_refused() {
    for (hostile, reason) in [
        (
            "<Patient xmlns='http://hl7.org/fhir'><id value='\u{1}'/>",
            "a control character",
        ),
        (
            "<!DOCTYPE Patient [<!ENTITY x 'y'>]>",
            "a document type declaration is refused",
        ),
        (
            "<?xml-stylesheet href='x'?>",
            "a processing instruction is refused",
        ),
        (
            "<Patient xmlns='http://hl7.org/fhir'><id value='&x;'/>",
            "an entity that XML does not define is refused",
        ),
        (
            "<Patient xmlns='http://hl7.org/fhir'><![CDATA[x]]>",
            "a CDATA section is refused",
        ),
        (
            "<Patient xmlns='http://hl7.org/fhir'><id value='a' value='b'/>",
            "an attribute twice",
        ),
        (
            "<Patient xmlns='http://hl7.org/fhir'><id value='a'></Id>",
            "the end tag of the open element expected",
        ),
        (
            "<Patient xmlns='http://hl7.org/fhir'><id value='<'/>",
            "no `<` in a value",
        ),
    ] {
        let found = refused(xml::parse(hostile.as_bytes(), &Limits::default()), hostile);
        assert_eq!(found, [format!(": not XML: {reason}")], "{hostile}");
    }
    let prefixed = "\u{feff}<?xml version='1.0'?><f:Patient xmlns:f='http://hl7.org/fhir'><!-- x --><f:active f:value='true' value='true'/></f:Patient>";
    let found = refused(
        xml::parse(prefixed.as_bytes(), &Limits::default()),
        prefixed,
    );
    assert_eq!(found, ["Patient.active: unknown attribute"]);
    let prefixed = prefixed.replace("f:value='true' ", "");
    let resource = xml::parse(prefixed.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(resource.root().child_text("active"), Some("true"));
    let utf16: Vec<u8> = prefixed.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let found = refused(xml::parse(&utf16, &Limits::default()), "UTF-16");
    assert_eq!(found, [": not UTF-8"]);
}

/// Extensions within each other, so many of them.
fn nested(levels: usize) -> (String, String) {
    let json = format!(
        r#"{{"resourceType":"Basic",{}"valueCode":"x"{}}}"#,
        r#""extension":[{"url":"u","#.repeat(levels),
        "}]".repeat(levels)
    );
    let xml = format!(
        r#"<Basic xmlns="http://hl7.org/fhir">{}<valueCode value="x"/>{}</Basic>"#,
        r#"<extension url="u">"#.repeat(levels),
        "</extension>".repeat(levels)
    );
    (json, xml)
}

/// The code of the last problem.
fn code(read: Result<Resource, Problems>) -> &'static str {
    match read {
        Ok(_) => "accepted",
        Err(problems) => problems.0.last().unwrap().code.code(),
    }
}

#[test]
fn depth_and_number_of_elements_are_limited() {
    let with = |limits: Limits, (json, xml): &(String, String)| {
        let json = code(json::parse(json.as_bytes(), &limits));
        (json, code(xml::parse(xml.as_bytes(), &limits)))
    };
    let (accepted, refused) = (("accepted", "accepted"), ("too-long", "too-long"));
    let default = Limits::default();
    let depth = |depth_max| Limits {
        depth_max,
        ..default
    };
    let nodes = |nodes_max| Limits {
        nodes_max,
        ..default
    };
    let ten = nested(10);
    assert_eq!(
        code(json::parse(ten.0.as_bytes(), &depth(11))),
        "accepted",
        "the resource and ten levels"
    );
    assert_eq!(code(json::parse(ten.0.as_bytes(), &depth(10))), "too-long");
    assert_eq!(
        code(xml::parse(ten.1.as_bytes(), &depth(12))),
        "accepted",
        "a primitive is an element"
    );
    assert_eq!(code(xml::parse(ten.1.as_bytes(), &depth(11))), "too-long");
    assert_eq!(with(default, &nested(99)).0, "accepted");
    assert_eq!(with(default, &nested(200)), refused);
    assert_eq!(
        with(nodes(22), &ten),
        accepted,
        "a resource, ten extensions and URLs, a value"
    );
    assert_eq!(with(nodes(21), &ten), refused);
}

#[test]
fn attributes_and_namespaces_are_limited() {
    let read = |text: String| xml::parse(text.as_bytes(), &Limits::default());
    let many = |name: &str, count: usize| -> String {
        (0..count).map(|at| format!(" {name}{at}='u'")).collect()
    };
    let element = |attributes: String| {
        format!("<Patient xmlns='http://hl7.org/fhir'><id value='x'{attributes}/></Patient>")
    };
    let problems = read(element(many("a", 100))).unwrap_err();
    assert_eq!(
        problems.0.last().unwrap().text,
        "not XML: more than 100 attributes"
    );
    let inner = many("xmlns:p", 99);
    assert!(
        read(element(inner)).is_ok(),
        "with that of the root they are 100"
    );
    let outer = format!(
        "<Patient xmlns='http://hl7.org/fhir'{}><active value='true'{}/></Patient>",
        many("xmlns:p", 98),
        many("xmlns:q", 2)
    );
    assert_eq!(code(read(outer)), "too-long");
}

#[test]
fn bytes_problems_and_looking_ahead_are_limited() {
    let (default, ten) = (Limits::default(), nested(10));
    let bytes = ten.0.len();
    assert_eq!(
        code(json::parse(
            ten.0.as_bytes(),
            &Limits {
                bytes_max: bytes,
                ..default
            }
        )),
        "accepted"
    );
    assert_eq!(
        code(json::parse(
            ten.0.as_bytes(),
            &Limits {
                bytes_max: bytes - 1,
                ..default
            }
        )),
        "too-long"
    );
    let bytes_max = ten.1.len() - 1;
    assert_eq!(
        code(xml::parse(
            ten.1.as_bytes(),
            &Limits {
                bytes_max,
                ..default
            }
        )),
        "too-long"
    );

    let wrong = format!(
        r#"{{"resourceType":"Patient","name":[{}]}}"#,
        ["1"; 200].join(",")
    );
    let problems = json::parse(wrong.as_bytes(), &default).unwrap_err();
    assert_eq!(problems.0.len(), default.problems_max);
    let deep = format!(r#"{{"resourceType":"Patient","x":{}"#, "[".repeat(100_000));
    assert_eq!(code(json::parse(deep.as_bytes(), &default)), "too-long");

    // A type that comes last at every level would have each level read again and again.
    let levels = 30;
    let late = format!(
        "{}{{\"resourceType\":\"Basic\"}}{}",
        r#"{"entry":[{"resource":"#.repeat(levels),
        format!(r#"}}],"id":"{}","resourceType":"Bundle"}}"#, "x".repeat(60)).repeat(levels)
    );
    assert_eq!(code(json::parse(late.as_bytes(), &default)), "too-costly");
}
