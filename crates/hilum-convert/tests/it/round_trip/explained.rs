//! Why values do not come back: the rows of `explained.txt`.
//!
//! Columns separated by two or more spaces: places (patterns such as `PID-3.6` or `OBR-2.*`, separated by
//! blanks), what happened (`lost`, `changed`, `*`), whose doing it is, reason. In a pattern `*` stands
//! for any text. The first row that fits counts. A line `group NAME  PLACES` gives fields a name, so that
//! `NAME.8` is the eighth component of each. `gone` tells of whole segments that do not come back:
//! their places are names of segments. Behind an `@` stands a pattern for the file that a reason holds
//! for alone.

const ROWS: &str = include_str!("explained.txt");

/// Whose doing it is.
const WHOSE: &[(&str, &str)] = &[
    ("guide", "The guide has no place for it"),
    ("fhir", "FHIR says it in another way"),
    ("sample", "The sample contradicts itself or the standard"),
    ("ours", "Our choice"),
];

struct Row {
    line: usize,
    places: Vec<&'static str>,
    /// The places with the groups written out.
    patterns: Vec<String>,
    kind: &'static str,
    whose: &'static str,
    reason: &'static str,
    used: usize,
}

/// All rows, with how often each was used.
pub(super) struct Explanations {
    rows: Vec<Row>,
}

impl Explanations {
    pub(super) fn read() -> Self {
        let lines = ROWS.lines().enumerate();
        let lines = lines.filter(|(_, line)| !line.starts_with('#') && !line.trim().is_empty());
        let (groups, lines): (Vec<_>, Vec<_>) =
            lines.partition(|(_, line)| line.starts_with("group "));
        let groups: Vec<(&str, Vec<&str>)> = groups
            .iter()
            .filter_map(|(_, line)| {
                let (name, fields) = line.strip_prefix("group ")?.split_once("  ")?;
                Some((name, fields.split_whitespace().collect()))
            })
            .collect();
        let rows = lines.into_iter().map(|(at, line)| {
            let columns: Vec<&'static str> = line
                .split("  ")
                .map(str::trim)
                .filter(|column| !column.is_empty())
                .collect();
            let [places, kind, whose, reason] = columns[..] else {
                panic!("explained.txt:{}: four columns are needed: {line}", at + 1);
            };
            assert!(
                matches!(kind, "lost" | "changed" | "*" | "gone")
                    && WHOSE.iter().any(|(own, _)| *own == whose),
                "explained.txt:{}: {kind}, {whose}",
                at + 1
            );
            Row {
                line: at + 1,
                places: places.split(' ').collect(),
                patterns: places
                    .split(' ')
                    .flat_map(|place| patterns(place, &groups))
                    .collect(),
                kind,
                whose,
                reason,
                used: 0,
            }
        });
        Self {
            rows: rows.collect(),
        }
    }

    /// Whether a row tells why each place of a field is not as it was.
    pub(super) fn tell(&mut self, file: &str, field: &str, amiss: &[(u32, bool)]) -> bool {
        let mut used = Vec::new();
        for (component, is_changed) in amiss {
            let place = format!("{field}.{component}");
            let kind = if *is_changed { "changed" } else { "lost" };
            match self.row(file, &place, |of| of == "*" || of == kind) {
                Some(row) => used.push(row),
                None => return false,
            }
        }
        used.sort_unstable();
        used.dedup();
        for row in used {
            self.rows[row].used += 1;
        }
        true
    }

    /// Whether a row tells why a whole segment does not come back.
    pub(super) fn tell_gone(&mut self, file: &str, segment: &str) -> bool {
        let row = self.row(file, segment, |of| of == "gone");
        if let Some(row) = row {
            self.rows[row].used += 1;
        }
        row.is_some()
    }

    /// The first row that fits.
    fn row(&self, file: &str, place: &str, kind: impl Fn(&str) -> bool) -> Option<usize> {
        let own = |pattern: &String| match pattern.split_once('@') {
            Some((pattern, of)) => fits(pattern, place) && fits(of, file),
            None => fits(pattern, place),
        };
        let mut rows = self.rows.iter();
        rows.position(|row| kind(row.kind) && row.patterns.iter().any(own))
    }

    /// Lines of rows that fit nothing.
    pub(super) fn unused(&self) -> Vec<usize> {
        let unused = self.rows.iter().filter(|row| row.used == 0);
        unused.map(|row| row.line).collect()
    }

    pub(super) fn write(&self, page: &mut String) {
        for (whose, title) in WHOSE {
            let rows: Vec<&Row> = self.rows.iter().filter(|row| row.whose == *whose).collect();
            if rows.is_empty() {
                continue;
            }
            page.push_str(&format!(
                "\n### {title}\n\n| Places | What | Count | Why |\n|---|---|---:|---|\n"
            ));
            for Row {
                places,
                kind,
                used,
                reason,
                ..
            } in rows
            {
                let kind = match *kind {
                    "*" => "lost or changed",
                    "gone" => "whole segment",
                    kind => kind,
                };
                let places = places.join("`, `");
                page.push_str(&format!("| `{places}` | {kind} | {used} | {reason} |\n"));
            }
        }
    }
}

/// A place as patterns: one for each field of a group.
fn patterns(place: &str, groups: &[(&str, Vec<&str>)]) -> Vec<String> {
    let (field, component) = place.split_once('.').unwrap_or((place, ""));
    let group = groups.iter().find(|(name, _)| *name == field);
    match group {
        Some((_, fields)) => fields
            .iter()
            .map(|field| format!("{field}.{component}"))
            .collect(),
        None => vec![place.to_owned()],
    }
}

/// Whether a text fits a pattern in which `*` stands for any text.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, inner)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in inner {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}
