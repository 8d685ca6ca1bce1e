//! Paths as places to write to: `Patient.name[0].family`, `row[2].mrn`, `` a.`@id` ``.
//!
//! Names are identifiers of FHIRPath or stand in backticks; `[n]` counts from 0, `[*]` is each.

/// Which of the children of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Index {
    /// Nothing is said: the first.
    First,
    /// `[n]`, from 0.
    At(usize),
    /// `[*]`.
    Each,
}

/// One name of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The name.
    pub name: String,
    /// Which of them.
    pub index: Index,
}

/// A place in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    steps: Vec<Step>,
    text: String,
}

/// Why a text is no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} expected at character {at} of the path")]
pub struct PathError {
    /// Where, in bytes from 0.
    pub at: usize,
    /// What is expected.
    pub what: &'static str,
}

/// Names in one path.
const STEPS_MAX: usize = 64;

impl Path {
    /// Reads a path.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let mut reader = Reader { text, at: 0 };
        let mut steps = Vec::new();
        loop {
            let name = reader.name()?;
            let index = reader.index()?;
            steps.push(Step { name, index });
            if reader.at == text.len() {
                return Ok(Self {
                    steps,
                    text: text.to_owned(),
                });
            }
            if steps.len() == STEPS_MAX {
                return reader.expected("an end (a path has at most 64 names)");
            }
            reader.take('.', "`.` or the end")?;
        }
    }

    /// Its names, in order; at least one.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The path as written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn expected<T>(&self, what: &'static str) -> Result<T, PathError> {
        Err(PathError { at: self.at, what })
    }

    fn take(&mut self, c: char, what: &'static str) -> Result<(), PathError> {
        if !self.rest().starts_with(c) {
            return self.expected(what);
        }
        self.at = self.at.saturating_add(c.len_utf8());
        Ok(())
    }

    fn name(&mut self) -> Result<String, PathError> {
        if self.rest().starts_with('`') {
            return self.delimited();
        }
        let rest = self.rest();
        let start = |c: char| c.is_ascii_alphabetic() || c == '_';
        if !rest.starts_with(start) {
            return self.expected("a name, or one in backticks");
        }
        let end = rest
            .find(|c: char| !start(c) && !c.is_ascii_digit())
            .unwrap_or(rest.len());
        self.at = self.at.saturating_add(end);
        Ok(rest.get(..end).unwrap_or_default().to_owned())
    }

    fn delimited(&mut self) -> Result<String, PathError> {
        self.take('`', "a backtick")?;
        let mut name = String::new();
        let mut chars = self.rest().char_indices();
        let from = self.at;
        while let Some((at, c)) = chars.next() {
            match c {
                '`' if name.is_empty() => return self.expected("a name between the backticks"),
                '`' => {
                    self.at = from.saturating_add(at).saturating_add(1);
                    return Ok(name);
                }
                '\\' => match chars.next() {
                    Some((_, c @ ('`' | '\\' | '\'' | '"' | '/'))) => name.push(c),
                    _ => {
                        self.at = from.saturating_add(at);
                        return self.expected("\\` or \\\\");
                    }
                },
                c => name.push(c),
            }
        }
        self.at = self.text.len();
        self.expected("a closing backtick")
    }

    fn index(&mut self) -> Result<Index, PathError> {
        if !self.rest().starts_with('[') {
            return Ok(Index::First);
        }
        self.take('[', "`[`")?;
        let Some(end) = self.rest().find(']') else {
            return self.expected("`]`");
        };
        let inside = self.rest().get(..end).unwrap_or_default();
        let index = match inside {
            "*" => Index::Each,
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                match digits.parse::<u32>() {
                    Ok(number) => Index::At(number as usize),
                    Err(_) => return self.expected("a number or `*`"),
                }
            }
            _ => return self.expected("a number or `*`"),
        };
        self.at = self.at.saturating_add(end).saturating_add(1);
        Ok(index)
    }
}

/// Writes a name as a path does, in backticks where it needs them.
pub(crate) fn quote(name: &str) -> std::borrow::Cow<'_, str> {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain {
        name.into()
    } else {
        format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`")).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, Index)]) {
        let path = Path::parse(text).expect(text);
        let steps: Vec<_> = path
            .steps()
            .iter()
            .map(|s| (s.name.as_str(), s.index))
            .collect();
        assert_eq!(steps, expected, "{text}");
    }

    #[test]
    fn reads_names_backticks_and_indexes() {
        check("a", &[("a", Index::First)]);
        check(
            "Patient.name[0].family",
            &[
                ("Patient", Index::First),
                ("name", Index::At(0)),
                ("family", Index::First),
            ],
        );
        check("a[*].`@id`", &[("a", Index::Each), ("@id", Index::First)]);
        check(r"`a\`b\\ c.d`", &[(r"a`b\ c.d", Index::First)]);
    }

    #[test]
    fn says_where_a_path_ends_being_one() {
        for (text, at) in [
            ("", 0),
            ("a.", 2),
            ("a[x]", 2),
            ("a[", 2),
            ("a b", 1),
            ("`a", 2),
            ("``", 1),
            ("a[99999999999]", 2),
        ] {
            assert_eq!(Path::parse(text).map_err(|e| e.at), Err(at), "{text}");
        }
        assert!(Path::parse(&vec!["a"; 64].join(".")).is_ok());
        assert!(Path::parse(&vec!["a"; 65].join(".")).is_err());
    }

    #[test]
    fn quotes_what_needs_it() {
        assert_eq!(
            (&*quote("a_1"), &*quote("@id"), &*quote("a`b")),
            ("a_1", "`@id`", "`a\\`b`")
        );
    }
}
