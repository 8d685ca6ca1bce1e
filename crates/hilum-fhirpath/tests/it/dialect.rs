//! A dialect of segments and fields, as small as can be, and what it changes.

use std::borrow::Cow;
use std::sync::Arc;

use hilum_fhirpath::{
    Collection, Dialect, Env, EvalError, Expression, Node, NodeId, Options, PathLiteral, Scalar,
    Tree, Variables, Visit, WarningKind,
};

use crate::now;

/// `PID|1|x~y` per line; a node is a segment and a field, or one repetition.
pub(crate) struct Segments(pub(crate) Vec<Vec<Vec<String>>>);

pub(crate) struct SegmentDialect;

struct Path {
    segment: String,
    field: usize,
    repetition: Option<usize>,
}

impl Dialect for SegmentDialect {
    fn name(&self) -> &str {
        "segment"
    }

    fn literal(&self, text: &str) -> Option<(usize, PathLiteral)> {
        let bytes = text.as_bytes();
        let name = text.get(..3)?;
        if !name
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
            || bytes.get(3) != Some(&b'-')
        {
            return None;
        }
        let digits = |from: usize| {
            bytes[from..]
                .iter()
                .take_while(|b| b.is_ascii_digit())
                .count()
        };
        let mut end = 4 + digits(4);
        let field = text[4..end].parse().ok()?;
        let mut repetition = None;
        if bytes.get(end) == Some(&b'[') && digits(end + 1) > 0 {
            let close = end + 1 + digits(end + 1);
            repetition = text[end + 1..close].parse().ok();
            end = close + 1;
        }
        let literal = PathLiteral {
            text: text[..end].to_owned(),
            repeats: field == 3 && repetition.is_none(),
            optional: field > 3,
            compiled: Arc::new(Path {
                segment: name.to_owned(),
                field,
                repetition,
            }),
        };
        Some((end, literal))
    }
}

impl Segments {
    pub(crate) fn parse(text: &str) -> Self {
        let field = |f: &str| f.split('~').map(str::to_owned).collect();
        Self(
            text.lines()
                .map(|line| line.split('|').map(field).collect())
                .collect(),
        )
    }
}

impl Tree for Segments {
    fn root(&self) -> NodeId {
        NodeId {
            hi: u64::MAX,
            lo: 0,
        }
    }
    fn children(&self, _of: NodeId, _name: &str, _visit: &mut Visit<'_>) {}
    fn all_children(&self, _of: NodeId, _visit: &mut Visit<'_>) {}
    fn name(&self, _node: NodeId) -> Cow<'_, str> {
        "".into()
    }
    fn value(&self, node: NodeId) -> Option<Scalar<'_>> {
        let segment = self.0.get(usize::try_from(node.hi).ok()?)?;
        let field = segment.get((node.lo >> 32) as usize)?;
        let text = field.get((node.lo & 0xffff) as usize)?;
        Some(Scalar::String(text.into()))
    }
    fn literal(&self, literal: &PathLiteral, focus: NodeId, visit: &mut Visit<'_>) {
        let path = literal.compiled.downcast_ref::<Path>().unwrap();
        for (index, segment) in self.0.iter().enumerate() {
            let hi = index as u64;
            if segment[0][0] != path.segment || (focus.hi != u64::MAX && focus.hi != hi) {
                continue;
            }
            for (at, text) in segment.get(path.field).into_iter().flatten().enumerate() {
                if !text.is_empty() && path.repetition.is_none_or(|r| r == at + 1) {
                    visit(NodeId {
                        hi,
                        lo: (path.field as u64) << 32 | at as u64,
                    });
                }
            }
        }
    }
    fn location(&self, node: NodeId) -> String {
        format!("{}-{}", node.hi, node.lo)
    }
}

const MESSAGE: &str = "MSH|^~|ORU\nPID|1||a~b||20240131||\"\"\nOBX|1|7.30||x\nOBX|2|-5";

fn options() -> Options<'static> {
    Options {
        dialect: Some(&SegmentDialect),
        ..Options::default()
    }
}

