//! A table of codes, read from CSV.
//!
//! The first row names the columns. `code` and `display` occur twice: those between `source` and
//! `target` belong to the source, those behind `target` to the target. `source` and `target` hold
//! the code systems. A row counts if its `status` is empty, `active` or `approved`; rows that are
//! `draft`, `proposed` or `retired` are skipped. An empty source system fits every system.

use std::collections::HashMap;

/// Rows of one table.
pub(crate) const ROWS_MAX: usize = 1_000_000;

/// One side of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Coding {
    pub(crate) system: String,
    pub(crate) code: String,
    pub(crate) display: String,
}

/// One row as it is used.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// The line of the file, from 1.
    pub(crate) line: u64,
    pub(crate) from: Coding,
    pub(crate) to: Coding,
    pub(crate) unit: String,
}

/// A table ready for look-ups.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Row>,
    by_code: HashMap<String, Vec<usize>>,
}

#[derive(Default)]
struct Columns {
    source: Option<usize>,
    from_code: Option<usize>,
    from_display: Option<usize>,
    target: Option<usize>,
    to_code: Option<usize>,
    to_display: Option<usize>,
    unit: Option<usize>,
    status: Option<usize>,
}

/// The header of a table; all but the codes may be left out.
const COLUMNS: &str = "source,code,display,target,code,display,unit,status,by,on,note";

impl Columns {
    fn read(header: &csv::StringRecord) -> Result<Self, String> {
        let mut columns = Self::default();
        for (place, name) in header.iter().enumerate() {
            let behind = columns.target.is_some();
            let slot = match (
                name.trim()
                    .trim_start_matches('\u{FEFF}')
                    .to_ascii_lowercase()
                    .as_str(),
                behind,
            ) {
                ("source", _) => &mut columns.source,
                ("target", _) => &mut columns.target,
                ("code", false) => &mut columns.from_code,
                ("code", true) => &mut columns.to_code,
                ("display", false) => &mut columns.from_display,
                ("display", true) => &mut columns.to_display,
                ("unit", _) => &mut columns.unit,
                ("status", _) => &mut columns.status,
                ("by" | "on" | "note", _) => continue,
                (other, _) => {
                    return Err(format!(
                        "line 1: no column is called `{other}`; they are {COLUMNS}"
                    ));
                }
            };
            if slot.replace(place).is_some() {
                return Err(format!("line 1: column {} is there twice", place + 1));
            }
        }
        if columns.from_code.is_none() || columns.to_code.is_none() {
            return Err(format!(
                "line 1: `code` must be there on both sides of `target`; the columns are {COLUMNS}"
            ));
        }
        Ok(columns)
    }
}

