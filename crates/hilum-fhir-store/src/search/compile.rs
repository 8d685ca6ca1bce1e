//! From criteria to nodes: everything is hashed, folded and measured once.

use super::node::{Compiled, Node};
use super::run::Exec;
use super::test::{CellTest, Interval, TokenSet, Unit};
use super::{Source, TextMatch};
use crate::entry::canonical;
use crate::error::StoreError;
use crate::id::{ParamKey, ParamKind, ResourceType};
use crate::normal::{Decimal, fold, ordinal};
use crate::query::{
    Criterion, IntervalTest, NumberTest, Prefix, QuantityTest, ReferenceTest, Test, TokenTest,
    UnitTest,
};

impl<S: Source> Exec<'_, S> {
    pub(super) fn compile_all(
        &mut self,
        types: Vec<u16>,
        criteria: &[Criterion],
        depth: usize,
    ) -> Result<Compiled, StoreError> {
        let limits = &self.context.limits;
        self.criteria += criteria.len();
        over("criteria_max", self.criteria, limits.criteria_max)?;
        over("depth_max", depth, limits.depth_max)?;
        let mut nodes = Vec::with_capacity(criteria.len());
        for criterion in criteria {
            match self.compile(criterion, &types, depth)? {
                Node::And(inner) => nodes.extend(inner),
                node => nodes.push(node),
            }
        }
        nodes.sort_by_key(Node::rank);
        Ok(Compiled { types, nodes })
    }

    fn compile(
        &mut self,
        criterion: &Criterion,
        types: &[u16],
        depth: usize,
    ) -> Result<Node, StoreError> {
        Ok(match criterion {
            Criterion::Param { params, test } => self.cells(params, test)?,
            Criterion::ParamNot { params, test } => Node::Not(Box::new(self.cells(params, test)?)),
            Criterion::Missing { params, missing } => {
                let node = Node::Missing(self.keys(params));
                if *missing {
                    node
                } else {
                    Node::Not(Box::new(node))
                }
            }
            Criterion::Chain(chain) => self.compile_chain(chain, depth)?,
            Criterion::Has(has) => self.compile_has(has, depth)?,
            Criterion::Contained(of) => self.compile_contained(of, depth)?,
            Criterion::Ids(ids) => self.ids(ids, types)?,
            Criterion::Resources(list) => {
                over("values_max", list.len(), self.context.limits.values_max)?;
                let mut tokens: Vec<i64> =
                    list.iter().map(|(of, id)| self.token_of(*of, id)).collect();
                tokens.sort_unstable();
                Node::Tokens(tokens)
            }
            Criterion::LastUpdated(tests) => self.updated(tests, types)?,
            Criterion::Types(types) => Node::Types(types.iter().map(|of| of.0).collect()),
            Criterion::And(all) => {
                Node::And(self.compile_all(types.to_vec(), all, depth + 1)?.nodes)
            }
            Criterion::Or(any) => {
                let mut nodes = Vec::with_capacity(any.len());
                for one in any {
                    let all =
                        self.compile_all(types.to_vec(), std::slice::from_ref(one), depth + 1)?;
                    nodes.push(Node::And(all.nodes));
                }
                Node::Or(nodes)
            }
            Criterion::Not(one) => {
                let all = self.compile_all(types.to_vec(), std::slice::from_ref(one), depth + 1)?;
                Node::Not(Box::new(Node::And(all.nodes)))
            }
        })
    }

    fn token_of(&self, of: ResourceType, id: &str) -> i64 {
        let name = self.context.catalog.type_name(of);
        self.context.tokens.resource(name, id)
    }

    fn ids(&self, ids: &[String], types: &[u16]) -> Result<Node, StoreError> {
        over("values_max", ids.len(), self.context.limits.values_max)?;
        let all: Vec<ResourceType> = if types.is_empty() {
            self.context.catalog.types().collect()
        } else {
            types.iter().map(|of| ResourceType(*of)).collect()
        };
        let mut tokens = Vec::with_capacity(ids.len() * all.len());
        for of in all {
            tokens.extend(ids.iter().map(|id| self.token_of(of, id)));
        }
        tokens.sort_unstable();
        Ok(Node::Tokens(tokens))
    }

    fn updated(&mut self, tests: &[IntervalTest], types: &[u16]) -> Result<Node, StoreError> {
        let intervals: Vec<Interval> = tests.iter().map(closed).collect();
        let mut seqs = Vec::with_capacity(intervals.len());
        for Interval { prefix, low, high } in &intervals {
            // Changes are in the order of time, so a range of time is a range of numbers.
            let (from, to) = match prefix {
                Prefix::Eq | Prefix::Ap => (*low, *high),
                Prefix::Gt | Prefix::Sa => (high.saturating_add(1), i64::MAX),
                Prefix::Lt | Prefix::Eb => (i64::MIN, low.saturating_sub(1)),
                Prefix::Ge => (*low, i64::MAX),
                Prefix::Le => (i64::MIN, *high),
                Prefix::Ne => (i64::MIN, i64::MAX),
            };
            let first = self.source.seq_at(from)?;
            let last = if to == i64::MAX {
                i64::MAX
            } else {
                self.source.seq_at(to.saturating_add(1))? - 1
            };
            seqs.push((first, last));
        }
        let of = match types {
            [only] => Some(*only),
            _ => None,
        };
        Ok(Node::Updated {
            intervals,
            seqs,
            of,
        })
    }

    /// Full text is looked up at once: few matches are a list, many are asked for one by one.
    fn full_text(&mut self, params: &[ParamKey], words: &[String]) -> Result<Node, StoreError> {
        if self.mark != 0 {
            return Err(StoreError::Invalid(
                "a full-text search of what is contained",
            ));
        }
        let narrative = params.iter().any(|param| {
            let known = self.context.catalog.definition(*param);
            known.is_some_and(|param| &*param.code == "_text")
        });
        if words.is_empty() {
            return Err(StoreError::Invalid("a full-text search without words"));
        }
        over("values_max", words.len(), self.context.limits.values_max)?;
        let matching = TextMatch {
            narrative,
            phrases: words.to_vec(),
        };
        let most = self.context.limits.frequent_at;
        let mut pks = self.source.fulltext(&matching, most)?;
        self.spend(pks.len())?;
        if pks.len() >= most {
            return Ok(Node::FullText(matching));
        }
        pks.sort_unstable();
        Ok(Node::Pks(pks))
    }

    pub(super) fn keys(&self, params: &[ParamKey]) -> Vec<u32> {
        params.iter().map(|param| param.0 | self.mark).collect()
    }

    fn cells(&mut self, params: &[ParamKey], test: &Test) -> Result<Node, StoreError> {
        if let Test::FullText(words) = test {
            return self.full_text(params, words);
        }
        for param in params {
            let known = self.context.catalog.definition(*param);
            let known = known.ok_or(StoreError::Invalid("an unknown parameter"))?;
            if !suits(known.kind, test) {
                return Err(StoreError::Invalid(
                    "a test that does not suit the parameter",
                ));
            }
        }
        Ok(Node::Cells {
            params: self.keys(params),
            test: self.test(test)?,
        })
    }

    fn test(&self, test: &Test) -> Result<CellTest, StoreError> {
        let context = self.context;
        let count = |len: usize| over("values_max", len, context.limits.values_max);
        let folded = |text: &String| fold(text, context.limits.text_chars_max);
        Ok(match test {
            Test::Token(of) => {
                count(of.len())?;
                CellTest::Token(self.token_set(of))
            }
            Test::ReferenceIdentifier(of) => {
                count(of.len())?;
                CellTest::ReferenceIdentifier(self.token_set(of))
            }
            Test::TokenText(of) => {
                count(of.len())?;
                CellTest::TokenText(of.iter().map(folded).collect())
            }
            Test::OfType(of) => {
                count(of.len())?;
                let one = |(system, code, value): &(Option<String>, String, String)| {
                    let system = system
                        .as_deref()
                        .map(|system| context.tokens.system(system));
                    (system, context.tokens.of_type(code, value))
                };
                CellTest::OfType(of.iter().map(one).collect())
            }
            Test::String(mode, of) => {
                count(of.len())?;
                let texts: Vec<String> = of.iter().map(folded).collect();
                let hash = |(text, folded): (&String, &String)| {
                    (context.tokens.word(folded), context.tokens.exact(text))
                };
                let hashes = of.iter().zip(&texts).map(hash).collect();
                CellTest::String(*mode, texts, hashes)
            }
            Test::Date(of) => {
                count(of.len())?;
                CellTest::Date(of.iter().map(closed).collect())
            }
            Test::Number(of) => {
                count(of.len())?;
                let tests = of
                    .iter()
                    .map(|test| decimal(test).map(|d| number(test.prefix, d)));
                CellTest::Number(tests.collect::<Result<_, _>>()?)
            }
            Test::Quantity(of) => {
                count(of.len())?;
                let tests = of.iter().map(|test| self.quantity(test));
                CellTest::Quantity(tests.collect::<Result<_, _>>()?)
            }
            Test::Reference(of) => {
                count(of.len())?;
                CellTest::Reference(self.references(of))
            }
            Test::Uri(mode, of) => {
                count(of.len())?;
                let one = |uri: &String| (uri.clone(), context.tokens.word(uri));
                CellTest::Uri(*mode, of.iter().map(one).collect())
            }
            Test::Composite(of) => {
                count(of.len())?;
                let tests = of
                    .iter()
                    .map(|tests| tests.iter().map(|test| self.test(test)).collect());
                CellTest::Composite(tests.collect::<Result<_, _>>()?)
            }
            Test::FullText(_) => return Err(StoreError::Invalid("full text inside a composite")),
        })
    }

    fn token_set(&self, tests: &[TokenTest]) -> TokenSet {
        let tokens = &self.context.tokens;
        let mut set = TokenSet::default();
        for test in tests {
            match test {
                TokenTest::Code(code) => set.codes.push(tokens.code(code)),
                TokenTest::SystemCode(system, code) => {
                    set.pairs.push((tokens.code(code), tokens.system(system)));
                }
                TokenTest::NoSystem(code) => set.pairs.push((tokens.code(code), 0)),
                TokenTest::System(system) => set.systems.push(tokens.system(system)),
            }
        }
        set.sort();
        set
    }

    fn quantity(&self, test: &QuantityTest) -> Result<(Unit, Interval), StoreError> {
        let value = decimal(&test.number)?;
        let plain = number(test.number.prefix, value);
        let tokens = &self.context.tokens;
        Ok(match &test.unit {
            UnitTest::Any => (Unit::Any, plain),
            UnitTest::Code(code) => (Unit::Code(tokens.code(code)), plain),
            UnitTest::System(system, code) => {
                let values = [value.value, value.low, value.high];
                match canonical(system, code, &values) {
                    Some(found) => {
                        let [value, low, high] = found.values[..] else {
                            return Err(StoreError::Invalid("a quantity that cannot be converted"));
                        };
                        let (low, high) = (low.min(high), low.max(high));
                        let value = Decimal { value, low, high };
                        let unit = Unit::Canonical(tokens.unit(&found.unit));
                        (unit, number(test.number.prefix, value))
                    }
                    None => {
                        let unit = tokens.unit(&format!("{system}|{code}"));
                        (Unit::Canonical(unit), plain)
                    }
                }
            }
        })
    }

    fn references(&self, tests: &[ReferenceTest]) -> Vec<i64> {
        let mut keys = Vec::with_capacity(tests.len());
        for test in tests {
            match test {
                ReferenceTest::Local(types, id) if types.is_empty() => {
                    let all = self.context.catalog.types();
                    keys.extend(all.map(|of| self.token_of(of, id)));
                }
                ReferenceTest::Local(types, id) => {
                    keys.extend(types.iter().map(|of| self.token_of(*of, id)));
                }
                ReferenceTest::Url(url) => keys.push(self.context.tokens.url(url)),
            }
        }
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}

