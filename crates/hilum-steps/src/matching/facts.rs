//! What a message of HL7 v2 says of its patients, visits and orders.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use hilum_hl7v2::{Message, Part, Segment};
use hilum_identity::results::{OrderChange, Status, observation_keys, order_change};
use hilum_identity::{
    Act, Event, Facts, Identifier, Kind, Level, Observation, OrderFacts, Person, SourceTime,
    birth_order, digest,
};

use smol_str::{SmolStr, format_smolstr};

use super::sender::Sender;

/// What one patient of a message is told of, and where its PID is.
#[derive(Debug)]
pub(super) struct Group {
    /// The facts.
    pub(super) facts: Facts,
    /// Which PID segment of the message it is, from 1.
    pub(super) pid: usize,
    /// Its segments: from its PID to the next one.
    pub(super) segments: Range<usize>,
    /// The other patient of A24 and A37, whom the second PID names.
    pub(super) other: Option<Box<Group>>,
    /// The repetitions of PID-3, from 1, of its identifiers.
    pub(super) repetitions: Vec<u32>,
    /// Where its visit and account stand.
    pub(super) visits: Vec<VisitAt>,
    /// What is reported, order by order.
    pub(super) reports: Vec<Report>,
}

/// Where the number of a visit or account stands.
#[derive(Debug)]
pub(super) struct VisitAt {
    pub(super) level: Level,
    pub(super) segment: &'static str,
    /// Which segment of this name, from 1.
    pub(super) nth: usize,
    pub(super) field: u32,
    /// Which repetition, from 1.
    pub(super) repetition: u32,
}

/// What a message reports of one order.
#[derive(Debug)]
pub(super) struct Report {
    /// The order, by the number of whoever fills it, else of whoever placed it.
    pub(super) order: Identifier,
    /// When it was so (OBR-22 of this order, not of another one of the message).
    pub(super) as_of: SourceTime,
    /// Its observations, each with the segments that have its lines.
    pub(super) observations: Vec<(Observation, Vec<usize>)>,
}

/// What a message says.
#[derive(Debug)]
pub(super) struct Read {
    /// The facts of each of its patients.
    pub(super) groups: Vec<Group>,
    /// The first field whose time a change of the clock leaves in doubt.
    pub(super) doubtful: Option<&'static str>,
}

/// The facts of each patient of a message.
pub(super) fn read(message: &Message, sender: &Sender, arrived_ms: u64) -> Read {
    let code = message.component("MSH", 9, 1).unwrap_or_default();
    let trigger = message.component("MSH", 9, 2).unwrap_or_default();
    let kind = kind(&code);
    let event = (kind == Kind::Registration)
        .then(|| Event::named(&trigger))
        .flatten();
    let arrived = i64::try_from(arrived_ms).unwrap_or(i64::MAX);
    let mut doubtful = None;
    let mut time = |id: &str, field: u32, path| {
        let field = message.component(id, field, 1)?;
        let told = sender.time(&field, arrived)?;
        if told.is_doubtful {
            doubtful = doubtful.or(Some(path));
        }
        Some(told.ms)
    };
    let sent_ms = time("MSH", 7, "MSH-7").unwrap_or(arrived);
    let as_of = SourceTime {
        at_ms: time("EVN", 2, "EVN-2").unwrap_or(sent_ms),
        sent_ms,
        sequence: message
            .component("MSH", 13, 1)
            .and_then(|number| number.parse().ok())
            .unwrap_or(0),
    };
    let mut groups: Vec<Group> = Vec::new();
    let mut reader = Reader::of(sender, arrived);
    for segment in message.segments() {
        match &segment.name() {
            b"PID" => {
                if let Some(last) = groups.last_mut() {
                    reader.end(last);
                    last.segments.end = segment.index();
                }
                groups.push(reader.patient(&segment, groups.len() + 1, kind, event, as_of));
            }
            b"MRG" | b"PV1" | b"ORC" | b"OBR" | b"OBX" => {
                if let Some(group) = groups.last_mut() {
                    reader.more(&segment, group);
                }
            }
            _ => {}
        }
    }
    if let Some(last) = groups.last_mut() {
        reader.end(last);
        last.segments.end = message.segment_count();
    }
    if matches!(event.map(|event| event.act), Some(Act::Link | Act::Unlink)) {
        pair(&mut groups);
    }
    let doubtful = doubtful.or(reader.doubtful);
    Read { groups, doubtful }
}

