//! Texts, one after the other in one allocation.

use super::file::{Damaged, Reader, Writer};

/// Many texts: their bytes, and where each ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Strings {
    text: String,
    ends: Vec<u32>,
}

impl Strings {
    /// Adds a text and gives its place; `None` when there is no more room (4 GB).
    pub(super) fn push(&mut self, text: &str) -> Option<u32> {
        let at = u32::try_from(self.ends.len()).ok()?;
        let end = u32::try_from(self.text.len().checked_add(text.len())?).ok()?;
        self.text.push_str(text);
        self.ends.push(end);
        Some(at)
    }

    /// The text at a place; empty where there is none.
    pub(super) fn get(&self, at: u32) -> &str {
        let at = at as usize;
        let start = match at.checked_sub(1) {
            None => 0,
            Some(before) => self.ends.get(before).copied().unwrap_or_default() as usize,
        };
        let end = self.ends.get(at).copied().unwrap_or_default() as usize;
        self.text.get(start..end).unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * 4
    }

    pub(super) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.bytes(self.text.as_bytes());
        out.numbers(&self.ends);
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let text = std::str::from_utf8(from.bytes()?).map_err(|_| Damaged::Form)?;
        let ends = from.numbers()?;
        let ordered =
            ends.is_sorted() && ends.last().copied().unwrap_or_default() as usize == text.len();
        let whole = ends.iter().all(|end| text.is_char_boundary(*end as usize));
        if !ordered || !whole {
            return Err(Damaged::Form);
        }
        Ok(Self {
            text: text.to_owned(),
            ends,
        })
    }
}

/// For each concept a run of rows: where it begins, with one more number for the end of the last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Runs {
    starts: Vec<u32>,
}

impl Runs {
    /// Sorts rows by the concept that they are of (the order of one concept's rows stays) and
    /// gives the runs with the order that the rows have to take.
    pub(super) fn of(owners: &[u32], concepts: usize) -> (Self, Vec<u32>) {
        let mut starts = vec![0_u32; concepts + 1];
        for owner in owners {
            if let Some(count) = starts.get_mut(*owner as usize + 1) {
                *count += 1;
            }
        }
        let mut sum = 0_u32;
        for start in &mut starts {
            sum = sum.saturating_add(*start);
            *start = sum;
        }
        let mut next = starts.clone();
        let mut order = vec![0_u32; owners.len()];
        for (row, owner) in owners.iter().enumerate() {
            let Some(place) = next.get_mut(*owner as usize) else {
                continue;
            };
            if let (Some(slot), Ok(row)) = (order.get_mut(*place as usize), u32::try_from(row)) {
                *slot = row;
            }
            *place += 1;
        }
        (Self { starts }, order)
    }

    pub(super) fn get(&self, concept: u32) -> std::ops::Range<usize> {
        let at = concept as usize;
        let start = self.starts.get(at).copied().unwrap_or_default() as usize;
        let end = self.starts.get(at + 1).map_or(start, |end| *end as usize);
        start..end
    }

    pub(super) fn bytes(&self) -> usize {
        self.starts.capacity() * 4
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.numbers(&self.starts);
    }

    /// Reads runs over so many concepts and rows.
    pub(super) fn read(from: &mut Reader<'_>, concepts: usize) -> Result<(Self, usize), Damaged> {
        let starts = from.numbers()?;
        let rows = starts.last().copied().unwrap_or_default() as usize;
        if starts.len() != concepts + 1 || !starts.is_sorted() || starts.first() != Some(&0) {
            return Err(Damaged::Form);
        }
        Ok((Self { starts }, rows))
    }
}