fn over(limit: &'static str, value: usize, max: usize) -> Result<(), StoreError> {
    if value > max {
        return Err(StoreError::Limit {
            limit,
            max: max as u64,
        });
    }
    Ok(())
}

fn suits(kind: ParamKind, test: &Test) -> bool {
    match test {
        Test::Token(_) | Test::TokenText(_) | Test::OfType(_) => kind == ParamKind::Token,
        Test::String(..) => kind == ParamKind::String,
        Test::Date(_) => kind == ParamKind::Date,
        Test::Number(_) => kind == ParamKind::Number,
        Test::Quantity(_) => kind == ParamKind::Quantity,
        Test::Reference(_) | Test::ReferenceIdentifier(_) => kind == ParamKind::Reference,
        // Canonical references are found by their URL either way.
        Test::Uri(..) => kind == ParamKind::Uri,
        Test::Composite(_) => kind == ParamKind::Composite,
        Test::FullText(_) => true,
    }
}

fn closed(test: &IntervalTest) -> Interval {
    let open = test.end_ms == i64::MAX;
    Interval {
        prefix: test.prefix,
        low: test.start_ms,
        high: if open {
            i64::MAX
        } else {
            (test.end_ms - 1).max(test.start_ms)
        },
    }
}

fn decimal(test: &NumberTest) -> Result<Decimal, StoreError> {
    Decimal::parse(&test.value).ok_or(StoreError::Invalid("not a decimal"))
}

/// FHIR R4 search.html#number: equality is about the written precision, order about the exact
/// value, `ap` about a tenth of it.
fn number(prefix: Prefix, value: Decimal) -> Interval {
    let (low, high) = match prefix {
        Prefix::Eq | Prefix::Ne => (ordinal(value.low), ordinal(value.high) - 1),
        Prefix::Ap => {
            let tenth = value.value.abs() / 10.0;
            let low = (value.value - tenth).min(value.low);
            let high = (value.value + tenth).max(value.high);
            (ordinal(low), ordinal(high))
        }
        Prefix::Gt | Prefix::Lt | Prefix::Ge | Prefix::Le | Prefix::Sa | Prefix::Eb => {
            (ordinal(value.value), ordinal(value.value))
        }
    };
    Interval { prefix, low, high }
}
