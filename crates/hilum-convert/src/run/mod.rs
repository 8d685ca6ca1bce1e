//! One conversion: the plan run over a message.

mod again;
mod as_of;
mod attachments;
mod bundle;
mod codes;
mod complete;
mod condition;
mod conflict;
mod content;
mod copy;
mod functions;
mod index;
mod known;
mod links;
mod maps;
mod members;
mod mend;
mod moved;
mod names;
mod place;
mod read;
mod replaced;
mod roles;
mod told;
mod values;
mod write;

use std::cell::{Cell, OnceCell};
use std::collections::{HashMap, HashSet};

use hilum_fhir::definitions::ElementId;
use hilum_fhir::{At, Draft, Resource};
use hilum_hl7v2::structure::Arrangement;
use hilum_hl7v2::{Level, Message, Part};

use crate::finding::{Finding, FindingCode, Location};
use crate::maps::Maps;
use crate::plan::{MessagePlan, Number, Plan, RowId, SegmentRow};
use crate::settings::{Arrived, Settings};
use crate::value::hash::Numbers;
use crate::value::time::{Clock, Time};

use copy::Copied;
use index::{Answer, LOOKS, Look, Looked, MEANT, Meant, Segment, indexed, unknown_structure};
use names::names;
use read::Value;

/// Resources that one message may become.
const RESOURCES_MAX: usize = 20_000;

/// Elements that room is made for before any is made.
const NODES: usize = 20_000;

/// Findings that are kept of one message.
const FINDINGS_MAX: usize = 1_000;

/// What a message became.
#[derive(Debug)]
pub struct Converted {
    /// The Bundle.
    pub bundle: Resource,
    /// What was not carried over as it stands.
    pub findings: Vec<Finding>,
    /// Valued fields and segments that no row reads.
    pub unmapped: Vec<Location>,
    /// Why each element is there, if that was asked for.
    pub reasons: Vec<Reason>,
}

/// Why an element is there. It holds content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The element, as a path in the Bundle.
    pub element: String,
    /// The map file.
    pub file: String,
    /// The line of the row.
    pub line: u32,
    /// Where the value stood; `None` for a constant that depends on nothing.
    pub source: Option<Location>,
    /// The value as it was written.
    pub value: String,
}

/// A resource of the Bundle.
#[derive(Clone, Copy, Debug)]
struct Made {
    /// Its entry; of the Bundle itself its root.
    entry: At,
    node: At,
    /// The segment that it was made from.
    segment: u32,
    /// The field and its repetition, where a row of a map made it.
    field: (u32, u32),
    /// It was made by a row of the message and not within a map.
    is_role: bool,
}

/// A role that a resource has in a group.
#[derive(Clone, Copy, Debug)]
struct RoleAt {
    group: u32,
    made: u32,
    /// The one of the same role before it.
    before: u32,
}

/// A reference whose text is written when all resources are known.
#[derive(Clone, Copy, Debug)]
struct Pending {
    /// The `reference` of the Reference.
    text: At,
    /// What holds the Reference.
    parent: At,
    made: u32,
    /// It alone is no reason for what holds it to be there: a link, or a way back.
    weak: bool,
}

/// A reference whose resource is looked for when all resources are made.
#[derive(Clone, Copy, Debug)]
enum Late {
    /// The links of a row of the message.
    Row {
        row: Number,
        made: u32,
        segment: u32,
    },
    /// `reference(Role)`.
    Role {
        role: Number,
        holder: At,
        text: hilum_fhir::definitions::Child,
        segment: u32,
    },
}

/// A place that was made in a run of a map.
#[derive(Clone, Copy, Debug)]
struct Slot {
    place: Number,
    repetition: u32,
    spot: Spot,
}

/// An element with the resource that it is in.
#[derive(Clone, Copy, Debug)]
struct Spot {
    at: At,
    made: u32,
}

/// An element that a map of a resource named, for the other maps of the same resource: the dose of
/// RXE, RXR and TQ1 is one. Of two segments that have the same map each keeps its own.
#[derive(Clone, Copy, Debug)]
struct Named<'p> {
    map: Number,
    holder: At,
    element: ElementId,
    name: &'p str,
    spot: Spot,
}

/// A run of a map.
#[derive(Clone, Copy)]
struct Frame<'m> {
    map: Number,
    target: Spot,
    segment: u32,
    value: Option<Value<'m>>,
    /// Where its slots begin.
    base: usize,
    depth: u32,
}

/// No pending reference.
const NOTHING: u32 = u32::MAX;

