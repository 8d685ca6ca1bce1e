//! The language, in tables.

use hilum_fhirpath::{
    Collection, Env, Expression, Host, HostError, Item, Node, Options, Tree, Value, Variables,
};

use crate::json::Json;
use crate::{now, run, show};

const PATIENT: &str = r#"{
    "resourceType": "Patient",
    "active": true,
    "birthDate": "@1974-12-25",
    "name": [
        {"use": "official", "family": "Chalmers", "given": ["Peter", "James"]},
        {"use": "usual", "given": ["Jim"]},
        {"use": "maiden", "family": "Windsor", "given": ["Peter", "James"],
         "period": {"end": "@2002"}}
    ],
    "multipleBirth": 2,
    "weight": {"resourceType": "Quantity", "value": 80.5, "unit": "kilo", "code": "kg",
               "system": "http://unitsofmeasure.org"},
    "score": 7.50,
    "extension": [{"url": "http://x/y", "value": "z"}],
    "contact": [{"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 2}}, {"a": {"c": 2, "b": 1}}]
}"#;

fn check(text: &str, expected: &[&str]) {
    let found = run(&Json::parse(PATIENT), text).unwrap_or_else(|e| panic!("{text}: {e}"));
    assert_eq!(found, expected, "{text}");
}

fn fails(text: &str, message: &str) {
    let error = run(&Json::parse(PATIENT), text).unwrap_err();
    assert!(error.contains(message), "{text}: {error}");
}

#[test]
fn operators_bind_as_the_grammar_says() {
    check("1 + 2 * 3", &["7"]);
    check("(1 + 2) * 3", &["9"]);
    check("7 - 2 - 1", &["4"]);
    check("-2 * 3 + 1", &["-5"]);
    check("2 * 3 + 1 = 7 and true", &["true"]);
    check("true or false and false", &["true"]);
    check("false implies false implies false", &["false"]);
    check("1 | 2 + 1 | 3", &["1", "3"]);
    check("1 < 2 = true", &["true"]);
    check("3 in 1 | 2 | 3", &["true"]);
    check("not()", &["false"]);
    check("- - 3", &["3"]);
    check("1 is Integer and 'a' is String", &["true"]);
    check("name.given.count() - name.count() > 1", &["true"]);
}

#[test]
fn paths_walk_the_tree() {
    check("name.given", &["Peter", "James", "Jim", "Peter", "James"]);
    check("name.div.mod.and = 3 or true", &["true"]);
    check("Patient.name[1].given", &["Jim"]);
    check("name.where(use = 'maiden').period.end", &["@2002"]);
    check("Encounter.name", &[]);
    check("name.`given`.first()", &["Peter"]);
    check("children().where($this is Integer)", &["2"]);
    check("descendants().count()", &["39"]);
    check("name.given[$this.count() - 6]", &[]);
    check("extension('http://x/y').value", &["z"]);
    check(
        "%resource.name.first().family & %context.active",
        &["Chalmerstrue"],
    );
    check(
        "name.select(given.first() + '/' + use)",
        &["Peter/official", "Jim/usual", "Peter/maiden"],
    );
    check("name.select($index)", &["0", "1", "2"]);
    check("contact[0] = contact[1]", &["true"]);
    check("contact[0] = contact[2]", &["false"]);
    check("contact[0] ~ contact[2]", &["true"]);
    check("contact.distinct().count()", &["2"]);
    check("weight = 80500 'g'", &["true"]);
    check("weight > 80 'kg' and weight < 81", &[]);
    check("(weight * 2).toString()", &["161.0 'kg'"]);
}

#[test]
fn types_come_from_the_document() {
    check("$this is Patient", &["true"]);
    check("$this is FHIR.Patient", &["true"]);
    check("weight is Quantity", &["true"]);
    check("active is Boolean", &["true"]);
    check("(active as Boolean).not()", &["false"]);
    check("ofType(FHIR.Patient).multipleBirth", &["2"]);
    check("weight.type().name", &["Quantity"]);
    check("1.5.type().namespace", &["System"]);
    check("score is System.Decimal", &["true"]);
    check("birthDate is Date", &["true"]);
    check("name.given.ofType(String).count()", &["5"]);
}

#[test]
fn decimals_are_exact() {
    check("0.1 + 0.2 = 0.3", &["true"]);
    check("score", &["7.5"]);
    check("1 / 3 * 3 = 1", &["false"]);
    check("1.10 = 1.1", &["true"]);
    check("5 / 2", &["2.5"]);
    check("5 div 2", &["2"]);
    check("-5 mod 3", &["-2"]);
    check("9223372036854775807 + 1", &[]);
    check("7922816251426433759354395033.0 * 100", &[]);
    check("1.25.round(1)", &["1.3"]);
    check("2.sqrt()", &["1.4142135623730950488016887242"]);
    check("0.0001.sqrt()", &["0.01"]);
    check("2.power(62)", &["4611686018427387904"]);
    check("2.power(64)", &[]);
    check("2.power(-1)", &["0.5"]);
    check("2.5.truncate() | (-2.5).floor()", &["2", "-3"]);
    check("1.5 ~ 1.49", &["true"]);
    fails(
        "1 + 'a'",
        "`+` takes two numbers and got Integer and String",
    );
}

#[test]
fn dates_keep_their_precision() {
    check("@2024-02-29 + 1 year", &["@2025-02-28"]);
    check("@2024-01-31 + 1 month", &["@2024-02-29"]);
    check("@2024 + 24 months", &["@2026"]);
    check("@2024-03 - 60 days", &["@2024-01"]);
    check(
        "@2024-12-31T23:59:59Z + 1 second",
        &["@2025-01-01T00:00:00Z"],
    );
    check("@T23:00 + 2 hours", &["@T01:00"]);
    check("@9999-12-31 + 1 day", &[]);
    check("@0001-01-01 - 1 day", &[]);
    check("@2024 < @2024-05", &[]);
    check("@2023 < @2024-05", &["true"]);
    check("@2024-05-01T10:00Z = @2024-05-01T12:00+02:00", &["true"]);
    check("@2024-05-01T10:00Z < @2024-05-03T10:00", &["true"]);
    check("@2024-05-01T10:00Z < @2024-05-01T11:00", &[]);
    check("@2024-05-01T23:30-01:00 = @2024-05-02T00:30Z", &["true"]);
    check("@2024 ~ @2024-01", &["false"]);
    check("birthDate < today()", &["true"]);
    check("today()", &["@2024-02-29"]);
    check("now()", &["@2024-02-29T13:14:15.016+01:00"]);
    check("timeOfDay()", &["@T13:14:15.016"]);
    check("now() - 1 day > @2024-02-28", &[]);
    check("@2024-02-29T13:14:15.016+01:00 = now()", &["true"]);
    fails("@2024-01-01 + 1 'cm'", "a duration of the calendar");
    fails("@2024-13-01", "not a date");
    fails("@2023-02-29", "not a date");
    fails("@T25:00", "not a time");
}

#[test]
fn the_clock_of_the_caller_is_read_right() {
    let check = |millis: i64, offset: i16, expected: &str| {
        let moment = hilum_fhirpath::Moment::from_unix_millis(millis, offset);
        assert_eq!(moment.to_string(), expected);
    };
    check(0, 0, "1970-01-01T00:00:00.000Z");
    check(-1, 0, "1969-12-31T23:59:59.999Z");
    check(951_782_400_000, 0, "2000-02-29T00:00:00.000Z");
    check(951_782_400_000, -300, "2000-02-28T19:00:00.000-05:00");
    check(4_107_542_400_000, 330, "2100-03-01T05:30:00.000+05:30");
    check(i64::MAX, 0, "9999-12-31T23:59:59.999Z");
    check(i64::MIN, 0, "0001-01-01T00:00:00.000Z");
}

#[test]
fn texts_convert_in_both_worlds() {
    check("'20240131'.toDate()", &["@2024-01-31"]);
    check("'202401'.toDate()", &["@2024-01"]);
    check(
        "'202401311530+0100'.toDateTime()",
        &["@2024-01-31T15:30+01:00"],
    );
    check(
        "'20240131153015.1234'.toDateTime()",
        &["@2024-01-31T15:30:15.1234"],
    );
    check("'20240131153015'.toDate()", &["@2024-01-31"]);
    check("'20241331'.toDate().empty()", &["true"]);
    check("'2024013'.toDate().empty()", &["true"]);
    check("'1530'.toTime()", &["@T15:30"]);
    check("'15:30:01'.toTime()", &["@T15:30:01"]);
    check("'2460'.toTime().empty()", &["true"]);
    check("'7.30'.toDecimal()", &["7.30"]);
    check("'+7'.toInteger()", &["7"]);
    check("'1e3'.toDecimal().empty()", &["true"]);
    check("'abc'.toInteger().empty()", &["true"]);
    check("'Y'.toBoolean() and 'no'.toBoolean().not()", &["true"]);
    check(
        "'5.4 \\'mmol/L\\''.toQuantity().toString()",
        &["5.4 'mmol/L'"],
    );
    check("'2 weeks'.toQuantity('days').toString()", &["14 days"]);
    check("5.0.toString() & 1 & true & @2024", &["5.01true2024"]);
    check("name.given.first().convertsToInteger()", &["false"]);
    check("'\"\"'.isNull()", &["true"]);
    check("''.isNull() | {}.isNull()", &["false"]);
}

#[test]
fn texts_are_counted_in_characters() {
    check("'größe'.length()", &["5"]);
    check("'größe'.indexOf('e')", &["4"]);
    check("'größe'.substring(2, 2)", &["öß"]);
    check("'abcabc'.lastIndexOf('b')", &["4"]);
    check("'größe'.upper()", &["GRÖSSE"]);
    check(
        "'a1b22'.replaceMatches('(\\\\d+)', '<$1x>')",
        &["a<1x>b<22x>"],
    );
    check("'a.b'.matches('^a\\\\.b$')", &["true"]);
    check("'ab'.matchesFull('a')", &["false"]);
    check("'a,b,,c'.split(',').count()", &["4"]);
    check("name.given.join('~')", &["Peter~James~Jim~Peter~James"]);
    check("name.given.join()", &["PeterJamesJimPeterJames"]);
    check(
        "'a<b>&\"c\"'.escape('html').unescape('html')",
        &["a<b>&\"c\""],
    );
    check("'x\\ny'.escape('json')", &["x\\ny"]);
    check("'\\\\ud83d\\\\ude00'.unescape('json')", &["😀"]);
    check("'\\ud83d\\ude00'", &["😀"]);
    check("'6869'.decode('hex')", &["hi"]);
    check("'zz'.decode('hex').empty()", &["true"]);
    check("5.length()", &["1"]);
    fails("'a'.encode('rot13')", "`encode` does not know this form");
    fails("name.upper()", "`upper` needs one value and got 3");
    fails(
        "contact[0].upper()",
        "`upper` takes a text and got a node without value",
    );
    fails(
        "'a'.matches('(' & '')",
        "`matches` got a text that is not a valid pattern",
    );
}

#[test]
fn collections_filter_cut_and_combine() {
    check("(1 | 2 | 3).where($this > 1)", &["2", "3"]);
    check("(1 | 2 | 3).exists($this > 2)", &["true"]);
    check("(1 | 2 | 3).all($this > 1)", &["false"]);
    check("{}.all(false)", &["true"]);
    check("(1 | 2 | 3).first() + (1 | 2 | 3).last()", &["4"]);
    check("(1 | 2 | 3).tail().take(1)", &["2"]);
    check("(1 | 2 | 3).skip(-1).count()", &["3"]);
    check("(1 | 2).combine(2 | 3)", &["1", "2", "2", "3"]);
    check("(1 | 2).union(2 | 3)", &["1", "2", "3"]);
    check("(1 | 2 | 3).intersect(3 | 1)", &["1", "3"]);
    check("(1 | 2 | 3).exclude(2)", &["1", "3"]);
    check("(1 | 2).subsetOf(1 | 2 | 3)", &["true"]);
    check("(3 | 1 | 2).sort(-$this)", &["3", "2", "1"]);
    check("(3 | 1 | 2).sort($this desc)", &["3", "2", "1"]);
    check("name.sort(family).use", &["usual", "official", "maiden"]);
    check(
        "name.sort(-family, -given.first()).use",
        &["usual", "maiden", "official"],
    );
    check("(1 | 2 | 3).aggregate($this + $total, 0)", &["6"]);
    check("coalesce(Patient.nothing, 'x', 1 / 0)", &["x"]);
    check("name.given.distinct().count()", &["3"]);
    check(
        "(true | false).anyTrue() and (true | true).allTrue()",
        &["true"],
    );
    check("iif(active, 'yes', 1 / 0)", &["yes"]);
    check("repeat(contact | a).count()", &["4"]);
    check("('a' | 'b') contains 'b'", &["true"]);
    check("{} in (1 | 2)", &[]);
    check("(1 | 1).count()", &["1"]);
    fails("(1 | 2).single()", "`single` needs one value and got 2");
    fails("(1 | 'a').sort()", "`sort` takes keys of one type");
    fails(
        "('a' | 1).allTrue()",
        "`allTrue` takes booleans and got String",
    );
}

#[test]
fn conditions_are_three_valued() {
    for (text, expected) in [
        ("{} and false", &["false"][..]),
        ("{} and true", &[]),
        ("{} or true", &["true"]),
        ("{} xor true", &[]),
        ("{} implies true", &["true"]),
        ("false implies {}", &["true"]),
        ("true implies {}", &[]),
        ("{} = {}", &[]),
        ("{} ~ {}", &["true"]),
        ("'A  b' ~ 'a B'", &["true"]),
        ("1 = 'a'", &["false"]),
        ("false and (1 | 2).single()", &["false"]),
    ] {
        check(text, expected);
    }
}

#[test]
fn quantities_compare_and_compute_with_units() {
    check("1 'kg' = 1000 'g'", &["true"]);
    check("37 'Cel' > 98 '[degF]'", &["true"]);
    check("1 'kg' = 1 'm'", &["false"]);
    check("1 'kg' < 1 'm'", &[]);
    check("1 year = 12 months", &["true"]);
    check("1 year = 1 'a'", &[]);
    check("1 year ~ 1 'a'", &["true"]);
    check("7 days = 1 week", &["true"]);
    check("(1 'g' + 500 'mg').toString()", &["1.5 'g'"]);
    check("(10 'mg' / 2 'mL').toString()", &["5 'mg/mL'"]);
    check("1 'foo' = 1 'bar'", &[]);
    check("1 'foo' = 1 'foo'", &["true"]);
    check("1 'mol/L'.comparable(1 'mmol/dL')", &["true"]);
    check(
        "1 'mmol/L'.toQuantity('umol/L').toString()",
        &["1000 'umol/L'"],
    );
    check("-(3 'mg') < 0 'mg'", &["true"]);
}

#[test]
fn errors_say_where_and_what_to_write() {
    let check = |text: &str, span: std::ops::Range<usize>, message: &str, hint: &str| {
        let error = Expression::compile(text, &Options::default()).unwrap_err();
        assert_eq!(error.span, span, "{text}");
        assert!(error.message.contains(message), "{text}: {}", error.message);
        let found = error.hint.unwrap_or_default();
        assert!(found.contains(hint), "{text}: {found}");
    };
    check("", 0..0, "ends too early", "");
    check(
        "name.exist()",
        5..10,
        "unknown function `exist`",
        "`exists`",
    );
    check("name.Count()", 5..10, "unknown function `Count`", "`count`");
    check("a == b", 3..4, "unexpected `=`", "single `=`");
    check("a && b", 3..4, "unexpected `&`", "");
    check("a || b", 3..4, "unexpected `|`", "`or`");
    check("!a", 0..1, "unexpected `!`", "not()");
    check("x = \"a\"", 4..5, "unexpected `\"`", "single quotes");
    check("'abc", 0..4, "not closed", "'");
    check("'a\\d'", 2..4, "unknown escape", "\\\\");
    check("%foo", 0..4, "unknown variable", "no variables");
    check("name.where()", 5..12, "takes 1 arguments and has 0", "");
    check(
        "'a'.matches('(')",
        12..15,
        "not a valid pattern",
        "unclosed group",
    );
    check("(1 + 2", 6..6, "expected `)`", "");
    check("1 +", 3..3, "ends too early", "");
    check("$that", 0..5, "unknown name", "$this");
    check("/* x", 0..4, "comment is not closed", "*/");
    check("a and and b", 6..9, "`and` stands where", "");
}

struct World;

impl Host for World {
    fn member_of(&self, item: &Item<'_>, value_set: &str) -> Result<Option<bool>, HostError> {
        match value_set {
            "http://uses" => Ok(item.text().map(|t| t == "official")),
            _ => Ok(None),
        }
    }
    fn resolve<'h>(
        &'h self,
        reference: &str,
        from: Option<Node<'h>>,
    ) -> Result<Option<Node<'h>>, HostError> {
        Ok(from.filter(|_| reference == "z").map(|n| Node {
            id: n.tree.root(),
            ..n
        }))
    }
    fn conforms_to(&self, _node: Node<'_>, profile: &str) -> Result<Option<bool>, HostError> {
        match profile {
            "http://known" => Ok(Some(true)),
            _ => Err(HostError::Failed("unknown profile".to_owned())),
        }
    }
}

