//! Making messages: events, groups, segments, rows.

use std::collections::HashMap;

use hilum_fhir::definitions::Definitions;
use hilum_fhir::{Node, Resource};
use hilum_hl7v2::Message;

use super::draft::{Draft, Spot};
use super::given::{Event, Givens};
use super::plan::{Map, Node as PlanNode, Plan, Row, Target, What};
use super::sources::Sources;
use super::{Because, ReverseCode, ReverseError, ReverseFinding, Reversed, Sent, V2Settings};
use crate::Maps;
use crate::plan::{Number, RowId};

/// Segments of one message.
pub(super) const SEGMENTS_MAX: usize = 10_000;
/// Messages of one Bundle.
pub(super) const MESSAGES_MAX: usize = 1_000;
/// Types that an error names.
const TYPES_MAX: usize = 8;
/// Maps within maps.
const DEPTH_MAX: usize = 12;

/// What a map writes to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Base {
    Segment,
    Value(Spot),
}

/// One conversion.
#[derive(Debug)]
pub(super) struct Run<'r, 'p> {
    pub(super) plan: &'p Plan,
    maps: &'p Maps,
    pub(super) sources: Sources<'r>,
    /// Nodes that were carried over, a bit for each, in the order of the sources.
    pub(super) marks: Vec<Vec<u64>>,
    /// Nodes that decided something, marked once it was written; whether all below them counts.
    pub(super) touched: Vec<(Node<'r>, bool)>,
    pub(super) pool: Vec<Vec<Node<'r>>>,
    pub(super) draft: Draft,
    pub(super) givens: Givens<'p>,
    pub(super) findings: Vec<ReverseFinding>,
    pub(super) why: Vec<Because>,
    /// Codes that the map at hand applies to the first coding.
    pub(super) codes: Option<Number>,
    /// The place of the row at hand, for `%target.empty()`.
    pub(super) target: Option<Spot>,
    /// Something of a resource stands in the segment at hand.
    pub(super) substance: bool,
    segment: [u8; 3],
    depth: usize,
    counters: HashMap<[u8; 3], u32>,
    ordinals: HashMap<[u8; 3], u32>,
    segments: usize,
    out: String,
}

pub(super) fn run<'r>(
    maps: &Maps,
    resource: &'r Resource,
    sources: Sources<'r>,
    settings: &V2Settings,
    sent: Sent<'_>,
) -> Result<Reversed, ReverseError> {
    let marks = sources
        .all
        .iter()
        .map(|r| vec![0; r.node_count() / 64 + 1])
        .collect();
    let mut run = Run {
        plan: &maps.reverse,
        maps,
        sources,
        marks,
        touched: Vec::new(),
        pool: Vec::new(),
        draft: Draft::default(),
        givens: Givens {
            settings,
            sent,
            event: Event::default(),
            message: 0,
            index: 0,
        },
        findings: Vec::new(),
        why: Vec::new(),
        codes: None,
        target: None,
        substance: false,
        segment: *b"MSH",
        depth: 0,
        counters: HashMap::new(),
        ordinals: HashMap::new(),
        segments: 0,
        out: String::new(),
    };
    let messages = run.messages(resource)?;
    let unmapped = run.unmapped();
    run.findings.sort();
    run.findings.dedup();
    Ok(Reversed {
        messages,
        findings: run.findings,
        unmapped,
        why: run.why,
    })
}

impl<'r, 'p> Run<'r, 'p> {
    fn messages(&mut self, resource: &Resource) -> Result<Vec<Message>, ReverseError> {
        let ty = self.held(resource);
        let (event, contexts) = self.choose(&ty)?;
        let plan = self.plan;
        let about = contexts.iter().flatten().next().map(|node| node.type_id());
        let about = about.or(Definitions::r4().type_named("Patient"));
        let own = about.and_then(|ty| plan.messages.get(&(ty, event.structure.clone())));
        // A header alone is about nothing, whatever the message is about otherwise.
        let header = || {
            let mut all = plan.messages.iter();
            let (_, nodes) = all.find(|((_, structure), _)| *structure == event.structure)?;
            contexts.iter().all(Option::is_none).then_some(nodes)
        };
        let Some(nodes) = own.or_else(header) else {
            return Err(ReverseError::NoRows {
                event: format!("{}^{}", event.code, event.trigger),
                ty,
            });
        };
        self.givens.event = event;
        let mut messages = Vec::new();
        for (number, context) in contexts.into_iter().enumerate() {
            if number >= MESSAGES_MAX {
                self.limit("messages of one Bundle", context);
                break;
            }
            self.givens.message = number;
            self.counters.clear();
            self.ordinals.clear();
            self.segments = 0;
            self.out.clear();
            self.nodes(nodes, context);
            match Message::parse(self.out.clone().into_bytes()) {
                Ok(message) => messages.push(message),
                Err(_) => self.find(ReverseCode::Refused, context, None),
            }
        }
        Ok(messages)
    }

