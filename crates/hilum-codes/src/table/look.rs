//! Looking codes up.

use std::collections::HashMap;

use super::columns::Columns;
use super::{Coding, Equivalence, MISTAKES_MAX, Mistake, ROWS_MAX, Row, SAME_CODE_MAX, Status};
use crate::risk::{Risk, alone};
use crate::scan::Scan;
use crate::time::Span;

/// How a table is used.
#[derive(Clone, Copy, Debug, Default)]
pub struct TableOptions<'a> {
    /// The file, for what its name says of the risk.
    pub name: &'a str,
    /// The field that it is used on, for what that says of the risk.
    pub field: &'a str,
    /// The site says that it is of high risk.
    pub declared: bool,
    /// Its sides are exchanged.
    pub reverse: bool,
}

/// One row as it is looked up.
#[derive(Clone, Debug)]
pub struct Used {
    /// The line of the file, from 1.
    pub line: u64,
    /// What is looked up.
    pub from: Coding,
    /// What is written.
    pub to: Coding,
    /// The unit that goes with the target.
    pub unit: String,
    /// How exactly both mean the same, seen from the side that is looked up.
    pub equivalence: Equivalence,
    /// When it counts.
    pub span: Span,
}

/// A table ready for look-ups: only what counts.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Used>,
    by_code: HashMap<String, Vec<usize>>,
    risk: Option<Risk>,
    /// Rows of a table of high risk that count without an approval.
    unapproved: Vec<u64>,
}

impl Table {
    /// Reads a table. All mistakes are told, up to twenty.
    ///
    /// # Errors
    /// What is wrong, each with its line.
    pub fn read(bytes: &[u8], options: TableOptions<'_>) -> Result<Self, Vec<Mistake>> {
        let text = super::text_of(bytes).map_err(|mistake| vec![mistake])?;
        let mut scan = Scan::new(text);
        let header = match scan.next() {
            Some(Ok(header)) => header,
            Some(Err(error)) => return Err(vec![Mistake::at(error.line, error.text)]),
            None => return Err(vec![Mistake::at(0, "the table is empty")]),
        };
        let columns = Columns::read(text, &header).map_err(|mistake| vec![mistake])?;
        let mut reading = Reading {
            table: Self::default(),
            of_system: None,
            alone: Vec::new(),
            mistakes: Vec::new(),
        };
        for record in scan {
            let row = record
                .map_err(|error| Mistake::at(error.line, error.text))
                .and_then(|record| Row::read(text, &record, &columns));
            match row {
                Ok(Some(row)) => reading.add(row, options.reverse),
                Ok(None) => {}
                Err(mistake) => reading.mistakes.push(mistake),
            }
            if reading.table.rows.len() > ROWS_MAX {
                let text = format!("a table has at most {ROWS_MAX} rows");
                reading.mistakes.push(Mistake::at(0, text));
                break;
            }
            if reading.mistakes.len() >= MISTAKES_MAX {
                break;
            }
        }
        reading.end(options)
    }

    /// The row for a code at a moment (Unix milliseconds): that of its system, else one that fits
    /// every system. A code without a system fits only where one row has it.
    #[must_use]
    pub fn find(&self, system: &str, code: &str, at_ms: u64) -> Option<&Used> {
        let rows = || {
            self.by_code
                .get(code)
                .into_iter()
                .flatten()
                .filter_map(|&row| self.rows.get(row))
                .filter(|row| row.span.holds(at_ms))
        };
        let exact = rows().find(|row| row.from.system == system);
        exact
            .or_else(|| rows().find(|row| row.from.system.is_empty()))
            .or_else(|| {
                let mut all = rows();
                all.next()
                    .filter(|_| system.is_empty() && all.next().is_none())
            })
    }

    /// The rows that count at some time, in the order of the file.
    pub fn rows(&self) -> impl Iterator<Item = &Used> {
        self.rows.iter()
    }

    /// What the table is about that makes it a matter of two people.
    #[must_use]
    pub const fn risk(&self) -> Option<Risk> {
        self.risk
    }

    /// Lines of a table of high risk that count without an approval, the first few: they are
    /// `active` or without a status.
    #[must_use]
    pub fn unapproved(&self) -> &[u64] {
        &self.unapproved
    }
}

