//! What is wrong with a map file, as plain data.

use std::fmt;

/// A place in a map file, both counted from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spot {
    /// The line.
    pub line: u32,
    /// The character within the line.
    pub column: u32,
}

/// A mistake in a map file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file as it was named to the reader.
    pub file: String,
    /// Where.
    pub spot: Spot,
    /// What stands there.
    pub text: String,
    /// What is wrong with it; lower case, no full stop.
    pub reason: String,
    /// What to do, where that is known.
    pub remedy: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            spot,
            text,
            reason,
            remedy,
        } = self;
        write!(
            f,
            "{file}:{}:{}: {reason}: `{text}`",
            spot.line, spot.column
        )?;
        match remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

/// All problems of a set of map files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} in the maps, the first: {}", count(.0.len()), .0.first().map(ToString::to_string).unwrap_or_default())]
pub struct Problems(pub Vec<Problem>);

fn count(n: usize) -> String {
    if n == 1 {
        "1 problem".to_owned()
    } else {
        format!("{n} problems")
    }
}

/// A mistake within a text, before its place in a file is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Characters in front of it within the text.
    pub(crate) at: usize,
    pub(crate) text: String,
    pub(crate) reason: String,
    pub(crate) remedy: Option<String>,
}

impl Fault {
    pub(crate) fn new(at: usize, text: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            at,
            text: text.into(),
            reason: reason.into(),
            remedy: None,
        }
    }

    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    pub(crate) fn nearest<'n>(self, names: impl IntoIterator<Item = &'n str>) -> Self {
        match nearest(&self.text, names) {
            Some(name) => {
                let remedy = format!("did you mean `{name}`?");
                self.remedy(remedy)
            }
            None => self,
        }
    }
}

/// The name that differs least from a text, if it is near at all.
pub(crate) fn nearest<'n>(text: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let text = text.to_ascii_lowercase();
    let allowed = text.chars().count() / 3 + 1;
    names
        .into_iter()
        .map(|name| (distance(&text, &name.to_ascii_lowercase()), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| name)
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(&b) {
            let change = corner + usize::from(x != *y);
            corner = *cell;
            left = change.min(corner + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_near() {
        assert_eq!(nearest("nme", ["name", "gender"]), Some("name"));
        assert_eq!(
            nearest("birthdate", ["birthDate", "name"]),
            Some("birthDate")
        );
        assert_eq!(nearest("xyz", ["name", "gender"]), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
