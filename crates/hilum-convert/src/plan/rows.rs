//! Rows of a map.

use hilum_fhir::definitions::{Child, Definitions};

use super::compile::Compiler;
use super::condition::{condition, regex};
use super::merge::Everything;
use super::message;
use super::source::{Reading, is_simple};
use super::target::{self, Places};
use super::{CodesInto, CodesUse, Coding, Number, Row, SegRef, Src, Way};
use crate::problem::Fault;
use crate::text::{Entry, Function, JoinPart, MapName, MapRow, Target, Through};

pub(super) fn compile(compiler: &mut Compiler<'_>, number: Number, name: &MapName, child: Child) {
    let all = compiler.all;
    let Some(merged) = all.maps.get(name) else {
        return;
    };
    let mut places = Places::new(child);
    let mut rows = Vec::new();
    for (file, entry) in &merged.rows {
        let reading = Reading {
            own: entry.row.source.clone(),
            ..Reading::of(&name.from)
        };
        // A row without target says why a line of the guide is not carried out.
        let Some(target) = &entry.row.target else {
            if let Some(Err(fault)) = entry
                .row
                .source
                .as_ref()
                .map(|source| reading.source(source, 0))
            {
                compiler.row_fault(*file, entry, 0, fault);
            }
            continue;
        };
        if let Some(row) = row(compiler, *file, entry, &reading, target, &mut places) {
            rows.push(row);
        }
    }
    if let Some(map) = compiler.plan.maps.get_mut(number as usize) {
        map.places = places.defs;
        map.named = places.named;
        map.asked = rows.iter().map(|row| asked(row, map.is_segment)).collect();
        map.rows = rows;
    }
}

/// The field or component without which a row does nothing.
const fn asked(row: &Row, of_segment: bool) -> u32 {
    match row.source {
        Src::Field {
            segment: SegRef::Own,
            field,
            ..
        } if of_segment => field,
        Src::Value { component, .. } => component,
        Src::Once | Src::Segment(_) | Src::Field { .. } => 0,
    }
}

fn row(
    compiler: &mut Compiler<'_>,
    file: u32,
    entry: &Entry<MapRow>,
    reading: &Reading,
    target: &Target,
    places: &mut Places,
) -> Option<Row> {
    let MapRow {
        source,
        condition: test,
        through,
        ..
    } = &entry.row;
    let mut failed = false;
    let mut fail = |compiler: &mut Compiler<'_>, column: usize, fault: Fault| {
        failed = true;
        compiler.row_fault(file, entry, column, fault);
    };
    let source = match source.as_ref().map(|source| reading.source(source, 0)) {
        None => Src::Once,
        Some(Ok(source)) => source,
        Some(Err(fault)) => {
            fail(compiler, 0, fault);
            Src::Once
        }
    };
    let condition = match test.as_ref().map(|test| condition(reading, test)) {
        None => None,
        Some(Ok(condition)) => Some(condition),
        Some(Err(fault)) => {
            fail(compiler, 2, fault);
            None
        }
    };
    let place = match places.place(target) {
        Ok(place) => place,
        Err(fault) => {
            fail(compiler, 1, fault);
            return None;
        }
    };
    let def = places.get(place)?;
    let (into, primitive) = (def.child, def.primitive.is_some());
    let way = match way(compiler, reading, through, into, primitive) {
        Ok(way) => way,
        Err(Column::Target(fault)) => {
            fail(compiler, 1, fault);
            return None;
        }
        Err(Column::Through(fault)) => {
            fail(compiler, 3, fault);
            return None;
        }
    };
    if failed {
        return None;
    }
    Some(Row {
        id: Compiler::row_id(file, entry),
        source,
        many: places.many(place, true),
        whole: reading.own.as_ref().is_some_and(is_simple),
        condition,
        place,
        way,
    })
}

/// The column that a fault is in.
enum Column {
    Target(Fault),
    Through(Fault),
}

