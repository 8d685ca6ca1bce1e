//! Rows of messages.

use std::collections::HashMap;

use hilum_fhir::definitions::{Child, Definitions};
use hilum_hl7v2::Message;
use hilum_hl7v2::dictionary::{Dictionary, Node, NodeKind, Structure};

use super::compile::Compiler;
use super::condition::condition;
use super::merge::Merged;
use super::source::{Reading, is_segment, segment_id};
use super::target::{self, Places, type_named};
use super::{Holder, LinkDef, LinkEnd, MessagePlan, Number, Plan, RoleDef, SegmentRow};
use crate::problem::Fault;
use crate::text::{Entry, Link, LinkTo, MessageRow, Role, Step};

/// The newest structure of a name, which may be that of an event: ADT_A11 has that of ADT_A09.
pub(crate) fn newest(id: &str) -> Option<Structure> {
    Dictionary::get().versions().rev().find_map(|version| {
        version.structure(id).or_else(|| {
            let mut events = version.events();
            let (_, structure) = events.find(|(event, _)| *event == id)?;
            version.structure(structure)
        })
    })
}

impl Plan {
    /// The rows for a message: those of its event, else those of its structure.
    pub(crate) fn rows_of(&self, message: &Message, structure: &str) -> Option<&MessagePlan> {
        let code = message.component("MSH", 9, 1)?;
        let event = message.component("MSH", 9, 2);
        let event = event.and_then(|event| self.by_structure.get(&format!("{code}_{event}")));
        let by_event = event
            .and_then(|number| self.messages.get(*number as usize))
            .filter(|rows| rows.structure == structure);
        by_event.or_else(|| {
            self.messages
                .get(*self.by_structure.get(structure)? as usize)
        })
    }
}

pub(super) fn compile(compiler: &mut Compiler<'_>) {
    let all = compiler.all;
    for (id, (with, merged)) in &all.messages {
        let (rows, lenient) = match with {
            None => (merged, false),
            Some(with) => match all.messages.get(with) {
                Some((None, rows)) => (rows, true),
                Some(_) | None => {
                    let names = all.messages.iter().filter(|(_, (with, _))| with.is_none());
                    let fault = Fault::new(0, with, "there is no message with rows of this name");
                    let fault = fault.nearest(names.map(|(name, _)| name.as_str()));
                    compiler.fault(merged.file, merged.spot, fault);
                    continue;
                }
            },
        };
        let Some(structure) = newest(id) else {
            let newest = Dictionary::get().versions().next_back();
            let names: Vec<_> =
                newest.map_or_else(Vec::new, |v| v.structures().map(|s| s.id()).collect());
            let fault = Fault::new(8, id, "no message structure of HL7 v2").nearest(names);
            compiler.fault(merged.file, merged.spot, fault);
            continue;
        };
        message(
            compiler,
            id,
            structure,
            rows,
            with.is_some().then_some(merged),
            lenient,
        );
    }
}

fn message(
    compiler: &mut Compiler<'_>,
    id: &str,
    structure: Structure,
    rows: &Merged<MessageRow>,
    own: Option<&Merged<MessageRow>>,
    lenient: bool,
) {
    let mut plan = MessagePlan {
        structure: structure.id(),
        rows: Vec::new(),
        by_node: vec![Vec::new(); usize::from(structure.node_count())],
        by_segment: HashMap::new(),
        reads: HashMap::new(),
    };
    let own = own.map(|own| own.rows.iter().map(|row| (row, false)));
    let rows = rows.rows.iter().map(|row| (row, lenient));
    for ((file, entry), lenient) in rows.chain(own.into_iter().flatten()) {
        let nodes = match nodes(structure, &entry.row) {
            Ok(nodes) => nodes,
            Err(_) if lenient => continue,
            Err(fault) => {
                compiler.row_fault(*file, entry, 0, fault);
                continue;
            }
        };
        let Some(row) = segment_row(compiler, *file, entry) else {
            continue;
        };
        let number = Number::try_from(plan.rows.len()).unwrap_or(Number::MAX);
        for node in nodes {
            if let Some(list) = plan.by_node.get_mut(usize::from(node)) {
                list.push(number);
            }
        }
        // A segment out of its place counts as the first.
        if entry.row.place.is_none_or(|place| place == 1)
            && let Some(key) = segment_id(&entry.row.segment)
        {
            plan.by_segment.entry(key).or_default().push(number);
        }
        plan.rows.push(row);
    }
    let number = Number::try_from(compiler.plan.messages.len()).unwrap_or(Number::MAX);
    compiler.plan.by_structure.insert(id.to_owned(), number);
    compiler.plan.messages.push(plan);
}

