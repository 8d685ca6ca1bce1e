//! From blocks to a plan, with every name looked up; all problems are collected.

use std::collections::HashMap;

use hilum_fhir::definitions::{Child, Definitions, ElementId, TypeId};

use super::merge::{Everything, merge};
use super::source::Reading;
use super::{Map, Number, Plan, Portions, RowId};
use super::{codes, facts, identity, message, own, portions, reads, rows, target};
use crate::problem::{Fault, Problem, Spot};
use crate::text::{Entry, MapFile, MapName};

/// What is being made.
#[derive(Debug)]
pub(super) struct Compiler<'a> {
    pub(super) files: &'a [MapFile],
    pub(super) all: &'a Everything,
    pub(super) plan: Plan,
    pub(super) problems: Vec<Problem>,
    pub(super) codes: HashMap<String, Number>,
    pub(super) roles: HashMap<String, Number>,
    instances: HashMap<(MapName, ElementId, TypeId), Number>,
    /// Maps that were asked for and have no rows yet.
    waiting: Vec<(Number, MapName, Child)>,
}

/// Compiles the blocks of all files; later files change earlier ones.
pub(crate) fn compile(files: &[MapFile], mut problems: Vec<Problem>) -> (Plan, Vec<Problem>) {
    let all = merge(files, &mut problems);
    let mut compiler = Compiler {
        files,
        all: &all,
        plan: Plan::default(),
        problems,
        codes: HashMap::new(),
        roles: HashMap::new(),
        instances: HashMap::new(),
        waiting: Vec::new(),
    };
    compiler.plan.files = files.iter().map(|file| file.name.clone()).collect();
    codes::compile(&mut compiler);
    for (name, merged) in &all.maps {
        match target::type_named(&name.to, name.from.len() + 8) {
            Ok(child) => {
                compiler.instance(name, child);
            }
            Err(fault) => compiler.fault(merged.file, merged.spot, fault),
        }
        if let Err(fault) = Reading::of(&name.from).check(4) {
            compiler.fault(merged.file, merged.spot, fault);
        }
    }
    message::compile(&mut compiler);
    identity::compile(&mut compiler);
    while let Some((number, name, child)) = compiler.waiting.pop() {
        rows::compile(&mut compiler, number, &name, child);
    }
    reads::note_all(&mut compiler);
    facts::number(&mut compiler.plan);
    own::note(&mut compiler.plan);
    portions::note(&mut compiler.plan);
    let mut problems = compiler.problems;
    problems.sort();
    problems.dedup();
    (compiler.plan, problems)
}

impl Compiler<'_> {
    pub(super) fn fault(&mut self, file: u32, spot: Spot, fault: Fault) {
        let name = self
            .files
            .get(file as usize)
            .map_or("", |file| file.name.as_str());
        let at = u32::try_from(fault.at).unwrap_or(u32::MAX);
        self.problems.push(Problem {
            file: name.to_owned(),
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
    pub(super) fn row_fault<R>(&mut self, file: u32, row: &Entry<R>, column: usize, fault: Fault) {
        let spot = row
            .spots
            .get(column)
            .or(row.spots.last())
            .copied()
            .unwrap_or(row.spot);
        self.fault(file, spot, fault);
    }

    /// The map of this name for this type, made if it is asked for the first time.
    pub(super) fn instance(&mut self, name: &MapName, child: Child) -> Number {
        let key = (name.clone(), child.scope, child.ty);
        if let Some(number) = self.instances.get(&key) {
            return *number;
        }
        let number = Number::try_from(self.plan.maps.len()).unwrap_or(Number::MAX);
        self.instances.insert(key, number);
        self.plan.maps.push(Map {
            name: name.clone(),
            is_segment: Reading::of(&name.from).is_segment,
            places: Vec::new(),
            named: Vec::new(),
            rows: Vec::new(),
            asked: Vec::new(),
            guards: Vec::new(),
            beyond: None,
            portions: Portions::default(),
        });
        self.waiting.push((number, name.clone(), child));
        number
    }

    /// The map of a row, for what is at its target.
    pub(super) fn map_for(
        &mut self,
        name: &MapName,
        into: Child,
        at: usize,
    ) -> Result<Number, Fault> {
        if !self.all.maps.contains_key(name) {
            let names: Vec<String> = self.all.maps.keys().map(ToString::to_string).collect();
            let fault = Fault::new(at, name.to_string(), "there is no map of this name");
            return Err(fault.nearest(names.iter().map(String::as_str)));
        }
        let to = target::type_named(&name.to, at)?;
        let tables = Definitions::r4();
        let primitive = |child: Child| tables.type_def(child.ty).primitive().is_some();
        let same = to.scope == into.scope || (primitive(to) && primitive(into));
        // A map to a Quantity fills a Duration as well.
        let derived = to.scope == tables.type_def(to.ty).root
            && into.scope == tables.type_def(into.ty).root
            && tables.is_a(into.ty, to.ty);
        if !same && !derived {
            let there = tables.type_def(into.ty).name;
            let reason = format!("the map fills a {}, and the target is a {there}", name.to);
            return Err(Fault::new(at, name.to_string(), reason));
        }
        Ok(self.instance(name, into))
    }

    pub(super) fn row_id<R>(file: u32, row: &Entry<R>) -> RowId {
        RowId {
            file,
            spot: row.spot,
        }
    }
}
