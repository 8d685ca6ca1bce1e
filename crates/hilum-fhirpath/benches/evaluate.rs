//! What an expression costs beyond the paths of its document, and what compiling costs.

use std::borrow::Cow;
use std::sync::Arc;

use divan::{Bencher, black_box};
use hilum_fhirpath::{
    Dialect, Env, Expression, Moment, NodeId, Options, PathLiteral, Scalar, Tree, Visit,
};

fn main() {
    divan::main();
}

/// A document whose every path is one lookup away: what is measured is the evaluator.
struct Flat(Vec<String>);

struct FlatDialect;

impl Dialect for FlatDialect {
    fn name(&self) -> &str {
        "flat"
    }

    fn literal(&self, text: &str) -> Option<(usize, PathLiteral)> {
        let end =
            text.find(|c: char| !c.is_ascii_digit() && c != '-' && !c.is_ascii_uppercase())?;
        let (segment, field) = text.get(..end)?.split_once('-')?;
        if segment.len() != 3 {
            return None;
        }
        let literal = PathLiteral {
            text: text.get(..end)?.to_owned(),
            repeats: false,
            optional: false,
            compiled: Arc::new(field.parse::<u64>().ok()?),
        };
        Some((end, literal))
    }
}

impl Tree for Flat {
    fn root(&self) -> NodeId {
        NodeId::default()
    }
    fn children(&self, _of: NodeId, _name: &str, _visit: &mut Visit<'_>) {}
    fn all_children(&self, _of: NodeId, _visit: &mut Visit<'_>) {}
    fn name(&self, _node: NodeId) -> Cow<'_, str> {
        "".into()
    }
    fn value(&self, node: NodeId) -> Option<Scalar<'_>> {
        let text = self.0.get(usize::try_from(node.lo).ok()?)?;
        Some(Scalar::String(text.into()))
    }
    fn literal(&self, literal: &PathLiteral, _focus: NodeId, visit: &mut Visit<'_>) {
        if let Some(&lo) = literal.compiled.downcast_ref::<u64>()
            && lo < self.0.len() as u64
        {
            visit(NodeId { hi: 0, lo });
        }
    }
    fn location(&self, node: NodeId) -> String {
        node.lo.to_string()
    }
}

const EXPRESSIONS: &[&str] = &[
    "PV1-3.exists()",
    "MSH-1 = 'ORU' ",
    "MSH-1 != 'ADT' and PV1-3.exists() and PV1-99.empty()",
    "MSH-1 in ('ADT' | 'ORU' | 'ORM')",
    "PID-2.toDecimal() > 5.5",
    "PID-2.substring(0, 2) & '-' & MSH-1 ",
    "PID-4.toDateTime() > now() - 30 days",
    "MSH-1.matches('^OR[UM]$')",
    "PID-2.toQuantity() > 3 'mg'",
];

fn document() -> Flat {
    Flat(
        ["MSH", "ORU", "6.25", "W1", "202401311530+0100"]
            .map(str::to_owned)
            .to_vec(),
    )
}

fn compile(text: &str) -> Expression {
    let options = Options {
        dialect: Some(&FlatDialect),
        ..Options::default()
    };
    match Expression::compile(text, &options) {
        Ok(expression) => expression,
        Err(error) => panic!("{text}: {error}"),
    }
}

#[divan::bench(args = EXPRESSIONS)]
fn test_condition(bencher: Bencher<'_, '_>, text: &str) {
    let (document, expression) = (document(), compile(text));
    let env = Env::new(Moment::from_unix_millis(1_709_208_855_016, 60));
    bencher.bench(|| {
        let truth = expression.test(black_box(&document), NodeId::default(), &env);
        truth.is_ok_and(|t| t.value)
    });
}

#[divan::bench(args = EXPRESSIONS)]
fn evaluate(bencher: Bencher<'_, '_>, text: &str) {
    let (document, expression) = (document(), compile(text));
    let env = Env::new(Moment::from_unix_millis(1_709_208_855_016, 60));
    bencher.bench(|| {
        let found = expression.evaluate(black_box(&document), NodeId::default(), &env);
        found.map_or(0, |f| f.len())
    });
}

#[divan::bench(args = EXPRESSIONS)]
fn compile_text(bencher: Bencher<'_, '_>, text: &str) {
    bencher.bench(|| compile(black_box(text)));
}