struct Run<'p, 'm> {
    plan: &'p Plan,
    rows: Option<&'p MessagePlan>,
    message: &'m Message,
    settings: &'p Settings,
    arrived: Arrived<'p>,
    arrangement: Option<Arrangement>,
    segments: Vec<Segment>,
    /// The fields of all segments.
    fields: Vec<Part<'m>>,
    /// The components of the values at hand, as their maps run within each other.
    parts: Vec<Part<'m>>,
    /// By the number of a condition.
    answers: Vec<Cell<Answer>>,
    meant: Vec<Cell<Meant>>,
    looks: Vec<Cell<Look<'m>>>,
    /// By map and value.
    copies: HashMap<(Number, Level, &'m [u8]), Copied>,
    /// The message, where it is text as a whole.
    text: Option<&'m str>,
    /// Who sent the message, once it was asked for.
    sender: OnceCell<Option<String>>,
    /// Some segment has a quotation mark.
    has_quotes: bool,
    clock_offset: Option<i32>,
    draft: Draft,
    made: Vec<Made>,
    last_entry: Option<At>,
    roles: Vec<RoleAt>,
    /// By the number of a role the last of it.
    last_roles: Vec<u32>,
    slots: Vec<Slot>,
    /// What is deleted by fields with `""`.
    nulls: Vec<as_of::Null>,
    /// Patients whose numbers are moved.
    moved: Vec<moved::Moved>,
    /// Patients in whose favour numbers are given up.
    replaces: Vec<replaced::Replaces>,
    /// The field that the rows are at, and its repetition.
    at_field: (u32, u32),
    named: Vec<Named<'p>>,
    before: Vec<again::Before>,
    pending: Vec<Pending>,
    /// Resources that hold a document, and whose it is.
    detached: Vec<(u32, u32)>,
    /// By the number of an element whether it is the holder of a pending reference.
    holders: Vec<bool>,
    /// Lists that refer to a resource: their element, what holds it, and the resource.
    linked: HashSet<(ElementId, At, u32), Numbers>,
    /// Extensions with their URLs.
    extensions: Vec<(At, At)>,
    late: Vec<Late>,
    /// Segments that have rows, none of which ran: they stand where no row names them, or no condition
    /// of a row holds.
    passed: Vec<u32>,
    /// By the number of an element whether something stands there.
    content: Vec<bool>,
    findings: Vec<Finding>,
    reasons: Vec<(At, RowId, Option<Location>)>,
}

/// Converts a message. The same message, maps, settings and arrival give the same Bundle.
#[must_use]
pub fn to_fhir(
    maps: &Maps,
    message: &Message,
    settings: &Settings,
    arrived: &Arrived<'_>,
) -> Converted {
    let arrangement = maps.structures().arrange(message);
    let plan = &maps.plan;
    let rows = arrangement
        .as_ref()
        .and_then(|arrangement| plan.rows_of(message, arrangement.structure().id()));
    let bytes = message
        .segments()
        .map(|segment| segment.raw().len())
        .sum::<usize>();
    let (segments, fields) = indexed(message, arrangement.as_ref());
    let count = segments.len();
    let has_quotes = segments.iter().any(|segment| segment.has_quote);
    let mut run = Run {
        plan,
        rows,
        message,
        settings,
        arrived: *arrived,
        segments,
        fields,
        parts: Vec::with_capacity(64),
        answers: vec![Cell::new(Answer::NONE); plan.facts],
        meant: vec![Cell::new(Meant::NONE); MEANT],
        copies: HashMap::with_capacity(count * 2),
        looks: vec![Cell::new(Look::NONE); LOOKS],
        text: message.utf8(),
        sender: OnceCell::new(),
        has_quotes,
        arrangement,
        clock_offset: None,
        // A Bundle of a result has nearly one element for a byte of its message, with those that come
        // to nothing; of a document far fewer.
        draft: Draft::new(names().bundle, bytes.min(NODES) + 64, bytes * 4 + 1024),
        made: Vec::with_capacity(32),
        last_entry: None,
        roles: Vec::with_capacity(32),
        last_roles: vec![NOTHING; plan.roles.len()],
        slots: Vec::with_capacity(32),
        nulls: Vec::new(),
        moved: Vec::new(),
        replaces: Vec::new(),
        at_field: (0, 0),
        named: Vec::new(),
        before: Vec::new(),
        pending: Vec::with_capacity(64),
        detached: Vec::new(),
        holders: Vec::new(),
        linked: HashSet::with_capacity_and_hasher(count * 4, Numbers::default()),
        extensions: Vec::new(),
        late: Vec::with_capacity(32),
        passed: Vec::new(),
        content: Vec::new(),
        findings: Vec::new(),
        reasons: Vec::new(),
    };
    run.all();
    let unmapped = run.unmapped();
    let mut findings = std::mem::take(&mut run.findings);
    findings.sort_by(|one, other| one.place.cmp(&other.place).then_with(|| one.cmp(other)));
    findings.dedup();
    let (bundle, reasons) = run.finish();
    Converted {
        bundle,
        findings,
        unmapped,
        reasons,
    }
}

impl<'p, 'm> Run<'p, 'm> {
    fn all(&mut self) {
        let root = self.draft.root();
        self.made.push(Made {
            entry: root,
            node: root,
            segment: 0,
            field: (0, 0),
            is_role: true,
        });
        self.bundle_type();
        self.clock_offset = self
            .message
            .component("MSH", 7, 1)
            .and_then(|time| Time::read(&time)?.offset());
        self.time_of_all();
        match self.rows {
            Some(rows) => {
                for segment in 0..self.segments.len() {
                    self.segment(rows, segment);
                }
                self.links(rows);
                self.members();
            }
            None => self.finding(
                FindingCode::UnknownStructure,
                Location {
                    segment: *b"MSH",
                    ordinal: 1,
                    field: 9,
                    ..Location::default()
                },
                Some(unknown_structure(self.message, self.arrangement.as_ref())),
            ),
        }
        self.flags();
        self.prune_extensions();
        self.original();
        self.attachments();
        self.moved_numbers();
        self.replaced_numbers();
        let same = self.unify();
        self.complete();
        self.identify(&same);
    }