    /// What is there: a type, or the types in a Bundle.
    fn held(&self, resource: &Resource) -> String {
        let own = resource.type_name();
        if own != "Bundle" {
            return own.to_owned();
        }
        let mut inner: Vec<&str> = self.sources.roots.iter().map(|r| r.type_name()).collect();
        inner.sort_unstable();
        inner.dedup();
        inner.truncate(TYPES_MAX);
        if inner.is_empty() {
            return format!("{own} without resources");
        }
        format!("{own} of {}", inner.join(", "))
    }

    fn nodes(&mut self, nodes: &'p [PlanNode], context: Option<Node<'r>>) {
        for node in nodes {
            let before = self.touched.len();
            let mut items = self.pool.pop().unwrap_or_default();
            match &node.source {
                None => items.extend(context),
                Some(path) => self.select(path, context, &mut items),
            }
            let reached = self.touched.len();
            let alone = node.always && items.is_empty();
            let once = alone.then_some(None);
            for item in items.iter().copied().map(Some).chain(once) {
                if let Some(condition) = &node.condition {
                    let fits = self.condition(condition, item);
                    self.touched.truncate(reached);
                    if !fits {
                        continue;
                    }
                }
                match &node.what {
                    What::Group(children) => self.nodes(children, item),
                    What::Segment { name, map } => {
                        self.segment(*name, *map, item, node.always);
                    }
                }
            }
            self.mark_touched(before);
            items.clear();
            self.pool.push(items);
        }
    }

    fn segment(&mut self, name: [u8; 3], map: Number, item: Option<Node<'r>>, always: bool) {
        if self.segments >= SEGMENTS_MAX {
            return self.limit("segments of one message", item);
        }
        let next = self.counters.get(&name).copied().unwrap_or(0) + 1;
        self.givens.index = next;
        self.segment = name;
        self.draft.clear();
        self.substance = false;
        let told = self.why.len();
        *self.ordinals.entry(name).or_insert(0) += 1;
        self.map(map, item, Base::Segment);
        if self.draft.len() == 0 || !(always || self.substance) {
            self.why.truncate(told);
            if let Some(ordinal) = self.ordinals.get_mut(&name) {
                *ordinal -= 1;
            }
            return;
        }
        self.counters.insert(name, next);
        for other in restarts(&name) {
            self.counters.remove(*other);
        }
        self.segments += 1;
        self.draft.write(name, &mut self.out);
    }

    /// Runs the rows of a map; whether anything was written.
    pub(super) fn map(&mut self, number: Number, context: Option<Node<'r>>, base: Base) -> bool {
        let plan = self.plan;
        let Some(map) = plan.maps.get(number as usize) else {
            return false;
        };
        if self.depth >= DEPTH_MAX {
            self.limit("maps within maps", context);
            return false;
        }
        self.depth += 1;
        let before = self.draft.len();
        let there = there(map, context);
        for row in &map.rows {
            if row.first.is_none_or(|first| there & 1 << first != 0) {
                self.row(row, context, base);
            }
        }
        self.depth -= 1;
        self.draft.len() > before
    }

    fn row(&mut self, row: &'p Row, context: Option<Node<'r>>, base: Base) {
        let before = self.touched.len();
        let place = place(row, base);
        self.target = place;
        let fits = row
            .condition
            .as_ref()
            .is_none_or(|test| self.condition(test, context));
        if fits {
            let mut items = self.pool.pop().unwrap_or_default();
            match &row.source {
                None => {}
                Some(path) => self.select(path, context, &mut items),
            }
            let wrote = self.items(row, &items, context, base, place);
            if wrote {
                self.mark_touched(before);
            }
            items.clear();
            self.pool.push(items);
        }
        self.touched.truncate(before);
    }

    /// Marks what decided something since a point, and forgets it.
    fn mark_touched(&mut self, since: usize) {
        while self.touched.len() > since
            && let Some((node, below)) = self.touched.pop()
        {
            self.mark(node, below);
        }
    }

