//! A table as people work on it: every row, and changes of single cells.
//!
//! **Invariant**: a change leaves every byte of the file alone that does not belong to the cells it
//! writes. A column that the table lacks is added at the end of its first line; rows that do not
//! need it stay as short as they are.

use super::columns::Columns;
use super::{Column, MISTAKES_MAX, Mistake, ROWS_MAX, Row};
use crate::scan::{Record, Scan, quoted};

/// A table with all its rows, whatever their status.
#[derive(Clone, Debug)]
pub struct Sheet {
    text: String,
    header: Record,
    columns: Columns,
    records: Vec<Record>,
    rows: Vec<Row>,
}

impl Sheet {
    /// Reads a table. All mistakes are told, up to twenty.
    ///
    /// # Errors
    /// What is wrong, each with its line. Rows that contradict each other are no mistake here;
    /// [`super::Table::read`] tells them.
    pub fn read(bytes: &[u8]) -> Result<Self, Vec<Mistake>> {
        let text = super::text_of(bytes).map_err(|mistake| vec![mistake])?;
        let mut scan = Scan::new(text);
        let header = match scan.next() {
            Some(Ok(header)) => header,
            Some(Err(error)) => return Err(vec![Mistake::at(error.line, error.text)]),
            None => return Err(vec![Mistake::at(0, "the table is empty")]),
        };
        let columns = Columns::read(text, &header).map_err(|mistake| vec![mistake])?;
        let (mut records, mut rows, mut mistakes) = (Vec::new(), Vec::new(), Vec::new());
        for record in scan {
            let read = record
                .map_err(|error| Mistake::at(error.line, error.text))
                .and_then(|record| Ok(Row::read(text, &record, &columns)?.zip(Some(record))));
            match read {
                Ok(Some((row, record))) => {
                    rows.push(row);
                    records.push(record);
                }
                Ok(None) => {}
                Err(mistake) => mistakes.push(mistake),
            }
            if rows.len() > ROWS_MAX {
                let text = format!("a table has at most {ROWS_MAX} rows");
                mistakes.push(Mistake::at(0, text));
            }
            if mistakes.len() >= MISTAKES_MAX || rows.len() > ROWS_MAX {
                break;
            }
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        Ok(Self {
            text: text.to_owned(),
            header,
            columns,
            records,
            rows,
        })
    }

    /// The rows, in the order of the file.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The file as it is, with other texts in these cells of the row at a line; `None` if no row
    /// begins there.
    #[must_use]
    pub fn with(&self, line: u64, cells: &[(Column, &str)]) -> Option<Vec<u8>> {
        let record = self.records.iter().find(|record| record.line == line)?;
        let mut columns = self.columns.clone();
        for (column, _) in cells {
            columns.add(*column);
        }
        let mut edits: Vec<(std::ops::Range<usize>, String)> = Vec::new();
        let added = self.added(&columns);
        if !added.is_empty() {
            edits.push((self.header.end..self.header.end, added));
        }
        // Cells behind the end of a short row, by their place.
        let mut behind: Vec<(usize, &str)> = Vec::new();
        for (column, text) in cells {
            match columns.range(record, *column) {
                Some(range) => edits.push((range.clone(), quoted(text).into_owned())),
                None => behind.extend(columns.place(*column).map(|place| (place, *text))),
            }
        }
        behind.sort_unstable();
        let mut tail = String::new();
        let mut width = record.cells.len();
        for (place, text) in behind {
            while width <= place {
                tail.push(',');
                width += 1;
            }
            tail.push_str(&quoted(text));
        }
        edits.push((record.end..record.end, tail));
        edits.sort_by_key(|(range, _)| (range.start, range.end));
        let mut out = String::with_capacity(self.text.len() + 64);
        let mut at = 0;
        for (range, text) in edits {
            out.push_str(self.text.get(at..range.start).unwrap_or_default());
            out.push_str(&text);
            at = range.end;
        }
        out.push_str(self.text.get(at..).unwrap_or_default());
        Some(out.into_bytes())
    }

    /// What the first line gets for columns that it lacks.
    fn added(&self, columns: &Columns) -> String {
        let mut new: Vec<(usize, Column)> = ALL
            .iter()
            .filter_map(|&column| Some((columns.place(column)?, column)))
            .filter(|(place, _)| *place >= self.columns.width)
            .collect();
        new.sort_by_key(|(place, _)| *place);
        new.iter()
            .map(|(_, column)| format!(",{}", column.name()))
            .collect()
    }

    /// The file as it is, with rows added at its end.
    #[must_use]
    pub fn and(&self, rows: &[Row]) -> Vec<u8> {
        let mut out = self.text.clone();
        let end = if self.text.contains("\r\n") {
            "\r\n"
        } else {
            "\n"
        };
        if !out.is_empty() && !out.ends_with('\n') {
            out.push_str(end);
        }
        let mut columns = self.columns.clone();
        for column in ALL {
            // At the end of the line a second `display` would be that of the target.
            let fits = column != Column::SourceDisplay;
            if fits && rows.iter().any(|row| !row.cell(column).is_empty()) {
                columns.add(column);
            }
        }
        let added = self.added(&columns);
        out.insert_str(self.header.end, &added);
        for row in rows {
            out.push_str(&line(row, &columns));
            out.push_str(end);
        }
        out.into_bytes()
    }
}

/// Every column, in the order of [`super::COLUMNS`].
const ALL: [Column; 18] = [
    Column::Source,
    Column::SourceCode,
    Column::SourceDisplay,
    Column::Target,
    Column::TargetCode,
    Column::TargetDisplay,
    Column::Unit,
    Column::Equivalence,
    Column::Status,
    Column::By,
    Column::On,
    Column::ReviewedBy,
    Column::ReviewedOn,
    Column::ApprovedBy,
    Column::ApprovedOn,
    Column::From,
    Column::Until,
    Column::Note,
];

fn line(row: &Row, columns: &Columns) -> String {
    let mut cells = vec![String::new(); columns.width];
    for column in ALL {
        let slot = columns.place(column).and_then(|place| cells.get_mut(place));
        if let Some(slot) = slot {
            *slot = quoted(&row.cell(column)).into_owned();
        }
    }
    cells.join(",")
}
