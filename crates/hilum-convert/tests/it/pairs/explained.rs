//! Why fields differ: the rows of `explained.txt`.
//!
//! Columns separated by two or more spaces: set (`*` for any), pairs (a pattern of their names), kind
//! (`missing`, `differs`, `extra`, `*`), path (a pattern), whose (`theirs`, `ours`, `defect`), reason.
//! The set `types` are the pairs of ReportStream about one data type ([`DATA_TYPES`]), `segments` its
//! others.
//!
//! In a pattern `*` stands for any text; patterns of pairs are parted by `|`. The first row that fits counts. Behind the path may stand
//! `=` and a pattern of the value: theirs, where only we have one ours, where both differ
//! `theirs -> ours`.

use std::collections::BTreeSet;

use super::compare::{Difference, Kind};

const ROWS: &str = include_str!("explained.txt");

/// What only we give, path by path, where the path of a row has a `*`: a row explains a group of
/// fields, and one that is new in it is to be looked at. Lines without a blank in front are set and
/// resource, those below its fields. Nothing writes this file; the test says which lines to change.
const EXTRA: &str = include_str!("extra.txt");

/// Folders of ReportStream that are about a data type, or about the header that carries some.
const DATA_TYPES: [&str; 26] = [
    "aui", "ce", "cnn", "cp", "cq", "cwe", "cx", "dld", "dr", "dt", "dtm", "ei", "eip", "hd", "id",
    "msg", "msh", "ndl", "nm", "pl", "pt", "xad", "xcn", "xon", "xpn", "xtn",
];

/// Whose choice a difference is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Whose {
    Theirs,
    Ours,
    Defect,
}

struct Row {
    line: usize,
    set: &'static str,
    pairs: &'static str,
    kind: &'static str,
    path: &'static str,
    value: Option<&'static str>,
    whose: Whose,
    reason: &'static str,
    used: usize,
}

/// All rows, with how often each was used.
pub(super) struct Explanations {
    rows: Vec<Row>,
    /// Sets and paths of `extra.txt`.
    listed: BTreeSet<(String, String)>,
    /// Those that a row with a `*` explained.
    met: BTreeSet<(String, String)>,
}

impl Explanations {
    pub(super) fn read() -> Self {
        let mut rows = Vec::new();
        for (at, line) in ROWS.lines().enumerate() {
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            let columns: Vec<&'static str> = line
                .split("  ")
                .map(str::trim)
                .filter(|column| !column.is_empty())
                .collect();
            let [set, pairs, kind, path, whose, reason] = columns[..] else {
                panic!("explained.txt:{}: six columns are needed: {line}", at + 1);
            };
            let (path, value) = match path.split_once('=') {
                Some((path, value)) => (path, Some(value)),
                None => (path, None),
            };
            let whose = match whose {
                "theirs" => Whose::Theirs,
                "ours" => Whose::Ours,
                "defect" => Whose::Defect,
                other => panic!("explained.txt:{}: whose choice is `{other}`?", at + 1),
            };
            rows.push(Row {
                line: at + 1,
                set,
                pairs,
                kind,
                path,
                value,
                whose,
                reason,
                used: 0,
            });
        }
        let (listed, met) = (listed(), BTreeSet::new());
        Self { rows, listed, met }
    }

    /// Whose choice a difference is, where a row tells.
    pub(super) fn of(&mut self, set: &str, pair: &str, one: &Difference) -> Option<Whose> {
        let row = self.rows.iter_mut().find(|row| {
            is_in(row.set, set, pair)
                && (row.kind == "*" || row.kind == one.kind.name())
                && row.pairs.split('|').any(|pairs| fits(pairs, pair))
                && fits(row.path, &one.path)
                && row.value.is_none_or(|value| fits(value, &value_of(one)))
        })?;
        row.used += 1;
        if one.kind == Kind::Extra && row.path.contains('*') {
            self.met.insert((set.to_owned(), one.path.clone()));
        }
        Some(row.whose)
    }

    /// What `extra.txt` lacks, and what it has of which there is nothing any more.
    pub(super) fn unlisted(&self) -> (Vec<String>, Vec<String>) {
        let lines = |of: &BTreeSet<(String, String)>, but: &BTreeSet<(String, String)>| {
            let found = of.difference(but);
            found.map(|(set, path)| format!("{set} {path}")).collect()
        };
        (
            lines(&self.met, &self.listed),
            lines(&self.listed, &self.met),
        )
    }

    /// Lines of rows that fit nothing.
    pub(super) fn unused(&self) -> Vec<usize> {
        self.rows
            .iter()
            .filter(|row| row.used == 0)
            .map(|row| row.line)
            .collect()
    }

    pub(super) fn write(&self, page: &mut String) {
        for (whose, title) in [
            (Whose::Defect, "Defects of ours"),
            (Whose::Theirs, "Their choices"),
            (Whose::Ours, "Our choices"),
        ] {
            page.push_str(&format!("### {title}\n\n"));
            let mut rows = self.rows.iter().filter(|row| row.whose == whose).peekable();
            if rows.peek().is_none() {
                page.push_str("None.\n\n");
                continue;
            }
            page.push_str("| Set | Fields | Kind | Path | Why |\n|---|---|---|---|---|\n");
            for row in rows {
                let mut place = row.path.to_owned();
                if let Some(value) = row.value {
                    place = format!("{place} = {}", value.replace('|', "\\|"));
                }
                if row.pairs != "*" {
                    place = format!("{place} in {}", row.pairs.replace('|', " "));
                }
                page.push_str(&format!(
                    "| {} | {} | {} | `{place}` | {} |\n",
                    row.set, row.used, row.kind, row.reason
                ));
            }
            page.push('\n');
        }
        while page.ends_with("\n\n") {
            page.pop();
        }
    }
}

/// The lines of `extra.txt` as sets and paths.
fn listed() -> BTreeSet<(String, String)> {
    let mut of = ("", "");
    let mut listed = BTreeSet::new();
    for line in EXTRA.lines().filter(|line| !line.starts_with('#')) {
        match line.strip_prefix("  ") {
            Some(field) => {
                listed.insert((of.0.to_owned(), format!("{}.{field}", of.1)));
            }
            None => of = line.split_once(' ').unwrap_or((line, "")),
        }
    }
    listed
}

/// Whether a pair belongs to what a row names as its set.
fn is_in(named: &str, set: &str, pair: &str) -> bool {
    let is_type = || {
        let folder = pair.split_once('/').map(|(folder, _)| folder);
        folder.is_some_and(|folder| DATA_TYPES.contains(&folder))
    };
    match named {
        "*" => true,
        "types" => set == "reportstream" && is_type(),
        "segments" => set == "reportstream" && !is_type(),
        named => named == set,
    }
}

fn value_of(one: &Difference) -> String {
    match one.kind {
        Kind::Missing => one.theirs.clone(),
        Kind::Extra => one.ours.clone(),
        Kind::Differs => format!("{} -> {}", one.theirs, one.ours),
    }
}

/// Whether a text fits a pattern in which `*` stands for any text.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        if let Some(part) = last.replace(part) {
            match rest.find(part) {
                Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
                None => return false,
            }
        }
    }
    last.map_or(rest.is_empty(), |last| rest.ends_with(last))
}
