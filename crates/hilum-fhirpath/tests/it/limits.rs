//! Every limit has a name and a case just over it; no text and no document makes it panic.

use hilum_fhirpath::{
    COMPARE_DEPTH_MAX, EXPRESSION_BYTES_MAX, Env, EvalError, Expression, NESTING_MAX, Options,
    PATTERN_BYTES_MAX, Tree,
};
use proptest::prelude::*;

use crate::json::Json;
use crate::now;

fn compiles(text: &str) -> bool {
    Expression::compile(text, &Options::default()).is_ok()
}

fn evaluate(document: &Json, text: &str, fuel: u64) -> Result<usize, EvalError> {
    let expression = Expression::compile(text, &Options::default()).unwrap();
    let env = Env::new(now()).with_fuel(fuel);
    expression
        .evaluate(document, document.root(), &env)
        .map(|found| found.len())
}

#[test]
fn nesting_is_bounded() {
    let nested = |n: usize| format!("{}1{}", "(".repeat(n), ")".repeat(n));
    assert!(compiles(&nested(NESTING_MAX - 1)));
    assert!(!compiles(&nested(NESTING_MAX)));
    assert!(!compiles(&nested(100_000)));
    assert!(!compiles(&"iif(".repeat(10_000)));
    let calls = |n: usize| format!("{}1{}", "iif(true, a.where(".repeat(n), "))".repeat(n));
    assert!(compiles(&calls((NESTING_MAX - 1) / 2)));
}

