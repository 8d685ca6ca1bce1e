//! One row of a table.

use std::fmt;

use super::columns::Columns;
use super::{Column, Mistake};
use crate::scan::Record;
use crate::time::{Span, days};

/// One side of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Coding {
    /// The code system, as the messages name it.
    pub system: String,
    /// The code.
    pub code: String,
    /// Its text.
    pub display: String,
}

/// How far a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Somebody wrote it down; it is not used.
    Draft,
    /// Somebody looked at it; it is not used.
    Reviewed,
    /// It is used.
    Approved,
    /// It is used: the word of tables from before there was an approval.
    Active,
    /// It is not used any more.
    Retired,
}

impl Status {
    /// The word in the file; an empty cell counts as active.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Reviewed => "reviewed",
            Self::Approved => "approved",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }

    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "" | "active" => Self::Active,
            "draft" | "proposed" => Self::Draft,
            "reviewed" => Self::Reviewed,
            "approved" => Self::Approved,
            "retired" => Self::Retired,
            _ => return None,
        })
    }

    /// Rows of this status are looked up.
    #[must_use]
    pub const fn counts(self) -> bool {
        matches!(self, Self::Approved | Self::Active)
    }
}

/// How exactly the target means what the source means, seen from the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Equivalence {
    /// The same, or nothing was said.
    #[default]
    Equivalent,
    /// The target means more than the source.
    Wider,
    /// The target means less than the source.
    Narrower,
    /// Both overlap, and each means something that the other does not.
    Inexact,
}

impl Equivalence {
    /// The word in the file, which is also the code of FHIR R4 (`concept-map-equivalence`).
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Equivalent => "equivalent",
            Self::Wider => "wider",
            Self::Narrower => "narrower",
            Self::Inexact => "inexact",
        }
    }

    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "" | "equivalent" => Self::Equivalent,
            "wider" => Self::Wider,
            "narrower" => Self::Narrower,
            "inexact" => Self::Inexact,
            _ => return None,
        })
    }
}

/// Who did something to a row, and on which day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signed {
    /// The name.
    pub by: String,
    /// The day.
    pub on: String,
}

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.by.as_str(), self.on.as_str()) {
            ("", "") => Ok(()),
            (by, "") => f.write_str(by),
            (by, on) => write!(f, "{by} on {on}"),
        }
    }
}

/// One row of a table with all that it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The line of the file, from 1.
    pub line: u64,
    /// What messages bring.
    pub from: Coding,
    /// What is written in its place.
    pub to: Coding,
    /// The unit that goes with the target; empty if the table does not say.
    pub unit: String,
    /// How exactly both mean the same.
    pub equivalence: Equivalence,
    /// How far it is.
    pub status: Status,
    /// Who made it.
    pub made: Signed,
    /// Who reviewed it.
    pub reviewed: Signed,
    /// Who approved it.
    pub approved: Signed,
    /// When it counts.
    pub span: Span,
    /// Anything.
    pub note: String,
}

impl Row {
    /// Reads a row; none if all its cells are empty.
    pub(crate) fn read(
        text: &str,
        record: &Record,
        columns: &Columns,
    ) -> Result<Option<Self>, Mistake> {
        let line = record.line;
        let cell = |column| columns.text(text, record, column);
        if record
            .cells
            .iter()
            .all(|range| crate::scan::cell(text, range).is_empty())
        {
            return Ok(None);
        }
        let mut beyond = record.cells.iter().skip(columns.width);
        if beyond.any(|range| !crate::scan::cell(text, range).is_empty()) {
            let text = format!(
                "the row has {} cells and the first line names {} columns",
                record.cells.len(),
                columns.width
            );
            let remedy = "put a text that holds a comma in quotes";
            return Err(Mistake::at(line, text).remedy(remedy));
        }
        let status = Status::of(&cell(Column::Status).to_ascii_lowercase()).ok_or_else(|| {
            Mistake::at(
                line,
                "a status is draft, reviewed, approved, active or retired",
            )
        })?;
        let equivalence = Equivalence::of(&cell(Column::Equivalence).to_ascii_lowercase())
            .ok_or_else(|| {
                Mistake::at(
                    line,
                    "an equivalence is equivalent, wider, narrower or inexact",
                )
            })?;
        let span = Span::read(&cell(Column::From), &cell(Column::Until))
            .map_err(|text| Mistake::at(line, text))?;
        for column in [Column::ReviewedOn, Column::ApprovedOn] {
            let day = cell(column);
            if !day.is_empty() && days(&day).is_none() {
                let text = format!("`{}` is a day such as 2026-11-20", column.name());
                return Err(Mistake::at(line, text));
            }
        }
        let owned = |column| cell(column).into_owned();
        let signed = |by, on| Signed {
            by: owned(by),
            on: owned(on),
        };
        let row = Self {
            line,
            from: Coding {
                system: owned(Column::Source),
                code: owned(Column::SourceCode),
                display: owned(Column::SourceDisplay),
            },
            to: Coding {
                system: owned(Column::Target),
                code: owned(Column::TargetCode),
                display: owned(Column::TargetDisplay),
            },
            unit: owned(Column::Unit),
            equivalence,
            status,
            made: signed(Column::By, Column::On),
            reviewed: signed(Column::ReviewedBy, Column::ReviewedOn),
            approved: signed(Column::ApprovedBy, Column::ApprovedOn),
            span,
            note: owned(Column::Note),
        };
        // A draft may still look for its target.
        let lacks = row.from.code.is_empty() || row.to.code.is_empty() && status != Status::Draft;
        if lacks && status != Status::Retired {
            return Err(Mistake::at(line, "a code is missing"));
        }
        Ok(Some(row))
    }

    /// The text of a cell of a new row, which has no dates yet.
    pub(crate) fn cell(&self, column: Column) -> String {
        match column {
            Column::Source => self.from.system.clone(),
            Column::SourceCode => self.from.code.clone(),
            Column::SourceDisplay => self.from.display.clone(),
            Column::Target => self.to.system.clone(),
            Column::TargetCode => self.to.code.clone(),
            Column::TargetDisplay => self.to.display.clone(),
            Column::Unit => self.unit.clone(),
            Column::Equivalence => match self.equivalence {
                Equivalence::Equivalent => String::new(),
                other => other.word().to_owned(),
            },
            Column::Status => self.status.word().to_owned(),
            Column::By => self.made.by.clone(),
            Column::On => self.made.on.clone(),
            Column::ReviewedBy => self.reviewed.by.clone(),
            Column::ReviewedOn => self.reviewed.on.clone(),
            Column::ApprovedBy => self.approved.by.clone(),
            Column::ApprovedOn => self.approved.on.clone(),
            Column::From | Column::Until => String::new(),
            Column::Note => self.note.clone(),
        }
    }
}
