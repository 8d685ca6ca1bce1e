//! From blocks to the plan of the way back, with every name looked up.

use std::collections::{BTreeMap, HashMap, HashSet};

use hilum_fhir::definitions::{Child, Definitions, ElementId, TypeId};
use hilum_hl7v2::dictionary::Dictionary;

use super::path::Reader;
use super::plan::{Begin, Event, Given, Map, Plan, Row, Step, Target, Way};
use super::{message, turn};
use crate::plan::merge::{Everything, merge};
use crate::plan::source::{Reading, is_segment};
use crate::plan::{Number, RowId, target};
use crate::problem::{Fault, Problem, Spot};
use crate::text::{
    Backward, Entry, FhirCond, FhirPath, Head, MapFile, MapName, ReverseHead, Rows, Sign, Source,
};

/// A row with the number of its file and its columns.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    pub(super) file: u32,
    pub(super) spot: Spot,
    pub(super) spots: Vec<Spot>,
    pub(super) cells: Vec<String>,
}

impl Raw {
    /// A column that says something.
    pub(super) fn cell(&self, at: usize) -> Option<&str> {
        self.cells
            .get(at)
            .map(String::as_str)
            .filter(|text| *text != "-")
    }

    pub(super) const fn id(&self) -> RowId {
        RowId {
            file: self.file,
            spot: self.spot,
        }
    }
}

/// What is being made.
#[derive(Debug)]
pub(super) struct Compiler<'a> {
    pub(super) files: &'a [MapFile],
    pub(super) all: &'a Everything,
    pub(super) blocks: BTreeMap<String, (ReverseHead, Vec<Raw>)>,
    pub(super) plan: Plan,
    pub(super) problems: Vec<Problem>,
    pub(super) codes: HashMap<String, Number>,
    instances: HashMap<(MapName, TypeId), Number>,
    waiting: Vec<(Number, MapName, Child)>,
}

/// Compiles the blocks of the way back in all files.
pub(crate) fn compile(files: &[MapFile], problems: &mut Vec<Problem>) -> Plan {
    // What is wrong with the blocks of the way there was told when they were compiled.
    let all = merge(files, &mut Vec::new());
    let mut compiler = Compiler {
        files,
        all: &all,
        blocks: BTreeMap::new(),
        plan: Plan::default(),
        problems: Vec::new(),
        codes: HashMap::new(),
        instances: HashMap::new(),
        waiting: Vec::new(),
    };
    compiler.gather();
    compiler.code_tables();
    let blocks: Vec<(ReverseHead, Vec<Raw>)> = compiler.blocks.values().cloned().collect();
    for (head, rows) in &blocks {
        match head {
            ReverseHead::Map(name) => {
                let at = rows
                    .first()
                    .map_or((0, Spot::default()), |r| (r.file, r.spot));
                match target::type_named(&name.from, 4) {
                    Ok(child) => {
                        compiler.instance(name, child);
                    }
                    Err(fault) => compiler.fault(at.0, at.1, fault),
                }
                if let Err(fault) = Reading::of(&name.to).check(4) {
                    compiler.fault(at.0, at.1, fault);
                }
            }
            ReverseHead::Message {
                from,
                structure,
                with,
            } => {
                message::compile(&mut compiler, from, structure, with.as_deref(), rows);
            }
            ReverseHead::Codes(_) => {}
            ReverseHead::Events => {
                for raw in rows {
                    compiler.event(raw);
                }
            }
        }
    }
    while let Some((number, name, child)) = compiler.waiting.pop() {
        compiler.map(number, &name, child);
    }
    compiler.problems.sort();
    compiler.problems.dedup();
    problems.append(&mut compiler.problems);
    compiler.plan
}