/// The nodes of a row; none for a segment that the structure has nowhere: a site's Z segment, or one
/// that other versions have there, which is taken by its name.
fn nodes(structure: Structure, row: &MessageRow) -> Result<Vec<u16>, Fault> {
    let mut at = structure.root();
    let mut column = 0;
    for group in &row.groups {
        at = find(at, group).ok_or_else(|| {
            let mut names = Vec::new();
            collect(at, NodeKind::Group, &mut names);
            Fault::new(
                column,
                group,
                format!("{} has no such group there", structure.id()),
            )
            .nearest(names)
        })?;
        column += group.chars().count() + 1;
    }
    let mut found = Vec::new();
    places(at, &row.segment, &mut found);
    match row.place {
        None if !found.is_empty() => Ok(found),
        Some(place) if found.len() >= place => {
            Ok(found.into_iter().skip(place - 1).take(1).collect())
        }
        None if row.segment.starts_with('Z') => Ok(found),
        None if row.groups.is_empty() && is_segment(&row.segment) && !has(at, &row.segment) => {
            Ok(found)
        }
        _ => {
            let mut names = Vec::new();
            collect(at, NodeKind::Segment, &mut names);
            let reason = match row.place {
                Some(_) if !found.is_empty() => {
                    format!("{} has fewer places for the segment there", structure.id())
                }
                _ => format!("{} has no such segment there", structure.id()),
            };
            Err(Fault::new(column, &row.segment, reason).nearest(names))
        }
    }
}

/// The places of a segment in a group, in the order of the structure.
fn places(of: Node, segment: &str, found: &mut Vec<u16>) {
    for child in of.children() {
        if child.kind() == NodeKind::Segment && child.name() == segment {
            found.push(child.index());
        }
        if is_transparent(child) {
            places(child, segment, found);
        }
    }
}

/// Whether a group has a segment anywhere below it.
fn has(of: Node, segment: &str) -> bool {
    of.children().any(|child| match child.kind() {
        NodeKind::Segment => child.name() == segment,
        _ => has(child, segment),
    })
}

/// Whether paths pass through a node without naming it.
fn is_transparent(node: Node) -> bool {
    node.kind() == NodeKind::Choice || node.name().ends_with("_SUPPGRP")
}

fn find(of: Node, group: &str) -> Option<Node> {
    for child in of.children() {
        if child.kind() != NodeKind::Segment && child.name() == group {
            return Some(child);
        }
        if is_transparent(child)
            && let Some(found) = find(child, group)
        {
            return Some(found);
        }
    }
    None
}

fn collect(of: Node, kind: NodeKind, names: &mut Vec<&'static str>) {
    for child in of.children() {
        if child.kind() == kind {
            names.push(child.name());
        }
        if is_transparent(child) {
            collect(child, kind, names);
        }
    }
}

pub(super) fn role(
    compiler: &mut Compiler<'_>,
    role: &Role,
    at: usize,
) -> Result<(Number, Child), Fault> {
    let child = type_named(&role.resource, at)?;
    if !Definitions::r4().type_def(child.ty).is_resource() {
        return Err(Fault::new(at, &role.resource, "not a type of resource"));
    }
    let text = match &role.name {
        Some(name) => format!("{}[{name}]", role.resource),
        None => role.resource.clone(),
    };
    let next = Number::try_from(compiler.plan.roles.len()).unwrap_or(Number::MAX);
    let number = *compiler.roles.entry(text).or_insert(next);
    if number == next {
        compiler.plan.roles.push(RoleDef { ty: child.ty });
    }
    Ok((number, child))
}