struct Reading {
    table: Table,
    /// The risk that a code system of a row stands for.
    of_system: Option<Risk>,
    /// Lines that one person approved alone, or of which nobody is named who did.
    alone: Vec<(u64, bool)>,
    mistakes: Vec<Mistake>,
}

impl Reading {
    fn add(&mut self, row: Row, reverse: bool) {
        if !row.status.counts() {
            return;
        }
        let system = Risk::of_system(&row.from.system).or_else(|| Risk::of_system(&row.to.system));
        self.of_system = self.of_system.or(system);
        if row.status == Status::Active {
            if self.table.unapproved.len() < MISTAKES_MAX {
                self.table.unapproved.push(row.line);
            }
        } else if self.alone.len() < MISTAKES_MAX
            && alone(&row.made.by, &row.reviewed.by, &row.approved.by)
        {
            let is_named = !row.approved.by.trim().is_empty();
            self.alone.push((row.line, is_named));
        }
        let (mut from, mut to, mut equivalence) = (row.from, row.to, row.equivalence);
        if reverse {
            std::mem::swap(&mut from, &mut to);
            equivalence = match equivalence {
                Equivalence::Wider => Equivalence::Narrower,
                Equivalence::Narrower => Equivalence::Wider,
                same @ (Equivalence::Equivalent | Equivalence::Inexact) => same,
            };
        }
        let rows = &self.table.rows;
        let same = self.table.by_code.entry(from.code.clone()).or_default();
        let before = same
            .iter()
            .filter_map(|&at| rows.get(at))
            .find(|known| known.from.system == from.system && known.span.overlaps(&row.span));
        match before {
            // Several local codes may have one target: read backwards, the first row counts.
            Some(_) if reverse => return,
            Some(known) => {
                let other = if known.to.code == to.code && known.to.system == to.system {
                    ""
                } else {
                    ", with another target"
                };
                let text = format!("the same code as in line {}{other}", known.line);
                let remedy = "retire one of them, or give them dates (`from`, `until`) that do not \
                              overlap";
                self.mistakes
                    .push(Mistake::at(row.line, text).remedy(remedy));
                return;
            }
            None if same.len() >= SAME_CODE_MAX => {
                let text = format!("a code has at most {SAME_CODE_MAX} rows");
                self.mistakes.push(Mistake::at(row.line, text));
                return;
            }
            None => {}
        }
        same.push(rows.len());
        self.table.rows.push(Used {
            line: row.line,
            from,
            to,
            unit: row.unit,
            equivalence,
            span: row.span,
        });
    }

    /// What only the whole table tells.
    fn end(mut self, options: TableOptions<'_>) -> Result<Table, Vec<Mistake>> {
        let risk = if options.declared {
            Some(Risk::Declared)
        } else {
            Risk::of_field(options.field)
                .or_else(|| Risk::of_name(options.name))
                .or(self.of_system)
        };
        self.table.risk = risk;
        let Some(risk) = risk else {
            self.table.unapproved.clear();
            return finished(self.table, self.mistakes);
        };
        for (line, is_named) in self.alone {
            let who = match is_named {
                true => "one person alone approved this row",
                false => "nobody is named who approved this row",
            };
            let text = format!("{who}, and the table is about {risk}");
            let remedy = "let a second person approve it: `by` or `reviewed-by` and `approved-by` \
                          name two people; until then write `reviewed` as its status";
            self.mistakes.push(Mistake::at(line, text).remedy(remedy));
        }
        if options.declared {
            for line in std::mem::take(&mut self.table.unapproved) {
                let text = "the row counts although nobody approved it, and the table is declared \
                            to be of high risk";
                let remedy = "write `approved` with `by` and `approved-by`, or `reviewed`";
                self.mistakes.push(Mistake::at(line, text).remedy(remedy));
            }
        }
        self.mistakes.truncate(MISTAKES_MAX);
        finished(self.table, self.mistakes)
    }
}

fn finished(table: Table, mistakes: Vec<Mistake>) -> Result<Table, Vec<Mistake>> {
    if mistakes.is_empty() {
        Ok(table)
    } else {
        Err(mistakes)
    }
}
