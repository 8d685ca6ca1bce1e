//! Why each element or field is there, and which rows wrote something: tables for people.

use std::collections::BTreeMap;

use hilum_convert::text::{Entry, MapFile, Rows, Sign};

use crate::output::Output;

/// Characters of a value that are shown.
const VALUE_CHARS: usize = 40;
/// Characters of a row that are shown.
const ROW_CHARS: usize = 100;

/// What was written of one message: under a heading for each resource or segment a line for each
/// place with its value, what it was taken from, and the row.
pub(super) struct Why {
    groups: Vec<(String, Vec<[String; 4]>)>,
}

impl Why {
    pub(super) const fn new() -> Self {
        Self { groups: Vec::new() }
    }

    /// Takes a line; those of a heading stand together wherever they come.
    pub(super) fn add(&mut self, heading: String, place: &str, value: &str, from: &str, row: &str) {
        let line = [
            place.to_owned(),
            short(value, VALUE_CHARS),
            from.to_owned(),
            row.to_owned(),
        ];
        match self.groups.iter_mut().find(|(named, _)| *named == heading) {
            Some((_, lines)) => lines.push(line),
            None => self.groups.push((heading, vec![line])),
        }
    }

    pub(super) fn show(&self, name: &str, output: &Output) {
        output.note(format_args!("{name}:"));
        for (heading, lines) in &self.groups {
            output.note(format_args!("  {heading}"));
            let wide = |at: usize| {
                let cells = lines.iter().filter_map(|line| line.get(at));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            };
            let (first, second, third) = (wide(0), wide(1), wide(2));
            for [place, value, from, row] in lines {
                output.note(format_args!(
                    "    {place:first$}  {value:second$}  {from:third$}  {row}"
                ));
            }
        }
    }
}

/// A text on one line, cut where it is long.
fn short(text: &str, most: usize) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let mut cut: String = text.chars().take(most).map(plain).collect();
    if text.chars().nth(most).is_some() {
        cut.push('…');
    }
    cut
}

/// Shows how often each row wrote something, and the rows of the site's own files that never did.
pub(super) fn coverage(
    hits: &BTreeMap<(String, u32), u64>,
    files: &[MapFile],
    own: &[(String, String)],
    output: &Output,
) {
    let shipped = hilum_convert::Maps::shipped_files().iter().copied();
    let own_texts = own
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()));
    let texts: BTreeMap<&str, &str> = shipped.chain(own_texts).collect();
    let mut of = None;
    for ((file, line), count) in hits {
        if of != Some(file) {
            output.note(file);
            of = Some(file);
        }
        let row = line.checked_sub(1).and_then(|at| {
            let name = texts.get(file.as_str())?;
            name.lines().nth(usize::try_from(at).ok()?)
        });
        let row = short(row.unwrap_or_default().trim(), ROW_CHARS);
        output.note(format_args!("  {count:>6}  :{line:<4}  {row}"));
    }
    for file in files {
        let is_own = own.iter().any(|(name, _)| *name == file.name);
        for line in written(file).filter(|_| is_own) {
            if !hits.contains_key(&(file.name.clone(), line)) {
                output.note(format_args!("{}:{line}: wrote nothing", file.name));
            }
        }
    }
}

/// The lines of the rows that may write something on the way to FHIR.
fn written(file: &MapFile) -> impl Iterator<Item = u32> {
    let rows = file.blocks.iter().filter_map(|block| match &block.rows {
        Rows::Map(rows) => Some(rows),
        _ => None,
    });
    let writes = |entry: &&Entry<_>| entry.sign != Sign::Remove;
    rows.flatten().filter(writes).map(|entry| entry.spot.line)
}