fn segment_row(
    compiler: &mut Compiler<'_>,
    file: u32,
    entry: &Entry<MessageRow>,
) -> Option<SegmentRow> {
    let row = &entry.row;
    let reading = Reading {
        of: row.segment.clone(),
        is_segment: true,
        own: None,
    };
    let mut failed = false;
    let mut fail = |compiler: &mut Compiler<'_>, column: usize, fault: Fault| {
        failed = true;
        compiler.row_fault(file, entry, column, fault);
    };
    if !is_segment(&row.segment) {
        fail(
            compiler,
            0,
            Fault::new(0, &row.segment, "there is no such segment"),
        );
    }
    let (number, child) = match role(compiler, row.role.as_ref()?, if row.each { 5 } else { 0 }) {
        Ok(found) => found,
        Err(fault) => {
            fail(compiler, 1, fault);
            return None;
        }
    };
    let condition = match row.condition.as_ref().map(|test| condition(&reading, test)) {
        None => None,
        Some(Ok(condition)) => Some(condition),
        Some(Err(fault)) => {
            fail(compiler, 2, fault);
            None
        }
    };
    let map = match row
        .map
        .as_ref()
        .map(|name| compiler.map_for(name, child, 0))
    {
        None => None,
        Some(Ok(map)) => Some(map),
        Some(Err(fault)) => {
            fail(compiler, 3, fault);
            None
        }
    };
    let mut holders = Vec::new();
    for link in &row.links {
        if let Err(fault) = self::link(compiler, link, child, &mut holders) {
            fail(compiler, 4, fault);
        }
    }
    let holders = holders.into_iter().map(|(role, places, links)| Holder {
        role,
        places: places.defs,
        links,
    });
    if failed {
        return None;
    }
    Some(SegmentRow {
        role: number,
        is_bundle: child.ty == Definitions::r4().known().bundle,
        each: row.each,
        condition,
        map,
        holders: holders.collect(),
        depth: Number::try_from(row.groups.len()).unwrap_or(Number::MAX),
    })
}

/// A holder in the making.
type Held = (Option<Number>, Places, Vec<LinkDef>);

fn link(
    compiler: &mut Compiler<'_>,
    link: &Link,
    own: Child,
    holders: &mut Vec<Held>,
) -> Result<(), Fault> {
    let (holder, root) = match &link.holder {
        None => (None, own),
        Some(of) => {
            let (number, child) = role(compiler, of, link.at)?;
            (Some(number), child)
        }
    };
    let (to, ty) = match &link.to {
        LinkTo::This => (LinkEnd::This, Some(own)),
        LinkTo::Text(text) => (LinkEnd::Text(text.as_str().into()), None),
        LinkTo::Role(of) => {
            let (number, child) = role(compiler, of, link.at)?;
            (LinkEnd::Role(number), Some(child))
        }
    };
    let known = holders.iter().position(|(role, ..)| *role == holder);
    let at = known.unwrap_or(holders.len());
    if known.is_none() {
        holders.push((holder, Places::new(root), Vec::new()));
    }
    let Some((_, places, links)) = holders.get_mut(at) else {
        return Ok(());
    };
    let moved = |mut fault: Fault| {
        fault.at += link.at;
        fault
    };
    let place = places.place(&link.target).map_err(moved)?;
    let Some(def) = places.get(place) else {
        return Ok(());
    };
    let text = match ty {
        Some(to) => {
            let name = Definitions::r4().type_def(to.ty).name;
            let last = link.target.steps.last().map(|place| &place.step);
            let element = match last {
                Some(Step::Element { name, .. }) => name.as_str(),
                _ => "",
            };
            let (reference, _) = target::reference(def.child, element, name, 0).map_err(moved)?;
            reference.text
        }
        None if def.primitive.is_none() => {
            let reason = "a constant is written to a primitive";
            return Err(Fault::new(link.at, &link.target.text, reason));
        }
        None => def.child,
    };
    links.push(LinkDef { place, text, to });
    Ok(())
}
