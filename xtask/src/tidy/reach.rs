//! Dead files: Rust files that no target reaches through `mod`.
//!
//! The declarations are read line by line, which is enough for formatted code. A `mod` inside an
//! inline module is taken as if it stood at the top, which can only make a dead file look alive.

use std::collections::HashSet;

use super::tree::Tree;
use super::{Finding, Ground};

pub(super) fn dead_files(ground: &Ground) -> Vec<Finding> {
    let base = format!("{}/", ground.metadata.workspace_root);
    let roots: Vec<String> = ground
        .metadata
        .members()
        .flat_map(|package| &package.targets)
        .filter_map(|target| target.src_path.strip_prefix(&base))
        .map(str::to_owned)
        .collect();
    unreached(&ground.tree, roots)
}

fn unreached(tree: &Tree, roots: Vec<String>) -> Vec<Finding> {
    let root_paths: HashSet<String> = roots.iter().cloned().collect();
    let mut reached: HashSet<String> = HashSet::new();
    let mut waiting = roots;
    while let Some(path) = waiting.pop() {
        let Some(file) = tree.file(&path) else {
            continue;
        };
        if !reached.insert(path.clone()) {
            continue;
        }
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let stem = name.trim_end_matches(".rs");
        let inside = if root_paths.contains(&path) || matches!(stem, "lib" | "main" | "mod") {
            folder.to_owned()
        } else {
            format!("{folder}/{stem}")
        };
        let mut named: Option<&str> = None;
        for (_, line) in file.lines() {
            let line = line.trim();
            if let Some(path) = quoted(line, "#[path = \"") {
                named = Some(path);
            } else if let Some(path) = quoted(line, "include!(\"") {
                waiting.push(format!("{folder}/{path}"));
            } else if let Some(module) = declared(line) {
                match named.take() {
                    Some(path) => waiting.push(format!("{folder}/{path}")),
                    None => {
                        waiting.push(format!("{inside}/{module}.rs"));
                        waiting.push(format!("{inside}/{module}/mod.rs"));
                    }
                }
            }
        }
    }
    tree.files
        .iter()
        .filter(|file| file.is_rust() && !reached.contains(&file.path))
        .filter(|file| !file.path.contains("/fuzz/"))
        .map(|file| Finding::error(file.path.as_str(), "no target reaches it"))
        .collect()
}

fn quoted<'a>(line: &'a str, opening: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(opening)?;
    rest.split_once('"').map(|(path, _)| path)
}

/// The module that a line such as `pub(crate) mod x;` declares.
fn declared(line: &str) -> Option<&str> {
    let line = line.rsplit("] ").next().unwrap_or(line);
    let line = match line.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(')')?.1,
        Some(rest) => rest,
        None => line,
    };
    let name = line.trim_start().strip_prefix("mod ")?.split(';').next()?;
    let plain = name.chars().all(|c| c.is_alphanumeric() || c == '_');
    (plain && line.contains(';')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_declarations() {
        for (line, expected) in [
            ("mod a;", Some("a")),
            ("pub mod a_b;", Some("a_b")),
            ("pub(crate) mod a; // why", Some("a")),
            ("#[cfg(test)] mod tests;", Some("tests")),
            ("mod tests {", None),
            ("// mod a;", None),
            ("model;", None),
        ] {
            assert_eq!(declared(line), expected, "{line}");
        }
    }

    #[test]
    fn finds_the_file_that_nobody_declares() {
        let tree = Tree::of(&[
            (
                "crates/a/src/lib.rs",
                "mod lanes;\nmod one;\n#[path = \"odd name.rs\"]\nmod odd;\n",
            ),
            ("crates/a/src/one.rs", "mod inner;\n"),
            ("crates/a/src/one/inner.rs", ""),
            ("crates/a/src/lanes/mod.rs", "mod line;\n"),
            ("crates/a/src/lanes/line.rs", ""),
            ("crates/a/src/lanes/left.rs", ""),
            ("crates/a/src/odd name.rs", ""),
            ("crates/a/tests/it/main.rs", "mod flow;\n"),
            ("crates/a/tests/it/flow.rs", ""),
        ]);
        let roots = ["crates/a/src/lib.rs", "crates/a/tests/it/main.rs"];
        let found = unreached(&tree, roots.map(str::to_owned).to_vec());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "crates/a/src/lanes/left.rs");
    }
}