fn way(
    compiler: &mut Compiler<'_>,
    reading: &Reading,
    through: &Through,
    into: Child,
    primitive: bool,
) -> Result<Way, Column> {
    let tables = Definitions::r4();
    let name = tables.type_def(into.ty).name;
    let all = compiler.all;
    let must_be_primitive = || {
        if primitive {
            return Ok(());
        }
        Err(Column::Target(no_primitive(all, name)))
    };
    match through {
        Through::Type => must_be_primitive().map(|()| Way::Type),
        Through::Constant(text) => {
            must_be_primitive()?;
            let kind = tables.type_def(into.ty).primitive();
            if let Some(fault) = kind.and_then(|kind| hilum_fhir::value_fault(kind, text)) {
                return Err(Column::Through(Fault::new(
                    0,
                    text,
                    format!("no value of type {name}: {fault}"),
                )));
            }
            Ok(Way::Constant(text.as_str().into()))
        }
        Through::Given(given) => must_be_primitive().map(|()| Way::Given(*given)),
        Through::Reference { at, role } => {
            let (number, _) = message::role(compiler, role, *at).map_err(Column::Through)?;
            let (reference, _) =
                target::reference(into, "", &role.resource, 0).map_err(Column::Target)?;
            Ok(Way::Role(number, reference.text))
        }
        Through::Function {
            function,
            arguments,
            codes: table,
        } => {
            let table = match table {
                Some(table) => {
                    Some(codes(compiler, table, into, primitive).map_err(Column::Through)?)
                }
                None => {
                    must_be_primitive()?;
                    None
                }
            };
            if let (Function::Capture, [JoinPart::Text(text)]) = (function, arguments.as_slice()) {
                let regex = regex(text).map_err(Column::Through)?;
                return Ok(Way::Capture(regex, table));
            }
            let arguments = reading.join(arguments).map_err(Column::Through)?;
            Ok(Way::Function(*function, arguments, table))
        }
        Through::Codes(table) => codes(compiler, table, into, primitive)
            .map(Way::Codes)
            .map_err(Column::Through),
        Through::Map {
            of,
            map,
            at,
            codes: table,
        } => {
            let of = of.as_ref().map(|of| reading.source(of, 0));
            let of = of.transpose().map_err(Column::Through)?;
            let number = compiler.map_for(map, into, *at).map_err(Column::Through)?;
            let table = match table {
                Some(table) => {
                    Some(codes(compiler, table, into, primitive).map_err(Column::Through)?)
                }
                None => None,
            };
            Ok(Way::Map {
                of,
                map: number,
                codes: table,
            })
        }
    }
}

/// What is said of a value for an element that has elements of its own.
fn no_primitive(all: &Everything, name: &str) -> Fault {
    let maps = all.maps.keys().filter(|map| map.to == name);
    let maps: Vec<String> = maps.map(ToString::to_string).take(5).collect();
    let reason = "the target is not a primitive, so a value cannot be written to it";
    let fault = Fault::new(0, name, reason);
    if maps.is_empty() {
        return fault.remedy("name the element in it");
    }
    let maps = maps.join("`, `");
    fault.remedy(format!("name the element in it, or a map such as `{maps}`"))
}

fn codes(
    compiler: &Compiler<'_>,
    table: &str,
    into: Child,
    primitive: bool,
) -> Result<CodesUse, Fault> {
    let Some(number) = compiler.codes.get(table) else {
        let fault = Fault::new(0, table, "there is no table of codes of this name");
        return Err(fault.nearest(compiler.codes.keys().map(String::as_str)));
    };
    let tables = Definitions::r4();
    let wrong = || {
        let name = tables.type_def(into.ty).name;
        Fault::new(
            0,
            table,
            format!("codes fill a code, a Coding or a CodeableConcept, and the target is a {name}"),
        )
    };
    let coding = |child: Child| {
        Some(Coding {
            system: tables.child(child.scope, "system")?,
            code: tables.child(child.scope, "code")?,
            display: tables.child(child.scope, "display")?,
        })
    };
    let into = if primitive {
        CodesInto::Primitive
    } else if let Some(inside) = tables.child(into.scope, "coding") {
        CodesInto::Concept {
            coding: inside,
            inside: coding(inside).ok_or_else(wrong)?,
        }
    } else {
        CodesInto::Coding(coding(into).ok_or_else(wrong)?)
    };
    Ok(CodesUse {
        table: *number,
        into,
    })
}