fn check(text: &str, expected: &[&str]) {
    let tree = Segments::parse(MESSAGE);
    let expression = Expression::compile(text, &options()).unwrap();
    let env = Env::new(now());
    let found = expression.evaluate(&tree, tree.root(), &env).unwrap();
    assert_eq!(found.strings(), expected, "{text}");
}

fn truth(text: &str) -> Result<(bool, Option<String>), EvalError> {
    let tree = Segments::parse(MESSAGE);
    let expression = Expression::compile(text, &options()).unwrap();
    let truth = expression.test(&tree, tree.root(), &Env::new(now()))?;
    Ok((truth.value, truth.empty_path))
}

#[test]
fn literals_of_the_dialect_stand_where_paths_stand() {
    check("PID-3", &["a", "b"]);
    check("PID-3[2]", &["b"]);
    check("PID-3.first()", &["a"]);
    check("PID-3 [1]", &["b"]);
    check("OBX-2.where(OBX-1 = '2')", &["-5"]);
    check("OBX-2.first().toDecimal()", &["7.30"]);
    check("OBX-2.select(toDecimal() * 2)", &["14.60", "-10"]);
    check("PID-4 & 'x'", &["x"]);
    check("PID-5.toDate()", &["2024-01-31"]);
    check("PID-5.toDate() + 1 month", &["2024-02-29"]);
    check("OBX-1.first().toInteger() - 1", &["0"]);
    check("PID-3.select('-' & $this).join('/')", &["-a/-b"]);
    check("(PID-1 | OBX-1).count()", &["2"]);
    check("iif(PID-7.isNull(), 'delete', PID-7)", &["delete"]);
    check("PID-4.isNull()", &["false"]);
}

/// Another message, known as `%original`.
struct Original(Segments);

impl Variables for Original {
    fn variable<'v>(&'v self, name: &str) -> Option<Collection<'v>> {
        let root = Node {
            tree: &self.0,
            id: self.0.root(),
        };
        (name == "original").then(|| Collection::one(root))
    }
}

#[test]
fn literals_of_another_dialect_stand_behind_a_variable() {
    let tree = Segments::parse("PID|9");
    let original = Original(Segments::parse(MESSAGE));
    let with = |dialect: Option<&'static dyn Dialect>| Options {
        dialect,
        variables: &["original"],
        variable_dialect: Some(&SegmentDialect),
        ..Options::default()
    };
    let check = |text: &str, options: &Options<'_>, expected: &[&str]| {
        let expression = Expression::compile(text, options).unwrap();
        let env = Env::new(now()).with_variables(&original);
        let found = expression.evaluate(&tree, tree.root(), &env).unwrap();
        assert_eq!(found.strings(), expected, "{text}");
    };
    let own = with(Some(&SegmentDialect));
    check("%original.PID-3", &own, &["a", "b"]);
    check("%original.PID-3[2]", &own, &["b"]);
    check("%original . OBX-2.last()", &own, &["-5"]);
    check("PID-1 & '/' & %original.PID-1", &own, &["9/1"]);
    check("%original.PID-1 = PID-1", &own, &["false"]);
    // A document without paths of its own.
    check("%original.PID-3.count()", &with(None), &["2"]);
    check("%original.PID-3[1]", &with(None), &["a"]);
    let wrong = Expression::compile("%original.PID-3-1", &own);
    assert!(wrong.is_err(), "a path cannot go on with `-`");
    let doubtful = Expression::compile("%original.PID-3 = 'a'", &own).unwrap();
    assert_eq!(
        doubtful.warnings()[0].kind,
        WarningKind::EqualsOverRepeating
    );
    // Of this document a name may be an element.
    let element = Expression::compile("%original.PID-1 = id", &with(None)).unwrap();
    assert_eq!(element.warnings(), []);
}

