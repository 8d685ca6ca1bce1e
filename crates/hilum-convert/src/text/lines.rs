//! A file as lines of columns.

use super::block::{Block, Head, Sign};
use crate::problem::{Fault, Problem, Spot};

/// A map file that was read.
#[derive(Clone, Debug)]
pub struct MapFile {
    /// The file as it was named to the reader.
    pub name: String,
    /// Its blocks in order.
    pub blocks: Vec<Block>,
}

/// One column of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cell<'t> {
    pub(crate) spot: Spot,
    pub(crate) text: &'t str,
}

impl Cell<'_> {
    /// Whether it says anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.text == "-"
    }

    pub(crate) fn problem(&self, file: &str, fault: Fault) -> Problem {
        let at = u32::try_from(fault.at).unwrap_or(u32::MAX);
        Problem {
            file: file.to_owned(),
            spot: Spot {
                column: self.spot.column.saturating_add(at),
                ..self.spot
            },
            text: fault.text,
            reason: fault.reason,
            remedy: fault.remedy,
        }
    }
}

impl MapFile {
    /// Reads a file; what cannot be read is told in `problems`, and the rest is kept.
    #[must_use]
    pub fn read(name: &str, text: &str, problems: &mut Vec<Problem>) -> Self {
        let mut blocks: Vec<Block> = Vec::new();
        // Rows under a header that was refused are not complained about one by one.
        let mut headless = false;
        for (at, line) in text.lines().enumerate() {
            let number = u32::try_from(at + 1).unwrap_or(u32::MAX);
            let (sign, cells) = columns(line, number);
            let Some(first) = cells.first() else { continue };
            match Head::read(&cells) {
                Some(Ok(block)) => {
                    headless = false;
                    blocks.push(block);
                    continue;
                }
                Some(Err((cell, fault))) => {
                    headless = true;
                    problems.push(cell.problem(name, fault));
                    continue;
                }
                None => {}
            }
            let Some(block) = blocks.last_mut().filter(|_| !headless) else {
                if !headless {
                    let fault = Fault::new(0, first.text, "a row before any header");
                    let fault =
                        fault.remedy("begin with `map A -> B`, `message`, `codes` or `identity`");
                    problems.push(first.problem(name, fault));
                    headless = true;
                }
                continue;
            };
            block.read_row(sign, &cells, &mut |cell, fault| {
                problems.push(cell.problem(name, fault));
            });
        }
        Self {
            name: name.to_owned(),
            blocks,
        }
    }
}

/// Columns are separated by two or more blanks, or by tabs; a comment begins at the start of a line
/// or behind two blanks.
fn columns(line: &str, number: u32) -> (Sign, Vec<Cell<'_>>) {
    let mut cells = Vec::new();
    let mut sign = Sign::Base;
    let mut rest = line;
    let mut column = 1_u32;
    let mut first = true;
    loop {
        let blank = rest.len() - rest.trim_start().len();
        column = column.saturating_add(u32::try_from(blank).unwrap_or(u32::MAX));
        rest = rest.get(blank..).unwrap_or_default();
        if rest.is_empty() || rest.starts_with('#') {
            return (sign, cells);
        }
        if first {
            first = false;
            let mark = [
                ("- ", Sign::Remove),
                ("~ ", Sign::Replace),
                ("+ ", Sign::Add),
            ];
            // `-` alone as a first column is an empty source: two blanks follow it.
            let found = mark.iter().find(|(mark, _)| {
                rest.starts_with(mark) && !(*mark == "- " && rest.starts_with("-  "))
            });
            if let Some((mark, found)) = found {
                sign = *found;
                rest = rest.get(mark.len()..).unwrap_or_default();
                column = column.saturating_add(2);
                continue;
            }
        }
        let end = [rest.find("  "), rest.find('\t')]
            .into_iter()
            .flatten()
            .min();
        let text = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        cells.push(Cell {
            spot: Spot {
                line: number,
                column,
            },
            text: text.trim_end(),
        });
        column = column.saturating_add(u32::try_from(text.chars().count()).unwrap_or(u32::MAX));
        rest = rest.get(text.len()..).unwrap_or_default();
    }
}