/// A24 and A37 name two patients: one is the other side of the other.
fn pair(groups: &mut Vec<Group>) {
    if groups.len() >= 2 {
        let others = groups.split_off(1);
        if let Some(first) = groups.first_mut() {
            first.other = others.into_iter().next().map(Box::new);
            let other = first.other.as_ref();
            first.facts.sides.prior_patients = other
                .map(|other| other.facts.sides.patients.clone())
                .unwrap_or_default();
        }
    }
}

/// What messages of a code (MSH-9.1, table 0076) are for.
fn kind(code: &str) -> Kind {
    match code {
        "ADT" => Kind::Registration,
        "ORM" | "OML" | "OMG" | "OMI" | "OMP" | "OMB" | "OMD" | "OMN" | "OMS" | "OPL" | "RDE" => {
            Kind::Order
        }
        "ORU" | "OUL" | "OPU" | "MDM" => Kind::Result,
        _ => Kind::Other,
    }
}

struct Reader<'a> {
    sender: &'a Sender,
    arrived_ms: i64,
    /// How many PV1 there were.
    stays: usize,
    /// The first field whose time a change of the clock leaves in doubt.
    doubtful: Option<&'static str>,
    /// The observations of the order that is being read: code, sub-id and time, status, digest of the
    /// value, segment.
    lines: Vec<Line>,
    /// How the report of that order stands (OBR-25).
    status: Option<Status>,
    /// When it was made (OBR-22), Unix milliseconds.
    reported_ms: Option<i64>,
}

struct Line {
    key: (SmolStr, SmolStr, SmolStr),
    status: Option<Status>,
    value: u64,
    segment: usize,
}

impl<'a> Reader<'a> {
    const fn of(sender: &'a Sender, arrived_ms: i64) -> Self {
        Self {
            sender,
            arrived_ms,
            stays: 0,
            doubtful: None,
            lines: Vec::new(),
            status: None,
            reported_ms: None,
        }
    }

    fn patient(
        &self,
        segment: &Segment<'_>,
        pid: usize,
        kind: Kind,
        event: Option<Event>,
        as_of: SourceTime,
    ) -> Group {
        let mut facts = Facts {
            kind,
            event,
            as_of,
            ..Facts::default()
        };
        let mut repetitions = Vec::new();
        for (part, n) in each(segment, 3).zip(1..) {
            if let Some(identifier) = self.sender.extended(&part, None)
                && !facts.sides.patients.contains(&identifier)
            {
                facts.sides.patients.push(identifier);
                repetitions.push(n);
            }
        }
        // Before PID-3 there was PID-2 (HL7 v2.5.1 §3.4.2.2).
        if facts.sides.patients.is_empty() {
            facts.sides.patients.extend(self.all(segment, 2, None));
        }
        if moves_numbers(event) {
            facts.sides.person = self.first(segment, 2, None);
        }
        let mut visits = Vec::new();
        facts.sides.account = self.visit(segment, (Level::Account, "PID", pid, 18), &mut visits);
        facts.mother = self.first(segment, 21, None);
        facts.person = person(segment);
        let said = |n: u32| {
            segment
                .field(n)
                .and_then(|field| field.only_repetition().said(&[]))
        };
        facts.multiple_birth = said(24).as_deref() == Some("Y");
        facts.temporary = said(31).as_deref() == Some("Y");
        Group {
            facts,
            pid,
            segments: segment.index()..segment.index() + 1,
            other: None,
            repetitions,
            visits,
            reports: Vec::new(),
        }
    }

