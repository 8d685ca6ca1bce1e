//! The texts beside the table: where it comes from and where its sources disagree.

use std::collections::BTreeMap;

use super::merge::{Conflicts, Merged, VERSIONS};
use super::packages::PACKAGES;

pub(crate) fn summary(merged: &Merged) -> String {
    let mut text = String::new();
    for version in &merged.versions {
        let fields: usize = version
            .segments
            .values()
            .map(|segment| segment.fields.len())
            .sum();
        line(
            &mut text,
            &format!(
                "{:6} {:4} structures {:4} events {:4} segments {:5} fields {:4} data types {:4} tables",
                version.name,
                version.structures.len(),
                version.events.len(),
                version.segments.len(),
                fields,
                version.types.len(),
                version.tables.len(),
            ),
        );
    }
    for (kind, count) in counts(&merged.conflicts) {
        line(
            &mut text,
            &format!("{count} disagreements about {kind}, listed in CONFLICTS.md"),
        );
    }
    text.trim_end().to_owned()
}

fn counts(conflicts: &Conflicts) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for (kind, _, _) in conflicts.keys() {
        *counts.entry(*kind).or_default() += 1;
    }
    counts
}

pub(crate) fn provenance(merged: &Merged) -> String {
    let mut text = String::from(
        "# Where dictionary.bin comes from\n\n\
         Made by `cargo xtask codegen` from these packages, and from nothing else:\n\n\
         | Package | Registry | Licence | sha256 | Gives |\n|---|---|---|---|---|\n",
    );
    for package in &PACKAGES {
        line(
            &mut text,
            &format!(
                "| {} {} | {} | {} | `{}` | {} |",
                package.name,
                package.version,
                package.registry,
                package.licence,
                package.sha256,
                package.gives
            ),
        );
    }
    text.push_str(
        "\nRules of the merge:\n\n\
         - hl7apy is the base. Whether a field is required or repeats goes by the majority of the packages that know it, hl7apy where they are even.\n\
         - 2.7.1 is hl7apy's 2.7 with hl7types' and hl7-dictionary's 2.7.1 over it.\n\
         - Lengths come from hl7-dictionary, which ends at 2.7.1; a later field of the same position and type keeps the length of 2.7.1.\n\
         - hl7apy has no tables before 2.3.1: 2.1 to 2.3 use those of 2.3.1. Texts of codes are hl7-dictionary's, which has one text for all versions.\n\
         - A table whose rows are ranges or examples is marked open: a code that is not in it is not wrong. So is 0396, where sites name their own systems. Table 0104 holds each version itself, which the packages' lists mostly lack.\n\
         - Usage B (kept for backward compatibility) is in none of the packages; such fields are optional here.\n\
         - 2.9 and 2.9.1 are absent: no registry package with a suitable licence carries them.\n\n\
         Counts:\n\n```text\n",
    );
    text.push_str(&summary(merged));
    text.push_str(
        "\n```\n\nThe licence of all three packages is the MIT licence; their notices:\n\n",
    );
    text.push_str(
        "- hl7apy: Copyright (c) 2012-2018, CRS4\n\
         - hl7types: MIT, Keiron O'Shea\n\
         - hl7-dictionary: Fernando Serrano, MIT as stated in its package file\n",
    );
    text
}

pub(crate) fn conflicts(merged: &Merged) -> String {
    let mut text = String::from(
        "# Where the packages disagree\n\n\
         Values in the order hl7apy / hl7types / hl7-dictionary, `-` where a package does not have the field;\n\
         structures: hl7apy / hl7-dictionary at the first difference, `?` 0..1, `*` 0..n, `+` 1..n. The rules that\n\
         decide are in PROVENANCE.md.\n",
    );
    let mut last = "";
    for ((kind, what, detail), versions) in &merged.conflicts {
        if *kind != last {
            line(&mut text, &format!("\n## {kind}\n"));
            last = kind;
        }
        line(
            &mut text,
            &format!("- {what}: {detail} ({})", spans(versions)),
        );
    }
    text
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// `2.3-2.5.1, 2.7`: neighbours joined.
fn spans(versions: &[&str]) -> String {
    let index = |name: &str| {
        VERSIONS
            .iter()
            .position(|version| *version == name)
            .unwrap_or(0)
    };
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for number in versions.iter().map(|name| index(name)) {
        match runs.last_mut() {
            Some((_, end)) if *end + 1 == number => *end = number,
            _ => runs.push((number, number)),
        }
    }
    let name = |number: usize| VERSIONS.get(number).copied().unwrap_or_default();
    let texts = runs.iter().map(|(start, end)| {
        if start == end {
            name(*start).to_owned()
        } else {
            format!("{}-{}", name(*start), name(*end))
        }
    });
    texts.collect::<Vec<_>>().join(", ")
}