#[test]
fn the_deepest_expression_fits_the_stack() {
    let document = Json::parse(r#"{"a": 1}"#);
    let n = NESTING_MAX / 2 - 1;
    let text = format!("{}true{}", "iif(true, select(".repeat(n), "))".repeat(n));
    assert_eq!(evaluate(&document, &text, 1_000_000).unwrap(), 1);
    let text = format!(
        "{}true{}",
        "where(not() or ".repeat(n),
        ").exists()".repeat(n)
    );
    assert_eq!(evaluate(&document, &text, 1_000_000).unwrap(), 1);
}

#[test]
fn long_chains_cost_no_depth() {
    let document = Json::parse(r#"{"a": 1}"#);
    assert_eq!(
        evaluate(&document, &format!("1{}", " + 1".repeat(5_000)), 100_000).unwrap(),
        1
    );
    assert_eq!(
        evaluate(
            &document,
            &format!("a{}", ".first()".repeat(5_000)),
            100_000
        )
        .unwrap(),
        1
    );
    assert_eq!(
        evaluate(&document, &format!("{}1", "-".repeat(5_000)), 100).unwrap(),
        1
    );
}

#[test]
fn length_is_bounded() {
    let long = |n: usize| format!("'{}'", "x".repeat(n - 2));
    assert!(compiles(&long(EXPRESSION_BYTES_MAX)));
    assert!(!compiles(&long(EXPRESSION_BYTES_MAX + 1)));
}

#[test]
fn patterns_are_bounded() {
    let pattern = |n: usize| format!("'a'.matches('{}')", "a".repeat(n));
    assert!(compiles(&pattern(PATTERN_BYTES_MAX)));
    assert!(!compiles(&pattern(PATTERN_BYTES_MAX + 1)));
    assert!(!compiles("'a'.matches('((a{100}){100}){100}')"));
}

#[test]
fn comparison_depth_is_bounded() {
    let nested = |n: usize| format!("{}1{}", r#"{"a":"#.repeat(n), "}".repeat(n));
    let pair = |n: usize| Json::parse(&format!(r#"{{"x": {}, "y": {}}}"#, nested(n), nested(n)));
    let fits = COMPARE_DEPTH_MAX.min(100);
    assert_eq!(evaluate(&pair(fits), "x = y", 10_000).unwrap(), 1);
    // Deeper than the reader of the test's JSON goes: the tree is built by hand.
    let deep = Json::chain(COMPARE_DEPTH_MAX + 1);
    assert!(matches!(
        evaluate(&deep, "x = y", 10_000),
        Err(EvalError::Depth { .. })
    ));
    assert!(matches!(
        evaluate(&deep, "x ~ y", 10_000),
        Err(EvalError::Depth { .. })
    ));
    let deep = Json::chain(COMPARE_DEPTH_MAX);
    assert_eq!(evaluate(&deep, "x = y", 10_000).unwrap(), 1);
    assert_eq!(
        evaluate(&Json::chain(50_000), "descendants().first()", 1_000_000).unwrap(),
        1
    );
}

#[test]
fn sorting_survives_an_order_that_is_not_total() {
    let dates: Vec<String> = (0..60)
        .map(|n| match n % 3 {
            0 => format!("\"@{}\"", 2020 + n % 5),
            1 => format!("\"@{}-{:02}\"", 2020 + n % 5, 1 + n % 12),
            _ => format!("\"@{}-{:02}-{:02}\"", 2020 + n % 4, 1 + n % 11, 1 + n % 28),
        })
        .collect();
    let document = Json::parse(&format!(r#"{{"d": [{}]}}"#, dates.join(",")));
    assert_eq!(evaluate(&document, "d.sort()", 100_000).unwrap(), 60);
    assert_eq!(evaluate(&document, "d.sort(-$this)", 100_000).unwrap(), 60);
}

#[test]
fn an_expression_is_shared_between_threads() {
    fn shared<T: Send + Sync + Clone + 'static>() {}
    shared::<Expression>();
}

#[test]
fn fuel_ends_what_would_not_end() {
    let document = Json::parse(r#"{"a": {"b": 1}, "s": "xxxxxxxx"}"#);
    for text in [
        "a.repeatAll($this)",
        "(1|2|3|4|5|6|7|8).repeatAll($this | $this + 1)",
        "s.toChars().aggregate(iif($total.empty(), 'ab', $total & $total), {})
            .toChars().aggregate(iif($total.empty(), 'ab', $total & $total), {})
            .toChars().aggregate(iif($total.empty(), 'ab', $total & $total), {}).length()",
        "s.replace('x', s).replace('x', s).replace('x', s).replace('x', s).replace('x', s)
            .replace('x', s).replace('x', s).replace('x', s).replace('x', s).length()",
    ] {
        let found = evaluate(&document, text, 100_000);
        assert!(
            matches!(found, Err(EvalError::Fuel { limit: 100_000 })),
            "{text}: {found:?}"
        );
    }
    assert!(evaluate(&document, "a.b", 5).is_err());
    assert!(evaluate(&document, "a.b", 20).is_ok());
}

const LEAVES: &[&str] = &[
    "a",
    "b",
    "$this",
    "$index",
    "$total",
    "{}",
    "1",
    "0",
    "-1",
    "2.50",
    "true",
    "'x'",
    "''",
    "'ä1'",
    "@2024",
    "@2024-02-29",
    "@2024-02-29T13:14:15.016+01:00",
    "@T10:30",
    "3 'mg'",
    "2 days",
    "now()",
    "today()",
    "%resource",
    "9223372036854775807",
];
const OPERATORS: &[&str] = &[
    "+", "-", "*", "/", "div", "mod", "&", "|", "=", "!=", "~", "!~", "<", ">=", "in", "contains",
    "and", "or", "xor", "implies",
];
const NULLARY: &[&str] = &[
    "empty",
    "exists",
    "not",
    "count",
    "first",
    "last",
    "tail",
    "distinct",
    "toInteger",
    "toDecimal",
    "toDate",
    "toDateTime",
    "toTime",
    "toQuantity",
    "toString",
    "upper",
    "length",
    "toChars",
    "trim",
    "abs",
    "ceiling",
    "exp",
    "ln",
    "sqrt",
    "truncate",
    "round",
    "lowBoundary",
    "highBoundary",
    "precision",
    "children",
    "descendants",
    "type",
    "sort",
    "allTrue",
    "isDistinct",
    "hasValue",
    "isNull",
    "single",
];
const UNARY: &[&str] = &[
    "where",
    "select",
    "repeat",
    "all",
    "exists",
    "skip",
    "take",
    "combine",
    "union",
    "exclude",
    "indexOf",
    "substring",
    "startsWith",
    "matches",
    "split",
    "join",
    "log",
    "power",
    "round",
    "lowBoundary",
    "highBoundary",
    "comparable",
    "sort",
    "aggregate",
    "trace",
    "encode",
    "unescape",
    "toQuantity",
    "repeatAll",
    "coalesce",
];

fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(LEAVES).prop_map(str::to_owned);
    leaf.prop_recursive(4, 24, 3, |inner| {
        let one = || inner.clone();
        let (operator, nullary, unary) = (
            prop::sample::select(OPERATORS),
            prop::sample::select(NULLARY),
            prop::sample::select(UNARY),
        );
        prop_oneof![
            (one(), operator, one()).prop_map(|(a, o, b)| format!("({a} {o} {b})")),
            (one(), nullary).prop_map(|(a, f)| format!("{a}.{f}()")),
            (one(), unary, one()).prop_map(|(a, f, b)| format!("{a}.{f}({b})")),
            (one(), one()).prop_map(|(a, b)| format!("{a}[{b}]")),
            (one(), one(), one()).prop_map(|(a, b, c)| format!("iif({a}, {b}, {c})")),
            one().prop_map(|a| format!("-{a}")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn no_text_makes_compiling_panic(text in "\\PC{0,60}|[a-z'`@%$().\\[\\]{}\\\\/*0-9 TZ:+-]{0,60}") {
        let _compiled = Expression::compile(&text, &Options::default());
    }

    #[test]
    fn days_there_and_back_change_nothing(days in -600_000_i64..2_900_000) {
        let document = Json::parse("{}");
        let text = format!("@2000-02-29 + {days} days - {days} days = @2000-02-29");
        prop_assert_eq!(crate::run(&document, &text).unwrap(), ["true"]);
        let text = format!("(@2000-02-29T12:00:00Z + {days} days) > @2000-02-29T12:00:00Z");
        prop_assert_eq!(crate::run(&document, &text).unwrap(), [(days > 0).to_string()]);
    }

    #[test]
    fn no_expression_makes_evaluating_panic(text in expression()) {
        let document = Json::parse(
            r#"{"a": [{"b": 1, "c": "@2024-01"}, {"b": "x"}], "b": [2.5, "20240131", true]}"#,
        );
        // A division by a number of days, say, is refused; whatever happens, it ends.
        let Ok(compiled) = Expression::compile(&text, &Options::default()) else { return Ok(()) };
        let env = Env::new(now()).with_fuel(20_000);
        let _found = compiled.evaluate(&document, document.root(), &env);
        let _truth = compiled.test(&document, document.root(), &env);
    }
}