impl Compiler<'_> {
    /// Blocks of one name from all files, with the signs of later ones applied.
    fn gather(&mut self) {
        for (number, file) in self.files.iter().enumerate() {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            for block in &file.blocks {
                let (Head::Reverse(head), Rows::Reverse(rows)) = (&block.head, &block.rows) else {
                    continue;
                };
                let into = self
                    .blocks
                    .entry(head.to_string())
                    .or_insert_with(|| (head.clone(), Vec::new()));
                let mut faults = Vec::new();
                for row in rows {
                    if !apply(&mut into.1, number, row) {
                        let text = row.row.first().cloned().unwrap_or_default();
                        faults.push((row.spot, text));
                    }
                }
                for (spot, text) in faults {
                    let fault = Fault::new(0, text, "there is no such row to change");
                    self.fault(number, spot, fault);
                }
            }
        }
    }

    pub(super) fn fault(&mut self, file: u32, spot: Spot, fault: Fault) {
        let name = self.files.get(file as usize).map(|file| file.name.clone());
        let at = u32::try_from(fault.at).unwrap_or(u32::MAX);
        self.problems.push(Problem {
            file: name.unwrap_or_default(),
            spot: Spot {
                column: spot.column.saturating_add(at),
                ..spot
            },
            text: fault.text,
            reason: fault.reason,
            remedy: fault.remedy,
        });
    }

    /// A fault in one column of a row.
    pub(super) fn row_fault(&mut self, raw: &Raw, column: usize, fault: Fault) {
        let spot = raw.spots.get(column).copied().unwrap_or(raw.spot);
        self.fault(raw.file, spot, fault);
    }

    pub(super) fn reader(&mut self) -> Reader<'_> {
        Reader {
            followed: &mut self.plan.followed,
        }
    }

    fn event(&mut self, raw: &Raw) {
        let Some(text) = raw.cell(0) else { return };
        let (code, trigger) = match text.split_once('^') {
            Some((code, trigger)) => (code, Some(trigger.to_owned())),
            None => (text, None),
        };
        let each = raw.cell(1).map(FhirPath::read);
        let bundle = target::root(Definitions::r4().known().bundle);
        let each = match each {
            None => Err(Fault::new(0, text, "an event needs what it is made of")),
            Some(each) => each.and_then(|each| self.reader().path(&each, bundle)),
        };
        let each = match each {
            Ok(each) => each,
            Err(fault) => return self.row_fault(raw, 1, fault),
        };
        let condition = raw.cell(2).map(|text| {
            let condition = FhirCond::read(text)?;
            self.reader().condition(&condition, each.end)
        });
        match condition.transpose() {
            Ok(condition) => self.plan.events.push(Event {
                code: code.to_owned(),
                trigger,
                each,
                condition,
            }),
            Err(fault) => self.row_fault(raw, 2, fault),
        }
    }

    /// Whether rows lead from this type to this part of v2, by hand or turned round.
    pub(super) fn knows(&self, name: &MapName) -> bool {
        self.blocks
            .contains_key(&ReverseHead::Map(name.clone()).to_string())
    }

    /// The map of this name for this type.
    pub(super) fn instance(&mut self, name: &MapName, child: Child) -> Number {
        let key = (name.clone(), child.ty);
        if let Some(number) = self.instances.get(&key) {
            return *number;
        }
        let number = Number::try_from(self.plan.maps.len()).unwrap_or(Number::MAX);
        self.instances.insert(key, number);
        let first = Definitions::r4().children(child.scope).next();
        self.plan.maps.push(Map {
            rows: Vec::new(),
            base: first.map_or(0, ElementId::index),
            choices: Vec::new(),
        });
        self.waiting.push((number, name.clone(), child));
        number
    }

    /// The map of a row for what is at its source.
    pub(super) fn map_for(
        &mut self,
        name: &MapName,
        from: Child,
        at: usize,
    ) -> Result<Number, Fault> {
        if !self.knows(name) {
            let names = self.blocks.values().filter_map(|(head, _)| match head {
                ReverseHead::Map(name) => Some(name.to_string()),
                _ => None,
            });
            let names: Vec<String> = names.collect();
            let fault = Fault::new(at, name.to_string(), "there is no map of this name");
            return Err(fault.nearest(names.iter().map(String::as_str)));
        }
        let of = target::type_named(&name.from, at)?;
        let tables = Definitions::r4();
        let same = of.scope == from.scope && of.ty == from.ty;
        if !same && !tables.is_a(from.ty, of.ty) && of.scope != from.scope {
            let there = tables.type_def(from.ty).name;
            let reason = format!("the map reads a {}, and the source is a {there}", name.from);
            return Err(Fault::new(at, name.to_string(), reason));
        }
        Ok(self.instance(name, from))
    }

    fn map(&mut self, number: Number, name: &MapName, child: Child) {
        let key = ReverseHead::Map(name.clone()).to_string();
        let own = self.blocks.get(&key).map(|(_, rows)| rows.clone());
        let own = own.unwrap_or_default();
        let mut rows = Vec::new();
        let mut written = HashSet::new();
        for raw in &own {
            // A row with `-` for both columns takes a field out of those that are turned round.
            if let Some(place) = raw.cell(1).and_then(|text| Source::read(text).ok()) {
                written.insert((place.field, place.component));
            }
            rows.extend(self.row(raw, name, child));
        }
        for raw in turn::rows(self, name, &written) {
            // A row that does not fit when it is turned round is not one to one.
            let told = self.problems.len();
            rows.extend(self.row(&raw, name, child));
            self.problems.truncate(told);
        }
        if let Some(map) = self.plan.maps.get_mut(number as usize) {
            for row in &mut rows {
                row.first = first(row, map.base, &mut map.choices);
            }
            map.rows = rows;
        }
    }

    fn row(&mut self, raw: &Raw, name: &MapName, child: Child) -> Option<Row> {
        if let Some(more) = raw.cells.get(5) {
            let fault = Fault::new(0, more, "a row here has at most 5 columns");
            self.row_fault(raw, 5, fault);
        }
        let source = raw.cell(0).map(|text| {
            let path = FhirPath::read(text)?;
            self.reader().path(&path, child)
        });
        let source = match source.transpose() {
            Ok(source) => source,
            Err(fault) => {
                self.row_fault(raw, 0, fault);
                return None;
            }
        };
        let (target, many) = match raw.cell(1).map(|text| place(text, &name.to)).transpose() {
            Ok(found) => found.unwrap_or((Target::None, true)),
            Err(fault) => {
                self.row_fault(raw, 1, fault);
                return None;
            }
        };
        let condition = raw.cell(2).map(|text| {
            let condition = FhirCond::read(text)?;
            self.reader().condition(&condition, child)
        });
        let condition = match condition.transpose() {
            Ok(condition) => condition,
            Err(fault) => {
                self.row_fault(raw, 2, fault);
                return None;
            }
        };
        let end = source.as_ref().map_or(child, |path| path.end);
        let way = match target {
            Target::None => Ok(Way::Type),
            _ => self.way(raw.cell(3), end, source.is_some()),
        };
        match way {
            Ok(way) => Some(Row {
                id: raw.id(),
                first: None,
                source,
                condition,
                target,
                many,
                way,
            }),
            Err(fault) => {
                let column = if raw.cell(3).is_some() { 3 } else { 0 };
                self.row_fault(raw, column, fault);
                None
            }
        }
    }

    fn way(&mut self, text: Option<&str>, end: Child, sourced: bool) -> Result<Way, Fault> {
        let tables = Definitions::r4();
        let backward = text.map(Backward::read).transpose()?;
        match backward {
            None => {
                if sourced && tables.type_def(end.ty).primitive().is_some() {
                    return Ok(Way::Type);
                }
                let name = tables.type_def(end.ty).name;
                Err(
                    Fault::new(0, name, "the source is not a primitive, so it has no value")
                        .remedy("name the element in it, or a map"),
                )
            }
            Some(Backward::Constant(text)) => Ok(Way::Constant(text.into())),
            Some(Backward::Given(at, name)) => given(&name, at).map(Way::Given),
            Some(Backward::Codes(name)) => Ok(Way::Codes(self.table(&name)?)),
            Some(Backward::Map { map, at, codes }) => Ok(Way::Map {
                map: self.map_for(&map, end, at)?,
                codes: codes.map(|name| self.table(&name)).transpose()?,
            }),
            Some(Backward::Function {
                function,
                argument,
                codes,
            }) => Ok(Way::Function {
                function,
                argument: argument.unwrap_or_default().into(),
                codes: codes.map(|name| self.table(&name)).transpose()?,
            }),
        }
    }

    fn table(&self, name: &str) -> Result<Number, Fault> {
        match self.codes.get(name) {
            Some(number) => Ok(*number),
            None => Err(
                Fault::new(0, name, "there is no table of codes of this name")
                    .nearest(self.codes.keys().map(String::as_str)),
            ),
        }
    }
}

