//! How much of the v2-to-FHIR guide the rows carry out: its tables held against the lines that rows
//! cite.

use std::collections::{BTreeMap, BTreeSet};

use crate::maps::Maps;
use crate::text::{Block, Entry, Head, Origin, Rows};

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Covered.
    pub covered: usize,
    /// In the guide.
    pub all: usize,
}

impl Share {
    fn count(&mut self, covered: bool) {
        self.covered += usize::from(covered);
        self.all += 1;
    }
}

/// What is covered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Tables of message structures with a block of rows.
    pub messages: Share,
    /// Segment maps.
    pub segment_maps: Share,
    /// Data type maps.
    pub data_type_maps: Share,
    /// Vocabulary maps.
    pub vocabulary_maps: Share,
    /// Lines of all tables that say what to do.
    pub lines: Share,
    /// Fields that a segment map gives a target, by segment.
    pub fields: BTreeMap<String, Share>,
    /// Lines with a condition for machines.
    pub computable: Share,
    /// Lines with a condition in words alone.
    pub narrative: Share,
    /// Lines that nothing cites: table and line.
    pub open: Vec<(String, u32)>,
}

/// One line of a table.
struct Record {
    /// Where it starts.
    line: u32,
    cells: Vec<String>,
}

/// Reads a CSV (RFC 4180), with the line at which each record starts.
fn records(text: &str) -> Vec<Record> {
    let (mut records, mut cells, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut line, mut start, mut quoted) = (1_u32, 1_u32, false);
    let mut characters = text.trim_start_matches('\u{feff}').chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell)),
            '\r' => {}
            '\n' => {
                line = line.saturating_add(1);
                if quoted {
                    cell.push('\n');
                    continue;
                }
                cells.push(std::mem::take(&mut cell));
                let cells = std::mem::take(&mut cells);
                records.push(Record { line: start, cells });
                start = line;
            }
            c => cell.push(c),
        }
    }
    cells.push(cell);
    records.push(Record { line: start, cells });
    records
}

impl Record {
    fn cell(&self, at: usize) -> &str {
        self.cells.get(at).map_or("", |cell| cell.trim())
    }

    fn any(&self, cells: &[usize]) -> bool {
        cells.iter().any(|at| !self.cell(*at).is_empty())
    }
}

/// The columns of one kind of table.
struct Columns {
    /// What is mapped: a field, a component, a code, a segment.
    source: usize,
    computable: [usize; 2],
    narrative: usize,
    /// A line with one of these says what to do.
    targets: &'static [usize],
}

const SEGMENT: Columns = Columns {
    source: 1,
    computable: [6, 7],
    narrative: 8,
    targets: &[9, 14, 15, 16],
};
const MESSAGE: Columns = Columns {
    source: 1,
    computable: [6, 7],
    narrative: 8,
    targets: &[9, 10],
};
const CODES: Columns = Columns {
    source: 0,
    computable: [3, 4],
    narrative: 5,
    targets: &[6],
};

/// The lines that the rows of a block cite.
fn cited<R>(rows: &[Entry<R>], lines: &mut BTreeSet<u32>) {
    for row in rows {
        lines.extend(&row.why.lines);
    }
}

fn lines_of(block: &Block, lines: &mut BTreeSet<u32>) {
    match &block.rows {
        Rows::Map(rows) => cited(rows, lines),
        Rows::Message(rows) => cited(rows, lines),
        Rows::Codes { rows, .. } => cited(rows, lines),
        Rows::Identity(rows) => cited(rows, lines),
        // Rows of the way back carry out no table of the guide.
        Rows::Reverse(_) => {}
    }
}

