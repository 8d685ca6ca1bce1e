//! Delimited text as expressions see it.

use std::borrow::Cow;

use hilum_fhirpath::{NodeId, Scalar, Tree, Visit};

use super::{Cell, DelimitedDocument, Row};
use crate::path::quote as quote_name;

/// What rows are called.
pub(super) const ROW: &str = "row";

/// `hi` is 0 for the root, else the row plus 1; `lo` is 0 for a row, else the column plus 1.
pub(super) const fn row_node(row: usize) -> NodeId {
    NodeId {
        hi: row as u64 + 1,
        lo: 0,
    }
}

pub(super) const fn cell_node(row: usize, column: usize) -> NodeId {
    NodeId {
        hi: row as u64 + 1,
        lo: column as u64 + 1,
    }
}

/// Row and column of a node, as far as it has them.
pub(super) fn place(node: NodeId) -> (Option<usize>, Option<usize>) {
    let index = |half: u64| usize::try_from(half).ok()?.checked_sub(1);
    (index(node.hi), index(node.lo))
}

impl DelimitedDocument {
    pub(super) fn width(&self, row: usize) -> usize {
        match self.rows.get(row) {
            Some(Row::Read { count, .. }) => *count as usize,
            Some(Row::Edited { cells, .. } | Row::Added { cells }) => cells.len(),
            Some(Row::Removed { .. }) | None => 0,
        }
    }

    /// The name of a column: from the header, else by its place from 1.
    pub(super) fn column_name(&self, column: usize) -> Cow<'_, str> {
        match self.header.get(column) {
            Some(name) if !name.is_empty() => Cow::Borrowed(name),
            _ => Cow::Owned(format!("c{}", column + 1)),
        }
    }

    /// The columns of a name; `c3` is the third where no header says otherwise.
    pub(super) fn columns(&self, name: &str) -> Vec<usize> {
        let named: Vec<usize> = (0..self.header.len())
            .filter(|&column| self.header.get(column).is_some_and(|known| known == name))
            .collect();
        if !named.is_empty() {
            return named;
        }
        let digits = name
            .strip_prefix('c')
            .filter(|rest| !rest.starts_with(['0', '+']));
        let number = digits.and_then(|digits| digits.parse::<usize>().ok());
        number
            .and_then(|number| number.checked_sub(1))
            .into_iter()
            .collect()
    }

    pub(super) fn cell(&self, row: usize, column: usize) -> Option<Cow<'_, str>> {
        match self.rows.get(row)? {
            Row::Read { first, count, .. } => {
                if column >= *count as usize {
                    return None;
                }
                let &(start, end) = self.cells.get(*first as usize + column)?;
                let cell = Cell::Read(start, end);
                Some(Cow::Owned(self.text(&cell).into_owned()))
            }
            Row::Edited { cells, .. } | Row::Added { cells } => {
                cells.get(column).map(|cell| self.text(cell))
            }
            Row::Removed { .. } => None,
        }
    }
}

impl Tree for DelimitedDocument {
    fn root(&self) -> NodeId {
        NodeId::default()
    }

    fn children(&self, of: NodeId, name: &str, visit: &mut Visit<'_>) {
        match place(of) {
            (None, _) if name == ROW => self.all_children(of, visit),
            (Some(row), None) => {
                let width = self.width(row);
                for column in self
                    .columns(name)
                    .into_iter()
                    .filter(|&column| column < width)
                {
                    visit(cell_node(row, column));
                }
            }
            _ => {}
        }
    }

    fn all_children(&self, of: NodeId, visit: &mut Visit<'_>) {
        match place(of) {
            (None, _) => self.rows().for_each(|(row, _)| visit(row)),
            (Some(row), None) => {
                (0..self.width(row)).for_each(|column| visit(cell_node(row, column)));
            }
            (Some(_), Some(_)) => {}
        }
    }

    fn name(&self, node: NodeId) -> Cow<'_, str> {
        match place(node) {
            (None, _) => Cow::Borrowed(""),
            (Some(_), None) => Cow::Borrowed(ROW),
            (Some(_), Some(column)) => self.column_name(column),
        }
    }

    /// An empty cell has no value, as if it were not there.
    fn value(&self, node: NodeId) -> Option<Scalar<'_>> {
        let (row, column) = place(node);
        self.cell(row?, column?)
            .filter(|text| !text.is_empty())
            .map(Scalar::String)
    }

    fn location(&self, node: NodeId) -> String {
        let (Some(row), column) = place(node) else {
            return String::new();
        };
        let before = self
            .rows()
            .take_while(|(known, _)| known.hi < node.hi)
            .count();
        match column {
            Some(column) => format!("{ROW}[{before}].{}", quote_name(&self.column_name(column))),
            None if row < self.first_row() => "header".to_owned(),
            None => format!("{ROW}[{before}]"),
        }
    }
}
