//! Pages and totals, walks along `pk`.

use hilum_db::DbClass;

use super::gather::Range;
use super::list::List;
use super::node::Compiled;
use super::sort::{Match, Order};
use super::{Context, Hits, Part, Row, Source, Way};
use crate::error::StoreError;
use crate::id::{Pk, Seq};
use crate::query::{Cursor, Query, Total};

/// The caps that tests are asked with, one after the other, before the largest one.
pub(super) const CAPS: [usize; 2] = [128, 2048];
/// Matches looked at to tell which of several frequent tests is the rarest.
const DENSITY_SAMPLE: usize = 512;
/// Rows fetched for each match of a page before lists of candidates are made.
const GLANCE: usize = 8;
/// Entries of an index that are read in the time of fetching one row.
const ENTRIES_PER_FETCH: u64 = 8;
/// The smallest batch of a walk.
const BATCH_MIN: usize = 8;
/// First batch of a walk, at most, and the largest one.
const BATCH: (usize, usize) = (64, 1024);

/// Part of what a walk may cost before it is asked whether it will find a page.
const DOUBT_AT: u64 = 8;

/// A walk that is given up when it finds too little.
#[derive(Clone, Copy, Debug)]
struct Trial {
    /// What it may cost.
    allowed: u64,
    want: u64,
    /// Matches so far.
    found: u64,
}

/// A search that is being done.
pub(super) struct Exec<'a, S> {
    pub(super) source: S,
    pub(super) context: &'a Context,
    /// Resources created later are left out.
    pub(super) until: i64,
    /// The last change that the first page could see.
    seq: i64,
    budget: u64,
    pub(super) criteria: usize,
    /// What parameters are marked with while conditions on contained resources are compiled.
    pub(super) mark: u32,
    /// A chain has led out of a contained resource.
    pub(super) led_out: bool,
    /// The types of what is contained in something, once that was looked up.
    pub(super) contained: Option<Vec<u16>>,
    types: Vec<u16>,
    /// The only resources that can match, sorted, while a walk is tried that knows them.
    among: Option<Vec<i64>>,
    trial: Option<Trial>,
    /// Matches that the page needs.
    want: usize,
    plan: Vec<String>,
}

/// What a walk goes along.
#[derive(Clone, Copy, Debug)]
enum Stream {
    Token {
        index: i64,
        code: i64,
        extra: Option<i64>,
    },
    Type(Option<u16>),
}

impl<'a, S: Source> Exec<'a, S> {
    pub(super) fn new(
        mut source: S,
        context: &'a Context,
        budget: u64,
        after: Option<&Cursor>,
    ) -> Result<Self, StoreError> {
        let seq = match after {
            Some(cursor) => cursor.seq.0,
            None => source.last_seq()?,
        };
        Ok(Self::up_to(source, context, budget, seq))
    }

    pub(super) fn up_to(source: S, context: &'a Context, budget: u64, seq: i64) -> Self {
        Self {
            source,
            context,
            until: seq,
            seq,
            budget,
            criteria: 0,
            mark: 0,
            led_out: false,
            contained: None,
            types: Vec::new(),
            among: None,
            trial: None,
            want: BATCH.0,
            plan: Vec::new(),
        }
    }

    pub(super) fn note(&mut self, step: impl FnOnce() -> String) {
        self.plan.push(step());
    }