/// Holds the guide's tables (name such as `segments/PID[Patient]`, and text) against the rows.
#[must_use]
pub fn coverage(maps: &Maps, tables: &[(String, String)]) -> Coverage {
    let mut blocks: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    for block in maps.files().iter().flat_map(|file| &file.blocks) {
        // A block that has the rows of another one is none of the guide's.
        let own = !matches!(&block.head, Head::Message { with: Some(_), .. });
        if let (Some(Origin::Guide(name)), true) = (&block.origin, own) {
            lines_of(block, blocks.entry(name).or_default());
        }
    }
    let mut coverage = Coverage::default();
    for (name, text) in tables {
        let lines = blocks.get(name.as_str());
        let (folder, _) = name.split_once('/').unwrap_or_default();
        let (columns, share) = match folder {
            "segments" => (&SEGMENT, &mut coverage.segment_maps),
            "datatypes" => (&SEGMENT, &mut coverage.data_type_maps),
            "codesystems" => (&CODES, &mut coverage.vocabulary_maps),
            "messages" => (&MESSAGE, &mut coverage.messages),
            _ => continue,
        };
        share.count(lines.is_some());
        let empty = BTreeSet::new();
        coverage.table(name, text, columns, lines.unwrap_or(&empty));
    }
    coverage
}

impl Coverage {
    fn table(&mut self, name: &str, text: &str, columns: &Columns, cited: &BTreeSet<u32>) {
        let is_segment = name.starts_with("segments/");
        let mut fields: BTreeMap<(String, String), bool> = BTreeMap::new();
        for record in records(text).into_iter().skip(2) {
            if !record.any(columns.targets) {
                continue;
            }
            let covered = cited.contains(&record.line);
            self.lines.count(covered);
            if record.any(&columns.computable) {
                self.computable.count(covered);
            } else if record.any(&[columns.narrative]) {
                self.narrative.count(covered);
            }
            if !covered {
                self.open.push((name.to_owned(), record.line));
            }
            let source = record.cell(columns.source);
            if let Some((segment, field)) = source.split_once('-').filter(|_| is_segment) {
                let key = (segment.to_owned(), field.to_owned());
                *fields.entry(key).or_insert(true) &= covered;
            }
        }
        for ((segment, _), covered) in fields {
            self.fields.entry(segment).or_default().count(covered);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_over_several_lines_counts_from_its_first() {
        let found = records("a,b\n\"x\ny\",\"say \"\"z\"\"\"\nlast,1");
        let found: Vec<_> = found
            .iter()
            .map(|record| (record.line, record.cells.clone()))
            .collect();
        let cells = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        assert_eq!(
            found,
            [
                (1, cells(["a", "b"])),
                (2, cells(["x\ny", "say \"z\""])),
                (4, cells(["last", "1"]))
            ]
        );
    }

    #[test]
    fn lines_that_say_what_to_do_are_covered_when_a_row_cites_them() {
        let text = "map PID -> Patient  guide segments/PID[Patient]\nPID-7  birthDate  -  -  3\nPID-8  -  -  -  5: no\n";
        let (maps, problems) = Maps::read(&[("a.map", text)]);
        assert!(problems.is_empty(), "{problems:?}");
        let line = |field: &str, condition: &str, target: &str| {
            format!("1,{field},N,T,0,1,{condition},,,{target},,,,,,,,,\n")
        };
        let table = format!(
            "head\nhead\n{}{}{}{}",
            line("PID-7", "IF X", "birthDate"),
            line("PID-1", "", ""),
            line("PID-8", "", "gender"),
            line("PID-9", "", "name"),
        );
        let found = coverage(&maps, &[("segments/PID[Patient]".to_owned(), table)]);
        assert_eq!(found.segment_maps, Share { covered: 1, all: 1 });
        assert_eq!(found.lines, Share { covered: 2, all: 3 });
        assert_eq!(found.computable, Share { covered: 1, all: 1 });
        assert_eq!(found.fields.get("PID"), Some(&Share { covered: 2, all: 3 }));
        assert_eq!(found.open, [("segments/PID[Patient]".to_owned(), 6)]);
    }
}