    fn more(&mut self, segment: &Segment<'_>, group: &mut Group) {
        let sides = &mut group.facts.sides;
        match &segment.name() {
            b"MRG" => {
                sides.prior_patients.extend(self.all(segment, 1, None));
                // A46 and A48 (HL7 v2.5.1 §3.3.46, §3.3.48) tell of a former PID-2 or PID-4 there, whose
                // numbers are not those of PID-3.
                let of_others = group
                    .facts
                    .event
                    .is_some_and(|event| matches!(event.code, "A46" | "A48"));
                if sides.prior_patients.is_empty() && !of_others {
                    sides.prior_patients.extend(self.all(segment, 4, None));
                }
                if moves_numbers(group.facts.event) {
                    sides.prior_person = self.first(segment, 4, None);
                }
                sides.prior_account = self.first(segment, 3, Some("AN"));
                sides.prior_visit = self.first(segment, 5, Some("VN"));
                sides.prior_alternate_visit = self.first(segment, 6, Some("VN"));
            }
            b"PV1" => {
                self.stays += 1;
                let (nth, places) = (self.stays, &mut group.visits);
                sides.visit = self.visit(segment, (Level::Visit, "PV1", nth, 19), places);
                let alternate = (Level::AlternateVisit, "PV1", nth, 50);
                sides.alternate_visit = self.visit(segment, alternate, places);
            }
            b"ORC" => {
                self.end(group);
                let change =
                    field(segment, 1).map_or(OrderChange::None, |code| order_change(&code));
                let numbers = self.numbers(segment);
                self.parents(segment, 8, group);
                group.facts.orders.push(OrderFacts {
                    numbers,
                    change,
                    ended: false,
                });
            }
            b"OBR" => self.request(segment, group),
            b"OBX" => self.lines.push(line(segment)),
            _ => {}
        }
    }

    /// An OBR is about the order of the ORC before it, unless it has numbers of its own.
    fn request(&mut self, segment: &Segment<'_>, group: &mut Group) {
        let numbers = self.numbers(segment);
        self.parents(segment, 29, group);
        let facts = &group.facts;
        let same = facts.orders.last().is_some_and(|order| {
            numbers.is_empty()
                || order.numbers.is_empty()
                || numbers.iter().any(|number| order.numbers.contains(number))
        });
        if !same {
            self.end(group);
            group.facts.orders.push(OrderFacts {
                numbers: Vec::new(),
                change: OrderChange::None,
                ended: false,
            });
        }
        let facts = &mut group.facts;
        let Some(order) = facts.orders.last_mut() else {
            return;
        };
        for number in numbers {
            if !order.numbers.contains(&number) {
                order.numbers.push(number);
            }
        }
        self.status = field(segment, 25).and_then(|code| Status::of_obr(&code));
        order.ended |= self.status == Some(Status::Cancelled);
        let reported = field(segment, 22);
        let reported = reported.and_then(|text| self.sender.time(&text, self.arrived_ms));
        self.reported_ms = reported.map(|told| told.ms);
        if reported.is_some_and(|told| told.is_doubtful) {
            self.doubtful = self.doubtful.or(Some("OBR-22"));
        }
    }

    /// The last order is complete.
    fn end(&mut self, group: &mut Group) {
        let lines = std::mem::take(&mut self.lines);
        let (status, reported_ms) = (self.status.take(), self.reported_ms.take());
        let Some(order) = group.facts.orders.last_mut() else {
            return;
        };
        let ends = |line: &Line| {
            let said = line.status.or(status);
            matches!(
                said,
                Some(Status::Cancelled | Status::Deleted | Status::WrongPatient)
            )
        };
        order.ended |= !lines.is_empty() && lines.iter().all(ends);
        // The filler's number is that of the results; a placer's may cover several.
        let number = order.numbers.iter().rev().find(|one| one.kind == "filler");
        let Some(number) = number.or_else(|| order.numbers.first()) else {
            return;
        };
        let observations = observations(lines, status);
        if !observations.is_empty() && group.facts.kind == Kind::Result {
            let as_of = SourceTime {
                at_ms: reported_ms.unwrap_or(group.facts.as_of.at_ms),
                ..group.facts.as_of
            };
            group.reports.push(Report {
                order: number.clone(),
                as_of,
                observations,
            });
        }
    }

    fn numbers(&self, segment: &Segment<'_>) -> Vec<Identifier> {
        [(2, "placer"), (3, "filler")]
            .into_iter()
            .filter_map(|(n, kind)| self.sender.entity(&each(segment, n).next()?, kind))
            .collect()
    }

    /// The orders of which an order is a child.
    fn parents(&self, segment: &Segment<'_>, n: u32, group: &mut Group) {
        for part in each(segment, n) {
            for (which, kind) in [(1, "placer"), (2, "filler")] {
                let parent = self.sender.entity_of_pair(&part, which, kind);
                group.facts.parents.extend(parent);
            }
        }
    }

    fn all(&self, segment: &Segment<'_>, n: u32, kind: Option<&str>) -> Vec<Identifier> {
        each(segment, n)
            .filter_map(|part| self.sender.extended(&part, kind))
            .collect()
    }