    fn items(
        &mut self,
        row: &'p Row,
        items: &[Node<'r>],
        context: Option<Node<'r>>,
        base: Base,
        place: Option<Spot>,
    ) -> bool {
        if row.target == Target::None {
            items.iter().for_each(|item| self.mark(*item, true));
            return true;
        }
        if row.source.is_none() {
            return self.write(row, context, base, place, items);
        }
        let mut wrote = false;
        for item in items {
            let mut at = place;
            if row.many
                && let Some(spot) = &mut at
            {
                spot.repetition = self.draft.next_repetition(spot.field);
            }
            wrote |= self.write(row, Some(*item), base, at, items);
            if wrote && !row.many {
                break;
            }
        }
        wrote
    }

    pub(super) fn note(&mut self, row: RowId, spot: Spot, source: Option<Node<'r>>) {
        if !self.givens.settings.explain {
            return;
        }
        let file = self.maps.plan.files.get(row.file as usize);
        let name: String = self.segment.iter().map(|byte| char::from(*byte)).collect();
        let ordinal = self.ordinals.get(&self.segment).copied().unwrap_or(1);
        let mut place = format!("{name}[{ordinal}]-{}", spot.field);
        if spot.repetition > 1 {
            place.push_str(&format!("[{}]", spot.repetition));
        }
        for part in [spot.component, spot.subcomponent] {
            if part != 0 {
                place.push_str(&format!(".{part}"));
            }
        }
        self.why.push(Because {
            message: self.givens.message,
            place,
            row: format!("{}:{}", file.map_or("", String::as_str), row.spot.line),
            value: self.draft.text(spot).to_owned(),
            source: source.map(Node::path),
        });
    }

    pub(super) fn find(
        &mut self,
        code: ReverseCode,
        node: Option<Node<'r>>,
        detail: Option<String>,
    ) {
        self.findings.push(ReverseFinding {
            code,
            path: node.map(Node::path).unwrap_or_default(),
            detail,
        });
    }

    pub(super) fn limit(&mut self, what: &str, node: Option<Node<'r>>) {
        self.find(ReverseCode::LimitReached, node, Some(what.to_owned()));
    }
}

/// The children that are there, a bit for each, counted from the first that there may be; from the
/// other end the types of choices.
fn there(map: &Map, context: Option<Node<'_>>) -> u128 {
    let mut there = 0;
    for child in context.into_iter().flat_map(Node::children) {
        let element = child.element_id();
        let at = u32::try_from(element.index().wrapping_sub(map.base));
        there |= at.ok().and_then(|at| 1_u128.checked_shl(at)).unwrap_or(0);
        let mut last = 1_u128 << (u128::BITS - 1);
        for choice in &map.choices {
            if *choice == (element, child.type_id()) {
                there |= last;
            }
            last >>= 1;
        }
    }
    there
}

/// Where a row writes; the repetition is 0 where each value has its own.
const fn place(row: &Row, base: Base) -> Option<Spot> {
    match (row.target, base) {
        (Target::None, _) => None,
        (Target::Whole, Base::Segment) => None,
        (Target::Whole, Base::Value(spot)) => Some(spot),
        (
            Target::Field {
                field,
                repetition,
                component,
                subcomponent,
            },
            _,
        ) => Some(Spot {
            field,
            repetition: if row.many || repetition > 0 {
                repetition
            } else {
                1
            },
            component,
            subcomponent,
        }),
        (
            Target::Part {
                component,
                subcomponent,
            },
            Base::Value(spot),
        ) => {
            // What has no separator left stays unread, and is reported so.
            spot.part(component, subcomponent)
        }
        (Target::Part { .. }, Base::Segment) => None,
    }
}

/// Segments that are counted from 1 again behind this one.
const fn restarts(name: &[u8; 3]) -> &'static [&'static [u8; 3]] {
    match name {
        b"OBR" => &[b"OBX", b"NTE", b"SPM", b"TQ1", b"PRT", b"DG1"],
        b"PID" => &[b"NTE", b"NK1"],
        b"RXA" => &[b"OBX"],
        b"ORC" | b"OBX" | b"AIS" | b"AIG" | b"AIL" | b"AIP" => &[b"NTE"],
        b"SPM" => &[b"OBX"],
        b"RGS" => &[b"AIS", b"AIG", b"AIL", b"AIP"],
        _ => &[],
    }
}