pub(super) fn given(name: &str, at: usize) -> Result<Given, Fault> {
    match Given::ALL.iter().find(|(known, _)| *known == name) {
        Some((_, given)) => Ok(*given),
        None => Err(Fault::new(at, name, "nothing of this name is given")
            .nearest(Given::ALL.iter().map(|(name, _)| *name))),
    }
}

fn apply(into: &mut Vec<Raw>, file: u32, row: &Entry<Vec<String>>) -> bool {
    let raw = Raw {
        file,
        spot: row.spot,
        spots: row.spots.clone(),
        cells: row.row.clone(),
    };
    let same = |other: &Raw| other.cell(0) == raw.cell(0) && other.cell(1) == raw.cell(1);
    let found = into.iter().position(same);
    match (row.sign, found) {
        (Sign::Base | Sign::Add, _) => into.push(raw),
        (Sign::Remove, Some(_)) => into.retain(|other| !same(other)),
        (Sign::Replace, Some(at)) => {
            if let Some(old) = into.get_mut(at) {
                *old = raw;
            }
        }
        (Sign::Remove | Sign::Replace, None) => return false,
    }
    true
}

/// Bits of [`there`](super::run).
const BITS: usize = u128::BITS as usize;
/// The most children that a type may have to be told apart by bits; behind them stand choices.
const CHILDREN_MAX: usize = 88;

