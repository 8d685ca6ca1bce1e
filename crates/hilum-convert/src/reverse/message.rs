//! Rows of messages of the way back: groups and segments in the order in which they are sent.

use hilum_fhir::definitions::Child;
use hilum_hl7v2::dictionary::{Node as DictionaryNode, NodeKind};

use super::compile::{Compiler, Raw};
use super::plan::{Node, What};
use crate::plan::{newest, source::segment_id, target};
use crate::problem::Fault;
use crate::text::{FhirCond, FhirPath, MapName, ReverseHead};

pub(super) fn compile(
    compiler: &mut Compiler<'_>,
    from: &str,
    structure: &str,
    with: Option<&str>,
    own: &[Raw],
) {
    let rows = match with {
        None => own.to_vec(),
        Some(with) => {
            let head = ReverseHead::Message {
                from: from.to_owned(),
                structure: with.to_owned(),
                with: None,
            };
            let mut rows = match compiler.blocks.get(&head.to_string()) {
                Some((_, rows)) => rows.clone(),
                None => Vec::new(),
            };
            rows.extend_from_slice(own);
            rows
        }
    };
    let Some(first) = rows.first().cloned() else {
        return;
    };
    let context = match target::type_named(from, 8) {
        Ok(context) => context,
        Err(fault) => return compiler.row_fault(&first, 0, fault),
    };
    let Some(known) = newest(structure) else {
        let fault = Fault::new(8, structure, "no message structure of HL7 v2");
        return compiler.row_fault(&first, 0, fault);
    };
    let mut nodes = Vec::new();
    let mut rest = rows.as_slice();
    while !rest.is_empty() {
        rest = level(
            compiler,
            rest,
            "",
            known.root(),
            context,
            with.is_some(),
            &mut nodes,
        );
    }
    let key = (context.ty, structure.to_owned());
    compiler.plan.messages.insert(key, nodes);
}

/// Reads the first row and those below it, and gives the others back.
fn level<'r>(
    compiler: &mut Compiler<'_>,
    rows: &'r [Raw],
    above: &str,
    parent: DictionaryNode,
    context: Child,
    lenient: bool,
    into: &mut Vec<Node>,
) -> &'r [Raw] {
    let Some((raw, rest)) = rows.split_first() else {
        return rows;
    };
    let text = raw.cell(0).unwrap_or_default();
    let name = text.get(above.len()..).unwrap_or(text);
    let prefix = format!("{text}.");
    let below = rest
        .iter()
        .take_while(|row| row.cell(0).is_some_and(|cell| cell.starts_with(&prefix)))
        .count();
    let (children, rest) = rest.split_at(below);
    let found = place(parent, name);
    let Some(at) = found.filter(|_| !name.contains('.')) else {
        // A structure that lacks a segment of the one whose rows it has goes without it.
        if !lenient {
            let fault = Fault::new(above.len(), name, "there is no such segment or group there");
            compiler.row_fault(
                raw,
                0,
                fault.remedy("a group stands in a row of its own above"),
            );
        }
        return rest;
    };
    let (always, source_text) = match raw.cell(1) {
        Some(text) => match text.strip_suffix(" or -") {
            Some(path) => (true, Some(path)),
            None => (false, Some(text)),
        },
        None => (true, None),
    };
    let made = (|| {
        let source = source_text.map(|text| {
            let path = FhirPath::read(text)?;
            compiler.reader().path(&path, context)
        });
        let source = source.transpose().map_err(|fault| (1, fault))?;
        let end = source.as_ref().map_or(context, |path| path.end);
        let condition = raw.cell(2).map(|text| {
            let condition = FhirCond::read(text)?;
            compiler.reader().condition(&condition, end)
        });
        let condition = condition.transpose().map_err(|fault| (2, fault))?;
        Ok((source, end, condition))
    })();
    let (source, end, condition) = match made {
        Ok(made) => made,
        Err((column, fault)) => {
            compiler.row_fault(raw, column, fault);
            return rest;
        }
    };
    let what = if at.kind() == NodeKind::Segment {
        segment(compiler, raw, at.name(), end)
    } else {
        let mut nodes = Vec::new();
        let mut inner = children;
        while !inner.is_empty() {
            inner = level(compiler, inner, &prefix, at, end, lenient, &mut nodes);
        }
        Some(What::Group(nodes))
    };
    into.extend(what.map(|what| Node {
        what,
        source,
        always,
        condition,
    }));
    rest
}

fn segment(compiler: &mut Compiler<'_>, raw: &Raw, name: &str, end: Child) -> Option<What> {
    let text = raw.cell(3).unwrap_or_default();
    let map = MapName::read(text).and_then(|map| {
        if map.to != name {
            let reason = format!("the map writes {}", map.to);
            return Err(Fault::new(0, text, reason));
        }
        compiler.map_for(&map, end, 0)
    });
    match map {
        Ok(map) => segment_id(name).map(|name| What::Segment { name, map }),
        Err(fault) => {
            compiler.row_fault(raw, 3, fault);
            None
        }
    }
}

fn place(of: DictionaryNode, name: &str) -> Option<DictionaryNode> {
    for child in of.children() {
        if child.name() == name {
            return Some(child);
        }
        let through = child.kind() == NodeKind::Choice || child.name().ends_with("_SUPPGRP");
        if through && let Some(found) = place(child, name) {
            return Some(found);
        }
    }
    None
}
