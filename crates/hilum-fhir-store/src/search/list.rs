//! Lists of candidates: what the indexes say of all tests that are not frequent.

use super::gather::Range;
use super::node::{Compiled, Node};
use super::run::{CAPS, Exec};
use super::{Part, Source, Way};
use crate::error::StoreError;
use crate::id::ParamKey;

/// Candidates that are worth another look at an index before they are fetched.
const NARROW_MIN: usize = 64;
/// The first cap of all.
const CAP_MIN: usize = 64;
/// Matches that a sample must have to tell that a test is frequent.
const DENSE_SAMPLE: usize = 64;

/// Candidates in the order of `pk`.
pub(super) struct List {
    pub(super) pks: Vec<i64>,
    /// All of them match.
    pub(super) certain: bool,
}

impl<S: Source> Exec<'_, S> {
    /// Everything that can match, in the order of `pk`, if some test is not frequent.
    pub(super) fn candidates(
        &mut self,
        compiled: &mut Compiled,
    ) -> Result<Option<Vec<i64>>, StoreError> {
        if let Some(list) = self.few(compiled, CAPS[0])? {
            return Ok(Some(list.pks));
        }
        self.settle(&mut compiled.nodes)?;
        Ok(self.many(compiled)?.map(|list| list.pks))
    }

    /// The candidates if some test has at most `cap` matches.
    pub(super) fn few(
        &mut self,
        compiled: &Compiled,
        cap: usize,
    ) -> Result<Option<List>, StoreError> {
        let ranges: Vec<Option<Vec<Range>>> = compiled.nodes.iter().map(Node::ranges).collect();
        for cap in [CAP_MIN, cap] {
            let cap = cap.min(self.context.limits.frequent_at);
            let list = self.listed(compiled, &ranges, cap, &[])?;
            if list.is_some() {
                return Ok(list);
            }
        }
        Ok(None)
    }

    /// The candidates if some test is not frequent, or the type has few resources.
    pub(super) fn many(&mut self, compiled: &Compiled) -> Result<Option<List>, StoreError> {
        let ranges: Vec<Option<Vec<Range>>> = compiled.nodes.iter().map(Node::ranges).collect();
        let most = self.context.limits.frequent_at;
        let mut frequent = Vec::new();
        for (at, ranges) in ranges.iter().enumerate() {
            if ranges.is_none() || self.is_dense(ranges.as_deref().unwrap_or_default())? {
                frequent.push(at);
            }
        }
        // A smaller cap tells several apart; one alone is read to its end anyway.
        let several = ranges.len() - frequent.len() > 1;
        let caps: &[usize] = if several { &[CAPS[1], most] } else { &[most] };
        for cap in caps {
            let list = self.listed(compiled, &ranges, *cap.min(&most), &frequent)?;
            if list.is_some() {
                return Ok(list);
            }
        }
        let [only] = compiled.types[..] else {
            return Ok(None);
        };
        if self.source.count_of(only)? >= most as u64 {
            return Ok(None);
        }
        let part = self.part(Way::Up, most);
        let pks = self.source.resources(Some(only), part)?;
        self.note(|| format!("all {} of the type", pks.len()));
        let certain = compiled.nodes.is_empty();
        Ok(Some(List { pks, certain }))
    }

    /// What all tests with fewer matches than `cap` have in common, if there is one; those that are
    /// known to be frequent are not listed.
    fn listed(
        &mut self,
        compiled: &Compiled,
        ranges: &[Option<Vec<Range>>],
        cap: usize,
        frequent: &[usize],
    ) -> Result<Option<List>, StoreError> {
        let mut lists: Vec<Vec<i64>> = Vec::new();
        let mut known = vec![false; ranges.len()];
        let mut room = cap;
        for (at, (node, ranges)) in compiled.nodes.iter().zip(ranges).enumerate() {
            let Some(ranges) = ranges.as_deref().filter(|_| !frequent.contains(&at)) else {
                continue;
            };
            let Ok(list) = self.gather(ranges, room)? else {
                continue;
            };
            let found = list.len();
            self.note(|| format!("{}: {found}", node.name()));
            if let Some(known) = known.get_mut(at) {
                *known = self.is_certain(compiled, node);
            }
            // A longer list than one that is known narrows little for what it costs.
            room = room.min(found.max(NARROW_MIN));
            lists.push(list);
        }
        lists.sort_by_key(Vec::len);
        let mut lists = lists.into_iter();
        let Some(mut first) = lists.next() else {
            return Ok(None);
        };
        for other in lists {
            first.retain(|pk| other.binary_search(pk).is_ok());
        }
        self.narrow(compiled, ranges, &mut first, &mut known)?;
        self.note(|| format!("{} candidates", first.len()));
        Ok(Some(List {
            pks: first,
            certain: known.into_iter().all(|known| known),
        }))
    }

    /// The ranges of a node hold its matches and nothing else, of the one type that is searched.
    pub(super) fn is_certain(&self, compiled: &Compiled, node: &Node) -> bool {
        let catalog = &self.context.catalog;
        let of_type = |param: &u32| {
            let definition = catalog.definition(ParamKey(*param));
            definition.is_some_and(|param| compiled.types[..] == [param.resource_type.0])
        };
        match node {
            Node::Cells { params, .. } => node.is_exact() && params.iter().all(of_type),
            Node::Missing(_)
            | Node::Pks(_)
            | Node::FullText(_)
            | Node::Tokens(_)
            | Node::Updated { .. }
            | Node::Types(_)
            | Node::Follow { .. }
            | Node::Referenced { .. }
            | Node::Inside { .. }
            | Node::And(_)
            | Node::Or(_)
            | Node::Not(_) => false,
        }
    }

    /// Takes from a list what lacks a token, where that token is asked for among few resources:
    /// what belongs together (a patient's) was often stored together, so the list spans little.
    fn narrow(
        &mut self,
        compiled: &Compiled,
        ranges: &[Option<Vec<Range>>],
        list: &mut Vec<i64>,
        known: &mut [bool],
    ) -> Result<(), StoreError> {
        let nodes = compiled.nodes.iter().zip(ranges);
        for ((node, ranges), known) in nodes.zip(known).filter(|(_, known)| !**known) {
            let (Some([Range::Token { index, code, extra }]), [first, .., last]) =
                (ranges.as_deref(), &list[..])
            else {
                continue;
            };
            if list.len() < NARROW_MIN {
                return Ok(());
            }
            let part = Part {
                above: first - 1,
                to: *last,
                way: Way::Up,
                limit: list.len() * 4,
            };
            let found = self.source.token(index.0, *code, *extra, part)?;
            self.spend(found.len())?;
            if found.len() < part.limit {
                list.retain(|pk| found.binary_search(pk).is_ok());
                *known = self.is_certain(compiled, node);
            }
        }
        Ok(())
    }

    /// A token that is found everywhere: so often in samples from three places that it is frequent
    /// by far, and counting on would be a waste.
    fn is_dense(&mut self, ranges: &[Range]) -> Result<bool, StoreError> {
        let [Range::Token { index, code, extra }] = ranges else {
            return Ok(false);
        };
        let most = i64::try_from(self.context.limits.frequent_at).unwrap_or(i64::MAX);
        let spacing = self.until / most.saturating_mul(2).max(1);
        for quarter in 1..4 {
            let mut part = self.part(Way::Up, DENSE_SAMPLE);
            part.above = self.until / 4 * quarter;
            part.to = part
                .above
                .saturating_add(spacing.saturating_mul(DENSE_SAMPLE as i64));
            let found = self.source.token(index.0, *code, *extra, part)?;
            if found.len() < DENSE_SAMPLE {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