/// The child without which a row does nothing, counted from the first that there may be. A row that
/// only says that an element is known marks also what its condition looked at.
fn first(row: &Row, base: usize, choices: &mut Vec<(ElementId, TypeId)>) -> Option<u8> {
    if row.target == Target::None && row.condition.is_some() {
        return None;
    }
    let path = row.source.as_ref()?;
    let (Begin::Context, Some(Step::Child { element, .. } | Step::Extension { element, .. })) =
        (path.start, path.steps.first())
    else {
        return None;
    };
    let mut at = element.index().checked_sub(base)?;
    if let Some(Step::Child { ty: Some(ty), .. }) = path.steps.first() {
        let choice = (*element, *ty);
        let known = choices.iter().position(|known| *known == choice);
        let number = known.unwrap_or(choices.len());
        if known.is_none() && number + CHILDREN_MAX < BITS {
            choices.push(choice);
        }
        if number + CHILDREN_MAX < BITS {
            at = BITS - 1 - number;
            return u8::try_from(at).ok();
        }
    }
    u8::try_from(at).ok().filter(|_| at < CHILDREN_MAX)
}

fn narrow(number: u32) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

/// The place of a target, and whether values beyond the first have a place there too.
pub(super) fn place(text: &str, of: &str) -> Result<(Target, bool), Fault> {
    let source = Source::read(text)?;
    let wrong = |reason: String| Fault::new(0, text, reason);
    if source.name != of {
        return Err(wrong(format!("the map writes {of}")));
    }
    let Some(field) = source.field else {
        if source.component == 0 {
            return Ok((Target::Whole, false));
        }
        if is_segment(of) {
            return Err(wrong("a segment has fields".to_owned()));
        }
        let target = Target::Part {
            component: narrow(source.component),
            subcomponent: narrow(source.subcomponent),
        };
        Reading::of(of).source(&source, 0)?;
        return Ok((target, false));
    };
    Reading::of(of).source(&source, 0)?;
    let versions = Dictionary::get().versions().rev();
    let number = narrow(field);
    let def = versions.filter_map(|v| v.segment(of)?.field(number)).next();
    let repeats = def.is_none_or(|def| def.repetitions_max() != Some(1));
    let target = Target::Field {
        field: number,
        repetition: source.repetition.map_or(0, narrow),
        component: narrow(source.component),
        subcomponent: narrow(source.subcomponent),
    };
    Ok((
        target,
        repeats && source.component == 0 && source.repetition.is_none(),
    ))
}