    /// Draws on the budget of rows.
    pub(super) fn spend(&mut self, rows: usize) -> Result<(), StoreError> {
        match self.budget.checked_sub(rows as u64) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => Err(StoreError::TooCostly {
                plan: self.plan.join("; "),
            }),
        }
    }

    pub(super) fn part(&self, way: Way, limit: usize) -> Part {
        let (above, to) = match way {
            Way::Up => (0, self.until),
            Way::Down => (self.until.saturating_add(1), 0),
        };
        Part {
            above,
            to,
            way,
            limit,
        }
    }

    /// The type of the search, if it has exactly one.
    pub(super) fn only_type(&self) -> Option<u16> {
        match self.types[..] {
            [one] => Some(one),
            _ => None,
        }
    }

    pub(super) fn rows(&mut self, pks: &[i64]) -> Result<Vec<Row>, StoreError> {
        self.spend(pks.len())?;
        self.source.rows(pks)
    }

    /// One page. An error that the clock caused tells the plan so far.
    pub(super) fn page(&mut self, query: &Query) -> Result<Hits, StoreError> {
        self.run(query).map_err(|error| match error {
            StoreError::Db(error) if error.class() != DbClass::Cancelled => StoreError::Db(error),
            StoreError::Db(_) | StoreError::TooCostly { .. } => StoreError::TooCostly {
                plan: self.plan.join("; "),
            },
            other => other,
        })
    }

    fn run(&mut self, query: &Query) -> Result<Hits, StoreError> {
        let page_max = self.context.limits.page_max;
        if query.count > page_max.saturating_add(1) {
            return Err(StoreError::Limit {
                limit: "page_max",
                max: page_max.into(),
            });
        }
        self.types = query.types.iter().map(|of| of.0).collect();
        let mut compiled = self.compile_all(self.types.clone(), &query.criteria, 0)?;
        let order = Order::new(query, self.context);
        let count = query.count as usize;
        self.want = count + 1;
        // A list as long as the rows that a glance may fetch is read in a fraction of the time.
        let glance = self.want.saturating_mul(GLANCE);
        let few = self.few(&compiled, CAPS[0].max(glance).min(CAPS[1]))?;
        let (mut matches, total) = match few {
            Some(list) => self.matches_of(&list, &mut compiled, &order, query)?,
            None => match self.glance(&mut compiled, &order, query)? {
                Some(matches) => (matches, None),
                None => self.many_matches(&mut compiled, &order, query)?,
            },
        };
        let total = match (total, query.total) {
            (None, Total::Estimate) => self.quick_count(&compiled)?,
            (total, _) => total,
        };
        let more = matches.len() > count;
        matches.truncate(count);
        let (mut before, mut behind) = (query.after.is_some(), more);
        if order.is_reversed() {
            matches.reverse();
            (before, behind) = (more, true);
        }
        let cursor = |of: &Match, back| Cursor {
            seq: Seq(self.seq),
            keys: of.keys.clone(),
            last: Pk(of.pk),
            back,
        };
        let prev = matches.first().filter(|_| before);
        let next = matches.last().filter(|_| behind);
        let (prev, next) = (
            prev.map(|first| cursor(first, true)),
            next.map(|last| cursor(last, false)),
        );
        Ok(Hits {
            pks: matches.iter().map(|one| one.pk).collect(),
            next,
            prev,
            total,
            seq: Seq(self.seq),
            plan: self.plan.join("; "),
        })
    }

    /// The page of a search whose tests all have more than a few matches.
    fn many_matches(
        &mut self,
        compiled: &mut Compiled,
        order: &Order,
        query: &Query,
    ) -> Result<(Vec<Match>, Option<u64>), StoreError> {
        self.settle(&mut compiled.nodes)?;
        if let Some(mut list) = self.many(compiled)? {
            if let Some(matches) = self.try_walk(&mut list, compiled, order, query)? {
                return Ok((matches, None));
            }
            return self.matches_of(&list, compiled, order, query);
        }
        let want = self.want;
        let matches = self.walk(compiled, order, query.after.as_ref(), want)?;
        let total = match query.total {
            Total::Accurate => Some(self.count(compiled)?),
            Total::None | Total::Estimate => None,
        };
        Ok((matches, total))
    }

    /// Walks a few rows along the order: where matches are frequent a page is found sooner than any
    /// list of candidates.
    fn glance(
        &mut self,
        compiled: &mut Compiled,
        order: &Order,
        query: &Query,
    ) -> Result<Option<Vec<Match>>, StoreError> {
        if query.total == Total::Accurate || !(order.is_plain() || order.has_index()) {
            return Ok(None);
        }
        if let Some(matches) = self.straight(compiled, order, query)? {
            return Ok(Some(matches));
        }
        let allowed = self.want.saturating_mul(GLANCE);
        self.walk_within(allowed as u64, compiled, order, query)
    }

    /// The page as it stands in one range of an index, if that answers the search alone.
    fn straight(
        &mut self,
        compiled: &Compiled,
        order: &Order,
        query: &Query,
    ) -> Result<Option<Vec<Match>>, StoreError> {
        let [node] = &compiled.nodes[..] else {
            return Ok(None);
        };
        if !order.is_plain() || order.is_reversed() || !self.is_certain(compiled, node) {
            return Ok(None);
        }
        let ranges = node.ranges().unwrap_or_default();
        let [Range::Token { index, code, extra }] = &ranges[..] else {
            return Ok(None);
        };
        let want = self.want;
        let mut part = self.part(Way::Up, want);
        if let Some(cursor) = &query.after {
            part.above = cursor.last.0;
        }
        let mut pks: Vec<i64> = Vec::with_capacity(want);
        loop {
            let found = self.source.token(index.0, *code, *extra, part)?;
            self.spend(found.len())?;
            let Some(last) = found.last().copied() else {
                break;
            };
            pks.extend(&found);
            // A resource with the code in two systems comes twice.
            pks.dedup();
            if found.len() < part.limit || pks.len() >= want {
                break;
            }
            part.above = last;
        }
        self.note(|| format!("{} in order", node.name()));
        let page = pks.into_iter().map(|pk| Match {
            keys: Vec::new(),
            pk,
        });
        Ok(Some(page.collect()))
    }

    /// Walks along the order although there is a list of candidates, as far as reading the index of
    /// the order costs less than testing them all; only candidates are fetched on the way.
    fn try_walk(
        &mut self,
        list: &mut List,
        compiled: &mut Compiled,
        order: &Order,
        query: &Query,
    ) -> Result<Option<Vec<Match>>, StoreError> {
        if query.total == Total::Accurate || !order.has_index() {
            return Ok(None);
        }
        let allowed = (list.pks.len() as u64).saturating_mul(ENTRIES_PER_FETCH);
        self.among = Some(std::mem::take(&mut list.pks));
        let walked = self.walk_within(allowed, compiled, order, query);
        list.pks = self.among.take().unwrap_or_default();
        walked
    }

    /// A walk that may be given up.
    fn walk_within(
        &mut self,
        allowed: u64,
        compiled: &mut Compiled,
        order: &Order,
        query: &Query,
    ) -> Result<Option<Vec<Match>>, StoreError> {
        let allowed = self.budget.min(allowed);
        let kept = self.budget - allowed;
        self.budget = allowed;
        let want = self.want;
        self.trial = Some(Trial {
            allowed,
            want: want as u64,
            found: 0,
        });
        let walked = self.walk(compiled, order, query.after.as_ref(), want);
        self.trial = None;
        self.budget += kept;
        match walked {
            Ok(matches) => Ok(Some(matches)),
            Err(StoreError::TooCostly { .. }) => {
                self.note(|| "gives up the walk".to_owned());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// How much a walk fetches at first: where nearly everything matches, the page.
    pub(super) fn first_batch(&self) -> usize {
        (self.want + self.want / 4).clamp(BATCH_MIN, BATCH.0)
    }

    /// A walk found a match.
    pub(super) fn met_match(&mut self) {
        if let Some(trial) = &mut self.trial {
            trial.found += 1;
        }
    }

    /// Ends a trial that would find less than half of a page at the pace so far.
    fn doubt(&self) -> Result<(), StoreError> {
        let Some(Trial {
            allowed,
            want,
            found,
        }) = self.trial
        else {
            return Ok(());
        };
        let spent = allowed.saturating_sub(self.budget);
        let late = spent >= allowed / DOUBT_AT;
        if late && (found + 1).saturating_mul(allowed) < spent.saturating_mul(want) / 2 {
            return Err(StoreError::TooCostly {
                plan: String::new(),
            });
        }
        Ok(())
    }

    /// Fetches what a walk met, if it can match at all.
    pub(super) fn met(&mut self, pks: &[i64]) -> Result<Vec<Row>, StoreError> {
        self.doubt()?;
        let Some(among) = &self.among else {
            return self.rows(pks);
        };
        let known = |pk: &&i64| among.binary_search(pk).is_ok();
        let wanted: Vec<i64> = pks.iter().filter(known).copied().collect();
        self.spend(pks.len())?;
        self.spend(wanted.len().saturating_mul(ENTRIES_PER_FETCH as usize))?;
        self.source.rows(&wanted)
    }

    /// The page of a list of candidates.
    fn matches_of(
        &mut self,
        list: &List,
        compiled: &mut Compiled,
        order: &Order,
        query: &Query,
    ) -> Result<(Vec<Match>, Option<u64>), StoreError> {
        if !list.certain || !order.is_plain() || order.is_reversed() {
            return self.test_list(&list.pks, compiled, order, query);
        }
        let after = query.after.as_ref().map_or(0, |cursor| cursor.last.0);
        let from = list.pks.partition_point(|pk| *pk <= after);
        let rest = list.pks.iter().skip(from);
        let page = rest.take(self.want).map(|pk| Match {
            keys: Vec::new(),
            pk: *pk,
        });
        let total = match query.total {
            Total::None => None,
            Total::Estimate | Total::Accurate => Some(list.pks.len() as u64),
        };
        Ok((page.collect(), total))
    }

    /// Tests all candidates as far as the page, the order and the total need it.
    fn test_list(
        &mut self,
        list: &[i64],
        compiled: &mut Compiled,
        order: &Order,
        query: &Query,
    ) -> Result<(Vec<Match>, Option<u64>), StoreError> {
        let want = self.want;
        let counts = match query.total {
            Total::None => false,
            Total::Estimate => list.len() <= CAPS[1],
            Total::Accurate => true,
        };
        let after = query.after.as_ref();
        let early = order.is_plain() && !order.is_reversed() && !counts;
        let from = match after {
            Some(cursor) if early => list.partition_point(|pk| *pk <= cursor.last.0),
            Some(_) | None => 0,
        };
        let mut total = 0;
        let mut matches = Vec::new();
        let mut batch = if early { self.first_batch() } else { BATCH.1 };
        let mut rest = list.get(from..).unwrap_or_default();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(batch.min(rest.len()));
            rest = later;
            batch = (batch * 2).min(BATCH.1);
            for row in self.rows(now)? {
                if !self.fulfils(compiled, &row)? {
                    continue;
                }
                total += 1;
                let one = order.place(&row);
                if after.is_none_or(|cursor| order.is_after(&one, cursor)) {
                    matches.push(one);
                }
            }
            if early && matches.len() >= want {
                break;
            }
        }
        order.sort(&mut matches);
        matches.truncate(want);
        Ok((matches, counts.then_some(total)))
    }

    fn walk(
        &mut self,
        compiled: &mut Compiled,
        order: &Order,
        after: Option<&Cursor>,
        want: usize,
    ) -> Result<Vec<Match>, StoreError> {
        if !order.is_plain() {
            return self.walk_sorted(compiled, order, after, want);
        }
        let above = after.map_or(0, |cursor| cursor.last.0);
        let mut matches = Vec::new();
        self.walk_pks(compiled, above, order.way(), &mut |_, row| {
            matches.push(order.place(row));
            Ok(matches.len() < want)
        })?;
        matches.truncate(want);
        Ok(matches)
    }

    /// Hands every match behind `above`, in the order of `pk`, to `take` until that returns false.
    pub(super) fn walk_pks(
        &mut self,
        compiled: &mut Compiled,
        above: i64,
        way: Way,
        take: &mut dyn FnMut(&mut Self, &Row) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let stream = self.stream(compiled)?;
        self.note(|| format!("walks {stream:?}"));
        let mut part = self.part(way, self.first_batch());
        if above != 0 {
            part.above = above;
        }
        loop {
            let mut pks = self.next_of(stream, part)?;
            let Some(last) = pks.last().copied() else {
                return Ok(());
            };
            pks.dedup();
            for row in self.met(&pks)? {
                if !self.fulfils(compiled, &row)? {
                    continue;
                }
                self.met_match();
                if !take(self, &row)? {
                    return Ok(());
                }
            }
            part.above = last;
            part.limit = (part.limit * 2).min(BATCH.1);
        }
    }

    fn next_of(&mut self, stream: Stream, part: Part) -> Result<Vec<i64>, StoreError> {
        match stream {
            Stream::Token { index, code, extra } => self.source.token(index, code, extra, part),
            Stream::Type(of) => self.source.resources(of, part),
        }
    }

    /// The rarest of the frequent tests that walk along `pk`, or the type itself.
    fn stream(&mut self, compiled: &Compiled) -> Result<Stream, StoreError> {
        let mut best: Option<(i64, Stream)> = None;
        for node in &compiled.nodes {
            let ranges = node.ranges().unwrap_or_default();
            let [Range::Token { index, code, extra }] = ranges[..] else {
                continue;
            };
            let index = index.0;
            let part = self.part(Way::Up, DENSITY_SAMPLE);
            let sample = self.source.token(index, code, extra, part)?;
            // Of a stream that ends within the sample nothing more need be read.
            let reach = match sample.last() {
                Some(last) if sample.len() == DENSITY_SAMPLE => *last,
                Some(_) | None => i64::MAX,
            };
            if best.is_none_or(|(other, _)| reach > other) {
                best = Some((reach, Stream::Token { index, code, extra }));
            }
        }
        let one_type = match compiled.types[..] {
            [one] => Some(one),
            _ => None,
        };
        Ok(best.map_or(Stream::Type(one_type), |(_, stream)| stream))
    }

    /// All matches, where an index alone tells their number.
    fn quick_count(&mut self, compiled: &Compiled) -> Result<Option<u64>, StoreError> {
        if compiled.nodes.is_empty() && !compiled.types.is_empty() {
            let mut sum = 0;
            for of in &compiled.types {
                sum += self.source.count_of(*of)?;
            }
            return Ok(Some(sum));
        }
        if let ([node], [_]) = (&compiled.nodes[..], &compiled.types[..])
            && let Some([Range::Token { index, code, extra }]) = node.ranges().as_deref()
            && node.is_exact()
        {
            let found = self
                .source
                .token_count(index.0, *code, *extra, self.until)?;
            return Ok(Some(found));
        }
        Ok(None)
    }

    /// All matches of a search whose every test is frequent.
    fn count(&mut self, compiled: &mut Compiled) -> Result<u64, StoreError> {
        if let Some(found) = self.quick_count(compiled)? {
            return Ok(found);
        }
        let mut sum = 0;
        self.walk_pks(compiled, 0, Way::Up, &mut |_, _| {
            sum += 1;
            Ok(true)
        })?;
        Ok(sum)
    }
}
