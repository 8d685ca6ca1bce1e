//! The lint tables: one in the root manifest, used by every crate.
//!
//! `hilum-faultfs` needs unsafe code for its simulated disk, and cargo lets a crate either inherit
//! the whole table or write its own; so it repeats the table with two changes, compared here.
//! Manifests are read line by line: the tables are flat.

use std::collections::BTreeMap;

use super::Finding;
use super::tree::Tree;

const APART: &str = "crates/hilum-faultfs/Cargo.toml";

/// What `hilum-faultfs` says otherwise than the workspace.
const CHANGES: &[(&str, &str)] = &[
    ("rust.unsafe_code", "\"allow\""),
    ("clippy.undocumented_unsafe_blocks", "\"deny\""),
];

pub(super) fn tables(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    let text_of = |path: &str| tree.file(path).and_then(|file| file.text.as_deref());
    let mut expected = table(
        text_of("Cargo.toml").unwrap_or_default(),
        "workspace.lints.",
    );
    for (name, level) in CHANGES {
        expected.insert((*name).to_owned(), (*level).to_owned());
    }
    for file in &tree.files {
        let manifest = file.path.ends_with("/Cargo.toml") && !file.path.contains("/fuzz/");
        let Some(text) = file.text.as_deref().filter(|_| manifest) else {
            continue;
        };
        let inherits = section(text, "lints").any(|line| line == "workspace = true");
        if file.path == APART {
            let own = table(text, "lints.");
            let differs = expected
                .iter()
                .find(|(name, level)| own.get(*name) != Some(level))
                .or_else(|| own.iter().find(|(name, _)| !expected.contains_key(*name)));
            if let Some((name, _)) = differs.filter(|_| !inherits) {
                let text = format!("its lints differ from the workspace's in `{name}`");
                found.push(Finding::error(APART, text));
            }
        } else if !inherits {
            let text = "has no `[lints] workspace = true`";
            found.push(Finding::error(file.path.as_str(), text));
        }
    }
    found
}

/// Every lint of the tables whose header begins with `prefix`, as `tool.lint` to its level.
fn table(manifest: &str, prefix: &str) -> BTreeMap<String, String> {
    let mut lints = BTreeMap::new();
    for tool in ["rust", "clippy"] {
        for line in section(manifest, &format!("{prefix}{tool}")) {
            if let Some((name, level)) = line.split_once('=') {
                lints.insert(format!("{tool}.{}", name.trim()), level.trim().to_owned());
            }
        }
    }
    lints
}

/// The lines of a manifest's section, without comments.
fn section<'a>(manifest: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let header = format!("[{name}]");
    manifest
        .lines()
        .map(|line| line.split('#').next().unwrap_or(line).trim())
        .skip_while(move |line| *line != header)
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "[workspace.lints.rust]\nunsafe_code = \"forbid\"\n\
                        [workspace.lints.clippy]\ntodo = \"warn\" # a reason\n[profile.dev]\n";
    const APART_GOOD: &str = "[lints.rust]\nunsafe_code = \"allow\"\n[lints.clippy]\n\
                              todo = \"warn\"\nundocumented_unsafe_blocks = \"deny\"\n";

    fn check(apart: &str, other: &str, expected: usize) {
        let found = tables(&Tree::of(&[
            ("Cargo.toml", ROOT),
            (APART, apart),
            ("crates/a/Cargo.toml", other),
        ]));
        assert_eq!(found.len(), expected, "{found:?}");
    }

    #[test]
    fn wants_the_workspace_table_everywhere() {
        check(APART_GOOD, "[lints]\nworkspace = true\n", 0);
        check(APART_GOOD, "[dependencies]\n", 1);
    }

    #[test]
    fn compares_the_one_table_that_stands_apart() {
        let good = "[lints]\nworkspace = true\n";
        check(&APART_GOOD.replace("todo = \"warn\"\n", ""), good, 1);
        check(&APART_GOOD.replace("\"allow\"", "\"forbid\""), good, 1);
        check(&format!("{APART_GOOD}extra = \"allow\"\n"), good, 1);
        check(good, good, 0);
    }
}
