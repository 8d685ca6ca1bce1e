//! Changing delimited text.

use bytes::Bytes;
use hilum_fhirpath::NodeId;

use super::tree::{ROW, cell_node, place, row_node};
use super::{Cell, DelimitedDocument, Row};
use crate::path::Step;
use crate::places::Editable;

/// Columns that an edit may add to a row.
const COLUMNS_MAX: usize = 16_384;

impl DelimitedDocument {
    /// The cells of a row for change.
    fn open(&mut self, row: usize) -> Option<&mut Vec<Cell>> {
        let found = self.rows.get(row)?;
        if let Row::Read {
            start, end, next, ..
        } = *found
        {
            let edited = Row::Edited {
                cells: self.cells_of(found),
                start,
                end,
                next,
            };
            if let Some(slot) = self.rows.get_mut(row) {
                *slot = edited;
            }
        }
        self.touched = true;
        match self.rows.get_mut(row)? {
            Row::Edited { cells, .. } | Row::Added { cells } => Some(cells),
            Row::Read { .. } | Row::Removed { .. } => None,
        }
    }
}

impl Editable for DelimitedDocument {
    fn touched(&self) -> bool {
        self.touched
    }

    fn write(&self) -> Bytes {
        if self.touched {
            self.assemble().into()
        } else {
            self.source.clone()
        }
    }

    fn add(&mut self, of: NodeId, step: &Step) -> Result<NodeId, &'static str> {
        match place(of) {
            (None, _) if step.name == ROW => {
                let width = self.header.len().max(1);
                let cells = vec![Cell::Written(String::new()); width];
                self.rows.push(Row::Added { cells });
                self.touched = true;
                Ok(row_node(self.rows.len() - 1))
            }
            (None, _) => Err("a path begins with `row`"),
            (Some(row), None) => {
                let width = self.width(row);
                let column = self
                    .columns(&step.name)
                    .into_iter()
                    .find(|&column| column >= width);
                let column = column.ok_or("there is no such column")?;
                if column >= COLUMNS_MAX {
                    return Err("a row has at most 16384 columns");
                }
                let cells = self.open(row).ok_or("there is no such row")?;
                cells.resize(column + 1, Cell::Written(String::new()));
                Ok(cell_node(row, column))
            }
            (Some(_), Some(_)) => Err("a cell has nothing below it"),
        }
    }

    fn write_value(&mut self, at: NodeId, value: &str) -> Result<(), &'static str> {
        let (Some(row), Some(column)) = place(at) else {
            return Err("it is no cell");
        };
        let special =
            |c: char| matches!(c, '\r' | '\n') || u32::from(c) == u32::from(self.options.separator);
        if self.options.quote.is_none() && value.contains(special) {
            return Err("the value holds a separator, and this format has no quotes");
        }
        let cells = self.open(row).ok_or("there is no such row")?;
        let cell = cells.get_mut(column).ok_or("there is no such column")?;
        *cell = Cell::Written(value.to_owned());
        Ok(())
    }

    /// A row goes, a cell becomes empty.
    fn take_out(&mut self, at: NodeId) -> Result<(), &'static str> {
        match place(at) {
            (None, _) => Err("this is the whole document"),
            (Some(_), Some(_)) => self.write_value(at, ""),
            (Some(row), None) => {
                let slot = self.rows.get_mut(row).ok_or("there is no such row")?;
                match *slot {
                    Row::Read { next, .. } | Row::Edited { next, .. } => {
                        *slot = Row::Removed { next };
                    }
                    Row::Added { .. } => {
                        // Nothing of the source goes with it.
                        *slot = Row::Removed { next: 0 };
                    }
                    Row::Removed { .. } => {}
                }
                self.touched = true;
                Ok(())
            }
        }
    }
}