    /// Runs the rows of a segment.
    fn segment(&mut self, rows: &'p MessagePlan, at: usize) {
        let Some(segment) = self.segments.get(at) else {
            return;
        };
        let (id, group) = (segment.id, segment.group);
        let Some(arrangement) = &self.arrangement else {
            return;
        };
        let node = arrangement.node(at);
        let in_order = arrangement.is_in_order(at);
        let by_node = node.and_then(|node| rows.by_node.get(usize::from(node)));
        let found = match by_node.filter(|rows| !rows.is_empty()) {
            Some(found) => Some(found),
            // A segment that stands nowhere is taken where the rows first name it.
            None if node.is_none() => rows.by_segment.get(&id),
            None => None,
        };
        let number = narrow(at);
        if self.deletes_list(number) {
            if !self.is_timed() {
                self.passed.push(number);
            }
            return;
        }
        let Some(found) = found else {
            if rows.by_segment.contains_key(&id) {
                self.passed.push(number);
            }
            return;
        };
        if !in_order && id[0] != b'Z' {
            self.finding(FindingCode::MisplacedSegment, self.whole(number), None);
        }
        // By name alone, only the rows of one path: the shortest.
        let depth = match node {
            Some(_) => None,
            None => found
                .iter()
                .filter_map(|row| rows.rows.get(*row as usize))
                .map(|row| row.depth)
                .min(),
        };
        let mut is_read = false;
        for row_number in found {
            let Some(row) = rows.rows.get(*row_number as usize) else {
                continue;
            };
            if depth.is_some_and(|depth| row.depth != depth) {
                continue;
            }
            is_read |= self.row_of_message(*row_number, row, number, group);
        }
        if !is_read {
            self.passed.push(number);
        }
    }

    /// Whether the row is for this segment.
    fn row_of_message(
        &mut self,
        number: Number,
        row: &'p SegmentRow,
        segment: u32,
        group: u32,
    ) -> bool {
        if let Some(condition) = &row.condition {
            let scope = condition::Scope::of_segment(segment);
            if self.holds(condition, &scope) != Some(true) {
                return false;
            }
        }
        let Some(made) = self.role(row, segment, group) else {
            return false;
        };
        if let Some(map) = row.map {
            let target = Spot {
                at: self.node(made),
                made,
            };
            self.run_map(map, target, segment, None, 0);
        }
        if !row.holders.is_empty() {
            self.late.push(Late::Row {
                row: number,
                made,
                segment,
            });
        }
        true
    }

    fn node(&self, made: u32) -> At {
        let found = self.made.get(made as usize);
        found.map_or(self.draft.root(), |made| made.node)
    }

    fn finding(&mut self, code: FindingCode, place: Location, detail: Option<&str>) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding {
                code,
                place,
                detail: detail.map(str::to_owned),
            });
        }
    }

    fn clock(&self) -> Clock<'p> {
        Clock {
            offset: self.clock_offset,
            zone: self.settings.zone.as_deref(),
        }
    }

    /// A segment as a place.
    fn whole(&self, segment: u32) -> Location {
        let found = self.segments.get(segment as usize);
        Location {
            segment: found.map_or([0; 3], |segment| segment.id),
            ordinal: found.map_or(1, |segment| segment.ordinal),
            ..Location::default()
        }
    }

    /// Valued fields and segments that no row reads.
    fn unmapped(&self) -> Vec<Location> {
        let mut places = Vec::new();
        for (at, segment) in self.message.segments().enumerate() {
            let id = segment.name();
            let reads = self.rows.and_then(|rows| rows.reads.get(&id));
            let is_passed = self.passed.binary_search(&narrow(at)).is_ok();
            let Some(reads) = reads.filter(|_| !is_passed) else {
                places.push(self.whole(narrow(at)));
                continue;
            };
            let first = if &id == b"MSH" { 3 } else { 1 };
            for number in first..=segment.field_count() {
                if reads.has(number) {
                    continue;
                }
                let valued = self
                    .field(narrow(at), number)
                    .is_some_and(|field| !field.is_blank() && !field.is_null());
                if valued {
                    places.push(Location {
                        field: number,
                        ..self.whole(narrow(at))
                    });
                }
            }
        }
        places
    }
}

/// Counts of one message fit: it is smaller than 4 GB.
fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