impl Table {
    /// Reads a table; `reverse` exchanges its sides. All mistakes are told, up to twenty.
    pub(crate) fn read(bytes: &[u8], reverse: bool) -> Result<Self, Vec<String>> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(bytes);
        let mut records = reader.records();
        let header = match records.next() {
            Some(Ok(header)) => header,
            Some(Err(error)) => return Err(vec![unreadable(&error)]),
            None => return Err(vec!["the table is empty".to_owned()]),
        };
        let columns = Columns::read(&header).map_err(|problem| vec![problem])?;
        let mut table = Self {
            rows: Vec::new(),
            by_code: HashMap::new(),
        };
        let mut problems = Vec::new();
        for record in records {
            match record {
                Ok(record) => {
                    if let Err(problem) = table.add(&record, &columns, reverse) {
                        problems.push(problem);
                    }
                }
                Err(error) => problems.push(unreadable(&error)),
            }
            if table.rows.len() > ROWS_MAX {
                problems.push(format!("a table has at most {ROWS_MAX} rows"));
                break;
            }
            if problems.len() == 20 {
                break;
            }
        }
        if problems.is_empty() {
            Ok(table)
        } else {
            Err(problems)
        }
    }

    fn add(
        &mut self,
        record: &csv::StringRecord,
        columns: &Columns,
        reverse: bool,
    ) -> Result<(), String> {
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |column: Option<usize>| {
            column
                .and_then(|column| record.get(column))
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        if record.iter().all(|cell| cell.trim().is_empty()) {
            return Ok(());
        }
        match cell(columns.status).to_ascii_lowercase().as_str() {
            "" | "active" | "approved" => {}
            "draft" | "proposed" | "retired" => return Ok(()),
            _ => {
                return Err(format!(
                    "line {line}: a status is active, approved, draft, proposed or retired"
                ));
            }
        }
        let mut from = Coding {
            system: cell(columns.source),
            code: cell(columns.from_code),
            display: cell(columns.from_display),
        };
        let mut to = Coding {
            system: cell(columns.target),
            code: cell(columns.to_code),
            display: cell(columns.to_display),
        };
        if from.code.is_empty() || to.code.is_empty() {
            return Err(format!("line {line}: a code is missing"));
        }
        if reverse {
            std::mem::swap(&mut from, &mut to);
        }
        let same = self.by_code.entry(from.code.clone()).or_default();
        let before = same
            .iter()
            .filter_map(|&row| self.rows.get(row))
            .find(|row| row.from.system == from.system);
        match before {
            // Several local codes may have one target: read backwards, the first row counts.
            Some(_) if reverse => return Ok(()),
            Some(row) => {
                return Err(format!(
                    "line {line}: the same code as in line {}",
                    row.line
                ));
            }
            None => {}
        }
        same.push(self.rows.len());
        self.rows.push(Row {
            line,
            from,
            to,
            unit: cell(columns.unit),
        });
        Ok(())
    }

    /// The row for a code: that of its system, else one that fits every system. A code without a
    /// system fits only where one row has it.
    pub(crate) fn find(&self, system: &str, code: &str) -> Option<&Row> {
        let rows = || {
            self.by_code
                .get(code)
                .into_iter()
                .flatten()
                .filter_map(|&row| self.rows.get(row))
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
}

fn unreadable(error: &csv::Error) -> String {
    let line = error.position().map_or(0, csv::Position::line);
    format!("line {line}: not readable as CSV")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "source,code,display,target,code,display,unit,status,by,on,note\n\
        L,K,Kalium,LN,2823-3,Potassium,mmol/L,active,ann,2026-01-01,\n\
        L,NA,,LN,2951-2,,,draft,,,\n\
        M,K,,LN,6298-4,,,,,,\n\
        ,CREA,,LN,2160-0,,,approved,,,\n\
        L,KA,,LN,2823-3,,,,,,\n";

    #[test]
    fn rows_are_found_by_system_and_code() {
        let table = Table::read(TEXT.as_bytes(), false).unwrap();
        let line = |system: &str, code: &str| table.find(system, code).map(|row| row.line);
        assert_eq!(
            [line("L", "K"), line("M", "K"), line("", "K")],
            [Some(2), Some(4), None]
        );
        assert_eq!(
            [line("L", "NA"), line("X", "CREA"), line("", "KA")],
            [None, Some(5), Some(6)]
        );
        let row = table.find("L", "K").unwrap();
        assert_eq!(
            (row.to.code.as_str(), row.unit.as_str()),
            ("2823-3", "mmol/L")
        );
    }

    #[test]
    fn a_table_reads_backwards() {
        let table = Table::read(TEXT.as_bytes(), true).unwrap();
        assert_eq!(
            table.find("LN", "2823-3").map(|row| row.to.code.as_str()),
            Some("K")
        );
    }

    #[test]
    fn mistakes_are_told_with_their_lines() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(
                Table::read(text.as_bytes(), false)
                    .err()
                    .unwrap_or_default(),
                expected
            );
        };
        let head = "source,code,display,target,code,display,status\n";
        check("", &["the table is empty"]);
        check(
            "a,b\n",
            &[
                "line 1: no column is called `a`; they are source,code,display,target,code,display,unit,status,by,on,note",
            ],
        );
        check("code,code\n", &["line 1: column 2 is there twice"]);
        check(
            &format!("{head}L,K,,LN,1,\nL,K,,LN,2,\n"),
            &["line 3: the same code as in line 2"],
        );
        check(
            &format!("{head}L,,,LN,1,\n\n,,\nL,K,,LN,1,,no\n"),
            &[
                "line 2: a code is missing",
                "line 5: a status is active, approved, draft, proposed or retired",
            ],
        );
        assert!(Table::read(b"code,target,code\nK,LN,1\n", false).is_ok());
    }
}
