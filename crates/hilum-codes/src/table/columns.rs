//! The columns of a table.

use std::ops::Range;

use super::Mistake;
use crate::scan::{Record, cell};

/// What a cell of a row holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Column {
    /// The code system of the source.
    Source,
    /// The code of the source.
    SourceCode,
    /// Its text.
    SourceDisplay,
    /// The code system of the target.
    Target,
    /// The code of the target.
    TargetCode,
    /// Its text.
    TargetDisplay,
    /// The unit that goes with the target.
    Unit,
    /// How exactly the target means what the source means.
    Equivalence,
    /// How far the row is.
    Status,
    /// Who made it.
    By,
    /// When.
    On,
    /// Who reviewed it.
    ReviewedBy,
    /// When.
    ReviewedOn,
    /// Who approved it.
    ApprovedBy,
    /// When.
    ApprovedOn,
    /// The first day on which it counts.
    From,
    /// The last one.
    Until,
    /// Anything.
    Note,
}

/// The columns of a new table; all but the codes may be left out, and their order is free as long
/// as those of the source stand before `target`.
pub const COLUMNS: &str = "source,code,display,target,code,display,unit,equivalence,status,by,on,\
     reviewed-by,reviewed-on,approved-by,approved-on,from,until,note";

/// How many there are.
const COUNT: usize = Column::Note as usize + 1;

impl Column {
    /// Its name in the first line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::SourceCode | Self::TargetCode => "code",
            Self::SourceDisplay | Self::TargetDisplay => "display",
            Self::Target => "target",
            Self::Unit => "unit",
            Self::Equivalence => "equivalence",
            Self::Status => "status",
            Self::By => "by",
            Self::On => "on",
            Self::ReviewedBy => "reviewed-by",
            Self::ReviewedOn => "reviewed-on",
            Self::ApprovedBy => "approved-by",
            Self::ApprovedOn => "approved-on",
            Self::From => "from",
            Self::Until => "until",
            Self::Note => "note",
        }
    }

    fn of(name: &str, side: Side) -> Option<Self> {
        Some(match (name, side) {
            ("source", _) => Self::Source,
            ("code", Side::Source) => Self::SourceCode,
            ("code", Side::Target) => Self::TargetCode,
            ("display", Side::Source) => Self::SourceDisplay,
            ("display", Side::Target) => Self::TargetDisplay,
            ("target", _) => Self::Target,
            ("unit", _) => Self::Unit,
            ("equivalence", _) => Self::Equivalence,
            ("status", _) => Self::Status,
            ("by", _) => Self::By,
            ("on", _) => Self::On,
            ("reviewed-by", _) => Self::ReviewedBy,
            ("reviewed-on", _) => Self::ReviewedOn,
            ("approved-by", _) => Self::ApprovedBy,
            ("approved-on", _) => Self::ApprovedOn,
            ("from", _) => Self::From,
            ("until", _) => Self::Until,
            ("note", _) => Self::Note,
            _ => return None,
        })
    }
}

/// Before or behind the column `target`.
#[derive(Clone, Copy)]
enum Side {
    Source,
    Target,
}

/// Where each column of a table stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Columns {
    places: [Option<usize>; COUNT],
    /// How many cells the first line has.
    pub(crate) width: usize,
}

impl Columns {
    pub(crate) fn read(text: &str, header: &Record) -> Result<Self, Mistake> {
        let mut columns = Self {
            width: header.cells.len(),
            ..Self::default()
        };
        let names: Vec<String> = header
            .cells
            .iter()
            .map(|range| cell(text, range).to_ascii_lowercase())
            .collect();
        if let [only] = names.as_slice()
            && let Some(other) = [';', '\t'].into_iter().find(|other| only.contains(*other))
        {
            let other = if other == ';' { "semicolons" } else { "tabs" };
            let text = format!("the columns are separated by {other} and not by commas");
            return Err(Mistake::at(header.line, text).remedy("save the table as CSV with commas"));
        }
        let mut side = Side::Source;
        for (place, name) in names.iter().enumerate() {
            let Some(column) = Column::of(name, side) else {
                let text = format!("no column is called `{name}`; they are {COLUMNS}");
                return Err(Mistake::at(header.line, text));
            };
            if column == Column::Target {
                side = Side::Target;
            }
            let slot = columns.places.get_mut(column as usize);
            if slot.is_some_and(|slot| slot.replace(place).is_some()) {
                let text = format!("column {} is there twice", place + 1);
                return Err(Mistake::at(header.line, text));
            }
        }
        if columns.place(Column::SourceCode).is_none()
            || columns.place(Column::TargetCode).is_none()
        {
            let text = format!(
                "`code` must be there on both sides of `target`; the columns are {COLUMNS}"
            );
            return Err(Mistake::at(header.line, text));
        }
        Ok(columns)
    }

    /// The place of a column in a row, from 0.
    pub(crate) fn place(&self, column: Column) -> Option<usize> {
        self.places.get(column as usize).copied().flatten()
    }

    /// A column that the table lacks gets the next place.
    pub(crate) fn add(&mut self, column: Column) {
        if let Some(slot) = self.places.get_mut(column as usize)
            && slot.is_none()
        {
            *slot = Some(self.width);
            self.width += 1;
        }
    }

    /// Where a cell of a row stands, if the row is that long.
    pub(crate) fn range<'r>(&self, record: &'r Record, column: Column) -> Option<&'r Range<usize>> {
        record.cells.get(self.place(column)?)
    }

    /// The text of a cell; empty where the table or the row lacks it.
    pub(crate) fn text<'t>(
        &self,
        text: &'t str,
        record: &Record,
        column: Column,
    ) -> std::borrow::Cow<'t, str> {
        self.range(record, column)
            .map(|range| cell(text, range))
            .unwrap_or_default()
    }
}