#[test]
fn conditions_say_which_path_was_empty() {
    let check = |text: &str, value: bool, empty: Option<&str>| {
        let found = truth(text).unwrap();
        assert_eq!(found, (value, empty.map(str::to_owned)), "{text}");
    };
    check("MSH-2 = 'ORU'", true, None);
    check("MSH-2 != 'ORU'", false, None);
    check("MSH-2 = 'ADT' or PID-3.count() = 2", true, None);
    check("PID-4.exists()", false, None);
    check("PID-4.empty() and PID-4.exists().not()", true, None);
    check("PID-4 = 'x'", false, Some("PID-4"));
    check("PID-1 = '1' and PID-4 = 'x'", false, Some("PID-4"));
    check(
        "PID-3.where($this = 'z').upper() = 'Z'",
        false,
        Some("PID-3.where($this = 'z')"),
    );
    check("PID-4", false, Some("PID-4"));
    check("PID-1", true, None);
    check("(PID-4 = 'x').not()", false, Some("PID-4"));
}

#[test]
fn holding_is_testing_without_the_reason() {
    let tree = Segments::parse(MESSAGE);
    for text in [
        "MSH-2 = 'ORU'",
        "PID-4 = 'x'",
        "PID-4 != 'x'",
        "PID-3.exists()",
        "PID-4",
    ] {
        let expression = Expression::compile(text, &options()).unwrap();
        let env = Env::new(now());
        let held = expression.holds(&tree, tree.root(), &env).unwrap();
        assert_eq!(held, truth(text).unwrap().0, "{text}");
    }
}

#[test]
fn several_values_are_no_condition() {
    let error = truth("PID-3").unwrap_err();
    assert_eq!(error.to_string(), "`condition` needs one value and got 2");
    assert!(error.hint().unwrap().contains("exists()"));
}

#[test]
fn a_number_against_a_text_names_the_conversion() {
    let error = truth("OBX-2.first() > 5").unwrap_err();
    assert_eq!(
        error.to_string(),
        "`>` takes two numbers, texts, dates, times or quantities and got String and Integer"
    );
    assert!(error.hint().unwrap().contains("toDecimal()"));
    assert!(truth("OBX-2.first().toDecimal() > 5").unwrap().0);
}

#[test]
fn doubtful_expressions_warn() {
    let check = |text: &str, expected: &[WarningKind]| {
        let expression = Expression::compile(text, &options()).unwrap();
        let kinds: Vec<_> = expression.warnings().iter().map(|w| w.kind).collect();
        assert_eq!(kinds, expected, "{text}");
    };
    check("PID-3[1].exists()", &[]);
    check(
        "PID-3[1].exists() and OBX-2.where(true)[0].exists()",
        &[WarningKind::MixedIndexes],
    );
    check("OBX-2.where(true)[0].exists()", &[]);
    check("PID-3 = 'a'", &[WarningKind::EqualsOverRepeating]);
    check("PID-3.first() = 'a'", &[]);
    check(
        "PID-3.where($this != 'b') != 'a'",
        &[WarningKind::EqualsOverRepeating],
    );
    check("PID-3.exists($this = 'a')", &[]);
    check("PID-5 != 'a'", &[WarningKind::NotEqualsOverOptional]);
    check("PID-5 = 'a'", &[]);
    check("PID-1 != 'a'", &[]);
    check("PID-1 = F", &[WarningKind::NameForText]);
    check("F ~ PID-1", &[WarningKind::NameForText]);
    check("PID-1 in (F | 'C' | X)", &[WarningKind::NameForText; 2]);
    check("PID-3.exists($this = STE)", &[WarningKind::NameForText]);
    check("PID-1 = PID-2 and PID-1 = a.b and PID-1 = 'a'", &[]);
}

#[test]
fn subtraction_from_a_path_needs_spaces() {
    let error = Expression::compile("PID-1-2", &options()).unwrap_err();
    assert_eq!(error.span, 0..6);
    assert!(error.hint.unwrap().contains("spaces"));
    check("PID-1.toInteger() - 2", &["-1"]);
}

#[test]
fn literals_are_listed_with_their_places() {
    let expression = Expression::compile("PID-3.exists() or  OBX-2 = 'x'", &options()).unwrap();
    let found: Vec<_> = expression
        .literals()
        .map(|l| (l.literal.text.as_str(), l.span.clone()))
        .collect();
    assert_eq!(found, [("PID-3", 0..5), ("OBX-2", 19..24)]);
    assert!(expression.as_literal().is_none());
    let path = Expression::compile(" PID-3 ", &options()).unwrap();
    assert_eq!(path.as_literal().unwrap().text, "PID-3");
}
