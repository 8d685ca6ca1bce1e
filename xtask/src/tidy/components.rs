//! Rules about what the tree promises its readers: components listed, examples tested, crates
//! described, changes named.

use std::collections::BTreeSet;

use super::tree::Tree;
use super::{Finding, Ground};

/// Crates whose folders are components.
const HOMES: &[&str] = &[
    "crates/hilum-formats/src/",
    "crates/hilum-steps/src/",
    "crates/hilum-connectors/src/",
];

const KINDS_OF_CHANGE: &[&str] = &["breaking", "security", "feature", "change", "fix"];

/// A folder that makes a spec and is not named in its crate's `lib.rs` is a component that no
/// user can reach.
pub(super) fn registered(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for home in HOMES {
        let list = tree
            .file(&format!("{home}lib.rs"))
            .and_then(|file| file.text.as_deref())
            .unwrap_or_default();
        for folder in folders(tree, home) {
            let inside = format!("{home}{folder}/");
            let has_spec = tree
                .rust()
                .filter(|file| file.path.starts_with(&inside))
                .any(|file| file.lines().any(|(_, line)| line.contains("ComponentSpec")));
            if has_spec && !list.contains(&format!("{folder}::")) {
                let text = format!("not in the visible list of {home}lib.rs");
                found.push(Finding::error(inside, text));
            }
        }
    }
    found
}

/// Every folder under `config/examples/` that has channels has at least one `*.test.yaml`.
pub(super) fn examples_tested(tree: &Tree) -> Vec<Finding> {
    let home = "config/examples/";
    folders(tree, home)
        .into_iter()
        .map(|folder| format!("{home}{folder}/"))
        .filter(|folder| {
            let channels = format!("{folder}channels/");
            let mut files = tree
                .files
                .iter()
                .filter(|file| file.path.starts_with(&channels));
            files.clone().next().is_some() && !files.any(|file| file.path.ends_with(".test.yaml"))
        })
        .map(|folder| Finding::error(folder, "has no *.test.yaml"))
        .collect()
}

/// ARCHITECTURE.md names every crate in backticks.
pub(super) fn crates_described(ground: &Ground) -> Vec<Finding> {
    let Some(text) = ground
        .tree
        .file("ARCHITECTURE.md")
        .and_then(|file| file.text.as_deref())
    else {
        return vec![Finding::error("ARCHITECTURE.md", "is missing")];
    };
    ground
        .metadata
        .members()
        .filter(|package| !text.contains(&format!("`{}`", package.name)))
        .map(|package| Finding::error("ARCHITECTURE.md", format!("does not name {}", package.name)))
        .collect()
}

pub(super) fn changelog(tree: &Tree) -> Vec<Finding> {
    tree.files
        .iter()
        .filter_map(|file| file.path.strip_prefix("changelog.d/"))
        .filter(|name| *name != "README.md")
        .filter(|name| {
            let kind = name
                .strip_suffix(".md")
                .and_then(|name| name.rsplit_once('.'))
                .map(|(_, kind)| kind);
            !kind.is_some_and(|kind| KINDS_OF_CHANGE.contains(&kind))
        })
        .map(|name| Finding::error(format!("changelog.d/{name}"), "does not name its kind"))
        .collect()
}

/// Names of the folders directly under `home` that hold files.
fn folders<'a>(tree: &'a Tree, home: &str) -> BTreeSet<&'a str> {
    tree.files
        .iter()
        .filter_map(|file| file.path.strip_prefix(home))
        .filter_map(|path| path.split_once('/'))
        .map(|(folder, _)| folder)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::metadata::Metadata;
    use super::*;

    #[test]
    fn finds_a_component_that_nobody_lists() {
        let tree = Tree::of(&[
            (
                "crates/hilum-steps/src/lib.rs",
                "mod filter;\nmod set;\nmod plain;\n[filter::spec()]\n",
            ),
            ("crates/hilum-steps/src/filter/mod.rs", "-> ComponentSpec"),
            ("crates/hilum-steps/src/set/mod.rs", "-> ComponentSpec"),
            (
                "crates/hilum-steps/src/plain/mod.rs",
                "fn no_component() {}",
            ),
        ]);
        let found = registered(&tree);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "crates/hilum-steps/src/set/");
    }

    #[test]
    fn wants_tests_with_every_example() {
        let tree = Tree::of(&[
            ("config/examples/relay/hilum.yaml", ""),
            ("config/examples/relay/channels/relay.test.yaml", ""),
            ("config/examples/bare/channels/bare.yaml", ""),
            ("config/examples/none/hilum.yaml", ""),
        ]);
        let found = examples_tested(&tree);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "config/examples/bare/");
    }

    #[test]
    fn wants_every_crate_described() {
        let ground = Ground {
            tree: Tree::of(&[("ARCHITECTURE.md", "`hilum-message` is the first.")]),
            metadata: Metadata::of(&[("hilum-message", &[]), ("hilum", &[])]),
        };
        let found = crates_described(&ground);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].text, "does not name hilum");
    }

    #[test]
    fn wants_changes_to_name_their_kind() {
        let tree = Tree::of(&[
            ("changelog.d/relay.feature.md", ""),
            ("changelog.d/relay.md", ""),
            ("changelog.d/README.md", ""),
        ]);
        assert_eq!(changelog(&tree).len(), 1);
    }
}
