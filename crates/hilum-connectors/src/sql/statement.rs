//! Statements with named values. A value is bound by the database; it never becomes text of the
//! statement, so nothing in a message can change what a statement does.

/// A statement, cut at its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    /// Text, and the name of the value that follows it; the last has none.
    parts: Vec<(String, Option<String>)>,
}

/// How a database writes the place of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Places {
    /// `$1`, numbered by name.
    Dollar,
    /// `?1`, numbered by name.
    Question,
    /// `?`, one for each place.
    Bare,
}

impl Statement {
    /// Finds the values: `:name` outside of quoted text, identifiers and comments. `::` is a cast.
    pub(super) fn parse(text: &str) -> Self {
        let (mut parts, mut current) = (Vec::new(), String::new());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let length = literal(rest);
            if length > 0 {
                push(&mut current, &mut rest, length);
            } else if rest.starts_with("::") {
                push(&mut current, &mut rest, 2);
            } else if let Some(name) = (first == ':').then(|| name(rest)).flatten() {
                rest = rest.get(1 + name.len()..).unwrap_or_default();
                parts.push((std::mem::take(&mut current), Some(name.to_owned())));
            } else {
                push(&mut current, &mut rest, first.len_utf8());
            }
        }
        parts.push((current, None));
        Self { parts }
    }

    /// The names of the values, each once, in the order in which they first appear.
    pub(super) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for name in self.parts.iter().filter_map(|(_, name)| name.as_deref()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The text for a database, and the names of the values to bind, in order.
    pub(super) fn render(&self, places: Places) -> (String, Vec<&str>) {
        let (mut text, names, mut bound) = (String::new(), self.names(), Vec::new());
        for (part, name) in &self.parts {
            text.push_str(part);
            let Some(name) = name else { continue };
            let number = names
                .iter()
                .position(|known| known == name)
                .map_or(0, |at| at + 1);
            match places {
                Places::Dollar => text.push_str(&format!("${number}")),
                Places::Question => text.push_str(&format!("?{number}")),
                Places::Bare => {
                    text.push('?');
                    bound.push(name.as_str());
                }
            }
        }
        (text, if places == Places::Bare { bound } else { names })
    }
}

fn push(current: &mut String, rest: &mut &str, length: usize) {
    let (taken, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
    current.push_str(taken);
    *rest = after;
}

/// The length of the quoted text, identifier or comment that begins here; 0 if none does.
fn literal(text: &str) -> usize {
    let until = |open: usize, close: &str| {
        let inner = text.get(open..).unwrap_or_default();
        inner
            .find(close)
            .map_or(text.len(), |at| open + at + close.len())
    };
    match text.as_bytes() {
        // A doubled quote ends one text and begins the next, which comes to the same.
        [b'\'', ..] => until(1, "'"),
        [b'"', ..] => until(1, "\""),
        [b'`', ..] => until(1, "`"),
        [b'-', b'-', ..] => until(2, "\n"),
        [b'/', b'*', ..] => until(2, "*/"),
        _ => 0,
    }
}

fn name(text: &str) -> Option<&str> {
    let rest = text.strip_prefix(':')?;
    let end = rest
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(rest.len());
    let name = rest.get(..end)?;
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        .then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_outside_of_text_and_comments() {
        let check = |text: &str, dollar: &str, names: &[&str]| {
            let statement = Statement::parse(text);
            assert_eq!(
                statement.render(Places::Dollar),
                (dollar.to_owned(), names.to_vec()),
                "{text}"
            );
        };
        check("select 1", "select 1", &[]);
        check(
            "a = :x and b = :y or c = :x",
            "a = $1 and b = $2 or c = $1",
            &["x", "y"],
        );
        check(
            "a = ':x' and \":x\" = `:x` -- :x\n= :y",
            "a = ':x' and \":x\" = `:x` -- :x\n= $1",
            &["y"],
        );
        check(
            "/* :x */ :y::int, 'it''s :x'",
            "/* :x */ $1::int, 'it''s :x'",
            &["y"],
        );
        check("a[1:2] :1 : :é :_a", "a[1:2] :1 : :é $1", &["_a"]);
        check("'open :x", "'open :x", &[]);
        let statement = Statement::parse("f(:x, :y, :x)");
        assert_eq!(
            statement.render(Places::Bare),
            ("f(?, ?, ?)".to_owned(), vec!["x", "y", "x"])
        );
        assert_eq!(statement.render(Places::Question).0, "f(?1, ?2, ?1)");
    }
}