    /// The number of a visit or account, whose place is noted.
    fn visit(
        &self,
        segment: &Segment<'_>,
        (level, name, nth, field): (Level, &'static str, usize, u32),
        places: &mut Vec<VisitAt>,
    ) -> Option<Identifier> {
        places.retain(|place| place.level != level);
        let kind = match level {
            Level::Account => "AN",
            Level::Patient | Level::Visit | Level::AlternateVisit => "VN",
        };
        let mut parts = each(segment, field).zip(1..);
        let (identifier, repetition) =
            parts.find_map(|(part, n)| Some((self.sender.extended(&part, Some(kind))?, n)))?;
        places.push(VisitAt {
            level,
            segment: name,
            nth,
            field,
            repetition,
        });
        Some(identifier)
    }

    fn first(&self, segment: &Segment<'_>, n: u32, kind: Option<&str>) -> Option<Identifier> {
        each(segment, n).find_map(|part| self.sender.extended(&part, kind))
    }
}

/// A43: above its numbers stands the person (PID-2, MRG-4; HL7 v2.5.1 §3.3.43).
fn moves_numbers(event: Option<Event>) -> bool {
    event.is_some_and(|event| event.act == Act::Move && event.levels.contains(&Level::Patient))
}

fn line(segment: &Segment<'_>) -> Line {
    let part = |n: u32, path: &[u32]| {
        let repetition = each(segment, n).next()?;
        repetition.said(path)
    };
    let text = |n, path| SmolStr::from(part(n, path).unwrap_or_default());
    let code = match part(3, &[1]) {
        Some(code) => format_smolstr!("{code}^{}", part(3, &[3]).unwrap_or_default()),
        None => text(3, &[2]),
    };
    let raw = |n: u32| segment.field(n).map_or(&b""[..], |field| field.raw());
    Line {
        key: (code, text(4, &[]), text(14, &[1])),
        status: part(11, &[]).and_then(|code| Status::of_obx(&code)),
        value: digest([raw(2), raw(5), raw(6)]),
        segment: segment.index(),
    }
}

/// The observations of an order. Lines of one key are one observation: reports come line by line.
fn observations(lines: Vec<Line>, status: Option<Status>) -> Vec<(Observation, Vec<usize>)> {
    let keys: Vec<_> = lines.iter().map(|line| line.key.clone()).collect();
    let mut found: Vec<(Observation, Vec<usize>)> = Vec::new();
    let mut at = BTreeMap::new();
    for (line, key) in lines.into_iter().zip(observation_keys(&keys)) {
        let Some(status) = line.status.or(status) else {
            continue;
        };
        let place = *at.entry(key.clone()).or_insert(found.len());
        match found.get_mut(place) {
            Some((observation, segments)) => {
                let values = [observation.value, line.value].map(u64::to_le_bytes);
                observation.value = digest(values.iter().map(|value| &value[..]));
                segments.push(line.segment);
            }
            None => found.push((
                Observation {
                    key,
                    status,
                    value: line.value,
                },
                vec![line.segment],
            )),
        }
    }
    found
}

/// The first name that is a legal one or of no type (XPN-7), birth date, sex and birth order.
fn person(segment: &Segment<'_>) -> Person {
    let mut names = each(segment, 5).filter(|name| !name.is_blank());
    let legal = |name: &Part<'_>| {
        name.said(&[7])
            .is_none_or(|kind| matches!(&*kind, "L" | "D" | "B"))
    };
    let all: Vec<_> = names.by_ref().collect();
    let name = all.iter().find(|name| legal(name)).or_else(|| all.first());
    let part = |path: &[u32]| {
        let said = name.and_then(|name| name.said(path));
        SmolStr::from(said.unwrap_or_default())
    };
    let birth = field(segment, 7).unwrap_or_default();
    let digits = birth.chars().take_while(char::is_ascii_digit);
    Person {
        family: part(&[1, 1]),
        given: part(&[2]),
        birth: digits.take(8).collect(),
        sex: field(segment, 8).unwrap_or_default().into(),
        birth_order: field(segment, 25)
            .map(|text| birth_order(&text))
            .unwrap_or_default(),
    }
}

fn field<'m>(segment: &Segment<'m>, n: u32) -> Option<Cow<'m, str>> {
    each(segment, n).next()?.said(&[1])
}

pub(super) fn each<'m>(segment: &Segment<'m>, n: u32) -> impl Iterator<Item = Part<'m>> + use<'m> {
    segment
        .field(n)
        .filter(|field| !field.raw().is_empty())
        .into_iter()
        .flat_map(|field| field.children())
}