impl Variables for World {
    fn variable<'v>(&'v self, name: &str) -> Option<Collection<'v>> {
        (name == "limit").then(|| Collection::one(Value::Integer(2)))
    }
}

#[test]
fn the_host_and_the_caller_are_asked() {
    let document = Json::parse(PATIENT);
    let options = Options {
        variables: &["limit", "other"],
        ..Options::default()
    };
    let env = Env::new(now()).with_host(&World).with_variables(&World);
    let ask = |text: &str| {
        let expression = Expression::compile(text, &options).unwrap();
        let found = expression.evaluate(&document, document.root(), &env);
        found
            .map(|f| f.iter().map(show).collect::<Vec<_>>())
            .map_err(|e| e.to_string())
    };
    assert_eq!(
        ask("name[0].use.memberOf('http://uses')"),
        Ok(vec!["true".to_owned()])
    );
    assert_eq!(ask("name[0].use.memberOf('http://else')"), Ok(vec![]));
    assert_eq!(
        ask("extension.value.resolve().active"),
        Ok(vec!["true".to_owned()])
    );
    assert_eq!(
        ask("conformsTo('http://known')"),
        Ok(vec!["true".to_owned()])
    );
    assert_eq!(
        ask("conformsTo('x')"),
        Err("`conformsTo` could not be answered".to_owned())
    );
    assert_eq!(ask("name.count() > %limit"), Ok(vec!["true".to_owned()]));
    assert_eq!(
        ask("%other"),
        Err("variable `%other` has no value here".to_owned())
    );
    assert_eq!(
        ask("%sct | %`ext-a` | %vs-b"),
        Ok([
            "http://snomed.info/sct",
            "http://hl7.org/fhir/StructureDefinition/a",
            "http://hl7.org/fhir/ValueSet/b"
        ]
        .map(str::to_owned)
        .to_vec())
    );
}

#[test]
fn nodes_keep_their_place() {
    let document = Json::parse(PATIENT);
    let expression = Expression::compile("name.given | 'x'", &Options::default()).unwrap();
    let env = Env::new(now());
    let found = expression
        .evaluate(&document, document.root(), &env)
        .unwrap();
    assert_eq!(found.len(), 4);
    assert_eq!(found.nodes().count(), 3);
    assert_eq!(document.location(found.nodes().next().unwrap()), "#6");
    assert_eq!(found.first_string().as_deref(), Some("Peter"));
}
