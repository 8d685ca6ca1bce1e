//! Which fields of a message its rows read: what no row reads is told.

use std::collections::HashMap;

use hilum_hl7v2::dictionary::Dictionary;

use super::compile::Compiler;
use super::source::segment_id;
use super::{Cond, Fields, Joined, KeyDef, Number, Plan, SegRef, Src, Way};

/// Notes which fields of which segments the rows of each message read.
pub(super) fn note_all(compiler: &mut Compiler<'_>) {
    let plan = &mut compiler.plan;
    let maps: Vec<HashMap<[u8; 3], Fields>> = plan
        .maps
        .iter()
        .map(|map| {
            let mut reads = HashMap::new();
            let own = segment_id(&map.name.from).filter(|_| map.is_segment);
            for row in &map.rows {
                note(&mut reads, own, &row.source);
                if let Some(condition) = &row.condition {
                    note_condition(&mut reads, own, condition);
                }
                if let Way::Function(_, parts, _) = &row.way {
                    note_join(&mut reads, own, parts);
                }
                if let Way::Map { of: Some(src), .. } = &row.way {
                    note(&mut reads, own, src);
                }
            }
            reads
        })
        .collect();
    let below: Vec<Vec<Number>> = plan
        .maps
        .iter()
        .map(|map| {
            let inner = map.rows.iter().filter_map(|row| match row.way {
                Way::Map { map, .. } => Some(map),
                Way::Type
                | Way::Constant(_)
                | Way::Codes(_)
                | Way::Capture(..)
                | Way::Role(..)
                | Way::Given(_)
                | Way::Function(..) => None,
            });
            inner.collect()
        })
        .collect();
    let everywhere = read_everywhere(plan);
    for message in &mut plan.messages {
        message.reads.clone_from(&everywhere);
        for (segment, rows) in &message.by_segment {
            let conditions = rows
                .iter()
                .filter_map(|row| message.rows.get(*row as usize));
            for condition in conditions.filter_map(|row| row.condition.as_ref()) {
                note_condition(&mut message.reads, Some(*segment), condition);
            }
        }
        let mut seen = vec![false; maps.len()];
        let mut open: Vec<Number> = message.rows.iter().filter_map(|row| row.map).collect();
        while let Some(number) = open.pop() {
            let at = number as usize;
            if seen.get(at).is_none_or(|seen| *seen) {
                continue;
            }
            if let Some(seen) = seen.get_mut(at) {
                *seen = true;
            }
            open.extend(below.get(at).into_iter().flatten());
            for (segment, fields) in maps.get(at).into_iter().flatten() {
                message.reads.entry(*segment).or_default().0 |= fields.0;
            }
        }
        for (segment, fields) in &mut message.reads {
            if begins_with_set_id(segment) {
                fields.add(1);
            }
        }
    }
}

/// What is read of every message.
fn read_everywhere(plan: &Plan) -> HashMap<[u8; 3], Fields> {
    let mut everywhere: HashMap<[u8; 3], Fields> = HashMap::new();
    // The engine itself reads the time, the structure and the version; EVN-1 says again what the
    // structure says.
    for field in [7, 9, 12] {
        everywhere.entry(*b"MSH").or_default().add(field);
    }
    everywhere.entry(*b"EVN").or_default().add(1);
    for row in &plan.identity {
        if let Some(condition) = &row.condition {
            note_condition(&mut everywhere, None, condition);
        }
        if let KeyDef::Join(parts) = &row.key {
            note_join(&mut everywhere, None, parts);
        }
    }
    everywhere
}

/// Whether the first field of a segment counts its repetitions (SI, HL7 v2.9 §2.A.69): it says
/// nothing that the order of the segments does not.
fn begins_with_set_id(segment: &[u8; 3]) -> bool {
    let mut versions = Dictionary::get().versions().rev();
    let ty = versions.find_map(|version| {
        let field = version.segment_bytes(segment)?.field(1)?;
        Some(field.data_type())
    });
    ty == Some("SI")
}

fn note(reads: &mut HashMap<[u8; 3], Fields>, own: Option<[u8; 3]>, src: &Src) {
    let segment = |of: &SegRef| match of {
        SegRef::Own => own,
        SegRef::Other(id) => Some(*id),
    };
    match src {
        Src::Field {
            segment: of, field, ..
        } => {
            if let Some(id) = segment(of) {
                reads.entry(id).or_default().add(*field);
            }
        }
        Src::Once | Src::Segment(_) | Src::Value { .. } => {}
    }
}

fn note_join(reads: &mut HashMap<[u8; 3], Fields>, own: Option<[u8; 3]>, parts: &[Joined]) {
    for part in parts {
        if let Joined::Path(src) = part {
            note(reads, own, src);
        }
    }
}

fn note_condition(reads: &mut HashMap<[u8; 3], Fields>, own: Option<[u8; 3]>, condition: &Cond) {
    match condition {
        Cond::And(parts) | Cond::Or(parts) => {
            parts
                .iter()
                .for_each(|part| note_condition(reads, own, part));
        }
        Cond::Not(inner) | Cond::Fact { of: inner, .. } => note_condition(reads, own, inner),
        _ => condition.sources().for_each(|src| note(reads, own, src)),
    }
}
