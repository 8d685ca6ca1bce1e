//! Names that a misspelt one may have meant.

/// The known name that is closest, if one is close enough to be meant.
pub(crate) fn closest<'k>(text: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let bound = text.chars().count().saturating_add(1) / 3;
    let bound = bound.min(3);
    known
        .into_iter()
        .map(|name| (distance(text, name), name))
        .filter(|(distance, _)| *distance <= bound)
        .min()
        .map(|(_, name)| name)
}

/// A remedy that names the closest of the known names, or all of them where they are few.
pub(crate) fn did_you_mean<'k>(
    text: &str,
    what: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    if let Some(name) = closest(text, known.iter().copied()) {
        return Some(format!("did you mean `{name}`?"));
    }
    match known.len() {
        0 => None,
        1..=24 => Some(format!("{what}: {}", known.join(", "))),
        _ => None,
    }
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from one to the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (
        a.to_lowercase().chars().collect(),
        b.to_lowercase().chars().collect(),
    );
    // Names beyond this are never close.
    if a.len() > 64 || b.len() > 64 {
        return usize::MAX;
    }
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let above = rows
                .get(i)
                .and_then(|r| r.get(j + 1))
                .copied()
                .unwrap_or(usize::MAX - 1);
            let corner = rows
                .get(i)
                .and_then(|r| r.get(j))
                .copied()
                .unwrap_or(usize::MAX - 1);
            let left = row.last().copied().unwrap_or(usize::MAX - 1);
            let mut best = (above + 1).min(left + 1).min(corner + usize::from(x != y));
            if i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x) {
                let swapped = rows.get(i - 1).and_then(|r| r.get(j - 1)).copied();
                best = best.min(swapped.unwrap_or(usize::MAX - 1) + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows.last()
        .and_then(|row| row.last())
        .copied()
        .unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_close_names_are_suggested() {
        let known = ["ehr", "lis", "pharmacy", "acknowledge"];
        for (text, want) in [
            ("ehrr", Some("ehr")),
            ("pharmcay", Some("pharmacy")),
            ("acknowlege", Some("acknowledge")),
            ("EHR", Some("ehr")),
            ("pacs", None),
            ("", None),
        ] {
            assert_eq!(closest(text, known), want, "{text}");
        }
        let all = did_you_mean("pacs", "known systems", known);
        assert_eq!(
            all.as_deref(),
            Some("known systems: ehr, lis, pharmacy, acknowledge")
        );
    }
}
