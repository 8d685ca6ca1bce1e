//! Rows of the way there that are turned round.
//!
//! A row is one to one when it has no condition, nothing else in its map writes its target or reads
//! its source, and its way can be gone back. All others need a row of their own.

use std::collections::HashSet;

use super::compile::{Compiler, Raw};
use crate::text::{Entry, Function, MapName, MapRow, Step, Target, Through};

/// The rows that lead back along `name`, without the fields that rows by hand write.
pub(super) fn rows(
    compiler: &Compiler<'_>,
    name: &MapName,
    written: &HashSet<(Option<u32>, u32)>,
) -> Vec<Raw> {
    let there = MapName {
        from: name.to.clone(),
        to: name.from.clone(),
        variant: name.variant.clone(),
    };
    let Some(merged) = compiler.all.maps.get(&there) else {
        return Vec::new();
    };
    let mut rows = Vec::new();
    for (file, entry) in &merged.rows {
        let row = &entry.row;
        let (Some(source), Some(target)) = (&row.source, &row.target) else {
            continue;
        };
        let hand = written.iter().any(|(field, component)| {
            *field == source.field && (field.is_some() || *component == source.component)
        });
        let whole = source.field.is_none() && source.component == 0;
        if hand || whole || source.name != there.from || source.repetition.is_some() {
            continue;
        }
        let alone = |other: &Entry<MapRow>| {
            let same_target = other
                .row
                .target
                .as_ref()
                .is_some_and(|t| overlaps(t, target));
            let same_source = other.row.target.is_some() && other.row.source == row.source;
            !same_target && !same_source
        };
        let others = merged.rows.iter().map(|(_, other)| other);
        if row.condition.is_some() || !others.filter(|o| o.spot != entry.spot).all(alone) {
            continue;
        }
        let (Some(path), Some(way)) = (path(target), way(compiler, &row.through)) else {
            continue;
        };
        rows.push(Raw {
            file: *file,
            spot: entry.spot,
            spots: entry.spots.clone(),
            cells: vec![path, source.to_string(), "-".to_owned(), way],
        });
    }
    rows
}

/// Whether two targets are one, or one lies in the other.
fn overlaps(a: &Target, b: &Target) -> bool {
    let (short, long) = if a.text.len() < b.text.len() {
        (&a.text, &b.text)
    } else {
        (&b.text, &a.text)
    };
    short == "."
        || long
            .strip_prefix(short.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[', '(', '/']))
}

/// The steps of a target as a path; none where its elements are told apart by a slot.
fn path(target: &Target) -> Option<String> {
    let mut steps = Vec::new();
    for place in &target.steps {
        steps.push(match &place.step {
            Step::Element {
                name, slot: None, ..
            } => name.clone(),
            Step::Extension { name, url, .. } if name == "extension" => {
                format!("extension({url})")
            }
            Step::Refer {
                name,
                to,
                slot: None,
                ..
            } => format!("{name}.resolve({to})"),
            Step::Back { from, name } => format!("back({from}.{name})"),
            Step::Element { .. } | Step::Extension { .. } | Step::Refer { .. } => return None,
        });
    }
    (!steps.is_empty()).then(|| steps.join("."))
}

fn way(compiler: &Compiler<'_>, through: &Through) -> Option<String> {
    Some(match through {
        Through::Type => "-".to_owned(),
        // The row's source is not where the value stands.
        Through::Map { of: Some(_), .. } => return None,
        Through::Map { map, codes, .. } => {
            let back = MapName {
                from: map.to.clone(),
                to: map.from.clone(),
                variant: map.variant.clone(),
            };
            let plain = MapName {
                variant: None,
                ..back.clone()
            };
            let known = [back, plain]
                .into_iter()
                .find(|name| compiler.knows(name))?;
            match codes {
                Some(codes) => format!("{known}, codes {codes}"),
                None => known.to_string(),
            }
        }
        Through::Codes(name) => format!("codes {name}"),
        Through::Function {
            function,
            arguments,
            codes: None,
        } if arguments.is_empty() => match function {
            Function::Authority => "authority()".to_owned(),
            Function::System => "system()".to_owned(),
            Function::Text | Function::Lower => "-".to_owned(),
            _ => return None,
        },
        Through::Constant(_)
        | Through::Reference { .. }
        | Through::Given(_)
        | Through::Function { .. } => return None,
    })
}
